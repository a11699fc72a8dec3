//! Whatever happens, access is what brute force says: now, at every past time, and since when.

mod decisions;
mod mapped;
mod steps;

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, TimeDelta};
use serde_json::{Value, json};

use super::world::{Access, World, read, reasons};
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
