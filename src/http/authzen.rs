//! `/access/v1`: OpenID AuthZEN.

use super::call::Call;
use super::respond::Reply;
use crate::scim::json::{self, Limits, Tree};
use crate::service::authzen::request::read;
use crate::service::{Cached, Error, Service};

fn body(call: &Call) -> Result<Tree<'_>, Error> {
    Ok(json::parse(&call.body, &Limits::default())?)
}

pub(super) fn evaluate(service: &Service, call: &Call) -> Result<Reply, Error> {
    Reply::json(200, &service.evaluate(call.context()?, &read(&body(call)?)?)?)
}

/// The same by what is remembered.
pub(super) fn evaluate_cached(memory: Cached<'_>, call: &Call) -> Option<Result<Reply, Error>> {
    Some(Reply::json(200, &memory.evaluate(call.context().ok()?, &read(&body(call).ok()?).ok()?)?))
}

pub(super) fn evaluate_all(service: &Service, call: &Call) -> Result<Reply, Error> {
    Reply::json(200, &service.evaluate_all(call.context()?, &read(&body(call)?)?)?)
}

pub(super) fn search_subjects(service: &Service, call: &Call) -> Result<Reply, Error> {
    Reply::json(200, &service.search_subjects(call.context()?, &read(&body(call)?)?)?)
}

pub(super) fn search_resources(service: &Service, call: &Call) -> Result<Reply, Error> {
    Reply::json(200, &service.search_resources(call.context()?, &read(&body(call)?)?)?)
}

pub(super) fn search_actions(service: &Service, call: &Call) -> Result<Reply, Error> {
    Reply::json(200, &service.search_actions(call.context()?, &read(&body(call)?)?)?)
}
