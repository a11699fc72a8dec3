//! Nothing beside the point keeps a leaver alive, or somebody in a group or outside it.

mod answers;
mod asked;
mod beside;
mod empty;
mod jobs;
mod limits;
mod lists;
mod lost_jobs;
mod malformed;
mod members;
mod named;
mod nested;
mod owners;
mod refused;
mod spelling;
mod unnamed;
mod unreadable;
mod words;

use keyroll::scim::tolerance::Dialect;
use serde_json::{Value, json};

use crate::support::app::*;

/// Those that bear with what a provider sends.
const LENIENT: [Dialect; 3] = [Dialect::Auto, Dialect::Entra, Dialect::Okta];
const EXACT: [Dialect; 2] = [Dialect::Rfc, Dialect::Strict];

/// A connection that speaks a dialect.
fn speaking(app: &TestApp, dialect: Dialect) -> Actor<'_> {
    if dialect == Dialect::Auto { app.idp() } else { app.connect(dialect) }
}

/// Somebody with a key that works.
struct Hired {
    name: String,
    path: String,
    key: String,
}

fn hire(app: &TestApp, idp: &Actor<'_>, name: &str) -> Hired {
    let name = format!("{name}@example.com");
    let id = idp.post("/Users", user(&name)).expect(201).id();
    let key = app.issue(&id);
    Hired { name, path: format!("/Users/{id}"), key }
}

fn off() -> Value {
    json!({"op": "replace", "path": "active", "value": false})
}

/// One request alone and as an operation of a job.
#[track_caller]
fn send(idp: &Actor<'_>, way: &str, method: &str, path: &str, body: &Value) -> (u16, String, String, Value) {
    if way == "alone" {
        let answer = idp.send(method, path, &[], body.to_string());
        let text = |name: &str| answer[name].as_str().unwrap_or_default().to_owned();
        return (answer.status, text("scimType"), answer.header("keyroll-tolerance").to_owned(), answer.body.clone());
    }
    let job = bulk(json!([{"method": method, "path": path, "bulkId": "a", "data": body}]));
    let answer = idp.post("/Bulk", job).expect(200);
    let result = answer["Operations"][0].clone();
    let tolerances = answer.header("keyroll-tolerance").to_owned();
    let scim_type = result["response"]["scimType"].as_str().unwrap_or_default().to_owned();
    (result["status"].as_str().unwrap().parse().unwrap(), scim_type, tolerances, result["response"].clone())
}

/// The last record about a resource that a write made, not one of its consequences.
fn last_write(app: &TestApp, action: &str) -> Value {
    app.log().into_iter().rfind(|record| record["action"] == action).unwrap()
}

#[test]
fn an_unknown_path_keeps_nobody_alive() {
    for_each_app(|app| {
        let cases = [
            (json!("add"), format!("{USER}:clearance"), "auto-001", format!("{USER}:clearance")),
            (json!("replace"), format!("{ENTERPRISE}:clearance"), "auto-001", format!("{ENTERPRISE}:clearance")),
            (json!("remove"), "shoeSize".to_owned(), "auto-001", "shoeSize".to_owned()),
            (json!("add"), "urn:example:hr:User:grade".to_owned(), "entra-009", "urn:example:hr:User:grade".to_owned()),
            (json!("replace"), "name.shoe".to_owned(), "auto-001", "name.shoe".to_owned()),
            (json!("replace"), "shoes[type eq \"a@b\"].size".to_owned(), "auto-001", "shoes.size".to_owned()),
            (json!("replace"), "emails[type eq \"work\"].shoe".to_owned(), "auto-001", "emails.shoe".to_owned()),
            (json!("replace"), "title[type eq \"work\"]".to_owned(), "auto-001", "title".to_owned()),
            (json!("add"), "mira vale's".to_owned(), "auto-001", "?".to_owned()),
        ];
        for dialect in LENIENT {
            let idp = speaking(app, dialect);
            for (n, (op, path, tolerance, dropped)) in cases.iter().enumerate() {
                // A job takes the same way for every dialect.
                for way in if dialect == Dialect::Auto { &["alone", "Bulk"][..] } else { &["alone"] } {
                    let who = hire(app, &idp, &format!("{}{n}{way}", dialect.name()));
                    let body = patch(json!([off(), {"op": op, "path": path, "value": "none"}]));
                    let (status, _, tolerances, _) = send(&idp, way, "PATCH", &who.path, &body);
                    assert_eq!((status, tolerances.as_str()), (200, *tolerance), "{dialect:?} {path}");
                    assert_eq!(idp.get(&who.path).expect(200)["active"], json!(false));
                    assert_eq!(app.verify(&who.key), "OWNER_INACTIVE", "{dialect:?} {path}");
                    let change = last_write(app, "user.patched")["change"].clone();
                    assert_eq!(
                        change,
                        json!({"paths": ["active"], "tolerances": [tolerance], "dropped": [dropped]}),
                        "{path}"
                    );
                }
            }
        }
        for dialect in EXACT {
            let idp = speaking(app, dialect);
            for (n, (op, path, ..)) in cases.iter().enumerate() {
                let who = hire(app, &idp, &format!("{}{n}", dialect.name()));
                let body = patch(json!([off(), {"op": op, "path": path, "value": "none"}]));
                let refused = idp.patch(&who.path, body);
                assert!(refused.scim_error(400, "invalidPath").starts_with("Operations[1]: path: "), "{refused}");
                assert_eq!(app.verify(&who.key), "VALID");
            }
        }
    });
}

