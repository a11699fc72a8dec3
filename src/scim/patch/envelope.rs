//! The body of a PATCH: its envelope. Its operations are read by [`super::reader`].

use serde_json::Value;

use super::super::error::Error;
use super::super::plain::plain;
use super::super::schema::ResourceType;
use super::super::tolerance::{Tolerance, Tolerances};
use super::parts::members;
use super::reader::Reader;
use super::{Limits, Operation, in_operation};

/// The URN of a PATCH body.
pub const PATCH_URN: &str = "urn:ietf:params:scim:api:messages:2.0:PatchOp";

/// Reads the body of a PATCH within the default limits.
pub fn parse(body: Value, rtype: &'static ResourceType, tolerances: &mut Tolerances) -> Result<Vec<Operation>, Error> {
    parse_within(body, &Limits::default(), rtype, tolerances)
}

/// Reads the body of a PATCH within given limits.
pub fn parse_within(
    body: Value,
    limits: &Limits,
    rtype: &'static ResourceType,
    tolerances: &mut Tolerances,
) -> Result<Vec<Operation>, Error> {
    let Value::Object(body) = plain(body, tolerances)? else { return Err(Error::syntax("patch: expected an object")) };
    let ([schemas, operations], _) = members(body, ["schemas", "Operations"], tolerances)?;
    check_schemas(schemas.as_ref(), tolerances)?;
    let operations = match operations {
        Some(Value::Array(operations)) => operations,
        // RFC 7643 §2.5: null is what an empty array is.
        Some(Value::Null) => vec![],
        Some(one @ Value::Object(_)) if tolerances.allow(Tolerance::BareOperation) => vec![one],
        _ => return Err(Error::syntax("patch: Operations must be an array")),
    };
    let count = operations.len();
    if count == 0 && !tolerances.allow(Tolerance::NoOperations) {
        return Err(Error::syntax("patch: Operations must not be empty"));
    }
    if count > limits.operations_max {
        let detail = format!("patch: {count} operations; the limit is {}", limits.operations_max);
        return Err(Error::status(413, detail));
    }
    let mut found = Vec::with_capacity(count);
    for (index, operation) in operations.into_iter().enumerate() {
        let mut reader = Reader::new(index, rtype, tolerances, &mut found);
        reader.operation(operation).map_err(|error| in_operation(index, error))?;
    }
    // Otherwise the state that it leads to decides: see `apply`.
    if !found.iter().any(|operation| operation.target.decides(rtype)) {
        tolerances.settle(false, false)?;
    }
    Ok(found)
}

fn check_schemas(schemas: Option<&Value>, tolerances: &mut Tolerances) -> Result<(), Error> {
    let is_patch = |urn: &Value| urn.as_str().is_some_and(|urn| urn.eq_ignore_ascii_case(PATCH_URN));
    let listed = match schemas {
        Some(Value::Array(urns)) => urns.iter().any(is_patch),
        Some(urn) => is_patch(urn),
        None => false,
    };
    if listed || tolerances.allow(Tolerance::SchemasMissing) {
        return Ok(());
    }
    Err(Error::syntax(format!("patch: schemas must contain {PATCH_URN}")))
}

#[cfg(test)]
#[path = "envelope_test.rs"]
mod tests;
