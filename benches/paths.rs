//! The hot paths without HTTP: `cargo bench`.
//!
//! `verify/*` is also the print-out of attack case A01: an unknown selector and a known selector with a
//! wrong secret take the same time, since both do the same look-up, digest and comparisons. `refuse/*` is
//! that of A19: each takes far less than 50 ms.
#![allow(missing_docs, clippy::unwrap_used, clippy::indexing_slicing, reason = "a bench")]

mod support;

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use serde_json::{Value, json};

use keyroll::domain::log::RequestRef;
use keyroll::scim::message::SearchRequest;
use keyroll::scim::tolerance::{Dialect, Tolerances};
use keyroll::scim::{filter, json as strict, patch, schema::registry};
use keyroll::service::authzen::request as authzen;
use keyroll::service::conditions::Conditions;
use keyroll::service::directory::resources::Wanted;
use keyroll::service::request;
use keyroll::service::{Context, Service};

const USERS: usize = 10_000;

fn user(n: usize) -> Value {
    json!({
        "schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"], "userName": format!("user{n}@north.example"),
        "externalId": format!("ext-{n}"), "displayName": format!("User {n}"), "active": true,
        "name": {"givenName": "Mira", "familyName": "Vale"},
        "emails": [{"value": format!("user{n}@mail.north.example"), "type": "work", "primary": true}],
    })
}

/// A service on SQLite with users, its folder, who provisions, the admin, and the keys that `init` gave.
fn filled() -> (tempfile::TempDir, Service, Context, Context, Vec<String>) {
    let (folder, service) = support::service();
    let made = service.init("default").unwrap();
    let context = |name: &str| {
        let entered = service.enter(made[name].as_str().unwrap(), RequestRef::default(), None).unwrap();
        Context::new(entered.caller, RequestRef::default())
    };
    let (idp, admin) = (context("provisioning_key"), context("admin_key"));
    let users = registry().by_name("User").unwrap();
    let mut ids = vec![];
    for n in 0..USERS {
        let answer = service.create_resource(&idp, users, user(n).to_string().as_bytes(), &Wanted::default()).unwrap();
        ids.push(answer.location.rsplit('/').next().unwrap().to_owned());
    }
    (folder, service, idp, admin, ids)
}

fn through_the_service(c: &mut Criterion) {
    let (_folder, service, idp, admin, ids) = filled();
    let users = registry().by_name("User").unwrap();
    let mut n = 0;
    let mut next = || {
        n = (n + 7_919) % USERS;
        n
    };
    let (wanted, conditions) = (Wanted::default(), Conditions::default());
    c.bench_function("read/warm", |b| {
        b.iter(|| service.read_resource(&idp, users, black_box(&ids[0]), &wanted, &conditions).unwrap())
    });
    c.bench_function("read/any", |b| {
        b.iter(|| service.read_resource(&idp, users, black_box(&ids[next()]), &wanted, &conditions).unwrap())
    });
    c.bench_function("search/userName eq", |b| {
        b.iter(|| {
            let filter = Some(format!("userName eq \"user{}@north.example\"", next()));
            service.search(&idp, Some(users), &SearchRequest { filter, ..SearchRequest::default() }).unwrap()
        })
    });

    let issue = json!({"name": "bench", "owner": {"type": "user", "id": ids[0]}});
    let issue = request::read_value(&issue).unwrap();
    let key = service.issue_key(&admin, &issue).unwrap().key;
    // Same form, another secret: checksums are made by the same code as keys are.
    let other = service.issue_key(&admin, &issue).unwrap().key;
    let wrong = with_secret_of(&key, &other);
    let unknown = with_selector(&wrong, "000000000000");
    for (name, key) in [("hit", &key), ("wrong secret", &wrong), ("unknown selector", &unknown)] {
        let asked = request::read_value(&json!({ "key": key })).unwrap();
        c.bench_function(&format!("verify/{name}"), |b| b.iter(|| service.verify(&admin, black_box(&asked)).unwrap()));
    }
    let body = json!({"subject": {"type": "user", "id": ids[0]}, "action": {"name": "read"},
        "resource": {"type": "keyroll:users", "id": "1"}});
    let body = body.to_string();
    c.bench_function("evaluate/remembered", |b| {
        b.iter(|| {
            let asked = strict::parse(black_box(body.as_bytes()), &strict::Limits::default()).unwrap();
            service.evaluate(&admin, &authzen::read(&asked).unwrap()).unwrap()
        })
    });
}

/// A key with the selector of one and the secret of another, and a fresh checksum.
fn with_secret_of(selector: &str, secret: &str) -> String {
    checked(format!("{}{}", &selector[..17], &secret[17..60]))
}

fn with_selector(key: &str, selector: &str) -> String {
    checked(format!("{}{selector}{}", &key[..4], &key[16..60]))
}

fn checked(body: String) -> String {
    const ALPHABET: &[u8] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    let mut crc = crc32fast::hash(body.as_bytes());
    let mut tail = [b'0'; 6];
    for place in tail.iter_mut().rev() {
        *place = ALPHABET[(crc % 62) as usize];
        crc /= 62;
    }
    body + std::str::from_utf8(&tail).unwrap()
}

fn pure(c: &mut Criterion) {
    let users = registry().by_name("User").unwrap();
    let document = user(1).as_object().unwrap().clone();
    let body = user(1).to_string();
    c.bench_function("json/strict", |b| {
        b.iter(|| strict::parse::<serde_json::Value>(black_box(body.as_bytes()), &strict::Limits::default()).unwrap())
    });
    let text = "emails[type eq \"work\" and value co \"@mail\"] and not (active eq false)";
    let mut tolerances = Tolerances::new(Dialect::Auto);
    c.bench_function("filter/parse", |b| b.iter(|| filter::parse(black_box(text), &mut tolerances).unwrap()));
    let bound =
        filter::bind(&filter::parse(text, &mut tolerances).unwrap(), users, filter::Unknown::Refuse, &mut tolerances)
            .unwrap();
    c.bench_function("filter/matches", |b| b.iter(|| filter::matches(black_box(&bound), &document)));
    let patch_body =
        json!({"schemas": [patch::PATCH_URN], "Operations": [{"op": "Replace", "path": "active", "value": "False"}]});
    let operations = patch::parse(patch_body, users, &mut tolerances).unwrap();
    c.bench_function("patch/apply", |b| {
        b.iter(|| patch::apply(black_box(&document), &operations, users, &mut tolerances).unwrap())
    });
}

/// Filters that attack the parser: deep, long, or both with a mistake at the end.
fn refused(c: &mut Criterion) {
    let many = ["a pr"; 1_800].join(" or ");
    for (name, text) in [
        ("parentheses", "(".repeat(5_000)),
        ("not", "not (".repeat(3_000) + "bad token"),
        ("and", ["userName pr"; 10_000].join(" and ")),
        ("or", many + " or not (a pr) or (((a pr"),
        ("literal", format!("userName eq \"{}\"", "a".repeat(1 << 20))),
    ] {
        let users = registry().by_name("User").unwrap();
        c.bench_function(&format!("refuse/{name}"), |b| {
            b.iter(|| {
                let mut tolerances = Tolerances::new(Dialect::Auto);
                let parsed = filter::parse(black_box(&text), &mut tolerances);
                let bound = parsed.and_then(|parsed| {
                    filter::bind(&parsed, users, filter::Unknown::Refuse, &mut tolerances).map(|_| ())
                });
                bound.unwrap_err()
            })
        });
    }
}

criterion_group!(benches, pure, refused, through_the_service);
criterion_main!(benches);
