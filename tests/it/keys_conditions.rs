//! Grants that count under conditions: at verification, and where a key comes to Keyroll itself.

use chrono::TimeDelta;
use keyroll::service::keys::Owner;
use keyroll::service::keys::request::GrantTexts;
use serde_json::{Value, json};

use crate::keys_steps::mira;
use crate::support::app::*;

const PRINT: &str = "A4DtL2JmUMhAsvJj5tKyn64SqzmuXbMrJa0n761y5v0";

/// A key of a user for these parts of a grant.
fn key(app: &TestApp, owner: &str, grant: Value) -> (String, Value) {
    let body = json!({"owner": {"type": "user", "id": owner}, "grant": grant});
    let issued = app.admin().post("/v1/keys", body).expect(201);
    (issued["key"].as_str().unwrap().to_owned(), issued["grant"].clone())
}

fn code(app: &TestApp, key: &str, question: Value) -> String {
    let mut question = question;
    question["key"] = json!(key);
    // Asked twice: what is remembered answers alike.
    let codes = [(); 2].map(|()| app.admin().post("/v1/verify", question.clone()).expect(200)["code"].clone());
    assert_eq!(codes[0], codes[1], "{question}");
    codes[0].as_str().unwrap().to_owned()
}

#[test]
fn a_part_of_a_grant_counts_where_its_conditions_hold() {
    for_each_app(|app| {
        let mira = mira(app);
        let grant = json!([
            {"permissions": ["billing:invoices:write"], "when": {"ip": ["203.0.113.0/24"], "environment": ["prod"]}},
            {"permissions": ["billing:invoices:read"]},
            {"permissions": ["billing:invoices:read"], "when": {"certificate": PRINT}},
        ]);
        let (key, shown) = key(app, &mira.id, grant);
        // What counts always stands first.
        assert_eq!(shown[0], json!({"permissions": ["billing:invoices:read"]}));
        assert_eq!(shown[1]["when"], json!({"ip": ["203.0.113.0/24"], "environment": ["prod"]}));
        let (write, read) = ("billing:invoices:write", "billing:invoices:read");
        let near = json!({"permission": write, "ip": "203.0.113.9", "environment": "prod"});
        assert_eq!(code(app, &key, near.clone()), "VALID");
        for (name, other) in [("ip", json!("203.0.114.9")), ("environment", json!("test"))] {
            let mut far = near.clone();
            far[name] = other;
            assert_eq!(code(app, &key, far), "CONDITION_FAILED");
            let mut silent = near.clone();
            silent.as_object_mut().unwrap().remove(name);
            assert_eq!(code(app, &key, silent), "CONDITION_FAILED");
        }
        assert_eq!(code(app, &key, json!({"permission": read})), "VALID");
        assert_eq!(code(app, &key, json!({"permission": "billing:taxes:read"})), "INSUFFICIENT_PERMISSIONS");
        assert_eq!(code(app, &key, json!({})), "VALID");
        // What the owner loses is lost whatever holds; a condition is told before.
        app.idp().patch(&format!("/Users/{}", mira.id), replace("active", false)).expect(200);
        assert_eq!(code(app, &key, near), "OWNER_INACTIVE");
    });
}

#[test]
fn a_key_of_which_nothing_counts_fails_by_its_conditions() {
    for_each_app(|app| {
        let mira = mira(app);
        let when = json!({"between": ["08:00", "20:00", "Europe/Paris"], "certificate": PRINT});
        let (key, _) = key(app, &mira.id, json!([{"permissions": ["billing:invoices:*"], "when": when}]));
        // The clock of the tests begins at 9:00 UTC, which is ten in Paris.
        assert_eq!(code(app, &key, json!({"certificate": PRINT})), "VALID");
        assert_eq!(code(app, &key, json!({})), "CONDITION_FAILED");
        app.clock.advance(TimeDelta::hours(9) + TimeDelta::minutes(59));
        assert_eq!(code(app, &key, json!({"certificate": PRINT})), "VALID");
        app.clock.advance(TimeDelta::minutes(1));
        assert_eq!(code(app, &key, json!({"certificate": PRINT})), "CONDITION_FAILED");
        let id = app.admin().post("/v1/keys:identify", json!({"key": key})).expect(200).id();
        let effective = app.admin().get(&format!("/v1/keys/{id}/effective")).expect(200);
        let states = ["billing:invoices:read", "billing:invoices:write"];
        let states: Vec<_> = states.iter().map(|one| json!({"permission": one, "state": "condition"})).collect();
        assert_eq!(effective["permissions"], json!(states));
        // At Keyroll itself nobody shows a certificate.
        let refused = app.with_key(&key).get("/v1/whoami").expect(403);
        assert_eq!(refused["detail"], json!("no condition of this key's grant holds for this request"));
    });
}

