//! Whatever an identity provider writes, it is refused exactly if a way to a permission of Keyroll comes into being
//! by it: held against plain lists, over writes at random.

mod reduced;

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::world::{Group, Mapping, Person, Role, Source, World};
use crate::support::app::{agent as agent_body, *};
use crate::support::random::Random;

/// What guards an api of Keyroll's own, and what does not.
const ROLES: [(&str, &str); 3] = [("ops", "keyroll:users:read"), ("ops2", "keyroll:users:read"), ("app", "app:x:read")];
const NAMES: [&str; 3] = ["Ops", "Sales", "Other"];
const CALLED: [&str; 2] = ["x-1", "x-2"];
const STEPS: usize = 400;

/// Who holds what by which way: `(holder, mapping, path)`.
type Ways = BTreeSet<(String, String, Vec<String>)>;

/// The ways of everybody, groups included, to a permission of Keyroll, live or not.
fn ways(world: &World) -> Ways {
    let mut found = Ways::new();
    let guarded = |role: &str| role.starts_with("ops");
    let mappings = world.mappings.iter().filter(|(_, one)| guarded(&one.role));
    for (id, mapping) in mappings {
        for holder in world.people.keys().chain(world.groups.keys()) {
            found.extend(world.ways_of(mapping, holder, 0).into_iter().map(|path| (holder.clone(), id.clone(), path)));
        }
        // What a group gives to whoever comes into it, itself included.
        for (group, one) in &world.groups {
            if world.means(mapping, group, one) {
                found.insert((group.clone(), id.clone(), vec![group.clone()]));
            }
        }
    }
    found
}

fn holds(ways: &Ways, id: &str) -> bool {
    ways.iter().any(|(holder, ..)| holder == id)
}

/// Who was inactive and is active.
fn came_back<'w>(before: &World, after: &'w World) -> Vec<&'w String> {
    let is_back = |(id, one): &(&String, &Person)| one.active && before.people.get(*id).is_some_and(|old| !old.active);
    after.people.iter().filter(is_back).map(|(id, _)| id).collect()
}

/// The agents that hold a permission of Keyroll, and that nobody answers for but who came back.
fn waiting(before: &World, after: &World) -> BTreeSet<String> {
    let (has, back) = (ways(after), came_back(before, after));
    let waits = |(id, one): &(&String, &Person)| {
        let (returned, others): (Vec<_>, Vec<_>) = one.owners.iter().partition(|owner| back.contains(owner));
        let is_live = |owner: &&String| after.people[*owner].active;
        one.agent && one.active && holds(&has, id) && !returned.is_empty() && !others.iter().any(is_live)
    };
    after.people.iter().filter(waits).map(|(id, _)| id.clone()).collect()
}

/// Whether a connection may make this of that.
fn is_allowed(before: &World, after: &World) -> bool {
    let (had, has) = (ways(before), ways(after));
    let revives = came_back(before, after).iter().any(|id| holds(&has, id));
    let renames = after.groups.iter().any(|(id, one)| {
        let other = |old: &Group| !old.name.eq_ignore_ascii_case(&one.name) || old.external_id != one.external_id;
        before.groups.get(id).is_some_and(|old| other(old) && holds(&had, id))
    });
    let answers = after.people.iter().any(|(id, one)| {
        let old = before.people.get(id);
        let more = one.owners.iter().any(|owner| !old.is_some_and(|old| old.owners.contains(owner)));
        one.agent && one.active && holds(&has, id) && more
    });
    // Who is inactive holds nothing by what it is itself; who comes into a group may be back before the group knows.
    let counts = |(holder, _, path): &(String, String, Vec<String>)| !path.is_empty() || after.people[holder].active;
    let gains = has.iter().any(|way| !had.contains(way) && counts(way));
    !(gains || revives || renames || answers)
}

struct Story<'a> {
    app: &'a TestApp,
    world: World,
    random: Random,
    made: u64,
    /// How often a write was carried out, and refused.
    outcomes: BTreeMap<bool, u32>,
    /// How often only a part of a write was.
    reduced: u32,
    /// The same of what takes owners away.
    answered: u32,
    /// The agents that wait for an admin since a sponsor came back.
    held: BTreeSet<String>,
}

