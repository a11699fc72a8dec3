//! Cursors of pages of principals: sealed, and good for one question alone.

use crate::domain::Id;
use crate::scim::cursor::SortValue;
use crate::service::cursor::{Behind, question_hash};
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
    cursor::seal(service, question_hash(context, question), Behind { sort, last, count: 0 })
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
    let Behind { sort, last, .. } = cursor::open(service, question_hash(context, question), cursor)?;
    match sort {
        None => Ok(Place::Resource(ResourceKey(last))),
        Some(SortValue::Text(id)) if let Some(id) = Id::parse(&id) => Ok(Place::Local(id)),
        Some(_) => Err(Error::internal("a sealed cursor without an id")),
    }
}
