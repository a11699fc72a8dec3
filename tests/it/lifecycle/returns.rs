//! Who comes back: when keys work again, and when they never do.

use chrono::TimeDelta;
use insta::assert_snapshot;
use serde_json::{Value, json};

use super::hire;
use crate::support::app::*;

#[test]
fn put_without_active_keeps_the_state() {
    for_each_app(|app| {
        let idp = app.idp();
        let (id, key) = hire(app, "mira@example.com");
        let path = format!("/Users/{id}");
        let put = || and(user("mira@example.com"), json!({"title": "Dr"}));
        assert_eq!(idp.put(&path, put()).expect(200)["active"], json!(true));
        assert_eq!(app.verify(&key), "VALID");
        idp.patch(&path, replace("active", false)).expect(200);
        let kept = idp.put(&path, and(put(), json!({"title": "Prof"}))).expect(200);
        assert_eq!((&kept["active"], &kept["title"]), (&json!(false), &json!("Prof")));
        assert_eq!(app.verify(&key), "OWNER_INACTIVE");
        // Unassigned, too, is a state that a PUT without `active` keeps.
        idp.patch(&path, remove("active")).expect(200);
        assert_eq!(idp.put(&path, put()).expect(200)["active"], Value::Null);
        assert_eq!(app.verify(&key), "OWNER_INACTIVE");
    });
}

#[test]
fn the_window_for_reactivation_closes_after_seven_days() {
    for_each_app(|app| {
        let idp = app.idp();
        let (early, early_key) = hire(app, "early@example.com");
        let (late, late_key) = hire(app, "late@example.com");
        for id in [&early, &late] {
            idp.patch(&format!("/Users/{id}"), replace("active", false)).expect(200);
        }
        app.clock.advance(TimeDelta::days(7) - TimeDelta::milliseconds(1));
        assert_eq!(app.verify(&early_key), "OWNER_INACTIVE");
        idp.patch(&format!("/Users/{early}"), replace("active", true)).expect(200);
        assert_eq!(app.verify(&early_key), "VALID");

        app.clock.advance(TimeDelta::milliseconds(1));
        assert_eq!(app.verify(&late_key), "REVOKED");
        let record = app.admin().get(&format!("/v1/keys/{}", app.id_of(&late_key))).expect(200);
        assert_eq!(record["status"], json!("revoked"));
        idp.patch(&format!("/Users/{late}"), replace("active", true)).expect(200);
        assert_eq!(app.verify(&late_key), "REVOKED");
        let record = app.admin().get(&format!("/v1/keys/{}", app.id_of(&late_key))).expect(200);
        assert_eq!(
            (&record["revoke_reason"], &record["revoked_at"]),
            (&json!("reactivation_window_elapsed"), &json!("2026-01-12T09:00:00.000Z"))
        );
        // It is live again, and may have a new one.
        assert_eq!(app.verify(&app.issue(&late)), "VALID");
        let revoked = &app.log()[app.log().len() - 2];
        assert_eq!(
            (&revoked["action"], &revoked["change"]),
            (&json!("credential.revoked"), &json!({"owner": late, "reason": "reactivation_window_elapsed"}))
        );
    });
}

#[test]
fn the_window_is_not_renewed_by_suspending_again() {
    for_each_app(|app| {
        let (id, key) = hire(app, "mira@example.com");
        let path = format!("/Users/{id}");
        app.idp().patch(&path, replace("active", false)).expect(200);
        app.clock.advance(TimeDelta::days(5));
        app.admin().post(&format!("/v1/users/{id}/suspend"), json!({})).expect(200);
        app.idp().patch(&path, remove("active")).expect(200);
        app.clock.advance(TimeDelta::days(2));
        assert_eq!(app.verify(&key), "REVOKED");
    });
}

#[test]
fn an_admins_hold_is_lifted_by_an_admin_only() {
    for_each_app(|app| {
        let (idp, admin) = (app.idp(), app.admin());
        let (id, key) = hire(app, "mira@example.com");
        let path = format!("/Users/{id}");
        let held = admin.post(&format!("/v1/users/{id}/suspend"), json!({"reason": "investigation"})).expect(200);
        assert_eq!(held.shown(), admin.get(&format!("/v1/users/{id}")).expect(200).body);
        let held = admin.get(&format!("/v1/users/{id}"));
        assert_snapshot!(held, @r#"
            200
            {
              "id": "019b8d62-7a80-7000-8000-000000000008",
              "type": "user",
              "name": "mira@example.com",
              "origin": "scim",
              "live": false,
              "active": true,
              "admin_hold": true,
              "suspended_at": null,
              "deleted_at": null
            }
            "#);
        assert_eq!(app.verify(&key), "OWNER_INACTIVE");
        // SCIM shows what the identity provider wrote, and its next word does not lift the hold.
        assert_eq!(idp.get(&path).expect(200)["active"], json!(true));
        for body in [replace("active", true), replace("title", "x"), replace("active", false), replace("active", true)]
        {
            idp.patch(&path, body).expect(200);
            assert_eq!(app.verify(&key), "OWNER_INACTIVE");
        }
        idp.patch(&path, replace("active", false)).expect(200);
        let lifted = admin.post(&format!("/v1/users/{id}/activate"), json!({})).expect(200);
        assert_eq!((&lifted["live"], &lifted["admin_hold"]), (&json!(false), &json!(false)));
        assert_eq!(app.verify(&key), "OWNER_INACTIVE");
        idp.patch(&path, replace("active", true)).expect(200);
        assert_eq!(app.verify(&key), "VALID");

        admin.post(&format!("/v1/users/{id}/suspend"), json!({})).expect(200);
        admin.post(&format!("/v1/users/{id}/activate"), json!({})).expect(200);
        assert_eq!(app.verify(&key), "VALID");
        let log = app.log();
        let first = log.iter().find(|record| record["action"] == "principal.suspended").unwrap();
        assert_eq!(first["change"], json!({"reason": "investigation"}));
        let odd = admin.post(&format!("/v1/users/{id}/suspend"), json!({"reason": "She stole cake"}));
        odd.problem(422, "invalid");
    });
}

#[test]
fn a_namesake_inherits_nothing_a10() {
    for_each_app(|app| {
        let idp = app.idp();
        let body = || and(user("mira@example.com"), json!({"externalId": "00u1"}));
        let first = idp.post("/Users", body()).expect(201).id();
        let key = app.issue(&first);
        idp.delete(&format!("/Users/{first}")).expect(204);
        let second = idp.post("/Users", body()).expect(201).id();
        assert_ne!(first, second);
        assert_eq!(app.verify(&key), "REVOKED");
        let keys = app.admin().get(&format!("/v1/keys?owner={second}")).expect(200);
        assert_eq!(keys["keys"], json!([]));
        let refused = app.admin().post("/v1/keys", json!({"owner": {"type": "user", "id": first}}));
        assert_eq!(refused.problem(422, "invalid"), format!("no user has the id {first}"));
        assert_eq!(refused["pointer"], json!("/owner/id"));
    });
}

#[test]
fn what_an_admin_revoked_stays_revoked_a10() {
    for_each_app(|app| {
        let (id, key) = hire(app, "mira@example.com");
        let path = format!("/Users/{id}");
        app.idp().patch(&path, replace("active", false)).expect(200);
        app.admin().post(&format!("/v1/keys/{}/revoke", app.id_of(&key)), json!({})).expect(200);
        app.idp().patch(&path, replace("active", true)).expect(200);
        assert_eq!(app.verify(&key), "REVOKED");
        app.with_key(&key).get("/Me").scim_error(401, "");
    });
}
