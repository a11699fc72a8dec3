//! Finds keys in whatever bytes: texts in UTF-8 and UTF-16, programs, databases, archives that are not packed.
//!
//! What has the form of [`KEY_REGEX`](super::KEY_REGEX) and the right checksum is a key, whatever stands around it: in
//! `%3Dkru_…` and `\nkru_…` a letter stands before one, where the pattern wants none. That a text of this form has the
//! right checksum by chance happens once in four thousand million times.

use std::borrow::Cow;

use memchr::memmem::Finder as Word;
use memchr::{memchr_iter, memrchr};

use super::{KEY_LEN, base62, is_selector, unbase62};

/// The letters of classes, those of one-time keys included: `kru_`, `krs_`, `krp_`, `kre_`, `krc_`.
const CLASSES: &[u8] = b"uspec";
/// As many bytes as a key has at most, less one: what is kept of a piece for the next.
const TAIL: usize = 2 * KEY_LEN - 2;
/// How much of a key is shown: `kru_8Fq2`.
const SHOWN: usize = 8;

/// A key that was found, without its secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// The letter of its class.
    pub class: char,
    /// Its public part.
    pub selector: String,
    /// The line that it stands in, from 1 on.
    pub line: u64,
    /// At which letter of the line it begins, from 1 on.
    pub column: u64,
}

impl Found {
    /// How it is shown: `kru_8Fq2…`.
    pub fn display(&self) -> String {
        super::display_of(self.class, &self.selector)
    }
}

