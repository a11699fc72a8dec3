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

/// Whether no text in a value is longer than this.
pub fn fits(value: &Value, max: usize) -> bool {
    match value {
        Value::String(text) => text.len() <= max,
        Value::Array(items) => items.iter().all(|item| fits(item, max)),
        Value::Object(members) => members.values().all(|member| fits(member, max)),
        _ => true,
    }
}

fn cut(attribute: &Attribute, value: Value, at: &str, tolerances: &mut Tolerances) -> Result<Option<Value>, Error> {
    match value {
        Value::String(text) if text.len() > tolerances.text_bytes_max() => {
            over(text.len(), at, attribute.required, tolerances).map(|()| None)
        }
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
        match &member {
            // Without its value an element says nothing.
            Value::String(text)
                if attribute.multi_valued && sub.name == "value" && text.len() > tolerances.text_bytes_max() =>
            {
                return over(text.len(), &at, false, tolerances).map(|()| None);
            }
            _ => kept.extend(cut(sub, member, &at, tolerances)?.map(|member| (name, member))),
        }
    }
    Ok(Some(Value::Object(kept)))
}

fn over(bytes: usize, at: &str, required: bool, tolerances: &mut Tolerances) -> Result<(), Error> {
    if required || !tolerances.allow(Tolerance::OverLimit) {
        let max = tolerances.text_bytes_max();
        return Err(Error::value(format!("{at}: has {bytes} bytes, at most {max} are accepted")));
    }
    tolerances.drop_path(at);
    Ok(())
}
