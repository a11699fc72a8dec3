//! Values put into a complex one, and what mutability says about each change.

use std::collections::HashSet;

use serde_json::{Map, Value};

use super::super::attribute::{Attribute, Mutability};
use super::super::error::Error;
use super::super::tolerance::{Tolerance, Tolerances};
use super::super::{unknown, validate};

/// The members to merge into a complex value, as sent if it is an object; `None` means unassigned.
pub(super) fn given_object(
    attribute: &Attribute,
    value: Value,
    at: &str,
    tolerances: &mut Tolerances,
) -> Result<Option<Map<String, Value>>, Error> {
    match value {
        // Not checked as a whole: a null in it takes that sub-attribute away.
        Value::Object(given) => Ok(Some(given)),
        // A single value as a list of one, or bare (entra-006).
        other => {
            let read = if attribute.multi_valued { validate::element } else { validate::value };
            Ok(match read(attribute, other, at, tolerances)? {
                Some(Value::Object(given)) => Some(given),
                _ => None,
            })
        }
    }
}

/// Sets the given sub-attributes and leaves the others (RFC 7644 §3.5.2.1, §3.5.2.3).
pub(super) fn merge(
    members: &mut Map<String, Value>,
    attribute: &Attribute,
    given: Map<String, Value>,
    at: &str,
    tolerances: &mut Tolerances,
) -> Result<(), Error> {
    let mut seen = HashSet::new();
    for (key, value) in given {
        let Some(sub) = attribute.sub(&key) else {
            unknown::part(at, &key, &value, tolerances)?;
            continue;
        };
        let at = format!("{at}.{}", sub.name);
        if !seen.insert(&sub.name) {
            return Err(Error::syntax(format!("{at}: is there twice")));
        }
        if sub.is_made() {
            // What is published as a client's to say is taken and made anew.
            if sub.mutability != Mutability::ReadOnly || tolerances.allow(Tolerance::ReadOnlyIgnored) {
                continue;
            }
            return Err(Error::mutability(format!("{at}: is read-only")));
        }
        set_sub(members, sub, value, &at, tolerances)?;
    }
    Ok(())
}

/// Sets one sub-attribute; null unassigns it.
pub(super) fn set_sub(
    members: &mut Map<String, Value>,
    sub: &Attribute,
    value: Value,
    at: &str,
    tolerances: &mut Tolerances,
) -> Result<(), Error> {
    let new = validate::value(sub, value, at, tolerances)?;
    let old = members.get(&sub.name);
    let moved = sub.name == "value" && old.is_some() && old != new.as_ref();
    match settled(sub, old, new, at)? {
        Some(new) => members.insert(sub.name.clone(), new),
        None => members.shift_remove(&sub.name),
    };
    if moved {
        // It named the old value.
        members.shift_remove("$ref");
    }
    Ok(())
}

/// What mutability says about a change (RFC 7643 §7, RFC 7644 §3.5.2).
pub(super) fn settled(
    attribute: &Attribute,
    old: Option<&Value>,
    new: Option<Value>,
    at: &str,
) -> Result<Option<Value>, Error> {
    if attribute.mutability == Mutability::Immutable && old.is_some() && old != new.as_ref() {
        return Err(Error::mutability(format!("{at}: is immutable and has another value")));
    }
    if attribute.required && new.is_none() {
        return Err(Error::mutability(format!("{at}: is required")));
    }
    Ok(new)
}
