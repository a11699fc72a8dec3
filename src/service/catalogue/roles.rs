//! `/v1/roles`: named sets of permissions.

use serde_json::{Value, json};

use crate::domain::log::Entry;
use crate::domain::roles::{INCLUSION_DEPTH_MAX, INCLUSIONS_MAX};
use crate::domain::{Operation, Permission, Policy, Role, TenantKey};
use crate::service::access::policy;
use crate::service::catalogue::{Tagged, check_held, end, find, in_use, put, taken};
use crate::service::conditions::Conditions;
use crate::service::fields::Fields;
use crate::service::impact::concerned::Concerned;
use crate::service::{Change, Context, Error, Service, caller, change};
use crate::store::catalogue::Kind;
use crate::store::{self, Conn};

/// Permissions of one role, and roles that it includes.
const PERMISSIONS_MAX: usize = 1_000;
const INCLUDES_MAX: usize = 100;

const MEMBERS: [&str; 5] = ["name", "description", "permissions", "includes", "assertable_by"];

impl Service {
    /// Every role, by name, built-in ones included.
    ///
    /// # Errors
    /// 403 without the permission.
    pub fn list_roles(&self, context: &Context) -> Result<Value, Error> {
        caller::ask(self, context, Operation::RoleList, None, |conn| {
            let policy = policy::now(self, conn, context.caller.tenant.key)?;
            Ok(json!({"roles": policy.roles().values().map(|role| render(role, &policy)).collect::<Vec<_>>()}))
        })
    }

    /// One role.
    ///
    /// # Errors
    /// 404 if there is none of that name, 412 for another tag than `If-Match` names.
    pub fn read_role(&self, context: &Context, name: &str, conditions: &Conditions) -> Result<Tagged, Error> {
        caller::ask(self, context, Operation::RoleRead, None, |conn| {
            let policy = policy::now(self, conn, context.caller.tenant.key)?;
            let role = policy.roles().get(name).ok_or(Error::NotFound)?;
            Tagged::unless_known(policy.role_version(name), conditions, || render(role, &policy))
        })
    }

    /// Defines a role.
    ///
    /// # Errors
    /// 422 for a body that breaks the rules, 409 for a name that is taken.
    pub fn create_role(&self, context: &Context, body: &Value) -> Result<Tagged, Error> {
        let draft = parse(body, None)?;
        change::perform(self, context, Operation::RoleCreate, None, move |change| create(change, &draft))
    }

    /// Replaces the definition of a role: whoever holds it gains and loses at once.
    ///
    /// # Errors
    /// 404 if there is none, 403 for a built-in one, 412 for another tag than `If-Match` names, 422 for a
    /// body that breaks the rules.
    pub fn replace_role(
        &self,
        context: &Context,
        name: &str,
        body: &Value,
        conditions: &Conditions,
    ) -> Result<Tagged, Error> {
        let (draft, conditions) = (parse(body, Some(name))?, conditions.clone());
        change::perform(self, context, Operation::RoleReplace, None, move |change| replace(change, &draft, &conditions))
    }

    /// Removes a role.
    ///
    /// # Errors
    /// 404 if there is none, 403 for a built-in one, 412 for another tag than `If-Match` names, 409 if a
    /// mapping or another role names it.
    pub fn delete_role(&self, context: &Context, name: &str, conditions: &Conditions) -> Result<(), Error> {
        let (name, conditions) = (name.to_owned(), conditions.clone());
        change::perform(self, context, Operation::RoleDelete, None, move |change| {
            check_not_built_in(&name)?;
            let policy = change.policy()?;
            policy.roles().get(&name).ok_or(Error::NotFound)?;
            conditions.check_write(policy.role_version(&name))?;
            if let Some(mapped) = policy.mappings().find(|one| one.mapping.role == name) {
                return Err(in_use(format!("mapping {} gives role {name}", mapped.mapping.id)));
            }
            if let Some(outer) = policy.roles().values().find(|role| role.includes.contains(&name)) {
                return Err(in_use(format!("role {} includes role {name}", outer.name)));
            }
            end(change, Kind::Role, &name, Entry::new(Operation::RoleDelete.action(), "role", &name))
        })
    }
}

/// A role as a body describes it.
pub(in crate::service) struct Draft {
    pub(in crate::service) role: Role,
    /// Its permissions in the order of the body, to point at one.
    sent: Vec<Permission>,
}

/// Stores a new role inside a change.
fn create(change: &mut Change<'_>, draft: &Draft) -> Result<Tagged, Error> {
    change.seq()?;
    if find::<Role>(change.conn, change.key(), Kind::Role, &draft.role.name)?.is_some() {
        return Err(taken("role", &draft.role.name));
    }
    define(change, draft, Operation::RoleCreate)
}

/// Stores another definition inside a change; the same again changes nothing.
fn replace(change: &mut Change<'_>, draft: &Draft, conditions: &Conditions) -> Result<Tagged, Error> {
    let (role, policy) = (&draft.role, change.policy()?);
    let before = policy.roles().get(&role.name).ok_or(Error::NotFound)?;
    let version = policy.role_version(&role.name);
    conditions.check_write(version)?;
    if before == role {
        return Ok(Tagged::of(version, render(role, &policy)));
    }
    define(change, draft, Operation::RoleReplace)
}

