//! `/v1/apis`, `/v1/roles`, `/v1/mappings`, and what follows from them.

use actix_web::http::header::LOCATION;
use serde_json::Value;

use super::admin::body;
use super::handle::Call;
use super::respond::Reply;
use crate::domain::Operation;
use crate::domain::principal::PrincipalKind;
use crate::service::body::Body;
use crate::service::catalogue::Tagged;
use crate::service::{Error, Service};

/// Answers an operation on the catalogue; `None` for any other.
pub(super) fn carry_out(service: &Service, call: &Call) -> Result<Option<Reply>, Error> {
    let (id, conditions) = (call.request.id.as_str(), &call.request.conditions);
    let context = || call.context();
    let reply = match call.operation {
        Operation::ApiList => ok(service.list_apis(context()?)?),
        Operation::ApiRead => read(service.read_api(context()?, id, conditions)?),
        Operation::ApiCreate => created("apis", service.create_api(context()?, &body(call)?)?),
        Operation::ApiReplace => replaced(service.replace_api(context()?, id, &body(call)?, conditions)?),
        Operation::ApiDelete => empty(service.delete_api(context()?, id, conditions)?),
        Operation::RoleList => ok(service.list_roles(context()?)?),
        Operation::RoleRead => read(service.read_role(context()?, id, conditions)?),
        Operation::RoleCreate => created("roles", service.create_role(context()?, &body(call)?)?),
        Operation::RoleReplace => replaced(service.replace_role(context()?, id, &body(call)?, conditions)?),
        Operation::RoleDelete => empty(service.delete_role(context()?, id, conditions)?),
        Operation::RoleHolders => {
            let page = (call.request.count()?, call.request.cursor());
            text(service.role_holders(context()?, id, call.request.parameter("at"), page)?)
        }
        Operation::MappingRead => read(service.read_mapping(context()?, id, conditions)?),
        Operation::MappingCreate => created("mappings", service.create_mapping(context()?, &body(call)?)?),
        Operation::MappingReplace => replaced(service.replace_mapping(context()?, id, &body(call)?, conditions)?),
        Operation::MappingDelete => delete_mapping(service, call)?,
        Operation::UserAccess => text(access(service, call, PrincipalKind::User)?),
        Operation::AgentAccess => text(access(service, call, PrincipalKind::Agent)?),
        Operation::AccessExplain => ok(service.explain_access(context()?, &body(call)?)?),
        _ => return Ok(None),
    };
    Ok(Some(reply))
}

/// Whether what an operation changes has a tag that conditions can name.
pub(super) fn is_tagged(operation: Operation) -> bool {
    use Operation::{ApiDelete, ApiReplace, MappingDelete, MappingReplace, RoleDelete, RoleReplace};
    matches!(operation, ApiReplace | ApiDelete | RoleReplace | RoleDelete | MappingReplace | MappingDelete)
}

/// Removes a mapping, or tells who would lose what. The next page of that may remove nothing.
fn delete_mapping(service: &Service, call: &Call) -> Result<Reply, Error> {
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
        return Ok(ok(service.try_delete_mapping(context, &request.id, count, cursor, &request.conditions)?));
    }
    Ok(empty(service.delete_mapping(context, &request.id, &request.conditions)?))
}

fn access(service: &Service, call: &Call, kind: PrincipalKind) -> Result<String, Error> {
    service.read_access(call.context()?, kind, &call.request.id, call.request.parameter("at"))
}

fn ok(value: Value) -> Reply {
    Reply::json(200, &value)
}

/// The same, of what is text already.
fn text(json: String) -> Reply {
    Reply::json_text(json)
}

/// 200 with what the client may keep, or 304 if it has that.
fn read(found: Tagged) -> Reply {
    let body = found.value.map(|value| Body::text(value.to_string()));
    Reply::private("application/json", body).tagged(&found.etag)
}

fn replaced(Tagged { etag, value }: Tagged) -> Reply {
    ok(value.unwrap_or_default()).tagged(&etag)
}

fn empty((): ()) -> Reply {
    Reply::empty(204)
}

/// 201, with where it is from now on.
fn created(list: &str, Tagged { etag, value }: Tagged) -> Reply {
    let value = value.unwrap_or_default();
    let name = ["id", "name"].into_iter().find_map(|member| value.get(member).and_then(Value::as_str));
    let location = format!("/v1/{list}/{}", name.unwrap_or_default());
    Reply::json(201, &value).with(LOCATION, location).tagged(&etag)
}
