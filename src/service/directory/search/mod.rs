//! Lists and searches: index paging, cursor paging, one type or all of them, one order over all of them.

pub mod catalogue;
pub(in crate::service) mod cursor;
mod listing;
mod lookup;
mod merged;
mod order;
mod turns;

use self::cursor::query_hash;
use self::order::sort;
pub use self::turns::Turn;
pub(in crate::service) use self::turns::Turns;
use crate::domain::Operation;
use crate::scim::filter::{self, Bound, Unknown};
use crate::scim::message::{List, SearchRequest};
use crate::scim::project::Projection;
use crate::scim::tolerance::Tolerances;
use crate::scim::{self, ResourceType, ScimType};
use crate::service::body::Body;
use crate::service::conditions::Conditions;
use crate::service::directory::resources::{Wanted, tolerances};
use crate::service::{Cached, Context, Error, Service, authorize, memory, registry};
use crate::store::ResourceKey;
use crate::store::search::{self, Page, Query, Sort, Start};

/// A page of results.
#[derive(Debug)]
pub struct SearchAnswer {
    /// The ListResponse.
    pub body: Body,
    /// The tolerances that the request needed.
    pub tolerances: String,
}

/// The search in one resource type.
struct Part {
    resource_type: &'static ResourceType,
    filter: Option<Bound>,
    sort: Option<Sort>,
    projection: Projection,
}

impl Part {
    fn query<'q>(&'q self, context: &Context, base_url: &'q str) -> Query<'q> {
        Query {
            resource_type: self.resource_type,
            filter: self.filter.as_ref(),
            connection: context.caller.connection().map(|connection| connection.key),
            base_url,
            sort: self.sort,
        }
    }
}

/// What a page holds before it is rendered.
struct Results {
    /// What was found, in order.
    keys: Vec<ResourceKey>,
    total: Option<u64>,
    next: Option<String>,
}

impl Service {
    /// Searches the resources of one type, or of all types for `None`.
    ///
    /// # Errors
    /// 400 for a filter, sort, cursor or count that cannot be met; [`Error::Crowded`] when too many searches scan.
    pub fn search(
        &self,
        context: &Context,
        resource_type: Option<&'static ResourceType>,
        request: &SearchRequest,
    ) -> Result<SearchAnswer, Error> {
        let mut tolerances = tolerances(context);
        let name = resource_type.and_then(|one| lookup::name(context, one, request));
        if let (Some(one), Some(name)) = (resource_type, &name) {
            let (wanted, conditions) = (Wanted::default(), Conditions::default());
            let read = |id: &str| Some(self.read_resource(context, one, id, &wanted, &conditions));
            if let Some(found) = lookup::known(self, context, one, name, read) {
                return found;
            }
        }
        let types = resource_type.map_or_else(|| registry().types.clone(), |one| vec![one]);
        let operation = if resource_type.is_some() { Operation::Search } else { Operation::SearchAll };
        for one in &types {
            authorize(&context.caller, operation, Some(one))?;
        }
        let parts = parts(types, request, &mut tolerances)?;
        let base_url = self.scim_base_url();
        let scans = parts.iter().any(|part| search::needs_scan(&part.query(context, base_url)));
        let _scan = if scans { Some(turns::enter_scan(self)?) } else { None };
        let tenant = context.caller.tenant.key;
        let find = |part: &Part, start: &Start, limit, with_total| {
            let query = part.query(context, base_url);
            self.read(|conn| Ok(search::search(conn, tenant, &query, start, limit, with_total)?))
        };
        let results = if parts.len() > 1 && request.sort_by.is_some() {
            merged::page_merged(self, context, &parts, request)?
        } else {
            page(self, context, &parts, request, find)?
        };
        let (body, only) = listing::list(self, context, request, parts, results)?;
        if let (Some(name), Some((id, version))) = (name, only) {
            memory::remember_name(self, &name, id, version);
        }
        Ok(SearchAnswer { body, tolerances: tolerances.header() })
    }
}

impl Cached<'_> {
    /// Answers a look-up by a unique value.
    pub fn search(
        &self,
        context: &Context,
        resource_type: &'static ResourceType,
        request: &SearchRequest,
    ) -> Option<Result<SearchAnswer, Error>> {
        let name = lookup::name(context, resource_type, request)?;
        let (wanted, conditions) = (Wanted::default(), Conditions::default());
        let read = |id: &str| self.read_resource(context, resource_type, id, &wanted, &conditions);
        lookup::known(self.service, context, resource_type, &name, read)
    }
}

/// The page that a request asks for. `find` finds a page of one part: from where, how many at most, and
/// whether with the total.
fn page(
    service: &Service,
    context: &Context,
    parts: &[Part],
    request: &SearchRequest,
    find: impl Fn(&Part, &Start, usize, bool) -> Result<Page, Error>,
) -> Result<Results, Error> {
    match &request.cursor {
        Some(cursor) => page_by_cursor(service, context, parts, request, cursor, find),
        None => page_by_index(service, parts, request, find),
    }
}

