//! The dictionary of indexed paths.
//!
//! The number of a path is a hash of its name, so it is the same in every database and version, and no
//! statement has to look it up. The table says what the numbers stand for, and which paths are indexed.

use diesel::prelude::*;
use diesel::sql_types::{BigInt, Text};
use serde_json::{Map, Value};

use super::{derive_path, insert};
use crate::domain::TenantKey;
use crate::scim::ResourceType;
use crate::scim::schema::registry;
use crate::store::connection::{Bind, CHUNK, Conn, on, transaction};
use crate::store::error::{Error, Result};
use crate::store::schema::{index_paths, resource_index};
use crate::store::types::{Column, ResourceKey};

/// The number of a path of a type: 24 bits of FNV-1a, three bytes in a row.
pub(in crate::store) fn path_key(type_name: &str, path: &str) -> i32 {
    let fnv = |hash: u32, byte: u8| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193);
    let hash = type_name.bytes().chain([b'.']).chain(path.bytes()).fold(0x811c_9dc5, fnv);
    ((hash >> 24) ^ (hash & 0x00ff_ffff)).cast_signed()
}

/// Makes the dictionary that of this version. Documents are indexed by paths that are new to the
/// database, and rows of paths that are gone are dropped, or they would be stale should those return.
///
/// # Errors
/// [`Error::Refused`] if two paths have the same number.
pub(in crate::store) fn ensure_paths(conn: &mut Conn) -> Result<()> {
    let query = index_paths::table.select((index_paths::key, index_paths::type_name, index_paths::path));
    let mut known: Vec<(i32, String, String)> = on!(conn, |c| query.load(c))?;
    let types = registry().types.iter().copied();
    let wanted = types.flat_map(|one| one.indexed.iter().map(move |path| (one, path)));
    let mut new = vec![];
    for (one, path) in wanted {
        let key = path_key(&one.name, path);
        let here = known.iter().position(|(known, name, text)| (*known, name, text) == (key, &one.name, path));
        match here {
            Some(at) => drop(known.swap_remove(at)),
            None => new.push((key, one, path.as_str())),
        }
    }
    if new.is_empty() && known.is_empty() {
        return Ok(());
    }
    transaction(conn, |conn| {
        known.iter().try_for_each(|(key, ..)| drop_path(conn, *key))?;
        new.iter().try_for_each(|(key, one, path)| add_path(conn, *key, one, path))
    })
    .map_err(crate::store::connection::Failed::<Error>::into_error)
}

fn drop_path(conn: &mut Conn, key: i32) -> Result<()> {
    on!(conn, |c| diesel::delete(resource_index::table.filter(resource_index::path.eq(key))).execute(c))?;
    on!(conn, |c| diesel::delete(index_paths::table.find(key)).execute(c))?;
    Ok(())
}

fn add_path(conn: &mut Conn, key: i32, resource_type: &'static ResourceType, path: &str) -> Result<()> {
    let values = (index_paths::key.eq(key), index_paths::type_name.eq(&resource_type.name), index_paths::path.eq(path));
    let insert = diesel::insert_into(index_paths::table).values(values).on_conflict_do_nothing();
    if on!(conn, |c| insert.execute(c))? == 0 {
        let name = &resource_type.name;
        return Err(Error::Refused(format!("the indexed path {name}.{path} has the number of another one: rename it")));
    }
    fill(conn, resource_type, path)
}

/// Indexes the documents that are there already.
fn fill(conn: &mut Conn, resource_type: &'static ResourceType, path: &str) -> Result<()> {
    const SQL: &str = "SELECT key, tenant, document FROM resources WHERE type = ? AND key > ? ORDER BY key LIMIT ?";
    let mut after = 0;
    loop {
        let binds = [Bind::Text(&resource_type.name), Bind::Int(after), Bind::Int(CHUNK as i64)];
        let rows = conn.load_sql::<(BigInt, BigInt, Text), (i64, i64, String)>(SQL, &binds)?;
        let Some((last, ..)) = rows.last() else { return Ok(()) };
        after = *last;
        for (key, tenant, document) in &rows {
            let document: Map<String, Value> = serde_json::from_str(document)
                .map_err(|_| Column("resources", "document").corrupt("no JSON object"))?;
            for row in derive_path(resource_type, path, &document) {
                insert(conn, TenantKey(*tenant), ResourceKey(*key), &row)?;
            }
        }
    }
}
