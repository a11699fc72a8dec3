//! What is refused on an agent that holds a permission of Keyroll keeps no sponsor: whoever is taken out of its owners
//! is out, and what comes beside it is left out and named.

use keyroll::scim::tolerance::Dialect;
use serde_json::{Value, json};

use super::protect::refused_naming;
use super::reduced::send;
use crate::support::app::*;

const READ: &str = "keyroll:users:read";

/// An agent of one owner, or of two, with a key that works; and somebody who is none.
struct Bot {
    name: String,
    path: String,
    owner: String,
    other: String,
    key: String,
}

/// A role that reads users, which every connection may assert by `roles`.
fn ops(app: &TestApp, connections: &[&str]) {
    let role = json!({"name": "ops", "permissions": [READ], "assertable_by": connections});
    app.admin().post("/v1/roles", role).expect(201);
    let asserted = json!({"asserted": {"attribute": "roles", "value": "ops"}});
    app.admin().post("/v1/mappings", json!({"role": "ops", "source": asserted})).expect(201);
}

fn made(app: &TestApp, idp: &Actor<'_>, name: &str, holds: bool) -> Bot {
    let hire = |tag: &str| idp.post("/Users", user(&format!("{name}-{tag}@example.com"))).expect(201).id();
    let (owner, other) = (hire("owner"), hire("other"));
    let body = and(agent(name), json!({"owners": [{"value": owner}], "displayName": "Bot"}));
    let id = idp.post("/Agents", body).expect(201).id();
    if holds {
        super::keys::give(app, "agent", &id, "ops");
    }
    let issued = app.admin().post("/v1/keys", json!({"owner": {"type": "agent", "id": id}, "name": "ci"})).expect(201);
    let key = issued["key"].as_str().unwrap().to_owned();
    assert_eq!(app.verify(&key), "VALID");
    Bot { name: name.to_owned(), path: format!("/Agents/{id}"), owner, other, key }
}

fn set(path: &str, value: Value) -> Value {
    json!({"op": "replace", "path": path, "value": value})
}

/// A write that takes the owner away and asks for more: what is dropped of it, who is kept out, and whether it is
/// refused without any permission held before.
fn writes(bot: &Bot) -> Vec<(&'static str, Value, Vec<&'static str>, bool)> {
    let gone = json!({"op": "remove", "path": format!("owners[value eq \"{}\"]", bot.owner)});
    let come = json!({"op": "add", "path": "owners", "value": [{"value": bot.other}]});
    let owners = json!([{"value": bot.other}]);
    let whole = |more: Value| and(and(agent(&bot.name), json!({"displayName": "Bot"})), more);
    vec![
        ("PATCH", patch(json!([set("displayName", json!("x")), gone])), vec!["displayName"], false),
        ("PATCH", patch(json!([gone, {"op": "remove", "path": "displayName"}])), vec!["displayName"], false),
        ("PATCH", patch(json!([set("name", json!(format!("{}-x", bot.name))), gone])), vec!["name"], false),
        ("PATCH", patch(json!([come, gone])), vec![], true),
        ("PATCH", replace("owners", owners.clone()), vec![], true),
        (
            "PATCH",
            patch(json!([{"op": "replace", "value": {"owners": owners, "displayName": "x"}}])),
            vec!["displayName"],
            true,
        ),
        ("PUT", whole(json!({"owners": owners})), vec![], true),
        ("PUT", whole(json!({"owners": [], "displayName": "x"})), vec!["displayName"], false),
        ("PUT", whole(json!({"displayName": "x"})), vec!["displayName"], false),
    ]
}

/// A write that takes the owner away and asserts a role that gives a permission of Keyroll.
fn asserting(bot: &Bot) -> Vec<(&'static str, Value)> {
    let gone = json!({"op": "remove", "path": format!("owners[value eq \"{}\"]", bot.owner)});
    let roles = json!([{"value": "plain"}, {"value": "ops"}]);
    vec![
        ("PATCH", patch(json!([set("roles", roles.clone()), gone]))),
        ("PATCH", patch(json!([{"op": "replace", "value": {"owners": [], "roles": roles}}]))),
        ("PUT", and(agent(&bot.name), json!({"displayName": "Bot", "roles": roles}))),
    ]
}

fn ways(app: &TestApp) -> Vec<(Actor<'_>, Dialect, &'static str)> {
    vec![
        (app.idp(), Dialect::Auto, "alone"),
        (app.idp(), Dialect::Auto, "Bulk"),
        (app.connect(Dialect::Entra), Dialect::Entra, "alone"),
        (app.connect(Dialect::Okta), Dialect::Okta, "Bulk"),
    ]
}

#[test]
fn what_is_refused_beside_it_keeps_no_sponsor() {
    for_each_app(|app| {
        let ways = ways(app);
        ops(app, &["default", "entra", "okta"]);
        for (idp, dialect, way) in &ways {
            let tag = |n: usize| format!("{}-{way}-{n}", dialect.name());
            let count = writes(&made(app, idp, &tag(99), true)).len();
            for n in 0..count {
                let bot = made(app, idp, &tag(n), true);
                let (method, body, dropped, comes) = writes(&bot).remove(n);
                let change = reduced(app, idp, way, &bot, method, &body);
                assert_eq!(change["dropped"].as_array().cloned().unwrap_or_default(), dropped, "{body}");
                let kept_out = if comes { vec![json!(bot.other)] } else { vec![] };
                assert_eq!(change["kept_out"].as_array().cloned().unwrap_or_default(), kept_out, "{body}");
            }
            let count = asserting(&made(app, idp, &tag(98), false)).len();
            for n in 0..count {
                let bot = made(app, idp, &tag(50 + n), false);
                let (method, body) = asserting(&bot).remove(n);
                let change = reduced(app, idp, way, &bot, method, &body);
                assert_eq!(change["dropped"], json!(["roles"]), "{body}");
                assert_eq!(idp.get(&bot.path).expect(200)["roles"], json!([{"value": "plain"}]), "{body}");
            }
        }
    });
}