#[test]
fn an_unknown_path_keeps_no_other_type_from_its_change() {
    for_each_app(|app| {
        let idp = app.idp();
        let mira = idp.post("/Users", user("mira@example.com")).expect(201).id();
        let team = format!("/Groups/{}", idp.post("/Groups", group("team", &[&mira])).expect(201).id());
        let gone = json!({"op": "remove", "path": format!("members[value eq \"{mira}\"]")});
        let cost = json!({"op": "add", "path": format!("{GROUP}:costCode"), "value": "7"});
        let left = idp.patch(&team, patch(json!([cost, gone]))).expect(200);
        assert_eq!((left.members(), left.header("keyroll-tolerance")), (vec![], "auto-001"));
        assert_eq!(
            last_write(app, "group.patched")["change"],
            json!({"paths": [], "removed": [mira], "tolerances": ["auto-001"], "dropped": [format!("{GROUP}:costCode")]})
        );
        let owned = and(agent("bot"), json!({"owners": [{"value": mira}]}));
        let bot = format!("/Agents/{}", idp.post("/Agents", owned).expect(201).id());
        let unknown = json!({"op": "add", "path": format!("{AGENT}:model"), "value": "x"});
        let stopped = idp.patch(&bot, patch(json!([unknown, off()]))).expect(200);
        assert_eq!((&stopped["active"], stopped.header("keyroll-tolerance")), (&json!(false), "auto-001"));
        // Nothing changed, and what was dropped is named all the same.
        let nothing = idp.patch(&bot, replace("shoeSize", 7)).expect(200);
        assert_eq!((nothing.header("keyroll-tolerance"), nothing.header("etag")), ("auto-001", stopped.header("etag")));
        let change = json!({"paths": [], "tolerances": ["auto-001"], "dropped": ["shoeSize"]});
        assert_eq!(last_write(app, "agent.patched")["change"], change);
        // Who is taken out by a path that nobody understands is still in it.
        let lost = remove(&format!("members[value eq \"{mira}\"].shoe"));
        idp.patch(&team, lost).scim_error(400, "invalidPath");
    });
}

