//! The one path that every request takes.

use std::panic::AssertUnwindSafe;
use std::pin::pin;
use std::time::Instant;

use actix_web::http::Method;
use actix_web::http::header::{ALLOW, HeaderName, HeaderValue};
use actix_web::rt::time::timeout;
use actix_web::{HttpRequest, HttpResponse, web};
use futures_util::FutureExt;
use futures_util::future::poll_immediate;

use super::line::{Asked, Line};
use super::respond::Reply;
use super::routes::Target;
use super::{
    AGE_MAX, ANSWER_TIMEOUT, SLOW, Shared, auth, error, extract, look, operations, origin, recall, routes, v1,
};
use crate::domain::Operation;
use crate::domain::log::RequestRef;
use crate::domain::operation::{Keys, Place, Surface};
use crate::service::{Context, Error, Service, Told, authorize};

pub(super) const REQUEST_ID: &str = "x-request-id";
/// Room for a UUID and no more: the secret of a key is longer, so none can stray into the log.
const REQUEST_ID_MAX: usize = 40;
/// AuthZEN returns whatever it is sent, within reason.
const ECHO_MAX: usize = 256;

/// What an operation is called with.
#[derive(Clone)]
pub(super) struct Call {
    pub(super) operation: Operation,
    /// `None` only where no key is needed and none was sent.
    pub(super) context: Option<Context>,
    pub(super) request: extract::Head,
    pub(super) body: web::Bytes,
    /// What the database told once all of it was there; `None` if it is asked on the way.
    pub(super) told: Option<Told>,
}

impl Call {
    /// Who asks; a route that needs a key has one by now.
    pub(super) fn context(&self) -> Result<&Context, Error> {
        self.context.as_ref().ok_or(Error::Unauthenticated("a key is required"))
    }

    /// What memory may answer this by, if that is worth trying.
    pub(super) fn told_for(&self, place: Place) -> Option<Told> {
        self.told.filter(|_| place == Place::Inline)
    }
}

