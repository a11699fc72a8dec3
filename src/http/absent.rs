//! The answer where there is no operation.

use actix_web::http::header::{ALLOW, HeaderValue};
use actix_web::{HttpRequest, HttpResponse};

use super::line::{Asked, Line};
use super::run::now;
use super::{Shared, error, extract, origin, request_id};
use crate::domain::Operation;
use crate::domain::operation::Surface;
use crate::service::Error;

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
    let (id, surface) = (request_id::of(request, shared), surface(path));
    let in_url = extract::check_url(request).err();
    let mut response = error::render(in_url.as_ref().unwrap_or(&refusal), surface, &id);
    request_id::name(&mut response, request_id::echo(request, surface).unwrap_or(&id));
    let method = METHODS.into_iter().find(|known| request.method().as_str() == *known);
    let asked = Asked { id: &id, method, target: None, path, from: origin::of(request, shared), started: now() };
    Line::default().write(shared, &asked, &response, in_url.as_ref());
    response
}

/// The surface that a path without an operation would be part of, by its first segment.
fn surface(path: &str) -> Surface {
    fn first(path: &str) -> Option<&str> {
        path.split('/').nth(1)
    }
    let own = first(path);
    let is_near = |operation: &&Operation| operation.routes().iter().any(|(_, template)| first(template) == own);
    Operation::ALL.iter().find(is_near).map_or(Surface::Open, |operation| operation.surface())
}
