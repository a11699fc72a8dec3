//! One error, rendered as the endpoint's clients expect it: SCIM (RFC 7644 §3.12), AuthZEN (Authorization
//! API 1.0 §10.1.2) or problem+json (RFC 9457).

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::http::header::{CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use schemars::JsonSchema;
use serde::Serialize;

use super::respond::SCIM_JSON;
use crate::domain::operation::Surface;
use crate::domain::secret::without_keys;
use crate::scim;
use crate::service::Error;
use crate::service::error::Conflict;

/// The response to a refused or failed request. The cause of a failure goes to the log, once.
pub(super) fn render(error: &Error, surface: Surface, request_id: &str) -> HttpResponse {
    if error.is_failure() {
        log::error!(request = request_id; "{}", error.causes());
    }
    let failed = matches!(error, Error::Internal(_) | Error::Refused(_));
    let detail = if failed { format!("internal error, request {request_id}") } else { error.to_string() };
    let detail = without_keys(&detail).into_owned();
    let mut response = match surface {
        Surface::Scim => respond(error.status(), SCIM_JSON, &scim::Error { detail, ..error.to_scim() }.body()),
        Surface::AuthZen => respond(authzen_status(error), "application/json", &detail),
        Surface::V1 | Surface::Open | Surface::Host => {
            respond(error.status(), "application/problem+json", &Problem::of(error, detail, request_id))
        }
    };
    let headers = response.headers_mut();
    let mut insert = |name, value: String| {
        if let Ok(value) = value.parse() {
            headers.insert(name, value);
        }
    };
    match error {
        Error::Unauthenticated(_) | Error::KeyRefused(_) | Error::Authorization(_) | Error::Lacking(_) => {
            insert(WWW_AUTHENTICATE, challenge(error));
        }
        Error::RateLimited { retry_after_seconds } | Error::AddressLimited { retry_after_seconds } => {
            insert(RETRY_AFTER, retry_after_seconds.to_string());
        }
        Error::Busy(_) | Error::Crowded | Error::Forked(_) | Error::Unavailable(_) => {
            insert(RETRY_AFTER, "1".to_owned())
        }
        _ => {}
    }
    response
}

/// What a machine is told of the key that it sent or lacks (RFC 6750 §3). Without one there is no error code
/// (§3.1). The texts are ours and need no escapes; all keys that do not work are told the same.
fn challenge(error: &Error) -> String {
    let code = match error {
        Error::KeyRefused(_) => "invalid_token",
        Error::Authorization(_) => "invalid_request",
        Error::Lacking(_) => "insufficient_scope",
        _ => return REALM.to_owned(),
    };
    let scope = if let Error::Lacking(needed) = error { format!(", scope=\"{needed}\"") } else { String::new() };
    format!("{REALM}, error=\"{code}\", error_description=\"{error}\"{scope}")
}

const REALM: &str = "Bearer realm=\"keyroll\"";

/// AuthZEN knows one status for whatever is wrong with a request's body.
fn authzen_status(error: &Error) -> u16 {
    match error.status() {
        415 | 422 => 400,
        other => other,
    }
}

fn respond(status: u16, media_type: &str, body: &impl Serialize) -> HttpResponse {
    HttpResponse::build(StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR))
        .insert_header((CONTENT_TYPE, media_type))
        .body(serde_json::to_string(body).unwrap_or_default())
}

/// What went wrong (RFC 9457).
#[derive(Serialize, JsonSchema)]
pub(super) struct Problem {
    /// `about:blank`: `code` tells more.
    #[serde(rename = "type")]
    kind: &'static str,
    /// The name of the status.
    title: &'static str,
    /// The status of the answer.
    #[schemars(range(min = 400, max = 599))]
    status: u16,
    /// What programs decide by; it stays.
    #[schemars(extend("enum" = codes()))]
    code: &'static str,
    /// What is wrong, in a sentence for people.
    detail: String,
    /// The id of the request, by which the server's log can be searched.
    request_id: String,
    /// The member of the body that is not acceptable, as a JSON Pointer (RFC 6901).
    #[serde(skip_serializing_if = "Option::is_none")]
    pointer: Option<String>,
}

impl Problem {
    fn of(error: &Error, detail: String, request_id: &str) -> Problem {
        let pointer = if let Error::Invalid { pointer, .. } = error { Some(pointer) } else { None };
        Problem {
            kind: "about:blank",
            title: StatusCode::from_u16(error.status()).ok().and_then(|s| s.canonical_reason()).unwrap_or("Error"),
            status: error.status(),
            code: code(error),
            detail,
            request_id: request_id.to_owned(),
            pointer: pointer.map(|pointer| without_keys(pointer).into_owned()),
        }
    }
}

/// The stable code of a problem.
pub(super) fn code(error: &Error) -> &'static str {
    match error {
        Error::Conflict { code, .. } => code.name(),
        Error::Invalid { .. } => INVALID,
        Error::Forked(_) => FORKED,
        other => code_of(other.status()),
    }
}

const INVALID: &str = "invalid";
const FORKED: &str = "log_forked";
const INTERNAL: &str = "internal";

/// The codes that follow from a status.
const CODES: [(u16, &str); 15] = [
    (400, "malformed"),
    (401, "unauthenticated"),
    (403, "forbidden"),
    (404, "not_found"),
    (405, "method_not_allowed"),
    (406, "not_acceptable"),
    (408, "timeout"),
    (412, "precondition_failed"),
    (413, "too_large"),
    (414, "url_too_long"),
    (415, "unsupported_media_type"),
    (429, "rate_limited"),
    (431, "header_too_large"),
    (501, "not_implemented"),
    (503, "unavailable"),
];

/// The code of a status.
pub(super) fn code_of(status: u16) -> &'static str {
    CODES.iter().find(|(own, _)| *own == status).map_or(INTERNAL, |(_, code)| code)
}

/// Every code that a problem can have.
fn codes() -> Vec<&'static str> {
    let by_status = CODES.iter().map(|(_, code)| *code);
    by_status.chain([INVALID, FORKED, INTERNAL]).chain(Conflict::ALL.map(Conflict::name)).collect()
}
