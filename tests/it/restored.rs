//! A database that is put back under a running server: it has lost what the server knew, which answers nobody until that
//! is accepted; then what it says holds, and nothing that is remembered.

use chrono::TimeDelta;
use keyroll::service::Error;
use keyroll::service::directory::users::Hold;
use serde_json::{Value, json};

use crate::support::app::*;

/// What a backup holds, but for what never changes here.
const TABLES: [&str; 13] = [
    "principals",
    "resources",
    "counters",
    "resource_index",
    "unique_values",
    "external_ids",
    "memberships",
    "credentials",
    "log_records",
    "log_heads",
    "catalogue",
    "principal_history",
    "resource_history",
];

fn save(app: &TestApp, name: &str) {
    let copy = |table: &str| format!("CREATE TABLE {name}_{table} AS SELECT * FROM {table};");
    app.sql(&TABLES.map(copy).concat());
}

/// As it was, without a word.
fn lose(app: &TestApp, name: &str) {
    let (begin, over) = match app.service.is_embedded() {
        true => ("PRAGMA foreign_keys = OFF; BEGIN;", ""),
        false => ("SET session_replication_role = replica; BEGIN;", "OVERRIDING SYSTEM VALUE"),
    };
    let copy = |table: &str| format!("DELETE FROM {table}; INSERT INTO {table} {over} SELECT * FROM {name}_{table};");
    app.sql(&format!("{begin} {} COMMIT;", TABLES.map(copy).concat()));
}

/// The same, and it is accepted.
fn put_back(app: &TestApp, name: &str) {
    lose(app, name);
    let refused = app.admin().get("/v1/whoami").expect(503);
    assert_eq!(refused["code"], "log_forked");
    app.clock.advance(TimeDelta::seconds(1));
    app.service.accept_fork(&app.host(), forked_after(app)).unwrap();
}

/// The last record before a fork, as the server tells it.
fn forked_after(app: &TestApp) -> i64 {
    app.anonymous().get("/readyz").expect(503)["log_forked"].as_i64().unwrap()
}

fn replace(path: &str, value: &str) -> Value {
    json!({"schemas": ["urn:ietf:params:scim:api:messages:2.0:PatchOp"],
        "Operations": [{"op": "replace", "path": path, "value": value}]})
}

#[test]
fn a_log_with_another_past_is_not_gone_on_with() {
    for_each_app(|app| {
        let (idp, admin) = (app.idp(), app.admin());
        let mira = idp.post("/Users", user("mira@example.com")).expect(201).id();
        let otto = format!("/Users/{}", idp.post("/Users", user("otto@example.com")).expect(201).id());
        let key = app.issue(&mira);
        save(app, "base");
        admin.post(&format!("/v1/users/{mira}/suspend"), json!({})).expect(200);
        for title in ["a", "b"] {
            idp.patch(&otto, replace("title", title)).expect(200);
        }
        save(app, "suspended");
        put_back(app, "base");
        assert_eq!(app.verify(&key), "VALID");
        // The same log otherwise, and one record shorter: what it grows by says nothing of mira.
        for title in ["x", "y"] {
            idp.patch(&otto, replace("title", title)).expect(200);
        }
        app.with_key(&key).get("/v1/whoami").expect(200);
        assert_eq!(app.verify(&key), "VALID");
        assert_eq!(idp.get(&otto).expect(200)["title"], "y");
        put_back(app, "suspended");
        app.with_key(&key).get("/v1/whoami").expect(401);
        assert_eq!(app.verify(&key), "OWNER_INACTIVE");
        assert_eq!(idp.get(&otto).expect(200)["title"], "b");
    });
}

#[test]
fn a_log_that_has_lost_what_servers_knew_answers_nobody_until_that_is_accepted() {
    for_each_app(|app| {
        let (idp, admin) = (app.idp(), app.admin());
        let mira = idp.post("/Users", user("mira@example.com")).expect(201).id();
        let key = app.issue(&mira);
        save(app, "base");
        let last = app.log().last().unwrap()["seq"].as_i64().unwrap();
        admin.post(&format!("/v1/users/{mira}/suspend"), json!({})).expect(200);
        idp.patch(&format!("/Users/{mira}"), replace("title", "a")).expect(200);
        // Others that have followed, and one that begins only now.
        let (other, late) = (app.beside(TimeDelta::zero()), app.beside(TimeDelta::zero()));
        let asks = |app: &TestApp| app.admin().get("/v1/whoami").status;
        assert_eq!((app.verify(&key), asks(&other), asks(&late)), ("OWNER_INACTIVE".to_owned(), 200, 200));
        lose(app, "base");
        // The owner of the key is live in what is left.
        let refused = admin.post("/v1/verify", json!({"key": key})).expect(503);
        assert_eq!((&refused["code"], refused.header("retry-after")), (&json!("log_forked"), "1"));
        let told = format!("the log forked after record {last}: ");
        assert!(refused["detail"].as_str().unwrap().starts_with(&told), "{refused}");
        assert!(idp.get("/Users").expect(503)["detail"].as_str().unwrap().starts_with(&told));
        assert_eq!((forked_after(app), asks(&other), asks(&app.beside(TimeDelta::zero()))), (last, 503, 503));
        assert_eq!(app.anonymous().get("/readyz?for=reads").expect(503)["log_forked"], json!(last));
        // A change that is on its way already is refused, too.
        let held = app.service.hold_user(&app.host(), &mira, Hold::Put, None);
        assert!(matches!(held, Err(Error::Forked(at)) if at == last), "{held:?}");
        let accept = |at| app.service.accept_fork(&app.host(), at).map_err(|error| error.to_string());
        let named = format!("the log forked after record {last}: accept it with --at {last}");
        assert_eq!((accept(last - 1), accept(last + 1)), (Err(named.clone()), Err(named)));
        assert_eq!(accept(last), Ok(()));
        assert_eq!(accept(last), Err("no server has found that the log forked".to_owned()));
        assert_eq!((app.verify(&key), asks(&other), asks(&late)), ("VALID".to_owned(), 200, 200));
        app.anonymous().get("/readyz").expect(200);
        let record = app.log().pop().unwrap();
        assert_eq!((&record["action"], &record["change"]), (&json!("log.fork_accepted"), &json!({"at": last})));
        app.check_log();
        // What was accepted once is no word on the next time.
        admin.post(&format!("/v1/users/{mira}/suspend"), json!({})).expect(200);
        lose(app, "base");
        assert_eq!((asks(app), forked_after(app), asks(&late)), (503, last, 503));
    });
}

