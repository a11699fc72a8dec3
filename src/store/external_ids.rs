//! The ids that connections give to resources: each connection its own.

use std::collections::HashMap;

use diesel::prelude::*;
use diesel::sql_types::{BigInt, Text};

use super::connection::{Bind, CHUNK, Conn, LISTED, List, row_of};
use super::error::Result;
use super::schema::external_ids;
use super::staged::{EXTERNAL_IDS, Op};
use super::types::ResourceKey;
use crate::domain::TenantKey;

/// Sets or takes away what a connection calls a resource. Others may be called the same.
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
) -> Result<()> {
    let key = vec![resource.0.into(), connection.into()];
    let op = match value {
        Some(value) => Op::Put(vec![tenant.0.into(), type_name.into(), value.into()]),
        None => Op::Delete,
    };
    conn.stage(&EXTERNAL_IDS, key, op)
}

/// What a connection calls a resource.
///
/// # Errors
/// If the database cannot be read.
pub fn get(conn: &mut Conn, tenant: TenantKey, connection: i64, resource: ResourceKey) -> Result<Option<String>> {
    let own = external_ids::table.find((resource.0, connection)).filter(external_ids::tenant.eq(tenant.0));
    let query = own.select(external_ids::value);
    let key = [resource.0.into(), connection.into()];
    Ok(row_of!(conn, &EXTERNAL_IDS, &key, |c| query.get_result::<String>(c).optional())?)
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
