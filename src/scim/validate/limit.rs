//! Texts that cannot be taken. One over the limit is dropped and named, or refused with the limit; a reference to an
//! operation of a job (RFC 7644 §3.7.2) that made nothing is dropped and named.

use serde_json::{Map, Value, json};

use crate::scim::attribute::{Attribute, Kind};
use crate::scim::error::Error;
use crate::scim::reference::VALUE;
use crate::scim::schema::registry;
use crate::scim::tolerance::{Tolerance, Tolerances};

/// What a reference to an operation of a job begins with, until the id of what it made stands there.
pub const UNMADE: &str = "bulkId:";

/// A value without its texts that cannot be taken; `None` if nothing of it is left, which is as if it had not been
/// sent. `at` is the path of the attribute.
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

/// Whether no text in a value is longer than this, every one can be kept, and none may be a reference to what was not
/// made.
pub fn fits(value: &Value, max: usize) -> bool {
    match value {
        Value::String(text) => flaw(text, max).is_none() && !text.starts_with(UNMADE),
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

/// Whether what is to be an id refers to what was not made, and is dropped for it. Members and owners are looked up in
/// any case: there it is one more id that nobody has.
fn is_unmade(attribute: &Attribute, text: &str, at: &str, tolerances: &mut Tolerances) -> bool {
    let is_own = |one: Option<&'static Attribute>| one.is_some_and(|one| std::ptr::eq(one, attribute));
    let is_looked_up = || registry().types.iter().any(|rtype| is_own(rtype.rows) || is_own(rtype.sponsors));
    let is_id = attribute.name == VALUE || attribute.is_complex() && attribute.sub(VALUE).is_some();
    if !text.starts_with(UNMADE) || !is_id || is_looked_up() || !tolerances.allow(Tolerance::UnknownReference) {
        return false;
    }
    tolerances.drop_path(at);
    true
}

/// Whether an attribute names people: one whom nobody can find is nobody, as by any other text that is no id.
fn names_people(attribute: &Attribute, tolerances: &Tolerances) -> bool {
    tolerances.dialect().is_lenient() && registry().types.iter().any(|rtype| rtype.names_people(attribute))
}

/// What can be kept of an id that cannot be kept as it is: nothing if it is too long.
fn what_is_kept(id: &str, tolerances: &mut Tolerances) -> String {
    let kept = if id.len() > tolerances.text_bytes_max() { String::new() } else { id.replace('\0', "") };
    if !kept.trim().is_empty() {
        tolerances.allow(Tolerance::MemberSpelling);
    }
    kept
}

fn cut(attribute: &Attribute, value: Value, at: &str, tolerances: &mut Tolerances) -> Result<Option<Value>, Error> {
    match value {
        // No text is one of these values: what it says is read, or refused, and never dropped.
        value if attribute.kind == Kind::Boolean => Ok(Some(value)),
        Value::String(text)
            if names_people(attribute, tolerances) && flaw(&text, tolerances.text_bytes_max()).is_some() =>
        {
            Ok(Some(json!({VALUE: what_is_kept(&text, tolerances)})))
        }
        Value::String(text) if is_unmade(attribute, &text, at, tolerances) => Ok(None),
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
    let id = members.iter().find(|(name, _)| name.eq_ignore_ascii_case(VALUE)).and_then(|(_, id)| id.as_str());
    if id.is_some_and(|id| is_unmade(attribute, id, at, tolerances)) {
        return Ok(None);
    }
    for (name, member) in members {
        // What the attribute does not have is dropped as such.
        let Some(sub) = attribute.sub(&name) else {
            kept.insert(name, member);
            continue;
        };
        let at = format!("{at}.{}", sub.name);
        let flaw = member.as_str().and_then(|text| flaw(text, tolerances.text_bytes_max()));
        match flaw {
            Some(_) if sub.name == VALUE && names_people(attribute, tolerances) => {
                let id = what_is_kept(member.as_str().unwrap_or_default(), tolerances);
                kept.insert(name, id.into());
            }
            // Without its value an element says nothing.
            Some(flaw) if attribute.multi_valued && sub.name == VALUE => {
                return over(&flaw, &at, false, tolerances).map(|()| None);
            }
            // Whether it is one that was not made has been asked of the whole.
            None if sub.name == VALUE && member.is_string() => drop(kept.insert(name, member)),
            _ => kept.extend(cut(sub, member, &at, tolerances)?.map(|member| (name, member))),
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
