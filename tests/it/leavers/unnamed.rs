//! What says neither whom nor what it is about, beside what is clear.

use chrono::TimeDelta;
use serde_json::{Value, json};

use super::refused::refused;
use super::{EXACT, LENIENT, hire, last_write, off, send, speaking};
use crate::support::app::*;

fn hired(idp: &Actor<'_>, name: &str) -> String {
    idp.post("/Users", user(&format!("{name}@example.com"))).expect(201).id()
}

fn people(idp: &Actor<'_>, path: &str) -> Vec<String> {
    let shown = idp.get(path).expect(200).body;
    let all = ["members", "owners"].into_iter().find_map(|name| shown[name].as_array().cloned()).unwrap_or_default();
    all.iter().map(|one| one["value"].as_str().unwrap().to_owned()).collect()
}

/// An agent of one owner.
fn bot(idp: &Actor<'_>, name: &str, owner: &str) -> String {
    let body = and(agent(name), json!({"owners": [{"value": owner}]}));
    format!("/Agents/{}", idp.post("/Agents", body).expect(201).id())
}

#[test]
fn a_removal_of_nothing_that_is_named_keeps_no_agent_alive_in_silence() {
    for_each_app(|app| {
        for dialect in LENIENT {
            let idp = speaking(app, dialect);
            let (a, b) = (hired(&idp, &format!("a{}", dialect.name())), hired(&idp, &format!("b{}", dialect.name())));
            let path = bot(&idp, &format!("bot{}", dialect.name()), &a);
            let come = json!({"op": "add", "path": "owners", "value": [{"value": b}]});
            for (n, odd) in [
                json!({"op": "remove"}),
                json!({"op": "delete"}),
                json!({"op": "Remove", "path": null, "value": null}),
                json!({"op": "remove", "path": "", "value": {}}),
                json!({"op": "remove", "value": false}),
                json!({"op": "remove", "value": 7}),
                json!({"op": "remove", "value": []}),
            ]
            .into_iter()
            .enumerate()
            {
                let way = if n % 2 == 0 { "alone" } else { "Bulk" };
                for body in [json!([odd]), json!([odd, come]), json!([come, odd])] {
                    let (status, kind, _, answer) = send(&idp, way, "PATCH", &path, &patch(body));
                    assert_eq!((status, kind.as_str()), (400, "noTarget"), "{odd} {answer}");
                    assert_eq!(people(&idp, &path), [a.as_str()], "{odd}");
                }
                // Whoever is not active by the rest has nothing that it could keep.
                let (status, _, _, answer) = send(&idp, way, "PATCH", &path, &patch(json!([odd, off()])));
                assert_eq!((status, idp.get(&path).expect(200)["active"].clone()), (200, json!(false)), "{answer}");
                idp.patch(&path, replace("active", true)).expect(200);
            }
        }
    });
}

/// People under names that nobody understands.
fn others(id: &str) -> Vec<(&'static str, Value)> {
    let one = json!([{"value": id}]);
    vec![
        ("urn:x:members", one.clone()),
        ("urn:x:Group:Members", json!([])),
        ("core:1.0:Group:members", one.clone()),
        ("urn:x:y", json!({"members": one})),
        ("urn:x:y", json!({"a": [{"users": "all"}]})),
        ("urn:x:y", json!({"crew": [id]})),
        ("users", one.clone()),
        ("memberIds", json!([id])),
        ("people", json!([{"id": id.to_uppercase()}])),
        ("owner", json!({"value": id})),
        ("crew", one),
        ("crew", json!({"$ref": format!("https://x/Users/{id}")})),
        ("crew", json!([{"id": id}])),
    ]
}

