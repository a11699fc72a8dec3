//! The access log: the one line that the server logs about a request: who asked from where for what, what it came to, and why
//! not. Nothing that a client sent is in it but ids, addresses, the names of attributes that nobody has, and those of apis
//! and roles that there are.

use std::cell::RefCell;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Instant;

use actix_web::HttpResponse;
use actix_web::http::header::{CONTENT_LOCATION, LOCATION};

use super::failures::Source;
use super::minutes::tell_failures;
use super::target::MatchedRoute;
use super::wording::wording;
use super::{Shared, error};
use crate::domain::operation::Keys;
use crate::domain::{Id, Operation};
use crate::service::dead::Dead;
use crate::service::noted::Noted;
use crate::service::{Context, Error, registry};

/// What is known of a request by the time that it is answered.
#[derive(Default)]
pub(super) struct Line {
    who: RefCell<Option<Who>>,
}

/// Whoever proved a key.
#[derive(Clone)]
struct Who {
    key: Id,
    kind: &'static str,
    connection: Option<String>,
    noted: Arc<Noted>,
}

impl Line {
    /// Notes who asks.
    pub(super) fn identify(&self, context: &Context) {
        let Some(holder) = context.caller.key() else { return };
        let connection = holder.connection.as_ref().map(|connection| connection.name.clone());
        let kind = if connection.is_some() { "connection" } else { holder.owner.kind.name() };
        let who = Who { key: holder.credential, kind, connection, noted: Arc::clone(&context.noted) };
        *self.who.borrow_mut() = Some(who);
    }

    /// Writes the line.
    pub(super) fn write(&self, shared: &Shared, ask: &Asked<'_>, response: &HttpResponse, refused: Option<&Error>) {
        let dead = match refused {
            Some(Error::KeyRefused(dead)) => dead.as_deref(),
            _ => None,
        };
        let level = level(shared, ask, refused, dead);
        if level > log::max_level() {
            return;
        }
        let status = response.status().as_u16();
        let who = self.who.borrow().clone();
        let told = who.as_ref().map(|who| who.noted.told()).unwrap_or_default();
        // What a failure had recorded was not kept.
        let span = told.span.filter(|_| status < 500);
        let failed = told.failed.as_ref();
        // Of what was refused nothing is known to be one.
        let subject = told.subject.filter(|_| status < 300);
        let header = |name: &str| response.headers().get(name).and_then(|value| value.to_str().ok());
        let key = who.as_ref().map(|who| who.key).or(dead.map(|dead| dead.key)).map(|id| id.to_string());
        let of_dead = dead.and_then(|dead| Some(dead.connection.as_ref()?.name.clone()));
        log::log!(
            level,
            request = ask.id, method = ask.method, route = ask.target.map(|target| target.template),
            path = ask.absent_path(status).map(place), status, micros = ask.started.elapsed().as_micros() as u64,
            from = ask.from.map(|ip| ip.to_string()),
            key, by = who.as_ref().map(|who| who.kind),
            connection = who.as_ref().and_then(|who| who.connection.clone()).or(of_dead),
            resource_type = ask.target.and_then(resource_type),
            resource = resource(ask.target, response).map(|id| id.to_string()).or(subject),
            verdict = told.judged.map(|(verdict, _)| verdict.code()),
            verified = told.judged.and_then(|(_, key)| key).map(|id| id.to_string()),
            code = refused.map(code),
            why = refused.and_then(why).or_else(|| failed.map(|(_, error)| wording(&error.detail, &error.names))),
            key_status = dead.map(|dead| dead.verdict.code()),
            key_since = dead.and_then(|dead| dead.since).map(|at| at.to_rfc3339_opts(chrono::SecondsFormat::Secs, true)),
            tolerances = header("keyroll-tolerance"),
            seq = span.map(|(first, _)| first), seq_last = span.filter(|(first, last)| first < last).map(|(_, last)| last),
            outcomes = told.outcomes, first_failed = failed.map(|(place, _)| place);
            "{}", ask.target.map_or("no such endpoint or method", |target| target.operation.name())
        );
    }
}

/// The request that a line is about.
pub(super) struct Asked<'r> {
    pub(super) id: &'r str,
    /// One of those that are known, or nothing: any other is the client's own word.
    pub(super) method: Option<&'static str>,
    /// `None` for what no operation answers.
    pub(super) target: Option<&'r MatchedRoute<'r>>,
    pub(super) path: &'r str,
    pub(super) from: Option<IpAddr>,
    pub(super) started: Instant,
}

impl Asked<'_> {
    /// The path, if its template does not say what was asked for: it is none of ours, or names a type that is none.
    fn absent_path(&self, status: u16) -> Option<&str> {
        let is_known = |target: &MatchedRoute<'_>| {
            !matches!(status, 404 | 405) || target.endpoint.is_empty() || resource_type(target).is_some()
        };
        (!self.target.is_some_and(is_known)).then_some(self.path)
    }
}

