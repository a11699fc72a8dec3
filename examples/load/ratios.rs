//! What every verb costs in a directory of ten times the size: two servers, asked in turns.
//!
//! Nothing but what is named may grow with the directory. With `KEYROLL_DATABASE_URL=postgres://…/NAME` the large
//! one is in the database NAME and the small one in NAME_small, both empty; without it each has a SQLite file.

use std::time::Instant;

use serde_json::{Value, json};

use super::client::{Request, Single, scatter};
use super::servers::Keyroll;
use super::{URN, add, fill, user};

/// What may cost more, and why.
const NAMED: &[(&str, &str)] =
    &[("a search that no index answers", "it looks at every value; an index for parts of values is to come")];

/// The most that anything else may cost in the larger directory, by its median.
const RATIO_MAX: f64 = 1.3;

const TIMES: usize = 300;

/// A server, who is in it, and a group of all of them.
struct Place {
    keyroll: Keyroll,
    client: Single,
    ids: Vec<String>,
    group: String,
}

impl Place {
    fn new(users: usize, database: &str) -> Place {
        let url = std::env::var("KEYROLL_DATABASE_URL").ok().map(|url| {
            let (server, query) = url.split_once('?').unwrap_or((&url, ""));
            format!("{server}{database}?{query}")
        });
        let keyroll = Keyroll::start_on(url.as_deref());
        let ids = fill(&keyroll, users);
        let body = json!({"schemas": [format!("{URN}:Group")], "displayName": "everybody"});
        let made: Value = serde_json::from_str(&keyroll.post("/Groups", &body)).expect("a group");
        let group = made["id"].as_str().expect("an id").to_owned();
        // The last ones come and go.
        for chunk in ids[..users - TIMES].chunks(10_000) {
            keyroll.patch(&format!("/Groups/{group}?excludedAttributes=members"), &add(chunk));
        }
        Place { client: Single::connect(keyroll.address()), keyroll, ids, group }
    }

    fn any(&self, n: usize) -> &str {
        // Those at the end are deleted, and come and go.
        &self.ids[scatter(n as u64) as usize % (self.ids.len() - 2 * TIMES)]
    }

    fn spare(&self, n: usize) -> &str {
        &self.ids[self.ids.len() - TIMES + n]
    }
}

type Make = fn(&Place, usize) -> Request;

fn scim(place: &Place, method: &str, path: &str, body: &Value) -> Request {
    let body = if body.is_null() { String::new() } else { body.to_string() };
    Request::send(method, &format!("/scim/v2{path}"), place.keyroll.key(), &body)
}

fn admin(place: &Place, method: &str, path: &str, body: &Value) -> Request {
    Request::send(method, path, place.keyroll.admin_key(), &body.to_string())
}

fn find(place: &Place, filter: &str) -> Request {
    let filter = filter.replace(' ', "+").replace('"', "%22").replace('@', "%40");
    Request::get(&format!("/scim/v2/Users?count=10&filter={filter}"), place.keyroll.key())
}

fn member(place: &Place, n: usize, op: &str) -> Request {
    let id = place.spare(n);
    let operation = match op {
        "add" => json!({"op": "add", "path": "members", "value": [{"value": id}]}),
        _ => json!({"op": "remove", "path": format!("members[value eq \"{id}\"]")}),
    };
    let body = json!({"schemas": ["urn:ietf:params:scim:api:messages:2.0:PatchOp"], "Operations": [operation]});
    scim(place, "PATCH", &format!("/Groups/{}?excludedAttributes=members", place.group), &body)
}

