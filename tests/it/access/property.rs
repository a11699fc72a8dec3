//! Whatever happens, access is what brute force says: now, at every past time, and since when.

mod decisions;
mod mapped;

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, TimeDelta};
use serde_json::{Value, json};

use super::world::{Access, Group, Person, Role, World, read, reasons, texts};
use crate::support::app::*;
use crate::support::random::Random;

const NAMES: [&str; 3] = ["Finance", "Sales", "finance"];
const KINDS: [&str; 3] = ["Employee", "Contractor", ""];
const STEPS: i64 = 90;
const BEGINNING: i64 = 30;
struct Story<'a> {
    app: &'a TestApp,
    world: World,
    random: Random,
    minute: i64,
    /// Everybody there ever was.
    everybody: Vec<(String, bool)>,
    made: u64,
    /// When a mapping became another one under its id.
    replaced: Vec<(String, i64)>,
}

/// When a minute of the story was.
fn time(minute: i64, seconds: i64) -> String {
    let at = DateTime::from_timestamp_millis(START).unwrap() + TimeDelta::minutes(minute) + TimeDelta::seconds(seconds);
    at.format("%Y-%m-%dT%H:%M:%S%.6fZ").to_string()
}

impl Story<'_> {
    fn pick(&mut self, from: &[String]) -> Option<String> {
        if from.is_empty() { None } else { Some(from[self.random.below(from.len())].clone()) }
    }

    fn people(&self, agents: bool) -> Vec<String> {
        self.world.people.iter().filter(|(_, one)| one.agent == agents).map(|(id, _)| id.clone()).collect()
    }

    fn text<'t>(&mut self, from: &[&'t str]) -> &'t str {
        from[self.random.below(from.len())]
    }

    fn name(&mut self, kind: &str) -> String {
        self.made += 1;
        format!("{kind}{}", self.made)
    }

    /// How a story begins: what follows at random would often find nobody to concern.
    fn begin(&mut self) {
        match self.minute / 3 {
            0 | 1 => self.join(),
            2 => self.agent(),
            3 => self.role(),
            4 => self.group(),
            5 | 7 => self.members(),
            _ => self.map(),
        }
    }

    fn step(&mut self) {
        match self.random.below(25) {
            0 | 1 => self.join(),
            2 => self.agent(),
            3 | 4 => self.change_person(),
            5 => self.hold(),
            6 => self.leave(),
            7 => self.group(),
            8..=10 => self.members(),
            11 => self.rename(),
            12 => self.drop_group(),
            13 => self.role(),
            14 => self.change_role(),
            15..=18 => self.map(),
            19..=22 => self.remap(),
            _ => self.unmap(),
        }
    }

    fn join(&mut self) {
        let (name, user_type) = (self.name("user"), self.text(&KINDS).to_owned());
        let mut body = user(&format!("{name}@example.com"));
        if !user_type.is_empty() {
            body = and(body, json!({"userType": user_type}));
        }
        let id = self.app.idp().post("/Users", body).expect(201).id();
        self.everybody.push((id.clone(), false));
        self.world.people.insert(id, Person { active: true, user_type, ..Person::default() });
    }

    fn agent(&mut self) {
        let users = self.people(false);
        let (name, owner) = (self.name("agent"), self.pick(&users));
        let owners: Vec<Value> = owner.iter().map(|id| json!({"value": id})).collect();
        let id = self.app.idp().post("/Agents", and(agent(&name), json!({"owners": owners}))).expect(201).id();
        self.everybody.push((id.clone(), true));
        let owners = owner.into_iter().collect();
        self.world.people.insert(id, Person { agent: true, active: true, owners, ..Person::default() });
    }

    fn change_person(&mut self) {
        let everybody: Vec<String> = self.world.people.keys().cloned().collect();
        let Some(id) = self.pick(&everybody) else { return };
        let mut person = self.world.people[&id].clone();
        let path = if person.agent { format!("/Agents/{id}") } else { format!("/Users/{id}") };
        let body = match self.random.below(4) {
            0 => {
                person.active = !person.active;
                replace("active", person.active)
            }
            1 if !person.agent => {
                person.user_type = self.text(&KINDS[..2]).to_owned();
                replace("userType", person.user_type.clone())
            }
            2 if person.agent => {
                let users = self.people(false);
                person.owners = self.pick(&users).into_iter().collect();
                let owners: Vec<Value> = person.owners.iter().map(|id| json!({"value": id})).collect();
                replace("owners", owners)
            }
            _ => {
                person.asserted =
                    if person.asserted.is_empty() { vec![self.text(&["a", "B"]).to_owned()] } else { vec![] };
                let roles: Vec<Value> = person.asserted.iter().map(|value| json!({"value": value})).collect();
                replace("roles", roles)
            }
        };
        self.app.idp().patch(&path, body).expect(200);
        self.world.people.insert(id, person);
    }

    fn hold(&mut self) {
        let users = self.people(false);
        let Some(id) = self.pick(&users) else { return };
        let person = self.world.people.get_mut(&id).unwrap();
        person.held = !person.held;
        let verb = if person.held { "suspend" } else { "activate" };
        self.app.admin().post(&format!("/v1/users/{id}/{verb}"), json!({})).expect(200);
    }

    fn leave(&mut self) {
        let everybody: Vec<String> = self.world.people.keys().cloned().collect();
        let Some(id) = self.pick(&everybody) else { return };
        let person = self.world.people.remove(&id).unwrap();
        let list = if person.agent { "Agents" } else { "Users" };
        self.app.idp().delete(&format!("/{list}/{id}")).expect(204);
        self.world.groups.values_mut().for_each(|group| group.members.retain(|member| *member != id));
        self.world.people.values_mut().for_each(|person| person.owners.retain(|owner| *owner != id));
    }

    fn group(&mut self) {
        // A name that no other group of the connection has.
        let free = NAMES.iter().find(|name| !self.world.groups.values().any(|g| g.name.eq_ignore_ascii_case(name)));
        let name = free.map_or_else(|| self.name("group"), |name| (*name).to_owned());
        // Several may be called the same.
        let external_id = "x";
        let body = and(group(&name, &[]), json!({"externalId": external_id}));
        let id = self.app.idp().post("/Groups", body).expect(201).id();
        self.world.groups.insert(id, Group { name, external_id: external_id.to_owned(), ..Group::default() });
    }

    fn members(&mut self) {
        let groups: Vec<String> = self.world.groups.keys().cloned().collect();
        let all: Vec<String> = self.world.people.keys().chain(self.world.groups.keys()).cloned().collect();
        let (Some(outer), Some(member)) = (self.pick(&groups), self.pick(&all)) else { return };
        let is_cycle = self.world.groups.contains_key(&member) && self.world.is_inside(&outer, &member);
        let path = format!("/Groups/{outer}");
        if self.world.groups[&outer].members.contains(&member) {
            self.app.idp().patch(&path, remove(&format!("members[value eq \"{member}\"]"))).expect(200);
            self.world.groups.get_mut(&outer).unwrap().members.remove(&member);
        } else if is_cycle {
            self.app.idp().patch(&path, add("members", json!([{"value": member}]))).scim_error(400, "invalidValue");
        } else {
            self.app.idp().patch(&path, add("members", json!([{"value": member}]))).expect(200);
            self.world.groups.get_mut(&outer).unwrap().members.insert(member);
        }
    }

    fn rename(&mut self) {
        let groups: Vec<String> = self.world.groups.keys().cloned().collect();
        let Some(id) = self.pick(&groups) else { return };
        let path = format!("/Groups/{id}");
        if self.random.below(2) == 0 {
            let free = NAMES.iter().find(|name| !self.world.groups.values().any(|g| g.name.eq_ignore_ascii_case(name)));
            let name = free.map_or_else(|| self.name("group"), |name| (*name).to_owned());
            self.app.idp().patch(&path, replace("displayName", name.clone())).expect(200);
            self.world.groups.get_mut(&id).unwrap().name = name;
        } else {
            let value = self.name("x");
            self.app.idp().patch(&path, replace("externalId", value.clone())).expect(200);
            self.world.groups.get_mut(&id).unwrap().external_id = value;
        }
    }

    fn drop_group(&mut self) {
        let groups: Vec<String> = self.world.groups.keys().cloned().collect();
        let Some(id) = self.pick(&groups) else { return };
        self.app.idp().delete(&format!("/Groups/{id}")).expect(204);
        self.world.groups.remove(&id);
        self.world.groups.values_mut().for_each(|group| group.members.retain(|member| *member != id));
    }

    fn body_of(name: &str, role: &Role) -> Value {
        let assertable: &[&str] = if role.assertable { &["default"] } else { &[] };
        json!({"name": name, "permissions": [role.permission], "includes": role.includes, "assertable_by": assertable})
    }

    fn role(&mut self) {
        let name = self.name("role");
        let others: Vec<String> = self.world.roles.keys().cloned().collect();
        let includes = self.pick(&others).filter(|_| self.random.below(2) == 0).into_iter().collect();
        let assertable = self.random.below(2) == 0;
        let role = Role { permission: format!("app:{name}:read"), includes, assertable };
        self.app.admin().post("/v1/roles", Self::body_of(&name, &role)).expect(201);
        self.world.roles.insert(name, role);
    }

    fn change_role(&mut self) {
        let names: Vec<String> = self.world.roles.keys().cloned().collect();
        let (Some(name), Some(other)) = (self.pick(&names), self.pick(&names)) else { return };
        let mut role = self.world.roles[&name].clone();
        let mut refused = false;
        match self.random.below(3) {
            0 => role.permission = format!("app:{name}:{}", self.text(&["read", "write"])),
            1 => role.assertable = !role.assertable,
            _ if role.includes.contains(&other) => {
                role.includes.remove(&other);
            }
            _ => {
                refused = self.world.reaches(&other, &name);
                role.includes.insert(other);
            }
        }
        let answer = self.app.admin().put(&format!("/v1/roles/{name}"), Self::body_of(&name, &role));
        if refused {
            answer.problem(422, "invalid");
        } else {
            answer.expect(200);
            self.world.roles.insert(name, role);
        }
    }

    fn unmap(&mut self) {
        let mappings: Vec<String> = self.world.mappings.keys().cloned().collect();
        let Some(id) = self.pick(&mappings) else { return };
        let everybody: Vec<String> = self.world.people.keys().cloned().collect();
        let held =
            |story: &Self| -> Vec<Access> { everybody.iter().map(|id| story.world.access(id, story.minute)).collect() };
        let before = held(self);
        let records = self.app.log().len();
        let (path, count) = (format!("/v1/mappings/{id}"), self.random.below(4) + 1);
        let foretold =
            pages(self.app, &format!("{path}?dry_run=true"), "losses", count, |path| self.app.admin().delete(path));
        assert_eq!(self.app.log().len(), records);
        self.app.admin().delete(&path).expect(204);
        self.world.mappings.remove(&id);
        let mut expected = Losses::new();
        for ((id, before), after) in everybody.iter().zip(before).zip(held(self)) {
            let roles: Vec<String> = before.keys().filter(|role| !after.contains_key(*role)).cloned().collect();
            let kept = self.world.permissions(&after);
            let permissions = self.world.permissions(&before).into_iter().filter(|one| !kept.contains(one)).collect();
            if !roles.is_empty() {
                expected.insert(id.clone(), (roles, permissions));
            }
        }
        let found = foretold.iter().map(|loss| (id_of(loss), (texts(&loss["roles"]), texts(&loss["permissions"]))));
        assert_eq!(found.collect::<Losses>(), expected, "minute {}, {path}", self.minute);
        assert_eq!(foretold.len(), expected.len(), "somebody twice");
    }

    /// Whoever holds a role, in pages of any size.
    fn check_holders(&mut self) {
        for role in self.world.roles.keys().cloned().collect::<Vec<_>>() {
            let count = self.random.below(5) + 1;
            let found = pages(self.app, &format!("/v1/roles/{role}/holders?"), "holders", count, |path| {
                self.app.admin().get(path)
            });
            let mut expected = BTreeMap::new();
            for id in self.world.people.keys() {
                if let Some(reasons) = self.world.access(id, self.minute).remove(&role) {
                    expected.insert(id.clone(), reasons);
                }
            }
            assert_eq!(found.len(), expected.len(), "minute {}, {role}: {found:?}", self.minute);
            for holder in &found {
                let id = id_of(holder);
                let kind = if self.world.people[&id].agent { "agent" } else { "user" };
                assert_eq!(holder["principal"]["type"], json!(kind));
                let dated = reasons(&holder["reasons"]);
                assert_eq!(dated.keys().cloned().collect::<BTreeSet<_>>(), expected[&id], "minute {}", self.minute);
                // The report on the one principal says the same, times included.
                let access = read(&self.ask(&id, kind == "agent", ""));
                assert_eq!(dated, access[&role], "minute {}, {role}", self.minute);
            }
        }
    }

    fn ask(&self, id: &str, is_agent: bool, query: &str) -> Answer {
        let list = if is_agent { "agents" } else { "users" };
        self.app.admin().get(&format!("/v1/{list}/{id}/access{query}")).expect(200)
    }
}

