//! The parts of a body and of an operation, as they are told apart before they are read.

use serde_json::{Map, Value};

use super::super::error::Error;
use super::super::leaving;
use super::super::members::is_nothing;
use super::super::schema::Schema;
use super::super::tolerance::{Tolerance, Tolerances};
use super::super::unknown::Beside;
use super::Op;

/// What an operation says of a path that nothing here has. To remove what it calls active, and to set it to nothing, is
/// to say no: `/active`, `active.value`.
pub(super) fn said<'v>(op: Op, path: &str, value: Option<&'v Value>) -> Option<&'v Value> {
    let unassigns = op == Op::Remove || value.is_some_and(is_nothing);
    if unassigns && leaving::names_active(path) { Some(&Value::Bool(false)) } else { value }
}

/// Whether nothing is given for any attribute of a schema, nor for one that it does not have.
pub(super) fn is_void(schema: &Schema, given: &Map<String, Value>) -> bool {
    given.iter().all(|(key, value)| schema.attribute(key).is_none() && is_nothing(value))
}

pub(super) fn is_one_object(list: &[Value]) -> bool {
    matches!(list, [Value::Object(_)])
}

/// Members by their names, in the order of these, and those that nobody asked for.
pub(super) type Parts<const N: usize> = ([Option<Value>; N], Map<String, Value>);

/// Takes members by name, in any letter case; others are left out and named, unless they say that somebody leaves. They
/// come beside.
pub(super) fn members<const N: usize>(
    object: Map<String, Value>,
    names: [&str; N],
    tolerances: &mut Tolerances,
) -> Result<Parts<N>, Error> {
    let (mut found, mut others) = ([const { None }; N], Map::new());
    for (key, value) in object {
        let Some((slot, name)) = found.iter_mut().zip(names).find(|(_, name)| key.eq_ignore_ascii_case(name)) else {
            match Beside::of("patch", &key, &value) {
                Some(beside) => beside.spare(tolerances)?,
                None if tolerances.dialect().is_lenient() && tolerances.allow(Tolerance::UnknownAttribute) => {
                    tolerances.drop_path(&key);
                }
                None => {}
            }
            others.insert(key, value);
            continue;
        };
        if slot.replace(value).is_some() {
            return Err(Error::syntax(format!("patch: {name} is there twice")));
        }
    }
    Ok((found, others))
}
