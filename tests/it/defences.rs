//! Defences that show only from outside of a request: who connects, and what happens while it waits.

use std::net::SocketAddr;

use actix_web::test::TestRequest;
use diesel::connection::SimpleConnection;
use diesel::{Connection, PgConnection};
use keyroll::http;
use keyroll::service::credentials::Owner;
use serde_json::json;

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
