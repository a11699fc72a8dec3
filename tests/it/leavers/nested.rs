//! Lists in lists, texts that are JSON once more, and names with what cannot be kept of them.

use serde_json::{Value, json};

use super::{EXACT, LENIENT, hire, send, speaking};
use crate::support::app::*;

/// Ways to say that a principal is not active.
fn noes(schema: &str) -> Vec<Value> {
    let replace = |value: Value| json!({"op": "replace", "value": value});
    let at = |path: Value, value: Value| json!({"op": "replace", "path": path, "value": value});
    vec![
        replace(json!({schema: [[{"active": false}]]})),
        replace(json!([[[{"active": [[false]]}]]])),
        at(json!([[["active"]]]), json!([["False"]])),
        at(json!("acti\0ve"), json!(false)),
        at(json!(["active\0"]), json!(false)),
        at(json!("\0"), json!({"active": false})),
        replace(json!({"acti\0ve": false})),
        replace(json!({schema: {"\0active": "no"}})),
        json!([[{"op": "replace", "path": "active", "value": false}]]),
    ]
}

/// Ways to say so that nobody can be sure of.
fn doubts(schema: &str) -> Vec<Value> {
    let text = |value: Value| value.to_string();
    vec![
        json!({"op": "replace", "value": text(json!({"active": false}))}),
        json!({"op": "replace", "value": text(json!({schema: {"active": false}}))}),
        json!({"op": "replace", "value": [text(json!([{"active": false}]))]}),
        json!({"op": "replace", "value": {schema: [{"active": false}, {"title": "x"}]}}),
        json!({"op": "replace", "path": "active\0", "value": "gone"}),
    ]
}

#[test]
fn a_no_holds_however_deep_it_lies() {
    for_each_app(|app| {
        for dialect in LENIENT {
            let idp = speaking(app, dialect);
            let title = json!({"op": "replace", "path": "displayName", "value": "M"});
            for (n, no) in noes(USER).into_iter().enumerate() {
                let who = hire(app, &idp, &format!("{}{n}", dialect.name()));
                let way = if n % 2 == 0 { "alone" } else { "Bulk" };
                let (status, _, tolerances, answer) =
                    send(&idp, way, "PATCH", &who.path, &patch(json!([title, no, title])));
                assert_eq!((status, app.verify(&who.key).as_str()), (200, "OWNER_INACTIVE"), "{no} {answer}");
                assert!(tolerances.contains("auto-00"), "{no} {tolerances}");
            }
            let who = hire(app, &idp, &format!("{}-doubt", dialect.name()));
            for doubt in doubts(USER) {
                for job in [json!([doubt]), json!([title, doubt])] {
                    assert_eq!(send(&idp, "alone", "PATCH", &who.path, &patch(job)).0, 400, "{doubt}");
                    assert_eq!(app.verify(&who.key), "VALID");
                }
            }
            for (n, whole) in [json!({USER: [[{"active": false}]]}), json!({"acti\0ve": false})].into_iter().enumerate()
            {
                let who = hire(app, &idp, &format!("{}-put{n}", dialect.name()));
                let whole = and(user(&who.name), whole);
                assert_eq!(send(&idp, "Bulk", "PUT", &who.path, &whole).0, 200, "{whole}");
                assert_eq!(app.verify(&who.key), "OWNER_INACTIVE");
            }
            let whole = and(user(&who.name), json!({USER: [{"active": false}, {"title": "x"}]}));
            idp.put(&who.path, whole).expect(400);
            let twice = and(user(&who.name), json!({"title": "a", "tit\0le": "b"}));
            idp.put(&who.path, twice).scim_error(400, "invalidSyntax");
        }
        for dialect in EXACT {
            let idp = speaking(app, dialect);
            let who = hire(app, &idp, dialect.name());
            for no in noes(USER) {
                assert_eq!(send(&idp, "alone", "PATCH", &who.path, &patch(json!([no]))).0, 400, "{no}");
            }
            assert_eq!(app.verify(&who.key), "VALID");
        }
    });
}

