//! Defences that show only from outside of a request: who connects, what happens while it waits, and how long.

use std::future::ready;
use std::net::SocketAddr;
use std::time::Duration;

use actix_web::dev::Payload;
use actix_web::test::TestRequest;
use actix_web::web;
use chrono::TimeDelta;
use diesel::connection::SimpleConnection;
use diesel::{Connection, PgConnection};
use futures_util::{StreamExt, stream};
use keyroll::http;
use keyroll::service::keys::Owner;
use serde_json::json;

use crate::access::catalogue::billing;
use crate::access::keys::{ask, give, key};
use crate::support::app::*;
use crate::support::postgres;

/// A look at the health of a server behind these proxies, from this address, and the status of its answer.
fn from(app: &TestApp, proxies: &[&str], peer: &str) -> u16 {
    let behind_proxy = proxies.iter().map(|net| net.parse().unwrap()).collect();
    let shared = http::Shared::new(app.service.clone(), http::Settings { behind_proxy, ..http::Settings::default() });
    let peer: SocketAddr = peer.parse().unwrap();
    Answer::to(TestRequest::default().uri("/healthz").peer_addr(peer), &shared).status
}

#[test]
fn only_this_machine_and_named_proxies_may_connect() {
    let app = TestApp::sqlite();
    let lan = ["10.0.0.0/8", "fd00::/8"];
    assert_eq!(from(&app, &[], "127.0.0.1:4000"), 200);
    assert_eq!(from(&app, &[], "[::1]:4000"), 200);
    assert_eq!(from(&app, &[], "10.1.2.3:4000"), 403);
    assert_eq!(from(&app, &lan, "10.1.2.3:4000"), 200);
    assert_eq!(from(&app, &lan, "[fd00::7]:4000"), 200);
    assert_eq!(from(&app, &lan, "127.0.0.1:4000"), 200);
    for stranger in ["192.168.1.1:4000", "11.0.0.1:4000", "[fe80::1]:4000", "[2001:db8::1]:4000"] {
        assert_eq!(from(&app, &lan, stranger), 403, "{stranger}");
    }
}

#[test]
fn whoever_dies_while_a_change_waits_for_the_log_writes_nothing() {
    let Some(url) = postgres::url() else { return };
    let app = TestApp::on(&url);
    let idp = app.with_key(&app.issue_on_host(Owner::Connection("default".to_owned()), &[]));
    let mira = idp.post("/Users", user("mira@example.com")).expect(201).id();
    let mut other = PgConnection::establish(&url).unwrap();
    // The change has looked at its caller by now; what it is told last is what counts (promise P4).
    other.batch_execute("BEGIN; SELECT * FROM log_heads FOR UPDATE").unwrap();
    let before = app.log();
    let answer = std::thread::scope(|scope| {
        let write = scope.spawn(|| idp.patch(&format!("/Users/{mira}"), replace("title", "late")));
        postgres::wait_for_locks(&mut other, 1);
        let id = app.bytes(&app.id_of(idp.key()));
        other
            .batch_execute(&format!(
                "UPDATE credentials SET revoked_at = 0, revoke_reason = 'x' WHERE id = {id}; COMMIT"
            ))
            .unwrap();
        write.join().unwrap()
    });
    assert_eq!(answer.status, 401, "{answer}");
    assert_eq!(app.log(), before);
    assert_eq!(app.idp().get(&format!("/Users/{mira}")).expect(200).body.get("title"), None);
    app.idp().patch(&format!("/Users/{mira}"), replace("title", "in time")).expect(200);
    assert_eq!(app.idp().get(&format!("/Users/{mira}")).expect(200)["title"], json!("in time"));
}

const READ: &str = "billing:invoices:read";

/// Somebody with a title, the role that it gives, and a key for what the role permits; nothing of it was asked for yet.
fn chief(app: &TestApp, name: &str) -> (String, String) {
    let mira = app.idp().post("/Users", and(user(name), json!({"title": "CISO"}))).expect(201).id();
    let key = key(app, &mira, &[READ]);
    // Whoever asks is remembered.
    app.admin().get("/v1/whoami").expect(200);
    app.idp().get("/Me").scim_error(501, "");
    (mira, key)
}

fn rule(app: &TestApp) {
    billing(app);
    let rule = json!({"role": "billing.viewer", "source": {"rule": "title eq \"CISO\""}});
    app.admin().post("/v1/mappings", rule).expect(201);
}

