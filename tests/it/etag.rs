//! Versions: ETags and the conditions on them (RFC 7644 §3.14).

use serde_json::{Value, json};

use crate::support::app::*;

#[test]
fn a_change_needs_the_version_that_it_was_made_for() {
    for_each_app(|app| {
        let idp = app.idp();
        for tags in ["W/\"1\"", "\"1\"", "*", "W/\"7\", W/\"1\"", " W/\"7\" ,\"1\" "] {
            for method in ["PUT", "PATCH", "DELETE"] {
                let id = idp.post("/Users", user("mira@example.com")).expect(201).id();
                let path = format!("/Users/{id}");
                let send = |tags: &str| {
                    let body = match method {
                        "PUT" => and(user("mira@example.com"), json!({"title": "x"})).to_string(),
                        "PATCH" => replace("title", "x").to_string(),
                        _ => String::new(),
                    };
                    idp.send(method, &path, &[("if-match", tags)], body)
                };
                for stale in ["W/\"2\"", "\"0\"", "W/\"11\"", "\"\"", "\"x\"", "W/\"2\", W/\"3\"", "W/\"1", "1", "W/1"]
                {
                    let refused = send(stale);
                    assert_eq!(refused.scim_error(412, ""), "the resource has another version", "{method} {stale}");
                }
                assert_eq!(idp.get(&path).expect(200)["title"], Value::Null);
                let done = send(tags);
                assert_eq!(done.status, if method == "DELETE" { 204 } else { 200 }, "{method} {tags}");
                if method != "DELETE" {
                    assert_eq!((done.header("etag"), &done["title"]), ("W/\"2\"", &json!("x")));
                    idp.delete(&path).expect(204);
                }
            }
        }
        let gone = format!("/Users/{}", app.id(100));
        idp.send("PATCH", &gone, &[("if-match", "*")], replace("title", "x").to_string()).scim_error(404, "");
    });
}

#[test]
fn an_empty_condition_is_none() {
    for_each_app(|app| {
        let idp = app.idp();
        for empty in ["", " "] {
            for method in ["PUT", "PATCH", "DELETE"] {
                let id = idp.post("/Users", user("mira@example.com")).expect(201).id();
                let key = app.issue(&id);
                let body = match method {
                    "PUT" => and(user("mira@example.com"), json!({"active": false})).to_string(),
                    "PATCH" => replace("active", false).to_string(),
                    _ => String::new(),
                };
                let path = format!("/Users/{id}");
                let done = idp.send(method, &path, &[("if-match", empty)], body);
                assert_eq!(done.status, if method == "DELETE" { 204 } else { 200 }, "{method} {done}");
                assert_eq!(app.verify(&key), if method == "DELETE" { "REVOKED" } else { "OWNER_INACTIVE" }, "{method}");
                if method != "DELETE" {
                    idp.delete(&path).expect(204);
                }
            }
        }
        let path = format!("/Users/{}", idp.post("/Users", user("mira@example.com")).expect(201).id());
        assert_eq!(idp.send("GET", &path, &[("if-none-match", "")], "").status, 200);
        let stale = [("if-match", ""), ("if-match", "W/\"8\"")];
        idp.send("PATCH", &path, &stale, replace("title", "x").to_string()).scim_error(412, "");
    });
}

#[test]
fn two_headers_are_one_list() {
    let app = TestApp::sqlite();
    let idp = app.idp();
    let path = format!("/Users/{}", idp.post("/Users", user("mira@example.com")).expect(201).id());
    let headers = [("if-match", "W/\"8\""), ("if-match", "W/\"1\"")];
    idp.send("PATCH", &path, &headers, replace("title", "x").to_string()).expect(200);
}

