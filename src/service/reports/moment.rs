//! The moment that a question is about: the present, or the state that a time found.

use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};

use crate::domain::{Policy, TenantKey, moment};
use crate::scim::text::render_time;
use crate::service::access::facts::At;
use crate::service::access::policy;
use crate::service::work::sweep;
use crate::service::{Error, Service, memory};
use crate::store::{self, Conn};

/// A moment, and the policy that holds then.
pub(in crate::service) struct Moment {
    /// The last record of a past state.
    pub(in crate::service::reports) at: At,
    /// The time by which grants have run out or not.
    pub(in crate::service::reports) time: DateTime<Utc>,
    /// The last record that is seen.
    pub(in crate::service) as_of_seq: i64,
    /// Roles and mappings.
    pub(in crate::service) policy: Arc<Policy>,
}

/// The present, or a time that a client names.
///
/// # Errors
/// 400 for what is neither a time nor a date, 422 for one before the first record or beyond what is kept.
pub(in crate::service) fn at(
    service: &Service,
    conn: &mut Conn,
    tenant: TenantKey,
    at: Option<&str>,
) -> Result<Moment, Error> {
    let Some(text) = at else {
        let head = store::log::head(conn, tenant)?;
        let policy = policy::of(service, conn, tenant, &head)?;
        return Ok(Moment {
            at: None,
            time: memory::now_in(service, tenant).max(head.time),
            as_of_seq: head.next_seq - 1,
            policy,
        });
    };
    let time = moment::parse(text, service.now());
    let time = time.ok_or_else(|| Error::Malformed(format!("at: {}", moment::EXPECTED)))?;
    let seq = seq_at(service, conn, tenant, time)?;
    Ok(Moment { at: Some(seq), time, as_of_seq: seq, policy: policy::at(conn, tenant, seq)? })
}

/// The last record that is not later than a time.
fn seq_at(service: &Service, conn: &mut Conn, tenant: TenantKey, time: DateTime<Utc>) -> Result<i64, Error> {
    let days = service.settings().limits.history_days;
    let gone = || Error::invalid("/at", format!("at: what was true is kept for {days} days"));
    if time < service.now() - TimeDelta::days(days) {
        return Err(gone());
    }
    let Some(seq) = store::log::seq_at(conn, tenant, time)? else {
        let first = store::log::times(conn, tenant, &[0])?.get(&0).copied();
        let of = first.map(|time| format!(", which is of {}", render_time(time))).unwrap_or_default();
        return Err(Error::invalid("/at", format!("at: before the first record{of}")));
    };
    if sweep::is_kept(conn, tenant, seq)? { Ok(seq) } else { Err(gone()) }
}
