//! What cannot be done beside a change of members, and the change.

use keyroll::scim::tolerance::Dialect;
use serde_json::{Value, json};

use super::{EXACT, LENIENT, hire, last_write, off, send, speaking};
use crate::support::app::*;

/// A connection whose externalIds are unique as well.
fn strictly_named<'a>(app: &'a TestApp, dialect: Dialect) -> Actor<'a> {
    let idp = speaking(app, dialect);
    app.sql("UPDATE connections SET unique_external_ids = TRUE");
    idp
}

struct Team {
    leaver: String,
    stays: String,
    joiner: String,
    path: String,
    name: String,
    /// A group that holds the team: it would close a circle.
    around: String,
}

fn team(idp: &Actor<'_>, tag: &str) -> Team {
    let hire = |name: &str| idp.post("/Users", user(&format!("{name}-{tag}@example.com"))).expect(201).id();
    let (leaver, stays, joiner) = (hire("leaver"), hire("stays"), hire("joiner"));
    let name = format!("team-{tag}");
    let made = idp.post("/Groups", and(group(&name, &[&leaver, &stays]), json!({"externalId": name}))).expect(201).id();
    let around = idp.post("/Groups", group(&format!("around-{tag}"), &[&made])).expect(201).id();
    Team { leaver, stays, joiner, path: format!("/Groups/{made}"), name, around }
}

/// Writes that take the leaver out and ask for something that cannot be, with the names of what is left out.
fn writes(team: &Team) -> Vec<(&'static str, Value, Vec<&'static str>)> {
    let Team { leaver, stays, around, name, .. } = team;
    let gone = json!({"op": "remove", "path": format!("members[value eq \"{leaver}\"]")});
    let long = "x".repeat(70_000);
    let set = |path: &str, value: Value| json!({"op": "replace", "path": path, "value": value});
    let come = |value: Value| json!({"op": "add", "path": "members", "value": value});
    let mut found = vec![
        (
            "PATCH",
            patch(json!([{"op": "replace", "value": {"displayName": "taken", "members": [{"value": stays}]}}])),
            vec!["displayName"],
        ),
        ("PATCH", patch(json!([come(json!([{"value": around}])), gone])), vec![]),
        ("PATCH", patch(json!([gone, come(json!([{"value": around}]))])), vec![]),
        ("PATCH", patch(json!([{"op": "add", "value": {"members": [{"value": around}]}}, gone])), vec![]),
        ("PATCH", replace("members", json!([{"value": around}, {"value": stays}])), vec![]),
        ("PUT", and(group(name, &[stays, around]), json!({"externalId": name})), vec![]),
        ("PUT", json!({"schemas": [GROUP], "externalId": name, "members": [{"value": stays}]}), vec!["displayName"]),
        ("PUT", and(group("taken", &[stays]), json!({"externalId": "taken"})), vec!["displayName", "externalId"]),
        ("PUT", and(group(name, &[stays]), json!({"externalId": {}})), vec!["externalId"]),
    ];
    for value in [json!("taken"), json!(""), json!(null), json!(long), json!({})] {
        found.push(("PATCH", patch(json!([set("displayName", value.clone()), gone])), vec!["displayName"]));
        let put = and(group("x", &[stays]), json!({"displayName": value, "externalId": name}));
        found.push(("PUT", put, vec!["displayName"]));
    }
    let one = |part: &str| format!("members[value eq \"{stays}\"].{part}");
    for (odd, name) in [
        (set(&one("display"), json!("S")), "members"),
        (json!({"op": "remove", "path": one("type")}), "members"),
        (set("members.display", json!("S")), "members"),
        (json!({"op": "add", "path": one("display"), "value": "S"}), "members"),
        (json!({"op": "add", "path": "members[type eq \"User\"]", "value": {"value": team.joiner}}), "members"),
        (json!({"op": "add", "path": "members[shoe eq 1]", "value": {"value": team.joiner}}), "members"),
        (json!({"op": "add", "path": "members.shoe", "value": team.joiner}), "members.shoe"),
    ] {
        found.push(("PATCH", patch(json!([odd, gone])), vec![name]));
    }
    found.push(("PATCH", patch(json!([gone, set("externalId", json!("taken"))])), vec!["externalId"]));
    for odd in [json!([5]), json!([{"value": 5}]), json!([{"value": ["a", "b"]}]), json!([{"$ref": "x"}])] {
        found.push(("PATCH", patch(json!([gone, come(odd.clone())])), vec!["members"]));
        let members: Vec<Value> =
            [json!({"value": stays})].into_iter().chain(odd.as_array().cloned().unwrap()).collect();
        let put = and(group(name, &[]), json!({"members": members, "externalId": name}));
        found.push(("PUT", put, vec!["members"]));
    }
    found
}