#[test]
fn what_says_that_somebody_leaves_is_never_dropped() {
    for_each_app(|app| {
        let saying = [
            ("enabled", json!(false)),
            ("urn:example:hr:User:accountEnabled", json!("False")),
            ("urn:example:hr:User:status", json!("Terminated")),
            ("acct.is_x.account-enabled", json!("false")),
            ("shoes[type eq \"a.b\"].Status", json!("deprovisioned")),
            ("name.active", json!(false)),
            ("Disabled", json!(true)),
            ("urn:example:hr:User:locked", json!("true")),
            ("suspended", json!(["TRUE"])),
        ];
        for dialect in [Dialect::Auto, Dialect::Rfc, Dialect::Entra, Dialect::Okta, Dialect::Strict] {
            let idp = speaking(app, dialect);
            let who = hire(app, &idp, dialect.name());
            let before = idp.get(&who.path).expect(200).body;
            let done = || app.log().iter().filter(|record| record["outcome"] == "success").count();
            let records = done();
            let refused = |method: &str, path: &str, body: Value, name: &str| {
                for way in ["alone", "Bulk"] {
                    let (status, scim_type, _, answer) = send(&idp, way, method, path, &body);
                    assert_eq!(status, 400, "{dialect:?} {way} {method} {body}");
                    assert!(["invalidSyntax", "invalidPath"].contains(&scim_type.as_str()), "{answer}");
                    assert!(answer["detail"].as_str().unwrap().contains(name), "{body}: {answer}");
                }
            };
            for (name, value) in &saying {
                let title = json!({"op": "replace", "path": "title", "value": "x"});
                let set = json!({"op": "replace", "path": name, "value": value});
                refused("PATCH", &who.path, patch(json!([title, set])), name.split('[').next().unwrap());
                let pathless = json!({"op": "add", "value": {(*name): value, "title": "x"}});
                refused("PATCH", &who.path, patch(json!([pathless])), name.split('[').next().unwrap());
                refused(
                    "PUT",
                    &who.path,
                    and(user(&who.name), json!({(*name): value})),
                    name.split('[').next().unwrap(),
                );
                refused("POST", "/Users", and(user("new@example.com"), json!({(*name): value})), "");
            }
            let deep =
                json!({"urn:example:hr:User": {"employment": [{"state": 1}, {"status": {"value": "inactive"}}]}});
            refused("PUT", &who.path, and(user(&who.name), deep.clone()), "urn:example:hr:User");
            refused("PATCH", &who.path, patch(json!([{"op": "replace", "value": deep}])), "urn:example:hr:User");
            refused("PATCH", &who.path, replace("name", json!({"status": "disabled"})), "name.status");
            refused(
                "PATCH",
                &who.path,
                and(patch(json!([{"op": "add", "value": {}}])), json!({"active": false})),
                "active",
            );
            assert_eq!(idp.get(&who.path).expect(200).body, before);
            assert_eq!((done(), app.verify(&who.key)), (records, "VALID".to_owned()));
        }
        // With any other value it is dropped and named.
        let idp = app.idp();
        let who = hire(app, &idp, "last");
        for (name, value) in [("enabled", json!(true)), ("status", json!("on leave")), ("locked", json!(false))] {
            let answer = idp.patch(&who.path, replace(name, value)).expect(200);
            assert_eq!(answer.header("keyroll-tolerance"), "auto-001", "{name}");
        }
        // The request itself says it where it counts: then it is only named beside it.
        let both =
            patch(json!([{"op": "replace", "path": "urn:example:hr:User:status", "value": "terminated"}, off()]));
        assert_eq!(idp.patch(&who.path, both).expect(200).header("keyroll-tolerance"), "entra-009");
        assert_eq!(app.verify(&who.key), "OWNER_INACTIVE");
    });
}