#[test]
fn an_agent_stops_by_the_same_beside_a_new_owner() {
    for_each_app(|app| {
        let idp = app.idp();
        let owner = idp.post("/Users", user("owner@example.com")).expect(201).id();
        let come = json!({"op": "add", "path": "owners", "value": [{"value": owner}]});
        let made = |name: String| {
            let body = and(agent(&name), json!({"owners": [{"value": owner}]}));
            format!("/Agents/{}", idp.post("/Agents", body).expect(201).id())
        };
        for (n, no) in noes(AGENT).into_iter().enumerate() {
            let path = made(format!("bot{n}"));
            assert_eq!(send(&idp, "alone", "PATCH", &path, &patch(json!([come, no]))).0, 200, "{no}");
            assert_eq!(idp.get(&path).expect(200)["active"], json!(false), "{no}");
        }
        let path = made("doubtful".to_owned());
        for doubt in doubts(AGENT) {
            assert_eq!(send(&idp, "alone", "PATCH", &path, &patch(json!([come, doubt]))).0, 400, "{doubt}");
        }
        // Who answers for it is in as many lists.
        for whole in [json!({AGENT: [[{"owners": []}]]}), json!({"own\0ers": []})] {
            let shown = idp.put(&path, and(agent("doubtful"), whole)).expect(200);
            assert_eq!(shown["owners"], Value::Null);
            idp.patch(&path, patch(json!([come]))).expect(200);
        }
        let unclear = and(agent("doubtful"), json!({AGENT: [{"owners": [{"value": owner}]}, {"owners": []}]}));
        idp.put(&path, unclear).expect(400);
    });
}

#[test]
fn a_group_is_what_lies_in_it() {
    for_each_app(|app| {
        for dialect in LENIENT {
            let idp = speaking(app, dialect);
            let hired = |name: &str| idp.post("/Users", user(&format!("{name}{}", dialect.name()))).expect(201).id();
            let (a, b) = (hired("a"), hired("b"));
            let path = format!("/Groups/{}", idp.post("/Groups", group("team", &[&a])).expect(201).id());
            let again = |members: &[&str]| drop(idp.put(&path, group("team", members)).expect(200));
            let one = |id: &str| json!({"value": id});
            let come = json!({"op": "add", "path": "members", "value": [one(&b)]});
            let clear = [
                (json!({"op": "replace", "value": {GROUP: [[[{"members": [one(&b)]}]]]}}), vec![&*b]),
                (json!({"op": "remove", "path": [[[format!("members[value eq \"{a}\"]")]]]}), vec![&b]),
                (json!({"op": "remove", "path": format!("mem\0bers[value eq \"{a}\"]")}), vec![&b]),
                (json!({"op": "remove", "path": format!("members[value eq \"{a}\0\"]")}), vec![&b]),
                (json!({"op": "remove", "path": "\0", "value": {"members": [one(&a)]}}), vec![&b]),
                (json!({"op": "remove", "path": "members", "value": [one(&a), [[one(&b)]]]}), vec![]),
                (json!({"op": "replace", "value": {"members\0": []}}), vec![]),
            ];
            for (n, (operation, left)) in clear.iter().enumerate() {
                again(&[&a]);
                let way = if n % 2 == 0 { "alone" } else { "Bulk" };
                let (status, .., answer) = send(&idp, way, "PATCH", &path, &patch(json!([come, operation])));
                assert_eq!(status, 200, "{operation} {answer}");
                assert_eq!(idp.get(&path).expect(200).members(), *left, "{operation}");
            }
            again(&[&a]);
            let text = json!({"members": [one(&b)]}).to_string();
            for doubt in [
                json!({"op": "replace", "value": text}),
                json!({"op": "replace", "value": {GROUP: text}}),
                json!({"op": "replace", "value": {GROUP: [{"members": [one(&a)]}, {"members": [one(&b)]}]}}),
            ] {
                assert_eq!(send(&idp, "alone", "PATCH", &path, &patch(json!([come, doubt]))).0, 400, "{doubt}");
            }
            let put = and(group("team", &[]), json!({"members": null, GROUP: [[{"members": [one(&b)]}]]}));
            let mut nested = put.clone();
            nested.as_object_mut().unwrap().remove("members");
            assert_eq!(idp.put(&path, nested).expect(200).members(), [b.as_str()]);
            let several = json!({GROUP: [{"members": [one(&a)]}, {"members": [one(&b)]}]});
            let mut unclear = and(group("team", &[]), several);
            unclear.as_object_mut().unwrap().remove("members");
            idp.put(&path, unclear).expect(400);
            assert_eq!(idp.get(&path).expect(200).members(), [b.as_str()]);
        }
    });
}

