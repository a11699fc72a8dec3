//! `/v1/agents`: agents that admins make. Connections read them, and none writes them.

use keyroll::scim::tolerance::Dialect;
use serde_json::{Value, json};

use crate::support::app::*;

fn hire(app: &TestApp, name: &str) -> String {
    app.idp().post("/Users", user(name)).expect(201).id()
}

/// A key that the admin issues to an agent; the key and its id.
fn issue(app: &TestApp, agent: &str) -> (String, String) {
    let issued = app.admin().post("/v1/keys", json!({"owner": {"type": "agent", "id": agent}})).expect(201);
    (issued["key"].as_str().unwrap().to_owned(), issued.id())
}

#[test]
fn an_agent_of_an_admin_is_read_by_connections_and_written_by_none() {
    for_each_app(|app| {
        let (idp, admin) = (app.idp(), app.admin());
        let [mira, rolf] = ["mira@example.com", "rolf@example.com"].map(|name| hire(app, name));
        let body = json!({"name": "ci", "display_name": "Builds", "sponsors": ["Mira@Example.com", rolf]});
        let made = admin.post("/v1/agents", body).expect(201);
        let id = made.id();
        assert_eq!(made.header("location"), format!("/v1/agents/{id}"));
        let expected = json!({
            "id": id, "name": "ci", "display_name": "Builds", "description": null, "origin": "admin",
            "connection": null,
            "sponsors": [{"id": mira, "name": "mira@example.com", "live": true},
                {"id": rolf, "name": "rolf@example.com", "live": true}],
            "live": true, "active": true, "admin_hold": false,
            "created_at": "2026-01-05T09:00:00.000Z", "modified_at": "2026-01-05T09:00:00.000Z",
        });
        assert_eq!(made.body, expected);
        assert_eq!(admin.get("/v1/agents/CI").expect(200).body, expected);
        let record = app.log().pop().unwrap();
        assert_eq!(
            json!([record["action"], record["subject"], record["change"], record["request"]["route"]]),
            json!(["agent.created", {"type": "agent", "id": id},
                {"paths": ["schemas", "name", "displayName", "active", "owners"]}, "/v1/agents"])
        );
        assert_eq!(admin.get("/v1/users/ci").expect(200)["origin"], json!("admin"));

        let own = idp.post("/Agents", agent("deploy")).expect(201).id();
        let path = format!("/Agents/{id}");
        for connection in [app.idp(), app.connect(Dialect::Entra)] {
            let read = connection.get(&path).expect(200);
            assert_eq!((&read["name"], &read["displayName"]), (&json!("ci"), &json!("Builds")));
            assert_eq!(read["owners"][0]["value"], json!(mira));
            assert_eq!(connection.get("/Agents").expect(200)["totalResults"], json!(2));
            let found = connection.get(&format!("/Agents?filter={}", encode("name eq \"CI\""))).expect(200);
            assert_eq!((&found["totalResults"], &found["Resources"][0]["id"]), (&json!(1), &json!(id)));
            let by_owner =
                connection.get(&format!("/Agents?filter={}", encode(&format!("owners.value eq \"{mira}\""))));
            assert_eq!(by_owner.expect(200)["totalResults"], json!(1));
            let why = "an admin made this resource: connections read it, and none writes it";
            for refused in [
                connection.patch(&path, replace("active", false)),
                connection.put(&path, agent("ci")),
                connection.delete(&path),
            ] {
                assert_eq!(refused.scim_error(403, ""), why);
            }
            let bulk = json!({"schemas": [BULK], "Operations": [{"method": "DELETE", "path": path}]});
            let done = connection.post("/Bulk", bulk).expect(200);
            assert_eq!(done["Operations"][0]["status"], json!("403"));
        }
        assert_eq!(admin.get("/v1/agents/ci").expect(200).body, expected);
        // One name, whoever gives it.
        idp.post("/Agents", agent("Ci")).scim_error(409, "uniqueness");
        let taken = admin.post("/v1/agents", json!({"name": "DEPLOY"}));
        assert_eq!(taken.problem(409, "name_taken"), "an agent is named DEPLOY already");
        let listed = admin.get("/v1/agents").expect(200);
        let origin = |one: &Value| json!([one["id"], one["origin"], one["connection"], one["live"]]);
        let origins: Vec<Value> = listed["agents"].as_array().unwrap().iter().map(origin).collect();
        assert_eq!(origins, [json!([id, "admin", null, true]), json!([own, "scim", "default", false])]);
        let (first, rest) = (admin.get("/v1/agents?count=1").expect(200), |cursor: &Value| {
            admin.get(&format!("/v1/agents?cursor={}", cursor.as_str().unwrap())).expect(200)
        });
        assert_eq!(rest(&first["next"])["agents"], json!([listed["agents"][1]]));
        nobody_elsewhere_knows(app, &id);
    });
}

