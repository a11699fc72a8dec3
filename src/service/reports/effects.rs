//! Who would gain and lose what if one policy took the place of another.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde::Serialize;
use serde_json::{Map, Value};

use crate::domain::access;
use crate::domain::facts::Facts;
use crate::domain::loss::Loss;
use crate::domain::principal::PrincipalKind;
use crate::domain::{Id, Policy, TenantKey};
use crate::service::access::facts;
use crate::service::reports::candidates::PagePosition;
use crate::service::reports::holders;
use crate::service::reports::holders::{Holders, Sought};
use crate::service::reports::moment::Moment;
use crate::service::{Error, Service, memory, registry};
use crate::store::{self, Conn};

/// How many principals are told of.
const EFFECTS_MAX: usize = 10_000;
/// Principals that are looked at together.
const PAGE: usize = 250;

/// Who would gain and lose what.
pub(in crate::service) struct Effects {
    pub(in crate::service) list: Vec<Effect>,
    /// Whether there are more than are told.
    pub(in crate::service) truncated: bool,
}

/// What one principal would gain and lose.
#[derive(Debug, Serialize)]
pub struct Effect {
    /// Who.
    pub principal: NamedPrincipal,
    /// What it would hold then.
    pub gains: Loss,
    /// What it would hold no more.
    pub losses: Loss,
}

/// A principal, as people know it.
#[derive(Debug, Serialize)]
pub struct NamedPrincipal {
    /// User or agent.
    #[serde(rename = "type")]
    pub kind: PrincipalKind,
    /// Its id.
    pub id: Id,
    /// Its userName, or the agent's name.
    pub name: Option<String>,
}

/// What differs between two policies.
#[derive(Debug, Default)]
pub(in crate::service) struct PolicyDifference {
    /// Roles that give something else, or may be asserted by others.
    pub(in crate::service) roles: BTreeSet<String>,
    /// Mappings that come, go or become others.
    pub(in crate::service) mappings: BTreeSet<Id>,
}

impl PolicyDifference {
    /// The roles that are others after a change.
    pub(in crate::service) fn roles_between(before: &Policy, after: &Policy) -> PolicyDifference {
        let names: BTreeSet<&String> = before.roles().keys().chain(after.roles().keys()).collect();
        let given = |policy: &Policy, name: &str| -> BTreeSet<String> {
            policy.gains(name).iter().map(|gain| gain.role.clone()).collect()
        };
        let asserted = |policy: &Policy, name: &str| policy.roles().get(name).map(|role| role.assertable_by.clone());
        let differs = |name: &&String| {
            before.permissions(name) != after.permissions(name)
                || given(before, name) != given(after, name)
                || asserted(before, name) != asserted(after, name)
        };
        PolicyDifference { roles: names.into_iter().filter(differs).cloned().collect(), mappings: BTreeSet::new() }
    }

    /// The places of the mappings of a policy that are affected.
    fn places(&self, policy: &Policy) -> BTreeSet<usize> {
        policy.places(|one| self.mappings.contains(&one.mapping.id) || self.roles.contains(&one.mapping.role))
    }
}

/// Who would gain and lose what.
///
/// # Errors
/// If the store fails.
pub(in crate::service) fn of(
    service: &Service,
    conn: &mut Conn,
    tenant: TenantKey,
    before: &Arc<Policy>,
    after: Arc<Policy>,
    affected: &PolicyDifference,
) -> Result<Effects, Error> {
    let moment = |policy: Arc<Policy>| Moment { at: None, time: memory::now_in(service, tenant), as_of_seq: 0, policy };
    let (before, after) = (moment(Arc::clone(before)), moment(after));
    let (mut effects, mut from) = (vec![], None);
    loop {
        let mut sides = vec![];
        for side in [&before, &after] {
            let mappings = affected.places(&side.policy);
            sides.push(holders::find(
                service,
                conn,
                tenant,
                side,
                &Sought { mappings, after: from, count: PAGE },
                |_| true,
            )?);
        }
        let (ids, next) = merged(&sides);
        for (id, facts, loss, gain) in compare(service, conn, tenant, (&before, &after), &ids)? {
            if !(loss.is_empty() && gain.is_empty()) {
                effects.push((id, facts, loss, gain));
            }
        }
        from = next;
        if from.is_none() || effects.len() > EFFECTS_MAX {
            break;
        }
    }
    let truncated = effects.len() > EFFECTS_MAX;
    effects.truncate(EFFECTS_MAX);
    let ids: Vec<Id> = effects.iter().map(|(id, ..)| *id).collect();
    let mut names = names(conn, tenant, &ids)?;
    let told = effects.into_iter().map(|(id, facts, losses, gains)| {
        let principal = NamedPrincipal { kind: facts.kind, id, name: names.remove(&id) };
        Effect { principal, gains, losses }
    });
    Ok(Effects { list: told.collect(), truncated })
}

/// What some principals lose and gain from one moment's policy to another's.
fn compare(
    service: &Service,
    conn: &mut Conn,
    tenant: TenantKey,
    (before, after): (&Moment, &Moment),
    ids: &[Id],
) -> Result<Vec<(Id, Facts, Loss, Loss)>, Error> {
    let mut compared = vec![];
    let (old, old_groups) = facts::of(service, conn, tenant, &before.policy, ids, None)?;
    let (new, new_groups) = facts::of(service, conn, tenant, &after.policy, ids, None)?;
    // Both are in the order of the ids and of the same snapshot.
    for (old, new) in old.into_iter().zip(new) {
        let had = access::hits(&before.policy, &old, &old_groups, before.time);
        let has = access::hits(&after.policy, &new, &new_groups, after.time);
        let (had, has) = ((&*before.policy, had.as_slice()), (&*after.policy, has.as_slice()));
        compared.push((new.id, new, Loss::between(had, has), Loss::between(has, had)));
    }
    Ok(compared)
}

/// The principals of two pages, as far as both are complete, and where to go on.
fn merged(sides: &[Holders]) -> (Vec<Id>, Option<PagePosition>) {
    let next = sides.iter().filter_map(|side| side.next).min();
    let all = sides.iter().flat_map(|side| side.found.iter().map(|holder| (holder.place, holder.facts.id)));
    let known: BTreeMap<PagePosition, Id> = all.filter(|(place, _)| next.is_none_or(|next| *place <= next)).collect();
    (known.into_values().collect(), next)
}

/// What principals are called: by the name that is theirs alone, or as the installation calls its own.
fn names(conn: &mut Conn, tenant: TenantKey, ids: &[Id]) -> Result<BTreeMap<Id, String>, Error> {
    let mut names = BTreeMap::new();
    for (principal, _) in store::principals::many(conn, tenant, ids)? {
        names.insert(principal.id, principal.name);
    }
    for resource in store::resources::of_ids(conn, tenant, ids)? {
        let document: Map<String, Value> = serde_json::from_str(&resource.document)?;
        let name = registry().by_name(&resource.type_name).and_then(|one| one.name_in(&document));
        names.extend(name.map(|name| (resource.id, name.to_owned())));
    }
    Ok(names)
}
