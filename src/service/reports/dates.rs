//! Since when the links of a reason hold: what the facts of one moment cannot tell, their history does.
//!
//! Each link is walked back from the moment until it did not hold; whatever ended that state began it.

use std::collections::hash_map::Entry;
use std::collections::{BTreeSet, HashMap, HashSet};
use std::hash::Hash;

use crate::domain::access::{self, Dates, Hit};
use crate::domain::facts::{Facts, GroupFacts, Groups, ResourceFacts};
use crate::domain::log;
use crate::domain::mapping::{GroupName, Source};
use crate::domain::policy::Mapped;
use crate::domain::principal::PrincipalKind;
use crate::domain::{Id, Policy, Role, TenantKey};
use crate::service::access::facts::{At, sponsors};
use crate::service::access::past::Past;
use crate::service::access::{facts, past};
use crate::service::{Error, Service};
use crate::store::catalogue::Kind;
use crate::store::{self, Conn, ResourceKey};

/// Past states in one read.
const CHUNK: i64 = 32;

/// Since when links hold that are the same for everybody: found once for all principals of an answer.
#[derive(Default)]
pub(in crate::service::reports) struct Shared {
    named: HashMap<Hit, i64>,
    /// Whether a group was ever another: most were not, and all of them are asked about at once.
    changed: HashMap<i64, bool>,
    assertable: HashMap<(usize, String), i64>,
    inclusions: HashMap<(String, String), i64>,
}

impl Shared {
    fn ask_changed(
        &mut self,
        conn: &mut Conn,
        tenant: TenantKey,
        groups: impl Iterator<Item = i64>,
    ) -> Result<(), Error> {
        let unknown: BTreeSet<i64> = groups.filter(|group| !self.changed.contains_key(group)).collect();
        let keys: Vec<ResourceKey> = unknown.iter().copied().map(ResourceKey).collect();
        self.changed.extend(unknown.into_iter().map(|group| (group, false)));
        self.changed.extend(store::history::changed(conn, tenant, &keys)?.into_iter().map(|group| (group.0, true)));
        Ok(())
    }
}

/// Dates the links of some hits. Also gives since when the principal is live.
pub(in crate::service::reports) fn of(
    service: &Service,
    conn: &mut Conn,
    tenant: TenantKey,
    policy: &Policy,
    (facts, groups, hits): (&Facts, &Groups, &[Hit]),
    at: At,
    shared: &mut Shared,
) -> Result<(Dates, i64), Error> {
    let mut dates = Dates::default();
    let moment = at.unwrap_or(i64::MAX);
    shared.ask_changed(conn, tenant, hits.iter().filter_map(|hit| hit.group))?;
    for hit in hits {
        let Some(mapped) = policy.mapped(hit.mapping) else { continue };
        let since = match (&mapped.mapping.source, hit.group.and_then(|key| groups.known.get(&key))) {
            (Source::Group { group: GroupName::Id(_) }, _) | (Source::Person { .. }, _) => None,
            (Source::Group { .. }, Some(known)) if shared.changed.get(&known.key) == Some(&false) => None,
            (Source::Group { group }, Some(known)) => {
                let find = || named_since(service, conn, tenant, ResourceKey(known.key), group, moment);
                Some(once(&mut shared.named, *hit, find)?)
            }
            (Source::Rule { .. } | Source::Asserted { .. }, _) => {
                document_since(service, conn, tenant, policy, facts, *hit, moment)?
            }
            (Source::Group { .. }, None) => None,
        };
        let assertable = assertable_since(conn, tenant, mapped, facts, (*hit, moment), shared)?;
        dates.hits.insert(*hit, since.unwrap_or(0).max(assertable));
    }
    dates.inclusions = date_inclusions(conn, tenant, policy, hits, moment, shared)?;
    let live_since = live_since(service, conn, tenant, facts, moment)?;
    Ok((dates, live_since))
}

/// Walks the states of a resource back from a moment until one does not hold; gives what ended it.
fn resource_since(
    service: &Service,
    conn: &mut Conn,
    tenant: TenantKey,
    key: ResourceKey,
    moment: i64,
    holds: impl Fn(&Past) -> bool,
) -> Result<i64, Error> {
    let mut before = moment;
    loop {
        let past = store::history::before(conn, tenant, key, before, CHUNK)?;
        let opened = past::open_past(service, conn, tenant, &past)?;
        for (row, past) in past.iter().zip(&opened) {
            // What was before is not known any more: it is sure to hold since then.
            if !row.is_kept() || !holds(past) {
                return Ok(row.until_seq);
            }
            before = row.until_seq - 1;
        }
        if (past.len() as i64) < CHUNK {
            return Ok(0);
        }
    }
}

/// Since when a group has the name that a mapping knows it by.
fn named_since(
    service: &Service,
    conn: &mut Conn,
    tenant: TenantKey,
    key: ResourceKey,
    name: &GroupName,
    moment: i64,
) -> Result<i64, Error> {
    let id = Id::from_bytes(&[0; 16]).ok_or_else(|| Error::internal("no id"))?;
    resource_since(service, conn, tenant, key, moment, |past| {
        let display = past.display().map(str::to_owned);
        let facts = GroupFacts { key: key.0, id, display, external_ids: past.external_ids.clone() };
        facts.is_named(name)
    })
}

