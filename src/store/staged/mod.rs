//! What a transaction has yet to write, so that the rows of many changes go to a database server in few statements.
//!
//! On SQLite a row is written when it is staged. On PostgreSQL it waits for the end of the transaction, or for a
//! statement that might see it: `Conn::settled` writes all that waits before any query goes out. Only a look-up of one
//! row by its key, `Conn::beside`, goes past what waits under other keys. So whoever reads finds what was written
//! before, and what few queries need not know costs no round trip.
//!
//! A transaction carries out several pieces of work, one after the other ([`super::writer`]). What the one at hand has
//! staged is kept apart until it is done, so that its failure takes back its own alone.

mod ahead;
mod merge;
mod rows;
mod statements;
mod tables;

use std::collections::HashMap;

use diesel::QueryResult;

use self::ahead::Ahead;
pub use self::ahead::Foreseen;
use self::rows::Rows;
pub(super) use self::rows::{Cell, Op};
pub(super) use self::tables::{
    COUNTERS, EXTERNAL_IDS, LOG_HEADS, LOG_RECORDS, MEMBERSHIPS, PRINCIPAL_HISTORY, PRINCIPALS, RESOURCE_HISTORY,
    RESOURCE_INDEX, RESOURCES, SUBJECT_KEYS, TOUCHED, Table, UNIQUE_VALUES,
};
use super::db::Db;
use crate::domain::TenantKey;
use crate::domain::log::Head;

/// Rows to be written, by table.
#[derive(Default)]
struct Layer {
    tables: [Rows; tables::COUNT],
    rows: usize,
    /// What was staged, though it may have been merged since.
    bytes: usize,
}

/// More than this is not left waiting for the end of a round: a statement's values are held in memory on both sides.
const BYTES_MAX: usize = 4 << 20;

