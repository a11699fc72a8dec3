//! `/v1/apis`: downstream apis, what they offer, and which request needs which permission.

use std::collections::HashSet;

use serde_json::{Value, json};

use crate::domain::api::{ApiPermission, ApiRoute};
use crate::domain::log::Entry;
use crate::domain::permission::KEYROLL;
use crate::domain::{Api, Operation, Permission, Policy};
use crate::service::access::policy;
use crate::service::catalogue::{Tagged, end, find, in_use, put, taken};
use crate::service::conditions::Conditions;
use crate::service::fields::Fields;
use crate::service::impact::concerned::Concerned;
use crate::service::{Change, Context, Error, Service, caller, change};
use crate::store::catalogue::Kind;

/// Permissions of one api, and routes.
const PERMISSIONS_MAX: usize = 1_000;
const ROUTES_MAX: usize = 1_000;

const MEMBERS: [&str; 6] = ["name", "description", "owner_team", "open", "permissions", "routes"];

impl Service {
    /// Every api, by name, Keyroll's own included.
    ///
    /// # Errors
    /// 403 without the permission.
    pub fn list_apis(&self, context: &Context) -> Result<Value, Error> {
        caller::ask(self, context, Operation::ApiList, None, |conn| {
            let policy = policy::now(self, conn, context.caller.tenant.key)?;
            Ok(json!({"apis": policy.apis().values().map(render).collect::<Vec<_>>()}))
        })
    }

    /// One api.
    ///
    /// # Errors
    /// 404 if there is none of that name, 412 for another tag than `If-Match` names.
    pub fn read_api(&self, context: &Context, name: &str, conditions: &Conditions) -> Result<Tagged, Error> {
        caller::ask(self, context, Operation::ApiRead, None, |conn| {
            let policy = policy::now(self, conn, context.caller.tenant.key)?;
            let api = policy.apis().get(name).ok_or(Error::NotFound)?;
            Tagged::unless_known(policy.api_version(name), conditions, || render(api))
        })
    }

    /// Registers an api.
    ///
    /// # Errors
    /// 422 for a body that breaks the rules, 409 for a name that is taken.
    pub fn create_api(&self, context: &Context, body: &Value) -> Result<Tagged, Error> {
        let api = parse(body, None)?;
        change::perform(self, context, Operation::ApiCreate, None, move |change| create(change, &api))
    }

    /// Replaces an api.
    ///
    /// # Errors
    /// 404 if there is none, 412 for another tag than `If-Match` names, 409 if a role uses a permission that
    /// would go.
    pub fn replace_api(
        &self,
        context: &Context,
        name: &str,
        body: &Value,
        conditions: &Conditions,
    ) -> Result<Tagged, Error> {
        let (api, conditions) = (parse(body, Some(name))?, conditions.clone());
        change::perform(self, context, Operation::ApiReplace, None, move |change| replace(change, &api, &conditions))
    }

    /// Removes an api.
    ///
    /// # Errors
    /// 404 if there is none, 412 for another tag than `If-Match` names, 409 if a role uses it.
    pub fn delete_api(&self, context: &Context, name: &str, conditions: &Conditions) -> Result<(), Error> {
        let (name, conditions) = (name.to_owned(), conditions.clone());
        change::perform(self, context, Operation::ApiDelete, None, move |change| {
            check_not_built_in(&name)?;
            let policy = change.policy()?;
            policy.apis().get(&name).ok_or(Error::NotFound)?;
            conditions.check_write(policy.api_version(&name))?;
            if let Some(user) = user_of(&policy, &name, |_| false) {
                return Err(in_use(format!("role {user} uses api {name}")));
            }
            end(change, Kind::Api, &name, Entry::new(Operation::ApiDelete.action(), "api", &name))
        })
    }
}

/// Stores a new api inside a change.
fn create(change: &mut Change<'_>, api: &Api) -> Result<Tagged, Error> {
    let policy = change.policy()?;
    if find::<Api>(change.conn, change.key(), Kind::Api, &api.name)?.is_some() {
        return Err(taken("api", &api.name));
    }
    save(change, &policy, api, Operation::ApiCreate)?;
    Tagged::recorded(change, render(api))
}

/// Stores an api that was checked. The record names the roles that use it.
pub(in crate::service) fn save(
    change: &mut Change<'_>,
    before: &Policy,
    api: &Api,
    operation: Operation,
) -> Result<(), Error> {
    let entry = Entry::new(operation.action(), "api", &api.name);
    put(change, Kind::Api, &api.name, api, Concerned::by_api(before, &api.name).on(entry))
}

