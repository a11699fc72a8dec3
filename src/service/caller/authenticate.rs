//! From a bearer token to a caller, and from a key to a verdict.
//!
//! A miss costs what a hit costs: one look-up by selector, one row, one digest, one comparison and one MAC, of
//! another key's row if there is none of its own (attack case A01).

use std::net::IpAddr;
use std::sync::Arc;

use chrono::{DateTime, Utc};

use crate::domain::caller::{Identity, KeyHolder};
use crate::domain::class::Class;
use crate::domain::credential::{Circumstances, Grant, Verdict};
use crate::domain::log::RequestRef;
use crate::domain::secret::PlainKey;
use crate::domain::{Caller, Credential, Permissions, Tenant, TenantKey};
use crate::service::access::liveness;
use crate::service::access::provisioning::scim_access;
use crate::service::dead::Dead;
use crate::service::intact::is_intact;
use crate::service::memory::{CommitVersion, KnownCaller, Stamp};
use crate::service::{Cached, Context, Error, Service, access, memory};
use crate::store::{self, Conn, credentials::Holder};

pub(in crate::service) const REFUSED: Error = Error::KeyRefused(None);

/// What a look-up of a key found.
pub(in crate::service) struct FoundKey {
    /// Whether the whole secret matched and the row is as Keyroll wrote it.
    pub(in crate::service) proven: bool,
    /// The row, with its owner.
    pub(in crate::service) holder: Arc<Holder>,
    /// When it was about to be read.
    at: DateTime<Utc>,
    /// The same, as memory counts.
    stamp: Stamp,
    /// Whether a live User answers for the owner, if it needs one; looked at only once the secret matched.
    sponsored: bool,
    /// The same as a caller, once it was made.
    key: Option<Arc<KeyHolder>>,
}

impl FoundKey {
    /// Whether the key works now. Nothing but NOT_FOUND is told to whoever did not prove the secret.
    pub(in crate::service) fn verdict(&self, now: DateTime<Utc>) -> Verdict {
        if !self.proven {
            return Verdict::NotFound;
        }
        self.holder.stored.credential.verdict(&self.holder.owner, self.sponsored, now)
    }
}

impl Service {
    /// Begins a request with this bearer token.
    ///
    /// # Errors
    /// [`Error::KeyRefused`], the same to whoever asks for every reason.
    pub fn enter(&self, token: &str, request: RequestRef, from: Option<IpAddr>) -> Result<Context, Error> {
        let commit = memory::commit_version(self)?;
        let Some(found) = prove(self, token, commit)?.filter(|found| found.proven) else { return Err(REFUSED) };
        let seen = memory::catch_up(self, found.holder.tenant.key, commit)?;
        match found.verdict(memory::now_in(self, found.holder.tenant.key)) {
            Verdict::Valid => {
                let (tenant, key) = holder(self, token, found, seen)?;
                let given = given(self, tenant.key, from);
                if !key.grant.counts(&given) {
                    return Err(Error::Forbidden("no condition of this key's grant holds for this request".to_owned()));
                }
                let caller = Caller { tenant, identity: Identity::Key(key), given };
                Ok(Context { caller, request, noted: Arc::default(), seen: Some(seen) })
            }
            verdict => Err(Error::KeyRefused(Some(Box::new(Dead::new(&found.holder, verdict))))),
        }
    }
}

impl Cached<'_> {
    /// Begins a request with the bearer token of a key that works, as [`Service::enter`] does.
    pub fn enter(&self, token: &str, request: &RequestRef, from: Option<IpAddr>) -> Option<Context> {
        let (known, seen) = self.caller(token)?;
        let tenant = known.holder.tenant.clone();
        let given = given(self.service, tenant.key, from);
        let key = key_of(self.service, &known, given.at)?;
        if !key.grant.counts(&given) || key.awaits_first_use {
            return None;
        }
        let caller = Caller { tenant, identity: Identity::Key(key), given };
        Some(Context { caller, request: request.clone(), noted: Arc::default(), seen: Some(seen) })
    }
}

/// What is known of a request to Keyroll itself. It is for no environment, and shows no certificate.
fn given(service: &Service, tenant: TenantKey, ip: Option<IpAddr>) -> Circumstances {
    Circumstances { at: memory::now_in(service, tenant), ip, ..Circumstances::default() }
}

/// The key of a remembered caller, with what its owner may do now, if it works and that is remembered as well.
pub(in crate::service) fn key_of(service: &Service, known: &KnownCaller, now: DateTime<Utc>) -> Option<Arc<KeyHolder>> {
    let Holder { tenant, stored, owner, .. } = &*known.holder;
    if stored.credential.verdict(owner, true, now) != Verdict::Valid {
        return None;
    }
    let is_same = match stored.credential.class {
        Class::Provisioning => true,
        Class::User | Class::Service => {
            let access = memory::known_access(service, tenant.key, owner.id, now)?;
            Arc::ptr_eq(&known.key.access, &access.permissions)
        }
    };
    is_same.then(|| Arc::clone(&known.key))
}

