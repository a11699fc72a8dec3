//! A connection to either database; statements of our own text on it are in `store::statement`.

use std::marker::PhantomData;

use diesel::connection::{AnsiTransactionManager, SimpleConnection, TransactionManager};
use diesel::pg::PgConnection;
use diesel::prelude::*;
use diesel::query_dsl::LoadQuery;
use diesel::sql_types::{BigInt, Text};
use diesel::sqlite::SqliteConnection;

use super::db::{Db, with};
use super::error::{Error, Result};
use super::staged::{Cell, Table, Unit};
pub(crate) use super::statement::LISTED;
pub use super::statement::{Bind, List};
use super::statement::{Statement, each, run};

/// A connection, and what its transaction has yet to write (see `store::staged`). Whoever reads or writes through it
/// finds that written.
pub struct Conn {
    pub(super) db: Db,
    pub(super) unit: Unit,
}

/// Runs a query that may ask anything, on the concrete connection.
macro_rules! on {
    ($conn:expr, |$c:ident| $query:expr) => {
        $conn.settled().and_then(|db| $crate::store::db::with!(db, |$c| $query))
    };
}
pub(crate) use on;

/// The same for a statement that writes.
macro_rules! alter {
    ($conn:expr, |$c:ident| $query:expr) => {
        $conn.changing().and_then(|db| $crate::store::db::with!(db, |$c| $query))
    };
}
pub(crate) use alter;

/// The same for a query of one row of a table, by its key: what else has yet to be written is of no account.
macro_rules! row_of {
    ($conn:expr, $table:expr, $key:expr, |$c:ident| $query:expr) => {
        $conn.beside($table, $key).and_then(|db| $crate::store::db::with!(db, |$c| $query))
    };
}
pub(crate) use row_of;

/// How many keys go into one list.
pub(crate) const CHUNK: usize = 1_000;

impl From<SqliteConnection> for Conn {
    fn from(connection: SqliteConnection) -> Conn {
        Conn { db: Db::Sqlite(connection), unit: Unit::default() }
    }
}

impl From<PgConnection> for Conn {
    fn from(connection: PgConnection) -> Conn {
        Conn { db: Db::Postgres(connection), unit: Unit::default() }
    }
}

impl Conn {
    /// Whether it is one to the embedded database.
    pub(super) fn is_embedded(&self) -> bool {
        self.db.is_embedded()
    }

    /// Runs statements without values and without rows.
    ///
    /// # Errors
    /// What the database refuses.
    pub(super) fn batch(&mut self, sql: &str) -> QueryResult<()> {
        self.db.batch_execute(sql)
    }

    /// The connection for a query that may ask anything: all that waits is written before.
    ///
    /// # Errors
    /// What the database refuses.
    pub fn settled(&mut self) -> QueryResult<&mut Db> {
        self.unit.settle(&mut self.db)?;
        Ok(&mut self.db)
    }

    /// The connection for a statement that writes.
    pub(super) fn changing(&mut self) -> QueryResult<&mut Db> {
        self.unit.settle(&mut self.db)?;
        self.unit.has_written();
        Ok(&mut self.db)
    }

