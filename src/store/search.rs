//! Searches: filtered, sorted, a page at a time.
//!
//! The order of an answer is that of the sort key and then of the surrogate key, so a page can go on
//! where another one ended, whatever was inserted or deleted in between. Both descend together: an index is gone
//! through backwards then, and nothing is sorted for a page. Resources without a value to sort by come last, and
//! first in descending order; their surrogate keys ascend in both. Sort keys are compared by their first 512 bytes.
//! One order may go through several types.
//!
//! A filter that the index answers ([`needs_scan`] says no) reads documents of the page alone. Any other one
//! reads candidates in chunks: each statement is short, and no more than a chunk is held.

mod candidates;
mod finder;
mod merge;
mod order;
mod page;
mod query;
mod scan;
mod view;
mod walk;

use serde_json::{Map, Value};

pub use self::query::{Page, Position, Query, Sort, Start};

use self::candidates::Slice;
use self::finder::Finder;
use self::order::{Direction, Order, Place, Segment};
use self::page::Found;
use self::scan::Ranking;
use super::connection::Conn;
use super::error::Result;
use super::filter::{Plan, RANK_VALUE, rank};
use super::types::ResourceKey;
use crate::domain::TenantKey;
use crate::scim::ResourceType;
use crate::scim::filter::{Bound, matches};

/// Whether documents must be read to decide or to sort: such a search costs what the type holds.
pub fn needs_scan(query: &Query<'_>) -> bool {
    let plan = Plan::new(query.resource_type, query.filter, query.connection);
    !plan.is_empty() && (!plan.is_exact() || matches!(Order::of(query), Order::Document(..)))
}

/// Whether the index knows a filter's candidates by the values that they hold, so that a stretch of them in
/// the order of their keys costs little more than its length.
pub fn is_narrow(resource_type: &'static ResourceType, filter: &Bound) -> bool {
    let plan = Plan::new(resource_type, Some(filter), None);
    plan.is_empty() || plan.driver.as_ref().is_some_and(|driver| rank(driver) <= RANK_VALUE)
}

/// The first resources behind a key that the index takes for matches of a filter, in the order of their
/// keys. No document is read: all matches are among them, and others may be.
///
/// # Errors
/// If the database cannot be read.
pub fn candidates(
    conn: &mut Conn,
    tenant: TenantKey,
    query: &Query<'_>,
    after: ResourceKey,
    limit: usize,
) -> Result<Vec<ResourceKey>> {
    let plan = Plan::new(query.resource_type, query.filter, query.connection);
    if plan.is_empty() {
        return Ok(vec![]);
    }
    let finder = Finder { query, plan: &plan, order: Order::Key };
    let place = Place { key: after, value: None };
    let slice = Slice { after: Some(&place), offset: 0, limit };
    let found = finder.fetch(conn, tenant, Segment::Key, slice)?;
    Ok(found.into_iter().map(|candidate| candidate.place.key).collect())
}

/// Finds a page of at most `limit` resources.
///
/// # Errors
/// [`super::Error::TooMany`] if a filter that the index does not answer looks into a group that is too
/// large; otherwise if the database cannot be read.
pub fn search(
    conn: &mut Conn,
    tenant: TenantKey,
    query: &Query<'_>,
    start: &Start,
    limit: usize,
    want_total: bool,
) -> Result<Page> {
    let plan = Plan::new(query.resource_type, query.filter, query.connection);
    if plan.is_empty() {
        return Ok(Page { keys: vec![], total: want_total.then_some(0), end: None });
    }
    let finder = Finder { query, plan: &plan, order: Order::of(query) };
    let found = finder.find(conn, tenant, start, limit, want_total)?;
    let end = end(&found, finder.order, start);
    Ok(Page::of(found, end))
}

/// Finds a page of at most `limit` resources of several types in one order: by the sort key, and then by the
/// surrogate key. A type whose query has no sort has no value there.
///
/// # Errors
/// As [`search`].
pub fn search_merged(
    conn: &mut Conn,
    tenant: TenantKey,
    queries: &[Query<'_>],
    descending: bool,
    start: &Start,
    limit: usize,
    want_total: bool,
) -> Result<Page> {
    let plans = queries.iter().map(|query| (query, Plan::new(query.resource_type, query.filter, query.connection)));
    let plans: Vec<_> = plans.filter(|(_, plan)| !plan.is_empty()).collect();
    let order = |query| Order::among(query, Direction::of(descending));
    let finders: Vec<_> = plans.iter().map(|(query, plan)| Finder { query, plan, order: order(query) }).collect();
    let found = merge::find(conn, tenant, &finders, start, limit, want_total)?;
    let end = found.places.last().filter(|_| found.more).map(Place::sorted);
    Ok(Page::of(found, end))
}

/// Finds a page among documents that no table holds, by the same rules. Their keys are the caller's: numbers
/// that stay the same as long as a page may be gone on with.
pub fn search_held(
    documents: impl Iterator<Item = (ResourceKey, Map<String, Value>)>,
    query: &Query<'_>,
    start: &Start,
    limit: usize,
) -> Page {
    let order = Order::of_held(query);
    let mut ranking = Ranking::new(order, start, limit);
    for (key, document) in documents {
        if query.filter.is_none_or(|filter| matches(filter, &document)) {
            ranking.offer(key, &document);
        }
    }
    let found = ranking.found();
    let end = end(&found, order, start);
    Page::of(found, end)
}

impl Page {
    fn of(found: Found, end: Option<Position>) -> Page {
        Page { keys: found.places.into_iter().map(|place| place.key).collect(), total: found.total, end }
    }
}

/// Where to go on behind a page.
fn end(found: &Found, order: Order, start: &Start) -> Option<Position> {
    match (found.more, found.places.last(), start) {
        (false, ..) => None,
        (true, Some(last), _) => Some(last.position(order)),
        (true, None, Start::After(position)) => Some(position.clone()),
        (true, None, Start::Offset(0)) => Some(order.beginning()),
        (true, None, Start::Offset(_)) => None,
    }
}

#[cfg(test)]
#[path = "search_test.rs"]
mod tests;
