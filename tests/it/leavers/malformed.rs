//! Operations that are malformed, beside what says that somebody leaves, and such that can be meant in one way only.

use serde_json::{Value, json};

use super::{EXACT, LENIENT, hire, last_write, off, send, speaking};
use crate::support::app::*;

/// What is no operation at all, and what is said of it.
fn odd() -> Vec<Value> {
    vec![
        json!({"op": "remove"}),
        json!({"op": "remove", "value": {"active": true}}),
        json!({"op": "replace", "path": 5, "value": "x"}),
        json!("replace"),
        Value::Null,
        json!({}),
        json!({"op": "replace"}),
        json!({"op": "add", "value": "x"}),
        json!({"op": "copy", "path": "title", "value": "x"}),
        json!({"path": "emails", "value": [{"value": "x@example.com"}]}),
        json!({"op": "replace", "value": [{"title": "x"}, {"title": "y"}]}),
    ]
}

#[test]
fn a_malformed_operation_keeps_nobody_alive() {
    for_each_app(|app| {
        for dialect in LENIENT {
            let idp = speaking(app, dialect);
            for (n, odd) in odd().iter().enumerate() {
                let way = if n % 2 == 0 { "alone" } else { "Bulk" };
                let who = hire(app, &idp, &format!("{}{n}", dialect.name()));
                let (status, scim_type, _, answer) = send(&idp, way, "PATCH", &who.path, &patch(json!([odd])));
                assert_eq!(status, 400, "{odd} {answer}");
                assert!(!scim_type.is_empty(), "{odd} {answer}");
                assert_eq!(app.verify(&who.key), "VALID");
                let named = json!({"op": "replace", "path": "nickName", "value": "M"});
                let body = patch(if n % 3 == 0 { json!([odd, named, off()]) } else { json!([off(), named, odd]) });
                let (status, _, tolerances, answer) = send(&idp, way, "PATCH", &who.path, &body);
                assert_eq!((status, tolerances.as_str()), (200, "auto-009"), "{odd} {answer}");
                assert_eq!(app.verify(&who.key), "OWNER_INACTIVE", "{odd}");
                assert_eq!(idp.get(&who.path).expect(200)["nickName"], json!("M"), "{odd}");
                let change = last_write(app, "user.patched")["change"].clone();
                let place = format!("Operations[{}]", if n % 3 == 0 { 0 } else { 2 });
                let known = [json!([place]), json!(["title"]), json!(["emails"]), json!(["value"])];
                assert!(known.contains(&change["dropped"]), "{odd} {change}");
                assert_eq!(change["tolerances"], json!(["auto-009"]));
            }
        }
        for dialect in EXACT {
            let idp = speaking(app, dialect);
            for (n, odd) in odd().iter().enumerate() {
                let who = hire(app, &idp, &format!("{}{n}", dialect.name()));
                assert_eq!(idp.patch(&who.path, patch(json!([off(), odd]))).status, 400, "{odd}");
                assert_eq!(app.verify(&who.key), "VALID", "{odd}");
            }
        }
    });
}

#[test]
fn a_malformed_operation_keeps_nobody_in_a_group_or_outside_it() {
    for_each_app(|app| {
        let idp = app.idp();
        let ids: Vec<String> = ["mira", "noor"]
            .iter()
            .map(|name| idp.post("/Users", user(&format!("{name}@example.com"))).expect(201).id())
            .collect();
        let team = format!("/Groups/{}", idp.post("/Groups", group("team", &[&ids[0]])).expect(201).id());
        let join = json!({"op": "add", "path": "members", "value": [{"value": ids[1]}]});
        idp.patch(&team, patch(json!([join]))).expect(200);
        for odd in [json!({"op": "remove"}), json!("x"), json!({"op": "replace", "path": 7, "value": "x"})] {
            assert_eq!(idp.patch(&team, patch(json!([odd]))).status, 400, "{odd}");
            let gone = json!({"op": "delete", "path": format!("members[value eq \"{}\"]", ids[1])});
            let left = idp.patch(&team, patch(json!([gone, odd]))).expect(200);
            assert_eq!(
                (left.members(), left.header("keyroll-tolerance")),
                (vec![ids[0].as_str()], "auto-009, auto-011")
            );
            let joined = idp.patch(&team, patch(json!([odd, join]))).expect(200);
            assert_eq!(joined.members(), [ids[0].as_str(), ids[1].as_str()]);
        }
        // Whether members are added or replaced makes a difference, and what names them is never dropped.
        for unclear in [
            json!({"path": "members", "value": []}),
            json!({"op": "update", "value": {"members": [{"value": ids[0]}]}}),
            json!({"op": "replace", "path": 5, "value": {"members": [1]}}),
        ] {
            assert_eq!(idp.patch(&team, patch(json!([unclear, join]))).status, 400, "{unclear}");
        }
        assert_eq!(idp.get(&team).expect(200).members(), [ids[0].as_str(), ids[1].as_str()]);
    });
}

