//! The limit of one text: a value over it is dropped and named, or refused with the limit.

use serde_json::{Map, Value};

use crate::scim::attribute::Attribute;
use crate::scim::error::Error;
use crate::scim::tolerance::{Tolerance, Tolerances};

/// A value without its texts that are over the limit; `None` if nothing of it is left, which is as if it had
/// not been sent. `at` is the path of the attribute.
///
/// # Errors
/// `invalidValue` with the limit, where the dialect drops nothing and where a value is required.
pub fn within_limit(
    attribute: &Attribute,
    value: Value,
    at: &str,
    tolerances: &mut Tolerances,
) -> Result<Option<Value>, Error> {
    if fits(&value, tolerances.text_bytes_max()) { Ok(Some(value)) } else { cut(attribute, value, at, tolerances) }
}

/// Whether no text in a value is longer than this, and every one can be kept.
pub fn fits(value: &Value, max: usize) -> bool {
    match value {
        Value::String(text) => flaw(text, max).is_none(),
        Value::Array(items) => items.iter().all(|item| fits(item, max)),
        Value::Object(members) => members.values().all(|member| fits(member, max)),
        _ => true,
    }
}

/// What is wrong with a text.
fn flaw(text: &str, max: usize) -> Option<String> {
    if text.len() > max {
        return Some(format!("has {} bytes, at most {max} are accepted", text.len()));
    }
    text.contains('\0').then(|| "holds U+0000, half a character, or bytes that are no UTF-8".to_owned())
}

fn cut(attribute: &Attribute, value: Value, at: &str, tolerances: &mut Tolerances) -> Result<Option<Value>, Error> {
    match value {
        Value::String(text) => match flaw(&text, tolerances.text_bytes_max()) {
            Some(flaw) => over(&flaw, at, attribute.required, tolerances).map(|()| None),
            None => Ok(Some(Value::String(text))),
        },
        Value::Array(items) => {
            let mut kept = Vec::with_capacity(items.len());
            let said_something = !items.is_empty();
            for item in items {
                kept.extend(cut(attribute, item, at, tolerances)?);
            }
            Ok((!kept.is_empty() || !said_something).then_some(Value::Array(kept)))
        }
        Value::Object(members) => object(attribute, members, at, tolerances),
        other => Ok(Some(other)),
    }
}

fn object(
    attribute: &Attribute,
    members: Map<String, Value>,
    at: &str,
    tolerances: &mut Tolerances,
) -> Result<Option<Value>, Error> {
    let mut kept = Map::new();
    for (name, member) in members {
        // What the attribute does not have is dropped as such.
        let Some(sub) = attribute.sub(&name) else {
            kept.insert(name, member);
            continue;
        };
        let at = format!("{at}.{}", sub.name);
        let flaw = member.as_str().and_then(|text| flaw(text, tolerances.text_bytes_max()));
        match flaw.filter(|_| attribute.multi_valued && sub.name == "value") {
            // Without its value an element says nothing.
            Some(flaw) => return over(&flaw, &at, false, tolerances).map(|()| None),
            None => kept.extend(cut(sub, member, &at, tolerances)?.map(|member| (name, member))),
        }
    }
    Ok(Some(Value::Object(kept)))
}

fn over(flaw: &str, at: &str, required: bool, tolerances: &mut Tolerances) -> Result<(), Error> {
    if required || !tolerances.allow(Tolerance::OverLimit) {
        return Err(Error::value(format!("{at}: {flaw}")));
    }
    tolerances.drop_path(at);
    Ok(())
}
