//! What may be answered without a read.

use crate::domain::TenantKey;
use crate::service::Service;
use crate::service::memory::callers::{KnownCaller, cached_caller};
use crate::service::memory::follow::followed;
use crate::service::memory::{CommitVersion, Stamp};

/// Answers what [`Service`] answers by what is remembered alone, as far as the database has told; `None` where that is
/// not enough, or where it is a refusal: then the service is asked. Each room that remembers something says here what
/// it answers by that.
#[derive(Clone, Copy)]
pub struct Cached<'s> {
    pub(in crate::service) service: &'s Service,
    commit: CommitVersion,
}

impl Service {
    /// What is remembered, for who has asked the database how far it has come and must not wait.
    pub fn cached(&self, commit: CommitVersion) -> Cached<'_> {
        Cached { service: self, commit }
    }
}

impl Cached<'_> {
    /// Whether a tenant's log was followed as far as the database has told.
    pub(in crate::service) fn follows(&self, tenant: TenantKey) -> bool {
        followed(self.service, tenant, self.commit).is_some()
    }

    /// The holder of a key that was proven before.
    pub(in crate::service) fn caller(&self, token: &str) -> Option<(KnownCaller, Stamp)> {
        cached_caller(self.service, token, self.commit)
    }
}
