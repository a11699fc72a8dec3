//! The ids that connections give to resources: each connection its own.

use std::collections::HashMap;

use diesel::prelude::*;
use diesel::sql_types::{BigInt, Text};

use super::connection::{Bind, CHUNK, Conn, LISTED, List, on};
use super::error::{Error, Result};
use super::schema::external_ids;
use super::types::ResourceKey;
use crate::domain::TenantKey;

/// Sets or takes away what a connection calls a resource; `false`, and nothing changed, if it calls
/// another resource of the type so. Never aborts a PostgreSQL transaction.
///
/// # Errors
/// If the database cannot be written.
pub fn set(
    conn: &mut Conn,
    tenant: TenantKey,
    connection: i64,
    type_name: &str,
    resource: ResourceKey,
    value: Option<&str>,
) -> Result<bool> {
    let Some(value) = value else {
        unset(conn, tenant, connection, resource)?;
        return Ok(true);
    };
    if put(conn, tenant, connection, type_name, resource, value)? {
        return Ok(true);
    }
    match get(conn, tenant, connection, resource)? {
        None => Ok(false),
        Some(own) if own == value => Ok(true),
        // In a savepoint: if the new value is taken, the old one stays.
        Some(_) => conn
            .transaction(|conn| {
                unset(conn, tenant, connection, resource)?;
                if put(conn, tenant, connection, type_name, resource, value)? { Ok(true) } else { Err(Taken::Taken) }
            })
            .or_else(|taken| match taken {
                Taken::Taken => Ok(false),
                Taken::Failed(error) => Err(error),
            }),
    }
}

enum Taken {
    Taken,
    Failed(Error),
}

impl From<Error> for Taken {
    fn from(error: Error) -> Taken {
        Taken::Failed(error)
    }
}

impl From<diesel::result::Error> for Taken {
    fn from(error: diesel::result::Error) -> Taken {
        Taken::Failed(error.into())
    }
}

fn put(
    conn: &mut Conn,
    tenant: TenantKey,
    connection: i64,
    type_name: &str,
    resource: ResourceKey,
    value: &str,
) -> Result<bool> {
    let values = (
        external_ids::connection.eq(connection),
        external_ids::resource.eq(resource.0),
        external_ids::tenant.eq(tenant.0),
        external_ids::type_name.eq(type_name),
        external_ids::value.eq(value),
    );
    let insert = diesel::insert_into(external_ids::table).values(values).on_conflict_do_nothing();
    Ok(on!(conn, |c| insert.execute(c))? == 1)
}

fn unset(conn: &mut Conn, tenant: TenantKey, connection: i64, resource: ResourceKey) -> Result<()> {
    let own = external_ids::table.find((connection, resource.0)).filter(external_ids::tenant.eq(tenant.0));
    on!(conn, |c| diesel::delete(own).execute(c))?;
    Ok(())
}

/// What a connection calls a resource.
///
/// # Errors
/// If the database cannot be read.
pub fn get(conn: &mut Conn, tenant: TenantKey, connection: i64, resource: ResourceKey) -> Result<Option<String>> {
    let own = external_ids::table.find((connection, resource.0)).filter(external_ids::tenant.eq(tenant.0));
    let query = own.select(external_ids::value);
    Ok(on!(conn, |c| query.get_result::<String>(c).optional())?)
}

/// What a connection calls each of some resources.
///
/// # Errors
/// If the database cannot be read.
pub fn many(
    conn: &mut Conn,
    tenant: TenantKey,
    connection: i64,
    resources: &[ResourceKey],
) -> Result<HashMap<ResourceKey, String>> {
    let own = conn.each("external_ids", "x", "x.connection = ? AND x.resource = list.value AND +x.tenant = ?");
    let sql = format!("SELECT x.resource, x.value {LISTED}{own}");
    let mut found = HashMap::with_capacity(resources.len());
    for resources in resources.chunks(CHUNK) {
        let binds = [Bind::List(List::keys(resources)), Bind::Int(connection), Bind::Int(tenant.0)];
        let rows = conn.load_sql::<(BigInt, Text), (i64, String)>(&sql, &binds)?;
        found.extend(rows.into_iter().map(|(key, value)| (ResourceKey(key), value)));
    }
    Ok(found)
}

/// What every connection calls each of some resources.
///
/// # Errors
/// If the database cannot be read.
pub fn of_resources(
    conn: &mut Conn,
    tenant: TenantKey,
    resources: &[ResourceKey],
) -> Result<Vec<(ResourceKey, i64, String)>> {
    const SQL: &str = "SELECT resource, connection, value FROM external_ids \
         WHERE +tenant = ? AND resource IN ? ORDER BY resource, connection";
    let mut found = vec![];
    for resources in resources.chunks(CHUNK) {
        let binds = [Bind::Int(tenant.0), Bind::List(List::keys(resources))];
        let rows = conn.load_sql::<(BigInt, BigInt, Text), (i64, i64, String)>(SQL, &binds)?;
        found.extend(rows.into_iter().map(|(key, connection, value)| (ResourceKey(key), connection, value)));
    }
    Ok(found)
}

/// The resource of a type that a connection calls so.
///
/// # Errors
/// If the database cannot be read.
pub fn holder(
    conn: &mut Conn,
    tenant: TenantKey,
    connection: i64,
    type_name: &str,
    value: &str,
) -> Result<Option<ResourceKey>> {
    let query = external_ids::table
        .select(external_ids::resource)
        .filter(external_ids::connection.eq(connection))
        .filter(external_ids::type_name.eq(type_name))
        .filter(external_ids::value.eq(value))
        .filter(external_ids::tenant.eq(tenant.0));
    Ok(on!(conn, |c| query.get_result::<i64>(c).optional())?.map(ResourceKey))
}
