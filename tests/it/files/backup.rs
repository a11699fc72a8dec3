//! Backups: whole or not at all, of either database for either, and what a restore takes away.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use diesel::prelude::*;
use diesel::sql_types::Text;
use keyroll::store::archive;
use keyroll::store::schema::TABLES;
use keyroll::store::{Settings, Store};
use serde_json::{Value, json};

use super::{mode, refusal};
use crate::support::databases::{postgres, sqlite};
use crate::support::server::{GROUP, Installation, PATCH, Server, USER};

/// A server with people, a group, past states, and keys; the id of somebody who has a key.
fn populate(server: &Server) -> (String, String) {
    let idp = server.idp();
    let id = |answer: Value| answer["id"].as_str().unwrap().to_owned();
    let make = |endpoint: &str, body: &Value| id(idp.post(endpoint, body).expect(201).json());
    let mira = make(
        "/scim/v2/Users",
        &json!({"schemas": [USER], "userName": "Mira \"x\" Ünal\n", "active": true,
        "externalId": "00u1", "emails": [{"value": "mira@example.com", "primary": true}]}),
    );
    let otto = make("/scim/v2/Users", &json!({"schemas": [USER], "userName": "otto", "active": false}));
    make("/scim/v2/Groups", &json!({"schemas": [GROUP], "displayName": "team", "members": [{"value": mira}]}));
    let patch = json!({"schemas": [PATCH], "Operations": [{"op": "replace", "path": "title", "value": "x"}]});
    idp.patch(&format!("/scim/v2/Users/{mira}"), &patch).expect(200);
    // What has been deleted leaves a surrogate key that is never given again.
    idp.delete(&format!("/scim/v2/Users/{otto}")).expect(204);
    let issued = server.admin().post("/v1/keys", &json!({"owner": {"type": "user", "id": mira}})).expect(201).json();
    (mira, issued["key"].as_str().unwrap().to_owned())
}

fn verdict(server: &Server, key: &str) -> String {
    server.admin().post("/v1/verify", &json!({"key": key})).expect(200).json()["code"].as_str().unwrap().to_owned()
}

/// All rows of a database, as a backup of it has them.
fn rows(place: &Installation, folder: &Path) -> Vec<String> {
    place.run(&["backup", folder.to_str().unwrap()]).expect(0);
    let file = fs::File::open(folder.join("data.jsonl.gz")).unwrap();
    let text = std::io::read_to_string(flate2::read::GzDecoder::new(file)).unwrap();
    let (mut rows, mut table) = (vec![], String::new());
    for line in text.lines() {
        match line.starts_with('[') {
            true => rows.push(format!("{table} {}", line.replace(", ", ",").to_lowercase())),
            false => table = serde_json::from_str::<Value>(line).unwrap()["table"].to_string(),
        }
    }
    rows
}

fn copy_keys(from: &Installation, to: &Installation) {
    fs::create_dir_all(to.data_dir()).unwrap();
    for name in ["root.key", "signing.key"] {
        fs::copy(from.data_dir().join(name), to.data_dir().join(name)).unwrap();
    }
}

