//! A tenant's roles and mappings, arranged for the question "who gets what".
//!
//! Made from the catalogue as it was at one moment and never changed: another state is another policy, which
//! shares with the one before what is the same.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, OnceLock};

use super::api::Api;
use super::catalogue_change::{CatalogueChange, Removed};
use super::facts::GroupFacts;
use super::id::Id;
use super::mapping::{GroupName, Mapping, Source};
use super::permission::{Permission, Permissions};
use super::principal::PrincipalKind;
use super::role::Role;
use super::roles::{Gain, Roles};
use crate::scim::filter::{self, Bound, Unknown};
use crate::scim::text;
use crate::scim::tolerance::{Dialect, Tolerances};
use crate::scim::{self, ResourceType};

/// A tenant's roles and mappings. The default are Keyroll's own roles, mapped to nobody.
#[derive(Debug, Default)]
pub struct Policy {
    pub(super) roles: Arc<Roles>,
    /// In the order of their ids.
    mappings: Vec<Arc<Mapped>>,
    groups: Groups,
    rules: Vec<usize>,
    asserted: HashMap<(String, String), Vec<usize>>,
    persons: HashMap<Id, Vec<usize>>,
    keyroll_by_agents: OnceLock<bool>,
    keyroll_by_scim: OnceLock<bool>,
}

/// The places of mappings by how they name a group.
#[derive(Debug, Default)]
struct Groups {
    ids: HashMap<Id, Vec<usize>>,
    /// As they are compared.
    displays: HashMap<String, Vec<usize>>,
    external_ids: HashMap<String, Vec<usize>>,
}

/// A mapping, ready to be asked.
#[derive(Clone, Debug)]
pub struct Mapped {
    /// The mapping.
    pub mapping: Mapping,
    /// The record that made it what it is.
    pub from_seq: i64,
    /// The filter of a rule; `None` for another source, and for one that the schema no longer has.
    pub rule: Option<Bound>,
}

impl Policy {
    /// Arranges a catalogue. Keyroll's own api and roles are added.
    pub fn new(apis: Vec<Api>, roles: Vec<Role>, mappings: Vec<(Mapping, i64)>) -> Policy {
        let apis = apis.into_iter().map(|api| (api, 0)).collect();
        let roles = roles.into_iter().map(|role| (role, 0)).collect();
        Policy::default().with(CatalogueChange { apis, roles, mappings, gone: Removed::default() })
    }

    /// The same policy after a change. What has come may have been in it already.
    #[must_use]
    pub fn with(&self, mut changes: CatalogueChange) -> Policy {
        let roles = if changes.has_roles() { Arc::new(self.roles.with(&mut changes)) } else { Arc::clone(&self.roles) };
        let CatalogueChange { mappings: come, gone: Removed { mappings: mut old, .. }, .. } = changes;
        old.extend(come.iter().map(|(mapping, _)| mapping.id));
        let kept = self.mappings.iter().filter(|one| !old.contains(&one.mapping.id));
        let mut mappings = Vec::with_capacity(self.mappings.len() + come.len());
        mappings.extend(kept.map(Arc::clone));
        mappings.extend(come.into_iter().map(|(mapping, from_seq)| Arc::new(Mapped::new(mapping, from_seq))));
        mappings.sort_by_cached_key(|one| one.mapping.id);
        let mut policy = Policy { roles, ..Policy::default() };
        policy.groups.displays.reserve(mappings.len());
        mappings.iter().enumerate().for_each(|(at, one)| policy.note(at, &one.mapping.source));
        policy.mappings = mappings;
        policy
    }

    fn note(&mut self, at: usize, source: &Source) {
        let places = match source {
            Source::Group { group: GroupName::Id(id) } => self.groups.ids.entry(*id).or_default(),
            Source::Group { group: GroupName::DisplayName(name) } => {
                self.groups.displays.entry(text::fold(name).into_owned()).or_default()
            }
            Source::Group { group: GroupName::ExternalId(id) } => {
                self.groups.external_ids.entry(id.clone()).or_default()
            }
            Source::Rule { .. } => &mut self.rules,
            Source::Asserted { asserted } => {
                let key = (asserted.attribute.clone(), text::fold(&asserted.value).into_owned());
                self.asserted.entry(key).or_default()
            }
            Source::Person { person, .. } => self.persons.entry(person.id).or_default(),
        };
        places.push(at);
    }

