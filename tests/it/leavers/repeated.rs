//! Names that stand twice in an object, numbers and nesting over their limit, and a byte order mark: beside the point
//! none of them keeps a leaver alive.

use serde_json::{Value, json};

use super::{EXACT, Hired, LENIENT, hire, last_write, speaking};
use crate::support::app::*;

/// A request as text, alone and as an operation of a job: its status, and the tolerances that it needed.
#[track_caller]
fn raw(idp: &Actor<'_>, way: &str, method: &str, path: &str, body: &str) -> (u16, String) {
    if way == "alone" {
        let answer = idp.send(method, path, &[], body.to_owned());
        return (answer.status, answer.header("keyroll-tolerance").to_owned());
    }
    let job = bulk(json!([{"method": method, "path": path, "data": "DATA"}])).to_string();
    let answer = idp.send("POST", "/Bulk", &[], job.replace("\"DATA\"", body)).expect(200);
    let status = answer["Operations"][0]["status"].as_str().unwrap().parse().unwrap();
    (status, answer.header("keyroll-tolerance").to_owned())
}

/// A PATCH without a path, and with these members beside `active`.
fn patched(members: &str) -> String {
    patch(json!([{"op": "replace", "value": "VALUE"}])).to_string().replace("\"VALUE\"", &format!("{{{members}}}"))
}

/// A PUT with these members beside `active`.
fn replaced(who: &Hired, members: &str) -> String {
    let whole = and(user(&who.name), json!({"active": false})).to_string();
    format!("{},{members}}}", whole.strip_suffix('}').unwrap())
}

const WAYS: [&str; 2] = ["alone", "Bulk"];

