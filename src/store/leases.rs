//! Which node does a job of the worker at present: one row for each job, which a node takes by writing it.

use chrono::{DateTime, TimeDelta, Utc};
use diesel::sql_types::BigInt;

use super::connection::{Bind, Conn};
use super::error::Result;
use super::types::millis;
use crate::domain::Id;

/// The time by which a lease ends: a database server's own, since the clocks of nodes differ. Nodes on the embedded
/// database share one machine, and its clock.
fn now(conn: &mut Conn, own: DateTime<Utc>) -> Result<i64> {
    const SQL: &str = "SELECT CAST(extract(epoch FROM clock_timestamp()) * 1000 AS bigint)";
    Ok(match conn.is_embedded() {
        true => millis(own),
        false => conn.load_sql::<BigInt, i64>(SQL, &[])?.pop().unwrap_or(0),
    })
}

/// Whether somebody else does a job.
///
/// # Errors
/// If the database cannot be read.
pub fn is_elsewhere(conn: &mut Conn, job: &str, holder: &Id, own: DateTime<Utc>) -> Result<bool> {
    const SQL: &str = "SELECT until FROM worker_leases WHERE job = ? AND holder <> ? AND until > ?";
    let binds = [Bind::Text(job), Bind::Bytes(holder.as_bytes()), Bind::Int(now(conn, own)?)];
    Ok(!conn.load_sql::<BigInt, i64>(SQL, &binds)?.is_empty())
}

/// Takes a job that nobody does, or goes on with one; gives whether it is the holder's now. On PostgreSQL the row
/// stays locked until the transaction ends: nobody else takes the job before what is written beside it is committed.
///
/// # Errors
/// If the database cannot be written.
pub fn take(conn: &mut Conn, job: &str, holder: &Id, own: DateTime<Utc>, length: TimeDelta) -> Result<bool> {
    const SQL: &str = "INSERT INTO worker_leases (job, holder, until) VALUES (?, ?, ?) \
         ON CONFLICT (job) DO UPDATE SET holder = excluded.holder, until = excluded.until \
         WHERE worker_leases.holder = excluded.holder OR worker_leases.until <= ?";
    let now = now(conn, own)?;
    let until = now.saturating_add(length.num_milliseconds());
    let binds = [Bind::Text(job), Bind::Bytes(holder.as_bytes()), Bind::Int(until), Bind::Int(now)];
    Ok(conn.execute_sql(SQL, &binds)? > 0)
}

/// Lets anybody take a job that is done.
///
/// # Errors
/// If the database cannot be written.
pub fn release(conn: &mut Conn, job: &str, holder: &Id) -> Result<()> {
    const SQL: &str = "UPDATE worker_leases SET until = 0 WHERE job = ? AND holder = ?";
    conn.execute_sql(SQL, &[Bind::Text(job), Bind::Bytes(holder.as_bytes())])?;
    Ok(())
}
