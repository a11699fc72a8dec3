//! Resources of every type through one code path: read, create, replace, patch, delete.

mod changed;
mod delete;
mod principal;
mod returns;
mod save;
mod unique;
mod write;

use serde_json::{Map, Value};

pub(in crate::service) use self::delete::delete;
pub(in crate::service) use self::principal::settle;
pub(in crate::service) use self::save::Saved;
pub(in crate::service) use self::unique::called;
pub use self::write::read_body;
pub(in crate::service) use self::write::{create_in, patch_in, replace_in};
use crate::domain::{Connection, Id, Operation, TenantKey};
use crate::scim::patch;
use crate::scim::project::Projection;
use crate::scim::tolerance::{Dialect, Tolerances};
use crate::scim::{ResourceType, reference};
use crate::service::body::Body;
use crate::service::conditions::{Conditions, etag};
use crate::service::directory::render;
use crate::service::document::stored_document;
use crate::service::memory::{Dated, Document};
use crate::service::{Cached, Change, Context, Error, Service, authorize, caller, memory, principal_type};
use crate::store::resources::{Resource, Seen, View};
use crate::store::{self, Conn, Foreseen};

/// What a client asked to see: `attributes` and `excludedAttributes`.
#[derive(Clone, Debug, Default)]
pub struct Wanted {
    /// The only attributes to return.
    pub attributes: Vec<String>,
    /// Attributes to leave out.
    pub excluded_attributes: Vec<String>,
}

impl Wanted {
    /// The projection for a resource type.
    ///
    /// # Errors
    /// 400 if both lists are given.
    pub fn projection(&self, resource_type: &'static ResourceType) -> Result<Projection, Error> {
        Ok(Projection::new(&self.attributes, &self.excluded_attributes, resource_type)?)
    }

    /// Whether the client left the choice to the server.
    pub fn is_default(&self) -> bool {
        self.attributes.is_empty() && self.excluded_attributes.is_empty()
    }
}

/// The answer to an operation on one resource.
#[derive(Debug)]
pub struct Answer {
    /// The resource's URL.
    pub location: String,
    /// Its ETag.
    pub etag: String,
    /// The representation; `None` where the answer has no body (304, 204).
    pub body: Option<Body>,
    /// The tolerances that the request needed, for `Keyroll-Tolerance`.
    pub tolerances: String,
}

/// A stored resource, read for a change.
pub(in crate::service) struct Loaded {
    pub(in crate::service) resource: Resource,
    /// The stored document: attributes without id, meta, externalId and members.
    pub(in crate::service) document: Map<String, Value>,
    /// externalId, as this connection set it.
    pub(in crate::service) external_id: Option<String>,
}

/// The dialect of the caller's connection; keys without one speak the default.
pub(in crate::service) fn tolerances(context: &Context) -> Tolerances {
    Tolerances::new(context.caller.connection().map_or(Dialect::default(), |connection| connection.dialect))
}

/// Finds a resource by the id in a URL.
pub(in crate::service) fn find(
    conn: &mut Conn,
    tenant: TenantKey,
    resource_type: &ResourceType,
    id: &str,
) -> Result<Resource, Error> {
    let id = Id::parse(id).ok_or(Error::NotFound)?;
    store::resources::find(conn, tenant, &resource_type.name, &id)?.ok_or(Error::NotFound)
}

/// A resource as it stands inside a change.
pub(in crate::service) fn saved(
    change: &mut Change<'_>,
    resource_type: &ResourceType,
    id: &str,
) -> Result<Saved, Error> {
    let tenant = change.key();
    let resource = find(change.conn, tenant, resource_type, id)?;
    Ok(Saved { view: View { resource, external_id: None, is_member: false }, dropped: None })
}

/// Loads a resource to change it: checks who may write it and which version the client has seen.
pub(in crate::service) fn load(
    change: &mut Change<'_>,
    resource_type: &'static ResourceType,
    id: &str,
    conditions: &Conditions,
) -> Result<Loaded, Error> {
    let id = Id::parse(id).ok_or(Error::NotFound)?;
    let tenant = change.key();
    let connection = change.context.caller.connection();
    let found = match connection {
        Some(connection) => {
            store::resources::find_called(change.conn, tenant, &resource_type.name, &id, connection.key)?
        }
        None => store::resources::find(change.conn, tenant, &resource_type.name, &id)?.map(|found| (found, None)),
    };
    let (resource, external_id) = found.ok_or(Error::NotFound)?;
    if let Some(connection) = connection {
        check_ownership(connection, &resource)?;
    }
    conditions.check_write(resource.version)?;
    Ok(Loaded { document: stored_document(&resource)?, resource, external_id })
}

/// More members than these are looked up by themselves.
const FORESEEN_MEMBERS_MAX: usize = 8;

