//! Rotation: a key gets a successor, which may do the same, and gives way to it (credentials.md §3.2, design §7).
//!
//! For a while both work, so that whoever has the old one can change over; never more than two of one lineage, which the
//! database holds as well. An answer that was lost is asked for again: a successor that nobody has used is replaced.

use chrono::TimeDelta;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::domain::credential::{Refused, RetireOn, Retirement, Slot, Status, Verdict};
use crate::domain::log::Entry;
use crate::domain::{Credential, Id, Operation, Principal, duration};
use crate::scim::text::render_time;
use crate::service::access::liveness;
use crate::service::error::Conflict;
use crate::service::intact::is_intact;
use crate::service::keys::caps::{check_again, not_live};
use crate::service::keys::response::{IssuedKey, KeyResponse};
use crate::service::keys::steps::refused;
use crate::service::keys::{NewKey, check_door, hint, intact, issue_in, require, revoke, seal, to_millis};
use crate::service::request::{Text, present};
use crate::service::{Change, Context, Error, Service, change, memory};
use crate::store::{self, credentials::StoredCredential};

/// How long the key that gives way goes on if nothing is said, and at most.
const GRACE_DEFAULT: TimeDelta = TimeDelta::hours(24);
const GRACE_MAX: TimeDelta = TimeDelta::days(7);

/// How a key is to be rotated.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RotateRequest {
    /// How long the old key goes on: an ISO 8601 duration of at most `P7D`, `PT24H` without one, and never past its end.
    #[serde(default, deserialize_with = "present")]
    #[schemars(with = "String", extend("format" = "duration"))]
    pub grace: Option<Text>,
    /// Why: a key that somebody else may know ends at once.
    #[serde(default)]
    pub reason: RotateReason,
    /// Whether the old key ends earlier, once the new one has been used.
    #[serde(default)]
    pub retire_on: RetireOn,
}

/// Why a key is rotated.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum RotateReason {
    /// It was time.
    #[default]
    Scheduled,
    /// Somebody else may know it.
    Compromised,
}

impl RotateReason {
    /// The name in requests and in the log.
    pub fn name(self) -> &'static str {
        match self {
            RotateReason::Scheduled => "scheduled",
            RotateReason::Compromised => "compromised",
        }
    }
}

/// A key that has just replaced another one.
#[derive(Debug, Serialize, JsonSchema)]
pub struct RotatedKey {
    /// The new key.
    #[serde(flatten)]
    pub issued: IssuedKey,
    /// The key that it replaces.
    pub predecessor: PredecessorResponse,
}

/// A key that gives way.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Predecessor")]
pub struct PredecessorResponse {
    /// Its id.
    pub id: Id,
    /// When it ends, at the latest.
    #[schemars(extend("format" = "date-time"))]
    pub retires_at: String,
}

/// What is asked for, checked.
#[derive(Clone, Copy)]
struct Rotation {
    grace: TimeDelta,
    reason: RotateReason,
    on: RetireOn,
}

impl RotateRequest {
    fn checked(&self) -> Result<Rotation, Error> {
        let refuse = |detail: &str| Error::invalid("/grace", format!("grace: {detail}"));
        let asked = self.grace.as_deref().map(|text| duration::parse(text).ok_or_else(|| refuse(GRACE)));
        let asked = asked.transpose()?;
        if asked.is_some_and(|grace| grace < TimeDelta::zero() || grace > GRACE_MAX) {
            return Err(refuse("at most P7D"));
        }
        let (reason, on) = (self.reason, self.retire_on);
        let grace = match (reason, asked) {
            (RotateReason::Compromised, Some(grace)) if grace > TimeDelta::zero() => {
                return Err(refuse("a key that somebody else may know ends at once"));
            }
            (RotateReason::Compromised, _) => TimeDelta::zero(),
            (RotateReason::Scheduled, asked) => asked.unwrap_or(GRACE_DEFAULT),
        };
        Ok(Rotation { grace, reason, on })
    }
}

const GRACE: &str = "a duration such as PT24H";

impl Service {
    /// Gives a key a successor (`POST /v1/keys/{id}/rotate`). A key may do that with itself; its successor then ends when
    /// it would have ended. Somebody else's needs what issuing it needs, and lives as long as the old
    /// one was to live.
    ///
    /// # Errors
    /// 404 if there is no such key, 409 if it does not work or has a successor in use, 403 for one that the caller could
    /// not issue, 422 for a grace that is none.
    pub fn rotate_key(&self, context: &Context, id: &str, request: &RotateRequest) -> Result<RotatedKey, Error> {
        let rotation = request.checked()?;
        let id = Id::parse(id).ok_or(Error::NotFound)?;
        change::perform(self, context, Operation::KeyRotate, None, move |change| rotate(change, &id, rotation))
    }
}

