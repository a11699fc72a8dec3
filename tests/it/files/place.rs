//! A typing error in the database URL harms nobody's file.

use std::fs;
use std::os::unix::fs::{FileExt, symlink};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::SystemTime;

use diesel::connection::SimpleConnection;
use diesel::{Connection, SqliteConnection};
use serde_json::json;

use super::{mode, refusal, set_mode};
use crate::support::server::{Installation, USER};

/// Questions, changes, and what makes a new database: none may touch what is not its own.
const COMMANDS: [&[&str]; 5] =
    [&["init"], &["serve", "--listen", "127.0.0.1:0"], &["key", "list"], &["log", "verify"], &["role", "create", "r"]];

/// Everything about a folder's files that could change.
fn state(folder: &Path) -> Vec<(PathBuf, u32, SystemTime, Vec<u8>)> {
    let mut all: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| {
            let path = entry.unwrap().path();
            let about = fs::symlink_metadata(&path).unwrap();
            let bytes = if about.is_file() { fs::read(&path).unwrap() } else { vec![] };
            (path.clone(), mode(&path), about.modified().unwrap(), bytes)
        })
        .collect();
    all.sort();
    all
}

/// Every command refuses the file in the same words, and leaves the folder as it is.
fn refuses(folder: &Path, name: &str, why: &str) {
    let place = Installation::sqlite();
    let path = folder.join(name);
    let url = format!("sqlite:{}", path.display());
    let before = state(folder);
    for command in COMMANDS {
        let said = refusal(place.run(&[command, &["--database-url", &url]].concat()));
        assert_eq!(said, format!("{} {why}", path.display()), "{command:?}");
        assert_eq!(state(folder), before, "{command:?}");
    }
}

const LEFT: &str = "it was left as it is: check the database URL, or move it away";

#[test]
fn what_is_no_database_is_left_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    fs::write(at("passwd"), "root:x:0:0:root:/root:/bin/sh\n".repeat(300)).unwrap();
    set_mode(&at("passwd"), 0o644);
    fs::write(at("short"), "x").unwrap();
    fs::create_dir(at("folder")).unwrap();
    symlink("passwd", at("link")).unwrap();
    assert!(Command::new("mkfifo").arg(at("pipe")).status().unwrap().success());
    let _listens = UnixListener::bind(at("socket")).unwrap();
    let owner = std::os::unix::fs::MetadataExt::uid(&fs::metadata(at("passwd")).unwrap());
    let no_database = format!(
        "cannot be read as a database (its owner is user {owner}): the database file cannot be used: file is not a \
         database: {LEFT}"
    );
    refuses(folder.path(), "passwd", &no_database);
    refuses(folder.path(), "short", &format!("is too short for a database: {LEFT}"));
    refuses(folder.path(), "folder", &format!("is a folder: {LEFT}"));
    refuses(folder.path(), "link", "is a symbolic link to passwd: it was left as it is: name that file itself");
    refuses(folder.path(), "pipe", &format!("is a pipe: {LEFT}"));
    refuses(folder.path(), "socket", &format!("is a socket: {LEFT}"));
}

