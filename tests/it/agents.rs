//! Agents: machine identities.

use keyroll::service::credentials::Owner;
use serde_json::{Value, json};

use crate::support::app::*;

#[test]
fn agents_are_resources_like_others() {
    for_each_app(|app| {
        let idp = app.idp();
        let mira = idp.post("/Users", user("mira@example.com")).expect(201).id();
        let body = and(
            agent("deploy"),
            json!({"displayName": "Deployer", "externalId": "a1",
            "owners": [{"value": mira, "primary": true}], "roles": [{"value": "ci"}], "groups": [{"value": "x"}]}),
        );
        let made = idp.post("/Agents", body.clone()).expect(201);
        assert_eq!((&made["active"], &made["externalId"], &made["groups"]), (&json!(true), &json!("a1"), &Value::Null));
        assert_eq!(made["meta"]["resourceType"], json!("Agent"));
        let path = format!("/Agents/{}", made.id());
        let team = idp.post("/Groups", group("bots", &[&made.id()])).expect(201);
        assert_eq!(team["members"][0]["type"], json!("Agent"));
        assert_eq!(idp.get(&path).expect(200)["groups"][0]["display"], json!("bots"));
        idp.post("/Agents", json!({"schemas": [AGENT]})).scim_error(400, "invalidValue");
        idp.post("/Agents", agent("DEPLOY")).scim_error(409, "uniqueness");
        // A user may have the same name: they are looked up in different places.
        idp.post("/Users", user("deploy")).expect(201);
        let changed = idp.patch(&path, replace("owners", json!([]))).expect(200);
        assert_eq!(changed["owners"], Value::Null);
        idp.delete(&path).expect(204);
        idp.post("/Agents", body).expect(201);
    });
}

#[test]
fn an_agent_follows_active_as_a_user_does() {
    for_each_app(|app| {
        let (idp, admin) = (app.idp(), app.admin());
        let mira = idp.post("/Users", user("mira@example.com")).expect(201).id();
        let body = and(agent("deploy"), json!({"owners": [{"value": mira}]}));
        let id = idp.post("/Agents", body.clone()).expect(201).id();
        let live = || admin.get(&format!("/v1/users/{id}")).expect(200)["live"] == json!(true);
        let path = format!("/Agents/{id}");
        assert!(live());
        idp.patch(&path, replace("active", "False")).expect(200);
        assert!(!live());
        assert_eq!(idp.put(&path, body).expect(200)["active"], json!(false));
        idp.patch(&path, replace("active", true)).expect(200);
        assert!(live());
        admin.post(&format!("/v1/users/{id}/suspend"), json!({})).expect(200);
        assert!(!live());
        assert_eq!(
            app.actions(),
            [
                "user.created",
                "agent.created",
                "agent.patched",
                "principal.suspended",
                "agent.patched",
                "principal.activated",
                "principal.suspended"
            ]
        );
    });
}

#[test]
fn the_agent_of_a_connection_is_no_door_to_its_keys() {
    for_each_app(|app| {
        let admin = app.admin();
        let people = admin.get("/v1/users").expect(200);
        let local = people["users"].as_array().unwrap().iter().find(|one| one["type"] == "agent").unwrap();
        let id = local["id"].as_str().unwrap();
        let refused = admin.post("/v1/keys", json!({"owner": {"type": "agent", "id": id}}));
        assert_eq!(refused.problem(422, "invalid"), "keys of agents are provisioning keys of their connection");
        admin.post("/v1/keys", json!({"owner": {"type": "user", "id": id}})).problem(422, "invalid");
        let another = app.with_key(&app.issue_on_host(Owner::Connection("default".to_owned()), &[]));
        assert_eq!(another.get("/v1/whoami").expect(200)["owner"]["id"], json!(id));
        another.post("/Users", user("mira@example.com")).expect(201);
    });
}

#[test]
fn sponsors_are_users_of_the_tenant() {
    for_each_app(|app| {
        let idp = app.idp();
        let bot = idp.post("/Agents", agent("bot")).expect(201).id();
        let team = idp.post("/Groups", group("team", &[])).expect(201).id();
        for stranger in ["xx", "01939e7a-5b1c-7def-8abc-0123456789ab", &bot, &team] {
            let body = and(agent("deploy"), json!({"owners": [{"value": stranger}]}));
            let refused = idp.post("/Agents", body);
            assert!(refused.scim_error(400, "invalidValue").starts_with("owners[0].value: no user has the id"));
            let path = format!("/Agents/{bot}");
            idp.patch(&path, replace("owners", json!([{"value": stranger}]))).scim_error(400, "invalidValue");
        }
        let nobody = and(agent("deploy"), json!({"owners": [{"display": "x"}]}));
        assert_eq!(idp.post("/Agents", nobody).scim_error(400, "invalidValue"), "owners[0].value: is required");
    });
}

#[test]
fn an_agent_is_live_as_long_as_a_sponsor_is() {
    for_each_app(|app| {
        let (idp, admin) = (app.idp(), app.admin());
        let [mira, rolf] =
            ["mira@example.com", "rolf@example.com"].map(|name| idp.post("/Users", user(name)).expect(201).id());
        let sponsored = |name: &str, by: &[&String]| {
            let owners: Vec<Value> = by.iter().map(|id| json!({"value": id})).collect();
            idp.post("/Agents", and(agent(name), json!({"owners": owners}))).expect(201).id()
        };
        let bots = [("of both", &[&mira, &rolf][..]), ("of mira", &[&mira]), ("of nobody", &[])]
            .map(|(name, by)| sponsored(name, by));
        let live = || {
            let listed = admin.get("/v1/users").expect(200);
            let listed = listed["users"].as_array().unwrap().clone();
            // The operator and the agent of the connection answer to nobody.
            assert!(listed.iter().filter(|one| one["origin"] == "local").all(|one| one["live"] == true));
            bots.clone().map(|id| {
                let read = admin.get(&format!("/v1/users/{id}")).expect(200)["live"].clone();
                let listed = listed.iter().find(|one| one["id"] == json!(id)).unwrap();
                assert_eq!(listed["live"], read);
                read == true
            })
        };
        assert_eq!(live(), [true, true, false]);
        idp.patch(&format!("/Users/{mira}"), replace("active", false)).expect(200);
        assert_eq!(live(), [true, false, false]);
        idp.patch(&format!("/Users/{mira}"), replace("active", true)).expect(200);
        admin.post(&format!("/v1/users/{rolf}/suspend"), json!({})).expect(200);
        assert_eq!(live(), [true, true, false]);
        admin.post(&format!("/v1/users/{mira}/suspend"), json!({})).expect(200);
        assert_eq!(live(), [false, false, false]);
        admin.post(&format!("/v1/users/{rolf}/activate"), json!({})).expect(200);
        assert_eq!(live(), [true, false, false]);
        idp.delete(&format!("/Users/{rolf}")).expect(204);
        assert_eq!(live(), [false, false, false]);
        // What is live by its sponsors may still be suspended itself.
        admin.post(&format!("/v1/users/{mira}/activate"), json!({})).expect(200);
        let held = admin.post(&format!("/v1/users/{}/suspend", bots[0]), json!({})).expect(200);
        assert_eq!((&held["live"], live()), (&json!(false), [false, true, false]));
    });
}
