//! The principals that some mappings may concern, each once, in an order that holds from page to page.
//!
//! Every source of a mapping gives them in the order of their surrogate keys, a range at a time; the
//! ranges are merged as far as all sources have been read. Nobody who is affected is left out; whether
//! a mapping really applies, the facts of a candidate decide.

use std::collections::{BTreeSet, VecDeque};

use crate::domain::access;
use crate::domain::mapping::Source;
use crate::domain::policy::{Mapped, user_type};
use crate::domain::{Id, Policy, TenantKey};
use crate::scim::filter::Bound;
use crate::scim::{ResourceType, text};
use crate::service::{Error, registry};
use crate::store::candidates::{KeyRange, LAST_KEY};
use crate::store::search::{self, Query};
use crate::store::{self, Conn, ResourceKey};

/// Documents in one read.
const DOCUMENTS: usize = 500;
/// How many members of one of many groups are read at once.
const MEMBERS_MIN: usize = 8;

/// A place in the order of principals: those without a resource by id, then the others by surrogate key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::service) enum PagePosition {
    /// A principal without a resource.
    Local(Id),
    /// A principal with this resource.
    Resource(ResourceKey),
}

/// Candidates one after the other.
pub(in crate::service::reports) struct Batch {
    pub(in crate::service::reports) found: Vec<(PagePosition, Id)>,
    /// Up to where these are all there are.
    pub(in crate::service::reports) until: PagePosition,
}

impl Batch {
    pub(in crate::service::reports) fn is_last(&self) -> bool {
        self.until == PagePosition::Resource(LAST_KEY)
    }
}

/// Where principals come from.
enum Origin<'p> {
    /// The persons that mappings name.
    Persons(Vec<ResourceKey>),
    /// Members of a group.
    Group(ResourceKey),
    /// Those whose identity provider asserts a value.
    Asserted { resource_type: &'static ResourceType, path: String, value: String },
    /// A rule that the index narrows down.
    Rule(&'static ResourceType, &'p Bound),
    /// Rules that nothing but the documents can decide.
    Documents(&'static ResourceType, Vec<&'p Mapped>),
}

/// An origin, read up to a key.
struct Stream<'p> {
    origin: Origin<'p>,
    ready: VecDeque<ResourceKey>,
    until: ResourceKey,
}

/// The candidates of some mappings.
pub(in crate::service::reports) struct Candidates<'p> {
    locals: VecDeque<Id>,
    streams: Vec<Stream<'p>>,
    ready: VecDeque<ResourceKey>,
    until: ResourceKey,
    /// What it has cost so far: candidates, and documents that were read to find them.
    pub(in crate::service::reports) looked_at: usize,
}

