//! A search under way: its steps are methods where they are taken.

use super::Query;
use super::order::Order;
use crate::store::filter::Plan;

/// A search under way.
pub(super) struct Finder<'q> {
    pub(super) query: &'q Query<'q>,
    pub(super) plan: &'q Plan<'q>,
    pub(super) order: Order,
}
