//! Refused writes that would have made somebody leave: whoever asks afterwards why a leaver is still there finds them in
//! the log. Once an hour for each resource, connection and kind of refusal, so that a provider that repeats itself
//! does not fill it.

use serde_json::Value;

use crate::domain::log::Entry;
use crate::domain::secret::resembles_key;
use crate::domain::{Id, Operation};
use crate::scim::tolerance::told_path;
use crate::scim::{ResourceType, leaving};
use crate::service::change::refusals::Refused;
use crate::service::{Context, Error, Service, change, memory};
use crate::store;

/// The statuses of what is final for a client: it does not ask again, and somebody stays.
const FINAL: [u16; 5] = [400, 409, 412, 413, 415];

/// Records the refusal of a write through SCIM to a resource of the caller's connection, if it would have made
/// somebody leave; gives the error to answer, which is another one if no record can be written. `body` is what
/// was sent, `None` if nobody can read it: what it asks for is unknown then, and that counts.
pub fn record(
    service: &Service,
    context: &Context,
    operation: Operation,
    (resource_type, id): (&'static ResourceType, &str),
    body: impl FnOnce() -> Option<Value>,
    error: Error,
) -> Error {
    let (Some(connection), Some(id)) = (context.caller.connection(), Id::parse(id)) else { return error };
    let told = error.to_scim();
    if !FINAL.contains(&told.status) || !(resource_type.rows.is_some() || resource_type.principal) {
        return error;
    }
    let leaves = match operation {
        Operation::Replace | Operation::Patch => body().is_none_or(|body| leaves(resource_type, &body)),
        operation => operation == Operation::Delete,
    };
    if !leaves {
        return error;
    }
    let code = told.scim_type.map_or_else(|| told.status.to_string(), |kind| kind.name().to_owned());
    let (key, refused) = (connection.key, Refused::Stay(id, code.clone()));
    let now = memory::now_in(service, context.caller.tenant.key);
    if service.inner.refusals.take(key, &refused, now).is_none() {
        return error;
    }
    let kind = resource_type.name.to_ascii_lowercase();
    let names: Vec<String> = told.names.iter().filter_map(|name| told_name(name)).collect();
    let entry = Entry::new(format!("{kind}.refused"), kind, id)
        .with("attempted", operation.action_for(&resource_type.name))
        .with("code", code)
        .with("names", names)
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

/// Keeps the record of members or owners that nobody has and beside which nothing changed, once an hour for each resource
/// and connection.
///
/// # Errors
/// If it cannot be written.
pub(in crate::service) fn keep_unknown(
    service: &Service,
    context: &Context,
    (operation, resource_type): (Operation, &'static ResourceType),
    id: &Id,
    entry: Option<&Entry>,
) -> Result<(), Error> {
    let connection = context.caller.connection().map(|connection| connection.key);
    let (Some(key), Some(entry)) = (connection, entry.cloned()) else { return Ok(()) };
    let (refused, now) = (Refused::Unknown(*id), memory::now_in(service, context.caller.tenant.key));
    if service.inner.refusals.take(key, &refused, now).is_none() {
        return Ok(());
    }
    let recorded = change::perform(service, context, operation, Some(resource_type), move |change| {
        change.record(entry.clone());
        Ok(())
    });
    if recorded.is_err() {
        service.inner.refusals.give_back(key, &refused);
    }
    recorded
}

/// Whether the body of a PUT or a PATCH may make somebody leave.
pub fn leaves(resource_type: &ResourceType, body: &Value) -> bool {
    leaving::is_asked(body, resource_type)
}

/// A name that a client sent and that nothing here has, if it may be told: what does not look like a name may be a value
/// or a key in the wrong place.
pub fn told_name(name: &str) -> Option<String> {
    let told = told_path(name.trim().trim_start_matches('.'))?;
    (!resembles_key(&told)).then_some(told)
}
