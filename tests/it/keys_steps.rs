//! What an admin does to a key that works, and whose a key is that somebody found.

use chrono::TimeDelta;
use keyroll::domain::credential::Hold;
use keyroll::service::keys::Owner;
use keyroll::service::keys::request::GrantTexts;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::support::app::*;

/// Mira, who may read and write invoices, and a key of hers for both.
pub struct Mira {
    pub id: String,
    pub key_id: String,
    pub key: String,
}

pub fn mira(app: &TestApp) -> Mira {
    let admin = app.admin();
    let id = app.idp().post("/Users", user("mira@example.com")).expect(201).id();
    let permissions = json!([{"name": "invoices:read"}, {"name": "invoices:write"}, {"name": "taxes:read"}]);
    admin.post("/v1/apis", json!({"name": "billing", "permissions": permissions})).expect(201);
    let role = json!({"name": "clerk", "permissions": ["billing:invoices:*"]});
    admin.post("/v1/roles", role).expect(201);
    let source = json!({"role": "clerk", "source": {"person": {"type": "user", "id": id}, "reason": "works here"}});
    admin.post("/v1/mappings", source).expect(201);
    let grant = json!([{"permissions": ["billing:invoices:*"]}]);
    let body = json!({"owner": {"type": "user", "id": id}, "name": "laptop", "grant": grant, "expires_in": "P30D"});
    let issued = admin.post("/v1/keys", body).expect(201);
    Mira { id, key_id: issued.id(), key: issued["key"].as_str().unwrap().to_owned() }
}

pub fn may(app: &TestApp, key: &str, permission: &str) -> String {
    let asked = app.admin().post("/v1/verify", json!({"key": key, "permission": permission})).expect(200);
    asked["code"].as_str().unwrap().to_owned()
}

/// The last record about a key.
pub fn last(app: &TestApp, id: &str) -> Value {
    app.log().into_iter().rfind(|record| record["subject"]["id"] == id).unwrap()
}

#[test]
fn a_key_is_held_for_reasons_that_go_one_by_one() {
    for_each_app(|app| {
        let (admin, mira) = (app.admin(), mira(app));
        let at = |step: &str| format!("/v1/keys/{}/{step}", mira.key_id);
        let held = admin.post(&at("hold"), json!({"reason": "leak_suspected"})).expect(200);
        assert_eq!((&held["status"], &held["reasons"]), (&json!("suspended"), &json!(["leak_suspected"])));
        assert_eq!(app.verify(&mira.key), "SUSPENDED");
        assert_eq!(app.with_key(&mira.key).get("/v1/whoami").status, 401);
        assert_eq!(last(app, &mira.key_id)["action"], json!("credential.suspended"));
        assert_eq!(last(app, &mira.key_id)["change"], json!({"owner": mira.id, "reason": "leak_suspected"}));
        // Without a body it is the admin's own hold; the same again leaves no record.
        admin.send("POST", &at("hold"), &[], "").expect(200);
        let records = app.log().len();
        let twice = admin.send("POST", &at("hold"), &[], "").expect(200);
        assert_eq!((&twice["reasons"], app.log().len()), (&json!(["admin_hold", "leak_suspected"]), records));
        let left = admin.send("POST", &at("release"), &[], "").expect(200);
        assert_eq!((&left["reasons"], app.verify(&mira.key).as_str()), (&json!(["leak_suspected"]), "SUSPENDED"));
        admin.post(&at("release"), json!({"reason": "leak_suspected"})).expect(200);
        assert_eq!(
            (app.verify(&mira.key).as_str(), &last(app, &mira.key_id)["action"]),
            ("VALID", &json!("credential.released"))
        );
        admin.post(&at("hold"), json!({"reason": "owner_suspended"})).problem(422, "invalid");
        // What the owner is holds beside it: each goes by itself.
        admin.send("POST", &at("hold"), &[], "").expect(200);
        app.idp().patch(&format!("/Users/{}", mira.id), replace("active", false)).expect(200);
        assert_eq!(app.verify(&mira.key), "OWNER_INACTIVE");
        app.idp().patch(&format!("/Users/{}", mira.id), replace("active", true)).expect(200);
        assert_eq!(app.verify(&mira.key), "SUSPENDED");
        admin.post(&at("revoke"), json!({})).expect(200);
        for step in ["hold", "release"] {
            admin.send("POST", &at(step), &[], "").problem(409, "key_ended");
        }
        assert_eq!(app.verify(&mira.key), "REVOKED");
    });
}