#[test]
fn nothing_beside_it_keeps_a_leaver_in_a_group() {
    for_each_app(|app| {
        for dialect in LENIENT {
            let idp = strictly_named(app, dialect);
            idp.post("/Groups", and(group("taken", &[]), json!({"externalId": "taken"}))).expect(201);
            let count = writes(&team(&idp, &format!("{}probe", dialect.name()))).len();
            for at in 0..count {
                // A job takes the same way for every dialect.
                for way in if dialect == Dialect::Auto { &["alone", "Bulk"][..] } else { &["alone"] } {
                    let team = team(&idp, &format!("{}{at}{way}", dialect.name()));
                    let (method, body, names) = writes(&team).remove(at);
                    let (status, _, tolerances, answer) = send(&idp, way, method, &team.path, &body);
                    let shown = body.to_string().chars().take(300).collect::<String>();
                    assert_eq!(status, 200, "{way} {method} {shown} {answer}");
                    // A text over its limit is left out for that.
                    let named = if shown.contains(&"x".repeat(99)) { "auto-008" } else { "auto-009" };
                    assert!(tolerances.split(", ").any(|name| name == named), "{method} {shown} {tolerances}");
                    let stored = idp.get(&team.path).expect(200);
                    assert_eq!(stored.members(), [team.stays.as_str()], "{method} {shown}");
                    // An externalId that is no text is none to PUT, which takes away what is not there.
                    let called = if shown.contains("\"externalId\":{}") { Value::Null } else { json!(team.name) };
                    assert_eq!((&stored["displayName"], &stored["externalId"]), (&json!(team.name), &called));
                    let change = last_write(app, if method == "PUT" { "group.replaced" } else { "group.patched" });
                    let change = &change["change"];
                    assert_eq!(change["removed"], json!([team.leaver]));
                    let listed = |name: &str| change.get(name).cloned().unwrap_or_else(|| json!([]));
                    assert_eq!(listed("dropped"), json!(names), "{method} {shown}");
                    let circle = shown.contains(&team.around);
                    assert_eq!(listed("kept_out"), if circle { json!([team.around]) } else { json!([]) }, "{shown}");
                }
            }
        }
    });
}

#[test]
fn a_circle_keeps_no_joiner_outside() {
    for_each_app(|app| {
        for dialect in LENIENT {
            let idp = speaking(app, dialect);
            let Team { leaver, stays, joiner, path, around, .. } = team(&idp, dialect.name());
            let both = json!([{"value": around}, {"value": joiner}]);
            let joined = idp.patch(&path, add("members", both.clone())).expect(200);
            assert_eq!(joined.members(), [leaver.as_str(), &stays, &joiner]);
            assert_eq!(joined.header("keyroll-tolerance"), "auto-009");
            let change = last_write(app, "group.patched")["change"].clone();
            assert_eq!((&change["added"], &change["kept_out"]), (&json!([joiner]), &json!([around])));
            // Again it is no error either: the other one is in.
            idp.patch(&path, add("members", both)).expect(200);
            // Alone it is nothing that could be done.
            idp.patch(&path, add("members", json!([{"value": around}]))).scim_error(400, "invalidValue");
            let own = path.rsplit('/').next().unwrap();
            idp.patch(&path, add("members", json!([{"value": own}]))).scim_error(400, "invalidValue");
        }
        for dialect in EXACT {
            let idp = speaking(app, dialect);
            let Team { joiner, path, around, .. } = team(&idp, dialect.name());
            let both = json!([{"value": around}, {"value": joiner}]);
            idp.patch(&path, add("members", both)).scim_error(400, "invalidValue");
        }
    });
}

