//! Many resources in one statement.

use std::collections::HashMap;
use std::sync::LazyLock;

use diesel::prelude::*;
use diesel::sql_types::{BigInt, Binary, Text};

use super::{COLUMNS, Resource, Row, SqlRow};
use crate::domain::{Id, TenantKey};
use crate::store::connection::{Bind, CHUNK, Conn, LISTED, List, on};
use crate::store::error::Result;
use crate::store::row::list;
use crate::store::schema::resources;
use crate::store::staged::{Cell, Op, RESOURCES};
use crate::store::types::{Column, ResourceKey};

/// What a resource of a list of ids is.
pub(super) const OF_IDS: &str = "r.tenant = ? AND r.id = list.value";

/// What is known of a resource that was read ahead.
pub(in crate::store) struct Named {
    pub(in crate::store) key: ResourceKey,
    pub(in crate::store) type_name: String,
}

/// The keys and types of those of the ids that there are, in no order.
///
/// # Errors
/// If the database cannot be read.
pub fn by_ids(conn: &mut Conn, tenant: TenantKey, ids: &[Id]) -> Result<Vec<(Id, ResourceKey, String)>> {
    let known = |id: &Id| conn.unit.ahead.get::<Named>(*id).map(|one| (*id, one.key, one.type_name.clone()));
    if let Some(found) = ids.iter().map(known).collect::<Option<Vec<_>>>().filter(|_| !ids.is_empty()) {
        return Ok(found);
    }
    let mut found = keys_of(conn, tenant, ids)?;
    // Who is not there may have come by a change that waits.
    if found.len() < ids.len() && conn.waits_in(&RESOURCES) {
        conn.settled()?;
        found = keys_of(conn, tenant, ids)?;
    }
    Ok(found)
}

fn keys_of(conn: &mut Conn, tenant: TenantKey, ids: &[Id]) -> Result<Vec<(Id, ResourceKey, String)>> {
    let sql = format!("SELECT r.id, r.key, r.type {LISTED}{}", conn.each("resources", "r", OF_IDS));
    let mut found = Vec::with_capacity(ids.len());
    for ids in ids.chunks(CHUNK) {
        let binds = [Bind::List(List::ids(ids)), Bind::Int(tenant.0)];
        let rows = conn.load_unsettled::<(Binary, BigInt, Text), (Vec<u8>, i64, String)>(&sql, &binds)?;
        for (id, key, type_name) in rows {
            found.push((Column("resources", "id").id(&id)?, ResourceKey(key), type_name));
        }
    }
    Ok(found)
}

/// The id of a resource.
///
/// # Errors
/// If the database cannot be read.
pub fn id_of(conn: &mut Conn, tenant: TenantKey, key: ResourceKey) -> Result<Option<Id>> {
    const SQL: &str = "SELECT id FROM resources WHERE key = ? AND +tenant = ?";
    let bytes = match conn.staged(&RESOURCES, &[key.0.into(), tenant.0.into()]) {
        Some(Op::Insert(row)) => row.first().and_then(Cell::bytes).map(<[u8]>::to_vec),
        _ => conn.load_unsettled::<Binary, Vec<u8>>(SQL, &[Bind::Int(key.0), Bind::Int(tenant.0)])?.pop(),
    };
    bytes.map(|bytes| Column("resources", "id").id(&bytes)).transpose()
}

/// The resources of these ids, in no order; those that there are not are left out.
///
/// # Errors
/// If the database cannot be read.
pub fn of_ids(conn: &mut Conn, tenant: TenantKey, ids: &[Id]) -> Result<Vec<Resource>> {
    let columns = list(COLUMNS, |name| format!("r.{name}"));
    let sql = format!("SELECT {columns} {LISTED}{}", conn.each("resources", "r", OF_IDS));
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
static BY_KEYS: LazyLock<String> = LazyLock::new(|| {
    let columns = list(COLUMNS, str::to_owned);
    format!("SELECT {columns} FROM resources WHERE +tenant = ? AND key IN ?")
});

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
        let rows = conn.load_sql::<SqlRow, Row>(&BY_KEYS, &[Bind::Int(tenant.0), Bind::List(List::keys(keys))])?;
        for row in rows {
            found.insert(row.key, row);
        }
    }
    keys.iter().filter_map(|key| found.remove(&key.0)).map(Row::into_resource).collect()
}

/// The same without the documents that are longer than a number of bytes, and with how long they are.
static SHORT_BY_KEYS: LazyLock<String> = LazyLock::new(|| {
    let columns = list(COLUMNS, |name| match name {
        "document" => "CASE WHEN octet_length(document) <= ? THEN document ELSE '' END".to_owned(),
        name => name.to_owned(),
    });
    let bytes = "CAST(octet_length(document) AS BIGINT)";
    format!("SELECT {columns}, {bytes} FROM resources WHERE +tenant = ? AND key IN ?")
});
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
    let binds = [Bind::Int(SHORT_BYTES), Bind::Int(tenant.0), Bind::List(List::keys(keys))];
    let rows = conn.load_sql::<(SqlRow, BigInt), (Row, i64)>(&SHORT_BY_KEYS, &binds)?;
    let mut found: HashMap<i64, (Row, i64)> = rows.into_iter().map(|(row, bytes)| (row.key, (row, bytes))).collect();
    let (mut taken, mut long, mut bytes, mut used) = (vec![], vec![], 0_usize, 0);
    for key in keys {
        if let Some((row, own_bytes)) = found.remove(&key.0) {
            bytes = bytes.saturating_add(usize::try_from(own_bytes).unwrap_or(usize::MAX));
            if bytes > bytes_max && !taken.is_empty() {
                break;
            }
            let is_long = own_bytes > SHORT_BYTES;
            if is_long {
                long.push(*key);
            }
            taken.push((row, is_long));
        }
        used += 1;
    }
    drop(found);
    let mut documents = HashMap::new();
    if !long.is_empty() {
        let binds = [Bind::Int(tenant.0), Bind::List(List::keys(&long))];
        documents.extend(conn.load_sql::<(BigInt, Text), (i64, String)>(DOCUMENTS, &binds)?);
    }
    let resource = |(row, is_long): (Row, bool)| {
        // Gone between the two reads: as if it had not been there.
        let document = if is_long { documents.remove(&row.key)? } else { row.document };
        Some(Row { document, ..row }.into_resource())
    };
    Ok((taken.into_iter().filter_map(resource).collect::<Result<_>>()?, used))
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
        for sql in [BY_KEYS.as_str(), SHORT_BY_KEYS.as_str(), DOCUMENTS] {
            let mut binds = vec![Bind::Int(1), Bind::List(List::keys(&keys))];
            if sql == SHORT_BY_KEYS.as_str() {
                binds.insert(0, Bind::Int(1));
            }
            let explain = format!("EXPLAIN QUERY PLAN {sql}");
            let steps = store.read(|conn| conn.load_sql::<(Integer, Integer, Integer, Text), Step>(&explain, &binds));
            let steps: Result<Vec<Step>, Error> = steps;
            assert_eq!(steps.unwrap()[0].3, "SEARCH resources USING INTEGER PRIMARY KEY (rowid=?)", "{sql}");
        }
    }
}
