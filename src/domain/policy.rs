//! A tenant's roles and mappings, arranged for the question "who gets what".
//!
//! Built from the catalogue as it was at one moment and never changed: another state is another policy.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use super::access::GroupFacts;
use super::api::{self, Api};
use super::id::Id;
use super::mapping::{GroupName, Mapping, Source};
use super::permission::{KEYROLL, Permission, Permissions};
use super::principal::PrincipalKind;
use super::role::{self, Role};
use super::version::Made;
use crate::scim::filter::{self, Bound, Unknown};
use crate::scim::schema::registry;
use crate::scim::text;
use crate::scim::tolerance::{Dialect, Tolerances};
use crate::scim::{self, ResourceType};

/// In how many ways a role may reach the roles that it includes, itself counted.
pub const INCLUSIONS_MAX: usize = 1_000;

/// How many roles deep inclusions may go: what a role gives is worked out with every change of the catalogue.
pub const INCLUSION_DEPTH_MAX: usize = 16;

/// A tenant's roles and mappings.
#[derive(Debug, Default)]
pub struct Policy {
    /// Apis by name, Keyroll's own included.
    pub apis: BTreeMap<String, Api>,
    /// Roles by name, built-in ones included.
    pub roles: BTreeMap<String, Role>,
    /// Mappings in the order of their ids.
    pub mappings: Vec<Mapped>,
    /// Which records made it what it is.
    pub(super) made: Made,
    /// What each role gives, through its inclusions.
    gains: HashMap<String, Vec<Gain>>,
    permissions: HashMap<String, Permissions>,
    groups: HashMap<GroupName, Vec<usize>>,
    rules: Vec<usize>,
    asserted: HashMap<(String, String), Vec<usize>>,
    persons: HashMap<Id, Vec<usize>>,
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

/// A role that comes with a mapped one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gain {
    /// The role.
    pub role: String,
    /// The including roles, outermost first; empty for the mapped role itself.
    pub via: Vec<String>,
}

impl Policy {
    /// Arranges a catalogue. Keyroll's own api and roles are added.
    pub fn new(apis: Vec<Api>, roles: Vec<Role>, mut mappings: Vec<(Mapping, i64)>) -> Policy {
        mappings.sort_by_key(|(mapping, _)| mapping.id);
        let apis = apis.into_iter().chain([api::keyroll()]).map(|api| (api.name.clone(), api)).collect();
        let roles = roles.into_iter().chain(role::built_in()).map(|role| (role.name.clone(), role)).collect();
        let mut policy = Policy { apis, roles, ..Policy::default() };
        for name in policy.roles.keys().cloned().collect::<Vec<_>>() {
            let gains = policy.reach(&name);
            let given = gains.iter().filter_map(|gain| policy.roles.get(&gain.role));
            let all: Permissions = given.flat_map(|role| role.permissions.iter().cloned()).collect();
            policy.permissions.insert(name.clone(), all);
            policy.gains.insert(name, gains);
        }
        for (mapping, from_seq) in mappings {
            policy.add(mapping, from_seq);
        }
        policy
    }

    fn add(&mut self, mapping: Mapping, from_seq: i64) {
        let (at, mut rule) = (self.mappings.len(), None);
        match &mapping.source {
            Source::Group { group } => self.groups.entry(folded(group)).or_default().push(at),
            Source::Rule { rule: text } => {
                rule = user_type().and_then(|user| bind_rule(text, user).ok());
                self.rules.push(at);
            }
            Source::Asserted { asserted } => {
                let key = (asserted.attribute.clone(), text::fold(&asserted.value).into_owned());
                self.asserted.entry(key).or_default().push(at);
            }
            Source::Person { person, .. } => self.persons.entry(person.id).or_default().push(at),
        }
        self.mappings.push(Mapped { mapping, from_seq, rule });
    }

    /// The mapping with an id, and its place.
    pub fn find(&self, id: &Id) -> Option<(usize, &Mapped)> {
        let at = self.mappings.binary_search_by_key(id, |one| one.mapping.id).ok()?;
        Some((at, self.mappings.get(at)?))
    }

    /// Every way from a role to the roles it gives, itself first.
    fn reach(&self, name: &str) -> Vec<Gain> {
        let mut found = vec![];
        let mut open = vec![Gain { role: name.to_owned(), via: vec![] }];
        while let Some(gain) = open.pop() {
            if let Some(role) = self.roles.get(&gain.role) {
                // One deeper than may be is kept, so that whoever looks at it sees it.
                let inside = if gain.via.len() > INCLUSION_DEPTH_MAX { &[][..] } else { &role.includes };
                for inner in inside.iter().rev().filter(|inner| !gain.via.contains(inner) && **inner != gain.role) {
                    let via = gain.via.iter().cloned().chain([gain.role.clone()]).collect();
                    open.push(Gain { role: inner.clone(), via });
                }
                found.push(gain);
            }
            if found.len() + open.len() > INCLUSIONS_MAX {
                // Too many to use: kept, so that whoever counts them sees it.
                found.append(&mut open);
            }
        }
        found
    }

