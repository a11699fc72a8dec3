//! Operations on the attribute whose values are rows: the members of a group. No member list is ever
//! read to change it, so these become changes that the store carries out.

use serde_json::{Map, Value};

use super::super::attribute::Attribute;
use super::super::error::Error;
use super::super::tolerance::{Tolerance, Tolerances};
use super::super::validate::ROWS_MAX;
use super::target::listed_ids;
use super::{Member, Op, Operation, RowChange, Target};

/// What an operation on `rows` asks for; `None` if nothing. `total` counts the members of the request.
pub(super) fn change(
    rows: &'static Attribute,
    operation: &Operation,
    total: &mut usize,
    tolerances: &mut Tolerances,
) -> Result<Option<RowChange>, Error> {
    let name = &rows.name;
    match (&operation.target, operation.op) {
        // RFC 7643 §8.7.1: the parts of a member are immutable; members come and go whole.
        (Target::Attribute(attr), _) if attr.sub.is_some() => Err(Error::mutability(format!("{attr}: is immutable"))),
        (Target::Elements { attr, sub: Some(sub), .. }, _) => {
            Err(Error::mutability(format!("{attr}.{}: is immutable", sub.name)))
        }
        (Target::Elements { filter, written, .. }, Op::Remove) => {
            Ok(Some(listed_ids(written).map_or_else(|| RowChange::RemoveWhere(filter.clone()), RowChange::Remove)))
        }
        (Target::Elements { .. }, Op::Replace) => Err(Error::mutability(format!("{name}: a member is immutable"))),
        (Target::Elements { .. }, Op::Add) => Err(Error::path(format!("{name}: add takes no filter"))),
        (_, Op::Remove) => match &operation.value {
            None | Some(Value::Null) => Ok(Some(RowChange::RemoveAll)),
            Some(_) if !tolerances.allow(Tolerance::RemoveValues) => {
                Err(Error::value(format!("{name}: remove takes no value")))
            }
            Some(value) => {
                let gone = members(name, value, total, tolerances)?;
                Ok((!gone.is_empty()).then(|| RowChange::Remove(gone.into_iter().map(|m| m.value).collect())))
            }
        },
        (_, op) => {
            let value = operation.value.as_ref().unwrap_or(&Value::Null);
            let given = members(name, value, total, tolerances)?;
            match op {
                Op::Replace => Ok(Some(RowChange::Replace(given))),
                _ => Ok((!given.is_empty()).then_some(RowChange::Add(given))),
            }
        }
    }
}

/// Reads an array of members, or one.
fn members(name: &str, value: &Value, total: &mut usize, tolerances: &mut Tolerances) -> Result<Vec<Member>, Error> {
    let elements = match value {
        Value::Null => &[],
        Value::Array(elements) => elements.as_slice(),
        Value::String(text) if text.is_empty() && tolerances.allow(Tolerance::EmptyText) => &[],
        one => std::slice::from_ref(one),
    };
    *total += elements.len();
    if *total > ROWS_MAX {
        return Err(Error::status(413, format!("{name}: more than {ROWS_MAX} in one request, which is the limit")));
    }
    elements.iter().enumerate().map(|(index, element)| member(name, index, element, tolerances)).collect()
}

fn member(name: &str, index: usize, element: &Value, tolerances: &mut Tolerances) -> Result<Member, Error> {
    let missing = || Error::value(format!("{name}[{index}].value: is required"));
    let (value, type_hint) = match element {
        Value::Object(object) => (text(object, "value"), text(object, "type")),
        Value::String(id) if tolerances.allow(Tolerance::ComplexBare) => (Some(id.as_str()), None),
        _ => return Err(Error::value(format!("{name}[{index}]: expected an object"))),
    };
    let value = value.filter(|id| !id.is_empty()).ok_or_else(missing)?;
    Ok(Member { value: value.to_owned(), type_hint: type_hint.map(str::to_owned) })
}

fn text<'o>(object: &'o Map<String, Value>, name: &str) -> Option<&'o str> {
    object.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).and_then(|(_, value)| value.as_str())
}
