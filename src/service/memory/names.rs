//! Whose a unique value is.

use sha2::{Digest, Sha256};

use crate::domain::{Id, TenantKey};
use crate::service::Service;

/// Unique values that are kept.
pub(in crate::service::memory) const NAMES_MAX: usize = 100_000;

/// A unique value as a look-up asks for it.
#[derive(Clone, Debug)]
pub(in crate::service) struct Name {
    pub(in crate::service) tenant: TenantKey,
    pub(in crate::service) connection: Option<i64>,
    pub(in crate::service) type_name: &'static str,
    pub(in crate::service) attribute: &'static str,
    pub(in crate::service) value: String,
}

impl Name {
    /// A short stand-in: a hundred thousand of them are kept.
    fn key(&self) -> [u8; 16] {
        let mut hash = Sha256::new();
        hash.update(self.tenant.0.to_be_bytes());
        hash.update(self.connection.unwrap_or(0).to_be_bytes());
        for text in [self.type_name, self.attribute, &self.value] {
            hash.update((text.len() as u64).to_be_bytes());
            hash.update(text);
        }
        let mut key = [0; 16];
        key.iter_mut().zip(hash.finalize()).for_each(|(to, from)| *to = from);
        key
    }
}

/// Whose this unique value was, and in which version: true as long as that version is the current one.
pub(in crate::service) fn known_name(service: &Service, name: &Name) -> Option<(Id, i64)> {
    let cache = &service.inner.cache;
    let (id, version, life) = cache.names.get(&name.key())?;
    (cache.tenants.with(name.tenant, |state| state.life)? == life).then_some((id, version))
}

/// Remembers whose a unique value is.
pub(in crate::service) fn remember_name(service: &Service, name: &Name, id: Id, version: i64) {
    let cache = &service.inner.cache;
    if let Some(life) = cache.tenants.with(name.tenant, |state| state.life) {
        cache.names.insert(name.key(), (id, version, life));
    }
}
