//! `/access/v1`: OpenID AuthZEN.

use super::call::Call;
use super::respond::Reply;
use crate::domain::Operation;
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

/// A search for subjects, for resources or for actions.
pub(super) fn search(service: &Service, call: &Call) -> Result<Reply, Error> {
    let (context, body) = (call.context()?, body(call)?);
    match call.operation {
        Operation::SearchSubjects => Reply::json(200, &service.search_subjects(context, &read(&body)?)?),
        Operation::SearchResources => Reply::json(200, &service.search_resources(context, &read(&body)?)?),
        _ => Reply::json(200, &service.search_actions(context, &read(&body)?)?),
    }
}
