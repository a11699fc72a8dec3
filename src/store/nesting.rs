//! Groups in groups: who belongs to what in the end, and no circles.

use std::collections::{HashMap, HashSet};

use diesel::sql_types::{BigInt, Binary, Integer, Nullable, Text};

use super::connection::{Bind, CHUNK, Conn, List};
use super::error::Result;
use super::types::{Column, ResourceKey};
use crate::domain::{Id, TenantKey};

/// A group that a resource belongs to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupRef {
    /// Its surrogate key.
    pub key: ResourceKey,
    /// Its id.
    pub id: Id,
    /// The name of its type.
    pub type_name: String,
    /// What the list shows.
    pub display: Option<String>,
    /// Whether the resource is one of its own members, rather than of a group inside it.
    pub direct: bool,
}

type Sql = (BigInt, BigInt, Binary, Text, Nullable<Text>, Integer);
type Row = (i64, i64, Vec<u8>, String, Option<String>, i32);

/// The groups that list a member now; to be joined with a climb that has reached `up.grp`.
pub(super) const LISTS: &str = "m.member_key = up.grp AND m.until_seq IS NULL";

/// The climb from members to groups. UNION drops what was seen already, so it ends even in a circle.
fn climb(conn: &Conn, of: &str) -> String {
    let (outer, group) =
        (conn.each("memberships", "m", LISTS), conn.each("resources", "r", "r.key = up.grp AND r.tenant = ?"));
    format!(
        "WITH RECURSIVE up (member, grp, direct) AS (\
         SELECT m.member_key, m.group_key, 1 FROM memberships m \
         WHERE m.member_key {of} AND m.until_seq IS NULL AND m.tenant = ? \
         UNION SELECT up.member, m.group_key, 0 FROM up {outer}) \
         SELECT up.member, r.key, r.id, r.type, r.display, max(up.direct) FROM up {group} \
         GROUP BY up.member, r.key, r.id, r.type, r.display ORDER BY up.member, r.key"
    )
}

/// The groups of each of some resources, direct ones and those around them, in the order of their keys.
/// Resources without any are left out.
///
/// # Errors
/// If the database cannot be read.
pub fn groups_of(
    conn: &mut Conn,
    tenant: TenantKey,
    members: &[ResourceKey],
) -> Result<HashMap<ResourceKey, Vec<GroupRef>>> {
    let scope = || Bind::Int(tenant.0);
    if let [member] = members {
        let sql = climb(conn, "= ?");
        let rows = conn.load_sql::<Sql, Row>(&sql, &[Bind::Int(member.0), scope(), scope()])?;
        return gathered(rows);
    }
    let (sql, mut rows) = (climb(conn, "IN ?"), vec![]);
    for members in members.chunks(CHUNK) {
        let binds = [Bind::List(List::keys(members)), scope(), scope()];
        rows.extend(conn.load_sql::<Sql, Row>(&sql, &binds)?);
    }
    gathered(rows)
}

fn gathered(rows: Vec<Row>) -> Result<HashMap<ResourceKey, Vec<GroupRef>>> {
    let mut groups: HashMap<ResourceKey, Vec<GroupRef>> = HashMap::new();
    for (member, key, id, type_name, display, direct) in rows {
        let id = Column("resources", "id").id(&id)?;
        let group = GroupRef { key: ResourceKey(key), id, type_name, display, direct: direct == 1 };
        groups.entry(ResourceKey(member)).or_default().push(group);
    }
    Ok(groups)
}

/// The groups that list a resource among their own members, in the order of their keys.
///
/// # Errors
/// If the database cannot be read.
pub fn direct_groups(conn: &mut Conn, tenant: TenantKey, member: ResourceKey) -> Result<Vec<ResourceKey>> {
    const SQL: &str = "SELECT group_key FROM memberships \
         WHERE member_key = ? AND until_seq IS NULL AND tenant = ? ORDER BY group_key";
    let rows = conn.load_sql::<BigInt, i64>(SQL, &[Bind::Int(member.0), Bind::Int(tenant.0)])?;
    Ok(rows.into_iter().map(ResourceKey).collect())
}

/// Those of the members-to-be that would close a circle: the group itself, and what it is in.
///
/// # Errors
/// If the database cannot be read.
pub fn circles(
    conn: &mut Conn,
    tenant: TenantKey,
    group: ResourceKey,
    members: &[ResourceKey],
) -> Result<Vec<ResourceKey>> {
    // Climbing costs what the group is in, whatever the new members hold.
    let sql = format!(
        "WITH RECURSIVE up (grp) AS (\
         SELECT group_key FROM memberships WHERE member_key = ? AND until_seq IS NULL AND tenant = ? \
         UNION SELECT m.group_key FROM up {}) SELECT grp FROM up",
        conn.each("memberships", "m", LISTS)
    );
    let rows = conn.load_sql::<BigInt, i64>(&sql, &[Bind::Int(group.0), Bind::Int(tenant.0)])?;
    let mut around: HashSet<ResourceKey> = rows.into_iter().map(ResourceKey).collect();
    around.insert(group);
    Ok(members.iter().copied().filter(|member| around.contains(member)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{Error, Settings, Store};

    #[test]
    fn a_climb_looks_groups_up_and_scans_no_resources() {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("sqlite:{}", folder.path().join("k.db").display());
        let store = Store::open(&Settings { url, readers: 1 }).unwrap();
        let binds = [Bind::Int(1), Bind::Int(1), Bind::Int(1)];
        type Step = (i32, i32, i32, String);
        let steps = store.read(|conn| {
            let explain = format!("EXPLAIN QUERY PLAN {}", climb(conn, "= ?"));
            conn.load_sql::<(Integer, Integer, Integer, Text), Step>(&explain, &binds)
        });
        let steps: Result<Vec<Step>, Error> = steps;
        let steps: Vec<String> = steps.unwrap().into_iter().map(|step| step.3).collect();
        assert!(steps.contains(&"SEARCH r USING INTEGER PRIMARY KEY (rowid=?)".to_owned()), "{steps:?}");
        assert!(!steps.iter().any(|step| step.contains("BLOOM")), "{steps:?}");
    }
}
