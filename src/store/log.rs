//! The log's rows: bytes that are never rendered again, and one head for each tenant.
//!
//! Whoever appends locks the head first: that gives numbers in the order of commits.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Binary, Nullable, Text};

use super::connection::{Bind, CHUNK, Conn, LISTED, List, alter, on};
use super::db::Db;
use super::error::Result;
use super::row::{self, row};
use super::schema::{log_heads, log_records};
use super::staged::{Cell, LOG_HEADS, LOG_RECORDS, Op};
use super::types::{Column, ResourceKey};
use crate::domain::TenantKey;
use crate::domain::log::{Fork, Head, Record};

#[derive(Queryable, Selectable)]
#[diesel(table_name = log_heads)]
struct HeadRow {
    next_seq: i64,
    hash: Vec<u8>,
    time: i64,
    policy_seq: i64,
    policy_epoch: i64,
    forked_after: Option<i64>,
    fork_accepted: Option<i64>,
}

impl HeadRow {
    fn into_domain(self) -> Result<Head> {
        Ok(Head {
            next_seq: self.next_seq,
            hash: Column("log_heads", "hash").hash(&self.hash)?,
            time: micros(Column("log_heads", "time"), self.time)?,
            policy_seq: self.policy_seq,
            policy_epoch: self.policy_epoch,
            fork: Fork {
                after: self.forked_after,
                accepted: self.fork_accepted.map(|at| micros(Column("log_heads", "fork_accepted"), at)).transpose()?,
            },
        })
    }
}

row! {
    log_records {
        seq: i64,
        time: i64,
        action: String,
        subject_kind: String,
        subject_id: String,
        bytes: Vec<u8>,
        hash: Vec<u8>,
    }
}

impl Row {
    fn into_domain(self) -> Result<Record> {
        Ok(Record {
            seq: self.seq,
            time: micros(Column("log_records", "time"), self.time)?,
            action: self.action,
            subject_kind: self.subject_kind,
            subject_id: self.subject_id,
            bytes: self.bytes,
            hash: Column("log_records", "hash").hash(&self.hash)?,
        })
    }
}

fn micros(column: Column, micros: i64) -> Result<DateTime<Utc>> {
    DateTime::from_timestamp_micros(micros).ok_or_else(|| column.corrupt("no time"))
}

/// Starts the log of a new tenant.
///
/// # Errors
/// A unique violation if it has one.
pub fn start(conn: &mut Conn, tenant: TenantKey, head: &Head) -> Result<()> {
    let values = (
        log_heads::tenant.eq(tenant.0),
        log_heads::next_seq.eq(head.next_seq),
        log_heads::hash.eq(&head.hash[..]),
        log_heads::time.eq(head.time.timestamp_micros()),
        log_heads::policy_seq.eq(head.policy_seq),
        log_heads::policy_epoch.eq(head.policy_epoch),
    );
    alter!(conn, |c| diesel::insert_into(log_heads::table).values(values).execute(c))?;
    Ok(())
}

/// The head of a tenant's log, locked until the transaction ends.
///
/// # Errors
/// [`diesel::result::Error::NotFound`] if the tenant has no log.
pub fn lock_head(conn: &mut Conn, tenant: TenantKey) -> Result<Head> {
    if let Some(head) = conn.unit.head(tenant) {
        return Ok(head);
    }
    let row = match conn.unsettled() {
        // The one writer needs no lock.
        Db::Sqlite(c) => log_heads::table.find(tenant.0).select(HeadRow::as_select()).get_result::<HeadRow>(c),
        Db::Postgres(c) => {
            log_heads::table.find(tenant.0).select(HeadRow::as_select()).for_update().get_result::<HeadRow>(c)
        }
    };
    let head = row?.into_domain()?;
    conn.unit.locked(tenant, &head);
    Ok(head)
}

/// The head of a tenant's log.
///
/// # Errors
/// [`diesel::result::Error::NotFound`] if the tenant has no log.
pub fn head(conn: &mut Conn, tenant: TenantKey) -> Result<Head> {
    on!(conn, |c| log_heads::table.find(tenant.0).select(HeadRow::as_select()).get_result::<HeadRow>(c))?.into_domain()
}

/// What a record says to whoever remembers something.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// Its number.
    pub seq: i64,
    /// What happened.
    pub action: String,
    /// The type of its subject.
    pub subject_kind: String,
    /// The id of its subject.
    pub subject_id: String,
    /// Of its bytes.
    pub hash: [u8; 32],
}

