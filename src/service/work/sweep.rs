//! Taking away what was true before `history_days`. Nothing of it is recorded: what happened stays in the log, and an
//! answer about a time that is kept stays as it is.

use chrono::{DateTime, DurationRound, TimeDelta, Utc};

use crate::domain::TenantKey;
use crate::service::work::{Lag, Lease, Outcome, believe_clock};
use crate::service::{Error, Service};
use crate::store::sweep::Span;
use crate::store::{self, Conn};

/// The name of the job.
pub const JOB: &str = "sweep";

/// How many states of each kind go in one step.
const STATES_MAX: i64 = 250;

/// The time before which nothing is kept. It moves once an hour: on the embedded database each step of a sweep makes
/// the server forget what it remembers.
///
/// # Errors
/// If there is no such time.
pub fn horizon(service: &Service, now: DateTime<Utc>) -> Result<DateTime<Utc>, Error> {
    let days = TimeDelta::try_days(service.settings().limits.history_days);
    let horizon = days.and_then(|days| now.checked_sub_signed(days));
    let hour = horizon.and_then(|horizon| horizon.duration_trunc(TimeDelta::hours(1)).ok());
    hour.ok_or_else(|| Error::internal("no time is so long ago"))
}

/// Sweeps a part of what there is before a horizon.
///
/// # Errors
/// If this node's clock is not to be believed, or the store fails.
pub fn step(service: &Service, lease: &Lease, now: DateTime<Utc>) -> Result<Outcome, Error> {
    let horizon = horizon(service, now)?;
    let found = service.read(|conn| {
        for tenant in store::tenants::all(conn)? {
            if due(conn, tenant.key, horizon)?.is_some() {
                return Ok(Some((tenant.key, lease.is_elsewhere(conn, now)?)));
            }
        }
        Ok(None)
    })?;
    match found {
        None => Ok(Outcome::Idle),
        Some((_, true)) => Ok(Outcome::Elsewhere),
        Some((tenant, false)) => {
            believe_clock(service)?;
            lease.step(service, now, move |conn| sweep(conn, tenant, horizon, now))
        }
    }
}

/// How far the sweep is behind.
///
/// # Errors
/// If the store fails.
pub fn lag(service: &Service, now: DateTime<Utc>) -> Result<Lag, Error> {
    let (horizon, kept) = (horizon(service, now)?, TimeDelta::days(service.settings().limits.history_days));
    service.read(|conn| {
        let mut lag = Lag::default();
        for tenant in store::tenants::all(conn)? {
            let Some(due) = due(conn, tenant.key, horizon)? else { continue };
            lag.records += due.span.end - due.oldest;
            let ended = store::log::times(conn, tenant.key, &[due.oldest])?.get(&due.oldest).copied();
            let since = ended.and_then(|ended| ended.checked_add_signed(kept));
            lag.since = lag.since.into_iter().chain(since).min();
        }
        Ok(lag)
    })
}

/// Whether all is there still that was true after a record. Another node's clock may be ahead of this one's, and what
/// is kept may have been less.
pub(in crate::service) fn is_kept(conn: &mut Conn, tenant: TenantKey, seq: i64) -> Result<bool, Error> {
    Ok(seq + 1 >= store::cursors::next_seq(conn, tenant, JOB)?)
}

/// What there is to do in a tenant.
struct Due {
    /// The records that were never looked at, and are of a time that is kept no longer.
    span: Span,
    /// The first record that has ended a state which is still there.
    oldest: i64,
}

fn due(conn: &mut Conn, tenant: TenantKey, horizon: DateTime<Utc>) -> Result<Option<Due>, Error> {
    let Some(last) = store::log::seq_at(conn, tenant, horizon)? else { return Ok(None) };
    let from = store::cursors::next_seq(conn, tenant, JOB)?;
    let span = Span { from, end: from.max(last + 1) };
    Ok(store::sweep::oldest(conn, tenant, span)?.map(|oldest| Due { span, oldest }))
}

/// Does a part in the transaction of a step; gives whether that was all.
fn sweep(conn: &mut Conn, tenant: TenantKey, horizon: DateTime<Utc>, now: DateTime<Utc>) -> Result<bool, Error> {
    let Some(due) = due(conn, tenant, horizon)? else { return Ok(true) };
    let part = store::sweep::part(conn, tenant, due.span, STATES_MAX)?;
    store::cursors::set_next_seq(conn, tenant, JOB, part.end, now)?;
    store::sweep::principals(conn, tenant, part)?;
    store::sweep::resources(conn, tenant, part)?;
    store::sweep::memberships(conn, tenant, part.end, STATES_MAX)?;
    let rest = Span { from: part.end, ..due.span };
    Ok(store::sweep::oldest(conn, tenant, rest)?.is_none())
}
