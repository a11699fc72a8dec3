//! What an admin does to a key that works: holds it back, releases it, names it, takes permissions away, gives it a later
//! end. Each step is one of the record's own (`domain::credential`), with a record in the log.

use chrono::TimeDelta;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;

use crate::domain::class::Class;
use crate::domain::credential::{Hold, Refused};
use crate::domain::log::Entry;
use crate::domain::{Credential, Id, Operation};
use crate::scim::text::render_time;
use crate::service::error::Conflict;
use crate::service::keys::caps::{check_again, check_known};
use crate::service::keys::request::{
    GrantRequest, GrantTexts, NAME_MAX, PERMISSIONS_MAX, asked, checked_name, grant, lifetime,
};
use crate::service::keys::response::KeyResponse;
use crate::service::keys::{check_door, intact, list, seal, to_millis};
use crate::service::request::{List, Object, Text};
use crate::service::{Change, Context, Error, Service, change};
use crate::store;

/// Why a key is held back, or which reason goes.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "KeyHoldRequest")]
pub struct HoldRequest {
    /// Each reason goes by itself; `admin_hold` without one.
    #[serde(default)]
    pub reason: Hold,
}

/// Another name of a key.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "KeyChanges")]
pub struct RenameRequest {
    /// For people.
    pub name: Text<NAME_MAX>,
}

/// A smaller grant.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NarrowRequest {
    /// All that the key may be used for from now on; each permission is one that it has.
    pub grant: List<Object<GrantRequest>, PERMISSIONS_MAX>,
}

/// A later end.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ExtendRequest {
    /// How long it works from now on: an ISO 8601 duration; never past `P365D` from when it was issued.
    #[schemars(extend("format" = "duration"))]
    pub expires_in: Text,
}

impl NarrowRequest {
    /// The same of texts, from the command line.
    ///
    /// # Errors
    /// 422 for what is no permission.
    pub fn of(grant: &GrantTexts<'_>) -> Result<NarrowRequest, Error> {
        let parsed = grant.permissions.iter().enumerate().map(|(n, text)| asked(0, n, text).map(|one| one.permission));
        let when = (!grant.when.is_always()).then(|| Object(grant.when.clone()));
        let permissions = Some(List(parsed.collect::<Result<_, _>>()?));
        Ok(NarrowRequest { grant: List(vec![Object(GrantRequest { permissions, when })]) })
    }
}

impl Service {
    /// Holds a key back for a reason (`hold`), or lets that reason go; other reasons stay. Doing it again changes nothing.
    ///
    /// # Errors
    /// 404 if there is no such key, 409 if it has ended, 403 for one that only the host holds back.
    pub fn hold_key(&self, context: &Context, id: &str, reason: Hold, hold: bool) -> Result<KeyResponse, Error> {
        let operation = if hold { Operation::KeyHold } else { Operation::KeyRelease };
        step(self, context, operation, id, move |change, key| {
            check_holding(change, &key)?;
            let next = if hold { key.hold(reason, change.now) } else { key.release(reason, change.now) };
            Ok((next.map_err(refused)?, ("reason", reason.name().into())))
        })
    }

    /// Gives a key another name. The log tells that, and neither name: it may be a person's.
    ///
    /// # Errors
    /// 404 if there is no such key, 422 for a name that is a key's text.
    pub fn rename_key(&self, context: &Context, id: &str, name: &str) -> Result<KeyResponse, Error> {
        let name = checked_name(name)?.to_owned();
        step(self, context, Operation::KeyRename, id, move |_, key| {
            Ok((Credential { name: name.clone(), ..key }, ("paths", vec!["name"].into())))
        })
    }

    /// Takes permissions away from a key.
    ///
    /// # Errors
    /// 404 if there is no such key, 409 if it has ended, 403 for a permission that it does not have, 422 for one that no api
    /// has and for none at all.
    pub fn narrow_key(&self, context: &Context, id: &str, request: &NarrowRequest) -> Result<KeyResponse, Error> {
        let asked = grant(&request.grant)?;
        step(self, context, Operation::KeyNarrow, id, move |change, key| {
            if key.class == Class::Provisioning {
                let detail = "what the key of a connection may do is what connections may: it is not narrowed";
                return Err(Error::Forbidden(detail.to_owned()));
            }
            check_known(change, &asked)?;
            let to = asked.grant();
            let told = to.permissions().unwrap_or_default().texts().into();
            Ok((key.narrow(to, change.now).map_err(refused)?, ("permissions", told)))
        })
    }

    /// Gives a key a later end: what it is to be issued again, so the caller is held to the same.
    ///
    /// # Errors
    /// 404 if there is no such key, 409 if it has ended or its owner is not live, 403 for one that the caller could not issue
    /// or whose owner has lost what it is for, 422 for an end that is not later or too late.
    pub fn extend_key(&self, context: &Context, id: &str, expires_in: &str) -> Result<KeyResponse, Error> {
        let lifetime = lifetime(Some(expires_in))?.unwrap_or(TimeDelta::zero());
        step(self, context, Operation::KeyExtend, id, move |change, key| {
            check_door(&change.context.caller, &key, "extended")?;
            // That it has ended is told first: it is not issued again by this.
            let next = key.clone().extend(to_millis(change.now + lifetime), change.now).map_err(refused)?;
            check_again(change, &key, "/expires_in")?;
            let until = render_time(next.expires_at);
            Ok((next, ("expires_at", until.into())))
        })
    }
}

/// Whether the caller may hold a key back or release it. Without the key of a connection no later leaver leaves, and without
/// the operator's nobody undoes that: whoever may hold back others' keys has no such power over these.
fn check_holding(change: &mut Change<'_>, key: &Credential) -> Result<(), Error> {
    let caller = &change.context.caller;
    check_door(caller, key, "held back and released")?;
    let owner = if caller.is_host() { None } else { store::principals::find(change.conn, change.key(), &key.owner)? };
    match owner {
        Some(owner) if owner.local => {
            Err(Error::Forbidden("the operator's key is held back and released on the host alone".to_owned()))
        }
        _ => Ok(()),
    }
}

/// What a step makes of a key, and what its record says of it.
type Step = (Credential, (&'static str, Value));

/// Takes a step in a key's life; one that changes nothing leaves no record.
fn step(
    service: &Service,
    context: &Context,
    operation: Operation,
    id: &str,
    f: impl Fn(&mut Change<'_>, Credential) -> Result<Step, Error> + Send + 'static,
) -> Result<KeyResponse, Error> {
    let id = Id::parse(id).ok_or(Error::NotFound)?;
    change::perform(service, context, operation, None, move |change| {
        let key = intact(change, &id)?;
        let (next, (name, told)) = f(change, key.clone())?;
        if next != key {
            let next = seal(change, next)?;
            let entry = Entry::new(operation.action(), "credential", id).with("owner", next.owner.to_string());
            change.record(entry.with(name, told));
        }
        let stored = store::credentials::find(change.conn, change.key(), &id)?.ok_or(Error::NotFound)?;
        list::shown(change.service, change.conn, change.context, stored)
    })
}

pub(in crate::service::keys) fn refused(why: Refused) -> Error {
    match why {
        Refused::Ended => Error::Conflict { code: Conflict::KeyEnded, detail: why.to_string() },
        Refused::GivesWay => Error::Conflict { code: Conflict::KeyReplaced, detail: why.to_string() },
        Refused::Wider(_) => Error::Forbidden(why.to_string()),
        Refused::NotLater(_) | Refused::TooLong(_) => Error::invalid("/expires_in", format!("expires_in: {why}")),
    }
}
