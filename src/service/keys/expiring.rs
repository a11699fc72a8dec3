//! Provisioning keys that expire: without one an identity provider gets 401, and leavers keep their keys.

use chrono::{DateTime, TimeDelta, Utc};

use crate::domain::class::Class;
use crate::domain::{Connection, Id};
use crate::service::{Error, Service};
use crate::store;

/// So long before a key ends somebody should know (design §7): at each start and once a day from then on.
const NOTICE: TimeDelta = TimeDelta::days(30);

/// A key of a connection that ends soon, or the last of one that has none any more.
#[derive(Debug, PartialEq, Eq)]
pub struct ExpiringKey {
    /// The connection's name.
    pub connection: String,
    /// The credential.
    pub key: Id,
    /// When it ends, or ended.
    pub at: DateTime<Utc>,
    /// Whole days until then; `None` once it is over.
    pub days: Option<i64>,
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
                    let ends = keys.iter().map(|stored| &stored.credential);
                    let ends =
                        ends.filter(|key| key.class == Class::Provisioning && key.connection == Some(connection.id));
                    ending.extend(of_connection(&connection, ends.map(|key| (key.id, key.expires_at)), now));
                }
            }
            Ok(ending)
        })
    }
}

/// The keys of one connection that end within the time of notice; if none is left, the one that ended last.
fn of_connection(
    connection: &Connection,
    keys: impl Iterator<Item = (Id, DateTime<Utc>)>,
    now: DateTime<Utc>,
) -> Vec<ExpiringKey> {
    let ending = |(key, at): (Id, DateTime<Utc>)| {
        let days = (at > now).then(|| (at - now).num_days());
        ExpiringKey { connection: connection.name.clone(), key, at, days }
    };
    let (live, over): (Vec<_>, Vec<_>) = keys.partition(|(_, at)| *at > now);
    if live.is_empty() {
        return over.into_iter().max_by_key(|(_, at)| *at).map(ending).into_iter().collect();
    }
    live.into_iter().filter(|(_, at)| *at - now <= NOTICE).map(ending).collect()
}
