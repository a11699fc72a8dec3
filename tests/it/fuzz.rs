//! Broken requests, the same ones every time: a valid request with a few bytes changed, never answered with 5xx
//! and never left unanswered.

use std::io::Write;

use serde_json::{Value, json};

use crate::attacks::Target;
use crate::support::random::Random;
use crate::support::server::{BULK, GROUP, Installation, PATCH, SEARCH, USER, connect, read_answer};

/// A valid request, to be broken.
struct Seed {
    method: &'static str,
    path: String,
    headers: Vec<(&'static str, String)>,
    body: String,
}

fn seeds(user: &str, group: &str, admin: &str) -> Vec<Seed> {
    let seed = |method, path: &str, body: Value| {
        let body = if body.is_null() { String::new() } else { body.to_string() };
        Seed { method, path: path.to_owned(), headers: vec![], body }
    };
    let patch = |operations: Value| json!({"schemas": [PATCH], "Operations": operations});
    let (user_path, group_path) = (format!("/scim/v2/Users/{user}"), format!("/scim/v2/Groups/{group}"));
    let person = json!({
        "schemas": [USER, "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"], "userName": "carl",
        "externalId": "e-1", "name": {"familyName": "C", "givenName": "D"}, "active": true,
        "emails": [{"value": "c@example.com", "type": "work", "primary": true}, {"value": "d@example.com"}],
        "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User": {"employeeNumber": "7", "manager": {"value": user}},
    });
    let edits = json!([
        {"op": "replace", "path": "active", "value": "False"},
        {"op": "add", "path": "emails[type eq \"work\"].value", "value": "x@example.com"},
        {"op": "remove", "path": "name.familyName"},
        {"op": "replace", "value": {"nickName": "n", "name.givenName": "g"}},
    ]);
    let members = json!([
        {"op": "add", "path": "members", "value": [{"value": user}]},
        {"op": "remove", "path": format!("members[value eq \"{user}\"]")},
    ]);
    let job = json!({"schemas": [BULK], "failOnErrors": 2, "Operations": [
        {"method": "POST", "path": "/Users", "bulkId": "q", "data": {"schemas": [USER], "userName": "dora"}},
        {"method": "PATCH", "path": format!("/Groups/{group}"), "data": patch(json!([
            {"op": "add", "path": "members", "value": [{"value": "bulkId:q"}]}]))},
    ]});
    let search = json!({"schemas": [SEARCH], "filter": "userName sw \"a\" and not (active eq false)",
        "attributes": ["userName", "emails.value"], "sortBy": "userName", "sortOrder": "descending", "count": 5});
    let query = "/scim/v2/Users?filter=emails%5Btype%20eq%20%22work%22%20and%20value%20co%20%22x%22%5D%20or%20\
        meta.created%20gt%20%222020-01-01T00%3A00%3A00Z%22&sortBy=name.familyName&count=3&startIndex=2&attributes=name";
    let mut seeds = vec![
        seed("POST", "/scim/v2/Users", person.clone()),
        seed("PUT", &user_path, person),
        seed("PATCH", &user_path, patch(edits)),
        seed("PATCH", &group_path, patch(members)),
        seed("POST", "/scim/v2/Groups", json!({"schemas": [GROUP], "displayName": "g", "members": [{"value": user}]})),
        seed("POST", "/scim/v2/Bulk", job),
        seed("POST", "/scim/v2/Users/.search", search.clone()),
        seed("POST", "/scim/v2/.search", search),
        seed("GET", query, Value::Null),
        seed("GET", &format!("{user_path}?excludedAttributes=emails,name"), Value::Null),
        seed("GET", "/scim/v2/Users?cursor=&count=1", Value::Null),
        seed("GET", "/scim/v2/Schemas/urn:ietf:params:scim:schemas:core:2.0:User", Value::Null),
        seed("GET", "/v1/keys?count=2", Value::Null),
        seed("POST", "/v1/keys", json!({"owner": {"type": "user", "id": user}, "name": "k", "expires_in": "P1D"})),
        seed("POST", "/v1/verify", json!({"key": admin})),
        seed("GET", "/v1/whoami", Value::Null),
    ];
    for seed in &mut seeds {
        seed.headers.push(("If-Match", "W/\"1\"".to_owned()));
        seed.headers.push(("Accept", "application/scim+json".to_owned()));
        seed.headers.push(("Content-Type", "application/scim+json; charset=utf-8".to_owned()));
        seed.headers.push(("X-Request-Id", "0123-4567-89ab".to_owned()));
        seed.headers.push(("User-Agent", "fuzz/1".to_owned()));
    }
    seeds
}

/// What breaks parsers.
const TOKENS: &[&[u8]] = &[
    b"\"",
    b"\\",
    b"\\u0000",
    b"\\ud800",
    b"\0",
    b"\xff",
    b"{",
    b"}",
    b"[",
    b"]",
    b",",
    b":",
    b"null",
    b"-0",
    b"1e400",
    b"(",
    b"not (",
    b" eq ",
    b"%00",
    b"%",
    b"%ff",
    b"&",
    b"=",
    b"?",
    b"#",
    b"/",
    b"..",
    b"$ref",
    b"bulkId:q",
    b"\r\n",
    b"\t",
    b"\xf0\x9f\x98\x80",
    b"\xcc\x81",
    b"true",
    b"urn:ietf:params:scim:schemas:core:2.0:Group",
    b"99999999999999999999",
];

/// One to three edits at random places.
fn mutate(random: &mut Random, bytes: &mut Vec<u8>) {
    for _ in 0..=random.below(3) {
        let at = random.below(bytes.len() + 1);
        let end = (at + random.below(12)).min(bytes.len());
        match random.below(6) {
            0 => drop(bytes.drain(at..end)),
            1 => bytes.truncate(at),
            2 if at < bytes.len() => bytes[at] ^= 1 << random.below(8),
            3 => {
                let copy = bytes[at..end].to_vec();
                let to = random.below(bytes.len() + 1);
                bytes.splice(to..to, copy);
            }
            _ => {
                let token = TOKENS[random.below(TOKENS.len())];
                bytes.splice(at..at, token.iter().copied());
            }
        }
    }
}

#[test]
fn two_thousand_broken_requests_break_nothing() {
    let target = Target::new(Installation::sqlite());
    let group = target.idp.post("/scim/v2/Groups", &json!({"schemas": [GROUP], "displayName": "all"})).expect(201);
    let id = |resource: &Value| resource["id"].as_str().unwrap().to_owned();
    let user = id(&target.idp.post("/scim/v2/Users", &json!({"schemas": [USER], "userName": "anna"})).json());
    let keys = target.server.keys();
    let seeds = seeds(&user, &id(&group.json()), &keys.admin);
    let mut random = Random(20_260_101);
    let mut statuses = std::collections::BTreeMap::<u16, usize>::new();
    for number in 0..2_000 {
        let seed = &seeds[random.below(seeds.len())];
        let (mut path, mut body) = (seed.path.clone().into_bytes(), seed.body.clone().into_bytes());
        let mut headers = seed.headers.iter().map(|(n, v)| format!("{n}: {v}").into_bytes()).collect::<Vec<_>>();
        match random.below(4) {
            0 => mutate(&mut random, &mut path),
            1 => {
                let at = random.below(headers.len());
                mutate(&mut random, &mut headers[at]);
            }
            _ if body.is_empty() => mutate(&mut random, &mut path),
            _ => mutate(&mut random, &mut body),
        }
        let key = if seed.path.starts_with("/v1") { &keys.admin } else { &keys.provisioning };
        let mut request =
            [seed.method.as_bytes(), b" ", &path, b" HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"].concat();
        request
            .extend_from_slice(format!("Authorization: Bearer {key}\r\nContent-Length: {}\r\n", body.len()).as_bytes());
        headers.iter().for_each(|header| request.extend_from_slice(&[header, &b"\r\n"[..]].concat()));
        request.extend_from_slice(b"\r\n");
        request.extend_from_slice(&body);
        let mut stream = connect(target.server.address);
        let _ = stream.write_all(&request);
        let answer = read_answer(&mut stream);
        let status = answer.as_ref().map_or(0, |answer| answer.status);
        assert!(status < 500, "request {number}: {}\n{answer:?}", String::from_utf8_lossy(&request));
        // Nothing half-read is ever answered as if it were whole: every refusal says why.
        if let Some(answer) = answer.filter(|answer| answer.status >= 400 && !answer.body.is_empty()) {
            assert!(answer.json()["detail"].is_string(), "{answer:?}");
        }
        *statuses.entry(status).or_default() += 1;
    }
    println!("{statuses:?}");
    assert!([200, 201, 400, 404, 412].iter().all(|status| statuses.contains_key(status)), "{statuses:?}");
    target.survives(128);
}
