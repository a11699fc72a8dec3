//! What the server remembers between requests: callers that proved their key, and rendered documents.
//!
//! Nothing is answered from memory unless no commit by anybody, a command-line process included, has
//! touched it: the database tells when anything was committed ([`crate::store::Store::data_version`]), and then the log
//! tells what. The question is asked once for a request, where its answer would take several reads; on PostgreSQL
//! those who ask at the same time share it, and what memory answers takes no other statement.

mod follow;
pub(in crate::service) mod kept;

use std::collections::{HashMap, HashSet};
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use chrono::{DateTime, TimeDelta, Utc};
use quick_cache::Weighter;
use quick_cache::sync::Cache as Sized;
use sha2::{Digest, Sha256};

pub use self::follow::Told;
use crate::domain::caller::KeyHolder;
use crate::domain::principal::PrincipalKind;
use crate::domain::{Id, Permissions, TenantKey};
use crate::scim::ResourceType;
use crate::service::Service;
pub(in crate::service) use crate::service::memory::follow::stamp;
use crate::store::credentials::Holder;
use crate::store::log::End;
use crate::store::resources::Resource;

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

/// Bytes of rendered documents that are kept, their share of the tables included: those of some 75 000 users.
const DOCUMENT_BYTES_MAX: u64 = 62 << 20;
/// Unique values that are kept.
const NAMES_MAX: usize = 100_000;
/// Principals whose access is kept.
const ACCESSES_MAX: usize = 20_000;
/// Different sets of permissions that are kept.
const SETS_MAX: usize = 1_024;
/// Callers that are kept.
const CALLERS_MAX: usize = 4_096;
/// How old a key's row may be: an edit by SQL beside other commits has no record that would name it.
const ROW_AGE_MAX: TimeDelta = TimeDelta::seconds(1);
/// If more records than this are new, forgetting everything is cheaper than reading them.
const RECORDS_MAX: i64 = 4_096;

/// The memory of one server.
pub(in crate::service) struct Cache {
    state: Mutex<State>,
    /// Who holds it reads what has changed.
    turn: Mutex<()>,
    documents: Sized<(TenantKey, Id), Arc<Document>, Bytes>,
    names: quick_cache::sync::Cache<[u8; 16], (Id, i64)>,
    accesses: quick_cache::sync::Cache<(TenantKey, Id), Arc<Effective>>,
    /// Many principals may do the same: each such set is kept once.
    sets: Mutex<HashSet<Arc<Permissions>>>,
    /// How often everything was forgotten: see [`kept::Kept`].
    forgotten: AtomicU64,
}

/// The holder of a key that worked.
#[derive(Clone)]
pub(in crate::service) struct Known {
    pub(in crate::service) holder: Arc<Holder>,
    /// The same as a caller.
    pub(in crate::service) key: Arc<KeyHolder>,
    /// When the row was read. Whatever else about the caller is found out anew makes it no younger.
    pub(in crate::service) at: DateTime<Utc>,
}

/// A key that worked.
struct Remembered {
    known: Known,
    /// See `State::life_changes`; of an owner that lives by its sponsors alone.
    life_changes: Option<u64>,
}

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

#[derive(Default)]
struct State {
    /// The commit up to which everything remembered is true.
    version: Option<i64>,
    /// Where each log ended when it was last read.
    ends: HashMap<TenantKey, End>,
    /// Counts the changes of groups: a user's document shows the groups it is in.
    group_changes: HashMap<TenantKey, u64>,
    /// Counts the changes of users' liveness: agents live by their sponsors.
    life_changes: HashMap<TenantKey, u64>,
    /// The state of roles and mappings: see `Head::policy_epoch`.
    policy_epochs: HashMap<TenantKey, i64>,
    /// The number of their snapshot: see `Head::policy_seq`.
    policy_seqs: HashMap<TenantKey, i64>,
    callers: HashMap<[u8; 32], Remembered>,
}

/// The state of the world that something was read in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::service) struct Stamp {
    version: i64,
}

