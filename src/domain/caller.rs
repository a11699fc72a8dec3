//! Who asks: the host itself, the holder of a key, or anybody.

use std::sync::Arc;

use super::class::Class;
use super::credential::{Circumstances, Covered, Grant, Verdict};
use super::id::Id;
use super::permission::{Permission, Permissions};
use super::principal::Principal;
use super::tenant::{Connection, Tenant};

/// Who asks, for which tenant.
#[derive(Clone, Debug)]
pub struct Caller {
    /// The tenant that the key belongs to; there is no other way to name one.
    pub tenant: Tenant,
    /// Host, key or nobody.
    pub identity: Identity,
    /// What else is known of the request: conditions of a key's grant are asked about it.
    pub given: Circumstances,
}

/// How the caller proved who it is.
#[derive(Clone, Debug)]
pub enum Identity {
    /// The command line on the host: whoever can read the data folder is the admin.
    Host,
    /// The holder of a key.
    Key(Arc<KeyHolder>),
    /// Anybody: what no key is needed for.
    Anonymous,
}

/// The holder of a key, as it stood when the request was authenticated.
#[derive(Clone, Debug)]
pub struct KeyHolder {
    /// The credential.
    pub credential: Id,
    /// The public part of the key, by which it is looked up again before a write.
    pub selector: String,
    /// Its class.
    pub class: Class,
    /// Its ceiling.
    pub grant: Grant,
    /// Its owner.
    pub owner: Principal,
    /// The connection of a provisioning key.
    pub connection: Option<Connection>,
    /// What its owner may do at this moment.
    pub access: Arc<Permissions>,
    /// Whether this is the first use of a key that replaces another one, as far as is known.
    pub awaits_first_use: bool,
}

impl Caller {
    /// The command line on the host.
    pub fn host(tenant: Tenant) -> Caller {
        Caller { tenant, identity: Identity::Host, given: Circumstances::default() }
    }

    /// Anybody, about what is a tenant's.
    pub fn anonymous(tenant: Tenant) -> Caller {
        Caller { tenant, identity: Identity::Anonymous, given: Circumstances::default() }
    }

    /// The key's holder, if the caller has shown one.
    pub fn key(&self) -> Option<&KeyHolder> {
        match &self.identity {
            Identity::Host | Identity::Anonymous => None,
            Identity::Key(holder) => Some(holder),
        }
    }

    /// Whether it is the command line on the host: whoever has shown no key is not that yet.
    pub fn is_host(&self) -> bool {
        matches!(self.identity, Identity::Host)
    }

    /// The connection, if the caller is one.
    pub fn connection(&self) -> Option<&Connection> {
        self.key().and_then(|holder| holder.connection.as_ref())
    }

    /// Whether the caller may use the permission: `granted(key) ∩ current(owner)`.
    pub fn may(&self, permission: &Permission) -> bool {
        match &self.identity {
            Identity::Host => true,
            Identity::Key(holder) => holder.may(permission, &self.given),
            Identity::Anonymous => false,
        }
    }
}

impl KeyHolder {
    /// Whether the key covers the permission now: `granted(key) ∩ current(owner) ∩ conditions` (promise P2). Each side
    /// is asked by itself; an intersection of patterns is never made.
    pub fn may(&self, permission: &Permission, given: &Circumstances) -> bool {
        self.judge(permission, given) == Verdict::Valid
    }

    /// The same with the reason: a condition is told before what the owner lacks (design §7).
    pub fn judge(&self, permission: &Permission, given: &Circumstances) -> Verdict {
        match self.grant.covers(permission, given) {
            Covered::Conditions => Verdict::ConditionFailed,
            Covered::Yes if self.access.cover(permission) => Verdict::Valid,
            Covered::Yes | Covered::No => Verdict::InsufficientPermissions,
        }
    }
}
