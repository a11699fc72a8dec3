//! Finding the results of a page.

use super::Start;
use super::candidates::Slice;
use super::finder::Finder;
use super::order::{Order, Place, Segment};
use super::walk::Walk;
use crate::domain::TenantKey;
use crate::store::connection::{CHUNK, Conn};
use crate::store::error::Result;
use crate::store::resources;

/// The results of a page.
#[derive(Debug, Default)]
pub(super) struct Found {
    pub(super) places: Vec<Place>,
    pub(super) total: Option<u64>,
    /// Whether anything follows.
    pub(super) more: bool,
}

/// What is taken of the results as they come in order.
pub(super) struct Taker {
    skip: u64,
    limit: usize,
    count: u64,
    places: Vec<Place>,
    more: bool,
}

impl Taker {
    pub(super) fn new(skip: u64, limit: usize) -> Taker {
        Taker { skip, limit, count: 0, places: vec![], more: false }
    }

    pub(super) fn take(&mut self, place: Place) {
        self.count += 1;
        if self.count <= self.skip {
            return;
        }
        if self.places.len() < self.limit {
            self.places.push(place);
        } else {
            self.more = true;
        }
    }

    /// How many more it takes at most, with the one that says that more follow; `None` if it is full.
    pub(super) fn wanted(&self) -> Option<usize> {
        let left = usize::try_from(self.skip.saturating_sub(self.count)).unwrap_or(usize::MAX);
        (!self.more).then(|| left.saturating_add(self.limit - self.places.len() + 1))
    }

    pub(super) fn found(self, total: Option<u64>) -> Found {
        Found { places: self.places, total, more: self.more }
    }
}

impl Finder<'_> {
    pub(super) fn find(
        &self,
        conn: &mut Conn,
        tenant: TenantKey,
        start: &Start,
        limit: usize,
        want_total: bool,
    ) -> Result<Found> {
        let count_tells = limit == 0 && want_total && matches!(start, Start::Offset(_));
        let mut found = match self.order {
            _ if count_tells && self.plan.is_exact() => Found::default(),
            Order::Document(by, _) => self.sorted(conn, tenant, by, start, limit)?,
            _ if !self.plan.is_exact() => self.decided(conn, tenant, start, limit, want_total)?,
            _ => self.indexed(conn, tenant, start, limit)?,
        };
        if !want_total {
            found.total = None;
        } else if found.total.is_none() {
            let total = self.total(conn, tenant, start, &found)?;
            found.total = Some(total);
            found.more |= count_tells && total > 0;
        }
        Ok(found)
    }

    /// A page that the index alone finds.
    fn indexed(&self, conn: &mut Conn, tenant: TenantKey, start: &Start, limit: usize) -> Result<Found> {
        let (mut at, mut after, mut offset) = self.begin(start);
        let mut places = vec![];
        let segments = self.order.segments();
        while let Some(segment) = segments.get(at)
            && places.len() <= limit
        {
            let slice = Slice { after: after.as_ref(), offset, limit: limit + 1 - places.len() };
            let rows = self.fetch(conn, tenant, *segment, slice)?;
            at += 1;
            after = None;
            offset = match offset {
                0 => 0,
                _ if !rows.is_empty() || at == segments.len() => 0,
                _ => offset.saturating_sub(self.count(conn, tenant, *segment, None)?),
            };
            places.extend(rows.into_iter().map(|candidate| candidate.place));
        }
        let more = places.len() > limit;
        places.truncate(limit);
        Ok(Found { places, total: None, more })
    }

    pub(super) fn begin(&self, start: &Start) -> (usize, Option<Place>, u64) {
        match start {
            Start::Offset(offset) => (0, None, *offset),
            Start::After(position) => {
                let (at, place) = self.order.resume(position);
                (at, place, 0)
            }
        }
    }

    /// A page for which documents are read, in the order of the answer.
    fn decided(
        &self,
        conn: &mut Conn,
        tenant: TenantKey,
        start: &Start,
        limit: usize,
        want_total: bool,
    ) -> Result<Found> {
        let (at, after, skip) = self.begin(start);
        let mut taker = Taker::new(skip, limit);
        let counts = want_total && matches!(start, Start::Offset(_));
        self.walk(conn, tenant, at, after, &mut |place| {
            taker.take(place);
            counts || !taker.more
        })?;
        let total = counts.then_some(taker.count);
        Ok(taker.found(total))
    }

    /// Visits every match from a place on, in order, until told to stop.
    fn walk(
        &self,
        conn: &mut Conn,
        tenant: TenantKey,
        from: usize,
        after: Option<Place>,
        visit: &mut dyn FnMut(Place) -> bool,
    ) -> Result<()> {
        let mut walk = Walk::new(self, from, after);
        while let Some(places) = walk.step(conn, tenant, CHUNK)? {
            for place in places {
                if !visit(place) {
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    /// The total, if it did not come with the page.
    pub(super) fn total(&self, conn: &mut Conn, tenant: TenantKey, start: &Start, found: &Found) -> Result<u64> {
        if self.query.filter.is_none() {
            let total = resources::count(conn, tenant, &self.query.resource_type.name)?;
            return Ok(u64::try_from(total).unwrap_or(0));
        }
        // The page that ends the answer says how long it is.
        if let Start::Offset(offset) = start
            && !found.more
            && !found.places.is_empty()
        {
            return Ok(offset + found.places.len() as u64);
        }
        if self.plan.is_exact() {
            return self.count(conn, tenant, Segment::Key, None);
        }
        let mut total = 0;
        self.walk(conn, tenant, 0, None, &mut |_| {
            total += 1;
            true
        })?;
        Ok(total)
    }
}
