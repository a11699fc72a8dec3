//! Agents: who answers for one that holds what no connection may give.

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use serde_json::{Map, Value};

use crate::domain::access::{self, ASSERTED};
use crate::domain::facts::{Facts, Groups};
use crate::domain::principal::PrincipalKind;
use crate::domain::{Id, Permissions, Policy};
use crate::scim::tolerance::Tolerances;
use crate::scim::{ResourceType, validate};
use crate::service::access::facts::{self, sponsors};
use crate::service::access::policy;
use crate::service::impact::protect::{ACTIVE, Write, is_active, is_renamed, keyroll, mapped, refusal, refused, with};
use crate::service::{Change, Error};
use crate::store::resources::Resource;

/// An agent lives by its sponsors: one more of them gives it what it holds, for longer if another one answers for it
/// already. One that is inactive gains nothing: its own return is refused.
pub(in crate::service::impact::protect) fn check_sponsors(
    change: &mut Change<'_>,
    policy: &Policy,
    write: &Write<'_>,
) -> Result<(), Error> {
    let Some(kind) = PrincipalKind::of_type(write.resource_type) else { return Ok(()) };
    let named = |document: Option<&_>| document.map(|one| sponsors(kind, one)).unwrap_or_default();
    let before = named(write.before);
    if named(write.after).iter().all(|sponsor| before.contains(sponsor)) {
        return Ok(());
    }
    match guarded_agents(change, policy, &[write.id])?.pop() {
        Some((_, holds)) => Err(refused(change, write, &[holds], "an agent that holds a permission of Keyroll")),
        None => Ok(()),
    }
}

/// Those of these agents that hold a permission of Keyroll as soon as a live User answers for them, and which.
pub(in crate::service) fn guarded_agents(
    change: &mut Change<'_>,
    policy: &Policy,
    agents: &[Id],
) -> Result<Vec<(Id, Permissions)>, Error> {
    let tenant = change.key();
    let (facts, groups) = facts::of(change.service, change.conn, tenant, policy, agents, None)?;
    let acts = |agent: &&Facts| agent.resource.as_ref().is_some_and(|one| is_active(Some(&one.document)));
    let held = facts.iter().filter(acts).map(|agent| {
        let hits = access::potential(policy, agent, &groups, change.now);
        (agent.id, keyroll(policy, &mapped(&hits)))
    });
    Ok(held.filter(|(_, holds)| !holds.is_empty()).collect())
}

/// An agent before and after what a request asks.
pub(in crate::service) struct AskedOfAgent<'a> {
    pub(in crate::service) resource_type: &'static ResourceType,
    pub(in crate::service) resource: &'a Resource,
    pub(in crate::service) before: &'a Map<String, Value>,
    pub(in crate::service) after: &'a mut Map<String, Value>,
}

/// Leaves out of a request that takes a sponsor from an agent what [`super::check_write`] would refuse: an asserted
/// role, a new name, another sponsor, a return. Otherwise the sponsor would stay with what gives the most. That it was
/// asked for is recorded. What is looked at here is not locked yet: `check_write` has the last word.
pub(in crate::service) fn only_lose_sponsors(
    change: &mut Change<'_>,
    asked: AskedOfAgent<'_>,
    tolerances: &mut Tolerances,
) -> Result<(), Error> {
    let AskedOfAgent { resource_type, resource, before, after } = asked;
    let Some(kind) = PrincipalKind::of_type(resource_type).filter(|_| resource_type.sponsors.is_some()) else {
        return Ok(());
    };
    let is_lenient = change.context.caller.connection().is_some() && tolerances.dialect().is_lenient();
    let (answered, answer) = (sponsors(kind, before), sponsors(kind, after));
    // Who ends inactive holds nothing, whatever else is asked.
    if !is_lenient || !is_active(Some(after)) || answered.iter().all(|sponsor| answer.contains(sponsor)) {
        return Ok(());
    }
    let tenant = change.key();
    let policy = policy::now(change.service, change.conn, tenant)?;
    if !policy.keyroll_by_agents() {
        return Ok(());
    }
    let (facts, groups) = facts::of(change.service, change.conn, tenant, &policy, &[resource.id], None)?;
    let Some(facts) = facts.into_iter().next() else { return Ok(()) };
    let agent = Agent { policy: &policy, facts, groups, now: change.now };
    let (held, would_hold) = (agent.holds(before), agent.holds(after));
    let mut is_other = agent.keep_from_asserting(before, after, tolerances);
    let holds = agent.holds(after);
    if !held.is_empty() && is_renamed(resource_type, before, after) {
        for name in resource_type.names() {
            is_other |= put_back(&name.name, before, after, tolerances);
        }
    }
    if !holds.is_empty() {
        is_other |= keep_out_others(resource_type, &answered, after, tolerances);
        if !is_active(Some(before)) {
            is_other |= put_back(ACTIVE, before, after, tolerances);
        }
    }
    if is_other {
        *after = validate::ordered(std::mem::take(after), resource_type);
        let entry = refusal(change, resource_type, resource.id, &[held, would_hold]);
        let connection = change.context.caller.connection().map(|connection| connection.key);
        let place = |key| change.service.inner.refusals.gain(key, entry, change.now);
        connection.and_then(place).into_iter().for_each(|entry| change.record(entry));
    }
    Ok(())
}