impl Layer {
    fn find(&self, table: &Table, key: &[Cell<'static>]) -> Option<&Op<'static>> {
        self.tables.get(table.place).and_then(|rows| rows.get(key))
    }

    fn put(&mut self, table: &Table, key: Vec<Cell<'static>>, op: Op<'static>) {
        let Some(rows) = self.tables.get_mut(table.place) else { return };
        self.bytes += op.bytes();
        match rows.remove(&key) {
            None => {
                rows.insert(key, op);
                self.rows += 1;
            }
            Some(before) => match merge::after(table, before, op) {
                Some(merged) => drop(rows.insert(key, merged)),
                None => self.rows -= 1,
            },
        }
    }
}

/// What one transaction on PostgreSQL has yet to write. Outside one nothing waits.
#[derive(Default)]
pub(super) struct Unit {
    /// The number of the transaction among those of this process, while one is open.
    turn: Option<i64>,
    /// By work that is done.
    done: Layer,
    /// By the work at hand.
    own: Layer,
    /// Whether the work at hand has written anything that taking back its rows would leave there.
    has_written: bool,
    /// The ends of the logs that are locked, and where the work at hand leaves them.
    heads: HashMap<TenantKey, Head>,
    own_heads: HashMap<TenantKey, Head>,
    /// Keys for new resources, the next one last.
    keys: Vec<i64>,
    /// How many may be wanted.
    expected: usize,
    /// What was read of the database as it is without all that waits.
    pub(super) ahead: Ahead,
}

impl Unit {
    pub(super) fn turn(&self) -> Option<i64> {
        self.turn
    }

    pub(super) fn head(&self, tenant: TenantKey) -> Option<Head> {
        self.own_heads.get(&tenant).or_else(|| self.heads.get(&tenant)).cloned()
    }

    /// Notes the end of a log that this transaction has locked.
    pub(super) fn locked(&mut self, tenant: TenantKey, head: &Head) {
        if self.turn.is_some() {
            self.heads.insert(tenant, head.clone());
        }
    }

    /// Notes where the work at hand leaves a log.
    pub(super) fn moved(&mut self, tenant: TenantKey, head: &Head) {
        if self.turn.is_some() {
            self.own_heads.insert(tenant, head.clone());
        }
    }

    /// What is to become of a row, if anything is.
    pub(super) fn find(&self, table: &Table, key: &[Cell<'_>]) -> Option<&Op<'static>> {
        if self.own.rows + self.done.rows == 0 {
            return None;
        }
        let key: Vec<Cell<'static>> = key.iter().cloned().map(Cell::into_owned).collect();
        self.own.find(table, &key).or_else(|| self.done.find(table, &key))
    }
}

impl Unit {
    /// A transaction of its own number, in which rows wait.
    pub(super) fn begin(turn: i64) -> Unit {
        Unit { turn: Some(turn), ..Unit::default() }
    }

    /// The work at hand is done: what it has staged stays so.
    pub(super) fn keep_own(&mut self) {
        let own = std::mem::take(&mut self.own);
        for (rows, table) in own.tables.into_iter().zip(tables::ALL) {
            rows.into_iter().for_each(|(key, op)| self.done.put(table, key, op));
        }
        self.heads.extend(self.own_heads.drain());
        self.has_written = false;
    }

    /// Takes back what the work at hand has staged; gives whether that is all that it has done.
    pub(super) fn drop_own(&mut self) -> bool {
        self.own = Layer::default();
        self.own_heads.clear();
        !std::mem::take(&mut self.has_written)
    }

    /// The work at hand writes something that taking back its rows would leave there.
    pub(super) fn has_written(&mut self) {
        self.ahead.forget();
        self.has_written = true;
    }

    /// Stages what becomes of a row; on SQLite it is written.
    ///
    /// # Errors
    /// What the database refuses: where rows wait, perhaps only later.
    pub(super) fn stage(
        &mut self,
        db: &mut Db,
        table: &'static Table,
        key: Vec<Cell<'_>>,
        op: Op<'_>,
    ) -> QueryResult<()> {
        if db.is_embedded() {
            return statements::write_row(db, table, &key, &op);
        }
        let (key, op) = (key.into_iter().map(Cell::into_owned).collect::<Vec<_>>(), op.into_owned());
        if self.find(table, &key).is_some_and(|before| !merge::can_follow(before, &op)) {
            self.settle(db)?;
        }
        self.own.put(table, key, op);
        if self.turn.is_none() { self.settle(db) } else { Ok(()) }
    }

    /// Stages new rows: on SQLite several in a statement, since it costs more than a row does.
    ///
    /// # Errors
    /// See [`Unit::stage`].
    pub(super) fn stage_new<'a>(
        &mut self,
        db: &mut Db,
        table: &'static Table,
        mut rows: impl Iterator<Item = (Vec<Cell<'a>>, Vec<Cell<'a>>)>,
    ) -> QueryResult<()> {
        match db.is_embedded() {
            true => statements::insert_rows(db, table, rows),
            false => rows.try_for_each(|(key, row)| self.stage(db, table, key, Op::Insert(row))),
        }
    }

    /// Whether any row of a table waits.
    pub(super) fn waits_in(&self, table: &Table) -> bool {
        let some = |layer: &&Layer| layer.tables.get(table.place).is_some_and(|rows| !rows.is_empty());
        [&self.own, &self.done].iter().any(some)
    }

    /// Writes all that waits.
    ///
    /// # Errors
    /// What the database refuses: the transaction is lost then.
    pub(super) fn settle(&mut self, db: &mut Db) -> QueryResult<()> {
        if self.own.rows + self.done.rows == 0 {
            return Ok(());
        }
        self.ahead.forget();
        let has_written = self.has_written || self.own.rows > 0;
        // What was staged later may change what was staged before.
        let heads = std::mem::take(&mut self.own_heads);
        self.keep_own();
        (self.own_heads, self.has_written) = (heads, has_written);
        statements::write(db, &std::mem::take(&mut self.done).tables)
    }

    /// Whether so much waits that it is better written before more is done.
    pub(super) fn is_heavy(&self) -> bool {
        self.done.bytes > BYTES_MAX
    }

    /// So many pieces of work may each make a resource.
    pub(super) fn expect_new(&mut self, count: usize) {
        self.expected = count;
    }

    /// A key for a new resource. They grow in the order of commits, as far as whoever makes resources has locked the log.
    ///
    /// # Errors
    /// If the database gives none.
    pub(super) fn next_key(&mut self, db: &mut Db) -> QueryResult<i64> {
        if self.keys.is_empty() {
            self.keys = statements::keys(db, self.expected.max(1))?;
            self.keys.reverse();
        }
        self.keys.pop().ok_or(diesel::result::Error::NotFound)
    }
}

#[cfg(test)]
#[path = "rows_test.rs"]
mod tests;
