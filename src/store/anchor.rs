//! Whether the files that are open are still those that lie at their place.
//!
//! Whoever deletes or replaces a database that is open leaves it with its reader alone: what is written then is lost
//! with the process, and was acknowledged.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use super::error::{Error, Result};
use super::place::beside;

/// How long it may take until reads are refused. Writes look for themselves.
const INTERVAL: Duration = Duration::from_millis(250);

/// The files of one database, and whether they were all at their place at the last look.
pub(super) struct Anchor {
    files: Arc<Files>,
    /// The thread that looks, which ends without its sender; `None` once it has ended.
    watch: Mutex<Option<(Sender<()>, JoinHandle<()>)>>,
}

struct Files {
    /// Device and inode of each.
    known: Vec<(PathBuf, (u64, u64))>,
    moved: AtomicBool,
}

fn identity(path: &Path) -> io::Result<(u64, u64)> {
    fs::metadata(path).map(|about| (about.dev(), about.ino()))
}

impl Files {
    fn look(&self) {
        let is_there = |(path, known): &(PathBuf, (u64, u64))| identity(path).is_ok_and(|found| found == *known);
        let moved = !self.known.iter().all(is_there);
        if self.moved.swap(moved, Ordering::AcqRel) != moved {
            match moved {
                true => ::log::error!("{}", Error::Moved),
                false => ::log::info!("the database file is at its place again"),
            }
        }
    }
}

impl Anchor {
    /// Looks at the files of a database that some connection has open in WAL mode, and again and again from now on.
    ///
    /// # Errors
    /// If one of them is not there.
    pub(super) fn drop_at(database: &Path) -> io::Result<Anchor> {
        let paths = [database.to_owned(), beside(database, "-wal"), beside(database, "-shm")];
        let known = paths.into_iter().map(|path| identity(&path).map(|found| (path, found)));
        let files = Arc::new(Files { known: known.collect::<io::Result<_>>()?, moved: AtomicBool::new(false) });
        let (stop, stopped) = channel::<()>();
        let looked_at = Arc::clone(&files);
        let thread = std::thread::Builder::new().name("keyroll-anchor".to_owned()).spawn(move || {
            while stopped.recv_timeout(INTERVAL) == Err(RecvTimeoutError::Timeout) {
                looked_at.look();
            }
        })?;
        Ok(Anchor { files, watch: Mutex::new(Some((stop, thread))) })
    }

    /// Looks no more, once this returns: whoever closes the last connection takes files away that others would miss.
    pub(super) fn raise(&self) {
        let watch = self.watch.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some((stop, thread)) = watch {
            drop(stop);
            // Else a look that has begun would find them gone.
            let _ = thread.join();
        }
    }

    /// Refuses what would be done with files that are no longer at their place, as far as the last look knows.
    ///
    /// # Errors
    /// [`Error::Moved`].
    pub(super) fn check(&self) -> Result<()> {
        if self.files.moved.load(Ordering::Acquire) { Err(Error::Moved) } else { Ok(()) }
    }

    /// The same by a look now: after a commit, and after a file was opened by its name.
    ///
    /// # Errors
    /// [`Error::Moved`].
    pub(super) fn look(&self) -> Result<()> {
        self.files.look();
        self.check()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_raised_anchor_misses_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("keyroll.db");
        for name in [path.clone(), beside(&path, "-wal"), beside(&path, "-shm")] {
            fs::write(name, "").unwrap();
        }
        let anchor = Anchor::drop_at(&path).unwrap();
        assert_eq!(Arc::strong_count(&anchor.files), 2);
        anchor.raise();
        assert_eq!(Arc::strong_count(&anchor.files), 1, "the thread that looks has ended");
        anchor.raise();
        anchor.look().unwrap();
        fs::remove_file(beside(&path, "-wal")).unwrap();
        anchor.check().unwrap();
        assert!(matches!(anchor.look(), Err(Error::Moved)));
    }
}
