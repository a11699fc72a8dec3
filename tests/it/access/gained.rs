//! What an identity provider writes makes no passing permission of Keyroll a lasting one: a second way to what
//! somebody holds already is refused like the first.

use chrono::TimeDelta;
use keyroll::domain::clock::Clock;
use serde_json::{Value, json};

use super::keys::key;
use super::protect::refused_naming;
use crate::support::app::*;

const READ: &str = "keyroll:users:read";
const MANAGER: &str = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:manager";

#[track_caller]
fn refused(app: &TestApp, method: &str, path: &str, body: Value) {
    refused_naming(app, method, path, body, &[READ]);
}

/// A role that reads users, which the connection may assert.
fn ops(app: &TestApp) {
    let ops = json!({"name": "ops", "permissions": [READ], "assertable_by": ["default"]});
    app.admin().post("/v1/roles", ops).expect(201);
}

fn map(app: &TestApp, source: Value) -> String {
    app.admin().post("/v1/mappings", json!({"role": "ops", "source": source})).expect(201).id()
}

/// A grant that an admin gave for an hour, and the key that lives by it.
fn passing(app: &TestApp, kind: &str, id: &str) {
    let until = (app.clock.now() + TimeDelta::hours(1)).to_rfc3339();
    map(app, json!({"person": {"type": kind, "id": id}, "reason": "for an hour", "expires_at": until}));
}

/// Every source of which an identity provider writes something, each giving the same.
fn ways(app: &TestApp) {
    ops(app);
    map(app, json!({"rule": "title eq \"CISO\""}));
    map(app, json!({"rule": format!("userName sw \"rep\" and not ({MANAGER} pr)")}));
    map(app, json!({"rule": "emails[type eq \"work\" and value ew \"@hq.example\"]"}));
    for (attribute, value) in [("roles", "ops"), ("entitlements", "ops")] {
        map(app, json!({"asserted": {"attribute": attribute, "value": value}}));
    }
    map(app, json!({"group": {"displayName": "Ops"}}));
    map(app, json!({"group": {"externalId": "ops-1"}}));
}

#[test]
fn x1_a_passing_grant_stays_passing() {
    for_each_app(|app| {
        let idp = app.idp();
        ways(app);
        let mira = idp.post("/Users", user("mira@example.com")).expect(201).id();
        let path = format!("/Users/{mira}");
        passing(app, "user", &mira);
        let key = key(app, &mira, &[READ]);
        let reads = || app.with_key(&key).get("/v1/users").status;
        assert_eq!(reads(), 200);
        let ops = json!([{"value": "ops"}]);
        let hq = json!([{"type": "work", "value": "mira@hq.example"}]);
        let whole = |more: Value| and(user("mira@example.com"), more);
        for (method, body) in [
            ("PATCH", replace("title", "CISO")),
            ("PATCH", replace("roles", ops.clone())),
            ("PATCH", add("entitlements", ops.clone())),
            ("PATCH", patch(json!([{"op": "add", "value": {"title": "ciso"}}]))),
            ("PATCH", add("emails", hq.clone())),
            ("PUT", whole(json!({"title": "CISO"}))),
            ("PUT", whole(json!({"roles": ops, "emails": hq}))),
        ] {
            refused(app, method, &path, body.clone());
            let job = bulk(json!([{"method": method, "path": path, "data": body}]));
            assert_eq!(idp.post("/Bulk", job).expect(200)["Operations"][0]["status"], json!("403"), "{body}");
        }
        // What gives nothing of the kind passes, what is there stays there, and less is less.
        idp.patch(&path, replace("title", "CTO")).expect(200);
        assert_eq!(reads(), 200);
        app.clock.advance(TimeDelta::minutes(61));
        assert_eq!(reads(), 403);
        assert_eq!(app.verify(&key), "VALID");
        let access = app.admin().get(&format!("/v1/users/{mira}/access")).expect(200);
        assert_eq!((&access["roles"], &access["permissions"]), (&json!([]), &json!([])));
    });
}

#[test]
fn x1_one_mapping_is_not_exchanged_for_another() {
    for_each_app(|app| {
        let idp = app.idp();
        ops(app);
        let mira = idp.post("/Users", and(user("mira@example.com"), json!({"title": "CTO"}))).expect(201).id();
        let path = format!("/Users/{mira}");
        // An admin made her one by this rule: another rule is another way.
        map(app, json!({"rule": "title eq \"CTO\""}));
        map(app, json!({"rule": "title eq \"CISO\""}));
        refused(app, "PATCH", &path, replace("title", "CISO"));
        // The same way, written otherwise, is no new one.
        idp.patch(&path, replace("title", "cto")).expect(200);
        idp.patch(&path, replace("title", "Clerk")).expect(200);
        refused(app, "PATCH", &path, replace("title", "CTO"));
    });
}

