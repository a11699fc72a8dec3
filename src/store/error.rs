//! What can go wrong below the use cases. A row that is not there is no error but `None`.

use std::sync::atomic::{AtomicBool, Ordering};

use diesel::result::{DatabaseErrorKind, Error as Diesel};

/// An error of the store.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The database is busy, gone or restarting: try again later.
    #[error("the database is not available: {0}")]
    Unavailable(String),
    /// The database takes no writes: a standby, set to read only, or a file that may not be written.
    #[error("{}", READ_ONLY)]
    ReadOnly,
    /// The database ended a statement that took too long, or that nobody waited for any more.
    #[error("{}", CANCELLED)]
    TooLong,
    /// The file of the embedded database is not where it was opened.
    #[error("{}", MOVED)]
    Moved,
    /// The work panicked; nothing of it was kept.
    #[error("the work on the database panicked")]
    Panicked,
    /// A stored value cannot be read.
    #[error("{table}.{column} holds {detail}")]
    Corrupt {
        /// The table.
        table: &'static str,
        /// Its column.
        column: &'static str,
        /// What is wrong with the value, without the value.
        detail: String,
    },
    /// Deciding a search would read too much; the message says of what.
    #[error("{0}")]
    TooMany(&'static str),
    /// The store cannot start; the message names what to do.
    #[error("{0}")]
    Refused(String),
    /// The database refused a statement.
    #[error("database: {0}")]
    Database(diesel::result::Error),
}

/// The results of this layer.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// Whether a value that must be unique was taken. On PostgreSQL the transaction is lost then.
    pub fn is_taken(&self) -> bool {
        matches!(self, Error::Database(Diesel::DatabaseError(DatabaseErrorKind::UniqueViolation, _)))
    }

    /// Whether the row to change was not there.
    pub fn is_not_found(&self) -> bool {
        matches!(self, Error::Database(Diesel::NotFound))
    }

    /// Why the database serves nothing, for anybody: without its own words, which may name files and hosts.
    pub fn told(&self) -> &'static str {
        let text = match self {
            Error::Unavailable(text) => text,
            Error::ReadOnly => return READ_ONLY,
            Error::Moved => return MOVED,
            _ => return "the database failed",
        };
        let found = TOLD.iter().find(|(part, _)| text.contains(part));
        found.map_or("the database is not available", |(_, told)| told)
    }

    /// The same, where whoever writes should know it.
    pub fn told_to_clients(&self) -> Option<&'static str> {
        Some(self.told()).filter(|told| [READ_ONLY, NO_STANDBY, DISK_FULL, DISK_FAILS, SERVER_DISK_FULL].contains(told))
    }

    /// A value that this table cannot hold.
    pub(crate) fn corrupt(table: &'static str, column: &'static str, detail: impl Into<String>) -> Error {
        Error::Corrupt { table, column, detail: detail.into() }
    }
}

impl From<Diesel> for Error {
    fn from(error: Diesel) -> Error {
        let text = |kind: Kind, message: &str| said(kind).unwrap_or(message).to_owned();
        match (Kind::of(&error), &error) {
            (Kind::Other, Diesel::BrokenTransactionManager) => {
                Error::Unavailable("the transaction was lost".to_owned())
            }
            (Kind::Other, Diesel::DatabaseError(_, about)) if about.message().starts_with(NO_RIGHTS) => {
                Error::Refused(without_rights(about.message()))
            }
            (Kind::Other, _) => Error::Database(error),
            (Kind::NotOurs, Diesel::DatabaseError(_, about)) => {
                Error::Refused(format!("the database file cannot be used: {}", about.message()))
            }
            (Kind::ReadOnly, _) => Error::ReadOnly,
            (Kind::Cancelled, _) => Error::TooLong,
            (kind, Diesel::DatabaseError(_, about)) => Error::Unavailable(text(kind, about.message())),
            (kind, _) => Error::Unavailable(text(kind, "the database failed")),
        }
    }
}

impl From<diesel::r2d2::PoolError> for Error {
    fn from(error: diesel::r2d2::PoolError) -> Error {
        Error::Unavailable(error.to_string())
    }
}

/// How PostgreSQL tells a role what it may not do (42501, whose code Diesel hides).
const NO_RIGHTS: &str = "permission denied for";

