//! From joining to leaving: what identity changes do to keys.

mod returns;

use chrono::TimeDelta;
use insta::assert_snapshot;
use keyroll::service::keys::Owner;
use serde_json::{Value, json};

use crate::support::app::*;

#[test]
fn a_joiner_gets_a_key_and_a_leaver_loses_it() {
    for_each_app(|app| {
        let (idp, admin) = (app.idp(), app.admin());
        let created = idp.post("/Users", and(user("mira@example.com"), json!({"externalId": "00u1"})));
        assert_eq!((created.status, created.header("etag")), (201, "W/\"1\""));
        assert_eq!(created.header("location"), format!("https://keyroll.example/scim/v2/Users/{}", app.id(8)));
        assert_eq!((&created["active"], &created["externalId"]), (&json!(true), &json!("00u1")));
        let mira = format!("/Users/{}", created.id());

        let owner = json!({"type": "user", "id": created.id()});
        let issued = admin.post("/v1/keys", json!({"name": "laptop", "owner": owner}));
        assert_snapshot!(issued, @r#"
            201
            {
              "id": "019b8d62-7a80-7000-8000-000000000009",
              "name": "laptop",
              "display": "kru_PtgZ…",
              "class": "u",
              "owner": {"type":"user","id":"019b8d62-7a80-7000-8000-000000000008","name":"mira@example.com"},
              "status": "active",
              "reasons": [],
              "grant": null,
              "created_at": "2026-01-05T09:00:00.000Z",
              "expires_at": "2026-04-05T09:00:00.000Z",
              "revoked_at": null,
              "revoke_reason": null,
              "revoke_note": null,
              "key": "kru_PtgZdxmXhZLz_ornGyn9SOc8LqvBpKjPSVrwfktfWRbmTDvsHkPiGM1R2l1CYl"
            }
            "#);
        let key = issued["key"].as_str().unwrap();
        assert_eq!(app.verify(key), "VALID");

        let left = idp.patch(&mira, replace("active", "False")).expect(200);
        assert_eq!((&left["active"], left.header("keyroll-tolerance")), (&json!(false), "entra-002"));
        assert_eq!(app.verify(key), "OWNER_INACTIVE");
        app.with_key(key).get("/v1/whoami").problem(401, "unauthenticated");
        let held = admin.get(&format!("/v1/keys/{}", issued.id())).expect(200);
        assert_eq!((&held["status"], &held["reasons"]), (&json!("owner_inactive"), &json!(["owner_suspended"])));

        idp.patch(&mira, replace("active", true)).expect(200);
        assert_eq!(app.verify(key), "VALID");

        assert_snapshot!(idp.delete(&mira), @"204");
        assert_eq!(app.verify(key), "REVOKED");
        idp.get(&mira).scim_error(404, "");
        let dead = admin.get(&format!("/v1/keys/{}", issued.id())).expect(200);
        assert_eq!((&dead["status"], &dead["revoke_reason"]), (&json!("revoked"), &json!("owner_deleted")));
        assert_eq!(
            app.actions(),
            [
                "user.created",
                "credential.issued",
                "user.patched",
                "principal.suspended",
                "user.patched",
                "principal.activated",
                "user.deleted",
                "credential.revoked"
            ]
        );
    });
}

/// A user with a key that works.
fn hire(app: &TestApp, name: &str) -> (String, String) {
    let id = app.idp().post("/Users", user(name)).expect(201).id();
    let key = app.issue(&id);
    assert_eq!(app.verify(&key), "VALID");
    (id, key)
}

#[test]
fn whatever_says_inactive_stops_the_keys_a11() {
    for_each_app(|app| {
        let idp = app.idp();
        let bodies = |id: &str| {
            let path = format!("/Users/{id}");
            let pathless = |value: Value| patch(json!([{"op": "replace", "value": value}]));
            let put = |active: Value| and(user(&format!("{id}@example.com")), json!({"active": active}));
            let in_bulk = |method: &str, data: Value| {
                bulk(json!([{"method": method, "path": format!("/Users/{id}"), "data": data}]))
            };
            vec![
                ("PATCH", path.clone(), replace("active", false)),
                ("PATCH", path.clone(), replace("active", "False")),
                ("PATCH", path.clone(), replace("active", "false")),
                ("PATCH", path.clone(), replace("ACTIVE", "FALSE")),
                ("PATCH", path.clone(), replace(&format!("{USER}:active"), false)),
                ("PATCH", path.clone(), replace("active", Value::Null)),
                ("PATCH", path.clone(), replace("active", "")),
                ("PATCH", path.clone(), add("active", false)),
                ("PATCH", path.clone(), remove("active")),
                ("PATCH", path.clone(), patch(json!([{"op": "Replace", "path": "active", "value": "False"}]))),
                ("PATCH", path.clone(), pathless(json!({"active": false}))),
                ("PATCH", path.clone(), pathless(json!({"Active": "False"}))),
                ("PATCH", path.clone(), pathless(json!({USER: {"active": false}}))),
                ("PATCH", path.clone(), patch(json!([{"op": "add", "value": {"active": false}}]))),
                (
                    "PATCH",
                    path.clone(),
                    patch(json!([
                        {"op": "replace", "path": "active", "value": false}, {"op": "add", "path": "title", "value": "x"}
                    ])),
                ),
                ("PUT", path.clone(), put(json!(false))),
                ("PUT", path.clone(), put(json!("False"))),
                ("PUT", path.clone(), put(Value::Null)),
                ("PUT", path, put(json!(""))),
                ("POST", "/Bulk".to_owned(), in_bulk("PATCH", replace("active", false))),
                ("POST", "/Bulk".to_owned(), in_bulk("PUT", put(json!(false)))),
            ]
        };
        for n in 0..bodies("").len() {
            let (id, key) = hire(app, &format!("u{n}@example.com"));
            let (method, path, body) = bodies(&id).swap_remove(n);
            let answer = idp.send(method, &path, &[], body.to_string()).expect(200);
            assert_eq!(app.verify(&key), "OWNER_INACTIVE", "{method} {body} {answer}");
            let stored = idp.get(&format!("/Users/{id}")).expect(200);
            assert_ne!(stored["active"], json!(true), "{method} {body}");
            let reactivated = replace("active", true);
            idp.patch(&format!("/Users/{id}"), reactivated).expect(200);
            assert_eq!(app.verify(&key), "VALID", "{method} {body}");
        }
        // What is no boolean is refused, and nothing has changed.
        let (id, key) = hire(app, "last@example.com");
        for odd in [json!("not"), json!(-1), json!([5, 6]), json!({"value": "away"})] {
            let refused = idp.patch(&format!("/Users/{id}"), replace("active", odd));
            assert!(refused.scim_error(400, "invalidValue").contains("active"), "{refused}");
        }
        let stale = idp.send(
            "PATCH",
            &format!("/Users/{id}"),
            &[("if-match", "W/\"9\"")],
            replace("active", false).to_string(),
        );
        stale.scim_error(412, "");
        assert_eq!(app.verify(&key), "VALID");
    });
}

#[test]
fn who_is_created_inactive_gets_no_key() {
    for_each_app(|app| {
        let idp = app.idp();
        for (n, active) in [json!(false), json!("False"), Value::Null, json!("")].into_iter().enumerate() {
            let name = format!("u{n}@example.com");
            let id = idp.post("/Users", and(user(&name), json!({"active": active}))).expect(201).id();
            let owner = json!({"owner": {"type": "user", "id": id}});
            let refused = app.admin().post("/v1/keys", owner.clone());
            assert_eq!(refused.problem(409, "owner_not_active"), format!("the owner {id} is not live"));
            idp.patch(&format!("/Users/{id}"), replace("active", true)).expect(200);
            app.admin().post("/v1/keys", owner).expect(201);
        }
    });
}

#[test]
fn keys_expire() {
    for_each_app(|app| {
        let (_, key) = hire(app, "mira@example.com");
        // The admin's own key has the same lifetime: another one asks.
        let watch = app.issue_on_host(Owner::Operator, &["keyroll:keys:verify", "keyroll:keys:read"]);
        app.clock.advance(TimeDelta::days(90) - TimeDelta::milliseconds(1));
        assert_eq!(app.verify(&key), "VALID");
        app.with_key(&key).get("/v1/whoami").expect(200);
        app.clock.advance(TimeDelta::milliseconds(1));
        app.with_key(&key).get("/v1/whoami").problem(401, "unauthenticated");
        app.admin().get("/v1/whoami").problem(401, "unauthenticated");
        app.with_key(&watch).get("/v1/whoami").problem(401, "unauthenticated");
        let watch = app.with_key(&app.issue_on_host(Owner::Operator, &[]));
        assert_eq!(watch.post("/v1/verify", json!({"key": key})).expect(200)["code"], json!("EXPIRED"));
        let record = watch.get(&format!("/v1/keys/{}", app.id_of(&key))).expect(200);
        assert_eq!(record["status"], json!("expired"));
    });
}

#[test]
fn a_rename_keeps_the_keys() {
    for_each_app(|app| {
        let (id, key) = hire(app, "mira@example.com");
        app.idp().patch(&format!("/Users/{id}"), replace("userName", "mira.married@example.com")).expect(200);
        assert_eq!(app.verify(&key), "VALID");
        assert_eq!(app.admin().get(&format!("/v1/users/{id}")).expect(200)["name"], json!("mira.married@example.com"));
    });
}

#[test]
fn a_row_that_sql_edits_is_a_dead_key_a24() {
    for_each_app(|app| {
        let (mira, _) = hire(app, "mira@example.com");
        let tampered = |set: String| {
            let key = app.issue(&mira);
            let id = app.bytes(&app.id_of(&key));
            // It was used: what the server remembers of it must go, too.
            app.with_key(&key).get("/v1/whoami").expect(200);
            app.sql(&format!("UPDATE credentials SET {set} WHERE id = {id}"));
            (app.verify(&key), app.with_key(&key).get("/v1/whoami").status)
        };
        let other = app.bytes(&app.idp().post("/Users", user("other@example.com")).expect(201).id());
        let refused = ("NOT_FOUND".to_owned(), 401);
        assert_eq!(tampered("name = 'a name decides nothing'".to_owned()), ("VALID".to_owned(), 200));
        assert_eq!(tampered(format!("owner = {other}")), refused);
        assert_eq!(tampered("expires_at = expires_at + 1".to_owned()), refused);
        assert_eq!(tampered("permissions = '[\"keyroll:*:*\"]'".to_owned()), refused);
        assert_eq!(tampered("reasons = '[\"x\"]'".to_owned()), refused);
        assert_eq!(tampered("version = 2".to_owned()), refused);
        assert_eq!(tampered("created_at = 0".to_owned()), refused);
        assert_eq!(tampered("class = 'p'".to_owned()), refused);
        assert_eq!(tampered("selector = '000000000000'".to_owned()), refused);

        let key = app.issue(&mira);
        let id = app.bytes(&app.id_of(&key));
        app.admin().post(&format!("/v1/keys/{}/revoke", app.id_of(&key)), json!({})).expect(200);
        app.sql(&format!("UPDATE credentials SET revoked_at = NULL, revoke_reason = NULL WHERE id = {id}"));
        assert_eq!(app.verify(&key), "NOT_FOUND");
    });
}

#[test]
fn a_key_of_another_tenant_is_not_found() {
    for_each_app(|app| {
        let (mira, key) = hire(app, "mira@example.com");
        let (idp, admin) = app.tenant("second");
        let answer = admin.post("/v1/verify", json!({"key": key})).expect(200);
        assert_eq!(answer.body, json!({"valid": false, "code": "NOT_FOUND"}));
        let unknown = "kru_5O7UZ5TRLXub_YeAEAEZK2zeeFLbQTun4fpp8cNXf3Yk4Cd2CnJhdBID3Lm1t4";
        assert_eq!(admin.post("/v1/verify", json!({"key": unknown})).expect(200).text, answer.text);
        admin.get(&format!("/v1/keys/{}", app.id_of(&key))).problem(404, "not_found");
        admin.post(&format!("/v1/keys/{}/revoke", app.id_of(&key)), json!({})).problem(404, "not_found");
        admin.post(&format!("/v1/users/{mira}/suspend"), json!({})).problem(404, "not_found");
        assert_eq!(admin.get("/v1/users").expect(200)["users"].as_array().unwrap().len(), 2);
        // The name is free there, and the resource is not to be seen.
        idp.post("/Users", user("mira@example.com")).expect(201);
        for answer in [idp.get(&format!("/Users/{mira}")), idp.delete(&format!("/Users/{mira}"))] {
            assert_eq!(answer.scim_error(404, ""), "not found");
        }
        assert_eq!(app.verify(&key), "VALID");
    });
}

#[test]
fn records_name_ids_and_paths() {
    for_each_app(|app| {
        let idp = app.idp();
        let body =
            and(user("mira@example.com"), json!({"name": {"givenName": "Mira"}, ENTERPRISE: {"department": "R&D"}}));
        let mira = idp.post("/Users", body).expect(201).id();
        idp.patch(&format!("/Users/{mira}"), replace(&format!("{ENTERPRISE}:department"), "Sales")).expect(200);
        let team = idp.post("/Groups", group("team", &[&mira])).expect(201).id();
        let log = app.log();
        let shown: Vec<Value> = log.iter().map(|r| json!([r["action"], r["subject"]["id"], r["change"]])).collect();
        let department = format!("{ENTERPRISE}:department");
        assert_eq!(
            shown,
            [
                json!(["user.created", mira, {"paths": ["schemas", "userName", "name", "active", department]}]),
                json!(["user.patched", mira, {"paths": [department]}]),
                json!(["group.created", team, {"paths": ["schemas", "displayName"], "added": [mira]}]),
            ]
        );
        assert_eq!(log[0]["request"]["route"], json!("/scim/v2/{endpoint}"));
        assert_eq!(log[0]["request"]["id"], json!("request-0001"));
        assert!(!json!(log).to_string().contains("Sales"));
    });
}
