//! What a request says: path, query, conditions, media types, body.

use std::borrow::Cow;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use actix_web::http::header::{
    ACCEPT, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, TRANSFER_ENCODING, UPGRADE, USER_AGENT,
};
use actix_web::{HttpRequest, web};
use futures_util::StreamExt;

use super::target::MatchedRoute;
use super::{Shared, conditions};
use crate::domain::Operation;
use crate::domain::operation::Keys;
use crate::domain::secret::PlainKey;
use crate::scim;
use crate::service::Error;
use crate::service::conditions::Conditions;
use crate::service::directory::resources::Wanted;

/// A body larger than this is large: only so many are in memory at once.
const LARGE_BODY_BYTES: usize = 1 << 20;
const LARGE_BODIES_MAX: usize = 4;
/// The body of a request that needs no key: how large it may be, and how long in coming.
const OPEN_BODY_BYTES_MAX: usize = LARGE_BODY_BYTES;
const OPEN_BODY_TIMEOUT: Duration = Duration::from_secs(10);
/// All header fields together.
const HEADER_BYTES_MAX: usize = 16 << 10;
/// Why a URL is refused. One of more than 64 KiB is not even read: the server's own 400 or 431 is for it.
const URL_TOO_LONG: &str = "the URL is too long: it and the header fields may have 65536 bytes, and a filter \
     16384; POST to .search takes what does not fit in a URL";

/// The head of a request, as far as operations look at it.
#[derive(Clone, Debug)]
pub(super) struct Head {
    /// The first variable segment of a SCIM path, or nothing.
    pub(super) endpoint: String,
    /// The `{id}` of the path, percent-decoded.
    pub(super) id: String,
    /// The path, without what does not count.
    pub(super) path: String,
    pub(super) is_post: bool,
    pub(super) query: Vec<(String, String)>,
    /// What is wrong with the first parameter that cannot be read.
    unread: Option<String>,
    pub(super) conditions: Conditions,
    /// The client's program, where that makes a difference.
    pub(super) user_agent: String,
}

impl Head {
    /// Reads the head.
    ///
    /// # Errors
    /// 400 for a key in the URL, which is in logs and histories by now; 414 and 431 for too large a head.
    pub(super) fn read(request: &HttpRequest, target: &MatchedRoute<'_>) -> Result<Head, Error> {
        let bytes: usize = request.headers().iter().map(|(name, value)| name.as_str().len() + value.len() + 4).sum();
        let uri = request.uri();
        let url_bytes = uri.path().len() + uri.query().map_or(0, str::len) + uri.host().map_or(0, str::len);
        if bytes > HEADER_BYTES_MAX {
            return Err(
                scim::Error::status(431, format!("the header fields have more than {HEADER_BYTES_MAX} bytes")).into()
            );
        }
        // RFC 9110 §15.5.15: the target is longer than the server is willing to interpret.
        if bytes + url_bytes > HEADER_BYTES_MAX + scim::filter::Limits::default().bytes_max * 3 {
            return Err(scim::Error::status(414, URL_TOO_LONG).into());
        }
        check_url(request)?;
        let (query, unread) = parameters(request.query_string());
        // The path of the URI: the router replaces what is no UTF-8 without a word.
        if decoded(uri.path()).is_none() {
            return Err(Error::Malformed("path: is not UTF-8".to_owned()));
        }
        let segment = |raw: &str| {
            let text = decoded(raw).ok_or_else(|| Error::Malformed("path: is not UTF-8".to_owned()))?;
            Ok::<String, Error>(text.into_owned())
        };
        Ok(Head {
            endpoint: segment(target.endpoint)?,
            id: segment(target.id)?,
            path: target.path.to_owned(),
            is_post: target.method == "POST",
            query,
            unread,
            conditions: conditions::read(request),
            user_agent: match target.operation {
                Operation::Discover => list(request, &USER_AGENT).unwrap_or_default(),
                _ => String::new(),
            },
        })
    }

