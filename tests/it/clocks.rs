//! Clocks that are set back, or behind another node's: time never goes back in what is stored, nor for keys.

use chrono::{DateTime, TimeDelta, Utc};
use diesel::connection::SimpleConnection;
use diesel::{Connection, PgConnection};
use keyroll::domain::clock::Clock;
use keyroll::service::keys::Owner;
use serde_json::{Value, json};

use crate::support::app::*;
use crate::support::{self, postgres};

/// When a resource was last modified.
fn modified(actor: &Actor<'_>, path: &str) -> DateTime<Utc> {
    let meta = actor.get(path).expect(200)["meta"].clone();
    let time = |name: &str| meta[name].as_str().unwrap().parse::<DateTime<Utc>>().unwrap();
    assert!(time("created") <= time("lastModified"), "{meta}");
    time("lastModified")
}

/// Whether one who asks for what is later than a time finds the resource.
fn found_after(actor: &Actor<'_>, endpoint: &str, id: &str, time: DateTime<Utc>) -> bool {
    let filter = format!("meta.lastModified gt \"{}\"", time.to_rfc3339());
    let page = actor.get(&format!("{endpoint}?filter={}", encode(&filter))).expect(200);
    page["Resources"].as_array().into_iter().flatten().any(|one| one["id"] == id)
}

/// Each kind of write, what it changes, and by whom it is sent.
fn writes_are_later(writer: &TestApp, reader: &TestApp) {
    let (idp, seen) = (writer.idp(), reader.idp());
    let round = seen.get("/Users?count=0").expect(200)["totalResults"].clone();
    let name = |n: u32| format!("{n}.{round}@example.com");
    let boss = idp.post("/Users", user(&name(1))).expect(201).id();
    let manager = json!({ENTERPRISE: {"manager": {"value": boss}}});
    let mira = idp.post("/Users", and(user(&name(2)), manager)).expect(201).id();
    let otto = idp.post("/Users", user(&name(3))).expect(201).id();
    let bot = idp.post("/Agents", and(agent(&name(4)), json!({"owners": [{"value": boss}, {"value": otto}]})));
    let bot = bot.expect(201).id();
    let team = idp.post("/Groups", group(&name(5), &[&boss])).expect(201).id();
    let at = |endpoint: &str, id: &str| format!("{endpoint}/{id}");
    let bulk = |path: &str, data: Value| {
        let operation = json!({"method": "PATCH", "path": path, "data": data});
        idp.post("/Bulk", json!({"schemas": [BULK], "Operations": [operation]})).expect(200)
    };
    let member = json!([{"value": mira}]);
    type Write<'w> = (&'static str, &'w str, Box<dyn Fn() + 'w>);
    let writes: Vec<Write<'_>> = vec![
        ("/Users", &mira, Box::new(|| drop(idp.patch(&at("/Users", &mira), replace("title", "x")).expect(200)))),
        (
            "/Users",
            &otto,
            Box::new(|| drop(idp.put(&at("/Users", &otto), and(user(&name(3)), json!({"title": "y"}))).expect(200))),
        ),
        ("/Users", &mira, Box::new(|| drop(bulk(&at("/Users", &mira), replace("title", "z"))))),
        ("/Agents", &bot, Box::new(|| drop(idp.patch(&at("/Agents", &bot), replace("description", "x")).expect(200)))),
        (
            "/Groups",
            &team,
            Box::new(|| drop(idp.patch(&at("/Groups", &team), add("members", member.clone())).expect(200))),
        ),
        ("/Groups", &team, Box::new(|| drop(idp.patch(&at("/Groups", &team), remove("members")).expect(200)))),
        ("/Groups", &team, Box::new(|| drop(idp.put(&at("/Groups", &team), group(&name(6), &[&boss])).expect(200)))),
        ("/Groups", &team, Box::new(|| drop(bulk(&at("/Groups", &team), add("members", member.clone()))))),
    ];
    for (n, (endpoint, id, write)) in writes.iter().enumerate() {
        let before = modified(&seen, &at(endpoint, id));
        write();
        assert!(modified(&seen, &at(endpoint, id)) > before, "write {n}");
        assert!(found_after(&seen, endpoint, id, before), "write {n}");
    }
    // What a deletion changes: the report of a manager, the agent of an owner, the group of a member.
    let touched = [("/Users", &mira), ("/Agents", &bot), ("/Groups", &team)];
    let before = touched.map(|(endpoint, id)| modified(&seen, &at(endpoint, id)));
    idp.delete(&at("/Users", &boss)).expect(204);
    for ((endpoint, id), before) in touched.into_iter().zip(before) {
        assert!(modified(&seen, &at(endpoint, id)) > before, "{endpoint} after the deletion");
        assert!(found_after(&seen, endpoint, id, before), "{endpoint} after the deletion");
    }
}

