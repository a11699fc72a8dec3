//! `keyroll apply`: brings apis, roles and mappings to what a file says, all of it in one change.
//!
//! A file is read by what reads the bodies of `/v1`. What it asks for is held against the catalogue that
//! it makes, as a whole, so that an api may lose a permission in the file in which its roles lose it. What
//! the file does not name is left alone.

use std::collections::{HashMap, HashSet};

use serde_json::{Value, json};

use super::fields::Fields;
use super::{apis, mappings, roles};
use crate::domain::mapping::{Meant, Source};
use crate::domain::policy::Mapped;
use crate::domain::{Api, Id, Mapping, Operation, Policy, TenantKey};
use crate::service::{Change, Context, Error, Service, users};
use crate::store::{self, Conn};

/// Entries of one table of a file.
const ENTRIES_MAX: usize = 100_000;

impl Service {
    /// Makes what a file names that is not there, replaces what is there and differs, and tells both. With
    /// `dry_run` it only tells.
    ///
    /// # Errors
    /// As the single changes; each refusal names the entry. Nothing is changed then.
    pub fn apply(&self, context: &Context, file: &Value, dry_run: bool) -> Result<Value, Error> {
        let file = File::read(file)?;
        let tenant = context.caller.tenant.key;
        if dry_run {
            return self.ask(context, Operation::Apply, None, |conn| {
                store::snapshot(conn, |conn| {
                    let policy = self.policy_now(conn, tenant)?;
                    Ok(Plan::new(conn, tenant, &policy, &file)?.render(true))
                })
            });
        }
        self.perform(context, Operation::Apply, None, move |change| {
            change.seq()?;
            let policy = change.policy()?;
            let plan = Plan::new(change.conn, tenant, &policy, &file)?;
            for step in &plan.steps {
                step.carry_out(change, &policy)?;
            }
            Ok(plan.render(false))
        })
    }
}

/// A file, read.
struct File {
    apis: Vec<Api>,
    roles: Vec<roles::Draft>,
    /// As they are written: whom they name is looked up first.
    mappings: Vec<Value>,
}

impl File {
    fn read(file: &Value) -> Result<File, Error> {
        let fields = Fields::of(file, "", &["apis", "roles", "mappings"])?;
        let entries = |list: &'static str| Ok::<_, Error>(fields.list(list, ENTRIES_MAX)?.iter().enumerate());
        let apis = entries("apis")?.map(|(n, entry)| apis::parse(entry, None).map_err(at("apis", n)));
        let apis = apis.collect::<Result<Vec<_>, _>>()?;
        let roles = entries("roles")?.map(|(n, entry)| roles::parse(entry, None).map_err(at("roles", n)));
        let roles = roles.collect::<Result<Vec<_>, _>>()?;
        check_named_once("apis", apis.iter().map(|api| api.name.as_str()))?;
        check_named_once("roles", roles.iter().map(|draft| draft.role.name.as_str()))?;
        Ok(File { apis, roles, mappings: entries("mappings")?.map(|(_, entry)| entry.clone()).collect() })
    }
}

fn check_named_once<'n>(list: &'static str, names: impl Iterator<Item = &'n str>) -> Result<(), Error> {
    let mut seen = HashSet::new();
    for (n, name) in names.enumerate() {
        if !seen.insert(name) {
            return Err(at(list, n)(Error::invalid("/name", format!("{name} is in the file twice"))));
        }
    }
    Ok(())
}

/// What a file changes, in the order in which it is done: apis, roles, included ones first, mappings.
struct Plan {
    steps: Vec<Step>,
    unchanged: usize,
}

/// One change.
struct Step {
    item: Item,
    /// What is there now.
    before: Option<Value>,
}

enum Item {
    Api(Api),
    Role(crate::domain::Role),
    Mapping {
        role: String,
        source: Source,
        /// The one that means the same and says something else of it.
        instead_of: Option<Box<Mapped>>,
    },
}

