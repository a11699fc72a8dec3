//! PostgreSQL: a pool of connections.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::time::Duration;

use diesel::connection::{InstrumentationEvent, SimpleConnection};
use diesel::pg::PgConnection;
use diesel::r2d2::{ManageConnection, Pool, PooledConnection};
use diesel::result::Error as Diesel;
use diesel::sql_types::Text;
use diesel::{Connection, ConnectionError};

use super::connection::{Conn, data_version};
use super::error::{Error, Result, is_lost};
use super::looks::Looks;
use super::migrate;

/// Connections for writes; commits wait for the disk, so a few keep it busy.
const WRITERS: u32 = 8;

/// Connections for reads, at least.
const READERS: u32 = 8;

/// Room for the transactions of a server's life: a million each second for a month.
const ENDED_BITS: u32 = 42;

/// How long a request waits for a connection before it is answered with 503.
const WAIT: Duration = Duration::from_secs(5);

/// What every connection sets. Waiting ends as it does on SQLite, a node that hangs holds no lock for ever, and
/// changes wait for each other's rows, whatever the database's own default is. The rest says what our statements are like: each walks along indexes to a few rows, whatever its values
/// and however large the tables have become since it was planned. So it is planned once, for any values, not read
/// out of whole tables while these are small, nor because a disk is expected to move its head for each row, not
/// gathered in bitmaps, and not compiled.
const SETTINGS: &str = "SET lock_timeout = '10s'; SET idle_in_transaction_session_timeout = '60s'; \
     SET default_transaction_isolation = 'read committed'; \
     SET plan_cache_mode = force_generic_plan; SET enable_seqscan = off; SET enable_bitmapscan = off; \
     SET random_page_cost = 1.1; SET jit = off;";

pub(super) struct Postgres {
    readers: Pool<Server>,
    /// Apart, so that writes that wait for each other keep no look-up waiting.
    writers: Pool<Server>,
    /// Over a connection of its own: every request begins with a look.
    looks: Looks,
}

impl Postgres {
    pub(super) fn open(url: &str, readers: u32) -> Result<Postgres> {
        refuse_tls(url)?;
        let url = &with_patience(url);
        let connection = PgConnection::establish(url).map_err(|error| {
            let error = error.to_string();
            let error = error.trim_end();
            Error::Unavailable(format!("cannot connect to PostgreSQL: {error}: check the database URL and the server"))
        })?;
        let mut connection = Conn::Postgres(connection);
        let encoding = connection.load_sql::<Text, String>("SHOW server_encoding", &[])?;
        if encoding.iter().any(|encoding| encoding != "UTF8") {
            let fix = "create it with ENCODING 'UTF8' TEMPLATE template0";
            return Err(Error::Refused(format!("the database's encoding must be UTF8: {fix}")));
        }
        migrate::run(&mut connection)?;
        let (made, losses) = (Arc::new(AtomicI64::new(0)), Arc::new(AtomicI64::new(0)));
        let pool = |size: u32| {
            let server = Server { url: url.to_owned(), made: Arc::clone(&made), losses: Arc::clone(&losses) };
            Pool::builder().max_size(size).min_idle(Some(0)).connection_timeout(WAIT).build(server)
        };
        let (own, connections) = (pool(1)?, Arc::clone(&made));
        let looks = Looks::start(move || {
            let ended = data_version(&mut own.get()?.conn)?;
            // A server that crashed may count from an earlier number again, but over new connections.
            Ok((connections.load(Ordering::Acquire) << ENDED_BITS).saturating_add(ended))
        })?;
        Ok(Postgres { readers: pool(readers.max(READERS))?, writers: pool(WRITERS)?, looks })
    }

    pub(super) fn reader(&self) -> Result<Lent> {
        Ok(Lent(self.readers.get()?))
    }

    pub(super) fn writer(&self) -> Result<Lent> {
        Ok(Lent(self.writers.get()?))
    }

    /// See [`super::Store::data_version`].
    pub(super) fn looks(&self) -> &Looks {
        &self.looks
    }
}

/// Says early what libpq without TLS would say on every connection.
fn refuse_tls(url: &str) -> Result<()> {
    let wanted = ["sslmode=require", "sslmode=verify-ca", "sslmode=verify-full"];
    if !cfg!(feature = "postgres-tls") && wanted.iter().any(|mode| url.contains(mode)) {
        let fix = "build it with --features postgres-tls (needs libssl-dev, pkg-config)";
        return Err(Error::Refused(format!("this keyroll cannot speak TLS to PostgreSQL: {fix}")));
    }
    Ok(())
}

