//! Membership changes as row operations: cost follows the change, never the size of the group.
//!
//! What a request asks for is planned first: who comes and who goes in the end, whatever the order of its operations.
//! So it is known before anything is written whether something beside it must give way to it.

use std::collections::{HashMap, HashSet};

use serde_json::Value;

use crate::domain::Id;
use crate::scim::filter::{self, Bound};
use crate::scim::members::plain;
use crate::scim::patch::{Member as Named, RowChange};
use crate::scim::tolerance::{Tolerance, Tolerances};
use crate::scim::{self, ResourceType};
use crate::service::body::member;
use crate::service::impact::protect::{Effect, MemberChange};
use crate::service::{Change, Error, body};
use crate::store::members::Member;
use crate::store::{self, ResourceKey};

/// What really changed: ids, for the log.
#[derive(Debug, Default)]
pub(in crate::service) struct Delta {
    pub(in crate::service) added: Vec<Id>,
    pub(in crate::service) removed: Vec<Id>,
}

impl Delta {
    /// Whether nothing changed.
    pub(in crate::service) fn is_empty(&self) -> bool {
        self.added.is_empty() && self.removed.is_empty()
    }
}

/// What a request makes of the members of a group.
#[derive(Debug)]
pub(in crate::service) struct Plan {
    group: ResourceKey,
    come: Vec<FoundMembers>,
    gone: Vec<(ResourceKey, Id)>,
    /// Whether those who come are none yet, and those who go are some.
    exact: bool,
    /// Whoever should go and is no member.
    absent: Vec<Id>,
}

impl MemberChange for Plan {
    fn may_add(&self) -> bool {
        !self.come.is_empty()
    }

    fn may_remove(&self) -> bool {
        !self.gone.is_empty()
    }

    fn effect(&mut self, change: &mut Change<'_>) -> Result<Effect, Error> {
        if !self.exact && (self.may_add() || self.may_remove()) {
            let keys: Vec<ResourceKey> =
                self.come.iter().map(|one| one.key).chain(self.gone.iter().map(|(key, _)| *key)).collect();
            let present = store::members::among(change.conn, change.key(), self.group, &keys)?;
            let present: HashSet<ResourceKey> = present.into_iter().collect();
            self.come.retain(|one| !present.contains(&one.key));
            let (gone, absent) = std::mem::take(&mut self.gone).into_iter().partition(|(key, _)| present.contains(key));
            self.gone = gone;
            self.absent(absent);
            self.exact = true;
        }
        Ok(Effect { adds: !self.come.is_empty(), removes: !self.gone.is_empty() })
    }

    fn keep_out(&mut self) -> Vec<Id> {
        std::mem::take(&mut self.come).into_iter().map(|one| one.id).collect()
    }
}

impl Plan {
    /// Carries it out: whoever goes has gone before anybody comes. Who was none is named: somebody else may be meant.
    pub(in crate::service) fn carry_out(
        mut self,
        change: &mut Change<'_>,
        tolerances: &mut Tolerances,
    ) -> Result<Delta, Error> {
        let mut delta = Delta::default();
        let absent = remove(change, self.group, std::mem::take(&mut self.gone), &mut delta)?;
        self.absent(absent);
        insert(change, self.group, &self.come, &mut delta)?;
        self.absent.iter().for_each(|id| note_absent(&id.to_string(), tolerances));
        Ok(delta)
    }

    fn absent(&mut self, gone: Vec<(ResourceKey, Id)>) {
        self.absent.extend(gone.into_iter().map(|(_, id)| id));
    }
}

/// Those whom a request names, in its order, and where they are in the end.
#[derive(Default)]
struct Wanted {
    named: Vec<(FoundMembers, bool)>,
    places: HashMap<ResourceKey, usize>,
    /// Whether they are all: who is not among them goes.
    whole: bool,
}

impl Wanted {
    fn put(&mut self, found: Vec<FoundMembers>, inside: bool) {
        for one in found {
            let place = *self.places.entry(one.key).or_insert(self.named.len());
            match self.named.get_mut(place) {
                Some(named) => named.1 = inside,
                None => self.named.push((one, inside)),
            }
        }
    }

    fn begin_anew(&mut self) {
        *self = Wanted { whole: true, ..Wanted::default() };
    }

    fn is_inside(&self, key: ResourceKey) -> bool {
        self.places.get(&key).and_then(|place| self.named.get(*place)).is_some_and(|(_, inside)| *inside)
    }
}

