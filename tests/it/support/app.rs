//! The whole server in one process, and the people who talk to it.
//!
//! A story looks like this:
//!
//! ```ignore
//! #[test]
//! fn a_leaver_loses_the_key() {
//!     for_each_app(|app| {
//!         let (idp, admin) = (app.idp(), app.admin());
//!         let mira = idp.post("/Users", user("mira@example.com")).expect(201).id();
//!         let key = app.issue(&mira);
//!         assert_eq!(app.verify(&key), "VALID");
//!         idp.patch(&format!("/Users/{mira}"), replace("active", false)).expect(200);
//!         assert_eq!(app.verify(&key), "OWNER_INACTIVE");
//!         assert_eq!(app.actions(), ["user.created", "credential.issued", "user.patched", "principal.suspended"]);
//!     });
//! }
//! ```
//!
//! - [`for_each_app`] runs it on SQLite and on PostgreSQL, each time on a new database after `init`; at the
//!   end it checks that the log's chain is intact and that no personal value and no key got into the log.
//!   [`TestApp::sqlite`] is enough for what storage has no part in.
//! - Actors send requests through `keyroll::http::app`, so all of the real stack answers, without a socket.
//!   Paths lie under `/scim/v2`, but for those that begin with `/v1`, `/access`, `/scim`, `/.well-known` or `/healthz`, `/readyz`.
//! - Time stands still at [`START`] until `app.clock.advance(…)`. Ids count (`…-000000000001` is the first
//!   that `init` minted) and secrets are hashes of a counter, so everything can be asserted as it is:
//!   `assert_snapshot!(answer, @"…")` shows the status, the headers that matter and the body.
//! - To see a defence bite, remove it and run the test.

mod actor;
mod fixed;

use std::collections::HashMap;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex};

use chrono::TimeDelta;
use diesel::connection::SimpleConnection;
use diesel::{PgConnection, SqliteConnection};
use keyroll::domain::clock::Clock;
use keyroll::domain::log::RequestRef;
use keyroll::domain::{Caller, Connection, Id, Principal};
use keyroll::http;
use keyroll::scim::tolerance::Dialect;
use keyroll::service::keys::Owner;
use keyroll::service::keys::request::GrantTexts;
use keyroll::service::{Context, Service, Settings};
use keyroll::store::{self, Store};
use serde_json::{Value, json};

pub use self::actor::Actor;
use self::fixed::CountingEntropy;
pub use self::fixed::FixedClock;
pub use super::answer::Answer;
pub use super::bodies::*;
use super::{overtaken, plans};

/// When every story begins: Monday, 2026-01-05, 09:00 UTC.
pub const START: i64 = 1_767_603_600_000;

/// The server, after `keyroll init`.
pub struct TestApp {
    pub service: Service,
    pub clock: Arc<FixedClock>,
    shared: http::Shared,
    url: String,
    admin_key: String,
    provisioning_key: String,
    requests: AtomicU64,
    keys: Mutex<HashMap<String, String>>,
    _folder: Arc<tempfile::TempDir>,
}

/// Runs a story on both databases.
pub fn for_each_app(story: impl Fn(&TestApp)) {
    let run = |app: TestApp| {
        // Shown only if the test fails.
        println!("on {}", if app.service.is_embedded() { "SQLite" } else { "PostgreSQL" });
        // An inline snapshot is the same on both.
        insta::allow_duplicates! { story(&app) };
        app.check_log();
    };
    run(TestApp::sqlite());
    if let Some(url) = super::postgres::url() {
        run(TestApp::on(&url));
    }
}

impl TestApp {
    /// On a new SQLite database.
    pub fn sqlite() -> TestApp {
        TestApp::with(None, |_| {})
    }

    /// On the database with this URL.
    pub fn on(url: &str) -> TestApp {
        TestApp::with(Some(url), |_| {})
    }

