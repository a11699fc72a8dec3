//! DELETE: the resource goes, its keys die, and nothing refers to it any more.

use serde_json::{Map, Value};

use crate::domain::log::Entry;
use crate::domain::{Id, Operation};
use crate::scim::ResourceType;
use crate::scim::path::AttrRef;
use crate::scim::reference::references;
use crate::service::change::ending::{Ending, update_principal};
use crate::service::conditions::Conditions;
use crate::service::directory::refusals::{self, Asked};
use crate::service::directory::resources::{foreseen, load, stored_document};
use crate::service::impact::protect::{self, Write};
use crate::service::{Change, Context, Error, Service, change, keys, registry};
use crate::store::resources::Resource;
use crate::store::{self, ResourceKey};

impl Service {
    /// Deletes a resource. When this returns, every key of a deleted principal is dead (promise P4).
    ///
    /// # Errors
    /// 404 without such a resource, 412 for another version. A refusal by which somebody stays is recorded.
    pub fn delete_resource(
        &self,
        context: &Context,
        resource_type: &'static ResourceType,
        id: &str,
        conditions: &Conditions,
    ) -> Result<(), Error> {
        let (operation, target, conditions) = (Operation::Delete, (resource_type, id), conditions.clone());
        let (kind, foreseen) = ((operation, Some(resource_type)), foreseen(context, id, false));
        let id = id.to_owned();
        let done = change::perform_on(self, context, kind, foreseen, move |change| {
            let loaded = load(change, resource_type, &id, &conditions)?;
            delete(change, resource_type, &loaded.resource)
        });
        done.map_err(|error| refusals::record(self, context, operation, target, || Asked::Leaving, error))
    }
}

/// Deletes a resource inside a change; its row and, for a principal, the principal are locked.
pub(in crate::service) fn delete(
    change: &mut Change<'_>,
    resource_type: &'static ResourceType,
    resource: &Resource,
) -> Result<(), Error> {
    let tenant = change.key();
    let mut groups = store::members::groups_of(change.conn, tenant, &[resource.key])?;
    let mut groups = groups.remove(&resource.key).unwrap_or_default();
    groups.retain(|group| group.direct);
    for group in &groups {
        store::resources::touch(change.conn, tenant, group.key, change.now)?;
    }
    let dropped = drop_references(change, resource)?;
    let ending = Ending::of(change, resource)?;
    // It counts one less: creates hold that counter when they wait for the log, which is locked from here on.
    store::resources::delete(change.conn, tenant, resource)?;
    let affected = protect::check_write(
        change,
        &Write {
            resource_type,
            id: resource.id,
            key: resource.key,
            connection: resource.connection,
            before: Some(&stored_document(resource)?),
            after: None,
            external_ids: Some((ending.external_ids().to_vec(), vec![])),
            adds: false,
            removes: true,
        },
    )?;
    let seq = change.seq();
    for one in dropped {
        one.record(change, resource)?;
    }
    ending.keep(change, resource)?;
    store::members::clear(change.conn, tenant, resource.key, seq)?;
    let left = store::members::remove_everywhere(change.conn, tenant, resource.key, seq)?;
    for late in left.iter().filter(|key| groups.iter().all(|group| group.key != **key)) {
        store::resources::touch(change.conn, tenant, *late, change.now)?;
    }
    let groups: Vec<String> = groups.iter().map(|group| group.id.to_string()).collect();
    let kind = resource_type.name.to_ascii_lowercase();
    let action = format!("{kind}.deleted");
    change.record(affected.on(Entry::new(action, kind, resource.id).with("groups", groups)));
    if resource_type.principal {
        leave_tombstone(change, &resource.id, seq)?;
    }
    Ok(())
}

/// Marks the principal as deleted and revokes its keys. It stays, so that they can say why they died.
fn leave_tombstone(change: &mut Change<'_>, id: &Id, seq: i64) -> Result<(), Error> {
    let before = store::principals::find(change.conn, change.key(), id)?;
    let before = before.ok_or_else(|| Error::internal("a resource without its principal"))?;
    let mut principal = before.clone();
    principal.active = false;
    principal.deleted_at = Some(change.now);
    // The name is personal data; the tombstone needs only the id.
    principal.name.clear();
    update_principal(change, &before, &principal, seq)?;
    store::credentials::forget_notes(change.conn, change.key(), id)?;
    keys::revoke_all(change, id, "owner_deleted")
}

