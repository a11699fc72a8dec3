//! Rows ↔ domain, on SQLite and PostgreSQL. No rules: what may happen is the service's to say.
//!
//! Every function takes a connection and then the tenant. Without a tenant there are only:
//! `tenants::all`, `tenants::by_name`, `credentials::holder`, `credentials::holder_or_other`, `log::heads` and `log::forked`; backups
//! (`archive`) hold the rows of all, and `statistics` counts them.
//!
//! A [`Store`] lends connections: [`Store::read`] for reads, [`Store::write_for`] for work in a transaction. All writes of
//! a tenant go through one writer that commits waiting ones together; on PostgreSQL their rows wait too, and are written
//! in few statements. Inside, both databases look the same.

pub mod access_facts;
pub mod ahead;
mod anchor;
pub mod archive;
pub mod candidates;
pub mod catalogue;
pub mod connection;
pub mod connections;
pub mod credentials;
pub mod cursors;
mod db;
mod error;
pub mod external_ids;
pub mod facts;
mod file;
mod filter;
mod gather;
pub mod history;
pub mod index;
pub mod installation;
mod interest;
pub mod leases;
pub mod log;
mod looks;
pub mod members;
mod migrate;
mod monotonic;
mod nesting;
pub mod nodes;
pub mod outage;
mod place;
mod postgres;
pub mod principals;
mod pulse;
mod reach;
pub mod references;
mod rehearse;
pub mod resources;
mod risks;
mod row;
pub mod schema;
pub mod search;
mod server;
mod session;
mod socket;
mod sqlite;
mod staged;
mod staging;
mod standby;
mod statement;
pub mod statistics;
mod steps;
mod swap;
pub mod sweep;
pub mod tenants;
pub mod types;
pub mod unique;
mod wal_index;
mod write_back;
mod writer;
pub mod writes;

use std::fmt;
use std::sync::Arc;

use chrono::{DateTime, Utc};

pub use connection::{Conn, data_version, snapshot};
pub use db::Db;
pub use error::{Error, Result};
pub use interest::Interest;
pub use staged::Foreseen;
pub use types::ResourceKey;

use self::resources::Seen;
use crate::domain::{Id, TenantKey};

/// Where the database is.
#[derive(Clone, Debug)]
pub struct Settings {
    /// `sqlite:<path>` or `postgres://…`.
    pub url: String,
    /// How many connections for reads are kept open.
    pub readers: u32,
}

/// A database. Clones are the same store; with the last one its connections end, after what was accepted.
#[derive(Clone)]
pub struct Store {
    database: Database,
}

#[derive(Clone)]
enum Database {
    Sqlite(Arc<sqlite::Sqlite>),
    Postgres(Arc<postgres::Postgres>),
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.is_embedded() { "Store(sqlite)" } else { "Store(postgres)" })
    }
}

impl Store {
    /// Connects, and makes or migrates the tables. Several processes may do so at once.
    ///
    /// # Errors
    /// [`Error::Refused`] if the store cannot start, with what to do about it.
    pub fn open(settings: &Settings) -> Result<Store> {
        Store::open_as(settings, None)
    }

    /// The same, of this installation and no other: a database that does not hold it is refused before anything in
    /// it is changed.
    ///
    /// # Errors
    /// [`Error::Refused`] if the store cannot start, with what to do about it.
    pub fn open_as(settings: &Settings, installation: Option<Id>) -> Result<Store> {
        let url = settings.url.as_str();
        let database = if let Some(path) = url.strip_prefix("sqlite:") {
            Database::Sqlite(Arc::new(sqlite::Sqlite::open(path, settings.readers, installation)?))
        } else if url.starts_with("postgres://") || url.starts_with("postgresql://") {
            Database::Postgres(Arc::new(postgres::Postgres::open(url, settings.readers, installation)?))
        } else {
            // The text may hold a password: it is not repeated.
            return Err(Error::Refused("the database URL must be sqlite:<path> or postgres://…".to_owned()));
        };
        Ok(Store { database })
    }

    /// Refuses a database that holds no installation, and makes and changes nothing there. `installation` is the one
    /// that should be in it, as far as that is known.
    ///
    /// # Errors
    /// [`Error::Refused`] with what may have happened and what to do.
    pub fn must_be_in(settings: &Settings, installation: Option<Id>) -> Result<()> {
        let url = settings.url.as_str();
        let lack = match url.strip_prefix("sqlite:") {
            Some(path) => sqlite::lack(path)?,
            None => postgres::lack(url)?,
        };
        let Some(lack) = lack else { return Ok(()) };
        installation::refuse_nothing(installation)?;
        Err(Error::Refused(format!("{lack}: run keyroll init, or keyroll serve")))
    }

