//! The facts that access is computed from, read set-wise: as they are, or as they were after a record.

use std::collections::{BTreeSet, HashMap, HashSet};

use serde_json::{Map, Value};

use crate::domain::access::{Facts, GroupFacts, Groups, ResourceFacts};
use crate::domain::{Id, Policy, Principal, TenantKey};
use crate::service::resources::stored_document;
use crate::service::{Error, Service};
use crate::store::{self, Conn, ResourceKey};

/// What is looked at: the present, or the state after a record.
pub(in crate::service) type At = Option<i64>;

impl Service {
    /// The facts about some principals, in the order of the ids; those that there never were are left out.
    pub(in crate::service) fn facts(
        &self,
        conn: &mut Conn,
        tenant: TenantKey,
        policy: &Policy,
        ids: &[Id],
        at: At,
    ) -> Result<(Vec<Facts>, Groups), Error> {
        let principals = states(conn, tenant, ids, at)?;
        let mut resources = self.resources_at(conn, tenant, ids, at)?;
        let names = connection_names(conn, tenant, policy)?;
        let mut found = vec![];
        for id in ids {
            let Some(state) = principals.get(id) else { continue };
            let resource = resources.remove(id).map(|seen| ResourceFacts {
                key: seen.key.0,
                document: seen.document,
                connection: seen.connection.and_then(|key| names.get(&key).cloned()),
            });
            let (kind, live_since) = (state.principal.kind, state.created_seq);
            found.push(Facts { id: *id, kind, live: state.is_live(), live_since, resource });
        }
        self.withdraw_orphans(conn, tenant, &mut found, &principals, at)?;
        let keys: Vec<ResourceKey> =
            found.iter().filter_map(|facts| facts.resource.as_ref()).map(|one| ResourceKey(one.key)).collect();
        let groups = match policy.has_groups() && !keys.is_empty() {
            true => self.groups_around(conn, tenant, policy, &keys, at)?,
            false => Groups::default(),
        };
        Ok((found, groups))
    }

    /// An agent without a live sponsor is not live (design §5). Local agents need none.
    fn withdraw_orphans(
        &self,
        conn: &mut Conn,
        tenant: TenantKey,
        facts: &mut [Facts],
        principals: &HashMap<Id, State>,
        at: At,
    ) -> Result<(), Error> {
        let needs = |facts: &Facts| {
            facts.live && principals.get(&facts.id).is_some_and(|state| state.principal.needs_sponsor())
        };
        let of = |facts: &Facts| facts.resource.as_ref().map(|one| sponsors(&one.document)).unwrap_or_default();
        let named: BTreeSet<Id> = facts.iter().filter(|one| needs(one)).flat_map(of).collect();
        let states = states(conn, tenant, &named.into_iter().collect::<Vec<_>>(), at)?;
        for agent in facts.iter_mut().filter(|one| needs(one)) {
            agent.live = of(agent).iter().any(|sponsor| states.get(sponsor).is_some_and(State::is_live));
        }
        Ok(())
    }

    /// The groups around some resources.
    fn groups_around(
        &self,
        conn: &mut Conn,
        tenant: TenantKey,
        policy: &Policy,
        keys: &[ResourceKey],
        at: At,
    ) -> Result<Groups, Error> {
        let of = store::facts::edges(conn, tenant, keys, at)?;
        let reached: HashSet<i64> = of.values().flatten().map(|edge| edge.group).collect();
        let reached: Vec<ResourceKey> = reached.into_iter().map(ResourceKey).collect();
        let known = self.groups_at(conn, tenant, policy, &reached, at)?;
        Ok(Groups { known, of })
    }

    /// What is known of groups, by key.
    pub(in crate::service) fn groups_at(
        &self,
        conn: &mut Conn,
        tenant: TenantKey,
        policy: &Policy,
        keys: &[ResourceKey],
        at: At,
    ) -> Result<HashMap<i64, GroupFacts>, Error> {
        let mut known = store::facts::groups(conn, tenant, keys, policy.has_external_ids())?;
        let Some(at) = at else { return Ok(known) };
        let past = store::history::resources(conn, tenant, keys, at)?;
        let opened = self.open_past(conn, tenant, &past)?;
        for (row, past) in past.iter().zip(opened) {
            let display = past.document.get("displayName").and_then(Value::as_str).map(str::to_owned);
            let facts = GroupFacts { key: row.key.0, id: row.id, display, external_ids: past.external_ids };
            known.insert(row.key.0, facts);
        }
        Ok(known)
    }

    /// The resources of some ids with their documents, by id; deleted ones as they were.
    fn resources_at(&self, conn: &mut Conn, tenant: TenantKey, ids: &[Id], at: At) -> Result<HashMap<Id, Seen>, Error> {
        let mut found = HashMap::with_capacity(ids.len());
        for resource in store::resources::of_ids(conn, tenant, ids)? {
            let document = stored_document(&resource)?;
            found.insert(resource.id, Seen { key: resource.key, connection: resource.connection, document });
        }
        let Some(at) = at else { return Ok(found) };
        let mut keys: Vec<ResourceKey> = found.values().map(|seen| seen.key).collect();
        let missing: Vec<Id> = ids.iter().filter(|id| !found.contains_key(*id)).copied().collect();
        keys.extend(store::history::keys_of(conn, tenant, &missing)?.into_iter().map(|(_, key)| key));
        let past = store::history::resources(conn, tenant, &keys, at)?;
        let opened = self.open_past(conn, tenant, &past)?;
        for (row, past) in past.into_iter().zip(opened) {
            found.insert(row.id, Seen { key: row.key, connection: row.connection, document: past.document });
        }
        Ok(found)
    }
}

/// A principal's resource at a moment.
struct Seen {
    key: ResourceKey,
    connection: Option<i64>,
    document: Map<String, Value>,
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

/// The sponsors that an agent's document names.
pub(in crate::service) fn sponsors(document: &Map<String, Value>) -> Vec<Id> {
    let owners = document.get("owners").and_then(Value::as_array);
    let id = |owner: &Value| owner.get("value").and_then(Value::as_str).and_then(Id::parse);
    owners.into_iter().flatten().filter_map(id).collect()
}

/// Connections by key; read only if a mapping asks who asserted something.
fn connection_names(conn: &mut Conn, tenant: TenantKey, policy: &Policy) -> Result<HashMap<i64, String>, Error> {
    if !policy.has_asserted() {
        return Ok(HashMap::new());
    }
    let connections = store::connections::list(conn, tenant)?;
    Ok(connections.into_iter().map(|connection| (connection.key, connection.name)).collect())
}