#[test]
fn what_can_be_meant_in_one_way_only_is_carried_out() {
    for_each_app(|app| {
        let one = |operation: Value| patch(json!([operation]));
        let cases = [
            (one(json!({"op": "update", "value": {"active": false}})), "auto-011"),
            (one(json!({"value": {"active": false}})), "auto-011"),
            (one(json!({"op": null, "path": "active", "value": "False"})), "entra-002, auto-011"),
            (one(json!({"op": "deactivate", "path": "active", "value": false})), "auto-011"),
            (one(json!({"op": "delete", "path": "active"})), "auto-011"),
            (one(json!({"op": " replace", "path": "active", "value": false})), "entra-001"),
            (one(json!({"op": "replace", "value": [{"active": false}]})), "auto-004"),
            (one(json!([off()])), "auto-004"),
            (json!({"schemas": [PATCH], "Operations": off()}), "auto-010"),
            (one(json!({"op": "replace", "path": {}, "value": {"active": false}})), "auto-006"),
            (
                one(json!({"op": "replace", "value": {"active": true, format!("{USER}:active"): false}})),
                "entra-008, auto-012",
            ),
            (and(one(off()), json!({"active": false})), "auto-001"),
            (one(json!({"op": "replace", "path": ["active"], "value": false})), "auto-004"),
            (one(json!({"op": "replace", "path": "active", "value": {"active": false}})), "auto-004"),
            (one(json!({"op": "replace", "path": USER, "value": {"active": false}})), "auto-006"),
            // What comes last holds, whatever was meant before.
            (patch(json!([{"op": "replace", "path": "active", "value": "perhaps"}, off()])), "auto-009"),
            // What is dropped is dropped beside the leaving only: see below.
            (patch(json!([{"op": "replace", "path": "active.now", "value": false}, off()])), "auto-001"),
            (patch(json!([off(), {"op": "replace", "value": {"path": "active", "value": false}}])), "auto-009"),
        ];
        for dialect in LENIENT {
            let idp = speaking(app, dialect);
            for (n, (body, tolerance)) in cases.iter().enumerate() {
                let way = if n % 2 == 0 { "alone" } else { "Bulk" };
                let who = hire(app, &idp, &format!("{}{n}", dialect.name()));
                let (status, _, tolerances, answer) = send(&idp, way, "PATCH", &who.path, body);
                assert_eq!((status, tolerances.as_str()), (200, *tolerance), "{body} {answer}");
                assert_eq!(app.verify(&who.key), "OWNER_INACTIVE", "{body}");
            }
        }
        for dialect in EXACT {
            let idp = speaking(app, dialect);
            for (n, (body, _)) in cases.iter().enumerate() {
                let who = hire(app, &idp, &format!("{}{n}", dialect.name()));
                assert_eq!(idp.patch(&who.path, body.clone()).status, 400, "{body}");
                assert_eq!(app.verify(&who.key), "VALID", "{body}");
            }
        }
    });
}

