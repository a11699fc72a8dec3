//! SQLite: a writer thread, and a stack of connections for reads.
//!
//! Borrowing a reader is a lock and a pop: cheap enough for reads inside a request's thread, and the last
//! one given back, whose caches are warm, is the next one lent.

use std::fs;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::Path;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::anchor::Anchor;
use super::connection::{Conn, data_version};
use super::error::{Error, Result};
use super::file::{connect, reader};
use super::place::{self, FileKind};
use super::wal_index::{State, WalIndex};
use super::write_back::WriteBack;
use super::writer::{Embedded, Writer};
use super::writes::Writes;
use super::{installation, migrate};
use crate::domain::Id;

/// What the connection that probes sets: so few pages fit into its memory that a write goes into the WAL before
/// it is committed; and it waits for nobody for long.
const PROBE: &str = "PRAGMA cache_size = 1; PRAGMA busy_timeout = 1000;";

/// How many readers may be open beyond those that are kept, when scans hold them.
const SPARE: u32 = 4;

/// How long a request waits for a reader before it is answered with 503.
const WAIT: Duration = Duration::from_secs(10);

pub(super) struct Sqlite {
    path: String,
    kept: u32,
    idle: Mutex<Idle>,
    returned: Condvar,
    index: WalIndex,
    anchor: Arc<Anchor>,
    watch: Mutex<Watch>,
    writer: Writer,
    writes: Arc<Writes>,
    /// Tries whether a write would be kept.
    probe: Mutex<Option<Conn>>,
    write_back: WriteBack,
}

/// Reads the data version and nothing else: its numbers can be compared with each other.
struct Watch {
    conn: Conn,
    /// What was read last, and the state that the log had before.
    known: Option<(State, i64)>,
}

struct Idle {
    readers: Vec<Conn>,
    lent: u32,
}

/// What is there instead of an installation; `None` if it is there.
///
/// # Errors
/// If something else is there.
pub(super) fn lack(path: &str) -> Result<Option<String>> {
    if !Path::new(path).exists() {
        return Ok(Some(format!("there is no database at {}", place::told(Path::new(path)))));
    }
    let is_ours = place::look(&place::absolute(path)?)? == FileKind::Ours;
    Ok((!is_ours).then(|| format!("the database at {} is empty", place::told(Path::new(path)))))
}

impl Drop for Sqlite {
    fn drop(&mut self) {
        // Before the first connection ends.
        self.anchor.raise();
    }
}

