//! What a body says of its schemas.

use serde_json::Value;

use crate::scim::error::Error;
use crate::scim::schema::ResourceType;
use crate::scim::tolerance::{Tolerance, Tolerances};

/// `schemas` must list the base schema and nothing unknown (RFC 7643 §3).
pub(super) fn check(
    listed: Option<&Value>,
    resource_type: &'static ResourceType,
    tolerances: &mut Tolerances,
) -> Result<(), Error> {
    let base = resource_type.schema.id.as_str();
    let listed = match listed {
        None | Some(Value::Null) => &[],
        Some(Value::Array(listed)) => listed.as_slice(),
        Some(one) => std::slice::from_ref(one),
    };
    let mut seen: Vec<&str> = Vec::new();
    for urn in listed {
        let urn = urn.as_str().ok_or_else(|| Error::syntax("schemas: expected an array of URNs"))?;
        let known = resource_type.schema_by_urn(urn).map(|s| s.id.as_str());
        if known.is_none() && !tolerances.allow(Tolerance::UnknownSchema) {
            let detail = format!("schemas: {urn} is no schema of {}", resource_type.name);
            return Err(Error::syntax(detail).naming(urn));
        }
        if known.is_some_and(|known| seen.contains(&known)) {
            return Err(Error::syntax(format!("schemas: {urn} is there twice")));
        }
        seen.extend(known);
    }
    if seen.contains(&base) || tolerances.allow(Tolerance::SchemasMissing) {
        return Ok(());
    }
    Err(Error::syntax(format!("schemas: {base} is missing")))
}