#[test]
fn active_in_two_spellings_is_not_active_if_either_says_so() {
    for_each_app(|app| {
        for dialect in LENIENT {
            let idp = speaking(app, dialect);
            for (n, (one, other)) in
                [("true", "false"), ("false", "true"), ("\"off\"", "\"perhaps\"")].iter().enumerate()
            {
                let pathless = format!(
                    r#"{{"schemas":["{PATCH}"],"Operations":[{{"op":"replace","value":{{"active":{one},"Active":{other}}}}}]}}"#
                );
                let whole = |name: &str| {
                    format!(r#"{{"schemas":["{USER}"],"userName":"{name}","active":{one},"Active":{other}}}"#)
                };
                let patched = hire(app, &idp, &format!("{}{n}", dialect.name()));
                let answer = idp.send("PATCH", &patched.path, &[], pathless.clone()).expect(200);
                assert!(answer.header("keyroll-tolerance").ends_with("auto-012"), "{answer}");
                let put = hire(app, &idp, &format!("{}put{n}", dialect.name()));
                idp.send("PUT", &put.path, &[], whole(&put.name)).expect(200);
                let made = idp.send("POST", "/Users", &[], whole(&format!("new{n}{}", dialect.name()))).expect(201);
                assert_eq!(made["active"], json!(false));
                let in_a_job = hire(app, &idp, &format!("{}bulk{n}", dialect.name()));
                let job = format!(
                    r#"{{"schemas":["{BULK}"],"Operations":[{{"method":"PATCH","path":"{}","data":{pathless}}}]}}"#,
                    in_a_job.path
                );
                assert_eq!(idp.send("POST", "/Bulk", &[], job).expect(200)["Operations"][0]["status"], json!("200"));
                for who in [patched, put, in_a_job] {
                    assert_eq!(app.verify(&who.key), "OWNER_INACTIVE", "{one} {other}");
                }
            }
        }
        for dialect in EXACT {
            let idp = speaking(app, dialect);
            let who = hire(app, &idp, dialect.name());
            let body = format!(r#"{{"schemas":["{USER}"],"userName":"{}","active":true,"Active":false}}"#, who.name);
            idp.send("PUT", &who.path, &[], body).scim_error(400, "invalidSyntax");
            assert_eq!(app.verify(&who.key), "VALID");
        }
    });
}

#[test]
fn a_no_about_active_is_never_swallowed() {
    for_each_app(|app| {
        for dialect in LENIENT {
            let idp = speaking(app, dialect);
            let who = hire(app, &idp, dialect.name());
            for odd in [
                json!({"op": "replace", "path": "active.now", "value": false}),
                json!({"op": "replace", "path": "active[value eq true]", "value": "False"}),
                json!({"op": "replace", "path": USER, "value": false}),
                json!({"op": "replace", "value": {"path": "active", "value": false}}),
                json!({"op": "replace", "value": {"op": "replace", "path": "active", "value": false}}),
            ] {
                let alone = idp.patch(&who.path, patch(json!([odd])));
                assert_eq!(alone.status, 400, "{odd} {alone}");
                let beside = json!({"op": "replace", "path": "title", "value": "x"});
                assert_eq!(idp.patch(&who.path, patch(json!([beside, odd]))).status, 400, "{odd}");
            }
            assert_eq!(app.verify(&who.key), "VALID");
            // Nobody comes back by what is not understood, nor by what comes before it.
            let back = json!({"op": "replace", "path": "active", "value": true});
            let unclear = json!({"op": "replace", "path": "active", "value": "perhaps"});
            idp.patch(&who.path, patch(json!([unclear, back]))).scim_error(400, "invalidValue");
            let since = json!({"op": "replace", "path": "active.since", "value": "2026-11-29"});
            assert_eq!(idp.patch(&who.path, patch(json!([since]))).expect(200).header("keyroll-tolerance"), "auto-001");
        }
    });
}

#[test]
fn a_job_is_carried_out_whatever_is_odd_about_it() {
    for_each_app(|app| {
        let change = |who: &super::Hired| json!({"method": "PATCH", "path": who.path, "data": patch(json!([off()]))});
        for dialect in LENIENT {
            let idp = speaking(app, dialect);
            for (n, odd) in [
                json!({"failOnErrors": "1"}),
                json!({"failOnErrors": -1}),
                json!({"failOnErrors": 1.0}),
                json!({"failOnErrors": true}),
                json!({"schemas": "x"}),
                json!({"schemas": [PATCH]}),
                json!({"Operations": {}}),
                json!({"Operations": []}),
            ]
            .into_iter()
            .enumerate()
            {
                let who = hire(app, &idp, &format!("{}{n}", dialect.name()));
                let mut job = and(bulk(json!([change(&who)])), odd.clone());
                if odd["Operations"].is_object() {
                    job["Operations"] = change(&who);
                }
                if odd["Operations"].is_array() {
                    job["Operations"] = json!([and(change(&who), json!({"path": who.path.trim_start_matches('/')}))]);
                }
                let done = idp.post("/Bulk", job.clone()).expect(200);
                assert_eq!(done["Operations"][0]["status"], json!("200"), "{job} {done}");
                assert_eq!(app.verify(&who.key), "OWNER_INACTIVE", "{odd}");
            }
            // A threshold that can be read is one.
            let who = hire(app, &idp, &format!("{}-stop", dialect.name()));
            let missing = json!({"method": "DELETE", "path": "/Users/nobody"});
            let job = and(bulk(json!([missing, change(&who)])), json!({"failOnErrors": "1"}));
            assert_eq!(idp.post("/Bulk", job).expect(200)["Operations"].as_array().unwrap().len(), 1);
            assert_eq!(app.verify(&who.key), "VALID");
        }
        for dialect in EXACT {
            let idp = speaking(app, dialect);
            let who = hire(app, &idp, dialect.name());
            let job = bulk(json!([change(&who)]));
            for odd in [json!({"failOnErrors": "1"}), json!({"schemas": [PATCH]}), json!({"Operations": change(&who)})]
            {
                assert_eq!(idp.post("/Bulk", and(job.clone(), odd)).status, 400);
            }
            let path = who.path.trim_start_matches('/');
            let done = idp.post("/Bulk", bulk(json!([and(change(&who), json!({"path": path}))]))).expect(200);
            assert_eq!(done["Operations"][0]["status"], json!("400"));
            assert_eq!(app.verify(&who.key), "VALID");
        }
    });
}
