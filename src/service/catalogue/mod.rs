//! The catalogue: apis, roles and mappings, as admins see and change them.
//!
//! Every change is a record of the log and a row from that record on: what was true before stays.

pub mod apis;
pub mod fields;
pub mod mappings;
pub mod roles;
pub mod snapshot;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::change::Touched;
use super::{Change, Error};
use crate::domain::TenantKey;
use crate::domain::log::Entry;
use crate::store::catalogue::Kind;
use crate::store::{self, Conn};

/// Stores an item from this change on, in place of the one that has its name, and records it.
fn put(change: &mut Change<'_>, kind: Kind, name: &str, item: &impl Serialize, entry: Entry) -> Result<(), Error> {
    let (tenant, seq) = (change.key(), change.seq()?);
    store::catalogue::close(change.conn, tenant, kind, name, seq)?;
    store::catalogue::insert(change.conn, tenant, kind, name, &serde_json::to_string(item)?, seq)?;
    change.record(entry);
    change.touch_policy(Touched::Catalogue);
    Ok(())
}

/// Ends an item with this change, and records it.
fn end(change: &mut Change<'_>, kind: Kind, name: &str, entry: Entry) -> Result<(), Error> {
    let (tenant, seq) = (change.key(), change.seq()?);
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

/// 409: the name is taken.
fn taken(kind: &str, name: &str) -> Error {
    Error::Conflict { code: "already_exists", detail: format!("there is a {kind} {name} already") }
}

/// 409: something else builds on it.
fn in_use(detail: String) -> Error {
    Error::Conflict { code: "in_use", detail }
}
