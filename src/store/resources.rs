//! Resources: one row each, whatever their type. Members are `members`'s, indexes `index`'s.

mod count;
mod many;
mod seen;

use std::sync::LazyLock;

use chrono::{DateTime, SubsecRound, TimeDelta, Utc};
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Nullable, Text};

use self::count::add_to_count;
pub use self::count::count;
pub(super) use self::many::Named;
pub use self::many::{by_ids, by_keys, first_by_keys, id_of, of_ids, of_type, without_connection};
pub use self::seen::{Seen, View, seen, view};
use super::connection::{Bind, Conn};
use super::db::{Db, with};
use super::error::Result;
use super::row::{list, row};
use super::schema::resources;
use super::staged::{Cell, EXTERNAL_IDS, MEMBERSHIPS, Op, RESOURCES, TOUCHED};
use super::types::{Column, ResourceKey, millis};
use crate::domain::{Id, TenantKey};

/// A resource to be.
#[derive(Clone, Debug)]
pub struct NewResource<'a> {
    /// Its id.
    pub id: Id,
    /// The name of its type.
    pub type_name: &'a str,
    /// The connection that it comes from.
    pub connection: Option<i64>,
    /// What lists of members show.
    pub display: Option<&'a str>,
    /// Its JSON, without id, meta and what has rows of its own.
    pub document: &'a str,
    /// When it was made.
    pub created: DateTime<Utc>,
}

/// A stored resource.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resource {
    /// Its surrogate key.
    pub key: ResourceKey,
    /// Its id.
    pub id: Id,
    /// The name of its type.
    pub type_name: String,
    /// The connection that it comes from.
    pub connection: Option<i64>,
    /// What lists of members show.
    pub display: Option<String>,
    /// Its JSON, without id, meta and what has rows of its own.
    pub document: String,
    /// Counts its changes, from 1.
    pub version: i64,
    /// When it was made.
    pub created: DateTime<Utc>,
    /// When it was last changed.
    pub modified: DateTime<Utc>,
}

row! {
    resources {
        key: i64,
        id: Vec<u8>,
        type_name: String,
        connection: Option<i64>,
        display: Option<String>,
        document: String,
        version: i64,
        created: i64,
        modified: i64,
    }
}

/// A row as it was read ahead, with what a connection calls it.
#[derive(Clone)]
pub(super) struct Called {
    pub(super) row: Row,
    pub(super) is_member: bool,
    pub(super) connection: i64,
    pub(super) called: Option<String>,
}

/// The columns of a row.
pub(super) fn columns(of: &str) -> String {
    list(COLUMNS, |name| format!("{of}.{name}"))
}

impl Row {
    pub(super) fn id(&self) -> Result<Id> {
        Column("resources", "id").id(&self.id)
    }

    fn into_resource(self) -> Result<Resource> {
        Ok(Resource {
            key: ResourceKey(self.key),
            id: self.id()?,
            type_name: self.type_name,
            connection: self.connection,
            display: self.display,
            document: self.document,
            version: self.version,
            created: Column("resources", "created").time(self.created)?,
            modified: Column("resources", "modified").time(self.modified)?,
        })
    }
}

/// Adds a resource at version 1 and counts it.
///
/// # Errors
/// A unique violation if the tenant has a resource of that id.
pub fn insert(conn: &mut Conn, tenant: TenantKey, new: &NewResource<'_>) -> Result<ResourceKey> {
    let (created, id) = (millis(new.created), &new.id.as_bytes()[..]);
    let key = match conn.is_embedded() {
        true => None,
        false => Some(conn.next_key()?),
    };
    let mut row: Vec<Cell<'_>> = vec![id.into(), new.type_name.into()];
    row.extend([new.connection.into(), created.into(), new.display.into(), new.document.into()]);
    row.extend([1.into(), created.into()]);
    conn.stage(&RESOURCES, vec![key.into(), tenant.0.into()], Op::Insert(row))?;
    let key = match key {
        Some(key) => key,
        None => conn.load_sql::<BigInt, i64>("SELECT last_insert_rowid()", &[])?.pop().unwrap_or_default(),
    };
    add_to_count(conn, tenant, new.type_name, 1)?;
    Ok(ResourceKey(key))
}

/// Finds a resource of a type by id.
///
/// # Errors
/// If the database cannot be read.
pub fn find(conn: &mut Conn, tenant: TenantKey, type_name: &str, id: &Id) -> Result<Option<Resource>> {
    let mut found = match conn.unit.ahead.get::<Called>(*id) {
        Some(ahead) => Some(ahead.row.clone()).filter(|row| row.type_name == type_name),
        None => by_id(conn.unsettled(), tenant, type_name, id)?,
    };
    // Another row may wait for its turn, or the only one: the key of what waits is not known by its id.
    let is_old = match &found {
        Some(row) => [&RESOURCES, &TOUCHED].iter().any(|table| conn.staged(table, &place(tenant, row.key)).is_some()),
        None => conn.waits_in(&RESOURCES),
    };
    if is_old {
        found = by_id(conn.settled()?, tenant, type_name, id)?;
    }
    found.map(Row::into_resource).transpose()
}

fn by_id(db: &mut Db, tenant: TenantKey, type_name: &str, id: &Id) -> QueryResult<Option<Row>> {
    let found: Option<Row> = with!(db, |c| resources::table
        .select(Row::as_select())
        .filter(resources::tenant.eq(tenant.0))
        .filter(resources::id.eq(&id.as_bytes()[..]))
        .get_result(c)
        .optional())?;
    // Not asked for: while PostgreSQL has counted nothing, an index by type is as good as one by id to it.
    Ok(found.filter(|row| row.type_name == type_name))
}

