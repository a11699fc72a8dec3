//! What is forgotten, and when.

use crate::domain::log::Head;
use crate::domain::{Id, TenantKey};
use crate::service::memory::tenant::State;
use crate::service::memory::{Cache, Stamp, past};
use crate::service::{Error, Service, clocks};
use crate::store::{self, credentials::Holder, log::Step};

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

/// Follows the log of each tenant that is known, as the next request of it would: that it forked is found by whoever
/// asks first, and that may be a probe. Nothing is read where nothing was committed.
pub(in crate::service) fn follow_known(service: &Service) -> Result<(), Error> {
    let commit = commit_version(service)?;
    service.inner.cache.tenants.known().into_iter().try_for_each(|tenant| catch_up(service, tenant, commit).map(|_| ()))
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
    let before = following.state().end.clone();
    // The last record that was known is read once more: all that went before hangs on its hash.
    let from = before.as_ref().map_or(i64::MAX, |known| (known.next_seq - 1).max(0));
    let found = service.read(|conn| Ok(store::log::follow(conn, tenant, from, RECORDS_MAX + 1)?))?;
    let (end, steps) = found.map_or((None, vec![]), |(end, steps)| (Some(end), steps));
    // Nobody is answered by a log that has lost what servers knew, until somebody on the host has accepted that: a key
    // that was revoked last may be alive in it.
    if let Some(after) = end.as_ref().and_then(|end| end.fork.after) {
        return Err(Error::Forked(after));
    }
    let steps = match (&before, &end) {
        (Some(before), Some(end)) => match grown(before, end, steps) {
            Grown::By(steps) => Some(steps),
            Grown::Much => None,
            Grown::Otherwise => {
                let past = following.state().past.clone();
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
    match (&steps, &end) {
        (Some(steps), _) if before.is_some() => {
            steps.iter().for_each(|step| forget(cache, &mut state, tenant, step));
            steps.iter().for_each(|step| state.past.push(step.seq, step.hash));
        }
        (_, Some(end)) => state.past.begin(end),
        (_, None) => {}
    }
    if steps.is_none() {
        state.forget(cache);
    }
    (state.version, state.world, state.end) = (Some(commit.version), world, end);
    state.followed_at = cache.next_number();
    Ok(Stamp { at: state.followed_at })
}

/// What a log has become since its end was another.
enum Grown {
    /// It has these records more.
    By(Vec<Step>),
    /// It has more than is worth reading.
    Much,
    /// It is not the log that it was, whatever its numbers.
    Otherwise,
}

fn grown(known: &Head, end: &Head, steps: Vec<Step>) -> Grown {
    if known == end {
        return Grown::By(vec![]);
    }
    let by = end.next_seq - known.next_seq;
    let mut steps = steps.into_iter();
    // Of an empty log there is none to stand.
    let stands = known.next_seq == 0 || steps.next().is_some_and(|last| last.hash == known.hash);
    match by {
        _ if !stands || by < 0 => Grown::Otherwise,
        ..=RECORDS_MAX => Grown::By(steps.take(usize::try_from(by).unwrap_or(0)).collect()),
        _ => Grown::Much,
    }
}

fn forget(cache: &Cache, state: &mut State, tenant: TenantKey, step: &Step) {
    let id = Id::parse(&step.subject_id);
    if step.action.starts_with("principal.") || step.action.ends_with(".deleted") {
        state.lives = cache.next_number();
    }
    match (step.subject_kind.as_str(), id) {
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
