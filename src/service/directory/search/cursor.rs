//! Where a search goes on.

use crate::scim::message::SearchRequest;
use crate::scim::{self, ScimType};
use crate::service::cursor::{Behind, question_hash};
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
    let (place, opened) = cursor::open_among(service, cursor, place)?;
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
    let count = u32::try_from(count).unwrap_or(u32::MAX);
    cursor::seal(service, query, Behind { sort: end.sort, last: end.last, count })
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
