//! Whether anything was committed since the last look, for the price of one small read.
//!
//! SQLite keeps the state of its write-ahead log in the header of the `-shm` file: a counter of commits, the
//! number of frames and their checksum, all of it twice (<https://sqlite.org/walformat.html> §2.1). Whoever
//! commits changes it before the commit returns. To ask SQLite itself takes two locks and a statement.

use std::fs::File;
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

/// One of the two copies.
const COPY: usize = 48;

/// The state of the log. Equal states are the same commit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct State([u8; COPY]);

/// The header of one database's log.
pub(super) struct WalIndex(Arc<File>);

/// The files that this process has opened. SQLite's own locks on a file are the process's, and closing any
/// handle of it would drop them: a handle is closed once the file is gone, and not before.
static OPEN: Mutex<Vec<Arc<File>>> = Mutex::new(vec![]);

impl WalIndex {
    /// Opens the header of a database that some connection has open in WAL mode.
    ///
    /// # Errors
    /// If the file is not there or cannot be read.
    pub(super) fn open(database: &Path) -> io::Result<WalIndex> {
        let mut name = database.as_os_str().to_owned();
        name.push("-shm");
        let place = |file: &File| file.metadata().map(|data| (data.dev(), data.ino()));
        let found = std::fs::metadata(&name).map(|data| (data.dev(), data.ino()))?;
        let mut open = OPEN.lock().unwrap_or_else(PoisonError::into_inner);
        open.retain(|file| file.metadata().is_ok_and(|data| data.nlink() > 0));
        if let Some(file) = open.iter().find(|file| place(file).is_ok_and(|place| place == found)) {
            return Ok(WalIndex(Arc::clone(file)));
        }
        let file = Arc::new(File::open(&name)?);
        open.push(Arc::clone(&file));
        Ok(WalIndex(file))
    }

    /// The state at this moment; `None` in the moment in which somebody is changing it.
    pub(super) fn state(&self) -> Option<State> {
        let mut copies = [[0; COPY]; 2];
        self.0.read_exact_at(copies.as_flattened_mut(), 0).ok()?;
        let [first, second] = copies;
        (first == second).then_some(State(first))
    }
}
