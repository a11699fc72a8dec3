//! Where to look for the principals that mappings may concern.
//!
//! Everything comes in the order of surrogate keys and a range at a time, so that looking costs what the
//! range holds, whatever the size of a group or of the directory.

use std::collections::{BTreeSet, HashMap};

use diesel::sql_types::{BigInt, Text};
use serde_json::{Map, Value};

use super::connection::{Bind, CHUNK, Conn, List};
use super::error::Result;
use super::index::{VALUE_BYTES_MAX, cut, path_key};
use super::resources;
use super::types::{Column, ResourceKey};
use crate::domain::mapping::GroupName;
use crate::domain::{Id, TenantKey};
use crate::scim::schema::registry;
use crate::scim::{ResourceType, text};

/// Behind every key.
pub const LAST_KEY: ResourceKey = ResourceKey(i64::MAX);

/// Some keys, in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyRange {
    /// The keys.
    pub keys: Vec<ResourceKey>,
    /// Up to where they are all there are: [`LAST_KEY`] if nothing follows.
    pub until: ResourceKey,
}

impl KeyRange {
    /// What a query with a limit found: if it found as many, more may follow.
    pub fn new(keys: Vec<ResourceKey>, limit: usize) -> KeyRange {
        let until = keys.last().copied().filter(|_| keys.len() >= limit).unwrap_or(LAST_KEY);
        KeyRange { keys, until }
    }
}

/// The groups that mappings name, by key. Of displayNames and externalIds, the first bytes decide: a few
/// others may be among them.
///
/// # Errors
/// If the database cannot be read.
pub fn named(conn: &mut Conn, tenant: TenantKey, names: &[&GroupName]) -> Result<Vec<ResourceKey>> {
    let (mut ids, mut displays, mut external_ids) = (vec![], vec![], vec![]);
    for name in names {
        match name {
            GroupName::Id(id) => ids.push(*id),
            GroupName::DisplayName(name) => displays.push(cut(&text::fold(name), VALUE_BYTES_MAX).to_owned()),
            GroupName::ExternalId(id) => external_ids.push(id.clone()),
        }
    }
    let mut found = BTreeSet::new();
    for group in registry().types.iter().filter(|one| one.rows.is_some()) {
        found.extend(of_ids(conn, tenant, group, &ids)?);
        found.extend(displayed(conn, tenant, group, &displays)?);
        found.extend(called(conn, tenant, group, &external_ids)?);
    }
    Ok(found.into_iter().collect())
}

fn of_ids(conn: &mut Conn, tenant: TenantKey, group: &ResourceType, ids: &[Id]) -> Result<Vec<ResourceKey>> {
    let found = resources::by_ids(conn, tenant, ids)?.into_iter();
    Ok(found.filter(|(.., type_name)| *type_name == group.name).map(|(_, key, _)| key).collect())
}

fn displayed(conn: &mut Conn, tenant: TenantKey, group: &ResourceType, names: &[String]) -> Result<Vec<ResourceKey>> {
    // Value by value: with `value IN` SQLite would put them in order first.
    let own = conn.each("resource_index", "i", "i.tenant = ? AND i.path = ? AND i.value = list.value");
    let sql = format!("SELECT i.resource FROM ? AS list {own}");
    let mut found = vec![];
    let paths = group.display.iter().map(|attribute| path_key(&group.name, &attribute.name));
    for (path, names) in paths.flat_map(|path| names.chunks(CHUNK).map(move |names| (path, names))) {
        let list = Bind::List(List::texts(names.iter().map(String::as_str)));
        let binds = [list, Bind::Int(tenant.0), Bind::Int(path.into())];
        found.extend(conn.load_sql::<BigInt, i64>(&sql, &binds)?.into_iter().map(ResourceKey));
    }
    Ok(found)
}

fn called(conn: &mut Conn, tenant: TenantKey, group: &ResourceType, values: &[String]) -> Result<Vec<ResourceKey>> {
    // Value by value in each connection: with `value IN` SQLite reads every externalId of a connection.
    let own = "e.connection = list.connection AND e.type = ? AND e.value = list.value AND +e.tenant = list.tenant";
    let sql = format!(
        "SELECT e.resource FROM (SELECT l.value, c.key AS connection, c.tenant FROM ? AS l CROSS JOIN connections c \
         WHERE c.tenant = ?) AS list {}",
        conn.each("external_ids", "e", own)
    );
    let mut found = vec![];
    for values in values.chunks(CHUNK) {
        let list = List::texts(values.iter().map(String::as_str));
        let binds = [Bind::List(list), Bind::Int(tenant.0), Bind::Text(&group.name)];
        found.extend(conn.load_sql::<BigInt, i64>(&sql, &binds)?.into_iter().map(ResourceKey));
    }
    Ok(found)
}

