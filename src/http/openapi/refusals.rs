//! What an operation answers when it does not do what was asked: derived from what it is and takes.

use serde_json::{Map, Value, json};

use super::answers::{CHALLENGE, JSON, REQUEST_ID, RETRY_AFTER, refer_to};
use super::contract::Contract;
use super::schemas::{Schemas, add, given};
use crate::domain::Operation;
use crate::domain::operation::{Keys, Surface};
use crate::http::conditions::is_tagged;
use crate::http::error::Problem;
use crate::http::parameters;
use crate::service::error::Conflict;

/// Statuses of refusals: under which name they are described, and what they mean.
const REFUSALS: [(u16, &str, &str); 15] = [
    (400, "Malformed", "The request cannot be understood: its query, its headers, or its body as JSON."),
    (401, "Unauthenticated", "There is no key, or one that does not work."),
    (403, "Forbidden", "The key may not do this, or nobody may, or requests have to come through the proxy."),
    (404, "NotFound", "It does not exist, or the caller may not know that it does."),
    (408, "Timeout", "The body was too long in coming."),
    (409, "Conflict", "What is asked for contradicts what is stored; `code` says how."),
    (412, "PreconditionFailed", "It has another version than If-Match names."),
    (413, "TooLarge", "The body is too large."),
    (414, "UrlTooLong", "The URL is too long."),
    (415, "UnsupportedMediaType", "The body is no JSON by its Content-Type, or is compressed."),
    (422, "Invalid", "A member is not acceptable; `pointer` says which."),
    (429, "RateLimited", "There are too many such requests: try again later."),
    (431, "HeaderTooLarge", "The header fields are too large."),
    (500, "Internal", "The server failed; its log tells why under the id of the request."),
    (503, "Unavailable", "It cannot be served at this moment: try again."),
];

/// The statuses that an operation may refuse with.
fn statuses(operation: Operation, contract: &Contract) -> Vec<u16> {
    let (has_body, surface) = (contract.takes.is_some(), operation.surface());
    let is_named = operation.routes().iter().any(|(_, template)| template.contains("{id}"));
    let is_of_a_moment = parameters::of(operation).iter().any(|one| one.name == parameters::AT.name);
    let may = |status: u16| match status {
        401 => operation.keys() != Keys::Open,
        404 => is_named || matches!(operation, Operation::AccessExplain | Operation::KeyIdentify),
        408 | 413 => has_body,
        409 => !conflicts(operation).is_empty(),
        412 => is_tagged(operation) || (surface == Surface::V1 && operation.writes()),
        // AuthZEN knows one status for whatever is wrong with a body.
        415 => has_body && surface != Surface::AuthZen,
        422 => (has_body || is_of_a_moment) && surface != Surface::AuthZen,
        429 => operation == Operation::KeyExpose,
        503 => operation.keys() != Keys::Open || operation.writes(),
        _ => true,
    };
    REFUSALS.iter().map(|(status, ..)| *status).filter(|status| may(*status)).collect()
}

/// How an operation may contradict what is stored.
fn conflicts(operation: Operation) -> &'static [Conflict] {
    use Conflict::{AheadOfLog, AlreadyExists, AmbiguousName, InUse, LocalPrincipal, NameTaken, NotOfAnAdmin, Renamed};
    match operation {
        Operation::KeyIssue => &[Conflict::OwnerNotActive, Conflict::TooManyKeys],
        Operation::KeyHold | Operation::KeyRelease | Operation::KeyNarrow => {
            &[Conflict::KeyEnded, Conflict::KeyTampered]
        }
        Operation::KeyExtend => {
            &[Conflict::KeyEnded, Conflict::KeyReplaced, Conflict::KeyTampered, Conflict::OwnerNotActive]
        }
        Operation::KeyRotate => {
            use Conflict::{KeyEnded, KeyHeld, KeyReplaced, KeyTampered, OwnerNotActive};
            &[KeyEnded, KeyHeld, KeyReplaced, KeyTampered, OwnerNotActive]
        }
        Operation::KeyRename => &[Conflict::KeyTampered],
        Operation::KeyList => &[AmbiguousName],
        Operation::UserSuspend | Operation::UserDelete => &[LocalPrincipal],
        Operation::KeyRevokeAll => &[AmbiguousName, LocalPrincipal],
        Operation::AgentCreate => &[NameTaken],
        Operation::AgentReplace => &[NameTaken, NotOfAnAdmin],
        Operation::ApiCreate | Operation::RoleCreate | Operation::MappingCreate => &[AlreadyExists],
        Operation::ApiReplace | Operation::ApiDelete | Operation::RoleDelete | Operation::MappingDelete => &[InUse],
        Operation::MappingReplace => &[AlreadyExists, InUse],
        Operation::UserAccess | Operation::AgentAccess | Operation::AccessExplain => &[AmbiguousName, Renamed],
        Operation::Changes => &[AheadOfLog],
        _ => &[],
    }
}

/// The refusals of an operation, by status.
pub(super) fn of(operation: Operation, contract: &Contract) -> Map<String, Value> {
    let answered = |status: &u16| contract.gives.iter().any(|answer| answer.status == *status);
    let statuses = statuses(operation, contract).into_iter().filter(|status| !answered(status));
    let refer = |status: u16| {
        let name = name(status, operation.surface());
        let mut shown = json!({"$ref": format!("#/components/responses/{name}")});
        if status == 409 {
            let codes: Vec<String> = conflicts(operation).iter().map(|one| format!("`{}`", one.name())).collect();
            add(
                &mut shown,
                "description",
                format!("What is asked for contradicts what is stored: {}.", codes.join(", ")),
            );
        }
        (status.to_string(), shown)
    };
    statuses.map(refer).collect()
}

/// The name of a refusal: of AuthZEN, its body is a text.
fn name(status: u16, surface: Surface) -> String {
    let known = REFUSALS.iter().find(|(own, ..)| *own == status).map_or("", |(_, name, _)| name);
    if surface == Surface::AuthZen { format!("{known}Evaluation") } else { known.to_owned() }
}

/// All refusals as Response Objects by name.
pub(super) fn responses(schemas: &mut Schemas) -> Value {
    let problem = given::<Problem>(schemas);
    let sentence = json!({"type": "string", "description": "What is wrong, in a sentence."});
    let mut shown = Map::new();
    for (surface, media_type, schema) in
        [(Surface::V1, "application/problem+json", problem), (Surface::AuthZen, JSON, sentence)]
    {
        for (status, _, what) in REFUSALS {
            let headers: &[&str] = match status {
                401 | 403 => &[CHALLENGE, REQUEST_ID],
                429 | 503 => &[RETRY_AFTER, REQUEST_ID],
                _ => &[REQUEST_ID],
            };
            let content = json!({media_type: {"schema": schema}});
            let response = json!({"description": what, "headers": refer_to(headers), "content": content});
            shown.insert(name(status, surface), response);
        }
    }
    Value::Object(shown)
}
