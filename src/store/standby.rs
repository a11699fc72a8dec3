//! Whether a commit waits for a synchronous standby, where nothing may be acknowledged without one.

use diesel::sql_types::Text;

use super::connection::Conn;
use super::error::{Error, NO_STANDBY, Result};

/// What waits and for whom; and no time limit ends the wait, or the commit would be told as done.
const BEFORE: &str = "SELECT CASE WHEN set_config('statement_timeout', '0', true) IS NOT NULL \
     THEN current_setting('synchronous_standby_names') END";
const AFTER: &str = "SELECT current_setting('synchronous_standby_names')";

/// Looks before a commit, in its transaction, and takes the session's time limit off it.
///
/// # Errors
/// [`Error::Unavailable`] if no standby is set.
pub(super) fn check_before(conn: &mut Conn) -> Result<()> {
    check(conn, BEFORE)
}

/// Looks once more after the commit: whoever emptied the list meanwhile has let it go on alone.
///
/// # Errors
/// [`Error::Unavailable`] if no standby is set any more: the commit is done, and nobody may be told so.
pub(super) fn check_after(conn: &mut Conn) -> Result<()> {
    check(conn, AFTER)
}

fn check(conn: &mut Conn, sql: &str) -> Result<()> {
    let names = conn.load_sql::<Text, String>(sql, &[])?.pop().unwrap_or_default();
    if names.trim().is_empty() { Err(Error::Unavailable(NO_STANDBY.to_owned())) } else { Ok(()) }
}
