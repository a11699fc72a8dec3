//! What a database that fails for a while does to requests, and that everything goes on by itself afterwards.

use std::process::Command;

use diesel::connection::SimpleConnection;
use diesel::sql_types::BigInt;
use diesel::{Connection, PgConnection, QueryableByName, RunQueryDsl};
use serde_json::{Value, json};

use crate::support::server::{BULK, GROUP, Installation, PATCH, Server, USER, finish, unwarned};
use crate::support::{self, postgres};

/// A user, and the text of a key of theirs.
fn person(place: &Installation, server: &Server, name: &str) -> (String, String) {
    let made = server.idp().post("/scim/v2/Users", &json!({"schemas": [USER], "userName": name})).expect(201).json();
    let issued = place.run(&["key", "issue", "--owner", name, "--json"]).expect(0).json();
    (made["id"].as_str().unwrap().to_owned(), issued["key"].as_str().unwrap().to_owned())
}

fn verdict(server: &Server, key: &str) -> Value {
    server.admin().post("/v1/verify", &json!({"key": key})).expect(200).json()["code"].clone()
}

fn leave() -> Value {
    json!({"schemas": [PATCH], "Operations": [{"op": "replace", "path": "active", "value": false}]})
}

/// Ends every session of a database.
fn terminate(cluster: &mut PgConnection, name: &str) {
    let sql = format!("SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = '{name}'");
    cluster.batch_execute(&sql).unwrap();
}

const READ_ONLY: &str = "the database is read-only: writes wait until it is not";

#[test]
fn a_session_that_may_not_write_is_given_up() {
    let Some(place) = Installation::postgres() else { return };
    let server = place.serve(&[]);
    let (mira, key) = person(&place, &server, "mira@ex.test");
    let (name, mut cluster) = place.cluster();
    let mut read_only = |on: &str| {
        let sql = format!("ALTER DATABASE {name} SET default_transaction_read_only = {on}");
        cluster.batch_execute(&sql).unwrap();
        if on == "on" {
            terminate(&mut cluster, &name);
        }
    };
    assert_eq!(verdict(&server, &key), "VALID");
    read_only("on");
    let path = format!("/scim/v2/Users/{mira}");
    // As many as there are sessions for writes: each of them is such a session now.
    std::thread::scope(|scope| {
        let refused = || server.idp().patch(&path, &leave()).expect(503);
        let all: Vec<_> = (0..8).map(|_| scope.spawn(refused)).collect();
        for answer in all.into_iter().map(|one| one.join().unwrap()) {
            assert_eq!(answer.error(), format!("503 -: {READ_ONLY}"));
            assert_eq!(answer.header("retry-after"), Some("1"));
        }
    });
    let issue = server.admin().post("/v1/keys", &json!({"owner": {"type": "user", "id": mira}, "name": "x"}));
    let problem = issue.expect(503).json();
    assert_eq!((&problem["code"], &problem["detail"]), (&json!("unavailable"), &json!(READ_ONLY)));
    // Nor is a key that somebody found said to be dead: seen to fail with what cannot be revoked now passed over.
    let exposed = || server.client("").post("/v1/exposed-credentials", &json!({"credentials": [key]}));
    let problem = exposed().expect(503).json();
    assert_eq!((&problem["code"], &problem["detail"]), (&json!("unavailable"), &json!(READ_ONLY)));
    let operations = json!([{"method": "PATCH", "path": format!("/Users/{mira}"), "data": leave()}]);
    let bulk = json!({"schemas": [BULK], "Operations": operations});
    let bulk = server.idp().post("/scim/v2/Bulk", &bulk).expect(200).json();
    assert_eq!(bulk["Operations"][0]["status"], "503");
    assert_eq!(bulk["Operations"][0]["response"]["detail"], READ_ONLY);
    let unready = server.client("").get("/readyz").expect(503);
    assert_eq!(unready.json(), json!({"status": "unready", "writes": READ_ONLY}));
    assert_eq!(unready.header("retry-after"), Some("1"));
    assert_eq!(server.client("").get("/readyz?for=reads").expect(200).json()["status"], "ready");
    let odd = server.client("").get("/readyz?for=writing").expect(400);
    assert_eq!(odd.json()["detail"], "for: expected reads");
    assert_eq!(verdict(&server, &key), "VALID");
    read_only("off");
    // Nobody ended the sessions.
    server.idp().patch(&path, &leave()).expect(200);
    assert_eq!(verdict(&server, &key), "OWNER_INACTIVE");
    exposed().expect(202);
    assert_eq!(verdict(&server, &key), "REVOKED");
    assert_eq!(server.client("").get("/readyz").expect(200).json()["status"], "ready");
}

