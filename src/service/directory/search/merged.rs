//! A sorted search over several types: one order over all of them (RFC 7644 §3.4.2.3, §3.4.3).

use crate::scim::message::SearchRequest;
use crate::service::directory::search::cursor::query_hash;
use crate::service::directory::search::{Part, Results, free_total};
use crate::service::{Context, Error, Service};
use crate::store::search::{self, Query, Start};

impl Service {
    /// The page that a sorted request asks for. A type that does not know what to sort by has no value there:
    /// it comes last, and first in descending order.
    pub(in crate::service::directory::search) fn page_merged(
        &self,
        context: &Context,
        parts: &[Part],
        request: &SearchRequest,
    ) -> Result<Results, Error> {
        let tenant = context.caller.tenant.key;
        let queries: Vec<Query<'_>> = parts.iter().map(|part| part.query(context, self.scim_base_url())).collect();
        let find = |start: &Start, limit, with_total| {
            let descending = request.descending;
            self.read(|conn| Ok(search::search_merged(conn, tenant, &queries, descending, start, limit, with_total)?))
        };
        let Some(cursor) = &request.cursor else {
            let (skip, room) = self.index_page(request);
            let page = find(&Start::Offset(skip), room, true)?;
            return Ok(Results { keys: page.keys, total: page.total, next: None });
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
            return Ok(Results { keys: vec![], total, next: None });
        }
        let page = find(&start, count, false)?;
        let next = page.end.map(|end| self.cursor_behind(end, query, count)).transpose()?;
        Ok(Results { keys: page.keys, total, next })
    }
}
