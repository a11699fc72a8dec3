//! The principal behind a User or an Agent: liveness, sponsors, and what a change of them means for keys.

use std::collections::HashSet;

use serde_json::{Map, Value};

use crate::domain::Id;
use crate::domain::log::Entry;
use crate::domain::principal::{Principal, PrincipalKind};
use crate::scim::attribute::Attribute;
use crate::scim::tolerance::{Tolerance, Tolerances};
use crate::scim::{self, ResourceType};
use crate::service::access::liveness;
use crate::service::change::ending::update_principal;
use crate::service::directory::members::spelt;
use crate::service::directory::resources::returns;
use crate::service::impact::affected::Affected;
use crate::service::keys::cascade::{self, Consequence};
use crate::service::{Change, Error, keys};
use crate::store;

/// An agent's sponsors are Users of this tenant (promise P1); who is deleted later is taken out then. The operator,
/// whom no connection knows, may answer for the agents of admins. Others are dropped, or refused; gives whether
/// the document is another one then.
pub(in crate::service::directory::resources) fn keep_known_sponsors(
    change: &mut Change<'_>,
    attribute: &Attribute,
    document: &mut Map<String, Value>,
    tolerances: &mut Tolerances,
) -> Result<bool, Error> {
    fn text(owner: &Value) -> &str {
        owner.get("value").and_then(Value::as_str).unwrap_or_default()
    }
    let Some(owners) = document.get_mut(&attribute.name).and_then(Value::as_array_mut) else { return Ok(false) };
    let (mut respelt, count) = (false, owners.len());
    for value in owners.iter_mut().filter_map(|owner| owner.get_mut("value")) {
        if let Some(id) = value.as_str().and_then(|text| spelt(text, tolerances).filter(|id| id.to_string() != text)) {
            (*value, respelt) = (id.to_string().into(), true);
        }
    }
    if respelt {
        let mut seen = HashSet::with_capacity(count);
        owners.retain(|owner| seen.insert(text(owner).to_owned()));
    }
    let ids: Vec<Id> = owners.iter().filter_map(|owner| Id::parse(text(owner))).collect();
    let found = store::principals::many(change.conn, change.key(), &ids)?;
    let is_admin = change.context.caller.connection().is_none();
    let is_user = |p: &Principal| p.kind == PrincipalKind::User && (is_admin || !p.local) && p.deleted_at.is_none();
    let users: HashSet<Id> = found.iter().filter(|(p, _)| is_user(p)).map(|(p, _)| p.id).collect();
    let is_known = |owner: &Value| Id::parse(text(owner)).is_some_and(|id| users.contains(&id));
    let Some(index) = owners.iter().position(|owner| !is_known(owner)) else { return Ok(respelt) };
    if !tolerances.allow(Tolerance::UnknownReference) {
        let id = owners.get(index).map(text).unwrap_or_default();
        return Err(scim::Error::value(format!("{}[{index}].value: no user has the id {id:?}", attribute.name)).into());
    }
    owners.iter().filter(|owner| !is_known(owner)).for_each(|owner| tolerances.drop_id(text(owner)));
    owners.retain(is_known);
    if owners.is_empty() {
        document.shift_remove(&attribute.name);
    }
    Ok(true)
}

/// The principal that a User's or Agent's document describes; `before` keeps what SCIM cannot set.
pub(in crate::service::directory::resources) fn principal(
    id: Id,
    document: &Map<String, Value>,
    resource_type: &ResourceType,
    before: Option<&Principal>,
) -> Result<Principal, Error> {
    Ok(Principal {
        id,
        kind: PrincipalKind::of_type(resource_type).ok_or_else(|| Error::internal("a type of no principals"))?,
        local: false,
        name: resource_type.name_in(document).unwrap_or_default().to_owned(),
        active: document.get("active").and_then(Value::as_bool).unwrap_or(false),
        admin_hold: before.is_some_and(|p| p.admin_hold),
        suspended_at: before.and_then(|p| p.suspended_at),
        deleted_at: None,
    })
}

/// Carries a change of the document over to the principal and its keys, in the same transaction.
pub(in crate::service::directory::resources) fn follow(
    change: &mut Change<'_>,
    resource_type: &ResourceType,
    id: &Id,
    document: &Map<String, Value>,
) -> Result<(), Error> {
    let before = store::principals::find(change.conn, change.key(), id)?;
    let before = before.ok_or_else(|| Error::internal("a resource without its principal"))?;
    let after = principal(*id, document, resource_type, Some(&before))?;
    if after.active && !before.active {
        returns::hold_agents(change, id)?;
    }
    settle(change, &before, after, None)
}

/// The record of an agent that an admin brings back: also under whom, for its identity provider may have changed that
/// while it was inactive.
fn answered_for(change: &mut Change<'_>, agent: &Principal, entry: Entry) -> Result<Entry, Error> {
    if agent.kind != PrincipalKind::Agent || change.context.caller.connection().is_some() {
        return Ok(entry);
    }
    let tenant = change.key();
    let mut sponsors = liveness::sponsors_of(change.conn, tenant, agent.id)?;
    sponsors.sort_by_key(|user| user.id);
    let ids = |live: bool| -> Vec<String> {
        sponsors.iter().filter(|user| !live || user.is_live()).map(|user| user.id.to_string()).collect()
    };
    Ok(entry.with("sponsors", ids(false)).with("sponsors_live", ids(true)))
}

/// Stores a changed principal and does to its keys what the change means (`credentials.md` §3.7).
pub(in crate::service) fn settle(
    change: &mut Change<'_>,
    before: &Principal,
    mut after: Principal,
    reason: Option<&str>,
) -> Result<(), Error> {
    let (consequence, late) = cascade::decide(Some(before), &mut after, change.now);
    if *before == after {
        return Ok(());
    }
    let action = match consequence {
        // Who is not live for another reason as well: that an admin has changed their mind is recorded all the same.
        Consequence::None if before.admin_hold != after.admin_hold => {
            Some(if after.admin_hold { "principal.held" } else { "principal.released" })
        }
        Consequence::None => None,
        Consequence::Suspend => Some("principal.suspended"),
        Consequence::Activate => Some("principal.activated"),
    };
    // Keys may die of it, the caller's own among them: see `Change::seq`. What has no record of its own, since a hold
    // stands beside it, is told by that of the document.
    let seq = if action.is_some() { change.seq() } else { change.told_seq() };
    update_principal(change, before, &after, seq)?;
    if let Some(action) = action {
        let entry = Entry::new(action, after.kind.name(), after.id);
        let entry = reason.into_iter().fold(entry, |entry, reason| entry.with("reason", reason));
        let affected = Affected::by_life(change, after.id)?;
        let entry = if consequence == Consequence::Activate { answered_for(change, &after, entry)? } else { entry };
        change.record(affected.on(entry));
    }
    if late {
        keys::revoke_all(change, &after.id, "reactivation_window_elapsed")?;
    }
    Ok(())
}
