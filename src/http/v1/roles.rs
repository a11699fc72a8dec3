//! `/v1/roles`, as far as they are not like apis: see `items`.

use super::ok;
use crate::http::call::Call;
use crate::http::parameters;
use crate::http::respond::Reply;
use crate::service::{Error, Service};

pub(in crate::http) fn holders(service: &Service, call: &Call) -> Result<Reply, Error> {
    let request = &call.request;
    let (at, page) = (parameters::AT.text(request), parameters::page(request)?);
    ok(&service.role_holders(call.context()?, &request.id, at, page)?)
}
