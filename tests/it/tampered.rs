//! Rows of credentials that somebody with SQL has edited: such a key is refused for good, whatever happens to its
//! row afterwards, and hides no other (credentials.md §4: A24).

use std::slice;

use keyroll::domain::Id;
use keyroll::service::log::{Rows, Verification};
use serde_json::{Value, json};

use crate::support::app::*;
use crate::support::server::Installation;

/// A person with a key: both ids and the key.
fn hire(app: &TestApp, name: &str) -> (String, String, String) {
    let id = app.idp().post("/Users", user(name)).expect(201).id();
    let key = app.issue(&id);
    (id, app.id_of(&key), key)
}

fn set(app: &TestApp, key: &str, what: &str) {
    app.sql(&format!("UPDATE credentials SET {what} WHERE id = {}", app.bytes(key)));
}

/// What the log says about a key since it was issued: outcome and detail of each record.
fn records(app: &TestApp, key: &str) -> Vec<Value> {
    let of_key = app.log().into_iter().filter(|record| record["subject"]["id"] == json!(key)).skip(1);
    of_key.map(|record| json!([record["action"], record["change"]])).collect()
}

fn status(app: &TestApp, key: &str) -> (Value, Value) {
    let shown = app.admin().get(&format!("/v1/keys/{key}")).expect(200);
    (shown["status"].clone(), shown["owner"].clone())
}

const TAMPERED: &str = "tampered";

#[test]
fn a_revocation_does_not_seal_an_edited_row() {
    for_each_app(|app| {
        let (mira, id, key) = hire(app, "mira@example.com");
        let (other, _, _) = hire(app, "other@example.com");
        set(app, &id, &format!("owner = {}", app.bytes(&other)));
        assert_eq!(status(app, &id), (json!(TAMPERED), Value::Null));
        let revoke = || app.admin().post(&format!("/v1/keys/{id}/revoke"), json!({"reason": "leaked"})).expect(200);
        let revoked = revoke();
        assert_eq!((&revoked["status"], &revoked["owner"]), (&json!(TAMPERED), &Value::Null));
        let record = json!(["credential.revoked", {"reason": "leaked", "tampered": true}]);
        assert_eq!(records(app, &id), *slice::from_ref(&record));
        assert_eq!(app.verify(&key), "NOT_FOUND");
        // What it says of itself is not believed: asked again, it is revoked again.
        assert_eq!(revoke()["status"], json!(TAMPERED));
        assert_eq!(records(app, &id), [record.clone(), record]);
        // Nor does the right owner make it work again.
        set(app, &id, &format!("owner = {}", app.bytes(&mira)));
        assert_eq!((status(app, &id).0, app.verify(&key)), (json!(TAMPERED), "NOT_FOUND".to_owned()));
    });
}

#[test]
fn a_revocation_that_sql_wrote_keeps_nobody_from_revoking() {
    for_each_app(|app| {
        let (_, id, key) = hire(app, "mira@example.com");
        set(app, &id, "revoked_at = 0, revoke_reason = 'requested'");
        app.admin().post(&format!("/v1/keys/{id}/revoke"), json!({})).expect(200);
        assert_eq!(records(app, &id), [json!(["credential.revoked", {"reason": "requested", "tampered": true}])]);
        set(app, &id, "revoked_at = NULL, revoke_reason = NULL");
        assert_eq!((status(app, &id).0, app.verify(&key)), (json!(TAMPERED), "NOT_FOUND".to_owned()));
    });
}

#[test]
fn a_cascade_seals_no_edited_row_either() {
    for_each_app(|app| {
        let (mira, id, key) = hire(app, "mira@example.com");
        let (other, own, _) = hire(app, "other@example.com");
        set(app, &id, &format!("owner = {}", app.bytes(&other)));
        app.idp().delete(&format!("/Users/{other}")).expect(204);
        assert_eq!(records(app, &id), [json!(["credential.revoked", {"reason": "owner_deleted", "tampered": true}])]);
        assert_eq!(records(app, &own), [json!(["credential.revoked", {"reason": "owner_deleted", "owner": other}])]);
        set(app, &id, &format!("owner = {}", app.bytes(&mira)));
        assert_eq!((status(app, &id).0, app.verify(&key)), (json!(TAMPERED), "NOT_FOUND".to_owned()));
    });
}

