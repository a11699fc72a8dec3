//! From rows to representations.
//!
//! What is shown by default is a splice: the stored document, and behind it id, externalId, groups or
//! members, and meta. Only a request that names attributes costs a parse.

use std::collections::HashMap;
use std::fmt::Write;

use serde_json::{Map, Value, json};

use crate::scim::project::Projection;
use crate::scim::reference;
use crate::scim::text::render_time;
use crate::scim::{ResourceType, text};
use crate::service::body::{Body, CHUNK, Members};
use crate::service::directory::resources;
use crate::service::document::stored_document;
use crate::service::memory::Dated;
use crate::service::{Context, Error, Service, body, registry};
use crate::store::members::GroupRef;
use crate::store::resources::{Resource, Seen, View};
use crate::store::{self, Conn, ResourceKey};

/// What a page of resources shows beside their documents, read set-wise.
#[derive(Debug, Default)]
pub(in crate::service) struct Views {
    external_ids: HashMap<ResourceKey, String>,
    groups: HashMap<ResourceKey, Vec<GroupRef>>,
    /// Documents that refer to other resources, with what the references say of these.
    referring: HashMap<ResourceKey, Map<String, Value>>,
}

/// Reads what the resources of a page show beside their documents.
pub(in crate::service) fn views(
    service: &Service,
    conn: &mut Conn,
    context: &Context,
    resource_type: &'static ResourceType,
    resources: &[Resource],
    projection: &Projection,
) -> Result<Views, Error> {
    let tenant = context.caller.tenant.key;
    let referring = referring(service, conn, context, resource_type, resources, projection)?;
    let mut views = Views { referring, ..Views::default() };
    if let Some(connection) = context.caller.connection()
        && projection.wants("externalId")
    {
        if let [one] = resources {
            let external_id = store::external_ids::get(conn, tenant, connection.key, one.key)?;
            views.external_ids.extend(external_id.map(|id| (one.key, id)));
        } else {
            let keys: Vec<_> = resources.iter().map(|r| r.key).collect();
            views.external_ids = store::external_ids::many(conn, tenant, connection.key, &keys)?;
        }
    }
    if projection.wants("groups") {
        let keys: Vec<_> = resources.iter().map(|r| r.key).collect();
        views.groups = store::members::groups_of(conn, tenant, &keys)?;
    }
    Ok(views)
}

/// The same for one resource that was read with its externalId, or was written just now.
pub(in crate::service) fn view(
    service: &Service,
    conn: &mut Conn,
    context: &Context,
    resource_type: &'static ResourceType,
    view: &View,
    projection: &Projection,
) -> Result<Views, Error> {
    let key = view.resource.key;
    let resources = std::slice::from_ref(&view.resource);
    let referring = referring(service, conn, context, resource_type, resources, projection)?;
    let mut views = Views { referring, ..Views::default() };
    views.external_ids.extend(view.external_id.clone().map(|id| (key, id)));
    if view.is_member && projection.wants("groups") {
        views.groups = store::members::groups_of(conn, context.caller.tenant.key, &[key])?;
    }
    Ok(views)
}

/// The representation of a resource that was read with its groups, and refers to nothing else: what is shown by default.
pub(in crate::service) fn alone(
    service: &Service,
    resource_type: &'static ResourceType,
    seen: &Seen,
) -> Result<String, Error> {
    let (view, key) = (&seen.view, seen.view.resource.key);
    let mut views = Views::default();
    views.external_ids.extend(view.external_id.clone().map(|id| (key, id)));
    views.groups.insert(key, seen.groups.clone());
    splice(service, resource_type, &views, &view.resource).map(|(head, tail)| head + &tail)
}

/// The documents among these that refer to other resources, completed.
fn referring(
    service: &Service,
    conn: &mut Conn,
    context: &Context,
    resource_type: &'static ResourceType,
    resources: &[Resource],
    projection: &Projection,
) -> Result<HashMap<ResourceKey, Map<String, Value>>, Error> {
    let shown = || reference::references(resource_type).filter(|path| projection.shows(*path));
    let mut keys = vec![];
    let mut documents = vec![];
    for resource in resources.iter().filter(|resource| reference::may_refer(&resource.document, shown())) {
        keys.push(resource.key);
        documents.push(stored_document(resource)?);
    }
    let (tenant, base) = (context.caller.tenant.key, service.scim_base_url());
    store::references::complete(conn, tenant, base, resource_type, &mut documents)?;
    Ok(keys.into_iter().zip(documents).collect())
}

