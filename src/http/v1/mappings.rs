//! `/v1/mappings`, but for their list: see `snapshot`.

use super::{defined, empty, kept, ok, read_body, replaced};
use crate::http::call::Call;
use crate::http::respond::Reply;
use crate::service::{Error, Service};

pub(in crate::http) fn read(service: &Service, call: &Call) -> Result<Reply, Error> {
    kept(service.read_mapping(call.context()?, &call.request.id, &call.request.conditions)?)
}

pub(in crate::http) fn create(service: &Service, call: &Call) -> Result<Reply, Error> {
    let made = service.create_mapping(call.context()?, &read_body(call)?)?;
    defined("mappings", &made, |mapping| mapping.id.to_string())
}

pub(in crate::http) fn replace(service: &Service, call: &Call) -> Result<Reply, Error> {
    let (context, request) = (call.context()?, &call.request);
    replaced(service.replace_mapping(context, &request.id, &read_body(call)?, &request.conditions)?)
}

/// Removes a mapping, or tells who would lose what. The next page of that may remove nothing.
pub(in crate::http) fn delete(service: &Service, call: &Call) -> Result<Reply, Error> {
    let (context, request) = (call.context()?, &call.request);
    let is_tried = match request.parameter("dry_run") {
        Some("true") => true,
        None | Some("false") => false,
        Some(_) => return Err(Error::Malformed("dry_run: true or false".to_owned())),
    };
    if let (false, Some(name)) =
        (is_tried, ["count", "cursor"].into_iter().find(|name| request.parameter(name).is_some()))
    {
        return Err(Error::Malformed(format!("{name}: of a dry_run only")));
    }
    if is_tried {
        let (count, cursor) = (request.count()?, request.cursor());
        return ok(&service.try_delete_mapping(context, &request.id, count, cursor, &request.conditions)?);
    }
    empty(service.delete_mapping(context, &request.id, &request.conditions)?)
}