/// Finds a resource of a type by id, and what a connection calls it.
///
/// # Errors
/// If the database cannot be read.
pub fn find_called(
    conn: &mut Conn,
    tenant: TenantKey,
    type_name: &str,
    id: &Id,
    connection: i64,
) -> Result<Option<(Resource, Option<String>)>> {
    let binds = [Bind::Int(connection), Bind::Int(tenant.0), Bind::Bytes(&id.as_bytes()[..])];
    type Found = (Row, Option<String>);
    let mut found = match conn.unit.ahead.get::<Called>(*id).filter(|ahead| ahead.connection == connection) {
        Some(Called { row, called, .. }) => Some((row.clone(), called.clone())),
        None => conn.load_unsettled::<(SqlRow, Nullable<Text>), Found>(&CALLED, &binds)?.pop(),
    };
    let is_old = match &found {
        Some((row, _)) => {
            [&RESOURCES, &TOUCHED].iter().any(|table| conn.staged(table, &place(tenant, row.key)).is_some())
                || conn.staged(&EXTERNAL_IDS, &[row.key.into(), connection.into()]).is_some()
        }
        None => conn.waits_in(&RESOURCES),
    };
    if is_old {
        found = conn.load_sql::<(SqlRow, Nullable<Text>), Found>(&CALLED, &binds)?.pop();
    }
    // See `by_id`.
    let found = found.filter(|(row, _)| row.type_name == type_name);
    found.map(|(row, called)| Ok((row.into_resource()?, called))).transpose()
}

/// The key of a resource that was read ahead.
pub(super) fn known_key(conn: &Conn, id: Id) -> Option<ResourceKey> {
    conn.unit.ahead.get::<Called>(id).map(|ahead| ResourceKey(ahead.row.key))
}

/// Whether a resource that is being changed may be a member of any group; who renders it finds out then.
pub fn may_be_member(conn: &Conn, id: &Id) -> bool {
    conn.unit.ahead.get::<Called>(*id).is_none_or(|ahead| ahead.is_member) || conn.waits_in(&MEMBERSHIPS)
}

/// The statement of [`find_called`].
static CALLED: LazyLock<String> = LazyLock::new(|| {
    let columns = columns("r");
    format!(
        "SELECT {columns}, x.value FROM resources r \
         LEFT JOIN external_ids x ON x.connection = ? AND x.resource = r.key WHERE r.tenant = ? AND r.id = ?"
    )
});

/// What a row is changed by.
fn place(tenant: TenantKey, key: i64) -> [Cell<'static>; 2] {
    [key.into(), tenant.0.into()]
}

/// Stores another document: a version more, and later than the one before it, whatever the clock says.
///
/// # Errors
/// [`diesel::result::Error::NotFound`] if there is no such resource.
pub fn update(
    conn: &mut Conn,
    tenant: TenantKey,
    key: ResourceKey,
    document: &str,
    display: Option<&str>,
    now: DateTime<Utc>,
) -> Result<()> {
    let row = vec![display.into(), document.into(), 1.into(), millis(now).into()];
    conn.stage(&RESOURCES, place(tenant, key.0).into(), Op::Update(row))
}

/// The document that [`update`] has staged.
pub(super) fn staged_document(row: &[Cell<'_>]) -> Option<String> {
    if let [_, Cell::Text(document), ..] = row { Some(document.clone().into_owned()) } else { None }
}

/// Counts a change of what has rows of its own, such as members.
///
/// # Errors
/// [`diesel::result::Error::NotFound`] if there is no such resource.
pub fn touch(conn: &mut Conn, tenant: TenantKey, key: ResourceKey, now: DateTime<Utc>) -> Result<()> {
    conn.stage(&TOUCHED, place(tenant, key.0).into(), Op::Update(vec![1.into(), millis(now).into()]))
}

/// A resource as it is after [`update`] or [`touch`].
pub fn changed(resource: &mut Resource, now: DateTime<Utc>) {
    resource.version += 1;
    resource.modified = now.trunc_subsecs(3).max(resource.modified + TimeDelta::milliseconds(1));
}

/// Deletes a resource and everything derived from it; memberships are history and stay.
///
/// The plus hides the tenant from SQLite's planner: it would find the rows by that alone, since the tenant is the
/// beginning of the primary key, and go through the whole directory.
///
/// # Errors
/// [`diesel::result::Error::NotFound`] if there is no such resource.
pub fn delete(conn: &mut Conn, tenant: TenantKey, resource: &Resource) -> Result<()> {
    let derived = [
        "DELETE FROM resource_index WHERE resource = ? AND +tenant = ?",
        "DELETE FROM unique_values WHERE resource = ? AND +tenant = ?",
        "DELETE FROM external_ids WHERE resource = ? AND +tenant = ?",
    ];
    let binds = [Bind::Int(resource.key.0), Bind::Int(tenant.0)];
    for sql in derived {
        conn.execute_sql(sql, &binds)?;
    }
    if conn.execute_sql("DELETE FROM resources WHERE key = ? AND tenant = ?", &binds)? == 0 {
        return Err(diesel::result::Error::NotFound.into());
    }
    add_to_count(conn, tenant, &resource.type_name, -1)
}
