//! Keys that replace one another: both work for a while, never more than two, and an answer that was lost is asked for
//! again.

use chrono::TimeDelta;
use keyroll::service::keys::Owner;
use serde_json::{Value, json};

use crate::keys_steps::{Mira, last, may, mira};
use crate::support::app::*;

fn rotate(app: &TestApp, id: &str, body: Value) -> Answer {
    app.admin().post(&format!("/v1/keys/{id}/rotate"), body)
}

/// Rotates a key; gives the id and the text of the new one.
fn next(app: &TestApp, id: &str, body: Value) -> (String, String) {
    let rotated = rotate(app, id, body).expect(201);
    (rotated.id(), rotated["key"].as_str().unwrap().to_owned())
}

fn verdicts(app: &TestApp, keys: &[&str]) -> Vec<String> {
    keys.iter().map(|key| app.verify(key)).collect()
}

#[test]
fn both_keys_work_until_the_old_one_has_given_way() {
    for_each_app(|app| {
        let Mira { id, key_id, key } = mira(app);
        let rotated = rotate(app, &key_id, json!({"grace": "PT1H"})).expect(201);
        let new = rotated["key"].as_str().unwrap();
        assert_eq!(rotated["predecessor"], json!({"id": key_id, "retires_at": "2026-01-05T10:00:00.000Z"}));
        assert_eq!(
            (&rotated["grant"], &rotated["name"]),
            (&json!([{"permissions": ["billing:invoices:*"]}]), &json!("laptop"))
        );
        assert_eq!((&rotated["owner"]["id"], &rotated["status"]), (&json!(id), &json!("active")));
        assert_eq!(last(app, &key_id)["action"], json!("credential.rotated"));
        assert_eq!(last(app, &key_id)["change"]["successor"], json!(rotated.id()));
        assert_eq!(may(app, new, "billing:invoices:write"), "VALID");
        assert_eq!(may(app, &key, "billing:invoices:write"), "VALID");
        let shown = app.admin().get(&format!("/v1/keys/{key_id}")).expect(200);
        assert_eq!((&shown["status"], &shown["retires_at"]), (&json!("retiring"), &json!("2026-01-05T10:00:00.000Z")));
        app.clock.advance(TimeDelta::hours(1) - TimeDelta::milliseconds(1));
        assert_eq!(verdicts(app, &[&key, new]), ["VALID", "VALID"]);
        app.clock.advance(TimeDelta::milliseconds(1));
        assert_eq!(verdicts(app, &[&key, new]), ["EXPIRED", "VALID"]);
        assert_eq!(app.with_key(&key).get("/v1/whoami").status, 401);
        rotate(app, &key_id, json!({})).problem(409, "key_ended");
        // The next one takes the place that is free now.
        let (_, third) = next(app, &rotated.id(), json!({}));
        assert_eq!(verdicts(app, &[&key, new, &third]), ["EXPIRED", "VALID", "VALID"]);
        // The leaver's keys are dead, each of them.
        app.idp().patch(&format!("/Users/{id}"), replace("active", false)).expect(200);
        assert_eq!(verdicts(app, &[new, &third]), ["OWNER_INACTIVE", "OWNER_INACTIVE"]);
    });
}