/// The representation of one resource.
pub(in crate::service) fn render(
    service: &Service,
    conn: &mut Conn,
    context: &Context,
    resource_type: &'static ResourceType,
    views: &Views,
    resource: &Resource,
    projection: &Projection,
) -> Result<Body, Error> {
    let (head, tail) = if projection.is_default() {
        splice(service, resource_type, views, resource)?
    } else {
        project(service, resource_type, views, resource, projection)?
    };
    let rows = resource_type.rows.filter(|attribute| projection.wants(&attribute.name));
    let Some(rows) = rows else { return Ok(Body::text(head + &tail)) };
    let mut text = head;
    let _ = write!(text, ",\"{}\":[", rows.name);
    let tenant = context.caller.tenant.key;
    let members = store::members::page(conn, tenant, resource.key, None, CHUNK)?;
    let mut begun = false;
    for one in &members {
        let Some(element) = body::member_text(service, rows, one, projection)? else { continue };
        text.push_str(if std::mem::replace(&mut begun, true) { "," } else { "" });
        text.push_str(&element);
    }
    let mut body = Body::text(text);
    if let (Some(last), true) = (members.last(), members.len() as i64 == CHUNK) {
        let projection = projection.clone();
        let after = Some(last.key);
        body.push_rest(Box::new(Members { rows, tenant, group: resource.key, after, projection, begun }));
    }
    body.push("]");
    body.push(&tail);
    Ok(body)
}

/// The stored text up to where rows would stand, and what follows them.
fn splice(
    service: &Service,
    resource_type: &ResourceType,
    views: &Views,
    resource: &Resource,
) -> Result<(String, String), Error> {
    let document = match views.referring.get(&resource.key) {
        Some(document) => &serde_json::to_string(document)?,
        None => &resource.document,
    };
    let document = document.strip_suffix('}').unwrap_or(document);
    let mut head = String::with_capacity(document.len() + 512);
    head.push_str(document);
    let _ = write!(head, ",\"id\":\"{}\"", resource.id);
    if let Some(external_id) = views.external_ids.get(&resource.key) {
        let _ = write!(head, ",\"externalId\":{}", Value::from(external_id.as_str()));
    }
    if let Some(groups) = views.groups.get(&resource.key).filter(|groups| !groups.is_empty()) {
        let _ = write!(head, ",\"groups\":{}", group_values(service, groups));
    }
    Ok((head, tail(service, resource_type, &Dated::of(resource))))
}

/// What a representation ends with: `meta`.
pub(in crate::service) fn tail(service: &Service, resource_type: &ResourceType, dated: &Dated) -> String {
    [
        ",\"meta\":{\"resourceType\":\"",
        &resource_type.name,
        "\",\"created\":\"",
        &render_time(dated.created),
        "\",\"lastModified\":\"",
        &render_time(dated.modified),
        "\",\"location\":\"",
        &resources::location(service, resource_type, &dated.id),
        "\",\"version\":\"W/\\\"",
        &dated.version.to_string(),
        "\\\"\"}}",
    ]
    .concat()
}

/// The projected text, in the same two pieces; rows are projected one by one as they are read.
fn project(
    service: &Service,
    resource_type: &'static ResourceType,
    views: &Views,
    resource: &Resource,
    projection: &Projection,
) -> Result<(String, String), Error> {
    let mut document = full(service, resource_type, views, resource)?;
    projection.apply(&mut document);
    let mut head = serde_json::to_string(&document)?;
    head.pop();
    Ok((head, "}".to_owned()))
}

/// The whole view of a resource, but for its rows.
pub(in crate::service) fn full(
    service: &Service,
    resource_type: &ResourceType,
    views: &Views,
    resource: &Resource,
) -> Result<Map<String, Value>, Error> {
    let mut document = match views.referring.get(&resource.key) {
        Some(document) => document.clone(),
        None => stored_document(resource)?,
    };
    document.insert("id".to_owned(), resource.id.to_string().into());
    if let Some(external_id) = views.external_ids.get(&resource.key) {
        document.insert("externalId".to_owned(), external_id.as_str().into());
    }
    if let Some(groups) = views.groups.get(&resource.key).filter(|groups| !groups.is_empty()) {
        document.insert("groups".to_owned(), group_values(service, groups));
    }
    let meta = json!({
        "resourceType": resource_type.name,
        "created": text::render_time(resource.created),
        "lastModified": text::render_time(resource.modified),
        "location": resources::location(service, resource_type, &resource.id),
        "version": format!("W/\"{}\"", resource.version),
    });
    document.insert("meta".to_owned(), meta);
    Ok(document)
}

fn group_values(service: &Service, groups: &[GroupRef]) -> Value {
    let base = service.scim_base_url();
    let one = |group: &GroupRef| {
        json!({
            "value": group.id,
            "$ref": format!("{base}{}/{}", registry().endpoint_of(&group.type_name), group.id),
            "display": group.display,
            "type": if group.direct { "direct" } else { "indirect" },
        })
    };
    groups.iter().map(one).collect()
}
