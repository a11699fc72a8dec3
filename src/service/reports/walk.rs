//! Where holders are looked for: now among the candidates of mappings, in the past among everybody.

use std::collections::BTreeSet;

use crate::domain::{Id, TenantKey};
use crate::service::Error;
use crate::service::reports::candidates::{Batch, Candidates, PagePosition};
use crate::service::reports::moment::Moment;
use crate::store::candidates::LAST_KEY;
use crate::store::{self, Conn};

/// A walk over principals, each once, in an order that holds from page to page.
pub(in crate::service::reports) enum Walk<'p> {
    /// The candidates of some mappings, by index.
    Candidates(Candidates<'p>),
    /// Everybody who ever was, by id: indexes tell nothing of what documents and groups were called then.
    Everybody {
        /// Behind whom it goes on.
        after: Option<Id>,
        /// How many have been looked at.
        looked_at: usize,
    },
}

impl<'p> Walk<'p> {
    /// The walk that finds whom some mappings concern at a moment, from a place on.
    pub(in crate::service::reports) fn new(
        conn: &mut Conn,
        tenant: TenantKey,
        moment: &'p Moment,
        mappings: &BTreeSet<usize>,
        after: Option<PagePosition>,
    ) -> Result<Walk<'p>, Error> {
        if moment.at.is_none() {
            return Candidates::new(conn, tenant, &moment.policy, mappings, after).map(Walk::Candidates);
        }
        let after = after.and_then(|place| if let PagePosition::Local(id) = place { Some(id) } else { None });
        Ok(Walk::Everybody { after, looked_at: 0 })
    }

    /// The next ones, at most so many.
    pub(in crate::service::reports) fn next(
        &mut self,
        conn: &mut Conn,
        tenant: TenantKey,
        limit: usize,
    ) -> Result<Batch, Error> {
        match self {
            Walk::Candidates(candidates) => candidates.next(conn, tenant, limit),
            Walk::Everybody { after, looked_at } => {
                let rows = store::principals::list(conn, tenant, after.as_ref(), limit as i64)?;
                *looked_at += rows.len();
                let found: Vec<_> = rows.iter().map(|one| (PagePosition::Local(one.id), one.id)).collect();
                *after = found.last().map(|(_, id)| *id).or(*after);
                let last = found.last().map(|(place, _)| *place).filter(|_| rows.len() >= limit);
                Ok(Batch { found, until: last.unwrap_or(PagePosition::Resource(LAST_KEY)) })
            }
        }
    }

    /// What it has cost so far: principals, and documents that were read to find them.
    pub(in crate::service::reports) fn looked_at(&self) -> usize {
        match self {
            Walk::Candidates(candidates) => candidates.looked_at,
            Walk::Everybody { looked_at, .. } => *looked_at,
        }
    }
}
