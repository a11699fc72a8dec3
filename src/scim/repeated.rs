//! Names that stand several times in an object: of what does not decide who has access, the last value counts, as for
//! most readers of JSON (RFC 8259 §4).

use serde_json::Value;

use super::leaving;
use super::schema::registry;

/// Names that say what a request is about, or who has access: which of two values counts is anyone's guess.
const DECIDING: [&str; 11] = [
    "operations",
    "op",
    "method",
    "path",
    "data",
    "value",
    "version",
    "failonerrors",
    "roles",
    "entitlements",
    "bulkid",
];

/// Whether an earlier value of a name may be forgotten for a later one: neither it nor what lies in it decides who has
/// access, or says that somebody leaves.
pub fn may_forget(name: &str, earlier: &Value) -> bool {
    !leaving::is_about(name) && leaving::found(name, earlier).is_none() && decides_nothing(name, earlier)
}

fn decides_nothing(name: &str, value: &Value) -> bool {
    let within = match value {
        Value::Array(items) => items.iter().all(|item| decides_nothing("", item)),
        Value::Object(members) => members.iter().all(|(name, value)| decides_nothing(name, value)),
        _ => true,
    };
    within && !names_what_decides(name)
}

/// Whether any word of a name is that of what decides: `urn:…:Group:members`, `owners[value eq "…"]`.
fn names_what_decides(name: &str) -> bool {
    let mut words = name.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty());
    words.any(|word| {
        let is = |own: &str| word.eq_ignore_ascii_case(own) || word.eq_ignore_ascii_case(own.trim_end_matches('s'));
        DECIDING.iter().any(|own| is(own))
            || registry().types.iter().filter_map(|one| one.people()).any(|one| is(&one.name))
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_decides_is_not_forgotten() {
        for (name, value) in [
            ("title", json!("a")),
            ("displayName", json!({"a": [1, {"b": null}]})),
            ("schemas", json!(["urn:x"])),
            ("urn:ietf:params:scim:schemas:extension:enterprise:2.0:User", json!({"department": "x"})),
            ("emails", json!([{"type": "work"}])),
        ] {
            assert!(may_forget(name, &value), "{name} {value}");
        }
        for (name, value) in [
            ("active", json!(true)),
            ("Enabled", json!("x")),
            ("accountStatus", json!(null)),
            ("members", json!([])),
            ("urn:ietf:params:scim:schemas:core:2.0:Group:members", json!([])),
            ("owners[value eq \"x\"]", json!(1)),
            ("roles", json!([])),
            ("role", json!([])),
            ("path", json!("title")),
            ("Value", json!(1)),
            ("Operations", json!([])),
            ("x", json!({"a": {"active": false}})),
            ("x", json!([{"members": []}])),
            ("x", json!([{"name": "active", "value": false}])),
        ] {
            assert!(!may_forget(name, &value), "{name} {value}");
        }
    }
}