#[test]
fn a_backup_restores_into_either_database() {
    let folder = tempfile::tempdir().unwrap();
    let mut number = 0;
    let mut path = || -> PathBuf {
        number += 1;
        folder.path().join(number.to_string())
    };
    for from in Installation::each() {
        let server = from.serve(&[]);
        let (mira, key) = populate(&server);
        let backup = path();
        let text = backup.to_str().unwrap().to_owned();
        // While it serves.
        let made = from.run(&["backup", &text, "--json"]).expect(0).json();
        assert_eq!((mode(&backup), mode(&backup.join("data.jsonl.gz"))), (0o700, 0o600));
        assert_eq!(mode(&backup.join("manifest.json")), 0o600);
        let newest = made["logs"][0]["seq"].as_i64().unwrap();
        // What comes later is not in it.
        let patch = json!({"schemas": [PATCH], "Operations": [{"op": "replace", "path": "active", "value": false}]});
        server.idp().patch(&format!("/scim/v2/Users/{mira}"), &patch).expect(200);
        assert_eq!(verdict(&server, &key), "OWNER_INACTIVE");
        assert_eq!(from.run(&["backup", "--check", &text, "--json"]).expect(0).json()["intact"], true);
        for to in Installation::each() {
            copy_keys(&from, &to);
            let to = to.of(&from);
            let done = to.run(&["restore", &text]).expect(0);
            let time = made["logs"][0]["time"].as_str().unwrap();
            let said = format!(
                "tenant default: newest record {newest} of {time}\nrestored: whatever came after these records is gone, \
                 revoked keys work again\n"
            );
            assert_eq!(done.stdout, said);
            to.run(&["log", "verify"]).expect(0);
            let last = to.run(&["log", "tail", "-n", "1", "--json"]).expect(0).json();
            assert_eq!((&last["action"], &last["change"]), (&json!("installation.restored"), &json!({"seq": newest})));
            assert_eq!(last["seq"], newest + 1);
            let restored = to.serve(&[]);
            assert_eq!(restored.printed, Vec::<String>::new());
            // No write has told it yet that they are kept.
            assert_eq!(restored.client("").get("/readyz").expect(200).json()["status"], "ready");
            assert_eq!(verdict(&restored, &key), "VALID");
            let shown = restored.idp().get(&format!("/scim/v2/Users/{mira}")).expect(200).json();
            assert_eq!(shown["userName"], "Mira \"x\" Ünal\n");
            assert_eq!((&shown["externalId"], &shown["groups"][0]["display"]), (&json!("00u1"), &json!("team")));
            // Whoever comes next gets a surrogate key that nobody had.
            restored.idp().post("/scim/v2/Users", &json!({"schemas": [USER], "userName": "otto"})).expect(201);
            drop(restored);
            to.run(&["log", "verify"]).expect(0);
        }
        drop(server);
    }
}

#[test]
fn a_restored_database_has_the_rows_of_the_first() {
    let folder = tempfile::tempdir().unwrap();
    for (number, from) in Installation::each().enumerate() {
        let server = from.serve(&[]);
        populate(&server);
        drop(server);
        // How far a job is, and that the database has counted its rows.
        from.sql("INSERT INTO worker_cursors SELECT key, 'sweep', 2, 1 FROM tenants");
        from.sql("INSERT INTO worker_cursors SELECT key, 'analyze', 2, 1 FROM tenants");
        let at = |name: &str| folder.path().join(format!("{number}{name}"));
        let before = rows(&from, &at("first"));
        for (other, to) in Installation::each().enumerate() {
            copy_keys(&from, &to);
            to.run(&["restore", at("first").to_str().unwrap()]).expect(0);
            let after: BTreeSet<String> = rows(&to, &at(&format!("again{other}"))).into_iter().collect();
            // The end of the log has moved by the record of the restore, and the other database has counted nothing.
            let gone: Vec<&String> = before.iter().filter(|row| !after.contains(*row)).collect();
            let of = |table: &str| gone.iter().filter(|row| row.starts_with(&format!("\"{table}\""))).count();
            assert_eq!((gone.len(), of("log_heads"), of("worker_cursors")), (2, 1, 1));
            assert_eq!(after.len(), before.len());
        }
    }
}

#[test]
fn a_server_keeps_its_database_and_a_database_its_installation() {
    let folder = tempfile::tempdir().unwrap();
    for (number, place) in Installation::each().enumerate() {
        let server = place.serve(&[]);
        let (_, key) = populate(&server);
        let backup = folder.path().join(number.to_string());
        let backup = backup.to_str().unwrap();
        place.run(&["backup", backup]).expect(0);
        let in_use = "a server or another command has the database open: stop it, then restore again";
        let kept =
            "the database holds an installation: nothing was restored: to put the backup in its place, say --replace";
        let first = if place.is_embedded() { kept } else { in_use };
        assert_eq!(refusal(place.run(&["restore", backup])), first);
        assert_eq!(refusal(place.run(&["restore", backup, "--replace"])), in_use);
        server.admin().get("/v1/whoami").expect(200);
        drop(server);
        assert_eq!(refusal(place.run(&["restore", backup])), kept);
        let before = place.run(&["log", "tail", "--json"]).expect(0).stdout;
        place.run(&["restore", backup, "--replace"]).expect(0);
        let after = place.run(&["log", "tail", "--json"]).expect(0).stdout;
        assert_eq!(after.lines().count(), before.lines().count() + 1);
        assert_eq!(verdict(&place.serve(&[]), &key), "VALID");
        if place.is_embedded() {
            let old = place.data_dir().join("keyroll.db.replaced");
            let said = refusal(place.run(&["restore", backup, "--replace"]));
            assert_eq!(said, format!("{} is from an earlier restore: move it away, then restore again", old.display()));
        }
    }
}

