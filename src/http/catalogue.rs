//! `/v1/apis`, `/v1/roles`, `/v1/mappings`, and what follows from them.

use std::collections::HashSet;

use actix_web::http::header::LOCATION;
use serde_json::Value;

use super::admin::body;
use super::handle::Call;
use super::respond::Reply;
use crate::domain::Operation;
use crate::domain::principal::PrincipalKind;
use crate::service::{Error, Service};

/// Answers an operation on the catalogue; `None` for any other.
pub(super) fn carry_out(service: &Service, call: &Call) -> Result<Option<Reply>, Error> {
    let id = call.request.id.as_str();
    let context = || call.context();
    let reply = match call.operation {
        Operation::ApiList => ok(service.list_apis(context()?)?),
        Operation::ApiRead => ok(service.read_api(context()?, id)?),
        Operation::ApiCreate => created("apis", service.create_api(context()?, &body(call)?)?),
        Operation::ApiReplace => ok(service.replace_api(context()?, id, &body(call)?)?),
        Operation::ApiDelete => empty(service.delete_api(context()?, id)?),
        Operation::RoleList => ok(service.list_roles(context()?)?),
        Operation::RoleRead => ok(service.read_role(context()?, id)?),
        Operation::RoleCreate => created("roles", service.create_role(context()?, &body(call)?)?),
        Operation::RoleReplace => ok(service.replace_role(context()?, id, &body(call)?)?),
        Operation::RoleDelete => empty(service.delete_role(context()?, id)?),
        Operation::RoleHolders => {
            only_parameters(call, &["count", "cursor"])?;
            let request = &call.request;
            ok(service.role_holders(context()?, id, request.number("count")?, request.cursor())?)
        }
        Operation::MappingRead => ok(service.read_mapping(context()?, id)?),
        Operation::MappingCreate => created("mappings", service.create_mapping(context()?, &body(call)?)?),
        Operation::MappingDelete => delete_mapping(service, call)?,
        Operation::UserAccess => ok(access(service, call, PrincipalKind::User)?),
        Operation::AgentAccess => ok(access(service, call, PrincipalKind::Agent)?),
        Operation::AccessExplain => ok(service.explain_access(context()?, &body(call)?)?),
        _ => return Ok(None),
    };
    Ok(Some(reply))
}

/// Removes a mapping, or tells who would lose what. A parameter that nobody looks at is refused: neither a
/// misspelt `dry_run` nor the next page of one may remove anything.
fn delete_mapping(service: &Service, call: &Call) -> Result<Reply, Error> {
    let (context, request) = (call.context()?, &call.request);
    let is_tried = match request.parameter("dry_run") {
        Some("true") => true,
        None | Some("false") => false,
        Some(_) => return Err(Error::Malformed("dry_run: true or false".to_owned())),
    };
    let known: &[&str] = if is_tried { &["dry_run", "count", "cursor"] } else { &["dry_run"] };
    only_parameters(call, known)?;
    if is_tried {
        let (count, cursor) = (request.number("count")?, request.cursor());
        return Ok(ok(service.try_delete_mapping(context, &request.id, count, cursor)?));
    }
    Ok(empty(service.delete_mapping(context, &request.id)?))
}

/// Refuses parameters that nobody looks at, and one that is there twice: a misspelt `at` would answer for the
/// present.
fn only_parameters(call: &Call, known: &[&str]) -> Result<(), Error> {
    let mut seen = HashSet::new();
    for (name, _) in &call.request.query {
        if !known.contains(&name.as_str()) {
            return Err(Error::Malformed(format!("{name}: no parameter of this")));
        }
        if !seen.insert(name) {
            return Err(Error::Malformed(format!("{name}: is there twice")));
        }
    }
    Ok(())
}

fn access(service: &Service, call: &Call, kind: PrincipalKind) -> Result<Value, Error> {
    only_parameters(call, &["at"])?;
    service.read_access(call.context()?, kind, &call.request.id, call.request.parameter("at"))
}

fn ok(value: Value) -> Reply {
    Reply::json(200, &value)
}

fn empty((): ()) -> Reply {
    Reply::empty(204)
}

/// 201, with where it is from now on.
fn created(list: &str, value: Value) -> Reply {
    let name = ["id", "name"].into_iter().find_map(|member| value.get(member).and_then(Value::as_str));
    let location = format!("/v1/{list}/{}", name.unwrap_or_default());
    Reply::json(201, &value).with(LOCATION, location)
}
