//! A session of PostgreSQL: how it is made, what its server must be, and when it is given up.

use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use diesel::connection::{Instrumentation, InstrumentationEvent, SimpleConnection, get_default_instrumentation};
use diesel::pg::PgConnection;
use diesel::r2d2::{HandleError, ManageConnection};
use diesel::sql_types::{BigInt, Bool, Integer, Text};
use diesel::{Connection, ConnectionError};

use super::connection::{Conn, ended};
use super::error::{Error, FOREIGN, Kind, OUTDATED, OVERTAKEN, Result, STANDBY};
use super::reach;
pub(super) use super::reach::connect;
use super::socket::{Socket, Sockets};
use super::steps;

/// What every session sets. Waiting ends as it does on SQLite, a node that hangs holds no lock for longer than
/// others wait for it, and changes wait for each other's rows, whatever the database's own default is. A commit is on disk, and on the
/// synchronous standby if there is one, before it is acknowledged. The rest says what our statements are like:
/// each walks along indexes to a few rows, whatever its values and however large the tables have become since
/// it was planned. So it is planned once, for any values, not read out of whole tables nor because a disk is expected
/// to move its head for each row, and not compiled. `enable_seqscan` cannot be left on: a table that was counted while it
/// held a dozen rows is read from end to end by what was planned then, and goes on being so when it has grown, until
/// it is counted anew (of 1 112 statements that the tests send, 654 are wrong in such a database; with no
/// statistics, and with those of 4 200 resources, none that matters). With bitmaps none of these reads more; they stay
/// off as long as the guard of the tests does not judge what is gathered in them.
/// Messages are in English, which `store::error` knows, if this role may say so.
const SETTINGS: &str = "SET lock_timeout = '10s'; SET idle_in_transaction_session_timeout = '5s'; \
     SET default_transaction_isolation = 'read committed'; \
     SELECT set_config('synchronous_commit', 'on', false) \
         WHERE current_setting('synchronous_commit') <> 'remote_apply'; \
     SET plan_cache_mode = force_generic_plan; SET enable_seqscan = off; SET enable_bitmapscan = off; \
     SET random_page_cost = 1.1; SET jit = off; \
     DO $$ BEGIN PERFORM set_config('lc_messages', 'C', false); \
         EXCEPTION WHEN insufficient_privilege OR invalid_parameter_value THEN NULL; END $$;";

/// What a look asks: whether it is a standby, its timeline (the first eight digits of the name of the log file
/// that it writes: no privilege is needed for that), and which transactions have ended; and what time it is there.
const LOOK: &str = "SELECT pg_is_in_recovery(), CASE WHEN pg_is_in_recovery() THEN '' \
     ELSE substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8) END, CAST(pg_current_snapshot() AS text), \
     CAST(extract(epoch FROM clock_timestamp()) * 1000 AS bigint)";

/// What the sessions of one installation know of each other.
pub(super) struct ServerState {
    /// Sessions that were made.
    pub(super) made: AtomicI64,
    /// How often a session was found lost.
    losses: AtomicI64,
    /// The losses before the newest session: with it the database is known to be there again.
    recovered: AtomicI64,
    /// The newest timeline of all that were met: whoever is on an older one was overtaken by another primary.
    timeline: AtomicI64,
    /// What the server's clock said at the last look, in milliseconds; 0 before the first.
    pub(super) told_millis: AtomicI64,
    /// Where they wait for their servers.
    sockets: Sockets,
}

/// How sessions are made and judged.
pub(super) struct Server {
    url: String,
    /// What its sessions set beside [`SETTINGS`].
    settings: &'static str,
    known: Arc<ServerState>,
    /// How often one of them could not write: all that are older may be as it was.
    given_up: Arc<AtomicI64>,
}

/// A session, and what became of it.
pub(super) struct Session {
    pub(super) conn: Conn,
    /// The process of the server that it is.
    pub(super) backend: i32,
    /// The losses before it was made: with one session all older ones are gone.
    made_at: i64,
    given_up_at: i64,
    timeline: i64,
    met: Arc<Met>,
    /// As long as there is the session, it can be ended from elsewhere.
    socket: Option<Arc<Socket>>,
}

/// What a session has met since it was last lent.
#[derive(Default)]
struct Met {
    /// Set by the first statement that finds the session of no use: asking before each use costs a round trip.
    is_over: AtomicBool,
    /// Whether a statement has failed: the transaction is lost.
    has_failed: AtomicBool,
    /// Whether COMMIT was sent: from then on only the server knows whether it was done.
    committing: AtomicBool,
    trouble: Mutex<Option<(Kind, String)>>,
}

