//! `/v1/agents`.

use actix_web::http::header::LOCATION;
use serde_json::Value;

use super::admin::{body, only, optional_body, text};
use super::handle::Call;
use super::respond::Reply;
use crate::domain::Operation;
use crate::service::{Error, Service};

/// Answers an operation on agents; `None` for any other.
pub(super) fn carry_out(service: &Service, call: &Call) -> Result<Option<Reply>, Error> {
    let (request, context) = (&call.request, || call.context());
    let ok = |value: Value| Reply::json(200, &value);
    let reply = match call.operation {
        Operation::AgentList => ok(service.list_agents(context()?, request.count()?, request.cursor())?),
        Operation::AgentRead => ok(service.read_agent(context()?, &request.id)?),
        Operation::AgentCreate => {
            let made = service.create_agent(context()?, &body(call)?)?;
            let id = made.get("id").and_then(Value::as_str).unwrap_or_default();
            Reply::json(201, &made).with(LOCATION, format!("/v1/agents/{id}"))
        }
        Operation::AgentReplace => ok(service.replace_agent(context()?, &request.id, &body(call)?)?),
        Operation::AgentSuspend | Operation::AgentActivate => {
            let (body, hold) = (optional_body(call)?, call.operation == Operation::AgentSuspend);
            only(&body, &["reason"])?;
            ok(service.hold_agent(context()?, &request.id, hold, text(&body, "reason")?)?)
        }
        Operation::AgentDelete => {
            service.delete_agent(context()?, &request.id)?;
            Reply::empty(204)
        }
        _ => return Ok(None),
    };
    Ok(Some(reply))
}
