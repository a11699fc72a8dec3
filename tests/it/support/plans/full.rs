//! Two full databases, one that has no rows and one that has few, for as long as this process lives.

use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

use diesel::PgConnection;
use diesel::SqliteConnection;
use diesel::connection::SimpleConnection;
use keyroll::store::{Settings, Store};

use super::indexes::Indexes;
use super::unwatched;
use crate::support::{databases, postgres};

/// A database with people and groups, or without, and whether it knows how many.
pub struct Full {
    pub state: &'static str,
    pub store: Store,
    pub indexes: Indexes,
}

/// Everybody is in a group of each of twenty chains; of everything else there is one for each person.
const FILL: &str = "
INSERT INTO tenants (id, name, created) SELECT unhex(printf('%032x', n)), 'full ' || n, 0
    FROM (SELECT 900 AS n UNION SELECT 901 UNION SELECT 902) AS few;
CREATE TEMP TABLE own AS SELECT key AS tenant FROM tenants WHERE name = 'full 900';
INSERT INTO connections (tenant, id, name, dialect, agent, unique_group_names, created)
    SELECT tenant, unhex(printf('%032x', 1)), 'default', 'auto', unhex(printf('%032x', 1)), TRUE, 0 FROM own;
CREATE TEMP TABLE people AS WITH RECURSIVE number (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM number WHERE n < 4200)
    SELECT n, unhex(printf('%032x', n)) AS id, CASE WHEN n > 4000 THEN 'Group' ELSE 'User' END AS type FROM number;
INSERT INTO principals (tenant, id, kind, local, name, active, admin_hold, version, created_seq)
    SELECT tenant, id, 'user', FALSE, 'user' || n, TRUE, FALSE, 1, n FROM own, people WHERE type = 'User';
INSERT INTO principal_history SELECT tenant, id, n, TRUE, FALSE FROM own, people;
INSERT INTO resources (tenant, id, type, connection, display, document, version, created, modified)
    SELECT tenant, id, type, (SELECT max(key) FROM connections), 'User ' || n, '{\"displayName\":\"User ' || n || '\"}', 1, n, n
    FROM own, people;
INSERT INTO counters SELECT tenant, type, count(*) FROM resources GROUP BY tenant, type;
INSERT INTO resource_index (tenant, path, value, resource, element, is_primary, cut)
    SELECT r.tenant, p.key, CASE p.path WHEN 'active' THEN 'true' ELSE lower(p.path) || r.key || '@full.example' END, r.key, 0, TRUE, FALSE
    FROM resources r JOIN index_paths p ON p.type = r.type;
INSERT INTO unique_values SELECT tenant, 'userName', unhex(printf('%032x', key * 7919)), key FROM resources;
INSERT INTO external_ids (connection, resource, tenant, type, value)
    SELECT connection, key, tenant, type, 'ext' || key FROM resources;
INSERT INTO memberships (tenant, group_key, member_key, from_seq, until_seq, nested)
    SELECT u.tenant, g.key, u.key, 1, CASE WHEN u.key % 7 = 0 THEN 9 END, FALSE
    FROM resources u JOIN resources g ON g.type = 'Group' AND g.key % 10 = 1 WHERE u.type = 'User' AND g.tenant = u.tenant;
INSERT INTO memberships (tenant, group_key, member_key, from_seq, nested)
    SELECT a.tenant, b.key, a.key, 1, TRUE FROM resources a JOIN resources b ON b.key = a.key + 1
    WHERE a.type = 'Group' AND b.type = 'Group' AND a.key % 10 <> 0;
INSERT INTO credentials (tenant, id, owner, class, selector, digest, name, created_at, expires_at, reasons, version, mac)
    SELECT tenant, id, id, 'u', printf('%012d', n), unhex(printf('%064x', 0)), 'key', 0, 0, '[]', 1, id
    FROM own, people WHERE type = 'User';
