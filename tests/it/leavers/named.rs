//! Who is named in another way: whoever it is goes, and whoever cannot be found is named in the log.

use chrono::TimeDelta;
use keyroll::scim::tolerance::Dialect;
use serde_json::{Value, json};

use super::refused::refused;
use super::{EXACT, LENIENT, last_write, send, speaking};
use crate::support::app::*;

/// A group of two and an agent of two owners, with the paths and the attributes that name them.
fn places(idp: &Actor<'_>, name: &str, ids: &[String]) -> [(String, &'static str); 2] {
    let all: Vec<Value> = ids.iter().map(|id| json!({"value": id})).collect();
    let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
    let team = idp.post("/Groups", group(name, &ids)).expect(201).id();
    let bot = idp.post("/Agents", and(agent(name), json!({"owners": all}))).expect(201).id();
    [(format!("/Groups/{team}"), "members"), (format!("/Agents/{bot}"), "owners")]
}

fn people(idp: &Actor<'_>, name: &str) -> Vec<String> {
    let hire = |n: &str| idp.post("/Users", user(&format!("{name}{n}@example.com"))).expect(201).id();
    vec![hire("a"), hire("b")]
}

fn left(idp: &Actor<'_>, path: &str, attribute: &str) -> Vec<String> {
    let shown = idp.get(path).expect(200).body;
    let all = shown[attribute].as_array().cloned().unwrap_or_default();
    all.iter().map(|one| one["value"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn whoever_is_spelt_otherwise_goes_by_a_path_and_by_a_value() {
    for_each_app(|app| {
        let spellings: [fn(&str) -> String; 6] = [
            |id| format!("https://keyroll.example/scim/v2/Users/{id}/"),
            |id| format!("{{{id}}}"),
            |id| format!("urn:uuid:{id}"),
            |id| format!(" {} ", id.to_uppercase()),
            |id| format!("{{{}}}", id.to_uppercase()),
            |id| format!("../Users/{id}"),
        ];
        for dialect in LENIENT {
            let idp = speaking(app, dialect);
            for (n, spelling) in spellings.into_iter().enumerate() {
                let name = format!("{}{n}", dialect.name());
                let ids = people(&idp, &name);
                let odd = json!(spelling(&ids[0]));
                for (path, attribute) in places(&idp, &name, &ids) {
                    let come = add(attribute, json!([{"value": ids[0]}]));
                    for body in [
                        remove(&format!("{attribute}[value eq {odd}]")),
                        remove(&format!("{attribute}[value eq {odd} or value eq \"nobody\"]")),
                        remove(&format!("{attribute}[value eq {odd} and type eq \"User\"]")),
                        remove(&format!("{attribute}[not (value ne {odd})]")),
                        remove(&format!("{attribute}[value eq {odd}].value")),
                        patch(json!([{"op": "remove", "path": attribute, "value": [{"value": odd}]}])),
                    ] {
                        let way = if n % 2 == 0 { "alone" } else { "Bulk" };
                        let (status, _, tolerances, answer) = send(&idp, way, "PATCH", &path, &body);
                        assert_eq!(status, 200, "{body} {answer}");
                        assert_eq!(left(&idp, &path, attribute), [ids[1].as_str()], "{body}");
                        assert!(tolerances.contains("auto-016"), "{body} {tolerances}");
                        idp.patch(&path, come.clone()).expect(200);
                    }
                }
            }
        }
    });
}

#[test]
fn a_member_may_be_named_by_its_type_its_url_or_an_id() {
    for_each_app(|app| {
        for dialect in LENIENT {
            let idp = speaking(app, dialect);
            let ids = people(&idp, dialect.name());
            let id = &ids[0];
            for (path, attribute) in places(&idp, dialect.name(), &ids) {
                let all = json!([{"value": ids[0]}, {"value": ids[1]}]);
                for (body, stay) in [
                    (remove(&format!("{attribute}[value eq \"{id}\" and type eq \"User\"]")), vec![ids[1].as_str()]),
                    (remove(&format!("{attribute}[type eq \"User\"]")), vec![]),
                    (remove(&format!("{attribute}[type eq \"Group\"]")), vec![ids[0].as_str(), ids[1].as_str()]),
                    (remove(&format!("{attribute}[type ne \"User\"]")), vec![ids[0].as_str(), ids[1].as_str()]),
                    (remove(&format!("{attribute}[not (type eq \"Group\")]")), vec![]),
                    (remove(&format!("{attribute}[$ref eq \"../Users/{id}\"]")), vec![ids[1].as_str()]),
                    (remove(&format!("{attribute}[$ref eq \"https://x/Users/{id}/\"]")), vec![ids[1].as_str()]),
                    (patch(json!([{"op": "remove", "path": attribute, "value": [{"id": id}]}])), vec![ids[1].as_str()]),
                    (
                        patch(json!([{"op": "remove", "path": attribute, "value": [{"value": format!("{id}\0")}]}])),
                        vec![ids[1].as_str()],
                    ),
                    (
                        patch(json!([{"op": "remove", "value": {attribute: [format!("{id}\0")]}}])),
                        vec![ids[1].as_str()],
                    ),
                    (replace(attribute, json!([{"id": id}])), vec![ids[0].as_str()]),
                    (replace(attribute, json!([{"$ref": format!("../Users/{id}/")}])), vec![ids[0].as_str()]),
                ] {
                    for way in ["alone", "Bulk"] {
                        let (status, _, _, answer) = send(&idp, way, "PATCH", &path, &body);
                        assert_eq!(status, 200, "{body} {answer}");
                        assert_eq!(left(&idp, &path, attribute), stay, "{body}");
                        idp.patch(&path, replace(attribute, all.clone())).expect(200);
                    }
                }
            }
        }
        // What an agent's document says of an owner's type is not changed by looking at it.
        let idp = app.idp();
        let ids = people(&idp, "same");
        let [_, (bot, _)] = places(&idp, "same", &ids);
        let before = idp.get(&bot).expect(200);
        let same = idp.patch(&bot, remove("owners[type eq \"Group\"]")).expect(200);
        assert_eq!((same.header("etag"), &same["owners"]), (before.header("etag"), &before["owners"]));
    });
}

#[test]
fn whoever_cannot_be_found_is_named_in_the_log() {
    for_each_app(|app| {
        let unknown = app.id(999);
        for dialect in LENIENT {
            let idp = speaking(app, dialect);
            let ids = people(&idp, dialect.name());
            for (path, attribute) in places(&idp, dialect.name(), &ids) {
                for (n, (body, change)) in [
                    (
                        remove(&format!("{attribute}[value eq \"{unknown}\"]")),
                        json!({"paths": [], "tolerances": ["auto-002"], "unknown": [unknown]}),
                    ),
                    (
                        remove(&format!("{attribute}[value eq \"{unknown}\" and type eq \"User\"]")),
                        json!({"paths": [], "tolerances": ["auto-002"], "unknown_total": 1}),
                    ),
                    (
                        remove(&format!("{attribute}[display eq \"nobody\"]")),
                        json!({"paths": [], "tolerances": ["auto-002"], "unknown_total": 1}),
                    ),
                    (
                        patch(json!([{"op": "remove", "path": attribute, "value": [{"value": unknown}]}])),
                        json!({"paths": [], "tolerances": ["entra-003", "auto-002"], "unknown": [unknown]}),
                    ),
                ]
                .into_iter()
                .enumerate()
                {
                    let action = if attribute == "members" { "group.patched" } else { "agent.patched" };
                    let way = if n % 2 == 0 { "alone" } else { "Bulk" };
                    for _ in 0..2 {
                        let before = idp.get(&path).expect(200);
                        assert_eq!(send(&idp, way, "PATCH", &path, &body).0, 200, "{body}");
                        assert_eq!(idp.get(&path).expect(200).header("etag"), before.header("etag"));
                    }
                    assert_eq!(last_write(app, action)["change"], change, "{body}");
                    let id = path.rsplit('/').next().unwrap();
                    let log = app.log();
                    let own = log.iter().filter(|one| one["action"] == action && one["subject"]["id"] == id);
                    assert_eq!(own.count(), 1 + n, "{body}");
                    app.clock.advance(TimeDelta::hours(1));
                }
            }
        }
    });
}

#[test]
fn a_member_with_an_operation_of_its_own_does_not_come() {
    for_each_app(|app| {
        for dialect in LENIENT.into_iter().chain(EXACT) {
            let idp = speaking(app, dialect);
            let ids = people(&idp, dialect.name());
            for (path, attribute) in places(&idp, dialect.name(), &ids) {
                let id = path.rsplit('/').next().unwrap();
                let list = json!([{"value": ids[0], "operation": "delete"}, {"value": ids[1]}]);
                let kind = if attribute == "members" { "group" } else { "agent" };
                let whole = match attribute {
                    "members" => and(group(dialect.name(), &[]), json!({"members": list})),
                    _ => and(agent(dialect.name()), json!({"owners": list})),
                };
                for (method, body) in [
                    ("PATCH", add(attribute, list.clone())),
                    ("PATCH", replace(attribute, list.clone())),
                    ("PATCH", patch(json!([{"op": "add", "value": {attribute: list}}]))),
                    ("PUT", whole),
                ] {
                    for way in ["alone", "Bulk"] {
                        let (status, _, _, answer) = send(&idp, way, method, &path, &body);
                        let detail = answer["detail"].as_str().unwrap_or_default();
                        assert!(status == 400 && detail.contains("[0].operation: "), "{body} {answer}");
                        assert_eq!(left(&idp, &path, attribute), ids, "{body}");
                        let own = refused(app, &format!("{kind}.refused")).into_iter().rfind(|one| one[0] == id);
                        let attempted = if method == "PUT" { "replaced" } else { "patched" };
                        assert_eq!(own.unwrap()[2]["attempted"], json!(format!("{kind}.{attempted}")), "{body}");
                        app.clock.advance(TimeDelta::hours(1));
                    }
                }
            }
        }
    });
}

#[test]
fn a_mark_of_an_element_says_that_it_goes_whatever_it_is_called() {
    for_each_app(|app| {
        let idp = speaking(app, Dialect::Auto);
        let ids = people(&idp, "auto");
        let marks = [
            json!({"_action": "delete"}),
            json!({"$op": "Remove"}),
            json!({"operation": "unassign"}),
            json!({"delete": true}),
            json!({"isMember": false}),
            json!({"@removed": {"reason": "deleted"}}),
        ];
        for (path, attribute) in places(&idp, "auto", &ids) {
            for mark in &marks {
                let list = json!([and(json!({"value": ids[0]}), mark.clone()), {"value": ids[1]}]);
                let (status, .., answer) = send(&idp, "alone", "PATCH", &path, &replace(attribute, list));
                let name = mark.as_object().unwrap().keys().next().unwrap();
                let detail = answer["detail"].as_str().unwrap_or_default();
                assert!(status == 400 && detail.contains(&format!("[0].{name}: ")), "{mark} {answer}");
                assert_eq!(left(&idp, &path, attribute), ids, "{mark}");
            }
            // What only sounds like it is left out and named.
            let list = json!([{"value": ids[0], "isMember": true, "delete": false, "operation": "add"}]);
            let (status, ..) = send(&idp, "alone", "PATCH", &path, &add(attribute, list));
            assert_eq!((status, left(&idp, &path, attribute)), (200, ids.clone()));
        }
    });
}

#[test]
fn whoever_is_to_go_by_other_words_than_an_id_is_not_passed_over() {
    for_each_app(|app| {
        let idp = speaking(app, Dialect::Auto);
        let ids = people(&idp, "auto");
        for (path, attribute) in places(&idp, "auto", &ids) {
            let id = path.rsplit('/').next().unwrap();
            let kind = if attribute == "members" { "group" } else { "agent" };
            for element in [
                json!({"memberId": ids[0]}),
                json!({"userName": "a@example.com"}),
                json!({"externalId": "7", "type": "User"}),
                json!({attribute: [{"value": ids[0]}]}),
            ] {
                let body = patch(json!([{"op": "remove", "path": attribute, "value": [element]}]));
                let (status, .., answer) = send(&idp, "alone", "PATCH", &path, &body);
                assert_eq!(status, 400, "{body} {answer}");
                assert_eq!(left(&idp, &path, attribute), ids, "{body}");
                let own = refused(app, &format!("{kind}.refused")).into_iter().rfind(|one| one[0] == id);
                assert_eq!(own.unwrap()[2]["attempted"], json!(format!("{kind}.patched")), "{body}");
                app.clock.advance(TimeDelta::hours(1));
            }
            // An id in signs that are none of it is that id.
            for (n, around) in ["'_'", "<_>", "\u{feff}_", "\u{200b}_"].into_iter().enumerate() {
                let one = &ids[n % ids.len()];
                let value = json!([{"value": around.replace('_', one)}]);
                let body = patch(json!([{"op": "remove", "path": attribute, "value": value}]));
                assert_eq!(send(&idp, "alone", "PATCH", &path, &body).0, 200, "{body}");
                let rest: Vec<String> = ids.iter().filter(|id| *id != one).cloned().collect();
                assert_eq!(left(&idp, &path, attribute), rest, "{body}");
                let back = json!([{"value": one}]);
                assert_eq!(send(&idp, "alone", "PATCH", &path, &add(attribute, back)).0, 200);
            }
        }
    });
}

#[test]
fn what_cannot_be_kept_of_a_groups_name_is_named_in_the_log() {
    for_each_app(|app| {
        for dialect in LENIENT {
            let idp = speaking(app, dialect);
            let team = and(group(dialect.name(), &[]), json!({"externalId": "admins"}));
            let team = format!("/Groups/{}", idp.post("/Groups", team).expect(201).id());
            for (n, text) in ["other\0".to_owned(), "x".repeat(70_000)].into_iter().enumerate() {
                for (path, value) in [("externalId", json!(text)), ("displayName", json!(text))] {
                    let way = if n % 2 == 0 { "alone" } else { "Bulk" };
                    let (status, _, tolerances, answer) = send(&idp, way, "PATCH", &team, &replace(path, value));
                    assert_eq!((status, tolerances.as_str()), (200, "auto-008"), "{answer}");
                    let change = json!({"paths": [], "tolerances": ["auto-008"], "dropped": [path]});
                    assert_eq!(last_write(app, "group.patched")["change"], change);
                    app.clock.advance(TimeDelta::hours(1));
                }
            }
            let shown = idp.get(&team).expect(200);
            assert_eq!((&shown["externalId"], &shown["displayName"]), (&json!("admins"), &json!(dialect.name())));
        }
    });
}

#[test]
fn what_is_dropped_alone_is_named_once_an_hour() {
    for_each_app(|app| {
        for dialect in LENIENT.into_iter().chain([Dialect::Rfc]) {
            let idp = speaking(app, dialect);
            let ids = people(&idp, dialect.name());
            let [(team, _), (bot, _)] = places(&idp, dialect.name(), &ids);
            let cases = [
                (team, group(dialect.name(), &[&ids[0], &ids[1]]), "Group", "accountEnabled", json!("gone")),
                (bot.clone(), idp.get(&bot).expect(200).body, "Agent", "sponsors", json!([])),
            ];
            for (path, whole, kind, name, value) in cases {
                let action = |verb: &str| format!("{}.{verb}", kind.to_lowercase());
                let count = |verb: &str| app.actions().iter().filter(|one| **one == action(verb)).count();
                let before = (count("patched"), count("replaced"));
                for way in ["alone", "Bulk", "alone"] {
                    let put = and(whole.clone(), json!({name: value}));
                    assert_eq!(send(&idp, way, "PUT", &path, &put).0, 200);
                    if dialect != Dialect::Rfc {
                        assert_eq!(send(&idp, way, "PATCH", &path, &remove(name)).0, 200);
                    }
                }
                // What is dropped by PUT and by PATCH is one kind.
                let own = json!([name]);
                assert_eq!(last_write(app, &action("replaced"))["change"]["dropped"], own);
                assert_eq!((count("patched"), count("replaced")), (before.0, before.1 + 1), "{kind}");
                app.clock.advance(TimeDelta::hours(1));
                if dialect != Dialect::Rfc {
                    assert_eq!(idp.patch(&path, remove(name)).expect(200).header("keyroll-tolerance"), "auto-001");
                    assert_eq!(last_write(app, &action("patched"))["change"]["dropped"], own);
                }
            }
        }
    });
}
