//! `/v1/apis`.

use super::{defined, empty, kept, ok, read_body, replaced};
use crate::http::call::Call;
use crate::http::respond::Reply;
use crate::service::{Error, Service};

pub(in crate::http) fn list(service: &Service, call: &Call) -> Result<Reply, Error> {
    ok(&service.list_apis(call.context()?)?)
}

pub(in crate::http) fn read(service: &Service, call: &Call) -> Result<Reply, Error> {
    kept(service.read_api(call.context()?, &call.request.id, &call.request.conditions)?)
}

pub(in crate::http) fn create(service: &Service, call: &Call) -> Result<Reply, Error> {
    let made = service.create_api(call.context()?, read_body(call)?)?;
    defined("apis", &made, |api| api.name.clone())
}

pub(in crate::http) fn replace(service: &Service, call: &Call) -> Result<Reply, Error> {
    let (context, request) = (call.context()?, &call.request);
    replaced(service.replace_api(context, &request.id, read_body(call)?, &request.conditions)?)
}

pub(in crate::http) fn delete(service: &Service, call: &Call) -> Result<Reply, Error> {
    empty(service.delete_api(call.context()?, &call.request.id, &call.request.conditions)?)
}
