//! `/v1/mappings`, but for their list: see `snapshot`.

use super::{defined, empty, kept, ok, read_body, replaced};
use crate::http::call::Call;
use crate::http::parameters::{self, COUNT, CURSOR, DRY_RUN};
use crate::http::respond::Reply;
use crate::service::{Error, Service};

pub(in crate::http) fn read(service: &Service, call: &Call) -> Result<Reply, Error> {
    kept(service.read_mapping(call.context()?, &call.request.id, &call.request.conditions)?)
}

pub(in crate::http) fn create(service: &Service, call: &Call) -> Result<Reply, Error> {
    let made = service.create_mapping(call.context()?, &read_body(call)?)?;
    defined(call, &made, |mapping| mapping.id.to_string())
}

pub(in crate::http) fn replace(service: &Service, call: &Call) -> Result<Reply, Error> {
    let (context, request) = (call.context()?, &call.request);
    replaced(service.replace_mapping(context, &request.id, &read_body(call)?, &request.conditions)?)
}

/// Removes a mapping, or tells who would lose what. The next page of that may remove nothing.
pub(in crate::http) fn delete(service: &Service, call: &Call) -> Result<Reply, Error> {
    let (context, request) = (call.context()?, &call.request);
    if DRY_RUN.word(request)? == Some("true") {
        let (count, cursor) = parameters::page(request)?;
        return ok(&service.try_delete_mapping(context, &request.id, count, cursor, &request.conditions)?);
    }
    if let Some(paged) = [COUNT, CURSOR].iter().find(|one| one.text(request).is_some()) {
        return Err(Error::Malformed(format!("{}: of a dry_run only", paged.name)));
    }
    empty(service.delete_mapping(context, &request.id, &request.conditions)?)
}