impl Story<'_> {
    fn pick(&mut self, from: impl Iterator<Item = String>) -> Option<String> {
        let all: Vec<String> = from.collect();
        if all.is_empty() { None } else { Some(all[self.random.below(all.len())].clone()) }
    }

    fn text(&mut self, from: &[&str]) -> String {
        from[self.random.below(from.len())].to_owned()
    }

    fn person(&mut self, agents: bool) -> Option<String> {
        self.pick(self.world.people.clone().into_iter().filter(|(_, one)| one.agent == agents).map(|(id, _)| id))
    }

    /// Sends a write, and holds its outcome against what it would make of the world.
    fn write(&mut self, method: &str, path: &str, body: Value, become_of: impl FnOnce(&mut World, String)) {
        let is_new = method == "POST";
        let mut after = self.world.clone();
        let id = path.rsplit('/').next().unwrap_or_default().to_owned();
        become_of(&mut after, id);
        let allowed = is_allowed(&self.world, &after);
        let text = if body.is_null() { String::new() } else { body.to_string() };
        let answer = self.app.idp().send(method, path, &[], text);
        assert_eq!(answer.status != 403, allowed, "{method} {path} {body}: {answer}\n{:#?}", self.world);
        *self.outcomes.entry(allowed).or_default() += 1;
        if !allowed {
            return;
        }
        assert!(answer.status < 300, "{method} {path} {body}: {answer}");
        let waiting = waiting(&self.world, &after);
        let is_return = !came_back(&self.world, &after).is_empty();
        self.world = after;
        self.held.extend(waiting);
        if is_return {
            self.check_holds();
        }
        if is_new {
            self.settle(&answer.id());
        }
    }

    /// Holds who waits for an admin against who should.
    fn check_holds(&self) {
        for id in self.world.people.iter().filter(|(_, one)| one.agent).map(|(id, _)| id) {
            let shown = self.app.admin().get(&format!("/v1/users/{id}")).expect(200);
            assert_eq!(shown["admin_hold"], json!(self.held.contains(id)), "{id} {:#?}", self.world);
        }
    }

    /// Gives what was made under no id the id that it has.
    fn settle(&mut self, id: &str) {
        if let Some(person) = self.world.people.remove("new") {
            self.world.people.insert(id.to_owned(), person);
        }
        if let Some(group) = self.world.groups.remove("new") {
            self.world.groups.insert(id.to_owned(), group);
        }
    }

    fn join(&mut self) {
        self.made += 1;
        let (agent, made) = (self.random.below(3) == 0, self.made);
        let person = Person { agent, active: self.random.below(4) > 0, ..Person::default() };
        let more = json!({"active": person.active});
        let (path, body) = match agent {
            true => ("/Agents", agent_body(&format!("agent{made}"))),
            false => ("/Users", user(&format!("user{made}@example.com"))),
        };
        let body = and(body, more);
        self.write("POST", path, body, |world, _| {
            world.people.insert("new".to_owned(), person);
        });
    }

    fn change(&mut self) {
        let agents = self.random.below(3) == 0;
        let Some(id) = self.person(agents) else { return };
        let owner = self.person(false);
        let mut person = self.world.people[&id].clone();
        let body = match self.random.below(4) {
            0 => {
                person.active = !person.active;
                replace("active", person.active)
            }
            1 if !agents => {
                person.user_type = self.text(&["Root", "Clerk"]);
                replace("userType", person.user_type.clone())
            }
            1 => return self.answer(&id, owner),
            _ => {
                let value = self.text(&["a", "b", ""]);
                person.asserted = if value.is_empty() { vec![] } else { vec![value] };
                let roles: Vec<Value> = person.asserted.iter().map(|value| json!({"value": value})).collect();
                replace("roles", roles)
            }
        };
        let path = if agents { format!("/Agents/{id}") } else { format!("/Users/{id}") };
        self.write("PATCH", &path, body, |world, id| {
            world.people.insert(id, person);
        });
    }

    fn group(&mut self) {
        let (name, external_id) = (self.text(&NAMES), self.text(&CALLED));
        let is_taken = self.world.groups.values().any(|one| one.name == name || one.external_id == external_id);
        if is_taken {
            return;
        }
        let body = and(group(&name, &[]), json!({"externalId": external_id}));
        self.write("POST", "/Groups", body, |world, _| {
            world.groups.insert("new".to_owned(), Group { name, external_id, ..Group::default() });
        });
    }

    fn rename(&mut self) {
        let Some(id) = self.pick(self.world.groups.clone().into_keys()) else { return };
        self.made += 1;
        let name = format!("Group{}", self.made);
        self.write("PATCH", &format!("/Groups/{id}"), replace("displayName", name.clone()), |world, id| {
            world.groups.get_mut(&id).unwrap().name = name;
        });
    }

    fn members(&mut self) {
        let Some(outer) = self.pick(self.world.groups.clone().into_keys()) else { return };
        let all = self.world.people.clone().into_keys().chain(self.world.groups.clone().into_keys());
        let Some(member) = self.pick(all) else { return };
        if self.world.groups.contains_key(&member) && self.world.is_inside(&outer, &member) {
            return;
        }
        let is_in = self.world.groups[&outer].members.contains(&member);
        let body = match is_in {
            true => remove(&format!("members[value eq \"{member}\"]")),
            false => add("members", json!([{"value": member}])),
        };
        self.write("PATCH", &format!("/Groups/{outer}"), body, |world, id| {
            let members = &mut world.groups.get_mut(&id).unwrap().members;
            if !members.remove(&member) {
                members.insert(member);
            }
        });
    }

    fn leave(&mut self) {
        let all = self.world.people.clone().into_keys().chain(self.world.groups.clone().into_keys());
        let Some(id) = self.pick(all) else { return };
        let list = match self.world.people.get(&id) {
            Some(person) if person.agent => "Agents",
            Some(_) => "Users",
            None => "Groups",
        };
        self.write("DELETE", &format!("/{list}/{id}"), Value::Null, |world, id| {
            world.people.remove(&id);
            world.groups.remove(&id);
            world.groups.values_mut().for_each(|group| {
                group.members.remove(&id);
            });
            world.people.values_mut().for_each(|person| person.owners.retain(|owner| *owner != id));
        });
    }

    /// An admin maps, or takes a mapping away: whatever an identity provider may not is an admin's to do.
    fn map(&mut self) {
        if self.world.mappings.len() > 6 {
            let Some(id) = self.pick(self.world.mappings.clone().into_keys()) else { return };
            self.app.admin().delete(&format!("/v1/mappings/{id}")).expect(204);
            self.world.mappings.remove(&id);
            return;
        }
        let (group, agents) = (self.pick(self.world.groups.clone().into_keys()), self.random.below(2) == 0);
        let person = self.person(agents);
        let (source, shown) = match (self.random.below(6), group, person) {
            (0, Some(id), _) => (Source::GroupId(id.clone()), json!({"group": {"id": id}})),
            (1, ..) => {
                let name = self.text(&NAMES);
                (Source::GroupName(name.clone()), json!({"group": {"displayName": name}}))
            }
            (2, ..) => {
                let called = self.text(&CALLED);
                (Source::GroupExternal(called.clone()), json!({"group": {"externalId": called}}))
            }
            (3, ..) => (Source::Rule("Root".to_owned(), true), json!({"rule": "userType eq \"Root\""})),
            (4, _, Some(id)) => {
                let kind = if agents { "agent" } else { "user" };
                (Source::Person(id.clone(), None), json!({"person": {"type": kind, "id": id}, "reason": "x"}))
            }
            _ => (Source::Asserted("a".to_owned()), json!({"asserted": {"attribute": "roles", "value": "a"}})),
        };
        let role = ROLES[self.random.below(ROLES.len())].0.to_owned();
        let answer = self.app.admin().post("/v1/mappings", json!({"role": role, "source": shown}));
        match answer.status {
            409 => {}
            _ => {
                let id = answer.expect(201).id();
                self.world.mappings.insert(id, Mapping { role, source });
            }
        }
    }

    fn step(&mut self) {
        match self.random.below(28) {
            0..=1 => self.join(),
            2..=8 => self.change(),
            9 => self.group(),
            10 => self.rename(),
            11..=15 => self.members(),
            16 => self.leave(),
            17..=20 => self.swap(),
            21..=22 => {
                let (agent, owner) = (self.person(true), self.person(false));
                agent.into_iter().for_each(|agent| self.answer(&agent, owner.clone()));
            }
            _ => self.map(),
        }
    }
}