#[test]
fn a_key_for_keyroll_counts_from_where_it_may_come() {
    for_each_app(|app| {
        let admin = app.admin();
        let of_operator = |ip: &str| {
            let grant = json!([{"permissions": ["keyroll:users:read"], "when": {"ip": [ip]}}]);
            let body = json!({"owner": {"type": "user", "id": "operator"}, "grant": grant});
            admin.post("/v1/keys", body).expect(201)["key"].as_str().unwrap().to_owned()
        };
        let (here, elsewhere) = (of_operator("127.0.0.0/8"), of_operator("203.0.113.0/24"));
        assert_eq!(app.with_key(&here).get("/v1/users").status, 200);
        assert_eq!(app.with_key(&elsewhere).get("/v1/users").status, 403);
        // Nobody is believed who says where it comes from, but a proxy.
        let forwarded = [("x-forwarded-for", "203.0.113.7")];
        assert_eq!(app.with_key(&elsewhere).send("GET", "/v1/users", &forwarded, "").status, 403);
    });
}

#[test]
fn narrowing_adds_conditions_and_takes_none_away() {
    for_each_app(|app| {
        let (admin, mira) = (app.admin(), mira(app));
        let at = format!("/v1/keys/{}/narrow", mira.key_id);
        let to = |when: Value| json!({"grant": [{"permissions": ["billing:invoices:read"], "when": when}]});
        let prod = json!({"environment": ["prod"]});
        admin.post(&at, to(prod.clone())).expect(200);
        let question = json!({"permission": "billing:invoices:read"});
        assert_eq!(code(app, &mira.key, question.clone()), "CONDITION_FAILED");
        admin.post(&at, to(prod)).expect(200);
        for wider in [json!({"environment": ["prod", "test"]}), json!({"ip": ["0.0.0.0/0"]})] {
            admin.post(&at, to(wider)).problem(403, "forbidden");
        }
        let free = json!({"grant": [{"permissions": ["billing:invoices:read"]}]});
        admin.post(&at, free).problem(403, "forbidden");
        assert_eq!(code(app, &mira.key, question), "CONDITION_FAILED");
    });
}

#[test]
fn what_is_no_condition_is_refused_where_it_stands() {
    let app = TestApp::sqlite();
    let (app, mira) = (&app, mira(&app));
    let issue = |when: Value| {
        let grant = json!([{"permissions": ["billing:invoices:read"], "when": when}]);
        app.admin().post("/v1/keys", json!({"owner": {"type": "user", "id": mira.id}, "grant": grant}))
    };
    for (when, pointer) in [
        (json!({}), "/grant/0/when"),
        (json!(null), "/grant/0/when"),
        (json!({"weekday": ["monday"]}), "/grant/0/when/weekday"),
        (json!({"ip": ["office"]}), "/grant/0/when/ip"),
        (json!({"ip": []}), "/grant/0/when/ip"),
        (json!({"between": ["08:00", "20:00", "Europe/Atlantis"]}), "/grant/0/when/between"),
        (json!({"certificate": "short"}), "/grant/0/when/certificate"),
    ] {
        let refused = issue(when.clone());
        refused.problem(422, "invalid");
        assert_eq!(refused.body["pointer"], json!(pointer), "{when}");
    }
    for (name, odd) in [("ip", "here"), ("environment", "Prod!"), ("certificate", "x")] {
        let refused = app.admin().post("/v1/verify", json!({"key": mira.key, name: odd}));
        refused.problem(422, "invalid");
        assert_eq!(refused.body["pointer"], json!(format!("/{name}")));
    }
}

/// Seen to fail without the parts in the MAC: the row without its conditions was taken as Keyroll's.
#[test]
fn a_row_that_lost_its_conditions_works_nowhere() {
    for_each_app(|app| {
        let mira = mira(app);
        let when = json!({"environment": ["prod"]});
        let (key, _) = key(app, &mira.id, json!([{"permissions": ["billing:invoices:read"], "when": when}]));
        let question = json!({"key": key, "permission": "billing:invoices:read", "environment": "prod"});
        assert_eq!(app.admin().post("/v1/verify", question.clone()).expect(200)["code"], json!("VALID"));
        app.sql("UPDATE credentials SET grant_parts = NULL WHERE grant_parts IS NOT NULL");
        app.clock.advance(TimeDelta::seconds(2));
        assert_eq!(app.admin().post("/v1/verify", question).expect(200)["code"], json!("NOT_FOUND"));
    });
}

/// Seen to fail without the conditions among what a caller may give.
#[test]
fn whoever_may_under_conditions_gives_it_under_no_fewer() {
    for_each_app(|app| {
        let when = json!({"ip": ["127.0.0.0/8"]});
        let bound = GrantTexts {
            permissions: &["keyroll:*:*".to_owned()],
            when: serde_json::from_value(when.clone()).unwrap(),
        };
        let key = app.service.issue_key_on_host(&app.host(), Owner::Operator, "", &bound, None).unwrap().key;
        let issue = |grant: Value| {
            let body = json!({"owner": {"type": "user", "id": "operator"}, "grant": [grant]});
            app.with_key(&key).post("/v1/keys", body)
        };
        issue(json!({"permissions": ["keyroll:users:read"]})).problem(403, "forbidden");
        let wider = json!({"ip": ["0.0.0.0/0"]});
        issue(json!({"permissions": ["keyroll:users:read"], "when": wider})).problem(403, "forbidden");
        issue(json!({"permissions": ["keyroll:users:read"], "when": when})).expect(201);
    });
}