    /// Apis by name, Keyroll's own included.
    pub fn apis(&self) -> &BTreeMap<String, Api> {
        &self.roles.apis
    }

    /// Roles by name, built-in ones included.
    pub fn roles(&self) -> &BTreeMap<String, Role> {
        &self.roles.roles
    }

    /// Mappings in the order of their ids.
    pub fn mappings(&self) -> impl ExactSizeIterator<Item = &Mapped> {
        self.mappings.iter().map(Arc::as_ref)
    }

    /// The mapping with an id, and its place.
    pub fn find(&self, id: &Id) -> Option<(usize, &Mapped)> {
        let at = self.mappings.binary_search_by_key(id, |one| one.mapping.id).ok()?;
        Some((at, self.mapped(at)?))
    }

    /// What a mapped role gives: itself, and what it includes, each with its way.
    pub fn gains(&self, role: &str) -> &[Gain] {
        self.roles.gains(role)
    }

    /// Every permission that a role gives, through its inclusions as well.
    pub fn permissions(&self, role: &str) -> Option<&Permissions> {
        self.roles.permissions(role)
    }

    /// The roles that give a permission.
    pub fn roles_with<'p>(&'p self, permission: &'p Permission) -> impl Iterator<Item = &'p str> {
        self.roles.giving(permission)
    }

    /// The mappings whose role is, or includes, this one.
    pub fn mappings_giving<'p>(&'p self, role: &'p str) -> impl Iterator<Item = &'p Mapped> {
        self.mappings().filter(move |one| self.gives(&one.mapping.role, role))
    }

    /// The places of some mappings.
    pub fn places(&self, of: impl Fn(&Mapped) -> bool) -> BTreeSet<usize> {
        self.mappings().enumerate().filter(|(_, one)| of(one)).map(|(at, _)| at).collect()
    }

    /// Whether a role is, or includes, another one.
    pub fn gives(&self, role: &str, other: &str) -> bool {
        self.gains(role).iter().any(|gain| gain.role == other)
    }

    /// Whether a permission or pattern is registered, or belongs to an open api.
    pub fn knows(&self, permission: &Permission) -> bool {
        self.apis().get(permission.api()).is_some_and(|api| api.knows(permission))
    }

    /// Why a permission is not known.
    pub fn why_unknown(&self, permission: &Permission) -> String {
        let api = permission.api();
        match self.apis().get(api) {
            _ if api == "*" => format!("{permission}: name the api; * would seem to include keyroll and never does"),
            None => format!("{permission}: there is no api {api}"),
            Some(_) => format!("{permission}: api {api} has no such permission"),
        }
    }

    /// The mappings that name a group.
    pub fn of_group(&self, group: &GroupFacts) -> Vec<usize> {
        if !self.has_groups() {
            return vec![];
        }
        let Groups { ids, displays, external_ids } = &self.groups;
        let display = group.display.as_ref().and_then(|name| displays.get(&*text::fold(name)));
        let called = group.external_ids.iter().filter_map(|id| external_ids.get(id));
        let places = ids.get(&group.id).into_iter().chain(display).chain(called);
        let mut found: Vec<usize> = places.flatten().copied().collect();
        found.sort_unstable();
        found.dedup();
        found
    }

    /// Whether any mapping names groups.
    pub fn has_groups(&self) -> bool {
        let Groups { ids, displays, external_ids } = &self.groups;
        !(ids.is_empty() && displays.is_empty() && external_ids.is_empty())
    }

    /// Whether any mapping names a group by what a connection calls it.
    pub fn has_external_ids(&self) -> bool {
        !self.groups.external_ids.is_empty()
    }

    /// Whether any mapping looks at documents.
    pub fn reads_documents(&self) -> bool {
        !self.rules.is_empty() || !self.asserted.is_empty()
    }