/// The head of a tenant's log, and what the records say from a number on, as many as there may be in one statement: who
/// follows a log asks for both each time. `None` if the tenant has no log.
///
/// # Errors
/// If the database cannot be read.
pub fn follow(conn: &mut Conn, tenant: TenantKey, from: i64, limit: i64) -> Result<Option<(Head, Vec<Step>)>> {
    type Own = (i64, Vec<u8>, i64, i64, i64, Option<i64>, Option<i64>);
    type SqlOwn = (BigInt, Binary, BigInt, BigInt, BigInt, Nullable<BigInt>, Nullable<BigInt>);
    type Said = Option<String>;
    type SqlSaid = Nullable<Text>;
    type Row = (Own, (Option<i64>, Said, Said, Said, Option<Vec<u8>>));
    type SqlRow = (SqlOwn, (Nullable<BigInt>, SqlSaid, SqlSaid, SqlSaid, Nullable<Binary>));
    const SQL: &str = "SELECT h.next_seq, h.hash, h.time, h.policy_seq, h.policy_epoch, h.forked_after, h.fork_accepted, \
         r.seq, r.action, r.subject_kind, r.subject_id, r.hash \
         FROM log_heads h LEFT JOIN log_records r ON r.tenant = h.tenant AND r.seq >= ? AND r.seq < ? WHERE h.tenant = ?";
    let binds = [Bind::Int(from), Bind::Int(from.saturating_add(limit)), Bind::Int(tenant.0)];
    let rows = conn.load_sql::<SqlRow, Row>(SQL, &binds)?;
    let Some(((next_seq, hash, time, policy_seq, policy_epoch, forked_after, fork_accepted), _)) =
        rows.first().cloned()
    else {
        return Ok(None);
    };
    let head = HeadRow { next_seq, hash, time, policy_seq, policy_epoch, forked_after, fork_accepted }.into_domain()?;
    let step = |row: Row| {
        let (Some(seq), Some(action), Some(subject_kind), Some(subject_id), Some(hash)) = row.1 else { return None };
        let hash = Column("log_records", "hash").hash(&hash);
        Some(hash.map(|hash| Step { seq, action, subject_kind, subject_id, hash }))
    };
    let mut steps = rows.into_iter().filter_map(step).collect::<Result<Vec<Step>>>()?;
    steps.sort_unstable_by_key(|step| step.seq);
    Ok(Some((head, steps)))
}

/// Appends records and moves the head, which the transaction has locked.
///
/// # Errors
/// A unique violation if a number is taken; [`diesel::result::Error::NotFound`] if the tenant has no log.
pub fn append(conn: &mut Conn, tenant: TenantKey, records: &[Record], head: &Head) -> Result<()> {
    for record in records {
        let mut row: Vec<Cell<'_>> = vec![record.time.timestamp_micros().into(), record.action.as_str().into()];
        row.extend([record.subject_kind.as_str().into(), record.subject_id.as_str().into()]);
        row.extend([record.bytes[..].into(), record.hash[..].into()]);
        conn.stage(&LOG_RECORDS, vec![tenant.0.into(), record.seq.into()], Op::Insert(row))?;
    }
    let mut row: Vec<Cell<'_>> = vec![head.next_seq.into(), head.hash[..].into(), head.time.timestamp_micros().into()];
    row.extend([head.policy_seq.into(), head.policy_epoch.into()]);
    conn.stage(&LOG_HEADS, vec![tenant.0.into()], Op::Update(row))?;
    conn.unit.moved(tenant, head);
    Ok(())
}

/// Notes, at a log's end that the transaction has locked, whether servers knew one that went on otherwise.
///
/// # Errors
/// If the database cannot be written.
pub fn set_fork(conn: &mut Conn, tenant: TenantKey, head: &Head) -> Result<()> {
    let accepted = head.fork.accepted.map(|at| at.timestamp_micros());
    let values = (log_heads::forked_after.eq(head.fork.after), log_heads::fork_accepted.eq(accepted));
    alter!(conn, |c| diesel::update(log_heads::table.find(tenant.0)).set(values).execute(c))?;
    conn.unit.moved(tenant, head);
    Ok(())
}

/// The last record before a fork that nobody has accepted, of whichever tenant. Not scoped: no server with one is ready.
///
/// # Errors
/// If the database cannot be read.
pub fn forked(conn: &mut Conn) -> Result<Option<i64>> {
    let query = log_heads::table.select(log_heads::forked_after).filter(log_heads::forked_after.is_not_null());
    Ok(on!(conn, |c| query.order(log_heads::forked_after).first::<Option<i64>>(c).optional())?.flatten())
}

/// The hashes of records, by number.
///
/// # Errors
/// If the database cannot be read.
pub fn hashes(conn: &mut Conn, tenant: TenantKey, from: i64, end: i64) -> Result<HashMap<i64, [u8; 32]>> {
    let rows = on!(conn, |c| log_records::table
        .select((log_records::seq, log_records::hash))
        .filter(log_records::tenant.eq(tenant.0))
        .filter(log_records::seq.ge(from))
        .filter(log_records::seq.lt(end))
        .load::<(i64, Vec<u8>)>(c))?;
    rows.into_iter().map(|(seq, hash)| Ok((seq, Column("log_records", "hash").hash(&hash)?))).collect()
}

