//! What no two resources may share: unique values, and the externalId of a connection.

use serde_json::{Map, Value};

use crate::domain::{Connection, Id, Operation};
use crate::scim::tolerance::Tolerances;
use crate::scim::{self, ResourceType, Uniqueness, text, validate};
use crate::service::directory::resources::Loaded;
use crate::service::directory::resources::save::Draft;
use crate::service::directory::resources::write::{EXTERNAL_ID, check_reserved};
use crate::service::{Change, Context, Error, Service, authorize};
use crate::store::{self, ResourceKey};

/// Claims the values that must be unique and releases those that are no longer there: the database,
/// not a check, decides who is first.
pub(in crate::service::directory::resources) fn claim_unique(
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
            store::unique::release(change.conn, tenant, &scope, &old, key)?;
        }
        if let Some(new) = new
            && !store::unique::claim(change.conn, tenant, &scope, &new, key)?
        {
            return Err(taken(change, resource_type, &attribute.name, &scope, &new)?);
        }
    }
    Ok(())
}

/// 409, with the id of the resource that has the value, where the caller may read it.
fn taken(
    change: &mut Change<'_>,
    resource_type: &'static ResourceType,
    attribute: &str,
    scope: &str,
    value: &str,
) -> Result<Error, Error> {
    let tenant = change.key();
    let may_know = authorize(&change.context.caller, Operation::Read, Some(resource_type)).is_ok();
    let holder = if may_know { store::unique::holder(change.conn, tenant, scope, value)? } else { None };
    let holder = match holder {
        Some(key) => store::resources::id_of(change.conn, tenant, key)?,
        None => None,
    };
    let by = holder.map_or(String::new(), |holder| format!(" by {holder}"));
    let detail = format!("{attribute}: the value is taken{by}");
    Ok(scim::Error::new(scim::ScimType::Uniqueness, detail).into())
}

/// Who has the name that a body gives, as far as it must be unique.
pub(in crate::service) fn called(
    service: &Service,
    context: &Context,
    resource_type: &'static ResourceType,
    body: &Value,
) -> Result<Option<Id>, Error> {
    let Some(naming) = resource_type.naming else { return Ok(None) };
    let is_naming = |name: &str| {
        let name = name.rsplit(':').next().unwrap_or_default();
        name.eq_ignore_ascii_case(&naming.name)
    };
    let mut members = body.as_object().into_iter().flatten();
    let name = members.find(|(name, _)| is_naming(name)).and_then(|(_, name)| name.as_str());
    let (Some(name), Some(scope)) = (name, scope(resource_type, &naming.name, context.caller.connection())) else {
        return Ok(None);
    };
    let (tenant, key) = (context.caller.tenant.key, text::key(name, naming.case_exact));
    service.read(|conn| {
        let holder = store::unique::holder(conn, tenant, &scope, &key)?;
        Ok(holder.map(|holder| store::resources::id_of(conn, tenant, holder)).transpose()?.flatten())
    })
}

/// Beside what says who has access, a new name is not claimed but left out where somebody else has it, or nobody
/// may: a leaver keeps its own and leaves, a group keeps its own and changes its members.
pub(in crate::service::directory::resources) fn keep_own_names(
    change: &mut Change<'_>,
    resource_type: &'static ResourceType,
    connection: Option<&Connection>,
    before: &Loaded,
    draft: &mut Draft,
    tolerances: &mut Tolerances,
) -> Result<(), Error> {
    if !tolerances.dialect().is_lenient() {
        return Ok(());
    }
    let after = &mut draft.document;
    for attribute in &resource_type.schema.attributes {
        let (name, old) = (&attribute.name, before.document.get(&attribute.name));
        let new = after.get(name).filter(|new| Some(*new) != old);
        let is_gone = attribute.required && !after.contains_key(name);
        let is_taken = match (attribute.uniqueness, scope(resource_type, name, connection), new) {
            (Uniqueness::None, ..) | (_, None, _) | (.., None) => false,
            (_, Some(scope), Some(new)) => {
                let value = text::key(new.as_str().unwrap_or_default(), attribute.case_exact);
                let holder = store::unique::holder(change.conn, change.key(), &scope, &value)?;
                holder.is_some_and(|holder| holder != before.resource.key)
                    || check_reserved(resource_type, after).is_err()
            }
        };
        if let Some(old) = old.filter(|_| is_gone || is_taken) {
            after.insert(name.clone(), old.clone());
            tolerances.drop_beside(name);
        }
    }
    *after = validate::ordered(std::mem::take(after), resource_type);
    let called = draft.external_id.as_deref().filter(|new| before.external_id.as_deref() != Some(*new));
    if let (Some(connection), Some(new)) = (connection.filter(|one| one.unique_external_ids), called) {
        let scope = external_scope(resource_type, connection);
        let holder = store::unique::holder(change.conn, change.key(), &scope, new)?;
        if holder.is_some_and(|holder| holder != before.resource.key) {
            draft.external_id.clone_from(&before.external_id);
            tolerances.drop_beside(EXTERNAL_ID);
        }
    }
    Ok(())
}

/// Where the connection calls no two resources the same, if it asks for that.
fn external_scope(resource_type: &ResourceType, connection: &Connection) -> String {
    format!("{}@{}", resource_type.qualified(EXTERNAL_ID), connection.key)
}

/// Where a value must be unique: names of principals in the tenant, names of groups in their connection,
/// unless the connection has that switched off.
pub(in crate::service) fn scope(
    resource_type: &ResourceType,
    attribute: &str,
    connection: Option<&Connection>,
) -> Option<String> {
    let name = resource_type.qualified(attribute);
    if resource_type.principal {
        return Some(name);
    }
    connection.filter(|one| one.unique_group_names).map(|one| format!("{name}@{}", one.key))
}

/// Sets what the connection calls a resource: unique only if the connection asks for that. What was claimed is given
/// back even if no other is claimed: it would stand in everybody's way once the connection asks again.
pub(in crate::service::directory::resources) fn set_external_id(
    change: &mut Change<'_>,
    resource_type: &'static ResourceType,
    connection: &Connection,
    key: ResourceKey,
    old: Option<&str>,
    new: Option<&str>,
) -> Result<(), Error> {
    if old == new {
        return Ok(());
    }
    let (scope, tenant) = (external_scope(resource_type, connection), change.key());
    if let Some(old) = old {
        store::unique::release(change.conn, tenant, &scope, old, key)?;
    }
    if let Some(new) = new.filter(|_| connection.unique_external_ids)
        && !store::unique::claim(change.conn, tenant, &scope, new, key)?
    {
        return Err(taken(change, resource_type, EXTERNAL_ID, &scope, new)?);
    }
    Ok(store::external_ids::set(change.conn, tenant, connection.key, &resource_type.name, key, new)?)
}