#[test]
fn nobody_is_taken_out_by_a_whole_that_names_people_otherwise() {
    for_each_app(|app| {
        for dialect in LENIENT.into_iter().chain(EXACT) {
            let idp = speaking(app, dialect);
            let id = hired(&idp, dialect.name());
            let name = format!("of-{}", dialect.name());
            let team = format!("/Groups/{}", idp.post("/Groups", group(&name, &[&id])).expect(201).id());
            let bot = bot(&idp, &name, &id);
            for (n, (odd, value)) in others(&id).into_iter().enumerate() {
                let way = if n % 2 == 0 { "alone" } else { "Bulk" };
                let alone = json!({"schemas": [GROUP], "displayName": name});
                for (path, whole, own) in [(&team, alone, "members"), (&bot, agent(&name), "owners")] {
                    let body = and(whole, json!({odd: value}));
                    let (status, _, _, answer) = send(&idp, way, "PUT", path, &body);
                    assert_eq!(status, 400, "{dialect:?} {body} {answer}");
                    assert!(answer["detail"].as_str().unwrap().contains(odd), "{body} {answer}");
                    assert_eq!(people(&idp, path), [id.as_str()], "{dialect:?} {body}");
                    if !LENIENT.contains(&dialect) {
                        continue;
                    }
                    let kind = if own == "members" { "group" } else { "agent" };
                    let told = refused(app, &format!("{kind}.refused")).pop().unwrap();
                    assert_eq!(told[0], json!(path.rsplit('/').next().unwrap()), "{body}");
                    // Who is in it is said, and that says all.
                    let said = and(body, json!({own: [{"value": id}]}));
                    let (status, _, tolerances, answer) = send(&idp, way, "PUT", path, &said);
                    assert_eq!(status, 200, "{said} {answer}");
                    assert!(tolerances.contains("auto-001") || tolerances.contains("entra-009"), "{tolerances}");
                    assert_eq!(people(&idp, path), [id.as_str()], "{said}");
                    app.clock.advance(TimeDelta::hours(1));
                }
            }
        }
        // What names nobody is dropped as before, and the group is empty by what it says.
        let idp = app.idp();
        let id = hired(&idp, "plain");
        let team = format!("/Groups/{}", idp.post("/Groups", group("plain", &[&id])).expect(201).id());
        let odd = json!({"urn:x:Group": {"costCentre": "7", "tenant": id}, "shoes": [7, "x"], "membership": "open"});
        let empty = and(json!({"schemas": [GROUP], "displayName": "plain"}), odd);
        assert_eq!(idp.put(&team, empty).expect(200).members(), Vec::<&str>::new());
    });
}

#[test]
fn a_value_without_a_name_is_dropped_in_no_silence() {
    for_each_app(|app| {
        for dialect in LENIENT {
            let idp = speaking(app, dialect);
            let who = hire(app, &idp, dialect.name());
            let id = who.path.rsplit('/').next().unwrap();
            let name = format!("of-{}", dialect.name());
            let team = format!("/Groups/{}", idp.post("/Groups", group(&name, &[id])).expect(201).id());
            let bot = bot(&idp, &name, id);
            let title = json!({"op": "replace", "path": "displayName", "value": name});
            let set = |value: Value| json!({"op": "replace", "value": {"value": value}});
            let no = [
                set(json!(false)),
                set(json!("inactive")),
                set(json!([0])),
                json!({"op": "add", "value": {"Value": "no"}}),
                json!({"op": "replace", "path": USER, "value": {"value": false}}),
                json!({"op": "replace", "value": {USER: {"value": false}}}),
                json!({"op": "replace", "path": "value", "value": false}),
            ];
            for (n, odd) in no.into_iter().enumerate() {
                let way = if n % 2 == 0 { "alone" } else { "Bulk" };
                for body in [json!([odd]), json!([title, odd])] {
                    let (status, _, _, answer) = send(&idp, way, "PATCH", &who.path, &patch(body));
                    assert_eq!((status, app.verify(&who.key).as_str()), (400, "VALID"), "{odd} {answer}");
                    assert!(answer["detail"].as_str().unwrap().contains("value"), "{answer}");
                }
                let (status, _, _, answer) = send(&idp, way, "PATCH", &who.path, &patch(json!([off(), odd])));
                assert_eq!((status, app.verify(&who.key).as_str()), (200, "OWNER_INACTIVE"), "{odd} {answer}");
                idp.patch(&who.path, replace("active", true)).expect(200);
            }
            let gone = [
                set(json!([{"value": id}])),
                set(json!([])),
                json!({"op": "replace", "path": "value", "value": [{"value": id}]}),
                json!({"op": "remove", "path": "value", "value": [{"value": id}]}),
            ];
            for (path, own) in [(&team, "members"), (&bot, "owners")] {
                for (n, odd) in gone.iter().enumerate() {
                    let way = if n % 2 == 0 { "alone" } else { "Bulk" };
                    let come = json!({"op": "add", "path": own, "value": [{"value": id}]});
                    for body in [json!([odd]), json!([title, odd]), json!([come, odd])] {
                        let (status, _, _, answer) = send(&idp, way, "PATCH", path, &patch(body));
                        assert_eq!(status, 400, "{odd} {answer}");
                        assert_eq!(people(&idp, path), [id], "{odd}");
                    }
                }
            }
            // What says nothing of anybody is beside the point.
            idp.patch(&who.path, patch(json!([set(json!("Dr"))]))).expect(200);
        }
    });
}

