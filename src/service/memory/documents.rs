//! Rendered documents.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use quick_cache::Weighter;
use quick_cache::sync::Cache as Bounded;

use crate::domain::{Id, TenantKey};
use crate::scim::ResourceType;
use crate::service::Service;
use crate::service::memory::Stamp;
use crate::store::resources::Resource;

/// Bytes of rendered documents that are kept, their share of the tables included: those of some 75 000 users.
const DOCUMENT_BYTES_MAX: u64 = 62 << 20;

/// What `meta` says of a resource.
#[derive(Clone, Copy, Debug)]
pub(in crate::service) struct Dated {
    pub(in crate::service) id: Id,
    pub(in crate::service) version: i64,
    pub(in crate::service) created: DateTime<Utc>,
    pub(in crate::service) modified: DateTime<Utc>,
}

impl Dated {
    pub(in crate::service) fn of(resource: &Resource) -> Dated {
        let Resource { id, version, created, modified, .. } = *resource;
        Dated { id, version, created, modified }
    }
}

/// A document as one connection sees it.
pub(in crate::service) struct Document {
    pub(in crate::service) type_name: &'static str,
    pub(in crate::service) connection: Option<i64>,
    /// The text up to `meta`, which is made anew each time: it would be a quarter of what is kept.
    pub(in crate::service) head: Box<str>,
    pub(in crate::service) dated: Dated,
    groups: u64,
}

impl Document {
    pub(in crate::service) fn new(
        resource_type: &'static ResourceType,
        connection: Option<i64>,
        head: &str,
        dated: Dated,
    ) -> Document {
        Document { type_name: &resource_type.name, connection, head: head.into(), dated, groups: 0 }
    }
}

#[derive(Clone)]
struct Bytes;

impl Weighter<(TenantKey, Id), Arc<Document>> for Bytes {
    fn weight(&self, _: &(TenantKey, Id), document: &Arc<Document>) -> u64 {
        document.head.len() as u64 + 240
    }
}

/// The documents that are kept.
pub(in crate::service::memory) struct Documents(Bounded<(TenantKey, Id), Arc<Document>, Bytes>);

impl Default for Documents {
    fn default() -> Documents {
        let expected = usize::try_from(DOCUMENT_BYTES_MAX / 1_000).unwrap_or(1);
        Documents(Bounded::with_weighter(expected, DOCUMENT_BYTES_MAX, Bytes))
    }
}

impl Documents {
    pub(in crate::service::memory) fn forget(&self, tenant: TenantKey, id: Id) {
        self.0.remove(&(tenant, id));
    }
}

/// A document rendered before, as this connection sees it.
pub(in crate::service) fn known_document(
    service: &Service,
    tenant: TenantKey,
    id: Id,
    connection: Option<i64>,
) -> Option<Arc<Document>> {
    let cache = &service.inner.cache;
    let document = cache.documents.0.get(&(tenant, id))?;
    let groups = cache.tenants.with(tenant, |state| state.groups)?;
    (document.connection == connection && document.groups == groups).then_some(document)
}

/// Remembers a rendered document, which was read behind the stamp, unless the tenant's log was followed since.
pub(in crate::service) fn remember_document(
    service: &Service,
    key: (TenantKey, Id),
    mut document: Document,
    stamp: Stamp,
) {
    let cache = &service.inner.cache;
    let followed = cache.tenants.of(cache, key.0);
    let state = followed.state();
    if state.is_unmoved_since(stamp) {
        document.groups = state.groups;
        cache.documents.0.insert(key, Arc::new(document));
    }
}