#[test]
fn no_write_is_earlier_than_the_last_one() {
    for_each_app(|app| {
        writes_are_later(app, app);
        app.clock.advance(TimeDelta::days(-1));
        writes_are_later(app, app);
        // Another node, whose clock is an hour behind that.
        let node = app.beside(TimeDelta::hours(-1));
        writes_are_later(&node, app);
        writes_are_later(app, &node);
        let newest = app.log().pop().unwrap()["time"].as_str().unwrap().parse::<DateTime<Utc>>().unwrap();
        let late = node.idp().post("/Users", user("late@example.com")).expect(201).id();
        assert!(modified(&app.idp(), &format!("/Users/{late}")).timestamp_millis() >= newest.timestamp_millis());
    });
}

#[test]
fn a_log_that_is_ahead_is_noticed() {
    for_each_app(|app| {
        let write = |n: u32| drop(app.idp().post("/Users", user(&format!("{n}@example.com"))).expect(201));
        assert_eq!(app.service.log_ahead().unwrap(), None);
        app.clock.advance(TimeDelta::days(1));
        let ahead = app.clock.now();
        write(1);
        assert_eq!(app.service.log_ahead().unwrap(), None);
        app.clock.advance(TimeDelta::minutes(-9));
        assert_eq!(app.service.log_ahead().unwrap(), None, "clocks differ");
        app.clock.advance(TimeDelta::minutes(-2));
        assert_eq!(app.service.log_ahead().unwrap(), Some(ahead));
        app.clock.advance(TimeDelta::minutes(11));
        assert_eq!(app.service.log_ahead().unwrap(), None);
    });
}

#[test]
fn a_key_that_has_ended_does_not_work_again_when_the_clock_is_set_back() {
    for_each_app(|app| {
        let mira = app.idp().post("/Users", user("mira@example.com")).expect(201).id();
        let body = json!({"owner": {"type": "user", "id": mira}, "expires_in": "PT1S"});
        let key = app.admin().post("/v1/keys", body).expect(201)["key"].as_str().unwrap().to_owned();
        assert_eq!(app.verify(&key), "VALID");
        app.clock.advance(TimeDelta::seconds(2));
        assert_eq!(app.verify(&key), "EXPIRED");
        app.idp().post("/Users", user("otto@example.com")).expect(201);
        app.clock.advance(TimeDelta::days(-1));
        assert_eq!(app.verify(&key), "EXPIRED");
        app.with_key(&key).get("/v1/whoami").problem(401, "unauthenticated");
        // One that works is remembered, and ends for a node that is behind as for the one that is ahead.
        let behind = app.beside(TimeDelta::zero());
        let body = json!({"owner": {"type": "user", "id": mira}, "expires_in": "PT1H"});
        let key = app.admin().post("/v1/keys", body).expect(201)["key"].as_str().unwrap().to_owned();
        assert_eq!((behind.verify(&key), behind.verify(&key)), ("VALID".to_owned(), "VALID".to_owned()));
        app.clock.advance(TimeDelta::days(1) + TimeDelta::hours(2));
        app.idp().post("/Users", user("anna@example.com")).expect(201);
        assert_eq!((behind.verify(&key), app.verify(&key)), ("EXPIRED".to_owned(), "EXPIRED".to_owned()));
        let shown = behind.admin().get(&format!("/v1/keys?owner={mira}")).expect(200);
        let statuses: Vec<&Value> = shown["keys"].as_array().unwrap().iter().map(|key| &key["status"]).collect();
        assert_eq!(statuses, ["expired", "expired"]);
    });
}

/// Waits until somebody waits for a lock.
fn wait_for_a_lock(conn: &mut PgConnection) {
    use diesel::RunQueryDsl;
    let sql = "DO $$ BEGIN ASSERT (SELECT count(*) FROM pg_locks WHERE NOT granted) > 0; END $$";
    support::until("somebody who waits for a lock", || diesel::sql_query(sql).execute(conn).ok());
}

