//! What is nearly JSON: texts with half a character in them.

use std::borrow::Cow;

/// What stands for it: no database keeps it, so whoever reads it leaves the text out.
const UNSTORABLE: &[u8] = b"\\u0000";

/// The same with U+0000 for bytes that are no UTF-8, and for lone surrogates: what is left of a character where a
/// client has cut a text by its length. One such text refuses no request as a whole.
pub fn mended(bytes: &[u8]) -> Cow<'_, [u8]> {
    let mut bytes = match std::str::from_utf8(bytes) {
        Ok(_) => Cow::Borrowed(bytes),
        Err(_) => Cow::Owned(as_text(bytes)),
    };
    for at in lone_surrogates(&bytes) {
        if let Some(escape) = bytes.to_mut().get_mut(at..at + UNSTORABLE.len()) {
            escape.copy_from_slice(UNSTORABLE);
        }
    }
    bytes
}

fn as_text(bytes: &[u8]) -> Vec<u8> {
    let mut text = Vec::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        text.extend_from_slice(chunk.valid().as_bytes());
        if !chunk.invalid().is_empty() {
            text.extend_from_slice(UNSTORABLE);
        }
    }
    text
}

/// Where escapes are that stand for half a character. A backslash is nowhere in JSON but in texts.
fn lone_surrogates(bytes: &[u8]) -> Vec<usize> {
    let (mut found, mut at) = (vec![], 0);
    while let Some(next) = bytes.get(at..).and_then(|rest| rest.iter().position(|byte| *byte == b'\\')) {
        at += next;
        at += match (unit(bytes, at), unit(bytes, at + UNSTORABLE.len())) {
            (Some(0xD800..=0xDBFF), Some(0xDC00..=0xDFFF)) => 2 * UNSTORABLE.len(),
            (Some(0xD800..=0xDFFF), _) => {
                found.push(at);
                UNSTORABLE.len()
            }
            _ => 2,
        };
    }
    found
}

/// The unit of UTF-16 that an escape at this place stands for.
fn unit(bytes: &[u8], at: usize) -> Option<u16> {
    let digits = bytes.get(at..at + UNSTORABLE.len())?.strip_prefix(b"\\u")?;
    u16::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(input: &[u8], expected: &str) {
        assert_eq!(String::from_utf8(mended(input).into_owned()).unwrap(), expected);
    }

    #[test]
    fn half_a_character_is_marked_and_nothing_else() {
        check(br#"{"a":"\ud800"}"#, r#"{"a":"\u0000"}"#);
        check(br#"{"a":"x\uDC00y"}"#, r#"{"a":"x\u0000y"}"#);
        check(br#"["\ud83d\ude00"]"#, r#"["\ud83d\ude00"]"#);
        check(br#"["\ud83d\ud83d\ude00"]"#, r#"["\u0000\ud83d\ude00"]"#);
        check(br#"["\\ud800"]"#, r#"["\\ud800"]"#);
        check(br#"["\\\ud800"]"#, r#"["\\\u0000"]"#);
        check(br#"["\ud8"#, r#"["\ud8"#);
        check(b"\\", "\\");
        check("\"\u{e9}\"".as_bytes(), "\"\u{e9}\"");
        check(b"[\"Jos\xe9\"]", "[\"Jos\\u0000\"]");
        check(b"[\"\xf0\x9f\"]", "[\"\\u0000\"]");
        assert!(matches!(mended(br#"{"a":"\n\u00e9"}"#), Cow::Borrowed(_)));
    }
}
