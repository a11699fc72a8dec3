//! Cursors of pages of principals: sealed, and good for one question alone.

use crate::domain::Id;
use crate::scim::cursor::{Cursor, SortValue};
use crate::scim::{self, ScimType};
use crate::service::cursor::question_hash;
use crate::service::reports::candidates::Place;
use crate::service::{Context, Error, Service, cursor};
use crate::store::ResourceKey;

/// The cursor with which the answer to a question goes on behind a place.
pub(in crate::service) fn seal_place(
    service: &Service,
    context: &Context,
    question: &[&str],
    place: Place,
) -> Result<String, Error> {
    let (sort, last) = match place {
        Place::Local(id) => (Some(SortValue::Text(id.to_string())), 0),
        Place::Resource(key) => (None, key.0),
    };
    let query = question_hash(context, question);
    cursor::seal(service, &Cursor { query, issued_at_seconds: service.now().timestamp(), sort, last, count: 0 })
}

/// Where a cursor of this question goes on.
///
/// # Errors
/// 400 for what is none of ours, belongs to another question, tenant or caller, or is too old.
pub(in crate::service) fn open_place(
    service: &Service,
    context: &Context,
    question: &[&str],
    cursor: &str,
) -> Result<Place, Error> {
    let refused = |detail: &str| scim::Error::new(ScimType::InvalidCursor, format!("cursor: {detail}"));
    let opened = cursor::open(service, cursor)?;
    if opened.query != question_hash(context, question) {
        return Err(refused("it belongs to another question").into());
    }
    if service.now().timestamp() - opened.issued_at_seconds > service.settings().limits.cursor_timeout_seconds {
        return Err(scim::Error::new(ScimType::ExpiredCursor, "cursor: it is too old, begin again").into());
    }
    match opened.sort {
        None => Ok(Place::Resource(ResourceKey(opened.last))),
        Some(SortValue::Text(id)) => {
            Ok(Place::Local(Id::parse(&id).ok_or_else(|| refused("it belongs to another question"))?))
        }
        Some(SortValue::Missing) => Err(refused("it belongs to another question").into()),
    }
}
