//! Going through the matches of a search, a chunk at a time.

use std::collections::VecDeque;

use super::candidates::{Candidate, Slice};
use super::finder::Finder;
use super::order::{Place, Segment};
use super::view::Viewer;
use crate::domain::TenantKey;
use crate::store::connection::{CHUNK, Conn};
use crate::store::error::Result;

/// A walk in the order of the answer. Not for an order that only documents tell.
pub(super) struct Walk<'f, 'q> {
    finder: &'f Finder<'q>,
    viewer: Viewer<'q>,
    segments: Vec<Segment>,
    at: usize,
    after: Option<Place>,
    /// Candidates that were found and not looked at.
    held: VecDeque<Candidate>,
    /// How many are found at once.
    stretch: usize,
}

/// The most candidates that are found at once. What gathers a set does so anew for each stretch: the longer these
/// are, the fewer there are of them.
pub(super) const STRETCH_MAX: usize = 64 * CHUNK;

impl<'f, 'q> Walk<'f, 'q> {
    /// Begins in a segment, behind a place in it.
    pub(super) fn new(finder: &'f Finder<'q>, at: usize, after: Option<Place>) -> Walk<'f, 'q> {
        let (viewer, segments) = (Viewer::new(finder, None), finder.order.segments());
        Walk { finder, viewer, segments, at, after, held: VecDeque::new(), stretch: CHUNK }
    }

    /// The matches among the next candidates, so many at most; `None` at the end.
    pub(super) fn step(&mut self, conn: &mut Conn, tenant: TenantKey, size: usize) -> Result<Option<Vec<Place>>> {
        if self.held.is_empty() {
            let Some(segment) = self.segments.get(self.at) else { return Ok(None) };
            let gathers = !self.finder.plan.is_exact() && self.finder.gathers(*segment);
            let limit = if gathers { self.stretch } else { size };
            let slice = Slice { after: self.after.as_ref(), offset: 0, limit };
            self.held = self.finder.fetch(conn, tenant, *segment, slice)?.into();
            self.stretch = STRETCH_MAX.min(2 * self.stretch);
            if self.held.len() < limit {
                (self.at, self.after) = (self.at + 1, None);
            } else {
                self.after = self.held.back().map(|candidate| candidate.place.clone());
            }
        }
        let chunk = self.held.drain(..size.min(self.held.len())).collect();
        self.viewer.matching(conn, tenant, chunk).map(Some)
    }

    /// The candidate that lies so many further on, with its segment; `None` if there are fewer. Of an exact plan.
    pub(super) fn ahead(&self, conn: &mut Conn, tenant: TenantKey, count: u64) -> Result<Option<(usize, Place)>> {
        let (mut after, mut offset) = (self.after.as_ref(), count.saturating_sub(1));
        for (at, segment) in self.segments.iter().enumerate().skip(self.at) {
            let slice = Slice { after, offset, limit: 1 };
            if let Some(found) = self.finder.fetch(conn, tenant, *segment, slice)?.pop() {
                return Ok(Some((at, found.place)));
            }
            if at + 1 < self.segments.len() {
                offset = offset.saturating_sub(self.finder.count(conn, tenant, *segment, after)?);
            }
            after = None;
        }
        Ok(None)
    }

    /// Goes on behind what [`Walk::ahead`] found.
    pub(super) fn jump(&mut self, (at, place): (usize, Place)) {
        (self.at, self.after) = (at, Some(place));
    }
}