#[test]
fn a_grant_shrinks_and_never_grows() {
    for_each_app(|app| {
        let (admin, mira) = (app.admin(), mira(app));
        let at = format!("/v1/keys/{}/narrow", mira.key_id);
        let to = |permissions: Value| json!({"grant": [{"permissions": permissions}]});
        assert_eq!(may(app, &mira.key, "billing:invoices:write"), "VALID");
        let narrowed = admin.post(&at, to(json!(["billing:invoices:read"]))).expect(200);
        assert_eq!(narrowed["grant"], json!([{"permissions": ["billing:invoices:read"]}]));
        assert_eq!(may(app, &mira.key, "billing:invoices:write"), "INSUFFICIENT_PERMISSIONS");
        assert_eq!(may(app, &mira.key, "billing:invoices:read"), "VALID");
        assert_eq!(last(app, &mira.key_id)["change"]["permissions"], json!(["billing:invoices:read"]));
        for wider in ["billing:invoices:write", "billing:invoices:*", "billing:*:*", "keyroll:keys:issue"] {
            admin.post(&at, to(json!(["billing:invoices:read", wider]))).problem(403, "forbidden");
        }
        admin.post(&at, to(json!([]))).problem(422, "invalid");
        admin.post(&at, json!({"grant": []})).problem(422, "invalid");
        admin.post(&at, to(json!(["billing:unknown:read"]))).problem(422, "invalid");
        assert_eq!(may(app, &mira.key, "billing:invoices:read"), "VALID");
    });
}

#[test]
fn an_end_moves_away_within_a_year() {
    for_each_app(|app| {
        let (admin, mira) = (app.admin(), mira(app));
        let at = format!("/v1/keys/{}/extend", mira.key_id);
        let until = admin.post(&at, json!({"expires_in": "P60D"})).expect(200)["expires_at"].clone();
        assert_eq!(until, json!("2026-03-06T09:00:00.000Z"));
        for (too, pointer) in
            [("P10D", "/expires_in"), ("P366D", "/expires_in"), ("P0D", "/expires_in"), ("x", "/expires_in")]
        {
            let refused = admin.post(&at, json!({"expires_in": too}));
            refused.problem(422, "invalid");
            assert_eq!(refused["pointer"], json!(pointer), "{too}");
        }
        app.clock.advance(TimeDelta::days(40));
        assert_eq!(app.verify(&mira.key), "VALID");
        // A year counts from when it was issued.
        admin.post(&at, json!({"expires_in": "P330D"})).problem(422, "invalid");
        app.clock.advance(TimeDelta::days(21));
        assert_eq!(app.verify(&mira.key), "EXPIRED");
        app.admin().post(&at, json!({"expires_in": "P60D"})).problem(409, "key_ended");
    });
}

#[test]
fn whoever_extends_is_held_to_what_it_might_issue() {
    for_each_app(|app| {
        let admin = app.admin();
        let helper =
            app.issue_on_host(Owner::Operator, &["keyroll:keys:write", "keyroll:keys:hold", "keyroll:keys:read"]);
        let mira = mira(app);
        let helper = app.with_key(&helper);
        let at = |step: &str| format!("/v1/keys/{}/{step}", mira.key_id);
        helper.post(&at("extend"), json!({"expires_in": "P60D"})).problem(403, "forbidden");
        helper.send("POST", &at("hold"), &[], "").expect(200);
        helper.send("POST", &at("release"), &[], "").expect(200);
        let own = app.with_key(&mira.key);
        for step in ["hold", "release", "narrow", "extend"] {
            own.send("POST", &at(step), &[], "{}").problem(403, "forbidden");
        }
        // The operator's key lets keys be issued: nobody makes it live longer over the network.
        let all = admin.get("/v1/keys?owner=operator").expect(200);
        let operator = all["keys"][0]["id"].as_str().unwrap();
        admin.post(&format!("/v1/keys/{operator}/extend"), json!({"expires_in": "P300D"})).problem(403, "forbidden");
        let connection = admin.get("/v1/keys?class=p").expect(200)["keys"][0]["id"].as_str().unwrap().to_owned();
        admin.post(&format!("/v1/keys/{connection}/extend"), json!({"expires_in": "P300D"})).problem(403, "forbidden");
    });
}

