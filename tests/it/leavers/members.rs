//! One unknown member or owner, and everybody else.

use std::slice;

use chrono::TimeDelta;
use serde_json::{Value, json};

use super::{EXACT, LENIENT, last_write, send, speaking};
use crate::support::app::*;

/// Names as a record lists them.
fn sorted<'n>(names: &[&'n str]) -> Vec<&'n str> {
    let mut names = names.to_vec();
    names.sort_unstable();
    names
}

/// What else may be wrong with members, or beside them.
fn beside_members(app: &TestApp, idp: &Actor<'_>, path: &str, ids: &[String]) {
    let unknown = app.id(999);
    // Removing one who is not there is no error, and is named.
    let gone = idp.patch(path, remove(&format!("members[value eq \"{unknown}\"]"))).expect(200);
    assert_eq!(gone.header("keyroll-tolerance"), "auto-002");
    // A list that is malformed is refused: what is left of it would be taken for all of it.
    for nobody in [json!([{"value": 7}]), json!([7]), json!([{"value": {"id": "x"}}]), json!([[7]])] {
        for body in
            [replace("members", nobody.clone()), patch(json!([{"op": "replace", "value": {"members": nobody}}]))]
        {
            idp.patch(path, body).scim_error(400, "invalidValue");
        }
        idp.put(path, and(group("team1", &[]), json!({"members": nobody}))).scim_error(400, "invalidValue");
    }
    assert_eq!(idp.get(path).expect(200).members(), [ids[1].as_str()]);
    // What is wrong beside the members does not keep them from changing.
    let odd = json!([{"op": "replace", "path": "externalId", "value": {}}, {"op": "remove", "path": "displayName"},
        {"op": "add", "path": "members", "value": [{"value": ids[0]}]}]);
    let changed = idp.patch(path, patch(odd)).expect(200);
    assert_eq!(changed.header("keyroll-tolerance"), "auto-009");
    assert_eq!((&changed["displayName"], changed.members()), (&json!("team1"), vec![ids[0].as_str(), ids[1].as_str()]));
    assert_eq!(last_write(app, "group.patched")["change"]["dropped"], json!(["displayName", "externalId"]));
}

/// The dialects that tolerate nothing name the id.
fn refused_whole(app: &TestApp) {
    for dialect in EXACT {
        let idp = speaking(app, dialect);
        let mira = idp.post("/Users", user(&format!("{}@example.com", dialect.name()))).expect(201).id();
        let team = format!("/Groups/{}", idp.post("/Groups", group("team", &[])).expect(201).id());
        let unknown = app.id(999);
        let refused = idp.patch(&team, add("members", json!([{"value": mira}, {"value": unknown}])));
        assert_eq!(refused.scim_error(400, "invalidValue"), format!("members: no resource has the id {unknown:?}"));
        idp.put(&team, group("team", &[&mira, &unknown])).scim_error(400, "invalidValue");
        assert_eq!(idp.get(&team).expect(200).members(), Vec::<&str>::new());
    }
}

