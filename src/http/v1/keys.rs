//! `/v1/keys`, `/v1/verify`, `/v1/whoami`.

use super::{ok, read_body, read_optional_body};
use crate::domain::Operation;
use crate::http::call::Call;
use crate::http::parameters;
use crate::http::respond::Reply;
use crate::service::keys::Filter;
use crate::service::keys::request::RevokeRequest;
use crate::service::keys::rotate::RotateRequest;
use crate::service::keys::steps::{ExtendRequest, HoldRequest, NarrowRequest, RenameRequest};
use crate::service::{Cached, Error, Service};

pub(in crate::http) fn issue(service: &Service, call: &Call) -> Result<Reply, Error> {
    Reply::json(201, &service.issue_key(call.context()?, &read_body(call)?)?)
}

pub(in crate::http) fn list(service: &Service, call: &Call) -> Result<Reply, Error> {
    let request = &call.request;
    let filter = Filter {
        owner: parameters::OWNER.text(request),
        class: parameters::CLASS.text(request),
        status: parameters::STATUS.text(request),
        expires_before: parameters::EXPIRES_BEFORE.text(request),
    };
    let (count, cursor) = parameters::page(request)?;
    ok(&service.list_keys(call.context()?, &filter, count, cursor)?)
}

pub(in crate::http) fn read(service: &Service, call: &Call) -> Result<Reply, Error> {
    ok(&service.read_key(call.context()?, &call.request.id)?)
}

/// Revokes one key, or all of an owner.
pub(in crate::http) fn revoke(service: &Service, call: &Call) -> Result<Reply, Error> {
    let request: RevokeRequest = read_optional_body(call)?;
    let (context, id, reason) = (call.context()?, &call.request.id, request.reason.as_deref());
    match call.operation {
        Operation::KeyRevokeAll => ok(&service.revoke_keys_of(context, id, reason)?),
        _ => ok(&service.revoke_key(context, id, reason)?),
    }
}

/// Holds back, or releases.
pub(in crate::http) fn hold(service: &Service, call: &Call) -> Result<Reply, Error> {
    let request: HoldRequest = read_optional_body(call)?;
    let hold = call.operation == Operation::KeyHold;
    ok(&service.hold_key(call.context()?, &call.request.id, request.reason, hold)?)
}

pub(in crate::http) fn rename(service: &Service, call: &Call) -> Result<Reply, Error> {
    let request: RenameRequest = read_body(call)?;
    ok(&service.rename_key(call.context()?, &call.request.id, &request.name)?)
}

pub(in crate::http) fn narrow(service: &Service, call: &Call) -> Result<Reply, Error> {
    ok(&service.narrow_key(call.context()?, &call.request.id, &read_body::<NarrowRequest>(call)?)?)
}

pub(in crate::http) fn extend(service: &Service, call: &Call) -> Result<Reply, Error> {
    let request: ExtendRequest = read_body(call)?;
    ok(&service.extend_key(call.context()?, &call.request.id, &request.expires_in)?)
}

pub(in crate::http) fn rotate(service: &Service, call: &Call) -> Result<Reply, Error> {
    let request: RotateRequest = read_optional_body(call)?;
    Reply::json(201, &service.rotate_key(call.context()?, &call.request.id, &request)?)
}

pub(in crate::http) fn effective(service: &Service, call: &Call) -> Result<Reply, Error> {
    ok(&service.effective_key(call.context()?, &call.request.id)?)
}

pub(in crate::http) fn identify(service: &Service, call: &Call) -> Result<Reply, Error> {
    ok(&service.identify_key(call.context()?, &read_body(call)?)?)
}

pub(in crate::http) fn verify(service: &Service, call: &Call) -> Result<Reply, Error> {
    ok(&service.verify(call.context()?, &read_body(call)?)?)
}

/// The same by what is remembered.
pub(in crate::http) fn verify_cached(memory: Cached<'_>, call: &Call) -> Option<Result<Reply, Error>> {
    Some(ok(&memory.verify(call.context().ok()?, &read_body(call).ok()?)?))
}

pub(in crate::http) fn whoami(service: &Service, call: &Call) -> Result<Reply, Error> {
    ok(&service.whoami(call.context()?))
}
