//! The use cases: authorize → validate → change → record, in one transaction.
//!
//! [`Service`] has a method for each operation; every other step is a function, named by the path of its room.
//!
//! Synchronous throughout; the one door for changes is `change::perform`. HTTP and the command line
//! call the same functions.

mod access;
pub mod apply;
pub mod authzen;
pub mod backup;
pub mod body;
pub mod caller;
pub mod catalogue;
mod change;
mod clocks;
pub mod conditions;
mod cursor;
pub mod dead;
pub mod directory;
mod document;
pub mod error;
mod impact;
mod installation;
mod intact;
pub mod keys;
pub mod log;
mod memory;
pub mod nodes;
pub mod noted;
mod readiness;
pub mod reports;
pub mod request;
pub mod runtime;
mod sealed;
pub mod signing;
pub mod tenants;
pub mod work;

use std::path::PathBuf;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use chrono::{DateTime, Utc};

pub use self::caller::authorize::authorize;
pub use self::change::Change;
pub(crate) use self::change::perform::Work;
pub use self::error::Error;
pub use self::memory::{Cached, CommitVersion};
pub use self::readiness::{Readiness, ReadyStatus, Trouble};
use crate::domain::clock::{Clock, Entropy};
use crate::domain::log::RequestRef;
use crate::domain::principal::PrincipalKind;
use crate::domain::secret::Keyring;
use crate::domain::{Caller, Id};
use crate::scim;
pub use crate::store::Interest;
pub use crate::store::writes::ENDLESS;
use crate::store::{self, Conn, Store};

/// What the service needs to know; plain values, whatever they were read from.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The folder of `root.key` and of the embedded database.
    pub data_dir: PathBuf,
    /// `sqlite:<path>` or `postgres://…`.
    pub database_url: String,
    /// Whether nothing may be acknowledged that no synchronous standby of PostgreSQL has.
    pub require_synchronous_standby: bool,
    /// Read connections.
    pub readers: u32,
    /// The base of every URL that is given out, without a slash at its end.
    pub public_url: String,
    /// The limits that discovery advertises and requests are held to.
    pub limits: Limits,
}

/// Limits of requests (design §5).
#[derive(Clone, Debug)]
pub struct Limits {
    /// A request body, in bytes.
    pub body_bytes_max: usize,
    /// One text in a resource, in bytes.
    pub text_bytes_max: usize,
    /// Operations in a Bulk request.
    pub bulk_operations_max: usize,
    /// Resources in one page.
    pub page_size_max: usize,
    /// Resources in a page when none is asked for.
    pub page_size_default: usize,
    /// How long a cursor stays valid, in seconds.
    pub cursor_timeout_seconds: i64,
    /// SCIM requests of one connection per minute; `None` is no limit.
    pub requests_per_minute: Option<u32>,
    /// How long superseded documents are kept, in days.
    pub history_days: i64,
    /// How far this node's clock may be from the database server's, in seconds; `None` is no limit.
    pub clock_skew_seconds_max: Option<i64>,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            body_bytes_max: 16 << 20,
            text_bytes_max: scim::tolerance::TEXT_BYTES_MAX,
            bulk_operations_max: 1_000,
            page_size_max: 1_000,
            page_size_default: 100,
            cursor_timeout_seconds: 3_600,
            requests_per_minute: Some(6_000),
            history_days: 400,
            clock_skew_seconds_max: Some(60),
        }
    }
}

/// Who asks, in which request.
#[derive(Clone, Debug)]
pub struct Context {
    /// Who asks.
    pub caller: Caller,
    /// The request, for the log.
    pub request: RequestRef,
    /// What it came to, for the server's own log.
    pub noted: Arc<noted::Noted>,
    /// The commit up to which this request has seen what is remembered.
    seen: Option<memory::Stamp>,
}

impl Context {
    /// A request that has seen nothing yet.
    pub fn new(caller: Caller, request: RequestRef) -> Context {
        Context { caller, request, noted: Arc::default(), seen: None }
    }
}

/// The server without its HTTP: cheap to clone.
#[derive(Clone)]
pub struct Service {
    inner: Arc<Inner>,
    /// See [`Service::at_commit`].
    commit: Option<CommitVersion>,
    /// Whether anybody waits for the answer.
    interest: Interest,
    /// See [`Service::in_turn`].
    turn: Option<directory::search::Turn>,
}

struct Inner {
    settings: Settings,
    scim_base_url: String,
    store: Store,
    keyring: Keyring,
    signing_key: signing::SigningKey,
    clock: Arc<dyn Clock>,
    clocks: clocks::Clocks,
    entropy: Arc<dyn Entropy>,
    rate: caller::rate::Limiter,
    turns: directory::search::Turns,
    refusals: change::refusals::Refusals,
    /// Whether reads fail, as the server's log tells of it.
    unread: store::outage::Outage,
    /// Whether first uses of keys cannot be written down, likewise.
    unmarked: store::outage::Outage,
    cache: memory::Cache,
    policies: access::policy::Policies,
    snapshots: catalogue::snapshot::Snapshots,
    standing: caller::standing::Standing,
    /// What this process is called among others, once it is one of them.
    node: OnceLock<Id>,
    /// Whether the last beat has found nobody else.
    is_alone: AtomicBool,
}

