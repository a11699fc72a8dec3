//! Credentials by owner, by class and by their end, a page at a time.

use chrono::{DateTime, Utc};
use diesel::dsl::sql;
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Binary, Bool, Text};

use super::{Row, StoredCredential};
use crate::domain::{Class, Id, TenantKey};
use crate::store::connection::{Conn, on};
use crate::store::error::Result;
use crate::store::schema::credentials;
use crate::store::types::millis;

/// The credentials of an owner that are not revoked, by key.
///
/// # Errors
/// If the database cannot be read.
pub fn of_owner(conn: &mut Conn, tenant: TenantKey, owner: &Id) -> Result<Vec<StoredCredential>> {
    // As if there were several owners: then only the index by owner has the order. For one, before PostgreSQL has
    // counted any, all keys of the tenant look as few to it as the owner's, and are in the order of keys as well.
    let rows = on!(conn, |c| credentials::table
        .select(Row::as_select())
        .filter(credentials::tenant.eq(tenant.0))
        .filter(credentials::owner.between(&owner.as_bytes()[..], &owner.as_bytes()[..]))
        .filter(credentials::revoked_at.is_null())
        .order((credentials::owner, credentials::key))
        .load::<Row>(c))?;
    Ok(rows.into_iter().map(Row::into_stored).collect())
}

/// How many credentials of an owner have not ended and do not give way to a successor, up to a limit.
///
/// # Errors
/// If the database cannot be read.
pub fn count_working(
    conn: &mut Conn,
    tenant: TenantKey,
    owner: &Id,
    now: DateTime<Utc>,
    limit: usize,
) -> Result<usize> {
    // The order as in `of_owner`, for the same reason.
    let rows = on!(conn, |c| credentials::table
        .select(credentials::key)
        .filter(credentials::tenant.eq(tenant.0))
        .filter(credentials::owner.between(&owner.as_bytes()[..], &owner.as_bytes()[..]))
        .filter(credentials::revoked_at.is_null())
        .filter(credentials::expires_at.gt(millis(now)))
        .filter(credentials::retires_at.is_null())
        .order((credentials::owner, credentials::key))
        .limit(limit as i64)
        .load::<i64>(c))?;
    Ok(rows.len())
}

/// Which credentials a page is of.
#[derive(Clone, Copy, Debug)]
pub enum Part<'p> {
    /// All of the tenant.
    All,
    /// One owner's.
    Owner(&'p Id),
    /// Those of a class.
    Class(Class),
}

/// A page of a tenant's credentials, revoked ones included, with their keys and in the order of these.
///
/// # Errors
/// If the database cannot be read.
pub fn list(
    conn: &mut Conn,
    tenant: TenantKey,
    part: Part<'_>,
    after: Option<i64>,
    limit: i64,
) -> Result<Vec<(i64, StoredCredential)>> {
    let after = after.unwrap_or(0);
    // PostgreSQL's plan for any values would walk along the primary key and drop what is not of the part; behind a
    // pair only the part's own index begins. SQLite knows no index by a pair of which one is given.
    let by_pair = !conn.is_embedded() && !matches!(part, Part::All);
    let rows = on!(conn, |c| {
        let query = credentials::table
            .select(Row::as_select())
            .filter(credentials::tenant.eq(tenant.0))
            .order(credentials::key)
            .limit(limit)
            .into_boxed();
        let query = if by_pair { query } else { query.filter(credentials::key.gt(after)) };
        let query = match part {
            Part::All => query,
            Part::Owner(owner) => {
                let owner = owner.as_bytes().to_vec();
                let query = query.filter(credentials::owner.eq(owner.clone()));
                let pair = sql::<Bool>("(owner, key) > (").bind::<Binary, _>(owner).sql(", ");
                if by_pair { query.filter(pair.bind::<BigInt, _>(after).sql(")")) } else { query }
            }
            Part::Class(class) => {
                let class = class.letter().to_string();
                let query = query.filter(credentials::class.eq(class.clone()));
                let pair = sql::<Bool>("(class, key) > (").bind::<Text, _>(class).sql(", ");
                if by_pair { query.filter(pair.bind::<BigInt, _>(after).sql(")")) } else { query }
            }
        };
        query.load::<Row>(c)
    })?;
    Ok(rows.into_iter().map(|row| (row.key, row.into_stored())).collect())
}

/// A page of a tenant's credentials that end before a time, those that end first before the others: behind an end
/// and a key. Times are in milliseconds since 1970.
///
/// # Errors
/// If the database cannot be read.
pub fn ending(
    conn: &mut Conn,
    tenant: TenantKey,
    after: (i64, i64),
    before: i64,
    limit: i64,
) -> Result<Vec<(i64, StoredCredential)>> {
    let behind =
        sql::<Bool>("(expires_at, key) > (").bind::<BigInt, _>(after.0).sql(", ").bind::<BigInt, _>(after.1).sql(")");
    let own = credentials::tenant.eq(tenant.0).and(credentials::expires_at.lt(before)).and(behind);
    let rows = on!(conn, |c| credentials::table
        .select(Row::as_select())
        .filter(own)
        .order((credentials::expires_at, credentials::key))
        .limit(limit)
        .load::<Row>(c))?;
    Ok(rows.into_iter().map(|row| (row.key, row.into_stored())).collect())
}