fn holds_no_key(place: &Installation, good: &Path) {
    for name in ["root.key", "signing.key"] {
        let secret = fs::read(place.data_dir().join(name)).unwrap();
        for file in ["data.jsonl.gz", "manifest.json"] {
            let held = fs::read(good.join(file)).unwrap();
            assert!(held.windows(32).all(|window| window != &secret[..32]), "{name} is in {file}");
        }
    }
}

/// A copy of a backup that somebody or something has spoilt is refused with a reason, and leaves nothing behind.
fn refuses_spoilt(place: &Installation, good: &Path, name: &str, why: &str, spoil: &dyn Fn(&Path)) {
    let copy = good.with_file_name(name);
    fs::create_dir(&copy).unwrap();
    for file in ["data.jsonl.gz", "manifest.json"] {
        fs::copy(good.join(file), copy.join(file)).unwrap();
    }
    spoil(&copy);
    for command in [&["backup", "--check"][..], &["restore"]] {
        let said = refusal(place.run(&[command, &[copy.to_str().unwrap()]].concat()));
        assert!(said.contains(why), "{name}: {said}");
    }
    assert!(!place.data_dir().join("backup.checking").exists());
    assert!(!place.data_dir().join("keyroll.db").exists());
}

#[test]
fn damage_is_found_by_the_hash_and_names_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let (place, empty) = (Installation::sqlite(), Installation::sqlite());
    populate(&place.serve(&[]));
    copy_keys(&place, &empty);
    let good = folder.path().join("good");
    place.run(&["backup", good.to_str().unwrap()]).expect(0);
    let refuses = |name: &str, why: &str, spoil: &dyn Fn(&Path)| refuses_spoilt(&empty, &good, name, why, spoil);
    let cut = |at: &Path| {
        let bytes = fs::read(at.join("data.jsonl.gz")).unwrap();
        fs::write(at.join("data.jsonl.gz"), &bytes[..bytes.len() / 2]).unwrap();
    };
    let other =
        "data.jsonl.gz does not have the hash that was written: it was damaged or changed since: take another copy";
    refuses("cut", other, &cut);
    // One bit of any byte: no row is looked at before the hash is.
    let length = fs::metadata(good.join("data.jsonl.gz")).unwrap().len() as usize;
    for at in [0, 3, length / 4, length / 2, length - 9, length - 1] {
        let flip = |copy: &Path| {
            let mut bytes = fs::read(copy.join("data.jsonl.gz")).unwrap();
            bytes[at] ^= 4;
            fs::write(copy.join("data.jsonl.gz"), bytes).unwrap();
        };
        refuses(&format!("flipped{at}"), other, &flip);
    }
    let more = |copy: &Path| {
        let mut bytes = fs::read(copy.join("data.jsonl.gz")).unwrap();
        bytes.push(b'x');
        fs::write(copy.join("data.jsonl.gz"), bytes).unwrap();
    };
    refuses("longer", other, &more);
    let torn = |copy: &Path| {
        let text = fs::read_to_string(copy.join("manifest.json")).unwrap();
        fs::write(copy.join("manifest.json"), text.replacen("\"rows\":", "\"row{\":", 1)).unwrap();
    };
    refuses("torn", "manifest.json: it is not as it was written: it was damaged or changed", &torn);
    let half = |at: &Path| fs::remove_file(at.join("manifest.json")).unwrap();
    refuses("half", "half is half a backup: manifest.json is missing: it was interrupted, or copied in", &half);
    let half = |at: &Path| fs::remove_file(at.join("data.jsonl.gz")).unwrap();
    refuses("rest", "rest is half a backup: data.jsonl.gz is missing: copy that file, too", &half);
}

