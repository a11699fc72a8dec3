//! The facts that access is computed from, read set-wise: as they are, or as they were after a record.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use serde_json::{Map, Value};

use crate::domain::facts::{Facts, GroupFacts, Groups, ResourceFacts};
use crate::domain::principal::PrincipalKind;
use crate::domain::{Id, Policy, Principal, TenantKey};
use crate::service::access::{past, policy};
use crate::service::document::stored_document;
use crate::service::{Error, Service};
use crate::store::access_facts::{self, AT_ONCE, AccessFacts, Own};
use crate::store::{self, Conn, ResourceKey};

/// What is looked at: the present, or the state after a record.
pub(in crate::service) type At = Option<i64>;

/// The policy and the facts about some principals, as they are at one moment.
pub(in crate::service) fn now(
    service: &Service,
    conn: &mut Conn,
    tenant: TenantKey,
    ids: &[Id],
) -> Result<(Arc<Policy>, Vec<Facts>, Groups), Error> {
    // If the last policy still holds, one statement says all there is to know.
    if let Some((epoch, policy)) = policy::last(service, tenant)
        && (1..=AT_ONCE).contains(&ids.len())
    {
        let around = access_facts::read(conn, tenant, ids, wanted(&policy))?;
        let is_all = !around.principals.iter().any(|(principal, _)| principal.needs_sponsor());
        if around.policy_epoch == epoch && is_all {
            let mut found = ReadFacts::present(around)?;
            return Ok((policy, found.facts(ids), found.groups));
        }
    }
    store::snapshot(conn, |conn| {
        let policy = policy::now(service, conn, tenant)?;
        let (facts, groups) = of(service, conn, tenant, &policy, ids, None)?;
        Ok((policy, facts, groups))
    })
}

/// The facts about some principals, in the order of the ids; those that there never were are left out.
pub(in crate::service) fn of(
    service: &Service,
    conn: &mut Conn,
    tenant: TenantKey,
    policy: &Policy,
    ids: &[Id],
    at: At,
) -> Result<(Vec<Facts>, Groups), Error> {
    let mut found = match at {
        None => ReadFacts::present(access_facts::read(conn, tenant, ids, wanted(policy))?)?,
        Some(at) => past(service, conn, tenant, policy, ids, at)?,
    };
    let mut facts = found.facts(ids);
    withdraw_orphans(conn, tenant, &mut facts, &found.states, at)?;
    Ok((facts, found.groups))
}

/// What there was around some principals after a record.
fn past(
    service: &Service,
    conn: &mut Conn,
    tenant: TenantKey,
    policy: &Policy,
    ids: &[Id],
    at: i64,
) -> Result<ReadFacts, Error> {
    let states = states(conn, tenant, ids, Some(at))?;
    let resources = resources_at(service, conn, tenant, policy, ids, at)?;
    let keys: Vec<ResourceKey> = resources.values().map(|seen| ResourceKey(seen.key)).collect();
    let mut groups = Groups::default();
    if policy.has_groups() && !keys.is_empty() {
        groups.of = store::facts::edges(conn, tenant, &keys, at)?;
        let reached: HashSet<i64> = groups.of.values().flatten().map(|edge| edge.group).collect();
        let reached: Vec<ResourceKey> = reached.into_iter().map(ResourceKey).collect();
        groups.known = groups_at(service, conn, tenant, policy, &reached, at)?;
    }
    Ok(ReadFacts { states, resources, groups })
}

/// An agent without a live sponsor is not live (design §5). Local agents need none.
fn withdraw_orphans(
    conn: &mut Conn,
    tenant: TenantKey,
    facts: &mut [Facts],
    principals: &HashMap<Id, State>,
    at: At,
) -> Result<(), Error> {
    let needs =
        |facts: &Facts| facts.live && principals.get(&facts.id).is_some_and(|state| state.principal.needs_sponsor());
    let of = |facts: &Facts| facts.resource.as_ref().map(|one| sponsors(facts.kind, &one.document)).unwrap_or_default();
    let named: BTreeSet<Id> = facts.iter().filter(|one| needs(one)).flat_map(of).collect();
    let states = states(conn, tenant, &named.into_iter().collect::<Vec<_>>(), at)?;
    for agent in facts.iter_mut().filter(|one| needs(one)) {
        agent.live = of(agent).iter().any(|sponsor| states.get(sponsor).is_some_and(State::is_live));
    }
    Ok(())
}

/// What was known of groups after a record, by key.
fn groups_at(
    service: &Service,
    conn: &mut Conn,
    tenant: TenantKey,
    policy: &Policy,
    keys: &[ResourceKey],
    at: i64,
) -> Result<HashMap<i64, GroupFacts>, Error> {
    let mut known = store::facts::groups(conn, tenant, keys, policy.has_external_ids())?;
    let past = store::history::resources(conn, tenant, keys, at)?;
    let opened = past::open_past(service, conn, tenant, &past)?;
    for (row, past) in past.iter().zip(opened) {
        let display = past.display().map(str::to_owned);
        let facts = GroupFacts { key: row.key.0, id: row.id, display, external_ids: past.external_ids };
        known.insert(row.key.0, facts);
    }
    Ok(known)
}