/// What is known of an agent, to ask what it would hold by another document.
struct Agent<'a> {
    policy: &'a Policy,
    facts: Facts,
    groups: Groups,
    now: DateTime<Utc>,
}

impl Agent<'_> {
    /// The permissions of Keyroll that it holds by a document as soon as a live User answers for it.
    fn holds(&self, document: &Map<String, Value>) -> Permissions {
        let resource = self.facts.resource.clone().map(|one| with(one, Some(document)));
        let facts = Facts { resource, ..self.facts.clone() };
        keyroll(self.policy, &mapped(&access::potential(self.policy, &facts, &self.groups, self.now)))
    }

    /// The mappings of values that a document asserts.
    fn asserted(&self, document: &Map<String, Value>) -> BTreeSet<usize> {
        let resource = self.facts.resource.clone().map(|one| with(one, Some(document)));
        resource.map(|one| access::asserted(self.policy, &one).into_iter().collect()).unwrap_or_default()
    }

    /// Leaves out the asserted values by which a mapping that gives a permission of Keyroll comes to apply; gives
    /// whether there were any.
    fn keep_from_asserting(
        &self,
        before: &Map<String, Value>,
        after: &mut Map<String, Value>,
        tolerances: &mut Tolerances,
    ) -> bool {
        let had = self.asserted(before);
        let gives = |name: &str, value: &Value| {
            let alone = Map::from_iter([(name.to_owned(), Value::from(vec![value.clone()]))]);
            let new = self.asserted(&alone).into_iter().filter(|mapping| !had.contains(mapping)).collect();
            !keyroll(self.policy, &new).is_empty()
        };
        let mut is_other = false;
        for name in ASSERTED {
            if retain(name, after, |value| !gives(name, value)) {
                tolerances.drop_beside(name);
                is_other = true;
            }
        }
        is_other
    }
}

/// Leaves out the sponsors whom an agent did not have; gives whether there were any.
fn keep_out_others(
    resource_type: &ResourceType,
    answered: &[Id],
    after: &mut Map<String, Value>,
    tolerances: &mut Tolerances,
) -> bool {
    let Some(attribute) = resource_type.sponsors else { return false };
    retain(&attribute.name, after, |sponsor| {
        let id = sponsor.get("value").and_then(Value::as_str).unwrap_or_default();
        let is_known = Id::parse(id).is_some_and(|id| answered.contains(&id));
        if !is_known {
            tolerances.keep_out(id);
        }
        is_known
    })
}

/// Keeps some elements of a list; gives whether others were in it.
fn retain(name: &str, document: &mut Map<String, Value>, keep: impl FnMut(&Value) -> bool) -> bool {
    let Some(list) = document.get_mut(name).and_then(Value::as_array_mut) else { return false };
    let count = list.len();
    list.retain(keep);
    let (is_other, is_empty) = (list.len() != count, list.is_empty());
    if is_empty {
        document.shift_remove(name);
    }
    is_other
}

/// Gives an attribute the value back that it had; tells whether it would have another one.
fn put_back(
    name: &str,
    before: &Map<String, Value>,
    after: &mut Map<String, Value>,
    tolerances: &mut Tolerances,
) -> bool {
    if before.get(name) == after.get(name) {
        return false;
    }
    match before.get(name) {
        Some(old) => after.insert(name.to_owned(), old.clone()),
        None => after.shift_remove(name),
    };
    tolerances.drop_beside(name);
    true
}
