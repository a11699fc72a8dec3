//! Cursors of pages of principals: sealed, and good for one question alone.

use crate::domain::Id;
use crate::scim::cursor::SortValue;
use crate::service::cursor::{Behind, question_hash};
use crate::service::reports::candidates::PagePosition;
use crate::service::{Context, Error, Service, cursor};
use crate::store::ResourceKey;

/// The cursor with which the answer to a question goes on behind a place.
pub(in crate::service) fn seal_place(
    service: &Service,
    context: &Context,
    question: &[&str],
    place: PagePosition,
) -> Result<String, Error> {
    cursor::seal(service, question_hash(context, question), behind(place, 0))
}

/// How a cursor says where a page of principals ended.
pub(in crate::service) fn behind(place: PagePosition, count: u32) -> Behind {
    match place {
        PagePosition::Local(id) => Behind { sort: Some(SortValue::Text(id.to_string())), last: 0, count },
        PagePosition::Resource(key) => Behind { sort: None, last: key.0, count },
    }
}

/// Reads what [`behind`] wrote; `None` for what it never writes.
pub(in crate::service) fn place(behind: &Behind) -> Option<PagePosition> {
    match &behind.sort {
        None => Some(PagePosition::Resource(ResourceKey(behind.last))),
        Some(SortValue::Text(id)) => Id::parse(id).map(PagePosition::Local),
        Some(SortValue::Missing) => None,
    }
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
) -> Result<PagePosition, Error> {
    let opened = cursor::open(service, question_hash(context, question), cursor)?;
    place(&opened).ok_or_else(|| Error::internal("a cursor without a place"))
}
