//! The index: what documents hold under indexed paths, as rows. A function of the documents, written in
//! the transaction that writes them.

mod paths;

use std::collections::HashSet;

use diesel::prelude::*;
use diesel::sql_types::{Binary, Text};
use serde_json::{Map, Value};

pub(super) use self::paths::ensure_paths;
pub(in crate::store) use self::paths::path_key;
use super::connection::{Bind, CHUNK, Conn, LISTED, List, on};
use super::error::Result;
use super::schema::resource_index;
use super::staged::{Cell, Op, RESOURCE_INDEX};
use super::types::{Column, ResourceKey};
use crate::domain::{Id, TenantKey};
use crate::scim::ResourceType;
use crate::scim::attribute::Attribute;
use crate::scim::filter::index_text;
use crate::scim::path::{AttrRef, Name, resolve};

/// How many bytes of a value are kept: less than what fits into an entry of any database's index.
pub const VALUE_BYTES_MAX: usize = 512;

/// One value of one document under an indexed path.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct IndexRow {
    /// The path, as a number: see `index_paths`.
    pub path: i32,
    /// The value as it compares, at most [`VALUE_BYTES_MAX`] bytes of it.
    pub value: String,
    /// Which element of a multi-valued attribute holds it; 0 for others.
    pub element: i32,
    /// Whether the resource is sorted by this value: one row for each path.
    pub is_primary: bool,
    /// Whether the value is longer than what is kept.
    pub cut: bool,
}

/// The rows of a document, path by path.
pub fn derive(resource_type: &'static ResourceType, document: &Map<String, Value>) -> Vec<IndexRow> {
    resource_type.indexed.iter().flat_map(|path| derive_path(resource_type, path, document)).collect()
}

fn derive_path(resource_type: &'static ResourceType, path: &str, document: &Map<String, Value>) -> Vec<IndexRow> {
    match resolve(resource_type, path) {
        Some(Name::Attribute(target)) => derive_target(resource_type, path, target, document),
        _ => vec![],
    }
}

fn derive_target(
    resource_type: &ResourceType,
    path: &str,
    target: AttrRef,
    document: &Map<String, Value>,
) -> Vec<IndexRow> {
    let key = path_key(&resource_type.name, path);
    let found = values(target, document);
    let primary = primary(&found);
    let row = |(n, found): (usize, FoundValues<'_>)| {
        let text = index_text(target.leaf(), found.value)?;
        let kept = cut(&text, VALUE_BYTES_MAX);
        let (value, cut) = (kept.to_owned(), kept.len() < text.len());
        Some(IndexRow { path: key, value, element: found.element, is_primary: primary == Some(n), cut })
    };
    found.into_iter().enumerate().filter_map(row).collect()
}

/// The first bytes of a text, whole characters of it.
pub(in crate::store) fn cut(text: &str, bytes: usize) -> &str {
    if text.len() <= bytes {
        return text;
    }
    (0..=bytes).rev().find_map(|end| text.get(..end)).unwrap_or_default()
}

/// A value that compares, and where it stands.
struct FoundValues<'d> {
    element: i32,
    value: &'d Value,
    is_marked: bool,
}

/// The value that a document is sorted by: that of the element marked as primary, else the first.
pub(in crate::store) fn sort_value(target: AttrRef, document: &Map<String, Value>) -> Option<&Value> {
    let found = values(target, document);
    found.get(primary(&found)?).map(|found| found.value)
}

fn primary(found: &[FoundValues<'_>]) -> Option<usize> {
    let marked = found.iter().position(|found| found.is_marked);
    marked.or_else(|| (!found.is_empty()).then_some(0))
}

fn values(target: AttrRef, document: &Map<String, Value>) -> Vec<FoundValues<'_>> {
    let elements = match target.find(document) {
        None => return vec![],
        Some(Value::Array(elements)) => elements.as_slice(),
        Some(value) => std::slice::from_ref(value),
    };
    let (leaf, mut found) = (target.leaf(), vec![]);
    for (number, element) in (0..).zip(elements) {
        let is_marked = element.get("primary").and_then(Value::as_bool).unwrap_or(false);
        let value = match target.sub {
            Some(sub) => element.get(&sub.name),
            None => Some(element),
        };
        found.extend(value.filter(|v| compares(leaf, v)).map(|value| FoundValues {
            element: number,
            value,
            is_marked,
        }));
    }
    found
}

fn compares(leaf: &Attribute, value: &Value) -> bool {
    crate::scim::filter::scalar(leaf, value).is_some()
}

/// Writes the rows of a new resource.
///
/// # Errors
/// If the database cannot be written.
pub fn add(conn: &mut Conn, tenant: TenantKey, key: ResourceKey, rows: &[IndexRow]) -> Result<()> {
    insert(conn, tenant, key, rows)
}

