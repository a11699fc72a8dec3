//! One attribute's value: its type is checked, its names are canonical, and what means "no value" is gone.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use serde_json::{Map, Value};

use crate::scim::attribute::{Attribute, Kind};
use crate::scim::error::Error;
use crate::scim::members;
use crate::scim::schema::registry;
use crate::scim::text;
use crate::scim::tolerance::{Tolerance, Tolerances};
use crate::scim::unknown;

use super::order::in_order;
use super::simple::{mismatch, simple};
use super::truth::truth;

/// The most elements of a multi-valued attribute.
pub const ELEMENTS_MAX: usize = 10_000;
/// The most elements of the attribute whose values are rows: `members` of one request.
pub const ROWS_MAX: usize = 100_000;

/// Checks the whole value of an attribute. `None` means unassigned: `null`, `[]`, `{}` (RFC 7643 §2.5).
/// `at` is its path, for the error's detail.
pub fn value(
    attribute: &Attribute,
    value: Value,
    at: &str,
    tolerances: &mut Tolerances,
) -> Result<Option<Value>, Error> {
    if !attribute.multi_valued {
        return single(attribute, value, at, tolerances);
    }
    let elements = match value {
        Value::Array(elements) => elements,
        Value::Null => return Ok(None),
        Value::String(s) if s.is_empty() && tolerances.allow(Tolerance::EmptyText) => return Ok(None),
        other => vec![other],
    };
    let max = elements_max(attribute);
    if elements.len() > max {
        return Err(Error::value(format!("{at}: has {} values, at most {max} are accepted", elements.len())));
    }
    if registry().types.iter().any(|one| one.names_people(attribute)) {
        if tolerances.dialect().is_lenient() {
            return people(attribute, elements, at, tolerances);
        }
        let mut elements = elements.iter().enumerate();
        elements.try_for_each(|(index, item)| members::check_parts(attribute, at, index, item, tolerances))?;
    }
    let mut kept = Vec::with_capacity(elements.len());
    for (index, item) in elements.into_iter().enumerate() {
        let at = format!("{at}[{index}]");
        match element(attribute, item, &at, tolerances)? {
            Some(item) => kept.push(item),
            // Dropping an element that names nobody would take the others for the whole list.
            None => {
                if let Some(sub) = attribute.sub_attributes.iter().find(|sub| sub.required) {
                    return Err(Error::value(format!("{at}.{}: is required", sub.name)));
                }
            }
        }
    }
    let kept = distinct(attribute, kept);
    Ok(if kept.is_empty() { None } else { Some(Value::Array(kept)) })
}

/// Checks one element of a multi-valued attribute; `None` means that nothing is left of it.
pub fn element(
    attribute: &Attribute,
    value: Value,
    at: &str,
    tolerances: &mut Tolerances,
) -> Result<Option<Value>, Error> {
    match &value {
        Value::Array(_) => Err(mismatch(attribute, &value, at)),
        _ => single(attribute, value, at, tolerances),
    }
}

/// The most elements that one request may give an attribute.
pub fn elements_max(attribute: &Attribute) -> usize {
    if is_rows(attribute) { ROWS_MAX } else { ELEMENTS_MAX }
}

fn is_rows(attribute: &Attribute) -> bool {
    registry().types.iter().any(|t| t.rows.is_some_and(|rows| std::ptr::eq(rows, attribute)))
}

/// Members and owners as the lenient dialects take them: whoever is named. The rest of a member is the server's to say.
fn people(
    attribute: &Attribute,
    elements: Vec<Value>,
    at: &str,
    tolerances: &mut Tolerances,
) -> Result<Option<Value>, Error> {
    let is_member = is_rows(attribute);
    let kept =
        members::named((attribute, at, members::For::Staying), elements, tolerances, |index, item, tolerances| {
            members::check_parts(attribute, at, index, &item, tolerances)?;
            let id = members::id(at, index, &item, tolerances)?.to_owned();
            let mut parts = match item {
                Value::Object(parts) if !is_member => parts,
                _ => Map::new(),
            };
            parts.retain(|name, _| !name.eq_ignore_ascii_case("value"));
            parts.insert("value".to_owned(), id.into());
            let known = |parts: &(String, Value)| attribute.sub(&parts.0).is_some();
            let parts = parts.into_iter().filter(known).collect();
            Ok(object(attribute, parts, &format!("{at}[{index}]"), tolerances)?.unwrap_or_default())
        })?;
    let kept = if is_member { kept } else { distinct(attribute, kept) };
    Ok(if kept.is_empty() { None } else { Some(Value::Array(kept)) })
}

