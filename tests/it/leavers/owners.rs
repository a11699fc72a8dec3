//! Who answers for an agent: whoever is taken out of its owners is out, whatever stands beside it.

use serde_json::{Value, json};

use super::refused::refused;
use super::{EXACT, LENIENT, last_write, off, send, speaking};
use crate::support::app::*;

/// An agent of one owner, with a key that works.
struct Bot {
    name: String,
    path: String,
    owner: String,
    key: String,
}

fn made(app: &TestApp, idp: &Actor<'_>, name: &str) -> Bot {
    let owner = idp.post("/Users", user(&format!("{name}@example.com"))).expect(201).id();
    let body = and(agent(name), json!({"owners": [{"value": owner}], "displayName": "Bot"}));
    let id = idp.post("/Agents", body).expect(201).id();
    let issued = app.admin().post("/v1/keys", json!({"owner": {"type": "agent", "id": id}, "name": "ci"})).expect(201);
    let key = issued["key"].as_str().unwrap().to_owned();
    assert_eq!(app.verify(&key), "VALID");
    Bot { name: name.to_owned(), path: format!("/Agents/{id}"), owner, key }
}

/// What cannot be done, as operations of a PATCH and as a part of a PUT.
fn odd(taken: &str) -> Vec<(Value, Option<Value>)> {
    let set = |path: &str, value: Value| json!({"op": "replace", "path": path, "value": value});
    vec![
        (set("displayName", json!({})), None),
        (set("displayName", json!(["a", "b"])), Some(json!({"displayName": ["a", "b"]}))),
        (set("name", json!(taken)), Some(json!({"name": taken}))),
        (set("roles", json!(7)), Some(json!({"roles": [[7]]}))),
        (json!({"op": "remove", "path": "name"}), Some(json!({"name": null}))),
        (json!({"op": "replace", "path": 5, "value": "x"}), None),
        (json!({"op": "copy", "path": "roles", "value": "x"}), None),
        (json!("replace"), None),
        (json!({"op": "add", "path": "owners[value eq", "value": [{"value": "x"}]}), None),
    ]
}

#[test]
fn what_cannot_be_done_beside_a_change_of_owners_is_dropped() {
    for_each_app(|app| {
        for dialect in LENIENT {
            let idp = speaking(app, dialect);
            let taken = made(app, &idp, &format!("{}-taken", dialect.name()));
            for (n, (odd, whole)) in odd(&taken.name).into_iter().enumerate() {
                let way = if n % 2 == 0 { "alone" } else { "Bulk" };
                let bot = made(app, &idp, &format!("{}{n}", dialect.name()));
                let alone = idp.patch(&bot.path, patch(json!([odd])));
                assert!(matches!(alone.status, 200 | 400 | 409), "{odd} {alone}");
                let gone = match n % 3 {
                    0 => json!({"op": "remove", "path": format!("owners[value eq \"{}\"]", bot.owner)}),
                    1 => json!({"op": "replace", "path": "owners", "value": []}),
                    _ => json!({"op": "replace", "value": {"owners": null}}),
                };
                let body = patch(if n % 2 == 0 { json!([odd, gone]) } else { json!([gone, odd]) });
                let (status, _, _, answer) = send(&idp, way, "PATCH", &bot.path, &body);
                assert_eq!((status, app.verify(&bot.key).as_str()), (200, "OWNER_INACTIVE"), "{odd} {answer}");
                let shown = idp.get(&bot.path).expect(200);
                assert_eq!(
                    (&shown["owners"], &shown["name"], &shown["displayName"]),
                    (&Value::Null, &json!(bot.name), &json!("Bot")),
                    "{odd}"
                );
                let Some(whole) = whole else { continue };
                let bot = made(app, &idp, &format!("{}{n}-put", dialect.name()));
                let body = and(agent(&bot.name), whole.clone());
                let (status, _, tolerances, answer) = send(&idp, way, "PUT", &bot.path, &body);
                assert_eq!((status, app.verify(&bot.key).as_str()), (200, "OWNER_INACTIVE"), "{whole} {answer}");
                assert!(tolerances.contains("auto-009"), "{tolerances}");
                let named = whole.as_object().unwrap().keys().next().unwrap();
                assert_eq!(last_write(app, "agent.replaced")["change"]["dropped"], json!([named]));
            }
        }
    });
}

