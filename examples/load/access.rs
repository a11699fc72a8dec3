//! What access costs: who may do what, the snapshot for services, a mapping of a large group, AuthZEN.
//!
//! Times are those of one client on one connection, HTTP included; the database is the one that
//! `KEYROLL_DATABASE_URL` names, or SQLite.

use std::fmt::Write;
use std::time::Instant;

use serde_json::{Value, json};

use super::client::{Load, Request, Single, scatter};
use super::servers::{Bare, Keyroll};
use super::{URN, add};

/// Who is in every chain of groups.
const ASKED: usize = 1_000;
const CHAINS: usize = 20;
const DEPTH: usize = 5;
const MAPPINGS: usize = 500;
const MANY_MAPPINGS: usize = 10_000;

/// Fills groups and mappings beside users, and measures.
pub(super) fn measure(keyroll: &Keyroll, load: &Load, ids: &[String]) {
    let asked = &ids[..ASKED.min(ids.len())];
    for chain in 0..CHAINS {
        let mut inner: Vec<String> = asked.to_vec();
        for depth in 0..DEPTH {
            inner = vec![group(keyroll, &format!("chain {chain} {depth}"), &inner)];
        }
    }
    let large = group(keyroll, "large", &ids[..ids.len().min(100_000)]);
    keyroll.apply(&catalogue(MAPPINGS));
    println!("{CHAINS} chains of {DEPTH} groups around {} of {} users, {MAPPINGS} mappings", asked.len(), ids.len());

    let admin = keyroll.admin();
    let evaluation = |id: &str| {
        json!({"subject": {"type": "user", "id": id}, "action": {"name": "read"},
            "resource": {"type": "bench:r7", "id": "1"}})
    };
    let (mut client, key) = (Single::connect(keyroll.address()), keyroll.admin_key());
    let evaluate = |id: &String| Request::post("/access/v1/evaluation", key, &evaluation(id).to_string());
    report("one evaluation, the first of each user", asked, evaluate, &mut client, 200);
    report("one evaluation, remembered", asked, evaluate, &mut client, 200);
    let access = |id: &String| Request::get(&format!("/v1/users/{id}/access"), key);
    report("access with every reason", asked, access, &mut client, 200);
    let roles: Vec<String> = (0..20).map(|n| format!("bench.role{n}")).collect();
    let mapping = |role: &String| {
        let body = json!({"role": role, "source": {"group": {"id": large}}});
        Request::post("/v1/mappings", key, &body.to_string())
    };
    report(&format!("a mapping of a group of {}", ids.len().min(100_000)), &roles, mapping, &mut client, 201);

    let sample = admin.post("/access/v1/evaluation", &evaluation(&asked[0]));
    let bare = Bare::start(&sample);
    let bodies: Vec<String> = asked.iter().map(|id| evaluation(id).to_string()).collect();
    let post = |n: u64| {
        Request::post("/access/v1/evaluation", keyroll.admin_key(), &bodies[scatter(n) as usize % bodies.len()])
    };
    let get = |_: u64| Request::get("/", "");
    let own = keyroll.address();
    let [rate, same, least] = load.in_turns([(own, &post), (bare.address(), &post), (bare.address(), &get)]);
    println!(
        "AuthZEN evaluation, warm: {rate:.0}/s, {:.0} % of the bare handler at the same requests ({same:.0}/s), \
         {:.0} % of it at GET / ({least:.0}/s)",
        rate / same * 100.0,
        rate / least * 100.0
    );

    keyroll.apply(&catalogue(MANY_MAPPINGS));
    // The first connection was idle for too long.
    let (mut client, times) = (Single::connect(keyroll.address()), [(); 40]);
    let whole = |_: &()| Request::get("/v1/mappings", key);
    report(&format!("the first snapshot of {MANY_MAPPINGS} mappings"), &times[..1], whole, &mut client, 200);
    report("the next ones", &times, whole, &mut client, 200);
    let numbers: Vec<usize> = (0..20).collect();
    let one_more = |n: &usize| {
        let source = json!({"group": {"displayName": format!("one more {n}")}});
        admin.post("/v1/mappings", &json!({"role": "bench.role0", "source": source}));
        Request::get("/v1/mappings", key)
    };
    report("the first behind one more mapping", &numbers, one_more, &mut client, 200);
    let tag = admin.tag("/v1/mappings");
    let known = |_: &()| Request::ask_again("/v1/mappings", key, &tag);
    report("the same, known to the client", &times, known, &mut client, 304);
}

/// Prints the median, the 99th percentile and the longest of some times.
fn report<T>(name: &str, items: &[T], request: impl Fn(&T) -> Request, client: &mut Single, status: u16) {
    let mut times: Vec<u128> = items
        .iter()
        .map(|item| {
            let request = request(item);
            let started = Instant::now();
            assert_eq!(client.ask(&request), status, "{name}");
            started.elapsed().as_micros()
        })
        .collect();
    times.sort_unstable();
    let at = |share: usize| times[(times.len() * share / 100).min(times.len() - 1)];
    println!("{name}: median {} µs, p99 {} µs, longest {} µs", at(50), at(99), at(100));
}

fn group(keyroll: &Keyroll, name: &str, members: &[String]) -> String {
    let body = json!({"schemas": [format!("{URN}:Group")], "displayName": name});
    let made: Value = serde_json::from_str(&keyroll.post("/Groups", &body)).expect("a group");
    let id = made["id"].as_str().expect("an id").to_owned();
    for chunk in members.chunks(10_000) {
        keyroll.patch(&format!("/Groups/{id}?excludedAttributes=members"), &add(chunk));
    }
    id
}

/// An api, fifty roles, and so many mappings: those of the chains first.
fn catalogue(mappings: usize) -> String {
    let mut text = "[[apis]]\nname = \"bench\"\nopen = true\n".to_owned();
    for n in 0..50 {
        let _ = write!(text, "[[roles]]\nname = \"bench.role{n}\"\npermissions = [\"bench:r{n}:read\"]\n");
    }
    let chains = (0..CHAINS * DEPTH).map(|n| format!("chain {} {}", n / DEPTH, n % DEPTH));
    let names = chains.chain((0..).map(|n| format!("nobody {n}"))).take(mappings);
    for (n, name) in names.enumerate() {
        let _ = write!(text, "[[mappings]]\nrole = \"bench.role{}\"\nsource.group.displayName = \"{name}\"\n", n % 50);
    }
    text
}
