//! `/v1/roles`.

use super::{defined, empty, kept, ok, read_body, replaced};
use crate::http::call::Call;
use crate::http::parameters;
use crate::http::respond::Reply;
use crate::service::{Error, Service};

pub(in crate::http) fn list(service: &Service, call: &Call) -> Result<Reply, Error> {
    ok(&service.list_roles(call.context()?)?)
}

pub(in crate::http) fn read(service: &Service, call: &Call) -> Result<Reply, Error> {
    kept(service.read_role(call.context()?, &call.request.id, &call.request.conditions)?)
}

pub(in crate::http) fn create(service: &Service, call: &Call) -> Result<Reply, Error> {
    let made = service.create_role(call.context()?, read_body(call)?)?;
    defined("roles", &made, |role| role.name.clone())
}

pub(in crate::http) fn replace(service: &Service, call: &Call) -> Result<Reply, Error> {
    let (context, request) = (call.context()?, &call.request);
    replaced(service.replace_role(context, &request.id, read_body(call)?, &request.conditions)?)
}

pub(in crate::http) fn delete(service: &Service, call: &Call) -> Result<Reply, Error> {
    empty(service.delete_role(call.context()?, &call.request.id, &call.request.conditions)?)
}

pub(in crate::http) fn holders(service: &Service, call: &Call) -> Result<Reply, Error> {
    let request = &call.request;
    let (at, page) = (parameters::AT.text(request), parameters::page(request)?);
    ok(&service.role_holders(call.context()?, &request.id, at, page)?)
}
