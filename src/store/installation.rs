//! What the database knows about the installation: its id, and the fingerprints of its keys.

use diesel::prelude::*;
use diesel::sql_types::BigInt;

use super::connection::{Conn, alter, on};
use super::db::Db;
use super::error::{Error, Result};
use super::schema::installation;
use super::types::Column;
use crate::domain::Id;

/// A key of the installation, by the name of its row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Key(&'static str);

/// What everything secret in the database is derived from.
pub const ROOT: Key = Key("fingerprint");
/// What is signed for others is signed with this.
pub const SIGNING: Key = Key("signing_fingerprint");
/// The row of the id.
const ID: Key = Key("id");

/// The fingerprint of a key; `None` if the database was never used with one.
///
/// # Errors
/// If the database cannot be read.
pub fn fingerprint(conn: &mut Conn, key: Key) -> Result<Option<Vec<u8>>> {
    let query = installation::table.select(installation::value).filter(installation::name.eq(key.0));
    Ok(on!(conn, |c| query.get_result::<Vec<u8>>(c).optional())?)
}

/// Stores the fingerprint unless there is one already.
///
/// # Errors
/// If the database cannot be written.
pub fn set_fingerprint(conn: &mut Conn, key: Key, fingerprint: &[u8]) -> Result<()> {
    let values = (installation::name.eq(key.0), installation::value.eq(fingerprint));
    alter!(conn, |c| diesel::insert_into(installation::table).values(values).on_conflict_do_nothing().execute(c))?;
    Ok(())
}

/// The id of the installation; `None` if the database was never used, or by a Keyroll that gave none.
///
/// # Errors
/// If the database cannot be read.
pub fn id(conn: &mut Conn) -> Result<Option<Id>> {
    fingerprint(conn, ID)?.map(|bytes| Column("installation", "value").id(&bytes)).transpose()
}

/// Stores the id unless there is one already.
///
/// # Errors
/// If the database cannot be written.
pub fn set_id(conn: &mut Conn, id: &Id) -> Result<()> {
    set_fingerprint(conn, ID, id.as_bytes())
}

/// Whether a database, whose tables may not be there yet, holds an installation.
///
/// # Errors
/// If the database cannot be read.
pub(super) fn is_used(conn: &mut Conn) -> Result<bool> {
    Ok(has_tables(conn)? && fingerprint(conn, ROOT)?.is_some())
}

/// Whether a database has tables of Keyroll.
///
/// # Errors
/// If the database cannot be read.
pub(super) fn has_tables(conn: &mut Conn) -> Result<bool> {
    let exists = match &conn.db {
        Db::Sqlite(_) => "SELECT COUNT(*) FROM sqlite_master WHERE name = 'installation'",
        Db::Postgres(_) => "SELECT COUNT(*) FROM pg_class WHERE oid = to_regclass('installation')",
    };
    Ok(conn.load_sql::<BigInt, i64>(exists, &[])?.pop() == Some(1))
}

/// Refuses a database, whose tables may not be there yet, that does not hold the installation it should.
///
/// # Errors
/// [`Error::Refused`] with what may have happened and what to do.
pub(super) fn check(conn: &mut Conn, expected: Option<Id>) -> Result<()> {
    let Some(wanted) = expected else { return Ok(()) };
    if !is_used(conn)? {
        return refuse_nothing(expected);
    }
    match id(conn)? {
        Some(known) if known == wanted => Ok(()),
        Some(known) => Err(Error::Refused(format!(
            "root.key is of the installation {wanted}, and the database holds another one, {known}: check the data \
             folder and the database URL"
        ))),
        // From before there were ids: the fingerprint of the key tells whether it belongs to it.
        None => Ok(()),
    }
}

/// Refuses what holds nothing if an installation should be there.
///
/// # Errors
/// [`Error::Refused`] with what may have happened and what to do.
pub(super) fn refuse_nothing(expected: Option<Id>) -> Result<()> {
    let Some(wanted) = expected else { return Ok(()) };
    Err(Error::Refused(format!(
        "root.key is of the installation {wanted}, and the database holds none: if its path or URL is wrong, or \
         keyroll.db was moved or was copied without its -wal file, put that right; if its data is gone, bring back a \
         backup with keyroll restore DIR; for a new installation, move root.key and signing.key away"
    )))
}
