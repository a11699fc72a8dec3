//! The table of goals: every verb on one database, beside what it should do there.
//!
//! With `KEYROLL_DATABASE_URL=postgres://…` on an empty database, else on SQLite. Nothing is analysed before, as right
//! after a first sync; with the word `analysed` PostgreSQL counts its rows after the filling.

use std::time::Instant;

use serde_json::{Value, json};

use super::bare_client::{BareClients, KINDS};
use super::client::{Load, Request, Single, scatter};
use super::servers::{Bare, Keyroll};
use super::{URN, add};

/// Clients that write, and that read.
const CLIENTS: usize = 8;
const MANY: usize = 64;

const PATCH: &str = "urn:ietf:params:scim:api:messages:2.0:PatchOp";

/// A row: what was done, by how many clients, how often a second, and how often it should be on PostgreSQL.
struct Row(&'static str, usize, f64, Option<f64>);

/// An enterprise user of 1.3 kB.
fn person(n: u64) -> Value {
    let mut user = super::user(n as usize);
    let number = |kind: &str, start: &str| json!({"value": format!("{start} {n:09}"), "type": kind});
    user["phoneNumbers"] = json!([number("work", "+31 10"), number("mobile", "+31 6")]);
    user["addresses"] = json!([{"type": "work", "streetAddress": format!("Quay {n}"), "locality": "Rotterdam",
        "postalCode": "3011 AA", "country": "NL", "formatted": format!("Quay {n}\n3011 AA Rotterdam\nThe Netherlands")}]);
    user["userType"] = json!("Employee");
    user["profileUrl"] = json!(format!("https://people.north.example/user{n}"));
    user["timezone"] = json!("Europe/Amsterdam");
    user["nickName"] = json!(format!("Nick{n}"));
    user
}

struct Place {
    keyroll: Keyroll,
    ids: Vec<String>,
    load: Load,
}

impl Place {
    fn send(&self, method: &str, path: &str, body: &Value) -> Request {
        Request::send(method, &format!("/scim/v2{path}"), self.keyroll.key(), &body.to_string())
    }

    fn rate(&self, connections: usize, request: impl Fn(u64) -> Request) -> f64 {
        Load { connections, ..self.load }.run(self.keyroll.address(), request)
    }

    fn any(&self, n: u64) -> &str {
        &self.ids[(scatter(n) % self.ids.len() as u64) as usize]
    }

    fn create(&self, n: u64) -> Request {
        self.send("POST", "/Users", &person(n))
    }

    fn patch_active(&self, n: u64) -> Request {
        let operation = json!({"op": "replace", "path": "active", "value": n / self.ids.len() as u64 % 2 == 1});
        let id = &self.ids[(n % self.ids.len() as u64) as usize];
        self.send("PATCH", &format!("/Users/{id}"), &json!({"schemas": [PATCH], "Operations": [operation]}))
    }

    fn put(&self, n: u64) -> Request {
        let at = n % self.ids.len() as u64;
        let mut user = person(at);
        user["title"] = json!(format!("Mate {n}"));
        self.send("PUT", &format!("/Users/{}", self.ids[at as usize]), &user)
    }

    fn find(&self, n: u64) -> Request {
        let name = scatter(n) % self.ids.len() as u64;
        let path = format!("/scim/v2/Users?filter=userName+eq+%22user{name}%40north.example%22");
        Request::get(&path, self.keyroll.key())
    }

    fn get(&self, n: u64) -> Request {
        Request::get(&format!("/scim/v2/Users/{}", self.any(n)), self.keyroll.key())
    }

    /// One more member or one less, in a group of so many: some come one after the other, and then go. Whoever would let
    /// two clients write the same membership at once would measure how they wait for each other.
    fn member(&self, group: &str, n: u64) -> Request {
        let id = &self.ids[self.ids.len() - 1 - (n % 64) as usize];
        let operation = if (n / 64).is_multiple_of(2) {
            json!({"op": "add", "path": "members", "value": [{"value": id}]})
        } else {
            json!({"op": "remove", "path": format!("members[value eq \"{id}\"]")})
        };
        let path = format!("/Groups/{group}?excludedAttributes=members");
        self.send("PATCH", &path, &json!({"schemas": [PATCH], "Operations": [operation]}))
    }

    fn group(&self, members: usize) -> String {
        let body = json!({"schemas": [format!("{URN}:Group")], "displayName": format!("group of {members}")});
        let made: Value = serde_json::from_str(&self.keyroll.post("/Groups", &body)).expect("a group");
        let group = made["id"].as_str().expect("an id").to_owned();
        for chunk in self.ids[..members].chunks(5_000) {
            self.keyroll.patch(&format!("/Groups/{group}?excludedAttributes=members"), &add(chunk));
        }
        group
    }
}

/// Fills a directory and prints the table.
pub(super) fn measure(users: usize, seconds: u64, is_analysed: bool) {
    let keyroll = Keyroll::start();
    let mut place = Place { keyroll, ids: vec![], load: Load { connections: CLIENTS, seconds } };
    let mut rows = vec![];
    let rate = place.rate(CLIENTS, |n| place.create(50_000_000 + n));
    rows.push(Row("create, nobody there", CLIENTS, rate, Some(1_200.0)));
    place.ids = super::fill_with(&place.keyroll, users, |n| person(n as u64));
    if is_analysed {
        super::servers::analyse();
    }
    let first = Load { connections: 32, seconds }.each(place.keyroll.address(), place.ids.len(), |n| {
        Request::get(&format!("/scim/v2/Users/{}", place.ids[n as usize]), place.keyroll.key())
    });
    rows.push(Row("GET by id, first reads", 32, first, Some(20_000.0)));
    rows.push(Row("GET by id", 32, place.rate(32, |n| place.get(n)), Some(20_000.0)));
    rows.push(Row("userName eq", 32, place.rate(32, |n| place.find(n)), Some(15_000.0)));
    rows.push(Row("create", CLIENTS, place.rate(CLIENTS, |n| place.create(10_000_000 + n)), Some(1_200.0)));
    rows.push(Row("create", MANY, place.rate(MANY, |n| place.create(20_000_000 + n)), Some(2_000.0)));
    rows.push(Row("PATCH active", CLIENTS, place.rate(CLIENTS, |n| place.patch_active(n)), Some(1_800.0)));
    rows.push(Row("PUT", CLIENTS, place.rate(CLIENTS, |n| place.put(n)), Some(1_200.0)));
    let groups = [10, place.ids.len() - 100].map(|members| place.group(members));
    for (name, group) in ["group ±1 member, of 10", "group ±1 member, of all"].into_iter().zip(&groups) {
        rows.push(Row(name, 2, place.rate(2, |n| place.member(group, n)), Some(1_000.0)));
    }
    rows.push(Row(
        "half find, a fifth get, the rest writes",
        CLIENTS,
        place.rate(CLIENTS, |n| mixed(&place, n)),
        Some(2_500.0),
    ));
    let bare = Bare::start(&place.keyroll.get(&format!("/Users/{}", place.ids[0])));
    rows.push(Row(
        "the bare handler",
        32,
        Load { connections: 32, seconds }.run(bare.address(), |_| Request::get("/", "")),
        None,
    ));
    print(&rows);
    part(&place);
    beside_bare_clients(&rows, seconds);
}

/// What bare clients get for the same rows, and how much of it Keyroll does; only on PostgreSQL.
fn beside_bare_clients(rows: &[Row], seconds: u64) {
    let Some(bare) = BareClients::prepare() else { return };
    println!(
        "\n{:42} {:>8} {:>10} {:>18}",
        "bare clients, the same rows (Keyroll of it)", "clients", "1/s", "and shared rows"
    );
    for kind in &KINDS {
        let own = rows.iter().rev().find(|row| row.0.starts_with(kind.name) && row.1 == kind.clients);
        let own = own.map_or(0.0, |row| row.2);
        let [alone, ordered] = [false, true].map(|is_ordered| bare.rate(kind, seconds, is_ordered));
        let of = |rate: f64| format!("{rate:.0} ({:.0} %)", own / rate * 100.0);
        println!("{:42} {:>8} {:>12} {:>14}", kind.name, kind.clients, of(alone), of(ordered));
    }
}

fn mixed(place: &Place, n: u64) -> Request {
    match scatter(n) % 10 {
        0..5 => place.find(n),
        5..7 => place.get(n),
        7 => place.create(30_000_000 + n),
        8 => place.put(n),
        _ => place.patch_active(n),
    }
}

/// A search for a part of a value, which no index answers: what it takes.
fn part(place: &Place) {
    let path = "/scim/v2/Users?count=10&filter=emails.value+co+%22nobody%22";
    let started = Instant::now();
    let status = Single::connect(place.keyroll.address()).ask(&Request::get(path, place.keyroll.key()));
    println!("emails.value co, one client: {status} after {} ms", started.elapsed().as_millis());
}

fn print(rows: &[Row]) {
    println!("{:42} {:>8} {:>10} {:>10} {:>8}", "", "clients", "1/s", "goal", "");
    for Row(name, clients, rate, goal) in rows {
        let (goal, told) = match goal {
            Some(goal) => (format!("{goal:.0}"), if rate >= goal { "met" } else { "missed" }),
            None => (String::new(), ""),
        };
        println!("{name:42} {clients:>8} {rate:>10.0} {goal:>10} {told:>8}");
    }
}
