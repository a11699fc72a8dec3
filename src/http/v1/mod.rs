//! `/v1`: a file for each noun, in it a function for each operation, from a call to the service and back.

pub(super) mod access;
pub(super) mod agents;
pub(super) mod apis;
pub(super) mod keys;
pub(super) mod mappings;
mod parameters;
pub(super) mod roles;
pub(super) mod users;

use actix_web::http::header::LOCATION;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

pub(super) use self::parameters::check as check_parameters;
use super::call::Call;
use super::respond::Reply;
use crate::scim::json::{self, Limits};
use crate::service::Error;
use crate::service::body::Body;
use crate::service::catalogue::Tagged;
use crate::service::request;

/// The body, which is a JSON object.
fn body(call: &Call) -> Result<Value, Error> {
    let value: Value = json::parse(&call.body, &Limits::default())?;
    if value.is_object() { Ok(value) } else { Err(Error::Malformed("the body must be a JSON object".to_owned())) }
}

/// What the body asks for.
fn read_body<T: DeserializeOwned>(call: &Call) -> Result<T, Error> {
    request::read(&body(call)?)
}

/// The reason that may stand in a body that need not be there.
fn reason(call: &Call) -> Result<Option<String>, Error> {
    let body = if call.body.is_empty() { json!({}) } else { body(call)? };
    if let Some((unknown, _)) = body.as_object().into_iter().flatten().find(|(name, _)| *name != REASON) {
        return Err(Error::invalid(format!("/{unknown}"), format!("{unknown}: no such member")));
    }
    match body.get(REASON) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text.clone())),
        Some(_) => Err(Error::invalid(format!("/{REASON}"), format!("{REASON}: expected a text"))),
    }
}

const REASON: &str = "reason";

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

/// 201, with where it is from now on.
fn created(list: &str, name: impl std::fmt::Display, value: &impl Serialize) -> Result<Reply, Error> {
    Ok(Reply::json(201, value)?.with(LOCATION, format!("/v1/{list}/{name}")))
}

/// The same for what has a tag; `name` is its name in URLs.
fn defined<T: Serialize>(list: &str, made: &Tagged<T>, name: impl Fn(&T) -> String) -> Result<Reply, Error> {
    let name = made.value.as_ref().map(name).unwrap_or_default();
    Ok(created(list, name, &made.value)?.tagged(&made.etag))
}

fn empty((): ()) -> Result<Reply, Error> {
    Ok(Reply::empty(204))
}
