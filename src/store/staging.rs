//! A connection whose rows wait: see `store::staged`.

use super::connection::Conn;
use super::error::Result;
use super::staged::{Cell, Op, Table};

impl Conn {
    /// Stages what becomes of a row.
    ///
    /// # Errors
    /// What the database refuses: where rows wait, perhaps only later.
    pub(super) fn stage(&mut self, table: &'static Table, key: Vec<Cell<'_>>, op: Op<'_>) -> Result<()> {
        Ok(self.unit.stage(&mut self.db, table, key, op)?)
    }

    /// Stages new rows.
    ///
    /// # Errors
    /// See [`Conn::stage`].
    pub(super) fn stage_new<'a>(
        &mut self,
        table: &'static Table,
        rows: impl Iterator<Item = (Vec<Cell<'a>>, Vec<Cell<'a>>)>,
    ) -> Result<()> {
        Ok(self.unit.stage_new(&mut self.db, table, rows)?)
    }

    /// What is to become of a row, if anything is.
    pub(super) fn staged(&self, table: &Table, key: &[Cell<'_>]) -> Option<&Op<'static>> {
        self.unit.find(table, key)
    }

    /// Whether any row of a table waits.
    pub(super) fn waits_in(&self, table: &Table) -> bool {
        self.unit.waits_in(table)
    }

    /// A key for a new resource, where rows wait.
    ///
    /// # Errors
    /// If the database gives none.
    pub(super) fn next_key(&mut self) -> Result<i64> {
        Ok(self.unit.next_key(&mut self.db)?)
    }
}
