//! Refused writes that would have made somebody leave: whoever asks afterwards why a leaver is still there finds them in
//! the log. Once an hour for each resource, connection and kind of refusal, so that a provider that repeats itself
//! does not fill it.

use std::hash::{DefaultHasher, Hash, Hasher};

use serde_json::Value;

use crate::domain::access;
use crate::domain::log::Entry;
use crate::domain::mapping::Source;
use crate::domain::secret::resembles_key;
use crate::domain::{Id, Operation};
use crate::scim::tolerance::{Tolerance, Tolerances, told_path};
use crate::scim::{ResourceType, leaving};
use crate::service::access::facts;
use crate::service::change::refusals::Refused;
use crate::service::{Context, Error, Service, change, memory};
use crate::store;

/// The statuses of what is final for a client: it does not ask again, and somebody stays.
const FINAL: [u16; 5] = [400, 409, 412, 413, 415];

/// What a refused write may have been about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asked {
    /// Nothing by which somebody stays.
    Nothing,
    /// What a principal has by its own document: somebody stays if it gives access.
    Less,
    /// That somebody leaves, or nobody knows.
    Leaving,
}

impl Asked {
    /// By what was sent; `None` if nobody can read it: what it asks for is unknown then, and that counts.
    pub fn of(operation: Operation, resource_type: &ResourceType, body: Option<&Value>) -> Asked {
        match (operation, body) {
            (Operation::Delete, _) | (Operation::Replace | Operation::Patch, None) => Asked::Leaving,
            (Operation::Replace | Operation::Patch, Some(body)) if leaves(resource_type, body) => Asked::Leaving,
            (Operation::Create, Some(body)) if resource_type.principal && leaving::is_asked_anew(body) => {
                Asked::Leaving
            }
            (Operation::Replace | Operation::Patch, Some(body))
                if resource_type.principal && leaving::lessens(body) =>
            {
                Asked::Less
            }
            _ => Asked::Nothing,
        }
    }
}

/// Records the refusal of a write through SCIM to a resource of the caller's connection, if it would have made
/// somebody leave; gives the error to answer, which is another one if no record can be written.
pub fn record(
    service: &Service,
    context: &Context,
    operation: Operation,
    (resource_type, id): (&'static ResourceType, &str),
    asked: impl FnOnce() -> Asked,
    error: Error,
) -> Error {
    let (Some(connection), Some(id)) = (context.caller.connection(), Id::parse(id)) else { return error };
    let told = error.to_scim();
    if !FINAL.contains(&told.status) || !(resource_type.rows.is_some() || resource_type.principal) {
        return error;
    }
    let stays = match asked() {
        Asked::Nothing => Ok(false),
        Asked::Less => has_by_its_document(service, context, id),
        Asked::Leaving => Ok(true),
    };
    match stays {
        Ok(true) => {}
        Ok(false) => return error,
        Err(failure) => return failure,
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

/// Whether a principal has a role by what its own document says: by a rule, or by what its provider asserts.
fn has_by_its_document(service: &Service, context: &Context, id: Id) -> Result<bool, Error> {
    let tenant = context.caller.tenant.key;
    service.read(|conn| {
        let (policy, facts, groups) = facts::now(service, conn, tenant, &[id])?;
        let now = memory::now_in(service, tenant);
        let hits = facts.iter().flat_map(|facts| access::potential(&policy, facts, &groups, now));
        let mut sources = hits.filter_map(|hit| policy.mapped(hit.mapping)).map(|one| &one.mapping.source);
        Ok(sources.any(|source| matches!(source, Source::Rule { .. } | Source::Asserted { .. })))
    })
}

/// Keeps the record of what was dropped and beside which nothing changed: names, members, owners. Once an hour for each
/// resource, connection and kind of it; members and owners who cannot come are no kinds of their own.
///
/// # Errors
/// If it cannot be written.
pub(in crate::service) fn keep_dropped(
    service: &Service,
    context: &Context,
    (operation, resource_type): (Operation, &'static ResourceType),
    id: &Id,
    dropped: Option<&Dropped>,
) -> Result<(), Error> {
    let connection = context.caller.connection().map(|connection| connection.key);
    let (Some(key), Some(dropped)) = (connection, dropped) else { return Ok(()) };
    let (refused, now) = (Refused::Dropped(*id, dropped.kind), memory::now_in(service, context.caller.tenant.key));
    if service.inner.refusals.take(key, &refused, now).is_none() {
        return Ok(());
    }
    let entry = dropped.entry.clone();
    let recorded = change::perform(service, context, operation, Some(resource_type), move |change| {
        change.record(entry.clone());
        Ok(())
    });
    if recorded.is_err() {
        service.inner.refusals.give_back(key, &refused);
    }
    recorded
}

/// What a request dropped that changed nothing.
#[derive(Clone)]
pub(in crate::service) struct Dropped {
    /// The record of it.
    pub(in crate::service) entry: Entry,
    /// What it is told apart by.
    kind: u64,
}

impl Dropped {
    /// The record of what was dropped; `None` if nothing was.
    pub(in crate::service) fn of(entry: impl FnOnce() -> Entry, tolerances: &Tolerances) -> Option<Dropped> {
        let paths = tolerances.dropped();
        let total = paths.total() + tolerances.unknown().total() + tolerances.kept_out().total();
        let mut kind = DefaultHasher::new();
        (tolerances.names(), paths.list()).hash(&mut kind);
        // Whoever is to go and cannot be found may be somebody who stays.
        if tolerances.names().contains(&Tolerance::RemoveAbsent.name()) {
            tolerances.unknown().list().hash(&mut kind);
        }
        (total > 0).then(|| Dropped { entry: entry(), kind: kind.finish() })
    }
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