#[test]
fn a_database_of_another_program_is_left_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let open = |name: &str, sql: &str| {
        let path = folder.path().join(name);
        let mut database = SqliteConnection::establish(path.to_str().unwrap()).unwrap();
        database.batch_execute(sql).unwrap();
        set_mode(&path, 0o664);
        database
    };
    drop(open("plain.db", "CREATE TABLE notes (text TEXT); CREATE TABLE installation (name TEXT);"));
    drop(open(
        "named.db",
        "PRAGMA application_id = 7; CREATE TABLE installation (n TEXT); CREATE TABLE log_heads (n TEXT);",
    ));
    drop(open("versioned.db", "PRAGMA user_version = 3;"));
    drop(open("numbered.db", "PRAGMA application_id = 7;"));
    drop(open("view.db", "CREATE VIEW notes AS SELECT 1;"));
    // Its tables lie beside it, in a log that nobody has put back.
    let _open = open("logged.db", "PRAGMA journal_mode = WAL; CREATE TABLE notes (text TEXT);");
    let other = |number: i64, tables: &str| {
        format!("is a database of another program (application_id {number}, tables {tables}): {LEFT}")
    };
    refuses(folder.path(), "plain.db", &other(0, "notes, installation"));
    refuses(folder.path(), "named.db", &other(7, "installation, log_heads"));
    refuses(folder.path(), "view.db", &other(0, "notes"));
    for (name, application, version) in [("versioned.db", 0, 3), ("numbered.db", 7, 0)] {
        let holds = format!("application_id {application}, user_version {version}, no tables");
        refuses(folder.path(), name, &format!("is a database of another program ({holds}): {LEFT}"));
    }
    let place = Installation::sqlite();
    let path = folder.path().join("logged.db");
    let (bytes, log) = (fs::read(&path).unwrap(), fs::read(folder.path().join("logged.db-wal")).unwrap());
    for command in COMMANDS {
        let url = format!("sqlite:{}", path.display());
        let said = refusal(place.run(&[command, &["--database-url", &url]].concat()));
        assert_eq!(said, format!("{} {}", path.display(), other(0, "notes")));
        assert_eq!((fs::read(&path).unwrap(), mode(&path)), (bytes.clone(), 0o664));
        assert_eq!(fs::read(folder.path().join("logged.db-wal")).unwrap(), log);
    }
}

#[test]
fn an_empty_file_and_a_database_from_before_it_was_marked_are_taken() {
    let place = Installation::sqlite();
    let path = place.data_dir().join("keyroll.db");
    fs::create_dir(place.data_dir()).unwrap();
    fs::write(&path, "").unwrap();
    set_mode(&path, 0o644);
    place.run(&["init"]).expect(0);
    // SQLite's file format, §1.3: the number is at byte 68 of the file.
    let number = || fs::read(&path).unwrap()[68..72].to_vec();
    assert_eq!((number(), mode(&path)), (b"keyr".to_vec(), 0o600));
    place.sql("PRAGMA application_id = 0");
    place.run(&["key", "list"]).expect(0);
    assert_eq!(number(), b"keyr");
    // Killed before anything was put back from its log into a file without the number.
    place.sql("PRAGMA application_id = 0");
    let server = place.serve(&[]);
    drop(server);
    place.run(&["log", "verify"]).expect(0);
}

/// The pages of the log go back one by one, and whoever is killed meanwhile leaves a file that says nothing without
/// its log.
#[test]
fn a_stop_while_the_log_is_put_back_is_no_obstacle() {
    let place = Installation::sqlite();
    let mut server = place.serve(&[]);
    server.kill();
    // The first start's log lies in the file by now; the next one's grows the database.
    place.run(&["log", "verify"]).expect(0);
    let path = place.data_dir().join("keyroll.db");
    let pages = |bytes: &[u8]| u32::from_be_bytes(bytes[28..32].try_into().unwrap());
    let before = pages(&fs::read(&path).unwrap());
    let mut server = place.serve(&[]);
    let mira = json!({"schemas": [USER], "userName": "mira@ex.test", "title": "t".repeat(60_000)});
    server.idp().post("/scim/v2/Users", &mira).expect(201);
    server.kill();
    let first = last_first_page(&fs::read(place.data_dir().join("keyroll.db-wal")).unwrap());
    assert!(pages(&first) > before + 10, "{before} {}", pages(&first));
    fs::OpenOptions::new().write(true).open(&path).unwrap().write_all_at(&first, 0).unwrap();
    let restored = place.serve(&[]);
    assert_eq!(restored.printed, Vec::<String>::new(), "the data is there: no new keys");
    drop(restored);
    place.run(&["log", "verify"]).expect(0);
    place.run(&["user", "show", "mira@ex.test"]).expect(0);
}

/// What a log holds of the first page at its end (<https://sqlite.org/fileformat.html> §4.1).
fn last_first_page(log: &[u8]) -> Vec<u8> {
    let page = u32::from_be_bytes(log[8..12].try_into().unwrap()) as usize;
    let mut frames = log[32..].chunks_exact(24 + page);
    frames.rfind(|frame| frame[..4] == [0, 0, 0, 1]).unwrap()[24..].to_vec()
}
