//! The secret part of a credential: its text, its checksum, its digest, and the keys of the installation.
//!
//! `kru_<selector 12><_><secret 43><crc 6>`, base62. The plain key is one type and its digest another;
//! only the digest can be stored, and `Debug` of the plain key shows the selector alone.

pub mod find;
mod texts;

use std::fmt;

use hkdf::Hkdf;
use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq;

use super::class::Class;
use super::clock::Entropy;
use super::id::Id;

pub use texts::{holds_key_text, holds_secret, key_texts, resembles_key, without_keys};

/// What finds a leaked key in a text, whatever its class.
pub const KEY_REGEX: &str = r"\bkr[uspec]_[0-9A-Za-z]{12}_[0-9A-Za-z]{49}\b";

const ALPHABET: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
const SELECTOR_LEN: usize = 12;
const SECRET_LEN: usize = 43;
const KEY_LEN: usize = 4 + SELECTOR_LEN + 1 + SECRET_LEN + 6;

/// A key as its holder knows it.
#[derive(Clone, PartialEq, Eq)]
pub struct PlainKey {
    class: Class,
    selector: String,
    secret: [u8; 32],
}

impl fmt::Debug for PlainKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PlainKey({}…)", self.display())
    }
}

impl PlainKey {
    /// Makes a new key of 256 random bits.
    pub fn mint(class: Class, entropy: &dyn Entropy) -> PlainKey {
        let mut bytes = [0; 9];
        entropy.fill(&mut bytes);
        // 71 of 72 bits: one less than 62^12 values, so every number has its own selector.
        let number = bytes.iter().fold(0u128, |n, b| n << 8 | u128::from(*b)) >> 1;
        let mut secret = [0; 32];
        entropy.fill(&mut secret);
        PlainKey { class, selector: base62(&number.to_be_bytes(), SELECTOR_LEN), secret }
    }

    /// Reads a key; `None` unless its form and checksum are right. No store is asked for such text.
    pub fn parse(text: &str) -> Option<PlainKey> {
        if text.len() != KEY_LEN || !text.is_ascii() {
            return None;
        }
        let (body, crc) = text.split_at(KEY_LEN - 6);
        if base62(&crc32fast::hash(body.as_bytes()).to_be_bytes(), 6) != crc {
            return None;
        }
        let class = Class::from_letter(body.strip_prefix("kr")?.chars().next()?)?;
        let (selector, secret) = body.get(3..)?.strip_prefix('_')?.split_once('_')?;
        if !is_selector(selector) {
            return None;
        }
        let secret = unbase62(secret)?;
        Some(PlainKey { class, selector: selector.to_owned(), secret })
    }

    /// The class that its prefix names.
    pub fn class(&self) -> Class {
        self.class
    }

    /// The public part, by which the credential is found.
    pub fn selector(&self) -> &str {
        &self.selector
    }

    /// The beginning that may be shown: no secret bit is in it.
    pub fn display(&self) -> String {
        display(self.class, &self.selector)
    }

    /// The whole text, for the one answer that shows it.
    pub fn reveal(&self) -> String {
        let body = format!("kr{}_{}_{}", self.class.letter(), self.selector, base62(&self.secret, SECRET_LEN));
        let crc = base62(&crc32fast::hash(body.as_bytes()).to_be_bytes(), 6);
        body + &crc
    }

    /// The SHA-256 of the whole text: what whoever finds a key may tell of it without telling it. Of 256 random bits it
    /// gives nothing away.
    pub fn text_hash(&self) -> [u8; 32] {
        Sha256::digest(self.reveal()).into()
    }
}

/// Whether a text is a public part.
pub fn is_selector(text: &str) -> bool {
    text.len() == SELECTOR_LEN && text.bytes().all(|b| digit(b).is_some())
}

/// How a key is shown once its secret is gone: `kru_8Fq2…`.
pub fn display(class: Class, selector: &str) -> String {
    display_of(class.letter(), selector)
}

