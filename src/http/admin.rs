//! Beside SCIM: keys, people, verification; and the server's own health.

use serde_json::{Value, json};

use super::handle::Call;
use super::respond::Reply;
use super::{Shared, agents, authzen, catalogue, recall};
use crate::domain::Operation;
use crate::domain::operation::{Keys, Place};
use crate::scim::json::{self, Limits};
use crate::service::credentials::Filter;
use crate::service::{Error, Service};

/// The longest body that is read on the thread that took the request.
const INLINE_BODY_BYTES: usize = 64 << 10;

/// Answers a request beside SCIM.
pub(super) async fn answer(shared: &Shared, call: Call) -> Result<Reply, Error> {
    if call.operation.keys() == Keys::Open && call.operation.place() == Place::Inline {
        // No database is asked: while it hangs, so may every thread of the pool.
        return carry_out(&shared.service, &call);
    }
    // A large body takes longer to read than any look-up that follows.
    let place = if call.body.len() > INLINE_BODY_BYTES { Place::Blocking } else { call.operation.place() };
    recall(&shared.service, call.told_for(place), place, move |service| carry_out(service, &call)).await
}

fn carry_out(service: &Service, call: &Call) -> Result<Reply, Error> {
    let request = &call.request;
    // RFC 9110 §13.1.1: what has no tag matches none, and nothing may be done.
    let is_named = request.conditions.if_match.as_deref().is_some_and(|tags| tags.trim() != "*");
    if is_named && call.operation.writes() && !catalogue::is_tagged(call.operation) {
        return Err(Error::PreconditionFailed("If-Match: what is written here has no tag"));
    }
    let ok = |value: Value| Ok(Reply::json(200, &value));
    match call.operation {
        Operation::Health => ok(json!({"status": "ok"})),
        Operation::SigningKeys => Ok(Reply::public("application/jwk-set+json", service.signing_keys())),
        Operation::Whoami => ok(service.whoami(call.context()?)),
        Operation::KeyIssue => Ok(Reply::json(201, &service.issue_key(call.context()?, &body(call)?)?)),
        Operation::KeyList => {
            let filter = Filter {
                owner: request.parameter("owner"),
                class: request.parameter("class"),
                status: request.parameter("status"),
                expires_before: request.parameter("expires_before"),
            };
            ok(service.list_keys(call.context()?, &filter, request.count()?, request.cursor())?)
        }
        Operation::KeyRead => ok(service.read_key(call.context()?, &request.id)?),
        Operation::KeyRevoke => {
            let body = optional_body(call)?;
            only(&body, &["reason"])?;
            ok(service.revoke_key(call.context()?, &request.id, text(&body, "reason")?)?)
        }
        Operation::KeyVerify => ok(service.verify(call.context()?, &body(call)?)?),
        Operation::UserList => ok(service.list_users(call.context()?, request.count()?, request.cursor())?),
        Operation::UserRead => ok(service.read_user(call.context()?, &request.id)?),
        Operation::UserSuspend | Operation::UserActivate => {
            let (body, hold) = (optional_body(call)?, call.operation == Operation::UserSuspend);
            only(&body, &["reason"])?;
            ok(service.hold_user(call.context()?, &request.id, hold, text(&body, "reason")?)?)
        }
        Operation::UserDelete => {
            service.delete_user(call.context()?, &request.id)?;
            Ok(Reply::empty(204))
        }
        _ => {
            for carry_out in [agents::carry_out, catalogue::carry_out, authzen::carry_out] {
                if let Some(reply) = carry_out(service, call)? {
                    return Ok(reply);
                }
            }
            Err(Error::NotFound)
        }
    }
}

pub(super) fn body(call: &Call) -> Result<Value, Error> {
    let value: Value = json::parse(&call.body, &Limits::default())?;
    if value.is_object() { Ok(value) } else { Err(Error::Malformed("the body must be a JSON object".to_owned())) }
}

pub(super) fn optional_body(call: &Call) -> Result<Value, Error> {
    if call.body.is_empty() { Ok(json!({})) } else { body(call) }
}

/// Refuses a body with members that nobody looks at.
pub(super) fn only(body: &Value, known: &[&str]) -> Result<(), Error> {
    match body.as_object().into_iter().flatten().find(|(name, _)| !known.contains(&name.as_str())) {
        Some((unknown, _)) => Err(Error::invalid(format!("/{unknown}"), format!("{unknown}: no such member"))),
        None => Ok(()),
    }
}

/// A member that is a text if it is there.
pub(super) fn text<'b>(body: &'b Value, name: &str) -> Result<Option<&'b str>, Error> {
    match body.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(_) => Err(Error::invalid(format!("/{name}"), format!("{name}: expected a text"))),
    }
}
