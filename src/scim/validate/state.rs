//! The final state of a document: what must be there, what must be single, what must not have changed.

use serde_json::{Map, Value};

use super::order::ordered;
use crate::scim::attribute::{Attribute, Kind, Mutability};
use crate::scim::error::Error;
use crate::scim::schema::ResourceType;
use crate::scim::text;

/// Checks what every stored document keeps to: required attributes and sub-attributes have values, and of
/// each multi-valued attribute at most one value is primary.
pub fn complete(document: &Map<String, Value>, resource_type: &'static ResourceType) -> Result<(), Error> {
    each(document, resource_type, |prefix, attribute, value| {
        let at = format!("{prefix}{}", attribute.name);
        let Some(value) = value else {
            return if attribute.required { Err(Error::value(format!("{at}: is required"))) } else { Ok(()) };
        };
        match value {
            Value::Array(elements) => {
                for (index, element) in elements.iter().enumerate() {
                    if let Some(sub) = missing(attribute, element) {
                        return Err(Error::value(format!("{at}[{index}].{sub}: is required")));
                    }
                }
            }
            value => {
                if let Some(sub) = missing(attribute, value) {
                    return Err(Error::value(format!("{at}.{sub}: is required")));
                }
            }
        }
        one_primary(value, &at)
    })
}

/// Holds a replacement against what was there: an immutable attribute that had a value keeps it
/// (RFC 7644 §3.5.1), and one that cannot be read is not lost because the client leaves it out.
///
/// Elements of multi-valued attributes come and go whole, so their sub-attributes are not compared.
pub fn immutable(
    before: &Map<String, Value>,
    after: &mut Map<String, Value>,
    resource_type: &'static ResourceType,
) -> Result<(), Error> {
    keep(before, after, &resource_type.schema.attributes, "")?;
    for extension in &resource_type.extensions {
        let Some(Value::Object(old)) = before.get(&extension.id) else { continue };
        let had = after.contains_key(&extension.id);
        let container = after.entry(extension.id.as_str()).or_insert_with(|| Map::new().into());
        if let Value::Object(new) = container {
            keep(old, new, &extension.attributes, &format!("{}:", extension.id))?;
            if new.is_empty() && !had {
                after.remove(&extension.id);
            }
        }
    }
    *after = ordered(std::mem::take(after), resource_type);
    Ok(())
}

fn keep(
    before: &Map<String, Value>,
    after: &mut Map<String, Value>,
    attributes: &[Attribute],
    prefix: &str,
) -> Result<(), Error> {
    for attribute in attributes {
        let Some(old) = before.get(&attribute.name) else { continue };
        let at = format!("{prefix}{}", attribute.name);
        match (attribute.mutability, after.get_mut(&attribute.name)) {
            (Mutability::Immutable | Mutability::WriteOnly, None) => {
                after.insert(attribute.name.clone(), old.clone());
            }
            (Mutability::Immutable, Some(new)) if !same(attribute, old, new) => {
                return Err(Error::mutability(format!("{at}: is immutable and has another value")));
            }
            (_, Some(Value::Object(new))) => {
                if let Value::Object(old) = old {
                    keep(old, new, &attribute.sub_attributes, &format!("{at}."))?;
                }
            }
            _ => {}
        }
    }
    Ok(())
}

/// Whether two values are the same to their attribute: letter case and time zones may differ.
fn same(attribute: &Attribute, old: &Value, new: &Value) -> bool {
    match (old, new) {
        (Value::String(old), Value::String(new)) if attribute.kind == Kind::DateTime => {
            text::parse_time(old) == text::parse_time(new)
        }
        (Value::String(old), Value::String(new)) => {
            text::key(old, attribute.case_exact) == text::key(new, attribute.case_exact)
        }
        (Value::Array(old), Value::Array(new)) => {
            old.len() == new.len() && old.iter().zip(new).all(|(old, new)| same(attribute, old, new))
        }
        (Value::Object(old), Value::Object(new)) => {
            let pair = |sub: &Attribute| (old.get(&sub.name), new.get(&sub.name));
            attribute.sub_attributes.iter().all(|sub| match pair(sub) {
                (Some(old), Some(new)) => same(sub, old, new),
                (old, new) => old == new || sub.is_made(),
            })
        }
        _ => old == new,
    }
}

/// Calls `check` for every attribute of the type, with its URN prefix and its value. The attributes of an
/// extension that has no values are left out: none of them is missing.
fn each(
    document: &Map<String, Value>,
    resource_type: &'static ResourceType,
    check: impl Fn(&str, &Attribute, Option<&Value>) -> Result<(), Error>,
) -> Result<(), Error> {
    for attribute in &resource_type.schema.attributes {
        check("", attribute, document.get(&attribute.name))?;
    }
    for extension in &resource_type.extensions {
        let Some(Value::Object(container)) = document.get(&extension.id) else { continue };
        let prefix = format!("{}:", extension.id);
        for attribute in &extension.attributes {
            check(&prefix, attribute, container.get(&attribute.name))?;
        }
    }
    Ok(())
}

/// The first required sub-attribute without a value.
fn missing<'a>(attribute: &'a Attribute, value: &Value) -> Option<&'a str> {
    let lacks = |sub: &&Attribute| sub.required && value.get(&sub.name).is_none();
    attribute.sub_attributes.iter().find(lacks).map(|sub| sub.name.as_str())
}

