//! Jobs and operations that are refused before they are read: whom they would have made leave is looked for in their
//! bytes, so that the refusal is recorded all the same.

use serde_json::Value;

use super::operation::BulkTarget;
use crate::domain::{Id, Operation};
use crate::scim::ResourceType;
use crate::scim::json::{self, Limits};
use crate::scim::message::{BulkMethod, from_base};
use crate::service::directory::refusals;
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
/// Characters of an id.
const ID_LEN: usize = 36;

/// Records the refusal of a job, or of one operation, if it would have made somebody leave or nobody knows: one record is
/// enough for it. Gives the error to answer.
pub(in crate::service::directory::bulk) fn record(
    service: &Service,
    context: &Context,
    bytes: &[u8],
    error: Error,
) -> Error {
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    match json::parse::<Value>(bytes, &LIMITS) {
        Ok(job) => match operations(&job).iter().find_map(asked) {
            Some((operation, target)) => {
                refusals::record(service, context, operation, target.resource(), || None, error)
            }
            None => error,
        },
        Err(_) => named(service, context, bytes, error),
    }
}

/// The operations of a job; what is no job is one operation.
fn operations(job: &Value) -> &[Value] {
    match member(job, "Operations") {
        Some(Value::Array(operations)) => operations,
        Some(one) => std::slice::from_ref(one),
        None => std::slice::from_ref(job),
    }
}

/// What an operation does to whom, if it may make somebody leave.
fn asked(operation: &Value) -> Option<(Operation, BulkTarget)> {
    let text = |name: &str| member(operation, name).and_then(Value::as_str);
    let method = BulkMethod::named(text("method")?)?;
    let target = BulkTarget::at(&from_base(text("path")?)).ok().filter(|target| target.id.is_some())?;
    let leaves = match method {
        BulkMethod::Delete => true,
        BulkMethod::Post => false,
        BulkMethod::Put | BulkMethod::Patch => refusals::leaves(target.resource_type, member(operation, "data")?),
    };
    leaves.then(|| (target.operation(method), target))
}

/// The same of what nobody can read: the first resource that its text names.
fn named(service: &Service, context: &Context, bytes: &[u8], error: Error) -> Error {
    let text = String::from_utf8_lossy(bytes);
    let target = |rtype: &'static ResourceType| {
        let endpoint = format!("{}/", rtype.endpoint);
        let (at, found) = text.match_indices(&*endpoint).find_map(|(at, endpoint)| {
            let id = text.get(at + endpoint.len()..at + endpoint.len() + ID_LEN)?;
            Some((at, Id::parse(id)?))
        })?;
        Some((at, rtype, found.to_string()))
    };
    let found = registry().types.iter().copied().filter_map(target).min_by_key(|(at, ..)| *at);
    match found {
        Some((_, rtype, id)) => refusals::record(service, context, Operation::Patch, (rtype, &id), || None, error),
        None => error,
    }
}

fn member<'v>(object: &'v Value, name: &str) -> Option<&'v Value> {
    object.as_object()?.iter().find(|(own, _)| own.eq_ignore_ascii_case(name)).map(|(_, value)| value)
}
