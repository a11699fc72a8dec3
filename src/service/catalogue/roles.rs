//! `/v1/roles`: named sets of permissions.

use std::collections::{BTreeMap, HashSet};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::domain::role::Name;
use crate::domain::roles::{INCLUSION_DEPTH_MAX, INCLUSIONS_MAX};
use crate::domain::{Operation, Permission, Permissions, Policy, Role, TenantKey};
use crate::service::catalogue::items::{self, Item, Operations};
use crate::service::catalogue::{Tagged, check_held, named};
use crate::service::conditions::Conditions;
use crate::service::impact::affected::Affected;
use crate::service::request::{List, Text};
use crate::service::{Change, Context, Error, Service};
use crate::store::catalogue::Kind;
use crate::store::{self, Conn};

/// A role, as somebody defines it.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RoleRequest {
    /// By which mappings and other roles refer to it. A replacement may leave it out: it is the one in the URL.
    pub name: Option<Name>,
    /// For people.
    pub description: Option<Text>,
    /// What it gives.
    pub permissions: Option<List<Permission, 1_000>>,
    /// Roles whose permissions it gives, too.
    pub includes: Option<List<Text, 100>>,
    /// Names of the connections that may assert it for a user.
    pub assertable_by: Option<List<Text, 100>>,
}

/// A role.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Role")]
pub struct RoleResponse {
    /// Its name, which stays.
    pub name: String,
    /// For people.
    pub description: String,
    /// What it gives by itself.
    pub permissions: Permissions,
    /// Roles whose permissions it gives, too.
    pub includes: Vec<String>,
    /// Names of the connections that may assert it for a user.
    pub assertable_by: Vec<String>,
    /// Whether it comes with Keyroll and cannot be changed.
    pub built_in: bool,
    /// What it gives with everything that it includes.
    pub effective_permissions: Permissions,
}

/// Every role, by name.
#[derive(Debug, Serialize, JsonSchema)]
pub struct RoleList {
    /// The roles.
    pub roles: Vec<RoleResponse>,
}

impl Service {
    /// Every role, by name, built-in ones included.
    ///
    /// # Errors
    /// 403 without the permission.
    pub fn list_roles(&self, context: &Context) -> Result<RoleList, Error> {
        Ok(RoleList { roles: items::list::<Role>(self, context)? })
    }

    /// One role.
    ///
    /// # Errors
    /// 404 if there is none of that name, 412 for another tag than `If-Match` names.
    pub fn read_role(
        &self,
        context: &Context,
        name: &str,
        conditions: &Conditions,
    ) -> Result<Tagged<RoleResponse>, Error> {
        items::read::<Role>(self, context, name, conditions)
    }

    /// Defines a role.
    ///
    /// # Errors
    /// 422 for a request that breaks the rules, 409 for a name that is taken.
    pub fn create_role(&self, context: &Context, request: RoleRequest) -> Result<Tagged<RoleResponse>, Error> {
        items::create::<Role>(self, context, Draft::new(request, None)?)
    }

    /// Replaces the definition of a role: whoever holds it gains and loses at once.
    ///
    /// # Errors
    /// 404 if there is none, 403 for a built-in one, 412 for another tag than `If-Match` names, 422 for a
    /// request that breaks the rules.
    pub fn replace_role(
        &self,
        context: &Context,
        name: &str,
        request: RoleRequest,
        conditions: &Conditions,
    ) -> Result<Tagged<RoleResponse>, Error> {
        items::replace::<Role>(self, context, Draft::new(request, Some(name))?, conditions)
    }

    /// Removes a role.
    ///
    /// # Errors
    /// 404 if there is none, 403 for a built-in one, 412 for another tag than `If-Match` names, 409 if a
    /// mapping or another role names it.
    pub fn delete_role(&self, context: &Context, name: &str, conditions: &Conditions) -> Result<(), Error> {
        items::delete::<Role>(self, context, name, conditions)
    }
}

impl Item for Role {
    type Draft = Draft;
    type Response = RoleResponse;

    const KIND: Kind = Kind::Role;
    const WORD: &'static str = "role";
    const OPERATIONS: Operations = Operations {
        list: Operation::RoleList,
        read: Operation::RoleRead,
        create: Operation::RoleCreate,
        replace: Operation::RoleReplace,
        delete: Operation::RoleDelete,
    };

    fn of(draft: &Draft) -> &Role {
        &draft.role
    }

