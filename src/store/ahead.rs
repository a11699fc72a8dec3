//! Reads what the work of a round will look up: see `store::staged::ahead`.

use std::collections::BTreeMap;

use diesel::sql_types::{Binary, Bool, Nullable, Text};

use super::connection::{Bind, Conn, LISTED, List};
use super::error::Result;
use super::staged::Foreseen;
use super::types::ResourceKey;
use super::{history, members, principals, resources};
use crate::domain::{Id, TenantKey};

/// Reads what was foreseen and is not read yet, on a log that is locked. Where a look-up costs little, nothing is
/// foreseen.
///
/// # Errors
/// If the database cannot be read.
pub fn read(conn: &mut Conn, tenant: TenantKey) -> Result<()> {
    let wanted = conn.unit.ahead.take_wanted();
    let mut by_connection: BTreeMap<i64, Vec<Id>> = BTreeMap::new();
    for Foreseen { id, connection, .. } in &wanted {
        // No connection has the key 0.
        by_connection.entry(connection.unwrap_or(0)).or_default().push(*id);
    }
    conn.unit.ahead.want_lives(wanted.iter().filter(|one| one.lives).map(|one| one.id));
    for (connection, ids) in by_connection {
        read_called(conn, tenant, connection, &ids)?;
    }
    let mut by_group: BTreeMap<ResourceKey, Vec<Id>> = BTreeMap::new();
    for Foreseen { id, members, .. } in wanted {
        if let Some(group) = resources::known_key(conn, id).filter(|_| !members.is_empty()) {
            by_group.entry(group).or_default().extend(members);
        }
    }
    by_group.into_iter().try_for_each(|(group, ids)| members::foresee(conn, tenant, group, &ids))
}

fn read_called(conn: &mut Conn, tenant: TenantKey, connection: i64, ids: &[Id]) -> Result<()> {
    let found = conn.each("resources", "r", "r.tenant = ? AND r.id = list.value");
    let beside = |columns: &str, table: &str, condition: &str| {
        format!(" LEFT JOIN LATERAL (SELECT {columns} FROM {table} WHERE {condition} OFFSET 0) AS {table} ON TRUE")
    };
    let is_member = "EXISTS (SELECT 1 FROM memberships m WHERE m.member_key = r.key AND m.until_seq IS NULL)";
    let beside_it = "external_ids.value, subject_keys.wrapped";
    let columns = [&resources::columns("r"), is_member, beside_it, principals::JOINED].join(", ");
    let sql = [
        &format!("SELECT {columns} "),
        LISTED,
        &found,
        &beside("value", "external_ids", "connection = ? AND resource = r.key"),
        &beside("wrapped", "subject_keys", "tenant = r.tenant AND id = r.id"),
        &beside("*", "principals", "tenant = r.tenant AND id = r.id"),
    ]
    .concat();
    let binds = [Bind::List(List::ids(ids)), Bind::Int(tenant.0), Bind::Int(connection)];
    type Sql = (resources::SqlRow, Bool, Nullable<Text>, Nullable<Binary>, principals::SqlJoined);
    type Found = (resources::Row, bool, Option<String>, Option<Vec<u8>>, principals::Joined);
    for (row, is_member, called, wrapped, principal) in conn.load_unsettled::<Sql, Found>(&sql, &binds)? {
        let id = row.id()?;
        let ahead = &mut conn.unit.ahead;
        ahead.put(id, history::WrappedKey(wrapped));
        ahead.put(id, principals::Known::joined(id, principal));
        ahead.put(id, resources::Called { row, is_member, connection, called });
    }
    Ok(())
}
