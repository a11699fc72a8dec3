//! The one path that every request takes.

use std::panic::AssertUnwindSafe;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use actix_web::http::Method;
use actix_web::rt::task::yield_now;
use actix_web::rt::time::timeout;
use actix_web::{HttpRequest, HttpResponse, web};
use futures_util::FutureExt;
use futures_util::future::poll_immediate;

use super::call::Call;
use super::line::{Asked, Line};
use super::respond::Reply;
use super::run::{AGE_MAX, ANSWER_TIMEOUT, SLOW, commit_version, now, run_at};
use super::target::MatchedRoute;
use super::{Shared, auth, error, extract, operations, origin, parameters, propagation, request_id, scim};
use crate::domain::Operation;
use crate::domain::log::RequestRef;
use crate::domain::operation::{Keys, Place, Surface};
use crate::service::{CommitVersion, Context, Error, Service, authorize, keys};

/// Answers one request, whatever happens, and logs one line about it: the route, never the URL.
pub(super) async fn handle(
    request: &HttpRequest,
    payload: &mut web::Payload,
    shared: &web::Data<Shared>,
    target: &MatchedRoute<'_>,
    known: &mut bool,
) -> HttpResponse {
    let started = now();
    let surface = target.operation.surface();
    let id = request_id::of(request, shared);
    let line = Line::default();
    let work = AssertUnwindSafe(answer(request, payload, shared, target, &id, known, &line)).catch_unwind();
    let reply = match work.await {
        Ok(Ok(reply)) => Ok(reply),
        Ok(Err(error)) => Err(error),
        Err(_) => Err(Error::internal("the handler panicked")),
    };
    let response = match reply {
        Ok(reply) => reply.into_response(shared, request.method().is_safe()).await,
        Err(error) => Err(error),
    };
    let (mut response, refused) = match response {
        Ok(response) => (response, None),
        Err(error) => (error::render(&error, surface, &id), Some(error)),
    };
    request_id::name(&mut response, request_id::echo(request, surface).unwrap_or(&id));
    let method = if request.method() == Method::HEAD { "HEAD" } else { target.method };
    let from = origin::of(request, shared);
    let asked = Asked { id: &id, method: Some(method), target: Some(target), path: target.path, from, started };
    line.write(shared, &asked, &response, refused.as_ref());
    response
}

async fn answer(
    request: &HttpRequest,
    payload: &mut web::Payload,
    shared: &web::Data<Shared>,
    target: &MatchedRoute<'_>,
    id: &str,
    known: &mut bool,
    line: &Line,
) -> Result<Reply, Error> {
    let (operation, surface) = (target.operation, target.operation.surface());
    if !shared.admits(request.peer_addr().map(|address| address.ip())) {
        return Err(Error::Forbidden("connect through the proxy".to_owned()));
    }
    let head = extract::Head::read(request, target)?;
    let mut read = pin!(extract::body(request, payload, shared, operation));
    let arrived = at_hand(&mut read).await;
    let (mut context, mut seen) = authenticate(request, shared, target, id).await?.unzip();
    *known = context.is_some();
    context.iter().for_each(|context| line.identify(context));
    check_answer(request, shared, target, context.as_ref(), &head)?;
    if surface == Surface::Scim {
        if let Some(context) = &context {
            shared.service.count_request(&context.caller)?;
        }
    } else if let Some(context) = &context {
        // Who may not is not told what is wrong with the body.
        authorize(&context.caller, operation, None)?;
    }
    if surface == Surface::V1 {
        parameters::check(operation, &head)?;
    }
    let (body, _permit) = match arrived {
        Some(body) => scim::arrived(shared, target, context.as_ref(), body).await?,
        // Whoever has shown no key asks what has no body, or changes what needs none: else nobody waits for one.
        None if context.is_none() && !operation.writes() => (web::Bytes::new(), None),
        None => {
            let body = scim::arrived(shared, target, context.as_ref(), read.await).await?;
            // It may have been long in coming: who asks, and by what, is looked at again.
            *known = false;
            (context, seen) = authenticate(request, shared, target, id).await?.unzip();
            *known = context.is_some();
            context.iter().for_each(|context| line.identify(context));
            body
        }
    };
    let commit = |seen: Option<Seen>| seen.and_then(|seen| seen.commit);
    let noted = context.as_ref().map(|context| Arc::clone(&context.noted));
    let open = (context.is_none() && operation.writes()).then(|| request_ref(target, id));
    let first = Call { operation, context, open, request: head, body: body.clone(), commit: commit(seen) };
    let reply = carry_out(request, shared, first, seen).await?;
    if changes(operation) {
        return Ok(propagation::tell(shared, surface, noted.and_then(|noted| noted.reduced()), reply).await);
    }
    if seen.is_none_or(|seen| seen.is_fresh(&shared.service)) {
        return Ok(reply);
    }
    // What it was answered by has grown old meanwhile: by now the caller may have left, or whom it asked about.
    (context, seen) = authenticate(request, shared, target, id).await?.unzip();
    if let Some(context) = context.as_ref().filter(|_| surface != Surface::Scim) {
        authorize(&context.caller, operation, None)?;
    }
    if !decides(operation) {
        return Ok(reply);
    }
    let head = extract::Head::read(request, target)?;
    let second = Call { operation, context, open: None, request: head, body, commit: commit(seen) };
    let reply = carry_out(request, shared, second, seen).await?;
    if seen.is_none_or(|seen| seen.is_fresh(&shared.service)) { Ok(reply) } else { Err(Error::Busy(SLOW)) }
}

