//! What was true before: superseded states of principals and resources, each until a record of the log.
//!
//! A state without a row here is the one of the principal's or resource's own row. So the state after a
//! record is the row with the smallest `until_seq` above it, or else the present one. What is kept no longer,
//! `store::sweep` takes away.

use chrono::{DateTime, Utc};
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Binary, Bool, Nullable, Text};

use super::connection::{Bind, CHUNK, Conn, LISTED, List, on, row_of};
use super::error::Result;
use super::resources::Resource;
use super::schema::{principal_history, subject_keys};
use super::staged::{Cell, Op, PRINCIPAL_HISTORY, RESOURCE_HISTORY, SUBJECT_KEYS};
use super::types::{Column, ResourceKey, millis};
use crate::domain::{Id, Principal, TenantKey};

/// How a principal was until a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PastPrincipal {
    /// Whose state.
    pub id: Id,
    /// The record that ended it.
    pub until_seq: i64,
    /// SCIM's `active`.
    pub active: bool,
    /// An admin's hold.
    pub admin_hold: bool,
}

/// How a resource was until a record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PastResource {
    /// Its surrogate key.
    pub key: ResourceKey,
    /// Its id.
    pub id: Id,
    /// The name of its type.
    pub type_name: String,
    /// The connection that it came from.
    pub connection: Option<i64>,
    /// The record that ended it.
    pub until_seq: i64,
    /// Its document and externalIds, under its own key; empty if they are kept no longer.
    pub sealed: Vec<u8>,
}

impl PastResource {
    /// Whether it is known how the resource was. Of what is kept no longer, it is known that it ended, and when.
    pub fn is_kept(&self) -> bool {
        !self.sealed.is_empty()
    }
}

/// Keeps the state of a principal that a record ends. The first of one record is the one that was seen.
///
/// # Errors
/// If the database cannot be written.
pub fn end_principal(conn: &mut Conn, tenant: TenantKey, before: &Principal, seq: i64) -> Result<()> {
    let key = vec![tenant.0.into(), before.id.as_bytes()[..].into(), seq.into()];
    conn.stage(&PRINCIPAL_HISTORY, key, Op::Keep(vec![before.active.into(), before.admin_hold.into()]))
}

/// The past states of some principals that ended after a record, the oldest first.
///
/// # Errors
/// If the database cannot be read.
pub fn principals(conn: &mut Conn, tenant: TenantKey, ids: &[Id], seq: i64) -> Result<Vec<PastPrincipal>> {
    let own = conn.each("principal_history", "p", "p.tenant = ? AND p.id = list.value AND p.until_seq > ?");
    let sql = format!("SELECT p.id, p.until_seq, p.active, p.admin_hold {LISTED}{own} ORDER BY p.until_seq");
    type Row = (Vec<u8>, i64, bool, bool);
    let mut found = vec![];
    for ids in ids.chunks(CHUNK) {
        let binds = [Bind::List(List::ids(ids)), Bind::Int(tenant.0), Bind::Int(seq)];
        for (id, until_seq, active, admin_hold) in conn.load_sql::<(Binary, BigInt, Bool, Bool), Row>(&sql, &binds)? {
            let id = Column("principal_history", "id").id(&id)?;
            found.push(PastPrincipal { id, until_seq, active, admin_hold });
        }
    }
    Ok(found)
}

/// The record that ended the last state of a principal in which it was live, if that is kept; of one that is there and is
/// not live, the last in which nothing of what holds now held: a hold that was lifted since keeps nobody out.
///
/// # Errors
/// If the database cannot be read.
pub fn last_live(conn: &mut Conn, tenant: TenantKey, id: &Id, now: Option<&Principal>) -> Result<Option<i64>> {
    let (is_inactive, is_held) = match now {
        Some(now) if !now.active || now.admin_hold => (!now.active, now.admin_hold),
        _ => (true, true),
    };
    let last = principal_history::table
        .filter(principal_history::tenant.eq(tenant.0).and(principal_history::id.eq(&id.as_bytes()[..])))
        .filter(principal_history::active.ge(is_inactive).and(principal_history::admin_hold.le(!is_held)))
        .select(principal_history::until_seq)
        .order(principal_history::until_seq.desc());
    Ok(on!(conn, |c| last.first(c).optional())?)
}

/// Keeps the state of a resource that a record ends.
///
/// # Errors
/// If the database cannot be written.
pub fn end_resource(
    conn: &mut Conn,
    tenant: TenantKey,
    resource: &Resource,
    sealed: &[u8],
    seq: i64,
    now: DateTime<Utc>,
) -> Result<()> {
    let mut row: Vec<Cell<'_>> = vec![tenant.0.into(), resource.id.as_bytes()[..].into()];
    row.extend([resource.type_name.as_str().into(), resource.connection.into(), millis(now).into(), sealed.into()]);
    conn.stage(&RESOURCE_HISTORY, vec![resource.key.0.into(), seq.into()], Op::Keep(row))
}

type Sql = (BigInt, Binary, Text, Nullable<BigInt>, BigInt, Binary);
type Row = (i64, Vec<u8>, String, Option<i64>, i64, Vec<u8>);

