//! Names that a resource type does not have: dropped and named where the dialect bears it, else refused
//! (design §5). What says that somebody leaves is never dropped by itself.

use serde_json::Value;

use super::error::Error;
use super::leaving;
use super::schema::{ResourceType, Schema};
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

/// What is said in the value of an attribute that is made here: it is ignored (RFC 7644 §3.5.1), but for what says that
/// somebody leaves.
pub(super) fn ignored(at: &str, value: &Value, tolerances: &mut Tolerances) -> Result<(), Error> {
    if tolerances.dialect().is_lenient() { unread(at, value, tolerances) } else { Ok(()) }
}

/// What is said where nobody reads it: beside a `remove`, in place of a password.
pub(super) fn unread(at: &str, value: &Value, tolerances: &mut Tolerances) -> Result<(), Error> {
    match leaving::found(at, value) {
        Some(found) => {
            tolerances.allow(Tolerance::UnknownAttribute);
            spare(at, found, tolerances)
        }
        None => Ok(()),
    }
}

/// What says that somebody leaves where a message has no such member; to be set aside by [`Beside::spare`].
#[derive(Clone, Debug, PartialEq)]
pub struct Beside {
    path: String,
    error: Error,
}

impl Beside {
    /// `at` is what the message is, or the part of it that the member stands in.
    pub(super) fn of(at: &str, name: &str, value: &Value) -> Option<Beside> {
        let path = leaving::found(name, value)?;
        let detail = format!("{at}: {path}: is no part of it, and says that somebody leaves");
        Some(Beside { error: Error::syntax(detail).naming(&*path), path })
    }

    /// Sets it aside: where somebody leaves by the rest, it is beside the point.
    ///
    /// # Errors
    /// What is wrong with it, where the dialect drops nothing.
    pub fn spare(self, tolerances: &mut Tolerances) -> Result<(), Error> {
        tolerances.spare_leaving(&self.path, self.error)?;
        tolerances.allow(Tolerance::UnknownAttribute);
        Ok(())
    }
}

fn spare(path: &str, found: String, tolerances: &mut Tolerances) -> Result<(), Error> {
    let detail = format!("{found}: says that somebody leaves, and there is no such attribute: active says it");
    tolerances.spare_leaving(path, Error::syntax(detail).naming(found))
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
    if let Some(found) = leaving::found(path, value) {
        return spare(path, found, tolerances);
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
