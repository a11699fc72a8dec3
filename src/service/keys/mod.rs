//! Keys: how they come and go inside a change. What is asked for stands in [`request`], what of it may be given in
//! [`caps`], what a key may do in [`verify`]; [`steps`] are what becomes of keys meanwhile, [`rotate`] gives one a
//! successor, [`owner`] is about all of one owner; [`list`] finds and shows them, [`identify`] one that was found, and
//! [`exposed`] ends it; [`hint`] says what is to be done about a refusal.

mod caps;
pub(in crate::service) mod cascade;
pub mod expiring;
pub mod exposed;
pub mod hint;
pub mod identify;
pub mod list;
pub mod owner;
pub mod request;
pub mod response;
pub mod rotate;
pub mod steps;
pub mod verify;

use chrono::TimeDelta;

pub use self::list::Filter;
pub use self::request::Owner;
use self::response::{HolderResponse, KeyResponse, Whoami};
use crate::domain::class::Class;
use crate::domain::credential::{Grant, LIFETIME_PROVISIONING, Slot};
use crate::domain::log::Entry;
use crate::domain::mapping::Person;
use crate::domain::secret::{PlainKey, holds_secret};
use crate::domain::{Caller, Connection, Credential, Id, Operation, Permission, Principal};
use crate::service::access::provisioning;
use crate::service::error::Conflict;
use crate::service::intact::is_intact;
use crate::service::{Change, Context, Error, Service, change, clocks};
use crate::store::{self, credentials::StoredCredential};

/// What a new key shall be; its owner comes beside it.
pub(in crate::service) struct NewKey {
    pub(in crate::service) name: String,
    pub(in crate::service) class: Class,
    pub(in crate::service) grant: Grant,
    pub(in crate::service) lifetime: TimeDelta,
    pub(in crate::service) connection: Option<Id>,
}

impl NewKey {
    /// A key for an identity provider.
    pub(in crate::service) fn provisioning(connection: &Connection) -> NewKey {
        NewKey {
            name: connection.name.clone(),
            class: Class::Provisioning,
            grant: Grant::of(provisioning::scim_permissions()),
            lifetime: LIFETIME_PROVISIONING,
            connection: Some(connection.id),
        }
    }
}

/// Issues a key inside a change. The caller has locked the owner and checked that it may.
pub(in crate::service) fn issue(
    change: &mut Change<'_>,
    owner: &Principal,
    new: NewKey,
) -> Result<(Credential, PlainKey), Error> {
    issue_in(change, owner, new, |credential| credential)
}

/// The same of a key that is not the first of its lineage, or not as others in some other way.
fn issue_in(
    change: &mut Change<'_>,
    owner: &Principal,
    new: NewKey,
    placed: impl FnOnce(Credential) -> Credential,
) -> Result<(Credential, PlainKey), Error> {
    let key = PlainKey::mint(new.class, change.service.entropy());
    let tenant = change.tenant();
    let id = change.mint();
    let credential = Credential {
        id,
        owner: owner.id,
        class: new.class,
        connection: new.connection,
        selector: key.selector().to_owned(),
        digest: change.service.keyring().digest(&tenant.id, &key),
        name: new.name,
        grant: new.grant,
        created_at: to_millis(change.now),
        created_by: change.context.caller.key().map(|holder| holder.owner.id),
        // By the time that its end will be judged by: a clock that was ahead for a moment and is right again is not
        // what that goes by (`memory::now_in`), and a short life would be over at once.
        expires_at: to_millis(clocks::later(change.service, change.now) + new.lifetime),
        reasons: vec![],
        revoked: None,
        version: 1,
        text_hash: Some(key.text_hash()),
        lineage: id,
        slot: Some(Slot::Current),
        predecessor: None,
        retirement: None,
        first_used_at: None,
    };
    let credential = placed(credential);
    let mac = change.service.keyring().row_mac(&credential.canonical(&tenant.id));
    store::credentials::insert(change.conn, tenant.key, &credential, &mac)?;
    change.context.noted.subject(credential.id);
    let granted: Vec<String> =
        credential.grant.permissions().iter().flat_map(|p| p.iter()).map(Permission::to_string).collect();
    change.record(
        Entry::new(Operation::KeyIssue.action(), "credential", credential.id)
            .with("owner", owner.id.to_string())
            .with("class", credential.class.letter().to_string())
            .with("permissions", granted),
    );
    Ok((credential, key))
}

