//! Jobs and operations that are refused: whom they would have made leave is looked for in what was sent, however odd
//! it is, so that the refusal is recorded all the same.

use std::cell::Cell;

use percent_encoding::percent_decode_str;
use serde_json::{Map, Value};

use crate::domain::{Id, Operation};
use crate::scim::json::{self, Limits};
use crate::scim::members::{self, plain};
use crate::scim::message::BulkMethod;
use crate::scim::{ResourceType, leaving};
use crate::service::directory::bulk::operation::named;
use crate::service::directory::bulk::references::{self, Ids};
use crate::service::directory::refusals::{self, Asked};
use crate::service::directory::resources::called;
use crate::service::{Context, Error, Service, registry};

/// What is read of a job that is refused for its depth or its digits: enough to see whom it was about.
const LIMITS: Limits = Limits {
    depth_max: 100,
    nodes_max: 1_000_000,
    number_digits_max: 1_000,
    memory_bytes_max: 64 << 20,
    repeated: Some("active"),
    unstorable: true,
};
/// The members of a job, and of an operation.
const OF_JOB: [&str; 3] = ["schemas", "failOnErrors", "Operations"];
const OF_OPERATION: [&str; 5] = ["method", "bulkId", "version", "path", "data"];
/// Names that are looked up for one refusal: a job may have any number of them.
const LOOKUPS_MAX: usize = 100;
/// Methods that change nothing.
const READS: [&str; 2] = ["GET", "HEAD"];

/// What is known of a job beside the bytes that are looked at.
#[derive(Clone, Copy)]
pub(in crate::service::directory::bulk) struct Known<'k> {
    pub(in crate::service::directory::bulk) service: &'k Service,
    pub(in crate::service::directory::bulk) context: &'k Context,
    /// What its operations have created.
    pub(in crate::service::directory::bulk) ids: &'k Ids,
    /// Whether it says beside its operations that somebody leaves.
    pub(in crate::service::directory::bulk) says: bool,
}

/// What a refused operation would have done to whom.
struct Lost {
    operation: Operation,
    asked: Asked,
    resource_type: &'static ResourceType,
    id: Id,
}

/// Records the refusal of a job, or of one operation, if it would have made somebody leave or nobody knows: one record is
/// enough for it. Gives the error to answer.
pub(in crate::service::directory::bulk) fn record(known: Known<'_>, bytes: &[u8], error: Error) -> Error {
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let found = match json::parse::<Value>(bytes, &LIMITS) {
        Ok(job) => Search { known, lookups: Cell::new(0) }.job(&job, known.says),
        Err(_) => Ok(in_text(&String::from_utf8_lossy(bytes))),
    };
    match found {
        Ok(Some(Lost { operation, asked, resource_type, id })) => {
            let target = (resource_type, &*id.to_string());
            refusals::record(known.service, known.context, operation, target, || asked, error)
        }
        Ok(None) => error,
        Err(failure) => failure,
    }
}

/// Looks for whom a job would have made leave.
struct Search<'k> {
    known: Known<'k>,
    lookups: Cell<usize>,
}

