//! People as admins see them: every principal, local ones included.

use std::collections::{HashMap, HashSet};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::domain::principal::PrincipalKind;
use crate::domain::{Id, Operation, Principal, TenantKey};
use crate::scim::cursor::SortValue;
use crate::scim::tolerance::{Dialect, Tolerances};
use crate::scim::{patch, text};
use crate::service::access::liveness;
use crate::service::access::people::find_person;
use crate::service::conditions::Conditions;
use crate::service::cursor::{Behind, question_hash};
use crate::service::directory::resources::{self, patch_in, settle};
use crate::service::error::Conflict;
use crate::service::{Change, Context, Error, Service, caller, change, cursor, keys, principal_type};
use crate::store::{self, Conn};

/// A user or an agent, as an admin sees it.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Principal")]
pub struct UserResponse {
    /// Its id.
    pub id: Id,
    /// User or agent.
    #[serde(rename = "type")]
    pub kind: PrincipalKind,
    /// The userName, or the agent's name; empty for one that is deleted.
    pub name: String,
    /// Where it comes from: an identity provider, an admin, or Keyroll itself.
    pub origin: Origin,
    /// Whether its keys can work.
    pub live: bool,
    /// Whether its identity provider says `active: true`.
    pub active: bool,
    /// Whether an admin's hold suspends it.
    pub admin_hold: bool,
    /// Since when it is suspended.
    #[schemars(extend("format" = "date-time"))]
    pub suspended_at: Option<String>,
    /// When it was deleted.
    #[schemars(extend("format" = "date-time"))]
    pub deleted_at: Option<String>,
}

/// Where a principal comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Origin {
    /// Keyroll itself.
    Local,
    /// An admin.
    Admin,
    /// An identity provider.
    Scim,
}

/// Why an admin's hold is put or lifted.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct HoldRequest {
    /// A code, which goes into the log.
    #[schemars(regex(pattern = "^[a-z_]{1,64}$"))]
    pub reason: Option<String>,
}

/// A page of principals.
#[derive(Debug, Serialize, JsonSchema)]
pub struct UserList {
    /// The principals.
    pub users: Vec<UserResponse>,
    /// The cursor of the next page; null on the last.
    pub next: Option<String>,
}

/// What the cursors of this list are good for.
const QUESTION: [&str; 1] = ["users"];

impl Service {
    /// Lists principals that are not deleted, by id.
    ///
    /// # Errors
    /// 400 for a cursor that is none.
    pub fn list_users(&self, context: &Context, count: Option<usize>, cursor: Option<&str>) -> Result<UserList, Error> {
        let question = question_hash(context, &QUESTION);
        let after = cursor.map(|text| cursor::open(self, question, text)).transpose()?;
        let last = |behind: Behind| match behind.sort {
            Some(SortValue::Text(id)) => Id::parse(&id).ok_or_else(|| Error::internal("a cursor without an id")),
            _ => Err(Error::internal("a cursor without an id")),
        };
        let after = after.map(last).transpose()?;
        let count = cursor::page_size(self, count);
        caller::ask(self, context, Operation::UserList, None, |conn| {
            let mut rows = store::principals::list(conn, context.caller.tenant.key, after.as_ref(), count as i64 + 1)?;
            let more = rows.len() > count;
            rows.truncate(count);
            let last = if more { rows.last().map(|principal| principal.id) } else { None };
            let behind = |id: Id| Behind { sort: Some(SortValue::Text(id.to_string())), last: 0, count: 0 };
            let next = last.map(|id| cursor::seal(self, question, behind(id))).transpose()?;
            rows.retain(|principal| principal.deleted_at.is_none());
            let live = liveness::live(conn, context.caller.tenant.key, &rows)?;
            let by_admins = by_admins(conn, context.caller.tenant.key, &rows)?;
            let users = rows.iter().map(|p| render(p, live.contains(&p.id), &by_admins)).collect();
            Ok(UserList { users, next })
        })
    }

    /// What some principals are called, by id; those that are deleted are called nothing.
    ///
    /// # Errors
    /// If the store fails.
    pub fn names(&self, context: &Context, ids: &[Id]) -> Result<HashMap<Id, String>, Error> {
        caller::ask(self, context, Operation::UserList, None, |conn| {
            let mut names = HashMap::new();
            for ids in ids.chunks(self.settings().limits.page_size_max) {
                let found = store::principals::many(conn, context.caller.tenant.key, ids)?;
                let named = found.into_iter().filter(|(principal, _)| !principal.name.is_empty());
                names.extend(named.map(|(principal, _)| (principal.id, principal.name)));
            }
            Ok(names)
        })
    }

    /// Reads one principal, by id, by userName, by an agent's name, or `operator`.
    ///
    /// # Errors
    /// 404 if there is none.
    pub fn read_user(&self, context: &Context, name: &str) -> Result<UserResponse, Error> {
        caller::ask(self, context, Operation::UserRead, None, |conn| {
            let tenant = context.caller.tenant.key;
            let id = find_person(conn, tenant, name)?;
            let principal = store::principals::find(conn, tenant, &id)?.ok_or(Error::NotFound)?;
            shown(conn, tenant, &principal)
        })
    }

