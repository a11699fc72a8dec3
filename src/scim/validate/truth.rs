//! Truth as providers write it: `true`, and where the dialect bears it `"False"`, `0`, `"no"`, `"disabled"`, or a
//! list or an object around it.

use serde_json::Value;

use super::simple::mismatch;
use crate::scim::attribute::Attribute;
use crate::scim::error::Error;
use crate::scim::leaving::{GONE, HERE, NO, YES, whole};
use crate::scim::tolerance::{Tolerance, Tolerances};

/// Reads a boolean; `None` if it is unassigned.
///
/// # Errors
/// `invalidValue`; where words are understood, the detail lists them.
pub(super) fn truth(
    attribute: &Attribute,
    value: &Value,
    at: &str,
    tolerances: &mut Tolerances,
) -> Result<Option<bool>, Error> {
    let is_state = attribute.name == "active";
    let read = read(value, is_state, tolerances);
    read.map_err(|()| match tolerances.dialect().is_lenient() {
        true => explained(mismatch(attribute, value, at), is_state),
        false => mismatch(attribute, value, at),
    })
}

fn read(value: &Value, is_state: bool, tolerances: &mut Tolerances) -> Result<Option<bool>, ()> {
    let allow = |allowed: bool, found| if allowed { Ok(found) } else { Err(()) };
    match value {
        Value::Bool(value) => Ok(Some(*value)),
        Value::Null => Ok(None),
        Value::Array(list) => match list.as_slice() {
            // RFC 7643 §2.5: the empty array is what null is.
            [] => Ok(None),
            [one] if tolerances.allow(Tolerance::ListOfOne) => read(one, is_state, tolerances),
            [_, ..] if is_state && tolerances.allow(Tolerance::SeveralActive) => several(list, tolerances),
            _ => Err(()),
        },
        Value::Object(members) => {
            let is_it =
                |name: &str| name.eq_ignore_ascii_case("value") || is_state && name.eq_ignore_ascii_case("active");
            let value = members.iter().find(|(name, _)| is_it(name));
            let (_, value) = value.filter(|_| tolerances.allow(Tolerance::ListOfOne)).ok_or(())?;
            read(value, is_state, tolerances)
        }
        Value::String(text) if text.trim().is_empty() => allow(tolerances.allow(Tolerance::EmptyText), None),
        Value::String(text) => {
            let found = word(whole(text.trim()), is_state).ok_or(())?;
            allow(tolerances.allow(Tolerance::BooleanText), Some(found))
        }
        Value::Number(number) => {
            let found = word(whole(&number.to_string()), is_state).ok_or(())?;
            allow(tolerances.allow(Tolerance::BooleanText), Some(found))
        }
    }
}

/// Of several values, whichever says that somebody is not active holds: nobody lives on by the other one.
fn several(values: &[Value], tolerances: &mut Tolerances) -> Result<Option<bool>, ()> {
    let read: Vec<_> = values.iter().map(|value| read(value, true, tolerances)).collect();
    match read.iter().find(|read| matches!(read, Ok(Some(false) | None))) {
        Some(found) => *found,
        None if read.iter().all(Result::is_ok) => Ok(Some(true)),
        None => Err(()),
    }
}

fn word(text: &str, is_state: bool) -> Option<bool> {
    let is_in = |words: &[&str]| words.iter().any(|word| text.eq_ignore_ascii_case(word));
    if is_in(&YES) || is_state && is_in(&HERE) {
        Some(true)
    } else if is_in(&NO) || is_state && is_in(&GONE) {
        Some(false)
    } else {
        None
    }
}

fn explained(error: Error, is_state: bool) -> Error {
    let (mut yes, mut no) = (YES.to_vec(), NO.to_vec());
    if is_state {
        yes.extend(HERE);
        no.extend(GONE);
    }
    let detail = format!("{}; understood are {} and {}", error.detail, yes.join(", "), no.join(", "));
    Error { detail, ..error }
}