fn display_of(class: char, selector: &str) -> String {
    format!("kr{class}_{}…", selector.get(..4).unwrap_or(selector))
}

/// Big-endian bytes as base62, left-padded with `0`.
fn base62(bytes: &[u8], len: usize) -> String {
    let mut number = bytes.to_vec();
    let mut text = vec![b'0'; len];
    for place in text.iter_mut().rev() {
        let mut remainder = 0u32;
        for byte in &mut number {
            let value = remainder << 8 | u32::from(*byte);
            *byte = (value / 62) as u8;
            remainder = value % 62;
        }
        *place = ALPHABET.get(remainder as usize).copied().unwrap_or(b'0');
    }
    String::from_utf8(text).unwrap_or_default()
}

/// The value of a letter.
fn digit(letter: u8) -> Option<u32> {
    let (first, value) = match letter {
        b'0'..=b'9' => (b'0', 0),
        b'A'..=b'Z' => (b'A', 10),
        b'a'..=b'z' => (b'a', 36),
        _ => return None,
    };
    Some(u32::from(letter - first) + value)
}

/// The 32 bytes of a secret; `None` for what is not base62 or would not fit, so each secret has one text.
fn unbase62(text: &str) -> Option<[u8; 32]> {
    if text.len() != SECRET_LEN {
        return None;
    }
    // Most significant first; with every request a key is read.
    let mut limbs = [0u64; 4];
    for letter in text.bytes() {
        let mut carry = u128::from(digit(letter)?);
        for limb in limbs.iter_mut().rev() {
            let value = u128::from(*limb) * 62 + carry;
            *limb = value as u64;
            carry = value >> 64;
        }
        if carry != 0 {
            return None;
        }
    }
    let mut number = [0u8; 32];
    let bytes = limbs.iter().flat_map(|limb| limb.to_be_bytes());
    number.iter_mut().zip(bytes).for_each(|(to, from)| *to = from);
    Some(number)
}

/// The keyed hash of a secret: what is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Digest(pub [u8; 32]);

impl Digest {
    /// Compares without telling by time how much matched.
    pub fn matches(&self, other: &Digest) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

/// The keys of the installation: HKDF labels of `root.key`, which never enters the database.
#[derive(Clone)]
pub struct Keyring {
    pepper: [u8; 32],
    row: [u8; 32],
    cursor: [u8; 32],
    subject: [u8; 32],
    backup: [u8; 32],
    fingerprint: [u8; 32],
}

impl fmt::Debug for Keyring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Keyring")
    }
}

impl Keyring {
    /// Derives all of them from the 32 bytes of `root.key`.
    pub fn derive(root: &[u8; 32]) -> Keyring {
        let hkdf = Hkdf::<Sha256>::new(None, root);
        let label = |label: &str| {
            let mut key = [0; 32];
            // 32 bytes are always a valid length for HKDF-SHA-256 (RFC 5869 §2.3: at most 255 × 32).
            let _ = hkdf.expand(label.as_bytes(), &mut key);
            key
        };
        Keyring {
            pepper: label("keyroll/pepper/v1"),
            row: label("keyroll/row-mac/v1"),
            cursor: label("keyroll/cursor/v1"),
            subject: label("keyroll/subject/v1"),
            backup: label("keyroll/backup/v1"),
            fingerprint: label("keyroll/fingerprint/v1"),
        }
    }

    /// What the database keeps of `root.key`, to notice that it is another one.
    pub fn fingerprint(&self) -> &[u8; 32] {
        &self.fingerprint
    }

    /// The key that seals cursors.
    pub fn cursor(&self) -> &[u8; 32] {
        &self.cursor
    }

    /// The key that wraps the keys of subjects, under which past documents lie.
    pub fn subject(&self) -> &[u8; 32] {
        &self.subject
    }