/// Answers one request, whatever happens, and logs one line about it: the route, never the URL.
pub(super) async fn handle(
    request: &HttpRequest,
    payload: &mut web::Payload,
    shared: &web::Data<Shared>,
    target: &Target<'_>,
    known: &mut bool,
) -> HttpResponse {
    let started = now();
    let surface = target.operation.surface();
    let id = request_id(request, shared);
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
    name(&mut response, echo(request, surface).unwrap_or(&id));
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
    target: &Target<'_>,
    id: &str,
    known: &mut bool,
    line: &Line,
) -> Result<Reply, Error> {
    let (operation, surface) = (target.operation, target.operation.surface());
    if !shared.admits(request.peer_addr().map(|address| address.ip())) {
        return Err(Error::Forbidden("connect through the proxy".to_owned()));
    }
    let head = extract::Head::read(request, target)?;
    let (mut context, mut seen) = authenticate(request, shared, target, id).await?.unzip();
    *known = context.is_some();
    context.iter().for_each(|context| line.identify(context));
    if !context.as_ref().is_some_and(|context| bears_with_answers(shared, target, context)) {
        head.check_query()?;
        if surface == Surface::Scim {
            extract::check_accept(request)?;
        }
    }
    if surface == Surface::Scim {
        if let Some(context) = &context {
            shared.service.count_request(&context.caller)?;
        }
    } else if let Some(context) = &context {
        // Who may not is not told what is wrong with the body.
        authorize(&context.caller, operation, None)?;
    }
    if surface == Surface::V1 {
        v1::check_parameters(operation, &head)?;
    }
    let mut read = pin!(extract::body(request, payload, shared, operation));
    let (body, _permit) = match poll_immediate(&mut read).await {
        Some(body) => body?,
        // Whoever has shown no key asks what has no body: nobody waits for one.
        None if context.is_none() => (web::Bytes::new(), None),
        None => {
            let body = read.await?;
            // It may have been long in coming: who asks, and by what, is looked at again.
            *known = false;
            (context, seen) = authenticate(request, shared, target, id).await?.unzip();
            *known = context.is_some();
            context.iter().for_each(|context| line.identify(context));
            body
        }
    };
    let told = |seen: Option<Seen>| seen.and_then(|seen| seen.told);
    let first = Call { operation, context, request: head, body: body.clone(), told: told(seen) };
    let reply = carry_out(request, shared, first, seen).await?;
    if seen.is_none_or(Seen::is_fresh) || changes(operation) {
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
    let second = Call { operation, context, request: head, body, told: told(seen) };
    let reply = carry_out(request, shared, second, seen).await?;
    if seen.is_none_or(Seen::is_fresh) { Ok(reply) } else { Err(Error::Busy(SLOW)) }
}

/// Whether a change is carried out though what its answer should look like cannot be had: nobody lives on for that.
/// RFC 9110 §12.5.1 lets a server disregard Accept, and of a query only what shapes the answer concerns a change.
fn bears_with_answers(shared: &Shared, target: &Target<'_>, context: &Context) -> bool {
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
    match seen.filter(|seen| seen.told.is_some() && is_quick) {
        Some(seen) => in_time(seen.asked, answer).await,
        None => answer.await,
    }
}

/// Ends what takes longer than it may, from the first question on.
async fn in_time<T>(asked: Instant, work: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
    match timeout(ANSWER_TIMEOUT.saturating_sub(asked.elapsed()), work).await {
        Ok(done) => done,
        Err(_) => Err(Error::Busy(SLOW)),
    }
}

/// What a request is answered by.
#[derive(Clone, Copy)]
struct Seen {
    /// What the database has told; `None` if it is asked on the way.
    told: Option<Told>,
    /// When it was asked, or would have been.
    asked: Instant,
}

impl Seen {
    fn is_fresh(self) -> bool {
        self.asked.elapsed() <= AGE_MAX
    }
}

/// The caller; none where nobody is asked who it is. Discovery needs no key and still refuses a bad one.
async fn authenticate(
    request: &HttpRequest,
    shared: &web::Data<Shared>,
    target: &Target<'_>,
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
    let request = RequestRef { id: id.to_owned(), method: target.method.into(), route: target.template.into() };
    let asked = now();
    // A database that is part of this process is asked on the way.
    let told = if shared.service.is_embedded() { None } else { Some(look(&shared.service).await?) };
    let enter = move |service: &Service| service.enter(&token, request.clone());
    let entered = recall(&shared.service, told, Place::Inline, enter);
    let context = if told.is_some() { in_time(asked, entered).await? } else { entered.await? };
    Ok(Some((context, Seen { told, asked })))
}

/// The client's request id if it is one that can be logged, or a new one.
fn request_id(request: &HttpRequest, shared: &Shared) -> String {
    let sent = request.headers().get(REQUEST_ID).and_then(|value| value.to_str().ok());
    let usable = |id: &&str| {
        (8..=REQUEST_ID_MAX).contains(&id.len())
            && id.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
    };
    sent.filter(usable).map_or_else(|| shared.service.mint().to_string(), str::to_owned)
}

/// The client's request id as an answer of AuthZEN returns it (Authorization API 1.0 §10.1.3): any text but a
/// key. It goes there and nowhere else: what is logged and recorded is [`request_id`].
fn echo(request: &HttpRequest, surface: Surface) -> Option<&str> {
    let sent = request.headers().get(REQUEST_ID)?.to_str().ok()?;
    let usable = surface == Surface::AuthZen && (1..=ECHO_MAX).contains(&sent.len());
    (usable && !extract::holds_key(sent)).then_some(sent)
}

#[expect(clippy::disallowed_methods, reason = "the home of the request timer")]
pub(super) fn now() -> Instant {
    Instant::now()
}

/// 405, with what is allowed (RFC 9110 §15.5.6).
pub(super) fn method_not_allowed(request: &HttpRequest, shared: &Shared, path: &str, allow: &str) -> HttpResponse {
    let mut response = absent(request, shared, path, refusal(405, "this method is not allowed here"));
    if let (Ok(value), 405) = (HeaderValue::from_str(allow), response.status().as_u16()) {
        response.headers_mut().insert(ALLOW, value);
    }
    response
}

/// 404 for a path that no operation has.
pub(super) fn not_found(request: &HttpRequest, shared: &Shared, path: &str) -> HttpResponse {
    absent(request, shared, path, refusal(404, "there is no such endpoint"))
}

/// Methods that have a name (RFC 9110 §9.3, RFC 5789).
const METHODS: [&str; 9] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT"];

fn refusal(status: u16, detail: &str) -> Error {
    crate::scim::Error::status(status, detail).into()
}

/// The answer where there is no operation, and one line about it. A method that nobody has heard of is the client's
/// own word: it stays out. A key in the URL is in logs by now, wherever it leads.
fn absent(request: &HttpRequest, shared: &Shared, path: &str, refusal: Error) -> HttpResponse {
    let (id, surface) = (request_id(request, shared), routes::surface(path));
    let in_url = extract::check_url(request).err();
    let mut response = error::render(in_url.as_ref().unwrap_or(&refusal), surface, &id);
    name(&mut response, echo(request, surface).unwrap_or(&id));
    let method = METHODS.into_iter().find(|known| request.method().as_str() == *known);
    let asked = Asked { id: &id, method, target: None, path, from: origin::of(request, shared), started: now() };
    Line::default().write(shared, &asked, &response, in_url.as_ref());
    response
}

/// Gives the answer its request id.
fn name(response: &mut HttpResponse, id: &str) {
    if let Ok(value) = HeaderValue::from_str(id) {
        const NAME: HeaderName = HeaderName::from_static(REQUEST_ID);
        response.headers_mut().insert(NAME, value);
    }
}
