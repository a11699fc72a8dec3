//! What a file changes: each step, and the catalogue that they make.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use crate::domain::log::Entry;
use crate::domain::mapping::{Meant, Source};
use crate::domain::policy::Mapped;
use crate::domain::{Api, Id, Mapping, Policy, Role, TenantKey};
use crate::service::apply::left::Left;
use crate::service::apply::response::{Applied, AppliedChange, Definition};
use crate::service::apply::{File, Options, at};
use crate::service::catalogue::items::{self, Verb};
use crate::service::catalogue::{apis, end, mappings, roles};
use crate::service::reports::effects::PolicyDifference;
use crate::service::{Change, Error};
use crate::store::Conn;
use crate::store::catalogue::Kind;

/// What a file changes, in the order in which it is done: apis, roles, included ones first, mappings; then what goes,
/// the other way round.
pub(in crate::service::apply) struct Plan {
    pub(in crate::service::apply) steps: Vec<Step>,
    unchanged: usize,
    left: Left,
    /// Apis and roles as they are then, without mappings.
    after: Policy,
}

/// One change.
pub(in crate::service::apply) struct Step {
    item: Item,
    /// What is there now.
    before: Option<Definition>,
}

enum Item {
    Api(Api),
    Role(Role),
    Mapping {
        role: String,
        source: Source,
        /// The one that means the same and says something else of it.
        instead_of: Option<Box<Mapped>>,
    },
    /// An api or a role that goes.
    Gone(Kind, String),
    /// A mapping that goes.
    Unmapped(Box<Mapped>),
}

