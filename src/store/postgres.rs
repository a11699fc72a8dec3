//! PostgreSQL: pools of sessions, and work that is done again on another one.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::Ordering;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use chrono::{DateTime, Utc};
use diesel::r2d2::Pool;
use diesel::sql_types::Bool;

use super::connection::{Bind, Conn};
use super::error::{Error, Kind, Result};
use super::gather::Gather;
use super::interest::{Cancels, Interest};
use super::looks::Looks;
use super::nodes::Member;
use super::pulse::Pulse;
use super::resources::{self, Seen};
use super::risks::Risks;
use super::session::{self, Quiet, Server, Session};
use super::writer::{OnServer, Rounds, Writer};
use super::{installation, migrate, rehearse, server};
use crate::domain::{Id, TenantKey};

/// Writers, each with a session: so many tenants write at once.
const WRITERS: u32 = 8;

/// Sessions for reads, at least.
const READERS: u32 = 8;

/// Room for the transactions of a server's life: a million each second for a month.
const ENDED_BITS: u32 = 42;

/// How long a request waits for a session before it is answered with 503.
const WAIT: Duration = Duration::from_secs(5);

/// What a session for reads sets beside: a request is given no longer than this (design §5). Not one for writes:
/// a commit that waits for a standby and is ended counts as done.
const READING: &str = "SET statement_timeout = '30s';";

/// A resource that somebody asks for: its tenant, the connection that asks, and its id.
type Wanted = (TenantKey, Option<i64>, Id);

pub(super) struct Postgres {
    readers: Pool<Server>,
    /// With sessions of their own, so that writes that wait for each other keep no look-up waiting.
    writer: Writer,
    rounds: Arc<OnServer>,
    /// Over a session of its own: every request begins with a look.
    looks: Looks<i64>,
    /// Resources that are asked for at the same time.
    seen: Gather<Wanted, Option<Seen>>,
    /// Over a session of its own: those that read are busy.
    cancels: Cancels,
    /// Where this process is a node among others: see [`Postgres::join`].
    pulse: OnceLock<Pulse>,
    server: Server,
    risks: Risks,
}

impl Postgres {
    pub(super) fn open(url: &str, readers: u32, expected: Option<Id>) -> Result<Postgres> {
        refuse_tls(url)?;
        let url = &with_defaults(url);
        let mut connection = Conn::from(session::connect(url)?);
        server::check(&mut connection, url)?;
        session::learn_language(&mut connection)?;
        let risks = Risks::new(server::warnings(&mut connection)?);
        installation::check(&mut connection, expected)?;
        migrate::run(&mut connection)?;
        let server = Server::new(url);
        let pool = |size: u32, settings| {
            let builder = Pool::builder().max_size(size).min_idle(Some(0)).connection_timeout(WAIT);
            builder.error_handler(Box::new(Quiet)).build(server.beside(settings))
        };
        let (readers, writers) = (pool(readers.max(READERS), READING)?, pool(WRITERS, "")?);
        let own = pool(1, "")?;
        let cancels = Cancels::start(move |backend| {
            // A session of the same role, so that it may.
            let binds = [Bind::Int(backend.into())];
            let mut session = own.get()?;
            session.conn.load_sql::<Bool, bool>("SELECT pg_cancel_backend(CAST(? AS integer))", &binds).map(|_| ())
        })?;
        let looking = server.beside("");
        let looks = Looks::start(move || {
            let (server, mut own) = (looking.beside(""), None);
            Box::new(move || look(&server, &mut own))
        })?;
        let rounds = Arc::new(OnServer::new(writers));
        let writer = Writer::start((0..WRITERS).map(|_| Box::new(Arc::clone(&rounds)) as Box<dyn Rounds>).collect())?;
        let pulse = OnceLock::new();
        Ok(Postgres { readers, writer, rounds, looks, seen: Gather::default(), cancels, pulse, server, risks })
    }

