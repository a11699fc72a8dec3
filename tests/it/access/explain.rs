//! `POST /v1/access/explain`: yes with the chain, or the nearest miss.

use chrono::TimeDelta;
use insta::assert_snapshot;
use serde_json::{Value, json};

use super::catalogue::billing;
use crate::support::app::*;

const READ: &str = "billing:invoices:read";

/// Asks about a user.
fn ask(app: &TestApp, id: &str, permission: &str) -> Answer {
    let body = json!({"principal": {"type": "user", "id": id}, "permission": permission});
    app.admin().post("/v1/access/explain", body).expect(200)
}

fn detail(app: &TestApp, id: &str, permission: &str) -> String {
    let answer = ask(app, id, permission);
    assert_eq!((&answer["allowed"], &answer["reasons"]), (&json!(false), &json!([])), "{answer}");
    answer["detail"].as_str().unwrap().to_owned()
}

fn map(app: &TestApp, role: &str, source: Value) -> String {
    app.admin().post("/v1/mappings", json!({"role": role, "source": source})).expect(201).id()
}

#[test]
fn yes_and_no_say_why() {
    for_each_app(|app| {
        billing(app);
        let idp = app.idp();
        let mira = idp.post("/Users", user("mira@example.com")).expect(201).id();
        let missing = "would need role billing.viewer; no mapping gives it";
        assert_eq!(detail(app, &mira, READ), format!("{missing}: map the user alone to it"));
        app.admin().post("/v1/roles", json!({"name": "clerk", "includes": ["billing.viewer"]})).expect(201);
        map(app, "billing.viewer", json!({"rule": "userType eq \"Employee\""}));
        map(app, "clerk", json!({"group": {"displayName": "Finance"}}));
        assert_snapshot!(ask(app, &mira, READ), @r#"
            200
            {
              "allowed": false,
              "permission": "billing:invoices:read",
              "principal": {"type":"user","id":"019b8d62-7a80-7000-8000-000000000008"},
              "live": true,
              "reasons": [],
              "nearest": {
                "role": "billing.viewer",
                "by": [
                  {
                    "mapping": "019b8d62-7a80-7000-8000-00000000000a",
                    "source": {"group":{"displayName":"Finance"}}
                  },
                  {
                    "mapping": "019b8d62-7a80-7000-8000-000000000009",
                    "source": {"rule":"userType eq \"Employee\""}
                  }
                ]
              },
              "detail": "would need role billing.viewer; group Finance would give it",
              "as_of_seq": 12
            }
            "#);
        idp.post("/Groups", group("finance", &[&mira])).expect(201);
        assert_snapshot!(ask(app, "MIRA@example.com", READ), @r#"
            200
            {
              "allowed": true,
              "permission": "billing:invoices:read",
              "principal": {"type":"user","id":"019b8d62-7a80-7000-8000-000000000008"},
              "live": true,
              "reasons": [
                {
                  "role": "billing.viewer",
                  "mapping": "019b8d62-7a80-7000-8000-00000000000a",
                  "source": "group",
                  "via": ["clerk"],
                  "path": [{"id":"019b8d62-7a80-7000-8000-00000000000b","displayName":"finance"}],
                  "direct": true,
                  "since": "2026-01-05T09:00:00.000000Z",
                  "until": null
                }
              ],
              "nearest": null,
              "detail": "given by role billing.viewer",
              "as_of_seq": 13
            }
            "#);
    });
}

#[test]
fn a_mapping_that_could_be_made_is_named() {
    for_each_app(|app| {
        billing(app);
        let idp = app.idp();
        let mira = idp.post("/Users", user("mira@example.com")).expect(201).id();
        let inner = idp.post("/Groups", group("Berlin", &[&mira])).expect(201).id();
        idp.post("/Groups", group("Finance", &[&inner])).expect(201);
        idp.post("/Groups", group("Sales", &[&mira])).expect(201);
        let answer = ask(app, &mira, READ);
        let detail = "would need role billing.viewer; no mapping gives it: \
                      map group Berlin or group Sales or the user alone to it";
        assert_eq!(answer["detail"], json!(detail));
        let person = json!({"person": {"type": "user", "id": mira}});
        let could = json!([{"group": {"displayName": "Berlin"}}, {"group": {"displayName": "Sales"}}, person]);
        assert_eq!(answer["nearest"], json!({"role": "billing.viewer", "by": [], "could_map": could}));
        // Each of them is what a mapping is made of.
        map(app, "billing.viewer", could[1].clone());
        assert_eq!(ask(app, &mira, READ)["allowed"], json!(true));
    });
}

#[test]
fn the_past_is_explained() {
    for_each_app(|app| {
        billing(app);
        let idp = app.idp();
        let mira = idp.post("/Users", user("mira@example.com")).expect(201).id();
        app.clock.advance(TimeDelta::minutes(1));
        map(app, "billing.viewer", json!({"rule": "title eq \"Clerk\""}));
        idp.patch(&format!("/Users/{mira}"), replace("title", "Clerk")).expect(200);
        app.clock.advance(TimeDelta::days(1));
        idp.patch(&format!("/Users/{mira}"), replace("active", false)).expect(200);
        app.clock.advance(TimeDelta::minutes(1));
        idp.delete(&format!("/Users/{mira}")).expect(204);
        let then = |at: &str| {
            let body = json!({"principal": {"type": "user", "id": mira}, "permission": READ, "at": at});
            let answer = app.admin().post("/v1/access/explain", body).expect(200);
            (answer["allowed"].clone(), answer["detail"].as_str().unwrap().to_owned())
        };
        let no = |detail: &str| (json!(false), detail.to_owned());
        // Nothing could be mapped any more.
        assert_eq!(then("2026-01-05T09:00:30Z"), no("would need role billing.viewer; no mapping gives it"));
        assert_eq!(then("2026-01-05T09:01:00Z"), (json!(true), "given by role billing.viewer".to_owned()));
        // A date is its end.
        assert_eq!(then("2026-01-05"), (json!(true), "given by role billing.viewer".to_owned()));
        assert_eq!(then("2026-01-06T09:01:30Z"), no("is not live: it is not active"));
        let gone = "is not live: it was deleted; would need role billing.viewer; no mapping gives it";
        assert_eq!(then("2026-01-06"), no(gone));
        let body = |at: &str| json!({"principal": {"type": "user", "id": mira}, "permission": READ, "at": at});
        for bad in ["yesterday", "2025-12-31"] {
            let answer = app.admin().post("/v1/access/explain", body(bad));
            answer.problem(422, "invalid");
            assert_eq!(answer["pointer"], json!("/at"), "{answer}");
        }
    });
}

#[test]
fn what_is_missing_is_named() {
    for_each_app(|app| {
        billing(app);
        let mira = app.idp().post("/Users", user("mira@example.com")).expect(201).id();
        let finance = app.idp().post("/Groups", group("finance", &[])).expect(201).id();
        app.admin().post("/v1/apis", json!({"name": "open", "open": true})).expect(201);
        app.admin().post("/v1/roles", json!({"name": "writer", "permissions": ["open:x:y"]})).expect(201);
        map(app, "writer", json!({"group": {"id": finance}}));
        assert_eq!(detail(app, &mira, "open:x:y"), "would need role writer; group finance would give it");
        assert_eq!(detail(app, &mira, "open:x:z"), "no role gives it");
        assert_eq!(detail(app, &mira, "billing:invoices:write"), "no api registers billing:invoices:write");
        // A pattern in a role makes nothing known that no api registers.
        let admin = ask(app, "operator", "keyroll:users:write");
        assert_eq!((&admin["allowed"], &admin["detail"]), (&json!(true), &json!("given by role keyroll.admin")));
        assert_eq!(detail(app, "operator", "keyroll:nothing:read"), "no api registers keyroll:nothing:read");
    });
}

#[test]
fn who_is_not_live_is_told_so_first() {
    for_each_app(|app| {
        billing(app);
        let idp = app.idp();
        let mira = idp.post("/Users", user("mira@example.com")).expect(201).id();
        let tom = idp.post("/Users", user("tom@example.com")).expect(201).id();
        map(app, "billing.viewer", json!({"group": {"displayName": "Finance"}}));
        idp.post("/Groups", group("Finance", &[&mira])).expect(201);
        app.admin().post(&format!("/v1/users/{mira}/suspend"), json!({})).expect(200);
        let answer = ask(app, &mira, READ);
        assert_eq!((&answer["live"], &answer["nearest"]), (&json!(false), &json!(null)));
        assert_eq!(detail(app, &mira, READ), "is not live: a hold suspends it, which an admin lifts");
        idp.patch(&format!("/Users/{tom}"), replace("active", false)).expect(200);
        assert_eq!(
            detail(app, &tom, READ),
            "is not live: it is not active; would need role billing.viewer; group Finance would give it"
        );
        idp.delete(&format!("/Users/{tom}")).expect(204);
        assert_eq!(
            detail(app, &tom, READ),
            "is not live: it was deleted; would need role billing.viewer; no mapping gives it"
        );
        let bot = idp.post("/Agents", agent("bot")).expect(201).id();
        let body = json!({"principal": {"type": "agent", "id": bot}, "permission": READ});
        let answer = app.admin().post("/v1/access/explain", body).expect(200);
        assert_eq!(
            answer["detail"],
            json!("is not live: it has no live sponsor; would need role billing.viewer; group Finance would give it")
        );
    });
}

#[test]
fn what_cannot_be_explained() {
    let app = TestApp::sqlite();
    billing(&app);
    let mira = app.idp().post("/Users", user("mira@example.com")).expect(201).id();
    let good = || json!({"principal": {"type": "user", "id": mira}, "permission": READ});
    for (body, pointer) in [
        (json!({}), "/principal"),
        (and(good(), json!({"extra": 1})), "/extra"),
        (and(good(), json!({"principal": {"type": "key", "id": mira}})), "/principal/type"),
        (and(good(), json!({"principal": {"type": "user"}})), "/principal/id"),
        (and(good(), json!({"permission": "billing:invoices"})), "/permission"),
        (and(good(), json!({"permission": "billing:*:read"})), "/permission"),
    ] {
        let answer = app.admin().post("/v1/access/explain", body);
        answer.problem(422, "invalid");
        assert_eq!(answer["pointer"], json!(pointer), "{answer}");
    }
    let (_, other) = app.tenant("second");
    other.post("/v1/access/explain", good()).problem(404, "not_found");
    let as_agent = and(good(), json!({"principal": {"type": "agent", "id": mira}}));
    app.admin().post("/v1/access/explain", as_agent).problem(404, "not_found");
    let nobody = and(good(), json!({"principal": {"type": "user", "id": "nobody@example.com"}}));
    app.admin().post("/v1/access/explain", nobody).problem(404, "not_found");
    app.idp().post("/v1/access/explain", good()).problem(403, "forbidden");
    assert!(app.actions().iter().all(|action| !action.starts_with("access.")));
}