#[test]
fn an_owner_who_may_be_meant_stays_in_no_silence() {
    for_each_app(|app| {
        for dialect in LENIENT {
            let idp = speaking(app, dialect);
            let bot = made(app, &idp, &format!("{}-bot", dialect.name()));
            let id = bot.path.trim_start_matches("/Agents/");
            let come = json!({"op": "add", "path": "owners", "value": [{"value": bot.owner}]});
            let unclear = [
                json!({"op": "remove", "path": "owners/7"}),
                json!({"op": "remove", "path": "owner[value eq \"7\"]"}),
                json!({"op": "remove", "path": "Agent:owners"}),
                json!({"op": "replace", "path": "owners[value eq \"x\"].shoe", "value": 7}),
                json!({"op": "replace", "path": "owners", "value": [{"value": 7}]}),
                json!({"op": "replace", "value": {"owners[value eq": []}}),
                json!({"op": "remove", "value": [bot.owner]}),
                json!({"op": "remove", "value": {"owners": null}}),
                json!({"op": "copy", "path": "owners", "value": []}),
                json!({"op": "replace", "path": 5, "value": [{"owners": []}, {"owners": []}]}),
            ];
            for (n, unclear) in unclear.iter().enumerate() {
                let way = if n % 2 == 0 { "alone" } else { "Bulk" };
                for body in [json!([unclear]), json!([unclear, come])] {
                    let (status, _, _, answer) = send(&idp, way, "PATCH", &bot.path, &patch(body));
                    assert_eq!((status, app.verify(&bot.key).as_str()), (400, "VALID"), "{unclear} {answer}");
                }
                let own = refused(app, "agent.refused").into_iter().rfind(|record| record[0] == id);
                assert_eq!(own.unwrap()[2]["attempted"], json!("agent.patched"), "{unclear}");
                // Whoever answers for what is not active, it acts no more.
                let (status, _, _, answer) = send(&idp, way, "PATCH", &bot.path, &patch(json!([unclear, off()])));
                assert_eq!((status, app.verify(&bot.key).as_str()), (200, "OWNER_INACTIVE"), "{unclear} {answer}");
                idp.patch(&bot.path, patch(json!([come, {"op": "add", "path": "active", "value": true}]))).expect(200);
                app.clock.advance(chrono::TimeDelta::hours(1));
            }
            let whole = and(agent(&bot.name), json!({"owners": [{"value": 7}]}));
            idp.put(&bot.path, whole.clone()).scim_error(400, "invalidValue");
            idp.put(&bot.path, and(whole, json!({"active": false}))).expect(200);
            assert_eq!(app.verify(&bot.key), "OWNER_INACTIVE");
        }
    });
}

#[test]
fn a_refusal_that_keeps_an_owner_is_recorded() {
    for_each_app(|app| {
        for dialect in EXACT {
            let idp = speaking(app, dialect);
            let taken = made(app, &idp, &format!("{}-taken", dialect.name()));
            for (n, (odd, _)) in odd(&taken.name).into_iter().enumerate().take(5) {
                let bot = made(app, &idp, &format!("{}{n}", dialect.name()));
                let id = bot.path.trim_start_matches("/Agents/");
                let gone = json!({"op": "remove", "path": format!("owners[value eq \"{}\"]", bot.owner)});
                let way = if n % 2 == 0 { "alone" } else { "Bulk" };
                let (status, code, _, answer) = send(&idp, way, "PATCH", &bot.path, &patch(json!([gone, odd])));
                assert!(matches!(status, 400 | 409), "{odd} {answer}");
                assert_eq!(app.verify(&bot.key), "VALID");
                let change = json!({"attempted": "agent.patched", "code": code, "names": []});
                assert_eq!(refused(app, "agent.refused").last(), Some(&json!([id, "failure", change])), "{odd}");
                // What takes no owner away is none of these.
                let records = app.log().len();
                let own = json!([{"op": "add", "path": "owners", "value": [{"value": bot.owner}]}, odd]);
                assert!(send(&idp, way, "PATCH", &bot.path, &patch(own)).0 >= 400);
                assert_eq!(app.log().len(), records);
            }
        }
    });
}
