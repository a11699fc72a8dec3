//! What two changes of one row come to.

use super::rows::{Cell, Op};
use super::tables::Table;

/// Whether two changes of one row can be written as one.
pub(super) fn can_follow(before: &Op<'_>, next: &Op<'_>) -> bool {
    matches!(
        (before, next),
        (Op::Insert(_) | Op::Put(_) | Op::Update(_), Op::Update(_) | Op::Delete)
            | (Op::Put(_), Op::Put(_))
            | (Op::Keep(_), Op::Keep(_))
    )
}

/// What two changes of one row come to; `None` if nothing is left to be written.
pub(super) fn after(table: &Table, before: Op<'static>, next: Op<'static>) -> Option<Op<'static>> {
    Some(match (before, next) {
        (Op::Keep(first), Op::Keep(_)) => Op::Keep(first),
        (Op::Insert(row), Op::Update(cells)) => Op::Insert(changed(table, row, cells)),
        (Op::Put(row), Op::Update(cells)) => Op::Put(changed(table, row, cells)),
        (Op::Put(row), Op::Put(later)) => {
            let cells = later.into_iter().skip(table.fixed.len()).collect();
            Op::Put(changed(table, row, cells))
        }
        (Op::Update(first), Op::Update(cells)) => Op::Update(merged(table, first, cells)),
        (Op::Insert(_), Op::Delete) => return None,
        (_, next) => next,
    })
}

/// A whole row with other values in the columns that change.
fn changed(table: &Table, mut row: Vec<Cell<'static>>, cells: Vec<Cell<'static>>) -> Vec<Cell<'static>> {
    let tail = row.split_off(table.fixed.len().min(row.len()));
    row.extend(merged(table, tail, cells));
    row
}

/// The columns that change after two changes: numbers that count are added, and times go on.
fn merged(table: &Table, first: Vec<Cell<'static>>, cells: Vec<Cell<'static>>) -> Vec<Cell<'static>> {
    let (set, counted) = (table.set.len(), table.set.len() + table.counted.len());
    let one = |(n, (first, next))| match (first, next) {
        (Cell::Int(first), Cell::Int(next)) if n >= counted => Cell::Int(next.max(first + 1)),
        (Cell::Int(first), Cell::Int(next)) if n >= set => Cell::Int(first + next),
        (_, next) => next,
    };
    first.into_iter().zip(cells).enumerate().map(one).collect()
}
