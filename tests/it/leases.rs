//! How old what an answer is decided by may be (credentials §3.6): 700 ms, by the clock that nobody sets. The four designs
//! of that section's simulation, as they meet the real program: time is scripted, and requests stand still where they are
//! told to.

use std::collections::BTreeSet;
use std::thread;

use chrono::TimeDelta;
use diesel::{Connection, PgConnection};
use serde_json::{Value, json};

use crate::support::app::*;
use crate::support::overtaken;
use crate::support::postgres::wait_for_locks;
use crate::support::random::Random;

const LEASE_MILLIS: i64 = 700;

/// How a node asks PostgreSQL how far it has come.
const LOOK: &str = "pg_is_in_recovery";

fn patch(active: bool) -> Value {
    json!({"schemas": ["urn:ietf:params:scim:api:messages:2.0:PatchOp"],
        "Operations": [{"op": "replace", "path": "active", "value": active}]})
}

/// What a node says of a key; nothing if it cannot know.
fn ask(node: &TestApp, key: &str) -> Option<String> {
    let answer = node.admin().post("/v1/verify", json!({"key": key}));
    (answer.status != 503).then(|| answer.expect(200)["code"].as_str().unwrap().to_owned())
}

/// People with keys, and what was true when, on nodes of one database.
struct World<'n> {
    nodes: &'n [TestApp],
    people: Vec<Person>,
    time: i64,
    random: Random,
}

struct Person {
    id: String,
    /// Keys that no node has seen.
    unseen: Vec<String>,
    /// Keys that every node has answered about.
    seen: Vec<String>,
    /// From when on the person was live, or was not.
    past: Vec<(i64, bool)>,
}

impl Person {
    fn is_live(&self) -> bool {
        self.past.last().unwrap().1
    }

    /// What may be said of a key at a time: whatever was true within the lease.
    fn allowed(&self, time: i64) -> BTreeSet<&'static str> {
        let ends = self.past.iter().skip(1).map(|(end, _)| *end).chain([i64::MAX]);
        let held = self.past.iter().zip(ends).filter(|(_, end)| *end >= time - LEASE_MILLIS);
        held.map(|((_, live), _)| if *live { "VALID" } else { "OWNER_INACTIVE" }).collect()
    }
}

impl World<'_> {
    fn new<'n>(app: &TestApp, nodes: &'n [TestApp], seed: u64) -> World<'n> {
        let person = |n: usize| {
            let id = app.idp().post("/Users", user(&format!("p{n}@example.com"))).expect(201).id();
            let [seen, unseen] = [2, 30].map(|count| (0..count).map(|_| app.issue(&id)).collect::<Vec<_>>());
            nodes.iter().for_each(|node| assert!(seen.iter().all(|key| ask(node, key).as_deref() == Some("VALID"))));
            Person { id, unseen, seen, past: vec![(0, true)] }
        };
        World { nodes, people: (0..3).map(person).collect(), time: 0, random: Random(seed) }
    }

    /// A key of a person that nobody was asked about, or that everybody was.
    fn key(&mut self, person: usize) -> String {
        let is_new = self.random.below(2) == 0;
        let (random, person) = (&mut self.random, &mut self.people[person]);
        match person.unseen.pop().filter(|_| is_new) {
            Some(key) => key,
            None => person.seen[random.below(person.seen.len())].clone(),
        }
    }

    /// Somebody leaves, or comes back, by whichever node but one.
    fn change(&mut self, but: usize) {
        let person = self.random.below(3);
        let node = (0..3).filter(|node| *node != but).nth(self.random.below(2)).unwrap();
        let live = !self.people[person].is_live();
        let path = format!("/Users/{}", self.people[person].id);
        self.nodes[node].idp().patch(&path, patch(live)).expect(200);
        self.people[person].past.push((self.time, live));
    }

    fn pass(&mut self, millis: i64) {
        self.time += millis;
        self.nodes.iter().for_each(|node| node.clock.advance(TimeDelta::milliseconds(millis)));
    }

    /// What happens while a question stands still.
    fn go_on(&mut self, but: usize) {
        for _ in 0..=self.random.below(3) {
            match self.random.below(3) {
                0 => {
                    let millis = [1, 350, LEASE_MILLIS, LEASE_MILLIS + 1, 900][self.random.below(5)];
                    self.pass(millis);
                }
                _ => self.change(but),
            }
        }
    }
}

/// A question that stands still behind a statement, while something else happens; and whether it did: what needs no such
/// statement was answered before.
fn ask_slowly(node: &TestApp, key: &str, stop: &'static str, meanwhile: impl FnOnce()) -> (Option<String>, bool) {
    let url = &node.service.settings().database_url;
    // All of it: databases of one server have the same end.
    let database = url.strip_prefix("sqlite:").unwrap_or(url);
    overtaken::run_if_reached(database, stop, || ask(node, key), meanwhile)
}

