//! What anybody may read: documents under `/.well-known`, and that the process runs.

use schemars::JsonSchema;
use serde::Serialize;

use super::call::Call;
use super::respond::Reply;
use crate::service::{Error, Service};

pub(super) fn authzen_configuration(service: &Service, _: &Call) -> Result<Reply, Error> {
    Reply::public("application/json", &service.authzen_configuration())
}

pub(super) fn signing_keys(service: &Service, _: &Call) -> Result<Reply, Error> {
    Reply::public("application/jwk-set+json", service.signing_keys())
}

/// That the process runs.
#[derive(Serialize, JsonSchema)]
pub(super) struct Health {
    /// It does.
    #[schemars(extend("const" = "ok"))]
    status: &'static str,
}

pub(super) fn health(_: &Service, _: &Call) -> Result<Reply, Error> {
    Reply::json(200, &Health { status: "ok" })
}
