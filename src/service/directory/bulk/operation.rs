//! One operation of a job: what it is about, and what it came to.

use percent_encoding::percent_decode_str;

use crate::domain::{Id, Operation};
use crate::scim::message::{BulkMethod, BulkOperation, BulkResult};
use crate::scim::tolerance::Tolerances;
use crate::scim::{self, ResourceType, patch, validate};
use crate::service::conditions::{Conditions, Tags, etag};
use crate::service::directory::refusals::Dropped;
use crate::service::directory::resources::{self, Saved, create_in, patch_in, replace_in};
use crate::service::{Change, Error, Service, registry};

fn refused(detail: String) -> Error {
    scim::Error::syntax(detail).into()
}

/// What a method does.
pub(in crate::service::directory::bulk) fn named(method: BulkMethod) -> Operation {
    match method {
        BulkMethod::Post => Operation::Create,
        BulkMethod::Put => Operation::Replace,
        BulkMethod::Patch => Operation::Patch,
        BulkMethod::Delete => Operation::Delete,
    }
}

/// The endpoint or resource that a path names.
#[derive(Clone)]
pub(in crate::service::directory::bulk) struct BulkTarget {
    pub(in crate::service::directory::bulk) resource_type: &'static ResourceType,
    pub(in crate::service::directory::bulk) id: Option<String>,
}

impl BulkTarget {
    pub(in crate::service::directory::bulk) fn parse(operation: &BulkOperation) -> Result<BulkTarget, Error> {
        let target = BulkTarget::at(&operation.path)?;
        match (operation.method, &target.id) {
            (BulkMethod::Post, Some(_)) => Err(refused("path: POST goes to a resource type".to_owned())),
            (BulkMethod::Put | BulkMethod::Patch | BulkMethod::Delete, None) => {
                Err(refused(format!("path: {} goes to a resource", operation.method.name())))
            }
            _ => Ok(target),
        }
    }

    /// The same, whatever is done there.
    pub(in crate::service::directory::bulk) fn at(path: &str) -> Result<BulkTarget, Error> {
        if path.contains(['?', '#']) {
            return Err(refused(format!("path: {path} has a query, which a bulk operation cannot")));
        }
        // As over HTTP: empty segments do not count, and bytes may be percent-encoded.
        let decoded = path.split('/').filter(|segment| !segment.is_empty());
        let decoded = decoded.map(|segment| percent_decode_str(segment).decode_utf8());
        let segments = decoded.collect::<Result<Vec<_>, _>>().map_err(|_| refused("path: is not UTF-8".to_owned()))?;
        let (endpoint, id) = match segments.as_slice() {
            [endpoint] => (endpoint, None),
            [endpoint, id] => (endpoint, Some(id.to_string())),
            _ => return Err(refused(format!("path: {path} names no resource type and no resource"))),
        };
        let resource_type = registry().by_endpoint(endpoint);
        let resource_type = resource_type.ok_or_else(|| refused(format!("path: {path} names no resource type")))?;
        Ok(BulkTarget { resource_type, id })
    }

    /// A path in our spelling, if it names a resource.
    pub(in crate::service::directory::bulk) fn canonical(path: &str) -> Option<String> {
        let BulkTarget { resource_type, id } = BulkTarget::at(path).ok()?;
        Some(format!("{}/{}", resource_type.endpoint, id?))
    }

    pub(in crate::service::directory::bulk) fn apply(
        self,
        change: &mut Change<'_>,
        operation: BulkOperation,
        tolerances: &mut Tolerances,
    ) -> Result<Outcome, Error> {
        let BulkTarget { resource_type, id } = self;
        let id = id.unwrap_or_default();
        let data = operation.data.unwrap_or_default();
        // Who is deleted has left.
        let beside = operation.beside.filter(|_| operation.method != BulkMethod::Delete);
        beside.map_or(Ok(()), |beside| beside.spare(tolerances))?;
        let conditions =
            Conditions { if_match: operation.version.as_deref().map(Tags::of_version), if_none_match: None };
        let (saved, status) = match operation.method {
            BulkMethod::Post => {
                let incoming = validate::document(data, resource_type, tolerances)?;
                (create_in(change, resource_type, incoming, tolerances)?, 201)
            }
            BulkMethod::Put => {
                let incoming = validate::document(data, resource_type, tolerances)?;
                (replace_in(change, resource_type, &id, incoming, &conditions, tolerances)?, 200)
            }
            BulkMethod::Patch => {
                let operations = patch::parse(data, resource_type, tolerances)?;
                (patch_in(change, resource_type, &id, &operations, &conditions, tolerances)?, 200)
            }
            BulkMethod::Delete => {
                let loaded = resources::load(change, resource_type, &id, &conditions)?;
                resources::delete(change, resource_type, &loaded.resource)?;
                let location = resources::location(change.service, resource_type, &loaded.resource.id);
                return Ok(Outcome { status: 204, location, version: None, dropped: None, created: None });
            }
        };
        Ok(Outcome::of(change.service, resource_type, &saved, status))
    }
}

/// What an operation came to.
pub(in crate::service::directory::bulk) struct Outcome {
    status: u16,
    location: String,
    version: Option<String>,
    /// See [`Saved::dropped`].
    pub(in crate::service::directory::bulk) dropped: Option<(Id, Dropped)>,
    /// The id of a resource that it created.
    pub(in crate::service::directory::bulk) created: Option<String>,
}

impl Outcome {
    pub(in crate::service::directory::bulk) fn of(
        service: &Service,
        resource_type: &ResourceType,
        saved: &Saved,
        status: u16,
    ) -> Outcome {
        Outcome {
            status,
            location: resources::location(service, resource_type, &saved.view.resource.id),
            version: Some(etag(saved.view.resource.version)),
            dropped: saved.dropped.clone().map(|dropped| (saved.view.resource.id, dropped)),
            created: (status == 201).then(|| saved.view.resource.id.to_string()),
        }
    }

    pub(in crate::service::directory::bulk) fn result(self, echo: BulkResult) -> BulkResult {
        BulkResult { status: self.status, location: Some(self.location), version: self.version, ..echo }
    }
}
