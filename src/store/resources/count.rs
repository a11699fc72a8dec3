//! How many resources of each type there are: kept, and never counted.

use diesel::prelude::*;

use crate::domain::TenantKey;
use crate::store::connection::{Bind, Conn, on};
use crate::store::error::Result;
use crate::store::schema::counters;

/// How many resources of a type there are.
///
/// # Errors
/// If the database cannot be read.
pub fn count(conn: &mut Conn, tenant: TenantKey, type_name: &str) -> Result<i64> {
    let query = counters::table.find((tenant.0, type_name)).select(counters::total);
    Ok(on!(conn, |c| query.get_result::<i64>(c).optional())?.unwrap_or(0))
}

/// Counts resources that come or go.
pub(super) fn add_to_count(conn: &mut Conn, tenant: TenantKey, type_name: &str, change: i64) -> Result<()> {
    // As a text: diesel prepares an update anew each time.
    const SQL: &str = "INSERT INTO counters (tenant, type, total) VALUES (?, ?, ?) \
         ON CONFLICT (tenant, type) DO UPDATE SET total = counters.total + excluded.total";
    conn.execute_sql(SQL, &[Bind::Int(tenant.0), Bind::Text(type_name), Bind::Int(change)])?;
    Ok(())
}
