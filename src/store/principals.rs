//! Principals: they outlive their resources, so that a dead owner's keys can still say why they died.

use diesel::dsl::SqlTypeOf;
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Bool, Nullable, Text};

use super::connection::{Bind, CHUNK, Conn, LISTED, List, alter, on, row_of};
use super::error::Result;
use super::schema::principals;
use super::staged::{Cell, Op, PRINCIPALS};
use super::types::{Column, millis_opt};
use crate::domain::principal::PrincipalKind;
use crate::domain::{Id, Principal, TenantKey};

#[derive(Clone, Queryable, Selectable)]
#[diesel(table_name = principals)]
pub(super) struct Row {
    pub(super) id: Vec<u8>,
    pub(super) kind: String,
    pub(super) local: bool,
    pub(super) name: String,
    pub(super) active: bool,
    pub(super) admin_hold: bool,
    pub(super) suspended_at: Option<i64>,
    pub(super) deleted_at: Option<i64>,
}

impl Row {
    pub(super) fn into_domain(self) -> Result<Principal> {
        let kind = Column("principals", "kind");
        Ok(Principal {
            id: Column("principals", "id").id(&self.id)?,
            kind: PrincipalKind::parse(&self.kind).ok_or_else(|| kind.corrupt("no kind"))?,
            local: self.local,
            name: self.name,
            active: self.active,
            admin_hold: self.admin_hold,
            suspended_at: Column("principals", "suspended_at").time_opt(self.suspended_at)?,
            deleted_at: Column("principals", "deleted_at").time_opt(self.deleted_at)?,
        })
    }
}

/// The columns of the row of a resource's principal, which may not be there.
pub(super) const JOINED: &str = "principals.kind, principals.local, principals.name, principals.active, \
     principals.admin_hold, principals.suspended_at, principals.deleted_at";
pub(super) type SqlJoined = (
    Nullable<Text>,
    Nullable<Bool>,
    Nullable<Text>,
    Nullable<Bool>,
    Nullable<Bool>,
    Nullable<BigInt>,
    Nullable<BigInt>,
);
pub(super) type Joined =
    (Option<String>, Option<bool>, Option<String>, Option<bool>, Option<bool>, Option<i64>, Option<i64>);

/// A principal's row as it was read ahead.
pub(super) struct Known(Option<Row>);

impl Known {
    pub(super) fn joined(id: Id, (kind, local, name, active, admin_hold, suspended_at, deleted_at): Joined) -> Known {
        Known(kind.map(|kind| Row {
            id: id.as_bytes().to_vec(),
            kind,
            local: local.unwrap_or_default(),
            name: name.unwrap_or_default(),
            active: active.unwrap_or_default(),
            admin_hold: admin_hold.unwrap_or_default(),
            suspended_at,
            deleted_at,
        }))
    }
}

/// Adds a principal, from a record of the log on.
///
/// # Errors
/// A unique violation if the tenant has a principal of that id.
pub fn insert(conn: &mut Conn, tenant: TenantKey, principal: &Principal, seq: i64) -> Result<()> {
    let id = &principal.id.as_bytes()[..];
    let mut row: Vec<Cell<'_>> = vec![principal.kind.name().into(), seq.into()];
    row.extend(state(principal));
    conn.stage(&PRINCIPALS, vec![tenant.0.into(), id.into()], Op::Insert(row))
}

/// What changes about a principal, and that it has changed once.
fn state(principal: &Principal) -> [Cell<'_>; 7] {
    [
        principal.local.into(),
        principal.name.as_str().into(),
        principal.active.into(),
        principal.admin_hold.into(),
        millis_opt(principal.suspended_at).into(),
        millis_opt(principal.deleted_at).into(),
        1.into(),
    ]
}

/// Finds a principal.
///
/// # Errors
/// If the database cannot be read.
pub fn find(conn: &mut Conn, tenant: TenantKey, id: &Id) -> Result<Option<Principal>> {
    let key = [tenant.0.into(), id.as_bytes()[..].into()];
    if let (Some(Known(found)), None) = (conn.unit.ahead.get(*id), conn.staged(&PRINCIPALS, &key)) {
        return found.clone().map(Row::into_domain).transpose();
    }
    let found = row_of!(conn, &PRINCIPALS, &key, |c| principals::table
        .find((tenant.0, &id.as_bytes()[..]))
        .select(Row::as_select())
        .get_result::<Row>(c)
        .optional())?;
    found.map(Row::into_domain).transpose()
}

/// Stores everything about a principal but its id and kind. How it was before is not kept by that: see
/// [`super::history::end_principal`].
///
/// # Errors
/// [`diesel::result::Error::NotFound`] if there is no such principal.
pub fn update(conn: &mut Conn, tenant: TenantKey, principal: &Principal) -> Result<()> {
    let key = vec![tenant.0.into(), principal.id.as_bytes()[..].into()];
    conn.stage(&PRINCIPALS, key, Op::Update(state(principal).into()))
}