/// Since when a user matches a rule, or its identity provider asserts a value.
fn document_since(
    service: &Service,
    conn: &mut Conn,
    tenant: TenantKey,
    policy: &Policy,
    facts: &Facts,
    hit: Hit,
    moment: i64,
) -> Result<Option<i64>, Error> {
    let (Some(resource), Some(mapped)) = (&facts.resource, policy.mapped(hit.mapping)) else { return Ok(None) };
    let holds = |past: &Past| match &mapped.mapping.source {
        Source::Rule { .. } => access::matches(mapped, &past.document),
        _ => {
            let then = ResourceFacts { document: past.document.clone(), ..resource.clone() };
            access::asserted(policy, &then).contains(&hit.mapping)
        }
    };
    resource_since(service, conn, tenant, ResourceKey(resource.key), moment, holds).map(Some)
}

/// Since when the role of an asserted value is assertable by the user's connection.
fn assertable_since(
    conn: &mut Conn,
    tenant: TenantKey,
    mapped: &Mapped,
    facts: &Facts,
    (hit, moment): (Hit, i64),
    shared: &mut Shared,
) -> Result<i64, Error> {
    let connection = facts.resource.as_ref().and_then(|resource| resource.connection.as_ref());
    let (Source::Asserted { .. }, Some(connection)) = (&mapped.mapping.source, connection) else { return Ok(0) };
    once(&mut shared.assertable, (hit.mapping, connection.clone()), || {
        role_since(conn, tenant, &mapped.mapping.role, moment, |role| role.assertable_by.contains(connection))
    })
}

/// Since when a principal is live: for an agent, with any sponsor of it.
fn live_since(service: &Service, conn: &mut Conn, tenant: TenantKey, facts: &Facts, moment: i64) -> Result<i64, Error> {
    let mut ends: BTreeSet<i64> = BTreeSet::new();
    let mut people = vec![facts.id];
    if let (PrincipalKind::Agent, Some(resource)) = (facts.kind, &facts.resource) {
        people.extend(sponsors(facts.kind, &resource.document));
        let key = ResourceKey(resource.key);
        for past in store::history::before(conn, tenant, key, moment, i64::from(i32::MAX))? {
            ends.insert(past.until_seq);
            let opened = past::open_past(service, conn, tenant, &[past])?;
            people.extend(opened.iter().flat_map(|past| sponsors(facts.kind, &past.document)));
        }
        people.sort_unstable();
        people.dedup();
        // A sponsor's first record is one where an agent's life can begin as well.
        ends.extend(store::principals::many(conn, tenant, &people)?.into_iter().map(|(_, created_seq)| created_seq));
    }
    let past = store::history::principals(conn, tenant, &people, -1)?;
    ends.extend(past.into_iter().map(|past| past.until_seq));
    for end in ends.into_iter().rev().filter(|end| *end <= moment && *end > facts.live_since) {
        let (then, _) = facts::of(service, conn, tenant, &Policy::default(), &[facts.id], Some(end - 1))?;
        if !then.iter().any(|facts| facts.live) {
            return Ok(end);
        }
    }
    Ok(facts.live_since)
}

/// When some records were written.
pub(in crate::service::reports) fn times(
    conn: &mut Conn,
    tenant: TenantKey,
    seqs: impl IntoIterator<Item = i64>,
) -> Result<HashMap<i64, String>, Error> {
    let distinct: BTreeSet<i64> = seqs.into_iter().collect();
    let times = store::log::times(conn, tenant, &distinct.into_iter().collect::<Vec<_>>())?;
    Ok(times.into_iter().map(|(seq, time)| (seq, log::render_time(time))).collect())
}

/// Since when each role includes the next, for every role that the hits give.
fn date_inclusions(
    conn: &mut Conn,
    tenant: TenantKey,
    policy: &Policy,
    hits: &[Hit],
    moment: i64,
    shared: &mut Shared,
) -> Result<HashMap<(String, String), i64>, Error> {
    let roles: BTreeSet<&str> =
        hits.iter().filter_map(|hit| policy.mapped(hit.mapping)).map(|one| one.mapping.role.as_str()).collect();
    let gains = roles.into_iter().flat_map(|role| policy.gains(role));
    let links: HashSet<(String, String)> =
        gains.filter_map(|gain| gain.via.last().map(|outer| (outer.clone(), gain.role.clone()))).collect();
    let mut dated = HashMap::with_capacity(links.len());
    for (outer, inner) in links {
        let since = once(&mut shared.inclusions, (outer.clone(), inner.clone()), || {
            role_since(conn, tenant, &outer, moment, |role| role.includes.contains(&inner))
        })?;
        dated.insert((outer, inner), since);
    }
    Ok(dated)
}

/// What was found before, or is found now.
fn once<K: Eq + Hash>(
    known: &mut HashMap<K, i64>,
    key: K,
    find: impl FnOnce() -> Result<i64, Error>,
) -> Result<i64, Error> {
    match known.entry(key) {
        Entry::Occupied(known) => Ok(*known.get()),
        Entry::Vacant(place) => Ok(*place.insert(find()?)),
    }
}

/// Since when a role is as it must be: its versions are walked back until one is not.
fn role_since(
    conn: &mut Conn,
    tenant: TenantKey,
    name: &str,
    moment: i64,
    holds: impl Fn(&Role) -> bool,
) -> Result<i64, Error> {
    let mut since = 0;
    for item in store::catalogue::versions(conn, tenant, Kind::Role, name, moment)? {
        let role: Role = serde_json::from_str(&item.document)?;
        // A role that was removed and came again did not hold in between.
        let is_gap = since != 0 && item.until_seq != Some(since);
        if is_gap || !holds(&role) {
            break;
        }
        since = item.from_seq;
    }
    Ok(since)
}