#[test]
fn what_is_broken_or_foreign_is_not_restored() {
    let folder = tempfile::tempdir().unwrap();
    let place = Installation::sqlite();
    let server = place.serve(&[]);
    populate(&server);
    let good = folder.path().join("good");
    let text = good.to_str().unwrap().to_owned();
    let written = place.run(&["backup", &text]).expect(0);
    assert!(written.stdout.contains("root.key and signing.key are not in it"), "{written:?}");
    assert_eq!(refusal(place.run(&["backup", &text])), format!("{text} is there already: name another folder"));
    let nowhere = folder.path().join("no").display().to_string();
    let said = format!("cannot make {nowhere}/where: {nowhere} is no folder: make it first");
    assert_eq!(refusal(place.run(&["backup", &format!("{nowhere}/where")])), said);
    holds_no_key(&place, &good);
    let empty = Installation::sqlite();
    let refuses = |name: &str, why: &str, spoil: &dyn Fn(&Path)| refuses_spoilt(&empty, &good, name, why, spoil);
    refuses("no key", "root.key is not there: a backup holds no keys: copy it there first", &|_| {});
    copy_keys(&place, &empty);
    let edit = |at: &Path| {
        let text = fs::read_to_string(at.join("manifest.json")).unwrap();
        let edited = text.replace("\"name\":\"default\"", "\"name\":\"another\"");
        assert_ne!(edited, text);
        fs::write(at.join("manifest.json"), edited).unwrap();
    };
    refuses("edited", "it was changed: its MAC is another", &edit);
    let swap = |at: &Path| {
        use std::io::Write;
        let file = fs::File::open(at.join("data.jsonl.gz")).unwrap();
        let text = std::io::read_to_string(flate2::read::GzDecoder::new(file)).unwrap();
        let out = fs::File::create(at.join("data.jsonl.gz")).unwrap();
        let mut out = flate2::write::GzEncoder::new(out, flate2::Compression::fast());
        out.write_all(text.replace("team", "gang").as_bytes()).unwrap();
        out.finish().unwrap();
    };
    refuses("swapped", "data.jsonl.gz does not have the hash that was written", &swap);
    let stranger = Installation::sqlite();
    stranger.run(&["init"]).expect(0);
    for command in [&["backup", "--check"][..], &["restore", "--replace"]] {
        let said = refusal(stranger.run(&[command, &[&text]].concat()));
        assert!(said.contains("the backup is of another root.key than the one in the data folder"), "{said}");
    }
    // Nothing half-made is left, and the good one still is.
    let names: BTreeSet<String> =
        fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    assert!(names.iter().all(|name| !name.ends_with(".part")), "{names:?}");
    empty.run(&["restore", &text]).expect(0);
}

#[test]
fn a_folder_that_is_no_backup_is_named_as_what_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let place = Installation::sqlite();
    // Also where there is no key yet: what is named wrongly comes first.
    for has_key in [false, true] {
        if has_key {
            place.run(&["init"]).expect(0);
            place.run(&["backup", folder.path().join("good").to_str().unwrap()]).expect(0);
            fs::create_dir(folder.path().join("empty")).unwrap();
            fs::create_dir(folder.path().join("other")).unwrap();
            fs::write(folder.path().join("other/letter"), "Dear Mira").unwrap();
        }
        let at = |name: &str| folder.path().join(name).display().to_string();
        let wrong = "name the folder that keyroll backup wrote";
        let data_dir = place.data_dir().display().to_string();
        for (path, what) in [
            (at("nowhere"), format!("is not there: {wrong}")),
            (at("good/manifest.json"), format!("is no folder: {wrong}, not a file in it")),
            (at("empty"), format!("is empty: {wrong}")),
            (at("other"), format!("holds no backup: {wrong}")),
            (
                data_dir,
                "is a data folder and no backup: keyroll backup DIR writes one of it into another folder".to_owned(),
            ),
        ] {
            let what = if has_key { what } else { format!("is not there: {wrong}") };
            if !has_key && path.ends_with("manifest.json") {
                continue;
            }
            for command in [&["backup", "--check"][..], &["restore"], &["restore", "--replace"]] {
                let said = refusal(place.run(&[command, &[&path]].concat()));
                assert_eq!(said, format!("{path} {what}"));
            }
        }
    }
}

