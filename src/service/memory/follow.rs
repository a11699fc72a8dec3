//! What is forgotten, and when.

use crate::domain::log::{Head, Record};
use crate::domain::{Id, TenantKey};
use crate::service::memory::tenant::State;
use crate::service::memory::{Cache, Stamp, past};
use crate::service::{Error, Service, clocks};
use crate::store::{self, credentials::Holder};

/// What is said to whoever was overtaken while reading what has changed.
const SLOW: &str = "the database did not answer in time";

/// If more records than this are new, forgetting everything is cheaper than reading them.
const RECORDS_MAX: i64 = 4_096;

/// What the database told about itself when it was asked.
#[derive(Clone, Copy, Debug)]
pub struct CommitVersion {
    /// The commit that was known before it was asked.
    before: Option<i64>,
    version: i64,
}

impl Service {
    /// Asks the database what has been committed, for who must not wait: `then` is given what it told, perhaps
    /// on another thread, where it hands it on and does nothing else.
    pub fn ask_commit_version(&self, then: impl FnOnce(Result<CommitVersion, Error>) + Send + 'static) {
        let before = self.inner.cache.tenants.newest();
        let service = self.clone();
        let commit = move |version: store::Result<i64>| {
            // What it told before an outage is as old as that.
            if version.is_ok() {
                clocks::compare(&service);
            }
            then(version.map(|version| CommitVersion { before, version }).map_err(Error::from));
        };
        self.inner.store.tell_data_version(commit);
    }

    /// This service for one request, which has asked the database already: it is not asked again.
    pub fn at_commit(&self, commit: CommitVersion) -> Service {
        Service { commit: Some(commit), ..self.clone() }
    }
}

/// What the database has told this request, or tells now.
pub(in crate::service) fn commit_version(service: &Service) -> Result<CommitVersion, Error> {
    if let Some(commit) = service.commit {
        return Ok(commit);
    }
    let commit =
        CommitVersion { before: service.inner.cache.tenants.newest(), version: service.inner.store.data_version()? };
    clocks::compare(service);
    Ok(commit)
}

/// Forgets what has changed in a tenant since the last request.
pub(in crate::service) fn stamp(service: &Service, tenant: TenantKey) -> Result<Stamp, Error> {
    catch_up(service, tenant, commit_version(service)?)
}

/// The stamp of what is read of a tenant now, if its log was followed as far as the database has told.
pub(in crate::service::memory) fn followed(
    service: &Service,
    tenant: TenantKey,
    commit: CommitVersion,
) -> Option<Stamp> {
    let tenants = &service.inner.cache.tenants;
    let world = tenants.learn(commit.before, commit.version);
    let is_followed =
        |state: &State| state.world == world && state.version.is_some_and(|known| commit.version <= known);
    tenants.with(tenant, |state| is_followed(state).then_some(Stamp { at: state.followed_at })).flatten()
}

/// Forgets what has changed in a tenant, as far as the database has told.
///
/// Nothing may wait for this that has a connection: one at a time reads what has changed in a tenant.
pub(in crate::service) fn catch_up(
    service: &Service,
    tenant: TenantKey,
    commit: CommitVersion,
) -> Result<Stamp, Error> {
    if let Some(stamp) = followed(service, tenant, commit) {
        return Ok(stamp);
    }
    let cache = &service.inner.cache;
    let world = cache.tenants.learn(commit.before, commit.version);
    let following = cache.tenants.of(cache, tenant);
    let _turn = following.turn(|| service.inner.clock.monotonic());
    if let Some(stamp) = followed(service, tenant, commit) {
        return Ok(stamp);
    }
    let (before, past) = {
        let state = following.state();
        (state.end.clone(), state.past.clone())
    };
    let end = end(service, tenant)?;
    let records = match (&before, &end) {
        (Some(before), Some(end)) => match grown(service, tenant, before, end)? {
            Grown::By(records) => Some(records),
            Grown::Much => None,
            Grown::Otherwise => {
                past::find_fork(service, tenant, before, past)?.map_or(Ok(None), |seq| Err(Error::Forked(seq)))?
            }
        },
        (Some(_), None) => None,
        // Whatever was read of it before was not remembered.
        (None, _) => Some(vec![]),
    };
    let mut state = following.state();
    if state.end != before {
        // It took so long that somebody else has read it meanwhile, perhaps from another server.
        drop(state);
        return followed(service, tenant, commit).ok_or(Error::Busy(SLOW));
    }
    match (&records, &end) {
        (Some(records), _) if before.is_some() => {
            records.iter().for_each(|record| forget(cache, &mut state, tenant, record));
            records.iter().for_each(|record| state.past.push(record.seq, record.hash));
        }
        (_, Some(end)) => state.past.begin(end),
        (_, None) => {}
    }
    if records.is_none() {
        state.forget(cache);
    }
    (state.version, state.world, state.end) = (Some(commit.version), world, end);
    state.followed_at = cache.next_number();
    Ok(Stamp { at: state.followed_at })
}

/// Where a log ends. Nobody is answered by one that has lost what servers knew, until somebody on the host has accepted
/// that: a key that was revoked last may be alive in it.
fn end(service: &Service, tenant: TenantKey) -> Result<Option<Head>, Error> {
    let end = service.read(|conn| match store::log::head(conn, tenant) {
        Err(error) if error.is_not_found() => Ok(None),
        found => Ok(Some(found?)),
    })?;
    match end.as_ref().and_then(|end| end.fork.after) {
        Some(after) => Err(Error::Forked(after)),
        None => Ok(end),
    }
}

/// What a log has become since its end was another.
enum Grown {
    /// It has these records more.
    By(Vec<Record>),
    /// It has more than is worth reading.
    Much,
    /// It is not the log that it was, whatever its numbers.
    Otherwise,
}

fn grown(service: &Service, tenant: TenantKey, known: &Head, end: &Head) -> Result<Grown, Error> {
    if known == end {
        return Ok(Grown::By(vec![]));
    }
    let by = end.next_seq - known.next_seq;
    if by < 0 {
        return Ok(Grown::Otherwise);
    }
    // The last record that was known is read once more: all that went before hangs on its hash.
    let from = (known.next_seq - 1).max(0);
    let count = if by > RECORDS_MAX { 1 } else { end.next_seq - from };
    let mut records = service.read(|conn| Ok(store::log::records(conn, tenant, from, count)?))?.into_iter();
    if known.next_seq > 0 && records.next().is_none_or(|last| last.hash != known.hash) {
        return Ok(Grown::Otherwise);
    }
    Ok(if by > RECORDS_MAX { Grown::Much } else { Grown::By(records.collect()) })
}

fn forget(cache: &Cache, state: &mut State, tenant: TenantKey, record: &Record) {
    let id = Id::parse(&record.subject_id);
    if record.action.starts_with("principal.") || record.action.ends_with(".deleted") {
        state.lives = cache.next_number();
    }
    match (record.subject_kind.as_str(), id) {
        // The state of roles and mappings has a number of its own.
        ("api" | "role" | "mapping", _) => {}
        ("credential", Some(id)) => cache.forget_callers(|holder| holder.stored.credential.id == id),
        ("group", _) => state.groups = cache.next_number(),
        (_, Some(id)) => {
            cache.documents.forget(tenant, id);
            cache.accesses.remove(&(tenant, id));
            cache.forget_callers(|holder: &Holder| {
                holder.owner.id == id || holder.connection.as_ref().is_some_and(|connection| connection.id == id)
            });
        }
        (_, None) => state.forget(cache),
    }
}
