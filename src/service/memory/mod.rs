//! What the server remembers between requests: callers that proved their key, what principals may do, rendered
//! documents, and whose a name is.
//!
//! Nothing is answered from memory unless no commit by anybody, a command-line process included, has
//! touched it: the database tells when anything was committed ([`crate::store::Store::data_version`]), and then the log
//! of the tenant that is asked about tells what. The question is asked once for a request, where its answer would take
//! several reads; on PostgreSQL those who ask at the same time share it, and what memory answers takes no other
//! statement.
//!
//! What is remembered belongs to a tenant: [`tenant`] knows how far its log was followed, [`follow`] follows it. Each
//! thing that is kept is bounded, and so are the tenants: who has been idle for long is read anew.

mod accesses;
mod cached;
mod callers;
mod documents;
mod follow;
pub(in crate::service) mod kept;
mod names;
mod past;
mod tenant;

use std::collections::HashSet;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use chrono::{DateTime, Utc};
use quick_cache::sync::Cache as Bounded;

use self::tenant::Tenants;
use crate::domain::{Id, Permissions, TenantKey};
use crate::service::Service;
pub(in crate::service) use crate::service::memory::accesses::{Effective, known_access, remember_access};
pub use crate::service::memory::cached::Cached;
pub(in crate::service) use crate::service::memory::callers::{KnownCaller, known_caller, remember_caller};
pub(in crate::service) use crate::service::memory::documents::{Dated, Document, known_document, remember_document};
pub use crate::service::memory::follow::CommitVersion;
pub(in crate::service) use crate::service::memory::follow::{catch_up, commit_version, follow_known, stamp};
pub(in crate::service) use crate::service::memory::names::{Name, known_name, remember_name};

/// The memory of one server.
pub(in crate::service) struct Cache {
    tenants: Tenants,
    callers: Bounded<[u8; 32], Arc<callers::Proven>>,
    accesses: Bounded<(TenantKey, Id), Arc<Effective>>,
    /// Many principals may do the same: each such set is kept once.
    sets: Mutex<HashSet<Arc<Permissions>>>,
    documents: documents::Documents,
    names: Bounded<[u8; 16], (Id, i64, u64)>,
    /// See [`Cache::next_number`].
    numbers: AtomicU64,
}

impl Default for Cache {
    fn default() -> Cache {
        Cache {
            tenants: Tenants::default(),
            callers: Bounded::new(callers::CALLERS_MAX),
            accesses: Bounded::new(accesses::ACCESSES_MAX),
            sets: Mutex::default(),
            documents: documents::Documents::default(),
            names: Bounded::new(names::NAMES_MAX),
            numbers: AtomicU64::new(1),
        }
    }
}

impl Cache {
    /// A number that nothing else has: what was remembered under an earlier one of its kind is true no more. As nobody
    /// counts from the beginning again, a tenant that was forgotten and is back finds nothing of its earlier life.
    fn next_number(&self) -> u64 {
        self.numbers.fetch_add(1, Ordering::AcqRel)
    }

    /// The last number that was given.
    fn last_number(&self) -> u64 {
        self.numbers.load(Ordering::Acquire) - 1
    }
}

/// When something was read: before a tenant's log was followed further, or behind that.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::service) struct Stamp {
    /// The last number then.
    at: u64,
}

/// The stamp of what is read from now on, of whichever tenant it will be.
pub(in crate::service) fn begin(service: &Service) -> Stamp {
    Stamp { at: service.inner.cache.last_number() }
}

/// The time by which a tenant's keys, grants and changes are judged: that of the clock, and never before what was judged
/// by already, nor before the last record of the log, as far as this request has seen it. Whoever set the clock back, or
/// has one that is behind another node's, wins nothing by it.
pub(in crate::service) fn now_in(service: &Service, tenant: TenantKey) -> DateTime<Utc> {
    recording_in(service, tenant).max(service.inner.clocks.judge(service.inner.clock.as_ref()))
}

/// The time by which a change of a tenant is recorded: that of the clock, and never before the last record. Of a clock
/// that was ahead and is set right nothing stays in the log.
pub(in crate::service) fn recording_in(service: &Service, tenant: TenantKey) -> DateTime<Utc> {
    let now = service.now();
    let last = service.inner.cache.tenants.with(tenant, |state| state.end.as_ref().map(|end| end.time));
    last.flatten().map_or(now, |last| now.max(last))
}

/// The state of roles and mappings that this request has seen: see `Head::policy_epoch`.
pub(in crate::service) fn seen_policy_epoch(service: &Service, tenant: TenantKey) -> Option<i64> {
    service.inner.cache.tenants.with(tenant, |state| state.end.as_ref().map(|end| end.policy_epoch)).flatten()
}

/// The number of the snapshot of mappings that this request has seen: see `Head::policy_seq`.
pub(in crate::service) fn seen_policy_seq(service: &Service, tenant: TenantKey) -> Option<i64> {
    service.inner.cache.tenants.with(tenant, |state| state.end.as_ref().map(|end| end.policy_seq)).flatten()
}