impl<'p> Candidates<'p> {
    /// Those of some mappings of a policy behind a place.
    pub(in crate::service::reports) fn new(
        conn: &mut Conn,
        tenant: TenantKey,
        policy: &'p Policy,
        mappings: &BTreeSet<usize>,
        after: Option<PagePosition>,
    ) -> Result<Candidates<'p>, Error> {
        let mapped: Vec<&Mapped> = mappings.iter().filter_map(|at| policy.mapped(*at)).collect();
        let (locals, persons) = persons(conn, tenant, &mapped)?;
        let (locals, until) = match after {
            None => (locals, ResourceKey(0)),
            Some(PagePosition::Local(last)) => (locals.into_iter().filter(|id| *id > last).collect(), ResourceKey(0)),
            Some(PagePosition::Resource(last)) => (vec![], last),
        };
        let mut origins = vec![];
        if !persons.is_empty() {
            origins.push(Origin::Persons(persons));
        }
        origins.extend(groups(conn, tenant, &mapped)?.into_iter().map(Origin::Group));
        origins.extend(asserted(&mapped));
        origins.extend(rules(&mapped));
        let streams = origins.into_iter().map(|origin| Stream { origin, ready: VecDeque::new(), until }).collect();
        let until = if mapped.is_empty() { LAST_KEY } else { until };
        Ok(Candidates { locals: locals.into(), streams, ready: VecDeque::new(), until, looked_at: 0 })
    }

    /// The next candidates, at most so many; none may be among them though others follow.
    pub(in crate::service::reports) fn next(
        &mut self,
        conn: &mut Conn,
        tenant: TenantKey,
        limit: usize,
    ) -> Result<Batch, Error> {
        if !self.locals.is_empty() {
            let found: Vec<_> = self.locals.drain(..limit.min(self.locals.len())).collect();
            self.looked_at += found.len();
            let until = match (found.last(), self.locals.is_empty()) {
                (Some(last), false) => PagePosition::Local(*last),
                _ => PagePosition::Resource(self.until),
            };
            return Ok(Batch { found: found.into_iter().map(|id| (PagePosition::Local(id), id)).collect(), until });
        }
        if self.ready.is_empty() {
            self.advance(conn, tenant, limit)?;
        }
        let keys: Vec<_> = self.ready.drain(..limit.min(self.ready.len())).collect();
        self.looked_at += keys.len();
        let until = match (keys.last(), self.ready.is_empty()) {
            (Some(last), false) => *last,
            _ => self.until,
        };
        let found = store::facts::ids(conn, tenant, &keys)?;
        let found = found.into_iter().map(|(key, id)| (PagePosition::Resource(key), id)).collect();
        Ok(Batch { found, until: PagePosition::Resource(until) })
    }

    /// Reads on where nothing is left, and merges what is complete.
    fn advance(&mut self, conn: &mut Conn, tenant: TenantKey, limit: usize) -> Result<(), Error> {
        let is_open = |one: &&mut Stream<'_>| one.ready.is_empty() && one.until < LAST_KEY;
        let mut groups = vec![];
        for stream in self.streams.iter_mut().filter(is_open) {
            match stream.origin {
                Origin::Group(key) => groups.push(key),
                _ => self.looked_at += stream.read_on(conn, tenant, limit)?,
            }
        }
        // All groups at once: what lies between here and where one of them has been read is given already.
        let each = (limit / groups.len().max(1)).max(MEMBERS_MIN.min(limit));
        let mut members = store::candidates::members(conn, tenant, &groups, self.until, each)?;
        for stream in self.streams.iter_mut().filter(is_open) {
            if let Origin::Group(key) = stream.origin {
                stream.take(KeyRange::new(members.remove(&key).unwrap_or_default(), each));
            }
        }
        self.until = self.streams.iter().map(|stream| stream.until).min().unwrap_or(LAST_KEY);
        let mut merged = BTreeSet::new();
        for stream in &mut self.streams {
            let complete = stream.ready.partition_point(|key| *key <= self.until);
            merged.extend(stream.ready.drain(..complete));
        }
        self.ready = merged.into_iter().collect();
        Ok(())
    }
}

impl Stream<'_> {
    fn take(&mut self, range: KeyRange) {
        self.ready = range.keys.into();
        self.until = range.until;
    }

    /// Reads the next range; gives how many documents it took. Groups are read together.
    fn read_on(&mut self, conn: &mut Conn, tenant: TenantKey, limit: usize) -> Result<usize, Error> {
        let (after, mut cost) = (self.until, 0);
        let range = match &self.origin {
            Origin::Group(_) => return Ok(0),
            Origin::Persons(keys) => {
                let rest = keys.iter().skip(keys.partition_point(|key| *key <= after));
                KeyRange::new(rest.take(limit).copied().collect(), limit)
            }
            Origin::Asserted { resource_type, path, value } => {
                store::candidates::holding(conn, tenant, (resource_type, path), value, after, limit)?
            }
            Origin::Rule(resource_type, rule) => {
                let query = Query { resource_type, filter: Some(rule), connection: None, base_url: "", sort: None };
                KeyRange::new(search::candidates(conn, tenant, &query, after, limit)?, limit)
            }
            Origin::Documents(resource_type, rules) => {
                let rows = store::candidates::documents(conn, tenant, resource_type, after, DOCUMENTS)?;
                cost = rows.len();
                let until = rows.last().map(|(key, _)| *key).filter(|_| cost >= DOCUMENTS).unwrap_or(LAST_KEY);
                let any = |document| rules.iter().any(|rule| access::matches(rule, document));
                let keys = rows.iter().filter(|(_, document)| any(document)).map(|(key, _)| *key).collect();
                KeyRange { keys, until }
            }
        };
        self.take(range);
        Ok(cost)
    }
}