/// The resources of some ids as they were after a record, by id: deleted ones, too.
fn resources_at(
    service: &Service,
    conn: &mut Conn,
    tenant: TenantKey,
    policy: &Policy,
    ids: &[Id],
    at: i64,
) -> Result<HashMap<Id, ResourceFacts>, Error> {
    let names = connection_names(conn, tenant, policy)?;
    let seen = |key: ResourceKey, document: Map<String, Value>, connection: Option<i64>| ResourceFacts {
        key: key.0,
        document,
        connection: connection.and_then(|key| names.get(&key).cloned()),
    };
    let mut found = HashMap::with_capacity(ids.len());
    for resource in store::resources::of_ids(conn, tenant, ids)? {
        let document = stored_document(&resource)?;
        found.insert(resource.id, seen(resource.key, document, resource.connection));
    }
    let mut keys: Vec<ResourceKey> = found.values().map(|seen| ResourceKey(seen.key)).collect();
    let missing: Vec<Id> = ids.iter().filter(|id| !found.contains_key(*id)).copied().collect();
    keys.extend(store::history::keys_of(conn, tenant, &missing)?.into_iter().map(|(_, key)| key));
    let past = store::history::resources(conn, tenant, &keys, at)?;
    let opened = past::open_past(service, conn, tenant, &past)?;
    for (row, past) in past.into_iter().zip(opened) {
        found.insert(row.id, seen(row.key, past.document, row.connection));
    }
    Ok(found)
}

/// What was found about some principals.
struct ReadFacts {
    states: HashMap<Id, State>,
    resources: HashMap<Id, ResourceFacts>,
    groups: Groups,
}

impl ReadFacts {
    /// What there is now.
    fn present(around: AccessFacts) -> Result<ReadFacts, Error> {
        let state = |(principal, created_seq): (Principal, i64)| {
            (principal.id, State { principal, created_seq, existed: true })
        };
        let mut resources = HashMap::with_capacity(around.resources.len());
        for Own { key, id, document, connection } in around.resources {
            resources.insert(id, ResourceFacts { key, document: serde_json::from_str(&document)?, connection });
        }
        let groups = Groups { known: around.groups, of: around.edges };
        Ok(ReadFacts { states: around.principals.into_iter().map(state).collect(), resources, groups })
    }

    /// The facts about each, in the order of the ids.
    fn facts(&mut self, ids: &[Id]) -> Vec<Facts> {
        let facts = |id: &Id| {
            let state = self.states.get(id)?;
            let (kind, live_since) = (state.principal.kind, state.created_seq);
            Some(Facts { id: *id, kind, live: state.is_live(), live_since, resource: self.resources.remove(id) })
        };
        ids.iter().filter_map(facts).collect()
    }
}

/// How much of the groups a policy asks for.
fn wanted(policy: &Policy) -> access_facts::Groups {
    match (policy.has_groups(), policy.has_external_ids()) {
        (false, _) => access_facts::Groups::None,
        (true, false) => access_facts::Groups::Names,
        (true, true) => access_facts::Groups::ExternalIds,
    }
}

/// How a principal stood.
struct State {
    principal: Principal,
    created_seq: i64,
    existed: bool,
}

impl State {
    fn is_live(&self) -> bool {
        self.existed && self.principal.is_live()
    }
}

fn states(conn: &mut Conn, tenant: TenantKey, ids: &[Id], at: At) -> Result<HashMap<Id, State>, Error> {
    let present = store::principals::many(conn, tenant, ids)?;
    let mut states: HashMap<Id, State> = present
        .into_iter()
        .map(|(principal, created_seq)| {
            let existed = at.is_none_or(|at| created_seq <= at);
            (principal.id, State { principal, created_seq, existed })
        })
        .collect();
    if let Some(at) = at {
        let mut seen = HashSet::new();
        for past in store::history::principals(conn, tenant, ids, at)? {
            // The first that ended after the record is the one that held then.
            if let (Some(state), true) = (states.get_mut(&past.id), seen.insert(past.id)) {
                state.principal.active = past.active;
                state.principal.admin_hold = past.admin_hold;
                state.principal.deleted_at = None;
            }
        }
    }
    Ok(states)
}

/// A principal as it was at a moment, and whether it was there by then; `None` if there never was one.
pub(in crate::service) fn principal(
    conn: &mut Conn,
    tenant: TenantKey,
    id: &Id,
    at: At,
) -> Result<Option<(Principal, bool)>, Error> {
    Ok(states(conn, tenant, &[*id], at)?.remove(id).map(|state| (state.principal, state.existed)))
}

/// The sponsors that the document of a principal names.
pub(in crate::service) fn sponsors(kind: PrincipalKind, document: &Map<String, Value>) -> Vec<Id> {
    let attribute = kind.resource_type().and_then(|one| one.sponsors);
    let sponsors = attribute.and_then(|one| document.get(&one.name)).and_then(Value::as_array);
    let id = |sponsor: &Value| sponsor.get("value").and_then(Value::as_str).and_then(Id::parse);
    sponsors.into_iter().flatten().filter_map(id).collect()
}

/// Connections by key; read only if a mapping asks who asserted something.
pub(in crate::service) fn connection_names(
    conn: &mut Conn,
    tenant: TenantKey,
    policy: &Policy,
) -> Result<HashMap<i64, String>, Error> {
    if !policy.has_asserted() {
        return Ok(HashMap::new());
    }
    let connections = store::connections::list(conn, tenant)?;
    Ok(connections.into_iter().map(|connection| (connection.key, connection.name)).collect())
}
