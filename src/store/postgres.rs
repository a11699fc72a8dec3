//! PostgreSQL: a pool of connections.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use diesel::Connection;
use diesel::connection::{InstrumentationEvent, SimpleConnection};
use diesel::pg::PgConnection;
use diesel::r2d2::{ManageConnection, Pool, PooledConnection};
use diesel::result::Error as Diesel;
use diesel::sql_types::Text;

use super::connection::Conn;
use super::error::{Error, Result, is_lost};
use super::migrate;

/// Connections for writes; commits wait for the disk, so a few keep it busy.
const WRITERS: u32 = 8;

/// How long a request waits for a connection before it is answered with 503.
const WAIT: Duration = Duration::from_secs(5);

/// What every connection sets. Waiting ends as it does on SQLite, and a node that hangs holds no lock for
/// ever. Compiling a query takes longer than any of ours runs.
const SETTINGS: &str = "SET lock_timeout = '10s'; SET idle_in_transaction_session_timeout = '60s'; SET jit = off;";

pub(super) struct Postgres {
    pool: Pool<Server>,
}

impl Postgres {
    pub(super) fn open(url: &str, readers: u32) -> Result<Postgres> {
        refuse_tls(url)?;
        let connection = PgConnection::establish(url).map_err(|error| {
            Error::Unavailable(format!("cannot connect to PostgreSQL: {error}: check the database URL and the server"))
        })?;
        let mut connection = Conn::Postgres(connection);
        let encoding = connection.load_sql::<Text, String>("SHOW server_encoding", &[])?;
        if encoding.iter().any(|encoding| encoding != "UTF8") {
            let fix = "create it with ENCODING 'UTF8' TEMPLATE template0";
            return Err(Error::Refused(format!("the database's encoding must be UTF8: {fix}")));
        }
        migrate::run(&mut connection)?;
        let pool = Pool::builder()
            .max_size(readers.max(WRITERS))
            .min_idle(Some(0))
            .test_on_check_out(false)
            .connection_timeout(WAIT)
            .build(Server { url: url.to_owned() })?;
        Ok(Postgres { pool })
    }

    pub(super) fn connection(&self) -> Result<Lent> {
        Ok(Lent(self.pool.get()?))
    }
}

/// Says early what libpq without TLS would say on every connection.
fn refuse_tls(url: &str) -> Result<()> {
    let wanted = ["sslmode=require", "sslmode=verify-ca", "sslmode=verify-full"];
    if !cfg!(feature = "postgres-tls") && wanted.iter().any(|mode| url.contains(mode)) {
        let fix = "build it with --features postgres-tls (needs libssl-dev)";
        return Err(Error::Refused(format!("this keyroll cannot speak TLS to PostgreSQL: {fix}")));
    }
    Ok(())
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
}

struct Pooled {
    conn: Conn,
    /// Set by the first statement that finds the server gone: asking before each use costs a round trip.
    lost: Arc<AtomicBool>,
}

impl ManageConnection for Server {
    type Connection = Pooled;
    type Error = diesel::r2d2::Error;

    fn connect(&self) -> std::result::Result<Pooled, Self::Error> {
        let lost = Arc::new(AtomicBool::new(false));
        let mut connection = PgConnection::establish(&self.url).map_err(Self::Error::ConnectionError)?;
        connection.batch_execute(SETTINGS).map_err(Self::Error::QueryError)?;
        let flag = Arc::clone(&lost);
        connection.set_instrumentation(move |event: InstrumentationEvent<'_>| {
            if let InstrumentationEvent::FinishQuery { error: Some(Diesel::DatabaseError(kind, about)), .. } = event
                && is_lost(kind, about.message())
            {
                flag.store(true, Ordering::Relaxed);
            }
        });
        Ok(Pooled { conn: Conn::Postgres(connection), lost })
    }

    fn is_valid(&self, _: &mut Pooled) -> std::result::Result<(), Self::Error> {
        Ok(())
    }

    fn has_broken(&self, pooled: &mut Pooled) -> bool {
        pooled.lost.load(Ordering::Relaxed) || !pooled.conn.is_clean()
    }
}
