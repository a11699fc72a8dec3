//! Several PostgreSQL machines, and ways to them that fail: a node that cannot know answers 503, never VALID.

use diesel::connection::SimpleConnection;
use diesel::sql_types::BigInt;
use diesel::{Connection, PgConnection, QueryableByName, RunQueryDsl, sql_query};
use serde_json::{Value, json};

use crate::support;
use crate::support::postgres::Machine;
use crate::support::proxy::Proxy;
use crate::support::server::{Installation, Server, USER, finish};

/// A user, and the text of a key of theirs.
fn person(place: &Installation, server: &Server, name: &str) -> (String, String) {
    let made = server.idp().post("/scim/v2/Users", &json!({"schemas": [USER], "userName": name})).expect(201).json();
    let issued = place.run(&["key", "issue", "--owner", name, "--json"]).expect(0).json();
    (made["id"].as_str().unwrap().to_owned(), issued["key"].as_str().unwrap().to_owned())
}

/// What the server says of a key: its code, or nothing if it says that it cannot know.
fn verdict(server: &Server, key: &str) -> Option<Value> {
    let answer = server.admin().post("/v1/verify", &json!({"key": key}));
    if answer.status == 503 {
        assert_eq!(answer.header("retry-after"), Some("1"));
        return None;
    }
    Some(answer.expect(200).json()["code"].clone())
}

/// Asks until there is an answer, and fails if that takes far too long.
#[track_caller]
fn until<T>(ask: impl Fn() -> Option<T>) -> T {
    support::until("the answer", ask)
}

/// Waits until a standby has what it has to have, since replication does not wait for it.
fn await_key(standby: &Machine) {
    until(|| {
        let mut replica = PgConnection::establish(&Machine::url(&[standby])).unwrap();
        let found = sql_query("SELECT count(*) AS count FROM credentials").get_result::<Count>(&mut replica).unwrap();
        Some(()).filter(|()| found.count >= 3)
    });
}

#[test]
fn a_node_follows_the_primary_and_never_goes_back() {
    let Some(first) = Machine::primary() else { return };
    let second = first.standby();
    let place = Installation::on(Machine::url(&[&first, &second]));
    let node = place.serve(&[]);
    let (mira, key) = person(&place, &node, "mira@ex.test");
    assert_eq!(verdict(&node, &key), Some(json!("VALID")));
    // Whoever starts on a standby is told so.
    let astray = place.through(Machine::url(&[&second])).start(&[], &[]).outcome().err().unwrap();
    assert_eq!((astray.code, astray.stdout.as_str()), (4, ""));
    assert!(astray.stderr.contains("hot standby mode"), "{astray:?}");
    await_key(&second);
    second.promote();
    first.stop();
    assert_eq!(until(|| verdict(&node, &key)), "VALID");
    let other = place.through(Machine::url(&[&second])).serve(&[]);
    other.admin().post(&format!("/v1/users/{mira}/suspend"), &json!({})).expect(200);
    assert_eq!(verdict(&node, &key), Some(json!("OWNER_INACTIVE")));
    // The first comes back as if nothing had been: there the key works.
    second.stop();
    first.start();
    for _ in 0..3 {
        assert_eq!(verdict(&node, &key), None);
    }
    let unready = node.client("").get("/readyz").expect(503).json();
    assert_eq!(unready["reads"], unready["writes"], "{unready}");
    assert_eq!(unready["status"], "unready");
    first.stop();
    second.start();
    assert_eq!(until(|| verdict(&node, &key)), "OWNER_INACTIVE");
}