#[test]
fn a_successor_that_nobody_used_is_replaced_and_one_in_use_is_not() {
    for_each_app(|app| {
        let Mira { key_id, key, .. } = mira(app);
        let (lost, lost_text) = next(app, &key_id, json!({}));
        let (second, text) = next(app, &key_id, json!({}));
        assert_eq!(verdicts(app, &[&key, &lost_text, &text]), ["VALID", "REVOKED", "VALID"]);
        let shown = app.admin().get(&format!("/v1/keys/{lost}")).expect(200);
        assert_eq!(shown["revoke_reason"], json!("replaced"));
        // It has been used now, and that is known on the log.
        assert_eq!(last(app, &second)["action"], json!("credential.first_used"));
        rotate(app, &key_id, json!({})).problem(409, "key_replaced");
        assert_eq!(verdicts(app, &[&key, &text]), ["VALID", "VALID"]);
        // Two work: there is no third before one of them has ended.
        rotate(app, &second, json!({})).problem(409, "key_replaced");
        app.admin().post(&format!("/v1/keys/{key_id}/revoke"), json!({})).expect(200);
        let (_, third) = next(app, &second, json!({}));
        assert_eq!(verdicts(app, &[&key, &text, &third]), ["REVOKED", "VALID", "VALID"]);
        // The first use is known once, however often it is used.
        let records = app.log().len();
        assert_eq!(verdicts(app, &[&third, &third]), ["VALID", "VALID"]);
        assert_eq!(app.log().len(), records);
    });
}

#[test]
fn what_somebody_else_may_know_ends_at_once() {
    for_each_app(|app| {
        let Mira { key_id, key, .. } = mira(app);
        app.admin().post(&format!("/v1/keys/{key_id}/hold"), json!({"reason": "leak_suspected"})).expect(200);
        rotate(app, &key_id, json!({})).problem(409, "key_held");
        let refused = rotate(app, &key_id, json!({"reason": "compromised", "grace": "PT1H"}));
        refused.problem(422, "invalid");
        assert_eq!(refused.body["pointer"], json!("/grace"));
        let (new, text) = next(app, &key_id, json!({"reason": "compromised"}));
        assert_eq!(verdicts(app, &[&key, &text]), ["EXPIRED", "VALID"]);
        // Beside one that is giving way.
        let (third, third_text) = next(app, &new, json!({}));
        let (_, fourth_text) = next(app, &third, json!({"reason": "compromised"}));
        assert_eq!(verdicts(app, &[&text, &third_text, &fourth_text]), ["VALID", "EXPIRED", "VALID"]);
    });
}

/// Seen to fail with a successor looked for by its predecessor alone: the index of places refused what was written.
#[test]
fn whoever_gives_way_does_not_push_out_a_later_successor() {
    for_each_app(|app| {
        let Mira { key_id, key, .. } = mira(app);
        let (second, text) = next(app, &key_id, json!({}));
        assert_eq!(verdicts(app, &[&text]), ["VALID"]);
        let (_, third_text) = next(app, &second, json!({"reason": "compromised"}));
        for body in [json!({}), json!({"reason": "compromised"})] {
            rotate(app, &key_id, body).problem(409, "key_replaced");
        }
        assert_eq!(verdicts(app, &[&key, &text, &third_text]), ["VALID", "EXPIRED", "VALID"]);
        let extend = json!({"expires_in": "P60D"});
        app.admin().post(&format!("/v1/keys/{key_id}/extend"), extend).problem(409, "key_replaced");
    });
}

#[test]
fn the_old_key_ends_with_the_first_use_of_the_new_one() {
    for_each_app(|app| {
        let Mira { key_id, key, .. } = mira(app);
        let (_, text) = next(app, &key_id, json!({"retire_on": "first_use"}));
        assert_eq!(verdicts(app, &[&key]), ["VALID"]);
        assert_eq!(may(app, &text, "billing:taxes:read"), "INSUFFICIENT_PERMISSIONS");
        assert_eq!(verdicts(app, &[&key]), ["VALID"]);
        // At Keyroll itself it is used as anywhere else.
        assert_eq!(app.with_key(&text).get("/v1/whoami").status, 200);
        assert_eq!(verdicts(app, &[&key, &text]), ["EXPIRED", "VALID"]);
        assert_eq!(last(app, &key_id)["action"], json!("credential.retired"));
    });
}

