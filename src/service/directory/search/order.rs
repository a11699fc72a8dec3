//! What a search is sorted by.

use crate::scim::message::SearchRequest;
use crate::scim::path::{self, AttrRef, Name};
use crate::scim::{self, ResourceType};
use crate::store::search::Sort;

/// Why a type has no order by what a request names; of several reasons the last one says most.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::service::directory::search) enum Unordered {
    Unknown,
    Complex,
    Rows,
}

impl Unordered {
    pub(in crate::service::directory::search) fn refusal(self, request: &SearchRequest, types: usize) -> scim::Error {
        let why = match self {
            Unordered::Unknown if types > 1 => "is no attribute of any type",
            Unordered::Unknown => "is no attribute of this type",
            Unordered::Complex => "is complex: name one of its sub-attributes",
            Unordered::Rows => "has no order: members are a set, and none of them is the first",
        };
        scim::Error::value(format!("sortBy: {} {why}", request.sort_by.as_deref().unwrap_or_default()))
    }
}

/// What to sort by; a complex attribute is sorted by its `value` (RFC 7644 §3.4.2.3).
pub(in crate::service::directory::search) fn sort(
    resource_type: &'static ResourceType,
    request: &SearchRequest,
) -> Result<Option<Sort>, Unordered> {
    let Some(text) = &request.sort_by else { return Ok(None) };
    let Some(Name::Attribute(named)) = path::resolve(resource_type, text) else { return Err(Unordered::Unknown) };
    // A multi-valued attribute is sorted by its primary or first value. Members have neither: they are listed
    // in the order in which they came into the directory, which says nothing of the group.
    if resource_type.rows.is_some_and(|rows| rows.name == named.attribute.name) {
        return Err(Unordered::Rows);
    }
    let by = match (named.attribute.is_complex(), named.sub) {
        (true, None) => AttrRef { sub: Some(named.attribute.sub("value").ok_or(Unordered::Complex)?), ..named },
        _ => named,
    };
    Ok(Some(Sort { by, descending: request.descending }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scim::attribute::{Attribute, Kind};
    use crate::service::registry;

    /// What two types call by one name must compare, or one order over both would mean nothing.
    #[test]
    fn one_name_sorts_alike_in_every_type() {
        let kind = |attribute: &Attribute| match attribute.kind {
            Kind::Reference | Kind::Binary => (Kind::String, true),
            Kind::Decimal | Kind::Integer => (Kind::Decimal, false),
            kind => (kind, attribute.case_exact),
        };
        let sorted = |one: &'static ResourceType, name: &str| {
            let request = SearchRequest { sort_by: Some(name.to_owned()), ..SearchRequest::default() };
            sort(one, &request).ok().flatten().map(|sort| kind(sort.by.leaf()))
        };
        let mut compared = 0;
        for one in &registry().types {
            for attribute in &one.schema.attributes {
                let subs = attribute.sub_attributes.iter().map(|sub| format!("{}.{}", attribute.name, sub.name));
                for name in subs.chain([attribute.name.clone()]) {
                    let kinds: Vec<_> = registry().types.iter().filter_map(|one| sorted(one, &name)).collect();
                    assert!(kinds.windows(2).all(|pair| pair[0] == pair[1]), "{name}: {kinds:?}");
                    compared += usize::from(kinds.len() > 1);
                }
            }
        }
        assert!(compared > 10, "{compared}");
    }
}