#[test]
fn a_node_leaves_a_primary_that_stands_still() {
    let Some(first) = Machine::primary() else { return };
    let second = first.standby();
    let [still, other] = [&first, &second].map(|machine| Proxy::to(&Machine::url(&[machine])));
    let url = other.url().replace("keyroll@", &format!("keyroll@{},", still.address()));
    let place = Installation::on(url);
    let node = place.serve(&[]);
    let (mira, key) = person(&place, &node, "mira@ex.test");
    assert_eq!(verdict(&node, &key), Some(json!("VALID")));
    await_key(&second);
    // Something is read of the log, for there was a commit, when it stands still: it takes connections and ends none.
    let mut conn = PgConnection::establish(&Machine::url(&[&first])).unwrap();
    conn.batch_execute("CREATE TABLE moved ()").unwrap();
    conn.batch_execute("BEGIN; LOCK TABLE log_heads IN ACCESS EXCLUSIVE MODE").unwrap();
    std::thread::scope(|scope| {
        let asked = scope.spawn(|| verdict(&node, &key));
        wait_for_a_lock(&mut conn, 0);
        still.freeze();
        assert_eq!(asked.join().unwrap(), None);
    });
    second.promote();
    assert_eq!(until(|| verdict(&node, &key)), "VALID");
    node.admin().post(&format!("/v1/users/{mira}/suspend"), &json!({})).expect(200);
    // What it had said before is told to nobody.
    still.thaw();
    for _ in 0..10 {
        assert_eq!(verdict(&node, &key), Some(json!("OWNER_INACTIVE")));
    }
}

#[test]
fn what_waits_for_a_primary_that_stands_still_is_ended_once_it_is_overtaken() {
    let Some(first) = Machine::primary() else { return };
    let second = first.standby();
    // Addresses of this machine that no other run has.
    let own = std::process::id();
    let [at, other] = [1, 2].map(|n| format!("127.{}.{}.{n}", 64 + own / 256 % 128, own % 256));
    first.listen_at(&at);
    second.listen_at(&other);
    let place = Installation::on(format!("postgres://keyroll@{at},{other}/keyroll"));
    let node = place.serve(&[]);
    let [mira, nora] = ["mira@ex.test", "nora@ex.test"].map(|name| person(&place, &node, name));
    await_key(&second);
    let mut conn = PgConnection::establish(&Machine::url(&[&first])).unwrap();
    conn.batch_execute("BEGIN; LOCK TABLE log_heads IN EXCLUSIVE MODE").unwrap();
    // Readers pass, and whoever writes waits.
    let suspend = |id: &str| node.admin().post(&format!("/v1/users/{id}/suspend"), &json!({}));
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| suspend(&mira.0).status);
        wait_for_a_lock(&mut conn, 0);
        first.signal("STOP");
        second.promote();
        // The next change of the tenant does not wait behind the one before, nor does that one.
        let status = until(|| Some(suspend(&nora.0).status).filter(|status| *status != 503));
        assert_eq!((status, verdict(&node, &nora.1)), (200, Some(json!("OWNER_INACTIVE"))));
        let status = waiting.join().unwrap();
        assert!(status == 200 || status == 503, "{status}");
    });
    // It goes on as the primary that it was: sessions that are lost are made anew on the other one all the same.
    first.signal("CONT");
    for _ in 0..8 {
        second.run("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = 'keyroll'");
        assert_eq!(verdict(&node, &nora.1), Some(json!("OWNER_INACTIVE")));
        suspend(&nora.0).expect(200);
    }
}

#[test]
fn a_node_on_a_standby_knows_that_it_cannot_know() {
    let Some(machine) = Machine::primary() else { return };
    let place = Installation::on(format!("{}&target_session_attrs=any", Machine::url(&[&machine])));
    let node = place.serve(&[]);
    let (_, key) = person(&place, &node, "mira@ex.test");
    assert_eq!(verdict(&node, &key), Some(json!("VALID")));
    machine.stop();
    machine.demote();
    machine.start();
    for _ in 0..3 {
        assert_eq!(verdict(&node, &key), None);
    }
    let why = "the database is a standby, and only its primary tells what holds";
    let unready = || node.client("").get("/readyz").expect(503).json();
    assert_eq!(unready(), json!({"status": "unready", "reads": why, "writes": why}));
    node.client("").get("/readyz?for=reads").expect(503);
    machine.promote();
    assert_eq!(until(|| verdict(&node, &key)), "VALID");
    until(|| Some(()).filter(|()| node.client("").get("/readyz").status == 200));
}