fn past(rows: Vec<Row>) -> Result<Vec<PastResource>> {
    let one = |(key, id, type_name, connection, until_seq, sealed): Row| {
        let id = Column("resource_history", "id").id(&id)?;
        Ok(PastResource { key: ResourceKey(key), id, type_name, connection, until_seq, sealed })
    };
    rows.into_iter().map(one).collect()
}

/// The past states of a resource from a record backwards, the newest first: what ended at or before it.
///
/// # Errors
/// If the database cannot be read.
pub fn before(
    conn: &mut Conn,
    tenant: TenantKey,
    resource: ResourceKey,
    seq: i64,
    limit: i64,
) -> Result<Vec<PastResource>> {
    const SQL: &str = "SELECT resource, id, type, connection, until_seq, sealed FROM resource_history \
         WHERE tenant = ? AND resource = ? AND until_seq <= ? ORDER BY until_seq DESC LIMIT ?";
    let binds = [Bind::Int(tenant.0), Bind::Int(resource.0), Bind::Int(seq), Bind::Int(limit)];
    past(conn.load_sql::<Sql, Row>(SQL, &binds)?)
}

/// Those of some resources that have past states.
///
/// # Errors
/// If the database cannot be read.
pub fn changed(conn: &mut Conn, tenant: TenantKey, keys: &[ResourceKey]) -> Result<Vec<ResourceKey>> {
    const SQL: &str = "SELECT DISTINCT resource FROM resource_history WHERE +tenant = ? AND resource IN ?";
    let mut found = vec![];
    for keys in keys.chunks(CHUNK) {
        let binds = [Bind::Int(tenant.0), Bind::List(List::keys(keys))];
        found.extend(conn.load_sql::<BigInt, i64>(SQL, &binds)?.into_iter().map(ResourceKey));
    }
    Ok(found)
}

/// How each of some resources was after a record, if it is another state than the present one.
///
/// # Errors
/// If the database cannot be read.
pub fn resources(conn: &mut Conn, tenant: TenantKey, keys: &[ResourceKey], seq: i64) -> Result<Vec<PastResource>> {
    const SQL: &str = "SELECT h.resource, h.id, h.type, h.connection, h.until_seq, h.sealed FROM resource_history h \
         WHERE +h.tenant = ? AND h.resource IN ? AND h.until_seq = \
         (SELECT min(f.until_seq) FROM resource_history f WHERE f.resource = h.resource AND f.until_seq > ?)";
    let mut found = vec![];
    for keys in keys.chunks(CHUNK) {
        let binds = [Bind::Int(tenant.0), Bind::List(List::keys(keys)), Bind::Int(seq)];
        found.extend(past(conn.load_sql::<Sql, Row>(SQL, &binds)?)?);
    }
    Ok(found)
}

/// The surrogate keys of resources that may be gone.
///
/// # Errors
/// If the database cannot be read.
pub fn keys_of(conn: &mut Conn, tenant: TenantKey, ids: &[Id]) -> Result<Vec<(Id, ResourceKey)>> {
    let own = conn.each("resource_history", "h", "h.tenant = ? AND h.id = list.value");
    let sql = format!("SELECT DISTINCT h.id, h.resource {LISTED}{own}");
    let mut found = vec![];
    for ids in ids.chunks(CHUNK) {
        let binds = [Bind::List(List::ids(ids)), Bind::Int(tenant.0)];
        for (id, key) in conn.load_sql::<(Binary, BigInt), (Vec<u8>, i64)>(&sql, &binds)? {
            found.push((Column("resource_history", "id").id(&id)?, ResourceKey(key)));
        }
    }
    Ok(found)
}

/// The wrapped key of a subject as it was read ahead.
pub(super) struct WrappedKey(pub(super) Option<Vec<u8>>);

/// The wrapped key of a subject.
///
/// # Errors
/// If the database cannot be read.
pub fn subject_key(conn: &mut Conn, tenant: TenantKey, id: &Id) -> Result<Option<Vec<u8>>> {
    let key = [tenant.0.into(), id.as_bytes()[..].into()];
    if let Some(Op::Insert(row)) = conn.staged(&SUBJECT_KEYS, &key) {
        return Ok(row.first().and_then(Cell::bytes).map(<[u8]>::to_vec));
    }
    if let (Some(WrappedKey(found)), None) = (conn.unit.ahead.get(*id), conn.staged(&SUBJECT_KEYS, &key)) {
        return Ok(found.clone());
    }
    let query = subject_keys::table.find((tenant.0, &id.as_bytes()[..])).select(subject_keys::wrapped);
    Ok(row_of!(conn, &SUBJECT_KEYS, &key, |c| query.get_result::<Vec<u8>>(c).optional())?)
}

/// Stores the wrapped key of a subject.
///
/// # Errors
/// A unique violation if it has one.
pub fn set_subject_key(conn: &mut Conn, tenant: TenantKey, id: &Id, wrapped: &[u8]) -> Result<()> {
    let key = vec![tenant.0.into(), id.as_bytes()[..].into()];
    conn.stage(&SUBJECT_KEYS, key, Op::Insert(vec![wrapped.into()]))
}
