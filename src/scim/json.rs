//! Strict JSON: what is read has one meaning only, and costs no more than its length.
//!
//! `serde_json` keeps the last of two equal keys, so that a check and the code behind it may see different
//! values. Attribute names do not depend on letter case (RFC 7643 §2.1): `userName` beside `username` is
//! the same trap. Both are refused. A scan of the bytes bounds depth and size before anything is built.

mod limits;
mod mended;
mod read;
mod strict;
mod tree;

use std::borrow::Cow;
use std::cell::Cell;

use serde::de::{DeserializeSeed, Deserializer};
use serde_json::value::RawValue;

pub use self::limits::Limits;
use self::limits::scan;
pub use self::mended::mended;
pub use self::read::ReadError;
use self::strict::{RawMembers, Strict};
pub use self::tree::{Build, Members, Tree};
use super::error::Error;

/// Reads one JSON text.
pub fn parse<'b, T: Build<'b>>(bytes: &'b [u8], limits: &Limits) -> Result<T, Error> {
    scan(bytes, limits)?;
    let mut deserializer = serde_json::Deserializer::from_slice(bytes);
    let room = Cell::new(limits.memory_bytes_max);
    let value = Strict::new(&room, limits).deserialize(&mut deserializer).map_err(malformed)?;
    deserializer.end().map_err(malformed)?;
    Ok(value)
}

/// The members of an object, each still as text: [`parse`] reads them one by one.
pub fn raw_object<'b>(bytes: &'b [u8], limits: &Limits) -> Result<Vec<(Cow<'b, str>, &'b RawValue)>, Error> {
    scan(bytes, limits)?;
    let mut deserializer = serde_json::Deserializer::from_slice(bytes);
    let members = deserializer.deserialize_map(RawMembers { unstorable: limits.unstorable }).map_err(malformed)?;
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

#[cfg(test)]
mod tests {
    use serde_json::{Map, Value};

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
