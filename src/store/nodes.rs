//! The servers on one PostgreSQL, each by a row that it renews, and how far each of them has come.
//!
//! How far is a number of transactions that have ended: one for the logs of all tenants, and snapshots of one primary
//! are nested, so whoever is at a number knows everything that was committed before it. A server that wants to know
//! whether the others know of a commit asks them by its own row; they see it when they look next, and answer by
//! theirs. So nothing is written as long as nobody asks, but once a second that a server is there.

use std::time::Duration;

use chrono::{DateTime, Utc};
use diesel::sql_types::{BigInt, Binary, Text};

use super::connection::{Bind, Conn};
use super::error::{Error, OUTDATED, Result};
use super::steps::{NEWEST, OVERTAKING};
use super::types::Column;
use crate::domain::Id;

/// What a server tells others of itself.
#[derive(Clone, Debug)]
pub struct Member {
    /// Of this process alone.
    pub id: Id,
    /// The version of Keyroll.
    pub version: &'static str,
    /// The machine's name.
    pub host: String,
    /// Where it listens.
    pub address: String,
}

/// A server, as its row tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node {
    /// Of its process alone.
    pub id: Id,
    /// The version of Keyroll.
    pub version: String,
    /// The machine's name.
    pub host: String,
    /// Where it listens.
    pub address: String,
    /// Since when it is there.
    pub started: DateTime<Utc>,
    /// When it last renewed the row.
    pub seen: DateTime<Utc>,
    /// How long ago that is by the database's clock, in milliseconds.
    pub silent_millis: i64,
    /// How far it had come then.
    pub applied: i64,
}

/// What a server knows after it has looked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Beat {
    /// How far the database had come.
    pub ended: i64,
    /// What this server last asked the others.
    pub asked: Asked,
    /// Every server that has a row, this one perhaps among them.
    pub nodes: Vec<Node>,
}

/// How far others are asked to come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Asked {
    /// The question; it is an answer to all before it.
    pub question: u64,
    /// How far the database had come then.
    pub number: i64,
}

/// How often a server renews its row, in milliseconds.
const RENEW_MILLIS: i64 = 1_000;

/// After how long a row is of no interest any more, in milliseconds: a day.
const KEPT_MILLIS: i64 = 86_400_000;

/// After how long the row of a process that listened where this one does is another one's past, in milliseconds.
const REPLACED_MILLIS: i64 = 3_000;

/// The database's clock, and how far it has come: see `connection::ended`.
const TOLD: &str = "SELECT CAST(extract(epoch FROM clock_timestamp()) * 1000 AS bigint) AS millis, \
     CAST(CAST(pg_snapshot_xmax(pg_current_snapshot()) AS text) AS bigint) \
     - (SELECT count(*) FROM pg_snapshot_xip(pg_current_snapshot())) AS ended";

/// The row of a server that has one.
type Row = (Vec<u8>, String, String, String, i64, i64, i64);
type SqlRow = (Binary, Text, Text, Text, BigInt, BigInt, BigInt);

/// Takes away what nobody misses, before the first look of a server.
pub(super) fn join(conn: &mut Conn, own: &Member) -> Result<()> {
    let sql = format!(
        "DELETE FROM nodes WHERE seen < (SELECT millis FROM ({TOLD}) AS told) \
         - CASE WHEN host = ? AND address = ? THEN {REPLACED_MILLIS} ELSE {KEPT_MILLIS} END"
    );
    conn.execute_sql(&sql, &[Bind::Text(&own.host), Bind::Text(&own.address)])?;
    Ok(())
}

