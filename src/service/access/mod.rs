//! What principals may do. Computed from facts when it is asked for.

pub(in crate::service) mod facts;
pub(in crate::service) mod held;
pub(in crate::service) mod liveness;
pub(in crate::service) mod past;
pub(in crate::service) mod people;
pub(in crate::service) mod policy;
pub(in crate::service) mod provisioning;

use std::sync::Arc;

use crate::domain::principal::PrincipalKind;
use crate::domain::{Id, Permissions, TenantKey, access};
use crate::service::memory::{Effective, Stamp};
use crate::service::{Error, Service, memory};
use crate::store::Conn;

/// What a principal may do now; from memory if nothing that decides it has changed.
pub(in crate::service) fn effective(
    service: &Service,
    tenant: TenantKey,
    id: Id,
    stamp: Stamp,
) -> Result<Arc<Effective>, Error> {
    if let Some(known) = memory::known_access(service, tenant, id, memory::now_in(service, tenant)) {
        return Ok(known);
    }
    let found = service.read(|conn| effective_in(service, conn, tenant, id))?;
    Ok(memory::remember_access(service, (tenant, id), found, stamp))
}

/// The same, as a connection sees it.
pub(in crate::service) fn effective_in(
    service: &Service,
    conn: &mut Conn,
    tenant: TenantKey,
    id: Id,
) -> Result<Effective, Error> {
    let (policy, facts, groups) = facts::now(service, conn, tenant, &[id])?;
    let Some(facts) = facts.first() else {
        return Ok(Effective::new(PrincipalKind::User, Permissions::default(), None));
    };
    let hits = access::hits(&policy, facts, &groups, memory::now_in(service, tenant));
    let until = access::valid_until(&policy, &hits);
    Ok(Effective::new(facts.kind, access::permissions(&policy, &hits), until))
}