    /// With other settings than the tests' own.
    pub fn with(url: Option<&str>, change: impl FnOnce(&mut Settings)) -> TestApp {
        plans::watch();
        let folder = tempfile::tempdir().unwrap();
        let sqlite = format!("sqlite:{}", folder.path().join("keyroll.db").display());
        let url = url.map_or(sqlite, str::to_owned);
        let mut settings = Settings {
            data_dir: folder.path().to_owned(),
            database_url: url.clone(),
            require_synchronous_standby: false,
            readers: 4,
            public_url: "https://keyroll.example".to_owned(),
            limits: keyroll::service::Limits {
                requests_per_minute: None,
                // The server's clock does not stand still.
                clock_skew_seconds_max: None,
                ..keyroll::service::Limits::default()
            },
        };
        change(&mut settings);
        let clock = Arc::new(FixedClock::at(START));
        let service = Service::open(settings, clock.clone(), Arc::new(CountingEntropy::default())).unwrap();
        let init = service.init("default").unwrap();
        let key = |name: &str| init[name].as_str().unwrap().to_owned();
        TestApp {
            shared: http::Shared::new(service.clone(), http::Settings::default()),
            service,
            clock,
            url,
            admin_key: key("admin_key"),
            provisioning_key: key("provisioning_key"),
            requests: AtomicU64::new(0),
            keys: Mutex::default(),
            _folder: Arc::new(folder),
        }
    }

    /// Another node of the same installation, whose clock differs from this one's.
    pub fn beside(&self, by: TimeDelta) -> TestApp {
        let clock = Arc::new(FixedClock::at((self.clock.now() + by).timestamp_millis()));
        // Its ids and secrets are its own.
        let apart = AtomicU64::new(1 << 40);
        let entropy = CountingEntropy { ids: apart, secrets: AtomicU64::new(1 << 40) };
        let service = Service::open(self.service.settings().clone(), clock.clone(), Arc::new(entropy)).unwrap();
        TestApp {
            shared: http::Shared::new(service.clone(), http::Settings::default()),
            service,
            clock,
            url: self.url.clone(),
            admin_key: self.admin_key.clone(),
            provisioning_key: self.provisioning_key.clone(),
            requests: AtomicU64::new(1 << 40),
            keys: Mutex::default(),
            _folder: Arc::clone(&self._folder),
        }
    }

