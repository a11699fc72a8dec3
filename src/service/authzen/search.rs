//! AuthZEN's searches (§8): which actions, resources or subjects would be allowed, a page at a time.

use std::collections::BTreeSet;

use serde::Serialize;

use crate::domain::Operation;
use crate::domain::policy::Mapped;
use crate::domain::principal::PrincipalKind;
use crate::scim::cursor::SortValue;
use crate::service::access::held;
use crate::service::access::held::{Held, Standings};
use crate::service::authzen::question::{KEY, permission, subject};
use crate::service::authzen::request::{
    ActionSearchRequest, PageRequest, ResourceSearchRequest, SubjectSearchRequest, refuse,
};
use crate::service::authzen::response::{ActionResponse, Found, ResourceResponse, SubjectResponse};
use crate::service::cursor::{Behind, question_hash};
use crate::service::reports::cursor::{behind, place};
use crate::service::reports::holders::{Holder, PagePosition, Sought};
use crate::service::reports::{holders, moment};
use crate::service::request::Object;
use crate::service::{Context, Error, Service, authorize, cursor};
use crate::store;

/// The page that a search asks for.
pub(in crate::service::authzen) struct Page {
    /// What its token is bound to.
    question: [u8; 16],
    /// How many results it holds at most.
    limit: usize,
    /// Where the page before it ended; `None` for the first.
    after: Option<Behind>,
}

impl Service {
    /// The actions that a subject may carry out on a resource type (`POST /access/v1/search/action`): those
    /// that are registered, and those that were granted by name.
    ///
    /// # Errors
    /// 400 for a page of another search, 403 without `keyroll:access:evaluate`.
    pub fn search_actions(
        &self,
        context: &Context,
        request: &ActionSearchRequest<'_>,
    ) -> Result<Found<ActionResponse>, Error> {
        authorize(&context.caller, Operation::SearchActions, None)?;
        let page = page_of(self, context, "action", request, request.page.as_ref())?;
        let subject = subject(&request.subject.0);
        let standings = held::of(self, context, &[subject.clone()].into())?;
        let names = actions(&standings, &standings.of(&subject), request.resource.0.kind);
        answer_page(self, &page, names, |name| ActionResponse { name: name.to_owned() })
    }

    /// The resources of a type on which a subject may carry out an action (`POST /access/v1/search/resource`):
    /// since ids are not interpreted, one entity with the id `*`, or none.
    ///
    /// # Errors
    /// 400 for a page of another search, 403 without `keyroll:access:evaluate`.
    pub fn search_resources(
        &self,
        context: &Context,
        request: &ResourceSearchRequest<'_>,
    ) -> Result<Found<ResourceResponse>, Error> {
        authorize(&context.caller, Operation::SearchResources, None)?;
        let page = page_of(self, context, "resource", request, request.page.as_ref())?;
        let (subject, action, resource) = (subject(&request.subject.0), request.action.0.name, request.resource.0.kind);
        let standings = held::of(self, context, &[subject.clone()].into())?;
        let allowed = permission(resource, action)
            .is_some_and(|asked| standings.policy.knows(&asked) && standings.of(&subject).may(&asked));
        let found = allowed.then(|| ANY.to_owned()).into_iter().collect();
        answer_page(self, &page, found, |id| ResourceResponse { kind: resource.to_owned(), id: id.to_owned() })
    }

    /// The Users or Agents that may carry out an action on a resource type (`POST /access/v1/search/subject`).
    /// A page may hold fewer than it could, even none, though others follow.
    ///
    /// # Errors
    /// 400 for a search for keys or a page of another one, 403 without `keyroll:access:evaluate`.
    pub fn search_subjects(
        &self,
        context: &Context,
        request: &SubjectSearchRequest<'_>,
    ) -> Result<Found<SubjectResponse>, Error> {
        authorize(&context.caller, Operation::SearchSubjects, None)?;
        let (kind, action, resource) = (request.subject.0.kind, request.action.0.name, request.resource.0.kind);
        if kind == KEY {
            return Err(refuse("subject.type: keys are not searched for, only user and agent".to_owned()));
        }
        let page = page_of(self, context, "subject", request, request.page.as_ref())?;
        let (Some(kind), Some(asked)) = (PrincipalKind::parse(kind), permission(resource, action)) else {
            return Ok(Found::new(vec![], String::new()));
        };
        let after = page.after.as_ref().and_then(place);
        if page.limit == 0 {
            return Ok(Found::new(vec![], seal_page(self, &page, after)?));
        }
        let tenant = context.caller.tenant.key;
        let found = self.read(|conn| {
            store::snapshot(conn, |conn| {
                let moment = moment::at(self, conn, tenant, None)?;
                let policy = &moment.policy;
                let gives = |one: &Mapped| policy.permissions(&one.mapping.role).is_some_and(|all| all.cover(&asked));
                let mappings = if policy.knows(&asked) { policy.places(gives) } else { BTreeSet::new() };
                let sought = Sought { mappings, after, count: page.limit };
                holders::find(self, conn, tenant, &moment, &sought, |holder| holder.facts.kind == kind)
            })
        })?;
        let subject = |holder: &Holder| SubjectResponse { kind, id: holder.facts.id };
        let results = found.found.iter().map(subject).collect();
        let next = found.next.map(|next| seal_page(self, &page, Some(next))).transpose()?;
        Ok(Found::new(results, next.unwrap_or_default()))
    }
}