#[test]
fn what_was_read_before_a_change_is_not_remembered_after_it() {
    for_each_app(|app| {
        rule(app);
        let (idp, admin) = (app.idp(), app.admin());
        let path = |id: &str| format!("/Users/{id}");
        // Whoever comes next brings the memory up to the change.
        let come_next = || drop(admin.get("/v1/whoami").expect(200));

        // The row of a key, with its owner.
        let (mira, key) = chief(app, "mira@example.com");
        app.overtaken(
            "credentials",
            || admin.post("/v1/verify", json!({"key": key, "permission": READ})),
            || {
                idp.patch(&path(&mira), replace("active", false)).expect(200);
                come_next();
            },
        );
        assert_eq!(app.verify(&key), "OWNER_INACTIVE");
        assert_eq!(app.with_key(&key).get("/v1/whoami").status, 401);

        // What somebody may do.
        let (nora, key) = chief(app, "nora@example.com");
        app.overtaken(
            "WITH RECURSIVE own",
            || admin.post("/v1/verify", json!({"key": key, "permission": READ})),
            || {
                idp.patch(&path(&nora), replace("title", "Clerk")).expect(200);
                come_next();
            },
        );
        assert_eq!(ask(app, &key, READ), "INSUFFICIENT_PERMISSIONS");
        assert_eq!(app.verify(&key), "VALID");

        // A document.
        let (olga, _) = chief(app, "olga@example.com");
        app.overtaken(
            "external_ids x",
            || idp.get(&path(&olga)),
            || {
                idp.patch(&path(&olga), replace("active", false)).expect(200);
                come_next();
            },
        );
        let seen = idp.get(&path(&olga)).expect(200);
        assert_eq!((&seen["active"], seen.header("etag")), (&json!(false), "W/\"2\""));
    });
}

/// Revokes a key by SQL: its row is no longer what Keyroll wrote.
fn edit(app: &TestApp, key_id: &str) {
    let id = app.bytes(key_id);
    app.sql(&format!("UPDATE credentials SET revoked_at = 0, revoke_reason = 'x' WHERE id = {id}"));
}

#[test]
fn an_edited_row_that_a_commit_hides_is_found_out_within_a_second() {
    for_each_app(|app| {
        rule(app);
        let id_of = |key: &str| {
            let told = app.admin().post("/v1/verify", json!({"key": key})).expect(200);
            told["key_id"].as_str().unwrap().to_owned()
        };
        // Somebody else's commit has a record, which says nothing of the key.
        let (_, key) = chief(app, "mira@example.com");
        let id = id_of(&key);
        assert_eq!(ask(app, &key, READ), "VALID");
        app.idp().post("/Users", user("other@example.com")).expect(201);
        edit(app, &id);
        app.admin().get("/v1/whoami").expect(200);
        app.clock.advance(TimeDelta::seconds(1));
        assert_eq!(app.verify(&key), "NOT_FOUND");
        assert_eq!(app.with_key(&key).get("/v1/whoami").status, 401);

        // Nor does the row grow younger where its owner's access is found out anew.
        let (nora, key) = chief(app, "nora@example.com");
        let id = id_of(&key);
        assert_eq!(ask(app, &key, READ), "VALID");
        let role = json!({"name": "clerk", "permissions": ["keyroll:keys:read"]});
        app.admin().post("/v1/roles", role).expect(201);
        give(app, "user", &nora, "clerk");
        edit(app, &id);
        app.clock.advance(TimeDelta::milliseconds(600));
        // As yet it may be remembered.
        app.admin().post("/v1/verify", json!({"key": key, "permission": READ})).expect(200);
        app.clock.advance(TimeDelta::milliseconds(600));
        assert_eq!(app.verify(&key), "NOT_FOUND");
    });
}

#[test]
fn a_body_that_does_not_come_is_waited_for_as_long_as_was_said() {
    let told = http::Settings::default();
    assert_eq!((told.body.as_secs(), told.job.as_secs()), (30, 60));
    // Whoever takes the other one of the two says so.
    let other = Duration::from_secs(1);
    for_each_app(|app| {
        let id = app.idp().post("/Users", user("mira@example.com")).expect(201).id();
        let before = app.log();
        let one = json!({"method": "DELETE", "path": format!("/Users/{id}")});
        let requests = [
            ("PATCH", format!("/scim/v2/Users/{id}"), replace("active", false), Duration::ZERO, other),
            ("POST", "/scim/v2/Bulk".to_owned(), bulk(json!([one])), other, Duration::ZERO),
            ("POST", "/scim/v2/Bulk/".to_owned(), bulk(json!([one])), other, Duration::ZERO),
            ("POST", "/v1/verify".to_owned(), json!({"key": "x"}), Duration::ZERO, other),
        ];
        for (method, path, body, of_body, of_job) in requests {
            let limits = http::Settings { body: of_body, job: of_job, ..http::Settings::default() };
            let shared = http::Shared::new(app.service.clone(), limits);
            let actor = if path.starts_with("/v1") { app.admin() } else { app.idp() };
            let head = TestRequest::default()
                .method(method.parse().unwrap())
                .uri(&path)
                .insert_header(("authorization", format!("Bearer {}", actor.key())))
                .insert_header(("content-type", "application/scim+json"));
            // All but its last byte, and then nothing.
            let mut text = body.to_string();
            text.pop();
            let chunks = stream::once(ready(Ok(web::Bytes::from(text)))).chain(stream::pending());
            let body = Payload::from(chunks.boxed_local());
            let answer = Answer::with(head, Some(body), &shared).expect(408);
            assert_eq!(answer["detail"], json!("the body did not arrive in 0 seconds"), "{answer}");
        }
        assert_eq!(app.log(), before);
        assert_eq!(app.idp().get(&format!("/Users/{id}")).expect(200)["active"], json!(true));
    });
}