impl Met {
    fn trouble(&self) -> MutexGuard<'_, Option<(Kind, String)>> {
        // Nothing that holds the lock can leave it half-changed.
        self.trouble.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How a piece of work on a session went wrong, by what the server said.
pub(super) struct Trouble {
    pub(super) kind: Kind,
    pub(super) text: String,
    /// Whether it may have been committed all the same.
    pub(super) may_be_done: bool,
}

impl Server {
    pub(super) fn new(url: &str) -> Server {
        let known = ServerState {
            made: AtomicI64::new(0),
            losses: AtomicI64::new(0),
            recovered: AtomicI64::new(0),
            timeline: AtomicI64::new(0),
            told_millis: AtomicI64::new(0),
            sockets: Sockets::default(),
        };
        Server { url: url.to_owned(), settings: "", known: Arc::new(known), given_up: Arc::default() }
    }

    /// Another group of sessions on the same server, which set something of their own.
    pub(super) fn beside(&self, settings: &'static str) -> Server {
        Server { url: self.url.clone(), settings, known: Arc::clone(&self.known), given_up: Arc::default() }
    }

    pub(super) fn known(&self) -> &Arc<ServerState> {
        &self.known
    }

    /// Makes a session on a primary. One that another has overtaken takes sessions as well: then each machine of the URL
    /// is asked by itself.
    pub(super) fn open(&self) -> Result<Session> {
        let overtaken = match self.open_at(&self.url) {
            Err(Error::Unavailable(why)) if why == OVERTAKEN => Error::Unavailable(why),
            done => return done,
        };
        reach::apart(&self.url).iter().find_map(|url| self.open_at(url).ok()).ok_or(overtaken)
    }

    fn open_at(&self, url: &str) -> Result<Session> {
        let (made_at, given_up_at) = (self.known.losses.load(Ordering::Acquire), self.given_up.load(Ordering::Acquire));
        let mut connection = connect(url)?;
        connection.batch_execute(&[SETTINGS, self.settings].concat())?;
        let met = Arc::new(Met::default());
        self.watch(&mut connection, made_at, Arc::clone(&met));
        let mut conn = Conn::from(connection);
        let backend = conn.load_sql::<Integer, i32>("SELECT pg_backend_pid()", &[])?.pop().unwrap_or_default();
        let socket = Socket::of(&mut conn).map(Arc::new);
        let mut session = Session { conn, backend, made_at, given_up_at, timeline: 0, met, socket };
        session.timeline = session.look(&self.known)?.0;
        session.socket.iter().for_each(|socket| self.known.sockets.add(session.timeline, socket));
        steps::check_running(&mut session.conn)?;
        self.known.made.fetch_add(1, Ordering::AcqRel);
        if self.known.recovered.fetch_max(made_at, Ordering::AcqRel) < made_at {
            log::info!("the database is there again");
        }
        Ok(session)
    }

    /// Notes what the statements of a session meet.
    fn watch(&self, connection: &mut PgConnection, made_at: i64, met: Arc<Met>) {
        let (known, given_up, noted) = (Arc::clone(&self.known), Arc::clone(&self.given_up), Arc::clone(&met));
        let note = move |error: &diesel::result::Error| {
            noted.has_failed.store(true, Ordering::Relaxed);
            let kind = Kind::of(error);
            match kind {
                Kind::Lost => {
                    noted.is_over.store(true, Ordering::Relaxed);
                    // Once for all that were made before it.
                    let first =
                        known.losses.compare_exchange(made_at, made_at + 1, Ordering::AcqRel, Ordering::Acquire);
                    if first.is_ok() {
                        let text = error.to_string();
                        let why = text.lines().next().unwrap_or_default();
                        log::warn!("sessions of the database were lost, and are made anew: {why}");
                    }
                }
                // What a session may do was decided when it began.
                Kind::ReadOnly if !noted.is_over.swap(true, Ordering::Relaxed) => {
                    given_up.fetch_add(1, Ordering::AcqRel);
                }
                Kind::Other => return,
                _ => {}
            }
            *noted.trouble() = Some((kind, error.to_string()));
        };
        // Whoever listens to all of the process's connections goes on being told.
        let mut listener = get_default_instrumentation();
        connection.set_instrumentation(move |event: InstrumentationEvent<'_>| {
            match &event {
                InstrumentationEvent::CommitTransaction { depth, .. } if depth.get() == 1 => {
                    met.committing.store(true, Ordering::Relaxed);
                }
                InstrumentationEvent::FinishQuery { error: Some(error), .. } => note(error),
                _ => {}
            }
            listener.on_connection_event(event);
        });
    }

    /// Asks something over a session that is kept for it. One that was ended by the server is made anew once; `begin` is
    /// done on each that is new.
    ///
    /// # Errors
    /// If there is no primary, or what the question gives.
    pub(super) fn ask_over<T>(
        &self,
        own: &mut Option<Session>,
        begin: impl Fn(&mut Session) -> Result<()>,
        ask: impl Fn(&mut Session) -> Result<T>,
    ) -> Result<T> {
        let mut again = true;
        loop {
            let mut session = match own.take().filter(|session| self.is_current(session)) {
                Some(session) => session,
                None => {
                    let mut session = self.open()?;
                    begin(&mut session)?;
                    session
                }
            };
            session.begin();
            match ask(&mut session) {
                Ok(told) => {
                    *own = Some(session);
                    return Ok(told);
                }
                Err(_) if again && session.trouble().is_some_and(|trouble| trouble.kind == Kind::Lost) => again = false,
                Err(error) => return Err(error),
            }
        }
    }