#[test]
fn a_name_alone_is_refused_as_before() {
    for_each_app(|app| {
        let idp = strictly_named(app, Dialect::Auto);
        idp.post("/Groups", and(group("taken", &[]), json!({"externalId": "taken"}))).expect(201);
        let Team { leaver, stays, path, name, .. } = team(&idp, "a");
        // Whoever is in stays in: the members say nothing new.
        for (body, status) in [
            (group("taken", &[&leaver, &stays]), 409),
            (and(group(&name, &[&leaver, &stays]), json!({"externalId": "taken"})), 409),
            (group("", &[&leaver, &stays]), 400),
            (json!({"schemas": [GROUP], "members": [{"value": leaver}, {"value": stays}]}), 400),
        ] {
            assert_eq!(idp.put(&path, body.clone()).status, status, "{body}");
        }
        assert_eq!(idp.patch(&path, replace("displayName", "taken")).status, 409);
        assert_eq!(idp.patch(&path, replace("externalId", "taken")).status, 409);
        // A body that names no members empties the group, whatever is wrong beside it.
        let none = json!({"schemas": [GROUP], "displayName": "taken", "externalId": {}});
        let emptied = idp.put(&path, none.clone()).expect(200);
        assert_eq!((emptied.members(), &emptied["displayName"]), (vec![], &json!(name)));
        assert_eq!(idp.put(&path, none).status, 400);
    });
}

#[test]
fn what_may_take_somebody_away_is_never_left_out() {
    for_each_app(|app| {
        let idp = app.idp();
        let Team { leaver, stays, path, .. } = team(&idp, "a");
        let gone = json!({"op": "remove", "path": format!("members[value eq \"{leaver}\"]")});
        let of = |part: &str| format!("members[value eq \"{stays}\"]{part}");
        let before = idp.get(&path).expect(200).body;
        for odd in [
            json!({"op": "remove", "path": "members[shoe eq 1]"}),
            json!({"op": "remove", "path": "members[value eq"}),
            json!({"op": "remove", "path": of(".shoe")}),
            json!({"op": "remove", "path": "members", "value": [{"display": "x"}]}),
            json!({"op": "replace", "path": of(""), "value": {"value": leaver}}),
            json!({"op": "replace", "path": of(".value"), "value": leaver}),
            json!({"op": "replace", "path": "active", "value": false}),
        ] {
            for body in [json!([gone, odd]), json!([odd, gone])] {
                assert_eq!(idp.patch(&path, patch(body)).status, 400, "{odd}");
            }
        }
        for members in [json!(5), json!([{"value": stays, "active": false}])] {
            let put = and(group("x", &[]), json!({"members": members}));
            assert_eq!(idp.put(&path, put).status, 400, "{members}");
        }
        assert_eq!(idp.get(&path).expect(200).body, before);
    });
}

#[test]
fn an_external_id_that_is_taken_keeps_nobody_alive() {
    for_each_app(|app| {
        for dialect in LENIENT {
            let idp = strictly_named(app, dialect);
            let tag = dialect.name();
            idp.post("/Users", and(user(&format!("first{tag}")), json!({"externalId": "taken"}))).expect(201);
            let taken = json!({"op": "replace", "path": "externalId", "value": "taken"});
            for (n, way) in ["alone", "Bulk"].into_iter().enumerate() {
                let who = hire(app, &idp, &format!("patched{tag}{n}"));
                let (status, _, tolerances, _) =
                    send(&idp, way, "PATCH", &who.path, &patch(json!([taken.clone(), off()])));
                assert_eq!((status, tolerances.as_str()), (200, "auto-009"));
                assert_eq!(last_write(app, "user.patched")["change"]["dropped"], json!(["externalId"]));
                assert_eq!(app.verify(&who.key), "OWNER_INACTIVE");
                let who = hire(app, &idp, &format!("put{tag}{n}"));
                let put = and(user(&who.name), json!({"active": false, "externalId": "taken"}));
                let (status, _, tolerances, _) = send(&idp, way, "PUT", &who.path, &put);
                assert_eq!((status, tolerances.as_str()), (200, "auto-009"));
                assert_eq!(app.verify(&who.key), "OWNER_INACTIVE");
                assert_eq!(idp.get(&who.path).expect(200)["externalId"], Value::Null);
            }
            let who = hire(app, &idp, &format!("stays{tag}"));
            idp.patch(&who.path, patch(json!([taken]))).scim_error(409, "uniqueness");
        }
        for dialect in EXACT {
            let idp = strictly_named(app, dialect);
            idp.post("/Users", and(user(&format!("first{}", dialect.name())), json!({"externalId": "taken"})))
                .expect(201);
            let who = hire(app, &idp, &format!("exact{}", dialect.name()));
            let taken = json!({"op": "replace", "path": "externalId", "value": "taken"});
            idp.patch(&who.path, patch(json!([taken, off()]))).scim_error(409, "uniqueness");
            assert_eq!(app.verify(&who.key), "VALID");
        }
    });
}