/// Another tenant knows nothing of the agent.
fn nobody_elsewhere_knows(app: &TestApp, id: &str) {
    let (_, stranger) = app.tenant("second");
    stranger.get(&format!("/v1/agents/{id}")).problem(404, "not_found");
    stranger.delete("/v1/agents/ci").problem(404, "not_found");
    assert_eq!(stranger.get("/v1/agents").expect(200).body, json!({"agents": [], "next": null}));
}

#[test]
fn the_keys_of_an_admins_agent_work_as_long_as_somebody_answers_for_it() {
    for_each_app(|app| {
        let (idp, admin) = (app.idp(), app.admin());
        let [mira, rolf] = ["mira@example.com", "rolf@example.com"].map(|name| hire(app, name));
        let ci = admin.post("/v1/agents", json!({"name": "ci"})).expect(201);
        // Nobody answers for it yet.
        assert_eq!((&ci["live"], &ci["sponsors"]), (&json!(false), &json!([])));
        let refused = admin.post("/v1/keys", json!({"owner": {"type": "agent", "id": ci.id()}}));
        assert_eq!(refused.problem(409, "owner_not_active"), format!("the owner {} has no live sponsor", ci.id()));
        let sponsored = |names: Value| admin.put("/v1/agents/ci", json!({"sponsors": names})).expect(200);
        assert_eq!(sponsored(json!([mira, rolf]))["live"], json!(true));
        let (key, id) = issue(app, &ci.id());
        assert!(key.starts_with("krs_"));
        let answer = admin.post("/v1/verify", json!({"key": key})).expect(200);
        assert_eq!(answer["owner"], json!({"type": "agent", "id": ci.id(), "name": "ci"}));
        assert_eq!(app.with_key(&key).get("/Me").expect(200).id(), ci.id());
        idp.patch(&format!("/Users/{mira}"), replace("active", false)).expect(200);
        assert_eq!(app.verify(&key), "VALID");
        idp.delete(&format!("/Users/{rolf}")).expect(204);
        assert_eq!(app.verify(&key), "OWNER_INACTIVE");
        assert_eq!(
            admin.get("/v1/agents/ci").expect(200)["sponsors"],
            json!([
            {"id": mira, "name": "mira@example.com", "live": false}])
        );
        // The operator, whom no identity provider knows, may answer for it.
        let by_operator = sponsored(json!(["operator"]));
        assert_eq!((&by_operator["live"], &by_operator["sponsors"][0]["name"]), (&json!(true), &json!("operator")));
        assert_eq!(app.verify(&key), "VALID");
        let operator = by_operator["sponsors"][0]["id"].clone();
        assert_eq!(idp.get(&format!("/Agents/{}", ci.id())).expect(200)["owners"][0]["value"], operator);
        let own = and(agent("deploy"), json!({"owners": [{"value": operator}]}));
        assert_ne!(idp.post("/Agents", own).body["owners"][0]["value"], operator);

        admin.post("/v1/agents/ci/suspend", json!({"reason": "incident"})).expect(200);
        assert_eq!(app.verify(&key), "OWNER_INACTIVE");
        admin.post("/v1/agents/ci/suspend", json!({"reason": "An incident"})).problem(422, "invalid");
        let active = admin.post("/v1/agents/ci/activate", json!({})).expect(200);
        assert_eq!((&active["live"], app.verify(&key)), (&json!(true), "VALID".to_owned()));
        admin.delete("/v1/agents/ci").expect(204);
        assert_eq!(app.verify(&key), "REVOKED");
        admin.get("/v1/agents/ci").problem(404, "not_found");
        idp.get(&format!("/Agents/{}", ci.id())).scim_error(404, "");
        let shown = admin.get(&format!("/v1/keys/{id}")).expect(200);
        assert_eq!((&shown["status"], &shown["revoke_reason"]), (&json!("revoked"), &json!("owner_deleted")));
        // Its name is free.
        assert_ne!(admin.post("/v1/agents", json!({"name": "ci"})).expect(201).id(), ci.id());
        let mut actions = app.actions();
        actions.retain(|action| action.starts_with("agent.") || action.starts_with("principal."));
        let expected = [
            "agent.created",
            "agent.replaced",
            "principal.suspended",
            "agent.patched",
            "agent.replaced",
            // The provider's own, without the owner whom it does not know.
            "agent.created",
            "principal.suspended",
            "principal.activated",
            "agent.deleted",
            "agent.created",
        ];
        actions.dedup();
        assert_eq!(actions, expected);
    });
}

