//! Storing a resource: document, unique values, index, externalId, members, principal, log record.
//!
//! One path for create, replace and patch, for every type, and for connections and admins: `authorize` has seen to it
//! that an admin writes nothing but what no connection made. What differs by type is in the schema files
//! and in two places: principals (liveness, cascade) and the attribute that has rows (members).

use serde_json::{Map, Value};

use crate::domain::log::Entry;
use crate::domain::{Connection, Id};
use crate::scim::patch::RowChange;
use crate::scim::tolerance::{Tolerance, Tolerances};
use crate::scim::{self, ResourceType, validate};
use crate::service::change::ending::Ending;
use crate::service::directory::members::{self, Delta, Plan};
use crate::service::directory::refusals::Dropped;
use crate::service::directory::resources::principal::{follow, keep_known_sponsors, principal};
use crate::service::directory::resources::unique::{claim_unique, keep_own_names, set_external_id};
use crate::service::directory::resources::write::check_reserved;
use crate::service::directory::resources::{Loaded, changed};
use crate::service::impact::affected::{Affected, RECORD_IDS_MAX, tolerated};
use crate::service::impact::protect::{self, Asked, AskedOfAgent, MemberChange as _, Write};
use crate::service::keys::cascade;
use crate::service::{Change, Error};
use crate::store::index::IndexRow;
use crate::store::resources::{NewResource, Resource, View};
use crate::store::{self, ResourceKey};

/// What a resource shall become.
#[derive(Clone)]
pub(in crate::service::directory::resources) struct Draft {
    pub(in crate::service::directory::resources) document: Map<String, Value>,
    pub(in crate::service::directory::resources) external_id: Option<String>,
    pub(in crate::service::directory::resources) rows: Vec<RowChange>,
    /// Attributes that the client cleared in so many words.
    pub(in crate::service::directory::resources) unassigned: Vec<String>,
    /// Whether the client says of a principal that it is not active.
    pub(in crate::service::directory::resources) leaves: bool,
    /// Whether a patch says who is in a group, or answers for an agent. What a whole body says of that counts by its
    /// effect.
    pub(in crate::service::directory::resources) members: bool,
    /// What may only be left out beside that.
    pub(in crate::service::directory::resources) lacking: Option<scim::Error>,
}

/// A new resource, checked and taken apart: nobody else's write waits for that.
pub(in crate::service::directory::resources) struct Ready {
    draft: Draft,
    text: String,
    index: Vec<IndexRow>,
    paths: Vec<String>,
}

impl Ready {
    pub(in crate::service::directory::resources) fn new(
        draft: Draft,
        resource_type: &'static ResourceType,
    ) -> Result<Ready, Error> {
        validate::complete(&draft.document, resource_type)?;
        check_reserved(resource_type, &draft.document)?;
        let mut paths = changed::paths(&Map::new(), &draft.document);
        paths.extend(draft.external_id.as_ref().map(|_| "externalId".to_owned()));
        let text = serde_json::to_string(&draft.document)?;
        let index = store::index::derive(resource_type, &draft.document);
        Ok(Ready { draft, text, index, paths })
    }
}

/// A resource as stored.
pub(in crate::service) struct Saved {
    pub(in crate::service) view: View,
    /// What was dropped and beside which nothing changed: else nobody would be told what it was. It is for whoever carried
    /// the change out to keep, once an hour: a change that is done again must not take its place twice.
    pub(in crate::service) dropped: Option<Dropped>,
}

/// Stores a new resource.
pub(in crate::service::directory::resources) fn create(
    change: &mut Change<'_>,
    resource_type: &'static ResourceType,
    ready: &Ready,
    tolerances: &mut Tolerances,
) -> Result<Saved, Error> {
    let other = with_known_sponsors(change, resource_type, &ready.draft, tolerances)?;
    let Ready { draft, text: document, index, paths } = other.as_ref().unwrap_or(ready);
    let connection = change.context.caller.connection().cloned();
    let from = connection.as_ref().map(|connection| connection.key);
    let (id, tenant) = (change.mint(), change.key());
    let new = NewResource {
        id,
        type_name: &resource_type.name,
        connection: from,
        display: resource_type.display_in(&draft.document),
        document,
        created: change.now,
    };
    let key = store::resources::insert(change.conn, tenant, &new)?;
    claim_unique(change, resource_type, connection.as_ref(), key, None, &draft.document)?;
    if let Some(connection) = &connection {
        set_external_id(change, resource_type, connection, key, None, draft.external_id.as_deref())?;
    }
    store::index::add(change.conn, tenant, key, index)?;
    let delta =
        members::plan(change, (resource_type, key), draft.rows.clone(), tolerances)?.carry_out(change, tolerances)?;
    if resource_type.principal {
        let mut principal = principal(id, &draft.document, resource_type, None)?;
        cascade::decide(None, &mut principal, change.now);
        // Nobody else knows the id yet: it is no lock that comes too late.
        let seq = change.seq();
        store::principals::insert(change.conn, tenant, &principal, seq)?;
    }
    let affected = protect::check_write(
        change,
        &Write {
            resource_type,
            id,
            key,
            connection: from,
            before: None,
            after: Some(&draft.document),
            external_ids: Some((vec![], draft.external_id.iter().cloned().collect())),
            adds: !delta.added.is_empty(),
            removes: false,
        },
    )?;
    record(change, resource_type, &id, paths.clone(), delta, (affected, tolerances));
    let resource = Resource {
        key,
        id,
        type_name: resource_type.name.clone(),
        connection: from,
        display: resource_type.display_in(&draft.document).map(str::to_owned),
        document: document.clone(),
        version: 1,
        created: change.now,
        modified: change.now,
    };
    let view = View { resource, external_id: draft.external_id.clone(), is_member: false };
    Ok(Saved { view, dropped: None })
}

