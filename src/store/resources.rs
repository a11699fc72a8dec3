//! Resources: one row each, whatever their type. Members are `members`'s, indexes `index`'s.

mod count;
mod many;

use std::sync::LazyLock;

use chrono::{DateTime, Utc};
use diesel::dsl::case_when;
use diesel::prelude::*;
use diesel::sql_types::{Integer, Nullable, Text};

use self::count::add_to_count;
pub use self::count::count;
pub use self::many::{by_ids, by_keys, first_by_keys, of_ids, of_type, without_connection};
use super::connection::{Bind, CHUNK, Conn, List, locked, on};
use super::error::Result;
use super::row::{list, row};
use super::schema::resources;
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

impl Row {
    fn into_resource(self) -> Result<Resource> {
        Ok(Resource {
            key: ResourceKey(self.key),
            id: Column("resources", "id").id(&self.id)?,
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
    let created = millis(new.created);
    let values = (
        resources::tenant.eq(tenant.0),
        resources::id.eq(&new.id.as_bytes()[..]),
        resources::type_name.eq(new.type_name),
        resources::connection.eq(new.connection),
        resources::display.eq(new.display),
        resources::document.eq(new.document),
        resources::version.eq(1),
        resources::created.eq(created),
        resources::modified.eq(created),
    );
    let insert = diesel::insert_into(resources::table).values(values).returning(resources::key);
    let key = on!(conn, |c| insert.get_result::<i64>(c))?;
    add_to_count(conn, tenant, new.type_name, 1)?;
    Ok(ResourceKey(key))
}

/// Finds a resource of a type by id.
///
/// # Errors
/// If the database cannot be read.
pub fn find(conn: &mut Conn, tenant: TenantKey, type_name: &str, id: &Id) -> Result<Option<Resource>> {
    let row = on!(conn, |c| resources::table
        .select(Row::as_select())
        .filter(resources::tenant.eq(tenant.0))
        .filter(resources::id.eq(&id.as_bytes()[..]))
        .filter(resources::type_name.eq(type_name))
        .get_result::<Row>(c)
        .optional())?;
    row.map(Row::into_resource).transpose()
}

/// A resource with what one connection sees beside its document.
#[derive(Clone, Debug)]
pub struct View {
    /// The resource.
    pub resource: Resource,
    /// The connection's externalId.
    pub external_id: Option<String>,
    /// Whether it is a member of any group.
    pub is_member: bool,
}

/// Finds a resource of a type by id, as a connection sees it: one statement instead of three.
///
/// # Errors
/// If the database cannot be read.
pub fn view(
    conn: &mut Conn,
    tenant: TenantKey,
    type_name: &str,
    id: &Id,
    connection: Option<i64>,
) -> Result<Option<View>> {
    // No connection has the key 0.
    let connection = Bind::Int(connection.unwrap_or(0));
    let binds = [connection, Bind::Int(tenant.0), Bind::Bytes(&id.as_bytes()[..]), Bind::Text(type_name)];
    let row = conn.load_sql::<(SqlRow, Nullable<Text>, Integer), (Row, Option<String>, i32)>(&SEEN, &binds)?.pop();
    row.map(|(row, external_id, member)| {
        Ok(View { resource: row.into_resource()?, external_id, is_member: member == 1 })
    })
    .transpose()
}

/// The statement of [`see`].
static SEEN: LazyLock<String> = LazyLock::new(|| {
    let columns = list(COLUMNS, |name| format!("r.{name}"));
    format!(
        "SELECT {columns}, x.value, CASE WHEN EXISTS (SELECT 1 FROM memberships m WHERE m.member_key = r.key \
         AND m.until_seq IS NULL) THEN 1 ELSE 0 END \
         FROM resources r LEFT JOIN external_ids x ON x.connection = ? AND x.resource = r.key \
         WHERE r.tenant = ? AND r.id = ? AND r.type = ?"
    )
});

/// Finds a resource of a type by id and locks it until the transaction ends.
///
/// # Errors
/// If the database cannot be read.
pub fn lock(conn: &mut Conn, tenant: TenantKey, type_name: &str, id: &Id) -> Result<Option<Resource>> {
    let row = locked!(
        conn,
        resources::table
            .select(Row::as_select())
            .filter(resources::tenant.eq(tenant.0))
            .filter(resources::id.eq(&id.as_bytes()[..]))
            .filter(resources::type_name.eq(type_name)),
        Row
    )?;
    row.map(Row::into_resource).transpose()
}

/// When a change at this time is dated: later than the one before it, whatever the clock says.
macro_rules! later {
    ($now:expr) => {
        case_when(resources::modified.ge(millis($now)), resources::modified + 1).otherwise(millis($now))
    };
}

/// Dates resources that this transaction has changed anew: a record was written meanwhile, by a clock that is ahead.
///
/// # Errors
/// If the database cannot be written.
pub fn redate(conn: &mut Conn, tenant: TenantKey, keys: &[ResourceKey], now: DateTime<Utc>) -> Result<()> {
    const SQL: &str = "UPDATE resources SET created = CASE WHEN version = 1 THEN ? ELSE created END, modified = ? \
         WHERE tenant = ? AND key IN ? AND modified < ?";
    for keys in keys.chunks(CHUNK) {
        let now = || Bind::Int(millis(now));
        conn.execute_sql(SQL, &[now(), now(), Bind::Int(tenant.0), Bind::List(List::keys(keys)), now()])?;
    }
    Ok(())
}

/// Stores another document; gives the new version.
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
) -> Result<i64> {
    let own = resources::table.filter(resources::key.eq(key.0)).filter(resources::tenant.eq(tenant.0));
    let values = (
        resources::document.eq(document),
        resources::display.eq(display),
        resources::version.eq(resources::version + 1),
        resources::modified.eq(later!(now)),
    );
    let update = diesel::update(own).set(values).returning(resources::version);
    Ok(on!(conn, |c| update.get_result::<i64>(c))?)
}

/// Counts a change of what has rows of its own, such as members; gives the new version.
///
/// # Errors
/// [`diesel::result::Error::NotFound`] if there is no such resource.
pub fn touch(conn: &mut Conn, tenant: TenantKey, key: ResourceKey, now: DateTime<Utc>) -> Result<i64> {
    let own = resources::table.filter(resources::key.eq(key.0)).filter(resources::tenant.eq(tenant.0));
    let values = (resources::version.eq(resources::version + 1), resources::modified.eq(later!(now)));
    let update = diesel::update(own).set(values).returning(resources::version);
    Ok(on!(conn, |c| update.get_result::<i64>(c))?)
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
