//! What principals may do.

use std::sync::{Arc, PoisonError};

use chrono::{DateTime, Utc};

use crate::domain::principal::PrincipalKind;
use crate::domain::{Id, Permissions, TenantKey};
use crate::service::Service;
use crate::service::memory::tenant::Inputs;
use crate::service::memory::{Cache, Stamp};

/// Principals whose access is kept.
pub(in crate::service::memory) const ACCESSES_MAX: usize = 20_000;
/// Different sets of permissions that are kept.
const SETS_MAX: usize = 1_024;

/// What a principal may do at a moment.
#[derive(Clone, Debug)]
pub(in crate::service) struct Effective {
    pub(in crate::service) kind: PrincipalKind,
    pub(in crate::service) permissions: Arc<Permissions>,
    /// When the first of its mappings ends by itself.
    pub(in crate::service) valid_until: Option<DateTime<Utc>>,
    inputs: Inputs,
}

impl Effective {
    pub(in crate::service) fn new(
        kind: PrincipalKind,
        permissions: Permissions,
        valid_until: Option<DateTime<Utc>>,
    ) -> Effective {
        Effective { kind, permissions: Arc::new(permissions), valid_until, inputs: Inputs::default() }
    }
}

impl Cache {
    /// The one copy of a set.
    fn shared(&self, set: Arc<Permissions>) -> Arc<Permissions> {
        let mut sets = self.sets.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = sets.get(&set) {
            return Arc::clone(known);
        }
        if sets.len() >= SETS_MAX {
            sets.clear();
        }
        sets.insert(Arc::clone(&set));
        set
    }
}

/// What a principal may do, if it was found out before and nothing that decides it has changed.
pub(in crate::service) fn known_access(
    service: &Service,
    tenant: TenantKey,
    id: Id,
    now: DateTime<Utc>,
) -> Option<Arc<Effective>> {
    let cache = &service.inner.cache;
    let known = cache.accesses.get(&(tenant, id))?;
    let is_same = cache.tenants.with(tenant, |state| state.inputs(known.kind) == known.inputs)?;
    (is_same && known.valid_until.is_none_or(|end| now < end)).then_some(known)
}

/// Remembers what a principal may do, which was read behind the stamp, unless the tenant's log was followed since.
pub(in crate::service) fn remember_access(
    service: &Service,
    key: (TenantKey, Id),
    mut access: Effective,
    stamp: Stamp,
) -> Arc<Effective> {
    let cache = &service.inner.cache;
    access.permissions = cache.shared(access.permissions);
    let followed = cache.tenants.of(cache, key.0);
    let state = followed.state();
    access.inputs = state.inputs(access.kind);
    let access = Arc::new(access);
    if state.is_unmoved_since(stamp) {
        cache.accesses.insert(key, Arc::clone(&access));
    }
    access
}