/// Paging by index (RFC 7644 §3.4.2.4): the types one after the other, if nothing sorts them all.
fn page_by_index(
    service: &Service,
    parts: &[Part],
    request: &SearchRequest,
    find: impl Fn(&Part, &Start, usize, bool) -> Result<Page, Error>,
) -> Result<Results, Error> {
    let (mut skip, mut room) = index_page(service, request);
    let (mut keys, mut total) = (vec![], 0);
    for part in parts {
        let page = find(part, &Start::Offset(skip), room, true)?;
        let matching = page.total.unwrap_or(0);
        total += matching;
        skip = skip.saturating_sub(matching);
        room -= page.keys.len().min(room);
        keys.extend(page.keys);
    }
    Ok(Results { keys, total: Some(total), next: None })
}

/// How many results a page is behind, and how many it has at most.
fn index_page(service: &Service, request: &SearchRequest) -> (u64, usize) {
    let limits = &service.settings().limits;
    let asked = request.count.map_or(limits.page_size_default, |count| count.try_into().unwrap_or(usize::MAX));
    (request.start_index.unwrap_or(1).saturating_sub(1), asked.min(limits.page_size_max))
}

/// Paging by cursor (RFC 9865): keyset, so that what is inserted or deleted between two pages neither
/// hides nor repeats anything else.
fn page_by_cursor(
    service: &Service,
    context: &Context,
    parts: &[Part],
    request: &SearchRequest,
    cursor: &str,
    find: impl Fn(&Part, &Start, usize, bool) -> Result<Page, Error>,
) -> Result<Results, Error> {
    let count = cursor_count(service, request)?;
    let (mut at, mut start) = (0, Start::Offset(0));
    if !cursor.is_empty() {
        let part_of = |query| (0..parts.len()).find(|n| query_hash(context, request, parts, Some(*n)) == query);
        (at, start) = cursor::resume(service, cursor, request, count, part_of)?;
    }
    let total = free_total(parts, count == 0, &find)?;
    let (mut keys, mut next, mut room) = (vec![], None, count);
    while let Some(part) = parts.get(at) {
        let page = find(part, &start, room, false)?;
        room -= page.keys.len().min(room);
        keys.extend(page.keys);
        if let Some(end) = page.end {
            next = Some(cursor::cursor_behind(service, end, query_hash(context, request, parts, Some(at)), count)?);
            break;
        }
        (at, start) = (at + 1, Start::Offset(0));
    }
    // RFC 9865 §2: `count=0` asks for the total alone, and a page of nothing leads nowhere.
    Ok(Results { keys, total, next: next.filter(|_| count > 0) })
}

fn cursor_count(service: &Service, request: &SearchRequest) -> Result<usize, Error> {
    let limits = &service.settings().limits;
    let count = request.count.map_or(limits.page_size_default as u64, |count| count);
    match usize::try_from(count) {
        Ok(count) if count <= limits.page_size_max => Ok(count),
        _ => {
            let detail = format!("count: at most {} with a cursor", limits.page_size_max);
            Err(scim::Error::new(ScimType::InvalidCount, detail).into())
        }
    }
}

impl Results {
    /// What stands before and behind the resources of the page; `items` if it is known how many they are.
    fn frame(&self, request: &SearchRequest, items: Option<usize>) -> (String, &'static str) {
        let list = List {
            resources: &[],
            total: self.total,
            start_index: request.cursor.is_none().then(|| request.start_index.unwrap_or(1)),
            next_cursor: self.next.as_deref(),
            previous_cursor: None,
        };
        list.frame(items)
    }
}

/// What a request asks of each type. What a type does not know has no value if there are others.
fn parts(
    types: Vec<&'static ResourceType>,
    request: &SearchRequest,
    tolerances: &mut Tolerances,
) -> Result<Vec<Part>, Error> {
    let filter = request.filter.as_deref().map(|text| filter::parse(text, tolerances)).transpose()?;
    let unknown = if types.len() == 1 { Unknown::Refuse } else { Unknown::NoValue };
    let wanted =
        Wanted { attributes: request.attributes.clone(), excluded_attributes: request.excluded_attributes.clone() };
    let (mut parts, mut refused) = (Vec::with_capacity(types.len()), vec![]);
    for one in types {
        let bound = filter.as_ref().map(|f| filter::bind(f, one, unknown, tolerances)).transpose()?;
        let sort = sort(one, request).unwrap_or_else(|why| {
            refused.push(why);
            None
        });
        parts.push(Part { resource_type: one, filter: bound, sort, projection: wanted.projection(one)? });
    }
    match refused.iter().max() {
        Some(why) if refused.len() == parts.len() => Err(why.refusal(request, parts.len()).into()),
        _ => Ok(parts),
    }
}

/// The total, if it costs nothing or is all that was asked for.
fn free_total(
    parts: &[Part],
    asked: bool,
    find: &impl Fn(&Part, &Start, usize, bool) -> Result<Page, Error>,
) -> Result<Option<u64>, Error> {
    let mut total = 0;
    for part in parts {
        if part.filter.is_some() && !asked {
            return Ok(None);
        }
        total += find(part, &Start::Offset(0), 0, true)?.total.unwrap_or(0);
    }
    Ok(Some(total))
}