/// A resource that no longer refers to the deleted one. There may be many: documents are read again when it is
/// their turn.
struct DroppedReference {
    resource_type: &'static ResourceType,
    /// As it was before.
    resource: Resource,
    reference: AttrRef,
    ending: Ending,
}

impl DroppedReference {
    /// Records what has changed. It is a write of its own: a rule may ask whether somebody has no manager.
    fn record(self, change: &mut Change<'_>, deleted: &Resource) -> Result<(), Error> {
        let id = self.resource.id;
        let before = stored_document(&self.resource)?;
        let mut after = before.clone();
        remove_reference(&mut after, self.reference, &deleted.id.to_string());
        let write = Write {
            resource_type: self.resource_type,
            id,
            key: self.resource.key,
            connection: self.resource.connection,
            before: Some(&before),
            after: Some(&after),
            external_ids: None,
            adds: false,
            removes: false,
        };
        let kind = self.resource_type.name.to_ascii_lowercase();
        let affected = protect::check_write(change, &write).map_err(|error| match error {
            Error::Protected { entry, .. } => Error::Protected {
                detail: format!(
                    "without this resource, {kind} {id} would hold a permission of Keyroll: an admin deletes it, or it is \
                     made inactive"
                ),
                entry: Box::new(entry.with("deletes", deleted.id.to_string())),
            },
            other => other,
        })?;
        let paths = crate::service::directory::resources::changed::paths(&before, &after);
        change.record(affected.on(Entry::new(format!("{kind}.patched"), kind, id).with("paths", paths)));
        self.ending.keep(change, &self.resource)
    }
}

/// Takes the deleted id out of `manager`, `owners` and every other indexed reference to resources.
fn drop_references(change: &mut Change<'_>, resource: &Resource) -> Result<Vec<DroppedReference>, Error> {
    let mut dropped = vec![];
    let id = resource.id.to_string();
    for resource_type in registry().types.iter().copied() {
        for reference in references(resource_type) {
            let path = reference.to_string();
            let tenant = change.key();
            let referrers = store::index::referrers(change.conn, tenant, resource_type, &path, &id)?;
            for key in referrers.into_iter().filter(|key| *key != resource.key) {
                dropped.extend(drop_reference(change, resource_type, key, reference, &id)?);
            }
        }
    }
    Ok(dropped)
}

fn drop_reference(
    change: &mut Change<'_>,
    resource_type: &'static ResourceType,
    key: ResourceKey,
    reference: AttrRef,
    id: &str,
) -> Result<Option<DroppedReference>, Error> {
    let tenant = change.key();
    let Some(resource) = store::resources::by_keys(change.conn, tenant, &[key])?.pop() else { return Ok(None) };
    let ending = Ending::of(change, &resource)?;
    let before = stored_document(&resource)?;
    let mut after = before.clone();
    remove_reference(&mut after, reference, id);
    let text = serde_json::to_string(&after)?;
    store::resources::update(change.conn, tenant, key, &text, resource.display.as_deref(), change.now)?;
    store::index::write(change.conn, tenant, resource_type, key, Some(&before), Some(&after))?;
    Ok(Some(DroppedReference { resource_type, resource, reference, ending }))
}

/// Removes the value, the element, or the whole attribute that names the id.
fn remove_reference(document: &mut Map<String, Value>, reference: AttrRef, id: &str) {
    let names_id = |value: &Value| value.get("value").and_then(Value::as_str) == Some(id);
    let name = &reference.attribute.name;
    let Some(holder) = reference.holder(document) else { return };
    match holder.get_mut(name) {
        Some(Value::Array(elements)) => {
            elements.retain(|element| !names_id(element));
            if elements.is_empty() {
                holder.shift_remove(name);
            }
        }
        Some(value) if names_id(value) => {
            holder.shift_remove(name);
        }
        _ => {}
    }
    let is_empty = holder.is_empty();
    if let (true, Some(extension)) = (is_empty, reference.extension) {
        document.shift_remove(&extension.id);
        if let Some(Value::Array(schemas)) = document.get_mut("schemas") {
            schemas.retain(|urn| urn.as_str() != Some(&extension.id));
        }
    }
}
