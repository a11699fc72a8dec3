//! Where a search goes on.

use crate::scim::cursor::Cursor;
use crate::scim::message::SearchRequest;
use crate::scim::{self, ScimType};
use crate::service::cursor::question_hash;
use crate::service::directory::search::Part;
use crate::service::{Context, Error, Service, cursor};
use crate::store::search::{Position, Start};

/// Where a search goes on; `place` finds what stands for the query of the cursor, if it is this search's.
pub(in crate::service::directory::search) fn resume<T>(
    service: &Service,
    cursor: &str,
    request: &SearchRequest,
    count: usize,
    place: impl FnOnce([u8; 16]) -> Option<T>,
) -> Result<(T, Start), Error> {
    let opened = cursor::open(service, cursor)?;
    let place = place(opened.query)
        .ok_or_else(|| scim::Error::new(ScimType::InvalidCursor, "cursor: it belongs to another query"))?;
    if service.now().timestamp() - opened.issued_at_seconds > service.settings().limits.cursor_timeout_seconds {
        return Err(scim::Error::new(ScimType::ExpiredCursor, "cursor: it is too old, begin again").into());
    }
    if request.count.is_some() && opened.count as usize != count {
        let detail = format!("count: the first page had {}, every page has the same", opened.count);
        return Err(scim::Error::new(ScimType::InvalidCount, detail).into());
    }
    Ok((place, Start::After(Position { sort: opened.sort, last: opened.last })))
}

/// The cursor of a search that goes on behind a position.
pub(in crate::service::directory::search) fn cursor_behind(
    service: &Service,
    end: Position,
    query: [u8; 16],
    count: usize,
) -> Result<String, Error> {
    cursor::seal(
        service,
        &Cursor {
            query,
            issued_at_seconds: service.now().timestamp(),
            sort: end.sort,
            last: end.last,
            count: u32::try_from(count).unwrap_or(u32::MAX),
        },
    )
}

/// Binds a cursor to the query, the tenant, the caller and the type that it stands in; `None` if it stands in
/// an order over all types.
pub(in crate::service::directory::search) fn query_hash(
    context: &Context,
    request: &SearchRequest,
    parts: &[Part],
    at: Option<usize>,
) -> [u8; 16] {
    let texts = [
        request.filter.as_deref().unwrap_or_default(),
        request.sort_by.as_deref().unwrap_or_default(),
        if request.descending { "descending" } else { "ascending" },
        if parts.len() > 1 { "root" } else { "" },
        at.and_then(|at| parts.get(at)).map_or("", |part| &part.resource_type.name),
    ];
    question_hash(context, &texts)
}