impl Service {
    /// Opens the data folder and the database, migrating it if it is older.
    ///
    /// # Errors
    /// If the folder, its keys or the database cannot be opened or do not belong together.
    pub fn open(settings: Settings, clock: Arc<dyn Clock>, entropy: Arc<dyn Entropy>) -> Result<Service, Error> {
        let database = store::Settings { url: settings.database_url.clone(), readers: settings.readers };
        installation::check_key_is_there(&settings.data_dir, &database)?;
        let root = installation::RootKey::open(&settings.data_dir, entropy.as_ref())?;
        let store = Store::open_as(&database, root.installation)?;
        if settings.require_synchronous_standby {
            store.insist_on_standby()?;
        }
        let (keyring, data_dir, id) = (root.keyring(), settings.data_dir.clone(), root.id(entropy.as_ref())?);
        let ring = keyring.clone();
        let id = match store.read(|conn| installation::known_root(conn, &ring, &data_dir))? {
            Some(known) => known,
            None => store.write(move |conn| installation::check_root(conn, &ring, &id, &data_dir))?,
        };
        root.keep(id, &settings.data_dir)?;
        let signing_key = installation::open_signing_key(&store, &settings.data_dir, entropy.as_ref())?;
        let rate = caller::rate::Limiter::new(settings.limits.requests_per_minute);
        let inner = Inner {
            scim_base_url: format!("{}/scim/v2", settings.public_url),
            settings,
            store,
            keyring,
            signing_key,
            clocks: clocks::Clocks::new(clock.as_ref()),
            clock,
            entropy,
            rate,
            turns: directory::search::Turns::default(),
            refusals: change::refusals::Refusals::default(),
            unread: store::outage::Outage::new("reads"),
            unmarked: store::outage::Outage::new("first uses of keys"),
            cache: memory::Cache::default(),
            policies: access::policy::Policies::default(),
            snapshots: catalogue::snapshot::Snapshots::default(),
            standing: caller::standing::Standing::default(),
            node: OnceLock::new(),
            is_alone: AtomicBool::new(false),
        };
        let interest = Interest::default();
        let service = Service { inner: Arc::new(inner), commit: None, interest, turn: None };
        tenants::init::map_direct_grants(&service)?;
        Ok(service)
    }

    /// The same if there is an installation: who only asks, or changes what is there, makes none.
    ///
    /// # Errors
    /// As [`Service::open`].
    pub fn open_present(
        settings: Settings,
        clock: Arc<dyn Clock>,
        entropy: Arc<dyn Entropy>,
    ) -> Result<Service, Error> {
        let database = store::Settings { url: settings.database_url.clone(), readers: settings.readers };
        Store::must_be_in(&database, installation::expected(&settings.data_dir)?)?;
        Service::open(settings, clock, entropy)
    }

    /// The settings that it was opened with.
    pub fn settings(&self) -> &Settings {
        &self.inner.settings
    }

    /// Whether the database is embedded, so that short reads need no other thread.
    pub fn is_embedded(&self) -> bool {
        self.inner.store.is_embedded()
    }

    /// This service for somebody who may stop waiting for the answer.
    pub fn attended(&self, interest: Interest) -> Service {
        Service { interest, ..self.clone() }
    }

    /// The base of SCIM's URLs: `https://keyroll.example/scim/v2`.
    pub fn scim_base_url(&self) -> &str {
        &self.inner.scim_base_url
    }

    pub(crate) fn now(&self) -> DateTime<Utc> {
        self.inner.clock.now()
    }

    /// The time since some moment, by a clock that nobody sets.
    pub fn monotonic(&self) -> Duration {
        self.inner.clock.monotonic()
    }

    /// A new id, for a request.
    pub fn mint(&self) -> Id {
        Id::mint(self.now(), self.entropy())
    }

    pub(crate) fn entropy(&self) -> &dyn Entropy {
        self.inner.entropy.as_ref()
    }

    pub(crate) fn keyring(&self) -> &Keyring {
        &self.inner.keyring
    }

    pub(crate) fn read<T>(&self, f: impl Fn(&mut Conn) -> Result<T, Error>) -> Result<T, Error> {
        self.inner.store.read_for(&self.interest, f)
    }
}

/// The resource types of this build.
pub fn registry() -> &'static scim::schema::Registry {
    scim::schema::registry()
}

/// The resource type of the principals of a kind.
pub(in crate::service) fn principal_type(kind: PrincipalKind) -> Result<&'static scim::ResourceType, Error> {
    kind.resource_type().ok_or_else(|| Error::internal("a kind without a type"))
}