#[test]
fn who_has_a_version_is_not_sent_it_again() {
    for_each_app(|app| {
        let idp = app.idp();
        let path = format!("/Users/{}", idp.post("/Users", user("mira@example.com")).expect(201).id());
        for tags in ["W/\"1\"", "\"1\"", "*", "W/\"0\", \"1\""] {
            let answer = idp.send("GET", &path, &[("if-none-match", tags)], "");
            assert_eq!((answer.status, answer.text.as_str(), answer.header("etag")), (304, "", "W/\"1\""), "{tags}");
        }
        let fresh = idp.send("GET", &path, &[("if-none-match", "W/\"2\"")], "").expect(200);
        assert_eq!(fresh["userName"], json!("mira@example.com"));
        idp.patch(&path, replace("title", "x")).expect(200);
        let changed = idp.send("GET", &path, &[("if-none-match", "W/\"1\"")], "").expect(200);
        assert_eq!((&changed["title"], changed.header("etag")), (&json!("x"), "W/\"2\""));
    });
}

#[test]
fn both_conditions_hold_for_every_method() {
    for_each_app(|app| {
        let idp = app.idp();
        let id = idp.post("/Users", user("mira@example.com")).expect(201).id();
        let path = format!("/Users/{id}");
        let me = app.with_key(&app.issue(&id));
        let send = |method: &str, header: &str, tags: &str| {
            let body = match method {
                "PUT" => user("mira@example.com").to_string(),
                "PATCH" => replace("title", "x").to_string(),
                _ => String::new(),
            };
            idp.send(method, &path, &[(header, tags)], body)
        };
        // The second time the document is in the cache.
        for _ in 0..2 {
            for tags in ["W/\"2\"", "W/\"1", "1", "W/1"] {
                send("GET", "if-match", tags).scim_error(412, "");
                me.send("GET", "/Me", &[("if-match", tags)], "").scim_error(412, "");
            }
            for tags in ["W/\"1\"", "*"] {
                send("GET", "if-match", tags).expect(200);
                for method in ["PUT", "PATCH", "DELETE"] {
                    let refused = send(method, "if-none-match", tags);
                    assert_eq!(refused.scim_error(412, ""), "If-None-Match: the resource has that version");
                }
            }
            send("GET", "if-none-match", "1").expect(200);
        }
        assert_eq!(send("GET", "if-match", "W/\"1\"").header("etag"), "W/\"1\"");
        send("PATCH", "if-none-match", "W/\"1").expect(200);
        assert_eq!(send("DELETE", "if-none-match", "W/\"1\"").status, 204);
    });
}

#[test]
fn versions_follow_members() {
    for_each_app(|app| {
        let idp = app.idp();
        let mira = idp.post("/Users", user("mira@example.com")).expect(201).id();
        let team = format!("/Groups/{}", idp.post("/Groups", group("team", &[])).expect(201).id());
        let member = add("members", json!([{"value": mira}]));
        assert_eq!(idp.patch(&team, member.clone()).expect(200).header("etag"), "W/\"2\"");
        assert_eq!(idp.patch(&team, member).expect(200).header("etag"), "W/\"2\"");
        let stale = idp.send("PATCH", &team, &[("if-match", "W/\"1\"")], remove("members").to_string());
        stale.scim_error(412, "");
        assert_eq!(idp.get(&team).expect(200).members(), [mira.as_str()]);
        assert_eq!(idp.patch(&team, remove("members")).expect(200).header("etag"), "W/\"3\"");
    });
}

#[test]
fn a_bulk_operation_names_its_version() {
    for_each_app(|app| {
        let idp = app.idp();
        let path = format!("/Users/{}", idp.post("/Users", user("mira@example.com")).expect(201).id());
        let one = |version: &str, title: &str| json!({"method": "PATCH", "path": path, "version": version, "data": replace("title", title)});
        let done =
            idp.post("/Bulk", bulk(json!([one("W/\"1\"", "a"), one("W/\"1\"", "b"), one("\"2\"", "c")]))).expect(200);
        let outcome: Vec<(&Value, &Value)> =
            done["Operations"].as_array().unwrap().iter().map(|o| (&o["status"], &o["version"])).collect();
        let (two, three) = (json!("W/\"2\""), json!("W/\"3\""));
        assert_eq!(outcome, [(&json!("200"), &two), (&json!("412"), &Value::Null), (&json!("200"), &three)]);
        assert_eq!(idp.get(&path).expect(200)["title"], json!("c"));
    });
}
