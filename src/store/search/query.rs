//! What is searched for, and what is found.

use crate::scim::ResourceType;
use crate::scim::cursor::SortValue;
use crate::scim::filter::Bound;
use crate::scim::path::AttrRef;
use crate::store::types::ResourceKey;

/// What to sort by.
#[derive(Clone, Copy, Debug)]
pub struct Sort {
    /// An attribute with values that compare.
    pub by: AttrRef,
    /// The greatest first.
    pub descending: bool,
}

/// A search in one resource type.
#[derive(Clone, Copy, Debug)]
pub struct Query<'q> {
    /// The type.
    pub resource_type: &'static ResourceType,
    /// What resources must match; `None` matches all.
    pub filter: Option<&'q Bound>,
    /// Whose externalId is seen; `None` sees none.
    pub connection: Option<i64>,
    /// What `meta.location` and `$ref` begin with.
    pub base_url: &'q str,
    /// The order; `None` is that of surrogate keys.
    pub sort: Option<Sort>,
}

/// Where a page starts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Start {
    /// Behind so many results.
    Offset(u64),
    /// Behind a result, which may be gone by now.
    After(Position),
}

/// The place of a result in the order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Position {
    /// Its sort key; `None` if the query does not sort.
    pub sort: Option<SortValue>,
    /// Its surrogate key.
    pub last: i64,
}

/// A page of results. Their documents are for whoever shows them: a page of long ones is never read at once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page {
    /// The results.
    pub keys: Vec<ResourceKey>,
    /// How many there are in all, if that was asked for.
    pub total: Option<u64>,
    /// Where to go on; `None` when nothing follows. An empty page that starts behind an offset has none.
    pub end: Option<Position>,
}