fn single(attribute: &Attribute, value: Value, at: &str, tolerances: &mut Tolerances) -> Result<Option<Value>, Error> {
    match value {
        Value::Null => Ok(None),
        Value::Array(elements) if elements.is_empty() => Ok(None),
        // RFC 7643 §2.5 lists null and the empty array; "" is what Entra and Okta send for the same.
        Value::String(s) if s.is_empty() && !attribute.required && tolerances.allow(Tolerance::EmptyText) => Ok(None),
        value if attribute.is_complex() => complex(attribute, value, at, tolerances),
        value if attribute.kind == Kind::Boolean => Ok(truth(attribute, &value, at, tolerances)?.map(Value::Bool)),
        Value::Array(mut list) if is_one_scalar(&list) && tolerances.allow(Tolerance::ListOfOne) => {
            single(attribute, list.pop().unwrap_or_default(), at, tolerances)
        }
        value => simple(attribute, value, at, tolerances).map(Some),
    }
}

/// Some clients wrap every value in a list.
fn is_one_scalar(list: &[Value]) -> bool {
    is_one(list) && !list.iter().any(Value::is_object)
}

/// The same of an object.
pub fn is_one(list: &[Value]) -> bool {
    matches!(list, [one] if !one.is_array())
}

fn complex(attribute: &Attribute, value: Value, at: &str, tolerances: &mut Tolerances) -> Result<Option<Value>, Error> {
    match value {
        Value::Object(members) => object(attribute, members, at, tolerances),
        // Entra sends manager as an id, and as a list of one (entra-006).
        Value::String(s) if attribute.sub("value").is_some() && tolerances.allow(Tolerance::ComplexBare) => {
            let name = attribute.sub("value").map(|sub| sub.name.clone()).unwrap_or_default();
            object(attribute, Map::from_iter([(name, Value::String(s))]), at, tolerances)
        }
        Value::Array(mut list) if list.len() == 1 && tolerances.allow(Tolerance::ComplexBare) => {
            match list.pop().unwrap_or_default() {
                inner @ Value::Array(_) => Err(mismatch(attribute, &inner, at)),
                inner => single(attribute, inner, at, tolerances),
            }
        }
        other => Err(mismatch(attribute, &other, at)),
    }
}

fn object(
    attribute: &Attribute,
    members: Map<String, Value>,
    at: &str,
    tolerances: &mut Tolerances,
) -> Result<Option<Value>, Error> {
    let (mut found, mut is_emptied) = (Map::new(), false);
    for (name, member) in members {
        let Some(sub) = attribute.sub(&name) else {
            unknown::part(at, &name, &member, tolerances)?;
            continue;
        };
        // RFC 7644 §3.3, §3.5.1: read-only values are ignored.
        if sub.is_made() {
            continue;
        }
        match self::value(sub, member, &format!("{at}.{}", sub.name), tolerances)? {
            Some(member) => drop(found.insert(sub.name.clone(), member)),
            None => is_emptied |= !is_label(&sub.name),
        }
    }
    if attribute.multi_valued && is_emptied && is_labels(&found) {
        return Ok(None);
    }
    let ordered = in_order(found, &attribute.sub_attributes);
    Ok(if ordered.is_empty() { None } else { Some(Value::Object(ordered)) })
}

/// Whether nothing but labels is left of an element. Of one that was said to have no value they say nothing: an e-mail
/// without its address is none, by whatever way its address is taken away.
pub fn is_labels(element: &Map<String, Value>) -> bool {
    element.keys().all(|name| is_label(name))
}

/// Whether a sub-attribute says which element it is, and not what (RFC 7643 §2.4).
pub fn is_label(name: &str) -> bool {
    name == "type" || name == "primary"
}

/// Keeps the first of elements that have the same type and value (RFC 7643 §2.4); `primary` is not lost with
/// the others.
fn distinct(attribute: &Attribute, elements: Vec<Value>) -> Vec<Value> {
    let mut places = HashMap::with_capacity(elements.len());
    let mut kept: Vec<Value> = Vec::with_capacity(elements.len());
    for item in elements {
        match places.entry(identity(attribute, &item)) {
            Entry::Vacant(place) => {
                place.insert(kept.len());
                kept.push(item);
            }
            Entry::Occupied(place) => {
                let first = kept.get_mut(*place.get()).and_then(Value::as_object_mut);
                if let (Some(first), Some(Value::Bool(true))) = (first, item.get("primary")) {
                    first.insert("primary".into(), true.into());
                }
            }
        }
    }
    kept
}

