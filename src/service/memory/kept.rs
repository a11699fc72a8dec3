//! What the rooms below keep of each tenant for themselves.

use quick_cache::sync::Cache as Bounded;

use crate::domain::TenantKey;
use crate::service::Service;

/// Tenants of which each room keeps something.
const TENANTS_MAX: usize = 1_024;

/// Something of each tenant. Memory does not know who keeps it; it is gone when everything of the tenant is forgotten,
/// and when others need the room.
pub(in crate::service) struct Kept<T>(Bounded<TenantKey, (u64, T)>);

impl<T: Clone> Default for Kept<T> {
    fn default() -> Kept<T> {
        Kept(Bounded::new(TENANTS_MAX))
    }
}

impl<T: Clone> Kept<T> {
    /// What is kept of a tenant.
    pub(in crate::service) fn get(&self, service: &Service, tenant: TenantKey) -> Option<T> {
        let (life, kept) = self.0.get(&tenant)?;
        (service.inner.cache.tenants.with(tenant, |state| state.life)? == life).then_some(kept)
    }

    /// Keeps something of a tenant that is followed.
    pub(in crate::service) fn put(&self, service: &Service, tenant: TenantKey, kept: T) {
        if let Some(life) = service.inner.cache.tenants.with(tenant, |state| state.life) {
            self.0.insert(tenant, (life, kept));
        }
    }

    /// Keeps nothing of a tenant.
    pub(in crate::service) fn remove(&self, tenant: TenantKey) {
        self.0.remove(&tenant);
    }
}
