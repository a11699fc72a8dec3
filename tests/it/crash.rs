//! What was acknowledged survives kill -9 (promise P5), and nothing is half done (P3).
//!
//! Four clients write and keep a journal of what was acknowledged; the server is killed in the middle of
//! it and started again on the same data. Every client owns its people, so that each of them is as the
//! last acknowledgement said, or as the one request that was under way wanted it: nothing else.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};

use serde_json::{Value, json};

use crate::support::random::Random;
use crate::support::server::{Client, GROUP, Installation, Keys, PATCH, Server, USER, encode};

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

struct Writer<'w> {
    idp: Client,
    admin: Client,
    groups: &'w [String],
    random: Random,
}

impl<'w> Writer<'w> {
    fn new(address: std::net::SocketAddr, keys: &Keys, groups: &'w [String], seed: u64) -> Writer<'w> {
        let (idp, admin) = (Client::new(address, &keys.provisioning), Client::new(address, &keys.admin));
        Writer { idp, admin, groups, random: Random(seed + 1) }
    }

    fn write(mut self, mut journal: Journal, acknowledge: &Sender<()>) -> Journal {
        static NAMES: AtomicU64 = AtomicU64::new(0);
        loop {
            let few = journal.people.len() < PEOPLE_PER_CLIENT;
            let at = if few && self.random.below(3) == 0 || journal.people.is_empty() {
                let name = format!("Person.{}", NAMES.fetch_add(1, Ordering::Relaxed));
                journal.people.push(Person::new(name));
                journal.people.len() - 1
            } else {
                self.random.below(journal.people.len())
            };
            let person = &mut journal.people[at];
            let write = self.choose(person, few);
            person.in_flight = Some(write.clone());
            if self.perform(person, &write).is_none() {
                return journal;
            }
            person.in_flight = None;
            person.changed_by(&write).for_each(|group| journal.changes[group] += 1);
            if write == Write::Delete {
                journal.gone.push(journal.people.swap_remove(at));
            }
            *journal.kinds.entry(write.kind()).or_default() += 1;
            let _ = acknowledge.send(());
        }
    }

    fn choose(&mut self, person: &Person, few: bool) -> Write {
        if person.id.is_empty() {
            return Write::Create;
        }
        let group = self.random.below(GROUPS);
        match self.random.below(12) {
            0 | 1 if !few => Write::Delete,
            2 | 3 => {
                if person.active {
                    Write::Suspend
                } else {
                    Write::Activate
                }
            }
            4 if person.active && person.keys.len() < 3 => Write::Issue,
            5..=8 => {
                if person.groups.contains(&group) {
                    Write::Leave(group)
                } else {
                    Write::Join(group)
                }
            }
            _ => Write::Rename(format!("nick {}", self.random.next())),
        }
    }

    /// Sends the request; when it is acknowledged the person is as it was told. `None` when the server died.
    fn perform(&mut self, person: &mut Person, write: &Write) -> Option<()> {
        let path = format!("/scim/v2/Users/{}", person.id);
        let patch = |operation: Value| json!({"schemas": [PATCH], "Operations": [operation]}).to_string();
        let (client, method, path, body) = match write {
            Write::Create => {
                let body = json!({"schemas": [USER], "userName": person.name, "nickName": person.nick});
                (&self.idp, "POST", "/scim/v2/Users".to_owned(), body.to_string())
            }
            Write::Rename(nick) => {
                (&self.idp, "PATCH", path, patch(json!({"op": "replace", "path": "nickName", "value": nick})))
            }
            Write::Suspend | Write::Activate => {
                let active = *write == Write::Activate;
                (&self.idp, "PATCH", path, patch(json!({"op": "replace", "path": "active", "value": active})))
            }
            Write::Join(group) => {
                let operation = json!({"op": "add", "path": "members", "value": [{"value": person.id}]});
                (&self.idp, "PATCH", format!("/scim/v2/Groups/{}", self.groups[*group]), patch(operation))
            }
            Write::Leave(group) => {
                let operation = json!({"op": "remove", "path": format!("members[value eq \"{}\"]", person.id)});
                (&self.idp, "PATCH", format!("/scim/v2/Groups/{}", self.groups[*group]), patch(operation))
            }
            Write::Issue => {
                let body = json!({"owner": {"type": "user", "id": person.id}, "name": "storm"});
                (&self.admin, "POST", "/v1/keys".to_owned(), body.to_string())
            }
            Write::Delete => (&self.idp, "DELETE", path, String::new()),
        };
        let answer = client.send(method, &path, &[], body).ok()?;
        assert!((200..300).contains(&answer.status), "{write:?} of {person:?}: {answer:?}");
        match write {
            Write::Create => person.id = id_of(&answer.json()),
            Write::Issue => person.keys.push(answer.json()["key"].as_str().unwrap().to_owned()),
            _ => {}
        }
        person.become_after(write);
        if matches!(write, Write::Create | Write::Rename(_) | Write::Suspend | Write::Activate) {
            assert_eq!(answer.version(), person.version, "{write:?}: {answer:?}");
        }
        Some(())
    }
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

/// Compares everything that the server has with the journals, and adopts what it did unseen.
fn verify(server: &Server, world: &mut World) {
    let (idp, admin) = (server.idp(), server.admin());
    let groups: Vec<Value> =
        world.groups.iter().map(|g| idp.get(&format!("/scim/v2/Groups/{}", g.id)).expect(200).json()).collect();
    let value = |member: &Value| member["value"].as_str().unwrap().to_owned();
    let of = |group: &Value| group["members"].as_array().into_iter().flatten().map(value).collect();
    let members: Vec<BTreeSet<String>> = groups.iter().map(of).collect();
    let ids: Vec<String> = world.groups.iter().map(|group| group.id.clone()).collect();
    let mut people = vec![];
    for clients in std::mem::take(&mut world.people) {
        let mut left = vec![];
        for mut person in clients {
            let in_flight = person.in_flight.take();
            let before = person.clone();
            let found = verify_person(&idp, &admin, &mut person, in_flight.as_ref(), &ids, &members);
            let done = matches!(found, Found::Deleted) || person != before;
            for group in in_flight.iter().filter(|_| done).flat_map(|write| before.changed_by(write)) {
                world.groups[group].version += 1;
            }
            match found {
                Found::Alive => left.push(person),
                Found::Deleted => world.gone.push(person),
                Found::NeverMade => {}
            }
        }
        people.push(left);
    }
    world.people = people;
    for (group, found) in world.groups.iter().zip(&groups) {
        // Exactly the writes that are visible in the members made a version: none is lost, none is half.
        assert_eq!(found["meta"]["version"], format!("W/\"{}\"", group.version), "{found}");
    }
    for gone in &world.gone {
        assert_eq!(idp.get(&format!("/scim/v2/Users/{}", gone.id)).status, 404, "{gone:?}");
        for members in &members {
            assert!(!members.contains(&gone.id), "{gone:?} is in no group");
        }
    }
    // Of those that have gone for long only a sample of keys is asked again.
    for gone in world.gone.iter().rev().take(20) {
        gone.keys.iter().for_each(|key| assert_eq!(verdict(&admin, key), "REVOKED", "{gone:?}"));
    }
    let alive: usize = world.people.iter().map(Vec::len).sum();
    assert_eq!(total(&idp, "Users"), alive as u64, "the counter is the number of people");
    assert_eq!(total(&idp, "Groups"), GROUPS as u64);
    let known: BTreeSet<&str> = world.people.iter().flatten().map(|person| person.name.as_str()).collect();
    assert_eq!(names(&admin), known.into_iter().map(str::to_owned).collect(), "no other principal is alive");
}

enum Found {
    Alive,
    Deleted,
    NeverMade,
}

fn verify_person(
    idp: &Client,
    admin: &Client,
    person: &mut Person,
    in_flight: Option<&Write>,
    groups: &[String],
    members: &[BTreeSet<String>],
) -> Found {
    let by_name = idp.get(&format!("/scim/v2/Users?filter={}", encode(&format!("userName eq \"{}\"", person.name))));
    let by_name = by_name.expect(200).json();
    let found = by_name["totalResults"].as_u64().unwrap();
    match (in_flight, found) {
        (Some(Write::Create), 0) => return Found::NeverMade,
        (Some(Write::Create), 1) => person.id = id_of(&by_name["Resources"][0]),
        (Some(Write::Delete), 0) => return Found::Deleted,
        _ => assert_eq!(found, 1, "the index knows {person:?}: {by_name}"),
    }
    let answer = idp.get(&format!("/scim/v2/Users/{}", person.id)).expect(200);
    let body = answer.json();
    assert_eq!(by_name["Resources"][0], body, "a filter finds what a look-up finds");
    let mine = |of: &dyn Fn(usize) -> bool| (0..GROUPS).filter(|n| of(*n)).collect::<BTreeSet<usize>>();
    let named = |n: usize| body["groups"].as_array().into_iter().flatten().any(|g| g["value"] == groups[n]);
    let mut seen = Person {
        nick: body["nickName"].as_str().unwrap().to_owned(),
        active: body["active"].as_bool().unwrap(),
        version: answer.version(),
        groups: mine(&named),
        ..person.clone()
    };
    assert_eq!(body["userName"], person.name.as_str());
    assert_eq!(seen.groups, mine(&|n| members[n].contains(&person.id)), "both sides of a membership agree");
    let mut after = person.clone();
    in_flight.into_iter().for_each(|write| after.become_after(write));
    assert!(seen == *person || seen == after, "half done: {seen:?}\nacknowledged: {person:?}\nthen: {in_flight:?}");
    let live = if seen.active { "VALID" } else { "OWNER_INACTIVE" };
    seen.keys.iter().for_each(|key| assert_eq!(verdict(admin, key), live, "{seen:?}"));
    let listed = admin.get(&format!("/v1/keys?owner={}", seen.id)).expect(200).json();
    let listed = listed["keys"].as_array().unwrap().len() - seen.keys.len();
    let more = usize::from(in_flight == Some(&Write::Issue));
    assert!((seen.untold_keys..=seen.untold_keys + more).contains(&listed), "{seen:?}: {listed} untold keys");
    seen.untold_keys = listed;
    *person = seen;
    Found::Alive
}

fn verdict(admin: &Client, key: &str) -> String {
    admin.post("/v1/verify", &json!({"key": key})).expect(200).json()["code"].as_str().unwrap().to_owned()
}

fn total(idp: &Client, endpoint: &str) -> u64 {
    idp.get(&format!("/scim/v2/{endpoint}?count=0")).expect(200).json()["totalResults"].as_u64().unwrap()
}

/// The names of all principals but the local ones.
fn names(admin: &Client) -> BTreeSet<String> {
    let page = admin.get("/v1/users?count=1000").expect(200).json();
    assert_eq!(page["next"], Value::Null);
    let users = page["users"].as_array().unwrap().iter().filter(|user| user["origin"] != "local");
    users.map(|user| user["name"].as_str().unwrap().to_owned()).collect()
}

fn id_of(resource: &Value) -> String {
    resource["id"].as_str().unwrap().to_owned()
}
