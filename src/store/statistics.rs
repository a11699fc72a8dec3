//! What a database has counted of its rows, by which it plans statements.
//!
//! No statement of ours needs it (see `session`), and autovacuum counts as well where it is on. A database that knows
//! what it holds plans what an operator asks it by hand, too.

use chrono::{DateTime, Utc};
use diesel::sql_types::BigInt;

use super::connection::{Bind, Conn};
use super::error::Result;
use super::schema::TABLES;
use super::types::millis;

/// The records of all logs, now and when the rows were last counted for a job.
///
/// # Errors
/// If the database cannot be read.
pub fn records(conn: &mut Conn, job: &str) -> Result<(i64, i64)> {
    const SQL: &str = "SELECT CAST(coalesce(sum(h.next_seq), 0) AS bigint), CAST(coalesce(sum( \
         (SELECT c.next_seq FROM worker_cursors c WHERE c.tenant = h.tenant AND c.job = ?)), 0) AS bigint) FROM log_heads h";
    let found = conn.load_sql::<(BigInt, BigInt), (i64, i64)>(SQL, &[Bind::Text(job)])?;
    Ok(found.into_iter().next().unwrap_or_default())
}

/// Notes that the rows were counted for a job, with the records that there are.
///
/// # Errors
/// If the database cannot be written.
pub fn counted(conn: &mut Conn, job: &str, now: DateTime<Utc>) -> Result<()> {
    // WHERE, so that SQLite takes ON for no join's.
    const SQL: &str = "INSERT INTO worker_cursors (tenant, job, next_seq, updated) \
         SELECT h.tenant, CAST(? AS text), h.next_seq, CAST(? AS bigint) FROM log_heads h WHERE TRUE \
         ON CONFLICT (tenant, job) DO UPDATE SET next_seq = excluded.next_seq, updated = excluded.updated \
         WHERE worker_cursors.next_seq <> excluded.next_seq";
    conn.execute_sql(SQL, &[Bind::Text(job), Bind::Int(millis(now))])?;
    Ok(())
}

/// Forgets that: for a database into which all rows were put just now.
///
/// # Errors
/// If the database cannot be written.
pub fn uncounted(conn: &mut Conn, job: &str) -> Result<()> {
    conn.execute_sql("DELETE FROM worker_cursors WHERE job = ?", &[Bind::Text(job)])?;
    Ok(())
}

/// Has PostgreSQL look at a sample of each table. Readers and writers go on meanwhile; what somebody else looks at, or is
/// changing the shape of, is left to them. A sample may take longer than a request is given.
pub(super) fn analyze(conn: &mut Conn) -> Result<()> {
    for table in TABLES {
        conn.batch(&format!("SET LOCAL statement_timeout = '10min'; ANALYZE (SKIP_LOCKED) \"{table}\""))?;
    }
    Ok(())
}

/// Has SQLite do so for those tables that it knows nothing of, or of which it knows ten times as many or as few rows
/// (<https://sqlite.org/pragma.html#pragma_optimize>; the mask says that it matters not what was asked on this
/// connection). It reads at most 2 000 rows by each index: others wait for no longer than that.
pub(super) fn optimize(conn: &mut Conn) -> Result<()> {
    Ok(conn.batch("PRAGMA optimize = 0x10002")?)
}
