//! What was acknowledged survives kill -9 (promise P5), and nothing is half done (P3).
//!
//! Four clients write and keep a journal of what was acknowledged; the server is killed in the middle of
//! it and started again on the same data. Every client owns its people, so that each of them is as the
//! last acknowledgement said, or as the one request that was under way wanted it: nothing else.

mod verify;
mod writer;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::mpsc::{Receiver, channel};

use serde_json::{Value, json};

use crate::support::server::{GROUP, Installation, Server};
use verify::verify;
use writer::Writer;

const ROUNDS: u64 = 20;
const CLIENTS: u64 = 4;
/// Acknowledged writes before the kill, in the first round; each round takes a few more.
const ACKNOWLEDGED: u64 = 200;
const PEOPLE_PER_CLIENT: usize = 10;
const GROUPS: usize = 3;

#[test]
fn acknowledged_writes_survive_kill_9_on_sqlite() {
    storm(&Installation::sqlite());
}

#[test]
fn acknowledged_writes_survive_kill_9_on_postgres() {
    if let Some(place) = Installation::postgres() {
        storm(&place);
    }
}

fn storm(place: &Installation) {
    let mut world = World::default();
    let mut server = place.serve(&["--rate-limit", "off"]);
    let idp = server.idp();
    for number in 0..GROUPS {
        let made = idp.post("/scim/v2/Groups", &json!({"schemas": [GROUP], "displayName": format!("group {number}")}));
        let made = made.expect(201);
        world.groups.push(Group { id: id_of(&made.json()), version: made.version() });
    }
    drop(idp);
    let mut kinds: BTreeMap<&'static str, u64> = BTreeMap::new();
    for round in 0..ROUNDS {
        for (kind, count) in write_until_killed(&mut server, &mut world, round) {
            *kinds.entry(kind).or_default() += count;
        }
        server = place.serve(&["--rate-limit", "off"]);
        assert_eq!(server.printed, Vec::<String>::new(), "the data is there: no new keys");
        verify(&server, &mut world);
        let log = place.run(&["log", "verify", "--json"]).expect(0);
        assert_eq!(log.json()["intact"], true, "{log:?}");
    }
    println!("{kinds:?}");
    assert!(kinds.values().sum::<u64>() >= ROUNDS * ACKNOWLEDGED);
    for kind in ["create", "rename", "join", "leave", "issue", "suspend", "activate", "delete"] {
        assert!(kinds.get(kind).is_some_and(|count| *count > 20), "{kind} was tested: {kinds:?}");
    }
}

/// What the clients know.
#[derive(Default)]
struct World {
    people: Vec<Vec<Person>>,
    groups: Vec<Group>,
    gone: Vec<Person>,
}

struct Group {
    id: String,
    /// Its version: every join, leave and deletion of a member makes one.
    version: i64,
}

#[derive(Clone, Debug, PartialEq)]
struct Person {
    id: String,
    name: String,
    nick: String,
    active: bool,
    version: i64,
    groups: BTreeSet<usize>,
    keys: Vec<String>,
    /// Keys that were issued when the server died: nobody was told their secret.
    untold_keys: usize,
    /// A request that was not answered when the server died.
    in_flight: Option<Write>,
}

#[derive(Clone, Debug, PartialEq)]
enum Write {
    Create,
    Rename(String),
    Join(usize),
    Leave(usize),
    Issue,
    Suspend,
    Activate,
    Delete,
}

impl Write {
    fn kind(&self) -> &'static str {
        match self {
            Write::Create => "create",
            Write::Rename(_) => "rename",
            Write::Join(_) => "join",
            Write::Leave(_) => "leave",
            Write::Issue => "issue",
            Write::Suspend => "suspend",
            Write::Activate => "activate",
            Write::Delete => "delete",
        }
    }
}

/// Lets the clients write, kills the server after enough acknowledgements, and brings the journals home.
fn write_until_killed(server: &mut Server, world: &mut World, round: u64) -> HashMap<&'static str, u64> {
    world.people.resize(CLIENTS as usize, vec![]);
    let ids: Vec<String> = world.groups.iter().map(|group| group.id.clone()).collect();
    let (keys, address) = (server.keys(), server.address);
    let (acknowledge, acknowledged) = channel();
    let mut kinds = HashMap::new();
    let journals: Vec<Journal> = std::thread::scope(|scope| {
        let mut threads = vec![];
        for (client, people) in world.people.drain(..).enumerate() {
            let (keys, ids, acknowledge) = (&keys, &ids, acknowledge.clone());
            let seed = round * CLIENTS + client as u64;
            threads.push(scope.spawn(move || {
                let journal = Journal { people, gone: vec![], changes: [0; GROUPS], kinds: HashMap::new() };
                Writer::new(address, keys, ids, seed).write(journal, &acknowledge)
            }));
        }
        drop(acknowledge);
        wait_for(&acknowledged, ACKNOWLEDGED + round * 3);
        server.kill();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    for journal in journals {
        for (group, changes) in world.groups.iter_mut().zip(journal.changes) {
            group.version += changes;
        }
        for (kind, count) in journal.kinds {
            *kinds.entry(kind).or_default() += count;
        }
        world.people.push(journal.people);
        world.gone.extend(journal.gone);
    }
    kinds
}

fn wait_for(acknowledged: &Receiver<()>, count: u64) {
    for _ in 0..count {
        acknowledged.recv().expect("the clients write until the server dies");
    }
}

/// What one client brings home.
struct Journal {
    people: Vec<Person>,
    gone: Vec<Person>,
    /// How many of its acknowledged writes changed each group.
    changes: [i64; GROUPS],
    kinds: HashMap<&'static str, u64>,
}

impl Person {
    fn new(name: String) -> Person {
        let nick = "new".to_owned();
        let groups = BTreeSet::new();
        let id = String::new();
        Person { id, name, nick, active: true, version: 0, groups, keys: vec![], untold_keys: 0, in_flight: None }
    }

    /// The groups of which a write, that was done, made a new version.
    fn changed_by(&self, write: &Write) -> impl Iterator<Item = usize> + use<> {
        let groups = match write {
            Write::Join(group) | Write::Leave(group) => BTreeSet::from([*group]),
            Write::Delete => self.groups.clone(),
            _ => BTreeSet::new(),
        };
        groups.into_iter()
    }

    /// What a write makes of a person, beside its id and its keys.
    fn become_after(&mut self, write: &Write) {
        match write {
            Write::Create => self.version = 1,
            Write::Rename(nick) => (self.nick, self.version) = (nick.clone(), self.version + 1),
            Write::Suspend | Write::Activate => {
                (self.active, self.version) = (*write == Write::Activate, self.version + 1);
            }
            Write::Join(group) => {
                self.groups.insert(*group);
            }
            Write::Leave(group) => {
                self.groups.remove(group);
            }
            Write::Issue | Write::Delete => {}
        }
    }
}

fn id_of(resource: &Value) -> String {
    resource["id"].as_str().unwrap().to_owned()
}