#[test]
fn a_key_rotates_itself_and_lives_no_longer_for_it() {
    for_each_app(|app| {
        let Mira { key_id, key, .. } = mira(app);
        app.clock.advance(TimeDelta::days(20));
        let own = app.with_key(&key);
        let rotated = own.post(&format!("/v1/keys/{key_id}/rotate"), json!({})).expect(201);
        assert_eq!(rotated["expires_at"], json!("2026-02-04T09:00:00.000Z"));
        let text = rotated["key"].as_str().unwrap();
        assert_eq!(verdicts(app, &[&key, text]), ["VALID", "VALID"]);
        // Not anybody else's, and not by another key of the same owner.
        let other = mira_again(app, &key_id);
        own.post(&format!("/v1/keys/{other}/rotate"), json!({})).problem(403, "forbidden");
        // Whoever may issue it gives it as long a life as the old one was given: ten days.
        let by_admin = rotate(app, &rotated.id(), json!({"reason": "compromised"})).expect(201);
        app.clock.advance(TimeDelta::days(1));
        let by_admin = rotate(app, &by_admin.id(), json!({"reason": "compromised"})).expect(201);
        assert_eq!(by_admin["expires_at"], json!("2026-02-05T09:00:00.000Z"));
    });
}

/// Another key of the owner of this one.
fn mira_again(app: &TestApp, key_id: &str) -> String {
    let owner = app.admin().get(&format!("/v1/keys/{key_id}")).expect(200)["owner"]["id"].clone();
    app.admin().post("/v1/keys", json!({"owner": {"type": "user", "id": owner}})).expect(201).id()
}

#[test]
fn a_grace_ends_with_the_key_and_within_a_week() {
    for_each_app(|app| {
        let Mira { key_id, .. } = mira(app);
        for odd in ["P8D", "-PT1H", "soon"] {
            let refused = rotate(app, &key_id, json!({"grace": odd}));
            refused.problem(422, "invalid");
            assert_eq!(refused.body["pointer"], json!("/grace"));
        }
        app.clock.advance(TimeDelta::days(29));
        let rotated = rotate(app, &key_id, json!({"grace": "P7D"})).expect(201);
        assert_eq!(rotated["predecessor"]["retires_at"], json!("2026-02-04T09:00:00.000Z"));
        // Asked again, it never ends later than was said.
        let again = rotate(app, &key_id, json!({"grace": "PT1H"})).expect(201);
        assert_eq!(again["predecessor"]["retires_at"], json!("2026-02-03T10:00:00.000Z"));
        let more = rotate(app, &key_id, json!({"grace": "P7D"})).expect(201);
        assert_eq!(more["predecessor"]["retires_at"], json!("2026-02-03T10:00:00.000Z"));
    });
}

/// Who may rotate is who may issue: a key that may not issue would get another's by it.
#[test]
fn whoever_may_not_issue_rotates_nobody_elses_key() {
    for_each_app(|app| {
        let Mira { key_id, key, .. } = mira(app);
        let writer = ["keyroll:keys:write", "keyroll:keys:read", "keyroll:keys:revoke"];
        app.with_key(&app.issue_on_host(Owner::Operator, &writer))
            .post(&format!("/v1/keys/{key_id}/rotate"), json!({}))
            .problem(403, "forbidden");
        assert_eq!(verdicts(app, &[&key]), ["VALID"]);
        // Nor does anybody by it what could not be issued any more.
        let role = json!({"name": "clerk", "permissions": ["billing:invoices:read"]}).to_string();
        app.admin().send("PUT", "/v1/roles/clerk", &[], role).expect(200);
        rotate(app, &key_id, json!({})).problem(403, "forbidden");
        // The key of a connection is the host's.
        let idp = app.admin().get("/v1/keys?class=p").expect(200)["keys"][0]["id"].as_str().unwrap().to_owned();
        rotate(app, &idp, json!({})).problem(403, "forbidden");
        let narrow = json!({"grant": [{"permissions": ["keyroll:users:read"]}]});
        app.admin().post(&format!("/v1/keys/{idp}/narrow"), narrow).problem(403, "forbidden");
    });
}
