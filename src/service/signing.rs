//! What Keyroll signs for others, to be verified without asking it: compact JWS (RFC 7515) with Ed25519
//! (RFC 8037), and the key set (RFC 7517) to verify them with.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::jwk::{Jwk, JwkSet, PublicKeyUse, ThumbprintHash};
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde::Serialize;
use serde_json::Value;

use crate::service::{Error, Service};

/// What stands before the 32 bytes of an Ed25519 key in PKCS #8 (RFC 8410 §7).
const PKCS8: [u8; 16] =
    [0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20];

/// The key that signs, and what the world may know of it.
pub(in crate::service) struct SigningKey {
    key: EncodingKey,
    id: String,
    published: Value,
}

impl SigningKey {
    /// The key that these 32 bytes are (RFC 8032 §5.1.5).
    ///
    /// # Errors
    /// Never for 32 bytes; the crate could also be given other keys.
    pub(in crate::service) fn from_seed(seed: &[u8; 32]) -> Result<SigningKey, Error> {
        let key = EncodingKey::from_ed_der(&[&PKCS8[..], seed].concat());
        let mut jwk = Jwk::from_encoding_key(&key, Algorithm::EdDSA).map_err(Error::internal)?;
        // RFC 7638 §3: whoever has the public key can compute its id.
        let id = jwk.thumbprint(ThumbprintHash::SHA256).map_err(Error::internal)?;
        jwk.common.key_id = Some(id.clone());
        jwk.common.public_key_use = Some(PublicKeyUse::Signature);
        let published = serde_json::to_value(JwkSet { keys: vec![jwk] })?;
        Ok(SigningKey { key, id, published })
    }

    /// What the database keeps of it: the hash of the public key, which is also its id.
    pub(in crate::service) fn fingerprint(&self) -> [u8; 32] {
        let mut fingerprint = [0; 32];
        let bytes = URL_SAFE_NO_PAD.decode(&self.id).unwrap_or_default();
        fingerprint.iter_mut().zip(bytes).for_each(|(to, from)| *to = from);
        fingerprint
    }

    fn sign(&self, typ: &str, claims: &impl Serialize) -> Result<String, Error> {
        let mut header = Header::new(Algorithm::EdDSA);
        header.typ = Some(typ.to_owned());
        header.kid = Some(self.id.clone());
        jsonwebtoken::encode(&header, claims, &self.key).map_err(Error::internal)
    }
}

impl Service {
    /// The JWK set that signatures are verified with.
    pub fn signing_keys(&self) -> &Value {
        &self.inner.signing_key.published
    }
}

/// Signs claims as a compact JWS. The type keeps a signature for one purpose from passing for another
/// (RFC 8725 §3.11); `iss`, `iat` and `exp` are the caller's to give.
///
/// # Errors
/// If the claims cannot be written as JSON.
pub fn sign(service: &Service, typ: &str, claims: &impl Serialize) -> Result<String, Error> {
    service.inner.signing_key.sign(typ, claims)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// RFC 8037 appendix A: the key, its thumbprint, and a signature.
    const SEED: &str = "nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A";

    fn key() -> SigningKey {
        let seed = URL_SAFE_NO_PAD.decode(SEED).unwrap();
        SigningKey::from_seed(&seed.try_into().unwrap()).unwrap()
    }

    #[test]
    fn the_published_key_is_that_of_the_rfc() {
        let expected = json!({"keys": [{
            "kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo",
            "kid": "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k", "use": "sig", "alg": "EdDSA",
        }]});
        assert_eq!(key().published, expected);
        assert_eq!(URL_SAFE_NO_PAD.encode(key().fingerprint()), key().id);
    }

    #[test]
    fn the_signature_is_that_of_the_rfc() {
        let message = b"eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc";
        let signature = jsonwebtoken::crypto::sign(message, &key().key, Algorithm::EdDSA).unwrap();
        assert_eq!(signature, "hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg");
    }
}