#[test]
fn a_key_that_would_not_be_issued_again_lives_no_longer() {
    for_each_app(|app| {
        let (admin, mira) = (app.admin(), mira(app));
        let at = format!("/v1/keys/{}/extend", mira.key_id);
        let person = format!("/Users/{}", mira.id);
        let longer = |days: u32| admin.post(&at, json!({"expires_in": format!("P{days}D")}));
        let role = |permissions: Value| {
            let body = json!({"name": "clerk", "permissions": permissions});
            admin.send("PUT", "/v1/roles/clerk", &[], body.to_string()).expect(200);
        };
        longer(31).expect(200);
        role(json!(["billing:invoices:read"]));
        longer(32).problem(403, "forbidden");
        role(json!(["billing:invoices:*"]));
        longer(32).expect(200);
        app.idp().patch(&person, replace("active", false)).expect(200);
        longer(33).problem(409, "owner_not_active");
        app.idp().patch(&person, replace("active", true)).expect(200);
        longer(33).expect(200);
        // Nor does an agent's for which nobody answers.
        let bot =
            app.idp().post("/Agents", and(agent("bot"), json!({"owners": [{"value": mira.id}]}))).expect(201).id();
        let issued = admin.post("/v1/keys", json!({"owner": {"type": "agent", "id": bot}, "name": "ci"})).expect(201);
        let at = format!("/v1/keys/{}/extend", issued.id());
        app.idp().patch(&format!("/Agents/{bot}"), remove("owners")).expect(200);
        admin.post(&at, json!({"expires_in": "P100D"})).problem(409, "owner_not_active");
        app.idp().patch(&format!("/Agents/{bot}"), add("owners", json!([{"value": mira.id}]))).expect(200);
        admin.post(&at, json!({"expires_in": "P100D"})).expect(200);
        // The host extends what it may issue: the operator's and a connection's.
        for filter in ["owner=operator", "class=p"] {
            let all = admin.get(&format!("/v1/keys?{filter}")).expect(200);
            let id = all["keys"][0]["id"].as_str().unwrap();
            app.service.extend_key(&app.host(), id, "P300D").unwrap();
        }
    });
}

#[test]
fn only_the_host_holds_what_keeps_the_door_open() {
    for_each_app(|app| {
        let admin = app.admin();
        let helper = app.with_key(&app.issue_on_host(Owner::Operator, &["keyroll:keys:hold"]));
        for (filter, whose) in [("owner=operator", "the operator's key"), ("class=p", "the key of a connection")] {
            let all = admin.get(&format!("/v1/keys?{filter}")).expect(200);
            let id = all["keys"][0]["id"].as_str().unwrap().to_owned();
            let records = app.log().len();
            for (actor, step) in [(&helper, "hold"), (&admin, "hold"), (&helper, "release"), (&admin, "release")] {
                let refused = actor.send("POST", &format!("/v1/keys/{id}/{step}"), &[], "");
                let detail = format!("{whose} is held back and released on the host alone");
                assert_eq!(refused.problem(403, "forbidden"), detail);
            }
            assert_eq!(app.log().iter().skip(records).filter(|one| one["action"] == "credential.suspended").count(), 0);
            let host = app.host();
            assert_eq!(app.service.hold_key(&host, &id, Hold::default(), true).unwrap().reasons.len(), 1);
            if filter == "class=p" {
                assert_eq!(app.idp().get("/Users").status, 401);
            }
            assert_eq!(app.service.hold_key(&host, &id, Hold::default(), false).unwrap().reasons.len(), 0);
        }
        app.idp().get("/Users").expect(200);
    });
}

#[test]
fn a_secret_is_no_name() {
    for_each_app(|app| {
        let (admin, mira) = (app.admin(), mira(app));
        let key = &mira.key;
        let secrets = [
            key.clone(),
            format!("K{}", &key[1..]),
            format!("KRU_{}", &key[4..]),
            key[4..].to_owned(),
            key[17..].to_owned(),
            key[17..60].to_owned(),
            format!("my laptop, {}", &key[17..]),
        ];
        for name in &secrets {
            let new = json!({"owner": {"type": "user", "id": mira.id}, "name": name});
            for refused in
                [admin.post("/v1/keys", new), admin.patch(&format!("/v1/keys/{}", mira.key_id), json!({"name": name}))]
            {
                assert_eq!(refused.problem(422, "invalid"), "name: a key's text stands in it: it is not kept");
                assert_eq!(refused["pointer"], json!("/name"));
            }
            let note =
                admin.post(&format!("/v1/keys/{}/revoke", mira.key_id), json!({"reason": format!("Found {name}")}));
            assert_eq!(note.problem(422, "invalid"), "reason: a key's text stands in it: it is not kept");
            let host = app.host();
            assert!(
                app.service.issue_key_on_host(&host, Owner::Operator, name, &GrantTexts::of(&[]), None).is_err(),
                "{name}"
            );
            assert!(app.service.rename_key(&host, &mira.key_id, name).is_err(), "{name}");
        }
        let all = admin.get("/v1/keys").expect(200).to_string();
        assert!(!all.contains(&key[17..60]), "{all}");
        let long = "CI-Deploy-key-of-the-payments-service-in-eu-west-1-since-2026";
        admin.patch(&format!("/v1/keys/{}", mira.key_id), json!({"name": long})).expect(200);
    });
}

