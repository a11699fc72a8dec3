//! `keyroll apply`: brings apis, roles and mappings to what a file says, all of it in one change.
//!
//! A file is read by what reads the bodies of `/v1`. What it asks for is held against the catalogue that
//! it makes, as a whole, so that an api may lose a permission in the file in which its roles lose it. What
//! the file does not name is left alone and told, or removed if that is asked for.

mod left;
mod plan;

use std::collections::HashSet;

use serde_json::Value;

use self::plan::Plan;
use crate::domain::mapping::Source;
use crate::domain::{Api, Id, Operation, TenantKey};
use crate::service::access::{people, policy};
use crate::service::catalogue::{apis, mappings, roles};
use crate::service::fields::Fields;
use crate::service::reports::effects;
use crate::service::{Context, Error, Service, caller, change};
use crate::store::{self, Conn};

/// Entries of one table of a file.
const ENTRIES_MAX: usize = 100_000;

/// How a file is applied.
#[derive(Clone, Copy, Debug, Default)]
pub struct Options {
    /// Only tell what would be done, and who would gain and lose what by it.
    pub dry_run: bool,
    /// Remove what the file does not name, but for mappings that other commands on the host made.
    pub prune: bool,
    /// Remove these as well; of no effect without `prune`.
    pub force: bool,
}

impl Service {
    /// Makes what a file names that is not there, replaces what is there and differs, and tells both, and what the
    /// file does not name.
    ///
    /// # Errors
    /// As the single changes; each refusal names the entry. Nothing is changed then.
    pub fn apply(&self, context: &Context, file: &Value, options: Options) -> Result<Value, Error> {
        let file = File::read(file)?;
        let tenant = context.caller.tenant.key;
        if options.dry_run {
            return caller::ask(self, context, Operation::Apply, None, |conn| {
                store::snapshot(conn, |conn| {
                    let policy = policy::now(self, conn, tenant)?;
                    let plan = Plan::new(conn, tenant, &policy, &file, options)?;
                    let effects =
                        effects::of(self, conn, tenant, &policy, plan.policy(&policy), &plan.affected(&policy))?;
                    let mut told = plan.render(true);
                    if let Some(members) = told.as_object_mut() {
                        members.extend(effects);
                    }
                    Ok(told)
                })
            });
        }
        change::perform(self, context, Operation::Apply, None, move |change| {
            change.seq()?;
            let policy = change.policy()?;
            let plan = Plan::new(change.conn, tenant, &policy, &file, options)?;
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

    /// Its mappings, once whom they name is known.
    fn asked(&self, conn: &mut Conn, tenant: TenantKey) -> Result<Vec<(String, Source)>, Error> {
        let mut asked = Vec::with_capacity(self.mappings.len());
        for (n, entry) in self.mappings.iter().enumerate() {
            let entry = with_id(conn, tenant, entry).map_err(at("mappings", n))?;
            asked.push(mappings::parse(&entry, None).map_err(at("mappings", n))?);
        }
        Ok(asked)
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

/// A mapping's entry, with the id of a person whom it names by userName or as `operator`: what stands in
/// a file is written by people.
fn with_id(conn: &mut Conn, tenant: TenantKey, entry: &Value) -> Result<Value, Error> {
    const PERSON: &str = "/source/person/id";
    let mut entry = entry.clone();
    if let Some(id) = entry.pointer_mut(PERSON)
        && let Some(name) = id.as_str()
        && Id::parse(name).is_none()
    {
        let found = people::find(conn, tenant, name);
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
