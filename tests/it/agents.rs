//! Agents: machine identities.

use keyroll::scim::tolerance::Dialect;
use keyroll::service::keys::Owner;
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
        assert_eq!(refused.problem(422, "invalid"), "the agent of a connection owns provisioning keys only");
        assert_eq!(refused["pointer"], json!("/owner/id"));
        admin.post("/v1/keys", json!({"owner": {"type": "user", "id": id}})).problem(422, "invalid");
        let another = app.with_key(&app.issue_on_host(Owner::Connection("default".to_owned()), &[]));
        assert_eq!(another.get("/v1/whoami").expect(200)["owner"]["id"], json!(id));
        another.post("/Users", user("mira@example.com")).expect(201);
    });
}

#[test]
fn sponsors_are_users_of_the_tenant() {
    for_each_app(|app| {
        let idp = app.connect(Dialect::Rfc);
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

/// An agent of these sponsors.
fn sponsored(app: &TestApp, name: &str, by: &[&str]) -> String {
    let owners: Vec<Value> = by.iter().map(|id| json!({"value": id})).collect();
    app.idp().post("/Agents", and(agent(name), json!({"owners": owners}))).expect(201).id()
}

/// A key that the admin issues to an agent.
fn issue(app: &TestApp, id: &str) -> Answer {
    app.admin().post("/v1/keys", json!({"owner": {"type": "agent", "id": id}, "name": "ci"}))
}

#[test]
fn a_key_of_an_agent_proves_who_it_is() {
    for_each_app(|app| {
        let mira = app.idp().post("/Users", user("mira@example.com")).expect(201).id();
        let deploy = sponsored(app, "deploy", &[&mira]);
        let issued = issue(app, &deploy).expect(201);
        assert_eq!((&issued["class"], &issued["reasons"]), (&json!("s"), &json!([])));
        let key = issued["key"].as_str().unwrap();
        assert!(key.len() == 66 && key.starts_with("krs_"), "{key}");
        let answer = app.admin().post("/v1/verify", json!({"key": key})).expect(200);
        let named = json!({"type": "agent", "id": deploy, "name": "deploy"});
        let expires_at = issued["expires_at"].clone();
        assert_eq!(
            answer.body,
            json!({"valid": true, "code": "VALID", "key_id": issued.id(), "owner": named, "expires_at": expires_at})
        );
        let owner = json!({"type": "agent", "id": deploy});
        let holder = app.with_key(key);
        assert_eq!(holder.get("/v1/whoami").expect(200)["owner"], owner);
        assert_eq!(holder.get("/Me").expect(200)["name"], json!("deploy"));
        holder.get("/v1/keys").problem(403, "forbidden");
        holder.patch("/Me", replace("active", false)).scim_error(403, "");
        holder.post("/Users", user("tom@example.com")).scim_error(403, "");
        // Under another prefix it is another key.
        assert_eq!(app.verify(&key.replace("krs_", "kru_")), "NOT_FOUND");
        let wrong = json!({"owner": {"type": "user", "id": deploy}});
        assert_eq!(app.admin().post("/v1/keys", wrong).expect(422)["pointer"], json!("/owner/id"));
        // Of another tenant nobody issues to it, or knows its key.
        let (_, stranger) = app.tenant("second");
        let foreign = json!({"owner": {"type": "agent", "id": deploy}});
        assert_eq!(stranger.post("/v1/keys", foreign).expect(422)["pointer"], json!("/owner/id"));
        let unknown = stranger.post("/v1/verify", json!({"key": key})).expect(200);
        assert_eq!(unknown.body, json!({"valid": false, "code": "NOT_FOUND"}));
        app.idp().delete(&format!("/Agents/{deploy}")).expect(204);
        assert_eq!(app.verify(key), "REVOKED");
        let dead = app.admin().get(&format!("/v1/keys/{}", issued.id())).expect(200);
        assert_eq!((&dead["revoke_reason"], &dead["reasons"]), (&json!("owner_deleted"), &json!([])));
    });
}

/// Works, and is remembered to work: asked by whoever verifies, and by the key itself.
#[track_caller]
fn expect(app: &TestApp, key: &str, code: &str) {
    let status = if code == "VALID" { 200 } else { 401 };
    for _ in 0..2 {
        assert_eq!((app.verify(key).as_str(), app.with_key(key).get("/v1/whoami").status), (code, status));
    }
}

#[test]
fn a_key_of_an_agent_stops_with_its_last_live_sponsor() {
    for_each_app(|app| {
        let (idp, admin) = (app.idp(), app.admin());
        let [mira, rolf] =
            ["mira@example.com", "rolf@example.com"].map(|name| idp.post("/Users", user(name)).expect(201).id());
        let deploy = sponsored(app, "deploy", &[&mira, &rolf]);
        let path = format!("/Agents/{deploy}");
        let issued = issue(app, &deploy).expect(201);
        let key = issued["key"].as_str().unwrap();
        let reasons = || {
            let read = admin.get(&format!("/v1/keys/{}", issued.id())).expect(200);
            let listed = admin.get(&format!("/v1/keys?owner={deploy}")).expect(200);
            assert_eq!(listed["keys"][0], read.body);
            let works = read["reasons"] == json!([]);
            assert_eq!(read["status"], json!(if works { "active" } else { "owner_inactive" }));
            read["reasons"].clone()
        };
        let active = |id: &str, on: bool| _ = idp.patch(&format!("/Users/{id}"), replace("active", on)).expect(200);
        expect(app, key, "VALID");
        active(&mira, false);
        expect(app, key, "VALID");
        admin.post(&format!("/v1/users/{rolf}/suspend"), json!({})).expect(200);
        expect(app, key, "OWNER_INACTIVE");
        assert_eq!(reasons(), json!(["owner_orphaned"]));
        issue(app, &deploy).problem(409, "owner_not_active");
        idp.patch(&path, replace("active", false)).expect(200);
        assert_eq!(reasons(), json!(["owner_suspended", "owner_orphaned"]));
        idp.patch(&path, replace("active", true)).expect(200);
        active(&mira, true);
        expect(app, key, "VALID");
        assert_eq!(reasons(), json!([]));
        // Taken out of `owners`, and put back.
        idp.patch(&path, remove(&format!("owners[value eq \"{mira}\"]"))).expect(200);
        expect(app, key, "OWNER_INACTIVE");
        idp.patch(&path, add("owners", json!([{"value": mira}]))).expect(200);
        expect(app, key, "VALID");
        // By Bulk, and in one job with what brings it back.
        let set =
            |on: bool| json!({"method": "PATCH", "path": format!("/Users/{mira}"), "data": replace("active", on)});
        idp.post("/Bulk", bulk(json!([set(false)]))).expect(200);
        expect(app, key, "OWNER_INACTIVE");
        idp.post("/Bulk", bulk(json!([set(true)]))).expect(200);
        expect(app, key, "VALID");
        // Deleted: the key is only orphaned, and works again for another sponsor.
        idp.delete(&format!("/Users/{mira}")).expect(204);
        expect(app, key, "OWNER_INACTIVE");
        assert_eq!(reasons(), json!(["owner_orphaned"]));
        let tom = idp.post("/Users", user("tom@example.com")).expect(201).id();
        idp.patch(&path, add("owners", json!([{"value": tom}]))).expect(200);
        expect(app, key, "VALID");
        let job = json!([{"method": "DELETE", "path": format!("/Users/{tom}")}]);
        idp.post("/Bulk", bulk(job)).expect(200);
        expect(app, key, "OWNER_INACTIVE");
        // Nobody edited the key for any of this.
        let revoked = app.actions().into_iter().filter(|action| action.starts_with("credential."));
        assert_eq!(revoked.collect::<Vec<_>>(), ["credential.issued"]);
    });
}

#[test]
fn nobody_issues_to_an_agent_without_a_live_sponsor() {
    for_each_app(|app| {
        let mira = app.idp().post("/Users", user("mira@example.com")).expect(201).id();
        let orphan = sponsored(app, "orphan", &[]);
        let detail = format!("the owner {orphan} has no live sponsor");
        assert_eq!(issue(app, &orphan).problem(409, "owner_not_active"), detail);
        let held = sponsored(app, "held", &[&mira]);
        app.admin().post(&format!("/v1/users/{held}/suspend"), json!({})).expect(200);
        assert_eq!(issue(app, &held).problem(409, "owner_not_active"), format!("the owner {held} is not live"));
        assert!(!app.actions().contains(&"credential.issued".to_owned()));
    });
}