#[test]
fn what_waits_for_a_record_of_a_later_time_is_not_earlier_than_that() {
    let Some(url) = postgres::url() else { return };
    let app = TestApp::on(&url);
    let idp = app.idp();
    let mira = idp.post("/Users", user("mira@example.com")).expect(201).id();
    let otto = idp.post("/Users", user("otto@example.com")).expect(201).id();
    let team = idp.post("/Groups", group("team", &[&otto])).expect(201).id();
    let mut watch = PgConnection::establish(&url).unwrap();
    let mut ahead = app.clock.now();
    let mut overtaken = |write: &(dyn Fn() -> String + Sync)| {
        ahead += TimeDelta::seconds(5);
        let mut other = PgConnection::establish(&url).unwrap();
        let micros = ahead.timestamp_micros();
        other.batch_execute(&format!("BEGIN; UPDATE log_heads SET time = {micros}")).unwrap();
        let path = std::thread::scope(|scope| {
            let writing = scope.spawn(write);
            wait_for_a_lock(&mut watch);
            other.batch_execute("COMMIT").unwrap();
            writing.join().unwrap()
        });
        assert_eq!(modified(&app.idp(), &path), ahead, "{path}");
    };
    overtaken(&|| {
        let path = format!("/Users/{mira}");
        app.idp().patch(&path, replace("title", "x")).expect(200);
        path
    });
    overtaken(&|| {
        app.idp().delete(&format!("/Users/{otto}")).expect(204);
        format!("/Groups/{team}")
    });
    for (endpoint, body) in [("/Users", user("anna@example.com")), ("/Groups", group("other", &[]))] {
        overtaken(&|| {
            let made = app.idp().post(endpoint, body.clone()).expect(201);
            let path = format!("{endpoint}/{}", made.id());
            assert_eq!(made["meta"], app.idp().get(&path).expect(200)["meta"]);
            assert_eq!(made["meta"]["created"], made["meta"]["lastModified"]);
            path
        });
    }
    app.check_log();
}

/// What the identity provider and readiness are told.
fn told(app: &TestApp, idp: &Actor<'_>) -> (u16, String, u16, Value) {
    let name = format!("{}@example.com", app.log().len());
    let made = idp.post("/Users", user(&name));
    let ready = app.anonymous().get("/readyz");
    let body = serde_json::from_str(&ready.text).unwrap();
    (made.status, made.header("retry-after").to_owned(), ready.status, body)
}

#[test]
fn a_clock_that_jumps_forward_writes_nothing_until_it_is_right() {
    for_each_app(|app| {
        let mira = app.idp().post("/Users", user("mira@example.com")).expect(201).id();
        let key = app.issue(&mira);
        // Time that passes is no jump, however much of it.
        app.clock.advance(TimeDelta::days(1));
        assert_eq!(told(app, &app.idp()).0, 201);
        app.clock.set(TimeDelta::minutes(9));
        assert_eq!(told(app, &app.idp()).0, 201);
        app.clock.set(TimeDelta::days(30));
        let why = "this node's clock has jumped forward by more than ten minutes: set it right, or restart keyroll if it \
                   is right now";
        let unready = json!({"status": "unready", "writes": why});
        assert_eq!(told(app, &app.idp()), (503, "1".to_owned(), 503, unready));
        app.anonymous().get("/readyz?for=reads").expect(200);
        let bulk = json!({"schemas": [BULK], "Operations": [{"method": "DELETE", "path": format!("/Users/{mira}")}]});
        let done = app.idp().post("/Bulk", bulk).expect(200);
        assert_eq!(done["Operations"][0]["status"], "503");
        app.clock.set(TimeDelta::days(-30));
        assert_eq!(app.verify(&key), "VALID");
        assert_eq!(told(app, &app.idp()).0, 201);
    });
}

#[test]
fn a_clock_that_differs_from_the_databases_writes_nothing() {
    let Some(url) = postgres::url() else { return };
    let app = TestApp::with(Some(&url), |settings| settings.limits.clock_skew_seconds_max = Some(60));
    let idp = app.idp();
    let why = "this node's clock differs from the database's by more than a minute: set it right";
    let unready = json!({"status": "unready", "writes": why});
    assert_eq!(told(&app, &idp), (503, "1".to_owned(), 503, unready.clone()));
    // It was far behind from the start, and is set right: no jump, though it looks like one.
    app.clock.set(Utc::now() - app.clock.now());
    app.anonymous().get("/readyz").expect(200);
    let idp = app.with_key(&app.issue_on_host(Owner::Connection("default".to_owned()), &[]));
    assert_eq!(told(&app, &idp).0, 201);
    for apart in [-100, 100] {
        app.clock.advance(TimeDelta::seconds(apart));
        assert_eq!(told(&app, &idp), (503, "1".to_owned(), 503, unready.clone()));
        app.anonymous().get("/readyz?for=reads").expect(200);
        app.clock.advance(TimeDelta::seconds(-apart));
        assert_eq!((told(&app, &idp).0, told(&app, &idp).2), (201, 200));
    }
}

