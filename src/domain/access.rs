//! Access: which roles a principal holds, and every reason for each. Computed from facts, never stored.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use chrono::{DateTime, Utc};
use serde_json::{Map, Value};

use super::facts::{Facts, Groups, ResourceFacts};
use super::mapping::Source;
use super::permission::Permissions;
use super::policy::{Mapped, Policy};
use super::principal::PrincipalKind;
pub use super::ways::Hit;
use super::ways::{Way, ways};
use crate::scim::filter;

/// The attributes by which an identity provider asserts what somebody holds.
pub const ASSERTED: [&str; 2] = ["roles", "entitlements"];

/// Why a principal holds a role.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reason {
    /// The mapping.
    pub hit: Hit,
    /// The including roles, outermost first.
    pub via: Vec<String>,
    /// Surrogate keys of groups: the mapped one first, the one that lists the principal last.
    pub path: Vec<i64>,
    /// The record since which all links of it hold.
    pub since: i64,
    /// When it ends by itself.
    pub until: Option<DateTime<Utc>>,
}

/// Since when links hold that only history tells.
#[derive(Clone, Debug, Default)]
pub struct Dates {
    /// Since when a hit is one: the group has its name, the user matches.
    pub hits: HashMap<Hit, i64>,
    /// Since when a role includes another one.
    pub inclusions: HashMap<(String, String), i64>,
}

/// Roles with their reasons.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reasons {
    /// By role.
    pub roles: BTreeMap<String, Vec<Reason>>,
    /// Whether there are more ways through groups than are listed. Every hit has a reason all the same.
    pub truncated: bool,
    /// What they take: steps through groups, and groups that are listed, with their names.
    pub cost: usize,
}

/// The mappings that apply to a principal, in order. One that is not live has none (design §6).
pub fn hits(policy: &Policy, facts: &Facts, groups: &Groups, now: DateTime<Utc>) -> Vec<Hit> {
    if facts.live { potential(policy, facts, groups, now) } else { vec![] }
}

/// The mappings that would apply to a principal if it were live.
pub fn potential(policy: &Policy, facts: &Facts, groups: &Groups, now: DateTime<Utc>) -> Vec<Hit> {
    let alone = |mapping| Hit { mapping, group: None };
    let mut hits: Vec<Hit> = vec![];
    let in_force = |at: &&usize| policy.mapped(**at).is_some_and(|one| is_in_force(one, facts.kind, now));
    hits.extend(policy.of_person(&facts.id).iter().filter(in_force).copied().map(alone));
    if let Some(resource) = &facts.resource {
        if facts.kind == PrincipalKind::User {
            let matching = policy.rules().filter(|(_, one)| matches(one, &resource.document));
            hits.extend(matching.map(|(at, _)| alone(at)));
        }
        hits.extend(asserted(policy, resource).into_iter().map(alone));
        for group in groups.reached(resource.key) {
            let Some(known) = groups.known.get(&group) else { continue };
            hits.extend(policy.of_group(known).into_iter().map(|mapping| Hit { mapping, group: Some(group) }));
        }
    }
    hits.sort_unstable();
    hits.dedup();
    hits
}

fn is_in_force(mapped: &Mapped, kind: PrincipalKind, now: DateTime<Utc>) -> bool {
    match &mapped.mapping.source {
        Source::Person { person, expires_at, .. } => person.kind == kind && expires_at.is_none_or(|end| now < end),
        _ => true,
    }
}

/// Whether a document matches a mapping's rule.
pub fn matches(mapped: &Mapped, document: &Map<String, Value>) -> bool {
    mapped.rule.as_ref().is_some_and(|rule| filter::matches(rule, document))
}

/// The mappings of values that the identity provider asserts, for roles that its connection may assert.
pub fn asserted(policy: &Policy, resource: &ResourceFacts) -> Vec<usize> {
    let Some(connection) = &resource.connection else { return vec![] };
    let mut found = vec![];
    for attribute in ASSERTED {
        let elements = resource.document.get(attribute).and_then(Value::as_array);
        for value in elements.into_iter().flatten().filter_map(|one| one.get("value").and_then(Value::as_str)) {
            let may = |at: &&usize| {
                let role = policy.mapped(**at).and_then(|one| policy.roles().get(&one.mapping.role));
                role.is_some_and(|role| role.assertable_by.contains(connection))
            };
            found.extend(policy.of_asserted(attribute, value).iter().filter(may));
        }
    }
    found
}

/// The union of what mappings give.
pub fn permissions(policy: &Policy, hits: &[Hit]) -> Permissions {
    let roles = hits.iter().filter_map(|hit| policy.mapped(hit.mapping)).map(|one| one.mapping.role.as_str());
    let distinct: BTreeSet<&str> = roles.collect();
    distinct.into_iter().filter_map(|role| policy.permissions(role)).flat_map(Permissions::iter).cloned().collect()
}

/// When the first of the mappings ends by itself.
pub fn valid_until(policy: &Policy, hits: &[Hit]) -> Option<DateTime<Utc>> {
    hits.iter().filter_map(|hit| policy.mapped(hit.mapping)).filter_map(until).min()
}

fn until(mapped: &Mapped) -> Option<DateTime<Utc>> {
    match &mapped.mapping.source {
        Source::Person { expires_at, .. } => *expires_at,
        _ => None,
    }
}

/// How much reasons may take, before further ways are left out: some megabytes as they are shown.
const COST_MAX: usize = 100_000;

/// What it takes to list a group; names can be long.
fn weight(groups: &Groups, group: i64) -> usize {
    let name = groups.known.get(&group).and_then(|known| known.display.as_ref());
    1 + name.map_or(0, String::len) / 100
}

/// Every reason for every role.
pub fn reasons(policy: &Policy, facts: &Facts, groups: &Groups, hits: &[Hit], dates: &Dates) -> Reasons {
    let ways = facts.resource.as_ref().map(|resource| ways(groups, resource.key, hits)).unwrap_or_default();
    let mut reasons = Reasons { roles: BTreeMap::new(), truncated: ways.truncated, cost: ways.steps };
    let alone = hits.iter().filter(|hit| hit.group.is_none());
    let alone = alone.map(|hit| Way { hit: *hit, path: vec![], since: 0, is_further: false });
    for Way { hit, path, since: edges_since, is_further } in alone.chain(ways.found) {
        let Some(mapped) = policy.mapped(hit.mapping) else { continue };
        let dated = dates.hits.get(&hit).copied().unwrap_or(0);
        let since = edges_since.max(mapped.since_seq()).max(facts.live_since).max(dated);
        let weight: usize = path.iter().map(|group| weight(groups, *group)).sum();
        for gain in policy.gains(&mapped.mapping.role) {
            if is_further && reasons.cost >= COST_MAX {
                reasons.truncated = true;
                break;
            }
            let chain = gain.via.iter().zip(gain.via.iter().skip(1).chain([&gain.role]));
            let links = chain.filter_map(|(outer, inner)| dates.inclusions.get(&(outer.clone(), inner.clone())));
            let since = links.copied().fold(since, i64::max);
            let reason = Reason { hit, via: gain.via.clone(), path: path.clone(), since, until: until(mapped) };
            reasons.cost += weight;
            reasons.roles.entry(gain.role.clone()).or_default().push(reason);
        }
    }
    for list in reasons.roles.values_mut() {
        list.sort_by(|a, b| (a.hit.mapping, &a.path, &a.via).cmp(&(b.hit.mapping, &b.path, &b.via)));
    }
    reasons
}