/// The database keeps milliseconds: the row MAC must cover what is stored.
fn to_millis(time: chrono::DateTime<chrono::Utc>) -> chrono::DateTime<chrono::Utc> {
    chrono::DateTime::from_timestamp_millis(time.timestamp_millis()).unwrap_or(time)
}

/// Revokes a key for good, inside a change; its record says why. A row that was changed from outside is not sealed
/// anew: it stays refused, and the record says so instead of naming the owner that somebody wrote there.
pub(in crate::service) fn revoke(change: &mut Change<'_>, stored: StoredCredential, reason: &str) -> Result<(), Error> {
    let tenant = change.tenant();
    let keyring = change.service.keyring();
    let intact = is_intact(keyring, tenant, &stored);
    // What somebody wrote into the row of its end is not its end.
    let known = if intact { stored.credential } else { Credential { revoked: None, ..stored.credential } };
    let mut credential = known.revoke(reason, to_millis(change.now));
    credential.version = credential.version.saturating_add(1);
    let mac = intact.then(|| keyring.row_mac(&credential.canonical(&tenant.id)));
    store::credentials::revoke(change.conn, tenant.key, &credential, mac.as_ref().map(<[u8; 32]>::as_slice))?;
    let entry = Entry::new(Operation::KeyRevoke.action(), "credential", credential.id).with("reason", reason);
    change.record(match intact {
        true => entry.with("owner", credential.owner.to_string()),
        false => entry.with("tampered", true),
    });
    Ok(())
}

/// Revokes every key of an owner that is not revoked yet.
pub(in crate::service) fn revoke_all(change: &mut Change<'_>, owner: &Id, reason: &str) -> Result<(), Error> {
    for stored in store::credentials::of_owner(change.conn, change.key(), owner)? {
        revoke(change, stored, reason)?;
    }
    Ok(())
}

/// The same with what somebody said of it, which is kept beside the record.
fn revoke_noted(
    change: &mut Change<'_>,
    stored: StoredCredential,
    code: &str,
    note: Option<&str>,
) -> Result<(), Error> {
    // Whose key it is that was changed from outside, nobody knows: nor when the note is to go.
    if let (Some(note), true) = (note, is_intact(change.service.keyring(), change.tenant(), &stored)) {
        store::credentials::add_note(change.conn, change.key(), &stored.credential, note)?;
    }
    revoke(change, stored, code)
}

/// A reason as the log keeps it, and what is kept beside it: a text that is no code.
fn told(reason: Option<&str>) -> Result<(String, Option<String>), Error> {
    Ok(match reason {
        Some(text) if !is_reason(text) => (REQUESTED.to_owned(), Some(checked_note(text)?.to_owned())),
        code => (code.unwrap_or(REQUESTED).to_owned(), None),
    })
}

impl Service {
    /// Revokes a key for good; doing it again changes nothing and answers alike. A reason that is no code is kept
    /// beside the record, until the owner is deleted.
    ///
    /// # Errors
    /// 404 if there is none, 403 without the permission for a key that is not the caller's own.
    pub fn revoke_key(&self, context: &Context, id: &str, reason: Option<&str>) -> Result<KeyResponse, Error> {
        let (code, note) = told(reason)?;
        let id = Id::parse(id).ok_or(Error::NotFound)?;
        change::perform(self, context, Operation::KeyRevoke, None, move |change| {
            let own = change.context.caller.key().is_some_and(|holder| holder.credential == id);
            if !own {
                require(&change.context.caller, Operation::KeyRevoke)?;
            }
            let stored = store::credentials::find(change.conn, change.key(), &id)?.ok_or(Error::NotFound)?;
            let intact = is_intact(change.service.keyring(), change.tenant(), &stored);
            // That a row was changed from outside may be all that calls it revoked.
            if stored.credential.revoked.is_none() || !intact {
                revoke_noted(change, stored, &code, note.as_deref())?;
            }
            let stored = store::credentials::find(change.conn, change.key(), &id)?.ok_or(Error::NotFound)?;
            list::shown(change.service, change.conn, change.context, stored)
        })
    }

