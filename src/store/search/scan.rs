//! Sorting by what no index holds: every candidate's document is read, and the best are kept.

use std::cmp::Ordering;
use std::collections::BinaryHeap;

use serde_json::{Map, Value};

use super::Start;
use super::candidates::Slice;
use super::finder::Finder;
use super::order::{Direction, Order, Place, Segment};
use super::page::{Found, Taker};
use super::view::Viewer;
use super::walk::STRETCH_MAX;
use crate::domain::TenantKey;
use crate::scim::filter::{Scalar, scalar};
use crate::scim::path::AttrRef;
use crate::store::connection::{CHUNK, Conn};
use crate::store::error::Result;
use crate::store::index::{VALUE_BYTES_MAX, cut, sort_value};
use crate::store::types::ResourceKey;

/// A place whose order is that of the answer.
struct Ranked {
    place: Place,
    direction: Direction,
}

impl Ord for Ranked {
    fn cmp(&self, other: &Self) -> Ordering {
        let values = self.direction.compare(self.place.value.as_deref(), other.place.value.as_deref());
        values.then_with(|| self.direction.ties(&self.place, &other.place))
    }
}

impl PartialOrd for Ranked {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Ranked {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Ranked {}

/// The best of what is offered in no order, in the order of an answer. Keeps what lies before the end of a page.
pub(super) struct Ranking {
    by: Option<AttrRef>,
    direction: Direction,
    /// What the page begins behind.
    after: Option<Ranked>,
    skip: u64,
    limit: usize,
    heap: BinaryHeap<Ranked>,
    total: u64,
}

impl Ranking {
    pub(super) fn new(order: Order, start: &Start, limit: usize) -> Ranking {
        let (by, direction) = match order {
            Order::Document(by, direction) => (Some(by), direction),
            _ => (None, Direction::Ascending),
        };
        let (skip, after) = match start {
            Start::Offset(offset) => (*offset, None),
            Start::After(position) => {
                let (_, place) = order.resume(position);
                (0, place.map(|place| Ranked { place, direction }))
            }
        };
        Ranking { by, direction, after, skip, limit, heap: BinaryHeap::new(), total: 0 }
    }

    /// Takes in a document that matches.
    pub(super) fn offer(&mut self, key: ResourceKey, document: &Map<String, Value>) {
        self.total += 1;
        let value = self.by.and_then(|by| sort_key(by, document));
        let ranked = Ranked { place: Place { key, value }, direction: self.direction };
        if self.after.as_ref().is_some_and(|after| ranked <= *after) {
            return;
        }
        self.heap.push(ranked);
        let keep = usize::try_from(self.skip).unwrap_or(usize::MAX).saturating_add(self.limit).saturating_add(1);
        if self.heap.len() > keep {
            self.heap.pop();
        }
    }

    pub(super) fn found(self) -> Found {
        let mut taker = Taker::new(self.skip, self.limit);
        self.heap.into_sorted_vec().into_iter().for_each(|ranked| taker.take(ranked.place));
        taker.found(Some(self.total))
    }
}

impl Finder<'_> {
    /// A page sorted by an attribute that only documents have.
    pub(super) fn sorted(
        &self,
        conn: &mut Conn,
        tenant: TenantKey,
        by: AttrRef,
        start: &Start,
        limit: usize,
    ) -> Result<Found> {
        let mut ranking = Ranking::new(self.order, start, limit);
        let viewer = Viewer::new(self, Some(by));
        let limit = if self.gathers(Segment::Key) { STRETCH_MAX } else { CHUNK };
        let mut last: Option<Place> = None;
        loop {
            let slice = Slice { after: last.as_ref(), offset: 0, limit };
            let found = self.fetch(conn, tenant, Segment::Key, slice)?;
            for chunk in found.chunks(CHUNK) {
                let keys: Vec<_> = chunk.iter().map(|candidate| candidate.place.key).collect();
                viewer.each(conn, tenant, &keys, |key, document| {
                    if viewer.matches(document) {
                        ranking.offer(key, document);
                    }
                })?;
            }
            if found.len() < limit {
                break;
            }
            last = found.into_iter().last().map(|candidate| candidate.place);
        }
        Ok(ranking.found())
    }
}

/// The text by which a document is sorted.
fn sort_key(by: AttrRef, document: &Map<String, Value>) -> Option<String> {
    let scalar = scalar(by.leaf(), sort_value(by, document)?)?;
    if let Scalar::Number(number) = scalar {
        return Some(number_key(number.as_f64().unwrap_or(f64::NAN)));
    }
    Some(cut(&scalar.index_text()?, VALUE_BYTES_MAX).to_owned())
}

/// Text whose order is that of the numbers.
fn number_key(number: f64) -> String {
    // Adding zero makes -0 the same as 0.
    let bits = (number + 0.0).to_bits();
    let ordered = if bits >> 63 == 1 { !bits } else { bits | (1 << 63) };
    format!("{ordered:016x}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_sort_as_numbers() {
        let numbers = [-1e9, -2.5, -1.0, 0.0, 0.5, 3.0, 20.0, 1e12];
        assert!(numbers.windows(2).all(|pair| number_key(pair[0]) < number_key(pair[1])));
        assert_eq!(number_key(-0.0), number_key(0.0));
    }
}