#[test]
fn a_read_only_database_is_told_before_anybody_writes() {
    let Some(place) = Installation::postgres() else { return };
    let server = place.serve(&[]);
    let (name, mut cluster) = place.cluster();
    cluster.batch_execute(&format!("ALTER DATABASE {name} SET default_transaction_read_only = on")).unwrap();
    terminate(&mut cluster, &name);
    let told = until(|| Some(server.client("").get("/readyz")).filter(|answer| answer.status == 503));
    assert_eq!(told.json(), json!({"status": "unready", "writes": READ_ONLY}));
    // Whoever starts now has nothing to migrate: the command line reads, and another node verifies.
    let listed = place.run(&["key", "list", "--json"]).expect(0).json();
    assert_eq!(listed["keys"].as_array().unwrap().len(), 2);
    let refused = place.run(&["key", "issue", "--owner", "operator"]).expect(4);
    assert_eq!(refused.stderr, format!("keyroll: {READ_ONLY}\n"));
    let second = place.serve_with(&[], &[("KEYROLL_LOG", "info")]);
    let logged = second.await_log("the database keeps no writes now");
    assert!(!logged.contains("done again"), "{logged}");
    assert_eq!(second.client("").get("/readyz?for=reads").expect(200).json()["status"], json!("ready"));
    cluster.batch_execute(&format!("ALTER DATABASE {name} SET default_transaction_read_only = off")).unwrap();
    until(|| Some(server.client("").get("/readyz")).filter(|answer| answer.status == 200));
}

#[test]
fn a_lock_that_somebody_else_holds_is_told_before_anybody_writes() {
    let Some(place) = Installation::postgres() else { return };
    let server = place.serve(&[]);
    let (mira, key) = person(&place, &server, "mira@ex.test");
    let mut other = PgConnection::establish(&place.database_url()).unwrap();
    let ready = || server.client("").get("/readyz");
    for lock in ["LOCK TABLE credentials IN SHARE MODE", "SELECT * FROM log_heads FOR UPDATE"] {
        until(|| Some(()).filter(|()| ready().status == 200));
        other.batch_execute(&format!("BEGIN; {lock}")).unwrap();
        let told = until(|| Some(ready()).filter(|answer| answer.status == 503)).json();
        assert_eq!(told, json!({"status": "unready", "writes": "a write has begun and does not end"}), "{lock}");
        // It is told without a break, and why as soon as that is known.
        let told = until(|| {
            let told = ready().expect(503).json();
            Some(told).filter(|told| told["writes"] != "a write has begun and does not end")
        });
        assert_eq!(told, json!({"status": "unready", "writes": "another program has locked the database"}), "{lock}");
        server.client("").get("/readyz?for=reads").expect(200);
        assert_eq!(verdict(&server, &key), "VALID");
        other.batch_execute("ROLLBACK").unwrap();
    }
    until(|| Some(()).filter(|()| ready().status == 200));
    // What verification reads, nobody else may hold either.
    let reads = || server.client("").get("/readyz?for=reads").status;
    assert_eq!(reads(), 200);
    other.batch_execute("BEGIN; LOCK TABLE credentials IN ACCESS EXCLUSIVE MODE").unwrap();
    assert_eq!(reads(), 503);
    other.batch_execute("ROLLBACK").unwrap();
    until(|| Some(()).filter(|()| ready().status == 200));
    // Nor the log, which tells what is remembered no longer.
    other.batch_execute("BEGIN; LOCK TABLE log_records IN ACCESS EXCLUSIVE MODE").unwrap();
    until(|| Some(()).filter(|()| reads() == 503));
    other.batch_execute("ROLLBACK").unwrap();
    until(|| Some(()).filter(|()| ready().status == 200));
    server.idp().patch(&format!("/scim/v2/Users/{mira}"), &leave()).expect(200);
}

