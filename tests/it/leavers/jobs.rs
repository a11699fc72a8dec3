//! Jobs: what an operation refers to in vain keeps nobody alive, and nobody in a group.

use serde_json::{Value, json};

use super::refused::refused;
use super::{EXACT, LENIENT, hire, last_write, off, speaking};
use crate::support::app::*;

/// A job whose first operation creates nothing, and whose second refers to it.
fn job(taken: &str, method: &str, path: &str, data: Value) -> Value {
    bulk(json!([
        {"method": "POST", "path": "/Users", "bulkId": "a", "data": user(taken)},
        {"method": method, "path": path, "data": data},
    ]))
}

#[test]
fn a_reference_to_what_was_not_made_keeps_nobody_alive() {
    const MANAGER: &str = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:manager";
    let set = |path: &str, value: Value| json!({"op": "replace", "path": path, "value": value});
    let within = |value: Value| json!({"schemas": [USER, ENTERPRISE], "active": false, ENTERPRISE: {"manager": value}});
    for_each_app(|app| {
        for dialect in LENIENT.into_iter().chain(EXACT) {
            let idp = speaking(app, dialect);
            let is_lenient = LENIENT.contains(&dialect);
            let boss = hire(app, &idp, &format!("{}-boss", dialect.name()));
            let patches = [
                patch(json!([off(), set(MANAGER, json!({"value": "bulkId:a"}))])),
                patch(json!([set(&format!("{MANAGER}.value"), json!("bulkId:a")), off()])),
                patch(json!([{"op": "replace", "value": {MANAGER: {"value": "bulkId:nobody"}, "active": false}}])),
                patch(json!([{"op": "replace", "value": within(json!({"value": "bulkId:a"}))}])),
            ];
            let bodies = patches.into_iter().map(|body| ("PATCH", body));
            let whole =
                [json!({"value": "bulkId:a"}), json!([{"value": "bulkId:nobody"}])].map(|one| ("PUT", within(one)));
            for (n, (method, body)) in bodies.chain(whole).enumerate() {
                let who = hire(app, &idp, &format!("{}{n}", dialect.name()));
                let (id, boss_id) = (who.path.trim_start_matches("/Users/"), boss.path.trim_start_matches("/Users/"));
                idp.patch(&who.path, replace(MANAGER, json!({"value": boss_id}))).expect(200);
                let body = if method == "PUT" { and(user(&who.name), body) } else { body };
                let done = idp.post("/Bulk", job(&who.name, method, &who.path, body)).expect(200);
                let result = &done["Operations"][1];
                if !is_lenient {
                    let code = result["status"].as_str().unwrap();
                    assert_eq!((code, app.verify(&who.key)), ("409", "VALID".to_owned()), "{done}");
                    let attempted = if method == "PUT" { "user.replaced" } else { "user.patched" };
                    let change = json!({"attempted": attempted, "code": "409", "names": []});
                    assert_eq!(refused(app, "user.refused").last(), Some(&json!([id, "failure", change])));
                    continue;
                }
                assert_eq!(
                    (&result["status"], app.verify(&who.key)),
                    (&json!("200"), "OWNER_INACTIVE".to_owned()),
                    "{done}"
                );
                assert!(done.header("keyroll-tolerance").contains("auto-007"), "{}", done.header("keyroll-tolerance"));
                let action = if method == "PUT" { "user.replaced" } else { "user.patched" };
                let dropped = last_write(app, action)["change"]["dropped"][0].clone();
                assert!([json!(MANAGER), json!(format!("{MANAGER}.value"))].contains(&dropped), "{dropped}");
                // What is dropped is as if it had not been sent.
                let manager = &idp.get(&who.path).expect(200)[ENTERPRISE]["manager"]["value"];
                assert_eq!(manager, &if method == "PUT" { Value::Null } else { json!(boss_id) });
            }
        }
    });
}

