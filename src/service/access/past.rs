//! What documents were: each superseded one is kept, sealed under a key of its subject's own, so that
//! deleting that key shreds them all.

use std::collections::HashMap;

use serde_json::{Map, Value};

use crate::domain::{Id, TenantKey};
use crate::scim::ResourceType;
use crate::service::{Error, Service, registry, sealed};
use crate::store::history::PastResource;
use crate::store::{self, Conn};

/// A past document, opened.
#[derive(Clone, Debug, Default)]
pub(in crate::service) struct Past {
    /// The type of the resource; `None` of what is gone.
    resource_type: Option<&'static ResourceType>,
    /// The document.
    pub(in crate::service) document: Map<String, Value>,
    /// What connections called it; of types that others are mapped by.
    pub(in crate::service) external_ids: Vec<String>,
}

impl Past {
    /// What others called it.
    pub(in crate::service) fn display(&self) -> Option<&str> {
        self.resource_type?.display_in(&self.document)
    }
}

/// The key of a subject; made if there is none and it is wanted.
pub(in crate::service) fn subject_key(
    service: &Service,
    conn: &mut Conn,
    tenant: TenantKey,
    id: &Id,
    make: bool,
) -> Result<Option<[u8; 32]>, Error> {
    let wrap = service.keyring().subject();
    if let Some(wrapped) = store::history::subject_key(conn, tenant, id)? {
        let opened = sealed::open(wrap, id.as_bytes(), &wrapped).and_then(|plain| plain.try_into().ok());
        return opened.map(Some).ok_or_else(|| Error::internal("a subject's key cannot be unwrapped"));
    }
    if !make {
        return Ok(None);
    }
    let mut key = [0; 32];
    service.entropy().fill(&mut key);
    let wrapped = sealed::seal(wrap, id.as_bytes(), &key, service.entropy())?;
    store::history::set_subject_key(conn, tenant, id, &wrapped)?;
    Ok(Some(key))
}

/// Opens past documents. Those whose key was deleted, and those that are kept no longer, are gone: they read as empty.
pub(in crate::service) fn open_past(
    service: &Service,
    conn: &mut Conn,
    tenant: TenantKey,
    past: &[PastResource],
) -> Result<Vec<Past>, Error> {
    let mut keys: HashMap<Id, Option<[u8; 32]>> = HashMap::new();
    let mut opened = Vec::with_capacity(past.len());
    for one in past {
        let key = match keys.get(&one.id) {
            Some(key) => *key,
            None => subject_key(service, conn, tenant, &one.id, false)?,
        };
        keys.insert(one.id, key);
        let Some(key) = key.filter(|_| one.is_kept()) else {
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
        opened.push(Past { resource_type: registry().by_name(&one.type_name), document, external_ids });
    }
    Ok(opened)
}