    /// Runs reads, each by itself; [`snapshot`] makes several agree. If their session ends under them, they are
    /// run again on another.
    ///
    /// # Errors
    /// What the work gives; [`Error::Unavailable`] if no connection can be had.
    pub fn read<T, E: From<Error>>(&self, work: impl Fn(&mut Conn) -> Result<T, E>) -> Result<T, E> {
        self.read_for(&Interest::default(), work)
    }

    /// The same for somebody who may stop waiting: then what it reads is ended.
    ///
    /// # Errors
    /// As [`Store::read`]; [`Error::TooLong`] if nobody waits any more.
    pub fn read_for<T, E: From<Error>>(
        &self,
        interest: &Interest,
        work: impl Fn(&mut Conn) -> Result<T, E>,
    ) -> Result<T, E> {
        interest.check()?;
        match &self.database {
            Database::Sqlite(sqlite) => sqlite.read(work),
            Database::Postgres(postgres) => postgres.read(interest, work),
        }
    }

    /// Runs work in one transaction that is committed before this returns; an error or a panic undoes it. It is run again
    /// if it certainly was not kept and another try may succeed. It may share the transaction with others' work.
    ///
    /// # Errors
    /// What the work gives; [`Error::Unavailable`] if it could not be begun or committed;
    /// [`Error::Panicked`] if it panicked.
    pub fn write<T, E>(&self, work: impl Fn(&mut Conn) -> Result<T, E> + Send + 'static) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<Error> + Send + 'static,
    {
        self.writer().write(None, vec![], work)
    }

    /// The same for work that locks a tenant's log: it takes turns with other such work, and waits for no other tenant's.
    /// What it will look up may be read with what others will, by [`ahead::read`].
    ///
    /// # Errors
    /// As [`Store::write`].
    pub fn write_for<T, E>(
        &self,
        tenant: TenantKey,
        foreseen: Vec<Foreseen>,
        work: impl Fn(&mut Conn) -> Result<T, E> + Send + 'static,
    ) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<Error> + Send + 'static,
    {
        self.writer().write(Some(tenant), foreseen, work)
    }

    /// The same for several pieces of work, each of which succeeds or fails by itself.
    pub fn write_each<T, E, F>(&self, tenant: TenantKey, work: Vec<(Vec<Foreseen>, F)>) -> Vec<Result<T, E>>
    where
        T: Send + 'static,
        E: From<Error> + Send + 'static,
        F: Fn(&mut Conn) -> Result<T, E> + Send + 'static,
    {
        self.writer().write_each(Some(tenant), work)
    }

    fn writer(&self) -> &writer::Writer {
        match &self.database {
            Database::Sqlite(sqlite) => sqlite.writer(),
            Database::Postgres(postgres) => postgres.writer(),
        }
    }

    /// Whether writes are kept, else why not: what the last of them has learned, or a probe that leaves nothing
    /// behind. It may wait as long as a write may.
    ///
    /// # Errors
    /// A sentence for people.
    pub fn writable(&self) -> Result<(), &'static str> {
        match &self.database {
            Database::Sqlite(sqlite) => sqlite.writable(),
            Database::Postgres(postgres) => postgres.writable(),
        }
    }

