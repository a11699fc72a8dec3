//! The description of the API is what the server does: it is fresh, and each of its examples is answered. That no
//! answer is another than is described, or holds more, is looked at wherever a story asks: see `support::described`.

use std::collections::BTreeSet;
use std::path::Path;

use keyroll::domain::operation::Surface;
use keyroll::domain::{Id, Operation};
use serde_json::{Value, json};

use crate::support::app::*;
use crate::support::described::{DESCRIBED, KEPT, Request};

#[test]
fn the_kept_document_is_the_one_that_is_served() {
    let app = TestApp::with(None, |settings| settings.public_url = "http://127.0.0.1:8080".to_owned());
    let served = app.anonymous().get("/v1/openapi.json").expect(200);
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(KEPT);
    if std::env::var_os("KEYROLL_TEST_UPDATE_GOLDEN").is_some() {
        std::fs::write(&path, &served.text).unwrap();
    }
    let kept = std::fs::read_to_string(&path).unwrap_or_default();
    for (kept, served) in kept.lines().zip(served.text.lines()) {
        assert_eq!(kept, served, "KEYROLL_TEST_UPDATE_GOLDEN=1 writes {KEPT} anew");
    }
    assert_eq!(kept, served.text, "KEYROLL_TEST_UPDATE_GOLDEN=1 writes {KEPT} anew");
}

#[test]
fn whoever_has_the_document_is_told_so() {
    let app = TestApp::sqlite();
    let served = app.anonymous().get("/v1/openapi.json").expect(200);
    assert_eq!(served.header("content-type"), "application/json");
    assert_eq!(served.header("cache-control"), "public, max-age=300");
    assert_eq!(served["servers"], json!([{"url": "https://keyroll.example"}]));
    let again = |name: &str, tag: &str| app.anonymous().send("GET", "/v1/openapi.json", &[(name, tag)], "");
    assert_eq!(again("if-none-match", served.header("etag")).expect(304).text, "");
    assert_eq!(again("if-none-match", "\"other\"").expect(200).text, served.text);
    again("if-match", "\"other\"").problem(412, "precondition_failed");
}

#[test]
fn every_operation_outside_scim_is_described() {
    let described: BTreeSet<String> = DESCRIBED.requests().into_iter().map(|one| one.operation).collect();
    let served = Operation::ALL.iter().filter(|one| !matches!(one.surface(), Surface::Scim | Surface::Host));
    let served: BTreeSet<String> = served.map(|one| one.name().to_owned()).collect();
    let lower = |name: &String| name[..1].to_lowercase() + &name[1..];
    assert_eq!(described, served.iter().map(lower).collect());
}

/// No type is described twice: a generator of schemas numbers names that two have.
#[test]
fn each_schema_has_a_name_of_its_own() {
    let names = DESCRIBED.json["components"]["schemas"].as_object().unwrap();
    let numbered: Vec<&String> = names.keys().filter(|name| name.ends_with(|c: char| c.is_ascii_digit())).collect();
    assert!(numbered.is_empty(), "{numbered:?}");
}

/// What is made comes first, and what is removed comes last, so that each example finds what the others speak of.
fn in_order(mut requests: Vec<Request>) -> Vec<Request> {
    requests.reverse();
    let rank = |request: &Request| match (request.method.as_str(), request.operation.as_str()) {
        ("POST", "apiCreate") => 0,
        ("POST", "roleCreate") => 1,
        ("POST", "agentCreate" | "mappingCreate") => 2,
        ("POST", "keyIssue") => 3,
        // Of whoever is suspended no key lives longer.
        ("POST", "keyExtend") => 4,
        ("POST", "userActivate" | "agentActivate" | "keyRelease") => 6,
        // The key must not be held back for it.
        ("POST", "keyRotate") => 7,
        ("POST", "keyRevoke" | "keyRevokeAll" | "keyExpose") => 8,
        ("DELETE", _) => 9,
        _ => 5,
    };
    requests.sort_by_key(rank);
    requests
}

#[test]
fn every_example_is_answered_as_it_is_described() {
    for_each_app(|app| {
        let mut names = vec![];
        let mira = app.idp().post("/Users", user("mira@example.com")).expect(201).id();
        names.push((DESCRIBED.example("keyIssue", "/owner/id"), mira));
        for request in in_order(DESCRIBED.requests()) {
            let body = named(&request.body, &names);
            // With all of its parameters, and without any: that may be answered otherwise.
            let queries = if request.query.is_empty() { vec![""] } else { vec![request.query.as_str(), ""] };
            for query in queries {
                let path = named(&request.path, &names);
                let wait = if request.operation == "changes" && query.is_empty() { "?wait=0" } else { "" };
                let json = [("content-type", "application/json")];
                let answer = app.admin().send(&request.method, &format!("{path}{query}{wait}"), &json, &body);
                assert!(answer.status < 300, "{} {path}{query}: {answer}", request.method);
                // What was made is what the others speak of; some of it by a name of its own.
                let id = DESCRIBED.id_below(&request.template).filter(|example| Id::parse(example).is_some());
                if let (201, Some(example)) = (answer.status, id) {
                    names.push((example, answer.id()));
                }
                if let Some(key) = answer.body.get("key").and_then(Value::as_str) {
                    names.push((DESCRIBED.example("keyVerify", "/key"), key.to_owned()));
                }
            }
        }
    });
}

/// A text of an example with what its names stand for.
fn named(text: &str, names: &[(String, String)]) -> String {
    names.iter().fold(text.to_owned(), |text, (example, real)| text.replace(example, real))
}
