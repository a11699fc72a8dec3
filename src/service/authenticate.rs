//! From a bearer token to a caller, and from a key to a verdict.
//!
//! A miss costs what a hit costs: one look-up by selector, one digest, one comparison, against a dummy
//! if there is nothing to compare with (attack case A01).

use std::sync::Arc;

use chrono::{DateTime, Utc};

use super::cache::Stamp;
use super::{Context, Error, Service};
use crate::domain::caller::{Identity, KeyHolder};
use crate::domain::credential::{Class, Grant, Verdict};
use crate::domain::log::RequestRef;
use crate::domain::secret::{Digest, PlainKey};
use crate::domain::{Caller, Id, Permissions};
use crate::store::{self, Conn, credentials::Holder};

const REFUSED: Error = Error::Unauthenticated("the key is not valid");

/// What a look-up of a key found.
pub(super) struct Found {
    /// Whether the whole secret matched and the row is as Keyroll wrote it.
    pub(super) proven: bool,
    /// The row, with its owner.
    pub(super) holder: Arc<Holder>,
    /// The same as a caller, once it was made.
    key: Option<Arc<KeyHolder>>,
}

impl Found {
    fn caller(self) -> Caller {
        match self.key {
            Some(key) => Caller { tenant: self.holder.tenant.clone(), identity: Identity::Key(key) },
            None => caller(&self.holder),
        }
    }

    /// Whether the key works now. Nothing but NOT_FOUND is told to whoever did not prove the secret.
    pub(super) fn verdict(&self, now: DateTime<Utc>) -> Verdict {
        if self.proven { self.holder.stored.credential.verdict(&self.holder.owner, now) } else { Verdict::NotFound }
    }
}

impl Service {
    /// Who holds this bearer token.
    ///
    /// # Errors
    /// [`Error::Unauthenticated`], the same for every reason.
    pub fn authenticate(&self, token: &str) -> Result<Caller, Error> {
        Ok(self.enter(token, RequestRef::default())?.caller)
    }

    /// Begins a request with this bearer token.
    ///
    /// # Errors
    /// [`Error::Unauthenticated`], the same for every reason.
    pub fn enter(&self, token: &str, request: RequestRef) -> Result<Context, Error> {
        let Some(key) = PlainKey::parse(token) else { return Err(REFUSED) };
        let seen = self.stamp()?;
        match self.prove(token, &key, seen)? {
            Some(found) if found.verdict(self.now()) == Verdict::Valid => {
                Ok(Context { caller: found.caller(), request, seen })
            }
            _ => Err(REFUSED),
        }
    }

    /// Looks a key up: in memory if it was proven before and nothing about it has changed since.
    pub(super) fn prove(&self, token: &str, key: &PlainKey, stamp: Option<Stamp>) -> Result<Option<Found>, Error> {
        if let (Some(_), Some((holder, key))) = (stamp, self.known_caller(token)) {
            return Ok(Some(Found { proven: true, holder, key: Some(key) }));
        }
        let found = self.read(|conn| self.find(conn, key))?;
        if let (Some(stamp), Some(Found { proven: true, holder, .. })) = (stamp, &found)
            && let Identity::Key(key) = caller(holder).identity
        {
            self.remember_caller(token, (Arc::clone(holder), key), stamp);
        }
        Ok(found)
    }

    /// The same caller as the database knows it inside a transaction.
    pub(super) fn refresh(&self, conn: &mut Conn, known: &Caller) -> Result<Caller, Error> {
        let Some(key) = known.key() else { return Ok(known.clone()) };
        let Some(holder) = store::credentials::holder(conn, &key.selector)? else { return Err(REFUSED) };
        let intact = self.is_intact(&holder) && holder.stored.credential.id == key.credential;
        let verdict = holder.stored.credential.verdict(&holder.owner, self.now());
        if intact && verdict == Verdict::Valid { Ok(caller(&holder)) } else { Err(REFUSED) }
    }

    fn find(&self, conn: &mut Conn, key: &PlainKey) -> Result<Option<Found>, Error> {
        let holder = store::credentials::holder(conn, key.selector())?;
        let dummy = (Id::from_bytes(&[0; 16]), Digest([0; 32]));
        let (tenant, stored) = match &holder {
            Some(holder) => (Some(holder.tenant.id), &holder.stored.credential.digest),
            None => (dummy.0, &dummy.1),
        };
        let matched = tenant.is_some_and(|tenant| self.keyring().digest(&tenant, key).matches(stored));
        let intact = match &holder {
            Some(holder) => self.is_intact(holder),
            None => self.keyring().row_mac_matches(&DUMMY_ROW, &[0; 32]),
        };
        Ok(holder.map(|holder| {
            let same_class = holder.stored.credential.class == key.class();
            Found { proven: matched && intact && same_class, holder: Arc::new(holder), key: None }
        }))
    }

    /// Whether the row is as Keyroll wrote it: an edit by SQL kills the key instead of widening it.
    fn is_intact(&self, holder: &Holder) -> bool {
        let canonical = holder.stored.credential.canonical(&holder.tenant.id);
        let intact = self.keyring().row_mac_matches(&canonical, &holder.stored.mac);
        if !intact {
            log::error!(credential:% = holder.stored.credential.id; "the row of a credential was changed from outside");
        }
        intact
    }
}

/// About as long as the canonical form of a row.
const DUMMY_ROW: [u8; 280] = [0; 280];

/// What a provisioning key may do: the SCIM part of Keyroll's own api, and nothing else.
pub(super) fn scim_permissions() -> Permissions {
    let texts = super::registry().types.iter().flat_map(|resource_type| {
        let name = resource_type.endpoint.trim_start_matches('/').to_ascii_lowercase();
        [format!("keyroll:{name}:read"), format!("keyroll:{name}:write")]
    });
    texts.filter_map(|text| crate::domain::Permission::parse(&text)).collect()
}

fn caller(holder: &Holder) -> Caller {
    let credential = &holder.stored.credential;
    let grant = match credential.class {
        Class::Provisioning => Grant::Permissions(scim_permissions()),
        Class::User | Class::Service => credential.grant.clone(),
    };
    let key = KeyHolder {
        credential: credential.id,
        selector: credential.selector.clone(),
        class: credential.class,
        grant,
        owner: holder.owner.clone(),
        connection: holder.connection.clone(),
    };
    Caller { tenant: holder.tenant.clone(), identity: Identity::Key(Arc::new(key)) }
}