    /// The connection for a query of the row with a key in a table, and of nothing else that waits.
    pub(super) fn beside(&mut self, table: &Table, key: &[Cell<'_>]) -> QueryResult<&mut Db> {
        if self.unit.find(table, key).is_some() { self.settled() } else { Ok(&mut self.db) }
    }

    /// The connection for a query that looks past what waits.
    pub(super) fn unsettled(&mut self) -> &mut Db {
        &mut self.db
    }

    /// Writes by a statement that nothing waits for.
    pub(super) fn run(&mut self, sql: &str, binds: &[Bind<'_>]) -> QueryResult<usize> {
        run(&mut self.db, sql, binds)
    }

    /// Runs a statement with a `?` for each value; gives the number of rows.
    ///
    /// # Errors
    /// What the database refuses.
    pub(crate) fn execute_sql(&mut self, sql: &str, binds: &[Bind<'_>]) -> Result<usize> {
        let postgres = !self.is_embedded();
        let statement = Statement::<()> { sql, binds, postgres, keep: true, row: PhantomData };
        Ok(alter!(self, |c| statement.execute(c))?)
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

    /// The same for a query that looks past what has yet to be written.
    ///
    /// # Errors
    /// What the database refuses.
    pub(super) fn load_unsettled<'a, ST, T>(&mut self, sql: &'a str, binds: &'a [Bind<'a>]) -> Result<Vec<T>>
    where
        Statement<'a, ST>: LoadQuery<'a, SqliteConnection, T> + LoadQuery<'a, PgConnection, T>,
    {
        let statement = Statement::<'a, ST> { sql, binds, postgres: !self.is_embedded(), keep: true, row: PhantomData };
        Ok(with!(self.unsettled(), |c| statement.load::<T>(c))?)
    }

    /// The same; a text that clients can vary without end is not kept prepared.
    ///
    /// # Errors
    /// What the database refuses.
    pub(crate) fn load_sql_kept<'a, ST, T>(&mut self, sql: &'a str, binds: &'a [Bind<'a>], keep: bool) -> Result<Vec<T>>
    where
        Statement<'a, ST>: LoadQuery<'a, SqliteConnection, T> + LoadQuery<'a, PgConnection, T>,
    {
        let postgres = !self.is_embedded();
        let statement = Statement::<'a, ST> { sql, binds, postgres, keep, row: PhantomData };
        // What gives rows may write them.
        let reads = ["SELECT", "WITH", "PRAGMA"].iter().any(|word| sql.starts_with(word));
        Ok(if reads { on!(self, |c| statement.load::<T>(c)) } else { alter!(self, |c| statement.load::<T>(c)) }?)
    }

    /// Joins a table to the rows before it, one by one through an index, in the words of each database: the climb
    /// through groups tells no planner how few rows it gives. SQLite would turn the join round, PostgreSQL would
    /// read the table whole and hash it.
    pub(crate) fn each(&self, table: &str, alias: &str, condition: &str) -> String {
        each(!self.is_embedded(), table, alias, condition)
    }

    /// How many transactions are open inside each other.
    pub(super) fn depth(&mut self) -> u32 {
        let status = Db::transaction_manager_status_mut(&mut self.db);
        status.transaction_depth().ok().flatten().map_or(0, std::num::NonZero::get)
    }

    /// Rolls back until only `depth` transactions are open; after a panic nobody else does.
    pub(super) fn unwind(&mut self, depth: u32) -> QueryResult<()> {
        while self.depth() > depth {
            Db::rollback_transaction(&mut self.db)?;
        }
        Ok(())
    }

    /// Whether the connection can be given to somebody else: no transaction is open or half-closed.
    pub(super) fn is_clean(&mut self) -> bool {
        !Db::is_broken_transaction_manager(&mut self.db)
    }

    /// Begins an outermost transaction in the words of each database.
    pub(super) fn begin(&mut self, sqlite: &str, postgres: &str) -> QueryResult<()> {
        match &mut self.db {
            Db::Sqlite(c) => AnsiTransactionManager::begin_transaction_sql(c, sqlite),
            Db::Postgres(c) => AnsiTransactionManager::begin_transaction_sql(c, postgres),
        }
    }

    /// Ends the innermost transaction, for good.
    pub(super) fn commit(&mut self) -> QueryResult<()> {
        self.settled()?;
        Db::commit_transaction(&mut self.db)
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

/// Runs work in a transaction of its own.
pub(super) fn transaction<T, E>(conn: &mut Conn, work: impl FnOnce(&mut Conn) -> Result<T, E>) -> Result<T, Failed<E>> {
    Db::begin_transaction(&mut conn.db)?;
    match work(conn) {
        Ok(value) => {
            conn.commit()?;
            Ok(value)
        }
        Err(error) => {
            Db::rollback_transaction(&mut conn.db)?;
            Err(Failed::Work(error))
        }
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
    // Whoever has locked a log on PostgreSQL sees the same of it until its transaction ends.
    if let Some(turn) = conn.unit.turn() {
        return Ok(turn);
    }
    let version = match conn.is_embedded() {
        true => conn.load_sql::<BigInt, i64>("PRAGMA data_version", &[])?.pop(),
        false => {
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
