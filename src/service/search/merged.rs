//! A sorted search over several types: one order over all of them (RFC 7644 §3.4.2.3, §3.4.3).

use super::cursor::query_hash;
use super::{Part, Results, free_total};
use crate::scim::message::SearchRequest;
use crate::service::{Context, Error, Service};
use crate::store::resources::Resource;
use crate::store::search::{self, Query, Start};

impl Service {
    /// The page that a sorted request asks for. A type that does not know what to sort by has no value there:
    /// it comes last, and first in descending order.
    pub(super) fn page_merged<'p>(
        &self,
        context: &Context,
        parts: &'p [Part],
        request: &SearchRequest,
    ) -> Result<Results<'p, Resource>, Error> {
        let tenant = context.caller.tenant.key;
        let queries: Vec<Query<'_>> = parts.iter().map(|part| part.query(context, self.scim_base_url())).collect();
        let find = |start: &Start, limit, with_total| {
            let descending = request.descending;
            self.read(|conn| Ok(search::search_merged(conn, tenant, &queries, descending, start, limit, with_total)?))
        };
        let Some(cursor) = &request.cursor else {
            let (skip, room) = self.index_page(request);
            let page = find(&Start::Offset(skip), room, true)?;
            return Ok(Results { total: page.total, ..grouped(parts, page.resources) });
        };
        let count = self.cursor_count(request)?;
        let query = query_hash(context, request, parts, None);
        let mut start = Start::Offset(0);
        if !cursor.is_empty() {
            let is_this = |asked| (asked == query).then_some(());
            ((), start) = self.resume(cursor, request, count, is_this)?;
        }
        let total = free_total(parts, count == 0, &|part: &Part, start: &Start, limit, with_total| {
            let query = part.query(context, self.scim_base_url());
            self.read(|conn| Ok(search::search(conn, tenant, &query, start, limit, with_total)?))
        })?;
        if count == 0 {
            return Ok(Results { total, ..grouped(parts, vec![]) });
        }
        let page = find(&start, count, false)?;
        let next = page.end.map(|end| self.cursor_behind(end, query, count)).transpose()?;
        Ok(Results { total, next, ..grouped(parts, page.resources) })
    }
}

/// Resources by type, so that what they show is read set-wise, with their order.
fn grouped(parts: &[Part], resources: Vec<Resource>) -> Results<'_, Resource> {
    let mut items: Vec<(&Part, Vec<Resource>)> = parts.iter().map(|part| (part, vec![])).collect();
    let mut turns = Vec::with_capacity(resources.len());
    for resource in resources {
        let found = items.iter_mut().enumerate().find(|(_, (part, _))| part.resource_type.name == resource.type_name);
        if let Some((n, (_, items))) = found {
            items.push(resource);
            turns.push(n);
        }
    }
    Results { items, turns: Some(turns), total: None, next: None }
}