#[test]
fn x1_groups_give_no_second_way() {
    for_each_app(|app| {
        let idp = app.idp();
        ops(app);
        let mira = idp.post("/Users", user("mira@example.com")).expect(201).id();
        passing(app, "user", &mira);
        let inner = idp.post("/Groups", group("Inner", &[&mira])).expect(201).id();
        let outer = idp.post("/Groups", group("Outer", &[&inner])).expect(201).id();
        let other = idp.post("/Groups", group("Other", &[])).expect(201).id();
        // Who is in it may do so already, and is in another way now.
        map(app, json!({"group": {"id": outer}}));
        map(app, json!({"group": {"displayName": "Ops"}}));
        map(app, json!({"group": {"externalId": "ops-1"}}));
        map(app, json!({"group": {"id": other}}));
        let (inner, other) = (format!("/Groups/{inner}"), format!("/Groups/{other}"));
        refused(app, "PATCH", &inner, replace("displayName", "Ops"));
        refused(app, "PATCH", &inner, replace("externalId", "ops-1"));
        refused(app, "PUT", &inner, group("OPS", &[&mira]));
        refused(app, "PATCH", &other, add("members", json!([{"value": mira}])));
        refused(app, "PUT", &other, group("Other", &[&mira]));
        refused(app, "POST", "/Groups", group("Ops", &[&mira]));
        refused(app, "POST", "/Groups", and(group("New", &[]), json!({"externalId": "ops-1"})));
        idp.patch(&inner, remove("members")).expect(200);
        refused(app, "PATCH", &inner, add("members", json!([{"value": mira}])));
        idp.delete(&inner).expect(204);
    });
}

#[test]
fn x1_losing_a_manager_gives_no_second_way() {
    for_each_app(|app| {
        let idp = app.idp();
        ways(app);
        let boss = idp.post("/Users", user("boss@example.com")).expect(201).id();
        let new = json!({"schemas": [USER, ENTERPRISE], ENTERPRISE: {"manager": {"value": boss}}});
        let rep = idp.post("/Users", and(user("rep@example.com"), new)).expect(201).id();
        passing(app, "user", &rep);
        let path = format!("/Users/{boss}");
        refused(app, "DELETE", &path, Value::Null);
        refused(app, "PATCH", &format!("/Users/{rep}"), remove(MANAGER));
        refused(app, "PUT", &format!("/Users/{rep}"), user("rep@example.com"));
        // The leaver leaves all the same.
        let key = app.issue(&boss);
        idp.patch(&path, replace("active", false)).expect(200);
        assert_eq!(app.verify(&key), "OWNER_INACTIVE");
    });
}

#[test]
fn x1_an_agent_gains_no_second_way_and_no_second_life() {
    for_each_app(|app| {
        let idp = app.idp();
        ways(app);
        let mira = idp.post("/Users", user("mira@example.com")).expect(201).id();
        let tom = idp.post("/Users", user("tom@example.com")).expect(201).id();
        let owners = json!({"owners": [{"value": mira}, {"value": tom}]});
        let deploy = idp.post("/Agents", and(agent("deploy"), owners)).expect(201).id();
        idp.patch(&format!("/Users/{tom}"), replace("active", false)).expect(200);
        passing(app, "agent", &deploy);
        let path = format!("/Agents/{deploy}");
        refused(app, "PATCH", &path, replace("roles", json!([{"value": "ops"}])));
        refused(app, "PATCH", &path, add("entitlements", json!([{"value": "OPS"}])));
        // A sponsor comes back, and an agent that is inactive does not.
        idp.patch(&path, replace("active", false)).expect(200);
        idp.patch(&format!("/Users/{tom}"), replace("active", true)).expect(200);
        refused(app, "PATCH", &path, replace("active", true));
        idp.patch(&path, remove("owners")).expect(200);
    });
}

#[test]
fn a_group_that_gives_by_its_external_id_is_only_reduced() {
    for_each_app(|app| {
        let idp = app.idp();
        ops(app);
        let mira = idp.post("/Users", user("mira@example.com")).expect(201).id();
        let tom = idp.post("/Users", user("tom@example.com")).expect(201).id();
        let named = and(group("Any", &[&mira]), json!({"externalId": "ops-1"}));
        let group_id = idp.post("/Groups", named).expect(201).id();
        let id = map(app, json!({"group": {"externalId": "ops-1"}}));
        let path = format!("/Groups/{group_id}");
        refused(app, "PATCH", &path, add("members", json!([{"value": tom}])));
        let both = and(group("Any", &[&mira, &tom]), json!({"externalId": "ops-1"}));
        refused(app, "PUT", &path, both);
        // Less is less, and the record says what it is less of.
        idp.patch(&path, remove("members")).expect(200);
        let last = app.log().pop().unwrap();
        assert_eq!((&last["change"]["mappings"], &last["change"]["roles"]), (&json!([id]), &json!(["ops"])));
        refused(app, "PATCH", &path, add("members", json!([{"value": mira}])));
    });
}
