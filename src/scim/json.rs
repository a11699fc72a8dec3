//! Strict JSON: what is read has one meaning only, and costs no more than its length.
//!
//! `serde_json` keeps the last of two equal keys, so that a check and the code behind it may see different
//! values. Attribute names do not depend on letter case (RFC 7643 §2.1): `userName` beside `username` is
//! the same trap. Both are refused. A scan of the bytes bounds depth and size before anything is built.

mod mended;
mod tree;

use std::borrow::Cow;
use std::cell::Cell;
use std::collections::HashSet;
use std::fmt;
use std::marker::PhantomData;

use serde::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;
use serde_json::{Number, Value};

pub use self::mended::mended;
pub use self::tree::{Build, Members, Tree};
use super::error::Error;

/// What a body may cost.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Arrays and objects inside each other.
    pub depth_max: usize,
    /// Values in all, counted generously: an empty array or object counts twice.
    pub nodes_max: usize,
    /// Digits of one number.
    pub number_digits_max: usize,
    /// What the values take in memory, allocations not rounded up.
    pub memory_bytes_max: usize,
    /// The one name that may stand several times in an object: its values become a list, and whoever reads them
    /// decides.
    pub repeated: Option<&'static str>,
    /// Whether a text may hold U+0000, which no database keeps: whoever reads it leaves it out. See [`mended`].
    pub unstorable: bool,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            depth_max: 32,
            nodes_max: 1_000_000,
            number_digits_max: 40,
            memory_bytes_max: 64 << 20,
            repeated: None,
            unstorable: false,
        }
    }
}

/// Reads one JSON text.
pub fn parse<'b, T: Build<'b>>(bytes: &'b [u8], limits: &Limits) -> Result<T, Error> {
    scan(bytes, limits)?;
    let mut deserializer = serde_json::Deserializer::from_slice(bytes);
    let room = Cell::new(limits.memory_bytes_max);
    let value = Strict { room: &room, limits, built: PhantomData }.deserialize(&mut deserializer).map_err(malformed)?;
    deserializer.end().map_err(malformed)?;
    Ok(value)
}

/// The members of an object, each still as text: [`parse`] reads them one by one.
pub fn raw_object<'b>(bytes: &'b [u8], limits: &Limits) -> Result<Vec<(Cow<'b, str>, &'b RawValue)>, Error> {
    scan(bytes, limits)?;
    let mut deserializer = serde_json::Deserializer::from_slice(bytes);
    let members = deserializer.deserialize_map(RawMembers).map_err(malformed)?;
    deserializer.end().map_err(malformed)?;
    Ok(members)
}

/// The elements of an array, each still as text.
pub fn raw_array(raw: &RawValue) -> Result<Vec<&RawValue>, Error> {
    serde_json::from_str(raw.get()).map_err(malformed)
}

fn malformed(error: serde_json::Error) -> Error {
    Error::syntax(format!("malformed JSON: {error}"))
}

/// Bounds depth, values and digits without recursion; whether the text is JSON at all is not asked here.
fn scan(bytes: &[u8], limits: &Limits) -> Result<(), Error> {
    if bytes.starts_with(b"\xef\xbb\xbf") {
        return Err(Error::syntax("malformed JSON: it starts with a byte order mark"));
    }
    let over = |position: usize, max: usize, what: &str| {
        Err(Error::syntax(format!("JSON has more than {max} {what} at byte {position}")))
    };
    let (mut depth, mut nodes, mut digits) = (0usize, 1usize, 0usize);
    let mut rest = bytes.iter().enumerate();
    while let Some((position, byte)) = rest.next() {
        match byte {
            b'0'..=b'9' => {
                digits += 1;
                if digits > limits.number_digits_max {
                    return over(position, limits.number_digits_max, "digits in a number");
                }
                continue;
            }
            b'.' | b'+' | b'-' | b'e' | b'E' => continue,
            b'"' => skip_string(&mut rest),
            b'[' | b'{' => (depth, nodes) = (depth + 1, nodes + 1),
            b']' | b'}' => depth = depth.saturating_sub(1),
            b',' => nodes += 1,
            _ => {}
        }
        digits = 0;
        if depth > limits.depth_max {
            return over(position, limits.depth_max, "levels of nesting");
        }
        if nodes > limits.nodes_max {
            return over(position, limits.nodes_max, "values");
        }
    }
    Ok(())
}

/// Goes on behind the quote that ends a string.
fn skip_string<'b>(rest: &mut impl Iterator<Item = (usize, &'b u8)>) {
    while let Some((_, byte)) = rest.next() {
        match byte {
            b'"' => return,
            b'\\' => drop(rest.next()),
            _ => {}
        }
    }
}

