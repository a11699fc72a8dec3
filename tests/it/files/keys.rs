//! `root.key` and `signing.key`: nobody else's to read, and with the database of their installation or with none.

use std::fs;
use std::path::Path;

use diesel::connection::SimpleConnection;
use diesel::{Connection, PgConnection};

use super::{mode, refusal, set_mode, until};
use keyroll::store::{Settings, Store};

use crate::support::server::Installation;

/// The bytes of `root.key`, and of the id behind them.
const KEY: usize = 32;
const ID: usize = 16;

#[test]
fn a_key_that_others_can_read_is_refused() {
    let place = Installation::sqlite();
    place.run(&["init"]).expect(0);
    for name in ["root.key", "signing.key"] {
        let file = place.data_dir().join(name);
        for open in [0o640, 0o604, 0o620, 0o666] {
            set_mode(&file, open);
            for command in [&["serve", "--listen", "127.0.0.1:0"][..], &["key", "list"], &["init"]] {
                let said = refusal(place.run(command));
                let path = file.display();
                assert_eq!(said, format!("{path} is open to others than its owner: chmod 600 {path}"));
            }
            assert_eq!(mode(&file), open);
        }
        for own in [0o400, 0o600] {
            set_mode(&file, own);
            place.run(&["key", "list"]).expect(0);
        }
    }
}

#[test]
fn a_key_from_before_it_named_its_installation_is_rewritten() {
    for place in Installation::each() {
        drop(place.serve(&[]));
        let file = place.data_dir().join("root.key");
        let first = fs::read(&file).unwrap();
        assert_eq!((first.len(), mode(&file)), (KEY + ID, 0o600));
        // Also what a kill between the commit and the file leaves.
        let shorten = || fs::write(&file, &first[..KEY]).unwrap();
        shorten();
        place.run(&["key", "list"]).expect(0);
        assert_eq!(fs::read(&file).unwrap(), first, "the database knows the id");
        shorten();
        place.sql("DELETE FROM installation WHERE name = 'id'");
        place.serve(&[]).idp().get("/scim/v2/Users").expect(200);
        let second = fs::read(&file).unwrap();
        assert_eq!((&second[..KEY], second.len(), mode(&file)), (&first[..KEY], KEY + ID, 0o600));
        assert_ne!(second, first);
        // A database from before there were ids, with a key that has one.
        place.sql("DELETE FROM installation WHERE name = 'id'");
        place.run(&["key", "list"]).expect(0);
        assert_eq!(fs::read(&file).unwrap(), second);
        for wrong in [0, 31, 33, 47, 49] {
            fs::write(&file, vec![7; wrong]).unwrap();
            let said = refusal(place.run(&["key", "list"]));
            let expected = "it must hold 32 bytes, or 48 with the installation's id";
            assert_eq!(said, format!("cannot read {}: {expected}", file.display()));
        }
    }
}

/// What is said of a database that holds nothing, for a key that names an installation.
fn holds_none(key: &Path) -> String {
    let id: String = fs::read(key).unwrap()[KEY..].iter().map(|byte| format!("{byte:02x}")).collect();
    let id = [&id[..8], &id[8..12], &id[12..16], &id[16..20], &id[20..]].join("-");
    format!(
        "root.key is of the installation {id}, and the database holds none: if its path or URL is wrong, or keyroll.db \
         was moved or was copied without its -wal file, put that right; if its data is gone, bring back a backup with \
         keyroll restore DIR; for a new installation, move root.key and signing.key away"
    )
}

const STARTS: [&[&str]; 2] = [&["serve", "--listen", "127.0.0.1:0"], &["init"]];

#[test]
fn a_copy_without_its_log_is_no_new_installation() {
    let place = Installation::sqlite();
    let server = place.serve(&[]);
    let copy = place.elsewhere("copy");
    fs::create_dir(copy.data_dir()).unwrap();
    for name in ["keyroll.db", "root.key", "signing.key"] {
        fs::copy(place.data_dir().join(name), copy.data_dir().join(name)).unwrap();
    }
    let file = copy.data_dir().join("keyroll.db");
    let url = format!("sqlite:{}", file.display());
    let before = fs::read(&file).unwrap();
    for command in [STARTS[0], STARTS[1], &["key", "list"]] {
        let said = refusal(copy.run(&[command, &["--database-url", &url]].concat()));
        assert_eq!(said, holds_none(&copy.data_dir().join("root.key")));
        assert_eq!(fs::read(&file).unwrap(), before);
    }
    // With the log it is the whole of it.
    fs::copy(place.data_dir().join("keyroll.db-wal"), copy.data_dir().join("keyroll.db-wal")).unwrap();
    copy.run(&["log", "verify", "--database-url", &url]).expect(0);
    server.idp().get("/scim/v2/Users").expect(200);
}

