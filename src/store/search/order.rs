//! The order of an answer, and places in it.

use std::cmp::Ordering;

use super::{Position, Query, Sort};
use crate::scim::attribute::Kind;
use crate::scim::cursor::SortValue;
use crate::scim::path::AttrRef;
use crate::store::index::path_key;
use crate::store::types::ResourceKey;

/// What an answer is sorted by.
#[derive(Clone, Copy, Debug)]
pub(super) enum Order {
    /// The surrogate key alone.
    Key,
    /// A column that every resource has.
    Column(Column, Direction),
    /// An indexed path.
    Path(SortPath, Direction),
    /// What only documents tell.
    Document(AttrRef, Direction),
    /// One value that all resources of the type have, or `None` that all lack: see [`Order::among`].
    Fixed(Option<&'static str>, Direction),
}

/// Columns to sort by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Column {
    Id,
    Created,
    Modified,
}

impl Column {
    pub(super) fn name(self) -> &'static str {
        match self {
            Column::Id => "id",
            Column::Created => "created",
            Column::Modified => "modified",
        }
    }
}

/// An indexed path to sort by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct SortPath {
    pub(super) key: i32,
    /// Whether every resource has a value.
    pub(super) is_required: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Direction {
    Ascending,
    Descending,
}

/// A part of an answer that one statement can read in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Segment {
    /// By surrogate key.
    Key,
    /// By a column.
    Column(Column, Direction),
    /// What has a value, by it.
    Present(i32, Direction),
    /// What has none, by surrogate key.
    Missing(i32),
}

/// A result in the order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) key: ResourceKey,
    /// The sort key, if there is a value; for a column, as text.
    pub(super) value: Option<String>,
}

impl Place {
    pub(super) fn position(&self, order: Order) -> Position {
        match order {
            Order::Key => Position { sort: None, last: self.key.0 },
            _ => self.sorted(),
        }
    }

    /// Its position in an order that has sort keys.
    pub(super) fn sorted(&self) -> Position {
        Position { sort: Some(sort_value(self.value.clone())), last: self.key.0 }
    }
}

impl Order {
    pub(super) fn of(query: &Query<'_>) -> Order {
        let Some(Sort { by, descending }) = query.sort else { return Order::Key };
        let direction = Direction::of(descending);
        let sub = by.sub.map(|sub| sub.name.as_str());
        if by.extension.is_none() {
            match (by.attribute.name.as_str(), sub) {
                ("id", None) => return Order::Column(Column::Id, direction),
                ("meta", Some("created")) => return Order::Column(Column::Created, direction),
                ("meta", Some("lastModified")) => return Order::Column(Column::Modified, direction),
                // All have the same.
                ("meta", Some("resourceType")) => return Order::Key,
                _ => {}
            }
        }
        let name = by.to_string();
        // Only text has an order here that is that of its index; numbers have no rows at all.
        if !query.resource_type.indexed.contains(&name) || matches!(by.leaf().kind, Kind::Integer | Kind::Decimal) {
            return Order::Document(by, direction);
        }
        let path = SortPath {
            key: path_key(&query.resource_type.name, &name),
            is_required: by.sub.is_none() && by.attribute.required && !by.attribute.multi_valued,
        };
        Order::Path(path, direction)
    }

    /// The order of one type among others: what is the same within a type may differ between two, and what
    /// the type does not know has no value.
    pub(super) fn among(query: &Query<'_>, direction: Direction) -> Order {
        match Order::of(query) {
            Order::Key => Order::Fixed(query.sort.map(|_| query.resource_type.name.as_str()), direction),
            order => order,
        }
    }

    /// The order of documents that no table and no index knows.
    pub(super) fn of_held(query: &Query<'_>) -> Order {
        match query.sort {
            None => Order::Key,
            Some(Sort { by, descending }) => Order::Document(by, Direction::of(descending)),
        }
    }

    /// The parts of the answer, one after the other.
    pub(super) fn segments(self) -> Vec<Segment> {
        match self {
            Order::Key | Order::Document(..) | Order::Fixed(..) => vec![Segment::Key],
            Order::Column(column, direction) => vec![Segment::Column(column, direction)],
            Order::Path(path, direction) => {
                let present = Segment::Present(path.key, direction);
                let missing = Segment::Missing(path.key);
                match direction {
                    _ if path.is_required => vec![present],
                    Direction::Ascending => vec![present, missing],
                    Direction::Descending => vec![missing, present],
                }
            }
        }
    }

