//! What a change ends is kept as what was true until then: a document that it replaces, sealed, and how a principal
//! stood. Nothing else writes the past; `access` reads it.

use serde_json::json;

use crate::domain::Principal;
use crate::service::access::past;
use crate::service::{Change, Error, registry, sealed};
use crate::store;
use crate::store::resources::Resource;

/// A state of a resource that a change is about to end.
pub(in crate::service) struct Ending {
    external_ids: Vec<String>,
}

impl Ending {
    /// Looks at a resource before anything about it is changed.
    pub(in crate::service) fn of(change: &mut Change<'_>, resource: &Resource) -> Result<Ending, Error> {
        let mut external_ids = vec![];
        // Only groups are mapped by what a connection calls them; a person's external id is not kept.
        if registry().by_name(&resource.type_name).is_some_and(|one| one.rows.is_some()) {
            let tenant = change.key();
            let found = store::external_ids::of_resources(change.conn, tenant, &[resource.key])?;
            external_ids = found.into_iter().map(|(.., value)| value).collect();
        }
        Ok(Ending { external_ids })
    }

    /// What connections call it.
    pub(in crate::service) fn external_ids(&self) -> &[String] {
        &self.external_ids
    }

    /// The same, and what they will be once one connection calls it otherwise.
    pub(in crate::service) fn external_ids_with(
        &self,
        (old, new): (Option<&str>, Option<&str>),
    ) -> (Vec<String>, Vec<String>) {
        let mut after = self.external_ids.clone();
        if old != new {
            // Another connection may call it the same: its name stays.
            if let Some(place) = after.iter().position(|id| Some(id.as_str()) == old) {
                after.remove(place);
            }
            after.extend(new.map(str::to_owned));
        }
        (self.external_ids.clone(), after)
    }

    /// Keeps the resource, as it was then, as what was true until the record that comes next.
    pub(in crate::service) fn keep(self, change: &mut Change<'_>, resource: &Resource) -> Result<(), Error> {
        let (tenant, seq) = (change.key(), change.seq());
        let document: &serde_json::value::RawValue = serde_json::from_str(&resource.document)?;
        let plain = serde_json::to_vec(&json!({"external_ids": self.external_ids}))?;
        // Spliced: a document is not parsed to be put away.
        let mut plain = plain;
        plain.pop();
        plain.extend_from_slice(b",\"document\":");
        plain.extend_from_slice(document.get().as_bytes());
        plain.push(b'}');
        let key = past::subject_key(change.service, change.conn, tenant, &resource.id, true)?;
        let key = key.ok_or_else(|| Error::internal("a subject has no key"))?;
        let sealed = sealed::seal(&key, resource.id.as_bytes(), &plain, change.service.entropy())?;
        Ok(store::history::end_resource(change.conn, tenant, resource, &sealed, seq, change.now)?)
    }
}

/// Stores a changed principal. How it was before is kept as what was true until a record, whose number tells that the
/// log is locked, if it decides whether the principal is live: nobody asks what it was called.
pub(in crate::service) fn update_principal(
    change: &mut Change<'_>,
    before: &Principal,
    after: &Principal,
    seq: i64,
) -> Result<(), Error> {
    let tenant = change.key();
    if !before.is_live_as(after) {
        store::history::end_principal(change.conn, tenant, before, seq)?;
    }
    Ok(store::principals::update(change.conn, tenant, after)?)
}
