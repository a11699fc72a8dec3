//! What documents were: each superseded one is kept, sealed under a key of its subject's own, so that
//! deleting that key shreds them all.

use std::collections::HashMap;

use chrono::TimeDelta;
use serde_json::{Map, Value, json};

use crate::domain::{Id, TenantKey};
use crate::service::{Change, Error, Service, registry, sealed};
use crate::store::history::PastResource;
use crate::store::resources::Resource;
use crate::store::{self, Conn};

/// A past document, opened.
#[derive(Clone, Debug, Default)]
pub(in crate::service) struct Past {
    /// The document.
    pub(in crate::service) document: Map<String, Value>,
    /// What connections called it; of types that others are mapped by.
    pub(in crate::service) external_ids: Vec<String>,
}

/// A state of a resource that a change is about to end.
pub(in crate::service) struct Ending {
    resource: Resource,
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
        Ok(Ending { resource: resource.clone(), external_ids })
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

    /// Keeps it as what was true until the record that comes next. Locks the log: see [`Change::seq`].
    pub(in crate::service) fn keep(self, change: &mut Change<'_>) -> Result<(), Error> {
        let (tenant, seq) = (change.key(), change.seq()?);
        let document: &serde_json::value::RawValue = serde_json::from_str(&self.resource.document)?;
        let plain = serde_json::to_vec(&json!({"external_ids": self.external_ids}))?;
        // Spliced: a document is not parsed to be put away.
        let mut plain = plain;
        plain.pop();
        plain.extend_from_slice(b",\"document\":");
        plain.extend_from_slice(document.get().as_bytes());
        plain.push(b'}');
        let key = change.service.subject_key(change.conn, tenant, &self.resource.id, true)?;
        let key = key.ok_or_else(|| Error::internal("a subject has no key"))?;
        let sealed = sealed::seal(&key, self.resource.id.as_bytes(), &plain, change.service.entropy())?;
        let horizon = change.now - TimeDelta::days(change.service.settings().limits.history_days);
        Ok(store::history::end_resource(change.conn, tenant, &self.resource, &sealed, seq, change.now, horizon)?)
    }
}

impl Service {
    /// The key of a subject; made if there is none and it is wanted.
    fn subject_key(&self, conn: &mut Conn, tenant: TenantKey, id: &Id, make: bool) -> Result<Option<[u8; 32]>, Error> {
        let wrap = self.keyring().subject();
        if let Some(wrapped) = store::history::subject_key(conn, tenant, id)? {
            let opened = sealed::open(wrap, id.as_bytes(), &wrapped).and_then(|plain| plain.try_into().ok());
            return opened.map(Some).ok_or_else(|| Error::internal("a subject's key cannot be unwrapped"));
        }
        if !make {
            return Ok(None);
        }
        let mut key = [0; 32];
        self.entropy().fill(&mut key);
        let wrapped = sealed::seal(wrap, id.as_bytes(), &key, self.entropy())?;
        store::history::set_subject_key(conn, tenant, id, &wrapped)?;
        Ok(Some(key))
    }

    /// Opens past documents. Those whose key was deleted are gone: they read as empty.
    pub(in crate::service) fn open_past(
        &self,
        conn: &mut Conn,
        tenant: TenantKey,
        past: &[PastResource],
    ) -> Result<Vec<Past>, Error> {
        let mut keys: HashMap<Id, Option<[u8; 32]>> = HashMap::new();
        let mut opened = Vec::with_capacity(past.len());
        for one in past {
            let key = match keys.get(&one.id) {
                Some(key) => *key,
                None => self.subject_key(conn, tenant, &one.id, false)?,
            };
            keys.insert(one.id, key);
            let Some(key) = key else {
                opened.push(Past::default());
                continue;
            };
            let plain = sealed::open(&key, one.id.as_bytes(), &one.sealed);
            let plain = plain.ok_or_else(|| Error::internal("a past document cannot be opened"))?;
            let mut plain: Map<String, Value> = serde_json::from_slice(&plain)?;
            let external_ids = match plain.remove("external_ids") {
                Some(Value::Array(ids)) => ids.iter().filter_map(Value::as_str).map(str::to_owned).collect(),
                _ => vec![],
            };
            let document = match plain.remove("document") {
                Some(Value::Object(document)) => document,
                _ => Map::new(),
            };
            opened.push(Past { document, external_ids });
        }
        Ok(opened)
    }
}
