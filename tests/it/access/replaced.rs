//! `PUT /v1/mappings/{id}`: a mapping becomes another one under its id, and whoever holds by it goes on holding.

use chrono::TimeDelta;
use keyroll::service::keys::Owner;
use serde_json::{Value, json};

use super::catalogue::billing;
use crate::support::app::*;

fn grant(role: &str, id: &str, reason: &str, end: &str) -> Value {
    let end = if end.is_empty() { Value::Null } else { json!(end) };
    json!({"role": role, "source": {"person": {"type": "user", "id": id}, "reason": reason, "expires_at": end}})
}

fn mira(app: &TestApp) -> String {
    app.idp().post("/Users", user("mira@example.com")).expect(201).id()
}

/// Roles, and of the first reason of the first the mapping, since and until when.
fn held(app: &TestApp, id: &str, query: &str) -> Value {
    let access = app.admin().get(&format!("/v1/users/{id}/access{query}")).expect(200);
    let roles: Vec<&Value> = access["roles"].as_array().unwrap().iter().map(|one| &one["role"]).collect();
    let reason = &access["roles"][0]["reasons"][0];
    json!([roles, reason["mapping"], reason["since"], reason["until"]])
}

/// The action and the details of the last record.
fn last(app: &TestApp) -> Value {
    let record = app.log().last().unwrap().clone();
    json!([record["action"], record["subject"]["id"], record["change"]])
}

#[test]
fn a_mapping_is_edited_in_place() {
    for_each_app(|app| {
        billing(app);
        let (admin, mira) = (app.admin(), mira(app));
        admin.post("/v1/roles", json!({"name": "clerk", "permissions": ["billing:invoices:read"]})).expect(201);
        let id = admin.post("/v1/mappings", grant("clerk", &mira, "trial", "2026-01-05T10:00:00Z")).expect(201).id();
        let path = format!("/v1/mappings/{id}");
        let snapshot = || admin.get("/v1/mappings").expect(200);
        let began = snapshot();
        let made = "2026-01-05T09:00:00.000000Z";
        // It is extended: held by the same grant, since the same moment.
        app.clock.advance(TimeDelta::minutes(10));
        let done = admin.put(&path, grant("clerk", &mira, "hired", "2026-02-01T00:00:00Z")).expect(200);
        let source = json!({"person": {"type": "user", "id": mira}, "reason": "hired",
            "expires_at": "2026-02-01T00:00:00.000Z"});
        let shown = json!({"id": id, "role": "clerk", "permissions": ["billing:invoices:read"], "source": source});
        assert_eq!(done.shown(), shown);
        assert_eq!(admin.get(&path).expect(200).body, shown);
        let details = json!({"role": "clerk", "source": "person", "principal": mira, "paths": ["source"]});
        assert_eq!(last(app), json!(["mapping.replaced", id, details]));
        let extended = snapshot();
        assert_ne!(extended.header("etag"), began.header("etag"));
        assert_eq!(extended.header("etag"), done.header("etag"));
        assert!(extended["mappings"].as_array().unwrap().contains(&shown), "{extended}");
        // What was read is what may be sent: the same again is nothing.
        let same = json!({"id": id, "role": "clerk", "source": source});
        assert_eq!(admin.put(&path, same).expect(200).header("etag"), done.header("etag"));
        assert_eq!((last(app)[2].clone(), snapshot().text), (details, extended.text));
        // Another role: that is held since now.
        app.clock.advance(TimeDelta::minutes(10));
        admin.put(&path, grant("billing.viewer", &mira, "hired", "")).expect(200);
        let details = json!({"role": "billing.viewer", "role_before": "clerk", "source": "person", "principal": mira,
            "paths": ["role", "source"]});
        assert_eq!(last(app), json!(["mapping.replaced", id, details]));
        app.clock.advance(TimeDelta::minutes(10));
        let (clerk, viewer) = (json!(["clerk"]), json!(["billing.viewer"]));
        let moved = "2026-01-05T09:20:00.000000Z";
        assert_eq!(held(app, &mira, ""), json!([viewer, id, moved, null]));
        assert_eq!(held(app, &mira, "?at=2026-01-05T09:20:00Z"), json!([viewer, id, moved, null]));
        let extended = json!([clerk, id, made, "2026-02-01T00:00:00.000Z"]);
        assert_eq!(held(app, &mira, "?at=2026-01-05T09:19:59Z"), extended);
        assert_eq!(held(app, &mira, "?at=2026-01-05T09:10:00Z"), extended);
        let first = json!([clerk, id, made, "2026-01-05T10:00:00.000Z"]);
        assert_eq!(held(app, &mira, "?at=2026-01-05T09:09:59Z"), first);
        let holders = |role: &str| admin.get(&format!("/v1/roles/{role}/holders")).expect(200)["holders"].clone();
        assert_eq!((holders("clerk"), &holders("billing.viewer")[0]["principal"]["id"]), (json!([]), &json!(mira)));
        let told = admin.get("/v1/changes?kind=mapping.replaced").expect(200);
        assert_eq!(told["changes"].as_array().unwrap().len(), 2, "{told}");
        admin.delete("/v1/roles/clerk").expect(204);
        admin.delete(&path).expect(204);
        assert_eq!(held(app, &mira, ""), json!([[], null, null, null]));
    });
}

