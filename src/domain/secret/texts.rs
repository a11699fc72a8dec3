//! Keys in texts that are no keys: what is not repeated, and not kept.

use std::borrow::Cow;
use std::collections::BTreeSet;

use super::{SECRET_LEN, SELECTOR_LEN};

/// Whether a key's text stands in a text, or what was meant as one, whatever its checksum says: such a text is not
/// repeated, and not kept.
pub fn holds_key_text(text: &str) -> bool {
    !key_texts(text).is_empty()
}

/// The texts of keys that stand in a text, each once, whatever their checksums say.
pub fn key_texts(text: &str) -> BTreeSet<&str> {
    let (mut found, mut end) = (BTreeSet::new(), 0);
    for (at, _) in text.match_indices(['k', 'K']) {
        let Some(rest) = text.get(at..).filter(|_| at >= end) else { continue };
        let len = rest.bytes().take_while(|b| b.is_ascii_alphanumeric() || *b == b'_').count();
        let word = rest.get(..len).unwrap_or_default();
        if after_prefix(word).is_some_and(|rest| rest.len() > SELECTOR_LEN + SECRET_LEN / 2) {
            found.insert(word);
            end = at + len;
        }
    }
    found
}

/// What stands behind a key's beginning, which somebody may have written in other letters: `Kru_`.
fn after_prefix(word: &str) -> Option<&str> {
    let prefix = word.get(..4)?.to_ascii_lowercase();
    let class = prefix.strip_prefix("kr")?.strip_suffix('_')?;
    if ["u", "s", "p", "e", "c"].contains(&class) { word.get(4..) } else { None }
}

/// Whether a secret may stand in a text that is to be kept: in the text of a key, without its beginning, or alone. Unlike
/// [`resembles_key`] it leaves alone what people write of many words: `CI-key-2026-for-…`.
pub fn holds_secret(text: &str) -> bool {
    holds_key_text(text) || text.split(|c: char| !c.is_ascii_alphanumeric()).any(is_secret_word)
}

/// Whether a text may be that of a key, or the most of one: its beginning is gone, or a letter is another one. Paths,
/// ids and hashes have no word of so many letters and digits, large and small.
pub fn resembles_key(text: &str) -> bool {
    holds_key_text(text) || text.split(is_between).any(is_secret_word)
}

/// A text without the words in it that may be a key's.
pub fn without_keys(text: &str) -> Cow<'_, str> {
    if !resembles_key(text) {
        return Cow::Borrowed(text);
    }
    let shown = |word: &str| {
        let core = word.trim_end_matches(is_between);
        let hidden = holds_key_text(core) || is_secret_word(core);
        if hidden { format!("…{}", word.get(core.len()..).unwrap_or_default()) } else { word.to_owned() }
    };
    Cow::Owned(text.split_inclusive(is_between).map(shown).collect())
}

/// What stands between words.
fn is_between(letter: char) -> bool {
    letter.is_whitespace() || "/\\'\"=:,;()<>[]{}".contains(letter)
}

fn is_secret_word(word: &str) -> bool {
    let count = |is: fn(&u8) -> bool| word.bytes().filter(is).count();
    let kinds = [count(u8::is_ascii_uppercase), count(u8::is_ascii_lowercase), count(u8::is_ascii_digit)];
    kinds.iter().sum::<usize>() >= SECRET_LEN - 3 && kinds.iter().all(|kind| *kind > 0)
}

#[cfg(test)]
mod tests {
    use super::super::tests::VECTOR;
    use super::*;

    #[test]
    fn a_keys_text_is_known_wherever_it_stands() {
        let wrong = format!("{}0", &VECTOR[..VECTOR.len() - 1]);
        let cut = &VECTOR[..VECTOR.len() - 9];
        for text in [VECTOR, &wrong, cut, &format!("--key={VECTOR}"), &format!("ü krkr_{VECTOR}'")] {
            assert!(holds_key_text(text), "{text}");
        }
        for text in ["", "kr", "kru_", "kru_PtgZ…", "kru_000000TEST01", "krx_000000TEST01_003aUlTJC7tjlCTQj2uNU3MFag"]
        {
            assert!(!holds_key_text(text), "{text}");
        }
    }

    #[test]
    fn a_secret_is_not_kept_however_it_is_written() {
        let prefix = |prefix: &str| VECTOR.replacen("kru_", prefix, 1);
        for text in [
            VECTOR,
            &prefix("Kru_"),
            &prefix("KRU_"),
            &prefix("kRs_")[..45],
            &VECTOR[4..],
            &VECTOR[17..],
            &VECTOR[17..60],
            &format!("laptop ({})", &VECTOR[17..]),
        ] {
            assert!(holds_secret(text), "{text}");
        }
        for text in [
            "old laptop",
            "CI-Deploy-key-of-the-payments-service-in-eu-west-1-since-2026",
            "Kru_000000TEST01",
            "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
            "01939e7a-5b1c-7def-8abc-0123456789ab",
        ] {
            assert!(!holds_secret(text), "{text}");
        }
    }

    #[test]
    fn what_may_be_a_key_is_not_repeated() {
        let (bare, secret) = (&VECTOR[4..], &VECTOR[17..]);
        let misspelt = VECTOR.replacen("aUl", "a-l", 1);
        for text in [VECTOR, bare, secret, &VECTOR[1..], &misspelt, &VECTOR.replacen("kru", "KRU", 1)] {
            assert_eq!(without_keys(&format!("no user is named {text}: try '{text}'")), "no user is named …: try '…'");
        }
        for text in [
            "there is no key 01939e7a-5b1c-7def-8abc-0123456789ab",
            "cannot read /srv/9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08/keyroll.db: No such file",
            "the owner does not hold billing:invoices:read",
            "kru_PtgZ…",
        ] {
            assert_eq!(without_keys(text), text);
        }
    }
}