/// Keys in one object: a document has dozens, and each costs ten times its length in memory.
const KEYS_MAX: usize = 1_000;

/// Up to here comparing a key with the others costs less than a hash.
const KEYS_FEW: usize = 16;

/// The names of one object's members, whose values are `T`.
struct Distinct<'b, T> {
    members: Vec<(Cow<'b, str>, T)>,
    /// The names in lower case, once they are many.
    folded: HashSet<String>,
}

impl<'b, T> Distinct<'b, T> {
    fn new() -> Distinct<'b, T> {
        Distinct { members: vec![], folded: HashSet::new() }
    }

    /// Whether a name is there already in any letter case.
    fn is_new<E: serde::de::Error>(&mut self, name: &str) -> Result<bool, E> {
        if self.members.len() >= KEYS_MAX {
            return Err(E::custom(format_args!("an object has more than {KEYS_MAX} keys")));
        }
        let is_new = if self.members.len() < KEYS_FEW {
            !self.members.iter().any(|(own, _)| own.eq_ignore_ascii_case(name))
        } else {
            if self.folded.is_empty() {
                self.folded = self.members.iter().map(|(own, _)| own.to_ascii_lowercase()).collect();
            }
            self.folded.insert(name.to_ascii_lowercase())
        };
        Ok(is_new)
    }
}

fn twice<E: serde::de::Error>(name: &str) -> E {
    E::custom(format_args!("the key {name:?} is there twice"))
}

/// Refuses U+0000: PostgreSQL's text cannot hold it, so it may not differ between stores.
fn text<T: AsRef<str>, E: serde::de::Error>(text: T) -> Result<T, E> {
    if text.as_ref().contains('\0') { Err(E::custom("a string holds U+0000")) } else { Ok(text) }
}

/// Builds values as long as there is room for them: `{"a":1}` takes thirty times its length.
struct Strict<'l, T> {
    room: &'l Cell<usize>,
    limits: &'l Limits,
    built: PhantomData<T>,
}

impl<T> Clone for Strict<'_, T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Strict<'_, T> {}

impl<T> Strict<'_, T> {
    fn take<E: serde::de::Error>(self, bytes: usize) -> Result<(), E> {
        let max = self.limits.memory_bytes_max;
        let left = self.room.get().checked_sub(bytes);
        self.room.set(left.ok_or_else(|| E::custom(format_args!("its values take more than {max} bytes")))?);
        Ok(())
    }
}

