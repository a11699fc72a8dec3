//! Operations on the attribute whose values are rows: the members of a group. No member list is ever
//! read to change it, so these become changes that the store carries out. Who is taken out of an agent's owners, which
//! stand in its document, is read by the same rules.

use serde_json::{Map, Value};

use super::super::attribute::Attribute;
use super::super::error::{Error, ScimType};
use super::super::filter::{Bound, Filter, element_matches};
use super::super::members::{For, check_parts, id, is_nothing, member, named, plain};
use super::super::schema::ResourceType;
use super::super::tolerance::{Tolerance, Tolerances};
use super::super::validate::ROWS_MAX;
use super::target::listed_ids;
use super::{Member, Op, Operation, RowChange, Target};

/// The sub-attribute that names a member.
const VALUE: &str = "value";
/// The sub-attribute that says of which type a member is.
const TYPE: &str = "type";

/// What an operation on `rows` asks for; `None` if nothing. `total` counts the members of the request.
pub(super) fn change(
    rows: &'static Attribute,
    operation: &Operation,
    total: &mut usize,
    tolerances: &mut Tolerances,
) -> Result<Option<RowChange>, Error> {
    let name = &rows.name;
    match (&operation.target, operation.op) {
        // Where the id of a member is to come or to go, the member is meant.
        (Target::Elements { sub: Some(sub), filter, written, .. }, Op::Remove)
            if sub.name == VALUE && tolerances.allow(Tolerance::MemberValue) =>
        {
            Ok(Some(chosen(filter, written)))
        }
        (Target::Attribute(attr), Op::Add | Op::Remove)
            if attr.sub.is_some_and(|sub| sub.name == VALUE)
                && operation.value.as_ref().is_some_and(|value| !value.is_null())
                && tolerances.allow(Tolerance::MemberValue) =>
        {
            listed(rows, operation, total, tolerances)
        }
        // RFC 7643 §8.7.1: the parts of a member are immutable; members come and go whole.
        (Target::Attribute(attr), _) if attr.sub.is_some() => Err(Error::mutability(format!("{attr}: is immutable"))),
        (Target::Elements { attr, sub: Some(sub), .. }, _) => {
            Err(Error::mutability(format!("{attr}.{}: is immutable", sub.name)))
        }
        (Target::Elements { filter, written, .. }, Op::Remove) => Ok(Some(chosen(filter, written))),
        (Target::Elements { .. }, Op::Replace) => Err(Error::mutability(format!("{name}: a member is immutable"))),
        (Target::Elements { .. }, Op::Add) => Err(Error::path(format!("{name}: add takes no filter"))),
        (_, Op::Remove) => match &operation.value {
            None | Some(Value::Null) => Ok(Some(RowChange::RemoveAll)),
            Some(_) => listed(rows, operation, total, tolerances),
        },
        _ => listed(rows, operation, total, tolerances),
    }
}

/// Whom these operations let in or take out by their ids, as far as they name them.
pub fn people(operations: &[Operation], resource_type: &'static ResourceType) -> Vec<String> {
    operations.iter().flat_map(|operation| named_in(operation, resource_type)).collect()
}

/// Whom an operation names, if it is about people: ids as they are spelt.
fn named_in(operation: &Operation, rtype: &'static ResourceType) -> Vec<String> {
    if !operation.target.names_people(rtype) {
        return vec![];
    }
    let text = |value: &Value| value.get(VALUE).unwrap_or(value).as_str().map(str::to_owned);
    match (&operation.target, &operation.value) {
        (Target::Elements { written, .. }, _) => listed_ids(written).unwrap_or_default(),
        (_, Some(Value::Array(list))) => list.iter().filter_map(text).collect(),
        (_, Some(one)) => text(one).into_iter().collect(),
        (_, None) => vec![],
    }
}

/// Whether an operation takes people out of an attribute that names them, and not a part away of what they are called.
pub(super) fn takes_out(operation: &Operation) -> bool {
    let sub = match &operation.target {
        Target::Attribute(attr) => attr.sub,
        Target::Elements { sub, .. } => *sub,
        Target::Extension(_) => None,
    };
    let is_chosen = matches!(operation.target, Target::Elements { .. });
    let is_void = is_chosen && operation.op == Op::Replace && operation.value.as_ref().is_some_and(is_nothing);
    (operation.op == Op::Remove || is_void) && sub.is_none_or(|sub| sub.name == VALUE)
}