#[test]
fn a_key_without_its_database_starts_no_new_installation() {
    for place in Installation::each() {
        drop(place.serve(&[]));
        let url = place.database_url();
        match url.strip_prefix("sqlite:") {
            Some(file) => fs::remove_file(file).unwrap(),
            None => PgConnection::establish(&url)
                .unwrap()
                .batch_execute("DROP SCHEMA public CASCADE; CREATE SCHEMA public")
                .unwrap(),
        }
        let key = place.data_dir().join("root.key");
        let before = fs::read(&key).unwrap();
        for command in STARTS {
            assert_eq!(refusal(place.run(command)), holds_none(&key));
            assert!(!place.data_dir().join("keyroll.db").exists());
        }
        assert_eq!(fs::read(&key).unwrap(), before);
        // The named fix is one.
        for name in ["root.key", "signing.key"] {
            fs::rename(place.data_dir().join(name), place.data_dir().join(format!("{name}.old"))).unwrap();
        }
        place.run(&["init"]).expect(0);
    }
}

#[test]
fn a_key_of_another_installation_is_refused() {
    for (a, b) in Installation::each().zip(Installation::each()) {
        drop((a.serve(&[]), b.serve(&[])));
        let id = |place: &Installation| fs::read(place.data_dir().join("root.key")).unwrap()[KEY..].to_vec();
        assert_ne!(id(&a), id(&b));
        for name in ["root.key", "signing.key"] {
            fs::copy(a.data_dir().join(name), b.data_dir().join(name)).unwrap();
        }
        for command in STARTS {
            let said = refusal(b.run(command));
            assert!(said.contains(", and the database holds another one, "), "{said}");
            assert!(said.ends_with(": check the data folder and the database URL"), "{said}");
        }
    }
}

#[test]
fn a_first_start_that_is_killed_between_key_and_commit_starts_again() {
    for place in Installation::each() {
        let folder = tempfile::tempdir().unwrap();
        let elsewhere = format!("sqlite:{}", folder.path().join("keyroll.db").display());
        let url = if place.is_embedded() { elsewhere } else { place.database_url() };
        // Whoever writes first waits for this test, and has made its key before.
        let held = fs::File::open(folder.path()).unwrap();
        held.lock().unwrap();
        let lock = (!place.is_embedded()).then(|| {
            drop(Store::open(&Settings { url: url.clone(), readers: 1 }).unwrap());
            let mut conn = PgConnection::establish(&url).unwrap();
            conn.batch_execute("BEGIN; LOCK TABLE installation IN SHARE MODE").unwrap();
            conn
        });
        let flags = ["--database-url", &url];
        let starting = place.start(&flags, &[]);
        let key = place.data_dir().join("root.key");
        until("the key is made", || key.exists());
        drop(starting);
        assert_eq!(fs::read(&key).unwrap().len(), KEY);
        drop((held, lock));
        let server = place.serve(&flags);
        assert_eq!(server.printed.len(), 1, "its keys");
        server.idp().get("/scim/v2/Users").expect(200);
        assert_eq!(fs::read(&key).unwrap().len(), KEY + ID);
    }
}

#[test]
fn nodes_that_start_at_once_with_one_key_become_one_installation() {
    for _ in 0..3 {
        let Some(place) = Installation::postgres() else { return };
        let other = place.elsewhere("other");
        for node in [&place, &other] {
            fs::create_dir(node.data_dir()).unwrap();
            for (name, byte) in [("root.key", 7), ("signing.key", 8)] {
                let file = node.data_dir().join(name);
                fs::write(&file, [byte; KEY]).unwrap();
                set_mode(&file, 0o600);
            }
        }
        let nodes = [place.start(&[], &[]), other.start(&[], &[])].map(|node| node.outcome().ok().unwrap());
        nodes.iter().for_each(|node| drop(node.idp().get("/scim/v2/Users").expect(200)));
        let id = |node: &Installation| fs::read(node.data_dir().join("root.key")).unwrap()[KEY..].to_vec();
        assert_eq!((id(&place).len(), id(&place)), (ID, id(&other)));
    }
}