    /// Suspends a principal by an admin's hold, or lifts the hold. The hold is its own: the identity
    /// provider's next `active: true` does not lift it, and lifting it alone does not make an inactive user live.
    ///
    /// # Errors
    /// 404 if there is none, 409 for the operator, 422 for a reason that is no code.
    pub fn hold_user(
        &self,
        context: &Context,
        name: &str,
        hold: Hold,
        reason: Option<&str>,
    ) -> Result<UserResponse, Error> {
        let operation = if hold == Hold::Put { Operation::UserSuspend } else { Operation::UserActivate };
        reason.map_or(Ok(()), keys::check_reason)?;
        let (name, reason) = (name.to_owned(), reason.map(str::to_owned));
        change::perform(self, context, operation, None, move |change| {
            let tenant = change.key();
            let id = find_person(change.conn, tenant, &name)?;
            self::hold(change, &id, hold, reason.as_deref())?;
            let stored = store::principals::find(change.conn, tenant, &id)?.ok_or(Error::NotFound)?;
            shown(change.conn, tenant, &stored)
        })
    }

    /// Deletes a User as DELETE in SCIM does: every key of theirs is dead when this returns.
    ///
    /// # Errors
    /// 404 if there is none, 409 for a local principal.
    pub fn delete_user(&self, context: &Context, name: &str) -> Result<(), Error> {
        let name = name.to_owned();
        change::perform(self, context, Operation::UserDelete, None, move |change| {
            let principal = present(change, &name)?;
            if principal.local {
                let detail = "a local principal cannot be deleted".to_owned();
                return Err(Error::Conflict { code: Conflict::LocalPrincipal, detail });
            }
            let resource_type = principal_type(principal.kind)?;
            let tenant = change.key();
            let resource = store::resources::find(change.conn, tenant, &resource_type.name, &principal.id)?;
            resources::delete(change, resource_type, &resource.ok_or(Error::NotFound)?)
        })
    }
}

/// What an admin does about a principal's suspension.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hold {
    /// Suspends it, whatever its identity provider says.
    Put,
    /// Lifts that.
    Lift,
    /// Lifts it, and says `active: true` in the place of the identity provider, whose own word would be refused if
    /// the principal holds a permission of Keyroll (design §5). Only on the host.
    Overrule,
}

/// Puts a principal under an admin's hold, or lifts it, inside a change.
///
/// # Errors
/// 404 if there is none, 409 for a local one.
pub(in crate::service) fn hold(
    change: &mut Change<'_>,
    id: &Id,
    hold: Hold,
    reason: Option<&str>,
) -> Result<(), Error> {
    let before = present(change, &id.to_string())?;
    if before.local && hold == Hold::Put {
        let detail = "a local principal is not suspended: its keys are revoked one by one".to_owned();
        return Err(Error::Conflict { code: Conflict::LocalPrincipal, detail });
    }
    let after = Principal { admin_hold: hold == Hold::Put, ..before.clone() };
    settle(change, &before, after, reason.or(Some("admin_hold")))?;
    if hold == Hold::Overrule && !before.active && !before.local { activate(change, &before) } else { Ok(()) }
}

/// Changes the document as the identity provider would, and is recorded so.
fn activate(change: &mut Change<'_>, principal: &Principal) -> Result<(), Error> {
    change.operation = Operation::Patch;
    let mut exact = Tolerances::new(Dialect::Strict);
    let resource_type = principal_type(principal.kind)?;
    let active = json!({
        "schemas": [patch::PATCH_URN],
        "Operations": [{"op": "replace", "path": "active", "value": true}],
    });
    let operations = patch::parse(active, resource_type, &mut exact)?;
    let id = principal.id.to_string();
    patch_in(change, resource_type, &id, &operations, &Conditions::default(), &mut exact).map(|_| ())
}

fn present(change: &mut Change<'_>, name: &str) -> Result<Principal, Error> {
    let tenant = change.key();
    let id = find_person(change.conn, tenant, name)?;
    let principal = store::principals::find(change.conn, tenant, &id)?;
    principal.filter(|principal| principal.deleted_at.is_none()).ok_or(Error::NotFound)
}

fn shown(conn: &mut Conn, tenant: TenantKey, principal: &Principal) -> Result<UserResponse, Error> {
    let live = liveness::live(conn, tenant, std::slice::from_ref(principal))?;
    let by_admins = by_admins(conn, tenant, std::slice::from_ref(principal))?;
    Ok(render(principal, live.contains(&principal.id), &by_admins))
}

/// Those of these principals that admins made.
fn by_admins(conn: &mut Conn, tenant: TenantKey, principals: &[Principal]) -> Result<HashSet<Id>, Error> {
    let agents = principals.iter().filter(|one| one.kind == PrincipalKind::Agent && !one.local);
    let ids: Vec<Id> = agents.map(|agent| agent.id).collect();
    Ok(store::resources::without_connection(conn, tenant, &ids)?.into_iter().collect())
}

fn render(principal: &Principal, live: bool, by_admins: &HashSet<Id>) -> UserResponse {
    let origin = match principal.local {
        true => Origin::Local,
        false if by_admins.contains(&principal.id) => Origin::Admin,
        false => Origin::Scim,
    };
    UserResponse {
        id: principal.id,
        kind: principal.kind,
        name: principal.name.clone(),
        origin,
        live,
        active: principal.active,
        admin_hold: principal.admin_hold,
        suspended_at: principal.suspended_at.map(text::render_time),
        deleted_at: principal.deleted_at.map(text::render_time),
    }
}