/// Looks who is there, and tells what others want to know: that this one is there, and how far it has come. With `asks`
/// it asks them how far they have. Its row may have gone meanwhile; the process is as old as before.
pub(super) fn beat(conn: &mut Conn, own: &Member, age: Duration, asks: bool) -> Result<Beat> {
    let overtaking = format!("{OVERTAKING} '{NEWEST}'");
    let sql = format!(
        "WITH told AS MATERIALIZED ({TOLD}), \
         own AS (INSERT INTO nodes AS n (id, version, host, address, schema, started, seen, applied, asks) \
             SELECT ?, ?, ?, ?, '{NEWEST}', millis - ?, millis, ended, CASE WHEN ? = 1 THEN ended ELSE 0 END FROM told \
             WHERE ? = 1 OR NOT EXISTS (SELECT FROM nodes WHERE id = ? \
                 AND seen > millis - {RENEW_MILLIS} AND seen <= millis \
                 AND applied >= (SELECT COALESCE(max(asks), 0) FROM nodes WHERE id <> ?)) \
             ON CONFLICT (id) DO UPDATE SET seen = excluded.seen, applied = excluded.applied, \
                 asks = GREATEST(n.asks, excluded.asks)) \
         SELECT COALESCE(n.id, ''), COALESCE(version, ''), COALESCE(host, ''), COALESCE(address, ''), \
             COALESCE(started, 0), COALESCE(seen, 0), COALESCE(applied, 0), millis, ended, ({overtaking}) \
         FROM told LEFT JOIN nodes AS n ON true"
    );
    let (id, asks) = (own.id.as_bytes(), i64::from(asks));
    let texts = [own.version, &own.host, &own.address].map(Bind::Text);
    let [version, host, address] = texts;
    let age = i64::try_from(age.as_millis()).unwrap_or(i64::MAX);
    let [age, first, second] = [age, asks, asks].map(Bind::Int);
    let binds = [Bind::Bytes(id), version, host, address, age, first, second, Bind::Bytes(id), Bind::Bytes(id)];
    type Told = (Vec<u8>, String, String, String, i64, i64, i64, i64, i64, i64);
    type SqlTold = (Binary, Text, Text, Text, BigInt, BigInt, BigInt, BigInt, BigInt, BigInt);
    let rows = conn.load_sql::<SqlTold, Told>(&sql, &binds)?;
    if rows.first().is_some_and(|row| row.9 > 0) {
        return Err(Error::Unavailable(OUTDATED.to_owned()));
    }
    let ended = rows.first().map_or(0, |row| row.8);
    let node = |(id, version, host, address, started, seen, applied, millis, ..): Told| {
        read((id, version, host, address, started, seen, applied), millis)
    };
    let nodes = rows.into_iter().filter(|row| !row.0.is_empty()).map(node).collect::<Result<_>>()?;
    Ok(Beat { ended, asked: Asked::default(), nodes })
}

/// Takes leave.
///
/// # Errors
/// If the database cannot be written.
pub fn leave(conn: &mut Conn, id: &Id) -> Result<()> {
    conn.execute_sql("DELETE FROM nodes WHERE id = ?", &[Bind::Bytes(id.as_bytes())])?;
    Ok(())
}

/// Every server that has a row, and how far the database has come; none on the embedded database.
///
/// # Errors
/// If the database cannot be read.
pub fn all(conn: &mut Conn) -> Result<Beat> {
    if conn.is_embedded() {
        return Ok(Beat { ended: 0, asked: Asked::default(), nodes: vec![] });
    }
    let (millis, ended) = conn.load_sql::<(BigInt, BigInt), (i64, i64)>(TOLD, &[])?.pop().unwrap_or_default();
    const SQL: &str = "SELECT id, version, host, address, started, seen, applied FROM nodes";
    let rows = conn.load_sql::<SqlRow, Row>(SQL, &[])?;
    Ok(Beat {
        ended,
        asked: Asked::default(),
        nodes: rows.into_iter().map(|row| read(row, millis)).collect::<Result<_>>()?,
    })
}

fn read((id, version, host, address, started, seen, applied): Row, millis: i64) -> Result<Node> {
    let id = Column("nodes", "id").id(&id)?;
    // A clock that was put back makes nobody silent.
    let silent_millis = (millis - seen).abs();
    let (started, seen) = (Column("nodes", "started").time(started)?, Column("nodes", "seen").time(seen)?);
    Ok(Node { id, version, host, address, started, seen, silent_millis, applied })
}
