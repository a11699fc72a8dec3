//! Cursors on the wire: sealed, so that nobody can read or make one (RFC 9865 §5), and bound to their question.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest, Sha256};

use crate::scim::cursor::Cursor;
use crate::scim::{self, ScimType};
use crate::service::{Context, Error, Service, sealed};

/// Seals a cursor: nobody can read or make one (RFC 9865 §5).
pub(in crate::service) fn seal(service: &Service, cursor: &Cursor) -> Result<String, Error> {
    let sealed = sealed::seal(service.keyring().cursor(), b"", &cursor.to_bytes(), service.entropy())?;
    Ok(URL_SAFE_NO_PAD.encode(sealed))
}

pub(in crate::service) fn open(service: &Service, text: &str) -> Result<Cursor, Error> {
    let refused = || scim::Error::new(ScimType::InvalidCursor, "cursor: not one of this server's");
    let bytes = URL_SAFE_NO_PAD.decode(text).map_err(|_| refused())?;
    let plain = sealed::open(service.keyring().cursor(), b"", &bytes).ok_or_else(refused)?;
    Ok(Cursor::from_bytes(&plain)?)
}

/// Binds a cursor to a question, and to the tenant and the caller that ask it.
pub(in crate::service) fn question_hash(context: &Context, question: &[&str]) -> [u8; 16] {
    let mut hash = Sha256::new();
    let mut add = |text: &str| {
        hash.update((text.len() as u64).to_be_bytes());
        hash.update(text.as_bytes());
    };
    add(&context.caller.tenant.id.to_string());
    add(&context.caller.key().map(|key| key.owner.id.to_string()).unwrap_or_default());
    question.iter().for_each(|text| add(text));
    let mut short = [0; 16];
    short.iter_mut().zip(hash.finalize()).for_each(|(to, from)| *to = from);
    short
}
