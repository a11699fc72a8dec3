//! Ways of saying that somebody leaves that PATCH, PUT and POST do not have: refused, named, and recorded.

use chrono::TimeDelta;
use serde_json::{Value, json};

use super::refused::refused;
use super::{EXACT, LENIENT, hire, last_write, off, send, speaking};
use crate::support::app::*;

/// What the log says of the last refusal about somebody.
fn last(app: &TestApp, action: &str, id: &str) -> Value {
    let own = refused(app, action).into_iter().rfind(|record| record[0] == id);
    own.map(|record| record[2].clone()).unwrap_or_default()
}

#[test]
fn what_is_no_operation_and_says_it_is_recorded() {
    for_each_app(|app| {
        for dialect in LENIENT.into_iter().chain(EXACT) {
            let idp = speaking(app, dialect);
            let who = hire(app, &idp, dialect.name());
            let id = who.path.trim_start_matches("/Users/");
            for (n, odd) in [
                json!({"op": "deactivate"}),
                json!({"op": "Suspend", "value": {"reason": "left"}}),
                json!({"op": "terminate", "path": "title"}),
                json!({"op": "replace", "value": {"name": "active", "value": false}}),
                json!({"op": "replace", "value": {"attribute": "accountEnabled", "value": "False"}}),
                json!({"op": "add", "value": [{"key": "urn:x:User:active", "value": "off"}]}),
                json!({"op": "replace", "path": "title", "value": {"name": "active", "value": 0}}),
                json!({"op": "replace", "path": "password", "value": {"active": false}}),
                json!({"op": "remove", "path": "title", "value": {"active": false}}),
                json!({"op": "remove", "path": "emails[type eq \"work\"]", "value": [{"accountEnabled": false}]}),
                json!({"op": "remove", "path": ENTERPRISE, "value": {"status": "left"}}),
                json!({"op": "replace", "path": "status", "value": {"code": "inactive"}}),
                json!({"op": "replace", "value": {"urn:x:User": {"accountStatus": {"name": "Terminated"}}}}),
            ]
            .into_iter()
            .enumerate()
            {
                let way = if n % 2 == 0 { "alone" } else { "Bulk" };
                let records = refused(app, "user.refused").len();
                let (status, _, _, answer) = send(&idp, way, "PATCH", &who.path, &patch(json!([odd])));
                assert_eq!((status, app.verify(&who.key).as_str()), (400, "VALID"), "{odd} {answer}");
                assert_eq!(refused(app, "user.refused").len(), records + 1, "{odd}");
                assert_eq!(last(app, "user.refused", id)["attempted"], json!("user.patched"), "{odd}");
                app.clock.advance(TimeDelta::hours(1));
                // Beside what says it where it counts, it is only named.
                if LENIENT.contains(&dialect) {
                    let both = patch(json!([odd, off()]));
                    let (status, _, tolerances, answer) = send(&idp, way, "PATCH", &who.path, &both);
                    assert_eq!((status, app.verify(&who.key).as_str()), (200, "OWNER_INACTIVE"), "{odd} {answer}");
                    assert!(!tolerances.is_empty(), "{odd}");
                    idp.patch(&who.path, replace("active", true)).expect(200);
                }
            }
        }
    });
}

#[test]
fn a_verb_that_says_it_is_not_dropped_beside_owners() {
    for_each_app(|app| {
        for dialect in LENIENT {
            let idp = speaking(app, dialect);
            let owner = hire(app, &idp, dialect.name()).path.trim_start_matches("/Users/").to_owned();
            let bot = and(agent(dialect.name()), json!({"owners": [{"value": owner}]}));
            let id = idp.post("/Agents", bot).expect(201).id();
            let path = format!("/Agents/{id}");
            let come = json!({"op": "add", "path": "owners", "value": [{"value": owner}]});
            for odd in [
                json!({"op": "deactivate"}),
                json!({"op": "replace", "value": {"name": "active", "value": false}}),
                json!({"op": "replace", "value": {"name": "accountEnabled", "value": false}}),
            ] {
                for body in [json!([odd, come]), json!([odd])] {
                    let refused = idp.patch(&path, patch(body));
                    assert_eq!(refused.status, 400, "{odd} {refused}");
                }
                assert_eq!(last(app, "agent.refused", &id)["attempted"], json!("agent.patched"), "{odd}");
                let shown = idp.get(&path).expect(200);
                assert_eq!((&shown["active"], &shown["name"]), (&json!(true), &json!(dialect.name())));
                app.clock.advance(TimeDelta::hours(1));
            }
        }
    });
}