#[test]
fn a_key_that_has_ended_stays_ended_when_the_clock_is_set_back() {
    for_each_app(|app| {
        let mira = app.idp().post("/Users", user("mira@example.com")).expect(201).id();
        let body = json!({"owner": {"type": "user", "id": mira}, "expires_in": "PT1H"});
        let key = app.admin().post("/v1/keys", body).expect(201)["key"].as_str().unwrap().to_owned();
        app.clock.advance(TimeDelta::minutes(59));
        assert_eq!(app.verify(&key), "VALID");
        app.clock.advance(TimeDelta::minutes(1));
        assert_eq!(app.verify(&key), "EXPIRED");
        // Nothing was written meanwhile, so no record says how late it is.
        app.clock.set(TimeDelta::hours(-2));
        assert_eq!(app.verify(&key), "EXPIRED");
        app.with_key(&key).get("/v1/whoami").expect(401);
        // What is written is dated by the clock all the same, as nobody knows which one was right.
        let before = app.log().pop().unwrap()["time"].clone();
        app.idp().post("/Users", user("tom@example.com")).expect(201);
        assert_eq!(app.log().pop().unwrap()["time"], before);
        // A clock that was far ahead for a moment ends no key for longer than that.
        let body = json!({"owner": {"type": "user", "id": mira}, "expires_in": "P1D"});
        let key = app.admin().post("/v1/keys", body).expect(201)["key"].as_str().unwrap().to_owned();
        app.clock.set(TimeDelta::days(9));
        assert_eq!(app.verify(&key), "EXPIRED");
        app.clock.set(TimeDelta::days(-9));
        assert_eq!(app.verify(&key), "VALID");
    });
}

#[test]
fn a_clock_that_was_set_back_and_is_right_again_has_not_jumped() {
    for_each_app(|app| {
        let writes = |app: &TestApp| {
            let (made, _, ready, _) = told(app, &app.idp());
            (made, ready)
        };
        assert_eq!(writes(app), (201, 200));
        app.clock.set(TimeDelta::hours(-1));
        assert_eq!(writes(app), (201, 200));
        app.clock.advance(TimeDelta::minutes(20));
        app.clock.set(TimeDelta::hours(1));
        assert_eq!(writes(app), (201, 200));
        // What goes beyond that has.
        app.clock.set(TimeDelta::hours(-1));
        assert_eq!(writes(app), (201, 200));
        app.clock.set(TimeDelta::hours(1) + TimeDelta::minutes(11));
        assert_eq!(writes(app), (503, 503));
        app.clock.set(TimeDelta::minutes(-11));
        assert_eq!(writes(app), (201, 200));
        // One that was behind the log from the start.
        let late = app.beside(TimeDelta::hours(-2));
        late.clock.set(TimeDelta::hours(2) + TimeDelta::minutes(11));
        assert_eq!(writes(&late), (503, 503));
        late.clock.set(TimeDelta::minutes(-11));
        late.anonymous().get("/readyz").expect(200);
        // Without a probe before, too.
        let other = app.beside(TimeDelta::hours(-2));
        other.clock.set(TimeDelta::hours(2));
        assert_eq!(writes(&other), (201, 200));
    });
}

#[test]
fn a_short_key_lives_although_the_clock_was_ahead_for_a_moment() {
    for_each_app(|app| {
        let mira = app.idp().post("/Users", user("mira@example.com")).expect(201).id();
        let key = app.issue(&mira);
        app.clock.set(TimeDelta::minutes(9));
        assert_eq!(app.verify(&key), "VALID");
        app.clock.set(TimeDelta::minutes(-9));
        let body = json!({"owner": {"type": "user", "id": mira}, "expires_in": "PT5M"});
        let short = app.admin().post("/v1/keys", body).expect(201);
        let time = |name: &str| short[name].as_str().unwrap().parse::<DateTime<Utc>>().unwrap();
        let now = app.clock.now();
        assert_eq!((time("created_at"), time("expires_at")), (now, now + TimeDelta::minutes(14)));
        let key = short["key"].as_str().unwrap().to_owned();
        assert_eq!(app.verify(&key), "VALID");
        app.clock.advance(TimeDelta::minutes(5));
        assert_eq!(app.verify(&key), "EXPIRED");
    });
}