const WORK: &[(&str, Make)] = &[
    ("GET by id", |p, n| Request::get(&format!("/scim/v2/Users/{}", p.any(n)), p.keyroll.key())),
    ("list, 10 a page", |p, _| Request::get("/scim/v2/Users?count=10", p.keyroll.key())),
    ("list by userName, 10 a page", |p, _| Request::get("/scim/v2/Users?count=10&sortBy=userName", p.keyroll.key())),
    ("userName eq", |p, n| find(p, &format!("userName eq \"user{}@north.example\"", scatter(n as u64) % 1_000))),
    ("emails.value eq", |p, n| {
        find(p, &format!("emails.value eq \"user{}@mail.north.example\"", scatter(n as u64) % 1_000))
    }),
    ("externalId eq", |p, n| find(p, &format!("externalId eq \"ext-{}\"", scatter(n as u64) % 1_000))),
    ("POST", |p, n| scim(p, "POST", "/Users", &user(10_000_000 + n))),
    ("PATCH", |p, n| {
        let operation = json!({"op": "replace", "path": "title", "value": format!("Mate {n}")});
        let body = json!({"schemas": ["urn:ietf:params:scim:api:messages:2.0:PatchOp"], "Operations": [operation]});
        scim(p, "PATCH", &format!("/Users/{}", p.any(n)), &body)
    }),
    ("PUT", |p, n| scim(p, "PUT", &format!("/Users/{}", p.ids[n]), &user(n))),
    ("group, one more member", |p, n| member(p, n, "add")),
    ("group, one member less", |p, n| member(p, n, "remove")),
    ("Bulk of 10", |p, n| {
        let operations: Vec<Value> = (0..10)
            .map(|m| {
                json!({"method": "POST", "path": "/Users", "bulkId": m.to_string(), "data": user(20_000_000 + 10 * n + m)})
            })
            .collect();
        let body = json!({"schemas": ["urn:ietf:params:scim:api:messages:2.0:BulkRequest"], "Operations": operations});
        scim(p, "POST", "/Bulk", &body)
    }),
    ("DELETE", |p, n| scim(p, "DELETE", &format!("/Users/{}", p.ids[p.ids.len() - 2 * TIMES + n]), &Value::Null)),
    ("verify", |p, _| admin(p, "POST", "/v1/verify", &json!({"key": p.keyroll.admin_key()}))),
    ("AuthZEN evaluation", |p, n| {
        let body = json!({"subject": {"type": "user", "id": p.any(n)}, "action": {"name": "read"},
            "resource": {"type": "keyroll:users", "id": "1"}});
        admin(p, "POST", "/access/v1/evaluation", &body)
    }),
    ("access of a user", |p, n| Request::get(&format!("/v1/users/{}/access", p.any(n)), p.keyroll.admin_key())),
    ("a key for a user", |p, n| {
        admin(p, "POST", "/v1/keys", &json!({"name": "load", "owner": {"type": "user", "id": p.any(n)}}))
    }),
    ("list of keys", |p, _| Request::get("/v1/keys", p.keyroll.admin_key())),
    ("list of people", |p, _| Request::get("/v1/users", p.keyroll.admin_key())),
    ("a search that no index answers", |p, _| find(p, "emails.value co \"nobody\"")),
];

/// Fills a small and a large directory, and prints what each kind of request costs in both.
pub(super) fn measure(users: usize) {
    let mut places = [Place::new(users / 10, "_small"), Place::new(users, "")];
    println!("{:34} {:>12} {:>12} {:>6}", "median µs of one client", users / 10, users, "ratio");
    let mut over = vec![];
    // The first one's connection was idle for too long.
    places.iter_mut().for_each(|place| place.client = Single::connect(place.keyroll.address()));
    for (name, make) in WORK {
        let times = if NAMED.iter().any(|(named, _)| named == name) { TIMES / 10 } else { TIMES };
        let mut taken = [vec![], vec![]];
        for n in 0..times {
            for (place, taken) in places.iter_mut().zip(&mut taken) {
                let request = make(place, n);
                let started = Instant::now();
                let status = place.client.ask(&request);
                taken.push(started.elapsed().as_micros());
                assert!((200..300).contains(&status), "{name}: {status}");
            }
        }
        let [small, large] = taken.map(|mut taken| {
            taken.sort_unstable();
            taken[taken.len() / 2]
        });
        let ratio = large as f64 / small as f64;
        let named = NAMED.iter().find(|(named, _)| named == name).map_or("", |(_, why)| why);
        println!("{name:34} {small:>12} {large:>12} {ratio:>6.2} {named}");
        if ratio > RATIO_MAX && named.is_empty() {
            over.push(*name);
        }
    }
    println!("over {RATIO_MAX}: {}", if over.is_empty() { "none".to_owned() } else { over.join(", ") });
}