/// Puts into a principal what [`update`] has staged of it, if that says all of it.
pub(super) fn apply_staged(principal: &mut Principal, row: &[Cell<'_>]) -> Option<()> {
    let [Cell::Bool(local), Cell::Text(name), Cell::Bool(active), Cell::Bool(admin_hold), suspended, deleted, _] = row
    else {
        return None;
    };
    (principal.local, principal.active, principal.admin_hold) = (*local, *active, *admin_hold);
    principal.name = name.clone().into_owned();
    let time = |cell: &Cell<'_>| Column("principals", "suspended_at").time_opt(cell.number()).ok();
    (principal.suspended_at, principal.deleted_at) = (time(suspended)?, time(deleted)?);
    Some(())
}

/// Finds a principal that was made by `init` or through `/v1`, by name.
///
/// # Errors
/// If the database cannot be read.
pub fn local_by_name(conn: &mut Conn, tenant: TenantKey, name: &str) -> Result<Option<Principal>> {
    // SQLite would go through all principals, as the beginning of the primary key is the tenant too. As a literal:
    // it uses a partial index only where it sees the index's own condition.
    let from = if conn.is_embedded() { "principals INDEXED BY principals_local" } else { "principals" };
    let sql = format!(
        "SELECT id, kind, local, name, active, admin_hold, suspended_at, deleted_at \
         FROM {from} WHERE tenant = ? AND name = ? AND local = TRUE"
    );
    type Sql = SqlTypeOf<(
        principals::id,
        principals::kind,
        principals::local,
        principals::name,
        principals::active,
        principals::admin_hold,
        principals::suspended_at,
        principals::deleted_at,
    )>;
    let rows = conn.load_sql::<Sql, Row>(&sql, &[Bind::Int(tenant.0), Bind::Text(name)])?;
    rows.into_iter().min_by(|a, b| a.id.cmp(&b.id)).map(Row::into_domain).transpose()
}

/// A page of principals in the order of their ids.
///
/// # Errors
/// If the database cannot be read.
pub fn list(conn: &mut Conn, tenant: TenantKey, after: Option<&Id>, limit: i64) -> Result<Vec<Principal>> {
    // Every id is greater than no bytes at all.
    let after = after.map_or(&[][..], |id| &id.as_bytes()[..]);
    let own = principals::tenant.eq(tenant.0).and(principals::id.gt(after));
    on!(conn, |c| principals::table
        .select(Row::as_select())
        .filter(own)
        .order(principals::id)
        .limit(limit)
        .load::<Row>(c))?
    .into_iter()
    .map(Row::into_domain)
    .collect()
}

/// Principals by id, each with the record that made it; those that there are not are left out.
///
/// # Errors
/// If the database cannot be read.
pub fn many(conn: &mut Conn, tenant: TenantKey, ids: &[Id]) -> Result<Vec<(Principal, i64)>> {
    const COLUMNS: &str = "p.id, p.kind, p.local, p.name, p.active, p.admin_hold, p.suspended_at, p.deleted_at";
    let own = conn.each("principals", "p", "p.tenant = ? AND p.id = list.value");
    let sql = format!("SELECT {COLUMNS}, p.created_seq {LISTED}{own}");
    type Sql = SqlTypeOf<(
        principals::id,
        principals::kind,
        principals::local,
        principals::name,
        principals::active,
        principals::admin_hold,
        principals::suspended_at,
        principals::deleted_at,
        principals::created_seq,
    )>;
    type Values = (Vec<u8>, String, bool, String, bool, bool, Option<i64>, Option<i64>, i64);
    let mut found = Vec::with_capacity(ids.len());
    for ids in ids.chunks(CHUNK) {
        let binds = [Bind::List(List::ids(ids)), Bind::Int(tenant.0)];
        for (id, kind, local, name, active, admin_hold, suspended_at, deleted_at, seq) in
            conn.load_sql::<Sql, Values>(&sql, &binds)?
        {
            let row = Row { id, kind, local, name, active, admin_hold, suspended_at, deleted_at };
            found.push((row.into_domain()?, seq));
        }
    }
    Ok(found)
}

/// The local principals that hold permissions by a direct grant, as JSON: they were made before there
/// were mappings.
///
/// # Errors
/// If the database cannot be read.
pub fn direct_grants(conn: &mut Conn, tenant: TenantKey) -> Result<Vec<(Id, String)>> {
    let query = principals::table
        .select((principals::id, principals::direct_grant.assume_not_null()))
        .filter(principals::tenant.eq(tenant.0))
        .filter(principals::direct_grant.is_not_null());
    let rows = on!(conn, |c| query.load::<(Vec<u8>, String)>(c))?;
    rows.into_iter().map(|(id, grant)| Ok((Column("principals", "id").id(&id)?, grant))).collect()
}

/// Takes a direct grant away: a mapping says it now.
///
/// # Errors
/// If the database cannot be written.
pub fn clear_direct_grant(conn: &mut Conn, tenant: TenantKey, id: &Id) -> Result<()> {
    let own = principals::table.find((tenant.0, &id.as_bytes()[..]));
    alter!(conn, |c| diesel::update(own).set(principals::direct_grant.eq(None::<String>)).execute(c))?;
    Ok(())
}