#[test]
fn whoever_is_not_active_by_what_is_clear_does_not_live_on_by_what_is_not() {
    for_each_app(|app| {
        let odd = [
            json!({"op": "copy", "from": "title", "path": "active"}),
            json!({"op": "move", "from": "active", "path": "title"}),
            json!({"op": "test", "path": "active", "value": true}),
            json!({"op": "invert", "path": "active"}),
            json!({"op": "replace", "path": "active"}),
            json!({"op": "replace", "path": "active", "value": "perhaps"}),
            json!({"op": "replace", "path": "active[x"}),
            json!({"op": "add", "path": format!("{USER}:active")}),
        ];
        for dialect in LENIENT.into_iter().chain(EXACT) {
            let idp = speaking(app, dialect);
            for (n, odd) in odd.iter().enumerate() {
                let way = if n % 2 == 0 { "alone" } else { "Bulk" };
                let who = hire(app, &idp, &format!("{}{n}", dialect.name()));
                let on = json!({"op": "replace", "path": "active", "value": true});
                for body in [json!([odd]), json!([on, odd]), json!([odd, on])] {
                    let (status, ..) = send(&idp, way, "PATCH", &who.path, &patch(body));
                    assert_eq!((status, app.verify(&who.key).as_str()), (400, "VALID"), "{dialect:?} {odd}");
                }
                for body in [json!([odd, off()]), json!([off(), odd])] {
                    let (status, _, tolerances, answer) = send(&idp, way, "PATCH", &who.path, &patch(body));
                    if !LENIENT.contains(&dialect) {
                        assert_eq!((status, app.verify(&who.key).as_str()), (400, "VALID"), "{dialect:?} {odd}");
                        continue;
                    }
                    assert_eq!((status, app.verify(&who.key).as_str()), (200, "OWNER_INACTIVE"), "{odd} {answer}");
                    assert!(tolerances.contains("auto-009"), "{odd} {tolerances}");
                    assert_ne!(last_write(app, "user.patched")["change"]["dropped"], Value::Null, "{odd}");
                    idp.patch(&who.path, replace("active", true)).expect(200);
                }
            }
        }
    });
}

#[test]
fn active_in_brackets_is_removed_in_no_silence() {
    for_each_app(|app| {
        for dialect in LENIENT {
            let idp = speaking(app, dialect);
            let who = hire(app, &idp, dialect.name());
            for path in ["[active]", "[ \"Active\" ]", "(active)", "active,title", "title active"] {
                for odd in
                    [json!({"op": "remove", "path": path}), json!({"op": "replace", "path": path, "value": null})]
                {
                    for body in [json!([odd]), json!([odd, {"op": "replace", "path": "title", "value": "Dr"}])] {
                        let answer = idp.patch(&who.path, patch(body));
                        assert_eq!((answer.status, app.verify(&who.key).as_str()), (400, "VALID"), "{odd} {answer}");
                    }
                    idp.patch(&who.path, patch(json!([odd, off()]))).expect(200);
                    assert_eq!(app.verify(&who.key), "OWNER_INACTIVE", "{odd}");
                    idp.patch(&who.path, replace("active", true)).expect(200);
                }
            }
            idp.patch(&who.path, patch(json!([{"op": "remove", "path": "[title]"}]))).expect(200);
        }
    });
}

#[test]
fn the_envelope_of_a_job_is_read_as_other_bodies_are() {
    for_each_app(|app| {
        for dialect in LENIENT {
            let idp = speaking(app, dialect);
            for (n, tolerance) in ["auto-004", "auto-008"].into_iter().enumerate() {
                let who = hire(app, &idp, &format!("{}{n}", dialect.name()));
                let one = json!({"method": "PATCH", "path": who.path, "data": patch(json!([off()]))});
                let job = match n {
                    0 => bulk(json!([[], [[one]]])),
                    _ => json!({"schemas": [BULK], "Opera\0tions": [one]}),
                };
                let done = idp.post("/Bulk", job).expect(200);
                assert_eq!(done["Operations"][0]["status"], json!("200"), "{done}");
                assert_eq!(app.verify(&who.key), "OWNER_INACTIVE");
                assert!(done.header("keyroll-tolerance").contains(tolerance), "{done}");
            }
            let twice = json!({"schemas": [BULK], "Operations": [], "Opera\0tions": []});
            idp.post("/Bulk", twice).scim_error(400, "invalidSyntax");
        }
        for dialect in EXACT {
            let idp = speaking(app, dialect);
            let who = hire(app, &idp, dialect.name());
            let one = json!({"method": "DELETE", "path": who.path});
            let done = idp.post("/Bulk", bulk(json!([[one]]))).expect(200);
            assert_eq!(done["Operations"][0]["status"], json!("400"), "{done}");
            idp.post("/Bulk", json!({"schemas": [BULK], "Opera\0tions": [one]})).expect(400);
            assert_eq!(app.verify(&who.key), "VALID");
        }
    });
}
