//! What the database knows about the installation: the fingerprint of its `root.key`.

use diesel::prelude::*;

use super::connection::{Conn, on};
use super::error::Result;
use super::schema::installation;

const FINGERPRINT: &str = "fingerprint";

/// The fingerprint of the installation's key; `None` in a new database.
///
/// # Errors
/// If the database cannot be read.
pub fn fingerprint(conn: &mut Conn) -> Result<Option<Vec<u8>>> {
    let query = installation::table.select(installation::value).filter(installation::name.eq(FINGERPRINT));
    Ok(on!(conn, |c| query.get_result::<Vec<u8>>(c).optional())?)
}

/// Stores the fingerprint unless there is one already.
///
/// # Errors
/// If the database cannot be written.
pub fn set_fingerprint(conn: &mut Conn, fingerprint: &[u8]) -> Result<()> {
    let values = (installation::name.eq(FINGERPRINT), installation::value.eq(fingerprint));
    on!(conn, |c| diesel::insert_into(installation::table).values(values).on_conflict_do_nothing().execute(c))?;
    Ok(())
}