    /// Refuses a query that cannot be read: what is left out of it might ask for something else.
    ///
    /// # Errors
    /// 400, naming the parameter.
    pub(super) fn check_query(&self) -> Result<(), Error> {
        self.unread.clone().map_or(Ok(()), |detail| Err(Error::Malformed(detail)))
    }

    /// A query parameter.
    pub(super) fn parameter(&self, name: &str) -> Option<&str> {
        self.query.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// `attributes` and `excludedAttributes`.
    pub(super) fn wanted(&self) -> Result<Wanted, Error> {
        let request = scim::message::SearchRequest::from_query(
            &self
                .query
                .iter()
                .filter(|(name, _)| name.to_ascii_lowercase().ends_with("attributes"))
                .cloned()
                .collect::<Vec<_>>(),
        )?;
        Ok(Wanted { attributes: request.attributes, excluded_attributes: request.excluded_attributes })
    }
}

/// Refuses a key anywhere in the URL, however it is written there.
///
/// # Errors
/// 400: it is in logs and histories by now.
pub(super) fn check_url(request: &HttpRequest) -> Result<(), Error> {
    let url = request.uri().to_string();
    let mut text = Cow::Borrowed(url.as_str());
    // What somebody encoded twice, somebody else decodes once before it is logged.
    for _ in 0..=2 {
        if holds_key(&text) {
            let detail = "a key must not be in a URL: revoke it, it is in logs by now";
            return Err(Error::Malformed(detail.to_owned()));
        }
        if !text.contains('%') {
            break;
        }
        text = Cow::Owned(percent_encoding::percent_decode_str(&text).decode_utf8_lossy().into_owned());
    }
    Ok(())
}

/// The parameters of a query, and what is wrong with the first that is no UTF-8: replaced, its bytes would ask for
/// something else. Where blanks are written as `%20`, a plus is a plus (RFC 3986 §3.4); elsewhere it is a blank, as
/// forms write it.
fn parameters(query: &str) -> (Vec<(String, String)>, Option<String>) {
    let is_form = !query.contains("%20");
    let text = |raw: &str| match is_form && raw.contains('+') {
        true => decoded(&raw.replace('+', " ")).map(Cow::into_owned),
        false => decoded(raw).map(Cow::into_owned),
    };
    let parameter = |pair: &str| {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let name = text(name).ok_or_else(|| "a parameter's name is not UTF-8".to_owned())?;
        let value = text(value).ok_or_else(|| format!("{name}: is not UTF-8"))?;
        Ok((name, value))
    };
    let (mut read, mut unread) = (vec![], None);
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        match parameter(pair) {
            Ok(pair) => read.push(pair),
            Err(detail) => drop(unread.get_or_insert(detail)),
        }
    }
    (read, unread)
}

/// A percent-encoded text; `None` if it is no UTF-8.
fn decoded(raw: &str) -> Option<Cow<'_, str>> {
    percent_encoding::percent_decode_str(raw).decode_utf8().ok()
}

/// Whether a key stands anywhere in a text, alone or inside a filter.
pub(super) fn holds_key(text: &str) -> bool {
    let words = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    words.filter(|word| word.starts_with("kr")).any(|word| PlainKey::parse(word).is_some())
}

/// The values of a header that may be a list or stand several times. One that is no text stays a value.
pub(super) fn list(request: &HttpRequest, name: &actix_web::http::header::HeaderName) -> Option<String> {
    let values: Vec<_> =
        request.headers().get_all(name).map(|value| String::from_utf8_lossy(value.as_bytes())).collect();
    (!values.is_empty()).then(|| values.join(", "))
}

/// Refuses a request whose `Accept` no JSON can satisfy (RFC 7644 §3.8).
pub(super) fn check_accept(request: &HttpRequest) -> Result<(), Error> {
    let Some(accept) = list(request, &ACCEPT) else { return Ok(()) };
    let known = ["*/*", "application/*", "application/scim+json", "application/json"];
    let wants = |range: &str| {
        let kind = range.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        kind.is_empty() || known.contains(&kind.as_str())
    };
    if accept.split(',').any(wants) {
        return Ok(());
    }
    Err(scim::Error::status(406, "Accept: only application/scim+json and application/json can be had").into())
}

