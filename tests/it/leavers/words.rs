//! No and yes in other words than JSON's, and in other places.

use serde_json::{Value, json};

use super::refused::refused;
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
fn a_no_in_a_part_of_something_is_not_dropped_either() {
    const MANAGER: &str = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User";
    let parts = |id: &str| {
        [
            (json!({MANAGER: {"manager": {"value": id, "active": false}}}), format!("{MANAGER}:manager.active")),
            (json!({"emails": [{"value": "a@example.com", "active": false}]}), "emails[0].active".to_owned()),
            (json!({"emails": [{"value": "a@example.com", "status": "left"}]}), "emails[0].status".to_owned()),
            (json!({"phoneNumbers": [{"value": "555", "disabled": true}]}), "phoneNumbers[0].disabled".to_owned()),
            (json!({"roles": {"value": "r", "isActive": "no"}}), "roles[0].isActive".to_owned()),
            (json!({"name": {"status": "terminated"}}), "name.status".to_owned()),
            (json!({"meta": {"active": false}}), "meta.active".to_owned()),
            (json!({"groups": [{"value": "g", "active": 0.0}]}), "groups.active".to_owned()),
        ]
    };
    for_each_app(|app| {
        for dialect in LENIENT {
            let idp = speaking(app, dialect);
            let boss = hire(app, &idp, &format!("{}-boss", dialect.name()));
            let who = hire(app, &idp, &format!("{}-who", dialect.name()));
            for (n, (part, path)) in parts(boss.path.rsplit('/').next().unwrap()).into_iter().enumerate() {
                let told = format!("{path}: says that somebody leaves, and there is no such attribute: active says it");
                let way = if n % 2 == 0 { "alone" } else { "Bulk" };
                let new = and(user(&format!("{}-{n}", dialect.name())), part.clone());
                let whole = and(user(&who.name), part.clone());
                let pathless = patch(json!([{"op": "replace", "value": part}]));
                for (method, at, body) in
                    [("POST", "/Users", new), ("PUT", &*who.path, whole), ("PATCH", &*who.path, pathless.clone())]
                {
                    let (status, _, _, answer) = send(&idp, way, method, at, &body);
                    let detail =
                        answer["detail"].as_str().unwrap_or_default().replace("[0]", "").replace("Operations: ", "");
                    assert_eq!((status, detail), (400, told.replace("[0]", "")), "{method} {body}");
                }
                // Beside what says it where it counts, it is only named.
                let left = patch(json!([pathless["Operations"][0], super::off()]));
                let (status, _, tolerances, answer) = send(&idp, way, "PATCH", &who.path, &left);
                assert_eq!((status, app.verify(&who.key).as_str()), (200, "OWNER_INACTIVE"), "{answer}");
                assert!(tolerances.contains("auto-001"), "{tolerances}");
                idp.patch(&who.path, replace("active", true)).expect(200);
            }
            for path in [format!("{MANAGER}:manager.active"), "emails[type eq \"work\"].active".to_owned()] {
                idp.patch(&who.path, replace(&path, false)).expect(400);
                idp.patch(&who.path, replace(&path, true)).expect(200);
            }
        }
        for dialect in EXACT {
            // What is made here is ignored as RFC 7644 §3.5.1 has it.
            let made = and(user(&format!("{}-made", dialect.name())), json!({"meta": {"active": false}}));
            assert_eq!(speaking(app, dialect).post("/Users", made).expect(201)["active"], json!(true));
        }
    });
}

#[test]
fn a_removal_of_what_is_called_active_is_not_left_out() {
    for_each_app(|app| {
        for dialect in LENIENT {
            let idp = speaking(app, dialect);
            let who = hire(app, &idp, dialect.name());
            let id = who.path.trim_start_matches("/Users/");
            let urn = format!("{USER}:active");
            for (n, path) in
                ["active.value", "active[value eq true]", "/active", "urn:acme:roles.1:active", "urn:acme:User:active"]
                    .into_iter()
                    .enumerate()
            {
                let way = if n % 2 == 0 { "alone" } else { "Bulk" };
                for value in [json!({}), json!({"value": true})] {
                    let operation = and(json!({"op": "remove", "path": path}), value);
                    let (status, _, _, answer) = send(&idp, way, "PATCH", &who.path, &patch(json!([operation])));
                    assert_eq!((status, app.verify(&who.key).as_str()), (400, "VALID"), "{path} {answer}");
                    let named = refused(app, "user.refused").last().unwrap().clone();
                    assert_eq!((&named[0], &named[2]["attempted"]), (&json!(id), &json!("user.patched")), "{path}");
                    let beside = patch(json!([operation, super::off()]));
                    assert_eq!(send(&idp, way, "PATCH", &who.path, &beside).0, 200, "{path}");
                    assert_eq!(app.verify(&who.key), "OWNER_INACTIVE");
                    idp.patch(&who.path, replace("active", true)).expect(200);
                }
                app.clock.advance(chrono::TimeDelta::hours(1));
            }
            // What is no PATCH at all, and an attribute under its whole name where it has one already.
            for (n, body) in [
                json!({"active": false}),
                json!([super::off()]),
                json!({"op": "replace", "path": "active", "value": false}),
                replace("urn:acme:roles.1:active", false),
                replace(USER, json!({urn.clone(): false})),
                patch(json!([{"op": "remove"}])),
                patch(json!([{"op": "replace", "attribute": "active", "value": false}])),
                patch(json!([{"op": "replace", "value": [{"path": "active", "value": false}]}])),
                patch(json!([{"op": "remove", "value": {"active": true}}])),
            ]
            .into_iter()
            .enumerate()
            {
                let way = if n % 2 == 0 { "alone" } else { "Bulk" };
                let records = app.log().len();
                let (status, _, _, answer) = send(&idp, way, "PATCH", &who.path, &body);
                assert_eq!((status, app.verify(&who.key).as_str()), (400, "VALID"), "{body} {answer}");
                assert_eq!(app.log().len(), records + 1, "{body}");
                app.clock.advance(chrono::TimeDelta::hours(1));
            }
            // A PATCH in the place of a resource.
            let whole = and(user(&who.name), json!({"Operations": [super::off()]}));
            idp.put(&who.path, whole).scim_error(400, "invalidSyntax");
            // A yes and a no in numbers are the same everywhere.
            for (name, value) in
                [("accountEnabled", json!(0.0)), ("disabled", json!(1.0)), ("urn:acme:enabled", json!("0.0"))]
            {
                idp.patch(&who.path, replace(name, value.clone())).scim_error(400, "invalidSyntax");
                let whole = and(user(&who.name), json!({name: value}));
                idp.put(&who.path, whole).scim_error(400, "invalidSyntax");
            }
            idp.patch(&who.path, replace("active", 0.0)).expect(200);
            assert_eq!(app.verify(&who.key), "OWNER_INACTIVE");
        }
    });
}
