//! The policy of a tenant: read from the catalogue when it has changed, and kept.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use super::{Change, Error, Service};
use crate::domain::version::Made;
use crate::domain::{Policy, TenantKey};
use crate::store::catalogue::{Item, Kind};
use crate::store::{self, Conn};

/// The last policy of each tenant, by the number that only its state has: see `Head::policy_epoch`.
#[derive(Default)]
pub(super) struct Policies(Mutex<HashMap<TenantKey, (i64, Arc<Policy>)>>);

impl Service {
    /// The policy of a state.
    pub(super) fn policy(&self, conn: &mut Conn, tenant: TenantKey, epoch: i64) -> Result<Arc<Policy>, Error> {
        if let Some(known) = self.known_policy(tenant, epoch) {
            return Ok(known);
        }
        let policy = Arc::new(compile(store::catalogue::current(conn, tenant)?)?);
        let mut policies = self.inner.policies.0.lock().unwrap_or_else(PoisonError::into_inner);
        policies.insert(tenant, (epoch, Arc::clone(&policy)));
        Ok(policy)
    }

    /// The policy that a request answers by: without a read if nothing has changed that the request was told of.
    pub(super) fn policy_seen(&self, tenant: TenantKey) -> Result<Arc<Policy>, Error> {
        match self.remembered_policy(tenant) {
            Some(known) => Ok(known),
            None => self.read(|conn| store::snapshot(conn, |conn| self.policy_now(conn, tenant))),
        }
    }

    /// The policy that a request answers by, unless it must be read.
    pub(super) fn remembered_policy(&self, tenant: TenantKey) -> Option<Arc<Policy>> {
        self.known_policy(tenant, self.seen_policy_epoch(tenant)?)
    }

    fn known_policy(&self, tenant: TenantKey, epoch: i64) -> Option<Arc<Policy>> {
        let policies = self.inner.policies.0.lock().unwrap_or_else(PoisonError::into_inner);
        policies.get(&tenant).filter(|(known, _)| *known == epoch).map(|(_, policy)| Arc::clone(policy))
    }

    /// The policy as the connection sees it now.
    pub(super) fn policy_now(&self, conn: &mut Conn, tenant: TenantKey) -> Result<Arc<Policy>, Error> {
        let epoch = store::log::head(conn, tenant)?.policy_epoch;
        self.policy(conn, tenant, epoch)
    }

    /// The policy as it was after a record.
    pub(super) fn policy_at(&self, conn: &mut Conn, tenant: TenantKey, seq: i64) -> Result<Arc<Policy>, Error> {
        Ok(Arc::new(compile(store::catalogue::at(conn, tenant, seq)?)?))
    }
}

impl Change<'_> {
    /// The policy as this transaction found it. Locks the log: see [`Change::seq`].
    ///
    /// # Errors
    /// If the store fails.
    pub(super) fn policy(&mut self) -> Result<Arc<Policy>, Error> {
        let epoch = self.policy_epoch()?;
        if self.has_touched_catalogue() {
            // What this transaction wrote has no number yet under which it could be kept.
            return Ok(Arc::new(compile(store::catalogue::current(self.conn, self.key())?)?));
        }
        self.service.policy(self.conn, self.key(), epoch)
    }
}

fn compile(items: Vec<Item>) -> Result<Policy, Error> {
    let (mut apis, mut roles, mut mappings, mut made) = (vec![], vec![], vec![], Made::default());
    for item in items {
        match item.kind {
            Kind::Api => {
                apis.push(serde_json::from_str(&item.document)?);
                made.apis.insert(item.name, item.from_seq);
            }
            Kind::Role => {
                roles.push(serde_json::from_str(&item.document)?);
                made.roles.insert(item.name, item.from_seq);
            }
            Kind::Mapping => mappings.push((serde_json::from_str(&item.document)?, item.from_seq)),
        }
    }
    Ok(Policy::new(apis, roles, mappings).made_by(made))
}
