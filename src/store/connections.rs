//! Connections: identity providers' links into a tenant.

use chrono::{DateTime, Utc};
use diesel::prelude::*;

use super::connection::{Conn, alter, on};
use super::error::Result;
use super::schema::connections;
use super::types::{Column, millis};
use crate::domain::{Connection, Id, TenantKey};
use crate::scim::tolerance::Dialect;

#[derive(Queryable, Selectable)]
#[diesel(table_name = connections)]
pub(super) struct Row {
    key: i64,
    id: Vec<u8>,
    name: String,
    dialect: String,
    agent: Vec<u8>,
    unique_group_names: bool,
    unique_external_ids: bool,
}

impl Row {
    pub(super) fn into_domain(self) -> Result<Connection> {
        let dialect = Column("connections", "dialect");
        Ok(Connection {
            key: self.key,
            id: Column("connections", "id").id(&self.id)?,
            name: self.name,
            dialect: Dialect::parse(&self.dialect).ok_or_else(|| dialect.corrupt("no dialect"))?,
            agent: Column("connections", "agent").id(&self.agent)?,
            unique_group_names: self.unique_group_names,
            unique_external_ids: self.unique_external_ids,
        })
    }
}

/// Adds a connection; its key is given by the database.
///
/// # Errors
/// A unique violation if the tenant has a connection of that name.
pub fn insert(conn: &mut Conn, tenant: TenantKey, connection: &Connection, now: DateTime<Utc>) -> Result<Connection> {
    let values = (
        connections::tenant.eq(tenant.0),
        connections::id.eq(&connection.id.as_bytes()[..]),
        connections::name.eq(&connection.name),
        connections::dialect.eq(connection.dialect.name()),
        connections::agent.eq(&connection.agent.as_bytes()[..]),
        connections::unique_group_names.eq(connection.unique_group_names),
        connections::unique_external_ids.eq(connection.unique_external_ids),
        connections::created.eq(millis(now)),
    );
    let insert = diesel::insert_into(connections::table).values(values).returning(connections::key);
    let key = alter!(conn, |c| insert.get_result::<i64>(c))?;
    Ok(Connection { key, ..connection.clone() })
}

/// Finds a connection by name.
///
/// # Errors
/// If the database cannot be read.
pub fn by_name(conn: &mut Conn, tenant: TenantKey, name: &str) -> Result<Option<Connection>> {
    let own = connections::tenant.eq(tenant.0).and(connections::name.eq(name));
    on!(conn, |c| connections::table.select(Row::as_select()).filter(own).get_result::<Row>(c).optional())?
        .map(Row::into_domain)
        .transpose()
}

/// Finds a connection by id.
///
/// # Errors
/// If the database cannot be read.
pub fn by_id(conn: &mut Conn, tenant: TenantKey, id: &Id) -> Result<Option<Connection>> {
    let own = connections::tenant.eq(tenant.0).and(connections::id.eq(&id.as_bytes()[..]));
    on!(conn, |c| connections::table.select(Row::as_select()).filter(own).get_result::<Row>(c).optional())?
        .map(Row::into_domain)
        .transpose()
}

/// Every connection of a tenant, by key.
///
/// # Errors
/// If the database cannot be read.
pub fn list(conn: &mut Conn, tenant: TenantKey) -> Result<Vec<Connection>> {
    let own = connections::tenant.eq(tenant.0);
    on!(conn, |c| connections::table.select(Row::as_select()).filter(own).order(connections::key).load::<Row>(c))?
        .into_iter()
        .map(Row::into_domain)
        .collect()
}