/// What makes two elements the same: value and type, or everything where there is no `value`.
fn identity(attribute: &Attribute, element: &Value) -> String {
    let part = |name: &str| {
        let sub = attribute.sub(name)?;
        Some(text::key(element.get(&sub.name)?.as_str()?, sub.case_exact).into_owned())
    };
    match (element, part("value")) {
        (Value::String(s), _) => text::key(s, attribute.case_exact).into_owned(),
        (_, Some(value)) => format!("{value}\0{}", part("type").unwrap_or_default()),
        _ => element.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scim::tolerance::Dialect;

    use super::super::simple::tests::check;
    use Dialect::{Auto, Entra, Rfc, Strict};

    #[test]
    fn unassigns() {
        check(Rfc, "title", "null", "-");
        check(Rfc, "title", "[]", "-");
        check(Rfc, "name", "{}", "-");
        check(Rfc, "emails", "[]", "-");
        check(Rfc, "emails", "null", "-");
        check(Rfc, "emails", "[null,{}]", "-");
        check(Rfc, "title", r#""""#, r#""""#);
        check(Auto, "title", r#""""#, "- | entra-007");
        check(Auto, "active", r#""""#, "- | entra-007");
        check(Rfc, "active", r#""""#, "active: expected a boolean, got a string");
        check(Auto, "emails", r#""""#, "- | entra-007");
        check(Auto, "emails", r#"[{"type":"work","value":"","primary":true}]"#, "- | entra-007");
        check(Rfc, "emails", r#"[{"type":"work","value":null},{"type":"home"}]"#, r#"[{"type":"home"}]"#);
        check(
            Auto,
            "emails",
            r#"[{"type":"work","value":"","display":"x"}]"#,
            r#"[{"display":"x","type":"work"}] | entra-007"#,
        );
        check(Rfc, "emails", r#"[{"type":"work","primary":null}]"#, r#"[{"type":"work"}]"#);
        check(Auto, "userName", r#""""#, "userName: must not be empty");
        check(Auto, "userName", r#"" ""#, "userName: must not be empty");
        check(Rfc, "name", r#"{"givenName":null}"#, "-");
    }

    #[test]
    fn checks_complex_values() {
        check(Rfc, "name", r#"{"GIVENNAME":"Ada","familyName":"L"}"#, r#"{"familyName":"L","givenName":"Ada"}"#);
        check(Rfc, "name", r#"{"nick":"A","givenName":"Ada"}"#, r#"{"givenName":"Ada"} | auto-001"#);
        check(Strict, "name", r#"{"nick":"A"}"#, "name.nick: no such attribute");
        check(Rfc, "name", r#"{"givenName":1}"#, "name.givenName: expected a string, got a number");
        check(Auto, "name", r#""Ada""#, "name: expected an object, got a string");
        check(Rfc, "manager", r#"{"value":"26","displayName":"Boss"}"#, r#"{"value":"26"}"#);
        check(Rfc, "manager", r#"{"displayName":"Boss"}"#, "-");
        check(Rfc, "manager", r#""26""#, "manager: expected an object, got a string");
        check(Entra, "manager", r#""26""#, r#"{"value":"26"} | entra-006"#);
        check(Entra, "manager", r#"[{"value":"26"}]"#, r#"{"value":"26"} | entra-006"#);
        check(Entra, "manager", r#"["26"]"#, r#"{"value":"26"} | entra-006"#);
        check(Entra, "manager", r#"[["26"]]"#, "manager: expected an object, got an array | entra-006");
        check(Entra, "manager", r#"["26","27"]"#, "manager: expected an object, got an array");
        check(Entra, "manager", r#""""#, "- | entra-007");
        check(Entra, "manager", r#"{"value":"26","$ref":null}"#, r#"{"value":"26"}"#);
    }

    #[test]
    fn checks_multi_valued() {
        check(Rfc, "emails", r#"{"value":"a@b"}"#, r#"[{"value":"a@b"}]"#);
        check(Rfc, "emails", r#"["a@b"]"#, "emails[0]: expected an object, got a string");
        check(Auto, "emails", r#"["a@b"]"#, r#"[{"value":"a@b"}] | entra-006"#);
        check(Auto, "emails", r#""a@b""#, r#"[{"value":"a@b"}] | entra-006"#);
        check(Rfc, "emails", "[[]]", "emails[0]: expected an object, got an array");
        check(Rfc, "emails", r#"[{},{"primary":"x"}]"#, "emails[1].primary: expected a boolean, got a string");
        check(Rfc, "emails", r#"[{"type":"shed","value":"a"}]"#, r#"[{"value":"a","type":"shed"}]"#);
        check(Rfc, "emails", r#"[{"value":"a"},{"value":"A"}]"#, r#"[{"value":"a"}]"#);
        check(
            Rfc,
            "emails",
            r#"[{"value":"a"},{"value":"a","type":"x"}]"#,
            r#"[{"value":"a"},{"value":"a","type":"x"}]"#,
        );
        check(Rfc, "emails", r#"[{"value":"a"},{"value":"a","primary":true}]"#, r#"[{"value":"a","primary":true}]"#);
        check(Rfc, "addresses", r#"[{"region":"x"},{"region":"x"}]"#, r#"[{"region":"x"}]"#);
        let many = format!("[{}]", vec!["{}"; 10_001].join(","));
        check(Rfc, "emails", &many, "emails: has 10001 values, at most 10000 are accepted");
    }

    #[test]
    fn rows_may_be_more() {
        let members = registry().by_name("Group").and_then(|t| t.rows).unwrap();
        assert_eq!((elements_max(members), elements_max(&members.clone())), (ROWS_MAX, ELEMENTS_MAX));
    }
}