#[test]
fn what_cannot_be_done_beside_a_deactivation_is_dropped() {
    for_each_app(|app| {
        let taken = app.idp().post("/Users", user("taken@example.com")).expect(201).id();
        let value = |path: &str, value: Value| json!({"op": "replace", "path": path, "value": value});
        let beside = [
            value("title", json!({"x": 1})),
            value("emails", json!(7)),
            value("emails[type sw \"w\"].value", json!("x")),
            value("emails[type is 1].value", json!("x")),
            value("emails[type eq \"work\"", json!("x")),
            value("id", json!(taken)),
            value("groups", json!([])),
            value("schemas", json!([7])),
            value("userName", Value::Null),
            value("userName", json!("TAKEN@example.com")),
            value("userName", json!("keyroll:x")),
            value("x509Certificates", json!([{"value": "*"}])),
            json!({"op": "move", "path": "title", "value": "x"}),
            json!({"op": "replace", "path": "title"}),
            json!({"op": "remove", "path": "userName"}),
        ];
        for dialect in LENIENT {
            let idp = speaking(app, dialect);
            // The whole list once.
            let step = if dialect == Dialect::Auto { 1 } else { 4 };
            for (n, odd) in beside.iter().enumerate().step_by(step) {
                let who = hire(app, &idp, &format!("{}{n}", dialect.name()));
                // Alone it is refused, and with what says that somebody is active.
                let alone = idp.patch(&who.path, patch(json!([odd])));
                assert!(matches!(alone.status, 400 | 409), "{odd} {alone}");
                let on = value("active", json!(true));
                assert_eq!(idp.patch(&who.path, patch(json!([odd, on]))).status, alone.status, "{odd}");
                let order = if n % 2 == 0 { json!([odd, off()]) } else { json!([off(), odd]) };
                let way = if n % 3 == 0 { "Bulk" } else { "alone" };
                let named = value("nickName", json!("M"));
                let body = patch(json!([order[0], named, order[1]]));
                let (status, _, tolerances, answer) = send(&idp, way, "PATCH", &who.path, &body);
                assert_eq!(status, 200, "{odd} {answer}");
                assert!(tolerances.ends_with("auto-009"), "{odd} {tolerances}");
                assert_eq!(app.verify(&who.key), "OWNER_INACTIVE", "{odd}");
                let stored = idp.get(&who.path).expect(200);
                assert_eq!((&stored["userName"], &stored["nickName"]), (&json!(who.name), &json!("M")), "{odd}");
                let dropped = last_write(app, "user.patched")["change"]["dropped"].clone();
                assert_eq!(dropped.as_array().map(Vec::len), Some(1), "{odd} {dropped}");
            }
            // To come back with an error is refused, whoever is inactive.
            let who = hire(app, &idp, &format!("{}-back", dialect.name()));
            idp.patch(&who.path, patch(json!([off()]))).expect(200);
            idp.patch(&who.path, replace("active", "perhaps")).scim_error(400, "invalidValue");
            // Nor is that a return beside a clear no.
            let still = idp.patch(&who.path, patch(json!([off(), value("active", json!("perhaps"))]))).expect(200);
            assert_eq!((&still["active"], still.header("keyroll-tolerance")), (&json!(false), "auto-009"));
            put_beside(app, &idp, dialect);
        }
        refused_whole(app, &beside);
    });
}

/// The same by PUT.
fn put_beside(app: &TestApp, idp: &Actor<'_>, dialect: Dialect) {
    for (n, odd) in [
        json!({"userName": "taken@example.com"}),
        json!({"userName": 7}),
        json!({"userName": null}),
        json!({"title": [1, 2]}),
        json!({"emails": [{"value": "a@example.com", "primary": true}, {"value": "b@example.com", "primary": true}]}),
        json!({"schemas": [USER, USER]}),
        json!({ENTERPRISE: 7}),
    ]
    .into_iter()
    .enumerate()
    {
        let who = hire(app, idp, &format!("{}-put{n}", dialect.name()));
        let body = and(and(user(&who.name), odd.clone()), json!({"nickName": "M"}));
        assert!(matches!(idp.put(&who.path, body.clone()).status, 400 | 409), "{odd}");
        let left = idp.put(&who.path, and(body, json!({"active": false}))).expect(200);
        assert!(left.header("keyroll-tolerance").ends_with("auto-009"), "{odd} {left}");
        assert_eq!((&left["userName"], &left["nickName"]), (&json!(who.name), &json!("M")), "{odd}");
        assert_eq!(app.verify(&who.key), "OWNER_INACTIVE", "{odd}");
    }
}

/// The dialects that tolerate nothing refuse the whole request.
fn refused_whole(app: &TestApp, beside: &[Value]) {
    for dialect in EXACT {
        let idp = speaking(app, dialect);
        for (n, odd) in beside.iter().enumerate().step_by(3) {
            let who = hire(app, &idp, &format!("{}{n}", dialect.name()));
            let refused = idp.patch(&who.path, patch(json!([off(), odd])));
            assert!(matches!(refused.status, 400 | 409), "{odd} {refused}");
            assert_eq!(app.verify(&who.key), "VALID", "{odd}");
        }
    }
}
