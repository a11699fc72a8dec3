//! `/access/v1`: OpenID AuthZEN.

use super::handle::Call;
use super::respond::Reply;
use crate::domain::Operation;
use crate::scim::json::{self, Limits};
use crate::service::{Error, Service};

/// Answers an operation of AuthZEN; `None` for any other.
pub(super) fn carry_out(service: &Service, call: &Call) -> Result<Option<Reply>, Error> {
    let body = || json::parse(&call.body, &Limits::default());
    let value = match call.operation {
        Operation::AccessEvaluate => service.evaluate(call.context()?, &body()?)?,
        Operation::AccessEvaluations => service.evaluate_all(call.context()?, &body()?)?,
        Operation::SearchSubjects => service.search_subjects(call.context()?, &body()?)?,
        Operation::SearchResources => service.search_resources(call.context()?, &body()?)?,
        Operation::SearchActions => service.search_actions(call.context()?, &body()?)?,
        Operation::AccessConfiguration => {
            return Ok(Some(Reply::public("application/json", &service.authzen_configuration())));
        }
        _ => return Ok(None),
    };
    Ok(Some(Reply::json(200, &value)))
}