#[test]
fn lines_that_fail_at_their_end_leave_the_database_as_it_was() {
    let folder = tempfile::tempdir().unwrap();
    for (number, place) in Installation::each().enumerate() {
        populate(&place.serve(&[]));
        let before = rows(&place, &folder.path().join(format!("{number}before")));
        let data = fs::File::open(folder.path().join(format!("{number}before/data.jsonl.gz"))).unwrap();
        let text = std::io::read_to_string(flate2::read::GzDecoder::new(data)).unwrap();
        let manifest = fs::read(folder.path().join(format!("{number}before/manifest.json"))).unwrap();
        let manifest: Value = serde_json::from_slice(&manifest).unwrap();
        let migrations: Vec<String> = serde_json::from_value(manifest["manifest"]["migrations"].clone()).unwrap();
        let other = std::iter::once(Err(std::io::Error::other("other bytes")));
        let mut lines = text.lines().map(|line| Ok(line.to_owned())).chain(other);
        let replace = archive::Present::Replace;
        let done = archive::restore(&place.database_url(), &migrations, &mut lines, replace, |_| {
            Ok::<_, keyroll::store::Error>(())
        });
        assert_eq!(done.unwrap_err().to_string(), "the backup is broken: other bytes");
        assert_eq!(rows(&place, &folder.path().join(format!("{number}after"))), before);
    }
}

#[test]
fn a_row_that_was_changed_before_the_backup_is_found_in_it() {
    let folder = tempfile::tempdir().unwrap();
    let place = Installation::sqlite();
    populate(&place.serve(&[]));
    place.sql("UPDATE credentials SET name = 'other', expires_at = expires_at + 1");
    let tampered = folder.path().join("tampered");
    place.run(&["backup", tampered.to_str().unwrap()]).expect(0);
    let said = refusal(place.run(&["backup", "--check", tampered.to_str().unwrap()]));
    assert!(said.ends_with("is broken: 3 keys were changed from outside"), "{said}");
}

#[derive(QueryableByName)]
struct Name {
    #[diesel(sql_type = Text)]
    name: String,
}

/// Tables that say nothing that a backup would have to keep: its manifest names the migrations, and what
/// nodes tell of themselves is over.
const NOT_OURS: [&str; 4] = ["__diesel_schema_migrations", "migration_steps", "nodes", "worker_leases"];

#[test]
fn a_backup_holds_every_table() {
    for database in [Some(sqlite()), postgres()].into_iter().flatten() {
        let Settings { url, .. } = &database.settings;
        drop(Store::open(&database.settings).unwrap());
        let own = "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\'";
        let server = "SELECT CAST(tablename AS text) AS name FROM pg_tables \
                      WHERE schemaname NOT IN ('pg_catalog', 'information_schema')";
        let rows: Vec<Name> = match url.strip_prefix("sqlite:") {
            Some(path) => diesel::sql_query(own).load(&mut SqliteConnection::establish(path).unwrap()).unwrap(),
            None => diesel::sql_query(server).load(&mut PgConnection::establish(url).unwrap()).unwrap(),
        };
        let names: BTreeSet<String> = rows.into_iter().map(|row| row.name).collect();
        assert_eq!(names, TABLES.into_iter().chain(NOT_OURS).map(str::to_owned).collect());
    }
    // And what the program reads and writes is among them.
    let schema = include_str!("../../../src/store/schema.rs").split("table! {").skip(1);
    let known: BTreeSet<&str> = schema.map(|rest| rest.split('(').next().unwrap().trim()).collect();
    assert_eq!(known, TABLES.into_iter().collect());
}