#[test]
fn what_cannot_be_written_at_the_first_start_is_all_that_is_said() {
    // With tables, which somebody may have made before.
    let Some(place) = postgres::url().map(Installation::on) else { return };
    let (name, mut cluster) = place.cluster();
    cluster.batch_execute(&format!("ALTER DATABASE {name} SET default_transaction_read_only = on")).unwrap();
    let said = format!("keyroll: {READ_ONLY}\n");
    let output = place.start(&[], &[("KEYROLL_LOG", "info")]).outcome().err().unwrap();
    assert_eq!((output.code, output.stdout.as_str(), output.stderr.as_str()), (4, "", said.as_str()));
    let mut init = place.command(&["init"]);
    init.env("KEYROLL_LOG", "info");
    assert_eq!(finish(init).expect(4).stderr, said);
}

/// Asks until there is an answer, and fails if that takes far too long.
#[track_caller]
fn until<T>(ask: impl FnMut() -> Option<T>) -> T {
    support::until("the answer", ask)
}

#[test]
fn a_disk_that_takes_no_more_takes_no_verification_away() {
    let place = Installation::sqlite();
    let server = place.serve_after("trap '' XFSZ", &[]);
    let (mira, key) = person(&place, &server, "mira@ex.test");
    let limit = |soft: &str| {
        let arguments = [format!("--pid={}", server.pid()), format!("--fsize={soft}:")];
        assert!(Command::new("prlimit").args(arguments).status().unwrap().success());
    };
    // Not one byte more than the log has: the next commit is the first that needs it.
    let log = place.data_dir().join("keyroll.db-wal");
    limit(&std::fs::metadata(log).unwrap().len().to_string());
    let refused = server.idp().patch(&format!("/scim/v2/Users/{mira}"), &leave()).expect(503);
    assert_eq!((refused.error().as_str(), refused.header("retry-after")), ("503 -: the disk fails", Some("1")));
    let unready = server.client("").get("/readyz").expect(503);
    assert_eq!(unready.json(), json!({"status": "unready", "writes": "the disk fails"}));
    assert_eq!(server.client("").get("/readyz?for=reads").expect(200).json(), json!({"status": "ready"}));
    assert_eq!(verdict(&server, &key), "VALID");
    limit("unlimited");
    until(|| Some(server.client("").get("/readyz")).filter(|answer| answer.status == 200));
    server.idp().patch(&format!("/scim/v2/Users/{mira}"), &leave()).expect(200);
    assert_eq!(verdict(&server, &key), "OWNER_INACTIVE");
    place.run(&["log", "verify"]).expect(0);
}

#[test]
fn a_session_that_the_server_ended_fails_no_request() {
    let Some(place) = Installation::postgres() else { return };
    let server = place.serve_with(&[], &[("KEYROLL_LOG", "info")]);
    let (mira, key) = person(&place, &server, "mira@ex.test");
    let (name, mut cluster) = place.cluster();
    let path = format!("/scim/v2/Users/{mira}");
    let requests: [&dyn Fn(); 5] = [
        &|| assert_eq!(verdict(&server, &key), "VALID"),
        &|| drop(server.idp().get(&path).expect(200)),
        &|| drop(server.idp().get("/scim/v2/Users?filter=displayName%20co%20%22x%22").expect(200)),
        &|| drop(server.idp().patch(&path, &leave()).expect(200)),
        &|| assert_eq!(verdict(&server, &key), "OWNER_INACTIVE"),
    ];
    for request in requests {
        terminate(&mut cluster, &name);
        request();
    }
    // Whoever looks after it reads one plain line for each time, and nothing of the pool's own.
    server.terminate();
    let (_, _, logged) = server.wait();
    let lost = "WARN  keyroll::store::session] sessions of the database were lost, and are made anew: ";
    let again = "INFO  keyroll::store::session] the database is there again";
    let count = |text: &str| logged.lines().filter(|line| line.contains(text)).count();
    assert!(unwarned(&logged).lines().filter(|line| line.contains("WARN")).all(|line| line.contains(lost)), "{logged}");
    assert!((1..=5).contains(&count(lost)), "{logged}");
    assert!((1..=count(lost)).contains(&count(again)), "{logged}");
}