/// Records from a number on, in order.
///
/// # Errors
/// If the database cannot be read.
pub fn records(conn: &mut Conn, tenant: TenantKey, from: i64, limit: i64) -> Result<Vec<Record>> {
    let rows = on!(conn, |c| log_records::table
        .select(Row::as_select())
        .filter(log_records::tenant.eq(tenant.0))
        .filter(log_records::seq.ge(from))
        .order(log_records::seq)
        .limit(limit)
        .load::<Row>(c))?;
    rows.into_iter().map(Row::into_domain).collect()
}

/// Some records by number, in no order.
///
/// # Errors
/// If the database cannot be read.
pub fn many(conn: &mut Conn, tenant: TenantKey, seqs: &[i64]) -> Result<Vec<Record>> {
    let own = conn.each("log_records", "l", "l.tenant = ? AND l.seq = list.value");
    let sql = format!("SELECT {} {LISTED}{own}", row::list(COLUMNS, |name| format!("l.{name}")));
    let mut found = Vec::with_capacity(seqs.len());
    for seqs in seqs.chunks(CHUNK) {
        let seqs: Vec<ResourceKey> = seqs.iter().copied().map(ResourceKey).collect();
        let binds = [Bind::List(List::keys(&seqs)), Bind::Int(tenant.0)];
        found.extend(conn.load_sql::<SqlRow, Row>(&sql, &binds)?);
    }
    found.into_iter().map(Row::into_domain).collect()
}

/// The last records, in order.
///
/// # Errors
/// If the database cannot be read.
pub fn tail(conn: &mut Conn, tenant: TenantKey, limit: i64) -> Result<Vec<Record>> {
    let rows = on!(conn, |c| log_records::table
        .select(Row::as_select())
        .filter(log_records::tenant.eq(tenant.0))
        .order(log_records::seq.desc())
        .limit(limit)
        .load::<Row>(c))?;
    rows.into_iter().rev().map(Row::into_domain).collect()
}

/// Where a log ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct End {
    /// Whose log it is.
    pub tenant: TenantKey,
    /// The number that its next record gets.
    pub next_seq: i64,
    /// The hash of its last record.
    pub hash: [u8; 32],
    /// The time of its last record.
    pub time: DateTime<Utc>,
    /// The state of roles and mappings: see [`Head::policy_epoch`].
    pub policy_epoch: i64,
    /// The number of their snapshot: see [`Head::policy_seq`].
    pub policy_seq: i64,
}

/// Where every log ends. Not scoped: caches follow all of them.
///
/// # Errors
/// If the database cannot be read.
pub fn heads(conn: &mut Conn) -> Result<Vec<End>> {
    let rows = on!(conn, |c| log_heads::table
        .select((log_heads::tenant, HeadRow::as_select()))
        .order(log_heads::tenant)
        .load::<(i64, HeadRow)>(c))?;
    let end = |(tenant, head): (i64, HeadRow)| {
        let Head { next_seq, hash, time, policy_seq, policy_epoch, .. } = head.into_domain()?;
        Ok(End { tenant: TenantKey(tenant), next_seq, hash, time, policy_epoch, policy_seq })
    };
    rows.into_iter().map(end).collect()
}

/// When records were written, by number.
///
/// # Errors
/// If the database cannot be read.
pub fn times(conn: &mut Conn, tenant: TenantKey, seqs: &[i64]) -> Result<HashMap<i64, DateTime<Utc>>> {
    let own = conn.each("log_records", "r", "r.tenant = ? AND r.seq = list.value");
    let sql = format!("SELECT r.seq, r.time {LISTED}{own}");
    let mut found = HashMap::with_capacity(seqs.len());
    for seqs in seqs.chunks(CHUNK) {
        let keys: Vec<ResourceKey> = seqs.iter().copied().map(ResourceKey).collect();
        let binds = [Bind::List(List::keys(&keys)), Bind::Int(tenant.0)];
        for (seq, time) in conn.load_sql::<(BigInt, BigInt), (i64, i64)>(&sql, &binds)? {
            found.insert(seq, micros(Column("log_records", "time"), time)?);
        }
    }
    Ok(found)
}

/// The last record that is not later than a time: times never go back, so the log can be halved.
///
/// # Errors
/// If the database cannot be read.
pub fn seq_at(conn: &mut Conn, tenant: TenantKey, time: DateTime<Utc>) -> Result<Option<i64>> {
    let (mut low, mut high) = (0, head(conn, tenant)?.next_seq);
    // Invariant: records below `low` are not later, records from `high` on are.
    while low < high {
        let middle = low + (high - low) / 2;
        let found = times(conn, tenant, &[middle])?;
        let is_later = found.get(&middle).is_none_or(|at| *at > time);
        if is_later { high = middle } else { low = middle + 1 }
    }
    Ok((low > 0).then(|| low - 1))
}