/// Only the part about `primary` (RFC 7643 §2.4).
pub(super) fn one_primary(value: &Value, at: &str) -> Result<(), Error> {
    let is_primary = |e: &&Value| e.get("primary") == Some(&Value::Bool(true));
    match value.as_array().map_or(0, |elements| elements.iter().filter(is_primary).count()) {
        0 | 1 => Ok(()),
        count => Err(Error::value(format!("{at}: {count} values are primary, at most one may be"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scim::schema::{Schema, registry};
    use serde_json::json;

    /// Whether a final document of a type is complete: `ok`, or the detail.
    fn check(name: &str, document: Value, expected: &str) {
        let result = complete(document.as_object().unwrap(), registry().by_name(name).unwrap());
        assert_eq!(result.map_or_else(|e| e.detail, |()| "ok".into()), expected);
    }

    #[test]
    fn required_values_are_there() {
        check("User", json!({"userName": "a"}), "ok");
        check("User", json!({"title": "a"}), "userName: is required");
        check("Group", json!({}), "displayName: is required");
        check("Group", json!({"displayName": "g", "members": [{"value": "1"}]}), "ok");
        check("Group", json!({"displayName": "g", "members": [{"value": "1"}, {}]}), "members[1].value: is required");
        check("Agent", json!({"displayName": "g"}), "name: is required");
        check("Agent", json!({"name": "a", "owners": [{"type": "User"}]}), "owners[0].value: is required");
        let two = json!([{"primary": true}, {"primary": false}, {"primary": true}]);
        check("User", json!({"userName": "a", "ims": two}), "ims: 2 values are primary, at most one may be");
    }

    /// A type with an attribute of each kind that PUT must not lose.
    fn made_up() -> &'static ResourceType {
        let schema = |id: &str| -> &'static Schema {
            Box::leak(Box::new(
                serde_json::from_value(json!({"id": id, "name": "T", "attributes": [
                    {"name": "once", "mutability": "immutable"},
                    {"name": "exact", "mutability": "immutable", "caseExact": true},
                    {"name": "at", "type": "dateTime", "mutability": "immutable"},
                    {"name": "secret", "mutability": "writeOnly"},
                    {"name": "free"},
                    {"name": "part", "type": "complex", "subAttributes": [
                        {"name": "once", "mutability": "immutable"}, {"name": "free"}]},
                    {"name": "whole", "type": "complex", "multiValued": true, "mutability": "immutable",
                     "subAttributes": [{"name": "value"}, {"name": "display", "mutability": "readOnly"}]}
                ]}))
                .unwrap(),
            ))
        };
        Box::leak(Box::new(ResourceType {
            name: "T".into(),
            endpoint: "/Ts".into(),
            schema: schema("urn:t"),
            extensions: vec![schema("urn:e")],
            indexed: vec![],
            principal: false,
            principal_kind: None,
            rows: None,
            naming: None,
            display: vec![],
            sponsors: None,
        }))
    }

    /// What a replacement becomes, without `schemas`, or the detail.
    fn replaced(before: Value, after: Value, expected: &str) {
        let mut after = after.as_object().unwrap().clone();
        let got = match immutable(before.as_object().unwrap(), &mut after, made_up()) {
            Ok(()) => {
                after.shift_remove("schemas");
                Value::Object(after).to_string()
            }
            Err(error) => error.detail,
        };
        assert_eq!(got, expected);
    }

    #[test]
    fn immutable_values_stay() {
        replaced(json!({}), json!({"once": "a"}), r#"{"once":"a"}"#);
        replaced(json!({"once": "a"}), json!({"once": "A"}), r#"{"once":"A"}"#);
        replaced(json!({"once": "a"}), json!({"once": "b"}), "once: is immutable and has another value");
        replaced(json!({"exact": "a"}), json!({"exact": "A"}), "exact: is immutable and has another value");
        replaced(json!({"once": "a"}), json!({}), r#"{"once":"a"}"#);
        replaced(json!({"free": "a"}), json!({}), "{}");
        replaced(json!({"secret": "a"}), json!({"free": "b"}), r#"{"secret":"a","free":"b"}"#);
        replaced(json!({"secret": "a"}), json!({"secret": "b"}), r#"{"secret":"b"}"#);
        let at = |text: &str| json!({"at": text});
        replaced(at("2026-01-01T01:00:00Z"), at("2026-01-01T02:00:00+01:00"), r#"{"at":"2026-01-01T02:00:00+01:00"}"#);
        replaced(at("2026-01-01T01:00:00Z"), at("2026-01-01T02:00:00Z"), "at: is immutable and has another value");
        let part = |once: &str| json!({"part": {"once": once}});
        replaced(part("a"), part("b"), "part.once: is immutable and has another value");
        replaced(part("a"), json!({"part": {"free": "x"}}), r#"{"part":{"free":"x","once":"a"}}"#);
        replaced(part("a"), json!({}), "{}");
        let whole = |value: &str| json!({"whole": [{"value": value}]});
        let shown = json!({"whole": [{"value": "A", "display": "x"}]});
        replaced(shown, whole("a"), r#"{"whole":[{"value":"a"}]}"#);
        replaced(whole("a"), whole("b"), "whole: is immutable and has another value");
        let e = |v: Value| json!({"urn:e": v});
        replaced(e(json!({"once": "a"})), e(json!({"once": "b"})), "urn:e:once: is immutable and has another value");
        replaced(e(json!({"secret": "a"})), json!({}), r#"{"urn:e":{"secret":"a"}}"#);
        replaced(e(json!({"free": "a"})), json!({}), "{}");
    }
}
