//! Keys that were proven and do not work.

use chrono::{DateTime, Utc};

use crate::domain::class::Class;
use crate::domain::credential::Verdict;
use crate::domain::{Connection, Id};
use crate::store::credentials::Holder;

/// A key whose whole secret was proven and that does not work. Why is for the server's log; whoever holds it is
/// told what anybody is told who holds none (attack case A01).
#[derive(Debug)]
pub struct Dead {
    /// The credential.
    pub key: Id,
    /// Its class.
    pub class: Class,
    /// The connection of a provisioning key.
    pub connection: Option<Connection>,
    /// Why it does not work.
    pub verdict: Verdict,
    /// Since when, where that is known.
    pub since: Option<DateTime<Utc>>,
}

impl Dead {
    pub(in crate::service) fn new(holder: &Holder, verdict: Verdict) -> Dead {
        let (credential, owner) = (&holder.stored.credential, &holder.owner);
        let since = match verdict {
            Verdict::Expired => Some(credential.ends_at()),
            Verdict::Revoked => credential.revoked.as_ref().map(|revoked| revoked.at).or(owner.deleted_at),
            _ => owner.suspended_at,
        };
        let (class, connection) = (credential.class, holder.connection.clone());
        Dead { key: credential.id, class, connection, verdict, since }
    }
}
