//! `/v1/agents`.

use super::{created, empty, hold_reason, ok, read_body};
use crate::domain::Operation;
use crate::http::call::Call;
use crate::http::parameters;
use crate::http::respond::Reply;
use crate::service::directory::users::Hold;
use crate::service::{Error, Service};

pub(in crate::http) fn list(service: &Service, call: &Call) -> Result<Reply, Error> {
    let (count, cursor) = parameters::page(&call.request)?;
    ok(&service.list_agents(call.context()?, count, cursor)?)
}

pub(in crate::http) fn read(service: &Service, call: &Call) -> Result<Reply, Error> {
    ok(&service.read_agent(call.context()?, &call.request.id)?)
}

pub(in crate::http) fn create(service: &Service, call: &Call) -> Result<Reply, Error> {
    let made = service.create_agent(call.context()?, &read_body(call)?)?;
    created(call, made.id, &made)
}

pub(in crate::http) fn replace(service: &Service, call: &Call) -> Result<Reply, Error> {
    ok(&service.replace_agent(call.context()?, &call.request.id, &read_body(call)?)?)
}

/// Suspends by an admin's hold, or lifts it.
pub(in crate::http) fn hold(service: &Service, call: &Call) -> Result<Reply, Error> {
    let hold = if call.operation == Operation::AgentSuspend { Hold::Put } else { Hold::Lift };
    ok(&service.hold_agent(call.context()?, &call.request.id, hold, hold_reason(call)?.as_deref())?)
}

pub(in crate::http) fn delete(service: &Service, call: &Call) -> Result<Reply, Error> {
    empty(service.delete_agent(call.context()?, &call.request.id)?)
}