#[test]
fn without_a_synchronous_standby_nothing_is_acknowledged() {
    let Some(machine) = Machine::primary() else { return };
    let standby = machine.standby();
    let place = Installation::on(Machine::url(&[&machine]));
    let set = |names: &str| {
        machine.run(&format!("ALTER SYSTEM SET synchronous_standby_names = '{names}'"));
        machine.run("SELECT pg_reload_conf()");
        // The reload is a signal, which new sessions find obeyed.
        until(|| {
            let sql = format!("SELECT 1 / CAST(current_setting('synchronous_standby_names') = '{names}' AS int)");
            PgConnection::establish(&Machine::url(&[&machine])).unwrap().batch_execute(&sql).ok()
        });
    };
    let why = "no synchronous standby is set, and without one nothing may be acknowledged";
    let refused = place.start(&["--require-synchronous-standby"], &[]).outcome().err().unwrap();
    assert_eq!((refused.code, refused.stdout.as_str()), (4, ""));
    assert!(refused.stderr.contains(why), "{refused:?}");
    set("*");
    let server = place.serve(&["--require-synchronous-standby"]);
    let (mira, key) = person(&place, &server, "mira@ex.test");
    let leave = || server.idp().delete(&format!("/scim/v2/Users/{mira}"));
    set("");
    let answer = leave().expect(503);
    assert_eq!((answer.error(), answer.header("retry-after")), (format!("503 -: {why}"), Some("1")));
    assert_eq!(server.client("").get("/readyz").expect(503).json()["writes"], why);
    server.client("").get("/readyz?for=reads").expect(200);
    assert_eq!(verdict(&server, &key), Some(json!("VALID")));
    let mut command = place.command(&["user", "suspend", "mira@ex.test"]);
    command.env("KEYROLL_REQUIRE_SYNCHRONOUS_STANDBY", "true");
    let refused = finish(command).expect(4);
    assert!(refused.stderr.contains(why), "{refused:?}");
    set("*");
    leave().expect(204);
    assert_eq!(verdict(&server, &key), Some(json!("REVOKED")));
    // Whoever takes over has it.
    machine.stop();
    standby.promote();
    let other = place.through(Machine::url(&[&standby])).serve(&[]);
    assert_eq!(verdict(&other, &key), Some(json!("REVOKED")));
    let embedded = Installation::sqlite().start(&["--require-synchronous-standby"], &[]).outcome().err().unwrap();
    let no_standby = "keyroll: --require-synchronous-standby: the embedded database has no standby: leave it out, or \
                      name a PostgreSQL with --database-url postgres://…\n";
    assert_eq!((embedded.code, embedded.stderr.as_str()), (2, no_standby));
}

#[test]
fn what_may_lose_what_it_acknowledged_is_named() {
    let Some(place) = Installation::postgres() else { return };
    let server = place.serve(&[]);
    let ready = server.client("").get("/readyz?for=reads").expect(200).json();
    let warnings = [
        "fsync is off at the database server: a crash of its machine loses or destroys what it has acknowledged",
        "full_page_writes is off at the database server: a crash of its machine may destroy pages",
    ];
    assert_eq!(ready, json!({"status": "ready", "warnings": warnings}));
    let logged = server.await_log(warnings[1]);
    let lines: Vec<&str> =
        logged.lines().filter_map(|line| line.split_once(" WARN  keyroll::cli::serve] ")).map(|it| it.1).collect();
    assert_eq!(lines, warnings, "{logged}");
}

#[test]
fn what_the_database_server_is_told_later_is_named_as_well() {
    let Some(machine) = Machine::primary() else { return };
    machine.stop();
    machine.start_with("-c fsync=on -c full_page_writes=on");
    let place = Installation::on(Machine::url(&[&machine]));
    let server = place.serve(&[]);
    let ready = || server.client("").get("/readyz?for=reads");
    assert_eq!(ready().expect(200).json(), json!({"status": "ready"}));
    machine.stop();
    machine.start_with("-c fsync=off -c full_page_writes=on");
    let warning =
        "fsync is off at the database server: a crash of its machine loses or destroys what it has acknowledged";
    let told = until(|| ready().json().get("warnings").cloned());
    assert_eq!(told, json!([warning]));
    server.await_log(warning);
}

