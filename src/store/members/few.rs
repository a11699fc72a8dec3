//! A few members that come or go on PostgreSQL: their rows wait for the end of the transaction, like others.

use std::collections::HashSet;

use diesel::sql_types::{BigInt, Integer, Text};

use crate::domain::TenantKey;
use crate::scim::schema::registry;
use crate::store::connection::{Bind, Conn, LISTED, List};
use crate::store::error::Result;
use crate::store::staged::{Cell, MEMBERSHIPS, Op, RESOURCES};
use crate::store::types::ResourceKey;

/// A membership that stands, of a member that is listed.
pub(super) const LISTED_MEMBER: &str =
    "m.group_key = ? AND m.member_key = list.value AND m.until_seq IS NULL AND +m.tenant = ?";

/// More than these are written by one statement that finds them itself.
pub(super) const FEW: usize = 8;

fn place(tenant: TenantKey, group: ResourceKey, member: ResourceKey) -> [Cell<'static>; 3] {
    [group.0.into(), member.0.into(), tenant.0.into()]
}

/// Adds members; gives those that were none before.
pub(super) fn add(
    conn: &mut Conn,
    tenant: TenantKey,
    group: ResourceKey,
    members: &[ResourceKey],
    seq: i64,
) -> Result<Vec<ResourceKey>> {
    let mut found = look(conn, tenant, group, members)?;
    // Who is not there may have come by a change that waits.
    if found.len() < members.len() && conn.waits_in(&RESOURCES) {
        conn.settled()?;
        found = look(conn, tenant, group, members)?;
    }
    let has_members = |name: &str| registry().by_name(name).is_some_and(|one| one.rows.is_some());
    let mut added = vec![];
    for (key, type_name, _) in found.into_iter().filter(|(.., is_member)| *is_member == 0) {
        let nested = has_members(&type_name);
        let row = vec![seq.into(), nested.into(), Cell::Null];
        conn.stage(&MEMBERSHIPS, place(tenant, group, ResourceKey(key)).into(), Op::Insert(row))?;
        added.push(ResourceKey(key));
    }
    Ok(added)
}

type Found = (i64, String, i32);

/// What of these there is, each with its type and whether it is a member.
fn look(conn: &mut Conn, tenant: TenantKey, group: ResourceKey, members: &[ResourceKey]) -> Result<Vec<Found>> {
    settle(conn, tenant, group, members)?;
    let own = conn.each("resources", "r", "r.key = list.value AND +r.tenant = ?");
    let sql = format!(
        "SELECT r.key, r.type, CASE WHEN EXISTS (SELECT 1 FROM memberships m WHERE m.group_key = ? \
         AND m.member_key = r.key AND m.until_seq IS NULL LIMIT 1 OFFSET 0) THEN 1 ELSE 0 END {LISTED}{own}"
    );
    let binds = [Bind::Int(group.0), Bind::List(List::keys(members)), Bind::Int(tenant.0)];
    conn.load_unsettled::<(BigInt, Text, Integer), Found>(&sql, &binds)
}

/// Removes members; gives those that were some before.
pub(super) fn remove(
    conn: &mut Conn,
    tenant: TenantKey,
    group: ResourceKey,
    members: &[ResourceKey],
    seq: i64,
) -> Result<Vec<ResourceKey>> {
    settle(conn, tenant, group, members)?;
    let sql = format!("SELECT m.member_key {LISTED}{}", conn.each("memberships", "m", LISTED_MEMBER));
    let binds = [Bind::List(List::keys(members)), Bind::Int(group.0), Bind::Int(tenant.0)];
    let found: HashSet<i64> = conn.load_unsettled::<BigInt, i64>(&sql, &binds)?.into_iter().collect();
    let removed: Vec<ResourceKey> = found.into_iter().map(ResourceKey).collect();
    for member in &removed {
        conn.stage(&MEMBERSHIPS, place(tenant, group, *member).into(), Op::Update(vec![seq.into()]))?;
    }
    Ok(removed)
}

/// Writes what waits, if any of these is among it.
pub(super) fn settle(conn: &mut Conn, tenant: TenantKey, group: ResourceKey, members: &[ResourceKey]) -> Result<()> {
    if members.iter().any(|member| conn.staged(&MEMBERSHIPS, &place(tenant, group, *member)).is_some()) {
        conn.settled()?;
    }
    Ok(())
}
