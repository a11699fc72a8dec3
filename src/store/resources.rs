//! Resources: one row each, whatever their type. Members are `members`'s, indexes `index`'s.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use diesel::dsl::case_when;
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Binary, Integer, Nullable, Text};

use super::connection::{Bind, CHUNK, Conn, LISTED, List, locked, on};
use super::error::Result;
use super::schema::{counters, resources};
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

#[derive(Queryable, Selectable)]
#[diesel(table_name = resources)]
struct Row {
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
pub struct Sight {
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
pub fn see(
    conn: &mut Conn,
    tenant: TenantKey,
    type_name: &str,
    id: &Id,
    connection: Option<i64>,
) -> Result<Option<Sight>> {
    const SQL: &str = "SELECT r.key, r.id, r.type, r.connection, r.display, r.document, r.version, r.created, \
         r.modified, x.value, CASE WHEN EXISTS (SELECT 1 FROM memberships m WHERE m.member_key = r.key \
         AND m.until_seq IS NULL) THEN 1 ELSE 0 END \
         FROM resources r LEFT JOIN external_ids x ON x.connection = ? AND x.resource = r.key \
         WHERE r.tenant = ? AND r.id = ? AND r.type = ?";
    type Columns =
        (BigInt, Binary, Text, Nullable<BigInt>, Nullable<Text>, Text, BigInt, BigInt, BigInt, Nullable<Text>, Integer);
    type Values = (i64, Vec<u8>, String, Option<i64>, Option<String>, String, i64, i64, i64, Option<String>, i32);
    // No connection has the key 0.
    let connection = Bind::Int(connection.unwrap_or(0));
    let binds = [connection, Bind::Int(tenant.0), Bind::Bytes(&id.as_bytes()[..]), Bind::Text(type_name)];
    let row = conn.load_sql::<Columns, Values>(SQL, &binds)?.pop();
    row.map(|(key, id, type_name, connection, display, document, version, created, modified, external_id, member)| {
        let row = Row { key, id, type_name, connection, display, document, version, created, modified };
        Ok(Sight { resource: row.into_resource()?, external_id, is_member: member == 1 })
    })
    .transpose()
}

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

/// What a resource of a list of ids is.
const OF_IDS: &str = "r.tenant = ? AND r.id = list.value";

/// The keys and types of those of the ids that there are, in no order.
///
/// # Errors
/// If the database cannot be read.
pub fn by_ids(conn: &mut Conn, tenant: TenantKey, ids: &[Id]) -> Result<Vec<(Id, ResourceKey, String)>> {
    let sql = format!("SELECT r.id, r.key, r.type {LISTED}{}", conn.each("resources", "r", OF_IDS));
    let mut found = Vec::with_capacity(ids.len());
    for ids in ids.chunks(CHUNK) {
        let binds = [Bind::List(List::ids(ids)), Bind::Int(tenant.0)];
        let rows = conn.load_sql::<(Binary, BigInt, Text), (Vec<u8>, i64, String)>(&sql, &binds)?;
        for (id, key, type_name) in rows {
            found.push((Column("resources", "id").id(&id)?, ResourceKey(key), type_name));
        }
    }
    Ok(found)
}

/// The resources of these ids, in no order; those that there are not are left out.
///
/// # Errors
/// If the database cannot be read.
pub fn of_ids(conn: &mut Conn, tenant: TenantKey, ids: &[Id]) -> Result<Vec<Resource>> {
    const COLUMNS: &str = "r.key, r.id, r.type, r.connection, r.display, r.document, r.version, r.created, r.modified";
    let sql = format!("SELECT {COLUMNS} {LISTED}{}", conn.each("resources", "r", OF_IDS));
    let mut found = Vec::with_capacity(ids.len());
    for ids in ids.chunks(CHUNK) {
        let rows = conn.load_sql::<SqlRow, Row>(&sql, &[Bind::List(List::ids(ids)), Bind::Int(tenant.0)])?;
        found.extend(rows);
    }
    found.into_iter().map(Row::into_resource).collect()
}

/// Those of these resources that come from no connection.
///
/// # Errors
/// If the database cannot be read.
pub fn without_connection(conn: &mut Conn, tenant: TenantKey, ids: &[Id]) -> Result<Vec<Id>> {
    const OWN: &str = "r.tenant = ? AND r.id = list.value AND r.connection IS NULL";
    let sql = format!("SELECT r.id {LISTED}{}", conn.each("resources", "r", OWN));
    let mut found = vec![];
    for ids in ids.chunks(CHUNK) {
        for id in conn.load_sql::<Binary, Vec<u8>>(&sql, &[Bind::List(List::ids(ids)), Bind::Int(tenant.0)])? {
            found.push(Column("resources", "id").id(&id)?);
        }
    }
    Ok(found)
}

/// A page of the resources of a type in the order of their keys.
///
/// # Errors
/// If the database cannot be read.
pub fn of_type(
    conn: &mut Conn,
    tenant: TenantKey,
    type_name: &str,
    after: ResourceKey,
    limit: i64,
) -> Result<Vec<Resource>> {
    let rows = on!(conn, |c| resources::table
        .select(Row::as_select())
        .filter(resources::tenant.eq(tenant.0))
        .filter(resources::type_name.eq(type_name))
        .filter(resources::key.gt(after.0))
        .order(resources::key)
        .limit(limit)
        .load::<Row>(c))?;
    rows.into_iter().map(Row::into_resource).collect()
}

/// The plus hides the tenant from SQLite's planner, which would scan all of its resources otherwise: it
/// cannot know how short the list of keys is.
const BY_KEYS: &str = "SELECT key, id, type, connection, display, document, version, created, modified \
     FROM resources WHERE +tenant = ? AND key IN ?";

/// The resources of these keys, in the order of the keys; those that there are not are left out.
///
/// # Errors
/// If the database cannot be read.
pub fn by_keys(conn: &mut Conn, tenant: TenantKey, keys: &[ResourceKey]) -> Result<Vec<Resource>> {
    if let [key] = keys {
        let row = on!(conn, |c| resources::table
            .select(Row::as_select())
            .filter(resources::key.eq(key.0))
            .filter(resources::tenant.eq(tenant.0))
            .get_result::<Row>(c)
            .optional())?;
        return row.map(Row::into_resource).into_iter().collect();
    }
    let mut found = HashMap::with_capacity(keys.len());
    for keys in keys.chunks(CHUNK) {
        let rows = conn.load_sql::<SqlRow, Row>(BY_KEYS, &[Bind::Int(tenant.0), Bind::List(List::keys(keys))])?;
        for row in rows {
            found.insert(row.key, row);
        }
    }
    keys.iter().filter_map(|key| found.remove(&key.0)).map(Row::into_resource).collect()
}

/// The same without the documents that are longer than a number of bytes, and with how long they are.
const SHORT_BY_KEYS: &str = "SELECT key, id, type, connection, display, \
     CASE WHEN octet_length(document) <= ? THEN document END, version, created, modified, \
     CAST(octet_length(document) AS BIGINT) FROM resources WHERE +tenant = ? AND key IN ?";
const DOCUMENTS: &str = "SELECT key, document FROM resources WHERE +tenant = ? AND key IN ?";
/// A document that is read before anybody knows how long it is has no more bytes.
const SHORT_BYTES: i64 = 2_048;

/// The resources of the first of these keys, in the order of the keys, and of how many keys they are. Their
/// documents have no more bytes together than `bytes_max`, but for a single one that is longer. Resources that
/// there are not are left out.
///
/// # Errors
/// If the database cannot be read.
pub fn first_by_keys(
    conn: &mut Conn,
    tenant: TenantKey,
    keys: &[ResourceKey],
    bytes_max: usize,
) -> Result<(Vec<Resource>, usize)> {
    type Columns =
        (BigInt, Binary, Text, Nullable<BigInt>, Nullable<Text>, Nullable<Text>, BigInt, BigInt, BigInt, BigInt);
    type Values = (i64, Vec<u8>, String, Option<i64>, Option<String>, Option<String>, i64, i64, i64, i64);
    let binds = [Bind::Int(SHORT_BYTES), Bind::Int(tenant.0), Bind::List(List::keys(keys))];
    let rows = conn.load_sql::<Columns, Values>(SHORT_BY_KEYS, &binds)?;
    let mut found: HashMap<i64, Values> = rows.into_iter().map(|row| (row.0, row)).collect();
    let (mut taken, mut long, mut bytes, mut used) = (vec![], vec![], 0_usize, 0);
    for key in keys {
        if let Some(row) = found.remove(&key.0) {
            bytes = bytes.saturating_add(usize::try_from(row.9).unwrap_or(usize::MAX));
            if bytes > bytes_max && !taken.is_empty() {
                break;
            }
            if row.5.is_none() {
                long.push(*key);
            }
            taken.push(row);
        }
        used += 1;
    }
    drop(found);
    let mut documents = HashMap::new();
    if !long.is_empty() {
        let binds = [Bind::Int(tenant.0), Bind::List(List::keys(&long))];
        documents.extend(conn.load_sql::<(BigInt, Text), (i64, String)>(DOCUMENTS, &binds)?);
    }
    let resource = |(key, id, type_name, connection, display, document, version, created, modified, _): Values| {
        // Gone between the two reads: as if it had not been there.
        let document = document.or_else(|| documents.remove(&key))?;
        Some(Row { key, id, type_name, connection, display, document, version, created, modified }.into_resource())
    };
    Ok((taken.into_iter().filter_map(resource).collect::<Result<_>>()?, used))
}

type SqlRow = diesel::dsl::SqlTypeOf<(
    resources::key,
    resources::id,
    resources::type_name,
    resources::connection,
    resources::display,
    resources::document,
    resources::version,
    resources::created,
    resources::modified,
)>;

/// How many resources of a type there are.
///
/// # Errors
/// If the database cannot be read.
pub fn count(conn: &mut Conn, tenant: TenantKey, type_name: &str) -> Result<i64> {
    let query = counters::table.find((tenant.0, type_name)).select(counters::total);
    Ok(on!(conn, |c| query.get_result::<i64>(c).optional())?.unwrap_or(0))
}

fn add_to_count(conn: &mut Conn, tenant: TenantKey, type_name: &str, change: i64) -> Result<()> {
    // As a text: diesel prepares an update anew each time.
    const SQL: &str = "INSERT INTO counters (tenant, type, total) VALUES (?, ?, ?) \
         ON CONFLICT (tenant, type) DO UPDATE SET total = counters.total + excluded.total";
    conn.execute_sql(SQL, &[Bind::Int(tenant.0), Bind::Text(type_name), Bind::Int(change)])?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use diesel::sql_types::Integer;

    use super::*;
    use crate::store::{Error, Settings, Store};

    #[test]
    fn resources_are_found_by_their_keys_not_by_their_tenant() {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("sqlite:{}", folder.path().join("k.db").display());
        let store = Store::open(&Settings { url, readers: 1 }).unwrap();
        let keys = [ResourceKey(1), ResourceKey(2)];
        type Step = (i32, i32, i32, String);
        for sql in [BY_KEYS, SHORT_BY_KEYS, DOCUMENTS] {
            let mut binds = vec![Bind::Int(1), Bind::List(List::keys(&keys))];
            if sql == SHORT_BY_KEYS {
                binds.insert(0, Bind::Int(1));
            }
            let explain = format!("EXPLAIN QUERY PLAN {sql}");
            let steps = store.read(|conn| conn.load_sql::<(Integer, Integer, Integer, Text), Step>(&explain, &binds));
            let steps: Result<Vec<Step>, Error> = steps;
            assert_eq!(steps.unwrap()[0].3, "SEARCH resources USING INTEGER PRIMARY KEY (rowid=?)", "{sql}");
        }
    }
}
