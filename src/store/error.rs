//! What can go wrong below the use cases. A row that is not there is no error but `None`.

use diesel::result::{DatabaseErrorKind, Error as Diesel};

/// An error of the store.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The database is busy, gone or restarting: try again later.
    #[error("the database is not available: {0}")]
    Unavailable(String),
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

    /// A value that this table cannot hold.
    pub(crate) fn corrupt(table: &'static str, column: &'static str, detail: impl Into<String>) -> Error {
        Error::Corrupt { table, column, detail: detail.into() }
    }
}

/// SQLITE_NOTADB, which has no kind of its own.
const NO_DATABASE: &str = "file is not a database";

impl From<Diesel> for Error {
    fn from(error: Diesel) -> Error {
        match &error {
            Diesel::DatabaseError(kind, information) if passes(kind, information.message()) => {
                Error::Unavailable(said(information.message()).to_owned())
            }
            Diesel::DatabaseError(_, information) if information.message() == NO_DATABASE => {
                Error::Refused(format!("the database file cannot be used: {NO_DATABASE}"))
            }
            Diesel::BrokenTransactionManager => Error::Unavailable("the transaction was lost".to_owned()),
            _ => Error::Database(error),
        }
    }
}

impl From<diesel::r2d2::PoolError> for Error {
    fn from(error: diesel::r2d2::PoolError) -> Error {
        Error::Unavailable(error.to_string())
    }
}

/// Whether the same work may succeed later on. Deadlocks (40P01) and SQLITE_BUSY have no kind of their own.
fn passes(kind: &DatabaseErrorKind, message: &str) -> bool {
    match kind {
        DatabaseErrorKind::ClosedConnection | DatabaseErrorKind::SerializationFailure => true,
        DatabaseErrorKind::Unknown => {
            let known = ["deadlock detected", "canceling statement due to lock timeout", "database is locked"];
            known.iter().any(|text| message.starts_with(text)) || is_lost(kind, message)
        }
        _ => false,
    }
}

/// What people are told: who waits for somebody else's lock learns what to do.
fn said(message: &str) -> &str {
    if message.starts_with("database is locked") || message.starts_with("canceling statement due to lock timeout") {
        return "another program has locked it: try again once that has finished, or end it";
    }
    message
}

/// Whether the connection is of no use any more.
pub(super) fn is_lost(kind: &DatabaseErrorKind, message: &str) -> bool {
    let known = [
        "terminating connection",
        "server closed the connection",
        "the database system is",
        "no connection to the server",
        "SSL connection has been closed",
        "could not receive data from server",
        "could not send data to server",
    ];
    matches!(kind, DatabaseErrorKind::ClosedConnection) || known.iter().any(|text| message.contains(text))
}
