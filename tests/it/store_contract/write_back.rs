//! The file of the embedded database: no older than the last time that its log was put back.

use std::process::Command;
use std::sync::mpsc::channel;
use std::thread;
use std::time::Duration;

use keyroll::store::{Conn, Error, Settings, Store, snapshot, tenants};

use super::fixture::{at, id, read, tenant, write};
use crate::support::databases::{TestDatabase, for_each_database, sqlite};

/// Whoever waits for a lock waits for longer.
const SOONER: Duration = Duration::from_secs(8);

fn count(conn: &mut Conn) -> Result<usize, Error> {
    tenants::all(conn).map(|all| all.len())
}

/// How many tenants a copy of the file alone holds.
fn copied(database: &TestDatabase) -> usize {
    let file = database.settings.url.strip_prefix("sqlite:").unwrap();
    let folder = tempfile::tempdir().unwrap();
    let copy = folder.path().join("keyroll.db");
    // Not in this process: closing any handle of the file would take away the locks that SQLite has on it.
    assert!(Command::new("cp").arg(file).arg(&copy).status().unwrap().success());
    let url = format!("sqlite:{}", copy.display());
    read(&Store::open(&Settings { url, readers: 1 }).unwrap(), count)
}

#[test]
fn a_copy_of_the_file_alone_holds_what_was_put_back() {
    let database = sqlite();
    let (store, other) = (Store::open(&database.settings).unwrap(), Store::open(&database.settings).unwrap());
    tenant(&store, 1);
    assert_eq!(copied(&database), 0);
    let now = store.data_version().unwrap();
    assert!(store.write_back().unwrap());
    assert_eq!(copied(&database), 1);
    // Nobody's commit.
    assert_eq!(store.data_version().unwrap(), now);
    assert!(!store.write_back().unwrap(), "there was nothing to do");
    // Those begin the log anew, and are seen by everybody.
    for (n, writer) in [(2, &other), (3, &store), (4, &other)] {
        let (own, others) = (store.data_version().unwrap(), other.data_version().unwrap());
        tenant(writer, n);
        assert!(store.data_version().unwrap() > own && other.data_version().unwrap() > others);
        assert_eq!(copied(&database), n as usize - 1);
        assert!(store.write_back().unwrap());
        assert_eq!(copied(&database), n as usize);
    }
}

#[test]
fn it_waits_for_nobody() {
    let database = sqlite();
    let store = Store::open(&database.settings).unwrap();
    assert!(store.write_back().unwrap());
    // Somebody reads, and somebody writes, and neither ends before it is through.
    let counts = read(&store, |conn| {
        snapshot(conn, |conn| {
            let before = count(conn)?;
            tenant(&store, 1);
            let within = store.clone();
            write(&store, move |conn| {
                tenants::insert(conn, &id(2), "tenant 2", at(0))?;
                let (told, put_back) = channel();
                let within = within.clone();
                thread::spawn(move || told.send(within.write_back().unwrap()));
                assert!(put_back.recv_timeout(SOONER).expect("it waits for a lock"));
                Ok(())
            });
            Ok::<_, Error>((before, count(conn)?))
        })
    });
    assert_eq!((counts, read(&store, count)), ((0, 0), 2));
    assert_eq!(copied(&database), 0, "what somebody still read around");
    // The rest, once they have ended.
    assert!(store.write_back().unwrap());
    assert_eq!(copied(&database), 2);
}

#[test]
fn a_database_server_looks_after_its_own() {
    for_each_database(|store| {
        tenant(store, 1);
        assert_eq!(store.write_back().unwrap(), store.is_embedded());
    });
}
