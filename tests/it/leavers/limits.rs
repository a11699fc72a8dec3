//! A text over its limit.

use keyroll::scim::tolerance::Dialect;
use serde_json::{Value, json};

use super::{EXACT, LENIENT, hire, last_write, off, send, speaking};
use crate::support::app::*;

const MAX: usize = 64 << 10;

fn long() -> String {
    "x".repeat(MAX + 1)
}

/// What is sent, what is left of it beside what was there, and what is dropped.
fn cases() -> Vec<(Value, Value, &'static str)> {
    vec![
        (json!({"title": long()}), json!({}), "title"),
        (json!({"title": [long()]}), json!({}), "title"),
        (json!({"externalId": long()}), json!({}), "externalId"),
        (json!({"profileUrl": long()}), json!({}), "profileUrl"),
        (
            json!({"name": {"givenName": long(), "familyName": "Vale"}}),
            json!({"name": {"familyName": "Vale"}}),
            "name.givenName",
        ),
        (
            json!({"emails": [{"type": "work", "value": long()}, {"type": "home", "value": "h@example.com"}]}),
            json!({"emails": [{"value": "h@example.com", "type": "home"}]}),
            "emails.value",
        ),
        (
            json!({"emails": [{"display": long(), "value": "h@example.com"}]}),
            json!({"emails": [{"value": "h@example.com"}]}),
            "emails.display",
        ),
        (
            json!({ENTERPRISE: {"department": long()}}),
            json!({}),
            "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:department",
        ),
    ]
}

/// What the refusal of a text over its limit says.
fn over(path: &str) -> String {
    format!("{path}: has 65537 bytes, at most 65536 are accepted")
}

/// By a path, and of what is required.
fn over_by_a_path(app: &TestApp, idp: &Actor<'_>, dialect: Dialect) {
    // By a path, what was there stays; the limit itself is accepted.
    let who = hire(app, idp, &format!("{}-path", dialect.name()));
    let most = "y".repeat(MAX);
    assert_eq!(idp.patch(&who.path, replace("title", most.clone())).expect(200)["title"], json!(most));
    assert_eq!(idp.patch(&who.path, replace("title", long())).expect(200)["title"], json!(most));
    idp.patch(&who.path, add("emails", json!([{"type": "work", "value": "w@example.com"}]))).expect(200);
    let kept = idp.patch(&who.path, replace("emails[type eq \"work\"].value", long())).expect(200);
    assert_eq!((&kept["emails"][0]["value"], kept.header("keyroll-tolerance")), (&json!("w@example.com"), "auto-008"));
    // What is required keeps the value that it has; a creation cannot do without.
    let team = format!("/Groups/{}", idp.post("/Groups", group(dialect.name(), &[])).expect(201).id());
    let pathless = |name: &str| patch(json!([{"op": "replace", "value": {name: long(), "externalId": "e"}}]));
    for (path, name, own, whole) in [
        (&who.path, "userName", json!(who.name), and(user(&long()), json!({"title": "Dr", "externalId": "e"}))),
        (&team, "displayName", json!(dialect.name()), and(group(&long(), &[]), json!({"externalId": "e"}))),
    ] {
        for (method, body) in [("PATCH", replace(name, long())), ("PATCH", pathless(name)), ("PUT", whole)] {
            let kept = idp.send(method, path, &[], body.to_string()).expect(200);
            assert_eq!((&kept[name], kept.header("keyroll-tolerance")), (&own, "auto-008"), "{method}");
        }
        let stored = idp.get(path).expect(200);
        assert_eq!((&stored[name], &stored["externalId"]), (&own, &json!("e")));
    }
    assert_eq!(last_write(app, "group.patched")["change"]["dropped"], json!(["displayName"]));
    idp.delete(&team).expect(204);
    assert_eq!(idp.post("/Users", user(&long())).scim_error(400, "invalidValue"), over("userName"));
    assert_eq!(idp.post("/Groups", group(&long(), &[])).scim_error(400, "invalidValue"), over("displayName"));
    assert_eq!(idp.post("/Agents", agent(&long())).scim_error(400, "invalidValue"), over("name"));
    let left = idp.put(&who.path, and(user(&long()), json!({"active": false}))).expect(200);
    assert_eq!((&left["userName"], left.header("keyroll-tolerance")), (&json!(who.name), "auto-008"));
    assert_eq!(app.verify(&who.key), "OWNER_INACTIVE");
    let who = hire(app, idp, &format!("{}-name", dialect.name()));
    let renamed = patch(json!([{"op": "replace", "path": "userName", "value": long()}, off()]));
    let left = idp.patch(&who.path, renamed).expect(200);
    assert_eq!((&left["userName"], left.header("keyroll-tolerance")), (&json!(who.name), "auto-008"));
    assert_eq!(app.verify(&who.key), "OWNER_INACTIVE");
}

