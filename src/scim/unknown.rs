//! Names that a resource type does not have: dropped and named where the dialect bears it, else refused
//! (design §5). What says that somebody leaves is never dropped by itself.

use serde_json::Value;

use super::attribute::Attribute;
use super::error::Error;
use super::leaving;
use super::schema::{ResourceType, Schema, registry};
use super::tolerance::{Tolerance, Tolerances};

/// A member of a resource, or of a path-less value. `refusal` makes the error of what is missing: a schema or
/// an attribute.
pub(super) fn member(
    rtype: &ResourceType,
    name: &str,
    value: &Value,
    tolerances: &mut Tolerances,
    refusal: impl FnOnce(&str) -> Error,
) -> Result<(), Error> {
    let (tolerance, what) = match is_foreign(rtype, name) {
        true => (Tolerance::UnknownSchema, "schema"),
        false => (Tolerance::UnknownAttribute, "attribute"),
    };
    drop(tolerance, name, value, tolerances, || refusal(what).naming(name))
}

/// A sub-attribute: `at` is the path of what it would be a part of.
pub(super) fn part(at: &str, name: &str, value: &Value, tolerances: &mut Tolerances) -> Result<(), Error> {
    let path = format!("{at}.{name}");
    drop(Tolerance::UnknownAttribute, &path, value, tolerances, || {
        Error::syntax(format!("{path}: no such attribute")).naming(&*path)
    })
}

/// A PATCH path. RFC 7644 §3.5.2 calls it an error, so `rfc` refuses here what it drops in bodies.
pub(super) fn path(
    rtype: &ResourceType,
    path: &str,
    value: Option<&Value>,
    tolerances: &mut Tolerances,
    refusal: Error,
) -> Result<(), Error> {
    if !tolerances.dialect().is_lenient() {
        return Err(refusal);
    }
    let tolerance = match is_foreign(rtype, path) {
        true => Tolerance::UnknownSchema,
        false => Tolerance::UnknownAttribute,
    };
    drop(tolerance, path, value.unwrap_or(&Value::Null), tolerances, || refusal)
}

/// Whether a path leads into an attribute that is about something else than the resource: an address, a manager. What is
/// said in it of an end is said of that. Who is a member is the group's own.
fn is_of_another(path: &str) -> bool {
    let Some((head, _)) = path.split_once('[').or_else(|| path.rsplit_once('.')) else { return false };
    let name = head.rsplit([':', '.']).next().unwrap_or(head).trim();
    registry().types.iter().any(|rtype| {
        let is_member = rtype.rows.is_some_and(|rows| rows.name.eq_ignore_ascii_case(name));
        let another = |one: &Attribute| {
            let has_value = one.sub_attributes.iter().any(|part| part.name == "value");
            one.name.eq_ignore_ascii_case(name) && (one.multi_valued || has_value)
        };
        !is_member && rtype.schemas().any(|schema| schema.attributes.iter().any(another))
    })
}

fn drop(
    tolerance: Tolerance,
    path: &str,
    value: &Value,
    tolerances: &mut Tolerances,
    refusal: impl FnOnce() -> Error,
) -> Result<(), Error> {
    if !tolerances.allow(tolerance) {
        return Err(refusal());
    }
    if !is_of_another(path)
        && let Some(found) = leaving::found(path, value)
    {
        let detail = format!("{found}: says that somebody leaves, and there is no such attribute: active says it");
        return tolerances.spare_leaving(path, Error::syntax(detail).naming(found));
    }
    tolerances.drop_path(path);
    Ok(())
}

/// Whether a name has the URN of a schema that the type does not have.
fn is_foreign(rtype: &ResourceType, name: &str) -> bool {
    let ours = |s: &Schema| name.get(..s.id.len()).is_some_and(|head| head.eq_ignore_ascii_case(&s.id));
    // In a filter, a colon is no part of a name.
    let head = name.split_once('[').map_or(name, |(head, _)| head);
    head.contains(':') && !ours(rtype.schema) && !rtype.extensions.iter().any(|schema| ours(schema))
}