    /// Puts what the embedded database's log holds back into its file, as far as nobody reads around it, so that a
    /// copy of the file alone is no older than this. It keeps nobody waiting. Gives whether there was anything to do;
    /// a database server looks after its own.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn write_back(&self) -> Result<bool> {
        match &self.database {
            Database::Sqlite(sqlite) => sqlite.write_back(),
            Database::Postgres(_) => Ok(false),
        }
    }

    /// Has the database count its rows, as far as it plans by such counts. It keeps nobody waiting.
    ///
    /// # Errors
    /// If it cannot be done now.
    pub fn analyze(&self) -> Result<()> {
        match &self.database {
            Database::Sqlite(sqlite) => sqlite.writer().write(None, vec![], statistics::optimize),
            // Not by a writer: whoever waits for that would wait for all of it.
            Database::Postgres(postgres) => postgres.read(&Interest::default(), statistics::analyze),
        }
    }

    /// From now on nothing is acknowledged that no synchronous standby has: without one, writes fail.
    ///
    /// # Errors
    /// [`Error::Refused`] on the embedded database, which has none.
    pub fn insist_on_standby(&self) -> Result<()> {
        match &self.database {
            Database::Sqlite(_) => {
                Err(Error::Refused("--require-synchronous-standby needs a database URL postgres://…".to_owned()))
            }
            Database::Postgres(postgres) => {
                postgres.insist_on_standby();
                Ok(())
            }
        }
    }

    /// Makes sure that a commit moves [`Store::data_version`], by one that changes nothing. If nothing can be
    /// committed now, that is for [`Store::writable`] to tell.
    ///
    /// # Errors
    /// [`Error::Refused`] if it does not: what is remembered would hold for ever.
    pub fn check_clock(&self) -> Result<()> {
        match &self.database {
            Database::Sqlite(_) => Ok(()),
            Database::Postgres(postgres) => postgres.check_clock(),
        }
    }

    /// What an operator should know of a database that may lose what it has acknowledged.
    pub fn warnings(&self) -> Vec<&'static str> {
        match &self.database {
            Database::Sqlite(_) => vec![],
            Database::Postgres(postgres) => postgres.warnings(),
        }
    }

    /// Looks again at what [`Store::warnings`] tells, if that was long ago. It may wait as long as a read does.
    pub fn renew_warnings(&self) {
        match &self.database {
            Database::Sqlite(_) => {}
            Database::Postgres(postgres) => postgres.renew_warnings(),
        }
    }

    /// Whether the database is part of this process, so that short reads need no thread of their own.
    pub fn is_embedded(&self) -> bool {
        matches!(&self.database, Database::Sqlite(_))
    }

    /// Makes this process a node among others, which know of it from now on; the embedded database has no others.
    ///
    /// # Errors
    /// If the database cannot be written.
    pub fn join(&self, own: nodes::Member) -> Result<()> {
        match &self.database {
            Database::Sqlite(_) => Ok(()),
            Database::Postgres(postgres) => postgres.join(own),
        }
    }

    /// Lets the other nodes be asked how far they have come, with the next beat; gives the number of the question.
    pub fn ask_nodes(&self) -> u64 {
        self.pulse().map_or(0, pulse::Pulse::ask)
    }

    /// Looks what nodes there are and how far each has come, and tells them as much of this one. `then` is given it,
    /// perhaps on another thread, where it hands it on and does nothing else. Where this process is no node, or alone
    /// on the embedded database, there is nobody.
    pub fn tell_nodes(&self, then: impl FnOnce(Result<Option<Arc<nodes::Beat>>>) + Send + 'static) {
        match self.pulse() {
            Some(pulse) => pulse.tell(move |told| then(told.map(Some))),
            None => then(Ok(None)),
        }
    }

    /// A resource of a tenant with its groups, as a connection sees it, read together with those that others ask for at the
    /// same time. `None` where that is no gain: the embedded database.
    ///
    /// # Errors
    /// If the database cannot be read.
    pub fn seen_together(&self, tenant: TenantKey, connection: Option<i64>, id: Id) -> Result<Option<Option<Seen>>> {
        match &self.database {
            Database::Sqlite(_) => Ok(None),
            Database::Postgres(postgres) => postgres.seen((tenant, connection, id)).map(Some),
        }
    }

    fn pulse(&self) -> Option<&pulse::Pulse> {
        match &self.database {
            Database::Sqlite(_) => None,
            Database::Postgres(postgres) => postgres.pulse(),
        }
    }

    /// What a database server's clock said when it was last asked for its state; the embedded database has this
    /// process's own.
    pub fn told_time(&self) -> Option<DateTime<Utc>> {
        match &self.database {
            Database::Sqlite(_) => None,
            Database::Postgres(postgres) => postgres.told_time(),
        }
    }

    /// A number that is greater after any commit by anybody, other processes included; numbers of one store
    /// can be compared. On PostgreSQL every transaction of the server counts, that of another database too.
    ///
    /// # Errors
    /// If the database cannot be read.
    pub fn data_version(&self) -> Result<i64> {
        match &self.database {
            Database::Sqlite(sqlite) => sqlite.data_version(),
            Database::Postgres(postgres) => postgres.looks().wait(),
        }
    }

    /// The same for who must not wait: `then` is given the number, perhaps on another thread, where it hands it
    /// on and does nothing else.
    pub fn tell_data_version(&self, then: impl FnOnce(Result<i64>) + Send + 'static) {
        match &self.database {
            Database::Sqlite(sqlite) => then(sqlite.data_version()),
            Database::Postgres(postgres) => postgres.looks().tell(then),
        }
    }
}