#[test]
fn to_set_what_is_called_active_to_nothing_is_to_remove_it() {
    for_each_app(|app| {
        for dialect in LENIENT {
            let idp = speaking(app, dialect);
            let who = hire(app, &idp, dialect.name());
            let id = who.path.trim_start_matches("/Users/");
            for (n, path) in ["/active", "active.value", "$.active", "urn:acme:User:active"].into_iter().enumerate() {
                let way = if n % 2 == 0 { "alone" } else { "Bulk" };
                for nothing in [json!(null), json!(""), json!([]), json!({})] {
                    for body in [
                        json!({"op": "replace", "path": path, "value": nothing}),
                        json!({"op": "replace", "value": {path: nothing}}),
                    ] {
                        let (status, _, _, answer) = send(&idp, way, "PATCH", &who.path, &patch(json!([body])));
                        assert_eq!((status, app.verify(&who.key).as_str()), (400, "VALID"), "{body} {answer}");
                        assert_eq!(last(app, "user.refused", id)["attempted"], json!("user.patched"), "{body}");
                        app.clock.advance(TimeDelta::hours(1));
                    }
                }
            }
            // Another name has no value of ours to lose: it is dropped, and named wherever it is told.
            for body in
                [remove("accountEnabled"), replace("accountEnabled", Value::Null), replace("accountEnabled", "gone")]
            {
                let same = idp.patch(&who.path, body.clone()).expect(200);
                assert_eq!((same.header("keyroll-tolerance"), app.verify(&who.key).as_str()), ("auto-001", "VALID"));
                let change = json!({"paths": [], "tolerances": ["auto-001"], "dropped": ["accountEnabled"]});
                assert_eq!(last_write(app, "user.patched")["change"], change, "{body}");
                app.clock.advance(TimeDelta::hours(1));
            }
        }
    });
}

#[test]
fn a_creation_of_whoever_is_there_already_may_be_a_leaving() {
    for_each_app(|app| {
        for dialect in LENIENT.into_iter().chain(EXACT) {
            let idp = speaking(app, dialect);
            for (n, (odd, status)) in [
                (json!({"active": false}), 409),
                (json!({"active": null}), 409),
                (json!({"active": "perhaps"}), 400),
                (json!({"isDeleted": true, "title": []}), 400),
            ]
            .into_iter()
            .enumerate()
            {
                let status = if EXACT.contains(&dialect) && n == 3 { 400 } else { status };
                for way in ["alone", "Bulk"] {
                    let who = hire(app, &idp, &format!("{}{n}{way}", dialect.name()));
                    let id = who.path.trim_start_matches("/Users/");
                    let body = and(user(&who.name.to_uppercase()), odd.clone());
                    let (code, _, _, answer) = send(&idp, way, "POST", "/Users", &body);
                    assert_eq!((code, app.verify(&who.key).as_str()), (status, "VALID"), "{odd} {answer}");
                    assert_eq!(last(app, "user.refused", id)["attempted"], json!("user.created"), "{way} {odd}");
                }
            }
            // Who is taken for new and said to be there leaves no record, nor does a group's or a stranger's name.
            let (who, records) = (hire(app, &idp, dialect.name()), app.log().len());
            idp.post("/Users", and(user(&who.name), json!({"active": true}))).scim_error(409, "uniqueness");
            idp.post("/Users", and(user("new@example.com"), json!({"active": "perhaps"})))
                .scim_error(400, "invalidValue");
            assert_eq!(app.log().len(), records);
        }
        let (mira, other) = (hire(app, &app.idp(), "mira"), app.connect(keyroll::scim::tolerance::Dialect::Auto));
        let records = refused(app, "user.refused").len();
        other.post("/Users", and(user(&mira.name), json!({"active": false}))).scim_error(409, "uniqueness");
        assert_eq!(refused(app, "user.refused").len(), records);
    });
}

#[test]
fn a_refused_change_of_roles_that_give_access_is_recorded() {
    for_each_app(|app| {
        let (admin, idp) = (app.admin(), app.idp());
        admin.post("/v1/apis", json!({"name": "billing", "permissions": [{"name": "invoices:read"}]})).expect(201);
        let role = json!({"name": "reader", "permissions": ["billing:invoices:read"], "assertable_by": ["default"]});
        admin.post("/v1/roles", role).expect(201);
        let source = json!({"role": "reader", "source": {"asserted": {"attribute": "roles", "value": "reader"}}});
        admin.post("/v1/mappings", source).expect(201);
        let (who, other) = (hire(app, &idp, "mira"), hire(app, &idp, "tom"));
        idp.patch(&who.path, add("roles", json!([{"value": "reader"}]))).expect(200);
        let id = who.path.trim_start_matches("/Users/");
        for (n, (method, body)) in [
            ("PATCH", replace("roles", 7)),
            ("PATCH", replace("roles", json!([[7]]))),
            ("PATCH", patch(json!([{"op": "replace", "value": {"roles": [7]}}]))),
            ("PATCH", remove("roles[value eq \"reader\"")),
            ("PUT", and(user(&who.name), json!({"roles": 7}))),
        ]
        .into_iter()
        .enumerate()
        {
            let way = if n % 2 == 0 { "alone" } else { "Bulk" };
            let records = app.log().len();
            let (status, _, _, answer) = send(&idp, way, method, &other.path, &body);
            assert_eq!((status, app.log().len()), (400, records), "{body} {answer}");
            assert_eq!(send(&idp, way, method, &who.path, &body).0, 400, "{body}");
            let attempted = if method == "PUT" { "user.replaced" } else { "user.patched" };
            assert_eq!(last(app, "user.refused", id)["attempted"], json!(attempted), "{body}");
            assert_eq!(app.log().len(), records + 1, "{body}");
            app.clock.advance(TimeDelta::hours(1));
        }
        // Who is to have more, or another attribute, has what it has.
        let records = app.log().len();
        for body in [add("roles", 7), replace("emails", 7)] {
            idp.patch(&who.path, body).scim_error(400, "invalidValue");
        }
        assert_eq!(app.log().len(), records);
    });
}