/// The page that is asked for. A token serves the request that it came from, and no other (§8.2).
///
/// # Errors
/// 400 for a token of another request.
fn page_of(
    service: &Service,
    context: &Context,
    what: &str,
    request: &impl Serialize,
    asked: Option<&Object<PageRequest<'_>>>,
) -> Result<Page, Error> {
    let refused = |detail: &str| Error::Malformed(format!("page.token: {detail}"));
    let (limit, token) = asked.map_or((None, None), |Object(page)| (page.limit, page.token));
    let limits = &service.settings().limits;
    let limit = limit.map(|limit| usize::try_from(limit).unwrap_or(usize::MAX).min(limits.page_size_max));
    // The same in whatever order its members come.
    let mut asked = serde_json::to_value(request)?;
    asked.sort_all_objects();
    let question = question_hash(context, &["authzen", what, &asked.to_string()]);
    let after = match token {
        None | Some("") => None,
        Some(token) => {
            let opened = cursor::open(service, question, token).map_err(|error| match error {
                Error::Scim(error) => refused(error.detail.trim_start_matches("cursor: ")),
                other => other,
            })?;
            if limit.is_some_and(|limit| limit != opened.count as usize) {
                return Err(refused("it belongs to another query"));
            }
            Some(opened)
        }
    };
    let first = after.as_ref().map_or(limits.page_size_default, |cursor| cursor.count as usize);
    Ok(Page { question, limit: limit.unwrap_or(first), after })
}

/// The answer with the page's part of some names.
fn answer_page<T>(
    service: &Service,
    page: &Page,
    names: BTreeSet<String>,
    render: impl Fn(&str) -> T,
) -> Result<Found<T>, Error> {
    let after = match page.after.as_ref().and_then(|cursor| cursor.sort.as_ref()) {
        Some(SortValue::Text(name)) => name.as_str(),
        Some(SortValue::Missing) | None => "",
    };
    let mut rest = names.iter().map(String::as_str).filter(|name| *name > after);
    let shown: Vec<&str> = rest.by_ref().take(page.limit).collect();
    let next = match rest.next() {
        None => String::new(),
        Some(_) => {
            let last = shown.last().copied().unwrap_or(after).to_owned();
            let behind = Behind { sort: Some(SortValue::Text(last)), last: 0, count: size(page) };
            cursor::seal(service, page.question, behind)?
        }
    };
    Ok(Found::new(shown.into_iter().map(render).collect(), next))
}

/// The token of a page of subjects that goes on behind a place; for the beginning there is no value yet.
fn seal_page(service: &Service, page: &Page, place: Option<PagePosition>) -> Result<String, Error> {
    let begin = Behind { sort: Some(SortValue::Missing), last: 0, count: size(page) };
    cursor::seal(service, page.question, place.map_or(begin, |place| behind(place, size(page))))
}

fn size(page: &Page) -> u32 {
    u32::try_from(page.limit).unwrap_or(u32::MAX)
}

/// The id that stands for every resource of a type.
const ANY: &str = "*";

/// The actions on a resource type that a subject may carry out.
fn actions(standings: &Standings, held: &Held, resource: &str) -> BTreeSet<String> {
    // Any action will do: it tells what the resource type means.
    let Some(like) = permission(resource, "any") else { return BTreeSet::new() };
    let Some(api) = standings.policy.apis().get(like.api()) else { return BTreeSet::new() };
    // Of an open api also what is granted by the name of its action; `*` names none.
    let named = held.granted().filter(|own| own.action() != "*");
    let granted = named.filter_map(|own| permission(resource, own.action()).filter(|one| own.covers(one)));
    let granted = granted.filter(|one| api.knows(one));
    let all = api.permissions().chain(granted);
    let allowed = all.filter(|one| one.api() == like.api() && one.resource() == like.resource() && held.may(one));
    allowed.map(|one| one.action().to_owned()).collect()
}
