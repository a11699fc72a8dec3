//! `/v1/users`.

use super::{empty, ok, reason};
use crate::http::call::Call;
use crate::http::respond::Reply;
use crate::service::directory::users::Hold;
use crate::service::{Error, Service};

pub(in crate::http) fn list(service: &Service, call: &Call) -> Result<Reply, Error> {
    ok(&service.list_users(call.context()?, call.request.count()?, call.request.cursor())?)
}

pub(in crate::http) fn read(service: &Service, call: &Call) -> Result<Reply, Error> {
    ok(&service.read_user(call.context()?, &call.request.id)?)
}

pub(in crate::http) fn suspend(service: &Service, call: &Call) -> Result<Reply, Error> {
    ok(&service.hold_user(call.context()?, &call.request.id, Hold::Put, reason(call)?.as_deref())?)
}

pub(in crate::http) fn activate(service: &Service, call: &Call) -> Result<Reply, Error> {
    ok(&service.hold_user(call.context()?, &call.request.id, Hold::Lift, reason(call)?.as_deref())?)
}

pub(in crate::http) fn delete(service: &Service, call: &Call) -> Result<Reply, Error> {
    empty(service.delete_user(call.context()?, &call.request.id)?)
}
