//! `/v1`: a file for each noun, or for nouns that are alike, in it a function for each operation, from a call to the
//! service and back.

pub(super) mod access;
pub(super) mod agents;
pub(super) mod items;
pub(super) mod keys;
pub(super) mod mappings;
pub(super) mod roles;
pub(super) mod users;

use actix_web::http::header::LOCATION;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::call::Call;
use super::respond::Reply;
use crate::scim::json::{self, Limits, Tree};
use crate::service::Error;
use crate::service::body::Body;
use crate::service::catalogue::Tagged;
use crate::service::directory::users::HoldRequest;
use crate::service::request;

/// The body, which is a JSON object.
fn body(call: &Call) -> Result<Tree<'_>, Error> {
    let value: Tree<'_> = json::parse(&call.body, &Limits::default())?;
    match value {
        Tree::Object(_) => Ok(value),
        _ => Err(Error::Malformed("the body must be a JSON object".to_owned())),
    }
}

/// What the body asks for.
pub(super) fn read_body<T: DeserializeOwned>(call: &Call) -> Result<T, Error> {
    request::read(&body(call)?)
}

/// The same of a body that need not be there.
fn read_optional_body<T: DeserializeOwned + Default>(call: &Call) -> Result<T, Error> {
    if call.body.is_empty() { Ok(T::default()) } else { read_body(call) }
}

/// Why a hold is put or lifted.
fn hold_reason(call: &Call) -> Result<Option<String>, Error> {
    Ok(read_optional_body::<HoldRequest>(call)?.reason)
}

fn ok(value: &impl Serialize) -> Result<Reply, Error> {
    Reply::json(200, value)
}

/// 200 with what the client may keep, or 304 if it has that.
fn kept<T: Serialize>(found: Tagged<T>) -> Result<Reply, Error> {
    let text = found.value.map(|value| serde_json::to_string(&value)).transpose()?;
    Ok(Reply::private("application/json", text.map(Body::text)).tagged(&found.etag))
}

fn replaced<T: Serialize>(Tagged { etag, value }: Tagged<T>) -> Result<Reply, Error> {
    Ok(Reply::json(200, &value)?.tagged(&etag))
}

/// 201, with where it is from now on: under the path of what it was added to.
fn created(call: &Call, name: impl std::fmt::Display, value: &impl Serialize) -> Result<Reply, Error> {
    let list = call.operation.routes().first().map_or("", |(_, path)| path);
    Ok(Reply::json(201, value)?.with(LOCATION, format!("{list}/{name}")))
}

/// The same for what has a tag; `name` is its name in URLs.
fn defined<T: Serialize>(call: &Call, made: &Tagged<T>, name: impl Fn(&T) -> String) -> Result<Reply, Error> {
    let name = made.value.as_ref().map(name).unwrap_or_default();
    Ok(created(call, name, &made.value)?.tagged(&made.etag))
}

fn empty((): ()) -> Result<Reply, Error> {
    Ok(Reply::empty(204))
}