/// Makes the database do something to each of the first writes of a log, while they write or when they commit.
fn spoil(place: &Installation, first: u32, action: &str, when: &str) {
    place.sql(&format!(
        "DROP TRIGGER IF EXISTS spoil ON log_records; CREATE SEQUENCE IF NOT EXISTS tries; \
         SELECT setval('tries', 1, false); \
         CREATE OR REPLACE FUNCTION spoil() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN \
             IF nextval('tries') <= {first} THEN {action}; END IF; RETURN NEW; END $$; \
         CREATE CONSTRAINT TRIGGER spoil AFTER INSERT ON log_records DEFERRABLE INITIALLY {when} \
             FOR EACH ROW EXECUTE FUNCTION spoil()"
    ));
}

#[derive(QueryableByName)]
struct LastValue {
    #[diesel(sql_type = BigInt)]
    last_value: i64,
}

/// As a server speaks whose disk has room for what is there and for nothing beside.
fn fill_disk(place: &Installation, table: &str) {
    place.sql(&format!(
        "CREATE SEQUENCE IF NOT EXISTS refused; \
         CREATE OR REPLACE FUNCTION fill_disk() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN \
             PERFORM nextval('refused'); RAISE EXCEPTION USING ERRCODE = '53100', MESSAGE = 'could not extend file \"base/1/2\": No space left on device'; END $$; \
         CREATE TRIGGER fill_disk AFTER INSERT ON {table} FOR EACH ROW EXECUTE FUNCTION fill_disk()"
    ));
}

#[test]
fn a_full_disk_is_told_until_there_is_space_for_something_new() {
    let Some(place) = Installation::postgres() else { return };
    let server = place.serve(&[]);
    let (mira, key) = person(&place, &server, "mira@ex.test");
    let create = || server.idp().post("/scim/v2/Users", &json!({"schemas": [USER], "userName": "tom@ex.test"}));
    let ready = || server.client("").get("/readyz");
    fill_disk(&place, "resources");
    // The probe changes a row in its place, which goes well; it has to write anew, too.
    fill_disk(&place, "installation");
    let why = "the disk of the database server is full";
    assert_eq!(create().expect(503).error(), format!("503 -: {why}"));
    let unready = json!({"status": "unready", "writes": why});
    let mut watch = PgConnection::establish(&place.database_url()).unwrap();
    // The create, and two probes.
    until(|| {
        assert_eq!(ready().expect(503).json(), unready);
        let asked = diesel::sql_query("SELECT last_value FROM refused").get_result::<LastValue>(&mut watch);
        (asked.unwrap().last_value >= 3).then_some(())
    });
    // What has its place already is still changed, and says nothing of the rest.
    server.idp().patch(&format!("/scim/v2/Users/{mira}"), &leave()).expect(200);
    assert_eq!(ready().expect(503).json(), unready);
    assert_eq!(verdict(&server, &key), "OWNER_INACTIVE");
    place.sql("DROP TRIGGER fill_disk ON resources; DROP TRIGGER fill_disk ON installation");
    until(|| Some(ready()).filter(|answer| answer.status == 200));
    create().expect(201);
}

const END: &str = "PERFORM pg_terminate_backend(pg_backend_pid())";

#[test]
fn a_write_is_done_again_only_if_it_certainly_was_not_kept() {
    let Some(place) = Installation::postgres() else { return };
    let server = place.serve(&[]);
    let create = |name: &str| server.idp().post("/scim/v2/Users", &json!({"schemas": [USER], "userName": name}));
    spoil(&place, 1, END, "IMMEDIATE");
    create("ada").expect(201);
    spoil(&place, 2, END, "IMMEDIATE");
    assert_eq!(create("ben").expect(503).header("retry-after"), Some("1"));
    create("ben").expect(201);
    // Whether a commit was done whose answer is lost, nobody here knows: the next one finds it undone.
    spoil(&place, 1, END, "DEFERRED");
    create("cai").expect(503);
    create("cai").expect(201);
    spoil(&place, 0, END, "IMMEDIATE");
    place.run(&["log", "verify"]).expect(0);
}

