//! Measures a server under load and compares it with what the machine can do, in one run:
//!
//! ```text
//! cargo build --release && cargo run --release --example load -- [USERS] [SECONDS] [access|ratios|selectors|table|spread]
//! ```
//!
//! It starts `keyroll serve` on an empty SQLite database (rate limit off, everything else as shipped),
//! fills it with USERS users (100 000), and measures with 32 keep-alive connections for SECONDS (5) each:
//! reads against a bare actix-web handler that returns the same bytes, creates against raw SQLite inserts
//! of the same rows, adding a member to a large group against adding one to a small group, and memory.
//! With the word `access` it measures roles and mappings instead, on the database that KEYROLL_DATABASE_URL
//! names; with `ratios` what every verb costs with USERS users against a tenth of them; with
//! `selectors` whether the time of an answer tells that there is a key (attack case A01); with `table` every verb
//! beside its goal, on the database that KEYROLL_DATABASE_URL names; with `spread` for how long a revoked key is accepted by
//! any of three servers on it, for SECONDS.
#![allow(
    clippy::print_stdout,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "a program for people"
)]

mod access;
mod bare_client;
mod client;
mod ratios;
mod raw;
mod selectors;
mod servers;
mod spread;
mod table;

use serde_json::{Value, json};

use client::{Load, Request};
use servers::{Bare, Keyroll};

const CONNECTIONS: usize = 32;
const URN: &str = "urn:ietf:params:scim:schemas:core:2.0";

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if arguments.first().is_some_and(|first| first == "--bare") {
        return servers::bare_main();
    }
    let number = |n: usize, default: usize| arguments.get(n).and_then(|text| text.parse().ok()).unwrap_or(default);
    let (users, seconds) = (number(0, 100_000), number(1, 5) as u64);

    let says = |word: &str| arguments.iter().any(|one| one == word);
    if says("ratios") {
        return ratios::measure(users);
    }
    if says("table") {
        return table::measure(users, seconds, says("analysed"));
    }
    if says("spread") {
        return spread::measure(seconds);
    }
    let keyroll = Keyroll::start();
    let load = Load { connections: CONNECTIONS, seconds };
    println!("filling {users} users");
    let ids = fill(&keyroll, users);
    println!("resident after filling: {} MB", keyroll.resident_kb() / 1024);

    if arguments.iter().any(|word| word == "access") {
        return access::measure(&keyroll, &load, &ids);
    }
    if arguments.iter().any(|word| word == "selectors") {
        return selectors::measure(&keyroll, &ids);
    }
    let sample = keyroll.get(&format!("/Users/{}", ids[0]));
    let bare = Bare::start(&sample);
    let bare_rate = load.run(bare.address(), |_| Request::get("/", ""));
    println!("bare handler, {} bytes: {bare_rate:.0}/s", sample.len());
    cold(&keyroll, &load, &ids, bare_rate);
    reads(&keyroll, &load, &ids, &bare);
    println!("resident after reading: {} MB", keyroll.resident_kb() / 1024);
    creates(&keyroll, &load, users);
    members(&keyroll, &ids);
    println!("resident at the end: {} MB", keyroll.resident_kb() / 1024);
}

fn user(n: usize) -> Value {
    json!({
        "schemas": [format!("{URN}:User"), "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"],
        "userName": format!("user{n}@north.example"), "externalId": format!("ext-{n}"), "displayName": format!("User {n}"),
        "name": {"givenName": format!("Given{n}"), "familyName": format!("Family{}", n % 5_000)},
        "emails": [{"value": format!("user{n}@mail.north.example"), "type": "work", "primary": true}],
        "title": "Deck officer", "preferredLanguage": "en-GB", "active": true,
        "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User": {"employeeNumber": format!("N-{n}"), "department": "Harbour"},
    })
}

/// Creates users by Bulk, a thousand at a time; gives their ids.
fn fill(keyroll: &Keyroll, users: usize) -> Vec<String> {
    fill_with(keyroll, users, user)
}

fn fill_with(keyroll: &Keyroll, users: usize, user: impl Fn(usize) -> Value) -> Vec<String> {
    let mut ids = Vec::with_capacity(users);
    for start in (0..users).step_by(1_000) {
        let operations: Vec<Value> = (start..users.min(start + 1_000))
            .map(|n| json!({"method": "POST", "path": "/Users", "bulkId": n.to_string(), "data": user(n)}))
            .collect();
        let body = json!({"schemas": ["urn:ietf:params:scim:api:messages:2.0:BulkRequest"], "Operations": operations});
        let answer: Value = serde_json::from_str(&keyroll.post("/Bulk", &body)).expect("a BulkResponse");
        for result in answer["Operations"].as_array().expect("operations") {
            let location = result["location"].as_str().unwrap_or_else(|| panic!("{result}"));
            ids.push(location.rsplit('/').next().unwrap_or_default().to_owned());
        }
    }
    ids
}

