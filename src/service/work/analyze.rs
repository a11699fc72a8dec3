//! Having the database count its rows after a large change.

use chrono::{DateTime, Utc};

use crate::service::work::{Lag, Lease, Outcome};
use crate::service::{Error, Service};
use crate::store;

/// The name of the job.
pub const JOB: &str = "analyze";

/// A change that is not large, in records of all logs: so many, or a tenth of those that there were the last time.
const RECORDS_MIN: i64 = 1_000;

/// How many records came since the rows were last counted, if these are many.
fn due(service: &Service) -> Result<Option<i64>, Error> {
    let (records, counted) = service.read(|conn| Ok::<_, Error>(store::statistics::records(conn, JOB)?))?;
    Ok(Some(records - counted).filter(|new| *new > RECORDS_MIN.max(counted / 10)))
}

/// Has the rows counted, if that is due. The lease is taken before and let go of behind it: no transaction is open
/// meanwhile that others would wait for.
///
/// # Errors
/// If the store fails.
pub fn step(service: &Service, lease: &Lease, now: DateTime<Utc>) -> Result<Outcome, Error> {
    let Some(records) = due(service)? else { return Ok(Outcome::Idle) };
    if service.read(|conn| lease.is_elsewhere(conn, now))? {
        return Ok(Outcome::Elsewhere);
    }
    let taken = lease.step(service, now, |_| Ok(false))?;
    if taken != Outcome::Worked {
        return Ok(taken);
    }
    service.inner.store.analyze()?;
    let outcome = lease.step(service, now, move |conn| {
        store::statistics::counted(conn, JOB, now)?;
        Ok(true)
    })?;
    log::info!(job = JOB, records; "the database has counted its rows after a large change");
    Ok(outcome)
}

/// How far the counts are behind.
///
/// # Errors
/// If the store fails.
pub fn lag(service: &Service) -> Result<Lag, Error> {
    Ok(Lag { records: due(service)?.unwrap_or(0), since: None })
}
