//! What a connection calls its resources: unique only where the connection asks for that (RFC 7643 §3.1).

use keyroll::scim::tolerance::Dialect;
use serde_json::{Value, json};

use crate::support::app::*;
use crate::support::client::encode as quoted;
use crate::support::server::Installation;

/// A body with a name.
type Body = fn(&str) -> Value;

/// Each type, and its body.
fn types() -> [(&'static str, Body); 3] {
    [
        ("/Users", |name| user(&format!("{name}@example.com"))),
        ("/Groups", |name| group(name, &[])),
        ("/Agents", |name| agent(name)),
    ]
}

fn called(body: Value, external_id: &str) -> Value {
    and(body, json!({"externalId": external_id}))
}

/// The ids that a look-up finds, in every way in which it can be asked.
#[track_caller]
fn found(actor: &Actor<'_>, list: &str, external_id: &str) -> Vec<String> {
    let filter = format!("externalId eq \"{external_id}\"");
    let asked = actor.get(&format!("{list}?filter={}", encode(&filter))).expect(200);
    let search = json!({"schemas": [SEARCH], "filter": filter});
    let searched = actor.post(&format!("{list}/.search"), search).expect(200);
    assert_eq!(asked.each("id"), searched.each("id"));
    assert_eq!(asked["totalResults"], json!(asked.each("id").len()));
    asked.each("id").into_iter().map(str::to_owned).collect()
}

#[test]
fn several_may_be_called_the_same() {
    for_each_app(|app| {
        let idp = app.idp();
        for (list, body) in types() {
            let first = idp.post(list, called(body("a"), "7")).expect(201).id();
            // Asked before there was another one: the answer must not be remembered.
            assert_eq!(found(&idp, list, "7"), [first.as_str()]);
            let second = idp.post(list, called(body("b"), "7")).expect(201).id();
            assert_eq!(found(&idp, list, "7"), [first.as_str(), &second]);
            let third = idp.post(list, body("c")).expect(201).id();
            idp.patch(&format!("{list}/{third}"), replace("externalId", "7")).expect(200);
            let fourth = idp.post(list, body("d")).expect(201).id();
            idp.put(&format!("{list}/{fourth}"), called(body("d"), "7")).expect(200);
            let job = json!([{"method": "POST", "path": list, "bulkId": "e", "data": called(body("e"), "7")}]);
            let done = idp.post("/Bulk", bulk(job)).expect(200);
            assert_eq!(done["Operations"][0]["status"], json!("201"));
            let fifth = done["Operations"][0]["location"].as_str().unwrap().rsplit('/').next().unwrap();
            assert_eq!(found(&idp, list, "7"), [first.as_str(), &second, &third, &fourth, fifth]);
            // Each goes by itself.
            idp.patch(&format!("{list}/{first}"), replace("externalId", "8")).expect(200);
            idp.delete(&format!("{list}/{second}")).expect(204);
            idp.patch(&format!("{list}/{third}"), remove("externalId")).expect(200);
            assert_eq!(found(&idp, list, "7"), [fourth.as_str(), fifth]);
            assert_eq!(found(&idp, list, "8"), [first.as_str()]);
        }
    });
}

#[test]
fn a_connection_may_ask_for_unique_ones() {
    for_each_app(|app| {
        let idp = app.idp();
        app.connect(Dialect::Okta);
        app.sql("UPDATE connections SET unique_external_ids = TRUE");
        let okta = app.with_key(&app.issue_on_host(keyroll::service::keys::Owner::Connection("okta".into()), &[]));
        for (list, body) in types() {
            let first = idp.post(list, called(body("a"), "7")).expect(201).id();
            let taken = |answer: Answer| {
                let told = format!("externalId: the value is taken by {first}");
                assert_eq!(answer.scim_error(409, "uniqueness"), told);
            };
            let second = idp.post(list, called(body("b"), "8")).expect(201).id();
            let path = format!("{list}/{second}");
            taken(idp.post(list, called(body("c"), "7")));
            taken(idp.patch(&path, replace("externalId", "7")));
            taken(idp.put(&path, called(body("b"), "7")));
            let job = json!([
                {"method": "POST", "path": list, "bulkId": "c", "data": called(body("c"), "7")},
                {"method": "PATCH", "path": path, "data": replace("externalId", "7")},
                {"method": "POST", "path": list, "bulkId": "d", "data": called(body("d"), "9")},
                {"method": "POST", "path": list, "bulkId": "e", "data": called(body("e"), "9")},
            ]);
            let done = idp.post("/Bulk", bulk(job)).expect(200);
            let status: Vec<&Value> = done["Operations"].as_array().unwrap().iter().map(|one| &one["status"]).collect();
            assert_eq!(status, [&json!("409"), &json!("409"), &json!("201"), &json!("409")]);
            // Nothing has changed, its own is nobody else's, letter case counts, and so does the connection.
            assert_eq!((found(&idp, list, "7"), found(&idp, list, "8")), (vec![first.clone()], vec![second]));
            idp.put(&format!("{list}/{first}"), called(body("a"), "7")).expect(200);
            idp.patch(&path, replace("externalId", "X")).expect(200);
            idp.patch(&format!("{list}/{first}"), replace("externalId", "x")).expect(200);
            okta.post(list, called(body("other"), "x")).expect(201);
            // What is given back is free, by whatever way.
            idp.patch(&path, replace("externalId", "7")).expect(200);
            idp.delete(&path).expect(204);
            idp.put(&format!("{list}/{first}"), called(body("a"), "7")).expect(200);
            idp.put(&format!("{list}/{first}"), body("a")).expect(200);
            idp.post(list, called(body("f"), "7")).expect(201);
        }
        // While it is off, what was claimed is given back: nobody finds it taken afterwards.
        let mira = idp.post("/Users", called(user("mira@example.com"), "m")).expect(201).id();
        app.sql("UPDATE connections SET unique_external_ids = FALSE");
        idp.patch(&format!("/Users/{mira}"), replace("externalId", "n")).expect(200);
        app.sql("UPDATE connections SET unique_external_ids = TRUE");
        idp.post("/Users", called(user("tom@example.com"), "m")).expect(201);
    });
}

#[test]
fn a_mapping_counts_for_every_group_that_is_called_so() {
    for_each_app(|app| {
        let (idp, admin) = (app.idp(), app.admin());
        admin.post("/v1/roles", json!({"name": "clerk", "permissions": []})).expect(201);
        let mira = idp.post("/Users", user("mira@example.com")).expect(201).id();
        let tom = idp.post("/Users", user("tom@example.com")).expect(201).id();
        let one = idp.post("/Groups", called(group("One", &[&mira]), "g")).expect(201).id();
        let two = idp.post("/Groups", called(group("Two", &[&tom]), "g")).expect(201).id();
        let mapping = json!({"role": "clerk", "source": {"group": {"externalId": "g"}}});
        let mapping = admin.post("/v1/mappings", mapping).expect(201).id();
        let holds = |id: &str| {
            let access = admin.get(&format!("/v1/users/{id}/access")).expect(200);
            access["roles"].as_array().unwrap().iter().any(|role| role["role"] == json!("clerk"))
        };
        assert!(holds(&mira) && holds(&tom));
        let holders = admin.get("/v1/roles/clerk/holders").expect(200);
        assert_eq!(holders["holders"].as_array().unwrap().len(), 2);
        let snapshot = admin.get("/v1/mappings").expect(200);
        let row = snapshot["mappings"].as_array().unwrap().iter().find(|row| row["id"] == json!(mapping)).unwrap();
        let meant: Vec<&Value> = row["groups"].as_array().unwrap().iter().map(|group| &group["id"]).collect();
        assert_eq!(meant, [&json!(one), &json!(two)]);
        // Losing the name, one of them loses the role; the other one keeps it.
        idp.patch(&format!("/Groups/{one}"), replace("externalId", "h")).expect(200);
        assert!(!holds(&mira) && holds(&tom));
        idp.delete(&format!("/Groups/{two}")).expect(204);
        assert!(!holds(&tom));
    });
}

#[test]
fn a_database_from_before_keeps_its_external_ids() {
    for place in Installation::each() {
        let keys = {
            let server = place.serve(&[]);
            let idp = server.idp();
            idp.post("/scim/v2/Users", &called(user("mira@example.com"), "7")).expect(201);
            server.keys()
        };
        let folder = if place.is_embedded() { "sqlite" } else { "postgres" };
        println!("on {folder}");
        place.sql(match place.is_embedded() {
            true => include_str!("../../migrations/sqlite/0004_external_ids/down.sql"),
            false => include_str!("../../migrations/postgres/0004_external_ids/down.sql"),
        });
        place.sql("DELETE FROM __diesel_schema_migrations WHERE version = '0004'");
        let server = place.serve(&[]);
        let idp = server.client(&keys.provisioning);
        idp.post("/scim/v2/Users", &called(user("tom@example.com"), "7")).expect(201);
        let found = idp.get(&format!("/scim/v2/Users?filter={}", quoted("externalId eq \"7\""))).expect(200).json();
        let names: Vec<&Value> = found["Resources"].as_array().unwrap().iter().map(|one| &one["userName"]).collect();
        assert_eq!(names, [&json!("mira@example.com"), &json!("tom@example.com")]);
    }
}
