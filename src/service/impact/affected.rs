//! What a record says about the consequences of a change for access: ids of mappings, and roles.

use std::collections::BTreeSet;

use crate::domain::access;
use crate::domain::log::Entry;
use crate::domain::secret::resembles_key;
use crate::domain::{Id, Policy};
use crate::scim::tolerance::Tolerances;
use crate::service::access::facts;
use crate::service::{Change, Error};

/// Ids in one list of a record at most.
pub(in crate::service) const RECORD_IDS_MAX: usize = 1_000;

/// Mappings and roles that a change concerns.
#[derive(Debug, Default)]
pub struct Affected {
    mappings: BTreeSet<Id>,
    roles: BTreeSet<String>,
    /// Of these mappings, those that no group has the name for any more.
    orphaned: BTreeSet<Id>,
}

impl Affected {
    /// Some mappings, by their places, and all that they give.
    pub(in crate::service) fn add(&mut self, policy: &Policy, mappings: impl IntoIterator<Item = usize>) {
        for mapped in mappings.into_iter().filter_map(|at| policy.mapped(at)) {
            self.mappings.insert(mapped.mapping.id);
            self.roles.extend(policy.gains(&mapped.mapping.role).iter().map(|gain| gain.role.clone()));
        }
    }

    /// Notes a mapping that applies to nothing from now on.
    pub(in crate::service) fn orphan(&mut self, policy: &Policy, mapping: usize) {
        self.orphaned.extend(policy.mapped(mapping).map(|mapped| mapped.mapping.id));
    }

    /// What a change of a role concerns: the roles that include it, and every mapping that gives it.
    pub(in crate::service) fn by_role(policy: &Policy, role: &str) -> Affected {
        let includes = |outer: &&String| *outer != role && policy.gives(outer, role);
        Affected {
            mappings: policy.mappings_giving(role).map(|one| one.mapping.id).collect(),
            roles: policy.roles().keys().filter(includes).cloned().collect(),
            ..Affected::default()
        }
    }

    /// What a change of an api concerns: the roles that use it.
    pub(in crate::service) fn by_api(policy: &Policy, api: &str) -> Affected {
        let using = policy.roles().values().filter(|role| role.permissions.iter().any(|one| one.api() == api));
        Affected { roles: using.map(|role| role.name.clone()).collect(), ..Affected::default() }
    }

    /// What it concerns that a principal comes to life, or ceases to live: every mapping that applies to it.
    pub(in crate::service) fn by_life(change: &mut Change<'_>, id: Id) -> Result<Affected, Error> {
        let (mut affected, policy) = (Affected::default(), change.policy()?);
        if policy.mappings().next().is_none() {
            return Ok(affected);
        }
        let tenant = change.key();
        let (facts, groups) = facts::of(change.service, change.conn, tenant, &policy, &[id], None)?;
        for facts in &facts {
            let hits = access::potential(&policy, facts, &groups, change.now);
            affected.add(&policy, hits.iter().map(|hit| hit.mapping));
        }
        Ok(affected)
    }

    /// Adds what is affected to a record.
    pub(in crate::service) fn on(self, mut entry: Entry) -> Entry {
        let ids = |ids: &BTreeSet<Id>| ids.iter().map(Id::to_string).collect();
        let (mappings, orphaned) = (ids(&self.mappings), ids(&self.orphaned));
        for (name, list) in [("mappings", mappings), ("roles", Vec::from_iter(self.roles)), ("orphaned", orphaned)] {
            entry = listed(entry, name, list);
        }
        entry
    }
}

/// Adds to a record what the request needed beside the RFCs: names of tolerances, attribute paths and ids.
pub(in crate::service) fn tolerated(entry: Entry, tolerances: &Tolerances) -> Entry {
    let names: Vec<String> = tolerances.names().into_iter().map(str::to_owned).collect();
    let mut entry = listed(entry, "tolerances", names);
    let lists =
        [("dropped", tolerances.dropped()), ("unknown", tolerances.unknown()), ("kept_out", tolerances.kept_out())];
    for (name, dropped) in lists {
        // What may be a key's text stands in no record.
        let list: Vec<String> = dropped.list().into_iter().filter(|name| !resembles_key(name)).collect();
        let total = dropped.total();
        if total > list.len() {
            entry = entry.with(&format!("{name}_total"), total);
        }
        entry = listed(entry, name, list);
    }
    entry
}

/// A list in a record, and how long it is if it ends before.
fn listed(entry: Entry, name: &str, mut list: Vec<String>) -> Entry {
    let total = list.len();
    list.truncate(RECORD_IDS_MAX);
    match total {
        0 => entry,
        _ if total > RECORD_IDS_MAX => entry.with(name, list).with(&format!("{name}_total"), total),
        _ => entry.with(name, list),
    }
}
