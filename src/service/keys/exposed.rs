//! Keys that somebody found where none belongs (`POST /v1/exposed-credentials`): whoever has the whole text of a key may
//! end it, and is told nothing of it.

use std::collections::{BTreeMap, BTreeSet};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::domain::log::RequestRef;
use crate::domain::{Caller, Id, Operation, Tenant, TenantKey};
use crate::service::caller::authenticate;
use crate::service::keys::revoke;
use crate::service::request::{List, Text};
use crate::service::{Change, Context, Error, Service, change, memory};
use crate::store;

/// Why such a key is revoked.
const EXPOSED: &str = "exposed";
/// Keys in one request.
const KEYS_MAX: usize = 1_000;

/// Keys that are not secret any more.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "ExposedCredentials")]
pub struct ExposedRequest {
    /// Their whole texts.
    pub credentials: List<Text, KEYS_MAX>,
}

/// That it was received: the same whatever the texts are.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "ExposedReceipt")]
pub struct ExposedReceipt {
    /// How many texts there were.
    pub received: usize,
}

impl Service {
    /// Revokes each of these texts that is a key, in the tenant that it is of; possession is proof. Once this is answered
    /// all of them are dead; if one cannot be revoked now, it is not, and asking again does the rest.
    ///
    /// # Errors
    /// If the store fails.
    pub fn expose_keys(&self, request: &RequestRef, asked: &ExposedRequest) -> Result<ExposedReceipt, Error> {
        let List(texts) = &asked.credentials;
        for (tenant, ids) in proven(self, texts)?.into_values() {
            let context = Context::new(Caller::anonymous(tenant), request.clone());
            let ended = change::perform(self, &context, Operation::KeyExpose, None, move |change| end(change, &ids))?;
            for (key, owner) in ended {
                log::warn!(key:%, owner:%; "a key was reported as exposed, and is revoked");
            }
        }
        Ok(ExposedReceipt { received: texts.len() })
    }
}

/// The keys among texts that are not revoked yet, each with its tenant. Of a text that is no key, as much is looked up.
fn proven(service: &Service, texts: &[Text]) -> Result<BTreeMap<TenantKey, (Tenant, BTreeSet<Id>)>, Error> {
    let commit = memory::commit_version(service)?;
    let mut found: BTreeMap<TenantKey, (Tenant, BTreeSet<Id>)> = BTreeMap::new();
    for text in texts {
        let Some(key) = authenticate::prove(service, text.trim(), commit)?.filter(|key| key.proven) else { continue };
        let (tenant, credential) = (&key.holder.tenant, &key.holder.stored.credential);
        if credential.revoked.is_none() {
            found.entry(tenant.key).or_insert_with(|| (tenant.clone(), BTreeSet::new())).1.insert(credential.id);
        }
    }
    Ok(found)
}

/// Revokes keys of the change's tenant; gives those that were not, with their owners.
fn end(change: &mut Change<'_>, ids: &BTreeSet<Id>) -> Result<Vec<(Id, Id)>, Error> {
    let mut ended = vec![];
    for id in ids {
        let stored = store::credentials::find(change.conn, change.key(), id)?;
        let Some(stored) = stored.filter(|stored| stored.credential.revoked.is_none()) else { continue };
        ended.push((*id, stored.credential.owner));
        revoke(change, stored, EXPOSED)?;
    }
    Ok(ended)
}
