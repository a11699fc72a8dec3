//! No and yes in other words than JSON's, and in other places.

use serde_json::{Value, json};

use super::{EXACT, LENIENT, hire, send, speaking};
use crate::support::app::*;

#[test]
fn whatever_means_no_is_understood() {
    for_each_app(|app| {
        let no = json!([
            " False ", "0", 0, "no", "N", "n", "off", "inactive", "disabled", "Suspended", "terminated", "deprovisioned",
            "Left", {"value": "False"}, [[false]],
        ]);
        let yes = json!(["1", 1, "yes", "Y", "y", "on", "active", "enabled"]);
        let (no, yes) = (no.as_array().unwrap(), yes.as_array().unwrap());
        for dialect in LENIENT {
            let idp = speaking(app, dialect);
            let who = hire(app, &idp, dialect.name());
            for (n, (no, yes)) in no.iter().zip(yes.iter().cycle()).enumerate() {
                let way = if n % 2 == 0 { "alone" } else { "Bulk" };
                let by = |method: &str, value: &Value| {
                    let body = match method {
                        "PUT" => and(user(&who.name), json!({"active": value})),
                        _ => replace("active", value.clone()),
                    };
                    let (status, _, tolerances, answer) = send(&idp, way, method, &who.path, &body);
                    assert_eq!(status, 200, "{value} {answer}");
                    assert!(
                        ["entra-002", "auto-004", "entra-002, auto-004"].contains(&tolerances.as_str()),
                        "{tolerances}"
                    );
                };
                for method in ["PATCH", "PUT"] {
                    by(method, no);
                    assert_eq!(app.verify(&who.key), "OWNER_INACTIVE", "{method} {no}");
                    assert_eq!(idp.get(&who.path).expect(200)["active"], json!(false));
                    by(method, yes);
                    assert_eq!(app.verify(&who.key), "VALID", "{method} {yes}");
                }
            }
            let joiner = and(user(&format!("{}-0", dialect.name())), json!({"active": "off"}));
            assert_eq!(idp.post("/Users", joiner).expect(201)["active"], json!(false));
            for odd in [json!("perhaps"), json!(2), json!(["x"])] {
                let refused = idp.patch(&who.path, replace("active", odd));
                let detail = refused.scim_error(400, "invalidValue");
                assert!(detail.contains(" and false, 0, no, n, f, off, inactive, disabled, suspended, "), "{detail}");
                assert!(detail.ends_with(", dismissed, quit, former"), "{detail}");
            }
        }
        for dialect in EXACT {
            let idp = speaking(app, dialect);
            let who = hire(app, &idp, dialect.name());
            for value in no.iter().chain(yes) {
                let refused = idp.patch(&who.path, replace("active", value.clone()));
                let detail = refused.scim_error(400, "invalidValue");
                assert!(detail.starts_with("Operations[0]: active: expected a boolean, got a"), "{detail}");
                assert!(!detail.contains("understood"), "{detail}");
            }
            assert_eq!(app.verify(&who.key), "VALID");
        }
    });
}

