//! `/v1/apis`: downstream apis, what they offer, and which request needs which permission.

use std::collections::{BTreeMap, HashSet};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::domain::api::{ApiPermission, ApiRoute};
use crate::domain::permission::KEYROLL;
use crate::domain::role::Name;
use crate::domain::{Api, Permission, Policy};
use crate::service::catalogue::in_use;
use crate::service::catalogue::items::{Item, named};
use crate::service::impact::affected::Affected;
use crate::service::request::{List, NonEmptyText, Object, Text};
use crate::service::{Change, Error};
use crate::store::catalogue::Kind;

/// An api, as somebody describes it.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ApiRequest {
    /// The first part of its permissions. A replacement may leave it out: it is the one in the URL.
    pub name: Option<Name>,
    /// For people.
    pub description: Option<Text>,
    /// Who looks after it.
    pub owner_team: Option<Text>,
    /// Whether roles may name permissions that are not listed.
    pub open: Option<bool>,
    /// What it offers.
    pub permissions: Option<List<Object<ApiPermissionRequest>, 1_000>>,
    /// Which request needs which permission.
    pub routes: Option<List<Object<ApiRouteRequest>, 1_000>>,
}

/// A permission of an api, as somebody describes it.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ApiPermissionRequest {
    /// `resource:action`.
    pub name: NonEmptyText,
    /// For people.
    pub description: Option<Text>,
}

/// A request of an api, as somebody describes it.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ApiRouteRequest {
    /// The HTTP method, in upper case.
    pub method: NonEmptyText,
    /// `/v2/invoices/{id}`: a segment in braces stands for any one segment.
    pub path: NonEmptyText,
    /// The one permission that it needs, `resource:action`.
    pub permission: NonEmptyText,
}

/// A downstream api.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Api")]
pub struct ApiResponse {
    /// Its name, which stays.
    pub name: String,
    /// For people.
    pub description: String,
    /// Who looks after it.
    pub owner_team: Option<String>,
    /// Whether roles may name permissions that are not listed.
    pub open: bool,
    /// Whether it is Keyroll's own, which cannot be changed.
    pub built_in: bool,
    /// What it offers.
    pub permissions: Vec<ApiPermission>,
    /// Which request needs which permission.
    pub routes: Vec<ApiRoute>,
}

/// Every api, by name.
#[derive(Debug, Serialize, JsonSchema)]
pub struct ApiList {
    /// The apis.
    pub apis: Vec<ApiResponse>,
}

impl Item for Api {
    const KIND: Kind = Kind::Api;
    type Request = ApiRequest;
    type Draft = Api;
    type Response = ApiResponse;
    type List = ApiList;

    fn draft(request: ApiRequest, name: Option<&str>) -> Result<Api, Error> {
        let mut api = Api {
            name: named::<Api>(request.name, name)?,
            description: request.description.unwrap_or_default().0,
            owner_team: request.owner_team.map(|team| team.0),
            open: request.open.unwrap_or_default(),
            permissions: vec![],
            routes: vec![],
        };
        Api::check_not_built_in(&api.name)?;
        for (n, Object(asked)) in request.permissions.unwrap_or_default().0.into_iter().enumerate() {
            let refuse = |detail| Error::invalid(format!("/permissions/{n}/name"), format!("name: {detail}"));
            let permission = permission(&api, asked).map_err(refuse)?;
            api.permissions.push(permission);
        }
        let mut shapes = HashSet::new();
        for (n, Object(asked)) in request.routes.unwrap_or_default().0.into_iter().enumerate() {
            let refuse =
                |(member, detail)| Error::invalid(format!("/routes/{n}/{member}"), format!("{member}: {detail}"));
            let route = route(&api, asked).map_err(refuse)?;
            if !shapes.insert(route.shape()) {
                let detail = "another route has this method and path, and a request needs exactly one permission";
                return Err(refuse(("path", detail.to_owned())));
            }
            api.routes.push(route);
        }
        Ok(api)
    }

    fn of(draft: &Api) -> &Api {
        draft
    }

    fn name(&self) -> &str {
        &self.name
    }

    fn all(policy: &Policy) -> &BTreeMap<String, Api> {
        policy.apis()
    }

    fn version(policy: &Policy, name: &str) -> i64 {
        policy.api_version(name)
    }

    fn check_not_built_in(name: &str) -> Result<(), Error> {
        if name == KEYROLL {
            return Err(Error::Forbidden(format!("api {KEYROLL} is built in and cannot be changed")));
        }
        Ok(())
    }

    fn check(_: &mut Change<'_>, before: &Policy, api: &Api) -> Result<ApiResponse, Error> {
        check_users(before, api)?;
        Ok(api.render(before))
    }

    fn user(policy: &Policy, name: &str) -> Option<String> {
        user_of(policy, name, |_| false).map(|user| format!("role {user} uses api {name}"))
    }

    fn affected(policy: &Policy, name: &str) -> Affected {
        Affected::by_api(policy, name)
    }

    fn render(&self, _: &Policy) -> ApiResponse {
        let Api { name, description, owner_team, open, permissions, routes } = self.clone();
        ApiResponse { built_in: name == KEYROLL, name, description, owner_team, open, permissions, routes }
    }

    fn name_in(response: &ApiResponse) -> &str {
        &response.name
    }

    fn list(apis: Vec<ApiResponse>) -> ApiList {
        ApiList { apis }
    }
}

/// A new state of an api must know every permission of it that roles name.
pub(in crate::service) fn check_users(policy: &Policy, api: &Api) -> Result<(), Error> {
    match user_of(policy, &api.name, |permission| api.knows(permission)) {
        Some(user) => Err(in_use(format!("role {user} uses a permission of api {} that would go", api.name))),
        None => Ok(()),
    }
}

/// A role that names a permission of the api which it would no longer know.
fn user_of<'p>(policy: &'p Policy, api: &str, known: impl Fn(&Permission) -> bool) -> Option<&'p str> {
    let breaks = |permission: &Permission| permission.api() == api && !known(permission);
    let user = policy.roles().values().find(|role| role.permissions.iter().any(breaks));
    user.map(|role| role.name.as_str())
}

/// A permission, or what is wrong with its name.
fn permission(api: &Api, asked: ApiPermissionRequest) -> Result<ApiPermission, String> {
    let name = asked.name.0;
    if Permission::parse(&format!("{}:{name}", api.name)).filter(Permission::is_single).is_none() {
        return Err(format!("{name} is not resource:action in a–z 0–9 _ . -"));
    }
    if api.permissions.iter().any(|own| own.name == name) {
        return Err(format!("{name} is a duplicate"));
    }
    Ok(ApiPermission { name, description: asked.description.unwrap_or_default().0 })
}

/// A route, or the member that is wrong, and what is wrong with it.
fn route(api: &Api, asked: ApiRouteRequest) -> Result<ApiRoute, (&'static str, String)> {
    let (method, path, permission) = (asked.method.0, asked.path.0, asked.permission.0);
    let is_method = |text: &str| text.bytes().all(|b| b.is_ascii_uppercase() || b == b'-');
    if !((1..=32).contains(&method.len()) && is_method(&method)) {
        return Err(("method", "an HTTP method in upper case".to_owned()));
    }
    if !api.permissions.iter().any(|own| own.name == permission) {
        return Err(("permission", format!("{permission} is not among this api's permissions")));
    }
    let route = ApiRoute { method, path, permission };
    if !route.is_template() {
        return Err(("path", "a template such as /v2/invoices/{id}".to_owned()));
    }
    Ok(route)
}