/// A path that nobody serves, as far as it may be a slip of the pen: an address, a name with a dot, and whatever is
/// as long as a key's secret stay out.
fn place(path: &str) -> String {
    let is_plain = |part: &str| {
        let name = part.strip_prefix('.').unwrap_or(part);
        name.len() <= SEGMENT_MAX && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
    };
    let shown =
        |part: &str| if is_plain(part) || Id::parse(part).is_some() { part.to_owned() } else { "…".to_owned() };
    // The root's own slash is no part of it any more.
    let path = if path.is_empty() { "/" } else { path };
    path.split('/').take(SEGMENTS_MAX).map(shown).collect::<Vec<_>>().join("/")
}

/// Longer than what a path of ours is made of, and much shorter than a secret.
const SEGMENT_MAX: usize = 24;
const SEGMENTS_MAX: usize = 12;

/// Probes are for who looks for them; a failure of authentication is told once a minute, and aloud if it is a key
/// that has ended.
fn level(shared: &Shared, ask: &Asked<'_>, refused: Option<&Error>, dead: Option<&Dead>) -> log::Level {
    let is_probe = matches!(ask.target.map(|target| target.operation), Some(Operation::Health | Operation::Ready));
    let source = match (refused, dead) {
        (_, Some(dead)) => Source::Key(dead.key),
        (Some(Error::KeyRefused(_) | Error::Unauthenticated(_) | Error::Authorization(_)), None) => {
            Source::Address(ask.from)
        }
        _ if is_probe => return log::Level::Debug,
        _ => return log::Level::Info,
    };
    if !shared.failures.is_first(source, refused.map_or("", unauthenticated), ask.started, tell_failures) {
        return log::Level::Debug;
    }
    if dead.is_some() { log::Level::Warn } else { log::Level::Info }
}

/// Why somebody is not let in, in words of ours.
fn unauthenticated(error: &Error) -> &'static str {
    match error {
        Error::Unauthenticated(why) | Error::Authorization(why) => why,
        _ => NOT_VALID,
    }
}

/// All that is told of a key that nobody has.
const NOT_VALID: &str = "the key is not valid";

/// The type that a SCIM path names.
fn resource_type(target: &MatchedRoute<'_>) -> Option<&'static str> {
    registry().by_endpoint(target.endpoint).map(|one| &*one.name)
}

/// The resource that a path names, or that the answer does if it is a new one. Only ids of ours: whatever else
/// stands there, the client chose.
fn resource(target: Option<&MatchedRoute<'_>>, response: &HttpResponse) -> Option<Id> {
    let target = target.filter(|target| target.operation.keys() != Keys::Open)?;
    let location = |name| response.headers().get(name)?.to_str().ok()?.rsplit('/').next();
    Id::parse(target.id).or_else(|| Id::parse(location(LOCATION).or_else(|| location(CONTENT_LOCATION))?))
}

/// What kind of refusal it is.
fn code(error: &Error) -> &'static str {
    match error {
        Error::Scim(error) => error.scim_type.map_or_else(|| error::code_of(error.status), |kind| kind.name()),
        other => error::code(other),
    }
}

/// Why: the detail that the client got, with nothing in it but words of ours. A failure's cause is in a line of
/// its own.
fn why(error: &Error) -> Option<String> {
    match error {
        Error::Internal(_) | Error::Refused(_) => None,
        Error::KeyRefused(dead) => dead.is_none().then(|| NOT_VALID.to_owned()),
        // All of it is ours.
        Error::Forked(_) => Some(error.to_string()),
        other => Some(wording(&other.to_string(), other.names())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_that_forked_is_told_whole() {
        let error = Error::Forked(17);
        let told = why(&error).unwrap();
        assert!(told.starts_with("the log forked after record 17: what was acknowledged after it is lost"), "{told}");
        assert!(told.ends_with("(keyroll log accept-fork --at 17)"), "{told}");
    }

    #[test]
    fn a_path_that_nobody_serves_holds_no_value() {
        for (path, expected) in [
            ("", "/"),
            ("/", "/"),
            ("/scim/v2/User", "/scim/v2/User"),
            ("/v1/key/01939e7a-5b1c-7def-8abc-0123456789ab/", "/v1/key/01939e7a-5b1c-7def-8abc-0123456789ab/"),
            ("/.well-known/scim", "/.well-known/scim"),
            ("/Users/mira.okafor@example.com", "/Users/…"),
            ("/kru_000000TEST01_003aUlTJC7tjlCTQj2uNU3MFagCXG9LRKRcwGkBIDlf0PZbtz/x", "/…/x"),
            ("/a b\n/ü", "/…/…"),
        ] {
            assert_eq!(place(path), expected);
        }
        assert_eq!(place(&"/x".repeat(10_000)).len(), 2 * (SEGMENTS_MAX - 1));
    }
}