/// What is made ready anew, if sponsors are left out of it.
fn with_known_sponsors(
    change: &mut Change<'_>,
    resource_type: &'static ResourceType,
    draft: &Draft,
    tolerances: &mut Tolerances,
) -> Result<Option<Ready>, Error> {
    let Some(sponsors) = resource_type.sponsors.filter(|one| draft.document.contains_key(&one.name)) else {
        return Ok(None);
    };
    let mut draft = draft.clone();
    let is_other = keep_known_sponsors(change, sponsors, &mut draft.document, tolerances)?;
    if is_other { Ready::new(draft, resource_type).map(Some) } else { Ok(None) }
}

/// Stores a changed resource; a change that changes nothing writes nothing (RFC 7644 §3.5.2.1).
pub(in crate::service::directory::resources) fn update(
    change: &mut Change<'_>,
    resource_type: &'static ResourceType,
    before: Loaded,
    mut draft: Draft,
    tolerances: &mut Tolerances,
) -> Result<Saved, Error> {
    let connection = change.context.caller.connection().cloned();
    let (tenant, key) = (change.key(), before.resource.key);
    let plan = complete(change, resource_type, connection.as_ref(), &before, &mut draft, tolerances)?;
    let mut paths = changed::paths(&before.document, &draft.document);
    if !paths.is_empty() {
        check_reserved(resource_type, &draft.document)?;
        claim_unique(change, resource_type, connection.as_ref(), key, Some(&before.document), &draft.document)?;
    }
    let ending = match paths.is_empty() && before.external_id == draft.external_id {
        true => None,
        false => Some(Ending::of(change, &before.resource)?),
    };
    if let (Some(connection), true) = (&connection, before.external_id != draft.external_id) {
        let (old, new) = (before.external_id.as_deref(), draft.external_id.as_deref());
        set_external_id(change, resource_type, connection, key, old, new)?;
        paths.push("externalId".to_owned());
    }
    if !paths.is_empty() {
        let (old, new) = (Some(&before.document), Some(&draft.document));
        store::index::write(change.conn, tenant, resource_type, key, old, new)?;
    }
    let delta = plan.carry_out(change, tolerances)?;
    let text = if paths.is_empty() { None } else { Some(put(change, resource_type, key, &draft.document)?) };
    if text.is_none() && !delta.is_empty() {
        store::resources::touch(change.conn, tenant, key, change.now)?;
    }
    if paths.is_empty() && delta.is_empty() {
        let none = (vec![], (Affected::default(), &*tolerances));
        let dropped = Dropped::of(|| entry(change, resource_type, &before.resource.id, none), tolerances);
        // Whether it is in any group was not asked: rendering finds out.
        let view = View { resource: before.resource, external_id: before.external_id, is_member: true };
        return Ok(Saved { view, dropped });
    }
    let id = before.resource.id;
    let own = (before.external_id.as_deref(), draft.external_id.as_deref());
    let external_ids = ending.as_ref().map(|ending| ending.external_ids_with(own));
    if let Some(ending) = ending {
        ending.keep(change, &before.resource)?;
    }
    let affected = protect::check_write(
        change,
        &Write {
            resource_type,
            id,
            key,
            connection: before.resource.connection,
            before: Some(&before.document),
            after: Some(&draft.document),
            external_ids,
            adds: !delta.added.is_empty(),
            removes: !delta.removed.is_empty(),
        },
    )?;
    record(change, resource_type, &id, paths, delta, (affected, tolerances));
    if resource_type.principal {
        follow(change, resource_type, &id, &draft.document)?;
    }
    Ok(changed_view(change, before.resource, text, resource_type.display_in(&draft.document), draft.external_id))
}

