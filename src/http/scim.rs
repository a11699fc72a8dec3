//! The SCIM operations: from a call to the service and back.

use std::pin::pin;

use actix_web::HttpRequest;
use futures_util::future::{Either, select};
use serde_json::Value;

use super::Shared;
use super::call::{Call, run};
use super::connections::Link;
use super::extract::Head;
use super::respond::Reply;
use super::run::{run as at_place, turn};
use super::target::MatchedRoute;
use crate::domain::Operation;
use crate::domain::operation::Place;
use crate::scim::message::SearchRequest;
use crate::scim::{self, ResourceType, discovery};
use crate::service::body::Body;
use crate::service::directory::refusals::{self, Asked};
use crate::service::directory::resources::{Answer, Wanted, read_body};
use crate::service::directory::search::SearchAnswer;
use crate::service::{Cached, Context, Error, Service, registry};

/// A search; one that no index answers waits until it is its turn, and as long as its client does. That may be long:
/// who asks is looked at again before the answer leaves, as after any other that took so long.
pub(super) async fn wait_and_search(request: &HttpRequest, shared: &Shared, call: Call) -> Result<Reply, Error> {
    let work = Box::pin(async {
        let later = Call { commit: None, ..call.clone() };
        match run(shared, call, Some(search_cached), search).await {
            Err(Error::Crowded) => {
                let service = shared.service.in_turn(turn(&shared.service).await?);
                let shared = Shared { service, ..shared.clone() };
                Box::pin(run(&shared, later, None, search)).await
            }
            done => done,
        }
    });
    unless_gone(request, work).await
}

/// What is read for a client for as long as it waits. One that has ended its side of the connection has gone: its
/// search gives its place to somebody else.
async fn unless_gone(request: &HttpRequest, work: impl Future<Output = Result<Reply, Error>>) -> Result<Reply, Error> {
    let Some(link) = Link::of(request) else { return work.await };
    match select(pin!(work), pin!(link.departed())).await {
        Either::Left((done, _)) => done,
        Either::Right(_) => Err(Error::Busy("nobody waits for the answer any more")),
    }
}

/// Refuses to write the owner's resource by the name of `/Me`.
pub(super) fn refuse_me(service: &Service, call: &Call) -> Result<Reply, Error> {
    Err(service.refuse_me(call.context()?))
}

fn resource_type(call: &Call) -> Result<&'static ResourceType, Error> {
    registry().by_endpoint(&call.request.endpoint).ok_or(Error::NotFound)
}

/// What a change is about, and what of it the answer shall show. That cannot keep it from being made where the
/// dialect bears it: the whole is shown then.
fn shaped(service: &Service, call: &Call) -> Result<(&'static ResourceType, Wanted), Error> {
    let resource_type = resource_type(call)?;
    let read = call.request.wanted().and_then(|wanted| wanted.projection(resource_type).map(|_| wanted));
    let bears = service.tolerances(call.context()?).dialect().is_lenient();
    Ok((resource_type, if bears { read.unwrap_or_default() } else { read? }))
}

/// 200 with the representation, 304 or 204 without.
fn represent(answer: Answer, status: u16) -> Reply {
    let status = if answer.body.is_some() { status } else { 204 };
    Reply::scim(status, answer.body).about(&answer.location, &answer.etag, answer.tolerances)
}

pub(super) fn create(service: &Service, call: &Call) -> Result<Reply, Error> {
    let (resource_type, wanted) = shaped(service, call)?;
    let context = call.context()?;
    Ok(represent(service.create_resource(context, resource_type, &call.body, &wanted)?, 201))
}

pub(super) fn read(service: &Service, call: &Call) -> Result<Reply, Error> {
    let (resource_type, wanted) = (resource_type(call)?, call.request.wanted()?);
    let request = &call.request;
    let answer = service.read_resource(call.context()?, resource_type, &request.id, &wanted, &request.conditions)?;
    Ok(unless_modified(answer))
}

/// The same by what is remembered.
pub(super) fn read_cached(memory: Cached<'_>, call: &Call) -> Option<Result<Reply, Error>> {
    let (resource_type, wanted) = (resource_type(call).ok()?, call.request.wanted().ok()?);
    let request = &call.request;
    let context = call.context().ok()?;
    let answer = memory.read_resource(context, resource_type, &request.id, &wanted, &request.conditions)?;
    Some(answer.map(unless_modified))
}

fn unless_modified(answer: Answer) -> Reply {
    let status = if answer.body.is_some() { 200 } else { 304 };
    Reply::scim(status, answer.body).about(&answer.location, &answer.etag, answer.tolerances)
}

pub(super) fn replace(service: &Service, call: &Call) -> Result<Reply, Error> {
    let (resource_type, wanted) = shaped(service, call)?;
    let (context, Head { id, conditions, .. }) = (call.context()?, &call.request);
    Ok(represent(service.replace_resource(context, resource_type, id, &call.body, &wanted, conditions)?, 200))
}

pub(super) fn patch(service: &Service, call: &Call) -> Result<Reply, Error> {
    let (resource_type, wanted) = shaped(service, call)?;
    let (context, Head { id, conditions, .. }) = (call.context()?, &call.request);
    Ok(represent(service.patch_resource(context, resource_type, id, &call.body, &wanted, conditions)?, 200))
}

