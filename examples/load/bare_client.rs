//! What a client of PostgreSQL gets that writes the rows of a change and nothing else: no request, no rules, no chain.
//!
//! The rows are copied from what Keyroll wrote into tables of the same columns and indexes, by prepared statements, one
//! after the other, a transaction a change: without the rows that all changes share (the log's head, the counter), and
//! with them, taken last.

use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use diesel::sql_types::BigInt;

const COPIED: [&str; 10] = [
    "resources",
    "principals",
    "resource_index",
    "unique_values",
    "external_ids",
    "memberships",
    "log_records",
    "resource_history",
    "log_heads",
    "counters",
];

/// What each client prepares. `$1` is a resource's key, `$2` a number that no other change has.
const PREPARED: &str = "
PREPARE principal(bigint, bigint) AS INSERT INTO bare_principals SELECT p.* FROM principals p WHERE p.tenant = 1
  AND p.id = (SELECT id FROM resources WHERE key = $1);
PREPARE resource(bigint, bigint) AS INSERT INTO bare_resources SELECT * FROM resources WHERE key = $1;
PREPARE entries(bigint, bigint) AS INSERT INTO bare_resource_index SELECT * FROM resource_index WHERE resource = $1;
PREPARE uniques(bigint, bigint) AS INSERT INTO bare_unique_values SELECT * FROM unique_values WHERE resource = $1;
PREPARE external(bigint, bigint) AS INSERT INTO bare_external_ids SELECT * FROM external_ids WHERE resource = $1;
PREPARE record(bigint, bigint) AS INSERT INTO bare_log_records SELECT tenant, 1000000000 + $2, time, action,
  subject_kind, subject_id, bytes, hash FROM log_records WHERE tenant = 1 AND seq = 40;
PREPARE second(bigint, bigint) AS INSERT INTO bare_log_records SELECT tenant, 2000000000 + $2, time, action,
  subject_kind, subject_id, bytes, hash FROM log_records WHERE tenant = 1 AND seq = 40;
PREPARE changed(bigint, bigint) AS UPDATE bare_resources SET document = document || ' ', version = version + 1,
  modified = $2 WHERE key = $1;
PREPARE suspended(bigint, bigint) AS UPDATE bare_principals SET active = NOT active, version = version + 1
  WHERE tenant = 1 AND id = (SELECT id FROM bare_resources WHERE key = $1);
PREPARE entry(bigint, bigint) AS UPDATE bare_resource_index SET value = $2::text WHERE resource = $1
  AND path = (SELECT min(path) FROM bare_resource_index WHERE resource = $1);
PREPARE superseded(bigint, bigint) AS INSERT INTO bare_resource_history SELECT 1000000000 + $2, tenant, $1, id, type,
  connection, $2, at, sealed FROM bare_sample;
PREPARE member(bigint, bigint) AS INSERT INTO bare_memberships SELECT 1000000000 + $2, tenant, group_key, $1, $2, $2,
  nested FROM bare_member;
PREPARE grouped(bigint, bigint) AS UPDATE bare_resources SET version = version + 1, modified = $2
  WHERE key = (SELECT group_key FROM bare_member);
PREPARE counter(bigint, bigint) AS UPDATE bare_counters SET total = total + 1 WHERE tenant = 1 AND type = 'User';
PREPARE head(bigint, bigint) AS UPDATE bare_log_heads SET next_seq = next_seq + 1, time = $2 WHERE tenant = 1;
";

/// The statements of a kind of change, and those of the rows that all changes share.
pub(crate) struct Kind {
    pub(crate) name: &'static str,
    pub(crate) clients: usize,
    own: &'static [&'static str],
    shared: &'static [&'static str],
}

const CREATE: [&str; 6] = ["principal", "resource", "entries", "uniques", "external", "record"];

pub(crate) const KINDS: [Kind; 4] = [
    Kind { name: "create", clients: 8, own: &CREATE, shared: &["counter", "head"] },
    Kind { name: "create", clients: 64, own: &CREATE, shared: &["counter", "head"] },
    Kind {
        name: "PATCH active",
        clients: 8,
        own: &["changed", "suspended", "entry", "superseded", "record", "second"],
        shared: &["head"],
    },
    Kind { name: "group ±1 member", clients: 2, own: &["member", "grouped", "record"], shared: &["head"] },
];