    /// The place before all others, for a page that was given no room.
    pub(super) fn beginning(self) -> Position {
        let sort = match self {
            Order::Key => None,
            Order::Fixed(value, _) => Some(sort_value(value.map(str::to_owned))),
            Order::Path(SortPath { is_required: false, .. }, Direction::Descending)
            | Order::Document(_, Direction::Descending) => Some(SortValue::Missing),
            Order::Column(Column::Id, Direction::Descending) => Some(SortValue::Text("g".to_owned())),
            Order::Column(_, Direction::Descending) => Some(SortValue::Text(i64::MAX.to_string())),
            Order::Column(Column::Created | Column::Modified, _) => Some(SortValue::Text(i64::MIN.to_string())),
            Order::Path(_, Direction::Descending) => Some(SortValue::Text(char::MAX.to_string())),
            Order::Column(Column::Id, _) | Order::Path(..) | Order::Document(..) => {
                Some(SortValue::Text(String::new()))
            }
        };
        let last = match self {
            Order::Column(_, Direction::Descending)
            | Order::Path(SortPath { is_required: true, .. }, Direction::Descending) => i64::MAX,
            _ => i64::MIN,
        };
        Position { sort, last }
    }

    /// The segment that goes on behind a position, and the place in it to begin behind, if it is not all
    /// behind the position. A position of another type may lie where this one has nothing.
    pub(super) fn resume(self, position: &Position) -> (usize, Option<Place>) {
        let value = match &position.sort {
            Some(SortValue::Text(text)) => Some(text.clone()),
            Some(SortValue::Missing) | None => None,
        };
        let segments = self.segments();
        let own = match self {
            Order::Fixed(own, direction) => direction.compare(own, value.as_deref()),
            Order::Column(_, direction) if value.is_none() => direction.compare(Some(""), None),
            Order::Path(path, direction) if path.is_required && value.is_none() => direction.compare(Some(""), None),
            _ => Ordering::Equal,
        };
        match own {
            Ordering::Less => return (segments.len(), None),
            Ordering::Greater => return (0, None),
            Ordering::Equal => {}
        }
        let lies_in = |segment: &Segment| match segment {
            Segment::Key | Segment::Column(..) => true,
            Segment::Present(..) => value.is_some(),
            Segment::Missing(_) => value.is_none(),
        };
        let at = segments.iter().position(lies_in).unwrap_or(0);
        (at, Some(Place { key: ResourceKey(position.last), value }))
    }

    /// The value that all have.
    pub(super) fn fixed(self) -> Option<&'static str> {
        match self {
            Order::Fixed(value, _) => value,
            _ => None,
        }
    }

    /// Orders two places, of this type or of another that is sorted by the same attribute.
    pub(super) fn compare(self, a: &Place, b: &Place) -> Ordering {
        let values = match (self, a.value.as_deref(), b.value.as_deref()) {
            (Order::Column(Column::Created | Column::Modified, direction), Some(a), Some(b)) => {
                direction.turn(a.parse::<i64>().ok().cmp(&b.parse().ok()))
            }
            (_, a, b) => self.direction().compare(a, b),
        };
        // What all have is walked by key alone.
        let direction = if let Order::Fixed(..) = self { Direction::Ascending } else { self.direction() };
        values.then_with(|| direction.ties(a, b))
    }

    fn direction(self) -> Direction {
        match self {
            Order::Key => Direction::Ascending,
            Order::Column(_, direction)
            | Order::Path(_, direction)
            | Order::Document(_, direction)
            | Order::Fixed(_, direction) => direction,
        }
    }
}

fn sort_value(value: Option<String>) -> SortValue {
    value.map_or(SortValue::Missing, SortValue::Text)
}

impl Direction {
    pub(super) fn of(descending: bool) -> Direction {
        if descending { Direction::Descending } else { Direction::Ascending }
    }

    /// Orders two sort keys; no value comes after every value.
    pub(super) fn compare(self, a: Option<&str>, b: Option<&str>) -> Ordering {
        let ascending = match (a, b) {
            (Some(a), Some(b)) => a.as_bytes().cmp(b.as_bytes()),
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (None, None) => Ordering::Equal,
        };
        self.turn(ascending)
    }

    /// Orders two places with the same sort key, so that an index of it has the order whichever way it is gone through.
    pub(super) fn ties(self, a: &Place, b: &Place) -> Ordering {
        let keys = a.key.cmp(&b.key);
        if a.value.is_some() { self.turn(keys) } else { keys }
    }

    fn turn(self, ascending: Ordering) -> Ordering {
        match self {
            Direction::Ascending => ascending,
            Direction::Descending => ascending.reverse(),
        }
    }
}