#[test]
fn whom_it_means_may_be_others() {
    for_each_app(|app| {
        billing(app);
        let (admin, mira) = (app.admin(), mira(app));
        app.idp().post("/Groups", group("Finance", &[&mira])).expect(201);
        let role = |source: Value| json!({"role": "billing.viewer", "source": source});
        let rule = role(json!({"rule": "userName sw \"mira\""}));
        let path = format!("/v1/mappings/{}", admin.post("/v1/mappings", rule).expect(201).id());
        let since = || held(app, &mira, "")[2].clone();
        assert_eq!(since(), json!("2026-01-05T09:00:00.000000Z"));
        // Meant by another rule, she is meant since now.
        app.clock.advance(TimeDelta::minutes(1));
        admin.put(&path, role(json!({"rule": "userName co \"mira\""}))).expect(200);
        assert_eq!(since(), json!("2026-01-05T09:01:00.000000Z"));
        app.clock.advance(TimeDelta::minutes(1));
        admin.put(&path, role(json!({"group": {"displayName": "Finance"}}))).expect(200);
        assert_eq!(since(), json!("2026-01-05T09:02:00.000000Z"));
        let details =
            json!({"role": "billing.viewer", "source": "group", "source_before": "rule", "paths": ["source"]});
        assert_eq!(last(app)[2], details);
        assert_eq!(admin.get("/v1/mappings").expect(200)["mappings"][1]["groups"][0]["displayName"], json!("Finance"));
        admin.put(&path, grant("billing.viewer", &mira, "x", "")).expect(200);
        admin.put(&path, role(json!({"group": {"displayName": "Nobody"}}))).expect(200);
        let details = json!({"role": "billing.viewer", "source": "group", "source_before": "person",
            "principal_before": mira, "paths": ["source"]});
        assert_eq!(last(app)[2], details);
        assert_eq!(held(app, &mira, "")[0], json!([]));
        assert_eq!(held(app, &mira, "?at=2026-01-05T09:01:30Z")[2], json!("2026-01-05T09:01:00.000000Z"));
    });
}

#[test]
fn a_grant_that_ran_out_begins_anew() {
    for_each_app(|app| {
        billing(app);
        let (admin, mira) = (app.admin(), mira(app));
        let end = |end: &str| grant("billing.viewer", &mira, "x", end);
        let id = admin.post("/v1/mappings", end("2026-01-05T09:10:00Z")).expect(201).id();
        let path = format!("/v1/mappings/{id}");
        app.clock.advance(TimeDelta::minutes(10));
        assert_eq!(held(app, &mira, "")[0], json!([]));
        // At the moment at which it ends: there is no gap.
        admin.put(&path, end("2026-01-05T09:20:00Z")).expect(200);
        assert_eq!(held(app, &mira, "")[2], json!("2026-01-05T09:00:00.000000Z"));
        app.clock.advance(TimeDelta::minutes(11));
        admin.put(&path, end("2026-01-05T10:00:00Z")).expect(200);
        assert_eq!(held(app, &mira, "")[2], json!("2026-01-05T09:21:00.000000Z"));
        assert_eq!(held(app, &mira, "?at=2026-01-05T09:20:30Z")[0], json!([]));
        assert_eq!(held(app, &mira, "?at=2026-01-05T09:19:30Z")[2], json!("2026-01-05T09:00:00.000000Z"));
    });
}

#[test]
fn one_that_ran_out_makes_room() {
    for_each_app(|app| {
        billing(app);
        let (admin, mira) = (app.admin(), mira(app));
        admin.post("/v1/roles", json!({"name": "clerk"})).expect(201);
        let old = admin.post("/v1/mappings", grant("clerk", &mira, "x", "2026-01-05T09:10:00Z")).expect(201).id();
        let id = admin.post("/v1/mappings", grant("billing.viewer", &mira, "x", "")).expect(201).id();
        let path = format!("/v1/mappings/{id}");
        let records = app.log().len();
        let refused = admin.put(&path, grant("clerk", &mira, "y", ""));
        assert_eq!(refused.problem(409, "already_exists"), format!("mapping {old} is there already"));
        assert_eq!(app.log().len(), records);
        app.clock.advance(TimeDelta::minutes(10));
        admin.put(&path, grant("clerk", &mira, "y", "")).expect(200);
        let actions: Vec<Value> = app.log()[records..].iter().map(|record| record["action"].clone()).collect();
        assert_eq!(actions, ["mapping.deleted", "mapping.replaced"]);
        admin.get(&format!("/v1/mappings/{old}")).problem(404, "not_found");
        assert_eq!(held(app, &mira, "")[0], json!(["clerk"]));
    });
}