#[test]
fn an_outage_is_logged_when_it_begins_and_when_it_is_over() {
    let Some(machine) = Machine::primary() else { return };
    let place = Installation::on(Machine::url(&[&machine]));
    let server = place.serve(&[]);
    let status = || server.client("").get("/readyz").status;
    assert_eq!(status(), 200);
    machine.stop();
    until(|| (status() == 503).then_some(()));
    let asked = |times: usize| (0..times).for_each(|_| assert_eq!(status(), 503));
    server.await_log("not ready: reads: ");
    asked(20);
    machine.start();
    until(|| (status() == 200).then_some(()));
    let log = server.await_log("ready again: reads, after ");
    let lines = log.lines().filter(|line| line.contains("not ready: reads: ")).count();
    assert!((1..10).contains(&lines), "{log}");
}

#[test]
fn what_a_node_cannot_know_in_time_it_does_not_answer() {
    let Some(place) = Installation::postgres() else { return };
    let near = place.serve(&[]);
    let (mira, key) = person(&place, &near, "mira@ex.test");
    let proxy = Proxy::to(&place.database_url());
    let far = place.through(proxy.url()).serve(&[]);
    assert_eq!(verdict(&far, &key), Some(json!("VALID")));
    proxy.freeze();
    std::thread::scope(|scope| {
        let asked = scope.spawn(|| verdict(&far, &key));
        // The server has said how far it had come, before the leaver left.
        proxy.wait_until_it_holds();
        near.idp().delete(&format!("/scim/v2/Users/{mira}")).expect(204);
        assert_eq!(asked.join().unwrap(), None);
    });
    assert_eq!(verdict(&far, &key), None);
    let why = "the database did not answer in time";
    let unready = far.client("").get("/readyz").expect(503);
    assert_eq!(unready.json(), json!({"status": "unready", "reads": why, "writes": why}));
    far.client("").get("/healthz").expect(200);
    proxy.thaw();
    assert_eq!(until(|| verdict(&far, &key)), "REVOKED");
}

#[derive(QueryableByName)]
struct Count {
    #[diesel(sql_type = BigInt)]
    count: i64,
}

/// Waits until some statement has waited for a lock for so long.
fn wait_for_a_lock(conn: &mut PgConnection, millis: u32) {
    let sql = format!(
        "SELECT count(*) AS count FROM pg_stat_activity WHERE datname = current_database() \
         AND wait_event_type = 'Lock' AND clock_timestamp() - query_start > interval '{millis} ms'"
    );
    support::until("a statement that waits for a lock", || {
        conn.batch_execute("SELECT pg_stat_clear_snapshot()").unwrap();
        (sql_query(&sql).get_result::<Count>(conn).unwrap().count > 0).then_some(())
    });
}

#[test]
fn an_answer_that_took_long_is_not_for_who_has_left_meanwhile() {
    let Some(place) = Installation::postgres() else { return };
    let (server, other) = (place.serve(&[]), place.serve(&[]));
    let operator = server.admin().get("/v1/whoami").json()["owner"].clone();
    let short = json!({"owner": operator, "name": "short", "grant": [{"permissions": ["keyroll:users:read"]}]});
    let short = server.admin().post("/v1/keys", &short).expect(201).json();
    let list = || server.client(short["key"].as_str().unwrap()).get("/scim/v2/Users?filter=displayName%20co%20%22x%22");
    let (mira, key) = person(&place, &server, "mira@ex.test");
    let mut lock = PgConnection::establish(&place.database_url()).unwrap();
    list().expect(200);
    std::thread::scope(|scope| {
        // Only the list needs this table.
        lock.batch_execute("BEGIN; LOCK TABLE resource_index IN ACCESS EXCLUSIVE MODE").unwrap();
        let asked = scope.spawn(list);
        // For longer than an answer may be old.
        wait_for_a_lock(&mut lock, 800);
        other.admin().post(&format!("/v1/keys/{}/revoke", short["id"].as_str().unwrap()), &json!({})).expect(200);
        lock.batch_execute("COMMIT").unwrap();
        asked.join().unwrap().expect(401);
    });
    // A decision that hangs is none.
    lock.batch_execute("BEGIN; LOCK TABLE credentials IN ACCESS EXCLUSIVE MODE").unwrap();
    assert_eq!(verdict(&server, &key), None);
    lock.batch_execute("COMMIT").unwrap();
    assert_eq!(verdict(&server, &key), Some(json!("VALID")));
    other.idp().delete(&format!("/scim/v2/Users/{mira}")).expect(204);
    assert_eq!(verdict(&server, &key), Some(json!("REVOKED")));
}