    /// The digest of a key of a tenant (`credentials.md` §3.4).
    pub fn digest(&self, tenant: &Id, key: &PlainKey) -> Digest {
        digest(&self.pepper, &tenant.to_string(), &key.selector, &key.secret)
    }

    /// The MAC over the fields of a credential row, so that an edit by SQL kills the key.
    pub fn row_mac(&self, canonical: &[u8]) -> [u8; 32] {
        hmac(&self.row, &[canonical])
    }

    /// The MAC over what a backup says of itself.
    pub fn backup_mac(&self, manifest: &[u8]) -> [u8; 32] {
        hmac(&self.backup, &[manifest])
    }

    /// Whether a stored MAC is right.
    pub fn row_mac_matches(&self, canonical: &[u8], stored: &[u8]) -> bool {
        self.row_mac(canonical).ct_eq(stored).into()
    }
}

fn digest(pepper: &[u8; 32], tenant: &str, selector: &str, secret: &[u8; 32]) -> Digest {
    let zero = &[0u8][..];
    let parts = [b"keyroll/cred/v1", zero, tenant.as_bytes(), zero, selector.as_bytes(), zero, secret];
    Digest(hmac(pepper, &parts))
}

fn hmac(key: &[u8; 32], parts: &[&[u8]]) -> [u8; 32] {
    // RFC 2104 §2: a key shorter than a block is padded with zeros.
    let mut block = [0; 64];
    block.iter_mut().zip(key).for_each(|(to, from)| *to = *from);
    let mut mac = Hmac::<Sha256>::new(&block.into());
    for part in parts {
        mac.update(part);
    }
    mac.finalize().into_bytes().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    pub(super) const VECTOR: &str = "kru_000000TEST01_003aUlTJC7tjlCTQj2uNU3MFagCXG9LRKRcwGkBIDlf0PZbtz";

    struct Counting;
    impl Entropy for Counting {
        fn fill(&self, bytes: &mut [u8]) {
            bytes.iter_mut().zip(0u8..).for_each(|(byte, n)| *byte = n);
        }
    }

    #[test]
    fn the_published_vector_holds() {
        let key = PlainKey::parse(VECTOR).unwrap();
        assert_eq!(key.class(), Class::User);
        assert_eq!(key.selector(), "000000TEST01");
        assert_eq!(key.secret.to_vec(), (0u8..32).collect::<Vec<_>>());
        assert_eq!(key.reveal(), VECTOR);
        let digest = digest(&[0x42; 32], "ten_01TESTTENANT", key.selector(), &key.secret);
        let hex: String = digest.0.iter().map(|b| format!("{b:02x}")).collect();
        assert_eq!(hex, "a9f08fe3524e634e1ad2270165705139c4ee4003a72410bb3d1d6c4679116562");
    }

    #[test]
    fn a_minted_key_reads_back_and_hides_itself() {
        let key = PlainKey::mint(Class::Provisioning, &Counting);
        let text = key.reveal();
        assert_eq!(text.len(), 66);
        assert_eq!(PlainKey::parse(&text), Some(key.clone()));
        assert!(text.starts_with("krp_"));
        assert!(!format!("{key:?}").contains(&text[17..]));
    }

    #[test]
    fn one_wrong_letter_is_no_key() {
        for place in 0..VECTOR.len() {
            let mut bytes = VECTOR.as_bytes().to_vec();
            bytes[place] = if bytes[place] == b'z' { b'y' } else { b'z' };
            assert_eq!(PlainKey::parse(std::str::from_utf8(&bytes).unwrap()), None, "place {place}");
        }
        assert_eq!(PlainKey::parse(""), None);
        assert_eq!(PlainKey::parse(&"ü".repeat(33)), None);
    }

    #[test]
    fn a_secret_that_overflows_is_refused() {
        assert_eq!(unbase62(&"z".repeat(43)), None);
        assert_eq!(unbase62(&"0".repeat(43)), Some([0; 32]));
        assert_eq!(unbase62(&base62(&[255; 32], 43)), Some([255; 32]));
    }
}