/// The body, if it came with the head: what is asked of the database from here on is asked after the whole question
/// was there.
async fn at_hand<T>(read: &mut (impl Future<Output = T> + Unpin)) -> Option<T> {
    if let Some(nothing) = poll_immediate(&mut *read).await {
        return Some(nothing);
    }
    // The connection hands over what lies behind the head once this task has let it.
    yield_now().await;
    poll_immediate(read).await
}

/// Refuses what asks for an answer that there is not.
fn check_answer(
    request: &HttpRequest,
    shared: &Shared,
    target: &MatchedRoute<'_>,
    context: Option<&Context>,
    head: &extract::Head,
) -> Result<(), Error> {
    if context.is_some_and(|context| bears_with_answers(shared, target, context)) {
        return Ok(());
    }
    head.check_query()?;
    if target.operation.surface() == Surface::Scim { extract::check_accept(request) } else { Ok(()) }
}

/// Whether a change is carried out though what its answer should look like cannot be had: nobody lives on for that.
/// RFC 9110 §12.5.1 lets a server disregard Accept, and of a query only what shapes the answer concerns a change.
fn bears_with_answers(shared: &Shared, target: &MatchedRoute<'_>, context: &Context) -> bool {
    let is_change = target.operation.surface() == Surface::Scim && changes(target.operation);
    is_change && shared.service.tolerances(context).dialect().is_lenient()
}

/// Whether an operation may change anything: it looks at the caller in its own transaction, and what it did is told
/// however long it took.
fn changes(operation: Operation) -> bool {
    operation.writes() || matches!(operation, Operation::Bulk | Operation::Changes)
}

/// Whether an answer is a decision that its reader acts on, and is quickly made once more.
fn decides(operation: Operation) -> bool {
    operation.place() == Place::Inline || operation == Operation::AccessEvaluations
}

/// Carries an operation out. What memory mostly answers is not waited for.
async fn carry_out(
    request: &HttpRequest,
    shared: &web::Data<Shared>,
    call: Call,
    seen: Option<Seen>,
) -> Result<Reply, Error> {
    let is_quick = call.operation.place() == Place::Inline;
    let answer = operations::carry_out(request, shared, call);
    match seen.filter(|seen| seen.commit.is_some() && is_quick) {
        Some(seen) => in_time(&shared.service, seen.asked, answer).await,
        None => answer.await,
    }
}

/// Ends what takes longer than it may, from the first question on.
async fn in_time<T>(
    service: &Service,
    asked: Duration,
    work: impl Future<Output = Result<T, Error>>,
) -> Result<T, Error> {
    match timeout(ANSWER_TIMEOUT.saturating_sub(age(service, asked)), work).await {
        Ok(done) => done,
        Err(_) => Err(Error::Busy(SLOW)),
    }
}

/// What a request is answered by.
#[derive(Clone, Copy)]
struct Seen {
    /// What the database has told; `None` if it is asked on the way.
    commit: Option<CommitVersion>,
    /// When it was asked, or would have been.
    asked: Duration,
}

impl Seen {
    fn is_fresh(self, service: &Service) -> bool {
        age(service, self.asked) <= AGE_MAX
    }
}

/// How long ago something was, by the clock that nobody sets.
fn age(service: &Service, since: Duration) -> Duration {
    service.monotonic().saturating_sub(since)
}

/// The request as a record names it.
fn request_ref(target: &MatchedRoute<'_>, id: &str) -> RequestRef {
    RequestRef { id: id.to_owned(), method: target.method.into(), route: target.template.into() }
}

/// The caller; none where nobody is asked who it is. Discovery needs no key and still refuses a bad one.
async fn authenticate(
    request: &HttpRequest,
    shared: &web::Data<Shared>,
    target: &MatchedRoute<'_>,
    id: &str,
) -> Result<Option<(Context, Seen)>, Error> {
    if target.operation.keys() == Keys::Open {
        return Ok(None);
    }
    let token = match auth::bearer(request)? {
        Some(token) => token,
        None if target.operation.keys() == Keys::None => return Ok(None),
        None => return Err(Error::Unauthenticated("a key is required: Authorization: Bearer …")),
    };
    let from = origin::of(request, shared);
    let request = request_ref(target, id);
    let asked = shared.service.monotonic();
    // A database that is part of this process is asked on the way.
    let commit = if shared.service.is_embedded() { None } else { Some(commit_version(&shared.service).await?) };
    let seen = Seen { commit, asked };
    if let Some(context) = commit.and_then(|commit| shared.service.cached(commit).enter(&token, &request, from)) {
        return Ok(Some((context, seen)));
    }
    let enter = move |service: &Service| {
        let context = service.enter(&token, request, from)?;
        keys::rotate::entered(service, &context);
        Ok(context)
    };
    let entered = run_at(&shared.service, commit, Place::Inline, enter);
    let context = if commit.is_some() { in_time(&shared.service, asked, entered).await? } else { entered.await? };
    Ok(Some((context, seen)))
}