    /// Whether any mapping is about what identity providers assert.
    pub fn has_asserted(&self) -> bool {
        !self.asserted.is_empty()
    }

    /// The mappings with a rule.
    pub fn rules(&self) -> impl Iterator<Item = (usize, &Mapped)> {
        self.rules.iter().filter_map(|at| Some((*at, self.mapped(*at)?)))
    }

    /// The mappings of an asserted value.
    pub fn of_asserted(&self, attribute: &str, value: &str) -> &[usize] {
        if self.asserted.is_empty() {
            return &[];
        }
        self.asserted.get(&(attribute.to_owned(), text::fold(value).into_owned())).map_or(&[], Vec::as_slice)
    }

    /// The mappings of one principal.
    pub fn of_person(&self, id: &Id) -> &[usize] {
        self.persons.get(id).map_or(&[], Vec::as_slice)
    }

    /// The mapping at a place.
    pub fn mapped(&self, at: usize) -> Option<&Mapped> {
        self.mappings.get(at).map(Arc::as_ref)
    }

    /// The permissions of Keyroll's own api that a mapping gives.
    pub fn keyroll_of(&self, mapped: &Mapped) -> Permissions {
        self.permissions(&mapped.mapping.role).map(Permissions::of_keyroll).unwrap_or_default()
    }

    /// Whether an agent could hold a permission of Keyroll's own api.
    pub fn keyroll_by_agents(&self) -> bool {
        let to_agent = |source: &Source| match source {
            Source::Person { person, .. } => person.kind == PrincipalKind::Agent,
            _ => true,
        };
        *self.keyroll_by_agents.get_or_init(|| self.keyroll_by(to_agent))
    }

    /// Whether somebody could gain a permission of Keyroll's own api by what identity providers write.
    pub fn keyroll_by_scim(&self) -> bool {
        let by_scim = |source: &Source| !matches!(source, Source::Person { .. });
        *self.keyroll_by_scim.get_or_init(|| self.keyroll_by(by_scim))
    }

    fn keyroll_by(&self, source: impl Fn(&Source) -> bool) -> bool {
        let mut from = self.mappings.iter().filter(|one| source(&one.mapping.source));
        from.any(|one| self.roles.gives_keyroll(&one.mapping.role))
    }
}

impl Mapped {
    fn new(mapping: Mapping, from_seq: i64) -> Mapped {
        let rule = match &mapping.source {
            Source::Rule { rule } => user_type().and_then(|user| bind_rule(rule, user).ok()),
            _ => None,
        };
        Mapped { mapping, from_seq, rule }
    }
}

/// The type that rules are about.
pub fn user_type() -> Option<&'static ResourceType> {
    PrincipalKind::User.resource_type()
}

/// What a rule may not look at: it would depend on itself, on the server, or on one connection.
const HIDDEN: [&str; 6] = ["id", "meta", "groups", "roles", "entitlements", "externalId"];

/// Reads a rule.
///
/// # Errors
/// 400 of SCIM for what is no filter over Users, or names an attribute that a rule may not look at.
pub fn bind_rule(text: &str, user: &'static ResourceType) -> Result<Bound, scim::Error> {
    let mut strict = Tolerances::new(Dialect::Rfc);
    let parsed = filter::parse(text, &mut strict)?;
    let bound = filter::bind(&parsed, user, Unknown::Refuse, &mut strict)?;
    for attribute in filter::attributes(&bound) {
        let name = attribute.attribute.name.as_str();
        // What is made when a document is shown comes from other resources: it is in no document.
        let is_made = attribute.sub.is_some_and(|sub| sub.is_made()) || attribute.attribute.is_made();
        if (attribute.extension.is_none() && HIDDEN.contains(&name)) || is_made {
            let detail = format!("filter: a rule cannot look at {attribute}");
            return Err(scim::Error::new(scim::ScimType::InvalidFilter, detail));
        }
    }
    Ok(bound)
}

#[cfg(test)]
#[path = "policy_test.rs"]
mod tests;