#[test]
fn an_admin_says_what_an_agent_is_and_no_more() {
    for_each_app(|app| {
        let (idp, admin) = (app.idp(), app.admin());
        let mira = hire(app, "mira@example.com");
        let ci = admin.post("/v1/agents", json!({"name": "ci", "description": "Builds"})).expect(201).id();
        let renamed = admin.put(&format!("/v1/agents/{ci}"), json!({"name": "builds", "sponsors": [mira, mira]}));
        let renamed = renamed.expect(200);
        assert_eq!((&renamed["name"], &renamed["description"]), (&json!("builds"), &Value::Null));
        assert_eq!(renamed["sponsors"].as_array().unwrap().len(), 1);
        admin.get("/v1/agents/ci").problem(404, "not_found");
        assert_eq!(idp.get(&format!("/Agents/{ci}")).expect(200)["meta"]["version"], json!("W/\"2\""));
        let nobody = app.id(100);
        for (body, pointer, detail) in [
            (
                json!({"name": "x", "sponsors": ["nobody", mira, nobody]}),
                "/sponsors/0",
                format!("sponsors: no user has the id or userName nobody, {nobody}"),
            ),
            (
                json!({"name": "x", "sponsors": [mira, ci]}),
                "/sponsors/1",
                format!("sponsors: no user has the id or userName {ci}"),
            ),
            (
                json!({"name": "x", "sponsors": "mira"}),
                "/sponsors",
                "sponsors: expected an array of at most 100".to_owned(),
            ),
            (json!({}), "/name", "name: is required".to_owned()),
            (json!({"name": ""}), "/name", "name: is required".to_owned()),
            (
                json!({"name": "keyroll:x"}),
                "/name",
                "name: no id, without blanks around it, and not beginning with keyroll:".to_owned(),
            ),
            (
                json!({"name": nobody}),
                "/name",
                "name: no id, without blanks around it, and not beginning with keyroll:".to_owned(),
            ),
            (json!({"name": "x", "active": false}), "/active", "active: no such member".to_owned()),
        ] {
            let refused = admin.post("/v1/agents", body.clone());
            assert_eq!(
                (refused.problem(422, "invalid"), &refused["pointer"]),
                (detail.as_str(), &json!(pointer)),
                "{body}"
            );
        }
        // What an identity provider made is changed there; suspended and deleted it is here, too.
        let deploy = idp.post("/Agents", and(agent("deploy"), json!({"owners": [{"value": mira}]}))).expect(201).id();
        let refused = admin.put("/v1/agents/deploy", json!({"sponsors": []}));
        assert_eq!(
            refused.problem(409, "not_of_an_admin"),
            "an identity provider made this agent: it is changed there"
        );
        let (key, _) = issue(app, &deploy);
        admin.post("/v1/agents/deploy/suspend", json!({})).expect(200);
        idp.patch(&format!("/Agents/{deploy}"), replace("displayName", "x")).expect(200);
        assert_eq!(app.verify(&key), "OWNER_INACTIVE");
        admin.delete("/v1/agents/deploy").expect(204);
        assert_eq!(app.verify(&key), "REVOKED");
        admin.get("/v1/agents/operator").problem(404, "not_found");
        admin.delete(&format!("/v1/agents/{mira}")).problem(404, "not_found");
    });
}

#[test]
fn nobody_else_is_meant_by_the_operators_name() {
    for_each_app(|app| {
        let admin = app.admin();
        let sponsor = |name: &str, of: &str| {
            let made = admin.post("/v1/agents", json!({"name": name, "sponsors": [of]})).expect(201);
            made["sponsors"][0]["id"].as_str().unwrap().to_owned()
        };
        let operator = sponsor("first", "operator");
        let other = hire(app, "Operator");
        for (n, name) in ["operator", "Operator", "OPERATOR"].into_iter().enumerate() {
            assert_eq!(sponsor(&format!("bot{n}"), name), operator, "{name}");
        }
        assert_eq!(sponsor("last", &other), other);
    });
}