#[test]
fn a_name_of_a_past_that_never_was_finds_nobody() {
    for_each_app(|app| {
        let idp = app.idp();
        let path = format!("/Users/{}", idp.post("/Users", user("na@example.com")).expect(201).id());
        let found = |name: &str| {
            let filter = format!("/Users?filter=userName%20eq%20%22{name}%40example.com%22");
            idp.get(&filter).expect(200)["totalResults"].clone()
        };
        save(app, "base");
        idp.patch(&path, replace("userName", "nb@example.com")).expect(200);
        assert_eq!((found("nb"), found("nb")), (json!(1), json!(1)));
        put_back(app, "base");
        assert_eq!(found("na"), json!(1));
        idp.patch(&path, replace("userName", "nc@example.com")).expect(200);
        assert_eq!((found("nc"), found("nb"), found("na")), (json!(1), json!(0), json!(0)));
    });
}

#[test]
fn mappings_of_a_past_that_never_was_give_nothing() {
    for_each_app(|app| {
        let (idp, admin) = (app.idp(), app.admin());
        let mira = idp.post("/Users", user("mira@example.com")).expect(201).id();
        admin.post("/v1/apis", json!({"name": "a", "open": true})).expect(201);
        for role in ["r", "s", "t"] {
            admin.post("/v1/roles", json!({"name": role, "permissions": [format!("a:{role}:read")]})).expect(201);
        }
        let map = |role: &str, because: &str| {
            let source = json!({"type": "user", "id": mira});
            let body = json!({"role": role, "source": {"person": source, "reason": because, "expires_at": null}});
            admin.post("/v1/mappings", body).expect(201);
        };
        let held = || admin.get(&format!("/v1/users/{mira}/access")).expect(200)["permissions"].clone();
        map("r", "before");
        assert_eq!(held(), json!(["a:r:read"]));
        save(app, "base");
        map("s", "before it was put back");
        save(app, "other");
        assert_eq!(held(), json!(["a:r:read", "a:s:read"]));
        put_back(app, "base");
        map("t", "instead");
        assert_eq!(held(), json!(["a:r:read", "a:t:read"]));
        // The same number of records, and another past.
        put_back(app, "other");
        assert_eq!(held(), json!(["a:r:read", "a:s:read"]));
        map("t", "beside it");
        assert_eq!(held(), json!(["a:r:read", "a:s:read", "a:t:read"]));
        put_back(app, "base");
        assert_eq!(held(), json!(["a:r:read"]));
    });
}

#[test]
fn a_list_of_mappings_of_a_past_that_never_was_is_not_given() {
    for_each_app(|app| {
        let (idp, admin) = (app.idp(), app.admin());
        let mira = idp.post("/Users", user("mira@example.com")).expect(201).id();
        admin.post("/v1/apis", json!({"name": "a", "open": true})).expect(201);
        for role in ["s", "t"] {
            admin.post("/v1/roles", json!({"name": role, "permissions": [format!("a:{role}:read")]})).expect(201);
        }
        let map = |role: &str| {
            let source = json!({"person": {"type": "user", "id": mira}, "reason": "needed"});
            admin.post("/v1/mappings", json!({"role": role, "source": source})).expect(201);
        };
        let listed = |role: &str| {
            let answer = admin.get("/v1/mappings").expect(200);
            answer["mappings"].as_array().unwrap().iter().any(|one| one["role"] == role)
        };
        save(app, "base");
        map("s");
        save(app, "other");
        assert_eq!((listed("s"), listed("t")), (true, false));
        put_back(app, "base");
        map("t");
        assert_eq!((listed("s"), listed("t")), (false, true));
        // The same record changed the mappings last, and another way.
        put_back(app, "other");
        assert_eq!((listed("s"), listed("t")), (true, false));
    });
}

#[test]
fn a_probe_finds_by_itself_that_the_log_forked() {
    for_each_app(|app| {
        let mira = app.idp().post("/Users", user("mira@example.com")).expect(201).id();
        for (name, path) in [("first", "/readyz?for=reads"), ("second", "/readyz")] {
            save(app, name);
            let last = app.log().last().unwrap()["seq"].as_i64().unwrap();
            app.anonymous().get(path).expect(200);
            app.admin().post(&format!("/v1/users/{mira}/suspend"), json!({})).expect(200);
            app.anonymous().get(path).expect(200);
            lose(app, name);
            // Nobody has asked for anything else.
            let unready = app.anonymous().get(path).expect(503);
            assert_eq!((&unready["status"], &unready["log_forked"]), (&json!("unready"), &json!(last)), "{path}");
            app.clock.advance(TimeDelta::seconds(1));
            app.service.accept_fork(&app.host(), last).unwrap();
            app.anonymous().get(path).expect(200);
        }
    });
}