/// Copies the tables. Whoever writes meanwhile is not seen.
pub(crate) struct BareClients {
    url: String,
    users: Vec<i64>,
    /// The next of the users, and the next number.
    next: AtomicUsize,
    number: AtomicI64,
}

#[derive(QueryableByName)]
struct Key {
    #[diesel(sql_type = BigInt)]
    key: i64,
}

impl BareClients {
    /// For the database that the environment names; none on SQLite.
    pub(crate) fn prepare() -> Option<BareClients> {
        let url = std::env::var("KEYROLL_DATABASE_URL").ok().filter(|url| url.starts_with("postgres"))?;
        let mut conn = connect(&url);
        for table in COPIED {
            conn.batch_execute(&format!(
                "DROP TABLE IF EXISTS bare_{table}; CREATE TABLE bare_{table} (LIKE {table} INCLUDING ALL EXCLUDING IDENTITY)"
            ))
            .expect("a table");
        }
        conn.batch_execute(
            "INSERT INTO bare_counters SELECT * FROM counters; INSERT INTO bare_log_heads SELECT * FROM log_heads;
             DROP TABLE IF EXISTS bare_sample, bare_member;
             CREATE TABLE bare_sample AS SELECT * FROM resource_history LIMIT 1;
             CREATE TABLE bare_member AS SELECT * FROM memberships LIMIT 1;
             INSERT INTO bare_resources SELECT * FROM resources WHERE key = (SELECT group_key FROM bare_member)",
        )
        .expect("rows");
        let users =
            diesel::sql_query("SELECT key FROM resources WHERE type = 'User' ORDER BY key").load::<Key>(&mut conn);
        let users = users.expect("users").into_iter().map(|row| row.key).collect();
        Some(BareClients { url, users, next: AtomicUsize::new(0), number: AtomicI64::new(0) })
    }

    /// Changes a second.
    pub(crate) fn rate(&self, kind: &Kind, seconds: u64, is_ordered: bool) -> f64 {
        if kind.own.contains(&"resource") {
            // From the first one on again.
            let tables = CREATE_TABLES.join(", ");
            connect(&self.url).batch_execute(&format!("TRUNCATE {tables}")).expect("empty tables");
            self.next.store(0, Ordering::Relaxed);
        }
        let (started, done) = (Instant::now(), AtomicUsize::new(0));
        thread::scope(|scope| {
            for _ in 0..kind.clients {
                scope.spawn(|| self.write(kind, Duration::from_secs(seconds), is_ordered, &done));
            }
        });
        done.load(Ordering::Relaxed) as f64 / started.elapsed().as_secs_f64()
    }

    fn write(&self, kind: &Kind, time: Duration, is_ordered: bool, done: &AtomicUsize) {
        let mut conn = connect(&self.url);
        conn.batch_execute(PREPARED).expect("statements");
        let started = Instant::now();
        let statements = kind.own.iter().chain(kind.shared.iter().filter(|_| is_ordered));
        while started.elapsed() < time {
            let n = self.next.fetch_add(1, Ordering::Relaxed);
            let is_new = kind.own.contains(&"resource");
            let Some(user) = self.users.get(if is_new { n } else { n % self.users.len().min(2_000) }) else { break };
            let number = self.number.fetch_add(1, Ordering::Relaxed);
            conn.batch_execute("BEGIN").expect("begins");
            for name in statements.clone() {
                conn.batch_execute(&format!("EXECUTE {name}({user}, {number})")).expect("writes");
            }
            conn.batch_execute("COMMIT").expect("commits");
            done.fetch_add(1, Ordering::Relaxed);
        }
    }
}

const CREATE_TABLES: [&str; 5] =
    ["bare_principals", "bare_resources", "bare_resource_index", "bare_unique_values", "bare_external_ids"];

fn connect(url: &str) -> PgConnection {
    PgConnection::establish(url).expect("a connection")
}