/// What a change of a resource will look up; `lives` if it may come to life by that, or cease to live.
pub(in crate::service) fn foreseen(context: &Context, id: &str, lives: bool) -> Option<Foreseen> {
    let connection = context.caller.connection().map(|connection| connection.key);
    Id::parse(id).map(|id| Foreseen { id, connection, lives, members: vec![] })
}

/// The same of a patch.
pub(in crate::service) fn foreseen_by(
    context: &Context,
    (resource_type, id): (&'static ResourceType, &str),
    operations: &[patch::Operation],
) -> Option<Foreseen> {
    let people = if resource_type.rows.is_some() { patch::people(operations, resource_type) } else { vec![] };
    let members = match people.len() {
        ..=FORESEEN_MEMBERS_MAX => people.iter().filter_map(|text| Id::parse(text)).collect(),
        _ => vec![],
    };
    let lives = resource_type.principal && patch::decides(operations, resource_type);
    Some(Foreseen { members, ..foreseen(context, id, lives)? })
}

/// A connection writes what it created or adopted (design §5).
fn check_ownership(connection: &Connection, resource: &Resource) -> Result<(), Error> {
    if resource.connection == Some(connection.key) {
        return Ok(());
    }
    if resource.connection.is_none() {
        let detail = "an admin made this resource: connections read it, and none writes it".to_owned();
        return Err(Error::Forbidden(detail));
    }
    Err(Error::Forbidden(format!(
        "connection {} did not create this resource: it must adopt it before it may write it",
        connection.name
    )))
}

impl Service {
    /// Reads one resource.
    ///
    /// # Errors
    /// 404 if the tenant has none with this id and type, 412 for another version than `If-Match` names.
    pub fn read_resource(
        &self,
        context: &Context,
        resource_type: &'static ResourceType,
        id: &str,
        wanted: &Wanted,
        conditions: &Conditions,
    ) -> Result<Answer, Error> {
        let tenant = context.caller.tenant.key;
        // A document with rows changes with every member's name: it is rendered each time.
        let cacheable = wanted.is_default() && resource_type.rows.is_none();
        let stamp = match (cacheable, context.seen) {
            (false, _) => None,
            (true, None) => Some(memory::stamp(self, tenant)?),
            (true, seen) => seen,
        };
        let connection = context.caller.connection().map(|connection| connection.key);
        if stamp.is_some()
            && let Some(answer) = known(self, context, resource_type, id, conditions)
        {
            return answer;
        }
        let projection = wanted.projection(resource_type)?;
        let seen = if cacheable { seen(self, context, resource_type, id)? } else { None };
        let (view, answer) = match seen.map(|seen| alone(self, resource_type, seen, conditions)).transpose()? {
            Some(Alone::Whole(view, answer)) => (*view, answer),
            found => caller::ask(self, context, Operation::Read, Some(resource_type), |conn| {
                let view = match &found {
                    Some(Alone::Refers(view)) => View::clone(view),
                    _ => {
                        let id = Id::parse(id).ok_or(Error::NotFound)?;
                        let view = store::resources::view(conn, tenant, &resource_type.name, &id, connection)?;
                        view.ok_or(Error::NotFound)?
                    }
                };
                let answer = answer(self, conn, context, resource_type, &view, &projection, conditions)?;
                Ok((view, answer))
            })?,
        };
        // So does a document that shows another resource's name.
        let refers = reference::may_refer(&view.resource.document, reference::references(resource_type));
        let stamp = stamp.filter(|_| !refers);
        if let (Some(stamp), Some(text)) = (stamp, answer.body.as_ref().and_then(Body::as_text)) {
            let dated = Dated::of(&view.resource);
            if let Some(head) = text.strip_suffix(&render::tail(self, resource_type, &dated)) {
                let document = Document::new(resource_type, connection, head, dated);
                memory::remember_document(self, (tenant, dated.id), document, stamp);
            }
        }
        Ok(answer)
    }

    /// The resource of the key's owner (RFC 7644 §3.11).
    ///
    /// # Errors
    /// 501 for a provisioning key, 404 for an owner that is no SCIM resource.
    pub fn read_me(&self, context: &Context, wanted: &Wanted, conditions: &Conditions) -> Result<Answer, Error> {
        let holder = context.caller.key().ok_or(Error::NotFound)?;
        if holder.connection.is_some() {
            return Err(NO_RESOURCE);
        }
        let resource_type = principal_type(holder.owner.kind)?;
        let projection = wanted.projection(resource_type)?;
        caller::ask(self, context, Operation::Me, None, |conn| {
            let (tenant, id) = (context.caller.tenant.key, holder.owner.id);
            let view = store::resources::view(conn, tenant, &resource_type.name, &id, None)?;
            answer(self, conn, context, resource_type, &view.ok_or(Error::NotFound)?, &projection, conditions)
        })
    }

    /// Why nobody writes the resource of the key's owner by that name.
    pub fn refuse_me(&self, context: &Context) -> Error {
        match context.caller.connection() {
            Some(_) => NO_RESOURCE,
            None => Error::Forbidden("a person is changed by its identity provider, not through /Me".to_owned()),
        }
    }
}

impl Cached<'_> {
    /// Reads one resource, as [`Service::read_resource`] does.
    pub fn read_resource(
        &self,
        context: &Context,
        resource_type: &'static ResourceType,
        id: &str,
        wanted: &Wanted,
        conditions: &Conditions,
    ) -> Option<Result<Answer, Error>> {
        let cacheable = wanted.is_default() && resource_type.rows.is_none();
        let is_followed = cacheable && self.follows(context.caller.tenant.key);
        if is_followed { known(self.service, context, resource_type, id, conditions) } else { None }
    }
}

