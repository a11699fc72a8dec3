//! A few members that come or go on PostgreSQL: their rows wait for the end of the transaction, like others.

use std::collections::HashMap;

use diesel::sql_types::{BigInt, Binary, Integer, Text};

use crate::domain::{Id, TenantKey};
use crate::scim::schema::registry;
use crate::store::connection::{Bind, CHUNK, Conn, LISTED, List};
use crate::store::error::Result;
use crate::store::resources::Named;
use crate::store::staged::{Cell, MEMBERSHIPS, Op, RESOURCES};
use crate::store::types::{Column, ResourceKey};

/// A membership that stands, of a member that is listed.
pub(super) const LISTED_MEMBER: &str =
    "m.group_key = ? AND m.member_key = list.value AND m.until_seq IS NULL AND +m.tenant = ?";

/// Whether a resource is a member of a group.
const IS_MEMBER: &str = "CASE WHEN EXISTS (SELECT 1 FROM memberships m WHERE m.group_key = ? \
     AND m.member_key = r.key AND m.until_seq IS NULL LIMIT 1 OFFSET 0) THEN 1 ELSE 0 END";

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

/// What was read ahead of a group: by the key of each of whom it will be asked, its type and whether it is a member.
struct Around(HashMap<i64, (String, i32)>);

/// Reads what some resources are, and whether they are members of a group, before it is asked of each.
pub(in crate::store) fn foresee(conn: &mut Conn, tenant: TenantKey, group: ResourceKey, ids: &[Id]) -> Result<()> {
    let own = conn.each("resources", "r", "r.tenant = ? AND r.id = list.value");
    let sql = format!("SELECT r.id, r.key, r.type, {IS_MEMBER} {LISTED}{own}");
    let binds = [Bind::Int(group.0), Bind::List(List::ids(ids)), Bind::Int(tenant.0)];
    type Sql = (Binary, (BigInt, Text, Integer));
    let mut around = HashMap::new();
    for (id, (key, type_name, is_member)) in conn.load_unsettled::<Sql, (Vec<u8>, Found)>(&sql, &binds)? {
        let id = Column("resources", "id").id(&id)?;
        conn.unit.ahead.put(id, Named { key: ResourceKey(key), type_name: type_name.clone() });
        around.insert(key, (type_name, is_member));
    }
    if let Some(Around(before)) = conn.unit.ahead.get::<Around>(group) {
        around.extend(before.iter().map(|(key, found)| (*key, found.clone())));
    }
    conn.unit.ahead.put(group, Around(around));
    Ok(())
}

/// The same of those whom it was not foreseen of; nothing of what is asked for may wait.
fn known(conn: &Conn, group: ResourceKey, members: &[ResourceKey]) -> Option<Vec<Found>> {
    let Around(around) = conn.unit.ahead.get(group)?;
    members.iter().map(|key| around.get(&key.0).map(|(name, is_member)| (key.0, name.clone(), *is_member))).collect()
}

/// Those of some resources that are members, as far as it was foreseen that it would be asked.
fn known_among(conn: &Conn, group: ResourceKey, members: &[ResourceKey]) -> Option<Vec<ResourceKey>> {
    let members = known(conn, group, members)?.into_iter().filter(|(.., is_member)| *is_member == 1);
    Some(members.map(|(key, ..)| ResourceKey(key)).collect())
}

/// What of these there is, each with its type and whether it is a member.
fn look(conn: &mut Conn, tenant: TenantKey, group: ResourceKey, members: &[ResourceKey]) -> Result<Vec<Found>> {
    settle(conn, tenant, group, members)?;
    if let Some(found) = known(conn, group, members) {
        return Ok(found);
    }
    let own = conn.each("resources", "r", "r.key = list.value AND +r.tenant = ?");
    let sql = format!("SELECT r.key, r.type, {IS_MEMBER} {LISTED}{own}");
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
    let mut removed = among(conn, tenant, group, members)?;
    removed.sort_unstable();
    removed.dedup();
    for member in &removed {
        conn.stage(&MEMBERSHIPS, place(tenant, group, *member).into(), Op::Update(vec![seq.into()]))?;
    }
    Ok(removed)
}

/// Those of some resources that are members.
///
/// # Errors
/// If the database cannot be read.
pub fn among(
    conn: &mut Conn,
    tenant: TenantKey,
    group: ResourceKey,
    resources: &[ResourceKey],
) -> Result<Vec<ResourceKey>> {
    settle(conn, tenant, group, resources)?;
    if let Some(found) = known_among(conn, group, resources) {
        return Ok(found);
    }
    let sql = format!("SELECT m.member_key {LISTED}{}", conn.each("memberships", "m", LISTED_MEMBER));
    let mut found = vec![];
    for chunk in resources.chunks(CHUNK) {
        let binds = [Bind::List(List::keys(chunk)), Bind::Int(group.0), Bind::Int(tenant.0)];
        found.extend(conn.load_unsettled::<BigInt, i64>(&sql, &binds)?.into_iter().map(ResourceKey));
    }
    Ok(found)
}

/// Writes what waits, if any of these is among it.
fn settle(conn: &mut Conn, tenant: TenantKey, group: ResourceKey, members: &[ResourceKey]) -> Result<()> {
    if members.iter().any(|member| conn.staged(&MEMBERSHIPS, &place(tenant, group, *member)).is_some()) {
        conn.settled()?;
    }
    Ok(())
}