    fn name(&self) -> &str {
        &self.name
    }

    fn all(policy: &Policy) -> &BTreeMap<String, Role> {
        policy.roles()
    }

    fn version(policy: &Policy, name: &str) -> i64 {
        policy.role_version(name)
    }

    fn check_not_built_in(name: &str) -> Result<(), Error> {
        if Role::is_built_in(name) {
            return Err(Error::Forbidden(format!("role {name} is built in and cannot be changed")));
        }
        Ok(())
    }

    fn check(change: &mut Change<'_>, before: &Policy, draft: &Draft) -> Result<RoleResponse, Error> {
        let role = &draft.role;
        let others = before.roles().values().filter(|other| other.name != role.name);
        let roles = others.chain([role]).cloned().collect();
        let after = Policy::new(before.apis().values().cloned().collect(), roles, vec![]);
        check(change.conn, change.key(), &after, draft)?;
        if let Some((_, detail)) = over_limit(&after) {
            return Err(Error::invalid("/includes", detail));
        }
        check_held(&change.context.caller, &after, &role.name)?;
        Ok(role.render(&after))
    }

    fn user(policy: &Policy, name: &str) -> Option<String> {
        if let Some(mapped) = policy.mappings().find(|one| one.mapping.role == name) {
            return Some(format!("mapping {} gives role {name}", mapped.mapping.id));
        }
        let outer = policy.roles().values().find(|role| role.includes.iter().any(|inner| inner == name))?;
        Some(format!("role {} includes role {name}", outer.name))
    }

    fn affected(policy: &Policy, name: &str) -> Affected {
        Affected::by_role(policy, name)
    }

    fn render(&self, policy: &Policy) -> RoleResponse {
        let Role { name, description, permissions, includes, assertable_by } = self.clone();
        RoleResponse {
            built_in: Role::is_built_in(&name),
            effective_permissions: policy.permissions(&name).cloned().unwrap_or_default(),
            name,
            description,
            permissions,
            includes,
            assertable_by,
        }
    }
}

/// A role as a request describes it.
pub(in crate::service) struct Draft {
    pub(in crate::service) role: Role,
    /// Its permissions in the order of the request, to point at one.
    sent: Vec<Permission>,
}

impl Draft {
    /// What a request describes; for a replacement the name is the URL's.
    pub(in crate::service) fn new(request: RoleRequest, name: Option<&str>) -> Result<Draft, Error> {
        let name = named("role", request.name, name, Role::check_not_built_in)?;
        if Role::is_built_in(&name) {
            return Err(Error::invalid("/name", "name: names of built-in roles begin with keyroll."));
        }
        let List(sent) = request.permissions.unwrap_or_default();
        let role = Role {
            name,
            description: request.description.unwrap_or_default().0,
            permissions: sent.clone().into(),
            includes: distinct(request.includes),
            assertable_by: distinct(request.assertable_by),
        };
        Ok(Draft { role, sent })
    }
}

/// The names of a list, each once.
fn distinct(list: Option<List<Text, 100>>) -> Vec<String> {
    let mut seen = HashSet::new();
    let names = list.unwrap_or_default().0.into_iter().map(|name| name.0);
    names.filter(|name| seen.insert(name.clone())).collect()
}

/// A role of a catalogue that includes too much, and what is too much. Whatever was defined, any of them may.
pub(in crate::service) fn over_limit(after: &Policy) -> Option<(&str, String)> {
    let is_deep = |name: &&String| after.gains(name).iter().any(|gain| gain.via.len() > INCLUSION_DEPTH_MAX);
    if let Some(deep) = after.roles().keys().find(is_deep) {
        return Some((deep, format!("includes: more than {INCLUSION_DEPTH_MAX} roles inside each other")));
    }
    let wide = after.roles().keys().find(|name| after.gains(name).len() > INCLUSIONS_MAX)?;
    Some((wide, format!("includes: more than {INCLUSIONS_MAX} ways from a role to those inside it")))
}

/// What a definition by itself must meet in the catalogue that it makes: the one `after` the change.
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
    for (n, name) in role.assertable_by.iter().enumerate() {
        if store::connections::by_name(conn, tenant, name)?.is_none() {
            let detail = format!("assertable_by: there is no connection {name}");
            return Err(Error::invalid(format!("/assertable_by/{n}"), detail));
        }
    }
    Ok(())
}