INSERT INTO log_records (tenant, seq, time, action, subject_kind, subject_id, bytes, hash)
    SELECT tenant, n, n, 'user.created', 'user', CAST(n AS text), id, id FROM own, people;
INSERT INTO log_heads (tenant, next_seq, hash, time, policy_seq, policy_epoch)
    SELECT key, 4201, id, 0, 0, 0 FROM tenants WHERE name LIKE 'full %';
INSERT INTO catalogue (tenant, kind, name, document, from_seq, until_seq)
    SELECT tenant, 'mapping', 'm' || n, '{}', n, CASE WHEN n % 2 = 0 THEN n + 1 END FROM own, people;
INSERT INTO resource_history (tenant, resource, id, type, connection, until_seq, at, sealed)
    SELECT tenant, key, id, type, connection, key, 0, id FROM resources;
INSERT INTO revocation_notes (tenant, credential, owner, note) SELECT tenant, id, owner, 'left' FROM credentials;
INSERT INTO subject_keys SELECT tenant, id, id FROM own, people;
";

/// What SQLite has by itself: numbers in so many digits, and bytes.
const AS_ON_SQLITE: &str = "
CREATE FUNCTION printf(form text, n bigint) RETURNS text IMMUTABLE LANGUAGE sql AS
    $$ SELECT lpad(CASE WHEN form LIKE '%x' THEN to_hex(n) ELSE n::text END, substr(form, 3, 2)::int, '0') $$;
CREATE FUNCTION unhex(digits text) RETURNS bytea IMMUTABLE LANGUAGE sql AS $$ SELECT decode(digits, 'hex') $$";

/// Autovacuum would count its rows within a minute.
const NEVER_COUNT: &str = "DO $$ DECLARE t text; BEGIN
    FOR t IN SELECT tablename FROM pg_tables WHERE schemaname = 'public' LOOP
        EXECUTE format('ALTER TABLE %I SET (autovacuum_enabled = false)', t);
    END LOOP; END $$";

/// The one that never counted its rows, the one that has, and two on which a server that was just set up plans what it
/// goes on sending when the first directory is there: one that counted a dozen people, and one that counted nothing.
pub fn on_postgres() -> &'static [Full] {
    static FULL: OnceLock<Vec<Full>> = OnceLock::new();
    FULL.get_or_init(|| {
        let dozen = FILL.replace("4000", "8").replace("4200", "12").replace("key % 10", "key % 2");
        [
            ("without statistics", [NEVER_COUNT, FILL]),
            ("with statistics", [FILL, "ANALYZE"]),
            ("with statistics of a dozen", [&dozen, "ANALYZE"]),
            ("before there were rows", [NEVER_COUNT, "SELECT 1"]),
        ]
        .into_iter()
        .filter_map(|(state, made)| {
            let url = postgres::url()?;
            let mut conn: PgConnection = unwatched(&url);
            conn.batch_execute(AS_ON_SQLITE).unwrap();
            for sql in made {
                conn.batch_execute(sql).unwrap();
            }
            let indexes = Indexes::read(&mut conn);
            let store = Store::open(&Settings { url, readers: 1 }).unwrap();
            Some(Full { state, store, indexes })
        })
        .collect()
    })
}

/// A full database of SQLite whose rows were counted as the server has them counted. Its file is gone already.
pub fn counted() -> MutexGuard<'static, SqliteConnection> {
    static COUNTED: OnceLock<Mutex<SqliteConnection>> = OnceLock::new();
    let conn = COUNTED.get_or_init(|| {
        let database = databases::sqlite();
        let store = Store::open(&database.settings).unwrap();
        let mut conn: SqliteConnection = unwatched(database.settings.url.trim_start_matches("sqlite:"));
        conn.batch_execute(FILL).unwrap();
        store.analyze().unwrap();
        // It is told with the tables.
        conn.batch_execute("SELECT count(*) FROM sqlite_stat1").unwrap();
        Mutex::new(conn)
    });
    conn.lock().unwrap_or_else(PoisonError::into_inner)
}
