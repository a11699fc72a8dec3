//! Connections to the file of a SQLite database.

use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use diesel::sqlite::SqliteConnection;

use super::connection::Conn;
use super::error::{Error, Result};

/// What every connection sets. Page caches are kept small, for they add up: 2 MB for each connection. The
/// WAL goes back into the database when it has 16 MB: pages that many commits change are then written once.
const SETTINGS: &str = "PRAGMA busy_timeout = 10000; PRAGMA foreign_keys = ON; PRAGMA synchronous = FULL; \
     PRAGMA wal_autocheckpoint = 4000; \
     PRAGMA cache_size = -2048; PRAGMA mmap_size = 0; PRAGMA temp_store = MEMORY; PRAGMA trusted_schema = OFF;";

/// Opens a connection that may write.
pub(super) fn connect(path: &str) -> Result<Conn> {
    let mut connection = SqliteConnection::establish(path)
        .map_err(|error| Error::Unavailable(format!("cannot open the database file: {error}")))?;
    connection.batch_execute(SETTINGS)?;
    Ok(Conn::from(connection))
}

/// Opens a connection that only reads.
pub(super) fn reader(path: &str) -> Result<Conn> {
    let mut conn = connect(path)?;
    conn.batch("PRAGMA query_only = ON;")?;
    Ok(conn)
}