#[test]
fn a_reference_to_what_was_not_made_keeps_nobody_in_a_group() {
    for_each_app(|app| {
        for dialect in LENIENT.into_iter().chain(EXACT) {
            let idp = speaking(app, dialect);
            let who = hire(app, &idp, dialect.name());
            let id = who.path.trim_start_matches("/Users/");
            let team = idp.post("/Groups", group("team", &[id])).expect(201).id();
            let path = format!("/Groups/{team}");
            let gone = json!({"op": "remove", "path": format!("members[value eq \"{id}\"]")});
            let come = json!({"op": "add", "path": "members", "value": [{"value": "bulkId:a"}]});
            for (method, body) in [
                ("PATCH", patch(json!([gone, come]))),
                ("PUT", group("team", &["bulkId:a"])),
                ("PATCH", remove("members[value eq \"bulkId:a\" or value eq \"ID\"]")),
            ] {
                let body: Value = serde_json::from_str(&body.to_string().replace("ID", id)).unwrap();
                idp.patch(&path, add("members", json!([{"value": id}]))).expect(200);
                let done = idp.post("/Bulk", job(&who.name, method, &path, body)).expect(200);
                let (status, members) = (done["Operations"][1]["status"].clone(), idp.get(&path).expect(200));
                if LENIENT.contains(&dialect) {
                    assert_eq!((status, members.members()), (json!("200"), vec![]), "{done}");
                    let action = if method == "PUT" { "group.replaced" } else { "group.patched" };
                    let change = last_write(app, action)["change"].clone();
                    assert_eq!((&change["removed"], &change["unknown_total"]), (&json!([id]), &json!(1)), "{change}");
                } else {
                    assert_eq!((status, members.members()), (json!("409"), vec![id]), "{done}");
                    let change = json!({"attempted": "group.patched", "code": "409", "names": []});
                    assert_eq!(refused(app, "group.refused").last(), Some(&json!([team, "failure", change])));
                }
            }
            // What takes nobody away waits for what it refers to, in every dialect.
            let come = json!({"op": "add", "path": "members", "value": [{"value": "bulkId:a"}]});
            let records = app.log().len();
            let done = idp.post("/Bulk", job(&who.name, "PATCH", &path, patch(json!([come])))).expect(200);
            assert_eq!((&done["Operations"][1]["status"], app.log().len()), (&json!("409"), records));
            // What a DELETE carries beside its path is not read.
            let done = idp.post("/Bulk", job(&who.name, "DELETE", &who.path, group("x", &["bulkId:a"]))).expect(200);
            assert_eq!((&done["Operations"][1]["status"], app.verify(&who.key)), (&json!("204"), "REVOKED".to_owned()));
        }
    });
}

#[test]
fn a_job_that_nobody_can_read_leaves_a_record() {
    for_each_app(|app| {
        let idp = app.idp();
        let (who, other) = (hire(app, &idp, "mira"), hire(app, &idp, "tom"));
        let id = who.path.trim_start_matches("/Users/");
        let digits = "1".repeat(61);
        let deep = format!("{}{}", "[".repeat(40), "]".repeat(40));
        let one = |data: &str| {
            format!(
                r#"{{"schemas":["{BULK}"],"Operations":[{{"method":"PATCH","path":"{}","data":{}}},
                {{"method":"put","path":"https://k.example/scim/v2{}","data":{data}}}]}}"#,
                other.path,
                replace("title", "Dr"),
                who.path
            )
        };
        let off = format!(r#""userName":"{}","active":false"#, who.name);
        let jobs = [
            (one(&format!(r#"{{{off},"title":{digits}}}"#)), 400, id, "user.replaced"),
            (one(&format!(r#"{{{off},"title":{deep}}}"#)), 400, id, "user.replaced"),
            (format!("\u{feff}{}", one(&format!("{{{off}}}"))), 400, id, "user.replaced"),
            (one(&format!(r#"{{{off},"title":"x","title":"y"}}"#)), 200, id, "user.patched"),
            (one(&format!(r#"{{{off},"title":"#)), 400, other.path.trim_start_matches("/Users/"), "user.patched"),
        ];
        for (n, (job, status, subject, attempted)) in jobs.iter().enumerate() {
            let records = app.log().len();
            for again in [false, true] {
                let answer = idp.send("POST", "/Bulk", &[], job.clone());
                assert_eq!((answer.status, app.verify(&who.key).as_str()), (*status, "VALID"), "{job} {answer}");
                let change = json!({"attempted": attempted, "code": "invalidSyntax", "names": []});
                assert_eq!(refused(app, "user.refused").last(), Some(&json!([subject, "failure", change])), "{job}");
                assert_eq!(refused(app, "user.refused").len(), n + 1, "{again} {job}");
            }
            assert!(app.log().len() > records);
            app.clock.advance(chrono::TimeDelta::hours(1));
        }
        // Of a job that makes nobody leave there is nothing to record.
        for data in [json!({"userName": "new@example.com", "title": 1}), replace("active", true)] {
            let method = if data.get("userName").is_some() { "POST" } else { "PATCH" };
            let path = if method == "POST" { "/Users" } else { &*who.path };
            let job =
                bulk(json!([{"method": method, "path": path, "bulkId": "a", "data": and(data, json!({"n": 7}))}]));
            let job = job.to_string().replace("\"n\":7", &format!("\"n\":{digits}"));
            let records = app.log().len();
            idp.send("POST", "/Bulk", &[], job).scim_error(400, "invalidSyntax");
            assert_eq!(app.log().len(), records);
        }
    });
}
