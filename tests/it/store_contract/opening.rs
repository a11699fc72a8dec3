//! Opening: safe from several sides, and clear about what is missing.

use std::collections::BTreeSet;
use std::os::unix::fs::PermissionsExt;
use std::thread;

use diesel::prelude::*;
use diesel::sql_types::Text;
use keyroll::store::installation::{ROOT, SIGNING};
use keyroll::store::{Conn, Error, Settings, Store, installation, snapshot, tenants};

use super::fixture::{at, id, read, tenant, write};
use crate::support::databases::{TestDatabase, postgres, sqlite};
use crate::support::{self, for_each_database};

#[test]
fn several_may_open_an_empty_database_at_once() {
    let file = sqlite();
    let server = support::postgres::empty_url().map(|url| Settings { url, readers: 2 });
    for settings in [Some(file.settings.clone()), server].into_iter().flatten() {
        let open = || Store::open(&settings).unwrap();
        let stores: Vec<Store> = thread::scope(|scope| {
            let threads: Vec<_> = (0..6).map(|_| scope.spawn(open)).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        tenant(&stores[0], 1);
        for store in &stores {
            assert_eq!(read(store, tenants::all).len(), 1);
        }
    }
}

#[test]
fn refusals_name_what_to_do() {
    let refusal = |url: &str| match Store::open(&Settings { url: url.to_owned(), readers: 1 }) {
        Err(Error::Refused(message) | Error::Unavailable(message)) => message,
        other => panic!("{other:?}"),
    };
    assert!(refusal("mysql://u:secret@h/db").contains("sqlite:<path> or postgres://"));
    assert!(!refusal("mysql://u:secret@h/db").contains("secret"));
    assert!(refusal("sqlite:/nowhere/at/all.db").contains("/nowhere/at: No such file"));
    assert!(refusal("sqlite:").contains("sqlite:<path>"));
    assert!(refusal("postgres://keyroll:secret@127.0.0.1:1/x").contains("check the database URL"));
    assert!(!refusal("postgres://keyroll:secret@127.0.0.1:1/x").contains("secret"));
    if cfg!(not(feature = "postgres-tls")) {
        assert!(refusal("postgres://h/x?sslmode=require").contains("--features postgres-tls"));
    }
}

#[test]
fn a_newer_database_is_refused() {
    for database in [Some(sqlite()), postgres()].into_iter().flatten() {
        let store = Store::open(&database.settings).unwrap();
        write(&store, |conn| {
            let sql = "INSERT INTO __diesel_schema_migrations (version) VALUES ('9999')";
            diesel::sql_query(sql).execute(conn.settled().unwrap()).map_err(Error::from)
        });
        drop(store);
        let message = Store::open(&database.settings).unwrap_err().to_string();
        assert!(message.contains("newer version of keyroll (9999)"), "{message}");
    }
}

#[test]
fn the_file_is_private_and_survives_reopening() {
    let database = sqlite();
    let path = database.settings.url.strip_prefix("sqlite:").unwrap();
    let store = Store::open(&database.settings).unwrap();
    assert!(store.is_embedded());
    tenant(&store, 1);
    for file in [path.to_owned(), format!("{path}-wal"), format!("{path}-shm")] {
        assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600, "{file}");
    }
    drop(store);
    let store = Store::open(&database.settings).unwrap();
    assert_eq!(read(&store, |conn| tenants::by_name(conn, "tenant 1")).unwrap().id, id(1));
}

#[derive(QueryableByName)]
struct ColumnName {
    #[diesel(sql_type = Text)]
    name: String,
}

fn columns(store: &Store) -> BTreeSet<String> {
    let sql = if store.is_embedded() {
        "SELECT m.name || '.' || c.name AS name FROM sqlite_master m, pragma_table_info(m.name) c \
         WHERE m.type = 'table' AND m.name NOT LIKE 'sqlite_%' \
         UNION SELECT name FROM sqlite_master WHERE type = 'index' AND sql IS NOT NULL"
    } else {
        "SELECT CAST(table_name || '.' || column_name AS text) AS name FROM information_schema.columns \
         WHERE table_schema = 'public' \
         UNION SELECT indexname FROM pg_indexes WHERE schemaname = 'public' AND indexname NOT LIKE '%_key' \
         AND indexname NOT LIKE '%_pkey'"
    };
    let rows: Vec<ColumnName> =
        read(store, |conn| diesel::sql_query(sql).load(conn.settled().unwrap()).map_err(Error::from));
    rows.into_iter().map(|row| row.name).collect()
}

#[test]
fn both_folders_of_migrations_make_the_same_tables() {
    let database = sqlite();
    let on_sqlite = columns(&Store::open(&database.settings).unwrap());
    assert!(on_sqlite.contains("resources.document") && on_sqlite.contains("memberships_groups"), "{on_sqlite:?}");
    let Some(server) = postgres() else { return };
    assert_eq!(on_sqlite, columns(&Store::open(&server.settings).unwrap()));
}

#[test]
fn every_text_of_postgres_compares_by_bytes() {
    let Some(server) = postgres() else { return };
    let store = Store::open(&server.settings).unwrap();
    let sql = "SELECT CAST(table_name || '.' || column_name AS text) AS name FROM information_schema.columns \
         WHERE table_schema = 'public' AND data_type = 'text' AND collation_name IS DISTINCT FROM 'C'";
    let rows: Vec<ColumnName> =
        read(&store, |conn| diesel::sql_query(sql).load(conn.settled().unwrap()).map_err(Error::from));
    assert_eq!(rows.into_iter().map(|row| row.name).collect::<Vec<_>>(), Vec::<String>::new());
}

#[test]
fn each_fingerprint_is_set_once() {
    for_each_database(|store| {
        let stored = |key| read(store, |conn| installation::fingerprint(conn, key));
        assert_eq!((stored(ROOT), stored(SIGNING)), (None, None));
        write(store, |conn| installation::set_fingerprint(conn, ROOT, &[7; 32]));
        assert_eq!((stored(ROOT), stored(SIGNING)), (Some(vec![7; 32]), None));
        // Whoever comes later sees the first.
        write(store, |conn| installation::set_fingerprint(conn, ROOT, &[8; 32]));
        write(store, |conn| installation::set_fingerprint(conn, SIGNING, &[9; 32]));
        assert_eq!((stored(ROOT), stored(SIGNING)), (Some(vec![7; 32]), Some(vec![9; 32])));
    });
}

#[test]
fn a_snapshot_does_not_move() {
    for_each_database(|store| {
        let count = |conn: &mut Conn| tenants::all(conn).map(|all| all.len());
        let counts = read(store, |conn| {
            snapshot(conn, |conn| {
                let before = count(conn)?;
                tenant(store, 1);
                Ok::<_, Error>((before, count(conn)?))
            })
        });
        assert_eq!(counts, (0, 0));
        assert_eq!(read(store, count), 1);
        let failed = store.read(|conn| snapshot(conn, |_| Err::<(), _>(Error::Panicked)));
        assert!(matches!(failed, Err(Error::Panicked)));
        assert_eq!(read(store, |conn| snapshot(conn, count)), 1);
    });
}

#[test]
fn the_data_version_moves_with_everybodys_commits() {
    let moves = |database: &TestDatabase| {
        let store = Store::open(&database.settings).unwrap();
        let other = Store::open(&database.settings).unwrap();
        let start = store.data_version().unwrap();
        tenant(&store, 1);
        let own = store.data_version().unwrap();
        assert!(own > start);
        tenant(&other, 2);
        assert!(store.data_version().unwrap() > own);
        (store, other)
    };
    let database = sqlite();
    let (store, _) = moves(&database);
    // What a write undoes moves nothing: on PostgreSQL others may write to the same server.
    let now = store.data_version().unwrap();
    store.write(|conn| tenants::insert(conn, &id(2), "taken", at(0))).unwrap_err();
    assert_eq!(store.data_version().unwrap(), now);
    if let Some(server) = postgres() {
        // One that was under way while another came and went moves it when it ends.
        let (store, other) = moves(&server);
        let write = move |conn: &mut Conn| {
            tenants::insert(conn, &id(3), "three", at(0))?;
            tenant(&other, 4);
            other.data_version()
        };
        let meanwhile = store.write(write).unwrap();
        assert!(store.data_version().unwrap() > meanwhile);
    }
}