/// A body as it has come. The refusal of one that cannot be had is recorded if somebody may stay by it.
pub(super) async fn arrived<B>(
    shared: &Shared,
    target: &MatchedRoute<'_>,
    context: Option<&Context>,
    body: Result<B, Error>,
) -> Result<B, Error> {
    let error = match body {
        Ok(body) => return Ok(body),
        Err(error) => error,
    };
    let (operation, id) = (target.operation, target.id.to_owned());
    let (Some(context), Some(resource_type)) = (context.cloned(), registry().by_endpoint(target.endpoint)) else {
        return Err(error);
    };
    let record = move |service: &Service| {
        let asked = || Asked::of(operation, resource_type, None);
        Ok(refusals::record(service, &context, operation, (resource_type, id.as_str()), asked, error))
    };
    Err(at_place(&shared.service, Place::Blocking, record).await.unwrap_or_else(|failure| failure))
}

pub(super) fn delete(service: &Service, call: &Call) -> Result<Reply, Error> {
    let (resource_type, request) = (resource_type(call)?, &call.request);
    service.delete_resource(call.context()?, resource_type, &request.id, &request.conditions)?;
    Ok(Reply::empty(204))
}

fn search(service: &Service, call: &Call) -> Result<Reply, Error> {
    let context = call.context()?;
    let one = match call.operation {
        Operation::SearchAll => None,
        _ => Some(resource_type(call)?),
    };
    Ok(found(service.search(context, one, &search_request(service, call)?)?))
}

fn search_cached(memory: Cached<'_>, call: &Call) -> Option<Result<Reply, Error>> {
    if call.request.is_post || call.operation == Operation::SearchAll {
        return None;
    }
    let (context, resource_type) = (call.context().ok()?, resource_type(call).ok()?);
    let request = SearchRequest::from_query(&call.request.query).ok()?;
    Some(memory.search(context, resource_type, &request)?.map(found))
}

fn found(found: SearchAnswer) -> Reply {
    Reply::scim(200, Some(found.body)).tolerating(found.tolerances)
}

fn search_request(service: &Service, call: &Call) -> Result<SearchRequest, Error> {
    if call.request.is_post {
        let (context, body) = (call.context()?, &call.body);
        let mut tolerances = service.tolerances(context);
        return Ok(SearchRequest::from_body(&read_body(service, context, body)?, &mut tolerances)?);
    }
    Ok(SearchRequest::from_query(&call.request.query)?)
}

pub(super) fn catalogue(service: &Service, call: &Call) -> Result<Reply, Error> {
    let (context, request) = (call.context()?, &call.request);
    if request.id.is_empty() {
        let found = service.search_catalogue(context, call.operation, &search_request(service, call)?)?;
        return Ok(Reply::scim(200, Some(found.body)).tolerating(found.tolerances));
    }
    let answer = service.read_catalogue(context, call.operation, &request.id, &request.wanted()?)?;
    Ok(represent(answer, 200))
}

pub(super) fn me(service: &Service, call: &Call) -> Result<Reply, Error> {
    let wanted = call.request.wanted()?;
    Ok(unless_modified(service.read_me(call.context()?, &wanted, &call.request.conditions)?))
}

pub(super) fn bulk(service: &Service, call: &Call) -> Result<Reply, Error> {
    let done = service.bulk(call.context()?, &call.body)?;
    Ok(Reply::scim(200, Some(done.body)).tolerating(done.tolerances))
}

/// Discovery (RFC 7644 §4) ignores every parameter but `filter`, which it refuses.
pub(super) fn discover(service: &Service, call: &Call) -> Result<Reply, Error> {
    if call.request.query.iter().any(|(name, _)| name.eq_ignore_ascii_case("filter")) {
        return Err(Error::Forbidden("discovery cannot be filtered (RFC 7644 §4)".to_owned()));
    }
    let base = service.scim_base_url();
    let path = call.request.path.trim_end_matches('/');
    let segments: Vec<&str> = path.trim_start_matches("/scim/v2/").split('/').collect();
    let found = match segments.as_slice() {
        ["ServiceProviderConfig" | "ServiceProviderConfigs"] => {
            let (config, tolerances) = service.provider_config(call.context.as_ref(), &call.request.user_agent);
            return Ok(Reply::scim(200, Some(Body::text(config.to_string()))).tolerating(tolerances));
        }
        ["Schemas"] => listed(&discovery::schemas(base)),
        ["ResourceTypes"] => listed(&discovery::resource_types(base)),
        ["Schemas", _] => discovery::schema(&call.request.id, base).ok_or(Error::NotFound)?,
        ["ResourceTypes", _] => discovery::resource_type(&call.request.id, base).ok_or(Error::NotFound)?,
        _ => return Err(Error::NotFound),
    };
    Ok(Reply::scim(200, Some(Body::text(found.to_string()))))
}

fn listed(resources: &[Value]) -> Value {
    serde_json::json!({
        "schemas": [scim::message::LIST_URN],
        "totalResults": resources.len(),
        "startIndex": 1,
        "itemsPerPage": resources.len(),
        "Resources": resources,
    })
}