/// Every user once: what the first read of each costs; after that the server remembers what it may.
fn cold(keyroll: &Keyroll, load: &Load, ids: &[String], bare: f64) {
    let key = keyroll.key();
    let ask = |path: &dyn Fn(usize) -> String| {
        load.each(keyroll.address(), ids.len(), |n| Request::get(&path(n as usize), key)) / bare * 100.0
    };
    let id = ask(&|n| format!("/scim/v2/Users/{}", ids[n]));
    let name = ask(&|n| format!("/scim/v2/Users?filter=userName+eq+%22user{n}%40north.example%22"));
    println!("the first read of each user: {id:.0} % by id, {name:.0} % by userName eq");
}

fn reads(keyroll: &Keyroll, load: &Load, ids: &[String], bare: &Bare) {
    let report = |name: &str, [rate, bare]: [f64; 2]| {
        println!("{name}: {rate:.0}/s, {:.0} % of the bare handler ({bare:.0}/s)", rate / bare * 100.0);
    };
    let key = keyroll.key();
    let pick = |n: u64| (client::scatter(n) % ids.len() as u64) as usize;
    let base = "/scim/v2/Users";
    let run = |path: &dyn Fn(u64) -> String| {
        let (own, least) = (|n| Request::get(&path(n), key), |_| Request::get("/", ""));
        load.in_turns([(keyroll.address(), &own), (bare.address(), &least)])
    };
    report("GET by id", run(&|n| format!("{base}/{}", ids[pick(n)])));
    report("userName eq", run(&|n| format!("{base}?filter=userName+eq+%22user{}%40north.example%22", pick(n))));
    report(
        "emails.value eq",
        run(&|n| format!("{base}?filter=emails.value+eq+%22user{}%40mail.north.example%22", pick(n))),
    );
    report("externalId eq", run(&|n| format!("{base}?filter=externalId+eq+%22ext-{}%22", pick(n))));
    report(
        "name.familyName eq and active eq",
        run(&|n| {
            format!("{base}?count=10&filter=name.familyName+eq+%22Family{}%22+and+active+eq+true", pick(n) % 5_000)
        }),
    );
    report("sortBy=userName, 10 a page", run(&|_| format!("{base}?count=10&sortBy=userName")));
}

fn creates(keyroll: &Keyroll, load: &Load, users: usize) {
    let key = keyroll.key();
    let before = raw::Before::copy(&keyroll.database());
    let rate = load.run(keyroll.address(), |n| {
        Request::post("/scim/v2/Users", key, &user(users + 1_000_000 + n as usize).to_string())
    });
    let (raw, together) = before.inserts_per_second(&keyroll.database(), load.seconds);
    println!(
        "creates: {rate:.0}/s, {:.0} % of raw inserts of the same rows in groups of {together} ({raw:.0}/s)",
        rate / raw * 100.0
    );
}

/// Adds one member at a time to a small and to a large group, in turns; compares the medians.
fn members(keyroll: &Keyroll, ids: &[String]) {
    let large = ids.len().min(100_000);
    let spare = 200.min(ids.len() / 10);
    let group = |name: &str, members: &[String]| {
        let body = json!({"schemas": [format!("{URN}:Group")], "displayName": name});
        let answer: Value =
            serde_json::from_str(&keyroll.post("/Groups?excludedAttributes=members", &body)).expect("a group");
        let id = answer["id"].as_str().expect("an id").to_owned();
        for chunk in members.chunks(10_000) {
            keyroll.patch(&format!("/Groups/{id}"), &add(chunk));
        }
        id
    };
    let (small, big) = (group("small", &ids[..10]), group("big", &ids[spare..large]));
    let mut times = [vec![], vec![]];
    for id in &ids[10..spare] {
        for (group, times) in [&small, &big].into_iter().zip(&mut times) {
            let started = std::time::Instant::now();
            keyroll.patch(&format!("/Groups/{group}?excludedAttributes=members"), &add(std::slice::from_ref(id)));
            times.push(started.elapsed().as_micros());
        }
    }
    let [small, big] = times.map(|mut times| {
        times.sort_unstable();
        times[times.len() / 2]
    });
    println!(
        "adding one member: {small} µs in a group of 10, {big} µs in one of {large}: {:.2} times",
        big as f64 / small as f64
    );
}

fn add(ids: &[String]) -> Value {
    let members: Vec<Value> = ids.iter().map(|id| json!({"value": id})).collect();
    json!({"schemas": ["urn:ietf:params:scim:api:messages:2.0:PatchOp"],
        "Operations": [{"op": "add", "path": "members", "value": members}]})
}
