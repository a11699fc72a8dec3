//! A call of an operation, and one call of the service for it, wherever that runs.

use actix_web::web;

use super::conditions::is_tagged;
use super::respond::Reply;
use super::run::run_at;
use super::{Shared, extract};
use crate::domain::Operation;
use crate::domain::log::RequestRef;
use crate::domain::operation::{Place, Surface};
use crate::service::conditions::Tags;
use crate::service::registry;
use crate::service::{Cached, CommitVersion, Context, Error, Service};

/// The longest body that is read on the thread that took the request.
const INLINE_BODY_BYTES: usize = 64 << 10;

/// What an operation is called with.
#[derive(Clone)]
pub(super) struct Call {
    pub(super) operation: Operation,
    /// `None` only where no key is needed and none was sent.
    pub(super) context: Option<Context>,
    /// The request, where a change needs no key.
    pub(super) open: Option<RequestRef>,
    pub(super) request: extract::Head,
    pub(super) body: web::Bytes,
    /// What the database told once all of it was there; `None` if it is asked on the way.
    pub(super) commit: Option<CommitVersion>,
}

impl Call {
    /// Who asks; a route that needs a key has one by now.
    pub(super) fn context(&self) -> Result<&Context, Error> {
        self.context.as_ref().ok_or(Error::Unauthenticated("a key is required"))
    }

    /// What memory may answer this by, if that is worth trying.
    pub(super) fn commit_for(&self, place: Place) -> Option<CommitVersion> {
        self.commit.filter(|_| place == Place::Inline)
    }
}

/// What answers a call by what is remembered alone, on the thread that took it.
pub(super) type FromCache = fn(Cached<'_>, &Call) -> Option<Result<Reply, Error>>;

/// Calls the service; first, where the database has told how far it has come, what is remembered.
pub(super) async fn run(
    shared: &Shared,
    call: Call,
    from_cache: Option<FromCache>,
    work: impl FnOnce(&Service, &Call) -> Result<Reply, Error> + Send + 'static,
) -> Result<Reply, Error> {
    let surface = call.operation.surface();
    if surface == Surface::V1 {
        check_conditions(&call)?;
    }
    // No database is asked: while it hangs, so may every thread of the pool.
    if surface == Surface::Open || call.operation == Operation::Discover {
        return work(&shared.service, &call);
    }
    let place = place(&shared.service, &call);
    let commit = call.commit_for(place);
    if let (Some(commit), Some(from_cache)) = (commit, from_cache)
        && let Some(done) = from_cache(shared.service.cached(commit), &call)
    {
        return done;
    }
    run_at(&shared.service, commit, place, move |service| work(service, &call)).await
}

/// Where a call's work runs: a search that an index answers is a look-up, and a large body takes longer to read than
/// any look-up that follows.
fn place(service: &Service, call: &Call) -> Place {
    match (call.operation, call.request.parameter("filter")) {
        (Operation::Search, Some(filter)) if is_lookup(service, call, filter) => Place::Inline,
        _ if call.operation.place() == Place::Inline && call.body.len() > INLINE_BODY_BYTES => Place::Blocking,
        _ => call.operation.place(),
    }
}

fn is_lookup(service: &Service, call: &Call, filter: &str) -> bool {
    let searched = registry().by_endpoint(&call.request.endpoint);
    searched.is_some_and(|resource_type| service.is_lookup(resource_type, filter))
}

/// Refuses a condition on what has no tag: it matches none, and nothing may be done (RFC 9110 §13.1.1).
///
/// # Errors
/// 412.
fn check_conditions(call: &Call) -> Result<(), Error> {
    let is_named = matches!(call.request.conditions.if_match, Some(Tags::These(_)));
    if is_named && call.operation.writes() && !is_tagged(call.operation) {
        return Err(Error::PreconditionFailed("If-Match: what is written here has no tag"));
    }
    Ok(())
}