/// What PostgreSQL said, and if that was about rights, who has them.
pub(super) fn without_rights(message: &str) -> String {
    let fix = "name the role in the database URL that made Keyroll's tables; for a new database, the role that owns it";
    if message.starts_with(NO_RIGHTS) { format!("{message}: {fix}") } else { message.to_owned() }
}

const MOVED: &str = "the database file was moved, deleted or replaced while it was open: put it back, or stop the \
     server and bring back a backup";
const READ_ONLY: &str = "the database is read-only: writes wait until it is not";
pub(super) const NO_STANDBY: &str = "no synchronous standby is set, and without one nothing may be acknowledged";
/// What a session says of a server that is none to ask.
pub(super) const STANDBY: &str = "the database is a standby, and only its primary tells what holds";
pub(super) const SLOW: &str = "the database did not answer in time";
pub(super) const OVERTAKEN: &str = "another primary has taken over from this database";
/// What a server says once a newer version has changed the tables under it.
pub(super) const OUTDATED: &str = "a newer version of keyroll has changed the tables: start that version here";
pub(super) const LOCKED: &str = "another program has locked it: try again once that has finished, or end it";
pub(super) const TOLD_LOCKED: &str = "another program has locked the database";
const CANCELLED: &str = "the statement took too long, or was cancelled";

pub(super) const DISK_FULL: &str = "the disk is full";
const DISK_FAILS: &str = "the disk fails";
pub(super) const SERVER_DISK_FULL: &str = "the disk of the database server is full";

/// What is told of a failure, by a part of its text.
const TOLD: [(&str, &str); 14] = [
    (OUTDATED, OUTDATED),
    (NO_STANDBY, NO_STANDBY),
    (SLOW, SLOW),
    (MOVED, MOVED),
    (STANDBY, STANDBY),
    // What libpq says of each host that is none.
    ("server is in hot standby mode", STANDBY),
    (OVERTAKEN, OVERTAKEN),
    ("database or disk is full", DISK_FULL),
    ("disk I/O error", DISK_FAILS),
    ("unable to open database file", "the database file cannot be opened"),
    (LOCKED, TOLD_LOCKED),
    ("No space left on device", SERVER_DISK_FULL),
    ("in a read-only transaction", READ_ONLY),
    ("connection slots", "the database server takes no more connections"),
];

/// What a refusal of the database means for who asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// The session is of no use any more (class 08, 57P01 and its kin).
    Lost,
    /// Two transactions were in each other's way, and this one was undone: the same work may succeed at once
    /// (40001, 40P01).
    Collided,
    /// It takes no writes (25006, SQLITE_READONLY).
    ReadOnly,
    /// It waited too long for another's lock (55P03, SQLITE_BUSY, SQLITE_LOCKED).
    Locked,
    /// It was ended before it was done (57014, SQLITE_INTERRUPT).
    Cancelled,
    /// Disk, memory or places are used up, or the disk fails (classes 53 and 58, SQLITE_FULL, SQLITE_IOERR,
    /// SQLITE_CANTOPEN, SQLITE_NOMEM): no write is kept.
    Exhausted,
    /// The file is no database (SQLITE_NOTADB).
    NotOurs,
    /// Anything else: a rule of the tables, or a fault of ours.
    Other,
}

impl Kind {
    /// Diesel tells by code: uniqueness and the like, 25006, 40001, class 08, and by the state of the session
    /// whether it is lost. It hides the others; these are told apart by [`WORDS`].
    pub(super) fn of(error: &Diesel) -> Kind {
        match error {
            Diesel::DatabaseError(kind, about) => match kind {
                DatabaseErrorKind::ClosedConnection | DatabaseErrorKind::UnableToSendCommand => Kind::Lost,
                DatabaseErrorKind::SerializationFailure => Kind::Collided,
                DatabaseErrorKind::ReadOnlyTransaction => Kind::ReadOnly,
                DatabaseErrorKind::Unknown => by_words(about.message(), about.statement_position()),
                _ => Kind::Other,
            },
            Diesel::RollbackErrorOnCommit { commit_error, .. } => Kind::of(commit_error),
            _ => Kind::Other,
        }
    }

    /// Whether no write is kept as long as this goes on.
    pub(super) fn stops_writes(self) -> bool {
        matches!(self, Kind::Lost | Kind::ReadOnly | Kind::Exhausted)
    }
}