#[test]
fn a_text_over_its_limit_is_dropped_and_named_or_refused() {
    for_each_app(|app| {
        let cases = cases();
        for dialect in LENIENT {
            let idp = speaking(app, dialect);
            for (n, (sent, left, dropped)) in cases.iter().enumerate() {
                let who = hire(app, &idp, &format!("{}{n}", dialect.name()));
                let (key, _) = sent.as_object().unwrap().iter().next().unwrap();
                let is_left = |body: &Value| assert_eq!(body.get(key), left.get(key), "{dropped}");
                let put =
                    idp.put(&who.path, and(and(user(&who.name), sent.clone()), json!({"nickName": "M"}))).expect(200);
                assert_eq!(put.header("keyroll-tolerance").split(", ").last(), Some("auto-008"), "{dropped}");
                is_left(&put.body);
                assert_eq!(last_write(app, "user.replaced")["change"]["dropped"], json!([dropped]));
                let created =
                    idp.post("/Users", and(user(&format!("{}-{n}@example.com", dialect.name())), sent.clone()));
                is_left(&created.expect(201).body);
                let body = patch(json!([{"op": "replace", "value": sent}, off()]));
                let way = if n % 2 == 0 { "alone" } else { "Bulk" };
                let (status, _, tolerances, _) = send(&idp, way, "PATCH", &who.path, &body);
                assert_eq!((status, tolerances.split(", ").last()), (200, Some("auto-008")), "{dropped}");
                is_left(&idp.get(&who.path).expect(200).body);
                assert_eq!(last_write(app, "user.patched")["change"]["dropped"], json!([dropped]));
                assert_eq!(app.verify(&who.key), "OWNER_INACTIVE");
            }
            over_by_a_path(app, &idp, dialect);
        }
        for dialect in EXACT {
            let idp = speaking(app, dialect);
            let who = hire(app, &idp, dialect.name());
            for (sent, _, dropped) in &cases {
                if sent.get("title").is_some_and(Value::is_array) {
                    continue;
                }
                // Elements are counted there.
                let dropped = dropped
                    .strip_prefix("emails.")
                    .map_or_else(|| (*dropped).to_owned(), |sub| format!("emails.{sub}"));
                let refused = idp.put(&who.path, and(user(&who.name), sent.clone()));
                assert_eq!(refused.scim_error(400, "invalidValue"), over(&dropped));
                let refused = idp.patch(&who.path, patch(json!([off(), {"op": "add", "value": sent}])));
                assert_eq!(refused.scim_error(400, "invalidValue"), format!("Operations[1]: {}", over(&dropped)));
            }
            assert_eq!(app.verify(&who.key), "VALID");
        }
    });
}

#[test]
fn the_limit_is_a_setting() {
    let app = TestApp::with(None, |settings| settings.limits.text_bytes_max = 8);
    let idp = app.idp();
    let sent = json!({"title": "123456789", "nickName": "12345678"});
    let made = idp.post("/Users", and(user("mira"), sent)).expect(201);
    assert_eq!((&made["title"], &made["nickName"]), (&Value::Null, &json!("12345678")));
    let refused = idp.post("/Users", user("123456789"));
    assert_eq!(refused.scim_error(400, "invalidValue"), "userName: has 9 bytes, at most 8 are accepted");
}

/// How a no is said, and whether it is understood although it cannot be kept as it is.
fn broken_noes() -> [(Value, bool); 4] {
    [
        (json!("inactive\u{0}"), false),
        (json!(["false\u{0}"]), false),
        (json!("false".to_owned() + &" ".repeat(MAX)), true),
        (json!("\u{0}"), false),
    ]
}

#[test]
fn a_no_that_cannot_be_kept_keeps_nobody_alive() {
    for_each_app(|app| {
        for (n, dialect) in LENIENT.into_iter().enumerate() {
            let idp = speaking(app, dialect);
            for (m, (no, is_understood)) in broken_noes().into_iter().enumerate() {
                let who = hire(app, &idp, &format!("{n}-{m}"));
                let body = patch(json!([{"op": "replace", "path": "active", "value": no}]));
                let ways = [("PATCH", body), ("PUT", and(user(&who.name), json!({"active": no})))];
                let before = app.log().len();
                let expected = if is_understood { 200 } else { 400 };
                for (method, body) in ways {
                    for way in ["alone", "Bulk"] {
                        let (status, _, _, answer) = send(&idp, way, method, &who.path, &body);
                        assert_eq!(status, expected, "{no} {answer}");
                    }
                }
                // A refusal that is repeated is recorded once an hour.
                assert!(app.log().len() > before, "{no}");
                let told = if is_understood { "OWNER_INACTIVE" } else { "VALID" };
                assert_eq!(app.verify(&who.key), told);
            }
            // Under a name that no user has.
            let who = hire(app, &idp, &format!("{n}-unknown"));
            let refused = idp.patch(&who.path, replace("accountEnabled", "fal\u{0}se"));
            assert!(refused.scim_error(400, "invalidSyntax").contains("accountEnabled"), "{}", refused.text);
        }
    });
}

#[test]
fn whoever_is_named_by_what_cannot_be_kept_is_nobody() {
    for_each_app(|app| {
        let idp = app.idp();
        let mira = idp.post("/Users", user("mira@example.com")).expect(201).id();
        for nobody in [json!([{"value": "zz\u{0}"}]), json!([{"value": long()}]), json!(long()), json!(["x\u{0}"])] {
            let team = format!("/Groups/{}", idp.post("/Groups", group("team", &[&mira])).expect(201).id());
            let agent = format!(
                "/Agents/{}",
                idp.post("/Agents", and(agent("bot"), json!({"owners": [{"value": mira}]}))).expect(201).id()
            );
            for (path, people) in [(&team, "members"), (&agent, "owners")] {
                let done = idp.patch(path, replace(people, nobody.clone())).expect(200);
                assert!(done.header("keyroll-tolerance").contains("auto-007"), "{}", done.header("keyroll-tolerance"));
                let left = idp.get(path).expect(200).body.get(people).cloned().unwrap_or(json!([]));
                assert_eq!(left, json!([]), "{people}");
                idp.delete(path).expect(204);
            }
        }
    });
}
