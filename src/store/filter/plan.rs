//! What the database decides of a filter, and what it starts from.

use super::bounds::bounds;
use super::cond::{Cond, Leaf, Relation, RowTest, Spread, Test, Which};
use super::terms::{Binder, Bounds};
use crate::scim::ResourceType;
use crate::scim::filter::Bound;

/// A filter, taken apart. Depends on nothing but the filter.
#[derive(Debug)]
pub(in crate::store) struct Plan<'f> {
    /// What to start from, if it is better than all resources of the type; what every match meets.
    pub(in crate::store) driver: Option<Cond>,
    /// What every match meets, too.
    pub(in crate::store) rest: Vec<Cond>,
    /// What only matches meet, among those that meet all of the above.
    pub(in crate::store) sure: Cond,
    /// What must be decided by the document unless `sure` holds.
    pub(in crate::store) residual: Vec<&'f Bound>,
    /// Whether the SQL is one of few, so that it is worth keeping it prepared.
    pub(in crate::store) is_kept: bool,
}

/// What a database plans in no time; the rest of a longer filter is decided by the document.
const LEAVES_MAX: usize = 64;
const CONJUNCTS_MAX: usize = 16;

/// SQLite refuses more than 500 in one query.
const BRANCHES_MAX: usize = 100;

/// Up to here a value is named that few resources hold.
pub(in crate::store) const RANK_VALUE: u8 = 3;

/// From here on it is better to walk an index in the order of the answer.
pub(in crate::store) const RANK_MANY: u8 = 20;

/// Nothing to start from.
const RANK_NONE: u8 = u8::MAX;

impl<'f> Plan<'f> {
    pub(in crate::store) fn new(
        resource_type: &'static ResourceType,
        filter: Option<&'f Bound>,
        connection: Option<i64>,
    ) -> Plan<'f> {
        let binder = Binder { resource_type, connection };
        let parts = match filter {
            None => &[],
            Some(Bound::And(parts)) => parts.as_slice(),
            Some(one) => std::slice::from_ref(one),
        };
        let mut parts: Vec<(&Bound, Bounds)> = parts.iter().map(|part| (part, bounded(bounds(binder, part)))).collect();
        parts.sort_by_key(|(_, bounds)| rank(&bounds.upper));
        for (_, bounds) in parts.iter_mut().skip(CONJUNCTS_MAX).filter(|(_, bounds)| bounds.upper != Cond::False) {
            *bounds = Bounds::UNKNOWN;
        }
        let open = || parts.iter().filter(|(_, bounds)| !bounds.exact);
        let sure = Cond::all(open().map(|(_, bounds)| bounds.lower.clone()));
        let residual: Vec<&Bound> = open().map(|(bound, _)| *bound).collect();
        let upper = Cond::all(parts.into_iter().map(|(_, bounds)| bounds.upper));
        let mut rest = upper.conjuncts().to_vec();
        rest.sort_by_key(rank);
        let driver = rest.first().is_some_and(|first| rank(first) < RANK_NONE).then(|| rest.remove(0));
        let is_kept = residual.is_empty() && rest.len() <= 1 && upper.leaves() <= 2 && !has_list(&upper);
        Plan { driver, rest, sure, residual, is_kept }
    }

    /// Whether documents are needed.
    pub(in crate::store) fn is_exact(&self) -> bool {
        self.residual.is_empty()
    }

    /// Whether nothing can match.
    pub(in crate::store) fn is_empty(&self) -> bool {
        self.rest.contains(&Cond::False)
    }
}

fn bounded(bounds: Bounds) -> Bounds {
    if bounds.upper.leaves().max(bounds.lower.leaves()) > LEAVES_MAX { Bounds::UNKNOWN } else { bounds }
}

/// Whether the SQL depends on how many values are named.
fn has_list(cond: &Cond) -> bool {
    match cond {
        Cond::Leaf(Leaf::Row(RowTest { test: Test::In(values), .. })) => values.len() > 1,
        Cond::Leaf(_) | Cond::True | Cond::False => false,
        Cond::All(parts) => parts.iter().any(has_list),
        // Not worth it.
        Cond::Any(_) | Cond::Not(_) => true,
    }
}

/// How few resources meet a condition, the fewest first; [`RANK_NONE`] if it can only be asked of each one.
pub(in crate::store) fn rank(cond: &Cond) -> u8 {
    match cond {
        Cond::Leaf(Leaf::Id(_)) => 0,
        Cond::Leaf(Leaf::Row(row) | Leaf::Element(row, _)) => row_rank(row),
        // Few are called the same, unless a client means nothing by it.
        Cond::Leaf(Leaf::ExternalId(_, Test::In(_))) => RANK_VALUE,
        Cond::Leaf(Leaf::Member(Some(_))) => 5,
        Cond::Leaf(Leaf::Group(Which::Id(_))) => 6,
        Cond::Leaf(Leaf::Group(Which::Named(row))) => row_rank(row).max(6),
        Cond::Leaf(Leaf::ExternalId(_, Test::Between(..))) => 10,
        Cond::Leaf(Leaf::Time(_, relation, _)) if *relation != Relation::Unequal => 11,
        Cond::Any(parts) if parts.len() <= BRANCHES_MAX => parts.iter().map(rank).max().unwrap_or(RANK_NONE),
        Cond::All(parts) => parts.iter().map(rank).min().unwrap_or(RANK_NONE),
        _ => RANK_NONE,
    }
}

fn row_rank(row: &RowTest) -> u8 {
    match (&row.test, row.path.spread) {
        (Test::In(_) | Test::CutTo(_), Spread::One) => 2,
        (Test::In(_) | Test::CutTo(_), Spread::Some) => 3,
        (Test::In(_) | Test::CutTo(_), Spread::Many) => RANK_MANY,
        (Test::Between(..), _) => 9,
        (Test::Compare(relation, _), _) if *relation != Relation::Unequal => 12,
        // Of what is within a value no index knows anything: to go through all values for each stretch of a walk
        // costs more than to ask for each resource on the way.
        _ => RANK_NONE,
    }
}
