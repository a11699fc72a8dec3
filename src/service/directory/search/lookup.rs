//! Look-ups by a value that few have: what identity providers ask before every write. Answers by a unique one are
//! remembered.

use crate::domain::Operation;
use crate::scim::ResourceType;
use crate::scim::attribute::Attribute;
use crate::scim::filter::{self, Bound, Filter, Operand, Operator, Unknown};
use crate::scim::message::{List, SearchRequest};
use crate::scim::tolerance::{Dialect, Tolerances};
use crate::service::body::Body;
use crate::service::conditions::etag;
use crate::service::directory::resources::{Answer, tolerances};
use crate::service::directory::search::SearchAnswer;
use crate::service::memory::Name;
use crate::service::{Context, Error, Service, authorize, memory};

/// A longer filter is no look-up: it is not parsed to find that out.
const FILTER_BYTES_MAX: usize = 1_024;

impl Service {
    /// Whether a filter is a look-up by a value that few have, which costs less than a thread hop.
    pub fn is_lookup(&self, resource_type: &ResourceType, filter: &str) -> bool {
        if filter.len() > FILTER_BYTES_MAX {
            return false;
        }
        let parsed = filter::parse(filter, &mut Tolerances::new(Dialect::default()));
        let Ok(Filter::Compare(path, Operator::Eq, _)) = parsed else { return false };
        let naming = unique(resource_type).map(|naming| &*naming.name);
        naming.into_iter().chain(["externalId", "id"]).any(|name| path.text.eq_ignore_ascii_case(name))
    }
}

/// The attribute whose value one resource of the tenant has alone. Names of groups are a connection's own.
fn unique(resource_type: &ResourceType) -> Option<&'static Attribute> {
    resource_type.naming.filter(|_| resource_type.principal)
}

/// The unique value that a request looks up, if that is all it does.
pub(in crate::service::directory::search) fn name(
    context: &Context,
    resource_type: &'static ResourceType,
    request: &SearchRequest,
) -> Option<Name> {
    if request.filter.as_ref().is_none_or(|filter| filter.len() > FILTER_BYTES_MAX) {
        return None;
    }
    let simple = SearchRequest { filter: request.filter.clone(), ..SearchRequest::default() };
    let first = SearchRequest { start_index: None, count: None, ..request.clone() };
    if first != simple
        || request.start_index.unwrap_or(1) > 1
        || request.count == Some(0)
        || resource_type.rows.is_some()
    {
        return None;
    }
    let mut tolerances = tolerances(context);
    let parsed = filter::parse(request.filter.as_deref()?, &mut tolerances).ok()?;
    let bound = filter::bind(&parsed, resource_type, Unknown::Refuse, &mut tolerances).ok()?;
    let Bound::Compare { target, op: Operator::Eq, operand: Operand::Text(value) } = bound else { return None };
    // An externalId may name several by the next request.
    let is_unique = unique(resource_type).is_some_and(|naming| std::ptr::eq(naming, target.attribute));
    (is_unique && tolerances.header().is_empty()).then(|| Name {
        tenant: context.caller.tenant.key,
        connection: context.caller.connection().map(|connection| connection.key),
        type_name: &resource_type.name,
        attribute: &target.attribute.name,
        value,
    })
}

/// The answer to a look-up whose result is remembered and has not changed since; `read` reads whom it found.
pub(in crate::service::directory::search) fn known(
    service: &Service,
    context: &Context,
    resource_type: &'static ResourceType,
    name: &Name,
    read: impl FnOnce(&str) -> Option<Result<Answer, Error>>,
) -> Option<Result<SearchAnswer, Error>> {
    let (id, version) = memory::known_name(service, name)?;
    if let Err(refused) = authorize(&context.caller, Operation::Search, Some(resource_type)) {
        return Some(Err(refused));
    }
    let answer = match read(&id.to_string())? {
        Ok(answer) if answer.etag == etag(version) => answer,
        Ok(_) | Err(Error::NotFound) => return None,
        Err(error) => return Some(Err(error)),
    };
    let list = List { resources: &[], total: Some(1), start_index: Some(1), next_cursor: None, previous_cursor: None };
    let (head, tail) = list.frame(Some(1));
    let mut body = Body::text(head);
    body.append(answer.body.unwrap_or_default());
    body.push(tail);
    Some(Ok(SearchAnswer { body, tolerances: String::new() }))
}
