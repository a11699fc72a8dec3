//! What concerns all keys of an owner: how many there may be, and that all of them end.

use chrono::TimeDelta;
use keyroll::service::keys::Owner;
use serde_json::json;

use crate::keys_steps::{Mira, last, mira};
use crate::support::app::*;

#[test]
fn all_keys_of_an_owner_end_at_once() {
    for_each_app(|app| {
        let Mira { id, key_id, key } = mira(app);
        let second = app.issue(&id);
        let at = format!("/v1/principals/{id}/revoke-all");
        let done = app.admin().post(&at, json!({"reason": "left the company, laptop and all"})).expect(200);
        assert_eq!(done["revoked"], json!(2));
        assert_eq!(done["owner"], json!({"type": "user", "id": id, "name": "mira@example.com"}));
        assert_eq!([app.verify(&key), app.verify(&second)], ["REVOKED", "REVOKED"]);
        assert_eq!(last(app, &key_id)["change"]["reason"], json!("requested"));
        let shown = app.admin().get(&format!("/v1/keys/{key_id}")).expect(200);
        assert_eq!(shown["revoke_note"], json!("left the company, laptop and all"));
        // She stays, and may have others; by her name as well.
        let third = app.issue(&id);
        assert_eq!(app.verify(&third), "VALID");
        let by_name = app.admin().post("/v1/principals/mira@example.com/revoke-all", json!({"reason": "again"}));
        assert_eq!(by_name.expect(200)["revoked"], json!(1));
        assert_eq!(app.admin().post(&at, json!({})).expect(200)["revoked"], json!(0));
        assert_eq!(app.verify(&third), "REVOKED");
        app.admin().post("/v1/principals/nobody/revoke-all", json!({})).problem(404, "not_found");
        let connection = app.admin().get("/v1/keys?class=p").expect(200)["keys"][0]["owner"]["id"].clone();
        let at = format!("/v1/principals/{}/revoke-all", connection.as_str().unwrap());
        app.admin().post(&at, json!({})).problem(409, "local_principal");
        assert_eq!(app.idp().get("/Users").status, 200);
        // Nor does an admin lock the door behind itself.
        app.admin().post("/v1/principals/operator/revoke-all", json!({})).problem(409, "local_principal");
        assert_eq!(app.admin().get("/v1/users").status, 200);
    });
}

/// Seen to fail without the count.
#[test]
fn an_owner_has_fifty_keys_at_most() {
    for_each_app(|app| {
        let Mira { id, key_id, .. } = mira(app);
        let issue = || app.admin().post("/v1/keys", json!({"owner": {"type": "user", "id": id}, "expires_in": "P30D"}));
        let all: Vec<String> = (1..50).map(|_| issue().expect(201).id()).collect();
        let last = all.last().unwrap();
        issue().problem(409, "too_many_keys");
        // A rotation needs no room, and makes none.
        app.admin().post(&format!("/v1/keys/{key_id}/rotate"), json!({})).expect(201);
        issue().problem(409, "too_many_keys");
        app.admin().post(&format!("/v1/keys/{last}/revoke"), json!({})).expect(200);
        issue().expect(201);
        issue().problem(409, "too_many_keys");
        // The host is the way back in.
        app.issue_on_host(Owner::Named("mira@example.com".to_owned()), &[]);
        // What has ended takes no room.
        app.clock.advance(TimeDelta::days(31));
        issue().expect(201);
    });
}
