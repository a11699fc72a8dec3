//! Refused writes that would have made somebody leave: whoever asks afterwards why a leaver is still there finds them in
//! the log. Once an hour for each resource, connection and kind of refusal, so that a provider that repeats itself
//! does not fill it.

use std::borrow::Cow;

use serde_json::Value;

use crate::domain::log::Entry;
use crate::domain::secret::resembles_key;
use crate::domain::{Id, Operation};
use crate::scim::tolerance::told_path;
use crate::scim::{ResourceType, leaving};
use crate::service::change::refusals::Refused;
use crate::service::{Context, Error, Service, change, memory};
use crate::store;

/// Records the refusal of a write through SCIM to a resource of the caller's connection, if it would have made
/// somebody leave; gives the error to answer, which is another one if no record can be written.
pub fn record(
    service: &Service,
    context: &Context,
    operation: Operation,
    (resource_type, id): (&'static ResourceType, &str),
    body: &Value,
    error: Error,
) -> Error {
    let (Some(connection), Some(id)) = (context.caller.connection(), Id::parse(id)) else { return error };
    let told = error.to_scim();
    let is_group = resource_type.rows.is_some();
    if !matches!(told.status, 400 | 409) || !(is_group || resource_type.principal) || !leaving::is_asked(body, is_group)
    {
        return error;
    }
    let code = told.scim_type.map_or_else(|| told.status.to_string(), |kind| kind.name().to_owned());
    let (key, refused) = (connection.key, Refused::Stay(id, code.clone()));
    let now = memory::now_in(service, context.caller.tenant.key);
    if service.inner.refusals.take(key, &refused, now).is_none() {
        return error;
    }
    let kind = resource_type.name.to_ascii_lowercase();
    let entry = Entry::new(format!("{kind}.refused"), kind, id)
        .with("attempted", operation.action_for(&resource_type.name))
        .with("code", code)
        .with("names", named(&told.detail).1)
        .refused();
    let recorded = change::perform(service, context, operation, Some(resource_type), move |change| {
        let found = store::resources::find(change.conn, change.key(), &resource_type.name, &id)?;
        if found.is_some_and(|found| found.connection == Some(key)) {
            change.record(entry.clone());
        }
        Ok(())
    });
    match recorded {
        Err(failure) if failure.is_failure() => {
            service.inner.refusals.give_back(key, &refused);
            failure
        }
        _ => error,
    }
}

/// What stands behind the name of an attribute or a schema that there is not.
const BEHIND_NAMES: [&str; 3] = ["no such ", "says that somebody leaves", "is no part of it"];
/// What stands before one.
const BEFORE_NAMES: [&str; 3] = ["no such attribute", "no such sub-attribute", "no such schema"];

/// A detail, and the names in it that a client sent and that nobody has, as far as they have the form of names.
/// Where one stands is known by what is said of it.
pub fn named(detail: &str) -> (String, Vec<String>) {
    let mut parts: Vec<Cow<'_, str>> = detail.split(": ").map(Cow::Borrowed).collect();
    let mut names = vec![];
    for at in 0..parts.len() {
        let before = at.checked_sub(1).and_then(|at| parts.get(at));
        let is_name = before.is_some_and(|before| BEFORE_NAMES.iter().any(|words| before.ends_with(words)))
            || parts.get(at + 1).is_some_and(|next| {
                BEHIND_NAMES.iter().any(|words| next.starts_with(words))
                    || at + 2 == parts.len() && next.contains(" has no such ")
            });
        let Some(part) = parts.get_mut(at).filter(|_| is_name) else { continue };
        if let Some(name) = told_path(part).filter(|name| !resembles_key(name)) {
            names.push(name.trim_start_matches('.').to_owned());
            *part = Cow::Owned(name);
        }
    }
    (parts.join(": "), names)
}