#[test]
fn replacements_that_break_the_rules() {
    for_each_app(|app| {
        billing(app);
        let (admin, mira) = (app.admin(), mira(app));
        let id = admin.post("/v1/mappings", grant("billing.viewer", &mira, "x", "")).expect(201).id();
        let path = format!("/v1/mappings/{id}");
        let (before, records) = (admin.get(&path).expect(200), app.log().len());
        let good = grant("billing.viewer", &mira, "y", "");
        let role = |source: Value| json!({"role": "billing.viewer", "source": source});
        for (body, pointer) in [
            (json!({}), "/role"),
            (json!({"role": "billing.viewer"}), "/source"),
            (grant("none", &mira, "x", ""), "/role"),
            (grant("billing.viewer", &app.id(99), "x", ""), "/source/person/id"),
            (grant("billing.viewer", &mira, "", ""), "/source/reason"),
            (grant("billing.viewer", &mira, "y", "2026-01-05T09:00:00Z"), "/source/expires_at"),
            (and(good.clone(), json!({"id": app.id(99)})), "/id"),
            (and(good.clone(), json!({"permissions": []})), "/permissions"),
            (role(json!({"group": {"id": app.id(99)}})), "/source/group/id"),
            (role(json!({"rule": "title eq"})), "/source/rule"),
            (role(json!({"asserted": {"attribute": "roles", "value": "x"}})), "/role"),
            (role(json!({"group": {"displayName": "x"}, "reason": "x"})), "/source/reason"),
        ] {
            let answer = admin.put(&path, body.clone());
            answer.problem(422, "invalid");
            assert_eq!(answer["pointer"], json!(pointer), "{body}: {answer}");
        }
        assert_eq!(
            admin.put(&format!("{path}?dry_run=true"), good.clone()).problem(400, "malformed"),
            "dry_run: no parameter of this"
        );
        admin.put("/v1/mappings/x", good.clone()).problem(404, "not_found");
        admin.put(&format!("/v1/mappings/{}", app.id(99)), good.clone()).problem(404, "not_found");
        let (_, other) = app.tenant("second");
        other.put(&path, good).problem(404, "not_found");
        // The way back in stays, whatever is said of it.
        let access = admin.get("/v1/users/operator/access").expect(200);
        let operator = access["principal"]["id"].as_str().unwrap();
        let way_back = format!("/v1/mappings/{}", access["roles"][0]["reasons"][0]["mapping"].as_str().unwrap());
        for body in [
            grant("keyroll.auditor", operator, "x", ""),
            grant("keyroll.admin", &mira, "x", ""),
            grant("keyroll.admin", operator, "x", "2027-01-01T00:00:00Z"),
            json!({"role": "keyroll.admin", "source": {"rule": "title pr"}}),
        ] {
            let detail = "the operator stays an admin: it is the way back in";
            assert_eq!(admin.put(&way_back, body).problem(409, "in_use"), detail);
        }
        assert_eq!(app.log().len(), records);
        assert_eq!(admin.get(&path).expect(200).text, before.text);
        admin.put(&way_back, grant("keyroll.admin", operator, "on call", "")).expect(200);
        assert_eq!(admin.get("/v1/users/operator/access").expect(200)["permissions"], json!(["keyroll:*:*"]));
    });
}

#[test]
fn nobody_gives_or_takes_what_it_does_not_hold() {
    for_each_app(|app| {
        billing(app);
        let (admin, mira) = (app.admin(), mira(app));
        let clerk = app.with_key(&app.issue_on_host(Owner::Operator, &["keyroll:mappings:write", "keyroll:keys:read"]));
        admin.post("/v1/roles", json!({"name": "keys", "permissions": ["keyroll:keys:read"]})).expect(201);
        let new = |role: &str| {
            format!("/v1/mappings/{}", admin.post("/v1/mappings", grant(role, &mira, "x", "")).expect(201).id())
        };
        let (plain, auditor, keys) = (new("billing.viewer"), new("keyroll.auditor"), new("keys"));
        let records = app.log().len();
        let lacks =
            |role: &str, permission: &str| format!("role {role} gives {permission}, which the caller does not hold");
        for (path, role, reason, detail) in [
            (&plain, "keyroll.admin", "x", lacks("keyroll.admin", "keyroll:*:*")),
            (&keys, "keyroll.admin", "x", lacks("keyroll.admin", "keyroll:*:*")),
            (&auditor, "billing.viewer", "x", lacks("keyroll.auditor", "keyroll:*:read")),
            (&auditor, "keyroll.auditor", "y", lacks("keyroll.auditor", "keyroll:*:read")),
        ] {
            assert_eq!(clerk.put(path, grant(role, &mira, reason, "")).problem(403, "forbidden"), detail);
        }
        assert_eq!(app.log().len(), records);
        admin.delete(&plain).expect(204);
        clerk.put(&keys, grant("billing.viewer", &mira, "x", "")).expect(200);
        clerk.put(&keys, grant("keys", &mira, "x", "")).expect(200);
    });
}