impl Plan {
    /// Compares a file with the catalogue. Nothing is changed.
    pub(in crate::service::apply) fn new(
        conn: &mut Conn,
        tenant: TenantKey,
        before: &Policy,
        file: &File,
        options: Options,
    ) -> Result<Plan, Error> {
        let asked = file.asked(conn, tenant)?;
        let there = before.mappings().map(|one| ((one.mapping.role.as_str(), one.mapping.source.meant()), one));
        let there: HashMap<(&str, Meant<'_>), _> = there.collect();
        let found = |(role, source): &(String, Source)| there.get(&(role.as_str(), source.meant())).copied();
        let named = asked.iter().filter_map(found).map(|one| one.mapping.id).collect();
        let whole = overlaid(before, file, &Left::default());
        let (asked_and_named, policies) = ((asked.as_slice(), &named), (before, &whole));
        let mut left = Left::find((conn, tenant), policies, file, asked_and_named, options.force)?;
        let gone = if options.prune { left.take() } else { Left::default() };
        let mut plan = Plan { steps: vec![], unchanged: 0, left, after: overlaid(before, file, &gone) };
        plan.compare_apis(before, file)?;
        plan.compare_roles((conn, tenant), before, file)?;
        plan.compare_mappings((conn, tenant), &asked, found)?;
        plan.remove(before, gone);
        Ok(plan)
    }

    fn add(&mut self, item: Item, before: Option<Definition>) {
        self.steps.push(Step { item, before });
    }

    fn compare_apis(&mut self, before: &Policy, file: &File) -> Result<(), Error> {
        // Roles of the file are looked at one by one, and point at the permission.
        let own: HashSet<&str> = file.roles.iter().map(|draft| draft.role.name.as_str()).collect();
        let others = self.after.roles().values().filter(|role| !own.contains(role.name.as_str())).cloned();
        let others = Policy::new(vec![], others.collect(), vec![]);
        for (n, api) in file.apis.iter().enumerate() {
            match before.apis().get(&api.name) {
                Some(same) if same == api => self.unchanged += 1,
                Some(other) => {
                    apis::check_users(&others, api).map_err(at("apis", n))?;
                    self.add(Item::Api(api.clone()), Some(Definition::Api(other.clone())));
                }
                None => self.add(Item::Api(api.clone()), None),
            }
        }
        Ok(())
    }

    fn compare_roles(
        &mut self,
        (conn, tenant): (&mut Conn, TenantKey),
        before: &Policy,
        file: &File,
    ) -> Result<(), Error> {
        let mut changed = vec![];
        for (n, draft) in file.roles.iter().enumerate() {
            roles::check(conn, tenant, &self.after, draft).map_err(at("roles", n))?;
            match before.roles().get(&draft.role.name) {
                Some(same) if *same == draft.role => self.unchanged += 1,
                other => changed.push((&draft.role, other)),
            }
        }
        if let Some((role, detail)) = roles::over_limit(&self.after) {
            let n = file.roles.iter().position(|draft| draft.role.name == role).unwrap_or_default();
            return Err(at("roles", n)(Error::invalid("/includes", detail)));
        }
        // A role reaches more roles than any that it includes.
        changed.sort_by_key(|(role, _)| self.after.gains(&role.name).len());
        for (role, other) in changed {
            self.add(Item::Role(role.clone()), other.cloned().map(Definition::Role));
        }
        Ok(())
    }

    fn compare_mappings<'p>(
        &mut self,
        (conn, tenant): (&mut Conn, TenantKey),
        asked: &[(String, Source)],
        found: impl Fn(&(String, Source)) -> Option<&'p Mapped>,
    ) -> Result<(), Error> {
        let mut seen: HashMap<(&str, Meant<'_>), usize> = HashMap::new();
        for (n, entry) in asked.iter().enumerate() {
            let (role, source) = entry;
            let key = (role.as_str(), source.meant());
            if let Some(first) = seen.insert(key, n) {
                return Err(at("mappings", n)(Error::invalid("", format!("the same as mappings[{first}]"))));
            }
            let found = found(entry);
            let old = found.map(|one| &one.mapping);
            if old.is_some_and(|old| old.source == *source) {
                self.unchanged += 1;
                continue;
            }
            mappings::check(conn, tenant, &self.after, role, source).map_err(at("mappings", n))?;
            if let Some(old) = old {
                let new = Mapping::new(old.id, role, source.clone());
                mappings::check_replaceable(conn, tenant, old, &new).map_err(at("mappings", n))?;
            }
            let before = old.map(definition);
            let (role, source, instead_of) = (role.clone(), source.clone(), found.cloned().map(Box::new));
            self.add(Item::Mapping { role, source, instead_of }, before);
        }
        Ok(())
    }

    /// What goes, mappings first: nothing then names a role that is gone.
    fn remove(&mut self, before: &Policy, gone: Left) {
        for (one, _) in gone.mappings {
            let was = definition(&one.mapping);
            self.add(Item::Unmapped(Box::new(one)), Some(was));
        }
        for (name, _) in gone.roles {
            let was = before.roles().get(&name).cloned().map(Definition::Role);
            self.add(Item::Gone(Kind::Role, name), was);
        }
        for (name, _) in gone.apis {
            let was = before.apis().get(&name).cloned().map(Definition::Api);
            self.add(Item::Gone(Kind::Api, name), was);
        }
    }

    /// The whole policy as it is then.
    pub(in crate::service::apply) fn policy(&self, before: &Policy) -> Arc<Policy> {
        let mut mappings: HashMap<Id, Mapping> =
            before.mappings().map(|one| (one.mapping.id, one.mapping.clone())).collect();
        for (n, step) in self.steps.iter().enumerate() {
            match &step.item {
                Item::Mapping { role, source, instead_of } => {
                    let id = instead_of.as_ref().map_or_else(|| provisional(n), |old| old.mapping.id);
                    mappings.insert(id, Mapping::new(id, role, source.clone()));
                }
                Item::Unmapped(gone) => drop(mappings.remove(&gone.mapping.id)),
                Item::Api(_) | Item::Role(_) | Item::Gone(..) => {}
            }
        }
        let (apis, roles) = (self.after.apis().values().cloned(), self.after.roles().values().cloned());
        Arc::new(Policy::new(apis.collect(), roles.collect(), mappings.into_values().map(|one| (one, 0)).collect()))
    }

    /// Whom it may concern.
    pub(in crate::service::apply) fn affected(&self, before: &Policy) -> PolicyDifference {
        let mut affected = PolicyDifference::roles_between(before, &self.after);
        for (n, step) in self.steps.iter().enumerate() {
            affected.mappings.extend(match &step.item {
                Item::Mapping { instead_of, .. } => {
                    Some(instead_of.as_ref().map_or_else(|| provisional(n), |old| old.mapping.id))
                }
                Item::Unmapped(gone) => Some(gone.mapping.id),
                Item::Api(_) | Item::Role(_) | Item::Gone(..) => None,
            });
        }
        affected
    }

    /// The plan as it is told, before and after it is carried out.
    pub(in crate::service::apply) fn told(self, dry_run: bool) -> Applied {
        Applied {
            dry_run,
            changes: self.steps.into_iter().map(Step::told).collect(),
            unchanged: self.unchanged,
            left: self.left.told(),
            effects_truncated: false,
            effects: None,
        }
    }
}

fn definition(mapping: &Mapping) -> Definition {
    Definition::Mapping { role: mapping.role.clone(), source: mapping.source.clone() }
}

/// The id of a mapping that nobody has made yet, by the place of its step. Ids that are minted are greater.
fn provisional(step: usize) -> Id {
    Id::from_bytes(&(step as u128).to_be_bytes()).unwrap_or(Id::NIL)
}

/// The catalogue that a file makes, without mappings and without what goes.
fn overlaid(before: &Policy, file: &File, gone: &Left) -> Policy {
    let apis = file.apis.iter().map(|api| (api.name.as_str(), api));
    let roles = file.roles.iter().map(|draft| (draft.role.name.as_str(), &draft.role));
    let mut all_apis: HashMap<&str, &Api> = before.apis().iter().map(|(name, api)| (name.as_str(), api)).collect();
    let mut all_roles: HashMap<_, _> = before.roles().iter().map(|(name, role)| (name.as_str(), role)).collect();
    all_apis.retain(|name, _| !gone.apis.iter().any(|(gone, _)| gone == name));
    all_roles.retain(|name, _| !gone.roles.iter().any(|(gone, _)| gone == name));
    all_apis.extend(apis);
    all_roles.extend(roles);
    Policy::new(all_apis.into_values().cloned().collect(), all_roles.into_values().cloned().collect(), vec![])
}

impl Step {
    pub(in crate::service::apply) fn carry_out(&self, change: &mut Change<'_>, policy: &Policy) -> Result<(), Error> {
        let verb = if self.before.is_none() { Verb::Create } else { Verb::Replace };
        match &self.item {
            Item::Api(api) => items::save(change, policy, api, verb),
            Item::Role(role) => items::save(change, policy, role, verb),
            Item::Mapping { role, source, instead_of } => {
                let id = instead_of.as_ref().map_or_else(|| change.mint(), |old| old.mapping.id);
                let mapping = Mapping::new(id, role, source.clone());
                match instead_of {
                    Some(old) => mappings::replace(change, old, &mapping),
                    None => mappings::add(change, &mapping),
                }
            }
            Item::Gone(kind, name) => {
                end(change, *kind, name, Entry::new(Verb::Delete.on(*kind).action(), kind.name(), name))
            }
            Item::Unmapped(gone) => mappings::remove(change, &gone.mapping),
        }
    }

    fn told(self) -> AppliedChange {
        let Step { item, before } = self;
        let (kind, name, after) = match item {
            Item::Api(api) => (Kind::Api.name(), Some(api.name.clone()), Some(Definition::Api(api))),
            Item::Role(role) => (Kind::Role.name(), Some(role.name.clone()), Some(Definition::Role(role))),
            Item::Mapping { role, source, .. } => ("mapping", None, Some(Definition::Mapping { role, source })),
            Item::Gone(kind, name) => (kind.name(), Some(name), None),
            Item::Unmapped(_) => ("mapping", None, None),
        };
        let change = match (&before, &after) {
            (None, _) => "create",
            (Some(_), None) => "delete",
            (Some(_), Some(_)) => "replace",
        };
        AppliedChange { change, kind, name, before, after }
    }
}