/// Reads the body, within its limits: media type, size, time, and how many large ones there are.
///
/// A large body comes with a permit, to be kept as long as anything of it is in memory.
pub(super) async fn body(
    request: &HttpRequest,
    payload: &mut web::Payload,
    shared: &Shared,
    operation: Operation,
) -> Result<(web::Bytes, Option<Permit>), Error> {
    let timeout = match operation {
        Operation::Bulk => shared.settings.job,
        _ if operation.keys() == Keys::Open => shared.settings.body.min(OPEN_BODY_TIMEOUT),
        _ => shared.settings.body,
    };
    match actix_web::rt::time::timeout(timeout, read_body(request, payload, shared, operation)).await {
        Ok(result) => result,
        Err(_) => {
            let detail = format!("the body did not arrive in {} seconds", timeout.as_secs());
            Err(scim::Error::status(408, detail).into())
        }
    }
}

async fn read_body(
    request: &HttpRequest,
    payload: &mut web::Payload,
    shared: &Shared,
    operation: Operation,
) -> Result<(web::Bytes, Option<Permit>), Error> {
    let max = shared.service.settings().limits.body_bytes_max;
    let max = if operation.keys() == Keys::Open { max.min(OPEN_BODY_BYTES_MAX) } else { max };
    let too_large = || {
        let detail = format!("the body has more than {max} bytes: maxPayloadSize is {max}");
        Error::from(scim::Error::status(413, detail))
    };
    let length = request.headers().get(CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<usize>().ok());
    if length.is_some_and(|length| length > max) {
        return Err(too_large());
    }
    let headers = request.headers();
    // Behind `Upgrade` the rest of the connection would be the body, and it has no end.
    if headers.contains_key(UPGRADE) && length.is_none() && !headers.contains_key(TRANSFER_ENCODING) {
        return Ok((web::Bytes::new(), None));
    }
    let mut bytes = web::BytesMut::new();
    let mut permit = None;
    while let Some(chunk) = payload.next().await {
        let chunk = chunk.map_err(|_| Error::Malformed("the body was cut off".to_owned()))?;
        // What comes with a DELETE has no meaning (RFC 9110 §9.3.5), of whatever kind it is.
        if bytes.is_empty() && !chunk.is_empty() && operation != Operation::Delete {
            check_content(request)?;
        }
        if bytes.len() + chunk.len() > max {
            return Err(too_large());
        }
        if permit.is_none() && bytes.len() + chunk.len() > LARGE_BODY_BYTES {
            permit = Some(Permit::take(&shared.large_bodies)?);
            // All at once: growing by doubling would take twice as much for a while.
            bytes.reserve(length.unwrap_or(0).saturating_sub(bytes.len()));
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok((bytes.freeze(), permit))
}

fn check_content(request: &HttpRequest) -> Result<(), Error> {
    let unsupported = |detail: &str| Error::from(scim::Error::status(415, detail));
    let encoding = list(request, &CONTENT_ENCODING).unwrap_or_default();
    if !encoding.is_empty() && !encoding.eq_ignore_ascii_case("identity") {
        return Err(unsupported("Content-Encoding: compressed bodies are not accepted"));
    }
    let kind = list(request, &CONTENT_TYPE).unwrap_or_default().to_ascii_lowercase();
    let kind = kind.split(';').next().unwrap_or_default().trim();
    if ["", "application/scim+json", "application/json"].contains(&kind) {
        return Ok(());
    }
    Err(unsupported("Content-Type: expected application/scim+json or application/json"))
}

/// The right to hold a large body in memory.
pub(super) struct Permit(Arc<AtomicUsize>);

impl Permit {
    fn take(count: &Arc<AtomicUsize>) -> Result<Permit, Error> {
        let permit = Permit(Arc::clone(count));
        if count.fetch_add(1, Ordering::AcqRel) < LARGE_BODIES_MAX {
            return Ok(permit);
        }
        Err(Error::Busy("too many large bodies at once: try again"))
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}
