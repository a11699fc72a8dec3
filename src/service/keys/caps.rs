//! What a key may be issued for: at most what its owner may do, of Keyroll itself at most what the caller may, and the right
//! to issue keys from the host alone (design §7).

use crate::domain::class::Class;
use crate::domain::credential::GrantPart;
use crate::domain::permission::KEYROLL;
use crate::domain::{Caller, Credential, Operation, Permission, Permissions, Principal};
use crate::service::access::liveness;
use crate::service::error::Conflict;
use crate::service::keys::hint;
use crate::service::keys::request::{Asked, AskedGrant};
use crate::service::{Change, Error, access};
use crate::store;

pub(in crate::service::keys) fn not_live(detail: String) -> Error {
    Error::Conflict { code: Conflict::OwnerNotActive, detail }
}

/// Whether a principal may have a key at all.
pub(in crate::service::keys) fn check_live(change: &Change<'_>, owner: &Principal) -> Result<(), Error> {
    if owner.is_live() { Ok(()) } else { Err(not_live(hint::not_live(change, owner))) }
}

/// Whether a live principal may have a key of this grant from this caller.
pub(in crate::service::keys) fn check_issue(
    change: &mut Change<'_>,
    owner: &Principal,
    asked: &AskedGrant,
) -> Result<(), Error> {
    if !liveness::is_sponsored(change.conn, change.key(), owner)? {
        return Err(not_live(hint::unsponsored(change, owner)?));
    }
    check_known(change, asked)?;
    check_caps(change, owner, asked)
}

/// Whether a key could be issued again as it is; the pointer says where that is asked for.
pub(in crate::service::keys) fn check_again(
    change: &mut Change<'_>,
    key: &Credential,
    pointer: &str,
) -> Result<(), Error> {
    let owner = store::principals::find(change.conn, change.key(), &key.owner)?.ok_or(Error::NotFound)?;
    check_live(change, &owner)?;
    // What the key of a connection may do is the connection's.
    if key.class == Class::Provisioning {
        return Ok(());
    }
    let asked = |one: &Permission| Asked { permission: one.clone(), pointer: pointer.to_owned() };
    let part = |part: &GrantPart| (part.permissions.iter().map(asked).collect(), part.when.clone());
    check_issue(change, &owner, &AskedGrant(key.grant.parts().iter().map(part).collect()))
}

/// What no api offers is a slip of the pen: it would seem to be granted and never be.
pub(in crate::service::keys) fn check_known(change: &mut Change<'_>, asked: &AskedGrant) -> Result<(), Error> {
    let policy = change.policy()?;
    match asked.all().find(|one| !policy.knows(&one.permission)) {
        Some(one) => Err(Error::invalid(&*one.pointer, policy.why_unknown(&one.permission))),
        None => Ok(()),
    }
}

fn check_caps(change: &mut Change<'_>, owner: &Principal, asked: &AskedGrant) -> Result<(), Error> {
    let tenant = change.key();
    let access = access::effective_in(change.service, change.conn, tenant, owner.id)?.permissions;
    if let Some(one) = asked.all().find(|one| !access.cover(&one.permission)) {
        return Err(hint::lacking(change, owner, &one.permission)?);
    }
    asked.grant().parts().iter().try_for_each(|part| check_minting(&change.context.caller, owner, part))
}

/// Whether a caller may let a key have these permissions: what it may of Keyroll, or gives itself, under no fewer
/// conditions than its own.
fn check_minting(caller: &Caller, owner: &Principal, part: &GrantPart) -> Result<(), Error> {
    if caller.is_host() {
        return Ok(());
    }
    let Some(holder) = caller.key() else { return Err(Error::Unauthenticated("a key is required")) };
    let minting = Permission::parse(Operation::KeyIssue.permission());
    let is_capped = |one: &&Permission| one.api() == KEYROLL || holder.owner.id == owner.id;
    for permission in part.permissions.iter() {
        if minting.as_ref().is_some_and(|minting| permission.overlaps(minting)) {
            return Err(Error::Forbidden(format!(
                "{permission} would let the key issue keys: only the host grants that"
            )));
        }
    }
    let capped: Permissions = part.permissions.iter().filter(is_capped).cloned().collect();
    if let Some(one) = capped.iter().find(|one| !caller.may(one)) {
        return Err(Error::Forbidden(format!("the caller does not hold {one}")));
    }
    holder.grant.check_within(&GrantPart { permissions: capped, when: part.when.clone() }).map_err(|one| {
        Error::Forbidden(format!("the caller holds {one} under conditions, and gives it under the same alone"))
    })
}
