//! Sorting by what no index holds: every candidate's document is read, and the best are kept.

use std::cmp::Ordering;
use std::collections::BinaryHeap;

use serde_json::{Map, Value};

use super::Start;
use super::candidates::Slice;
use super::order::{Direction, Place, Segment};
use super::page::{Finder, Found, Taker};
use super::view::Viewer;
use crate::domain::TenantKey;
use crate::scim::filter::{Scalar, scalar};
use crate::scim::path::AttrRef;
use crate::store::connection::{CHUNK, Conn};
use crate::store::error::Result;
use crate::store::index::{VALUE_BYTES_MAX, cut, sort_value};

/// A place whose order is that of the answer.
struct Ranked {
    place: Place,
    direction: Direction,
}

impl Ord for Ranked {
    fn cmp(&self, other: &Self) -> Ordering {
        let values = self.direction.compare(self.place.value.as_deref(), other.place.value.as_deref());
        values.then(self.place.key.cmp(&other.place.key))
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

impl Finder<'_> {
    /// A page sorted by an attribute that only documents have. Keeps what lies before its end.
    pub(super) fn sorted(
        &self,
        conn: &mut Conn,
        tenant: TenantKey,
        by: AttrRef,
        direction: Direction,
        start: &Start,
        limit: usize,
    ) -> Result<Found> {
        let (skip, after) = match start {
            Start::Offset(offset) => (*offset, None),
            Start::After(position) => {
                let (_, place) = self.order.resume(position);
                (0, Some(Ranked { place, direction }))
            }
        };
        let keep = usize::try_from(skip).unwrap_or(usize::MAX).saturating_add(limit).saturating_add(1);
        let (mut heap, mut total) = (BinaryHeap::new(), 0);
        let viewer = Viewer::new(self, Some(by));
        let mut last: Option<Place> = None;
        loop {
            let slice = Slice { after: last.as_ref(), offset: 0, limit: CHUNK };
            let chunk = self.fetch(conn, tenant, Segment::Key, slice)?;
            let keys: Vec<_> = chunk.iter().map(|candidate| candidate.place.key).collect();
            viewer.each(conn, tenant, &keys, |key, document| {
                if !viewer.matches(document) {
                    return;
                }
                total += 1;
                let ranked = Ranked { place: Place { key, value: sort_key(by, document) }, direction };
                if after.as_ref().is_some_and(|after| ranked <= *after) {
                    return;
                }
                heap.push(ranked);
                if heap.len() > keep {
                    heap.pop();
                }
            })?;
            if chunk.len() < CHUNK {
                break;
            }
            last = chunk.into_iter().last().map(|candidate| candidate.place);
        }
        let mut taker = Taker::new(skip, limit);
        heap.into_sorted_vec().into_iter().for_each(|ranked| taker.take(ranked.place));
        Ok(taker.found(Some(total)))
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
