//! What the server has, held against the journals.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::{GROUPS, Person, World, Write, id_of};
use crate::support::server::{Client, Server, encode};

/// Compares everything that the server has with the journals, and adopts what it did unseen.
pub fn verify(server: &Server, world: &mut World) {
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
