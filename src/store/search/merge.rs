//! One order over several types: the matches of each come in that order already, and are merged.

use std::collections::VecDeque;

use super::Start;
use super::finder::Finder;
use super::order::{Order, Place};
use super::page::{Found, Taker};
use super::walk::Walk;
use crate::domain::TenantKey;
use crate::store::connection::{CHUNK, Conn};
use crate::store::error::Result;

/// The matches of one type that are yet to come.
struct Stream<'f, 'q> {
    finder: &'f Finder<'q>,
    /// Those at hand.
    places: VecDeque<Place>,
    /// Where more come from; `None` once they are all at hand.
    walk: Option<Walk<'f, 'q>>,
    /// How many came, those before an offset included; or how many there are, if it turned out.
    count: u64,
}

impl<'f, 'q> Stream<'f, 'q> {
    /// `wanted` is the most that can be asked of it.
    fn open(
        conn: &mut Conn,
        tenant: TenantKey,
        finder: &'f Finder<'q>,
        start: &Start,
        wanted: usize,
    ) -> Result<Stream<'f, 'q>> {
        // Each type begins where the answer does; what to skip is decided among all.
        let start = if matches!(start, Start::Offset(_)) { &Start::Offset(0) } else { start };
        if let Order::Document(by, _) = finder.order {
            let found = finder.sorted(conn, tenant, by, start, wanted)?;
            let count = found.total.unwrap_or(0);
            return Ok(Stream { finder, places: found.places.into(), walk: None, count });
        }
        let (at, after, _) = finder.begin(start);
        Ok(Stream { finder, places: VecDeque::new(), walk: Some(Walk::new(finder, at, after)), count: 0 })
    }

    /// Sees to it that the next match is at hand, if there is one. `wanted` is the most that can be asked of it.
    fn fill(&mut self, conn: &mut Conn, tenant: TenantKey, wanted: usize) -> Result<()> {
        let size = if self.finder.plan.is_exact() { wanted.min(CHUNK) } else { CHUNK };
        while self.places.is_empty()
            && let Some(walk) = &mut self.walk
        {
            match walk.step(conn, tenant, size)? {
                Some(places) => self.places.extend(places),
                None => self.walk = None,
            }
            self.count += self.places.len() as u64;
        }
        Ok(())
    }

    /// How many matches there are in all, once the page is known.
    fn total(&mut self, conn: &mut Conn, tenant: TenantKey, start: &Start) -> Result<u64> {
        let counts = matches!((start, self.finder.order), (Start::Offset(_), _) | (_, Order::Document(..)));
        if self.finder.plan.is_exact() || !counts {
            return self.finder.total(conn, tenant, start, &Found { more: true, ..Found::default() });
        }
        // What was read for the page need not be read again.
        while self.walk.is_some() {
            self.places.clear();
            self.fill(conn, tenant, CHUNK)?;
        }
        Ok(self.count)
    }
}

/// Finds a page of at most `limit` results of all types.
pub(super) fn find(
    conn: &mut Conn,
    tenant: TenantKey,
    finders: &[Finder<'_>],
    start: &Start,
    limit: usize,
    want_total: bool,
) -> Result<Found> {
    if limit == 0 && want_total {
        let mut total = 0;
        for finder in finders {
            total += finder.find(conn, tenant, &Start::Offset(0), 0, true)?.total.unwrap_or(0);
        }
        return Ok(Found { total: Some(total), ..Found::default() });
    }
    let offset = if let Start::Offset(offset) = start { *offset } else { 0 };
    let wanted = usize::try_from(offset).unwrap_or(usize::MAX).saturating_add(limit + 1);
    let mut streams =
        finders.iter().map(|finder| Stream::open(conn, tenant, finder, start, wanted)).collect::<Result<Vec<_>>>()?;
    let skip = skip_far(conn, tenant, &mut streams, offset)?;
    let found = merge(conn, tenant, &mut streams, skip, limit)?;
    if !want_total {
        return Ok(found);
    }
    // The page that ends the answer says how long it is.
    if matches!(start, Start::Offset(_)) && !found.more && !found.places.is_empty() {
        let total = Some(offset + found.places.len() as u64);
        return Ok(Found { total, ..found });
    }
    let mut total = 0;
    for stream in &mut streams {
        total += stream.total(conn, tenant, start)?;
    }
    Ok(Found { total: Some(total), ..found })
}

/// Takes the first of what comes first in each stream, until the page is full.
fn merge(conn: &mut Conn, tenant: TenantKey, streams: &mut [Stream<'_, '_>], skip: u64, limit: usize) -> Result<Found> {
    let mut taker = Taker::new(skip, limit);
    while let Some(wanted) = taker.wanted() {
        for stream in streams.iter_mut() {
            stream.fill(conn, tenant, wanted)?;
        }
        let heads =
            streams.iter().enumerate().filter_map(|(n, stream)| Some((n, stream.finder.order, stream.places.front()?)));
        let first = heads.min_by(|(_, order, a), (_, _, b)| order.compare(a, b)).map(|(n, ..)| n);
        let Some(place) = first.and_then(|n| streams.get_mut(n)?.places.pop_front()) else { break };
        taker.take(place);
    }
    Ok(taker.found(None))
}

/// Skips most of a large offset without reading it; gives what is left of it.
///
/// If each stream looks an equal share of the offset ahead, what the least of them finds lies within the
/// offset, and so does all before it in its stream: the others have less than their shares before it.
fn skip_far(conn: &mut Conn, tenant: TenantKey, streams: &mut [Stream<'_, '_>], offset: u64) -> Result<u64> {
    let mut skip = offset;
    let jumps = |stream: &Stream<'_, '_>| stream.walk.is_some() && stream.finder.plan.is_exact();
    if !streams.iter().all(jumps) {
        return Ok(skip);
    }
    while skip > CHUNK as u64 {
        let share = skip / (streams.len() as u64).max(1);
        let mut nearest: Option<(usize, (usize, Place))> = None;
        for (n, stream) in streams.iter().enumerate() {
            let Some(walk) = &stream.walk else { continue };
            let Some(found) = walk.ahead(conn, tenant, share)? else { continue };
            if nearest.as_ref().is_none_or(|(_, (_, place))| stream.finder.order.compare(&found.1, place).is_lt()) {
                nearest = Some((n, found));
            }
        }
        let Some((n, found)) = nearest else {
            // Nobody has that many: all together end before the offset.
            streams.iter_mut().for_each(|stream| stream.walk = None);
            return Ok(0);
        };
        if let Some(walk) = streams.get_mut(n).and_then(|stream| stream.walk.as_mut()) {
            walk.jump(found);
        }
        skip -= share;
    }
    Ok(skip)
}
