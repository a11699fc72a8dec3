//! What the database knows about the installation: the fingerprints of its keys.

use diesel::prelude::*;

use super::connection::{Conn, on};
use super::error::Result;
use super::schema::installation;

/// A key of the installation, by the name of its row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Key(&'static str);

/// What everything secret in the database is derived from.
pub const ROOT: Key = Key("fingerprint");
/// What is signed for others is signed with this.
pub const SIGNING: Key = Key("signing_fingerprint");

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
    on!(conn, |c| diesel::insert_into(installation::table).values(values).on_conflict_do_nothing().execute(c))?;
    Ok(())
}
