//! `/v1/keys`: issue, list, read, revoke, verify; and who a key says it is.

use chrono::TimeDelta;
use insta::assert_snapshot;
use keyroll::service::keys::Owner;
use serde_json::{Value, json};

use crate::support::app::*;

fn owned_by(id: &str) -> Value {
    json!({"owner": {"type": "user", "id": id}})
}

fn granting(permissions: &[&str]) -> Value {
    json!({"grant": [{"permissions": permissions}]})
}

/// The names of an answer's members, in order.
fn names(value: &Value) -> Vec<&str> {
    value.as_object().unwrap().keys().map(String::as_str).collect()
}

const RECORD: [&str; 13] = [
    "id",
    "name",
    "display",
    "class",
    "owner",
    "status",
    "reasons",
    "grant",
    "created_at",
    "expires_at",
    "revoked_at",
    "revoke_reason",
    "revoke_note",
];

#[test]
fn a_key_is_shown_once() {
    for_each_app(|app| {
        let admin = app.admin();
        let mira = app.idp().post("/Users", user("mira@example.com")).expect(201).id();
        let issued =
            admin.post("/v1/keys", and(owned_by(&mira), json!({"name": "laptop", "expires_in": "P30D"}))).expect(201);
        assert_eq!(names(&issued.body), [&RECORD[..], &["key"]].concat());
        assert_eq!(issued.header("cache-control"), "no-store");
        assert_eq!(issued["expires_at"], json!("2026-02-04T09:00:00.000Z"));
        let key = issued["key"].as_str().unwrap();
        assert!(key.len() == 66 && key.starts_with("kru_"), "{key}");
        assert_eq!(issued["display"], json!(format!("{}…", &key[..8])));

        let read = admin.get(&format!("/v1/keys/{}", issued.id())).expect(200);
        assert_eq!(names(&read.body), RECORD);
        let list = admin.get(&format!("/v1/keys?owner={mira}")).expect(200);
        assert_eq!(list.body, json!({"keys": [read.body], "next": null}));
        for answer in [&read, &list, &admin.get("/v1/keys").expect(200)] {
            assert!(!answer.text.contains(&key[17..]), "the secret is told again: {answer}");
        }
        let verified = admin.post("/v1/verify", json!({"key": key})).expect(200);
        assert_eq!(
            verified.body,
            json!({
                "valid": true,
                "code": "VALID",
                "key_id": issued.id(),
                "owner": {"type": "user", "id": mira, "userName": "mira@example.com"},
                "expires_at": "2026-02-04T09:00:00.000Z",
            })
        );
    });
}

