//! The one line that the server logs about a request: who asked from where for what, what it came to, and why
//! not. Nothing that a client sent is in it but ids and addresses.

use std::cell::RefCell;
use std::collections::HashSet;
use std::net::IpAddr;
use std::sync::{Arc, LazyLock};
use std::time::Instant;

use actix_web::HttpResponse;
use actix_web::http::header::{CONTENT_LOCATION, LOCATION};

use super::failures::Source;
use super::routes::Target;
use super::{Shared, error};
use crate::domain::operation::Keys;
use crate::domain::{Id, Operation};
use crate::service::authenticate::Dead;
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
        let noted = who.as_ref().map(|who| &who.noted);
        // What a failure had recorded was not kept.
        let span = noted.and_then(|noted| noted.span()).filter(|_| status < 500);
        let header = |name: &str| response.headers().get(name).and_then(|value| value.to_str().ok());
        let key = who.as_ref().map(|who| who.key).or(dead.map(|dead| dead.key)).map(|id| id.to_string());
        let of_dead = dead.and_then(|dead| Some(dead.connection.as_ref()?.name.clone()));
        log::log!(
            level,
            request = ask.id, method = ask.method, route = ask.target.map(|target| target.template),
            status, micros = ask.started.elapsed().as_micros() as u64,
            from = ask.from.map(|ip| ip.to_string()),
            key, by = who.as_ref().map(|who| who.kind),
            connection = who.as_ref().and_then(|who| who.connection.clone()).or(of_dead),
            resource_type = ask.target.and_then(resource_type),
            resource = resource(ask.target, response).map(|id| id.to_string()),
            code = refused.map(code), why = refused.and_then(why),
            key_status = dead.map(|dead| dead.verdict.code()),
            key_since = dead.and_then(|dead| dead.since).map(|at| at.to_rfc3339_opts(chrono::SecondsFormat::Secs, true)),
            tolerances = header("keyroll-tolerance"),
            seq = span.map(|(first, _)| first), seq_last = span.filter(|(first, last)| first < last).map(|(_, last)| last),
            outcomes = noted.and_then(|noted| noted.outcomes());
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
    pub(super) target: Option<&'r Target<'r>>,
    pub(super) from: Option<IpAddr>,
    pub(super) started: Instant,
}

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
    if !shared.failures.is_first(source, ask.started) {
        return log::Level::Debug;
    }
    if dead.is_some() { log::Level::Warn } else { log::Level::Info }
}

/// The type that a SCIM path names.
fn resource_type(target: &Target<'_>) -> Option<&'static str> {
    registry().by_endpoint(target.endpoint).map(|one| &*one.name)
}

/// The resource that a path names, or that the answer does if it is a new one. Only ids of ours: whatever else
/// stands there, the client chose.
fn resource(target: Option<&Target<'_>>, response: &HttpResponse) -> Option<Id> {
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
    let shown = !matches!(error, Error::Internal(_) | Error::Refused(_) | Error::KeyRefused(_));
    shown.then(|| wording(&error.to_string()))
}

/// The words that refusals are made of, and the names of attributes that schemas have. None of them says anything
/// about anybody, so that a text of these words alone holds no value, whoever chose it.
static WORDS: LazyLock<HashSet<&'static str>> =
    LazyLock::new(|| include_str!("words.txt").split_whitespace().collect());

/// More words than any detail of ours has.
const WORDS_MAX: usize = 60;

/// A text without what is not among the words.
fn wording(detail: &str) -> String {
    let mut text = String::new();
    for word in detail.split_whitespace().take(WORDS_MAX) {
        let core = word.trim_matches(|c: char| ".,:;()\"'[]…".contains(c));
        let known = core.is_empty() && word.len() <= 3
            || WORDS.contains(core)
            // Which permission is missing is ours to name; its parts may be an admin's.
            || core.starts_with("keyroll:") && core.split(':').skip(1).all(|part| part == "*" || WORDS.contains(part));
        if known {
            text.push_str(word);
        } else if !text.ends_with("… ") {
            text.push('…');
        } else {
            continue;
        }
        text.push(' ');
    }
    text.truncate(text.trim_end().len());
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wording_keeps_our_words_and_no_value() {
        for (detail, expected) in [
            ("filter: expected an operator at column 12", "filter: expected an operator at column …"),
            ("this key does not hold keyroll:users:read", "this key does not hold keyroll:users:read"),
            ("path: Mira.Okafor+x@ex.test names no resource type", "path: … names no resource type"),
            ("userName \"Mira Okafor, 12 High Street\" is taken", "userName … is taken"),
            ("not found", "not found"),
            ("userName: expected a string, got 555-0100", "userName: expected a string, got …"),
            ("a\nb", "a …"),
        ] {
            assert_eq!(wording(detail), expected);
        }
        assert!(wording(&"x ".repeat(100_000)).len() < 10);
    }

    #[test]
    fn no_word_is_a_name() {
        for name in ["mira", "mark", "will", "grant", "Mira", "Ann", "hunter2", "@", "0"] {
            assert!(!WORDS.contains(name), "{name}");
        }
        assert!(WORDS.iter().all(|word| word.chars().all(|c| c.is_ascii_alphabetic() || "_-'$.".contains(c))));
    }
}
