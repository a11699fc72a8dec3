//! A connection to either database; statements of our own text on it are in `store::statement`.

#![expect(missing_docs, reason = "diesel's derive writes public types without documentation")]

use std::marker::PhantomData;

use diesel::connection::{AnsiTransactionManager, TransactionManager};
use diesel::pg::PgConnection;
use diesel::prelude::*;
use diesel::query_dsl::LoadQuery;
use diesel::sql_types::{BigInt, Text};
use diesel::sqlite::SqliteConnection;

use super::error::{Error, Result};
pub(crate) use super::statement::LISTED;
use super::statement::Statement;
use super::statement::each;
pub use super::statement::{Bind, List};

/// A connection to either database. Queries on it work on both; [`on!`] picks the concrete connection
/// where a query is hot or needs what the derive leaves out (`on_conflict`, `for_update`).
#[derive(diesel::MultiConnection)]
pub enum Conn {
    /// The embedded database.
    Sqlite(SqliteConnection),
    /// A PostgreSQL server.
    Postgres(PgConnection),
}

/// Runs a query on the concrete connection: 4–9 µs cheaper than on the enum, since its SQL is rendered once.
macro_rules! on {
    ($conn:expr, |$c:ident| $query:expr) => {
        match $conn {
            $crate::store::connection::Conn::Sqlite($c) => $query,
            $crate::store::connection::Conn::Postgres($c) => $query,
        }
    };
}
pub(crate) use on;

/// Loads at most one row and locks it until the transaction ends. SQLite's one writer needs no lock.
macro_rules! locked {
    ($conn:expr, $query:expr, $row:ty) => {
        match $conn {
            $crate::store::connection::Conn::Sqlite(c) => $query.get_result::<$row>(c).optional(),
            $crate::store::connection::Conn::Postgres(c) => $query.for_update().get_result::<$row>(c).optional(),
        }
    };
}
pub(crate) use locked;

/// How many keys go into one list.
pub(crate) const CHUNK: usize = 1_000;

impl Conn {
    /// Runs a statement with a `?` for each value; gives the number of rows.
    ///
    /// # Errors
    /// What the database refuses.
    pub(crate) fn execute_sql(&mut self, sql: &str, binds: &[Bind<'_>]) -> Result<usize> {
        let postgres = matches!(self, Conn::Postgres(_));
        let statement = Statement::<()> { sql, binds, postgres, keep: true, row: PhantomData };
        Ok(on!(self, |c| statement.execute(c))?)
    }

    /// Runs a query with a `?` for each value; `ST` are the types of its columns.
    ///
    /// # Errors
    /// What the database refuses.
    pub(crate) fn load_sql<'a, ST, T>(&mut self, sql: &'a str, binds: &'a [Bind<'a>]) -> Result<Vec<T>>
    where
        Statement<'a, ST>: LoadQuery<'a, SqliteConnection, T> + LoadQuery<'a, PgConnection, T>,
    {
        self.load_sql_kept(sql, binds, true)
    }

    /// The same; a text that clients can vary without end is not kept prepared.
    ///
    /// # Errors
    /// What the database refuses.
    pub(crate) fn load_sql_kept<'a, ST, T>(&mut self, sql: &'a str, binds: &'a [Bind<'a>], keep: bool) -> Result<Vec<T>>
    where
        Statement<'a, ST>: LoadQuery<'a, SqliteConnection, T> + LoadQuery<'a, PgConnection, T>,
    {
        let postgres = matches!(self, Conn::Postgres(_));
        let statement = Statement::<'a, ST> { sql, binds, postgres, keep, row: PhantomData };
        Ok(on!(self, |c| statement.load::<T>(c))?)
    }

    /// Joins a table to the rows before it, one by one through an index, in the words of each database: the climb
    /// through groups tells no planner how few rows it gives. SQLite would turn the join round, PostgreSQL would
    /// read the table whole and hash it.
    pub(crate) fn each(&self, table: &str, alias: &str, condition: &str) -> String {
        each(matches!(self, Conn::Postgres(_)), table, alias, condition)
    }

    /// How many transactions are open inside each other.
    pub(super) fn depth(&mut self) -> u32 {
        let status = Conn::transaction_manager_status_mut(self);
        status.transaction_depth().ok().flatten().map_or(0, std::num::NonZero::get)
    }

    /// Rolls back until only `depth` transactions are open; after a panic nobody else does.
    pub(super) fn unwind(&mut self, depth: u32) -> QueryResult<()> {
        while self.depth() > depth {
            Conn::rollback_transaction(self)?;
        }
        Ok(())
    }

    /// Whether the connection can be given to somebody else: no transaction is open or half-closed.
    pub(super) fn is_clean(&mut self) -> bool {
        !Conn::is_broken_transaction_manager(self)
    }

    /// Begins an outermost transaction in the words of each database.
    pub(super) fn begin(&mut self, sqlite: &str, postgres: &str) -> QueryResult<()> {
        match self {
            Conn::Sqlite(c) => AnsiTransactionManager::begin_transaction_sql(c, sqlite),
            Conn::Postgres(c) => AnsiTransactionManager::begin_transaction_sql(c, postgres),
        }
    }

    /// Ends the innermost transaction, for good.
    pub(super) fn commit(&mut self) -> QueryResult<()> {
        Conn::commit_transaction(self)
    }
}