#[test]
fn of_what_does_not_decide_the_last_one_counts() {
    let cases = [
        (r#""title":"a","Title":"b""#, vec!["Title"]),
        (r#""title":"b","title":"b""#, vec!["title"]),
        (r#""displayName":"a","DisplayName":"c","displayname":"d","title":"b""#, vec!["DisplayName", "displayname"]),
        (r#""title":"b","emails":[{"value":"a@x.example"}],"Emails":[]"#, vec!["Emails"]),
        (r#""title":"b","name":{"givenName":"a","GivenName":"b"}"#, vec!["GivenName"]),
        (r#""title":"b","emails":[{"type":"work","value":"a@x.example","Type":"home"}]"#, vec!["Type"]),
    ];
    for_each_app(|app| {
        for dialect in LENIENT.into_iter().chain(EXACT) {
            let idp = speaking(app, dialect);
            for (n, (members, dropped)) in cases.iter().enumerate() {
                for (way, method) in [("alone", "PATCH"), ("Bulk", "PATCH"), ("alone", "PUT"), ("Bulk", "PUT")] {
                    let who = hire(app, &idp, &format!("{}{n}{way}{method}", dialect.name()));
                    let body = match method {
                        "PATCH" => patched(&format!("\"active\":false,{members}")),
                        _ => replaced(&who, members),
                    };
                    let (status, tolerances) = raw(&idp, way, method, &who.path, &body);
                    if EXACT.contains(&dialect) {
                        assert_eq!((status, app.verify(&who.key).as_str()), (400, "VALID"), "{body}");
                        continue;
                    }
                    assert_eq!((status, app.verify(&who.key).as_str()), (200, "OWNER_INACTIVE"), "{body}");
                    assert!(tolerances.contains("auto-012"), "{tolerances}");
                    assert_eq!(idp.get(&who.path).expect(200)["title"], json!("b"), "{body}");
                    let action = if method == "PUT" { "user.replaced" } else { "user.patched" };
                    assert_eq!(last_write(app, action)["change"]["dropped"], json!(dropped), "{body}");
                }
            }
        }
    });
}

#[test]
fn the_frame_may_say_twice_what_it_is() {
    for_each_app(|app| {
        for dialect in LENIENT {
            let idp = speaking(app, dialect);
            let new = |tag: &str| hire(app, &idp, &format!("{}-{tag}", dialect.name()));
            let twice = |text: String| text.replacen("{\"schemas\"", "{\"Schemas\":[\"urn:x\"],\"schemas\"", 1);
            let who = new("patch");
            let body = twice(replace("active", false).to_string());
            assert_eq!(raw(&idp, "alone", "PATCH", &who.path, &body), (200, "auto-012".to_owned()));
            assert_eq!(app.verify(&who.key), "OWNER_INACTIVE");
            let who = new("put");
            let (status, tolerances) = raw(&idp, "Bulk", "PUT", &who.path, &twice(replaced(&who, "\"title\":\"x\"")));
            assert_eq!(
                (status, tolerances.as_str(), app.verify(&who.key).as_str()),
                (200, "auto-012", "OWNER_INACTIVE")
            );
            let who = new("job");
            let job = twice(bulk(json!([{"method": "DELETE", "path": who.path}])).to_string());
            let done = idp.send("POST", "/Bulk", &[], job).expect(200);
            assert_eq!(
                (done["Operations"][0]["status"].as_str(), app.verify(&who.key).as_str()),
                (Some("204"), "REVOKED")
            );
            assert_eq!(done.header("keyroll-tolerance"), "auto-012");
            // RFC 8259 §8.1 lets a reader ignore it.
            for method in ["PATCH", "PUT", "Bulk"] {
                let who = new(&format!("mark-{method}"));
                let body = match method {
                    "PATCH" => replace("active", false),
                    "PUT" => and(user(&who.name), json!({"active": false})),
                    _ => bulk(json!([{"method": "PATCH", "path": who.path, "data": replace("active", false)}])),
                };
                let path = if method == "Bulk" { "/Bulk" } else { &who.path };
                let method = if method == "Bulk" { "POST" } else { method };
                idp.send(method, path, &[], format!("\u{feff}{body}")).expect(200);
                assert_eq!(app.verify(&who.key), "OWNER_INACTIVE", "{method}");
            }
        }
        for dialect in EXACT {
            let idp = speaking(app, dialect);
            let who = hire(app, &idp, dialect.name());
            let marked = format!("\u{feff}{}", replace("active", false));
            idp.send("PATCH", &who.path, &[], marked).scim_error(400, "invalidSyntax");
            assert_eq!(app.verify(&who.key), "VALID");
        }
    });
}

#[test]
fn what_decides_is_not_said_twice() {
    for_each_app(|app| {
        for dialect in LENIENT {
            let idp = speaking(app, dialect);
            let who = hire(app, &idp, dialect.name());
            let id = who.path.trim_start_matches("/Users/");
            let made = idp.post("/Groups", group(&format!("team-{}", dialect.name()), &[id])).expect(201);
            let team = format!("/Groups/{}", made.id());
            let other = idp.post("/Agents", agent(dialect.name())).expect(201).id();
            for (path, members) in [
                (&team, r#""members":[],"Members":[]"#.to_owned()),
                (&team, format!(r#""{GROUP}:members":[],"{GROUP}:Members":[]"#)),
                (&team, format!(r#""{GROUP}":{{"members":[]}},"{GROUP}":{{}}"#)),
                (&format!("/Agents/{other}"), r#""owners":[],"OWNERS":[]"#.to_owned()),
                (&who.path, r#""roles":[],"Roles":[]"#.to_owned()),
                (&who.path, r#""x":{"active":false},"X":1"#.to_owned()),
                (&who.path, r#""enabled":true,"Enabled":false"#.to_owned()),
                (&who.path, r#""x":[{"name":"active","value":false}],"X":1"#.to_owned()),
            ] {
                for way in WAYS {
                    assert_eq!(raw(&idp, way, "PATCH", path, &patched(&members)).0, 400, "{members}");
                }
            }
            assert_eq!(idp.get(&team).expect(200).members(), [id]);
            // Several values of active, as before: if one says no, that holds.
            let (status, tolerances) = raw(
                &idp,
                "alone",
                "PATCH",
                &who.path,
                &patched(r#""active":false,"Active":true,"title":"a","title":"b""#),
            );
            assert_eq!(
                (status, tolerances.as_str(), app.verify(&who.key).as_str()),
                (200, "auto-012", "OWNER_INACTIVE")
            );
        }
    });
}

#[test]
fn no_second_value_hides_who_or_what_is_meant() {
    for_each_app(|app| {
        for dialect in LENIENT {
            let idp = speaking(app, dialect);
            let (a, b) =
                (hire(app, &idp, &format!("{}-a", dialect.name())), hire(app, &idp, &format!("{}-b", dialect.name())));
            let [a_id, b_id] = [&a, &b].map(|one| one.path.trim_start_matches("/Users/"));
            let made = idp.post("/Groups", group(&format!("team-{}", dialect.name()), &[a_id, b_id])).expect(201);
            let team = format!("/Groups/{}", made.id());
            let remove = |parts: &str| {
                patch(json!([{"op": "remove", "path": "members", "value": "VALUE"}]))
                    .to_string()
                    .replace("\"VALUE\"", &format!("[{{{parts}}}]"))
            };
            for parts in [
                format!(r#""id":"{a_id}","ID":"{b_id}""#),
                format!(r#""id":"{a_id}","Id":"zz""#),
                format!(r#""$ref":"/Users/{a_id}","$REF":"/Users/{b_id}""#),
                format!(r#""value":"{a_id}","Value":"{b_id}""#),
                format!(r#""display":"{a_id}","Display":"x""#),
                format!(r#""value":"{a_id}","_action":"delete","_Action":"x""#),
            ] {
                for way in WAYS {
                    assert_eq!(raw(&idp, way, "PATCH", &team, &remove(&parts)).0, 400, "{parts}");
                }
            }
            assert_eq!(idp.get(&team).expect(200).members(), [a_id, b_id]);
            for members in [
                r#""a":{"name":"active","Name":"x","value":false}"#,
                r#""a":{"value":false,"name":"active","NAME":"x"}"#,
                r#""a":{"key":"active","Key":"x","value":false}"#,
                r#""a":{"attribute":"active","Attribute":"x","value":false}"#,
                r#""status":{"code":"inactive","Code":"x"}"#,
                r#""status":{"type":"inactive","Type":"x"}"#,
                r#""accountEnabled":{"type":false,"Type":"x"}"#,
                r#""x":{"a":1,"A":2}"#,
                // Minus zero is a no like any other.
                r#""accountEnabled":-0"#,
                r#""accountEnabled":-0.0"#,
                r#""isActive":[-0e5]"#,
                r#""accountEnabled":"-0""#,
            ] {
                for (way, method) in [("alone", "PATCH"), ("Bulk", "PATCH"), ("alone", "PUT"), ("Bulk", "PUT")] {
                    let body = match method {
                        "PATCH" => patched(members),
                        _ => replaced(&a, members).replace(r#""active":false"#, r#""active":true"#),
                    };
                    assert_eq!(raw(&idp, way, method, &a.path, &body).0, 400, "{body}");
                }
            }
            assert_eq!(app.verify(&a.key), "VALID");
            assert_eq!(raw(&idp, "alone", "PATCH", &a.path, &patched("\"active\":-0")).0, 200);
            assert_eq!(app.verify(&a.key), "OWNER_INACTIVE");
        }
    });
}

#[test]
fn an_operation_of_two_paths_is_set_aside() {
    let two = |first: &str, second: &str, value: &Value| {
        format!("{{\"op\":\"replace\",\"path\":\"{first}\",\"Path\":\"{second}\",\"value\":{value}}}")
    };
    let off = r#"{"op":"replace","path":"active","value":false}"#;
    let of = |operations: &[&str]| patch(json!(["HERE"])).to_string().replace("\"HERE\"", &operations.join(","));
    for_each_app(|app| {
        for dialect in LENIENT {
            let idp = speaking(app, dialect);
            for (n, way) in WAYS.into_iter().enumerate() {
                let new = |tag: &str| hire(app, &idp, &format!("{}{n}{tag}", dialect.name()));
                let who = new("other");
                let odd = two("title", "nickName", &json!("x"));
                assert_eq!(raw(&idp, way, "PATCH", &who.path, &of(&[&odd])).0, 400);
                assert_eq!(raw(&idp, way, "PATCH", &who.path, &of(&[&odd, off])), (200, "auto-009".to_owned()));
                assert_eq!(app.verify(&who.key), "OWNER_INACTIVE");
                assert_eq!(last_write(app, "user.patched")["change"]["dropped"], json!(["Operations[0]"]));
                // The same one is one.
                let who = new("same");
                let same = two("title", "title", &json!("x"));
                assert_eq!(raw(&idp, way, "PATCH", &who.path, &of(&[off, &same])).0, 200);
                assert_eq!(idp.get(&who.path).expect(200)["title"], json!("x"));
                // By one of them somebody may leave.
                let who = new("leaves");
                for (first, second) in [("active", "title"), ("title", "active"), ("title", "enabled")] {
                    let odd = two(first, second, &json!(false));
                    for operations in [of(&[&odd]), of(&[&odd, r#"{"op":"replace","path":"title","value":"x"}"#])] {
                        assert_eq!(raw(&idp, way, "PATCH", &who.path, &operations).0, 400, "{operations}");
                    }
                }
                let id = who.path.trim_start_matches("/Users/");
                let made = idp.post("/Groups", group(&format!("team{n}-{}", dialect.name()), &[id])).expect(201);
                let odd = two("members", "title", &json!([]));
                let come = format!(r#"{{"op":"add","path":"members","value":[{{"value":"{id}"}}]}}"#);
                for beside in [r#"{"op":"add","path":"externalId","value":"x"}"#, &come] {
                    let team = format!("/Groups/{}", made.id());
                    assert_eq!(raw(&idp, way, "PATCH", &team, &of(&[&odd, beside])).0, 400, "{beside}");
                }
            }
        }
    });
}

#[test]
fn a_number_over_its_limit_keeps_nobody_alive() {
    let ones = "1".repeat(41);
    let numbers =
        [ones.clone(), format!("-{ones}"), "1".repeat(400), "1e999".to_owned(), format!("[1,{{\"a\":{ones}}}]")];
    for_each_app(|app| {
        for dialect in LENIENT.into_iter().chain(EXACT) {
            let idp = speaking(app, dialect);
            for (n, number) in numbers.iter().enumerate() {
                for (way, method) in [("alone", "PATCH"), ("Bulk", "PATCH"), ("alone", "PUT"), ("Bulk", "PUT")] {
                    let who = hire(app, &idp, &format!("{}{n}{way}{method}", dialect.name()));
                    let body = match method {
                        "PATCH" => patched(&format!("\"active\":false,\"shoe\":{number}")),
                        _ => replaced(&who, &format!("\"shoe\":{number}")),
                    };
                    if EXACT.contains(&dialect) {
                        if way == "alone" {
                            assert_eq!(raw(&idp, way, method, &who.path, &body).0, 400);
                        }
                        assert_eq!(app.verify(&who.key), "VALID");
                        continue;
                    }
                    assert_eq!(raw(&idp, way, method, &who.path, &body), (200, "auto-001".to_owned()), "{body}");
                    assert_eq!(app.verify(&who.key), "OWNER_INACTIVE", "{body}");
                    let action = if method == "PUT" { "user.replaced" } else { "user.patched" };
                    assert_eq!(last_write(app, action)["change"]["dropped"], json!(["shoe"]), "{body}");
                }
            }
            if EXACT.contains(&dialect) {
                continue;
            }
            // As a text that nobody can keep, where there is such an attribute.
            let who = hire(app, &idp, &format!("{}-title", dialect.name()));
            let body = patched("\"active\":false,\"title\":1e999");
            assert_eq!(raw(&idp, "alone", "PATCH", &who.path, &body), (200, "auto-008".to_owned()));
            assert_eq!(app.verify(&who.key), "OWNER_INACTIVE");
            // What it says is not lost by that.
            let who = hire(app, &idp, &format!("{}-zero", dialect.name()));
            let zero = format!("0.{}", "0".repeat(41));
            assert_eq!(raw(&idp, "alone", "PATCH", &who.path, &patched(&format!("\"isEnabled\":{zero}"))).0, 400);
            assert_eq!(raw(&idp, "alone", "PATCH", &who.path, &patched(&format!("\"active\":{zero}"))).0, 200);
            assert_eq!(app.verify(&who.key), "OWNER_INACTIVE");
        }
    });
}

#[test]
fn what_is_nested_too_deep_keeps_nobody_alive() {
    let nested = |depth: usize, inner: &str| format!("{}{inner}{}", "[".repeat(depth), "]".repeat(depth));
    let deep =
        [nested(40, ""), nested(100_000, "{\"a\":\"x\"}"), format!("{}7{}", "{\"a\":".repeat(50), "}".repeat(50))];
    for_each_app(|app| {
        for dialect in LENIENT.into_iter().chain(EXACT) {
            let idp = speaking(app, dialect);
            for (n, deep) in deep.iter().enumerate() {
                for (way, method) in [("alone", "PATCH"), ("Bulk", "PATCH"), ("alone", "PUT"), ("Bulk", "PUT")] {
                    let who = hire(app, &idp, &format!("{}{n}{way}{method}", dialect.name()));
                    let body = match method {
                        "PATCH" => patched(&format!("\"active\":false,\"shoe\":{deep}")),
                        _ => replaced(&who, &format!("\"shoe\":{deep}")),
                    };
                    if EXACT.contains(&dialect) {
                        if way == "alone" {
                            assert_eq!(raw(&idp, way, method, &who.path, &body).0, 400);
                        }
                        assert_eq!(app.verify(&who.key), "VALID");
                        continue;
                    }
                    assert_eq!(raw(&idp, way, method, &who.path, &body), (200, "auto-001".to_owned()));
                    assert_eq!(app.verify(&who.key), "OWNER_INACTIVE");
                    let action = if method == "PUT" { "user.replaced" } else { "user.patched" };
                    assert_eq!(last_write(app, action)["change"]["dropped"], json!(["shoe"]));
                }
            }
        }
    });
}

#[test]
fn what_may_say_that_somebody_leaves_is_not_cut() {
    for_each_app(|app| {
        for dialect in LENIENT {
            let idp = speaking(app, dialect);
            for (n, inner) in ["false", "{\"enabled\":0}", "\"Terminated\"", "true"].into_iter().enumerate() {
                let new = |tag: &str| hire(app, &idp, &format!("{}{n}{tag}", dialect.name()));
                let (first, second) = (new("first"), new("second"));
                let deep = format!("{}{inner}{}", "[".repeat(40), "]".repeat(40));
                let body = patched(&format!("\"title\":\"x\",\"status\":{deep}"));
                assert_eq!(raw(&idp, "alone", "PATCH", &first.path, &body).0, 400, "{inner}");
                // In a job it fails alone.
                let job = bulk(json!([
                    {"method": "PATCH", "path": first.path, "data": "DATA"},
                    {"method": "PATCH", "path": second.path, "data": replace("active", false)},
                ]));
                let done = idp.send("POST", "/Bulk", &[], job.to_string().replace("\"DATA\"", &body)).expect(200);
                let detail = done["Operations"][0]["response"]["detail"].as_str().unwrap();
                assert!(detail.contains("status") && detail.contains("leaves"), "{detail}");
                assert_eq!(done["Operations"][1]["status"], "200", "{done}");
                assert_eq!(app.verify(&second.key), "OWNER_INACTIVE");
                assert_eq!(app.verify(&first.key), "VALID");
                assert_eq!(idp.get(&first.path).expect(200)["title"], Value::Null);
                // It keeps nobody who leaves in so many words, by whatever name it goes, nor is it what they are.
                for (name, way) in [("status", "alone"), ("profile", "Bulk"), ("title", "alone"), ("emails", "Bulk")] {
                    let who = new(name);
                    let body = patched(&format!("\"active\":false,\"{name}\":{deep}"));
                    assert_eq!(raw(&idp, way, "PATCH", &who.path, &body).0, 200, "{name}");
                    assert_eq!(app.verify(&who.key), "OWNER_INACTIVE", "{name}");
                }
                let body = patched(&format!("\"active\":{deep}"));
                assert_eq!(raw(&idp, "alone", "PATCH", &first.path, &body).0, 400);
                assert_eq!(raw(&idp, "alone", "PATCH", &first.path, &patched(&format!("\"profile\":{deep}"))).0, 400);
                assert_eq!(app.verify(&first.key), "VALID");
            }
        }
    });
}