/// Looks for keys in bytes that come piece by piece, however they are cut. It keeps one piece and little more.
pub struct Finder {
    /// What was not looked at to its end.
    window: Vec<u8>,
    /// Newlines before the window.
    lines: u64,
    /// Letters between the last of them and the window.
    letters: u64,
    /// How a key begins, and between which of its letters there is how much else.
    beginnings: [(usize, Word<'static>); 2],
}

impl Default for Finder {
    fn default() -> Finder {
        let beginnings = [(1, Word::new(b"kr")), (2, Word::new(b"k\0r"))];
        Finder { window: vec![], lines: 0, letters: 0, beginnings }
    }
}

impl Finder {
    /// Looks at the next piece.
    pub fn feed(&mut self, piece: &[u8], tell: &mut impl FnMut(Found)) {
        self.window.extend_from_slice(piece);
        // Whatever begins before this is there whole.
        let end = self.window.len().saturating_sub(TAIL);
        self.look(end, tell);
        self.window.drain(..end);
    }

    /// Looks at what is left, once nothing else comes; the next piece is of something else.
    pub fn end(&mut self, tell: &mut impl FnMut(Found)) {
        self.look(self.window.len(), tell);
        self.window.clear();
        (self.lines, self.letters) = (0, 0);
    }

    /// Tells of each key that begins before `end`.
    fn look(&mut self, end: usize, tell: &mut impl FnMut(Found)) {
        let mut keys = vec![];
        for (step, word) in &self.beginnings {
            let starts = word.find_iter(&self.window).take_while(|at| *at < end);
            keys.extend(starts.filter_map(|at| Some((at, *step, key(self.window.get(at..)?, *step)?))));
        }
        keys.sort_unstable_by_key(|(at, ..)| *at);
        let mut from = 0;
        for (at, step, (class, selector)) in keys {
            self.pass(from, at);
            from = at;
            tell(Found { class, selector, line: self.lines + 1, column: self.letters / step as u64 + 1 });
        }
        self.pass(from, end);
    }

    /// Counts lines and letters.
    fn pass(&mut self, from: usize, to: usize) {
        let passed = self.window.get(from..to).unwrap_or_default();
        let line = match memrchr(b'\n', passed) {
            None => passed,
            Some(last) => {
                self.lines += memchr_iter(b'\n', passed).count() as u64;
                self.letters = 0;
                passed.get(last + 1..).unwrap_or_default()
            }
        };
        // Of a letter in UTF-8, the bytes behind the first begin with 10.
        self.letters += line.iter().filter(|byte| **byte & 0xC0 != 0x80).count() as u64;
    }
}

/// The class and the public part of the key that these bytes begin with, each `step`-th of them a letter and the others
/// zero.
fn key(bytes: &[u8], step: usize) -> Option<(char, String)> {
    let mut letters = [0; KEY_LEN];
    for (place, letter) in letters.iter_mut().enumerate() {
        *letter = *bytes.get(place * step)?;
        let is_prefix = match place {
            2 => CLASSES.contains(letter),
            3 => *letter == b'_',
            _ => true,
        };
        let between = if place + 1 < KEY_LEN { bytes.get(place * step + 1..(place + 1) * step)? } else { &[] };
        if !is_prefix || between.iter().any(|byte| *byte != 0) {
            return None;
        }
    }
    let text = std::str::from_utf8(&letters).ok()?;
    let (body, crc) = text.split_at_checked(KEY_LEN - 6)?;
    let (selector, secret) = body.get(4..)?.split_once('_')?;
    let is_key = is_selector(selector)
        && base62(&crc32fast::hash(body.as_bytes()).to_be_bytes(), 6) == crc
        && unbase62(secret).is_some();
    Some((char::from(letters[2]), selector.to_owned())).filter(|_| is_key)
}

/// The keys in a text.
pub fn in_text(text: &[u8]) -> Vec<Found> {
    let (mut finder, mut found) = (Finder::default(), vec![]);
    finder.feed(text, &mut |one| found.push(one));
    finder.end(&mut |one| found.push(one));
    found
}

/// A text with each key in it as it may be shown.
pub fn shown(text: &str) -> Cow<'_, str> {
    let mut shown = Cow::Borrowed(text);
    for at in text.match_indices("kr").map(|(at, _)| at) {
        let Some(rest) = text.get(at..).filter(|rest| key(rest.as_bytes(), 1).is_some()) else { continue };
        let key = rest.get(..KEY_LEN).unwrap_or(rest);
        let beginning = key.get(..SHOWN).unwrap_or_default();
        shown = Cow::Owned(shown.replace(key, &format!("{beginning}…")));
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::secret::KEY_REGEX;
    use proptest::prelude::*;

    const VECTOR: &str = "kru_000000TEST01_003aUlTJC7tjlCTQj2uNU3MFagCXG9LRKRcwGkBIDlf0PZbtz";

    /// A key of any class with this secret.
    fn key_of(class: char, selector: &str, secret: [u8; 32]) -> String {
        let body = format!("kr{class}_{selector}_{}", base62(&secret, 43));
        let crc = base62(&crc32fast::hash(body.as_bytes()).to_be_bytes(), 6);
        body + &crc
    }

    fn utf16(text: &str, bytes: impl Fn(u16) -> [u8; 2]) -> Vec<u8> {
        text.encode_utf16().flat_map(bytes).collect()
    }

    /// Class, line and column of each key.
    fn places(text: &[u8]) -> Vec<(char, u64, u64)> {
        in_text(text).into_iter().map(|found| (found.class, found.line, found.column)).collect()
    }

    #[test]
    fn a_key_of_each_class_is_found_with_its_place() {
        for class in "uspec".chars() {
            let key = key_of(class, "8Fq2TEST0001", [7; 32]);
            let found = in_text(format!("a\r\nüü={key}!\n").as_bytes());
            let expected = Found { class, selector: "8Fq2TEST0001".to_owned(), line: 2, column: 4 };
            assert_eq!((found[0].display(), found), (format!("kr{class}_8Fq2…"), vec![expected]));
        }
        assert!(KEY_REGEX.contains(&format!("kr[{}]_", std::str::from_utf8(CLASSES).unwrap())));
        assert_eq!(
            places(&[VECTOR, VECTOR, "\n", VECTOR].concat().into_bytes()),
            [('u', 1, 1), ('u', 1, 67), ('u', 2, 1)]
        );
    }

    /// Seen to fail with boundaries asked for as the pattern has them: with `\b` none of the last four is found.
    #[test]
    fn whatever_stands_around_a_key_does_not_hide_it() {
        for (before, behind) in [
            ("", ""),
            ("\"", "\""),
            ("=", "\0"),
            ("\u{feff}", "…"),
            ("kr", "kr"),
            ("%3D", "%0A"),
            ("\\n", "\\n"),
            ("_", "0"),
        ] {
            assert_eq!(places(format!("{before}{VECTOR}{behind}").as_bytes()).len(), 1, "{before:?} {behind:?}");
        }
        let binary = [&[0xff, 0xfe, 0, b'k', 0x80][..], VECTOR.as_bytes(), &[0xff, 0]].concat();
        assert_eq!(places(&binary).len(), 1);
    }

    /// Seen to fail without the look for `k\0r`.
    #[test]
    fn a_key_in_utf_16_is_found() {
        let text = format!("\u{feff}\r\na = {VECTOR}\r\n");
        assert_eq!(places(&utf16(&text, u16::to_le_bytes)), [('u', 2, 5)]);
        assert_eq!(places(&utf16(&text, u16::to_be_bytes)), [('u', 2, 5)]);
    }

    /// Seen to fail without the checksum: each of these has the form.
    #[test]
    fn a_look_alike_is_none() {
        let overflowing = format!("kru_000000TEST01_{}", "z".repeat(43));
        let overflowing = format!("{overflowing}{}", base62(&crc32fast::hash(overflowing.as_bytes()).to_be_bytes(), 6));
        assert_eq!(overflowing.len(), KEY_LEN);
        for place in (4..KEY_LEN).filter(|place| *place != 16) {
            let mut wrong = VECTOR.as_bytes().to_vec();
            wrong[place] = if wrong[place] == b'x' { b'y' } else { b'x' };
            assert_eq!(in_text(&wrong), [], "{place}");
        }
        for text in
            [&overflowing, "", "kr", "kru_", &VECTOR[..65], &VECTOR.replace("kru", "krx"), &VECTOR.replace('_', "-")]
        {
            assert_eq!(in_text(text.as_bytes()), [], "{text}");
        }
    }

    /// Seen to fail with a tail that is one byte shorter, and with none.
    #[test]
    fn a_key_is_found_however_it_is_cut() {
        for text in [
            format!("ab\n{VECTOR}\n{VECTOR}").into_bytes(),
            utf16(&format!("ab\n{VECTOR}\n{VECTOR}"), u16::to_le_bytes),
        ] {
            let whole = in_text(&text);
            assert_eq!(whole.len(), 2);
            for cut in 0..=text.len() {
                let (mut finder, mut found) = (Finder::default(), vec![]);
                let (first, second) = text.split_at(cut);
                finder.feed(first, &mut |one| found.push(one));
                finder.feed(second, &mut |one| found.push(one));
                finder.end(&mut |one| found.push(one));
                assert_eq!(found, whole, "{cut}");
            }
            let (mut finder, mut found) = (Finder::default(), vec![]);
            text.iter().for_each(|byte| finder.feed(&[*byte], &mut |one| found.push(one)));
            finder.end(&mut |one| found.push(one));
            assert_eq!(found, whole, "byte by byte");
            assert!(finder.window.is_empty() && finder.lines == 0);
        }
    }

    /// Seen to fail with a window that is never drained.
    #[test]
    fn what_is_kept_does_not_grow() {
        let (mut finder, mut found) = (Finder::default(), 0);
        for _ in 0..64 {
            finder.feed(&[b'k'; 64 << 10], &mut |_| found += 1);
            assert!(finder.window.len() <= TAIL && finder.window.capacity() <= 256 << 10);
        }
        assert_eq!(found, 0);
    }

    #[test]
    fn a_key_in_a_name_is_not_repeated() {
        assert_eq!(shown(&format!("a/{VECTOR}.txt-{VECTOR}")), "a/kru_0000….txt-kru_0000…");
        let plain = "node_modules/.cache/3b1f2A9c8D7e6F5a4B3c2D1e0F9a8B7c6D5e4F3a2B1c0D9e8F.js";
        assert_eq!(shown(plain), plain);
    }

    proptest! {
        #[test]
        fn what_is_planted_is_found(
            keys in prop::collection::vec(("[uspec]", "[0-9A-Za-z]{12}", any::<[u8; 32]>()), 1..5),
            between in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..200), 6),
            size in 1usize..300,
        ) {
            let keys: Vec<String> =
                keys.iter().map(|(class, selector, secret)| key_of(class.chars().next().unwrap(), selector, *secret)).collect();
            let mut text = vec![];
            for (key, between) in keys.iter().zip(&between) {
                text.extend_from_slice(between);
                text.extend_from_slice(key.as_bytes());
            }
            text.extend_from_slice(&between[5]);
            let (mut finder, mut found) = (Finder::default(), vec![]);
            text.chunks(size).for_each(|piece| finder.feed(piece, &mut |one: Found| found.push(one.selector)));
            finder.end(&mut |one| found.push(one.selector));
            let expected: Vec<String> = keys.iter().map(|key| key[4..16].to_owned()).collect();
            prop_assert_eq!(found, expected);
        }
    }
}