/// What is left of elements that stand in the document, owners, once those are gone whom a removal names.
pub(super) fn left(
    rows: &Attribute,
    mut elements: Vec<Value>,
    change: Option<RowChange>,
    tolerances: &mut Tolerances,
) -> Result<Vec<Value>, Error> {
    let before = elements.len();
    let mut absent = vec![];
    match change {
        Some(RowChange::RemoveAll) => return Ok(vec![]),
        Some(RowChange::RemoveWhere(bound)) => {
            elements.retain(|one| !one.as_object().is_some_and(|one| is_chosen(rows, &bound, one)));
            // Whoever was meant by it is somebody whom nobody can find.
            if elements.len() == before {
                absent.push(String::new());
            }
        }
        Some(RowChange::Remove(ids)) => {
            for id in ids {
                let is = |one: &Value, id: &str| one.get(VALUE).and_then(Value::as_str) == Some(id);
                let spelt = match elements.iter().any(|one| is(one, &id)) {
                    true => Some(id.clone()),
                    false => Some(plain(&id)).filter(|plain| elements.iter().any(|one| is(one, plain))),
                };
                match spelt.filter(|spelt| *spelt == id || tolerances.allow(Tolerance::MemberSpelling)) {
                    Some(spelt) => elements.retain(|one| !is(one, &spelt)),
                    None => absent.push(id),
                }
            }
        }
        Some(RowChange::Add(_) | RowChange::Replace(_)) | None => return Ok(elements),
    }
    let is_missed = !absent.is_empty() || elements.len() == before;
    if is_missed && !tolerances.allow(Tolerance::RemoveAbsent) && elements.len() == before {
        return Err(Error::new(ScimType::NoTarget, format!("{}: no element matches", rows.name)));
    }
    absent.iter().for_each(|id| tolerances.drop_id(id));
    Ok(elements)
}

/// Whether a filter chooses an element. One without a type is of the only one that it can be of.
fn is_chosen(rows: &Attribute, bound: &Bound, element: &Map<String, Value>) -> bool {
    let types = rows.sub("$ref").filter(|_| rows.sub(TYPE).is_some()).map(|one| one.reference_types.as_slice());
    match types {
        Some([one]) if !element.contains_key(TYPE) => {
            let mut typed = element.clone();
            typed.insert(TYPE.to_owned(), one.as_str().into());
            element_matches(bound, &typed)
        }
        _ => element_matches(bound, element),
    }
}

/// Whether an operation is beside who goes, if it cannot be done: it lets somebody in, or is about what a member is
/// called. What may take somebody away is never set aside.
pub(super) fn is_beside(operation: &Operation, rtype: &ResourceType) -> bool {
    let sub = match &operation.target {
        Target::Attribute(attr) => attr.sub,
        Target::Elements { sub, .. } => *sub,
        Target::Extension(_) => None,
    };
    rtype.people().is_some() && (operation.op == Op::Add || sub.is_some_and(|sub| sub.name != VALUE))
}

/// The change of those whom a value lists.
fn listed(
    rows: &Attribute,
    operation: &Operation,
    total: &mut usize,
    tolerances: &mut Tolerances,
) -> Result<Option<RowChange>, Error> {
    if operation.op == Op::Remove && !tolerances.allow(Tolerance::RemoveValues) {
        return Err(Error::value(format!("{}: remove takes no value", rows.name)));
    }
    let given = members(rows, operation, total, tolerances)?;
    Ok(match operation.op {
        Op::Replace => Some(RowChange::Replace(given)),
        _ if given.is_empty() => None,
        Op::Add => Some(RowChange::Add(given)),
        Op::Remove => Some(RowChange::Remove(given.into_iter().map(|one| one.value).collect())),
    })
}

/// The removal of those whom a filter chooses.
fn chosen(filter: &Bound, written: &Filter) -> RowChange {
    listed_ids(written).map_or_else(|| RowChange::RemoveWhere(filter.clone()), RowChange::Remove)
}

/// Reads an array of members, or one.
fn members(
    rows: &Attribute,
    operation: &Operation,
    total: &mut usize,
    tolerances: &mut Tolerances,
) -> Result<Vec<Member>, Error> {
    let name = &rows.name;
    let value = operation.value.as_ref().unwrap_or(&Value::Null);
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
    let wanted = if operation.op == Op::Remove { For::Going } else { For::Staying };
    named((rows, name, wanted), elements, tolerances, |index, element, tolerances| {
        check_parts(rows, name, index, element, tolerances)?;
        let value = id(name, index, element, tolerances)?.to_owned();
        let type_hint = element.as_object().and_then(|object| member(object, "type")?.as_str()).map(str::to_owned);
        Ok(Member { value, type_hint })
    })
}
