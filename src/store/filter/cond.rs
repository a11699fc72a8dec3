//! Conditions on one resource that the database decides without its document.

use crate::domain::Id;

/// A condition. Built by [`Cond::all`], [`Cond::any`] and [`Cond::opposite`], which fold what is constant.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::store) enum Cond {
    True,
    False,
    All(Vec<Cond>),
    Any(Vec<Cond>),
    Not(Leaf),
    Leaf(Leaf),
}

#[derive(Clone, Debug, PartialEq)]
pub(in crate::store) enum Leaf {
    /// The id is one of these.
    Id(Vec<Id>),
    /// A time of the row, in milliseconds.
    Time(Clock, Relation, i64),
    /// Some index row passes.
    Row(RowTest),
    /// Some index row passes, and the element that it belongs to meets the condition.
    Element(RowTest, Box<Cond>),
    /// What the connection calls the resource passes.
    ExternalId(i64, Test),
    /// It is a group with this direct member, or with any.
    Member(Option<Id>),
    /// It is in such a group, directly or through others.
    Group(Which),
}

/// Which group.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::store) enum Which {
    Any,
    Id(Id),
    /// One whose name passes.
    Named(RowTest),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::store) enum Clock {
    Created,
    Modified,
}

impl Clock {
    pub(in crate::store) fn column(self) -> &'static str {
        match self {
            Clock::Created => "created",
            Clock::Modified => "modified",
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::store) enum Relation {
    Equal,
    Unequal,
    Greater,
    AtLeast,
    Less,
    AtMost,
}

impl Relation {
    /// The same as the ends of a stretch.
    pub(in crate::store) fn ends(self) -> &'static [Relation] {
        match self {
            Relation::Equal => &[Relation::AtLeast, Relation::AtMost],
            Relation::Unequal => &[Relation::Unequal],
            Relation::Greater => &[Relation::Greater],
            Relation::AtLeast => &[Relation::AtLeast],
            Relation::Less => &[Relation::Less],
            Relation::AtMost => &[Relation::AtMost],
        }
    }

    fn opposite(self) -> Relation {
        match self {
            Relation::Equal => Relation::Unequal,
            Relation::Unequal => Relation::Equal,
            Relation::Greater => Relation::AtMost,
            Relation::AtLeast => Relation::Less,
            Relation::Less => Relation::AtLeast,
            Relation::AtMost => Relation::Greater,
        }
    }

    pub(in crate::store) fn sql(self) -> &'static str {
        match self {
            Relation::Equal => "=",
            Relation::Unequal => "<>",
            Relation::Greater => ">",
            Relation::AtLeast => ">=",
            Relation::Less => "<",
            Relation::AtMost => "<=",
        }
    }
}

/// A test of one row of the index.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::store) struct RowTest {
    pub(in crate::store) path: Path,
    pub(in crate::store) test: Test,
}

/// An indexed path, and what is known of its values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::store) struct Path {
    pub(in crate::store) key: i32,
    /// A resource may have several, and the same one twice.
    pub(in crate::store) is_multi_valued: bool,
    pub(in crate::store) spread: Spread,
}

/// How many resources share a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::store) enum Spread {
    One,
    Some,
    /// There are few values, such as `true` and `false`.
    Many,
}

/// A test of one text.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::store) enum Test {
    Any,
    /// It is one of these, and whole.
    In(Vec<String>),
    /// It was cut to this.
    CutTo(String),
    Compare(Relation, String),
    /// It is another one, or was cut.
    UnequalOrCut(String),
    /// From the first on, up to before the second.
    Between(String, Option<String>),
    Contains(String),
    ContainsOrCut(String),
    EndsWith(String),
    EndsWithOrCut(String),
    EndsWithUncut(String),
}

impl From<bool> for Cond {
    fn from(value: bool) -> Cond {
        if value { Cond::True } else { Cond::False }
    }
}

impl From<Leaf> for Cond {
    fn from(leaf: Leaf) -> Cond {
        Cond::Leaf(leaf)
    }
}

impl Cond {
    pub(in crate::store) fn all(parts: impl IntoIterator<Item = Cond>) -> Cond {
        let mut flat = vec![];
        for part in parts {
            match part {
                Cond::True => {}
                Cond::False => return Cond::False,
                Cond::All(inner) => flat.extend(inner),
                other => flat.push(other),
            }
        }
        match flat.pop() {
            None => Cond::True,
            Some(only) if flat.is_empty() => only,
            Some(last) => {
                flat.push(last);
                Cond::All(flat)
            }
        }
    }

    pub(in crate::store) fn any(parts: impl IntoIterator<Item = Cond>) -> Cond {
        let mut flat: Vec<Cond> = vec![];
        for part in parts {
            match part {
                Cond::False => {}
                Cond::True => return Cond::True,
                Cond::Any(inner) => inner.into_iter().for_each(|one| join(&mut flat, one)),
                other => join(&mut flat, other),
            }
        }
        match flat.pop() {
            None => Cond::False,
            Some(only) if flat.is_empty() => only,
            Some(last) => {
                flat.push(last);
                Cond::Any(flat)
            }
        }
    }

    /// What holds where it does not. What is known of every part stays in sight, whichever way a filter says it:
    /// `not (not (id eq "x") or …)` is about one resource as well.
    pub(in crate::store) fn opposite(self) -> Cond {
        match self {
            Cond::True => Cond::False,
            Cond::False => Cond::True,
            Cond::Not(leaf) => Cond::Leaf(leaf),
            Cond::All(parts) => Cond::any(parts.into_iter().map(Cond::opposite)),
            Cond::Any(parts) => Cond::all(parts.into_iter().map(Cond::opposite)),
            // Every resource has both times.
            Cond::Leaf(Leaf::Time(clock, relation, millis)) => {
                Cond::Leaf(Leaf::Time(clock, relation.opposite(), millis))
            }
            Cond::Leaf(leaf) => Cond::Not(leaf),
        }
    }

    /// How many leaves it has: what it costs the database to plan it.
    pub(in crate::store) fn leaves(&self) -> usize {
        match self {
            Cond::True | Cond::False => 0,
            Cond::All(parts) | Cond::Any(parts) => parts.iter().map(Cond::leaves).sum(),
            Cond::Leaf(Leaf::Element(_, rest)) | Cond::Not(Leaf::Element(_, rest)) => 1 + rest.leaves(),
            Cond::Leaf(_) | Cond::Not(_) => 1,
        }
    }

    /// The parts of a conjunction.
    pub(in crate::store) fn conjuncts(&self) -> &[Cond] {
        match self {
            Cond::All(parts) => parts,
            Cond::True => &[],
            other => std::slice::from_ref(other),
        }
    }
}

/// Adds an alternative; several values of one path are one list, as in `userName eq "a" or userName eq "b"`.
fn join(flat: &mut Vec<Cond>, part: Cond) {
    for known in flat.iter_mut() {
        match (known, &part) {
            (Cond::Leaf(Leaf::Id(known)), Cond::Leaf(Leaf::Id(more))) => return known.extend(more),
            (Cond::Leaf(Leaf::Row(known)), Cond::Leaf(Leaf::Row(more))) if known.path == more.path => {
                if let (Test::In(known), Test::In(more)) = (&mut known.test, &more.test) {
                    return known.extend(more.iter().cloned());
                }
            }
            _ => {}
        }
    }
    flat.push(part);
}
