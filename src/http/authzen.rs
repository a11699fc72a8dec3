//! `/access/v1`: OpenID AuthZEN.

use super::admin::body;
use super::handle::Call;
use super::respond::Reply;
use crate::domain::Operation;
use crate::service::{Error, Service};

/// Answers an operation of AuthZEN; `None` for any other.
pub(super) fn carry_out(service: &Service, call: &Call) -> Result<Option<Reply>, Error> {
    let value = match call.operation {
        Operation::AccessEvaluate => service.evaluate(call.context()?, &body(call)?)?,
        Operation::AccessEvaluations => service.evaluate_all(call.context()?, &body(call)?)?,
        Operation::SearchSubjects => service.search_subjects(call.context()?, &body(call)?)?,
        Operation::SearchResources => service.search_resources(call.context()?, &body(call)?)?,
        Operation::SearchActions => service.search_actions(call.context()?, &body(call)?)?,
        Operation::AccessConfiguration => {
            return Ok(Some(Reply::public("application/json", &service.authzen_configuration())));
        }
        _ => return Ok(None),
    };
    Ok(Some(Reply::json(200, &value)))
}