/// How long a server that is gone without a word is waited for: libpq would wait for a quarter of an hour, and
/// longer on a connection on which nothing is under way. Of no effect on a socket of this machine.
const PATIENCE: [(&str, &str); 5] = [
    ("connect_timeout", "5"),
    ("tcp_user_timeout", "10000"),
    ("keepalives_idle", "10"),
    ("keepalives_interval", "5"),
    ("keepalives_count", "3"),
];

/// The URL with what it does not say itself about [`PATIENCE`].
fn with_patience(url: &str) -> String {
    let query = url.split_once('?').map_or("", |(_, query)| query);
    let says = |name: &str| query.split('&').any(|one| one.split('=').next() == Some(name));
    let mut full = url.to_owned();
    for (name, value) in PATIENCE.into_iter().filter(|(name, _)| !says(name)) {
        full.push_str(if full.contains('?') { "&" } else { "?" });
        full.extend([name, "=", value]);
    }
    full
}

/// A connection of the pool, for as long as it is held.
pub(super) struct Lent(PooledConnection<Server>);

impl std::ops::Deref for Lent {
    type Target = Conn;
    fn deref(&self) -> &Conn {
        &self.0.conn
    }
}

impl std::ops::DerefMut for Lent {
    fn deref_mut(&mut self) -> &mut Conn {
        &mut self.0.conn
    }
}

/// How the pool makes and judges connections.
struct Server {
    url: String,
    /// Connections that were made.
    made: Arc<AtomicI64>,
    /// How often a connection was found lost.
    losses: Arc<AtomicI64>,
}

struct Pooled {
    conn: Conn,
    /// The losses before it was made: with one connection all older ones are gone.
    made_at: i64,
    /// Set by the first statement that finds the server gone: asking before each use costs a round trip.
    lost: Arc<AtomicBool>,
}

impl ManageConnection for Server {
    type Connection = Pooled;
    type Error = diesel::r2d2::Error;

    fn connect(&self) -> std::result::Result<Pooled, Self::Error> {
        let lost = Arc::new(AtomicBool::new(false));
        let made_at = self.losses.load(Ordering::Acquire);
        let mut connection = PgConnection::establish(&self.url).map_err(Self::Error::ConnectionError)?;
        connection.batch_execute(SETTINGS).map_err(Self::Error::QueryError)?;
        self.made.fetch_add(1, Ordering::AcqRel);
        let (flag, losses) = (Arc::clone(&lost), Arc::clone(&self.losses));
        connection.set_instrumentation(move |event: InstrumentationEvent<'_>| {
            if let InstrumentationEvent::FinishQuery { error: Some(Diesel::DatabaseError(kind, about)), .. } = event
                && is_lost(kind, about.message())
            {
                flag.store(true, Ordering::Relaxed);
                // Once for all that were made before it.
                let _ = losses.compare_exchange(made_at, made_at + 1, Ordering::AcqRel, Ordering::Acquire);
            }
        });
        Ok(Pooled { conn: Conn::Postgres(connection), made_at, lost })
    }

    fn is_valid(&self, pooled: &mut Pooled) -> std::result::Result<(), Self::Error> {
        if pooled.made_at == self.losses.load(Ordering::Acquire) {
            return Ok(());
        }
        Err(Self::Error::ConnectionError(ConnectionError::BadConnection("lost with others".to_owned())))
    }

    fn has_broken(&self, pooled: &mut Pooled) -> bool {
        pooled.lost.load(Ordering::Relaxed) || !pooled.conn.is_clean()
    }
}

#[cfg(test)]
mod tests {
    use super::with_patience;

    #[test]
    fn a_url_keeps_what_it_says_itself() {
        let all =
            "connect_timeout=5&tcp_user_timeout=10000&keepalives_idle=10&keepalives_interval=5&keepalives_count=3";
        assert_eq!(with_patience("postgres://h/k"), format!("postgres://h/k?{all}"));
        let own = "postgres://h/k?connect_timeout=2&user=x&keepalives_idle=60";
        let rest = "tcp_user_timeout=10000&keepalives_interval=5&keepalives_count=3";
        assert_eq!(with_patience(own), format!("{own}&{rest}"));
    }
}