#[test]
fn nothing_that_says_who_goes_is_swallowed() {
    for_each_app(|app| {
        for dialect in LENIENT {
            let idp = speaking(app, dialect);
            let hired = |name: &str| idp.post("/Users", user(&format!("{name}{}", dialect.name()))).expect(201).id();
            let (a, b, c) = (hired("a"), hired("b"), hired("c"));
            let path = format!("/Groups/{}", idp.post("/Groups", group("team", &[&a, &b, &c])).expect(201).id());
            let one = |id: &str| json!({"value": id});
            let gone = |id: &str| json!({"op": "remove", "path": format!("members[value eq \"{id}\"]")});
            let with = |name: &str, value: Value| {
                let mut operation = json!({"op": "remove", "path": "members"});
                operation[name] = value;
                operation
            };
            let whole = ["values", "value ", "valeu", "data", "filter", "members"];
            let alone = whole.map(|name| with(name, json!([one(&a)])));
            let beside = [
                json!({"op": "remove", "path": [format!("members[value eq \"{b}\"]"), "members.x"]}),
                json!({"op": "remove", "path": {"value": "members"}}),
                json!({"op": "remove", "path": [], "value": [one(&b)]}),
                json!({"op": "remove", "path": 7, "value": [one(&b)]}),
                json!({"op": "remove", "attribute": "members", "value": [one(&b)]}),
                json!({"op": "remove", "target": format!("members[value eq \"{b}\"]")}),
                json!({"op": "replace", "value": {"value": {"members": [one(&a)]}}}),
                json!({"op": "replace", "value": {"group": {"members": [one(&a)]}}}),
                json!({"op": "remove", "path": "members", "value": [one(&a), {"value": [b, c]}]}),
                json!({"op": "remove", "path": "members", "value": [one(&a), {"_id": b}]}),
                json!({"op": "remove", "path": "members[value sw \"\0\"]"}),
                json!({"op": "remove", "path": "members[value ne \"x\0\"]"}),
                json!({"op": "remove", "path": "members[value p\0r]"}),
                json!({"op": "remove", "path": "members[ty\0pe eq \"User\"]"}),
            ];
            for odd in alone.iter().chain(&beside) {
                for job in [json!([odd]), json!([gone(&c), odd]), json!([odd, gone(&c)])] {
                    let (status, .., answer) = send(&idp, "alone", "PATCH", &path, &patch(job));
                    assert_eq!(status, 400, "{odd} {answer}");
                }
            }
            for name in ["member", "Group:members", &format!("{GROUP}.members"), "members.value", "group"] {
                let mut body = group("team", &[]);
                body.as_object_mut().unwrap().remove("members");
                body[name] = if name == "group" { json!({"members": [one(&a)]}) } else { json!([one(&a)]) };
                assert_eq!(send(&idp, "Bulk", "PUT", &path, &body).0, 400, "{body}");
                // Beside members that are understood it is left out and named.
                let both = and(body.clone(), json!({"members": [one(&a), one(&b), one(&c)]}));
                let kept = idp.put(&path, both).expect(200);
                assert!(["auto-001", "entra-009"].contains(&kept.header("keyroll-tolerance")), "{body}");
            }
            assert_eq!(idp.get(&path).expect(200).members().len(), 3);
            let by_url = json!([{"$ref": format!("https://x/Users/{c}?a=b#c")}]);
            let left = idp.patch(&path, patch(json!([with("value", by_url)]))).expect(200);
            assert_eq!(left.members(), [a.as_str(), &b]);
            let named = idp.patch(&path, patch(json!([{"op": "add", "path": "displayName", "value": "t", "note": 1}])));
            assert_eq!(named.expect(200).header("keyroll-tolerance"), "auto-001");
        }
    });
}