    /// See [`super::Store::read`]. A session that the server ended meanwhile is no reason to fail.
    pub(super) fn read<T, E: From<Error>>(
        &self,
        interest: &Interest,
        work: impl Fn(&mut Conn) -> Result<T, E>,
    ) -> Result<T, E> {
        let mut again = true;
        loop {
            let mut session = self.readers.get().map_err(Error::from)?;
            session.begin();
            let reading = interest.enter(session.backend, &self.cancels)?;
            let outcome = work(&mut session.conn);
            drop(reading);
            let is_lost = outcome.is_err() && session.trouble().is_some_and(|trouble| trouble.kind == Kind::Lost);
            if !(is_lost && again) {
                return outcome;
            }
            again = false;
        }
    }

    /// See [`super::Store::seen_together`].
    pub(super) fn seen(&self, wanted: Wanted) -> Result<Option<Seen>> {
        self.seen.get(wanted, |all| self.read_seen(all))
    }

    /// What several ask for, in their order.
    fn read_seen(&self, wanted: &[Wanted]) -> Result<Vec<Option<Seen>>> {
        let mut by_caller: BTreeMap<(i64, Option<i64>), Vec<Id>> = BTreeMap::new();
        for (tenant, connection, id) in wanted {
            by_caller.entry((tenant.0, *connection)).or_default().push(*id);
        }
        // Whoever stops waiting takes nothing from the others.
        let found = self.read(&Interest::default(), |conn| -> Result<_> {
            let mut found = HashMap::with_capacity(wanted.len());
            for (&(tenant, connection), ids) in &by_caller {
                let seen = resources::seen(conn, TenantKey(tenant), connection, ids)?;
                found.extend(seen.into_iter().map(|one| ((tenant, connection, one.view.resource.id), one)));
            }
            Ok(found)
        })?;
        // Two may ask for the same one.
        Ok(wanted.iter().map(|(tenant, connection, id)| found.get(&(tenant.0, *connection, *id)).cloned()).collect())
    }

    /// See [`super::Store::write_for`].
    pub(super) fn writer(&self) -> &Writer {
        &self.writer
    }

    /// A write of this store's own.
    fn write<T: Send + 'static>(&self, work: impl Fn(&mut Conn) -> Result<T> + Send + 'static) -> Result<T> {
        self.writer.write(None, vec![], work)
    }

    /// See [`super::Store::data_version`].
    pub(super) fn looks(&self) -> &Looks<i64> {
        &self.looks
    }

    /// See [`super::Store::join`].
    pub(super) fn join(&self, own: Member) -> Result<()> {
        let pulse = Pulse::start(&self.server, own)?;
        // Whoever joins twice is one node all the same.
        drop(self.pulse.set(pulse));
        Ok(())
    }

    /// See [`super::Store::tell_nodes`].
    pub(super) fn pulse(&self) -> Option<&Pulse> {
        self.pulse.get()
    }

    /// See [`super::Store::told_time`].
    pub(super) fn told_time(&self) -> Option<DateTime<Utc>> {
        let millis = self.server.known().told_millis.load(Ordering::Acquire);
        DateTime::from_timestamp_millis(millis).filter(|_| millis != 0)
    }

    /// See [`super::Store::writable`].
    pub(super) fn writable(&self) -> Result<(), &'static str> {
        let lacked_space = self.rounds.writes.lacks_space();
        self.rounds.writes.ask(|| {
            self.rehearse()?;
            if lacked_space { self.write(rehearse::on_disk) } else { Ok(()) }
        })
    }

    /// A write that changes nothing.
    fn rehearse(&self) -> Result<()> {
        match self.write(rehearse::on_tables)? {
            Some(log) => self.write(move |conn| rehearse::on_log(conn, log)),
            None => Ok(()),
        }
    }

    /// See [`super::Store::check_clock`].
    pub(super) fn check_clock(&self) -> Result<()> {
        let before = self.looks.wait();
        if let Err(error) = self.rehearse() {
            log::warn!("the database keeps no writes now: {error}");
            return Ok(());
        }
        // Of the server's number alone: that of sessions grows with the one that has written.
        let ended = |number: i64| number & ((1 << ENDED_BITS) - 1);
        if ended(self.looks.wait()?) > ended(before?) {
            return Ok(());
        }
        let fix = "use PostgreSQL itself, 13 or newer";
        Err(Error::Refused(format!("a commit does not move pg_current_snapshot(), so none can be followed: {fix}")))
    }

    /// See [`super::Store::insist_on_standby`].
    pub(super) fn insist_on_standby(&self) {
        self.rounds.insists.store(true, Ordering::Relaxed);
    }

    /// See [`super::Store::warnings`].
    pub(super) fn warnings(&self) -> Vec<&'static str> {
        self.risks.warnings()
    }

    /// See [`super::Store::renew_warnings`].
    pub(super) fn renew_warnings(&self) {
        self.risks.refresh(|| self.read(&Interest::default(), server::warnings));
    }
}