impl Plan {
    /// Compares a file with the catalogue. Nothing is changed.
    fn new(conn: &mut Conn, tenant: TenantKey, before: &Policy, file: &File) -> Result<Plan, Error> {
        let mut plan = Plan { steps: vec![], unchanged: 0 };
        let after = overlaid(before, file);
        plan.compare_apis(before, &after, file)?;
        plan.compare_roles((conn, tenant), before, &after, file)?;
        plan.compare_mappings((conn, tenant), before, &after, file)?;
        Ok(plan)
    }

    fn add(&mut self, item: Item, before: Option<Value>) {
        self.steps.push(Step { item, before });
    }

    fn compare_apis(&mut self, before: &Policy, after: &Policy, file: &File) -> Result<(), Error> {
        // Roles of the file are looked at one by one, and point at the permission.
        let own: HashSet<&str> = file.roles.iter().map(|draft| draft.role.name.as_str()).collect();
        let others = after.roles().values().filter(|role| !own.contains(role.name.as_str())).cloned();
        let others = Policy::new(vec![], others.collect(), vec![]);
        for (n, api) in file.apis.iter().enumerate() {
            match before.apis().get(&api.name) {
                Some(same) if same == api => self.unchanged += 1,
                Some(other) => {
                    apis::check_users(&others, api).map_err(at("apis", n))?;
                    self.add(Item::Api(api.clone()), Some(serde_json::to_value(other)?));
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
        after: &Policy,
        file: &File,
    ) -> Result<(), Error> {
        let mut changed = vec![];
        for (n, draft) in file.roles.iter().enumerate() {
            roles::check(conn, tenant, after, draft).map_err(at("roles", n))?;
            match before.roles().get(&draft.role.name) {
                Some(same) if *same == draft.role => self.unchanged += 1,
                other => changed.push((&draft.role, other)),
            }
        }
        // A role reaches more roles than any that it includes.
        changed.sort_by_key(|(role, _)| after.gains(&role.name).len());
        for (role, other) in changed {
            self.add(Item::Role(role.clone()), other.map(serde_json::to_value).transpose()?);
        }
        Ok(())
    }

    fn compare_mappings(
        &mut self,
        (conn, tenant): (&mut Conn, TenantKey),
        before: &Policy,
        after: &Policy,
        file: &File,
    ) -> Result<(), Error> {
        let mut asked: Vec<(String, Source)> = Vec::with_capacity(file.mappings.len());
        for (n, entry) in file.mappings.iter().enumerate() {
            let entry = with_id(conn, tenant, entry).map_err(at("mappings", n))?;
            asked.push(mappings::parse(&entry, None).map_err(at("mappings", n))?);
        }
        let there = before.mappings().map(|one| ((one.mapping.role.as_str(), one.mapping.source.meant()), one));
        let there: HashMap<(&str, Meant<'_>), _> = there.collect();
        let mut seen: HashMap<(&str, Meant<'_>), usize> = HashMap::new();
        for (n, (role, source)) in asked.iter().enumerate() {
            let key = (role.as_str(), source.meant());
            if let Some(first) = seen.insert(key.clone(), n) {
                return Err(at("mappings", n)(Error::invalid("", format!("the same as mappings[{first}]"))));
            }
            let found = there.get(&key).copied();
            let old = found.map(|one| &one.mapping);
            if old.is_some_and(|old| old.source == *source) {
                self.unchanged += 1;
                continue;
            }
            mappings::check(conn, tenant, after, role, source).map_err(at("mappings", n))?;
            if let Some(old) = old {
                let new = Mapping::new(old.id, role, source.clone());
                mappings::check_replaceable(conn, tenant, old, &new).map_err(at("mappings", n))?;
            }
            let before = old.map(|old| json!({"role": old.role, "source": mappings::render_source(&old.source)}));
            let (role, source, instead_of) = (role.clone(), source.clone(), found.cloned().map(Box::new));
            self.add(Item::Mapping { role, source, instead_of }, before);
        }
        Ok(())
    }

    /// The plan as it is told, before and after it is carried out.
    fn render(&self, dry_run: bool) -> Value {
        let steps: Vec<Value> = self.steps.iter().map(Step::render).collect();
        json!({"dry_run": dry_run, "changes": steps, "unchanged": self.unchanged})
    }
}

/// The catalogue that a file makes, without mappings.
fn overlaid(before: &Policy, file: &File) -> Policy {
    let apis = file.apis.iter().map(|api| (api.name.as_str(), api));
    let roles = file.roles.iter().map(|draft| (draft.role.name.as_str(), &draft.role));
    let mut all_apis: HashMap<&str, &Api> = before.apis().iter().map(|(name, api)| (name.as_str(), api)).collect();
    let mut all_roles: HashMap<_, _> = before.roles().iter().map(|(name, role)| (name.as_str(), role)).collect();
    all_apis.extend(apis);
    all_roles.extend(roles);
    Policy::new(all_apis.into_values().cloned().collect(), all_roles.into_values().cloned().collect(), vec![])
}

impl Step {
    fn carry_out(&self, change: &mut Change<'_>, policy: &Policy) -> Result<(), Error> {
        let is_new = self.before.is_none();
        match &self.item {
            Item::Api(api) => {
                apis::save(change, policy, api, if is_new { Operation::ApiCreate } else { Operation::ApiReplace })
            }
            Item::Role(role) => {
                roles::save(change, policy, role, if is_new { Operation::RoleCreate } else { Operation::RoleReplace })
            }
            Item::Mapping { role, source, instead_of } => {
                let id = instead_of.as_ref().map_or_else(|| change.mint(), |old| old.mapping.id);
                let mapping = Mapping::new(id, role, source.clone());
                match instead_of {
                    Some(old) => mappings::replace(change, old, &mapping),
                    None => mappings::add(change, &mapping),
                }
            }
        }
    }

    fn render(&self) -> Value {
        let (kind, name, after) = match &self.item {
            Item::Api(api) => ("api", Some(&api.name), json!(api)),
            Item::Role(role) => ("role", Some(&role.name), json!(role)),
            Item::Mapping { role, source, .. } => {
                ("mapping", None, json!({"role": role, "source": mappings::render_source(source)}))
            }
        };
        let change = if self.before.is_none() { "create" } else { "replace" };
        json!({"change": change, "kind": kind, "name": name, "before": self.before, "after": after})
    }
}

/// A mapping's entry, with the id of a person whom it names by userName or as `operator`: what stands in
/// a file is written by people.
fn with_id(conn: &mut Conn, tenant: TenantKey, entry: &Value) -> Result<Value, Error> {
    const PERSON: &str = "/source/person/id";
    let mut entry = entry.clone();
    if let Some(id) = entry.pointer_mut(PERSON)
        && let Some(name) = id.as_str()
        && Id::parse(name).is_none()
    {
        let found = users::find(conn, tenant, name);
        let found = found.map_err(|error| match error {
            Error::NotFound => Error::invalid(PERSON, format!("nobody has the id or userName {name}")),
            other => other,
        });
        *id = found?.to_string().into();
    }
    Ok(entry)
}

/// The same refusal, with the entry of the file: `roles[2].permissions[0]: …`.
fn at(list: &'static str, n: usize) -> impl Fn(Error) -> Error {
    move |error| {
        let entry = format!("{list}[{n}]");
        match error {
            Error::Invalid { pointer, detail } => {
                let mut place = entry;
                let mut member = None;
                for part in pointer.split('/').skip(1) {
                    match part.parse::<usize>() {
                        Ok(number) => place.push_str(&format!("[{number}]")),
                        Err(_) => {
                            place.push_str(&format!(".{part}"));
                            member = Some(part);
                        }
                    }
                }
                // Details begin with the member's name, which the place ends with.
                let said = member.and_then(|member| detail.strip_prefix(member)?.strip_prefix(": "));
                let detail = format!("{place}: {}", said.unwrap_or(&detail));
                Error::Invalid { pointer: format!("/{list}/{n}{pointer}"), detail }
            }
            Error::Forbidden(detail) => Error::Forbidden(format!("{entry}: {detail}")),
            Error::Conflict { code, detail } => Error::Conflict { code, detail: format!("{entry}: {detail}") },
            other => other,
        }
    }
}