/// Looks a key up: in memory if it was proven before and, as far as the request was told, nothing about it
/// has changed since.
pub(in crate::service) fn prove(
    service: &Service,
    token: &str,
    commit: CommitVersion,
) -> Result<Option<FoundKey>, Error> {
    let (known, stamp) = memory::known_caller(service, token, commit)?;
    if let Some(KnownCaller { holder, key, at }) = known {
        return Ok(Some(FoundKey { proven: true, holder, at, stamp, sponsored: true, key: Some(key) }));
    }
    let Some(key) = PlainKey::parse(token) else { return Ok(None) };
    let at = service.now();
    service.read(|conn| find(service, conn, &key, (at, stamp)))
}

/// The holder of a key that works, with what its owner may do now; remembered for the next request.
pub(in crate::service) fn holder(
    service: &Service,
    token: &str,
    found: FoundKey,
    stamp: Stamp,
) -> Result<(Tenant, Arc<KeyHolder>), Error> {
    let FoundKey { holder, at, stamp: read, key, .. } = found;
    let tenant = holder.tenant.clone();
    let access = match holder.stored.credential.class {
        Class::Provisioning => key.as_ref().map(|key| Arc::clone(&key.access)).unwrap_or_else(scim_access),
        Class::User | Class::Service => {
            let access = access::effective(service, tenant.key, holder.owner.id, stamp)?;
            Arc::clone(&access.permissions)
        }
    };
    if let Some(key) = key
        && Arc::ptr_eq(&key.access, &access)
    {
        return Ok((tenant, key));
    }
    let key = Arc::new(key_holder(&holder, access));
    memory::remember_caller(service, token, KnownCaller { holder, key: Arc::clone(&key), at }, read);
    Ok((tenant, key))
}

/// The same caller as the database knows it inside a transaction.
pub(in crate::service) fn refresh(service: &Service, conn: &mut Conn, known: &Caller) -> Result<Caller, Error> {
    let Some(key) = known.key() else { return Ok(known.clone()) };
    Ok(as_given(service, look_up(service, conn, key)?.1, known))
}

/// A caller as it stands now, who came as this one did.
pub(in crate::service) fn as_given(service: &Service, caller: Caller, known: &Caller) -> Caller {
    let at = memory::now_in(service, known.tenant.key);
    Caller { given: Circumstances { at, ..known.given.clone() }, ..caller }
}

/// A key that works as it is in the database, and its holder as a caller.
pub(in crate::service) fn look_up(
    service: &Service,
    conn: &mut Conn,
    key: &KeyHolder,
) -> Result<(Credential, Caller), Error> {
    let Some(holder) = store::credentials::holder(conn, &key.selector)? else { return Err(REFUSED) };
    let intact = is_as_written(service, &holder) && holder.stored.credential.id == key.credential;
    let sponsored = liveness::is_sponsored(conn, holder.tenant.key, &holder.owner)?;
    let verdict =
        holder.stored.credential.verdict(&holder.owner, sponsored, memory::now_in(service, holder.tenant.key));
    if !intact || verdict != Verdict::Valid {
        return Err(REFUSED);
    }
    let access = match holder.stored.credential.class {
        Class::Provisioning => scim_access(),
        Class::User | Class::Service => {
            access::effective_in(service, conn, holder.tenant.key, holder.owner.id)?.permissions
        }
    };
    let key = Arc::new(key_holder(&holder, access));
    Ok((
        holder.stored.credential,
        Caller { tenant: holder.tenant, identity: Identity::Key(key), given: Circumstances::default() },
    ))
}

fn find(
    service: &Service,
    conn: &mut Conn,
    key: &PlainKey,
    (at, stamp): (DateTime<Utc>, Stamp),
) -> Result<Option<FoundKey>, Error> {
    let Some(holder) = store::credentials::holder_or_other(conn, key.selector())? else { return Ok(None) };
    let credential = &holder.stored.credential;
    let matched = service.keyring().digest(&holder.tenant.id, key).matches(&credential.digest);
    let intact = is_intact(service.keyring(), &holder.tenant, &holder.stored);
    // Of another key nothing is told but what it took to look at it.
    if credential.selector != key.selector() {
        return Ok(None);
    }
    if !intact {
        tell_edited(&holder);
    }
    let proven = matched && intact && credential.class == key.class();
    let sponsored = proven && liveness::is_sponsored(conn, holder.tenant.key, &holder.owner)?;
    Ok(Some(FoundKey { proven, holder: Arc::new(holder), at, stamp, sponsored, key: None }))
}

/// Whether the row is as Keyroll wrote it: an edit by SQL kills the key instead of widening it.
fn is_as_written(service: &Service, holder: &Holder) -> bool {
    let intact = is_intact(service.keyring(), &holder.tenant, &holder.stored);
    if !intact {
        tell_edited(holder);
    }
    intact
}

fn tell_edited(holder: &Holder) {
    log::error!(credential:% = holder.stored.credential.id; "the row of a credential was changed from outside");
}

fn key_holder(holder: &Holder, access: Arc<Permissions>) -> KeyHolder {
    let credential = &holder.stored.credential;
    let grant = match credential.class {
        Class::Provisioning => Grant::of(Permissions::clone(&access)),
        Class::User | Class::Service => credential.grant.clone(),
    };
    KeyHolder {
        credential: credential.id,
        selector: credential.selector.clone(),
        class: credential.class,
        grant,
        owner: holder.owner.clone(),
        connection: holder.connection.clone(),
        access,
        awaits_first_use: credential.awaits_first_use(),
    }
}
