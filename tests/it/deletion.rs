//! DELETE: what goes with a resource, and what stays.

use chrono::TimeDelta;
use serde_json::{Value, json};

use crate::support::app::*;

#[test]
fn delete_takes_every_mention_away() {
    for_each_app(|app| {
        let idp = app.idp();
        let mira = idp.post("/Users", user("mira@example.com")).expect(201).id();
        let manager = json!({ENTERPRISE: {"manager": {"value": mira}, "department": "x"}});
        let rolf = idp.post("/Users", and(user("rolf@example.com"), manager)).expect(201).id();
        let only = json!({ENTERPRISE: {"manager": {"value": mira}}});
        let ada = idp.post("/Users", and(user("ada@example.com"), only)).expect(201).id();
        let owners = json!({"owners": [{"value": mira}, {"value": rolf}]});
        let deploy = idp.post("/Agents", and(agent("deploy"), owners)).expect(201).id();
        let team = idp.post("/Groups", group("team", &[&mira, &rolf])).expect(201).id();
        let other = idp.post("/Groups", group("other", &[&rolf])).expect(201).id();
        let outer = idp.post("/Groups", group("outer", &[&team])).expect(201).id();
        app.clock.advance(TimeDelta::seconds(1));
        idp.delete(&format!("/Users/{mira}")).expect(204);

        let team = idp.get(&format!("/Groups/{team}")).expect(200);
        assert_eq!((team.members(), team.header("etag")), (vec![rolf.as_str()], "W/\"2\""));
        assert_eq!(team["meta"]["lastModified"], json!("2026-01-05T09:00:01.000Z"));
        assert_eq!(idp.get(&format!("/Groups/{other}")).expect(200).header("etag"), "W/\"1\"");
        assert_eq!(idp.get(&format!("/Groups/{outer}")).expect(200).header("etag"), "W/\"1\"");
        let rolf = idp.get(&format!("/Users/{rolf}")).expect(200);
        assert_eq!((&rolf[ENTERPRISE], rolf.header("etag")), (&json!({"department": "x"}), "W/\"2\""));
        let ada = idp.get(&format!("/Users/{ada}")).expect(200);
        assert_eq!((&ada[ENTERPRISE], &ada["schemas"]), (&Value::Null, &json!([USER])));
        let deploy = idp.get(&format!("/Agents/{deploy}")).expect(200);
        assert_eq!((deploy["owners"].as_array().unwrap().len(), deploy.header("etag")), (1, "W/\"2\""));
        let log = app.log();
        let deleted = log.iter().find(|record| record["action"] == "user.deleted").unwrap();
        assert_eq!(deleted["change"], json!({"groups": [team.id()]}));
    });
}

#[test]
fn deleting_a_group_leaves_its_members() {
    for_each_app(|app| {
        let idp = app.idp();
        let mira = idp.post("/Users", user("mira@example.com")).expect(201).id();
        let inner = idp.post("/Groups", group("inner", &[&mira])).expect(201).id();
        let outer = idp.post("/Groups", group("outer", &[&inner])).expect(201).id();
        idp.delete(&format!("/Groups/{inner}")).expect(204);
        assert_eq!(idp.get(&format!("/Users/{mira}")).expect(200)["groups"], Value::Null);
        let outer = idp.get(&format!("/Groups/{outer}")).expect(200);
        assert_eq!((outer.members(), outer.header("etag")), (vec![], "W/\"2\""));
        idp.post("/Groups", group("inner", &[])).expect(201);
    });
}

#[test]
fn admins_delete_as_scim_does() {
    for_each_app(|app| {
        let idp = app.idp();
        let mira = idp.post("/Users", user("mira@example.com")).expect(201).id();
        let team = idp.post("/Groups", group("team", &[&mira])).expect(201).id();
        let key = app.issue(&mira);
        app.admin().delete("/v1/users/MIRA@example.com").expect(204);
        assert_eq!(app.verify(&key), "REVOKED");
        idp.get(&format!("/Users/{mira}")).scim_error(404, "");
        assert_eq!(idp.get(&format!("/Groups/{team}")).expect(200).members(), Vec::<&str>::new());
        assert_eq!(app.admin().get(&format!("/v1/users/{mira}")).expect(200)["name"], json!(""));
        app.admin().delete(&format!("/v1/users/{mira}")).problem(404, "not_found");
    });
}
