//! Puts what the write-ahead log of SQLite holds back into the database file, beside everybody who reads and writes.
//!
//! A copy of the file alone is an older state in which keys work that were revoked since: it shall not be old.

use std::sync::{Mutex, PoisonError};

use diesel::sql_types::Integer;

use super::anchor::Anchor;
use super::connection::Conn;
use super::error::Result;
use super::file::connect;
use super::wal_index::{State, WalIndex};

#[derive(Default)]
pub(super) struct WriteBack(Mutex<WrittenBack>);

#[derive(Default)]
struct WrittenBack {
    conn: Option<Conn>,
    /// The state of the log that the file holds all of.
    done: Option<State>,
}

impl WriteBack {
    /// Puts back as much as nobody reads around. It waits for nobody, and nobody waits for it
    /// (<https://sqlite.org/c3ref/wal_checkpoint_v2.html>, passive). Gives whether there was anything to do.
    ///
    /// # Errors
    /// If it cannot be written, or the files are no longer at their place.
    pub(super) fn run(&self, path: &str, index: &WalIndex, anchor: &Anchor) -> Result<bool> {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // What is committed from here on changes it.
        let state = index.state();
        if state.is_some() && state == known.done {
            return Ok(false);
        }
        anchor.check()?;
        let mut conn = match known.conn.take() {
            Some(conn) => conn,
            None => connect(path)?,
        };
        // Else the name may have led to another database.
        anchor.look()?;
        let sql = "PRAGMA wal_checkpoint(PASSIVE)";
        let told = conn.load_sql::<(Integer, Integer, Integer), (i32, i32, i32)>(sql, &[])?.pop();
        // Another process may be at it, or somebody reads an older state: then the next time does the rest.
        let whole = told.is_some_and(|(busy, frames, put_back)| busy == 0 && frames == put_back);
        *known = WrittenBack { conn: Some(conn), done: state.filter(|_| whole) };
        Ok(true)
    }
}