/// A document as one connection sees it.
pub(in crate::service) struct Document {
    pub(in crate::service) type_name: &'static str,
    pub(in crate::service) connection: Option<i64>,
    /// The text up to `meta`, which is made anew each time: it would be a quarter of what is kept.
    pub(in crate::service) head: Box<str>,
    pub(in crate::service) dated: Dated,
    group_changes: u64,
}

impl Document {
    pub(in crate::service) fn new(
        resource_type: &'static ResourceType,
        connection: Option<i64>,
        head: &str,
        dated: Dated,
    ) -> Document {
        Document { type_name: &resource_type.name, connection, head: head.into(), dated, group_changes: 0 }
    }
}

/// What a principal may do at a moment.
#[derive(Clone, Debug)]
pub(in crate::service) struct Effective {
    pub(in crate::service) kind: PrincipalKind,
    pub(in crate::service) permissions: Arc<Permissions>,
    /// When the first of its mappings ends by itself.
    pub(in crate::service) valid_until: Option<DateTime<Utc>>,
    world: World,
}

impl Effective {
    pub(in crate::service) fn new(
        kind: PrincipalKind,
        permissions: Permissions,
        valid_until: Option<DateTime<Utc>>,
    ) -> Effective {
        Effective { kind, permissions: Arc::new(permissions), valid_until, world: World::default() }
    }
}

/// What access depends on beside the principal itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct World {
    policy_epoch: i64,
    group_changes: u64,
    /// Of agents alone.
    life_changes: u64,
}

#[derive(Clone)]
struct Bytes;

impl Weighter<(TenantKey, Id), Arc<Document>> for Bytes {
    fn weight(&self, _: &(TenantKey, Id), document: &Arc<Document>) -> u64 {
        document.head.len() as u64 + 240
    }
}

impl Default for Cache {
    fn default() -> Cache {
        let expected = usize::try_from(DOCUMENT_BYTES_MAX / 1_000).unwrap_or(1);
        let documents = Sized::with_weighter(expected, DOCUMENT_BYTES_MAX, Bytes);
        let (names, accesses) = (Sized::new(NAMES_MAX), Sized::new(ACCESSES_MAX));
        Cache {
            state: Mutex::default(),
            turn: Mutex::default(),
            documents,
            names,
            accesses,
            sets: Mutex::default(),
            forgotten: AtomicU64::new(0),
        }
    }
}

impl State {
    fn group_changes(&self, tenant: TenantKey) -> u64 {
        self.group_changes.get(&tenant).copied().unwrap_or(0)
    }

    /// What a key's life depends on beside its own row and its owner's.
    fn life_changes(&self, holder: &Holder) -> Option<u64> {
        let changes = || self.life_changes.get(&holder.tenant.key).copied().unwrap_or(0);
        holder.owner.needs_sponsor().then(changes)
    }

    fn world(&self, tenant: TenantKey, kind: PrincipalKind) -> World {
        let of = |map: &HashMap<TenantKey, u64>| map.get(&tenant).copied().unwrap_or(0);
        World {
            policy_epoch: self.policy_epochs.get(&tenant).copied().unwrap_or(0),
            group_changes: of(&self.group_changes),
            life_changes: if kind == PrincipalKind::Agent { of(&self.life_changes) } else { 0 },
        }
    }
}

impl Cache {
    fn state(&self) -> MutexGuard<'_, State> {
        // Whoever panicked with the lock left entries that the next commit checks like any other.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

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

    /// The key of a caller: only who has the whole secret finds the entry, so that a wrong secret costs
    /// what an unknown selector costs (attack case A01).
    fn caller_key(token: &str) -> [u8; 32] {
        Sha256::digest(token).into()
    }
}

/// The holder of a key that was proven before, and whose sponsors are who they were then.
pub(in crate::service) fn known_caller(service: &Service, token: &str) -> Option<Known> {
    let now = service.now();
    let state = service.inner.cache.state();
    let Remembered { known, life_changes } = state.callers.get(&Cache::caller_key(token))?;
    let is_same = *life_changes == state.life_changes(&known.holder);
    let is_fresh = (now - known.at).abs() < ROW_AGE_MAX;
    (is_same && is_fresh).then(|| known.clone())
}

