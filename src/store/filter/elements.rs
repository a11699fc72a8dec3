//! Value paths: `emails[type eq "work" and value eq "x"]`, where one element must meet all of it.
//!
//! Rows of one element have its number. An element that has no indexed value has no row, so a condition
//! starts from a row that passes (the anchor) and asks for the rest of its element.

use super::cond::{Cond, Leaf, RowTest, Spread, Test, Which};
use super::terms::{Binder, Bounds, Source};
use crate::scim::filter::{Bound, Operator};
use crate::scim::path::AttrRef;

pub(super) fn bounds(binder: Binder, target: AttrRef, filter: &Bound) -> Bounds {
    match binder.source(target) {
        Source::Members => rows(binder, filter, &Leaf::Member(None)),
        Source::Groups => rows(binder, filter, &Leaf::Group(Which::Any)),
        Source::Other => some_element(binder, filter),
        _ => Bounds::UNKNOWN,
    }
}

/// Members and groups, of which there is `any`: what is known of one of them is known of some.
fn rows(binder: Binder, filter: &Bound, any: &Leaf) -> Bounds {
    let known = match filter {
        // Not `ne`: outside of elements it is met by there being none.
        Bound::Compare { target, op, operand } if *op != Operator::Ne => binder.compare(filter, *target, *op, operand),
        Bound::Or(parts) => Bounds::any(parts.iter().map(|part| rows(binder, part, any))),
        // Each part may be met by another one: that much must hold, and is not enough.
        Bound::And(parts) => {
            Bounds::between(Cond::False, Cond::all(parts.iter().map(|part| rows(binder, part, any).upper)))
        }
        Bound::Never => Bounds::exact(Cond::False),
        _ => Bounds::UNKNOWN,
    };
    if known.upper == Cond::True { Bounds::between(known.lower, any.clone().into()) } else { known }
}

fn some_element(binder: Binder, filter: &Bound) -> Bounds {
    let parts = match filter {
        // Some element meets one of them: one of them is met by some element.
        Bound::Or(parts) => return Bounds::any(parts.iter().map(|part| some_element(binder, part))),
        Bound::And(parts) => parts.as_slice(),
        other => std::slice::from_ref(other),
    };
    let mut inner: Vec<Bounds> = parts.iter().map(|part| of_element(binder, part)).collect();
    if inner.iter().any(|part| part.upper == Cond::False) {
        return Bounds::exact(Cond::False);
    }
    inner.sort_by_key(|part| anchor(&part.upper).map_or(u8::MAX, rank));
    let exact = inner.iter().all(|part| part.exact);
    let upper = anchored(inner.iter().map(|part| &part.upper));
    let lower = anchored(inner.iter().map(|part| &part.lower));
    match (upper, lower) {
        (Some(upper), Some(lower)) if exact => Bounds { upper, lower, exact },
        (upper, lower) => Bounds::between(lower.unwrap_or(Cond::False), upper.unwrap_or(Cond::True)),
    }
}

/// A condition on one element; its rows are those of the element.
fn of_element(binder: Binder, filter: &Bound) -> Bounds {
    match filter {
        Bound::And(parts) => Bounds::all(parts.iter().map(|part| of_element(binder, part))),
        Bound::Or(parts) => Bounds::any(parts.iter().map(|part| of_element(binder, part))),
        Bound::Not(inner) => of_element(binder, inner).opposite(),
        Bound::Present(target) if target.sub.is_some() => binder.indexed_present(*target),
        Bound::Compare { target, op, operand } => binder.indexed_compare(*target, *op, operand),
        Bound::Never => Bounds::exact(Cond::False),
        Bound::Present(_) | Bound::ValuePath { .. } => Bounds::UNKNOWN,
    }
}

/// The first part, if it is a row that passes, and the others of its element; `None` where no row is
/// known to stand for the element.
fn anchored<'c>(mut parts: impl Iterator<Item = &'c Cond>) -> Option<Cond> {
    let row = anchor(parts.next()?)?.clone();
    match Cond::all(parts.cloned()) {
        Cond::True => Some(Leaf::Row(row).into()),
        Cond::False => Some(Cond::False),
        rest => Some(Leaf::Element(row, Box::new(rest)).into()),
    }
}

fn anchor(cond: &Cond) -> Option<&RowTest> {
    match cond {
        Cond::Leaf(Leaf::Row(row)) => Some(row),
        _ => None,
    }
}

fn rank(row: &RowTest) -> u8 {
    match (&row.test, row.path.spread) {
        (Test::In(_) | Test::CutTo(_), Spread::One | Spread::Some) => 0,
        (Test::Between(..), Spread::One | Spread::Some) => 1,
        (Test::Any, _) => 4,
        (_, Spread::Many) => 3,
        _ => 2,
    }
}
