//! Values that wait, and what becomes of the rows that they are in.

use std::borrow::Cow;
use std::collections::BTreeMap;

/// A value in a column.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::store) enum Cell<'a> {
    Null,
    Int(i64),
    Bool(bool),
    Text(Cow<'a, str>),
    Bytes(Cow<'a, [u8]>),
}

/// What becomes of a row. The cells are those of the table's other columns, in their order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::store) enum Op<'a> {
    /// There is none yet.
    Insert(Vec<Cell<'a>>),
    /// The first one stays.
    Keep(Vec<Cell<'a>>),
    /// Whether there is one or not.
    Put(Vec<Cell<'a>>),
    /// There is one; only the columns that change are given.
    Update(Vec<Cell<'a>>),
    /// It goes.
    Delete,
}

impl Op<'_> {
    /// How long its texts and bytes are.
    pub(super) fn bytes(&self) -> usize {
        let cells = match self {
            Op::Insert(cells) | Op::Keep(cells) | Op::Put(cells) | Op::Update(cells) => cells.as_slice(),
            Op::Delete => &[],
        };
        let bytes = |cell: &Cell<'_>| match cell {
            Cell::Text(text) => text.len(),
            Cell::Bytes(bytes) => bytes.len(),
            Cell::Null | Cell::Int(_) | Cell::Bool(_) => 0,
        };
        cells.iter().map(bytes).sum()
    }
}

/// Rows of a table by their keys, with what becomes of each.
pub(super) type Rows = BTreeMap<Vec<Cell<'static>>, Op<'static>>;

impl Cell<'_> {
    pub(super) fn into_owned(self) -> Cell<'static> {
        match self {
            Cell::Null => Cell::Null,
            Cell::Int(number) => Cell::Int(number),
            Cell::Bool(value) => Cell::Bool(value),
            Cell::Text(text) => Cell::Text(Cow::Owned(text.into_owned())),
            Cell::Bytes(bytes) => Cell::Bytes(Cow::Owned(bytes.into_owned())),
        }
    }
}

impl Cell<'_> {
    /// The number that it holds.
    pub(in crate::store) fn number(&self) -> Option<i64> {
        if let Cell::Int(number) = self { Some(*number) } else { None }
    }

    /// The bytes that it holds.
    pub(in crate::store) fn bytes(&self) -> Option<&[u8]> {
        if let Cell::Bytes(bytes) = self { Some(bytes) } else { None }
    }
}

impl From<i64> for Cell<'_> {
    fn from(number: i64) -> Self {
        Cell::Int(number)
    }
}

impl From<bool> for Cell<'_> {
    fn from(value: bool) -> Self {
        Cell::Bool(value)
    }
}

impl<'a> From<&'a str> for Cell<'a> {
    fn from(text: &'a str) -> Self {
        Cell::Text(Cow::Borrowed(text))
    }
}

impl<'a> From<&'a [u8]> for Cell<'a> {
    fn from(bytes: &'a [u8]) -> Self {
        Cell::Bytes(Cow::Borrowed(bytes))
    }
}

impl<'a, T: Into<Cell<'a>>> From<Option<T>> for Cell<'a> {
    fn from(value: Option<T>) -> Self {
        value.map_or(Cell::Null, Into::into)
    }
}

impl Op<'_> {
    pub(super) fn into_owned(self) -> Op<'static> {
        let owned = |cells: Vec<Cell<'_>>| cells.into_iter().map(Cell::into_owned).collect();
        match self {
            Op::Insert(cells) => Op::Insert(owned(cells)),
            Op::Keep(cells) => Op::Keep(owned(cells)),
            Op::Put(cells) => Op::Put(owned(cells)),
            Op::Update(cells) => Op::Update(owned(cells)),
            Op::Delete => Op::Delete,
        }
    }
}
