//! A write on PostgreSQL that changes nothing: whether another session's lock would keep a real one
//! waiting, and a full disk refuse it.

use diesel::sql_types::BigInt;

use super::connection::{Bind, Conn};
use super::error::Result;
use super::schema::TABLES;
use crate::domain::TenantKey;

/// So that whoever asks is told within five seconds; a real write waits longer.
const WAIT: &str = "SET LOCAL lock_timeout = '2s'";

/// How many logs are tried. One of them that is locked is enough to know.
const LOGS_MAX: i64 = 16;

/// Writes a row that nobody reads, and gives a log that somebody has locked.
pub(super) fn on_tables(conn: &mut Conn) -> Result<Option<TenantKey>> {
    conn.execute_sql(WAIT, &[])?;
    let tables = TABLES.map(|table| format!("\"{table}\"")).join(", ");
    conn.execute_sql(&format!("LOCK TABLE {tables} IN ROW EXCLUSIVE MODE"), &[])?;
    let sql = "INSERT INTO installation (name, value) VALUES ('probe', '') \
               ON CONFLICT (name) DO UPDATE SET value = excluded.value";
    conn.execute_sql(sql, &[])?;
    let logs = "SELECT tenant FROM log_heads ORDER BY tenant LIMIT ?";
    let sql = format!(
        "WITH free AS MATERIALIZED ({logs} FOR UPDATE SKIP LOCKED) \
         SELECT tenant FROM ({logs}) AS logs WHERE tenant NOT IN (SELECT tenant FROM free) LIMIT 1"
    );
    let binds = [Bind::Int(LOGS_MAX), Bind::Int(LOGS_MAX)];
    Ok(conn.load_sql::<BigInt, i64>(&sql, &binds)?.pop().map(TenantKey))
}

/// Writes more than has room on the pages that there are, and takes it back: after a disk was full, what changes rows in
/// their places says nothing of new ones. Random, or it would be compressed.
pub(super) fn on_disk(conn: &mut Conn) -> Result<()> {
    conn.execute_sql(WAIT, &[])?;
    let large = "SELECT CAST(string_agg(md5(CAST(random() AS text)), '') AS bytea) FROM generate_series(1, 8192)";
    conn.execute_sql(&format!("INSERT INTO installation (name, value) VALUES ('space', ({large}))"), &[])?;
    conn.execute_sql("DELETE FROM installation WHERE name = 'space'", &[])?;
    Ok(())
}

/// Waits for a log that somebody has locked, holding no other one back meanwhile.
pub(super) fn on_log(conn: &mut Conn, tenant: TenantKey) -> Result<()> {
    conn.execute_sql(WAIT, &[])?;
    conn.load_sql::<BigInt, i64>("SELECT tenant FROM log_heads WHERE tenant = ? FOR UPDATE", &[Bind::Int(tenant.0)])?;
    Ok(())
}