fn play(app: &TestApp, seed: u64) -> (BTreeMap<bool, u32>, [u32; 2], usize) {
    app.admin().post("/v1/apis", json!({"name": "app", "open": true})).expect(201);
    let mut world = World::default();
    for (name, permission) in ROLES {
        let body = json!({"name": name, "permissions": [permission], "assertable_by": ["default"]});
        app.admin().post("/v1/roles", body).expect(201);
        let role = Role { permission: permission.to_owned(), assertable: true, ..Role::default() };
        world.roles.insert(name.to_owned(), role);
    }
    let (random, held) = (Random(seed), BTreeSet::new());
    let mut story = Story { app, world, random, made: 0, outcomes: BTreeMap::new(), reduced: 0, answered: 0, held };
    (0..8).for_each(|_| story.join());
    (0..4).for_each(|_| story.group());
    (0..4).for_each(|_| story.map());
    (0..STEPS).for_each(|_| story.step());
    app.check_log();
    (story.outcomes, [story.reduced, story.answered], story.held.len())
}

#[test]
fn a_write_is_refused_exactly_if_a_way_to_keyroll_comes_into_being() {
    let (mut holds, mut swapped, mut answered) = (0, 0, 0);
    for seed in [1, 2, 12] {
        let (outcomes, reduced, held) = play(&TestApp::sqlite(), seed);
        assert!(outcomes.get(&true) > Some(&50) && outcomes.get(&false) > Some(&20), "they say little: {outcomes:?}");
        (swapped, answered) = (swapped + reduced[0], answered + reduced[1]);
        holds += held;
    }
    assert!(swapped >= 5 && answered >= 5, "they say little: {swapped} {answered}");
    assert!(holds > 0, "no agent ever waited");
    if let Some(url) = crate::support::postgres::url() {
        play(&TestApp::on(&url), 3);
    }
}