/// Writes what differs between two documents of a resource; `None` stands for no document.
///
/// # Errors
/// If the database cannot be written.
pub fn write(
    conn: &mut Conn,
    tenant: TenantKey,
    resource_type: &'static ResourceType,
    key: ResourceKey,
    before: Option<&Map<String, Value>>,
    after: Option<&Map<String, Value>>,
) -> Result<()> {
    let (before, after) = changed(resource_type, before, after);
    let (old, new): (HashSet<&IndexRow>, HashSet<&IndexRow>) = (before.iter().collect(), after.iter().collect());
    for row in before.iter().filter(|row| !new.contains(row)) {
        delete(conn, tenant, key, row)?;
    }
    insert(conn, tenant, key, after.iter().filter(|row| !old.contains(row)))
}

/// The rows of two documents, but for those of attributes that say the same in both.
fn changed(
    resource_type: &'static ResourceType,
    before: Option<&Map<String, Value>>,
    after: Option<&Map<String, Value>>,
) -> (Vec<IndexRow>, Vec<IndexRow>) {
    let (mut old, mut new) = (vec![], vec![]);
    for path in &resource_type.indexed {
        let Some(Name::Attribute(target)) = resolve(resource_type, path) else { continue };
        if before.and_then(|old| target.find(old)) != after.and_then(|new| target.find(new)) {
            let rows = |document: &_| derive_target(resource_type, path, target, document);
            old.extend(before.map(rows).unwrap_or_default());
            new.extend(after.map(rows).unwrap_or_default());
        }
    }
    (old, new)
}

fn insert<'r>(
    conn: &mut Conn,
    tenant: TenantKey,
    key: ResourceKey,
    rows: impl IntoIterator<Item = &'r IndexRow>,
) -> Result<()> {
    let new = |row: &'r IndexRow| (place(tenant, key, row), vec![row.is_primary.into(), row.cut.into()]);
    conn.stage_new(&RESOURCE_INDEX, rows.into_iter().map(new))
}

fn delete(conn: &mut Conn, tenant: TenantKey, key: ResourceKey, row: &IndexRow) -> Result<()> {
    conn.stage(&RESOURCE_INDEX, place(tenant, key, row), Op::Delete)
}

fn place(tenant: TenantKey, key: ResourceKey, row: &IndexRow) -> Vec<Cell<'_>> {
    vec![
        tenant.0.into(),
        i64::from(row.path).into(),
        row.value.as_str().into(),
        key.0.into(),
        i64::from(row.element).into(),
    ]
}

/// The resources of a type that hold a value under an indexed path, in the order of their keys.
///
/// # Errors
/// If the database cannot be read.
pub fn referrers(
    conn: &mut Conn,
    tenant: TenantKey,
    resource_type: &'static ResourceType,
    path: &str,
    value: &str,
) -> Result<Vec<ResourceKey>> {
    let Some(Name::Attribute(target)) = resolve(resource_type, path) else { return Ok(vec![]) };
    let Some(text) = index_text(target.leaf(), &Value::from(value)) else { return Ok(vec![]) };
    let key = path_key(&resource_type.name, &target.to_string());
    let query = resource_index::table
        .select(resource_index::resource)
        .filter(resource_index::tenant.eq(tenant.0))
        .filter(resource_index::path.eq(key))
        .filter(resource_index::value.eq(text))
        .distinct()
        .order(resource_index::resource);
    Ok(on!(conn, |c| query.load::<i64>(c))?.into_iter().map(ResourceKey).collect())
}

/// What resources of these ids hold under an indexed path of their type.
///
/// # Errors
/// If the database cannot be read.
pub fn held(
    conn: &mut Conn,
    tenant: TenantKey,
    resource_type: &ResourceType,
    path: &str,
    ids: &[Id],
) -> Result<Vec<(Id, String)>> {
    let named = conn.each("resources", "r", "r.tenant = ? AND r.id = list.value");
    let held = conn.each("resource_index", "i", "i.resource = r.key AND i.path = ? AND +i.tenant = ?");
    let sql = format!("SELECT r.id, i.value FROM (SELECT r.id, r.key {LISTED}{named}) AS r {held}");
    let path = i64::from(path_key(&resource_type.name, path));
    let mut found = vec![];
    for ids in ids.chunks(CHUNK) {
        let own = || Bind::Int(tenant.0);
        let binds = [Bind::List(List::ids(ids)), own(), Bind::Int(path), own()];
        for (id, value) in conn.load_sql::<(Binary, Text), (Vec<u8>, String)>(&sql, &binds)? {
            found.push((Column("resources", "id").id(&id)?, value));
        }
    }
    Ok(found)
}

#[cfg(test)]
#[path = "index_test.rs"]
mod tests;