#[test]
fn an_unknown_member_keeps_nobody_outside() {
    for_each_app(|app| {
        for dialect in LENIENT {
            let idp = speaking(app, dialect);
            let ids: Vec<String> = (0..3)
                .map(|n| idp.post("/Users", user(&format!("{}{n}@example.com", dialect.name()))).expect(201).id())
                .collect();
            let unknown = app.id(999);
            let all = |ids: &[&str]| json!(ids.iter().map(|id| json!({"value": id})).collect::<Vec<_>>());
            let mut name = 0;
            let mut made = |members: &[&str]| {
                name += 1;
                idp.post("/Groups", group(&format!("team{name}"), members)).expect(201)
            };
            let secret = "3aUlTJC7tjlCTQj2uNU3MFagCXG9LRKRcwGkBIDlf0P";
            let created = made(&[&ids[0], &unknown, "00u1abc", "mira@example.com", "mira", secret]);
            assert_eq!((created.members(), created.header("keyroll-tolerance")), (vec![ids[0].as_str()], "auto-007"));
            assert_eq!(
                last_write(app, "group.created")["change"],
                json!({"paths": ["schemas", "displayName"], "added": [ids[0]], "tolerances": ["auto-007"],
                    "unknown": sorted(&[&unknown, "00u1abc"]), "unknown_total": 5})
            );
            let path = format!("/Groups/{}", created.id());
            let pushes = [
                ("PATCH", add("members", all(&[&unknown, &ids[1]])), vec![0, 1], (vec![1], vec![])),
                ("PATCH", replace("members", all(&[&ids[2], &unknown])), vec![2], (vec![2], vec![0, 1])),
                (
                    "PATCH",
                    patch(json!([{"op": "add", "value": {"members": all(&[&ids[0], &unknown])}}])),
                    vec![0, 2],
                    (vec![0], vec![]),
                ),
                ("PUT", group("team1", &[&ids[1], &unknown]), vec![1], (vec![1], vec![0, 2])),
            ];
            for (n, (method, body, members, (added, removed))) in pushes.into_iter().enumerate() {
                let way = if n % 2 == 0 { "alone" } else { "Bulk" };
                let (status, _, tolerances, answer) = send(&idp, way, method, &path, &body);
                assert_eq!((status, tolerances.as_str()), (200, "auto-007"), "{answer}");
                let named = |places: Vec<usize>| places.iter().map(|n| ids[*n].clone()).collect::<Vec<_>>();
                assert_eq!(idp.get(&path).expect(200).members(), named(members));
                let action = if method == "PUT" { "group.replaced" } else { "group.patched" };
                let change = last_write(app, action)["change"].clone();
                assert_eq!((&change["unknown"], &change["tolerances"]), (&json!([unknown]), &json!(["auto-007"])));
                let list = |name: &str| {
                    let ids = change[name].as_array().cloned().unwrap_or_default();
                    ids.iter().map(|id| id.as_str().unwrap().to_owned()).collect::<Vec<_>>()
                };
                assert_eq!((list("added"), list("removed")), (named(added), named(removed)), "{change}");
            }
            beside_members(app, &idp, &path, &ids);
        }
        refused_whole(app);
    });
}

#[test]
fn an_unknown_member_alone_is_named_once_an_hour() {
    for_each_app(|app| {
        let idp = app.idp();
        let mira = idp.post("/Users", user("mira@ex.test")).expect(201).id();
        let team = idp.post("/Groups", group("team", &[&mira])).expect(201).id();
        let path = format!("/Groups/{team}");
        let (unknown, other) = (app.id(999), app.id(998));
        let before = idp.get(&path).expect(200);
        let named = |app: &TestApp| -> Vec<Value> {
            let log = app.log();
            let patched =
                log.iter().filter(|one| one["action"] == "group.patched" || one["action"] == "group.replaced");
            patched.map(|one| one["change"]["unknown"].clone()).collect()
        };
        let add = |id: &str| add("members", json!([{"value": id}]));
        let answer = idp.patch(&path, add(&unknown)).expect(200);
        assert_eq!(answer.header("keyroll-tolerance"), "auto-007");
        assert_eq!(named(app), [json!([unknown])]);
        // A provider that repeats itself at every sync does not fill the log, and nothing has changed.
        idp.patch(&path, add(&unknown)).expect(200);
        idp.put(&path, group("team", &[&mira, &other])).expect(200);
        assert_eq!(named(app), [json!([unknown])]);
        let after = idp.get(&path).expect(200);
        assert_eq!((after.header("etag"), &after["meta"]), (before.header("etag"), &before["meta"]));
        app.clock.advance(TimeDelta::hours(1));
        idp.put(&path, group("team", &[&mira, &other])).expect(200);
        assert_eq!(named(app), [json!([unknown]), json!([other])]);
        app.check_log();
    });
}