#[test]
fn a_row_that_cannot_be_read_is_in_nobodys_way() {
    for_each_app(|app| {
        let edits = [
            "class = 'x'",
            "class = ''",
            "expires_at = 9223372036854775807",
            "created_at = 9223372036854775807",
            "revoked_at = 9223372036854775807",
            "reasons = 'x'",
            "permissions = '{'",
            "version = 9223372036854775807",
        ];
        for (n, edit) in edits.iter().enumerate() {
            let (mira, id, key) = hire(app, &format!("mira{n}@example.com"));
            set(app, &id, edit);
            assert_eq!((app.verify(&key), app.with_key(&key).get("/v1/whoami").status), ("NOT_FOUND".into(), 401));
            assert_eq!(status(app, &id), (json!(TAMPERED), Value::Null), "{edit}");
            let listed = app.admin().get(&format!("/v1/keys?owner={mira}")).expect(200);
            assert_eq!(listed["keys"][0]["status"], json!(TAMPERED));
            // Above all, it keeps nobody from leaving.
            app.idp().delete(&format!("/Users/{mira}")).expect(204);
            assert_eq!(status(app, &id), (json!(TAMPERED), Value::Null), "{edit}");
        }
        for digest in [json!("00"), json!("00".repeat(40))] {
            let (_, id, key) = hire(app, &format!("mira{digest}@example.com").replace('"', ""));
            set(app, &id, &format!("digest = {}", app.bytes(digest.as_str().unwrap())));
            assert_eq!((app.verify(&key), status(app, &id).0), ("NOT_FOUND".into(), json!(TAMPERED)));
        }
    });
}

#[test]
fn every_row_is_checked_with_the_log() {
    for_each_app(|app| {
        let ids: Vec<String> = (0..3).map(|n| hire(app, &format!("mira{n}@example.com")).1).collect();
        let check = || app.service.verify_log(&app.host()).unwrap();
        let total = 5;
        let intact = Rows { total, ..Rows::default() };
        assert_eq!(check(), Verification { chain: Ok(app.log().len() as i64 + 7), credentials: intact });
        set(app, &ids[1], "expires_at = expires_at + 1");
        set(app, &ids[2], "class = 'x'");
        let named = [&ids[1], &ids[2]].map(|id| Id::parse(id).unwrap());
        assert_eq!(check().credentials, Rows { total, tampered: 2, ids: named.to_vec() });
        // One tenant's check is about its own keys.
        app.tenant("second");
        assert_eq!(check().credentials.total, total);
    });
}

#[test]
fn the_command_line_names_keys_that_were_edited() {
    for place in Installation::each() {
        place.run(&["init"]).expect(0);
        let issue = || place.run(&["key", "issue", "--owner", "operator", "--json"]).expect(0).json();
        let ids: Vec<String> = (0..2).map(|_| issue()["id"].as_str().unwrap().to_owned()).collect();
        let intact = place.run(&["log", "verify"]).expect(0);
        assert!(
            intact.stdout.starts_with("9 records, each follows its predecessor\n4 keys, each as Keyroll wrote it\n"),
            "{intact:?}"
        );
        let id = &ids[1];
        let hex = id.replace('-', "");
        let bytes = if place.is_embedded() { format!("X'{hex}'") } else { format!("'\\x{hex}'::bytea") };
        place.sql(&format!("UPDATE credentials SET expires_at = expires_at + 86400000 WHERE id = {bytes}"));
        let reason = format!("1 key was changed in the database from outside, and is refused: {id}");
        let plain = place.run(&["log", "verify"]).expect(1);
        assert_eq!((plain.stdout.as_str(), plain.stderr), ("", format!("keyroll: {reason}\n")));
        let found = place.run(&["log", "verify", "--json"]).expect(1).json();
        assert_eq!(
            json!([found["intact"], found["records"], found["credentials"], found["tampered"], found["reason"]]),
            json!([false, 9, 4, [id], null])
        );
        place.sql("DELETE FROM log_records WHERE seq = 4");
        let both = place.run(&["log", "verify"]).expect(1);
        let broken = "the log is broken: record 4 is missing: found 5 in its place";
        assert_eq!(both.stderr, format!("keyroll: {broken}; {reason}\n"));
    }
}

#[test]
fn a_key_of_another_class_is_another_key() {
    for_each_app(|app| {
        let (_, _, key) = hire(app, "mira@example.com");
        for class in ['s', 'p', 'u'] {
            // The digest is over the selector and the secret alone, and anybody can compute the checksum.
            let body = format!("kr{class}{}", &key[3..60]);
            let forged = checksummed(&body);
            let own = class == 'u';
            assert_eq!(forged == key, own);
            assert_eq!(app.verify(&forged), if own { "VALID" } else { "NOT_FOUND" });
            assert_eq!(app.with_key(&forged).get("/v1/whoami").status, if own { 200 } else { 401 });
        }
    });
}
