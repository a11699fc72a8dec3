//! Unique values: the database decides who has a value, not a check before.

use diesel::prelude::*;
use sha2::{Digest, Sha256};

use super::connection::{Conn, on};
use super::error::{Error, Result};
use super::schema::unique_values;
use super::types::ResourceKey;
use crate::domain::TenantKey;

/// Claims a value (normalised by the caller) for a resource; `false` if another one has it. Inside a
/// PostgreSQL transaction it waits for another one that is claiming the same, and never aborts.
///
/// # Errors
/// If the database cannot be written.
pub fn claim(conn: &mut Conn, tenant: TenantKey, scope: &str, value: &str, resource: ResourceKey) -> Result<bool> {
    // A holder that is gone at the second look has released the value in between: try again.
    for _ in 0..3 {
        let values = (
            unique_values::tenant.eq(tenant.0),
            unique_values::scope.eq(scope),
            unique_values::hash.eq(hash(value)),
            unique_values::resource.eq(resource.0),
        );
        let insert = diesel::insert_into(unique_values::table).values(values).on_conflict_do_nothing();
        if on!(conn, |c| insert.execute(c))? == 1 {
            return Ok(true);
        }
        if let Some(holder) = holder(conn, tenant, scope, value)? {
            return Ok(holder == resource);
        }
    }
    Err(Error::Unavailable("a unique value changes hands too often".to_owned()))
}

/// Gives a value back, if the resource has it.
///
/// # Errors
/// If the database cannot be written.
pub fn release(conn: &mut Conn, tenant: TenantKey, scope: &str, value: &str, resource: ResourceKey) -> Result<()> {
    let hash = hash(value);
    let own = unique_values::table.find((tenant.0, scope, &hash[..])).filter(unique_values::resource.eq(resource.0));
    on!(conn, |c| diesel::delete(own).execute(c))?;
    Ok(())
}

/// Who has a value.
///
/// # Errors
/// If the database cannot be read.
pub fn holder(conn: &mut Conn, tenant: TenantKey, scope: &str, value: &str) -> Result<Option<ResourceKey>> {
    let hash = hash(value);
    let query = unique_values::table.find((tenant.0, scope, &hash[..])).select(unique_values::resource);
    Ok(on!(conn, |c| query.get_result::<i64>(c).optional())?.map(ResourceKey))
}

/// 128 bits: values are not chosen against each other by who could find a collision and gain from it.
fn hash(value: &str) -> Vec<u8> {
    let mut hash = Sha256::digest(value.as_bytes()).to_vec();
    hash.truncate(16);
    hash
}
