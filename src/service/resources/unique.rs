//! What no two resources may share: unique values, and the externalId of a connection.

use serde_json::{Map, Value};

use super::taken;
use crate::domain::Connection;
use crate::scim::{ResourceType, Uniqueness, text};
use crate::service::{Change, Error};
use crate::store::{self, ResourceKey};

/// Claims the values that must be unique and releases those that are no longer there: the database,
/// not a check, decides who is first.
pub(super) fn claim_unique(
    change: &mut Change<'_>,
    resource_type: &'static ResourceType,
    connection: Option<&Connection>,
    key: ResourceKey,
    before: Option<&Map<String, Value>>,
    after: &Map<String, Value>,
) -> Result<(), Error> {
    let tenant = change.key();
    for attribute in resource_type.schema.attributes.iter().filter(|a| a.uniqueness != Uniqueness::None) {
        let Some(scope) = scope(resource_type, &attribute.name, connection) else { continue };
        let value = |document: &Map<String, Value>| {
            let value = document.get(&attribute.name).and_then(Value::as_str);
            value.map(|v| text::key(v, attribute.case_exact).into_owned())
        };
        let (old, new) = (before.and_then(&value), value(after));
        if old == new {
            continue;
        }
        if let Some(old) = old {
            store::unique::release(change.conn, tenant, &scope, &old)?;
        }
        if let Some(new) = new
            && !store::unique::claim(change.conn, tenant, &scope, &new, key)?
        {
            return Err(taken(&attribute.name));
        }
    }
    Ok(())
}

/// Where a value must be unique: names of principals in the tenant, names of groups in their connection,
/// unless the connection has that switched off.
pub(in crate::service) fn scope(
    resource_type: &ResourceType,
    attribute: &str,
    connection: Option<&Connection>,
) -> Option<String> {
    let name = format!("{}.{attribute}", resource_type.name);
    if resource_type.principal {
        return Some(name);
    }
    connection.filter(|one| one.unique_group_names).map(|one| format!("{name}@{}", one.key))
}

pub(super) fn set_external_id(
    change: &mut Change<'_>,
    resource_type: &ResourceType,
    connection: &Connection,
    key: ResourceKey,
    old: Option<&str>,
    new: Option<&str>,
) -> Result<(), Error> {
    if old == new {
        return Ok(());
    }
    let tenant = change.key();
    let set = store::external_ids::set(change.conn, tenant, connection.key, &resource_type.name, key, new)?;
    if set { Ok(()) } else { Err(taken("externalId")) }
}
