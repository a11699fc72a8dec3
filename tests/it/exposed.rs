//! `POST /v1/exposed-credentials` (credentials.md §4: A32): whoever has the whole text of a key can end it, learns nothing
//! by that, and cannot do it without end.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use actix_web::http::Method;
use actix_web::test::TestRequest;
use chrono::TimeDelta;
use keyroll::domain::operation::Keys;
use keyroll::domain::secret::PlainKey;
use keyroll::domain::{Caller, Class, Operation};
use keyroll::http;
use keyroll::service::authorize;
use keyroll::service::keys::Owner;
use keyroll::service::runtime::SystemEntropy;
use serde_json::{Value, json};

use crate::support::app::*;

const PATH: &str = "/v1/exposed-credentials";

fn report(app: &TestApp, keys: &[&str]) -> Answer {
    app.anonymous().post(PATH, json!({"credentials": keys})).expect(202)
}

/// A text that nobody was given, of the right form and with the right checksum.
fn made_up() -> String {
    PlainKey::mint(Class::User, &SystemEntropy).reveal()
}

/// The same public part with another secret or class; the checksum is right.
fn forged(key: &str, class: &str, letter: &str) -> String {
    checksummed(&format!("kr{class}{}{letter}{}", &key[3..58], &key[59..60]))
}

/// Whoever is not known may do what no key is needed for, and nothing else: the defence is `authorize`.
#[test]
fn nobody_may_what_needs_a_key() {
    let app = TestApp::sqlite();
    let nobody = Caller::anonymous(app.service.tenant("default").unwrap());
    for operation in Operation::ALL {
        let may = authorize(&nobody, *operation, None).is_ok();
        assert_eq!(may, operation.keys() == Keys::Open, "{}", operation.name());
    }
}

/// The defence is `proven`: a public part alone is no possession.
#[test]
fn whoever_has_a_key_ends_it_whosever_it_is() {
    for_each_app(|app| {
        let (admin, idp) = (app.admin(), app.idp());
        let (other_idp, other_admin) = app.tenant("second");
        let mira = idp.post("/Users", user("mira@example.com")).expect(201).id();
        let robot = json!({"name": "robot", "sponsors": ["mira@example.com"]});
        let robot = admin.post("/v1/agents", robot).expect(201).id();
        let key = app.issue(&mira);
        let spared = app.issue(&mira);
        let held = app.issue(&mira);
        admin.post(&format!("/v1/keys/{}/hold", app.id_of(&held)), json!({})).expect(200);
        let issued = json!({"owner": {"type": "agent", "id": robot}});
        let service = admin.post("/v1/keys", issued).expect(201)["key"].as_str().unwrap().to_owned();
        let link = app.issue_on_host(Owner::Connection("default".to_owned()), &[]);
        let forged =
            [("u", "0"), ("u", "1"), ("s", &spared[58..59])].map(|(class, letter)| forged(&spared, class, letter));
        let forged: Vec<&str> = forged.iter().map(String::as_str).filter(|text| *text != spared).collect();
        assert!(forged.iter().all(|text| PlainKey::parse(text).is_some_and(|key| key.selector() == &spared[4..16])));
        let before = app.log().len();

        let made_up = made_up();
        let texts =
            [" ", "kru_", &spared[..65], &made_up, &key, &format!("\n{service} "), &held, &link, other_idp.key(), &key];
        let texts: Vec<&str> = texts.into_iter().chain(forged).collect();
        let answer = report(app, &texts);
        assert_eq!(answer.body, json!({"received": texts.len()}));
        assert_eq!(
            [&key, &held, &service, &link, &spared].map(|key| app.verify(key)),
            ["REVOKED", "REVOKED", "REVOKED", "REVOKED", "VALID"]
        );
        assert_eq!([app.with_key(&link).get("/Users").status, other_idp.get("/Users").status], [401, 401]);
        assert_eq!(idp.get("/Users").status, 200);

        let log = app.log();
        let records: Vec<&Value> = log[before..].iter().collect();
        assert_eq!(records.len(), 4);
        for record in records {
            let expected =
                json!({"actor": {"type": "anonymous"}, "action": "credential.revoked", "outcome": "success"});
            for (name, value) in expected.as_object().unwrap() {
                assert_eq!(&record[name], value, "{record}");
            }
            assert_eq!(
                (&record["change"]["reason"], &record["request"]["method"]),
                (&json!("exposed"), &json!("POST"))
            );
            assert_eq!(record["request"]["route"], json!(PATH));
            assert_eq!(record["request"]["id"].as_str().unwrap(), answer.header("x-request-id"));
        }
        let theirs = other_admin.get("/v1/changes?wait=0").expect(200);
        let last = theirs["changes"].as_array().unwrap().last().unwrap().clone();
        assert_eq!(last["kind"], json!("credential.revoked"), "{theirs}");
        // Who reports it again changes nothing.
        assert_eq!(report(app, &texts).text, answer.text);
        assert_eq!(app.log().len(), before + 4);
    });
}