#[test]
fn a_removal_without_an_attribute_keeps_nobody_inside_in_silence() {
    for_each_app(|app| {
        for dialect in LENIENT {
            let idp = speaking(app, dialect);
            let hire = |name: &str| idp.post("/Users", user(&format!("{name}-{}", dialect.name()))).expect(201).id();
            let (leaver, other) = (hire("leaver"), hire("other"));
            let path = format!("/Groups/{}", idp.post("/Groups", group("team", &[&leaver])).expect(201).id());
            let all = json!([{"value": leaver}]);
            // What it is to be removed from is said by nothing: it may be the members, and nothing else is done.
            let from = |value: &Value| json!({"op": "remove", "path": GROUP, "value": value});
            for value in [all.clone(), json!(leaver), json!([leaver])] {
                let join = json!({"op": "add", "path": "members", "value": [{"value": other}]});
                assert_eq!(idp.patch(&path, patch(json!([from(&value), join]))).status, 400, "{value}");
                let odd = json!([{"op": "remove", "value": value}, join]);
                let refused = idp.patch(&path, patch(odd));
                let detail = "Operations[0]: path: is missing, and remove needs one";
                assert_eq!(refused.scim_error(400, "noTarget"), detail);
                assert_eq!(idp.get(&path).expect(200).members(), [leaver.as_str()]);
            }
            assert_eq!(last_write(app, "group.refused")["change"]["code"], "noTarget");
            // The schema's own name is no path.
            let named = json!([{"op": "remove", "path": GROUP, "value": {"members": all}}]);
            let gone = idp.patch(&path, patch(named)).expect(200);
            let tolerances = "entra-003, auto-006, auto-014";
            assert_eq!((gone.members(), gone.header("keyroll-tolerance")), (vec![], tolerances));
        }
    });
}

