//! Keys: how they come and go inside a change; list, read, revoke. What may be issued is decided in
//! [`request`], what a key may do in [`verify`].

pub mod request;
pub mod verify;

use std::collections::{HashMap, HashSet};

use chrono::TimeDelta;
use serde_json::{Map, Value, json};

pub use self::request::Owner;
use super::{Change, Context, Error, Service, liveness};
use crate::domain::credential::{Class, Grant, Revocation};
use crate::domain::log::Entry;
use crate::domain::secret::{Keyring, PlainKey};
use crate::domain::{Caller, Credential, Id, Operation, Permission, Principal, Tenant};
use crate::store::{self, Conn, credentials::StoredCredential};

/// Keys in a page when none is asked for, and the most that can be asked for.
const PAGE_DEFAULT: usize = 100;
const PAGE_MAX: usize = 1_000;

/// What a new key shall be; its owner comes beside it.
pub(super) struct NewKey {
    pub(super) name: String,
    pub(super) class: Class,
    pub(super) grant: Grant,
    pub(super) lifetime: TimeDelta,
    pub(super) connection: Option<Id>,
}

/// Issues a key inside a change. The caller has locked the owner and checked that it may.
pub(super) fn issue(change: &mut Change<'_>, owner: &Principal, new: NewKey) -> Result<(Credential, PlainKey), Error> {
    let key = PlainKey::mint(new.class, change.service.entropy());
    let tenant = change.tenant();
    let credential = Credential {
        id: change.mint(),
        owner: owner.id,
        class: new.class,
        connection: new.connection,
        selector: key.selector().to_owned(),
        digest: change.service.keyring().digest(&tenant.id, &key),
        name: new.name,
        grant: new.grant,
        created_at: to_millis(change.now),
        created_by: change.context.caller.key().map(|holder| holder.owner.id),
        expires_at: to_millis(change.now + new.lifetime),
        reasons: vec![],
        revoked: None,
        version: 1,
    };
    let mac = change.service.keyring().row_mac(&credential.canonical(&tenant.id));
    store::credentials::insert(change.conn, tenant.key, &credential, &mac)?;
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
pub(super) fn revoke(change: &mut Change<'_>, stored: StoredCredential, reason: &str) -> Result<(), Error> {
    // It may be the caller's own: the log is locked, and the caller looked at, while the key still works.
    change.seq()?;
    let tenant = change.tenant();
    let keyring = change.service.keyring();
    let intact = is_intact(keyring, tenant, &stored);
    let mut credential = stored.credential;
    credential.revoked = Some(Revocation { at: to_millis(change.now), reason: reason.to_owned() });
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

/// Whether a row is as Keyroll wrote it: who edits one by SQL kills the key instead of widening it.
pub(super) fn is_intact(keyring: &Keyring, tenant: &Tenant, stored: &StoredCredential) -> bool {
    keyring.row_mac_matches(&stored.credential.canonical(&tenant.id), &stored.mac)
}

/// Revokes every key of an owner that is not revoked yet.
pub(super) fn revoke_all(change: &mut Change<'_>, owner: &Id, reason: &str) -> Result<(), Error> {
    for stored in store::credentials::of_owner(change.conn, change.key(), owner)? {
        revoke(change, stored, reason)?;
    }
    Ok(())
}

impl Service {
    /// Lists keys (`GET /v1/keys`), oldest first.
    ///
    /// # Errors
    /// 400 for a cursor or count that is none.
    pub fn list_keys(
        &self,
        context: &Context,
        owner: Option<&Id>,
        count: Option<usize>,
        cursor: Option<&str>,
    ) -> Result<Value, Error> {
        let after = cursor.map(|text| text.parse::<i64>()).transpose();
        let after = after.map_err(|_| Error::Malformed("cursor: not one of ours".to_owned()))?;
        let count = count.unwrap_or(PAGE_DEFAULT).clamp(1, PAGE_MAX);
        self.ask(context, Operation::KeyList, None, |conn| {
            let tenant = context.caller.tenant.key;
            let mut rows = store::credentials::list(conn, tenant, owner, after, count as i64 + 1)?;
            let more = rows.len() > count;
            rows.truncate(count);
            let next = if more { rows.last().map(|(key, _)| key.to_string()) } else { None };
            let rows: Vec<StoredCredential> = rows.into_iter().map(|(_, stored)| stored).collect();
            Ok(json!({"keys": self.render_stored(conn, context, &rows)?, "next": next}))
        })
    }

    /// Reads the record of a key.
    ///
    /// # Errors
    /// 404 if there is none in this tenant.
    pub fn read_key(&self, context: &Context, id: &str) -> Result<Value, Error> {
        self.ask(context, Operation::KeyRead, None, |conn| {
            let id = Id::parse(id).ok_or(Error::NotFound)?;
            let stored = store::credentials::find(conn, context.caller.tenant.key, &id)?.ok_or(Error::NotFound)?;
            self.render_stored(conn, context, &[stored])?.pop().ok_or(Error::NotFound)
        })
    }

    /// Records of keys; their owners are read together.
    fn render_stored(
        &self,
        conn: &mut Conn,
        context: &Context,
        rows: &[StoredCredential],
    ) -> Result<Vec<Value>, Error> {
        let tenant = &context.caller.tenant;
        let ids: HashSet<Id> = rows.iter().map(|stored| stored.credential.owner).collect();
        let owners = store::principals::many(conn, tenant.key, &ids.into_iter().collect::<Vec<_>>())?;
        let owners: HashMap<Id, Principal> = owners.into_iter().map(|(owner, _)| (owner.id, owner)).collect();
        let agents: Vec<Id> = owners.values().filter(|owner| owner.needs_sponsor()).map(|owner| owner.id).collect();
        let sponsored = liveness::sponsored(conn, tenant.key, &agents)?;
        let one = |stored: &StoredCredential| {
            let owner = owners.get(&stored.credential.owner);
            // What somebody wrote into a row says nothing about who owns it; nor does one whose owner was taken away.
            let owner = owner.filter(|_| is_intact(self.keyring(), tenant, stored));
            let owner = owner.map(|owner| (owner, sponsored.contains(&owner.id)));
            Value::Object(render(&stored.credential, owner, self.now()))
        };
        Ok(rows.iter().map(one).collect())
    }

    /// Revokes a key for good; doing it again changes nothing and answers alike.
    ///
    /// # Errors
    /// 404 if there is none, 403 without the permission for a key that is not the caller's own.
    pub fn revoke_key(&self, context: &Context, id: &str, reason: Option<&str>) -> Result<Value, Error> {
        let reason = reason.unwrap_or("requested").to_owned();
        check_reason(&reason)?;
        let id = Id::parse(id).ok_or(Error::NotFound)?;
        self.perform(context, Operation::KeyRevoke, None, move |change| {
            let own = change.context.caller.key().is_some_and(|holder| holder.credential == id);
            if !own {
                require(&change.context.caller, Operation::KeyRevoke)?;
            }
            // The owner first: whoever deletes it holds it while its keys are revoked (design §4, lock order).
            let found = store::credentials::find(change.conn, change.key(), &id)?.ok_or(Error::NotFound)?;
            store::principals::lock(change.conn, change.key(), &found.credential.owner)?;
            let stored = store::credentials::lock(change.conn, change.key(), &id)?.ok_or(Error::NotFound)?;
            // That a row was changed from outside may be all that calls it revoked.
            let is_done = stored.credential.revoked.is_some();
            if !is_done || !is_intact(change.service.keyring(), change.tenant(), &stored) {
                revoke(change, stored, &reason)?;
            }
            let stored = store::credentials::find(change.conn, change.key(), &id)?.ok_or(Error::NotFound)?;
            let shown = change.service.render_stored(change.conn, change.context, &[stored])?.pop();
            shown.ok_or(Error::NotFound)
        })
    }

    /// Who the caller is (`GET /v1/whoami`).
    pub fn whoami(&self, context: &Context) -> Value {
        let tenant = &context.caller.tenant.name;
        match context.caller.key() {
            None => json!({"tenant": tenant, "host": true}),
            Some(holder) => json!({
                "tenant": tenant,
                "key_id": holder.credential,
                "class": holder.class.letter().to_string(),
                "owner": {"type": holder.owner.kind.name(), "id": holder.owner.id},
                "connection": holder.connection.as_ref().map(|connection| &connection.name),
                "permissions": holder.grant.permissions().map(|p| p.texts()).unwrap_or_default(),
            }),
        }
    }
}

/// The permission of an operation that `Keys::Any` lets through for one's own key only.
fn require(caller: &Caller, operation: Operation) -> Result<(), Error> {
    let Some(permission) = Permission::parse(operation.permission()) else { return Ok(()) };
    if caller.connection().is_none() && caller.may(&permission) {
        return Ok(());
    }
    Err(Error::Forbidden(format!("this key does not hold {permission}")))
}

/// Refuses a reason that is no code: free text in a log that cannot change is personal data (design §8).
pub(super) fn check_reason(reason: &str) -> Result<(), Error> {
    if is_reason(reason) {
        return Ok(());
    }
    Err(Error::invalid("/reason", "reason: a code of a–z and _, at most 64 letters"))
}

/// Whether a text is a code that says why.
pub fn is_reason(text: &str) -> bool {
    (1..=64).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_lowercase() || b == b'_')
}

/// The record of a key in answers, never its secret: with its owner, and whether a live User answers for that one.
/// Without an owner it is one that was changed from outside.
pub(super) fn render(
    credential: &Credential,
    owner: Option<(&Principal, bool)>,
    now: chrono::DateTime<chrono::Utc>,
) -> Map<String, Value> {
    let time = crate::scim::text::render_time;
    let grant = credential.grant.permissions().map(|p| json!([{"permissions": p.texts()}]));
    let status = owner.map(|(owner, sponsored)| credential.status(owner, sponsored, now));
    let reasons = owner.map(|(owner, sponsored)| credential.all_reasons(owner, sponsored));
    let value = json!({
        "id": credential.id,
        "name": credential.name,
        "display": credential.display(),
        "class": credential.class.letter().to_string(),
        "owner": owner.map(|(owner, _)| json!({"type": owner.kind.name(), "id": owner.id})),
        "status": status.unwrap_or("tampered"),
        "reasons": reasons.unwrap_or_default(),
        "grant": grant,
        "created_at": time(credential.created_at),
        "expires_at": time(credential.expires_at),
        "revoked_at": credential.revoked.as_ref().map(|r| time(r.at)),
        "revoke_reason": credential.revoked.as_ref().map(|r| r.reason.clone()),
    });
    match value {
        Value::Object(map) => map,
        _ => Map::new(),
    }
}