/// The persons that are named: those without a resource by id, the others by key.
fn persons(conn: &mut Conn, tenant: TenantKey, mapped: &[&Mapped]) -> Result<(Vec<Id>, Vec<ResourceKey>), Error> {
    let person = |one: &&Mapped| match &one.mapping.source {
        Source::Person { person, .. } => Some(person.id),
        _ => None,
    };
    let mut ids: BTreeSet<Id> = mapped.iter().filter_map(person).collect();
    let named: Vec<Id> = ids.iter().copied().collect();
    let mut keys = vec![];
    for (id, key, _) in store::resources::by_ids(conn, tenant, &named)? {
        ids.remove(&id);
        keys.push(key);
    }
    keys.sort_unstable();
    Ok((ids.into_iter().collect(), keys))
}

/// The groups that are named, and those inside them.
fn groups<'m>(conn: &mut Conn, tenant: TenantKey, mapped: &[&'m Mapped]) -> Result<Vec<ResourceKey>, Error> {
    let name = |one: &&'m Mapped| match &one.mapping.source {
        Source::Group { group } => Some(group),
        _ => None,
    };
    let names: Vec<_> = mapped.iter().filter_map(name).collect();
    if names.is_empty() {
        return Ok(vec![]);
    }
    let named = store::candidates::named(conn, tenant, &names)?;
    Ok(store::candidates::inside(conn, tenant, &named)?)
}

/// Values are asserted of every type of principal.
fn asserted<'p>(mapped: &[&Mapped]) -> Vec<Origin<'p>> {
    let mut values = BTreeSet::new();
    for one in mapped {
        if let Source::Asserted { asserted } = &one.mapping.source {
            values.insert((format!("{}.value", asserted.attribute), text::fold(&asserted.value).into_owned()));
        }
    }
    let types = registry().types.iter().filter(|one| one.principal);
    types
        .flat_map(|one| {
            values.iter().map(|(path, value)| Origin::Asserted {
                resource_type: one,
                path: path.clone(),
                value: value.clone(),
            })
        })
        .collect()
}

/// Rules are about Users. All that the index does not narrow down share one walk over the documents.
fn rules<'p>(mapped: &[&'p Mapped]) -> Vec<Origin<'p>> {
    let Some(user) = user_type() else { return vec![] };
    let (mut origins, mut rest) = (vec![], vec![]);
    for one in mapped {
        match &one.rule {
            Some(rule) if search::is_narrow(user, rule) => origins.push(Origin::Rule(user, rule)),
            Some(_) => rest.push(*one),
            None => {}
        }
    }
    if !rest.is_empty() {
        origins.push(Origin::Documents(user, rest));
    }
    origins
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn asserted_values_are_indexed() {
        for one in registry().types.iter().filter(|one| one.principal) {
            for path in ["roles.value", "entitlements.value"] {
                assert!(one.indexed.contains(&path.to_owned()), "{} {path}", one.name);
            }
        }
    }

    #[test]
    fn principals_without_a_resource_come_first() {
        let (low, high) = (Id::from_bytes(&[1; 16]).unwrap(), Id::from_bytes(&[255; 16]).unwrap());
        assert!(PagePosition::Local(low) < PagePosition::Local(high));
        assert!(PagePosition::Local(high) < PagePosition::Resource(ResourceKey(0)));
        assert!(PagePosition::Resource(ResourceKey(2)) < PagePosition::Resource(ResourceKey(10)));
    }
}
