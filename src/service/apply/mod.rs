//! `keyroll apply`: brings apis, roles and mappings to what a file says, all of it in one change.
//!
//! A file is read by what reads the bodies of `/v1`. What it asks for is held against the catalogue that
//! it makes, as a whole, so that an api may lose a permission in the file in which its roles lose it. What
//! the file does not name is left alone and told, or removed if that is asked for.

mod left;
mod plan;
pub mod response;

use std::collections::HashSet;

use serde::Deserialize;
use serde_json::Value;

use self::plan::Plan;
use self::response::Applied;
use crate::domain::mapping::Source;
use crate::domain::{Api, Id, Operation, Role, TenantKey};
use crate::service::access::{people, policy};
use crate::service::catalogue::items::Item;
use crate::service::catalogue::mappings::MappingRequest;
use crate::service::catalogue::{mappings, roles};
use crate::service::reports::effects;
use crate::service::request::{self, List, NonEmptyText, Object};
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
    pub fn apply(&self, context: &Context, file: &Value, options: Options) -> Result<Applied, Error> {
        let file = File::read(file)?;
        let tenant = context.caller.tenant.key;
        if options.dry_run {
            return caller::ask(self, context, Operation::Apply, None, |conn| {
                store::snapshot(conn, |conn| {
                    let policy = policy::now(self, conn, tenant)?;
                    let plan = Plan::new(conn, tenant, &policy, &file, options)?;
                    let effects =
                        effects::of(self, conn, tenant, &policy, plan.policy(&policy), &plan.affected(&policy))?;
                    Ok(plan.told(true).with(effects))
                })
            });
        }
        change::perform(self, context, Operation::Apply, None, move |change| {
            let policy = change.policy()?;
            let plan = Plan::new(change.conn, tenant, &policy, &file, options)?;
            for step in &plan.steps {
                step.carry_out(change, &policy)?;
            }
            Ok(plan.told(false))
        })
    }
}

/// What a file says. Its entries are read one by one, so that a refusal names the one that is wrong.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    #[serde(default)]
    apis: List<Value, ENTRIES_MAX>,
    #[serde(default)]
    roles: List<Value, ENTRIES_MAX>,
    #[serde(default)]
    mappings: List<Value, ENTRIES_MAX>,
}

/// A file, read.
struct File {
    apis: Vec<Api>,
    roles: Vec<roles::Draft>,
    /// As they are written: whom they name is looked up first.
    mappings: Vec<MappingRequest>,
}

impl File {
    fn read(file: &Value) -> Result<File, Error> {
        let Written { apis, roles, mappings } = request::read_value(file)?;
        let apis = each("apis", &apis, |entry| Api::draft(request::read_value(entry)?, None))?;
        let roles = each("roles", &roles, |entry| Role::draft(request::read_value(entry)?, None))?;
        let mappings = each("mappings", &mappings, request::read_value)?;
        check_named_once("apis", apis.iter().map(|api| api.name.as_str()))?;
        check_named_once("roles", roles.iter().map(|draft| draft.role.name.as_str()))?;
        Ok(File { apis, roles, mappings })
    }

    /// Its mappings, once whom they name is known.
    fn asked(&self, conn: &mut Conn, tenant: TenantKey) -> Result<Vec<(String, Source)>, Error> {
        let mut asked = Vec::with_capacity(self.mappings.len());
        for (n, entry) in self.mappings.iter().enumerate() {
            let read = with_id(conn, tenant, entry).and_then(|entry| mappings::parse(&entry, None));
            asked.push(read.map_err(at("mappings", n))?);
        }
        Ok(asked)
    }
}

/// The entries of a list, read.
fn each<T>(
    list: &'static str,
    entries: &List<Value, ENTRIES_MAX>,
    read: impl Fn(&Value) -> Result<T, Error>,
) -> Result<Vec<T>, Error> {
    entries.0.iter().enumerate().map(|(n, entry)| read(entry).map_err(at(list, n))).collect()
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
fn with_id(conn: &mut Conn, tenant: TenantKey, entry: &MappingRequest) -> Result<MappingRequest, Error> {
    let mut entry = entry.clone();
    if let Some(Object(person)) = &mut entry.source.0.person
        && Id::parse(&person.id).is_none()
    {
        let name = &person.id.0;
        let found = people::find(conn, tenant, name);
        let found = found.map_err(|error| match error {
            Error::NotFound => Error::invalid("/source/person/id", format!("nobody has the id or userName {name}")),
            other => other,
        });
        person.id = NonEmptyText(found?.to_string());
    }
    Ok(entry)
}

/// The same refusal, with the entry of the file: `roles[2].permissions[0]: …`.
fn at(list: &'static str, n: usize) -> impl Fn(Error) -> Error {
    move |error| {
        let entry = format!("{list}[{n}]");
        match error {
            Error::Invalid { pointer, detail, names } => {
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
                Error::Invalid { pointer: format!("/{list}/{n}{pointer}"), detail, names }
            }
            Error::Forbidden(detail) => Error::Forbidden(format!("{entry}: {detail}")),
            Error::Conflict { code, detail } => Error::Conflict { code, detail: format!("{entry}: {detail}") },
            other => other,
        }
    }
}