impl<'de, T: Build<'de>> DeserializeSeed<'de> for Strict<'_, T> {
    type Value = T;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<T, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de, T: Build<'de>> Visitor<'de> for Strict<'_, T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<T, E> {
        Ok(T::null())
    }

    fn visit_bool<E>(self, value: bool) -> Result<T, E> {
        Ok(T::bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<T, E> {
        Ok(T::number(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<T, E> {
        Ok(T::number(value.into()))
    }

    fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<T, E> {
        Number::from_f64(value).map(T::number).ok_or_else(|| E::custom("a number is out of range"))
    }

    fn visit_borrowed_str<E: serde::de::Error>(self, value: &'de str) -> Result<T, E> {
        self.take(value.len())?;
        Ok(T::text(Cow::Borrowed(if self.limits.unstorable { value } else { text(value)? })))
    }

    fn visit_str<E: serde::de::Error>(self, value: &str) -> Result<T, E> {
        self.take(value.len())?;
        let value = if self.limits.unstorable { value } else { text(value)? };
        Ok(T::text(Cow::Owned(value.to_owned())))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<T, A::Error> {
        let mut array = Vec::new();
        while let Some(element) = elements.next_element_seed(self)? {
            self.take(size_of::<Value>())?;
            array.push(element);
        }
        Ok(T::array(array))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<T, A::Error> {
        let (mut object, mut others) = (Distinct::new(), vec![]);
        let may_repeat = |name: &str| self.limits.repeated.is_some_and(|own| own.eq_ignore_ascii_case(name));
        while let Some(name) = members.next_key_seed(Name)? {
            let is_new = object.is_new(&name)?;
            if !is_new && !may_repeat(&name) {
                return Err(twice(&name));
            }
            self.take(size_of::<(usize, String, Value)>() + name.len())?;
            let value = members.next_value_seed(self)?;
            if is_new { object.members.push((name, value)) } else { others.push(value) }
        }
        if !others.is_empty()
            && let Some((_, value)) = object.members.iter_mut().find(|(name, _)| may_repeat(name))
        {
            others.insert(0, std::mem::replace(value, T::null()));
            *value = T::array(others);
        }
        Ok(T::object(object.members))
    }
}

/// Reads the name of a member.
struct Name;

impl<'de> DeserializeSeed<'de> for Name {
    type Value = Cow<'de, str>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl<'de> Visitor<'de> for Name {
    type Value = Cow<'de, str>;

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("a name")
    }

    fn visit_borrowed_str<E: serde::de::Error>(self, name: &'de str) -> Result<Self::Value, E> {
        text(name).map(Cow::Borrowed)
    }

    fn visit_str<E: serde::de::Error>(self, name: &str) -> Result<Self::Value, E> {
        Ok(Cow::Owned(text::<_, E>(name)?.to_owned()))
    }
}

struct RawMembers;

impl<'de> Visitor<'de> for RawMembers {
    type Value = Vec<(Cow<'de, str>, &'de RawValue)>;

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Self::Value, A::Error> {
        let mut found = Distinct::new();
        while let Some(name) = members.next_key_seed(Name)? {
            if !found.is_new(&name)? {
                return Err(twice(&name));
            }
            found.members.push((name, members.next_value()?));
        }
        Ok(found.members)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Map;

    use super::*;

    /// The compact text of what was read, or the detail of the refusal.
    fn check(input: impl AsRef<[u8]>, expected: &str) {
        let got = match parse::<Value>(input.as_ref(), &Limits::default()) {
            Ok(value) => value.to_string(),
            Err(error) => error.detail,
        };
        assert_eq!(got, expected, "{}", String::from_utf8_lossy(input.as_ref()).get(..40).unwrap_or_default());
    }

    #[test]
    fn reads_json() {
        check("null", "null");
        check(
            " [1, -2, 1.5, 18446744073709551615, true, \"é\\u00e9\"] ",
            r#"[1,-2,1.5,18446744073709551615,true,"éé"]"#,
        );
        check(r#"{"b":{},"a":[]}"#, r#"{"b":{},"a":[]}"#);
        check(r#"{"a":{"x":1},"b":{"x":1}}"#, r#"{"a":{"x":1},"b":{"x":1}}"#);
        check(r#""\ud83d\ude00""#, "\"😀\"");
        check(r#""[[[[,,,,\"{{{{""#, r#""[[[[,,,,\"{{{{""#);
        check("1".repeat(40), "1.1111111111111112e+39");
        check("[".repeat(32) + &"]".repeat(32), &("[".repeat(32) + &"]".repeat(32)));
    }

    #[test]
    fn refuses_what_has_two_meanings() {
        check(r#"{"a":1,"a":2}"#, r#"malformed JSON: the key "a" is there twice at line 1 column 10"#);
        check(
            r#"{"userName":1,"USERNAME":2}"#,
            r#"malformed JSON: the key "USERNAME" is there twice at line 1 column 24"#,
        );
        check(r#"{"a":1,"\u0061":2}"#, r#"malformed JSON: the key "a" is there twice at line 1 column 15"#);
        check(r#"[{"x":{"k":1,"K":1}}]"#, r#"malformed JSON: the key "K" is there twice at line 1 column 16"#);
        check(r#""a\u0000""#, "malformed JSON: a string holds U+0000 at line 1 column 9");
        check(r#"{"a\u0000":1}"#, "malformed JSON: a string holds U+0000 at line 1 column 10");
        check(r#""\ud800""#, "malformed JSON: unexpected end of hex escape at line 1 column 8");
        check(r#""\udc00""#, "malformed JSON: lone leading surrogate in hex escape at line 1 column 7");
        check(b"\"\xff\"", "malformed JSON: invalid unicode code point at line 1 column 2");
        check(b"\xef\xbb\xbf{}", "malformed JSON: it starts with a byte order mark");
    }

    #[test]
    fn one_name_may_stand_several_times() {
        let limits = Limits { repeated: Some("active"), ..Limits::default() };
        let read = |input: &str| match parse::<Value>(input.as_bytes(), &limits) {
            Ok(value) => value.to_string(),
            Err(error) => error.detail,
        };
        assert_eq!(read(r#"{"active":true,"b":1,"ACTIVE":[0],"active":null}"#), r#"{"active":[true,[0],null],"b":1}"#);
        assert_eq!(read(r#"{"a":{"Active":1,"active":2}}"#), r#"{"a":{"Active":[1,2]}}"#);
        assert_eq!(
            read(r#"{"active":1,"b":1,"b":2}"#),
            r#"malformed JSON: the key "b" is there twice at line 1 column 21"#
        );
        // They lie beside each other, not in each other.
        let many = format!("{{{}}}", vec![r#""active":1"#; 10_000].join(","));
        assert_eq!(parse::<Value>(many.as_bytes(), &limits).unwrap()["active"].as_array().map(Vec::len), Some(10_000));
    }

    #[test]
    fn refuses_what_is_no_json() {
        check("", "malformed JSON: EOF while parsing a value at line 1 column 0");
        check("{} {}", "malformed JSON: trailing characters at line 1 column 4");
        check("NaN", "malformed JSON: expected value at line 1 column 1");
        check("[1,]", "malformed JSON: trailing comma at line 1 column 4");
        check("[1e400]", "malformed JSON: number out of range at line 1 column 6");
        check("01", "malformed JSON: invalid number at line 1 column 2");
        check(
            "\"a\nb\"",
            "malformed JSON: control character (\\u0000-\\u001F) found while parsing a string at line 2 column 0",
        );
        check("[\n\"a\"\n\"b\"]", "malformed JSON: expected `,` or `]` at line 3 column 1");
    }

    #[test]
    fn bounds_depth_values_and_digits() {
        check("[".repeat(33), "JSON has more than 32 levels of nesting at byte 32");
        check("{\"a\":".repeat(100_000), "JSON has more than 32 levels of nesting at byte 160");
        check("1".repeat(41), "JSON has more than 40 digits in a number at byte 40");
        check("1.".to_owned() + &"1".repeat(40), "JSON has more than 40 digits in a number at byte 41");
        check(",".repeat(1_000_000), "JSON has more than 1000000 values at byte 999999");
    }

    #[test]
    fn bounds_what_values_take() {
        let objects = |count: usize| format!("[{}0]", "{\"a\":1},".repeat(count));
        assert_eq!(
            parse::<Value>(objects(300_000).as_bytes(), &Limits::default()).map(|v| v.as_array().map(Vec::len)),
            Ok(Some(300_001))
        );
        check(objects(499_000), "malformed JSON: its values take more than 67108864 bytes at line 1 column 3033173");
        let small = |input: &str| {
            let limits = Limits { memory_bytes_max: 300, ..Limits::default() };
            parse::<Value>(input.as_bytes(), &limits).is_ok()
        };
        assert!(small("[1,2,3,4]") && !small("[1,2,3,4,5]"));
        assert!(small("{\"a\":1,\"b\":2}") && !small("{\"a\":1,\"b\":2,\"c\":3}"));
        assert!(small(&format!("\"{}\"", "x".repeat(300))) && !small(&format!("\"{}\"", "x".repeat(301))));
    }

    #[test]
    fn an_object_has_a_thousand_keys_at_most() {
        let members = |count: usize| (0..count).map(|i| format!("\"k{i}\":{i}")).collect::<Vec<_>>().join(",");
        let read = |count| parse::<Value>(format!("{{{}}}", members(count)).as_bytes(), &Limits::default());
        assert_eq!(read(1_000).map(|v| v.as_object().map(Map::len)), Ok(Some(1_000)));
        let refused = read(1_001).unwrap_err().detail;
        assert!(refused.starts_with("malformed JSON: an object has more than 1000 keys"), "{refused}");
    }

    #[test]
    fn splits_without_reading() {
        let body = br#"{"failOnErrors":1,"Operations":[{"a":1,"a":2}, 7]}"#;
        let members = raw_object(body, &Limits::default()).unwrap();
        assert_eq!(
            members.iter().map(|(k, v)| format!("{k}={v}")).collect::<Vec<_>>(),
            ["failOnErrors=1", r#"Operations=[{"a":1,"a":2}, 7]"#]
        );
        let elements = raw_array(members[1].1).unwrap();
        assert_eq!(elements.iter().map(|e| e.get()).collect::<Vec<_>>(), [r#"{"a":1,"a":2}"#, "7"]);
        let refused = |body: &str| raw_object(body.as_bytes(), &Limits::default()).unwrap_err().detail;
        assert_eq!(refused(r#"{"a":1,"A":2}"#), r#"malformed JSON: the key "A" is there twice at line 1 column 10"#);
        assert_eq!(refused("[]"), "malformed JSON: invalid type: sequence, expected an object at line 1 column 0");
        assert_eq!(refused("{} 1"), "malformed JSON: trailing characters at line 1 column 4");
        assert!(raw_array(members[0].1).is_err());
    }
}
