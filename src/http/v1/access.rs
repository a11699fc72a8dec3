//! What somebody may do, and why: `/v1/users/{id}/access`, `/v1/agents/{id}/access`, `/v1/access/explain`.

use super::{ok, read_body};
use crate::domain::Operation;
use crate::domain::principal::PrincipalKind;
use crate::http::call::Call;
use crate::http::parameters::AT;
use crate::http::respond::Reply;
use crate::service::{Error, Service};

pub(in crate::http) fn report(service: &Service, call: &Call) -> Result<Reply, Error> {
    let kind = if call.operation == Operation::AgentAccess { PrincipalKind::Agent } else { PrincipalKind::User };
    ok(&service.read_access(call.context()?, kind, &call.request.id, AT.text(&call.request))?)
}

pub(in crate::http) fn explain(service: &Service, call: &Call) -> Result<Reply, Error> {
    ok(&service.explain_access(call.context()?, &read_body(call)?)?)
}
