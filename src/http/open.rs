//! What anybody may read: documents under `/.well-known`, and that the process runs.

use serde_json::json;

use super::call::Call;
use super::respond::Reply;
use crate::service::{Error, Service};

pub(super) fn authzen_configuration(service: &Service, _: &Call) -> Result<Reply, Error> {
    Ok(Reply::public("application/json", &service.authzen_configuration()))
}

pub(super) fn signing_keys(service: &Service, _: &Call) -> Result<Reply, Error> {
    Ok(Reply::public("application/jwk-set+json", service.signing_keys()))
}

pub(super) fn health(_: &Service, _: &Call) -> Result<Reply, Error> {
    Reply::json(200, &json!({"status": "ok"}))
}