/// One of the writes: nobody answers for the agent, and it is called as before; what its record says.
#[track_caller]
fn reduced(app: &TestApp, idp: &Actor<'_>, way: &str, bot: &Bot, method: &str, body: &Value) -> Value {
    let records = app.log().len();
    let (status, tolerances) = send(idp, way, method, &bot.path, body);
    assert_eq!((status, tolerances.as_str()), (200, "auto-009"), "{way} {body}");
    assert_eq!(app.verify(&bot.key), "OWNER_INACTIVE", "{way} {body}");
    let shown = idp.get(&bot.path).expect(200);
    assert_eq!(
        (&shown["owners"], &shown["name"], &shown["displayName"]),
        (&Value::Null, &json!(bot.name), &json!("Bot")),
        "{body}"
    );
    let log = app.log();
    let [refused, written] = &log[records..] else { panic!("{:?}", &log[records..]) };
    assert_eq!((&refused["action"], &refused["outcome"]), (&json!("access.refused"), &json!("failure")));
    assert_eq!(refused["change"]["permissions"], json!([READ]));
    let paths = written["change"]["paths"].as_array().unwrap();
    assert!(paths.contains(&json!("owners")) && !paths.contains(&json!("displayName")), "{written}");
    written["change"].clone()
}

#[test]
fn one_of_two_goes_and_the_other_stays() {
    for_each_app(|app| {
        ops(app, &["default"]);
        let idp = app.idp();
        let bot = made(app, &idp, "two", false);
        idp.patch(&bot.path, add("owners", json!([{"value": bot.other}]))).expect(200);
        super::keys::give(app, "agent", bot.path.trim_start_matches("/Agents/"), "ops");
        let third = idp.post("/Users", user("third@example.com")).expect(201).id();
        let swap = replace("owners", json!([{"value": third}, {"value": bot.other}]));
        let left = idp.patch(&bot.path, swap).expect(200);
        let owners: Vec<&str> =
            left["owners"].as_array().unwrap().iter().map(|one| one["value"].as_str().unwrap()).collect();
        assert_eq!((owners, left.header("keyroll-tolerance")), (vec![bot.other.as_str()], "auto-009"));
        assert_eq!(app.verify(&bot.key), "VALID");
        // Beside somebody's going it does not come back either: what remains only reduces.
        idp.patch(&bot.path, replace("active", false)).expect(200);
        let back = json!([set("active", json!(true)), {"op": "remove", "path": "owners"}]);
        let left = idp.patch(&bot.path, patch(back)).expect(200);
        assert_eq!((&left["active"], &left["owners"]), (&json!(false), &Value::Null));
        assert_eq!(app.verify(&bot.key), "OWNER_INACTIVE");
    });
}

#[test]
fn what_takes_nobody_away_is_refused_as_before() {
    for_each_app(|app| {
        let exact = [Dialect::Rfc, Dialect::Strict].map(|dialect| (dialect, app.connect(dialect)));
        ops(app, &["default", "rfc", "strict"]);
        let idp = app.idp();
        let bot = made(app, &idp, "bot", true);
        let stranger = format!("owners[value eq \"{}\"]", bot.other);
        let (owner, other) = (json!({"value": bot.owner}), json!({"value": bot.other}));
        for (method, body) in [
            ("PATCH", replace("displayName", "x")),
            ("PATCH", add("owners", json!([other]))),
            ("PATCH", replace("owners", json!([owner, other]))),
            // Who is none goes by neither.
            ("PATCH", patch(json!([set("displayName", json!("x")), {"op": "remove", "path": stranger}]))),
            // Who is back in the end has not gone.
            (
                "PATCH",
                patch(
                    json!([{"op": "remove", "path": "owners"}, {"op": "add", "path": "owners", "value": [owner, other]}]),
                ),
            ),
            ("PUT", and(agent("bot"), json!({"owners": [owner], "displayName": "x"}))),
        ] {
            refused_naming(app, method, &bot.path, body.clone(), &[READ]);
            assert_eq!(send(&idp, "Bulk", method, &bot.path, &body).0, 403, "{body}");
        }
        assert_eq!(app.verify(&bot.key), "VALID");
        for (dialect, idp) in &exact {
            let bot = made(app, idp, dialect.name(), true);
            for (method, body, ..) in writes(&bot) {
                idp.send(method, &bot.path, &[], body.to_string()).scim_error(403, "");
            }
            assert_eq!(app.verify(&bot.key), "VALID");
            let bot = made(app, idp, &format!("{}-plain", dialect.name()), false);
            for (method, body) in asserting(&bot) {
                idp.send(method, &bot.path, &[], body.to_string()).scim_error(403, "");
            }
            assert_eq!(app.verify(&bot.key), "VALID");
        }
    });
}
