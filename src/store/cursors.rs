//! How far each job of the worker has come in a tenant's log.

use chrono::{DateTime, Utc};
use diesel::prelude::*;

use super::connection::{Bind, Conn, on};
use super::error::Result;
use super::schema::worker_cursors;
use super::types::millis;
use crate::domain::TenantKey;

/// The first record that a job has not dealt with.
///
/// # Errors
/// If the database cannot be read.
pub fn next_seq(conn: &mut Conn, tenant: TenantKey, job: &str) -> Result<i64> {
    let query = worker_cursors::table.find((tenant.0, job)).select(worker_cursors::next_seq);
    Ok(on!(conn, |c| query.get_result::<i64>(c).optional())?.unwrap_or(0))
}

/// Notes how far a job has come.
///
/// # Errors
/// If the database cannot be written.
pub fn set_next_seq(conn: &mut Conn, tenant: TenantKey, job: &str, next_seq: i64, now: DateTime<Utc>) -> Result<()> {
    const SQL: &str = "INSERT INTO worker_cursors (tenant, job, next_seq, updated) VALUES (?, ?, ?, ?) \
         ON CONFLICT (tenant, job) DO UPDATE SET next_seq = excluded.next_seq, updated = excluded.updated";
    let binds = [Bind::Int(tenant.0), Bind::Text(job), Bind::Int(next_seq), Bind::Int(millis(now))];
    conn.execute_sql(SQL, &binds)?;
    Ok(())
}