/// How work in a transaction failed.
pub(super) enum Failed<E> {
    /// The work itself: it was rolled back, and the connection is fine.
    Work(E),
    /// Beginning, committing or rolling back.
    Transaction(diesel::result::Error),
}

impl<E> From<diesel::result::Error> for Failed<E> {
    fn from(error: diesel::result::Error) -> Self {
        Failed::Transaction(error)
    }
}

impl<E: From<Error>> Failed<E> {
    /// The one error for the caller.
    pub(super) fn into_error(self) -> E {
        match self {
            Failed::Work(error) => error,
            Failed::Transaction(error) => Error::from(error).into(),
        }
    }
}

/// Runs work in a transaction, or in a savepoint inside one.
pub(super) fn transaction<T, E>(conn: &mut Conn, work: impl FnOnce(&mut Conn) -> Result<T, E>) -> Result<T, Failed<E>> {
    conn.transaction(|conn| work(conn).map_err(Failed::Work))
}

/// Runs work in a savepoint of the transaction that is open: the inner result is the work's own, and an
/// error of it has undone the work alone.
///
/// # Errors
/// If the transaction itself is lost: nothing of it will be kept.
pub fn nested<T, E>(conn: &mut Conn, work: impl FnOnce(&mut Conn) -> Result<T, E>) -> Result<Result<T, E>> {
    match transaction(conn, work) {
        Ok(value) => Ok(Ok(value)),
        Err(Failed::Work(error)) => Ok(Err(error)),
        Err(Failed::Transaction(error)) => Err(error.into()),
    }
}

/// Runs reads that must agree with each other: all of them see the database as it was at the first.
/// Inside a write they see that transaction.
///
/// # Errors
/// What `read` gives, and what beginning and ending a transaction can.
pub fn snapshot<T, E: From<Error>>(conn: &mut Conn, read: impl FnOnce(&mut Conn) -> Result<T, E>) -> Result<T, E> {
    let database = |error| E::from(Error::from(error));
    if conn.depth() > 0 {
        return read(conn);
    }
    conn.begin("BEGIN", "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY").map_err(database)?;
    let outcome = read(conn);
    let ended = match outcome {
        Ok(_) => conn.commit(),
        Err(_) => conn.unwind(0),
    };
    match (outcome, ended) {
        (Ok(_), Err(error)) => Err(database(error)),
        (outcome, _) => outcome,
    }
}

/// A number that grows when anybody else commits, as this one connection sees it. On SQLite numbers of two
/// connections cannot be compared: [`super::Store::data_version`] gives those that can.
///
/// # Errors
/// If the database cannot be read.
pub fn data_version(conn: &mut Conn) -> Result<i64> {
    let version = match conn {
        Conn::Sqlite(_) => conn.load_sql::<BigInt, i64>("PRAGMA data_version", &[])?.pop(),
        Conn::Postgres(_) => {
            let snapshot = conn.load_sql::<Text, String>("SELECT CAST(pg_current_snapshot() AS text)", &[])?.pop();
            snapshot.as_deref().and_then(ended)
        }
    };
    version.ok_or_else(|| Error::Unavailable("the database does not say what it has seen".to_owned()))
}

/// How many transactions of a whole PostgreSQL server have ended, by a snapshot `xmin:xmax:xip,…`: all that began
/// before the newest that has, but for those still under way.
pub(super) fn ended(snapshot: &str) -> Option<i64> {
    let mut parts = snapshot.split(':').skip(1);
    let newest: i64 = parts.next()?.parse().ok()?;
    let open = parts.next()?.split(',').filter(|id| !id.is_empty()).count();
    newest.checked_sub(i64::try_from(open).ok()?)
}

#[cfg(test)]
mod tests {
    use super::ended;

    #[test]
    fn a_transaction_that_ends_moves_the_number_on() {
        assert_eq!(ended("10:10:"), Some(10));
        // 10 and 11 are under way, and 12 has ended; then 10; then 11.
        assert_eq!(["10:13:10,11", "11:13:11", "13:13:"].map(ended), [Some(11), Some(12), Some(13)]);
        assert_eq!([ended(""), ended("10"), ended("10:x:")], [None; 3]);
    }
}
