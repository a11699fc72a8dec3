//! Resources as one connection sees them: one, or several that are asked for at the same time.

use std::collections::HashMap;
use std::sync::LazyLock;

use diesel::sql_types::{Integer, Nullable, Text};

use super::many::OF_IDS;
use super::{Resource, Row, SqlRow, columns};
use crate::domain::{Id, TenantKey};
use crate::store::connection::{Bind, Conn, LISTED, List};
use crate::store::error::Result;
use crate::store::nesting::{GroupRef, groups_of};

/// A resource with what one connection sees beside its document.
#[derive(Clone, Debug)]
pub struct View {
    /// The resource.
    pub resource: Resource,
    /// The connection's externalId.
    pub external_id: Option<String>,
    /// Whether it is a member of any group.
    pub is_member: bool,
}

/// Finds a resource of a type by id, as a connection sees it: one statement instead of three.
///
/// # Errors
/// If the database cannot be read.
pub fn view(
    conn: &mut Conn,
    tenant: TenantKey,
    type_name: &str,
    id: &Id,
    connection: Option<i64>,
) -> Result<Option<View>> {
    let binds = [Bind::Int(called_by(connection)), Bind::Int(tenant.0), Bind::Bytes(&id.as_bytes()[..])];
    let row = conn.load_sql::<Sql, Viewed>(&SEEN, &binds)?.pop();
    // See `by_id`.
    row.filter(|(row, ..)| row.type_name == type_name).map(viewed).transpose()
}

type Sql = (SqlRow, Nullable<Text>, Integer);
type Viewed = (Row, Option<String>, i32);

fn viewed((row, external_id, member): Viewed) -> Result<View> {
    Ok(View { resource: row.into_resource()?, external_id, is_member: member == 1 })
}

/// No connection has the key 0.
fn called_by(connection: Option<i64>) -> i64 {
    connection.unwrap_or(0)
}

/// Whether a resource is a member of any group.
const IS_MEMBER: &str = "CASE WHEN EXISTS (SELECT 1 FROM memberships m WHERE m.member_key = r.key \
    AND m.until_seq IS NULL) THEN 1 ELSE 0 END";

/// The statement of [`view`].
static SEEN: LazyLock<String> = LazyLock::new(|| {
    let columns = columns("r");
    format!(
        "SELECT {columns}, x.value, {IS_MEMBER} \
         FROM resources r LEFT JOIN external_ids x ON x.connection = ? AND x.resource = r.key \
         WHERE r.tenant = ? AND r.id = ?"
    )
});

/// A view with the groups that the resource belongs to.
#[derive(Clone, Debug)]
pub struct Seen {
    /// The resource, of whatever type.
    pub view: View,
    /// Its groups, indirect ones too.
    pub groups: Vec<GroupRef>,
}

/// Finds those of these ids that there are, in no order, as a connection sees them: a statement, and one more if any belongs
/// to a group.
///
/// # Errors
/// If the database cannot be read.
pub fn seen(conn: &mut Conn, tenant: TenantKey, connection: Option<i64>, ids: &[Id]) -> Result<Vec<Seen>> {
    let own = conn.each("resources", "r", OF_IDS);
    let columns = columns("r");
    let sql = format!(
        "SELECT {columns}, (SELECT x.value FROM external_ids x WHERE x.connection = ? AND x.resource = r.key), \
         {IS_MEMBER} {LISTED}{own}"
    );
    let binds = [Bind::Int(called_by(connection)), Bind::List(List::ids(ids)), Bind::Int(tenant.0)];
    let views: Vec<View> =
        conn.load_sql::<Sql, Viewed>(&sql, &binds)?.into_iter().map(viewed).collect::<Result<_>>()?;
    let members: Vec<_> = views.iter().filter(|view| view.is_member).map(|view| view.resource.key).collect();
    let mut groups = if members.is_empty() { HashMap::new() } else { groups_of(conn, tenant, &members)? };
    let mut with_groups = |view: View| Seen { groups: groups.remove(&view.resource.key).unwrap_or_default(), view };
    Ok(views.into_iter().map(&mut with_groups).collect())
}
