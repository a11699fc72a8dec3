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
use crate::store::connection::{Bind, CHUNK, Conn, Failed, alter, on, transaction};
use crate::store::error::{Error, Result};
use crate::store::schema::{index_paths, resource_index};
use crate::store::tenants;
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
    let changed = transaction(conn, |conn| {
        let tenants: Vec<TenantKey> = tenants::all(conn)?.iter().map(|tenant| tenant.key).collect();
        for (key, ..) in known {
            tenants.iter().try_for_each(|tenant| forget(conn, *tenant, key))?;
            alter!(conn, |c| diesel::delete(index_paths::table.find(key)).execute(c))?;
        }
        for (key, one, path) in new {
            let name = &one.name;
            let values = (index_paths::key.eq(key), index_paths::type_name.eq(name), index_paths::path.eq(path));
            let insert = diesel::insert_into(index_paths::table).values(values).on_conflict_do_nothing();
            if alter!(conn, |c| insert.execute(c))? == 0 {
                let what = format!("the indexed path {name}.{path} has the number of another one: rename it");
                return Err(Error::Refused(what));
            }
            tenants.iter().try_for_each(|tenant| fill(conn, *tenant, one, path))?;
        }
        Ok(())
    });
    changed.map_err(Failed::into_error)
}

fn forget(conn: &mut Conn, tenant: TenantKey, key: i32) -> Result<()> {
    let own = resource_index::table.filter(resource_index::tenant.eq(tenant.0)).filter(resource_index::path.eq(key));
    alter!(conn, |c| diesel::delete(own).execute(c))?;
    Ok(())
}

/// Indexes the documents that are there already.
fn fill(conn: &mut Conn, tenant: TenantKey, resource_type: &'static ResourceType, path: &str) -> Result<()> {
    const SQL: &str =
        "SELECT key, document FROM resources WHERE tenant = ? AND type = ? AND key > ? ORDER BY key LIMIT ?";
    let mut after = 0;
    loop {
        let (own, limit) = (Bind::Int(tenant.0), Bind::Int(CHUNK as i64));
        let binds = [own, Bind::Text(&resource_type.name), Bind::Int(after), limit];
        let rows = conn.load_sql::<(BigInt, Text), (i64, String)>(SQL, &binds)?;
        let Some((last, _)) = rows.last() else { return Ok(()) };
        after = *last;
        for (key, document) in &rows {
            let document: Map<String, Value> = serde_json::from_str(document)
                .map_err(|_| Column("resources", "document").corrupt("no JSON object"))?;
            for row in derive_path(resource_type, path, &document) {
                insert(conn, tenant, ResourceKey(*key), [&row])?;
            }
        }
    }
}
