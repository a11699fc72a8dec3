//! `/v1/users`.

use super::{empty, hold_reason, ok};
use crate::domain::Operation;
use crate::http::call::Call;
use crate::http::parameters;
use crate::http::respond::Reply;
use crate::service::directory::users::Hold;
use crate::service::{Error, Service};

pub(in crate::http) fn list(service: &Service, call: &Call) -> Result<Reply, Error> {
    let (count, cursor) = parameters::page(&call.request)?;
    ok(&service.list_users(call.context()?, count, cursor)?)
}

pub(in crate::http) fn read(service: &Service, call: &Call) -> Result<Reply, Error> {
    ok(&service.read_user(call.context()?, &call.request.id)?)
}

/// Suspends by an admin's hold, or lifts it.
pub(in crate::http) fn hold(service: &Service, call: &Call) -> Result<Reply, Error> {
    let hold = if call.operation == Operation::UserSuspend { Hold::Put } else { Hold::Lift };
    ok(&service.hold_user(call.context()?, &call.request.id, hold, hold_reason(call)?.as_deref())?)
}

pub(in crate::http) fn delete(service: &Service, call: &Call) -> Result<Reply, Error> {
    empty(service.delete_user(call.context()?, &call.request.id)?)
}
