//! A sorted search over several types: one order over all of them (RFC 7644 §3.4.2.3, §3.4.3).

use crate::scim::message::SearchRequest;
use crate::service::directory::search::cursor::query_hash;
use crate::service::directory::search::{Part, Results, cursor, free_total};
use crate::service::{Context, Error, Service, directory};
use crate::store::search::{self, Query, Start};

/// The page that a sorted request asks for. A type that does not know what to sort by has no value there:
/// it comes last, and first in descending order.
pub(in crate::service::directory::search) fn page_merged(
    service: &Service,
    context: &Context,
    parts: &[Part],
    request: &SearchRequest,
) -> Result<Results, Error> {
    let tenant = context.caller.tenant.key;
    let queries: Vec<Query<'_>> = parts.iter().map(|part| part.query(context, service.scim_base_url())).collect();
    let find = |start: &Start, limit, with_total| {
        let descending = request.descending;
        service.read(|conn| Ok(search::search_merged(conn, tenant, &queries, descending, start, limit, with_total)?))
    };
    let Some(cursor) = &request.cursor else {
        let (skip, room) = directory::search::index_page(service, request);
        let page = find(&Start::Offset(skip), room, true)?;
        return Ok(Results { keys: page.keys, total: page.total, next: None });
    };
    let count = directory::search::cursor_count(service, request)?;
    let query = query_hash(context, request, parts, None);
    let mut start = Start::Offset(0);
    if !cursor.is_empty() {
        let is_this = |asked| (asked == query).then_some(());
        ((), start) = cursor::resume(service, cursor, request, count, is_this)?;
    }
    let total = free_total(parts, count == 0, &|part: &Part, start: &Start, limit, with_total| {
        let query = part.query(context, service.scim_base_url());
        service.read(|conn| Ok(search::search(conn, tenant, &query, start, limit, with_total)?))
    })?;
    if count == 0 {
        return Ok(Results { keys: vec![], total, next: None });
    }
    let page = find(&start, count, false)?;
    let next = page.end.map(|end| cursor::cursor_behind(service, end, query, count)).transpose()?;
    Ok(Results { keys: page.keys, total, next })
}
