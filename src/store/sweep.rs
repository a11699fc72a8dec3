//! Taking away what was true before, once it is kept no longer.
//!
//! A state that a record has ended is needed for the time before that record alone. Two kinds of rows leave something
//! behind, one for each subject: of a principal the last state that it had before the time that is kept, without which
//! nobody would know since when it is live; of a resource an empty row, which says that it was another one until then.

use diesel::sql_types::{BigInt, Binary};

use super::connection::{Bind, Conn, List};
use super::error::Result;
use super::types::{Column, ResourceKey};
use crate::domain::{Id, TenantKey};

/// Records of a log: from the first, and before the second.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// The first record.
    pub from: i64,
    /// The record behind the last.
    pub end: i64,
}

/// The first record of a span that has ended a state which is still there. Memberships that were left when the span
/// before was dealt with count as well.
///
/// # Errors
/// If the database cannot be read.
pub fn oldest(conn: &mut Conn, tenant: TenantKey, span: Span) -> Result<Option<i64>> {
    let mut found = vec![];
    for (table, from) in [("memberships", 0), ("principal_history", span.from), ("resource_history", span.from)] {
        found.extend(nth(conn, tenant, table, Span { from, ..span }, 0)?);
    }
    Ok(found.into_iter().min())
}

/// The record that has ended one of the states that a span has ended in one table: the `n`-th in their order.
fn nth(conn: &mut Conn, tenant: TenantKey, table: &str, span: Span, n: i64) -> Result<Option<i64>> {
    let sql = format!(
        "SELECT until_seq FROM {table} WHERE tenant = ? AND until_seq >= ? AND until_seq < ? \
         ORDER BY until_seq LIMIT 1 OFFSET ?"
    );
    let binds = [Bind::Int(tenant.0), Bind::Int(span.from), Bind::Int(span.end), Bind::Int(n)];
    Ok(conn.load_sql::<BigInt, i64>(&sql, &binds)?.pop())
}

/// The beginning of a span that has ended at most so many states of principals, and of resources; of one record more,
/// if that alone has ended more.
///
/// # Errors
/// If the database cannot be read.
pub fn part(conn: &mut Conn, tenant: TenantKey, span: Span, most: i64) -> Result<Span> {
    let mut end = span.end;
    for table in ["principal_history", "resource_history"] {
        let beyond = nth(conn, tenant, table, span, most)?;
        end = beyond.map_or(end, |beyond| end.min(beyond.max(span.from + 1)));
    }
    Ok(Span { end, ..span })
}

/// Takes memberships away that were ended before a record, the oldest first; gives how many.
///
/// # Errors
/// If the database cannot be written.
pub fn memberships(conn: &mut Conn, tenant: TenantKey, end: i64, most: i64) -> Result<usize> {
    const OLDEST: &str = "SELECT key FROM memberships WHERE tenant = ? AND until_seq < ? ORDER BY until_seq LIMIT ?";
    const DELETE: &str = "DELETE FROM memberships WHERE +tenant = ? AND key IN ?";
    let binds = [Bind::Int(tenant.0), Bind::Int(end), Bind::Int(most)];
    let keys: Vec<ResourceKey> = conn.load_sql::<BigInt, i64>(OLDEST, &binds)?.into_iter().map(ResourceKey).collect();
    if keys.is_empty() {
        return Ok(0);
    }
    conn.execute_sql(DELETE, &[Bind::Int(tenant.0), Bind::List(List::keys(&keys))])
}

/// Takes away what principals were before a span has ended it, all but the last such state of each; gives how many.
///
/// # Errors
/// If the database cannot be written.
pub fn principals(conn: &mut Conn, tenant: TenantKey, span: Span) -> Result<usize> {
    const CONCERNED: &str =
        "SELECT DISTINCT id FROM principal_history WHERE tenant = ? AND until_seq >= ? AND until_seq < ?";
    const DELETE: &str = "DELETE FROM principal_history WHERE tenant = ? AND id IN ? AND until_seq < \
         (SELECT max(n.until_seq) FROM principal_history n \
          WHERE n.tenant = principal_history.tenant AND n.id = principal_history.id AND n.until_seq < ?)";
    let binds = [Bind::Int(tenant.0), Bind::Int(span.from), Bind::Int(span.end)];
    let column = Column("principal_history", "id");
    let rows = conn.load_sql::<Binary, Vec<u8>>(CONCERNED, &binds)?;
    let ids: Vec<Id> = rows.iter().map(|id| column.id(id)).collect::<Result<_>>()?;
    if ids.is_empty() {
        return Ok(0);
    }
    conn.execute_sql(DELETE, &[Bind::Int(tenant.0), Bind::List(List::ids(&ids)), Bind::Int(span.end)])
}

/// Takes away what resources were before a span has ended it. The last such state of a resource that goes on is
/// emptied; of one that is gone nothing stays, once all that it was has been ended. Gives how many rows were changed.
///
/// # Errors
/// If the database cannot be written.
pub fn resources(conn: &mut Conn, tenant: TenantKey, span: Span) -> Result<usize> {
    const CONCERNED: &str =
        "SELECT DISTINCT resource FROM resource_history WHERE tenant = ? AND until_seq >= ? AND until_seq < ?";
    const OLDER: &str = "DELETE FROM resource_history WHERE +tenant = ? AND resource IN ? AND until_seq < \
         (SELECT max(n.until_seq) FROM resource_history n \
          WHERE n.resource = resource_history.resource AND n.until_seq < ?)";
    // The sums: before PostgreSQL has counted many, the versions of all resources look as few to it as theirs.
    const GONE: &str = "DELETE FROM resource_history WHERE +tenant = ? AND resource IN ? AND until_seq + 0 < ? \
         AND (SELECT max(n.until_seq) FROM resource_history n WHERE n.resource = resource_history.resource) < ? \
         AND (SELECT r.key FROM resources r WHERE r.key = resource_history.resource) IS NULL";
    const EMPTY: &str = "UPDATE resource_history SET sealed = ? \
         WHERE +tenant = ? AND resource IN ? AND until_seq + 0 < ? AND length(sealed) > 0";
    let (own, end) = (|| Bind::Int(tenant.0), || Bind::Int(span.end));
    let rows = conn.load_sql::<BigInt, i64>(CONCERNED, &[own(), Bind::Int(span.from), end()])?;
    let keys: Vec<ResourceKey> = rows.into_iter().map(ResourceKey).collect();
    if keys.is_empty() {
        return Ok(0);
    }
    let list = || Bind::List(List::keys(&keys));
    let older = conn.execute_sql(OLDER, &[own(), list(), end()])?;
    let gone = conn.execute_sql(GONE, &[own(), list(), end(), end()])?;
    let emptied = conn.execute_sql(EMPTY, &[Bind::Bytes(&[]), own(), list(), end()])?;
    Ok(older + gone + emptied)
}