impl Search<'_> {
    /// The first operation of a job by which somebody stays; what is no job is one operation, or several. Some clients send
    /// JSON in a text. `says_so`: what stands beside it says that somebody leaves.
    fn job(&self, job: &Value, says_so: bool) -> Result<Option<Lost>, Error> {
        match job {
            Value::Array(items) => items.iter().find_map(|item| self.job(item, says_so).transpose()).transpose(),
            Value::String(text) => match json::parse::<Value>(text.as_bytes(), &LIMITS) {
                Ok(job) => self.job(&job, says_so),
                Err(_) => Ok(in_text(text)),
            },
            Value::Object(members) => match member(members, "Operations") {
                Some(operations) => self.job(operations, says_so || says(members, &OF_JOB)),
                // What operations stand in under other names: `{"0": {…}}`, `{"operation": {…}}`.
                None if ["path", "method"].iter().all(|own| member(members, own).is_none()) => {
                    members.values().find_map(|value| self.job(value, says_so).transpose()).transpose()
                }
                None => self.operation(members, says_so),
            },
            _ => Ok(None),
        }
    }

    /// What an operation does to whom, if somebody may stay by its refusal.
    fn operation(&self, members: &Map<String, Value>, says_so: bool) -> Result<Option<Lost>, Error> {
        let text = |name: &str| {
            let found = member(members, name);
            let one = found.and_then(Value::as_array).and_then(|list| list.first()).or(found);
            one.and_then(Value::as_str).unwrap_or_default().trim()
        };
        let mut path = text("path").to_owned();
        references::resolve_path(&mut path, self.known.ids);
        let (word, data) = (text("method"), member(members, "data"));
        let Some((resource_type, in_path)) = place(&percent_decode_str(&path).decode_utf8_lossy()) else {
            return Ok(None);
        };
        let method = BulkMethod::named(word);
        let operation = method.map_or(Operation::Patch, named);
        let asked = match (method, in_path) {
            _ if says_so || says(members, &OF_OPERATION) => Asked::Leaving,
            (None, _) if READS.iter().any(|read| word.eq_ignore_ascii_case(read)) => Asked::Nothing,
            (Some(BulkMethod::Post), Some(_)) => Asked::of(Operation::Patch, resource_type, data),
            _ => Asked::of(operation, resource_type, data),
        };
        if asked == Asked::Nothing {
            return Ok(None);
        }
        let id = match in_path {
            Some(id) => Some(id),
            None => self.within(resource_type, data)?,
        };
        Ok(id.map(|id| Lost { operation, asked, resource_type, id }))
    }

    /// Whom a body names, by an id or by its name.
    fn within(&self, resource_type: &'static ResourceType, data: Option<&Value>) -> Result<Option<Id>, Error> {
        let Some(data) = data else { return Ok(None) };
        let id = data.as_object().and_then(|members| member(members, "id")?.as_str());
        if let Some(id) = id.and_then(|id| Id::parse(&plain(id))) {
            return Ok(Some(id));
        }
        if self.lookups.replace(self.lookups.get() + 1) >= LOOKUPS_MAX {
            return Ok(None);
        }
        called(self.known.service, self.known.context, resource_type, data)
    }
}

/// The same of what nobody can read: the first resource that its text names.
fn in_text(text: &str) -> Option<Lost> {
    let (resource_type, id) = resource(text)?;
    Some(Lost { operation: Operation::Patch, asked: Asked::Leaving, resource_type, id })
}

/// The resource, or else the type, that a path names, whatever stands around it.
fn place(path: &str) -> Option<(&'static ResourceType, Option<Id>)> {
    let endpoint = || words(path).find_map(|word| registry().by_endpoint(word));
    resource(path).map(|(resource_type, id)| (resource_type, Some(id))).or_else(|| Some((endpoint()?, None)))
}

/// The first endpoint, or name of a type (`/User/…`), in a text behind which an id stands.
fn resource(text: &str) -> Option<(&'static ResourceType, Id)> {
    let pairs = words(text).zip(words(text).skip(1));
    pairs.into_iter().find_map(|(endpoint, id)| {
        let id = Id::parse(&id.to_ascii_lowercase())?;
        let resource_type = registry().by_endpoint(endpoint).or_else(|| registry().by_name(endpoint))?;
        Some((resource_type, id))
    })
}

fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| !c.is_ascii_alphanumeric() && c != '-').filter(|word| !word.is_empty())
}

/// Whether a message says that somebody leaves by a member that it does not have.
fn says(members: &Map<String, Value>, own: &[&str]) -> bool {
    let is_other = |name: &str| !own.iter().any(|own| name.eq_ignore_ascii_case(own));
    let others = members.iter().filter(|(name, _)| is_other(name));
    leaving::is_asked_anew(&others.map(|(name, value)| (name.clone(), value.clone())).collect())
}

/// A member that is not null.
fn member<'v>(members: &'v Map<String, Value>, name: &str) -> Option<&'v Value> {
    members::member(members, name).filter(|value| !value.is_null())
}