/// Set once a PostgreSQL server speaks another language than [`WORDS`] and does not let this role choose.
pub(super) static FOREIGN: AtomicBool = AtomicBool::new(false);

/// How messages of each kind begin. SQLite has one for each code, the same everywhere; PostgreSQL's are in the
/// language of the session, which sets `lc_messages` (`store::session`).
const WORDS: [(Kind, &[&str]); 7] = [
    (Kind::Collided, &["deadlock detected", "could not serialize access"]),
    (
        Kind::Lost,
        &[
            "terminating connection",
            "server closed the connection",
            "the database system is",
            "no connection to the server",
            "SSL connection has been closed",
            "could not receive data from server",
            "could not send data to server",
        ],
    ),
    (Kind::ReadOnly, &["attempt to write a readonly database", "cannot assign TransactionIds during recovery"]),
    (
        Kind::Locked,
        &[
            "canceling statement due to lock timeout",
            "could not obtain lock on",
            "database is locked",
            "database table is locked",
            "database schema is locked",
            "locking protocol",
        ],
    ),
    (
        Kind::Cancelled,
        &["canceling statement due to", "canceling autovacuum task", "interrupted", "query_wait_timeout"],
    ),
    (
        Kind::Exhausted,
        &[
            "could not extend file",
            "could not write",
            "could not read",
            "could not open file",
            "could not fsync file",
            "could not resize shared memory",
            "out of memory",
            "out of shared memory",
            "disk full",
            "sorry, too many clients",
            "remaining connection slots",
            "too many connections",
            "database or disk is full",
            "disk I/O error",
            "unable to open database file",
            "large file support is disabled",
        ],
    ),
    (Kind::NotOurs, &["file is not a database"]),
];

fn by_words(message: &str, position: Option<i32>) -> Kind {
    let begins = |words: &&[&str]| words.iter().any(|word| message.starts_with(word));
    if let Some((kind, _)) = WORDS.iter().find(|(_, words)| begins(words)) {
        return *kind;
    }
    // A fault of ours in a statement has a place in it; what is left is far more often the server's state.
    // Nothing was kept: to do it again is safe whatever it was.
    if FOREIGN.load(Ordering::Relaxed) && position.is_none() { Kind::Collided } else { Kind::Other }
}

/// What people are told instead of the database's own words, where they can do something.
fn said(kind: Kind) -> Option<&'static str> {
    match kind {
        Kind::Locked => Some(LOCKED),
        Kind::Cancelled => Some(CANCELLED),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unknown(message: &str) -> Kind {
        Kind::of(&Diesel::DatabaseError(DatabaseErrorKind::Unknown, Box::new(message.to_owned())))
    }

    #[test]
    fn clients_are_told_why_no_write_is_kept() {
        let told = |text: &str| Error::Unavailable(text.to_owned()).told_to_clients();
        assert_eq!(told("database or disk is full"), Some("the disk is full"));
        assert_eq!(told("disk I/O error"), Some("the disk fails"));
        let full = "could not extend file \"base/5/1259\": No space left on device";
        assert_eq!(told(full), Some("the disk of the database server is full"));
        // Names of files and hosts are nobody's.
        assert_eq!(told("unable to open database file: /srv/keyroll.db"), None);
        assert_eq!(Error::Moved.told_to_clients(), None);
    }

    #[test]
    fn what_has_no_code_is_told_by_how_it_begins() {
        let check = |kind: Kind, message: &str| assert_eq!(unknown(message), kind, "{message}");
        check(Kind::Collided, "deadlock detected");
        check(Kind::Locked, "canceling statement due to lock timeout");
        check(Kind::Cancelled, "canceling statement due to statement timeout");
        check(Kind::Cancelled, "canceling statement due to user request");
        check(Kind::Exhausted, "could not extend file \"base/5/1259\": No space left on device");
        check(Kind::Exhausted, "database or disk is full");
        check(Kind::ReadOnly, "attempt to write a readonly database");
        check(Kind::NotOurs, "file is not a database");
        // A client's own words stand further back.
        check(Kind::Other, "invalid input syntax for type bigint: \"disk full\"");
        check(Kind::Other, "syntax error at or near \"deadlock detected\"");
    }
}