/// A resource as it is after a change; without a text its document is what it was.
fn changed_view(
    change: &mut Change<'_>,
    mut resource: Resource,
    text: Option<String>,
    display: Option<&str>,
    external_id: Option<String>,
) -> Saved {
    if let Some(text) = text {
        (resource.document, resource.display) = (text, display.map(str::to_owned));
    }
    store::resources::changed(&mut resource, change.now);
    let is_member = store::resources::may_be_member(change.conn, &resource.id);
    Saved { view: View { resource, external_id, is_member }, dropped: None }
}

/// Drops what may not stand in a changed document, as far as the dialect lets it, and checks what remains; gives
/// what becomes of the members.
fn complete(
    change: &mut Change<'_>,
    resource_type: &'static ResourceType,
    connection: Option<&Connection>,
    before: &Loaded,
    draft: &mut Draft,
    tolerances: &mut Tolerances,
) -> Result<Plan, Error> {
    let group = (resource_type, before.resource.key);
    let mut plan = members::plan(change, group, std::mem::take(&mut draft.rows), tolerances)?;
    let mut is_beside = draft.leaves || draft.members || plan.effect(change)?.is_any();
    if let Some(sponsors) = resource_type.sponsors
        && before.document.get(&sponsors.name) != draft.document.get(&sponsors.name)
    {
        keep_known_sponsors(change, sponsors, &mut draft.document, tolerances)?;
        is_beside |= before.document.get(&sponsors.name) != draft.document.get(&sponsors.name);
    }
    match draft.lacking.take() {
        Some(error) if !is_beside => return Err(error.into()),
        Some(_) => _ = tolerances.allow(Tolerance::Beside),
        None => {}
    }
    if is_beside {
        keep_own_names(change, resource_type, connection, before, draft, tolerances)?;
    }
    if resource_type.rows.is_some() {
        let asked = Asked {
            resource_type,
            resource: &before.resource,
            before: &before.document,
            after: &mut draft.document,
            called: before.external_id.as_deref(),
            calls: &mut draft.external_id,
        };
        protect::only_reduce(change, asked, &mut plan, tolerances)?;
    }
    if resource_type.sponsors.is_some() {
        let (resource, before) = (&before.resource, &before.document);
        let asked = AskedOfAgent { resource_type, resource, before, after: &mut draft.document };
        protect::only_lose_sponsors(change, asked, tolerances)?;
    }
    validate::complete(&draft.document, resource_type)?;
    Ok(plan)
}

/// Stores another document; gives its text.
fn put(
    change: &mut Change<'_>,
    resource_type: &ResourceType,
    key: ResourceKey,
    document: &Map<String, Value>,
) -> Result<String, Error> {
    let text = serde_json::to_string(document)?;
    let display = resource_type.display_in(document);
    store::resources::update(change.conn, change.key(), key, &text, display, change.now)?;
    Ok(text)
}

/// The record of a write, without members.
fn entry(
    change: &Change<'_>,
    resource_type: &ResourceType,
    id: &Id,
    (paths, (affected, tolerances)): (Vec<String>, (Affected, &Tolerances)),
) -> Entry {
    let (kind, action) = (resource_type.name.to_ascii_lowercase(), change.operation.action_for(&resource_type.name));
    tolerated(affected.on(Entry::new(action, kind, id).with("paths", paths)), tolerances)
}

/// One record for the resource; long lists of members go on in further ones.
pub(in crate::service::directory::resources) fn record(
    change: &mut Change<'_>,
    resource_type: &ResourceType,
    id: &Id,
    paths: Vec<String>,
    delta: Delta,
    (affected, tolerances): (Affected, &Tolerances),
) {
    let kind = resource_type.name.to_ascii_lowercase();
    let action = change.operation.action_for(&resource_type.name);
    let mut entry = entry(change, resource_type, id, (paths, (affected, tolerances)));
    let mut room = RECORD_IDS_MAX;
    let mut open = false;
    for (name, ids) in [("added", &delta.added), ("removed", &delta.removed)] {
        for chunk in ids.chunks(RECORD_IDS_MAX) {
            if open && chunk.len() > room {
                let next = Entry::new(&*action, &*kind, id).with("paths", Vec::<String>::new());
                change.record(std::mem::replace(&mut entry, next));
                room = RECORD_IDS_MAX;
            }
            let texts: Vec<String> = chunk.iter().map(Id::to_string).collect();
            room = room.saturating_sub(texts.len());
            entry = entry.with(name, texts);
            open = true;
        }
    }
    change.record(entry);
}