/// Roles and permissions by principal.
type Losses = BTreeMap<String, (Vec<String>, Vec<String>)>;

fn id_of(item: &Value) -> String {
    item["principal"]["id"].as_str().unwrap().to_owned()
}

/// The items of all pages of a list.
fn pages(app: &TestApp, path: &str, list: &str, count: usize, ask: impl Fn(&str) -> Answer) -> Vec<Value> {
    let (mut items, mut cursor) = (vec![], String::new());
    loop {
        let answer = ask(&format!("{path}&count={count}&cursor={cursor}")).expect(200);
        let page = answer[list].as_array().unwrap();
        assert!(page.len() <= count, "{answer}");
        let last = app.service.tail_log(&app.host(), 1).unwrap()[0]["seq"].clone();
        assert_eq!(answer["as_of_seq"], last);
        items.extend(page.iter().cloned());
        match answer["next"].as_str() {
            Some(next) => next.clone_into(&mut cursor),
            None => return items,
        }
        // Whatever these worlds hold fits into a page: it is full if there is another one.
        assert_eq!(page.len(), count, "{answer}");
    }
}

/// What was true: after each minute, what everybody held.
type Past = Vec<BTreeMap<String, Access>>;

/// Who held a role then is who it was by each one's own report of that time, with the same reasons and times.
fn check_past_holders(story: &Story<'_>, past: &Past, minute: i64) {
    let roles: BTreeSet<&String> = past[minute as usize].values().flat_map(|access| access.keys()).collect();
    for role in roles {
        let path = format!("/v1/roles/{role}/holders?at={}", time(minute, 30));
        let (mut found, mut cursor) = (BTreeMap::new(), String::new());
        loop {
            let answer = story.app.admin().get(&format!("{path}&count=3&cursor={cursor}")).expect(200);
            for holder in answer["holders"].as_array().unwrap() {
                assert!(found.insert(id_of(holder), reasons(&holder["reasons"])).is_none(), "twice: {answer}");
            }
            match answer["next"].as_str() {
                Some(next) => next.clone_into(&mut cursor),
                None => break,
            }
        }
        let mut expected = BTreeMap::new();
        for (id, is_agent) in &story.everybody {
            let answer = story.ask(id, *is_agent, &format!("?at={}", time(minute, 30)));
            if let Some(reasons) = read(&answer).remove(role) {
                expected.insert(id.clone(), reasons);
            }
        }
        assert_eq!(found, expected, "minute {minute}, {role}");
    }
}

