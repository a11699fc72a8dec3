//! What a lenient dialect makes of a body before it reads it, so that no reader meets what no attribute can be.
//!
//! Nothing gets another meaning by it: an empty list in a list stays a value that is none, and a text that a filter compares
//! with keeps what cannot be kept, and is refused for it, unless it is an id.

use std::collections::HashSet;

use serde_json::{Map, Value};

use super::error::Error;
use super::tolerance::{Tolerance, Tolerances};

/// The member whose text is a name too: the path of an operation.
const PATH: &str = "path";

/// No value of SCIM is a list in a list (RFC 7643 §2.4): they are one list. What cannot be kept of a text (U+0000) stands
/// in no name, in no path, and in no id.
///
/// # Errors
/// 400 invalidSyntax where two names of one object are the same by that.
pub(super) fn plain(body: Value, tolerances: &mut Tolerances) -> Result<Value, Error> {
    if !tolerances.dialect().is_lenient() || is_plain(&body) {
        return Ok(body);
    }
    made_plain(body, tolerances)
}

fn is_plain(value: &Value) -> bool {
    match value {
        Value::Array(items) => items.iter().all(|item| !item.is_array() && is_plain(item)),
        Value::Object(members) => members.iter().all(|(name, member)| {
            let is_said = !name.contains('\0') && (!name.eq_ignore_ascii_case(PATH) || is_whole(member));
            is_said && is_plain(member)
        }),
        _ => true,
    }
}

/// Whether all of a path's text can be kept.
fn is_whole(path: &Value) -> bool {
    match path {
        Value::String(text) => !text.contains('\0'),
        Value::Array(items) => items.iter().all(is_whole),
        _ => true,
    }
}

fn made_plain(value: Value, tolerances: &mut Tolerances) -> Result<Value, Error> {
    match value {
        Value::Array(items) => {
            let mut flat = Vec::with_capacity(items.len());
            for item in items {
                match made_plain(item, tolerances)? {
                    Value::Array(inner) => {
                        tolerances.allow(Tolerance::ListOfOne);
                        // A value that is none is not no value: of several, `active` would be what the others say.
                        if inner.is_empty() { flat.push(Value::Null) } else { flat.extend(inner) }
                    }
                    one => flat.push(one),
                }
            }
            Ok(Value::Array(flat))
        }
        Value::Object(members) => object(members, tolerances).map(Value::Object),
        other => Ok(other),
    }
}

fn object(members: Map<String, Value>, tolerances: &mut Tolerances) -> Result<Map<String, Value>, Error> {
    let mut found: Map<String, Value> = Map::with_capacity(members.len());
    let (mended, mut seen) = (members.keys().any(|name| name.contains('\0')), HashSet::new());
    for (name, member) in members {
        let name = kept(name, tolerances);
        if mended && !seen.insert(name.to_ascii_lowercase()) {
            return Err(Error::syntax("two names of one object are the same without what cannot be kept of them"));
        }
        let member = made_plain(member, tolerances)?;
        let member = if name.eq_ignore_ascii_case(PATH) { whole(member, tolerances) } else { member };
        found.insert(name, member);
    }
    Ok(found)
}

fn whole(path: Value, tolerances: &mut Tolerances) -> Value {
    match path {
        Value::String(path) => Value::String(whole_path(&path, tolerances)),
        Value::Array(items) => items.into_iter().map(|item| whole(item, tolerances)).collect(),
        other => other,
    }
}

/// A path without what cannot be kept of its names and of ids. The rest of a filter stays: another one would choose others.
fn whole_path(path: &str, tolerances: &mut Tolerances) -> String {
    let (mut in_filter, mut found) = (false, Vec::new());
    for (n, part) in path.split('"').enumerate() {
        // Between quotes stands what elements are compared with.
        if n % 2 == 1 {
            let is_id = is_uuid(&part.replace('\0', ""));
            found.push(if is_id { kept(part.to_owned(), tolerances) } else { part.to_owned() });
            continue;
        }
        let mut text = String::with_capacity(part.len());
        for letter in part.chars() {
            in_filter = letter == '[' || in_filter && letter != ']';
            if letter != '\0' || in_filter {
                text.push(letter);
            } else {
                tolerances.allow(Tolerance::OverLimit);
            }
        }
        found.push(text);
    }
    found.join("\"")
}

/// Whether a text has the form of the ids here.
pub(super) fn is_uuid(text: &str) -> bool {
    let is_dash = |place: usize| [8, 13, 18, 23].contains(&place);
    text.len() == 36
        && text.bytes().enumerate().all(|(n, c)| if is_dash(n) { c == b'-' } else { c.is_ascii_hexdigit() })
}

/// What can be kept of a text.
fn kept(text: String, tolerances: &mut Tolerances) -> String {
    match text.contains('\0') {
        true => {
            tolerances.allow(Tolerance::OverLimit);
            text.replace('\0', "")
        }
        false => text,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::scim::tolerance::Dialect;

    fn check(body: Value, expected: Value, header: &str) {
        let mut tolerances = Tolerances::new(Dialect::Auto);
        let got = plain(body, &mut tolerances).unwrap_or_else(|error| error.detail.into());
        assert_eq!((got, &*tolerances.header()), (expected, header));
    }

    #[test]
    fn lists_in_a_list_are_one() {
        check(json!({"a": [1, {"b": [2]}]}), json!({"a": [1, {"b": [2]}]}), "");
        check(json!([[[{"active": [[false]]}]], [1, [2]]]), json!([{"active": [false]}, 1, 2]), "auto-004");
        check(
            json!({"members": [[]], "active": [true, []]}),
            json!({"members": [null], "active": [true, null]}),
            "auto-004",
        );
        let strict = plain(json!([[1]]), &mut Tolerances::new(Dialect::Rfc)).unwrap();
        assert_eq!(strict, json!([[1]]));
    }

    #[test]
    fn what_cannot_be_kept_stands_in_no_name_and_no_path() {
        check(
            json!({"path": ["mem\0bers[value eq \"01939e7a-5b1c-7def-8abc-0123456789ab\0\"]"], "Value": "a\0"}),
            json!({"path": ["members[value eq \"01939e7a-5b1c-7def-8abc-0123456789ab\"]"], "Value": "a\0"}),
            "auto-008",
        );
        // A smaller text would be found in more, or in others.
        check(
            json!({"path": "members[value sw \"\0\"].dis\0play"}),
            json!({"path": "members[value sw \"\0\"].display"}),
            "auto-008",
        );
        check(json!({"path": "members[value p\0r]"}), json!({"path": "members[value p\0r]"}), "");
        check(json!([{"Path": "\0"}, {"a\0": {"\0b": 1}}]), json!([{"Path": ""}, {"a": {"b": 1}}]), "auto-008");
        let twice = "two names of one object are the same without what cannot be kept of them";
        check(json!({"a": 1, "\0A": 2}), json!(twice), "auto-008");
    }

    #[test]
    fn many_names_cost_no_more_than_their_number() {
        let mut members = Map::new();
        members.extend((0..20_000).map(|n| (format!("name{n}\0"), json!(n))));
        let mut tolerances = Tolerances::new(Dialect::Auto);
        let found = plain(Value::Object(members), &mut tolerances).unwrap();
        assert_eq!(found.as_object().map(Map::len), Some(20_000));
    }
}
