//! What may be answered without a read.

use crate::domain::TenantKey;
use crate::service::Service;
use crate::service::memory::callers::{Known, recall_caller};
use crate::service::memory::follow::followed;
use crate::service::memory::{Stamp, Told};

/// Answers what [`Service`] answers by what is remembered alone, as far as the database has told; `None` where that is
/// not enough, or where it is a refusal: then the service is asked. Each room that remembers something says here what
/// it answers by that.
#[derive(Clone, Copy)]
pub struct Remembered<'s> {
    pub(in crate::service) service: &'s Service,
    told: Told,
}

impl Service {
    /// What is remembered, for who has asked the database how far it has come and must not wait.
    pub fn remembered(&self, told: Told) -> Remembered<'_> {
        Remembered { service: self, told }
    }
}

impl Remembered<'_> {
    /// Whether a tenant's log was followed as far as the database has told.
    pub(in crate::service) fn follows(&self, tenant: TenantKey) -> bool {
        followed(self.service, tenant, self.told).is_some()
    }

    /// The holder of a key that was proven before.
    pub(in crate::service) fn caller(&self, token: &str) -> Option<(Known, Stamp)> {
        recall_caller(self.service, token, self.told)
    }
}