#[test]
fn defaults() {
    for_each_app(|app| {
        let mira = app.idp().post("/Users", user("mira@example.com")).expect(201).id();
        let issued = app.admin().post("/v1/keys", owned_by(&mira)).expect(201);
        assert_eq!(issued["expires_at"], json!("2026-04-05T09:00:00.000Z"));
        assert_eq!((&issued["name"], &issued["grant"]), (&json!(""), &Value::Null));
        let key = issued["key"].as_str().unwrap();
        // A key without a grant proves who its owner is, and nothing else.
        let holder = app.with_key(key);
        assert_eq!(holder.get("/Me").expect(200).id(), mira);
        assert_snapshot!(holder.get("/v1/whoami"), @r#"
            200
            {
              "tenant": "default",
              "key_id": "019b8d62-7a80-7000-8000-000000000009",
              "class": "u",
              "owner": {"type":"user","id":"019b8d62-7a80-7000-8000-000000000008"},
              "connection": null,
              "permissions": []
            }
            "#);
        assert_snapshot!(app.idp().get("/v1/whoami"), @r#"
            200
            {
              "tenant": "default",
              "key_id": "019b8d62-7a80-7000-8000-000000000006",
              "class": "p",
              "owner": {"type":"agent","id":"019b8d62-7a80-7000-8000-000000000003"},
              "connection": "default",
              "permissions": [
                "keyroll:agents:read",
                "keyroll:agents:write",
                "keyroll:entitlements:read",
                "keyroll:groups:read",
                "keyroll:groups:write",
                "keyroll:roles:read",
                "keyroll:users:read",
                "keyroll:users:write"
              ]
            }
            "#);
        assert_snapshot!(app.admin().get("/v1/whoami"), @r#"
            200
            {
              "tenant": "default",
              "key_id": "019b8d62-7a80-7000-8000-000000000005",
              "class": "u",
              "owner": {"type":"user","id":"019b8d62-7a80-7000-8000-000000000002"},
              "connection": null,
              "permissions": ["keyroll:*:*"]
            }
            "#);
        for answer in [holder.get("/v1/keys"), holder.get("/v1/users"), holder.post("/v1/verify", json!({"key": key}))]
        {
            answer.problem(403, "forbidden");
        }
    });
}

#[test]
fn lists_have_pages() {
    for_each_app(|app| {
        let admin = app.admin();
        let mira = app.idp().post("/Users", user("mira@example.com")).expect(201).id();
        let rolf = app.idp().post("/Users", user("rolf@example.com")).expect(201).id();
        let ids: Vec<String> = (0..5).map(|_| app.id_of(&app.issue(&mira))).collect();
        app.issue(&rolf);
        let page = |query: &str| {
            let answer = admin.get(&format!("/v1/keys?owner={mira}&{query}")).expect(200);
            let keys: Vec<String> =
                answer["keys"].as_array().unwrap().iter().map(|key| key["id"].as_str().unwrap().to_owned()).collect();
            (keys, answer["next"].as_str().map(str::to_owned))
        };
        let (first, next) = page("count=2");
        assert_eq!(first, ids[..2]);
        let next = next.unwrap();
        app.admin().post(&format!("/v1/keys/{}/revoke", ids[1]), json!({})).expect(200);
        let (second, next) = page(&format!("count=2&cursor={next}"));
        assert_eq!(second, ids[2..4]);
        assert_eq!(page(&format!("count=2&cursor={}", next.unwrap())), (ids[4..].to_vec(), None));
        assert_eq!(page("count=5"), (ids.clone(), None));
        assert_eq!(page("count=100000"), (ids.clone(), None));
        // Init's two, five of one owner, one of another.
        assert_eq!(admin.get("/v1/keys").expect(200)["keys"].as_array().unwrap().len(), 8);
        for query in ["count=x", "count=-1", "cursor=x", "owner=x"] {
            admin.get(&format!("/v1/keys?{query}")).problem(400, "malformed");
        }
    });
}

#[test]
fn a_revocation_is_final_and_may_be_repeated() {
    for_each_app(|app| {
        let admin = app.admin();
        let mira = app.idp().post("/Users", user("mira@example.com")).expect(201).id();
        let key = app.issue(&mira);
        let path = format!("/v1/keys/{}/revoke", app.id_of(&key));
        app.clock.advance(TimeDelta::minutes(1));
        let first = admin.post(&path, json!({"reason": "laptop_lost"})).expect(200);
        assert_eq!((&first["status"], &first["revoke_reason"]), (&json!("revoked"), &json!("laptop_lost")));
        assert_eq!(first["revoked_at"], json!("2026-01-05T09:01:00.000Z"));
        app.clock.advance(TimeDelta::minutes(1));
        assert_eq!(admin.post(&path, json!({"reason": "another"})).expect(200).body, first.shown());
        assert_eq!(admin.send("POST", &path, &[], "").expect(200).body, first.shown());
        assert_eq!(app.verify(&key), "REVOKED");
        assert_eq!(app.actions(), ["user.created", "credential.issued", "credential.revoked"]);
        for reason in [json!(""), json!(" "), json!("a\u{7}"), json!("ü".repeat(1_001)), json!(7)] {
            admin.post(&path, json!({"reason": reason})).problem(422, "invalid");
        }
        admin.post(&format!("/v1/keys/{}/revoke", app.id(100)), json!({})).problem(404, "not_found");
        admin.post("/v1/keys/x/revoke", json!({})).problem(404, "not_found");
    });
}

#[test]
fn every_holder_may_revoke_its_own_key_and_no_other() {
    for_each_app(|app| {
        let mira = app.idp().post("/Users", user("mira@example.com")).expect(201).id();
        let (own, other) = (app.issue(&mira), app.issue(&mira));
        let holder = app.with_key(&own);
        let refused = holder.post(&format!("/v1/keys/{}/revoke", app.id_of(&other)), json!({}));
        assert_eq!(refused.problem(403, "forbidden"), "this key does not hold keyroll:keys:revoke");
        // Whether a key exists is told to those only who may know.
        let unknown = holder.post(&format!("/v1/keys/{}/revoke", app.id(100)), json!({}));
        assert_eq!(unknown.problem(403, "forbidden"), "this key does not hold keyroll:keys:revoke");
        holder.post(&format!("/v1/keys/{}/revoke", app.id_of(&own)), json!({})).expect(200);
        holder.get("/v1/whoami").problem(401, "unauthenticated");
        assert_eq!(app.verify(&other), "VALID");
        // A provisioning key, too: it leaks as others do.
        let idp = app.idp();
        let id = idp.get("/v1/whoami").expect(200)["key_id"].as_str().unwrap().to_owned();
        idp.post(&format!("/v1/keys/{}/revoke", app.id_of(&other)), json!({})).problem(403, "forbidden");
        idp.post(&format!("/v1/keys/{id}/revoke"), json!({})).expect(200);
        idp.get("/Users").scim_error(401, "");
    });
}

#[test]
fn what_cannot_be_issued() {
    for_each_app(|app| {
        let admin = app.admin();
        let mira = app.idp().post("/Users", user("mira@example.com")).expect(201).id();
        let with = |more: Value| admin.post("/v1/keys", and(owned_by(&mira), more));
        for (more, pointer) in [
            (json!({"expires_in": "P366D"}), "/expires_in"),
            (json!({"expires_in": "P365DT1S"}), "/expires_in"),
            (json!({"expires_in": "P0D"}), "/expires_in"),
            (json!({"expires_in": "-P1D"}), "/expires_in"),
            (json!({"expires_in": "P1M"}), "/expires_in"),
            (json!({"expires_in": "tomorrow"}), "/expires_in"),
            (json!({"expires_in": 30}), "/expires_in"),
            (json!({"grant": []}), "/grant"),
            (json!({"grant": [{"permissions": []}]}), "/grant"),
            (json!({"grant": null}), "/grant"),
            (json!({"grant": "keyroll:*:*"}), "/grant"),
            (json!({"grant": ["keyroll:*:*"]}), "/grant/0"),
            (json!({"grant": [{"permission": ["a:b:c"]}]}), "/grant/0/permission"),
            (json!({"grant": [{"permissions": "a:b:c"}]}), "/grant/0/permissions"),
            (granting(&["*"]), "/grant/0/permissions/0"),
            (granting(&["Keyroll:keys:read"]), "/grant/0/permissions/0"),
            (granting(&["keyroll:keys:read", "billing:invoices:read"]), "/grant/0/permissions/1"),
            (granting(&["*:*:*"]), "/grant/0/permissions/0"),
            (json!({"grant": [{"permissions": ["a:b:c", 7]}]}), "/grant/0/permissions/1"),
            (granting(&vec!["keyroll:keys:read"; 1_001]), "/grant/0/permissions"),
            (json!({"name": 7}), "/name"),
            (json!({"name": "x".repeat(201)}), "/name"),
            (json!({"class": "p"}), "/class"),
            (json!({"owner": {"type": "group", "id": mira}}), "/owner/type"),
            (json!({"owner": {"type": "user"}}), "/owner/id"),
            (json!({"owner": {"type": "user", "id": "x"}}), "/owner/id"),
            (json!({"owner": {"type": "agent", "id": mira}}), "/owner/id"),
            (json!({"owner": mira}), "/owner"),
            (json!({"owner": null}), "/owner"),
        ] {
            let refused = with(more.clone());
            assert!(!refused.problem(422, "invalid").is_empty());
            assert_eq!(refused["pointer"], json!(pointer), "{more}");
        }
        admin.post("/v1/keys", json!({})).problem(422, "invalid");
        assert_eq!(app.actions(), ["user.created"]);
        with(json!({"expires_in": "P365D"})).expect(201);
        with(json!({"expires_in": "PT1S"})).expect(201);
    });
}

#[test]
fn a_grant_is_capped_by_owner_and_caller_a06_a07() {
    for_each_app(|app| {
        let admin = app.admin();
        let mira = app.idp().post("/Users", user("mira@example.com")).expect(201).id();
        // The owner does not hold it.
        for permission in ["keyroll:keys:read", "keyroll:*:*", "keyroll:users:read"] {
            let refused = admin.post("/v1/keys", and(owned_by(&mira), granting(&[permission])));
            assert_eq!(refused.problem(403, "forbidden"), format!("the owner does not hold {permission}"));
        }
        // The operator does, but minting is granted on the host only.
        let operator = |permissions: &[&str]| and(owned_by("operator"), granting(permissions));
        for permission in ["keyroll:keys:issue", "keyroll:keys:*", "keyroll:*:issue", "keyroll:*:*"] {
            let refused = admin.post("/v1/keys", operator(&["keyroll:keys:read", permission]));
            let detail = format!("{permission} would let the key issue keys: only the host grants that");
            assert_eq!(refused.problem(403, "forbidden"), detail);
        }
        let issued = admin.post("/v1/keys", operator(&["keyroll:keys:verify", "keyroll:keys:read"])).expect(201);
        assert_eq!(issued["grant"], json!([{"permissions": ["keyroll:keys:read", "keyroll:keys:verify"]}]));
        // What a key does not hold, it does not pass on.
        let issuer = app.with_key(&app.issue_on_host(Owner::Operator, &["keyroll:keys:issue", "keyroll:keys:verify"]));
        issuer.post("/v1/keys", operator(&["keyroll:keys:verify"])).expect(201);
        let refused = issuer.post("/v1/keys", operator(&["keyroll:keys:read"]));
        assert_eq!(refused.problem(403, "forbidden"), "the caller does not hold keyroll:keys:read");
        issuer.get("/v1/keys").problem(403, "forbidden");
        // Nobody mints without that permission.
        let reader = app.with_key(issued["key"].as_str().unwrap());
        let refused = reader.post("/v1/keys", owned_by(&mira));
        assert_eq!(refused.problem(403, "forbidden"), "this key does not hold keyroll:keys:issue");
    });
}

#[test]
fn the_host_always_has_a_way_back_in() {
    for_each_app(|app| {
        let own = app.admin().get("/v1/whoami").expect(200)["key_id"].as_str().unwrap().to_owned();
        app.admin().post(&format!("/v1/keys/{own}/revoke"), json!({})).expect(200);
        app.admin().get("/v1/keys").problem(401, "unauthenticated");
        let back = app.with_key(&app.issue_on_host(Owner::Operator, &[]));
        let me = back.get("/v1/whoami").expect(200);
        assert_eq!(me["permissions"], json!(["keyroll:*:*"]));
        let record = back.get(&format!("/v1/keys/{}", me["key_id"].as_str().unwrap())).expect(200);
        assert_eq!(record["owner"]["type"], json!("user"));
        let log = app.log();
        assert_eq!((&log[1]["action"], &log[1]["actor"]), (&json!("credential.issued"), &json!({"type": "host"})));
    });
}

#[test]
fn a_service_verifies_and_nothing_more() {
    for_each_app(|app| {
        let mira = app.idp().post("/Users", user("mira@example.com")).expect(201).id();
        let key = app.issue(&mira);
        let service = app.with_key(&app.issue_on_host(Owner::Operator, &["keyroll:keys:verify"]));
        let code = |key: &str| service.post("/v1/verify", json!({"key": key})).expect(200)["code"].clone();
        assert_eq!(code(&key), json!("VALID"));
        for wrong in ["", "x", "kru_000000000000_0", &key[..65], &key.replace("kru_", "krs_"), &format!("{key} ")] {
            assert_eq!(code(wrong), json!("NOT_FOUND"), "{wrong}");
        }
        assert_eq!(code(app.idp().key()), json!("VALID"));
        for body in [json!({}), json!({"key": null}), json!({"key": 7})] {
            assert_eq!(service.post("/v1/verify", body).expect(422)["pointer"], json!("/key"));
        }
        for answer in [
            service.get("/v1/keys"),
            service.get("/v1/users"),
            service.post("/v1/keys", owned_by(&mira)),
            service.post(&format!("/v1/keys/{}/revoke", app.id_of(&key)), json!({})),
            service.post(&format!("/v1/users/{mira}/suspend"), json!({})),
            service.delete(&format!("/v1/users/{mira}")),
        ] {
            answer.problem(403, "forbidden");
        }
        service.get(&format!("/Users/{mira}")).scim_error(403, "");
        assert_eq!(code(&key), json!("VALID"));
    });
}

#[test]
fn people_are_listed_in_pages() {
    for_each_app(|app| {
        let admin = app.admin();
        let gone = app.idp().post("/Users", user("gone@example.com")).expect(201).id();
        let mira = app.idp().post("/Users", user("mira@example.com")).expect(201).id();
        app.idp().post("/Agents", agent("deploy")).expect(201);
        app.idp().delete(&format!("/Users/{gone}")).expect(204);
        let (mut seen, mut cursor) = (vec![], String::new());
        loop {
            let page = admin.get(&format!("/v1/users?count=2{cursor}")).expect(200);
            seen.extend(page["users"].as_array().unwrap().iter().map(|one| one["name"].as_str().unwrap().to_owned()));
            match page["next"].as_str() {
                Some(next) => cursor = format!("&cursor={next}"),
                None => break,
            }
        }
        assert_eq!(seen, ["operator", "default", "mira@example.com", "deploy"]);
        for name in [mira.as_str(), "mira@example.com", "MIRA@example.com"] {
            assert_eq!(admin.get(&format!("/v1/users/{name}")).expect(200)["id"], json!(mira));
        }
        assert_eq!(admin.get("/v1/users/operator").expect(200)["origin"], json!("local"));
        admin.get("/v1/users/nobody").problem(404, "not_found");
        for list in ["users", "keys", "roles/keyroll.admin/holders"] {
            let refused = admin.get(&format!("/v1/{list}?count=0"));
            assert_eq!(refused.problem(400, "malformed"), "count: expected 1 or more");
        }
    });
}

#[test]
fn a_question_with_more_than_is_looked_at_is_refused() {
    let app = TestApp::sqlite();
    let admin = app.admin();
    let asked = admin.post("/v1/verify", json!({"key": "kru_x", "permissions": "billing:invoices:read"}));
    assert_eq!(asked.problem(422, "invalid"), "permissions: no such member");
    let mine = admin.get("/v1/whoami").expect(200)["key_id"].as_str().unwrap().to_owned();
    admin.post(&format!("/v1/keys/{mine}/revoke"), json!({"foo": 1})).problem(422, "invalid");
    admin.get("/v1/whoami").expect(200);
}

#[test]
fn an_edited_row_is_listed_as_tampered_and_hides_no_other() {
    for_each_app(|app| {
        let (idp, admin) = (app.idp(), app.admin());
        let mira = idp.post("/Users", user("mira@example.com")).expect(201).id();
        let issued = admin.post("/v1/keys", and(owned_by(&mira), json!({"name": "ci"}))).expect(201);
        let key = issued["key"].as_str().unwrap().to_owned();
        app.sql("UPDATE credentials SET permissions = 'keyroll:*:*' WHERE name = 'ci'");
        let listed = admin.get(&format!("/v1/keys?owner={mira}")).expect(200);
        assert_eq!(
            (&listed["keys"][0]["status"], &listed["keys"][0]["grant"][0]["permissions"]),
            (&json!("tampered"), &json!([]))
        );
        assert_eq!(admin.get("/v1/keys").expect(200)["keys"].as_array().unwrap().len(), 3);
        assert_eq!(admin.post("/v1/verify", json!({ "key": key })).expect(200)["code"], json!("NOT_FOUND"));
    });
}