/// Remembers the holder of a proven key, unless the world has moved on since it was read.
pub(in crate::service) fn remember_caller(service: &Service, token: &str, known: Known, stamp: Stamp) {
    let mut state = service.inner.cache.state();
    if state.version == Some(stamp.version) {
        if state.callers.len() >= CALLERS_MAX {
            state.callers.clear();
        }
        let life_changes = state.life_changes(&known.holder);
        state.callers.insert(Cache::caller_key(token), Remembered { known, life_changes });
    }
}

/// Whose this unique value was, and in which version: true as long as that version is the current one.
pub(in crate::service) fn known_name(service: &Service, name: &Name) -> Option<(Id, i64)> {
    service.inner.cache.names.get(&name.key())
}

/// Remembers whose a unique value is.
pub(in crate::service) fn remember_name(service: &Service, name: &Name, id: Id, version: i64) {
    service.inner.cache.names.insert(name.key(), (id, version));
}

/// When the last record of a log was written, as far as this request has seen it.
pub(in crate::service) fn last_record_at(service: &Service, tenant: TenantKey) -> Option<DateTime<Utc>> {
    service.inner.cache.state().ends.get(&tenant).map(|end| end.time)
}

/// The time by which a tenant's keys, grants and changes are judged: that of the clock, and never before the last
/// record of the log. Whoever set the clock back, or has one that is behind another node's, wins nothing by it.
pub(in crate::service) fn now_in(service: &Service, tenant: TenantKey) -> DateTime<Utc> {
    let now = service.now();
    last_record_at(service, tenant).map_or(now, |last| now.max(last))
}

/// The state of roles and mappings that this request has seen.
pub(in crate::service) fn seen_policy_epoch(service: &Service, tenant: TenantKey) -> Option<i64> {
    service.inner.cache.state().policy_epochs.get(&tenant).copied()
}

/// The number of the snapshot of mappings that this request has seen.
pub(in crate::service) fn seen_policy_seq(service: &Service, tenant: TenantKey) -> Option<i64> {
    service.inner.cache.state().policy_seqs.get(&tenant).copied()
}

/// What a principal may do, if it was found out before and nothing that decides it has changed.
pub(in crate::service) fn known_access(
    service: &Service,
    tenant: TenantKey,
    id: Id,
    now: DateTime<Utc>,
) -> Option<Arc<Effective>> {
    let known = service.inner.cache.accesses.get(&(tenant, id))?;
    let is_same = known.world == service.inner.cache.state().world(tenant, known.kind);
    (is_same && known.valid_until.is_none_or(|end| now < end)).then_some(known)
}

/// Remembers what a principal may do, unless the world has moved on since it was read.
pub(in crate::service) fn remember_access(
    service: &Service,
    key: (TenantKey, Id),
    mut access: Effective,
    stamp: Stamp,
) -> Arc<Effective> {
    access.permissions = service.inner.cache.shared(access.permissions);
    let state = service.inner.cache.state();
    access.world = state.world(key.0, access.kind);
    let access = Arc::new(access);
    if state.version == Some(stamp.version) {
        service.inner.cache.accesses.insert(key, Arc::clone(&access));
    }
    access
}

/// A document rendered before, as this connection sees it.
pub(in crate::service) fn known_document(
    service: &Service,
    tenant: TenantKey,
    id: Id,
    connection: Option<i64>,
) -> Option<Arc<Document>> {
    let document = service.inner.cache.documents.get(&(tenant, id))?;
    let group_changes = service.inner.cache.state().group_changes(tenant);
    (document.connection == connection && document.group_changes == group_changes).then_some(document)
}

/// Remembers a rendered document, unless the world has moved on since it was read.
pub(in crate::service) fn remember_document(
    service: &Service,
    key: (TenantKey, Id),
    mut document: Document,
    stamp: Stamp,
) {
    let state = service.inner.cache.state();
    if state.version == Some(stamp.version) {
        document.group_changes = state.group_changes(key.0);
        service.inner.cache.documents.insert(key, Arc::new(document));
    }
}