/// Some groups and every group inside them, in the order of their keys.
///
/// # Errors
/// If the database cannot be read.
pub fn inside(conn: &mut Conn, tenant: TenantKey, groups: &[ResourceKey]) -> Result<Vec<ResourceKey>> {
    let sql = format!(
        "WITH RECURSIVE down (grp) AS (SELECT m.member_key FROM memberships m \
         WHERE m.group_key IN ? AND m.nested = TRUE AND m.until_seq IS NULL AND m.tenant = ? \
         UNION SELECT m.member_key FROM down {}) SELECT grp FROM down",
        conn.each("memberships", "m", "m.group_key = down.grp AND m.nested = TRUE AND m.until_seq IS NULL")
    );
    let mut found: BTreeSet<ResourceKey> = groups.iter().copied().collect();
    for groups in groups.chunks(CHUNK) {
        let binds = [Bind::List(List::keys(groups)), Bind::Int(tenant.0)];
        found.extend(conn.load_sql::<BigInt, i64>(&sql, &binds)?.into_iter().map(ResourceKey));
    }
    Ok(found.into_iter().collect())
}

/// The first principals behind a key among the direct members of each of some groups, at most so many of
/// each, in the order of their keys.
///
/// # Errors
/// If the database cannot be read.
pub fn members(
    conn: &mut Conn,
    tenant: TenantKey,
    groups: &[ResourceKey],
    after: ResourceKey,
    each: usize,
) -> Result<HashMap<ResourceKey, Vec<ResourceKey>>> {
    macro_rules! first {
        ($of:literal) => {
            concat!(
                "SELECT group_key, member_key FROM memberships WHERE group_key = ",
                $of,
                " AND until_seq IS NULL AND member_key > ? AND nested = FALSE AND tenant = ? ",
                "ORDER BY member_key LIMIT ?"
            )
        };
    }
    const ONE: &str = first!("?");
    // SQLite has no LATERAL, and a statement for each group costs it nothing.
    const ALL: &str = concat!("SELECT m.* FROM ? AS list CROSS JOIN LATERAL (", first!("list.value"), ") AS m");
    type Sql = (BigInt, BigInt);
    let (own, limit) = (|| Bind::Int(tenant.0), || Bind::Int(i64::try_from(each).unwrap_or(i64::MAX)));
    let mut rows: Vec<(i64, i64)> = vec![];
    if !conn.is_embedded() {
        for groups in groups.chunks(CHUNK) {
            let binds = [Bind::List(List::keys(groups)), Bind::Int(after.0), own(), limit()];
            rows.extend(conn.load_sql::<Sql, (i64, i64)>(ALL, &binds)?);
        }
    } else {
        for group in groups {
            let binds = [Bind::Int(group.0), Bind::Int(after.0), own(), limit()];
            rows.extend(conn.load_sql::<Sql, (i64, i64)>(ONE, &binds)?);
        }
    }
    let mut found: HashMap<ResourceKey, Vec<ResourceKey>> = HashMap::with_capacity(groups.len());
    for (group, member) in rows {
        found.entry(ResourceKey(group)).or_default().push(ResourceKey(member));
    }
    // The order of a list is that of its query, which a join need not keep.
    found.values_mut().for_each(|members| members.sort_unstable());
    Ok(found)
}

/// The resources of a type that hold a value under an indexed path. Its first bytes decide: a few others
/// may be among them.
///
/// # Errors
/// If the database cannot be read.
pub fn holding(
    conn: &mut Conn,
    tenant: TenantKey,
    (resource_type, path): (&ResourceType, &str),
    value: &str,
    after: ResourceKey,
    limit: usize,
) -> Result<KeyRange> {
    const SQL: &str = "SELECT DISTINCT resource FROM resource_index \
         WHERE tenant = ? AND path = ? AND value = ? AND resource > ? ORDER BY resource LIMIT ?";
    let path = path_key(&resource_type.name, path);
    let binds = [
        Bind::Int(tenant.0),
        Bind::Int(path.into()),
        Bind::Text(cut(value, VALUE_BYTES_MAX)),
        Bind::Int(after.0),
        Bind::Int(i64::try_from(limit).unwrap_or(i64::MAX)),
    ];
    let keys = conn.load_sql::<BigInt, i64>(SQL, &binds)?.into_iter().map(ResourceKey).collect();
    Ok(KeyRange::new(keys, limit))
}

/// The documents of a type behind a key, in the order of their keys.
///
/// # Errors
/// If the database cannot be read.
pub fn documents(
    conn: &mut Conn,
    tenant: TenantKey,
    resource_type: &ResourceType,
    after: ResourceKey,
    limit: usize,
) -> Result<Vec<(ResourceKey, Map<String, Value>)>> {
    const SQL: &str =
        "SELECT key, document FROM resources WHERE tenant = ? AND type = ? AND key > ? ORDER BY key LIMIT ?";
    let limit = Bind::Int(i64::try_from(limit).unwrap_or(i64::MAX));
    let binds = [Bind::Int(tenant.0), Bind::Text(&resource_type.name), Bind::Int(after.0), limit];
    let rows = conn.load_sql::<(BigInt, Text), (i64, String)>(SQL, &binds)?;
    let corrupt = |_| Column("resources", "document").corrupt("no JSON object");
    rows.into_iter().map(|(key, text)| Ok((ResourceKey(key), serde_json::from_str(&text).map_err(corrupt)?))).collect()
}