#[test]
fn a_no_beside_other_owners_is_heard() {
    for_each_app(|app| {
        let idp = app.idp();
        let (a, b) = (
            idp.post("/Users", user("a@example.com")).expect(201).id(),
            idp.post("/Users", user("b")).expect(201).id(),
        );
        let bot = and(agent("bot"), json!({"owners": [{"value": a}, {"value": b}]}));
        let path = format!("/Agents/{}", idp.post("/Agents", bot).expect(201).id());
        let gone = json!({"op": "remove", "path": format!("owners[value eq \"{b}\"]")});
        let replace = |path: Value, value: Value| json!({"op": "replace", "path": path, "value": value});
        for no in [
            json!({"op": "replace", "attribute": "active", "value": false}),
            replace(json!(["active", "description"]), json!(false)),
            replace(json!({"a": "active"}), json!(false)),
            replace(json!(7), json!("no")),
            json!({"op": "replace", "value": false}),
            json!({"op": "replace", "value": "active=false"}),
            json!({"op": "remove", "attribute": "active"}),
            json!({"op": "remove", "value": {"active": true}}),
            json!("deactivate"),
            json!({"op": "remove", "path": {"value": "owners"}}),
            json!({"op": "remove", "path": "owners", "values": [{"value": a}]}),
        ] {
            for job in [json!([gone, no]), json!([no, gone])] {
                let (status, .., answer) = send(&idp, "alone", "PATCH", &path, &patch(job));
                assert_eq!(status, 400, "{no} {answer}");
            }
            // Where it is not active by the rest, that holds.
            let off = json!([no, {"op": "replace", "path": "active", "value": false}]);
            assert_eq!(send(&idp, "Bulk", "PATCH", &path, &patch(off)).0, 200, "{no}");
            idp.patch(&path, replace_active(true)).expect(200);
        }
        assert_eq!(idp.get(&path).expect(200)["owners"].as_array().map(Vec::len), Some(2));
    });
}

fn replace_active(value: bool) -> Value {
    patch(json!([{"op": "replace", "path": "active", "value": value}]))
}

#[test]
fn a_clear_no_holds_whatever_else_is_said_of_active() {
    for_each_app(|app| {
        for dialect in LENIENT {
            let idp = speaking(app, dialect);
            let off = json!({"op": "replace", "path": "active", "value": false});
            let text = json!({"active": true}).to_string();
            let odd = [
                json!({"op": "replace", "value": json!({"active": false}).to_string()}),
                json!({"op": "replace", "value": {USER: text}}),
                json!({"op": "replace", "value": {USER: [{"active": true}, {"title": "x"}]}}),
                json!({"op": "test", "path": "active", "value": true}),
            ];
            for (n, odd) in odd.iter().enumerate() {
                for (way, job) in [("alone", json!([off, odd])), ("Bulk", json!([odd, off]))] {
                    let who = hire(app, &idp, &format!("{}{n}{way}", dialect.name()));
                    let (status, .., answer) = send(&idp, way, "PATCH", &who.path, &patch(job));
                    assert_eq!((status, app.verify(&who.key).as_str()), (200, "OWNER_INACTIVE"), "{odd} {answer}");
                }
            }
            // A value that is none says no, whatever stands beside it.
            for value in [json!([true, []]), json!([[], true]), json!([true, [[]]])] {
                let who = hire(app, &idp, &format!("{}{value}", dialect.name()));
                idp.patch(&who.path, patch(json!([{"op": "replace", "path": "active", "value": value}]))).expect(200);
                assert_eq!(app.verify(&who.key), "OWNER_INACTIVE", "{value}");
            }
            // What cannot be kept of a text makes no other text of it.
            let who = hire(app, &idp, &format!("{}-roles", dialect.name()));
            let add = json!([{"op": "add", "path": "roles[value eq \"view\0er\"].display", "value": "x"}]);
            idp.patch(&who.path, patch(add)).expect(400);
            assert_eq!(idp.get(&who.path).expect(200)["roles"], Value::Null);
        }
    });
}