#[test]
fn a_name_is_for_people() {
    for_each_app(|app| {
        let (admin, mira) = (app.admin(), mira(app));
        let at = format!("/v1/keys/{}", mira.key_id);
        assert_eq!(admin.patch(&at, json!({"name": "old laptop"})).expect(200)["name"], json!("old laptop"));
        assert_eq!(last(app, &mira.key_id)["action"], json!("credential.renamed"));
        assert!(!last(app, &mira.key_id).to_string().contains("laptop"));
        admin.patch(&at, json!({"name": mira.key})).problem(422, "invalid");
        admin.patch(&at, json!({"name": "x", "expires_at": "2030-01-01"})).problem(422, "invalid");
        assert_eq!(app.verify(&mira.key), "VALID");
    });
}

#[test]
fn what_a_key_may_do_now() {
    for_each_app(|app| {
        let (admin, mira) = (app.admin(), mira(app));
        let at = format!("/v1/keys/{}/effective", mira.key_id);
        let states = |expected: &[(&str, &str)]| {
            let all: Vec<Value> = expected.iter().map(|(p, s)| json!({"permission": p, "state": s})).collect();
            assert_eq!(admin.get(&at).expect(200).body, json!({"permissions": all}));
        };
        states(&[("billing:invoices:read", "granted"), ("billing:invoices:write", "granted")]);
        admin
            .send(
                "PUT",
                "/v1/roles/clerk",
                &[],
                json!({"name": "clerk", "permissions": ["billing:invoices:read"]}).to_string(),
            )
            .expect(200);
        states(&[("billing:invoices:read", "granted"), ("billing:invoices:write", "owner_lacks")]);
        app.idp().patch(&format!("/Users/{}", mira.id), replace("active", false)).expect(200);
        states(&[]);
        let identity = app.issue(&app.idp().post("/Users", user("tom")).expect(201).id());
        let id = admin.post("/v1/keys:identify", json!({"key": identity})).expect(200).id();
        assert_eq!(admin.get(&format!("/v1/keys/{id}/effective")).expect(200).body, json!({"permissions": []}));
    });
}

#[test]
fn a_key_that_was_found_is_told_by_whatever_is_known_of_it() {
    for_each_app(|app| {
        let (admin, mira) = (app.admin(), mira(app));
        let hash: String = Sha256::digest(&mira.key).iter().map(|byte| format!("{byte:02x}")).collect();
        let record = admin.get(&format!("/v1/keys/{}", mira.key_id)).expect(200).body.clone();
        for (name, clue) in [
            ("key", mira.key.clone()),
            ("selector", mira.key[4..16].to_owned()),
            ("selector", mira.key[..16].to_owned()),
            ("sha256", hash.clone()),
            ("sha256", hash.to_uppercase()),
        ] {
            let found = admin.post("/v1/keys:identify", json!({name: clue})).expect(200);
            assert_eq!(found.body, record, "{name}");
            let told = last(app, &mira.key_id);
            assert_eq!((&told["action"], &told["change"]), (&json!("credential.identified"), &json!({"by": name})));
        }
        // Whatever its state.
        admin.post(&format!("/v1/keys/{}/revoke", mira.key_id), json!({})).expect(200);
        let found = admin.post("/v1/keys:identify", json!({"sha256": hash})).expect(200);
        assert_eq!(found["status"], json!("revoked"));
        let records = app.log().len();
        let misspelt = "kru_000000TEST01_003aUlTJC7tjlCTQj2uNU3MFagCXG9LRKRcwGkBIDlf0PZbtz";
        for none in [json!({"key": misspelt}), json!({"selector": "000000TEST01"}), json!({"sha256": "0".repeat(64)})] {
            admin.post("/v1/keys:identify", none).problem(404, "not_found");
        }
        for odd in [
            json!({}),
            json!({"key": "x"}),
            json!({"selector": "x"}),
            json!({"sha256": "xyz"}),
            json!({"key": null}),
            json!({"key": mira.key, "sha256": hash}),
        ] {
            admin.post("/v1/keys:identify", odd).problem(422, "invalid");
        }
        assert_eq!(app.log().len(), records);
        app.with_key(&app.issue_on_host(Owner::Operator, &["keyroll:keys:read"]))
            .post("/v1/keys:identify", json!({"sha256": hash}))
            .problem(403, "forbidden");
    });
}
