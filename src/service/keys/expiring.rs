//! Provisioning keys that expire: without one an identity provider gets 401, and leavers keep their keys.

use chrono::{DateTime, TimeDelta, Utc};

use crate::domain::class::Class;
use crate::domain::{Connection, Credential, Id};
use crate::service::{Error, Service};
use crate::store;

/// So long before a key ends somebody should know (design §7): at each start and once a day from then on.
const NOTICE: TimeDelta = TimeDelta::days(30);

/// What was issued for less is meant to end.
const LASTING: TimeDelta = TimeDelta::days(1);

/// A key of a connection that ends soon, or the last of one that has none any more.
#[derive(Debug, PartialEq, Eq)]
pub struct ExpiringKey {
    /// The connection's name.
    pub connection: String,
    /// The credential.
    pub key: Id,
    /// When it ends, or ended.
    pub at: DateTime<Utc>,
    /// How long until then; `None` once it is over.
    pub left: Option<TimeDelta>,
}

impl Service {
    /// The provisioning keys that somebody should know of, by connection.
    ///
    /// # Errors
    /// If the store fails.
    pub fn expiring_keys(&self) -> Result<Vec<ExpiringKey>, Error> {
        let now = self.now();
        self.read(|conn| {
            let mut ending = vec![];
            for tenant in store::tenants::all(conn)? {
                for connection in store::connections::list(conn, tenant.key)? {
                    let keys = store::credentials::of_owner(conn, tenant.key, &connection.agent)?;
                    let keys = keys.iter().map(|stored| &stored.credential);
                    let own =
                        keys.filter(|key| key.class == Class::Provisioning && key.connection == Some(connection.id));
                    ending.extend(of_connection(&connection, own, now));
                }
            }
            Ok(ending)
        })
    }
}

/// The keys of one connection that end within the time of notice; if none is left, the one that ended last. Those that
/// were issued for hours are not told of.
fn of_connection<'k>(
    connection: &Connection,
    keys: impl Iterator<Item = &'k Credential>,
    now: DateTime<Utc>,
) -> Vec<ExpiringKey> {
    let ending = |key: &Credential| {
        let left = (key.ends_at() > now).then(|| key.ends_at() - now);
        ExpiringKey { connection: connection.name.clone(), key: key.id, at: key.ends_at(), left }
    };
    let is_lasting = |key: &&Credential| key.expires_at - key.created_at >= LASTING;
    let (live, over): (Vec<_>, Vec<_>) = keys.partition(|key| key.ends_at() > now);
    if live.is_empty() {
        return over.into_iter().filter(is_lasting).max_by_key(|key| key.ends_at()).map(ending).into_iter().collect();
    }
    live.into_iter().filter(|key| is_lasting(key) && key.ends_at() - now <= NOTICE).map(ending).collect()
}
