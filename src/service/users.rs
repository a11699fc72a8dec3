//! People as admins see them: every principal, local ones included.

use serde_json::{Value, json};

use super::resources::{self, settle};
use super::{Change, Context, Error, Service, credentials, liveness, registry};
use crate::domain::principal::{OPERATOR, PrincipalKind};
use crate::domain::{Id, Operation, Principal, TenantKey};
use crate::scim::text;
use crate::store::{self, Conn};

const PAGE_DEFAULT: usize = 100;
const PAGE_MAX: usize = 1_000;

/// The id of the User with this userName.
pub(super) fn by_user_name(conn: &mut Conn, tenant: TenantKey, name: &str) -> Result<Option<Id>, Error> {
    let holder = store::unique::holder(conn, tenant, "User.userName", &text::fold(name))?;
    let Some(key) = holder else { return Ok(None) };
    Ok(store::resources::by_keys(conn, tenant, &[key])?.first().map(|resource| resource.id))
}

impl Service {
    /// Lists principals that are not deleted, by id.
    ///
    /// # Errors
    /// 400 for a cursor that is none.
    pub fn list_users(&self, context: &Context, count: Option<usize>, cursor: Option<&str>) -> Result<Value, Error> {
        let after = match cursor {
            None => None,
            Some(text) => Some(Id::parse(text).ok_or_else(|| Error::Malformed("cursor: not one of ours".to_owned()))?),
        };
        let count = count.unwrap_or(PAGE_DEFAULT).clamp(1, PAGE_MAX);
        self.ask(context, Operation::UserList, None, |conn| {
            let mut rows = store::principals::list(conn, context.caller.tenant.key, after.as_ref(), count as i64 + 1)?;
            let more = rows.len() > count;
            rows.truncate(count);
            let next = if more { rows.last().map(|principal| principal.id) } else { None };
            rows.retain(|principal| principal.deleted_at.is_none());
            let live = liveness::live(conn, context.caller.tenant.key, &rows)?;
            let users: Vec<Value> = rows.iter().map(|p| render(p, live.contains(&p.id))).collect();
            Ok(json!({"users": users, "next": next}))
        })
    }

    /// Reads one principal, by id, by userName, or `operator`.
    ///
    /// # Errors
    /// 404 if there is none.
    pub fn read_user(&self, context: &Context, name: &str) -> Result<Value, Error> {
        self.ask(context, Operation::UserRead, None, |conn| {
            let tenant = context.caller.tenant.key;
            let id = find(conn, tenant, name)?;
            let principal = store::principals::find(conn, tenant, &id)?.ok_or(Error::NotFound)?;
            shown(conn, tenant, &principal)
        })
    }

    /// The id that a query names: an id, whether or not anybody has it, or `operator`.
    ///
    /// # Errors
    /// 400 for what is neither.
    pub fn principal_id(&self, context: &Context, text: &str) -> Result<Id, Error> {
        match Id::parse(text) {
            Some(id) => Ok(id),
            None if text == OPERATOR => self.read(|conn| find(conn, context.caller.tenant.key, text)),
            None => Err(Error::Malformed("owner: not an id".to_owned())),
        }
    }

    /// Suspends a principal by an admin's hold, or lifts the hold. The hold is its own: the identity
    /// provider's next `active: true` does not lift it, and lifting it does not make an inactive user live.
    ///
    /// # Errors
    /// 404 if there is none, 409 for the operator, 422 for a reason that is no code.
    pub fn hold_user(&self, context: &Context, name: &str, hold: bool, reason: Option<&str>) -> Result<Value, Error> {
        let operation = if hold { Operation::UserSuspend } else { Operation::UserActivate };
        reason.map_or(Ok(()), credentials::check_reason)?;
        let (name, reason) = (name.to_owned(), reason.map(str::to_owned));
        self.perform(context, operation, None, move |change| {
            let before = lock(change, &name)?;
            if before.local && hold {
                let detail = "a local principal is not suspended: its keys are revoked one by one".to_owned();
                return Err(Error::Conflict { code: "local_principal", detail });
            }
            let after = Principal { admin_hold: hold, ..before.clone() };
            settle(change, &before, after, reason.as_deref().or(Some("admin_hold")))?;
            let tenant = change.key();
            let stored = store::principals::find(change.conn, tenant, &before.id)?.ok_or(Error::NotFound)?;
            shown(change.conn, tenant, &stored)
        })
    }

    /// Deletes a User as DELETE in SCIM does: every key of theirs is dead when this returns.
    ///
    /// # Errors
    /// 404 if there is none, 409 for a local principal.
    pub fn delete_user(&self, context: &Context, name: &str) -> Result<(), Error> {
        let name = name.to_owned();
        self.perform(context, Operation::UserDelete, None, move |change| {
            let principal = lock(change, &name)?;
            if principal.local {
                let detail = "a local principal cannot be deleted".to_owned();
                return Err(Error::Conflict { code: "local_principal", detail });
            }
            let type_name = match principal.kind {
                PrincipalKind::User => "User",
                PrincipalKind::Agent => "Agent",
            };
            let resource_type = registry().by_name(type_name).ok_or(Error::NotFound)?;
            let tenant = change.key();
            let resource = store::resources::lock(change.conn, tenant, type_name, &principal.id)?;
            resources::delete(change, resource_type, &resource.ok_or(Error::NotFound)?)
        })
    }
}

/// Finds a principal by id, by userName, or the operator by its name.
pub(super) fn find(conn: &mut Conn, tenant: TenantKey, name: &str) -> Result<Id, Error> {
    if let Some(id) = Id::parse(name) {
        return Ok(id);
    }
    if name == OPERATOR
        && let Some(operator) = store::principals::local_by_name(conn, tenant, OPERATOR)?
    {
        return Ok(operator.id);
    }
    by_user_name(conn, tenant, name)?.ok_or(Error::NotFound)
}

fn lock(change: &mut Change<'_>, name: &str) -> Result<Principal, Error> {
    let tenant = change.key();
    let id = find(change.conn, tenant, name)?;
    let principal = store::principals::lock(change.conn, tenant, &id)?;
    principal.filter(|principal| principal.deleted_at.is_none()).ok_or(Error::NotFound)
}

fn shown(conn: &mut Conn, tenant: TenantKey, principal: &Principal) -> Result<Value, Error> {
    let live = liveness::live(conn, tenant, std::slice::from_ref(principal))?;
    Ok(render(principal, live.contains(&principal.id)))
}

fn render(principal: &Principal, live: bool) -> Value {
    json!({
        "id": principal.id,
        "type": principal.kind.name(),
        "name": principal.name,
        "origin": if principal.local { "local" } else { "scim" },
        "live": live,
        "active": principal.active,
        "admin_hold": principal.admin_hold,
        "suspended_at": principal.suspended_at.map(text::render_time),
        "deleted_at": principal.deleted_at.map(text::render_time),
    })
}
