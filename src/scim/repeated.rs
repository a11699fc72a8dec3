//! Names that stand several times in an object: of what does not decide who has access, the last value counts, as for
//! most readers of JSON (RFC 8259 §4).

use serde_json::Value;

use super::leaving;
use super::schema::{Schema, registry};

/// Names that say what a request is about, or who has access: which of two values counts is anyone's guess.
const DECIDING: [&str; 9] =
    ["operations", "op", "method", "path", "data", "roles", "entitlements", "failonerrors", "bulkid"];

/// Parts that say whom or what the object around them is about.
const NAMING: [&str; 4] = ["id", "$ref", "value", "display"];

/// Whether an earlier value of a name may be forgotten for a later one: the name is an attribute's, a part's of one or
/// an extension's, and neither the value nor what lies in it decides who has access, or says that somebody leaves. Any
/// other name may be a part of how something is said that only the whole object tells: `{"name": "active", "value":
/// false}`, a mark of a member (`"_action": "delete"`), a state by its `code`.
pub fn may_forget(name: &str, earlier: &Value) -> bool {
    let is_harmless = match earlier {
        Value::Null => true,
        Value::Bool(_) | Value::Number(_) => false,
        Value::String(text) => !leaving::is_about(text) && !leaving::is_telling(text),
        Value::Array(_) | Value::Object(_) => true,
    };
    is_harmless
        && is_known(name)
        && !leaving::is_about(name)
        && leaving::found(name, earlier).is_none()
        && decides_nothing(name, earlier)
}

/// Whether any type has a schema, an attribute or a part of one of this name.
fn is_known(name: &str) -> bool {
    let is = |own: &str| own.eq_ignore_ascii_case(name);
    let has = |schema: &Schema| {
        is(&schema.id)
            || schema.attributes.iter().any(|one| is(&one.name) || one.sub_attributes.iter().any(|sub| is(&sub.name)))
    };
    let is_own = registry().types.iter().any(|one| one.schemas().any(has));
    is("schemas") || is_own && !NAMING.iter().any(|naming| is(naming))
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
            ("givenName", json!("Ada")),
            ("Type", json!("work")),
            ("schemas", json!(["urn:x"])),
            ("urn:ietf:params:scim:schemas:extension:enterprise:2.0:User", json!({"department": "x"})),
            ("emails", json!([{"type": "work", "value": "a@x.test"}])),
            ("urn:ietf:params:scim:schemas:extension:enterprise:2.0:User", json!({"manager": {"value": "x"}})),
            ("manager", json!({"value": "x"})),
            ("name", json!({"givenName": "Ada"})),
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
            ("name", json!("active")),
            ("displayName", json!("inactive")),
            ("id", json!("x")),
            ("$ref", json!("x")),
            ("code", json!("x")),
            ("_action", json!("delete")),
            ("type", json!(false)),
            ("type", json!("Inactive")),
            ("display", json!("x")),
            ("a", json!(1)),
            ("urn:ietf:params:scim:schemas:core:2.0:Group", json!({"members": []})),
            ("urn:ietf:params:scim:schemas:core:2.0:User", json!({"active": false})),
        ] {
            assert!(!may_forget(name, &value), "{name} {value}");
        }
    }
}
