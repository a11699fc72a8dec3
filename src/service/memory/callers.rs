//! Callers that proved their key.

use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use sha2::{Digest, Sha256};

use crate::domain::TenantKey;
use crate::domain::caller::KeyHolder;
use crate::service::memory::follow::followed;
use crate::service::memory::{Cache, CommitVersion, Stamp, begin, catch_up};
use crate::service::{Error, Service};
use crate::store::credentials::Holder;

/// Callers that are kept.
pub(in crate::service::memory) const CALLERS_MAX: usize = 4_096;
/// How old a key's row may be: an edit by SQL has no record that would name it.
const ROW_AGE_MAX: TimeDelta = TimeDelta::seconds(1);

/// The holder of a key that worked.
#[derive(Clone)]
pub(in crate::service) struct KnownCaller {
    pub(in crate::service) holder: Arc<Holder>,
    /// The same as a caller.
    pub(in crate::service) key: Arc<KeyHolder>,
    /// When the row was read. Whatever else about the caller is found out anew makes it no younger.
    pub(in crate::service) at: DateTime<Utc>,
}

/// A key that worked.
pub(in crate::service::memory) struct Proven {
    known: KnownCaller,
    /// See `State::life`; `None` if it was read too early to be relied on: it tells the tenant alone.
    life: Option<u64>,
    /// See `State::lives`; of an owner that lives by its sponsors alone.
    lives: Option<u64>,
}

impl Cache {
    /// The key of a caller: only who has the whole secret finds the entry, so that a wrong secret costs
    /// what an unknown selector costs (attack case A01).
    fn caller_key(token: &str) -> [u8; 32] {
        Sha256::digest(token).into()
    }

    pub(in crate::service::memory) fn forget_callers(&self, concerns: impl Fn(&Holder) -> bool) {
        self.callers.retain(|_, one| !concerns(&one.known.holder));
    }
}

/// The holder of a key that was proven before, if nothing about it has changed since, as far as the database has told;
/// and the stamp of what is read of it now.
pub(in crate::service) fn known_caller(
    service: &Service,
    token: &str,
    commit: CommitVersion,
) -> Result<(Option<KnownCaller>, Stamp), Error> {
    let key = Cache::caller_key(token);
    let known = service.inner.cache.callers.get(&key);
    let Some(tenant) = known.map(|one| one.known.holder.tenant.key) else { return Ok((None, begin(service))) };
    let stamp = catch_up(service, tenant, commit)?;
    // What has changed has been forgotten.
    Ok((unforgotten(service, &key), stamp))
}

/// The same, if the tenant's log was followed that far.
pub(in crate::service::memory) fn cached_caller(
    service: &Service,
    token: &str,
    commit: CommitVersion,
) -> Option<(KnownCaller, Stamp)> {
    let key = Cache::caller_key(token);
    let tenant = service.inner.cache.callers.get(&key)?.known.holder.tenant.key;
    let stamp = followed(service, tenant, commit)?;
    Some((unforgotten(service, &key)?, stamp))
}

/// The holder of a key that is still there once the tenant's log was followed, and as true as it was.
fn unforgotten(service: &Service, key: &[u8; 32]) -> Option<KnownCaller> {
    let cache = &service.inner.cache;
    let one = cache.callers.get(key)?;
    let (life, lives) =
        cache.tenants.with(one.known.holder.tenant.key, |state| (state.life, lives(state.lives, &one.known.holder)))?;
    let is_same = one.life == Some(life) && one.lives == lives;
    let is_fresh = (service.now() - one.known.at).abs() < ROW_AGE_MAX;
    (is_same && is_fresh).then(|| one.known.clone())
}

/// Remembers the holder of a proven key, whose row was read behind the stamp.
pub(in crate::service) fn remember_caller(service: &Service, token: &str, known: KnownCaller, stamp: Stamp) {
    let cache = &service.inner.cache;
    let tenant: TenantKey = known.holder.tenant.key;
    let followed = cache.tenants.of(cache, tenant);
    // Under the lock, so that nobody follows the log in between.
    let state = followed.state();
    let life = state.is_unmoved_since(stamp).then_some(state.life);
    let lives = lives(state.lives, &known.holder);
    cache.callers.insert(Cache::caller_key(token), Arc::new(Proven { known, life, lives }));
}

/// What a key's life depends on beside its own row and its owner's.
fn lives(lives: u64, holder: &Holder) -> Option<u64> {
    holder.owner.needs_sponsor().then_some(lives)
}