/// Finds out what the changes make of a group, in their order. Nothing is written yet.
pub(in crate::service) fn plan(
    change: &mut Change<'_>,
    (resource_type, group): (&ResourceType, ResourceKey),
    rows: Vec<RowChange>,
    tolerances: &mut Tolerances,
) -> Result<Plan, Error> {
    let name = resource_type.rows.map_or("", |rows| &rows.name);
    let mut wanted = Wanted::default();
    for row in rows {
        match row {
            RowChange::Add(members) => wanted.put(resolve(change, name, &members, tolerances)?, true),
            RowChange::Remove(ids) => {
                let found = known(change, &ids, tolerances)?;
                check_target(change, (name, group), &found, &wanted, tolerances)?;
                wanted.put(found, false);
            }
            RowChange::RemoveAll => wanted.begin_anew(),
            RowChange::RemoveWhere(bound) => {
                let mut found = named_where(change, &bound, &wanted)?;
                if !wanted.whole {
                    found.extend(scan(change, group, |element, _| matches(&bound, element))?);
                }
                check_target(change, (name, group), &found, &wanted, tolerances)?;
                // Nobody was meant, or somebody who is spelt otherwise: either is named.
                if found.is_empty() {
                    note_absent("", tolerances);
                }
                wanted.put(found, false);
            }
            RowChange::Replace(members) => {
                wanted.begin_anew();
                wanted.put(resolve(change, name, &members, tolerances)?, true);
            }
        }
    }
    let (mut gone, mut present) = (vec![], HashSet::new());
    if wanted.whole {
        let left = scan(change, group, |_, key| {
            present.insert(key);
            !wanted.is_inside(key)
        })?;
        gone.extend(left.into_iter().map(|one| (one.key, one.id)));
    }
    let named = wanted.named.len();
    let (come, left): (Vec<_>, Vec<_>) = wanted.named.into_iter().partition(|(_, inside)| *inside);
    let mut come: Vec<FoundMembers> = come.into_iter().map(|(one, _)| one).collect();
    if wanted.whole {
        come.retain(|one| !present.contains(&one.key));
    } else {
        gone.extend(left.into_iter().map(|(one, _)| (one.key, one.id)));
    }
    let mut plan = Plan { group, come, gone, exact: wanted.whole, absent: vec![] };
    without_circles(change, name, &mut plan, named, tolerances)?;
    Ok(plan)
}

/// Where the dialect does not bear it, a removal that takes nobody away has no target (RFC 7644 §3.12).
fn check_target(
    change: &mut Change<'_>,
    (name, group): (&str, ResourceKey),
    found: &[FoundMembers],
    wanted: &Wanted,
    tolerances: &Tolerances,
) -> Result<(), Error> {
    if Tolerance::RemoveAbsent.dialects().contains(&tolerances.dialect()) {
        return Ok(());
    }
    let keys = || found.iter().map(|one| one.key);
    let unnamed: Vec<ResourceKey> = keys().filter(|key| !wanted.whole && !wanted.places.contains_key(key)).collect();
    let is_inside = keys().any(|key| wanted.is_inside(key))
        || !store::members::among(change.conn, change.key(), group, &unnamed)?.is_empty();
    if is_inside {
        return Ok(());
    }
    Err(scim::Error::new(scim::ScimType::NoTarget, format!("{name}: no element matches")).into())
}

/// Leaves out groups that would be their own members, directly or through others, if the request says more than
/// that: the others come and go all the same. `named`: how many it names.
fn without_circles(
    change: &mut Change<'_>,
    name: &str,
    plan: &mut Plan,
    named: usize,
    tolerances: &mut Tolerances,
) -> Result<(), Error> {
    let nested: Vec<ResourceKey> = plan.come.iter().filter(|one| one.is_group).map(|one| one.key).collect();
    if nested.is_empty() {
        return Ok(());
    }
    let tenant = change.key();
    let circles = store::members::circles(change.conn, tenant, plan.group, &nested)?;
    if circles.is_empty() {
        return Ok(());
    }
    let says_more = named > circles.len() || !plan.gone.is_empty();
    if !says_more || !tolerances.allow(Tolerance::Beside) {
        let detail = format!("{name}: a group cannot be its own member, directly or through others");
        return Err(scim::Error::value(detail).into());
    }
    plan.come.iter().filter(|one| circles.contains(&one.key)).for_each(|one| tolerances.keep_out(&one.id.to_string()));
    plan.come.retain(|one| !circles.contains(&one.key));
    Ok(())
}

/// Those of the named that are inside so far and match. What they are called is read for that alone.
fn named_where(change: &mut Change<'_>, bound: &Bound, wanted: &Wanted) -> Result<Vec<FoundMembers>, Error> {
    let inside = wanted.named.iter().filter(|(_, inside)| *inside);
    let ids: Vec<Id> = inside.map(|(one, _)| one.id).collect();
    let base = change.service.scim_base_url();
    let mut found = vec![];
    for one in store::resources::of_ids(change.conn, change.key(), &ids)? {
        let one = Member { key: one.key, id: one.id, type_name: one.type_name, display: one.display };
        if matches(bound, &member(base, &one)) {
            found.push(FoundMembers { key: one.key, id: one.id, is_group: is_group(&one.type_name) });
        }
    }
    Ok(found)
}

fn matches(bound: &Bound, element: &Value) -> bool {
    element.as_object().is_some_and(|element| filter::element_matches(bound, element))
}

fn insert(change: &mut Change<'_>, group: ResourceKey, found: &[FoundMembers], delta: &mut Delta) -> Result<(), Error> {
    if found.is_empty() {
        return Ok(());
    }
    let (tenant, seq) = (change.key(), change.seq());
    let keys: Vec<ResourceKey> = found.iter().map(|f| f.key).collect();
    let added: HashSet<ResourceKey> =
        store::members::add(change.conn, tenant, group, &keys, seq)?.into_iter().collect();
    delta.added.extend(found.iter().filter(|f| added.contains(&f.key)).map(|f| f.id));
    Ok(())
}