/// Asks the server what it is and how far it has come, over a session of its own.
fn look(server: &Server, own: &mut Option<Session>) -> Result<i64> {
    let shared =
        |session: &mut Session| Ok(session.conn.batch(&format!("SELECT pg_advisory_lock_shared({RUNNING})"))?);
    let (_, ended) = server.ask_over(own, shared, |session| session.look(server.known()))?;
    // A server that crashed may count from an earlier number again, but over new sessions.
    let made = server.known().made.load(Ordering::Acquire);
    Ok((made << ENDED_BITS).saturating_add(ended))
}

/// The advisory lock that every server and command holds, and that whoever puts a backup in place holds alone:
/// "keyrunni" in ASCII.
const RUNNING: &str = "7739837627836691049";

/// A connection to a database that nobody else has open, and that nobody else opens until it ends.
///
/// # Errors
/// [`Error::Refused`] if a server or a command has it open.
pub(super) fn alone(url: &str) -> Result<Conn> {
    refuse_tls(url)?;
    let mut conn = Conn::from(session::connect(&with_defaults(url))?);
    let locked = conn.load_sql::<Bool, bool>(&format!("SELECT pg_try_advisory_lock({RUNNING})"), &[])?;
    if locked == [true] { Ok(conn) } else { Err(Error::Refused(super::swap::IN_USE.to_owned())) }
}

/// What is there instead of an installation; `None` if it is there.
///
/// # Errors
/// If there is no primary at the URL.
pub(super) fn lack(url: &str) -> Result<Option<String>> {
    refuse_tls(url)?;
    let has_tables = installation::has_tables(&mut Conn::from(session::connect(&with_defaults(url))?))?;
    Ok((!has_tables).then(|| "the database holds no installation".to_owned()))
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

/// What holds unless the URL says otherwise. How long a server that is gone without a word is waited for: libpq
/// would wait for a quarter of an hour, and longer on a connection on which nothing is under way (of no effect on
/// a socket of this machine). And of several hosts, only one that is a primary is asked.
const DEFAULTS: [(&str, &str); 7] = [
    ("connect_timeout", "5"),
    ("tcp_user_timeout", "10000"),
    ("keepalives_idle", "10"),
    ("keepalives_interval", "5"),
    ("keepalives_count", "3"),
    ("target_session_attrs", "primary"),
    // Whoever was refused by one finds the others.
    ("load_balance_hosts", "random"),
];

/// The URL with what it does not say itself about [`DEFAULTS`].
fn with_defaults(url: &str) -> String {
    let query = url.split_once('?').map_or("", |(_, query)| query);
    let says = |name: &str| query.split('&').any(|one| one.split('=').next() == Some(name));
    let mut full = url.to_owned();
    for (name, value) in DEFAULTS.into_iter().filter(|(name, _)| !says(name)) {
        full.push_str(if full.contains('?') { "&" } else { "?" });
        full.extend([name, "=", value]);
    }
    full
}

#[cfg(test)]
mod tests {
    use super::with_defaults;

    #[test]
    fn a_url_keeps_what_it_says_itself() {
        let all = "connect_timeout=5&tcp_user_timeout=10000&keepalives_idle=10&keepalives_interval=5\
                   &keepalives_count=3&target_session_attrs=primary&load_balance_hosts=random";
        assert_eq!(with_defaults("postgres://h,i/k"), format!("postgres://h,i/k?{all}"));
        let own = "postgres://h/k?connect_timeout=2&user=x&keepalives_idle=60&target_session_attrs=any";
        let rest = "tcp_user_timeout=10000&keepalives_interval=5&keepalives_count=3&load_balance_hosts=random";
        assert_eq!(with_defaults(own), format!("{own}&{rest}"));
    }
}
