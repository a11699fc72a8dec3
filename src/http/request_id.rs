//! The id of a request: the client's own, or a new one.

use actix_web::http::header::{HeaderName, HeaderValue};
use actix_web::{HttpRequest, HttpResponse};

use super::Shared;
use super::extract::holds_key;
use crate::domain::operation::Surface;

const REQUEST_ID: &str = "x-request-id";
/// Room for a UUID and no more: the secret of a key is longer, so none can stray into the log.
const REQUEST_ID_MAX: usize = 40;
/// AuthZEN returns whatever it is sent, within reason.
const ECHO_MAX: usize = 256;

/// The client's request id if it is one that can be logged, or a new one.
pub(super) fn of(request: &HttpRequest, shared: &Shared) -> String {
    let sent = request.headers().get(REQUEST_ID).and_then(|value| value.to_str().ok());
    let usable = |id: &&str| {
        (8..=REQUEST_ID_MAX).contains(&id.len())
            && id.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
    };
    sent.filter(usable).map_or_else(|| shared.service.mint().to_string(), str::to_owned)
}

/// The client's request id as an answer of AuthZEN returns it (Authorization API 1.0 §10.1.3): any text but a
/// key. It goes there and nowhere else: what is logged and recorded is [`of`].
pub(super) fn echo(request: &HttpRequest, surface: Surface) -> Option<&str> {
    let sent = request.headers().get(REQUEST_ID)?.to_str().ok()?;
    let usable = surface == Surface::AuthZen && (1..=ECHO_MAX).contains(&sent.len());
    (usable && !holds_key(sent)).then_some(sent)
}

/// Gives the answer its request id.
pub(super) fn name(response: &mut HttpResponse, id: &str) {
    if let Ok(value) = HeaderValue::from_str(id) {
        const NAME: HeaderName = HeaderName::from_static(REQUEST_ID);
        response.headers_mut().insert(NAME, value);
    }
}
