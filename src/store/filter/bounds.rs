//! What the index says about a filter.

use super::cond::Cond;
use super::elements;
use super::terms::{Binder, Bounds};
use crate::scim::filter::Bound;

/// What the matches of a filter meet.
pub(super) fn bounds(binder: Binder, bound: &Bound) -> Bounds {
    match bound {
        Bound::And(parts) => Bounds::all(parts.iter().map(|part| bounds(binder, part))).settled(),
        Bound::Or(parts) => Bounds::any(parts.iter().map(|part| bounds(binder, part))).settled(),
        Bound::Not(inner) => bounds(binder, inner).opposite(),
        Bound::Present(target) => binder.present(*target),
        Bound::Compare { target, op, operand } => binder.compare(bound, *target, *op, operand),
        Bound::ValuePath { target, filter } => elements::bounds(binder, *target, filter),
        Bound::Never => Bounds::exact(Cond::False),
    }
}