    /// Who the caller is (`GET /v1/whoami`).
    pub fn whoami(&self, context: &Context) -> Whoami {
        let tenant = context.caller.tenant.name.clone();
        match context.caller.key() {
            None => Whoami::Host { tenant, host: true },
            Some(holder) => Whoami::Holder(HolderResponse {
                tenant,
                key_id: holder.credential,
                class: holder.class.letter(),
                owner: Person { kind: holder.owner.kind, id: holder.owner.id },
                connection: holder.connection.as_ref().map(|connection| connection.name.clone()),
                permissions: holder.grant.permissions().unwrap_or_default(),
            }),
        }
    }
}

/// A key whose row is as Keyroll wrote it: sealing another one anew would make somebody else's edit ours.
fn intact(change: &mut Change<'_>, id: &Id) -> Result<Credential, Error> {
    let tenant = change.tenant();
    let stored = store::credentials::find(change.conn, tenant.key, id)?.ok_or(Error::NotFound)?;
    if is_intact(change.service.keyring(), tenant, &stored) {
        return Ok(stored.credential);
    }
    let detail = "the row of this key was changed from outside: it works nowhere, and can only be revoked";
    Err(Error::Conflict { code: Conflict::KeyTampered, detail: detail.to_owned() })
}

/// Writes what has become of a key, under a MAC of its own.
fn seal(change: &mut Change<'_>, next: Credential) -> Result<Credential, Error> {
    let tenant = change.tenant();
    let next = Credential { version: next.version.saturating_add(1), ..next };
    let mac = change.service.keyring().row_mac(&next.canonical(&tenant.id));
    store::credentials::update(change.conn, tenant.key, &next, &mac)?;
    Ok(next)
}

/// Refuses over the network what is done to the key of a connection on the host alone.
fn check_door(caller: &Caller, key: &Credential, verb: &str) -> Result<(), Error> {
    if caller.is_host() || key.class != Class::Provisioning {
        return Ok(());
    }
    Err(Error::Forbidden(format!("the key of a connection is {verb} on the host alone")))
}

/// The permission of an operation that `Keys::Any` lets through for one's own key only.
fn require(caller: &Caller, operation: Operation) -> Result<(), Error> {
    let Some(permission) = Permission::parse(operation.permission()) else { return Ok(()) };
    if caller.connection().is_none() && caller.may(&permission) {
        return Ok(());
    }
    Err(Error::Forbidden(format!("this key does not hold {permission}")))
}

/// Why a key is revoked if nobody says why.
const REQUESTED: &str = "requested";

/// The longest note, in letters.
pub const NOTE_MAX: usize = 1_000;

/// Why a text cannot be kept as a note; `None` if it can.
pub fn note_flaw(text: &str) -> Option<String> {
    if holds_secret(text) {
        return Some("a key's text stands in it: it is not kept".to_owned());
    }
    let is_harmful = |c: char| c.is_control() && c != '\n';
    let fits = text.chars().count() <= NOTE_MAX && !text.trim().is_empty() && !text.contains(is_harmful);
    (!fits).then(|| format!("a code of a–z and _, at most 64 letters, or a text of at most {NOTE_MAX}"))
}

fn checked_note(text: &str) -> Result<&str, Error> {
    match note_flaw(text) {
        Some(flaw) => Err(Error::invalid("/reason", format!("reason: {flaw}"))),
        None => Ok(text),
    }
}

/// Refuses a reason that is no code: free text in a log that cannot change is personal data (design §8).
pub(in crate::service) fn check_reason(reason: &str) -> Result<(), Error> {
    if is_reason(reason) {
        return Ok(());
    }
    Err(Error::invalid("/reason", "reason: a code of a–z and _, at most 64 letters"))
}

/// Whether a text is a code that says why.
pub fn is_reason(text: &str) -> bool {
    (1..=64).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_lowercase() || b == b'_')
}