    /// The identity provider, with the first provisioning key.
    pub fn idp(&self) -> Actor<'_> {
        self.with_key(&self.provisioning_key)
    }

    /// The operator, with the first admin key.
    pub fn admin(&self) -> Actor<'_> {
        self.with_key(&self.admin_key)
    }

    pub fn with_key(&self, key: &str) -> Actor<'_> {
        Actor { app: self, key: Some(key.to_owned()) }
    }

    pub fn anonymous(&self) -> Actor<'_> {
        Actor { app: self, key: None }
    }

    /// Another identity provider of the tenant, speaking a dialect; its name is the dialect's.
    pub fn connect(&self, dialect: Dialect) -> Actor<'_> {
        let store = Store::open(&store::Settings { url: self.url.clone(), readers: 1 }).unwrap();
        let (tenant, now) = (self.service.tenant("default").unwrap().key, self.clock.now());
        let (agent, id) = (self.service.mint(), self.service.mint());
        let write = move |conn: &mut store::Conn| {
            let default = store::connections::by_name(conn, tenant, "default")?.unwrap();
            let first = store::principals::find(conn, tenant, &default.agent)?.unwrap();
            let principal = Principal { id: agent, name: dialect.name().to_owned(), ..first };
            store::principals::insert(conn, tenant, &principal, 0)?;
            let new = Connection { id, agent, dialect, name: dialect.name().to_owned(), ..default };
            store::connections::insert(conn, tenant, &new, now).map(|_| ())
        };
        store.write::<_, store::Error>(write).unwrap();
        self.with_key(&self.issue_on_host(Owner::Connection(dialect.name().to_owned()), &[]))
    }

    /// Another tenant: its identity provider and its operator.
    pub fn tenant(&self, name: &str) -> (Actor<'_>, Actor<'_>) {
        let init = self.service.init(name).unwrap();
        let actor = |name: &str| self.with_key(init[name].as_str().unwrap());
        (actor("provisioning_key"), actor("admin_key"))
    }

    /// A key that the admin issues to a user: without a grant, it proves who its owner is.
    pub fn issue(&self, owner: &str) -> String {
        let issued = self.admin().post("/v1/keys", json!({"owner": {"type": "user", "id": owner}})).expect(201);
        let key = issued["key"].as_str().unwrap().to_owned();
        self.keys.lock().unwrap().insert(key.clone(), issued.id());
        key
    }

    /// A key from the command line.
    pub fn issue_on_host(&self, owner: Owner, grant: &[&str]) -> String {
        let grant: Vec<String> = grant.iter().map(|text| (*text).to_owned()).collect();
        let issued =
            self.service.issue_key_on_host(&self.host(), owner, "host", &GrantTexts::of(&grant), None).unwrap();
        let key = issued.key;
        self.keys.lock().unwrap().insert(key.clone(), issued.record.id.to_string());
        key
    }

    /// The id of a key that [`TestApp::issue`] gave.
    pub fn id_of(&self, key: &str) -> String {
        self.keys.lock().unwrap()[key].clone()
    }

    /// What the admin is told about a key.
    pub fn verify(&self, key: &str) -> String {
        let answer = self.admin().post("/v1/verify", json!({"key": key})).expect(200);
        let code = answer["code"].as_str().unwrap().to_owned();
        assert_eq!(answer["valid"], json!(code == "VALID"));
        code
    }

    /// The command line's context.
    pub fn host(&self) -> Context {
        self.host_of("default")
    }

    fn host_of(&self, tenant: &str) -> Context {
        let caller = Caller::host(self.service.tenant(tenant).unwrap());
        Context::new(caller, RequestRef { id: String::new(), method: "CLI".into(), route: "test".into() })
    }

    /// The log since `init`, oldest first.
    pub fn log(&self) -> Vec<Value> {
        let mut log = self.service.tail_log(&self.host(), 100_000).unwrap();
        log.drain(..INIT_RECORDS.min(log.len()));
        log
    }

    /// The actions of the log since `init`.
    pub fn actions(&self) -> Vec<String> {
        self.log().iter().map(|record| record["action"].as_str().unwrap().to_owned()).collect()
    }

    /// The chain is whole, and nobody's name or key is in it. Every e-mail-like value of a story has an `@`.
    pub fn check_log(&self) {
        for tenant in ["default", "second"] {
            if self.service.tenant(tenant).is_err() {
                continue;
            }
            let context = self.host_of(tenant);
            let found = self.service.verify_log(&context).unwrap();
            assert!(found.chain.is_ok(), "{found:?}");
            for record in self.service.tail_log(&context, 100_000).unwrap() {
                let text = record.to_string();
                let key = ["kru_", "krs_", "krp_"].iter().any(|prefix| text.contains(prefix));
                assert!(!text.contains('@') && !key, "a value in the log: {text}");
            }
        }
    }

    /// Sends a request that stands still behind its first statement with this text, and lets others overtake it there.
    pub fn overtaken(&self, text: &'static str, request: impl FnOnce() -> Answer + Send, others: impl FnOnce()) {
        let database = self.url.strip_prefix("sqlite:").unwrap_or(&self.url);
        overtaken::run(database, text, request, others);
    }

    /// Changes the database from outside, as somebody with SQL would.
    pub fn sql(&self, sql: &str) {
        match self.url.strip_prefix("sqlite:") {
            Some(path) => plans::unwatched::<SqliteConnection>(path).batch_execute(sql).unwrap(),
            None => plans::unwatched::<PgConnection>(&self.url).batch_execute(sql).unwrap(),
        }
    }

    /// How SQL on this database writes bytes.
    pub fn bytes(&self, id: &str) -> String {
        let hex = id.replace('-', "");
        if self.service.is_embedded() { format!("X'{hex}'") } else { format!("'\\x{hex}'::bytea") }
    }

    /// The id that was minted as the `number`-th at the current time.
    pub fn id(&self, number: u64) -> String {
        let mut bytes = [0; 16];
        let millis = self.clock.now().timestamp_millis() as u64;
        bytes[..6].copy_from_slice(&millis.to_be_bytes()[2..]);
        bytes[6] = 0x70;
        bytes[8..].copy_from_slice(&number.to_be_bytes());
        bytes[8] |= 0x80;
        Id::from_bytes(&bytes).unwrap().to_string()
    }
}

impl Drop for TestApp {
    /// Whatever the story sent, no database reads too much for it.
    fn drop(&mut self) {
        if !std::thread::panicking() {
            plans::check(&self.url);
        }
    }
}

/// What `init` records: tenant, two principals, a connection and two keys.
const INIT_RECORDS: usize = 7;