#[test]
fn no_answer_is_decided_by_what_is_older_than_the_lease() {
    for_each_app(|app| {
        let nodes: Vec<TestApp> = (0..3).map(|_| app.beside(TimeDelta::zero())).collect();
        let mut world = World::new(app, &nodes, 7);
        let (mut answered, mut old) = (0, 0);
        for round in 0..80 {
            let (person, node) = (world.random.below(3), world.random.below(3));
            let key = world.key(person);
            // Once it knows how far the database has come, or how far the log, or the key.
            let stop = [LOOK, "log_heads", "credentials"][world.random.below(3)];
            let before = world.people[person].allowed(world.time);
            let (said, stood_still) = ask_slowly(&nodes[node], &key, stop, || world.go_on(node));
            if let Some(said) = said {
                let allowed = if stood_still { world.people[person].allowed(world.time) } else { before };
                assert!(allowed.contains(&*said), "{round}: {said}, and not one of {allowed:?}, behind {stop}");
                let (now, live) = (world.people[person].is_live(), said == "VALID");
                (answered, old) = (answered + 1, old + usize::from(now != live));
            }
            // Whoever asks now is told what is true now: nothing of it was remembered.
            for (node, person) in (0..3).flat_map(|node| (0..3).map(move |person| (node, person))) {
                let live = if world.people[person].is_live() { "VALID" } else { "OWNER_INACTIVE" };
                let key = world.people[person].seen[0].clone();
                assert_eq!(ask(&nodes[node], &key).as_deref(), Some(live), "{round}: behind {stop}");
            }
            let live = if world.people[person].is_live() { "VALID" } else { "OWNER_INACTIVE" };
            assert_eq!(ask(&nodes[node], &key).as_deref(), Some(live), "{round}: behind {stop}");
        }
        // Most could answer, and some by what was true a moment ago: that is what a lease is.
        assert!(answered > 60 && old > 2, "{answered} {old}");
    });
}

#[test]
fn what_has_grown_old_while_it_was_decided_is_decided_anew() {
    for_each_app(|app| {
        let node = app.beside(TimeDelta::zero());
        let said = |name: &str, stop: &'static str, millis: i64| {
            let id = app.idp().post("/Users", user(name)).expect(201).id();
            let key = app.issue(&id);
            if stop == LOOK {
                assert_eq!(ask(&node, &key).as_deref(), Some("VALID"));
            }
            let meanwhile = || {
                app.idp().patch(&format!("/Users/{id}"), patch(false)).expect(200);
                node.clock.advance(TimeDelta::milliseconds(millis));
            };
            let (said, stood_still) = ask_slowly(&node, &key, stop, meanwhile);
            assert!(stood_still, "{stop}");
            said
        };
        // By what is remembered, and by what was read. The embedded database tells how far it has come without a statement.
        let stops = if app.service.is_embedded() { &["credentials"][..] } else { &["credentials", LOOK] };
        for (n, stop) in stops.iter().enumerate() {
            let late = said(&format!("late{n}@example.com"), stop, LEASE_MILLIS + 1);
            assert_eq!(late.as_deref(), Some("OWNER_INACTIVE"), "{stop}");
        }
    });
}

#[test]
fn numbers_are_given_in_the_order_of_commits() {
    for_each_app(|app| {
        // On SQLite there is one writer.
        if app.service.is_embedded() {
            return;
        }
        let other = app.beside(TimeDelta::zero());
        let [ann, bob] = ["ann@example.com", "bob@example.com"].map(|name| {
            let id = app.idp().post("/Users", user(name)).expect(201).id();
            (format!("/Users/{id}"), app.issue(&id))
        });
        assert_eq!(ask(&other, &ann.1).as_deref(), Some("VALID"));
        let mut watch = PgConnection::establish(&app.service.settings().database_url).unwrap();
        thread::scope(|scope| {
            let mut later = None;
            app.overtaken(
                "UPDATE log_heads",
                || app.idp().patch(&ann.0, patch(false)),
                || {
                    // Whoever comes second gets no number before the first one's is there for everybody.
                    later = Some(scope.spawn(|| other.idp().patch(&bob.0, patch(false)).expect(200).status));
                    wait_for_locks(&mut watch, 1);
                    assert_eq!(ask(&other, &ann.1).as_deref(), Some("VALID"));
                },
            );
            assert_eq!(later.unwrap().join().unwrap(), 200);
        });
        // Nothing was skipped by whoever followed the log meanwhile.
        assert_eq!(
            [&ann, &bob].map(|one| ask(&other, &one.1)),
            ["OWNER_INACTIVE"; 2].map(|said| Some(said.to_owned()))
        );
        let log = app.log();
        let left: Vec<&Value> = log.iter().filter(|record| record["action"] == "principal.suspended").collect();
        let ids = left.iter().map(|record| format!("/Users/{}", record["subject"]["id"].as_str().unwrap()));
        assert_eq!(ids.collect::<Vec<_>>(), [ann.0.clone(), bob.0.clone()]);
    });
}