fn define(change: &mut Change<'_>, draft: &Draft, operation: Operation) -> Result<Tagged, Error> {
    let (tenant, policy, role) = (change.key(), change.policy()?, &draft.role);
    let others = policy.roles().values().filter(|other| other.name != role.name);
    let roles = others.chain([role]).cloned().collect();
    let after = Policy::new(policy.apis().values().cloned().collect(), roles, vec![]);
    check(change.conn, tenant, &after, draft)?;
    check_held(&change.context.caller, &after, &role.name)?;
    save(change, &policy, role, operation)?;
    Tagged::recorded(change, render(role, &after))
}

/// Stores a role that was checked. The record names what gives it: the roles that include it, and mappings.
pub(in crate::service) fn save(
    change: &mut Change<'_>,
    before: &Policy,
    role: &Role,
    operation: Operation,
) -> Result<(), Error> {
    let entry = Entry::new(operation.action(), "role", &role.name);
    put(change, Kind::Role, &role.name, role, Concerned::by_role(before, &role.name).on(entry))
}

/// What a definition must meet in the catalogue that it makes: the one `after` the change.
pub(in crate::service) fn check(
    conn: &mut Conn,
    tenant: TenantKey,
    after: &Policy,
    Draft { role, sent }: &Draft,
) -> Result<(), Error> {
    for (n, permission) in sent.iter().enumerate() {
        if !after.knows(permission) {
            return Err(Error::invalid(format!("/permissions/{n}"), after.why_unknown(permission)));
        }
    }
    for (n, inner) in role.includes.iter().enumerate() {
        let pointer = format!("/includes/{n}");
        if *inner == role.name || after.gains(inner).iter().any(|gain| gain.role == role.name) {
            return Err(Error::invalid(pointer, format!("includes: {inner} includes {} already", role.name)));
        }
        if !after.roles().contains_key(inner) {
            return Err(Error::invalid(pointer, format!("includes: there is no role {inner}")));
        }
    }
    let is_deep = |name: &String| after.gains(name).iter().any(|gain| gain.via.len() > INCLUSION_DEPTH_MAX);
    if after.roles().keys().any(is_deep) {
        let detail = format!("includes: more than {INCLUSION_DEPTH_MAX} roles inside each other");
        return Err(Error::invalid("/includes", detail));
    }
    if after.roles().keys().any(|name| after.gains(name).len() > INCLUSIONS_MAX) {
        let detail = format!("includes: more than {INCLUSIONS_MAX} ways from a role to those inside it");
        return Err(Error::invalid("/includes", detail));
    }
    for (n, name) in role.assertable_by.iter().enumerate() {
        if store::connections::by_name(conn, tenant, name)?.is_none() {
            let detail = format!("assertable_by: there is no connection {name}");
            return Err(Error::invalid(format!("/assertable_by/{n}"), detail));
        }
    }
    Ok(())
}

pub(in crate::service) fn check_not_built_in(name: &str) -> Result<(), Error> {
    if Role::is_built_in(name) {
        return Err(Error::Forbidden(format!("role {name} is built in and cannot be changed")));
    }
    Ok(())
}

/// Reads a body; for a replacement the name is the URL's.
pub(in crate::service) fn parse(body: &Value, name: Option<&str>) -> Result<Draft, Error> {
    let fields = Fields::of(body, "", &MEMBERS)?;
    let name = match name {
        None => {
            let name = fields.name("name")?;
            if Role::is_built_in(name) {
                return Err(fields.refuse("name", "names of built-in roles begin with keyroll."));
            }
            name
        }
        Some(name) => {
            check_not_built_in(name)?;
            if fields.text("name")?.is_some_and(|own| own != name) {
                return Err(fields.refuse("name", format!("is {name}: a role is not renamed")));
            }
            name
        }
    };
    let mut permissions = vec![];
    for (n, text) in fields.texts("permissions", PERMISSIONS_MAX)?.into_iter().enumerate() {
        let permission = Permission::parse(text).ok_or_else(|| {
            Error::invalid(format!("/permissions/{n}"), format!("{text} is not a permission api:resource:action"))
        })?;
        permissions.push(permission);
    }
    let owned = |texts: Vec<&str>| texts.into_iter().map(str::to_owned).collect::<Vec<_>>();
    let (mut includes, mut assertable_by) =
        (owned(fields.texts("includes", INCLUDES_MAX)?), owned(fields.texts("assertable_by", INCLUDES_MAX)?));
    for list in [&mut includes, &mut assertable_by] {
        let mut seen = std::collections::HashSet::new();
        list.retain(|name| seen.insert(name.clone()));
    }
    let role = Role {
        name: name.to_owned(),
        description: fields.text("description")?.unwrap_or_default().to_owned(),
        permissions: permissions.clone().into(),
        includes,
        assertable_by,
    };
    Ok(Draft { role, sent: permissions })
}

fn render(role: &Role, policy: &Policy) -> Value {
    json!({
        "name": role.name,
        "description": role.description,
        "permissions": role.permissions,
        "includes": role.includes,
        "assertable_by": role.assertable_by,
        "built_in": Role::is_built_in(&role.name),
        "effective_permissions": policy.permissions(&role.name).cloned().unwrap_or_default(),
    })
}
