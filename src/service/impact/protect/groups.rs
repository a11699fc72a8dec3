//! Groups: whose name, and whose members, give what no connection may give.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use crate::domain::facts::GroupFacts;
use crate::domain::mapping::Source;
use crate::domain::{Id, Permissions, Policy};
use crate::scim::ResourceType;
use crate::scim::text;
use crate::scim::tolerance::Tolerances;
use crate::service::access::policy;
use crate::service::change::Touched;
use crate::service::change::ending::Ending;
use crate::service::impact::affected::Affected;
use crate::service::impact::protect::{Write, keyroll, refusal, refused};
use crate::service::{Change, Error};
use crate::store::resources::Resource;
use crate::store::{self, ResourceKey};

/// What each record and each detail calls a group that is guarded.
const WHAT: &str = "a group that gives a permission of Keyroll";
const EXTERNAL_ID: &str = "externalId";

/// The mappings of a group before and after a write: by what it is called, and by the groups around it.
struct Gives {
    own_before: Vec<usize>,
    own_after: Vec<usize>,
    around: Vec<usize>,
    /// Whether others know it by another name then.
    renames: bool,
}

impl Gives {
    fn new(policy: &Policy, before: Option<&GroupFacts>, after: Option<&GroupFacts>, around: Vec<usize>) -> Gives {
        let own = |facts: Option<&GroupFacts>| facts.map(|one| policy.of_group(one)).unwrap_or_default();
        let renames = before.zip(after).is_some_and(|(before, after)| is_called_otherwise(before, after));
        Gives { own_before: own(before), own_after: own(after), around, renames }
    }

    fn before(&self) -> BTreeSet<usize> {
        self.own_before.iter().chain(&self.around).copied().collect()
    }

    fn after(&self) -> BTreeSet<usize> {
        self.own_after.iter().chain(&self.around).copied().collect()
    }

    /// The same without another name.
    fn kept(self) -> Gives {
        Gives { own_after: self.own_before.clone(), renames: false, ..self }
    }

    /// Whether what it is called is an admin's to say: a new name may be the one that a mapping waits for; an old
    /// one may be what an admin relies on.
    fn guards_name(&self, policy: &Policy) -> bool {
        let new = self.own_after.iter().filter(|at| !self.own_before.contains(at)).copied().collect();
        !keyroll(policy, &new).is_empty() || (self.renames && !keyroll(policy, &self.before()).is_empty())
    }

    /// Whether who comes into it is an admin's to say.
    fn guards_members(&self, policy: &Policy) -> bool {
        !keyroll(policy, &self.after()).is_empty()
    }

    fn permissions(&self, policy: &Policy) -> [Permissions; 2] {
        [keyroll(policy, &self.before()), keyroll(policy, &self.after())]
    }
}

/// Looks at what was done to a group: see [`crate::service::impact::protect::check_write`].
pub(in crate::service::impact::protect) fn check_write(
    change: &mut Change<'_>,
    policy: &Policy,
    write: &Write<'_>,
) -> Result<Affected, Error> {
    let mut affected = Affected::default();
    if !policy.has_groups() {
        return Ok(affected);
    }
    let facts = |document: Option<&Map<String, Value>>, external_ids: &[String]| {
        Some(facts(write.resource_type, (write.key, write.id), document?, external_ids))
    };
    let stored;
    let (called, calls) = match &write.external_ids {
        Some((called, calls)) => (called, calls),
        None => {
            stored = external_ids(change, policy, write.key)?;
            (&stored, &stored)
        }
    };
    let (before, after) = (facts(write.before, called), facts(write.after, calls));
    let is_other = before != after;
    let mut gives = Gives::new(policy, before.as_ref(), after.as_ref(), vec![]);
    if is_other && !(gives.own_before.is_empty() && gives.own_after.is_empty()) {
        change.touch_policy(Touched::Identity);
    }
    if !is_other && !write.adds && !write.removes {
        return Ok(affected);
    }
    gives.around = mappings_around(change, policy, write.key)?;
    if change.context.caller.connection().is_some()
        && (gives.guards_name(policy) || (write.adds && gives.guards_members(policy)))
    {
        return Err(refused(change, write, &gives.permissions(policy), WHAT));
    }
    if gives.renames {
        note_orphans(change, policy, &gives, &mut affected)?;
    }
    let (gave, gives) = (gives.before(), gives.after());
    match write.adds || write.removes {
        true => affected.add(policy, gave.union(&gives).copied()),
        false => affected.add(policy, gave.symmetric_difference(&gives).copied()),
    }
    Ok(affected)
}

/// Notes the mappings by the name that a group had: if no other group has it, they give nothing to anybody, which
/// nobody sees who does not look for it.
fn note_orphans(change: &mut Change<'_>, policy: &Policy, gives: &Gives, affected: &mut Affected) -> Result<(), Error> {
    let tenant = change.key();
    for at in gives.own_before.iter().filter(|at| !gives.own_after.contains(at)) {
        let Some(Source::Group { group }) = policy.mapped(*at).map(|mapped| &mapped.mapping.source) else { continue };
        let named = store::candidates::named(change.conn, tenant, &[group])?;
        let others = store::facts::groups(change.conn, tenant, &named, policy.has_external_ids())?;
        if !others.values().any(|other| policy.of_group(other).contains(at)) {
            affected.orphan(policy, *at);
        }
    }
    Ok(())
}

/// Whether members come, and whether any go.
#[derive(Clone, Copy, Debug)]
pub(in crate::service) struct Effect {
    pub(in crate::service) adds: bool,
    pub(in crate::service) removes: bool,
}

