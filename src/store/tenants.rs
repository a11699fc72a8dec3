//! Tenants.

use chrono::{DateTime, Utc};
use diesel::prelude::*;

use super::connection::{Conn, alter, on};
use super::error::Result;
use super::schema::tenants;
use super::types::{Column, millis};
use crate::domain::{Id, Tenant, TenantKey};

#[derive(Queryable, Selectable)]
#[diesel(table_name = tenants)]
pub(super) struct Row {
    key: i64,
    id: Vec<u8>,
    name: String,
    created: i64,
}

impl Row {
    pub(super) fn into_domain(self) -> Result<Tenant> {
        Ok(Tenant {
            key: TenantKey(self.key),
            id: Column("tenants", "id").id(&self.id)?,
            name: self.name,
            created: Column("tenants", "created").time(self.created)?,
        })
    }
}

/// Adds a tenant.
///
/// # Errors
/// A unique violation if the name or the id is taken.
pub fn insert(conn: &mut Conn, id: &Id, name: &str, now: DateTime<Utc>) -> Result<Tenant> {
    let values = (tenants::id.eq(&id.as_bytes()[..]), tenants::name.eq(name), tenants::created.eq(millis(now)));
    alter!(conn, |c| diesel::insert_into(tenants::table)
        .values(values)
        .returning(Row::as_returning())
        .get_result::<Row>(c))?
    .into_domain()
}

/// Every tenant, by key. Not scoped: it is the list of scopes.
///
/// # Errors
/// If the database cannot be read.
pub fn all(conn: &mut Conn) -> Result<Vec<Tenant>> {
    on!(conn, |c| tenants::table.select(Row::as_select()).order(tenants::key).load::<Row>(c))?
        .into_iter()
        .map(Row::into_domain)
        .collect()
}

/// Finds a tenant by name. Not scoped: it finds the scope.
///
/// # Errors
/// If the database cannot be read.
pub fn by_name(conn: &mut Conn, name: &str) -> Result<Option<Tenant>> {
    on!(conn, |c| tenants::table
        .select(Row::as_select())
        .filter(tenants::name.eq(name))
        .get_result::<Row>(c)
        .optional())?
    .map(Row::into_domain)
    .transpose()
}