/// The defence is the pace: without it, what is no key is answered within a millisecond.
#[test]
fn the_answer_does_not_tell_what_was_a_key() {
    for_each_app(|app| {
        let mira = app.idp().post("/Users", user("mira@example.com")).expect(201).id();
        let (key, made_up) = (app.issue(&mira), made_up());
        let texts: Vec<String> = (0..3).map(|_| "nothing".to_owned()).chain([made_up, key.clone(), key]).collect();
        let answers = texts.iter().map(|text| {
            let begun = Instant::now();
            let answer = report(app, &[text.as_str()]);
            assert!(begun.elapsed() >= Duration::from_millis(250), "{:?} for {text}", begun.elapsed());
            let headers: Vec<(String, String)> = answer
                .headers
                .iter()
                .filter(|(name, _)| *name != "x-request-id" && *name != "date")
                .map(|(name, value)| (name.clone(), value.clone()))
                .collect();
            (answer.status, answer.text, headers)
        });
        let mut answers: Vec<_> = answers.collect();
        assert_eq!(answers[0].1, r#"{"received":1}"#);
        answers.dedup();
        assert_eq!(answers.len(), 1, "{answers:?}");
    });
}

/// The defence of the last but three is the limit of bodies that no key is needed for.
#[test]
fn what_is_no_report_is_refused_and_not_repeated() {
    let app = TestApp::sqlite();
    let nobody = app.anonymous();
    let many = |count: usize| json!({"credentials": vec!["kru_"; count]});
    assert_eq!(nobody.post(PATH, many(1_000)).expect(202).body, json!({"received": 1_000}));
    let refused = |body: Value, pointer: &str| {
        let answer = nobody.post(PATH, body);
        answer.problem(422, "invalid");
        assert_eq!(answer["pointer"], json!(pointer));
    };
    let secret = made_up();
    refused(many(1_001), "/credentials");
    refused(json!({}), "/credentials");
    refused(json!({"credentials": secret}), "/credentials");
    refused(json!({"credentials": [[secret]]}), "/credentials/0");
    refused(json!({"credentials": [null]}), "/credentials/0");
    refused(json!({"credentials": [], "x": 1}), "/x");
    let named = nobody.post(PATH, json!({secret.clone(): 1})).expect(422);
    assert!(!named.text.contains(&secret[17..]), "{named}");
    nobody.send("POST", PATH, &[], "[]").problem(400, "malformed");
    // What a page of somebody else's can make a browser send (A30).
    nobody
        .send("POST", PATH, &[("content-type", "text/plain")], many(1).to_string())
        .problem(415, "unsupported_media_type");
    let long = json!({"credentials": ["x".repeat(1 << 20)]}).to_string();
    nobody.send("POST", PATH, &[], long).problem(413, "too_large");
    nobody.send("GET", PATH, &[], "").problem(405, "method_not_allowed");
    nobody.post(&format!("{PATH}?key={secret}"), many(1)).problem(400, "malformed");
    // A key that is sent along is not looked at.
    app.with_key(&secret).post(PATH, many(1)).expect(202);
    assert_eq!(app.log().len(), 0);
}

/// A report that is none, from an address: its status and `Retry-After`.
fn tried(shared: &http::Shared, peer: &str, forwarded: &str) -> (u16, String) {
    let peer: SocketAddr = peer.parse().unwrap();
    let request = TestRequest::default().method(Method::POST).uri(PATH).peer_addr(peer);
    let request = request.insert_header(("content-type", "application/json")).set_payload("{}");
    let request = if forwarded.is_empty() { request } else { request.insert_header(("x-forwarded-for", forwarded)) };
    let answer = Answer::to(request, shared);
    (answer.status, answer.header("retry-after").to_owned())
}

/// The defences are the count, by network, and that nobody but a proxy is believed about whom it forwards for.
#[test]
fn an_address_reports_sixty_times_an_hour() {
    let app = TestApp::sqlite();
    let behind = |nets: &[&str]| {
        let behind_proxy = nets.iter().map(|net| net.parse().unwrap()).collect();
        http::Shared::new(app.service.clone(), http::Settings { behind_proxy, ..http::Settings::default() })
    };
    let alone = behind(&[]);
    for n in 0..60 {
        assert_eq!(tried(&alone, "127.0.0.1:4000", &format!("203.0.113.{n}")).0, 422, "{n}");
    }
    assert_eq!(tried(&alone, "127.0.0.1:4001", "203.0.113.99"), (429, "3600".to_owned()));
    app.clock.advance(TimeDelta::minutes(59));
    assert_eq!(tried(&alone, "127.0.0.1:4002", ""), (429, "60".to_owned()));
    app.clock.advance(TimeDelta::minutes(1));
    assert_eq!(tried(&alone, "127.0.0.1:4003", "").0, 422);

    let proxied = behind(&["10.0.0.0/8"]);
    for n in 0..60 {
        assert_eq!(tried(&proxied, "10.0.0.1:4000", &format!("2001:db8:7:7::{n:x}")).0, 422, "{n}");
    }
    assert_eq!(tried(&proxied, "10.0.0.2:4000", "2001:db8:7:7:8::1").0, 429);
    assert_eq!(tried(&proxied, "10.0.0.1:4000", "2001:db8:7:8::1").0, 422);
    assert_eq!(tried(&proxied, "10.0.0.1:4000", "198.51.100.7").0, 422);
}
