//! `GET /v1/users/{id}/access`, as admins read it.

use chrono::TimeDelta;
use insta::assert_snapshot;
use serde_json::json;

use super::catalogue::billing;
use crate::support::app::*;

#[test]
fn every_reason_is_named() {
    for_each_app(|app| {
        billing(app);
        let (idp, admin) = (app.idp(), app.admin());
        admin.post("/v1/roles", json!({"name": "clerk", "includes": ["billing.viewer"]})).expect(201);
        let mira = idp.post("/Users", user("mira@example.com")).expect(201).id();
        let inner = idp.post("/Groups", group("Finance Berlin", &[&mira])).expect(201).id();
        app.clock.advance(TimeDelta::minutes(1));
        idp.post("/Groups", group("Finance", &[&inner])).expect(201);
        app.clock.advance(TimeDelta::minutes(1));
        let mapping = json!({"role": "clerk", "source": {"group": {"displayName": "FINANCE"}}});
        admin.post("/v1/mappings", mapping).expect(201);
        let person =
            json!({"person": {"type": "user", "id": mira}, "reason": "on call", "expires_at": "2026-01-06T00:00:00Z"});
        admin.post("/v1/mappings", json!({"role": "billing.viewer", "source": person})).expect(201);
        assert_snapshot!(admin.get(&format!("/v1/users/{mira}/access")), @r#"
            200
            {
              "principal": {"type":"user","id":"019b8d62-7a80-7000-8000-000000000008"},
              "live": true,
              "roles": [
                {
                  "role": "billing.viewer",
                  "reasons": [
                    {
                      "mapping": "019b8d64-4f40-7000-8000-00000000000b",
                      "source": "group",
                      "via": ["clerk"],
                      "path": [
                        {"id":"019b8d63-64e0-7000-8000-00000000000a","displayName":"Finance"},
                        {"id":"019b8d62-7a80-7000-8000-000000000009","displayName":"Finance Berlin"}
                      ],
                      "direct": false,
                      "since": "2026-01-05T09:02:00.000000Z",
                      "until": null
                    },
                    {
                      "mapping": "019b8d64-4f40-7000-8000-00000000000c",
                      "source": "person",
                      "since": "2026-01-05T09:02:00.000000Z",
                      "until": "2026-01-06T00:00:00.000Z"
                    }
                  ]
                },
                {
                  "role": "clerk",
                  "reasons": [
                    {
                      "mapping": "019b8d64-4f40-7000-8000-00000000000b",
                      "source": "group",
                      "path": [
                        {"id":"019b8d63-64e0-7000-8000-00000000000a","displayName":"Finance"},
                        {"id":"019b8d62-7a80-7000-8000-000000000009","displayName":"Finance Berlin"}
                      ],
                      "direct": false,
                      "since": "2026-01-05T09:02:00.000000Z",
                      "until": null
                    }
                  ]
                }
              ],
              "permissions": ["billing:invoices:read"],
              "as_of_seq": 14
            }
            "#);
    });
}

#[test]
fn a_grant_runs_out_by_itself() {
    for_each_app(|app| {
        billing(app);
        let admin = app.admin();
        let mira = app.idp().post("/Users", user("mira@example.com")).expect(201).id();
        let person =
            json!({"person": {"type": "user", "id": mira}, "reason": "x", "expires_at": "2026-01-06T00:00:00Z"});
        admin.post("/v1/mappings", json!({"role": "billing.viewer", "source": person})).expect(201);
        let permissions = || admin.get(&format!("/v1/users/{mira}/access")).expect(200)["permissions"].clone();
        app.clock.advance(TimeDelta::minutes(899));
        assert_eq!(permissions(), json!(["billing:invoices:read"]));
        let again = |end: &str| {
            let mut source = person.clone();
            source["expires_at"] = json!(end);
            admin.post("/v1/mappings", json!({"role": "billing.viewer", "source": source}))
        };
        again("2026-01-07T00:00:00Z").problem(409, "already_exists");
        app.clock.advance(TimeDelta::minutes(1));
        assert_eq!(permissions(), json!([]));
        // One that ran out stands in nobody's way.
        again("2026-01-07T00:00:00Z").expect(201);
        assert_eq!(permissions(), json!(["billing:invoices:read"]));
        let actions = app.actions();
        assert_eq!(actions[actions.len() - 2..], ["mapping.deleted", "mapping.created"]);
        app.clock.advance(TimeDelta::hours(24));
        assert_eq!(permissions(), json!([]));
        admin.get(&format!("/v1/agents/{mira}/access")).problem(404, "not_found");
        admin.get(&format!("/v1/users/{}/access", app.id(99))).problem(404, "not_found");
        admin.get(&format!("/v1/users/{mira}/access?at=yesterday")).problem(400, "malformed");
        let early = admin.get(&format!("/v1/users/{mira}/access?at=2026-01-05T08:59:59Z"));
        let first = "at: before the first record, which is of 2026-01-05T09:00:00.000Z";
        assert_eq!(early.problem(422, "invalid"), first);
    });
}

#[test]
fn a_key_of_another_tenant_sees_nobody() {
    let app = TestApp::sqlite();
    let mira = app.idp().post("/Users", user("mira@example.com")).expect(201).id();
    let (_, other) = app.tenant("second");
    other.get(&format!("/v1/users/{mira}/access")).problem(404, "not_found");
}

#[test]
fn ways_that_nobody_can_count_hide_nothing() {
    for_each_app(|app| {
        billing(app);
        let (idp, admin) = (app.idp(), app.admin());
        admin.post("/v1/apis", json!({"name": "shop", "permissions": [{"name": "orders:read"}]})).expect(201);
        admin.post("/v1/roles", json!({"name": "shop.viewer", "permissions": ["shop:orders:read"]})).expect(201);
        let mira = idp.post("/Users", user("mira@example.com")).expect(201).id();
        // 2^101 ways up, each longer than what is climbed for further ones.
        let mut inner = vec![mira.clone()];
        for step in 0..102 {
            let members: Vec<&str> = inner.iter().map(String::as_str).collect();
            let names = [format!("step {step} a"), format!("step {step} b")];
            inner = names.map(|name| idp.post("/Groups", group(&name, &members)).expect(201).id()).to_vec();
        }
        idp.post("/Groups", group("Finance", &[&mira])).expect(201);
        let map = |role: &str, group: &str| {
            admin.post("/v1/mappings", json!({"role": role, "source": {"group": {"displayName": group}}})).expect(201);
        };
        map("billing.viewer", "step 101 b");
        map("shop.viewer", "Finance");
        let access = admin.get(&format!("/v1/users/{mira}/access")).expect(200);
        let paths: Vec<(&str, usize)> = access["roles"]
            .as_array()
            .unwrap()
            .iter()
            .map(|role| {
                assert_eq!(role["reasons"].as_array().unwrap().len(), 1);
                (role["role"].as_str().unwrap(), role["reasons"][0]["path"].as_array().unwrap().len())
            })
            .collect();
        assert_eq!(paths, [("billing.viewer", 102), ("shop.viewer", 1)]);
        assert_eq!(access["permissions"], json!(["billing:invoices:read", "shop:orders:read"]));
        assert_eq!(access["truncated"], json!(true));
        let asked = json!({"principal": {"type": "user", "id": mira}, "permission": "billing:invoices:read"});
        let explained = admin.post("/v1/access/explain", asked).expect(200);
        assert_eq!((&explained["allowed"], &explained["truncated"]), (&json!(true), &json!(true)));
        assert_eq!(explained["detail"], json!("given by role billing.viewer"));
        assert_eq!(explained["reasons"][0]["path"], access["roles"][0]["reasons"][0]["path"]);
        let held = admin.get("/v1/roles/billing.viewer/holders").expect(200);
        assert_eq!(held["holders"][0]["reasons"], access["roles"][0]["reasons"]);
        assert_eq!(held["holders"][0]["truncated"], json!(true));
    });
}

#[test]
fn long_names_on_many_ways_are_not_listed_without_end() {
    for_each_app(|app| {
        billing(app);
        let (idp, admin) = (app.idp(), app.admin());
        let mira = idp.post("/Users", user("mira@example.com")).expect(201).id();
        let mut inner = vec![mira.clone()];
        for step in 0..12 {
            let members: Vec<&str> = inner.iter().map(String::as_str).collect();
            let names = ["a", "b"].map(|end| format!("{} {step} {end}", "x".repeat(10_000)));
            inner = names.map(|name| idp.post("/Groups", group(&name, &members)).expect(201).id()).to_vec();
        }
        let source = json!({"group": {"id": inner[0]}});
        admin.post("/v1/mappings", json!({"role": "billing.viewer", "source": source})).expect(201);
        let access = admin.get(&format!("/v1/users/{mira}/access")).expect(200);
        // Of 2^11 ways of 12 groups each.
        let listed = access["roles"][0]["reasons"].as_array().unwrap().len();
        assert_eq!((listed, &access["truncated"]), (81, &json!(true)));
    });
}