impl Sqlite {
    pub(super) fn open(path: &str, readers: u32, expected: Option<Id>) -> Result<Sqlite> {
        let path = place::absolute(path)?;
        let folder = path.parent().unwrap_or(Path::new("/"));
        let text = path.to_str().ok_or_else(|| Error::Refused("the database's path must be UTF-8".to_owned()))?;
        let failed = |error: std::io::Error| Error::Refused(format!("{}: {error}", place::told(&path)));
        // One process at a time makes and migrates the file. The lock is the folder's: closing any handle
        // of the database file would take away the locks that SQLite itself holds on it in this process.
        let lock = fs::File::open(folder).and_then(|folder| folder.lock().map(|()| folder)).map_err(failed)?;
        let found = place::look(&path)?;
        if found != FileKind::Ours {
            installation::refuse_nothing(expected)?;
        }
        if found == FileKind::Nothing {
            fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path).map_err(failed)?;
        } else {
            fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).map_err(failed)?;
        }
        let mut conn = connect(text)?;
        installation::check(&mut conn, expected)?;
        // Before the log is switched on, so that the file itself says whose it is from the first moment on.
        place::claim(&mut conn)?;
        conn.batch("PRAGMA journal_mode = WAL; PRAGMA journal_size_limit = 67108864;")?;
        migrate::run(&mut conn)?;
        drop(lock);
        let watch = Mutex::new(Watch { conn: reader(text)?, known: None });
        let anchor = Arc::new(Anchor::drop_at(&path).map_err(failed)?);
        let writes = Arc::new(Writes::default());
        let rounds = Embedded::new(text.to_owned(), conn, Arc::clone(&writes), Arc::clone(&anchor));
        Ok(Sqlite {
            kept: readers.max(1),
            idle: Mutex::new(Idle { readers: vec![], lent: 0 }),
            returned: Condvar::new(),
            watch,
            index: WalIndex::open(&path).map_err(failed)?,
            writer: Writer::start(vec![Box::new(rounds)])?,
            anchor,
            writes,
            probe: Mutex::new(None),
            write_back: WriteBack::default(),
            path: text.to_owned(),
        })
    }

    pub(super) fn read<T, E: From<Error>>(&self, work: impl FnOnce(&mut Conn) -> Result<T, E>) -> Result<T, E> {
        let mut lent = self.lend()?;
        match &mut lent.conn {
            Some(conn) => work(conn),
            None => Err(Error::Unavailable("no reader".to_owned()).into()),
        }
    }

    /// See [`super::Store::write_for`].
    pub(super) fn writer(&self) -> &Writer {
        &self.writer
    }

    /// See [`super::Store::writable`].
    pub(super) fn writable(&self) -> Result<(), &'static str> {
        self.writes.ask(|| {
            let mut kept = self.probe.lock().unwrap_or_else(PoisonError::into_inner);
            let mut conn = match kept.take() {
                Some(conn) => conn,
                None => {
                    let mut conn = connect(&self.path)?;
                    conn.batch(PROBE)?;
                    conn
                }
            };
            rehearse(&mut conn)?;
            *kept = Some(conn);
            Ok(())
        })
    }

    /// See [`super::Store::write_back`].
    pub(super) fn write_back(&self) -> Result<bool> {
        self.write_back.run(&self.path, &self.index, &self.anchor)
    }

    pub(super) fn data_version(&self) -> Result<i64> {
        self.anchor.check()?;
        let state = self.index.state();
        let mut watch = self.watch.lock().unwrap_or_else(PoisonError::into_inner);
        match (state, watch.known) {
            (Some(state), Some((known, version))) if state == known => Ok(version),
            _ => {
                let version = data_version(&mut watch.conn)?;
                watch.known = state.map(|state| (state, version));
                Ok(version)
            }
        }
    }

    fn idle(&self) -> MutexGuard<'_, Idle> {
        // Nothing that holds the lock can leave the stack half-changed.
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn lend(&self) -> Result<Lent<'_>> {
        self.anchor.check()?;
        let full = |idle: &mut Idle| idle.readers.is_empty() && idle.lent >= self.kept + SPARE;
        let mut idle = self.idle();
        if full(&mut idle) {
            let waited = self.returned.wait_timeout_while(idle, WAIT, full).unwrap_or_else(PoisonError::into_inner);
            if waited.1.timed_out() {
                return Err(Error::Unavailable("every reader is in use".to_owned()));
            }
            idle = waited.0;
        }
        idle.lent += 1;
        let kept = idle.readers.pop();
        drop(idle);
        // From here on dropping it counts it as returned, should opening another one fail.
        let mut lent = Lent { from: self, conn: kept };
        if lent.conn.is_none() {
            lent.conn = Some(reader(&self.path)?);
            self.anchor.look()?;
        }
        Ok(lent)
    }
}

/// A reader, for as long as it is held.
struct Lent<'s> {
    from: &'s Sqlite,
    conn: Option<Conn>,
}

impl Drop for Lent<'_> {
    fn drop(&mut self) {
        // A panic may have left a transaction open: such a reader ends here.
        let mut conn = self.conn.take().filter(|_| !std::thread::panicking());
        let clean = conn.as_mut().is_some_and(Conn::is_clean);
        let mut idle = self.from.idle();
        idle.lent = idle.lent.saturating_sub(1);
        if clean && idle.readers.len() < self.from.kept as usize {
            idle.readers.extend(conn.take());
        }
        drop(idle);
        self.from.returned.notify_one();
    }
}

/// Writes more pages into the WAL than fit into memory, where the next commit would write its own, and takes them
/// back: nobody sees them, and the data version stays.
fn rehearse(conn: &mut Conn) -> Result<()> {
    conn.begin("BEGIN IMMEDIATE", "BEGIN")?;
    // On PostgreSQL the probe leaves its row, which a backup of it brings along.
    let sql = "INSERT INTO installation (name, value) VALUES ('probe', zeroblob(131072)) \
               ON CONFLICT (name) DO UPDATE SET value = excluded.value";
    let written = conn.execute_sql(sql, &[]);
    // A disk that is full has ended the transaction already.
    let undone = conn.unwind(0);
    written?;
    Ok(undone?)
}
