//! The database file goes away, or may not grow, under a running server.

use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};

use super::{refusal, until};
use crate::support::server::{Installation, Server, USER};

fn create(server: &Server, name: &str) -> u16 {
    server.idp().post("/scim/v2/Users", &json!({"schemas": [USER], "userName": name})).status
}

/// The statuses of a read, a verification and readiness.
fn served(server: &Server) -> [u16; 3] {
    let key = json!({"key": server.keys().admin});
    [
        server.idp().get("/scim/v2/Users").status,
        server.admin().post("/v1/verify", &key).status,
        server.client("").get("/readyz").status,
    ]
}

/// Once it is noticed, nothing is read or written, and readiness says why.
fn is_noticed(server: &Server) {
    // Nothing is acknowledged that is in no file any more, however fast it comes.
    assert_eq!(create(server, "late"), 503);
    until("reads are refused", || served(server) == [503; 3]);
    let told: Value = server.client("").get("/readyz").json();
    assert!(told.to_string().contains("the database file was moved, deleted or replaced"), "{told}");
    assert_eq!(server.client("").get("/healthz").status, 200);
}

#[test]
fn a_database_that_is_moved_away_is_noticed_and_so_is_its_return() {
    let place = Installation::sqlite();
    let server = place.serve(&[]);
    assert_eq!((create(&server, "mira"), served(&server)), (201, [200; 3]));
    let file = |name: &str| place.data_dir().join(name);
    for name in ["keyroll.db", "keyroll.db-wal"] {
        fs::rename(file(name), file("away")).unwrap();
        is_noticed(&server);
        fs::rename(file("away"), file(name)).unwrap();
        until("it serves again", || served(&server) == [200; 3]);
        assert_eq!(create(&server, &format!("after {name}")), 201);
    }
    // Another file at its place is another database.
    fs::rename(file("keyroll.db"), file("away")).unwrap();
    fs::copy(file("away"), file("keyroll.db")).unwrap();
    is_noticed(&server);
    fs::rename(file("away"), file("keyroll.db")).unwrap();
    until("it serves again", || served(&server) == [200; 3]);
    drop(server);
    place.run(&["log", "verify"]).expect(0);
}

#[test]
fn a_database_that_is_deleted_is_noticed_and_no_other_one_is_begun() {
    let place = Installation::sqlite();
    let server = place.serve(&[]);
    assert_eq!(create(&server, "mira"), 201);
    for name in ["keyroll.db", "keyroll.db-wal", "keyroll.db-shm"] {
        fs::remove_file(place.data_dir().join(name)).unwrap();
    }
    is_noticed(&server);
    drop(server);
    let said = refusal(place.run(&["serve", "--listen", "127.0.0.1:0"]));
    assert!(said.contains(", and the database holds none: "), "{said}");
}

/// How large a file that the server writes may become.
fn limit(server: &Server, bytes: &str) {
    let process = format!("--pid={}", server.pid());
    let done = Command::new("prlimit").args([process, format!("--fsize={bytes}:unlimited")]).status().unwrap();
    assert!(done.success());
}

#[test]
fn a_file_that_may_not_grow_is_an_error_and_not_the_end() {
    let place = Installation::sqlite();
    let mut server = place.serve(&[]);
    assert_eq!(create(&server, "mira"), 201);
    let log: &Path = &place.data_dir().join("keyroll.db-wal");
    limit(&server, &fs::metadata(log).unwrap().len().to_string());
    let refused = create(&server, "otto");
    assert!((500..=503).contains(&refused), "{refused}");
    assert!(server.is_alive());
    assert_eq!(served(&server)[..2], [200; 2]);
    limit(&server, "unlimited");
    assert_eq!(create(&server, "otto"), 201);
    drop(server);
    place.run(&["log", "verify"]).expect(0);
}