/// The answer by a document that is remembered, as the connection sees it.
fn known(
    service: &Service,
    context: &Context,
    resource_type: &'static ResourceType,
    id: &str,
    conditions: &Conditions,
) -> Option<Result<Answer, Error>> {
    let (id, connection) = (Id::parse(id)?, context.caller.connection().map(|connection| connection.key));
    let document = memory::known_document(service, context.caller.tenant.key, id, connection)?;
    if document.type_name != resource_type.name {
        return None;
    }
    let version = document.dated.version;
    let whole = || Body::text([&*document.head, &render::tail(service, resource_type, &document.dated)].concat());
    let allowed = authorize(&context.caller, Operation::Read, Some(resource_type));
    Some(allowed.and_then(|()| {
        let body = (!conditions.is_unmodified(version)?).then(whole);
        Ok(answered(service, resource_type, &id, version, body))
    }))
}

/// What one resource's row and its groups are enough for.
enum Alone {
    /// The answer.
    Whole(Box<View>, Answer),
    /// It shows what is written of others.
    Refers(Box<View>),
}

/// The resource with its groups, read together with what others ask for at the same time; `None` where that is no gain.
fn seen(
    service: &Service,
    context: &Context,
    resource_type: &'static ResourceType,
    id: &str,
) -> Result<Option<Seen>, Error> {
    let caller = &context.caller;
    authorize(caller, Operation::Read, Some(resource_type))?;
    let id = Id::parse(id).ok_or(Error::NotFound)?;
    let connection = caller.connection().map(|connection| connection.key);
    let Some(found) = service.inner.store.seen_together(caller.tenant.key, connection, id)? else { return Ok(None) };
    let found = found.filter(|seen| seen.view.resource.type_name == resource_type.name);
    found.ok_or(Error::NotFound).map(Some)
}

fn alone(
    service: &Service,
    resource_type: &'static ResourceType,
    seen: Seen,
    conditions: &Conditions,
) -> Result<Alone, Error> {
    let Resource { id, version, document, .. } = &seen.view.resource;
    if reference::may_refer(document, reference::references(resource_type)) {
        return Ok(Alone::Refers(Box::new(seen.view)));
    }
    let body = match conditions.is_unmodified(*version)? {
        true => None,
        false => Some(Body::text(render::alone(service, resource_type, &seen)?)),
    };
    let answer = answered(service, resource_type, id, *version, body);
    Ok(Alone::Whole(Box::new(seen.view), answer))
}

fn answered(service: &Service, resource_type: &ResourceType, id: &Id, version: i64, body: Option<Body>) -> Answer {
    let location = location(service, resource_type, id);
    Answer { location, etag: etag(version), body, tolerances: String::new() }
}

/// The answer that shows a resource, or says that the client has it already.
fn answer(
    service: &Service,
    conn: &mut Conn,
    context: &Context,
    resource_type: &'static ResourceType,
    view: &View,
    projection: &Projection,
    conditions: &Conditions,
) -> Result<Answer, Error> {
    let resource = &view.resource;
    let body = if conditions.is_unmodified(resource.version)? {
        None
    } else {
        let views = render::view(service, conn, context, resource_type, view, projection)?;
        Some(render::render(service, conn, context, resource_type, &views, resource, projection)?)
    };
    Ok(answered(service, resource_type, &resource.id, resource.version, body))
}

/// The URL of a resource.
pub(in crate::service) fn location(service: &Service, resource_type: &ResourceType, id: &Id) -> String {
    let (base, mut buffer) = (service.scim_base_url(), Id::buffer());
    [base, &resource_type.endpoint, "/", id.encode(&mut buffer)].concat()
}

/// What `/Me` is to a connection.
const NO_RESOURCE: Error = Error::NotImplemented("a provisioning key has no resource of its own");
