//! `/v1/roles`: named sets of permissions.

use std::collections::{BTreeMap, HashSet};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::domain::role::Name;
use crate::domain::roles::{INCLUSION_DEPTH_MAX, INCLUSIONS_MAX};
use crate::domain::{Permission, Permissions, Policy, Role, TenantKey};
use crate::service::catalogue::check_held;
use crate::service::catalogue::items::{Item, named};
use crate::service::impact::affected::Affected;
use crate::service::request::{List, Text};
use crate::service::{Change, Error};
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

/// A role as a request describes it.
pub struct Draft {
    pub(in crate::service) role: Role,
    /// Its permissions in the order of the request, to point at one.
    sent: Vec<Permission>,
}

impl Item for Role {
    const KIND: Kind = Kind::Role;
    type Request = RoleRequest;
    type Draft = Draft;
    type Response = RoleResponse;
    type List = RoleList;

    fn draft(request: RoleRequest, name: Option<&str>) -> Result<Draft, Error> {
        let name = named::<Role>(request.name, name)?;
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

    fn name_in(response: &RoleResponse) -> &str {
        &response.name
    }

    fn list(roles: Vec<RoleResponse>) -> RoleList {
        RoleList { roles }
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