impl Effect {
    /// Whether anybody comes or goes.
    pub(in crate::service) fn is_any(self) -> bool {
        self.adds || self.removes
    }
}

/// What a request makes of the members of a group.
pub(in crate::service) trait MemberChange {
    /// Whether anybody may come by it; who is to come may be there already.
    fn may_add(&self) -> bool;

    /// Whether anybody may go by it.
    fn may_remove(&self) -> bool;

    /// Finds out who really comes and goes; gives whether anybody does, and how.
    fn effect(&mut self, change: &mut Change<'_>) -> Result<Effect, Error>;

    /// Leaves out those who come; gives them.
    fn keep_out(&mut self) -> Vec<Id>;
}

/// What a request makes of a group's names; see [`MemberChange`] for its members.
pub(in crate::service) struct Asked<'a> {
    pub(in crate::service) resource_type: &'static ResourceType,
    pub(in crate::service) resource: &'a Resource,
    pub(in crate::service) before: &'a Map<String, Value>,
    pub(in crate::service) after: &'a mut Map<String, Value>,
    /// What the connection called it.
    pub(in crate::service) called: Option<&'a str>,
    pub(in crate::service) calls: &'a mut Option<String>,
}

/// Leaves out of a request that takes somebody out of a group what [`consider`] would refuse: whoever shall come in,
/// and the new name. Otherwise a leaver would stay in what gives the most. That it was asked for is recorded. What
/// is looked at here is not locked yet: `consider` has the last word.
pub(in crate::service) fn only_reduce(
    change: &mut Change<'_>,
    asked: Asked<'_>,
    plan: &mut impl MemberChange,
    tolerances: &mut Tolerances,
) -> Result<(), Error> {
    let mut names = asked.resource_type.names();
    let renames = names.any(|one| asked.before.get(&one.name) != asked.after.get(&one.name))
        || asked.called != asked.calls.as_deref();
    let is_lenient = change.context.caller.connection().is_some() && tolerances.dialect().is_lenient();
    if !is_lenient || !plan.may_remove() || !(renames || plan.may_add()) {
        return Ok(());
    }
    let (tenant, key, id) = (change.key(), asked.resource.key, asked.resource.id);
    let policy = policy::now(change.service, change.conn, tenant)?;
    if !policy.has_groups() || !policy.keyroll_by_scim() || !plan.effect(change)?.removes {
        return Ok(());
    }
    let (called, calls) = Ending::of(change, asked.resource)?.external_ids_with((asked.called, asked.calls.as_deref()));
    let before = facts(asked.resource_type, (key, id), asked.before, &called);
    let after = facts(asked.resource_type, (key, id), asked.after, &calls);
    let around = mappings_around(change, &policy, key)?;
    let mut gives = Gives::new(&policy, Some(&before), Some(&after), around);
    let permissions = gives.permissions(&policy);
    let guards_name = gives.guards_name(&policy);
    if guards_name {
        for attribute in asked.resource_type.names() {
            let name = asked.before.get(&attribute.name);
            if let Some(name) = name.filter(|name| asked.after.get(&attribute.name) != Some(*name)) {
                asked.after.insert(attribute.name.clone(), name.clone());
                tolerances.drop_beside(&attribute.name);
            }
        }
        if asked.called != asked.calls.as_deref() {
            *asked.calls = asked.called.map(str::to_owned);
            tolerances.drop_beside(EXTERNAL_ID);
        }
        gives = gives.kept();
    }
    let guards_members = plan.effect(change)?.adds && gives.guards_members(&policy);
    if guards_members {
        plan.keep_out().iter().for_each(|id| tolerances.keep_out(&id.to_string()));
    }
    if guards_name || guards_members {
        let entry = refusal(change, asked.resource_type, id, &permissions);
        let connection = change.context.caller.connection().map(|connection| connection.key);
        let place = |key| change.service.inner.refusals.gain(key, entry, change.now);
        connection.and_then(place).into_iter().for_each(|entry| change.record(entry));
    }
    Ok(())
}

fn facts(
    resource_type: &ResourceType,
    (key, id): (ResourceKey, Id),
    document: &Map<String, Value>,
    external_ids: &[String],
) -> GroupFacts {
    let display = resource_type.display_in(document).map(str::to_owned);
    GroupFacts { key: key.0, id, display, external_ids: external_ids.to_vec() }
}

/// What connections call a group, if any mapping asks for that.
fn external_ids(change: &mut Change<'_>, policy: &Policy, key: ResourceKey) -> Result<Vec<String>, Error> {
    if !policy.has_external_ids() {
        return Ok(vec![]);
    }
    let tenant = change.key();
    let found = store::external_ids::of_resources(change.conn, tenant, &[key])?;
    Ok(found.into_iter().map(|(.., value)| value).collect())
}

/// The mappings of the groups that a group is in, and of those around them.
pub(in crate::service::impact::protect) fn mappings_around(
    change: &mut Change<'_>,
    policy: &Policy,
    key: ResourceKey,
) -> Result<Vec<usize>, Error> {
    let tenant = change.key();
    let around = store::members::groups_of(change.conn, tenant, &[key])?;
    let keys: Vec<ResourceKey> = around.into_values().flatten().map(|group| group.key).collect();
    let known = store::facts::groups(change.conn, tenant, &keys, policy.has_external_ids())?;
    Ok(known.values().flat_map(|group| policy.of_group(group)).collect())
}

/// Names compare without letter case: see `is_renamed`.
fn is_called_otherwise(before: &GroupFacts, after: &GroupFacts) -> bool {
    let name = |group: &GroupFacts| group.display.as_ref().map(|name| text::fold(name).into_owned());
    name(before) != name(after) || before.external_ids != after.external_ids
}
