//! The catalogue: apis, roles and mappings, as admins see and change them.
//!
//! Every change is a record of the log and a row from that record on: what was true before stays.

pub mod apis;
pub mod items;
pub mod mappings;
pub mod roles;
pub mod snapshot;
pub mod source;

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Map;
use serde_json::Value;

use crate::domain::log::Entry;
use crate::domain::{Caller, Mapping, Permissions, Policy, TenantKey};
use crate::service::change::Touched;
use crate::service::conditions::Conditions;
use crate::service::error::Conflict;
use crate::service::{Change, Error};
use crate::store::catalogue::Kind;
use crate::store::{self, Conn};

/// An item as answers show it, with the strong tag of these very bytes.
///
/// The tag is the version of the item and of whatever else its answer shows (see [`crate::domain::version`]),
/// so it moves with what an included role gives as well: who edits a role or a mapping is told if what it
/// gives has changed, by whatever way.
#[derive(Debug)]
pub struct Tagged<T> {
    /// The tag, in quotes.
    pub etag: String,
    /// The item; `None` if the client has it.
    pub value: Option<T>,
}

impl<T> Tagged<T> {
    fn of(version: i64, value: T) -> Tagged<T> {
        Tagged { etag: tag(version), value: Some(value) }
    }

    /// What a change that was just recorded has made of an item: no version is newer than that record.
    fn recorded(change: &mut Change<'_>, value: T) -> Result<Tagged<T>, Error> {
        Ok(Tagged::of(change.seq() - 1, value))
    }

    fn unless_known(version: i64, conditions: &Conditions, value: impl FnOnce() -> T) -> Result<Tagged<T>, Error> {
        let is_known = conditions.is_unmodified(version)?;
        Ok(Tagged { etag: tag(version), value: (!is_known).then(value) })
    }
}

fn tag(version: i64) -> String {
    format!("\"{version}\"")
}

/// Stores an item from this change on, in place of the one that has its name, and records it: of a change,
/// which members it changed.
fn put(change: &mut Change<'_>, kind: Kind, name: &str, item: &impl Serialize, entry: Entry) -> Result<(), Error> {
    let (tenant, seq) = (change.key(), change.seq());
    let before: Option<Map<String, Value>> = find(change.conn, tenant, kind, name)?;
    let after = serde_json::to_value(item)?;
    store::catalogue::close(change.conn, tenant, kind, name, seq)?;
    store::catalogue::insert(change.conn, tenant, kind, name, &after.to_string(), seq)?;
    change.record(match before {
        None => entry,
        Some(before) => entry.with("paths", changed(&before, after.as_object())),
    });
    change.touch_policy(Touched::Catalogue);
    Ok(())
}

/// The members that differ.
fn changed(before: &Map<String, Value>, after: Option<&Map<String, Value>>) -> Vec<String> {
    let of = |name: &String| after.and_then(|after| after.get(name));
    let names = before.keys().chain(after.into_iter().flat_map(Map::keys).filter(|name| !before.contains_key(*name)));
    let differs = |name: &&String| *name != Mapping::SINCE && before.get(*name) != of(name);
    names.filter(differs).cloned().collect()
}

/// Ends an item with this change, and records it.
pub(in crate::service) fn end(change: &mut Change<'_>, kind: Kind, name: &str, entry: Entry) -> Result<(), Error> {
    let (tenant, seq) = (change.key(), change.seq());
    if !store::catalogue::close(change.conn, tenant, kind, name, seq)? {
        return Err(Error::NotFound);
    }
    change.record(entry);
    change.touch_policy(Touched::Catalogue);
    Ok(())
}

/// An item as it is now.
fn find<T: DeserializeOwned>(conn: &mut Conn, tenant: TenantKey, kind: Kind, name: &str) -> Result<Option<T>, Error> {
    let item = store::catalogue::find(conn, tenant, kind, name)?;
    Ok(item.map(|item| serde_json::from_str(&item.document)).transpose()?)
}

/// 403: nobody hands out more of Keyroll's own api than it holds, or whoever may map roles could make
/// itself an admin.
fn check_held(caller: &Caller, policy: &Policy, role: &str) -> Result<(), Error> {
    let gives = policy.permissions(role).map(Permissions::of_keyroll).unwrap_or_default();
    match gives.iter().find(|permission| !caller.may(permission)) {
        Some(permission) => {
            Err(Error::Forbidden(format!("role {role} gives {permission}, which the caller does not hold")))
        }
        None => Ok(()),
    }
}

/// 409: the name is taken.
fn taken(kind: &str, name: &str) -> Error {
    Error::Conflict { code: Conflict::AlreadyExists, detail: format!("{kind} {name} is there already") }
}

/// 409: something else builds on it.
fn in_use(detail: String) -> Error {
    Error::Conflict { code: Conflict::InUse, detail }
}
