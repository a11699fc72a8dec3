//! What access is computed from, read set-wise: groups, and who was in which after a record of the log.

use std::collections::{HashMap, HashSet};

use diesel::sql_types::{BigInt, Binary, Nullable, Text};

use super::connection::{Bind, CHUNK, Conn, List};
use super::error::Result;
use super::types::{Column, ResourceKey};
use crate::domain::facts::{Edge, GroupFacts};
use crate::domain::{Id, TenantKey};
use crate::scim::schema::registry;

/// What held after a record.
const HELD: &str = "m.from_seq <= ? AND (m.until_seq IS NULL OR m.until_seq > ?)";

/// The groups of some members, the groups around these, and so on, after a record of the log: by member.
///
/// # Errors
/// If the database cannot be read.
pub fn edges(conn: &mut Conn, tenant: TenantKey, members: &[ResourceKey], at: i64) -> Result<HashMap<i64, Vec<Edge>>> {
    // UNION drops what was seen already, so it ends even in a circle.
    let sql = format!(
        "WITH RECURSIVE up (member, grp, since) AS (SELECT m.member_key, m.group_key, m.from_seq \
         FROM memberships m WHERE m.member_key IN ? AND {HELD} AND m.tenant = ? \
         UNION SELECT m.member_key, m.group_key, m.from_seq FROM up {}) SELECT member, grp, since FROM up",
        conn.each("memberships", "m", &format!("m.member_key = up.grp AND {HELD}"))
    );
    type Sql = (BigInt, BigInt, BigInt);
    let mut found: HashMap<i64, Vec<Edge>> = HashMap::new();
    let at = || Bind::Int(at);
    for members in members.chunks(CHUNK) {
        // Two chunks of members may climb through the same groups: the first tells all that is around one.
        let climbed: HashSet<i64> = found.keys().copied().collect();
        let binds = [Bind::List(List::keys(members)), at(), at(), Bind::Int(tenant.0), at(), at()];
        for (member, group, from_seq) in conn.load_sql::<Sql, (i64, i64, i64)>(&sql, &binds)? {
            if !climbed.contains(&member) {
                found.entry(member).or_default().push(Edge { group, from_seq });
            }
        }
    }
    Ok(found)
}

/// What is known of groups by key; those that there are no longer are left out. What connections call
/// them is read only if it is asked for.
///
/// # Errors
/// If the database cannot be read.
pub fn groups(
    conn: &mut Conn,
    tenant: TenantKey,
    keys: &[ResourceKey],
    external_ids: bool,
) -> Result<HashMap<i64, GroupFacts>> {
    // The plus hides the tenant from SQLite's planner: see `resources::by_keys`.
    const SQL: &str = "SELECT key, id, display FROM resources WHERE +tenant = ? AND key IN ?";
    let mut found = HashMap::with_capacity(keys.len());
    for keys in keys.chunks(CHUNK) {
        load(conn, tenant, SQL, Bind::List(List::keys(keys)), &mut found)?;
    }
    if external_ids {
        add_external_ids(conn, tenant, keys, &mut found)?;
    }
    Ok(found)
}

/// What is known of every group by key, if there are no more than so many.
///
/// # Errors
/// If the database cannot be read.
pub fn all_groups(
    conn: &mut Conn,
    tenant: TenantKey,
    most: usize,
    external_ids: bool,
) -> Result<Option<HashMap<i64, GroupFacts>>> {
    // By the keys that the index has: where SQLite has counted many people it would rather read all of them, too.
    const OWN: &str = "SELECT r.key, r.id, r.display FROM \
         (SELECT key AS k FROM resources WHERE tenant = ? AND type = ?) AS own ";
    let sql = format!("{OWN}{}", conn.each("resources", "r", "r.key = own.k"));
    let types: Vec<&str> =
        registry().types.iter().filter(|one| one.rows.is_some()).map(|one| one.name.as_str()).collect();
    let counts = types.iter().map(|name| super::resources::count(conn, tenant, name));
    let total: i64 = counts.collect::<Result<Vec<i64>>>()?.into_iter().sum();
    if usize::try_from(total).map_or(true, |total| total > most) {
        return Ok(None);
    }
    let mut found = HashMap::new();
    for name in types {
        load(conn, tenant, &sql, Bind::Text(name), &mut found)?;
    }
    if external_ids {
        let keys: Vec<ResourceKey> = found.keys().copied().map(ResourceKey).collect();
        add_external_ids(conn, tenant, &keys, &mut found)?;
    }
    Ok(Some(found))
}

fn load(
    conn: &mut Conn,
    tenant: TenantKey,
    sql: &str,
    which: Bind<'_>,
    found: &mut HashMap<i64, GroupFacts>,
) -> Result<()> {
    type Row = (i64, Vec<u8>, Option<String>);
    let binds = [Bind::Int(tenant.0), which];
    for (key, id, display) in conn.load_sql::<(BigInt, Binary, Nullable<Text>), Row>(sql, &binds)? {
        let id = Column("resources", "id").id(&id)?;
        found.insert(key, GroupFacts { key, id, display, external_ids: vec![] });
    }
    Ok(())
}

fn add_external_ids(
    conn: &mut Conn,
    tenant: TenantKey,
    keys: &[ResourceKey],
    found: &mut HashMap<i64, GroupFacts>,
) -> Result<()> {
    for (key, _, value) in super::external_ids::of_resources(conn, tenant, keys)? {
        if let Some(group) = found.get_mut(&key.0) {
            group.external_ids.push(value);
        }
    }
    Ok(())
}

/// The ids of resources by key; those that there are no longer are left out.
///
/// # Errors
/// If the database cannot be read.
pub fn ids(conn: &mut Conn, tenant: TenantKey, keys: &[ResourceKey]) -> Result<Vec<(ResourceKey, Id)>> {
    const SQL: &str = "SELECT key, id FROM resources WHERE +tenant = ? AND key IN ?";
    let mut found = vec![];
    for keys in keys.chunks(CHUNK) {
        let binds = [Bind::Int(tenant.0), Bind::List(List::keys(keys))];
        for (key, id) in conn.load_sql::<(BigInt, Binary), (i64, Vec<u8>)>(SQL, &binds)? {
            found.push((ResourceKey(key), Column("resources", "id").id(&id)?));
        }
    }
    found.sort_unstable_by_key(|(key, _)| *key);
    Ok(found)
}
