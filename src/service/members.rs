//! Membership changes as row operations: cost follows the change, never the size of the group.

use std::collections::HashSet;

use serde_json::Value;

use super::render::member;
use super::{Change, Error, body};
use crate::domain::Id;
use crate::scim::filter::{self, Bound};
use crate::scim::patch::{Member as Named, RowChange};
use crate::scim::tolerance::{Tolerance, Tolerances};
use crate::scim::{self};
use crate::store::{self, ResourceKey};

/// What really changed: ids, for the log.
#[derive(Debug, Default)]
pub(super) struct Delta {
    pub(super) added: Vec<Id>,
    pub(super) removed: Vec<Id>,
}

impl Delta {
    /// Whether nothing changed.
    pub(super) fn is_empty(&self) -> bool {
        self.added.is_empty() && self.removed.is_empty()
    }
}

/// Applies the changes to a group, in order.
pub(super) fn apply(
    change: &mut Change<'_>,
    group: ResourceKey,
    rows: Vec<RowChange>,
    tolerances: &mut Tolerances,
) -> Result<Delta, Error> {
    let mut delta = Delta::default();
    for row in rows {
        match row {
            RowChange::Add(members) => {
                let found = resolve(change, &members, tolerances)?;
                insert(change, group, found, &mut delta)?;
            }
            RowChange::Remove(ids) => {
                let keys = known(change, &ids)?;
                remove(change, group, keys, &mut delta)?;
            }
            RowChange::RemoveAll => replace(change, group, vec![], &mut delta)?,
            RowChange::RemoveWhere(bound) => {
                let found = scan(change, group, |element, _| matches(&bound, element))?;
                remove(change, group, found, &mut delta)?;
            }
            RowChange::Replace(members) => {
                let wanted = resolve(change, &members, tolerances)?;
                replace(change, group, wanted, &mut delta)?;
            }
        }
    }
    Ok(delta)
}

fn matches(bound: &Bound, element: &Value) -> bool {
    element.as_object().is_some_and(|element| filter::element_matches(bound, element))
}

fn insert(change: &mut Change<'_>, group: ResourceKey, found: Vec<Found>, delta: &mut Delta) -> Result<(), Error> {
    if found.is_empty() {
        return Ok(());
    }
    let tenant = change.key();
    let nested: Vec<ResourceKey> = found.iter().filter(|f| f.is_group).map(|f| f.key).collect();
    if !nested.is_empty() {
        // Two opposite edges in two transactions would commit a cycle that neither can see.
        store::members::lock_nesting(change.conn, tenant)?;
        if store::members::cycle(change.conn, tenant, group, &nested)?.is_some() {
            return Err(
                scim::Error::value("members: a group cannot be its own member, directly or through others").into()
            );
        }
    }
    let keys: Vec<ResourceKey> = found.iter().map(|f| f.key).collect();
    let seq = change.seq()?;
    let added: HashSet<ResourceKey> =
        store::members::add(change.conn, tenant, group, &keys, seq)?.into_iter().collect();
    delta.added.extend(found.iter().filter(|f| added.contains(&f.key)).map(|f| f.id));
    Ok(())
}

fn remove(
    change: &mut Change<'_>,
    group: ResourceKey,
    found: Vec<(ResourceKey, Id)>,
    delta: &mut Delta,
) -> Result<(), Error> {
    if found.is_empty() {
        return Ok(());
    }
    let (tenant, seq) = (change.key(), change.seq()?);
    let keys: Vec<ResourceKey> = found.iter().map(|(key, _)| *key).collect();
    let removed: HashSet<ResourceKey> =
        store::members::remove(change.conn, tenant, group, &keys, seq)?.into_iter().collect();
    delta.removed.extend(found.iter().filter(|(key, _)| removed.contains(key)).map(|(_, id)| *id));
    Ok(())
}

/// Makes the list of members exactly this one. Its cost is that of the two lists, as PUT's body is.
fn replace(
    change: &mut Change<'_>,
    group: ResourceKey,
    mut wanted: Vec<Found>,
    delta: &mut Delta,
) -> Result<(), Error> {
    let keep: HashSet<ResourceKey> = wanted.iter().map(|f| f.key).collect();
    let mut present = HashSet::new();
    let gone = scan(change, group, |_, key| {
        present.insert(key);
        !keep.contains(&key)
    })?;
    remove(change, group, gone, delta)?;
    wanted.retain(|found| !present.contains(&found.key));
    insert(change, group, wanted, delta)
}

/// The members for which the test holds, read in chunks.
fn scan(
    change: &mut Change<'_>,
    group: ResourceKey,
    mut test: impl FnMut(&Value, ResourceKey) -> bool,
) -> Result<Vec<(ResourceKey, Id)>, Error> {
    let (tenant, base) = (change.key(), change.service.scim_base_url());
    let (mut found, mut after) = (vec![], None);
    loop {
        let page = store::members::page(change.conn, tenant, group, after, body::CHUNK)?;
        for one in &page {
            if test(&member(base, one), one.key) {
                found.push((one.key, one.id));
            }
        }
        after = page.last().map(|one| one.key);
        if (page.len() as i64) < body::CHUNK {
            return Ok(found);
        }
    }
}

/// A member that exists.
struct Found {
    key: ResourceKey,
    id: Id,
    is_group: bool,
}

/// Finds the named resources of this tenant. One that does not exist is dropped: it must not keep the others
/// outside, or inside. Where the dialect bears no such thing, it refuses the request.
fn resolve(change: &mut Change<'_>, members: &[Named], tolerances: &mut Tolerances) -> Result<Vec<Found>, Error> {
    let mut ids = Vec::with_capacity(members.len());
    let mut seen = HashSet::new();
    let mut unknown = |value: &str| {
        if !tolerances.allow(Tolerance::UnknownReference) {
            return Err(scim::Error::value(format!("members: no resource has the id {value:?}")));
        }
        tolerances.drop_id(value);
        Ok(())
    };
    for named in members {
        match Id::parse(&named.value) {
            Some(id) if seen.insert(id) => ids.push(id),
            Some(_) => {}
            None => unknown(&named.value)?,
        }
    }
    let rows = store::resources::by_ids(change.conn, change.key(), &ids)?;
    if rows.len() != ids.len() {
        let known: HashSet<Id> = rows.iter().map(|(id, ..)| *id).collect();
        ids.iter().filter(|id| !known.contains(id)).try_for_each(|id| unknown(&id.to_string()))?;
    }
    let is_group = |type_name: &str| super::registry().by_name(type_name).is_some_and(|t| t.rows.is_some());
    Ok(rows.into_iter().map(|(id, key, name)| Found { key, id, is_group: is_group(&name) }).collect())
}

/// The resources among these ids that exist: removing somebody who is not there is no error.
fn known(change: &mut Change<'_>, ids: &[String]) -> Result<Vec<(ResourceKey, Id)>, Error> {
    let ids: Vec<Id> = ids.iter().filter_map(|id| Id::parse(id)).collect();
    let rows = store::resources::by_ids(change.conn, change.key(), &ids)?;
    Ok(rows.into_iter().map(|(id, key, _)| (key, id)).collect())
}