fn check_past(story: &Story<'_>, past: &Past, minute: i64) {
    for (id, is_agent) in &story.everybody {
        let Some(expected) = past[minute as usize].get(id) else { continue };
        let answer = story.ask(id, *is_agent, &format!("?at={}", time(minute, 30)));
        let found = read(&answer);
        let reasons: Access =
            found.iter().map(|(role, reasons)| (role.clone(), reasons.keys().cloned().collect())).collect();
        assert_eq!(reasons, *expected, "minute {minute}, {id}");
        for (role, reasons) in &found {
            for (why, since) in reasons {
                let held = |m: &i64| {
                    let then = past[*m as usize].get(id).and_then(|access| access.get(role));
                    then.is_some_and(|reasons| reasons.contains(why))
                };
                let began = (0..=minute).rev().take_while(held).last().unwrap();
                // Meant by another mapping, even if it has the same id, is meant anew.
                let replaced = story.replaced.iter().filter(|(id, at)| *id == why.0 && *at <= minute);
                let began = replaced.map(|(_, at)| *at).fold(began, i64::max);
                assert_eq!(*since, time(began, 0), "minute {minute}, {id}, {role}, {why:?}");
            }
        }
    }
}

/// Plays a story; gives by what sources anybody held anything.
fn play(app: &TestApp, seed: u64) -> BTreeSet<&'static str> {
    let api = json!({"name": "app", "open": true});
    app.admin().post("/v1/apis", api).expect(201);
    let mut story = Story {
        app,
        world: World::default(),
        random: Random(seed),
        minute: 0,
        everybody: vec![],
        made: 0,
        replaced: vec![],
    };
    let (mut past, mut sources): (Past, _) = (vec![BTreeMap::new()], BTreeSet::new());
    for minute in 1..=STEPS {
        app.clock.advance(TimeDelta::minutes(1));
        story.minute = minute;
        if minute <= BEGINNING {
            story.begin()
        } else {
            story.step()
        }
        let mut now = BTreeMap::new();
        for (id, is_agent) in story.everybody.clone() {
            let expected = story.world.access(&id, minute);
            let answer = story.ask(&id, is_agent, "");
            let found: Access =
                read(&answer).into_iter().map(|(role, reasons)| (role, reasons.into_keys().collect())).collect();
            assert_eq!(found, expected, "seed {seed}, minute {minute}: {answer}");
            assert_eq!(answer["permissions"], json!(story.world.permissions(&expected)), "minute {minute}");
            let mappings = expected.values().flatten().map(|why| &story.world.mappings[&why.0]);
            sources.extend(mappings.map(|mapping| mapping.source.name()));
            now.insert(id, expected);
        }
        past.push(now);
        if minute % 8 == 0 {
            decisions::check_decisions(&mut story);
            decisions::check_subjects(&mut story);
        }
        if minute % 7 == 0 {
            story.check_holders();
        }
    }
    for minute in (1..=STEPS).step_by(3) {
        check_past(&story, &past, minute);
        if minute % 5 == 0 {
            check_past_holders(&story, &past, minute);
        }
    }
    sources
}

#[test]
fn access_is_what_brute_force_says() {
    let mut sources = BTreeSet::new();
    for seed in [1, 2, 3] {
        let app = TestApp::sqlite();
        sources.extend(play(&app, seed));
        app.check_log();
    }
    let all = ["asserted", "group externalId", "group id", "group name", "person", "rule"];
    assert_eq!(sources.into_iter().collect::<Vec<_>>(), all, "the stories say nothing about the others");
    if let Some(url) = crate::support::postgres::url() {
        play(&TestApp::on(&url), 4);
    }
}
