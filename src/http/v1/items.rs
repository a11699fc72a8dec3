//! What `/v1/apis` and `/v1/roles` have in common.

use super::{defined, empty, kept, ok, read_body, replaced};
use crate::http::call::Call;
use crate::http::respond::Reply;
use crate::service::catalogue::items::Item;
use crate::service::{Error, Service};

pub(in crate::http) fn list<I: Item>(service: &Service, call: &Call) -> Result<Reply, Error> {
    ok(&service.list_items::<I>(call.context()?)?)
}

pub(in crate::http) fn read<I: Item>(service: &Service, call: &Call) -> Result<Reply, Error> {
    kept(service.read_item::<I>(call.context()?, &call.request.id, &call.request.conditions)?)
}

pub(in crate::http) fn create<I: Item>(service: &Service, call: &Call) -> Result<Reply, Error> {
    let made = service.create_item::<I>(call.context()?, read_body(call)?)?;
    defined(call, &made, |item| I::name_in(item).to_owned())
}

pub(in crate::http) fn replace<I: Item>(service: &Service, call: &Call) -> Result<Reply, Error> {
    let (context, request) = (call.context()?, &call.request);
    replaced(service.replace_item::<I>(context, &request.id, read_body(call)?, &request.conditions)?)
}

pub(in crate::http) fn delete<I: Item>(service: &Service, call: &Call) -> Result<Reply, Error> {
    empty(service.delete_item::<I>(call.context()?, &call.request.id, &call.request.conditions)?)
}
