//! The policy of a tenant: kept, and brought up to date from the catalogue when that has changed.

use std::collections::HashSet;
use std::hash::Hash;
use std::sync::Arc;

use serde::de::DeserializeOwned;

use crate::domain::catalogue_change::{CatalogueChange, Removed};
use crate::domain::log::Head;
use crate::domain::{Api, Mapping, Policy, Role, TenantKey};
use crate::service::memory::kept::Kept;
use crate::service::{Error, Service, memory};
use crate::store::catalogue::{Item, Kind};
use crate::store::{self, Conn};

/// The last policy of each tenant.
#[derive(Default)]
pub(in crate::service) struct Policies(Kept<KeptPolicy>);

/// A policy, and the head of the log that it was read with.
#[derive(Clone)]
struct KeptPolicy {
    /// The number that only this state has: see `Head::policy_epoch`.
    epoch: i64,
    next_seq: i64,
    /// Of the last record: every record before it hangs on it.
    hash: [u8; 32],
    policy: Arc<Policy>,
}

/// The policy of a state: the one before with what has changed since, as long as the log is the same one.
pub(in crate::service) fn of(
    service: &Service,
    conn: &mut Conn,
    tenant: TenantKey,
    head: &Head,
) -> Result<Arc<Policy>, Error> {
    let policy = match service.inner.policies.0.get(service, tenant) {
        Some(known) if known.epoch == head.policy_epoch => return Ok(known.policy),
        Some(known) if leads_to(conn, tenant, &known, head)? => {
            known.policy.with(catalogue_change(store::catalogue::since(conn, tenant, known.next_seq)?)?)
        }
        _ => Policy::default().with(catalogue_change(store::catalogue::current(conn, tenant)?)?),
    };
    let policy = Arc::new(policy);
    let (epoch, next_seq, hash) = (head.policy_epoch, head.next_seq, head.hash);
    let known = KeptPolicy { epoch, next_seq, hash, policy: Arc::clone(&policy) };
    service.inner.policies.0.put(service, tenant, known);
    Ok(policy)
}

/// The policy that a request answers by: without a read if nothing has changed that the request was told of.
pub(in crate::service) fn seen(service: &Service, tenant: TenantKey) -> Result<Arc<Policy>, Error> {
    match cached(service, tenant) {
        Some(known) => Ok(known),
        None => service.read(|conn| store::snapshot(conn, |conn| now(service, conn, tenant))),
    }
}

/// The policy that a request answers by, unless it must be read.
pub(in crate::service) fn cached(service: &Service, tenant: TenantKey) -> Option<Arc<Policy>> {
    known(service, tenant, memory::seen_policy_epoch(service, tenant)?)
}

/// The last policy that was read, and the number of its state.
pub(in crate::service) fn last(service: &Service, tenant: TenantKey) -> Option<(i64, Arc<Policy>)> {
    service.inner.policies.0.get(service, tenant).map(|known| (known.epoch, known.policy))
}

fn known(service: &Service, tenant: TenantKey, epoch: i64) -> Option<Arc<Policy>> {
    last(service, tenant).filter(|(known, _)| *known == epoch).map(|(_, policy)| policy)
}

/// The policy as the connection sees it now.
pub(in crate::service) fn now(service: &Service, conn: &mut Conn, tenant: TenantKey) -> Result<Arc<Policy>, Error> {
    let head = store::log::head(conn, tenant)?;
    of(service, conn, tenant, &head)
}

/// The policy as it was after a record.
pub(in crate::service) fn at(conn: &mut Conn, tenant: TenantKey, seq: i64) -> Result<Arc<Policy>, Error> {
    Ok(Arc::new(Policy::default().with(catalogue_change(store::catalogue::at(conn, tenant, seq)?)?)))
}

/// Whether the log that a policy was read with is the beginning of this one, and not of one that was put back.
fn leads_to(conn: &mut Conn, tenant: TenantKey, known: &KeptPolicy, head: &Head) -> Result<bool, Error> {
    if known.next_seq > head.next_seq || known.next_seq == 0 {
        return Ok(false);
    }
    let last = store::log::records(conn, tenant, known.next_seq - 1, 1)?.pop();
    Ok(last.is_some_and(|last| last.seq == known.next_seq - 1 && last.hash == known.hash))
}

pub(in crate::service) fn catalogue_change(items: Vec<Item>) -> Result<CatalogueChange, Error> {
    let (mut changes, mut gone) = (CatalogueChange::default(), Removed::default());
    for item in items {
        match item.kind {
            Kind::Api => sort(&item, &mut changes.apis, &mut gone.apis, |api: &Api| api.name.clone())?,
            Kind::Role => sort(&item, &mut changes.roles, &mut gone.roles, |role: &Role| role.name.clone())?,
            Kind::Mapping => sort(&item, &mut changes.mappings, &mut gone.mappings, |mapping: &Mapping| mapping.id)?,
        }
    }
    Ok(CatalogueChange { gone, ..changes })
}

/// Puts an item where it belongs: to what has come, or, by its name, to what has gone.
fn sort<T: DeserializeOwned, N: Eq + Hash>(
    item: &Item,
    come: &mut Vec<(T, i64)>,
    gone: &mut HashSet<N>,
    name: impl Fn(&T) -> N,
) -> Result<(), Error> {
    let read: T = serde_json::from_str(&item.document)?;
    match item.until_seq {
        None => come.push((read, item.from_seq)),
        Some(_) => _ = gone.insert(name(&read)),
    }
    Ok(())
}