    /// Gives up every session that there is, if nothing can be done over them any more.
    pub(super) fn give_up(&self, session: &Session) {
        let losses = &self.known.losses;
        let made_at = session.made_at;
        if losses.compare_exchange(made_at, made_at + 1, Ordering::AcqRel, Ordering::Acquire).is_ok() {
            log::error!("{OUTDATED}");
        }
    }

    /// Whether a session that waits in a pool is still what it was.
    pub(super) fn is_current(&self, session: &Session) -> bool {
        session.made_at == self.known.losses.load(Ordering::Acquire)
            && session.given_up_at == self.given_up.load(Ordering::Acquire)
            && session.timeline == self.known.timeline.load(Ordering::Acquire)
    }
}

impl Session {
    /// What the server is now: its timeline, and how many of its transactions have ended.
    ///
    /// # Errors
    /// [`Error::Unavailable`] if it is a standby, or another primary has overtaken it.
    pub(super) fn look(&mut self, known: &ServerState) -> Result<(i64, i64)> {
        let found = self.conn.load_sql::<(Bool, Text, Text, BigInt), (bool, String, String, i64)>(LOOK, &[])?.pop();
        let (is_standby, timeline, snapshot, millis) =
            found.ok_or_else(|| Error::Unavailable("the database does not say what it is".to_owned()))?;
        if is_standby {
            self.met.is_over.store(true, Ordering::Relaxed);
            return Err(Error::Unavailable(STANDBY.to_owned()));
        }
        let unclear = || Error::Unavailable("the database does not say what it has seen".to_owned());
        let timeline = i64::from_str_radix(&timeline, 16).map_err(|_| unclear())?;
        let newest = known.timeline.fetch_max(timeline, Ordering::AcqRel);
        if newest < timeline {
            known.sockets.cut_before(timeline);
        }
        if newest > timeline {
            self.met.is_over.store(true, Ordering::Relaxed);
            return Err(Error::Unavailable(OVERTAKEN.to_owned()));
        }
        known.told_millis.store(millis, Ordering::Release);
        Ok((timeline, ended(&snapshot).ok_or_else(unclear)?))
    }

    /// Forgets what it has met: it was lent to somebody else.
    pub(super) fn begin(&mut self) {
        self.met.committing.store(false, Ordering::Relaxed);
        self.met.has_failed.store(false, Ordering::Relaxed);
        *self.met.trouble() = None;
    }

    /// What went wrong since then, if that was the server's doing.
    pub(super) fn trouble(&self) -> Option<Trouble> {
        let may_be_done = self.met.committing.load(Ordering::Relaxed);
        self.met.trouble().clone().map(|(kind, text)| Trouble { kind, text, may_be_done })
    }

    /// Whether one of its statements has failed since then.
    pub(super) fn has_failed(&self) -> bool {
        self.met.has_failed.load(Ordering::Relaxed)
    }

    /// Whether it is of no use any more.
    pub(super) fn is_over(&mut self) -> bool {
        self.met.is_over.load(Ordering::Relaxed) || !self.conn.is_clean()
    }
}

/// What a pool meets when it makes and lends sessions. Who asked for one is told, and a loss has a line of its own.
#[derive(Debug)]
pub(super) struct Quiet;

impl HandleError<diesel::r2d2::Error> for Quiet {
    fn handle_error(&self, error: diesel::r2d2::Error) {
        log::debug!("a session cannot be lent: {error}");
    }
}

impl ManageConnection for Server {
    type Connection = Session;
    type Error = diesel::r2d2::Error;

    fn connect(&self) -> std::result::Result<Session, Self::Error> {
        let failed = |error: Error| ConnectionError::BadConnection(error.to_string());
        self.open().map_err(|error| Self::Error::ConnectionError(failed(error)))
    }

    fn is_valid(&self, session: &mut Session) -> std::result::Result<(), Self::Error> {
        if self.is_current(session) {
            return Ok(());
        }
        Err(Self::Error::ConnectionError(ConnectionError::BadConnection("lost with others".to_owned())))
    }

    fn has_broken(&self, session: &mut Session) -> bool {
        session.is_over()
    }
}

/// Notes whether this role's sessions get messages that `store::error` knows.
pub(super) fn learn_language(conn: &mut Conn) -> Result<()> {
    conn.batch(SETTINGS)?;
    let language = conn.load_sql::<Text, String>("SHOW lc_messages", &[])?.pop().unwrap_or_default();
    let is_known = language.is_empty() || ["C", "POSIX", "en"].iter().any(|known| language.starts_with(known));
    if !is_known {
        FOREIGN.store(true, Ordering::Relaxed);
        log::warn!(
            "the database speaks {language}, and this role may not choose: refusals are told apart less well. \
             Fix it as a superuser: ALTER ROLE … SET lc_messages = 'C'"
        );
    }
    Ok(())
}
