//! Unique values: who holds the log finds out who has one, and the database keeps two from having it.

use diesel::prelude::*;
use sha2::{Digest, Sha256};

use super::connection::Conn;
use super::db::with;
use super::error::Result;
use super::schema::unique_values;
use super::staged::{Cell, Op, UNIQUE_VALUES};
use super::types::ResourceKey;
use crate::domain::TenantKey;

/// Claims a value (normalised by the caller) for a resource; `false` if another one has it. The caller holds the log of
/// the tenant, so nobody else claims it meanwhile.
///
/// # Errors
/// If the database cannot be written.
pub fn claim(conn: &mut Conn, tenant: TenantKey, scope: &str, value: &str, resource: ResourceKey) -> Result<bool> {
    if let Some(holder) = holder(conn, tenant, scope, value)? {
        return Ok(holder == resource);
    }
    let hash = hash(value);
    let key = vec![tenant.0.into(), scope.into(), hash[..].into()];
    conn.stage(&UNIQUE_VALUES, key, Op::Insert(vec![resource.0.into()]))?;
    Ok(true)
}

/// Gives a value back, if the resource has it.
///
/// # Errors
/// If the database cannot be written.
pub fn release(conn: &mut Conn, tenant: TenantKey, scope: &str, value: &str, resource: ResourceKey) -> Result<()> {
    if holder(conn, tenant, scope, value)? != Some(resource) {
        return Ok(());
    }
    let hash = hash(value);
    conn.stage(&UNIQUE_VALUES, vec![tenant.0.into(), scope.into(), hash[..].into()], Op::Delete)
}

/// Who has a value.
///
/// # Errors
/// If the database cannot be read.
pub fn holder(conn: &mut Conn, tenant: TenantKey, scope: &str, value: &str) -> Result<Option<ResourceKey>> {
    let hash = hash(value);
    match conn.staged(&UNIQUE_VALUES, &[tenant.0.into(), scope.into(), hash[..].into()]) {
        Some(Op::Insert(row)) => return Ok(row.first().and_then(Cell::number).map(ResourceKey)),
        Some(_) => return Ok(None),
        None => {}
    }
    let query = unique_values::table.find((tenant.0, scope, &hash[..])).select(unique_values::resource);
    Ok(with!(conn.unsettled(), |c| query.get_result::<i64>(c).optional())?.map(ResourceKey))
}

/// 128 bits: values are not chosen against each other by who could find a collision and gain from it.
fn hash(value: &str) -> Vec<u8> {
    let mut hash = Sha256::digest(value.as_bytes()).to_vec();
    hash.truncate(16);
    hash
}
