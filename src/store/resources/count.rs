//! How many resources of each type there are: kept, and never counted.

use diesel::prelude::*;

use crate::domain::TenantKey;
use crate::store::connection::{Conn, on};
use crate::store::error::Result;
use crate::store::schema::counters;
use crate::store::staged::{COUNTERS, Op};

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
    conn.stage(&COUNTERS, vec![tenant.0.into(), type_name.into()], Op::Put(vec![change.into()]))
}