    /// What a mapped role gives: itself, and what it includes, each with its way.
    pub fn gains(&self, role: &str) -> &[Gain] {
        self.gains.get(role).map_or(&[], Vec::as_slice)
    }

    /// Every permission that a role gives, through its inclusions as well.
    pub fn permissions(&self, role: &str) -> Option<&Permissions> {
        self.permissions.get(role)
    }

    /// The roles that give a permission.
    pub fn roles_with<'p>(&'p self, permission: &'p Permission) -> impl Iterator<Item = &'p str> {
        self.permissions.iter().filter(|(_, all)| all.cover(permission)).map(|(name, _)| name.as_str())
    }

    /// The mappings whose role is, or includes, this one.
    pub fn mappings_giving<'p>(&'p self, role: &'p str) -> impl Iterator<Item = &'p Mapped> {
        self.mappings.iter().filter(move |one| self.gives(&one.mapping.role, role))
    }

    /// The places of some mappings.
    pub fn places(&self, of: impl Fn(&Mapped) -> bool) -> BTreeSet<usize> {
        self.mappings.iter().enumerate().filter(|(_, one)| of(one)).map(|(at, _)| at).collect()
    }

    /// Whether a role is, or includes, another one.
    pub fn gives(&self, role: &str, other: &str) -> bool {
        self.gains(role).iter().any(|gain| gain.role == other)
    }

    /// Whether a permission or pattern is registered, or belongs to an open api.
    pub fn knows(&self, permission: &Permission) -> bool {
        self.apis.get(permission.api()).is_some_and(|api| api.knows(permission))
    }

    /// The mappings that name a group.
    pub fn of_group(&self, group: &GroupFacts) -> Vec<usize> {
        if self.groups.is_empty() {
            return vec![];
        }
        let mut names = vec![GroupName::Id(group.id)];
        names.extend(group.display.iter().map(|name| GroupName::DisplayName(text::fold(name).into_owned())));
        names.extend(group.external_ids.iter().map(|id| GroupName::ExternalId(id.clone())));
        let found: HashSet<usize> = names.iter().filter_map(|name| self.groups.get(name)).flatten().copied().collect();
        let mut found: Vec<usize> = found.into_iter().collect();
        found.sort_unstable();
        found
    }

    /// Whether any mapping names groups.
    pub fn has_groups(&self) -> bool {
        !self.groups.is_empty()
    }

    /// Whether any mapping names a group by what a connection calls it.
    pub fn has_external_ids(&self) -> bool {
        self.groups.keys().any(|name| matches!(name, GroupName::ExternalId(_)))
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
        self.rules.iter().filter_map(|at| Some((*at, self.mappings.get(*at)?)))
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
        self.mappings.get(at)
    }

    /// The permissions of Keyroll's own api that a mapping gives.
    pub fn keyroll_of(&self, mapped: &Mapped) -> Permissions {
        self.permissions(&mapped.mapping.role).map(Permissions::of_keyroll).unwrap_or_default()
    }

    /// Whether an agent could hold a permission of Keyroll's own api.
    pub fn keyroll_by_agents(&self) -> bool {
        let to_agent = |one: &&Mapped| match &one.mapping.source {
            Source::Person { person, .. } => person.kind == PrincipalKind::Agent,
            _ => true,
        };
        self.mappings.iter().filter(to_agent).any(|one| !self.keyroll_of(one).is_empty())
    }

    /// Whether somebody could gain a permission of Keyroll's own api by what identity providers write.
    pub fn keyroll_by_scim(&self) -> bool {
        let by_scim = |one: &&Mapped| !matches!(one.mapping.source, Source::Person { .. });
        self.mappings.iter().filter(by_scim).any(|one| {
            self.permissions(&one.mapping.role).is_some_and(|all| all.iter().any(|own| own.api() == KEYROLL))
        })
    }
}

/// A group's name as it is compared.
fn folded(group: &GroupName) -> GroupName {
    match group {
        GroupName::DisplayName(name) => GroupName::DisplayName(text::fold(name).into_owned()),
        other => other.clone(),
    }
}

/// The type that rules are about.
pub fn user_type() -> Option<&'static ResourceType> {
    registry().by_name("User")
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