/// Stores another state of an api inside a change; the same again changes nothing.
fn replace(change: &mut Change<'_>, api: &Api, conditions: &Conditions) -> Result<Tagged, Error> {
    let policy = change.policy()?;
    let before = policy.apis().get(&api.name).ok_or(Error::NotFound)?;
    let version = policy.api_version(&api.name);
    conditions.check_write(version)?;
    if before == api {
        return Ok(Tagged::of(version, render(api)));
    }
    check_users(&policy, api)?;
    save(change, &policy, api, Operation::ApiReplace)?;
    Tagged::recorded(change, render(api))
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

pub(in crate::service) fn check_not_built_in(name: &str) -> Result<(), Error> {
    if name == KEYROLL {
        return Err(Error::Forbidden(format!("api {KEYROLL} is built in and cannot be changed")));
    }
    Ok(())
}

/// Reads a body; for a replacement the name is the URL's.
pub(in crate::service) fn parse(body: &Value, name: Option<&str>) -> Result<Api, Error> {
    let fields = Fields::of(body, "", &MEMBERS)?;
    let name = match name {
        None => fields.name("name")?,
        Some(name) if fields.text("name")?.is_none_or(|own| own == name) => name,
        Some(name) => return Err(fields.refuse("name", format!("is {name}: an api is not renamed"))),
    };
    check_not_built_in(name)?;
    let mut api = Api {
        name: name.to_owned(),
        description: fields.text("description")?.unwrap_or_default().to_owned(),
        owner_team: fields.text("owner_team")?.map(str::to_owned),
        open: fields.flag("open")?,
        permissions: vec![],
        routes: vec![],
    };
    for (n, item) in fields.list("permissions", PERMISSIONS_MAX)?.iter().enumerate() {
        api.permissions.push(permission(&api, item, &format!("/permissions/{n}"))?);
    }
    for (n, item) in fields.list("routes", ROUTES_MAX)?.iter().enumerate() {
        api.routes.push(route(&api, item, &format!("/routes/{n}"))?);
    }
    let mut shapes = HashSet::new();
    if let Some(n) = api.routes.iter().position(|route| !shapes.insert(route.shape())) {
        let detail = "path: another route has this method and path, and a request needs exactly one permission";
        return Err(Error::invalid(format!("/routes/{n}/path"), detail));
    }
    Ok(api)
}

fn permission(api: &Api, item: &Value, pointer: &str) -> Result<ApiPermission, Error> {
    let fields = Fields::of(item, pointer, &["name", "description"])?;
    let name = fields.required("name")?;
    let single = Permission::parse(&format!("{}:{name}", api.name)).filter(Permission::is_single);
    if single.is_none() {
        return Err(fields.refuse("name", format!("{name} is not resource:action in a–z 0–9 _ . -")));
    }
    if api.permissions.iter().any(|own| own.name == name) {
        return Err(fields.refuse("name", format!("{name} is listed twice")));
    }
    Ok(ApiPermission { name: name.to_owned(), description: fields.text("description")?.unwrap_or_default().to_owned() })
}

fn route(api: &Api, item: &Value, pointer: &str) -> Result<ApiRoute, Error> {
    let fields = Fields::of(item, pointer, &["method", "path", "permission"])?;
    let method = fields.required("method")?;
    if !(method.len() <= 32 && method.bytes().all(|b| b.is_ascii_uppercase() || b == b'-')) {
        return Err(fields.refuse("method", "an HTTP method in upper case"));
    }
    let permission = fields.required("permission")?;
    if !api.permissions.iter().any(|own| own.name == permission) {
        return Err(fields.refuse("permission", format!("{permission} is not among this api's permissions")));
    }
    let route = ApiRoute {
        method: method.to_owned(),
        path: fields.required("path")?.to_owned(),
        permission: permission.to_owned(),
    };
    if !route.is_template() {
        return Err(fields.refuse("path", "a template such as /v2/invoices/{id}"));
    }
    Ok(route)
}

fn render(api: &Api) -> Value {
    json!({
        "name": api.name,
        "description": api.description,
        "owner_team": api.owner_team,
        "open": api.open,
        "built_in": api.name == KEYROLL,
        "permissions": api.permissions,
        "routes": api.routes,
    })
}