#[test]
fn writes_that_meet_are_done_again_before_a_client_hears_of_it() {
    let Some(place) = Installation::postgres() else { return };
    let server = place.serve(&[]);
    let idp = server.idp();
    let group = json!({"schemas": [GROUP], "displayName": "crew"});
    let group = idp.post("/scim/v2/Groups", &group).expect(201).json()["id"].as_str().unwrap().to_owned();
    let create = |name: &str| idp.post("/scim/v2/Users", &json!({"schemas": [USER], "userName": name}));
    for (code, words) in [("40001", "could not serialize access"), ("40P01", "deadlock detected")] {
        let raise = format!("RAISE EXCEPTION USING ERRCODE = '{code}', MESSAGE = '{words}'");
        for when in ["IMMEDIATE", "DEFERRED"] {
            let name = |what: &str| format!("{what}.{code}.{when}").to_lowercase();
            spoil(&place, 3, &raise, when);
            create(&name("three")).expect(201);
            spoil(&place, 4, &raise, when);
            let refused = create(&name("four")).expect(503);
            assert_eq!(
                (refused.error().as_str(), refused.header("retry-after")),
                ("503 -: the store is unavailable", Some("1"))
            );
            spoil(&place, 3, &raise, when);
            let operations = json!([
                {"method": "POST", "path": "/Users", "bulkId": "b", "data": {"schemas": [USER], "userName": name("bulk")}},
                {"method": "PATCH", "path": format!("/Groups/{group}"), "data": {"schemas": [PATCH],
                    "Operations": [{"op": "add", "path": "members", "value": [{"value": "bulkId:b"}]}]}}]);
            let bulk =
                idp.post("/scim/v2/Bulk", &json!({"schemas": [BULK], "Operations": operations})).expect(200).json();
            let statuses: Vec<&str> =
                bulk["Operations"].as_array().unwrap().iter().map(|one| one["status"].as_str().unwrap()).collect();
            assert_eq!(statuses, ["201", "200"], "{bulk}");
        }
    }
    // Nor is a record lost that is kept once an hour.
    let raise = "RAISE EXCEPTION USING ERRCODE = '40001', MESSAGE = 'could not serialize access'";
    let nobody = json!({"schemas": [PATCH], "Operations": [{"op": "add", "path": "members",
        "value": [{"value": "01939e7a-5b1c-7def-8abc-0123456789ab"}]}]});
    let unknown = || {
        let log = place.run(&["log", "tail", "-n", "30", "--json"]).expect(0).stdout;
        log.matches("01939e7a-5b1c-7def-8abc-0123456789ab").count()
    };
    for when in ["IMMEDIATE", "DEFERRED"] {
        spoil(&place, 3, raise, when);
        idp.patch(&format!("/scim/v2/Groups/{group}"), &nobody).expect(200);
        assert_eq!(unknown(), 1);
    }
    spoil(&place, 0, END, "IMMEDIATE");
    let members = idp.get(&format!("/scim/v2/Groups/{group}")).expect(200).json()["members"].clone();
    assert_eq!(members.as_array().unwrap().len(), 4);
    assert_eq!(idp.get("/scim/v2/Users?count=0").expect(200).json()["totalResults"], 8);
    place.run(&["log", "verify"]).expect(0);
}

#[test]
fn a_server_whose_database_restarted_is_known_there_before_anybody_asks_it() {
    let Some(place) = Installation::postgres() else { return };
    let server = place.serve(&[]);
    let folder = place.data_dir().join("backup");
    let backup = folder.to_str().unwrap();
    place.run(&["backup", backup]).expect(0);
    let (name, mut cluster) = place.cluster();
    terminate(&mut cluster, &name);
    // Nobody asks the server anything. What it holds is seen where the lock is looked for.
    let mut own = PgConnection::establish(&place.database_url()).unwrap();
    let held = "DO $$ BEGIN ASSERT (SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND mode = 'ShareLock' \
                AND database = (SELECT oid FROM pg_database WHERE datname = current_database())) > 0; END $$";
    until(|| own.batch_execute(held).ok());
    let refused = place.run(&["restore", backup, "--replace"]).expect(1);
    let in_use = "a server or another command has the database open: stop it, then restore again";
    assert_eq!(refused.stderr, format!("keyroll: {in_use}\n"));
    drop(server);
}