#[test]
fn an_unknown_owner_keeps_no_agent_without_the_others() {
    for_each_app(|app| {
        for dialect in LENIENT {
            let idp = speaking(app, dialect);
            let mira = idp.post("/Users", user(&format!("{}@example.com", dialect.name()))).expect(201).id();
            let team = idp.post("/Groups", group("team", &[])).expect(201).id();
            let unknown = app.id(999);
            let owners = |ids: &[&str]| json!(ids.iter().map(|id| json!({"value": id})).collect::<Vec<_>>());
            let shown = |answer: &Value| {
                let owners = answer["owners"].as_array().cloned().unwrap_or_default();
                owners.iter().map(|one| one["value"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
            };
            let name = format!("bot-{}", dialect.name());
            let bot = and(agent(&name), json!({"owners": owners(&[&unknown, &mira, &team])}));
            let created = idp.post("/Agents", bot).expect(201);
            assert_eq!((shown(&created.body), created.header("keyroll-tolerance")), (vec![mira.clone()], "auto-007"));
            let recorded = last_write(app, "agent.created")["change"]["unknown"].clone();
            assert_eq!(recorded, json!(sorted(&[&unknown, &team])));
            let path = format!("/Agents/{}", created.id());
            // Nothing else was asked for: nothing changes.
            let same = idp.patch(&path, add("owners", owners(&[&unknown]))).expect(200);
            assert_eq!((same.header("etag"), same.header("keyroll-tolerance")), (created.header("etag"), "auto-007"));
            let put = and(agent(&name), json!({"owners": owners(&[&unknown, &mira]), "description": "x"}));
            let (status, _, tolerances, _) = send(&idp, "Bulk", "PUT", &path, &put);
            assert_eq!((status, tolerances.as_str()), (200, "auto-007"));
            assert_eq!(shown(&idp.get(&path).expect(200).body), *slice::from_ref(&mira));
            let none = idp.patch(&path, replace("owners", owners(&[&unknown]))).expect(200);
            assert_eq!(shown(&none.body), Vec::<String>::new());
            let off = json!([{"op": "replace", "path": "owners", "value": [{"display": "x"}]},
                {"op": "replace", "path": "active", "value": false}]);
            assert_eq!(idp.patch(&path, patch(off)).expect(200)["active"], json!(false));
        }
    });
}

#[test]
fn half_of_a_hundred_thousand_members_may_be_unknown() {
    let app = TestApp::sqlite();
    let idp = app.idp();
    let mira = idp.post("/Users", user("mira@example.com")).expect(201).id();
    let unknown = (1..100_000).map(|n| json!({"value": format!("00000000-0000-7000-8000-{n:012x}")}));
    let members: Vec<Value> = unknown.chain([json!({"value": mira})]).collect();
    let team = idp.post("/Groups", and(group("team", &[]), json!({"members": members}))).expect(201);
    assert_eq!((team.members(), team.header("keyroll-tolerance")), (vec![mira.as_str()], "auto-007"));
    let change = last_write(&app, "group.created")["change"].clone();
    assert_eq!(change["unknown"].as_array().map(Vec::len), Some(1_000));
    assert_eq!(change["unknown_total"], json!(99_999));
}

#[test]
fn what_a_member_says_beside_its_id_has_one_rule_for_all_ways_in() {
    for_each_app(|app| {
        for dialect in LENIENT.into_iter().chain(EXACT) {
            let idp = speaking(app, dialect);
            let id = idp.post("/Users", user(&format!("{}@example.com", dialect.name()))).expect(201).id();
            let name = |n: &str| format!("{}-{n}", dialect.name());
            let team = format!("/Groups/{}", idp.post("/Groups", group(&name("team"), &[])).expect(201).id());
            let with = |part: &str, value: Value| json!([{"value": id, part: value}]);
            let all = |members: &Value, n: &str| and(group(&name(n), &[]), json!({"members": members}));
            let pathless = |members: &Value| patch(json!([{"op": "add", "value": {"members": members}}]));
            for way in ["alone", "Bulk"] {
                let mut number = 0;
                for (op, path) in [("POST", "/Groups"), ("PUT", &*team), ("PATCH", &*team), ("pathless", &*team)] {
                    let method = if op == "pathless" { "PATCH" } else { op };
                    number += 1;
                    let n = if op == "POST" { format!("{way}{number}") } else { "team".to_owned() };
                    let body = |members: &Value| match op {
                        "PATCH" => add("members", members.clone()),
                        "pathless" => pathless(members),
                        _ => all(members, &n),
                    };
                    let refused = |members: &Value, code: &str, names: &str| {
                        let (status, kind, _, answer) = send(&idp, way, method, path, &body(members));
                        assert_eq!((status, &*kind), (400, code), "{op} {answer}");
                        assert!(answer["detail"].as_str().unwrap().contains(names), "{answer}");
                        assert_eq!(idp.get(&team).expect(200).members(), Vec::<&str>::new());
                    };
                    let (named, code) = ("members[0].shoe: no such attribute", "invalidSyntax");
                    if dialect == keyroll::scim::tolerance::Dialect::Strict {
                        refused(&with("shoe", json!(7)), code, named);
                        continue;
                    }
                    refused(&with("active", json!(false)), code, "members[0].active: says that somebody leaves");
                    refused(&with("Status", json!("terminated")), code, "members[0].Status: says that somebody leaves");
                    let (status, _, tolerances, answer) = send(&idp, way, method, path, &body(&with("shoe", json!(7))));
                    assert!(status < 300, "{op} {answer}");
                    assert_eq!(tolerances, "auto-001", "{op} {dialect:?}");
                    let action = if op == "POST" {
                        "created"
                    } else if op == "PUT" {
                        "replaced"
                    } else {
                        "patched"
                    };
                    let change = last_write(app, &format!("group.{action}"))["change"].clone();
                    assert_eq!(
                        (&change["dropped"], &change["added"]),
                        (&json!(["members.shoe"]), &json!([id])),
                        "{op}"
                    );
                    idp.patch(&team, remove("members")).expect(200);
                }
            }
        }
    });
}
