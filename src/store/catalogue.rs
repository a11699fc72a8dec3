//! The catalogue: apis, roles and mappings as JSON, each from one record of the log to another.

use diesel::prelude::*;
use diesel::sql_types::{BigInt, Nullable, Text};

use super::connection::{Bind, Conn, alter};
use super::error::Result;
use super::schema::catalogue;
use crate::domain::TenantKey;

/// What an item of the catalogue is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// An api; its name is the item's.
    Api,
    /// A role; its name is the item's.
    Role,
    /// A mapping; the item's name is its id.
    Mapping,
}

impl Kind {
    /// The word in rows, records and answers.
    pub fn name(self) -> &'static str {
        match self {
            Kind::Api => "api",
            Kind::Role => "role",
            Kind::Mapping => "mapping",
        }
    }

    fn parse(name: &str) -> Option<Kind> {
        [Kind::Api, Kind::Role, Kind::Mapping].into_iter().find(|kind| kind.name() == name)
    }
}

/// An item as it was from one record to another. Its document has its name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Item {
    /// What it is.
    pub kind: Kind,
    /// Its JSON.
    pub document: String,
    /// The record that made it so.
    pub from_seq: i64,
    /// The record that changed or removed it.
    pub until_seq: Option<i64>,
}

type Sql = (Text, Text, BigInt, Nullable<BigInt>);
type Row = (String, String, i64, Option<i64>);

fn items(rows: impl IntoIterator<Item = Row>) -> Result<Vec<Item>> {
    let item = |(kind, document, from_seq, until_seq): Row| {
        let kind = Kind::parse(&kind).ok_or_else(|| super::Error::corrupt("catalogue", "kind", "no kind"))?;
        Ok(Item { kind, document, from_seq, until_seq })
    };
    rows.into_iter().map(item).collect()
}

/// Every item as it is now.
///
/// # Errors
/// If the database cannot be read.
pub fn current(conn: &mut Conn, tenant: TenantKey) -> Result<Vec<Item>> {
    const SQL: &str = "SELECT kind, document, from_seq, until_seq FROM catalogue \
         WHERE tenant = ? AND until_seq IS NULL";
    items(conn.load_sql::<Sql, Row>(SQL, &[Bind::Int(tenant.0)])?)
}

/// Every item as it was after a record.
///
/// # Errors
/// If the database cannot be read.
pub fn at(conn: &mut Conn, tenant: TenantKey, seq: i64) -> Result<Vec<Item>> {
    const SQL: &str = "SELECT kind, document, from_seq, CAST(NULL AS bigint) FROM catalogue \
         WHERE tenant = ? AND from_seq <= ? AND (until_seq IS NULL OR until_seq > ?)";
    items(conn.load_sql::<Sql, Row>(SQL, &[Bind::Int(tenant.0), Bind::Int(seq), Bind::Int(seq)])?)
}

/// What a record or one behind it has made, changed or removed: items as they were before, and as they are now.
///
/// # Errors
/// If the database cannot be read.
pub fn since(conn: &mut Conn, tenant: TenantKey, seq: i64) -> Result<Vec<Item>> {
    // Two walks along an index each: neither database is left to find that out for an OR. And an end that is
    // never reached: of a number without one PostgreSQL expects a third of the table, and reads all of it.
    const SQL: &str = "SELECT kind, document, from_seq, until_seq FROM catalogue \
         WHERE tenant = ? AND until_seq >= ? AND until_seq < ? \
         UNION ALL SELECT kind, document, from_seq, until_seq FROM catalogue \
         WHERE tenant = ? AND from_seq >= ? AND from_seq < ? AND until_seq IS NULL";
    let binds = [tenant.0, seq, i64::MAX, tenant.0, seq, i64::MAX].map(Bind::Int);
    items(conn.load_sql::<Sql, Row>(SQL, &binds)?)
}

/// Every state that an item had up to a record, the newest first.
///
/// # Errors
/// If the database cannot be read.
pub fn versions(conn: &mut Conn, tenant: TenantKey, kind: Kind, name: &str, seq: i64) -> Result<Vec<Item>> {
    const SQL: &str = "SELECT kind, document, from_seq, until_seq FROM catalogue \
         WHERE tenant = ? AND kind = ? AND name = ? AND from_seq <= ? ORDER BY from_seq DESC";
    let binds = [Bind::Int(tenant.0), Bind::Text(kind.name()), Bind::Text(name), Bind::Int(seq)];
    items(conn.load_sql::<Sql, Row>(SQL, &binds)?)
}

/// An item as it is now.
///
/// # Errors
/// If the database cannot be read.
pub fn find(conn: &mut Conn, tenant: TenantKey, kind: Kind, name: &str) -> Result<Option<Item>> {
    const SQL: &str = "SELECT kind, document, from_seq, until_seq FROM catalogue \
         WHERE tenant = ? AND kind = ? AND name = ? AND until_seq IS NULL";
    let binds = [Bind::Int(tenant.0), Bind::Text(kind.name()), Bind::Text(name)];
    Ok(items(conn.load_sql::<Sql, Row>(SQL, &binds)?)?.pop())
}

/// Adds an item, from a record on.
///
/// # Errors
/// A unique violation if the name is taken.
pub fn insert(conn: &mut Conn, tenant: TenantKey, kind: Kind, name: &str, document: &str, seq: i64) -> Result<()> {
    let values = (
        catalogue::tenant.eq(tenant.0),
        catalogue::kind.eq(kind.name()),
        catalogue::name.eq(name),
        catalogue::document.eq(document),
        catalogue::from_seq.eq(seq),
    );
    alter!(conn, |c| diesel::insert_into(catalogue::table).values(values).execute(c))?;
    Ok(())
}

/// Ends an item with a record; whether there was one.
///
/// # Errors
/// If the database cannot be written.
pub fn close(conn: &mut Conn, tenant: TenantKey, kind: Kind, name: &str, seq: i64) -> Result<bool> {
    let own = catalogue::table
        .filter(catalogue::tenant.eq(tenant.0))
        .filter(catalogue::kind.eq(kind.name()))
        .filter(catalogue::name.eq(name))
        .filter(catalogue::until_seq.is_null());
    Ok(alter!(conn, |c| diesel::update(own).set(catalogue::until_seq.eq(seq)).execute(c))? == 1)
}
