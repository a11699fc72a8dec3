//! What concerns all keys of an owner: how many there may be, and that all of them end.

use schemars::JsonSchema;
use serde::Serialize;

use crate::domain::principal::PrincipalKind;
use crate::domain::{Operation, Principal};
use crate::service::access::people;
use crate::service::error::Conflict;
use crate::service::keys::response::OwnerResponse;
use crate::service::keys::{revoke_noted, told};
use crate::service::{Change, Context, Error, Service, change, memory};
use crate::store;

/// Keys of one owner that work, those that give way to a successor not counted: a rotation needs no room.
const KEYS_MAX: usize = 50;

/// Whose keys were revoked, and how many were not before.
#[derive(Debug, Serialize, JsonSchema)]
pub struct RevokedKeys {
    /// The owner.
    pub owner: OwnerResponse,
    /// Keys that are revoked now and were not before.
    pub revoked: usize,
}

impl Service {
    /// Revokes every key of a user or an agent for good (`POST /v1/principals/{id}/revoke-all`); it stays as it is, and may
    /// be issued others. Doing it again revokes what has come since.
    ///
    /// # Errors
    /// 404 if there is no such owner, 409 for the agent of a connection, which hears of no leaver without a key, and for the
    /// operator, but on the host.
    pub fn revoke_keys_of(&self, context: &Context, name: &str, reason: Option<&str>) -> Result<RevokedKeys, Error> {
        let (name, (code, note)) = (name.to_owned(), told(reason)?);
        change::perform(self, context, Operation::KeyRevokeAll, None, move |change| {
            let id = people::find(change.conn, change.key(), &name)?;
            let owner = store::principals::find(change.conn, change.key(), &id)?.ok_or(Error::NotFound)?;
            // As with suspending and deleting: the operator is the host's.
            let is_hosts = owner.kind == PrincipalKind::User && change.context.caller.is_host();
            if owner.local && !is_hosts {
                let detail = "the keys of Keyroll's own principals end one by one, or on the host".to_owned();
                return Err(Error::Conflict { code: Conflict::LocalPrincipal, detail });
            }
            let all = store::credentials::of_owner(change.conn, change.key(), &id)?;
            let revoked = all.len();
            all.into_iter().try_for_each(|stored| revoke_noted(change, stored, &code, note.as_deref()))?;
            Ok(RevokedKeys { owner: OwnerResponse::of(&owner), revoked })
        })
    }
}

/// Refuses one key more than an owner may have, to whoever asks over the network: the host is the way back in.
pub(in crate::service::keys) fn check_room(change: &mut Change<'_>, owner: &Principal) -> Result<(), Error> {
    if change.context.caller.is_host() {
        return Ok(());
    }
    let now = memory::now_in(change.service, change.key());
    if store::credentials::count_working(change.conn, change.key(), &owner.id, now, KEYS_MAX)? < KEYS_MAX {
        return Ok(());
    }
    let detail = format!("the owner has {KEYS_MAX} keys that have not ended: revoke one first");
    Err(Error::Conflict { code: Conflict::TooManyKeys, detail })
}