fn rotate(change: &mut Change<'_>, id: &Id, rotation: Rotation) -> Result<RotatedKey, Error> {
    let itself = change.context.caller.key().is_some_and(|holder| holder.credential == *id);
    if !itself {
        require(&change.context.caller, Operation::KeyRotate)?;
    }
    let old = intact(change, id)?;
    let owner = owner(change, &old, rotation.reason)?;
    if !itself {
        // Whoever rotates somebody else's key learns a text that may do what it may: it is to be issued again.
        check_door(&change.context.caller, &old, "rotated")?;
        check_again(change, &old, "")?;
    }
    make_room(change, &old, rotation)?;
    let now = memory::now_in(change.service, change.key());
    let retiring = old.clone().retire(to_millis(now + rotation.grace), rotation.on, now).map_err(refused)?;
    let retires_at = render_time(seal(change, retiring)?.ends_at());
    let new = NewKey {
        name: old.name.clone(),
        class: old.class,
        grant: old.grant.clone(),
        lifetime: old.expires_at - old.created_at,
        connection: old.connection,
    };
    let (successor, key) = issue_in(change, &owner, new, |next| Credential {
        lineage: old.lineage,
        predecessor: Some(old.id),
        expires_at: if itself { old.expires_at } else { next.expires_at },
        ..next
    })?;
    change.record(
        Entry::new(Operation::KeyRotate.action(), "credential", old.id)
            .with("owner", old.owner.to_string())
            .with("successor", successor.id.to_string())
            .with("reason", rotation.reason.name())
            .with("retires_at", retires_at.clone()),
    );
    let record = KeyResponse::of(&successor, Some((&owner, true)), Status::Active, None);
    let issued = IssuedKey { record, key: key.reveal() };
    Ok(RotatedKey { issued, predecessor: PredecessorResponse { id: old.id, retires_at } })
}

/// The owner of a key that works but for what a rotation mends: that somebody else may know it.
fn owner(change: &mut Change<'_>, old: &Credential, reason: RotateReason) -> Result<Principal, Error> {
    let owner = store::principals::find(change.conn, change.key(), &old.owner)?.ok_or(Error::NotFound)?;
    let sponsored = liveness::is_sponsored(change.conn, change.key(), &owner)?;
    match old.verdict(&owner, sponsored, memory::now_in(change.service, change.key())) {
        Verdict::Valid => Ok(owner),
        Verdict::OwnerInactive if !sponsored && owner.is_live() => Err(not_live(hint::unsponsored(change, &owner)?)),
        Verdict::OwnerInactive => Err(not_live(hint::not_live(change, &owner))),
        Verdict::Suspended if reason == RotateReason::Compromised && old.reasons == ["leak_suspected"] => Ok(owner),
        Verdict::Suspended => {
            Err(conflict(Conflict::KeyHeld, "the key is held back: release it first, or rotate it as compromised"))
        }
        _ => Err(refused(Refused::Ended)),
    }
}

/// Sees to it that no more than two of the lineage work: what has given way leaves its place, and a successor that
/// nobody has used is replaced.
fn make_room(change: &mut Change<'_>, old: &Credential, rotation: Rotation) -> Result<(), Error> {
    let now = memory::now_in(change.service, change.key());
    for mate in store::credentials::of_lineage(change.conn, change.key(), &old.lineage)? {
        let one = &mate.credential;
        if one.id == old.id {
            continue;
        }
        let is_next = one.slot == Some(Slot::Current);
        if now >= one.ends_at() {
            store::credentials::leave_slot(change.conn, change.key(), &one.id)?;
        } else if is_next && one.predecessor == Some(old.id) && one.first_used_at.is_none() {
            revoke(change, mate, "replaced")?;
        } else if is_next {
            let detail = format!("its successor {} takes its place: rotate that one, and revoke this one", one.id);
            return Err(conflict(Conflict::KeyReplaced, &detail));
        } else if rotation.reason != RotateReason::Compromised {
            let detail = format!(
                "the key before it, {}, works until {}: at most two of a lineage do; revoke that one first",
                one.id,
                render_time(one.ends_at())
            );
            return Err(conflict(Conflict::KeyReplaced, &detail));
        }
    }
    Ok(())
}

/// Whoever came with a key that replaces another one has used it.
pub fn entered(service: &Service, context: &Context) {
    if let Some(key) = context.caller.key().filter(|key| key.awaits_first_use) {
        first_used(service, context, key.credential, &key.selector);
    }
}

/// What the first use of a key that replaces another one means: there is no replacing it any more, and its predecessor
/// ends if that was asked for.
pub(in crate::service::keys) fn first_used(service: &Service, context: &Context, id: Id, selector: &str) {
    let selector = selector.to_owned();
    // Nobody needs more for it than a key.
    let done = change::perform(service, context, Operation::Whoami, None, move |change| {
        let (tenant, now) = (change.tenant(), to_millis(change.now));
        let Some(holder) = store::credentials::holder(change.conn, &selector)? else { return Ok(()) };
        let used = holder.stored.credential;
        if used.id != id || !used.awaits_first_use() {
            return Ok(());
        }
        store::credentials::set_first_used(change.conn, tenant.key, &id, now)?;
        change.record(Entry::new("credential.first_used", "credential", id).with("owner", used.owner.to_string()));
        let Some(predecessor) = used.predecessor else { return Ok(()) };
        match store::credentials::find(change.conn, tenant.key, &predecessor)? {
            Some(old) if is_intact(change.service.keyring(), tenant, &old) => give_way(change, old),
            _ => Ok(()),
        }
    });
    // Whoever asks gets an answer all the same: it is tried again with the next use.
    match done {
        Ok(()) => service.inner.unmarked.is_over(),
        Err(error) => service.inner.unmarked.goes_on(&error.to_string()),
    }
}

fn give_way(change: &mut Change<'_>, old: StoredCredential) -> Result<(), Error> {
    let now = memory::now_in(change.service, change.key());
    let old = old.credential;
    let waits = old.retirement.is_some_and(|how| how.on == RetireOn::FirstUse) && old.ends_at() > now;
    if !waits || old.revoked.is_some() {
        return Ok(());
    }
    let retirement = Some(Retirement { at: to_millis(now), on: RetireOn::FirstUse });
    let next = seal(change, Credential { retirement, slot: None, ..old })?;
    change.record(Entry::new("credential.retired", "credential", next.id).with("owner", next.owner.to_string()));
    Ok(())
}

fn conflict(code: Conflict, detail: &str) -> Error {
    Error::Conflict { code, detail: detail.to_owned() }
}