/// Takes members out; gives those that were none.
fn remove(
    change: &mut Change<'_>,
    group: ResourceKey,
    found: Vec<(ResourceKey, Id)>,
    delta: &mut Delta,
) -> Result<Vec<(ResourceKey, Id)>, Error> {
    if found.is_empty() {
        return Ok(vec![]);
    }
    let (tenant, seq) = (change.key(), change.seq());
    let keys: Vec<ResourceKey> = found.iter().map(|(key, _)| *key).collect();
    let removed: HashSet<ResourceKey> =
        store::members::remove(change.conn, tenant, group, &keys, seq)?.into_iter().collect();
    let (gone, absent): (Vec<_>, Vec<_>) = found.into_iter().partition(|(key, _)| removed.contains(key));
    delta.removed.extend(gone.into_iter().map(|(_, id)| id));
    Ok(absent)
}

/// The members for which the test holds, read in chunks.
fn scan(
    change: &mut Change<'_>,
    group: ResourceKey,
    mut test: impl FnMut(&Value, ResourceKey) -> bool,
) -> Result<Vec<FoundMembers>, Error> {
    let (tenant, base) = (change.key(), change.service.scim_base_url());
    let (mut found, mut after) = (vec![], None);
    loop {
        let page = store::members::page(change.conn, tenant, group, after, body::CHUNK)?;
        for one in &page {
            if test(&member(base, one), one.key) {
                found.push(FoundMembers { key: one.key, id: one.id, is_group: is_group(&one.type_name) });
            }
        }
        after = page.last().map(|one| one.key);
        if (page.len() as i64) < body::CHUNK {
            return Ok(found);
        }
    }
}

/// A member that exists.
#[derive(Debug)]
struct FoundMembers {
    key: ResourceKey,
    id: Id,
    is_group: bool,
}

/// Finds the named resources of this tenant. One that does not exist is dropped: it must not keep the others
/// outside, or inside. Where the dialect bears no such thing, it refuses the request.
fn resolve(
    change: &mut Change<'_>,
    name: &str,
    members: &[Named],
    tolerances: &mut Tolerances,
) -> Result<Vec<FoundMembers>, Error> {
    let mut ids = Vec::with_capacity(members.len());
    let mut seen = HashSet::new();
    let unknown = |value: &str, tolerances: &mut Tolerances| {
        if !tolerances.allow(Tolerance::UnknownReference) {
            return Err(scim::Error::value(format!("{name}: no resource has the id {value:?}")));
        }
        tolerances.drop_id(value);
        Ok(())
    };
    for named in members {
        match spelt(&named.value, tolerances) {
            Some(id) if seen.insert(id) => ids.push(id),
            Some(_) => {}
            None => unknown(&named.value, tolerances)?,
        }
    }
    let rows = store::resources::by_ids(change.conn, change.key(), &ids)?;
    if rows.len() != ids.len() {
        let known: HashSet<Id> = rows.iter().map(|(id, ..)| *id).collect();
        ids.iter().filter(|id| !known.contains(id)).try_for_each(|id| unknown(&id.to_string(), tolerances))?;
    }
    Ok(rows.into_iter().map(|(id, key, name)| FoundMembers { key, id, is_group: is_group(&name) }).collect())
}

fn is_group(type_name: &str) -> bool {
    crate::service::registry().by_name(type_name).is_some_and(|one| one.rows.is_some())
}

/// The resources among these ids that exist: removing somebody who is not there is no error.
fn known(change: &mut Change<'_>, named: &[String], tolerances: &mut Tolerances) -> Result<Vec<FoundMembers>, Error> {
    let mut ids = Vec::with_capacity(named.len());
    for value in named {
        match spelt(value, tolerances) {
            Some(id) => ids.push(id),
            None => note_absent(value, tolerances),
        }
    }
    let rows = store::resources::by_ids(change.conn, change.key(), &ids)?;
    if rows.len() != ids.len() {
        let known: HashSet<Id> = rows.iter().map(|(id, ..)| *id).collect();
        ids.iter().filter(|id| !known.contains(id)).for_each(|id| note_absent(&id.to_string(), tolerances));
    }
    Ok(rows.into_iter().map(|(id, key, name)| FoundMembers { key, id, is_group: is_group(&name) }).collect())
}

/// An id as a client spells it.
pub(in crate::service) fn spelt(text: &str, tolerances: &mut Tolerances) -> Option<Id> {
    Id::parse(text).or_else(|| {
        let found = Id::parse(&plain(text))?;
        tolerances.allow(Tolerance::MemberSpelling).then_some(found)
    })
}

/// Names an id that should go and is no member. That is no error (RFC 7644 §3.5.2.2), in no dialect.
fn note_absent(id: &str, tolerances: &mut Tolerances) {
    if tolerances.allow(Tolerance::RemoveAbsent) {
        tolerances.drop_id(id);
    }
}
