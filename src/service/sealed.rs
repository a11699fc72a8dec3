//! Authenticated encryption of what leaves the server or lies in the database: cursors, past documents.

use chacha20poly1305::aead::{Aead, Payload};
use chacha20poly1305::{KeyInit, XChaCha20Poly1305};

use crate::domain::clock::Entropy;
use crate::service::Error;

/// Seals bytes under a key; whoever opens them must name the same context.
///
/// # Errors
/// If the bytes are more than the cipher takes, which is far beyond any limit.
pub(in crate::service) fn seal(
    key: &[u8; 32],
    context: &[u8],
    plain: &[u8],
    entropy: &dyn Entropy,
) -> Result<Vec<u8>, Error> {
    let mut nonce = [0; 24];
    entropy.fill(&mut nonce);
    let sealed = XChaCha20Poly1305::new(key.into()).encrypt(&nonce.into(), Payload { msg: plain, aad: context });
    let sealed = sealed.map_err(|_| Error::internal("too much to seal"))?;
    Ok([nonce.as_slice(), sealed.as_slice()].concat())
}

/// Opens what [`seal`] sealed under this key in this context; `None` for anything else.
pub(in crate::service) fn open(key: &[u8; 32], context: &[u8], sealed: &[u8]) -> Option<Vec<u8>> {
    let (nonce, sealed) = sealed.split_first_chunk::<24>()?;
    XChaCha20Poly1305::new(key.into()).decrypt(nonce.into(), Payload { msg: sealed, aad: context }).ok()
}
