//! Members of groups: rows with the range of log records in which they held.
//!
//! The cost of a change follows the change: a member list is never read, modified and rewritten.

mod few;

use diesel::prelude::*;
use diesel::sql_types::{BigInt, Binary, Nullable, Text};

use self::few::LISTED_MEMBER;
pub use self::few::among;
pub(super) use self::few::foresee;
use super::connection::{Bind, CHUNK, Conn, LISTED, List, alter};
use super::error::Result;
pub use super::nesting::{GroupRef, circles, direct_groups, groups_of};
use super::schema::memberships;
use super::types::{Column, ResourceKey};
use crate::domain::{Id, TenantKey};
use crate::scim::schema::registry;

/// A direct member of a group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// Its surrogate key, by which pages go on.
    pub key: ResourceKey,
    /// Its id.
    pub id: Id,
    /// The name of its type.
    pub type_name: String,
    /// What the list shows.
    pub display: Option<String>,
}

/// Adds members; gives those that were none before. Who was deleted meanwhile is not added: the caller
/// holds the head of the log, so a deletion has either committed or will still see the new row.
///
/// # Errors
/// If the database cannot be written.
pub fn add(
    conn: &mut Conn,
    tenant: TenantKey,
    group: ResourceKey,
    members: &[ResourceKey],
    seq: i64,
) -> Result<Vec<ResourceKey>> {
    // Whether the member has members itself is kept with the row: see `candidates::inside`.
    let sql = format!(
        "INSERT INTO memberships (tenant, group_key, member_key, from_seq, nested) \
         SELECT ?, ?, r.key, ?, r.type IN ? FROM ? AS list {} ON CONFLICT DO NOTHING RETURNING member_key",
        conn.each("resources", "r", "r.key = list.value")
    );
    if !conn.is_embedded() && members.len() <= few::FEW {
        return few::add(conn, tenant, group, members, seq);
    }
    let mut added = vec![];
    for chunk in members.chunks(CHUNK) {
        let types = registry().types.iter().filter(|one| one.rows.is_some()).map(|one| one.name.as_str());
        let (types, list) = (Bind::List(List::texts(types)), Bind::List(List::keys(chunk)));
        let binds = [Bind::Int(tenant.0), Bind::Int(group.0), Bind::Int(seq), types, list];
        added.extend(conn.load_sql::<BigInt, i64>(&sql, &binds)?.into_iter().map(ResourceKey));
    }
    Ok(added)
}

/// Removes members; gives those that were some before.
///
/// # Errors
/// If the database cannot be written.
pub fn remove(
    conn: &mut Conn,
    tenant: TenantKey,
    group: ResourceKey,
    members: &[ResourceKey],
    seq: i64,
) -> Result<Vec<ResourceKey>> {
    if !conn.is_embedded() && members.len() <= few::FEW {
        return few::remove(conn, tenant, group, members, seq);
    }
    let rows = format!("SELECT m.key {LISTED}{}", conn.each("memberships", "m", LISTED_MEMBER));
    // As an array PostgreSQL looks them up by their keys, and reads no list of members to compare with.
    let among = if conn.is_embedded() { format!("IN ({rows})") } else { format!("= ANY (ARRAY({rows}))") };
    let sql = format!("UPDATE memberships SET until_seq = ? WHERE key {among} RETURNING member_key");
    let mut removed = vec![];
    for chunk in members.chunks(CHUNK) {
        let list = Bind::List(List::keys(chunk));
        let binds = [Bind::Int(seq), list, Bind::Int(group.0), Bind::Int(tenant.0)];
        removed.extend(conn.load_sql::<BigInt, i64>(&sql, &binds)?.into_iter().map(ResourceKey));
    }
    Ok(removed)
}

/// Removes all members; gives their number.
///
/// # Errors
/// If the database cannot be written.
pub fn clear(conn: &mut Conn, tenant: TenantKey, group: ResourceKey, seq: i64) -> Result<u64> {
    let own = memberships::table
        .filter(memberships::tenant.eq(tenant.0))
        .filter(memberships::group_key.eq(group.0))
        .filter(memberships::until_seq.is_null());
    Ok(alter!(conn, |c| diesel::update(own).set(memberships::until_seq.eq(seq)).execute(c))? as u64)
}

/// Removes a member from every group; gives the groups.
///
/// # Errors
/// If the database cannot be written.
pub fn remove_everywhere(
    conn: &mut Conn,
    tenant: TenantKey,
    member: ResourceKey,
    seq: i64,
) -> Result<Vec<ResourceKey>> {
    let own = memberships::table
        .filter(memberships::tenant.eq(tenant.0))
        .filter(memberships::member_key.eq(member.0))
        .filter(memberships::until_seq.is_null());
    let update = diesel::update(own).set(memberships::until_seq.eq(seq)).returning(memberships::group_key);
    Ok(alter!(conn, |c| update.load::<i64>(c))?.into_iter().map(ResourceKey).collect())
}

/// A page of direct members in the order of their keys.
///
/// # Errors
/// If the database cannot be read.
pub fn page(
    conn: &mut Conn,
    tenant: TenantKey,
    group: ResourceKey,
    after: Option<ResourceKey>,
    limit: i64,
) -> Result<Vec<Member>> {
    const OWN: &str = "m.group_key = ? AND m.until_seq IS NULL AND m.member_key > ? AND m.tenant = ?";
    let also = if conn.is_embedded() { "AND" } else { "WHERE" };
    let each = conn.each("resources", "r", "r.key = m.member_key AND r.tenant = m.tenant");
    let sql = format!(
        "SELECT r.key, r.id, r.type, r.display FROM memberships m {each} {also} {OWN} ORDER BY m.member_key LIMIT ?"
    );
    type Row = (i64, Vec<u8>, String, Option<String>);
    let after = after.map_or(0, |key| key.0);
    let binds = [Bind::Int(group.0), Bind::Int(after), Bind::Int(tenant.0), Bind::Int(limit)];
    let rows = conn.load_sql::<(BigInt, Binary, Text, Nullable<Text>), Row>(&sql, &binds)?;
    let member = |(key, id, type_name, display): Row| {
        let id = Column("resources", "id").id(&id)?;
        Ok(Member { key: ResourceKey(key), id, type_name, display })
    };
    rows.into_iter().map(member).collect()
}

/// The number of direct members, counted up to a limit.
///
/// # Errors
/// If the database cannot be read.
pub fn count_up_to(conn: &mut Conn, tenant: TenantKey, group: ResourceKey, limit: i64) -> Result<i64> {
    const SQL: &str = "SELECT count(*) FROM (SELECT 1 FROM memberships \
         WHERE group_key = ? AND until_seq IS NULL AND tenant = ? LIMIT ?) AS members";
    let binds = [Bind::Int(group.0), Bind::Int(tenant.0), Bind::Int(limit)];
    Ok(conn.load_sql::<BigInt, i64>(SQL, &binds)?.into_iter().next().unwrap_or(0))
}