#[test]
fn other_words_for_leaving_are_not_dropped_either() {
    for_each_app(|app| {
        let leaves = json!({
            "isActive": false, "accountStatus": "inactive", "userStatus": "Disabled", "isEnabled": "no",
            "isDisabled": true, "deactivated": true, "terminated": "yes", "deprovisioned": 1, "blocked": true,
            "isSoftDeleted": "True", "softDeleted": true, "deleted": true, "isDeleted": "Y",
            "urn:example:hr:User:isSoftDeleted": "True", "urn:example:hr:User": {"status": "left"},
            "status": "left", "state": "Leaver", "employmentStatus": "departed", "employeeStatus": "offboarded",
            "personStatus": "resigned", "employmentState": "quit", "loginState": "former",
            "loginAllowed": false, "signInAllowed": "n", "canLogin": false, "loginEnabled": "False", "allowLogin": 0,
            "login": false,
            "isLockedOut": true, "accountExpired": "True", "revoked": true, "isEmployed": false, "employed": "no",
            "accessStatus": "expired", "userState": "revoked", "personState": "closed", "employeeState": "Ended",
        });
        let stays = json!({
            "isActive": true, "accountStatus": "active", "userStatus": "on leave", "isEnabled": 1,
            "isDisabled": false, "deactivated": false, "terminated": "no", "deprovisioned": 0, "blocked": null,
            "isSoftDeleted": "False", "deleted": "N", "status": "on leave", "loginAllowed": true, "login": "mira",
            "passwordLoginAllowed": false, "vpnAccess": false,
            "isLockedOut": false, "accountExpired": "2026-11-29", "employed": true, "selfEmployed": false,
            "passwordExpired": true, "passwordRevoked": true, "certificateStatus": "expired",
        });
        for dialect in LENIENT {
            let idp = speaking(app, dialect);
            let who = hire(app, &idp, dialect.name());
            for (name, value) in leaves.as_object().unwrap() {
                let within = if value.is_object() { ".status" } else { "" };
                let told = format!(
                    "{name}{within}: says that somebody leaves, and there is no such attribute: active says it"
                );
                let set = json!({"op": "replace", "path": name, "value": value});
                let refused = idp.patch(&who.path, patch(json!([set])));
                assert_eq!(refused.scim_error(400, "invalidSyntax"), told);
                let pathless = patch(json!([{"op": "add", "value": {name: value}}]));
                assert_eq!(idp.patch(&who.path, pathless).scim_error(400, "invalidSyntax"), told);
                let whole = and(user(&who.name), json!({name: value}));
                assert_eq!(idp.put(&who.path, whole.clone()).scim_error(400, "invalidSyntax"), told);
                for (method, body) in [("PUT", &whole), ("PATCH", &patch(json!([set])))] {
                    let (status, _, _, answer) = send(&idp, "Bulk", method, &who.path, body);
                    assert_eq!((status, &answer["detail"]), (400, &json!(told)));
                }
                let new = and(user(&format!("{}-new", dialect.name())), json!({name: value}));
                assert_eq!(idp.post("/Users", new).scim_error(400, "invalidSyntax"), told);
            }
            assert_eq!(app.verify(&who.key), "VALID");
            // Joiners are not refused for it.
            let joiner = and(user(&format!("{}-joins", dialect.name())), stays.clone());
            let joined = idp.post("/Users", joiner).expect(201);
            assert_eq!((&joined["active"], joined.header("keyroll-tolerance")), (&json!(true), "auto-001"));
            // Beside what says it where it counts, they are only named.
            let left =
                idp.put(&who.path, and(and(user(&who.name), leaves.clone()), json!({"active": false}))).expect(200);
            assert_eq!(left.header("keyroll-tolerance"), "entra-009, auto-001");
            assert_eq!(app.verify(&who.key), "OWNER_INACTIVE");
        }
    });
}

#[test]
fn a_path_that_is_none_swallows_no_no() {
    for_each_app(|app| {
        for dialect in LENIENT {
            let idp = speaking(app, dialect);
            let who = hire(app, &idp, dialect.name());
            for path in ["active=false", "active eq \"true\"", "active,title", "[\"active\"]", "[active]"] {
                let no = json!({"op": "replace", "path": path, "value": false});
                for way in ["alone", "Bulk"] {
                    let (status, _, _, answer) = send(&idp, way, "PATCH", &who.path, &patch(json!([no])));
                    let detail = answer["detail"].as_str().unwrap_or_default();
                    assert!(status == 400 && detail.contains("says that somebody leaves"), "{path}: {answer}");
                }
                assert_eq!(app.verify(&who.key), "VALID");
                let yes = json!({"op": "replace", "path": path, "value": true});
                assert_eq!(
                    idp.patch(&who.path, patch(json!([yes]))).expect(200).header("keyroll-tolerance"),
                    "auto-001"
                );
                idp.patch(&who.path, patch(json!([no, super::off()]))).expect(200);
                assert_eq!(app.verify(&who.key), "OWNER_INACTIVE");
                idp.patch(&who.path, replace("active", true)).expect(200);
            }
        }
    });
}

#[test]
fn what_is_said_of_something_else_stops_nobody() {
    const MANAGER: &str = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User";
    for_each_app(|app| {
        for dialect in LENIENT {
            let idp = speaking(app, dialect);
            let boss = hire(app, &idp, &format!("{}-boss", dialect.name()));
            let id = boss.path.rsplit('/').next().unwrap();
            for (n, of_others) in [
                json!({MANAGER: {"manager": {"value": id, "active": false}}}),
                json!({"emails": [{"value": "old@example.com", "active": false, "status": "inactive"}]}),
                json!({"phoneNumbers": [{"value": "555", "disabled": true}]}),
            ]
            .into_iter()
            .enumerate()
            {
                let name = format!("{}-{n}@example.com", dialect.name());
                let body = and(json!({"schemas": [USER, MANAGER], "userName": name}), of_others.clone());
                let made = idp.post("/Users", body.clone()).expect(201);
                assert_eq!((made.header("keyroll-tolerance"), &made["active"]), ("auto-001", &json!(true)), "{body}");
                idp.put(&format!("/Users/{}", made.id()), body).expect(200);
                let moved = patch(json!([{"op": "replace", "value": of_others}]));
                idp.patch(&format!("/Users/{}", made.id()), moved).expect(200);
            }
            // Of the person it is said all the same, wherever it stands.
            for body in [replace("name.status", "terminated"), replace(&format!("{MANAGER}:status"), "left")] {
                idp.patch(&boss.path, body).expect(400);
            }
        }
    });
}
