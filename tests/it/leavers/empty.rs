//! What is empty means the same by every way in.

use keyroll::scim::tolerance::Dialect;
use serde_json::{Value, json};

use super::{EXACT, LENIENT, last_write, send, speaking};
use crate::support::app::*;

/// Attributes of each kind with the value that was there before.
fn kinds() -> Vec<(&'static str, Value)> {
    vec![
        ("title", json!("Dr")),
        ("externalId", json!("e")),
        ("active", json!(true)),
        ("profileUrl", json!("https://example.com/m")),
        ("name", json!({"familyName": "Vale", "givenName": "Mira"})),
        ("emails", json!([{"value": "w@example.com", "type": "work"}])),
        ("roles", json!([{"value": "r"}])),
        (ENTERPRISE, json!({"department": "R", "manager": {"value": "7"}})),
    ]
}

fn empties() -> [Value; 7] {
    [json!(null), json!(""), json!([]), json!({}), json!([{}]), json!([null]), json!([""])]
}

/// What says nothing of that kind, in parts that it does not have.
fn void(name: &str) -> Vec<Value> {
    match name {
        "name" | ENTERPRISE => vec![json!({"value": ""}), json!({"shoe": null, "hat": []})],
        _ => vec![],
    }
}

/// Dialects that differ in what is empty to them.
const DIALECTS: [Dialect; 3] = [Dialect::Auto, Dialect::Rfc, Dialect::Okta];

/// A resource, apart from what differs anyhow.
fn shown(mut body: Value) -> Value {
    for name in ["id", "meta", "userName"] {
        body.as_object_mut().unwrap().remove(name);
    }
    body
}

fn stored(idp: &Actor<'_>, path: &str) -> Value {
    shown(idp.get(path).expect(200).body)
}

#[test]
fn an_empty_value_means_the_same_by_every_way_in() {
    let app = TestApp::sqlite();
    let mut found = vec![];
    let mut count = 0;
    for dialect in DIALECTS {
        let idp = speaking(&app, dialect);
        for (name, before) in kinds() {
            for empty in empties().into_iter().chain(void(name)) {
                let mut tried = |way: &str, method: &str, body: Value| {
                    count += 1;
                    let name_of = user(&format!("u{count}"));
                    let body = if method == "PATCH" { body } else { and(name_of.clone(), body) };
                    let path = match method {
                        "POST" => "/Users".to_owned(),
                        _ => {
                            let had = and(name_of, json!({name: before, "nickName": "M"}));
                            format!("/Users/{}", idp.post("/Users", had).expect(201).id())
                        }
                    };
                    let (status, _, _, answer) = send(&idp, way, method, &path, &body);
                    let path = answer["id"].as_str().map_or(path, |id| format!("/Users/{id}"));
                    let outcome = match (status, way) {
                        (300.., _) => json!(status),
                        (_, "alone") => shown(answer),
                        _ => stored(&idp, &path),
                    };
                    // One connection may have asked for it to be unique.
                    if name == "externalId" && path != "/Users" {
                        idp.delete(&path).expect(204);
                    }
                    (format!("{method} {way} {body}"), outcome)
                };
                let whole = json!({name: empty, "nickName": "M"});
                let pathless = patch(json!([{"op": "replace", "value": {name: empty}}]));
                let outcomes = [
                    tried("alone", "POST", whole.clone()),
                    tried("alone", "PUT", whole.clone()),
                    tried("alone", "PATCH", replace(name, empty.clone())),
                    tried("alone", "PATCH", pathless.clone()),
                    tried("Bulk", "PUT", whole),
                    tried("Bulk", "PATCH", pathless),
                ];
                if outcomes.iter().any(|(_, outcome)| *outcome != outcomes[0].1) {
                    found.push(format!("{}: {outcomes:#?}", dialect.name()));
                }
            }
        }
    }
    assert!(found.is_empty(), "{}", found.join("\n"));
}

#[test]
fn an_empty_part_means_the_same_by_every_way_in() {
    let app = TestApp::sqlite();
    let mut found = vec![];
    for dialect in DIALECTS {
        let idp = speaking(&app, dialect);
        let mut count = 0;
        let mut fresh = || {
            count += 1;
            let emails = json!([{"value": "w@example.com", "type": "work", "display": "W"}]);
            let body = and(
                user(&format!("{}{count}", dialect.name())),
                json!({"emails": emails, "name": {"givenName": "M", "familyName": "V"}}),
            );
            format!("/Users/{}", idp.post("/Users", body).expect(201).id())
        };
        for empty in empties() {
            // A part of the one element, a part of the one value, and the element itself.
            let families: [Vec<Value>; 3] = [
                vec![
                    replace("emails[type eq \"work\"].display", empty.clone()),
                    replace("emails.display", empty.clone()),
                    replace("emails", json!([{"value": "w@example.com", "type": "work", "display": empty}])),
                    patch(
                        json!([{"op": "replace", "value": {"emails": [{"value": "w@example.com", "type": "work", "display": empty}]}}]),
                    ),
                ],
                vec![
                    replace("name.givenName", empty.clone()),
                    replace("name", json!({"givenName": empty})),
                    patch(json!([{"op": "replace", "value": {"name": {"givenName": empty}}}])),
                ],
                vec![replace("emails[type eq \"work\"]", empty.clone()), replace("emails", empty.clone())],
            ];
            for family in families {
                // One element takes no list where the RFCs are held to: there it is another value.
                if family.len() == 2 && empty.as_array().is_some_and(|list| !list.is_empty()) {
                    continue;
                }
                let outcomes: Vec<(String, Value)> = family
                    .iter()
                    .map(|body| {
                        let path = fresh();
                        let (status, ..) = send(&idp, "alone", "PATCH", &path, body);
                        let outcome = if status == 200 { stored(&idp, &path) } else { json!(status) };
                        (body["Operations"].to_string(), outcome)
                    })
                    .collect();
                if outcomes.iter().any(|(_, outcome)| *outcome != outcomes[0].1) {
                    found.push(format!("{}: {outcomes:#?}", dialect.name()));
                }
            }
            // Where no element matches, there is nothing to take away.
            let path = fresh();
            let before = stored(&idp, &path);
            let answer = idp.patch(&path, replace("emails[type eq \"home\"].value", empty.clone()));
            assert!(matches!(answer.status, 200 | 400), "{answer}");
            assert_eq!(stored(&idp, &path), before, "{} {empty}", dialect.name());
        }
    }
    assert!(found.is_empty(), "{}", found.join("\n"));
}

fn two_emails() -> Value {
    json!([{"type": "work", "value": "q@ex.test", "primary": true}, {"type": "home", "value": "h@ex.test"}])
}

/// The e-mails after one write by each way in, all of which take the address of the work e-mail away.
fn emails(app: &TestApp, name: &str, empty: &Value) -> Vec<Value> {
    let idp = app.idp();
    let home = json!({"type": "home", "value": "h@ex.test"});
    let none = json!({"type": "work", "value": empty, "primary": true});
    let named = |name: &str, emails: Value| and(user(name), json!({"emails": emails}));
    let made = |name: &str| idp.post("/Users", named(name, two_emails())).expect(201).id();
    let shown = |id: &str| idp.get(&format!("/Users/{id}")).expect(200)["emails"].clone();
    let mut found = vec![];
    let posted = idp.post("/Users", named(&format!("{name}-post"), json!([none, home]))).expect(201).id();
    found.push(shown(&posted));
    let put = made(&format!("{name}-put"));
    idp.put(&format!("/Users/{put}"), named(&format!("{name}-put"), json!([none, home]))).expect(200);
    found.push(shown(&put));
    let by_path = json!({"emails[type eq \"work\"].value": empty});
    let patches = [
        replace("emails[type eq \"work\"].value", empty.clone()),
        remove("emails[type eq \"work\"].value"),
        replace("emails[type eq \"work\"]", none.clone()),
        add("emails[type eq \"work\"]", json!({"value": empty})),
        replace("emails", json!([none, home])),
        json!({"schemas": [PATCH], "Operations": [{"op": "replace", "value": by_path}]}),
        json!({"schemas": [PATCH], "Operations": [{"op": "replace", "value": {"emails": [none, home]}}]}),
    ];
    for (n, patch) in patches.into_iter().enumerate() {
        let id = made(&format!("{name}-patch{n}"));
        idp.patch(&format!("/Users/{id}"), patch.clone()).expect(200);
        found.push(shown(&id));
        let id = made(&format!("{name}-bulk{n}"));
        let operation = json!({"method": "PATCH", "path": format!("/Users/{id}"), "data": patch});
        let done = idp.post("/Bulk", json!({"schemas": [BULK], "Operations": [operation]})).expect(200);
        assert_eq!(done["Operations"][0]["status"], "200", "{done}");
        found.push(shown(&id));
    }
    found
}

#[test]
fn an_email_without_its_address_is_none_by_every_way_in() {
    for_each_app(|app| {
        let home = json!([{"type": "home", "value": "h@ex.test"}]);
        for (name, empty) in [("null", json!(null)), ("text", json!(""))] {
            for (n, found) in emails(app, name, &empty).into_iter().enumerate() {
                assert_eq!(found, home, "{name} {n}");
            }
        }
        // A value that a filter says is empty is the one to come.
        let made = app.idp().post("/Users", user("ann@ex.test")).expect(201).id();
        let set = replace("emails[type eq \"home\" and value eq \"\"].value", "h@ex.test");
        assert_eq!(app.idp().patch(&format!("/Users/{made}"), set).expect(200)["emails"], home);
        // What was never said to have a value stays as it is.
        let addresses = json!([{"type": "work"}]);
        let made = app.idp().post("/Users", and(user("tom@ex.test"), json!({"addresses": addresses}))).expect(201);
        assert_eq!(made["addresses"], addresses);
    });
}

/// What names nobody, as an element of a list.
fn nobody() -> [Value; 7] {
    [
        json!({"value": ""}),
        json!({"value": null}),
        json!({"value": []}),
        json!({"value": " ", "type": "User"}),
        json!({}),
        json!(""),
        json!(null),
    ]
}

/// Members of a group, or owners of an agent.
struct Listed<'a> {
    idp: &'a Actor<'a>,
    endpoint: &'static str,
    people: &'static str,
    name: String,
    is_lenient: bool,
}

impl Listed<'_> {
    fn body(&self, people: &Value) -> Value {
        let own = match self.people {
            "members" => json!({"schemas": [GROUP], "displayName": self.name}),
            _ => agent(&self.name),
        };
        and(own, json!({self.people: people}))
    }

    fn shown(&self, path: &str) -> Vec<String> {
        let people = self.idp.get(path).expect(200)[self.people].as_array().cloned().unwrap_or_default();
        people.iter().map(|one| one["value"].as_str().unwrap().to_owned()).collect()
    }
}

#[test]
fn an_element_without_a_value_names_nobody() {
    for_each_app(|app| {
        for dialect in LENIENT.into_iter().chain(EXACT) {
            let idp = &speaking(app, dialect);
            let hire = |who: &str| idp.post("/Users", user(&format!("{who}-{}", dialect.name()))).expect(201).id();
            let (ann, ben) = (hire("ann"), hire("ben"));
            for (endpoint, people) in [("/Groups", "members"), ("/Agents", "owners")] {
                let (name, is_lenient) = (format!("{people}-{}", dialect.name()), LENIENT.contains(&dialect));
                let listed = Listed { idp, endpoint, people, name, is_lenient };
                // The other dialects take the same way.
                let step = if dialect == Dialect::Auto { 1 } else { 3 };
                for (n, nobody) in nobody().into_iter().enumerate().step_by(step) {
                    let way = if n % 2 == 0 { "alone" } else { "Bulk" };
                    without_a_value(app, &listed, way, &nobody, [&ann, &ben]);
                }
            }
        }
    });
}

fn without_a_value(app: &TestApp, listed: &Listed<'_>, way: &str, nobody: &Value, [ann, ben]: [&str; 2]) {
    let Listed { idp, endpoint, people, is_lenient, .. } = *listed;
    let (both, alone) = (json!([{"value": ann}, nobody]), json!([nobody]));
    let is_object = nobody.is_object();
    for (given, left) in [(&both, vec![ann]), (&alone, vec![])] {
        let (status, _, tolerances, answer) = send(idp, way, "POST", endpoint, &listed.body(given));
        assert_eq!(status < 300, is_lenient, "{given} {answer}");
        if is_lenient {
            assert!(tolerances.contains("auto-007"), "{given} {tolerances}");
            let made = last_write(app, if people == "members" { "group.created" } else { "agent.created" });
            assert_eq!(made["change"]["unknown_total"], json!(1), "{given}");
            let path = format!("{endpoint}/{}", made["subject"]["id"].as_str().unwrap());
            assert_eq!(listed.shown(&path), left, "{given}");
            idp.delete(&path).expect(204);
        }
    }
    let path = format!("{endpoint}/{}", idp.post(endpoint, listed.body(&json!([{"value": ben}]))).expect(201).id());
    let by = |op: &str, given: &Value| patch(json!([{"op": op, "path": people, "value": given}]));
    let pathless = |op: &str, given: &Value| patch(json!([{"op": op, "value": {people: given}}]));
    let cases = [
        ("PATCH", by("add", &alone), vec![ben]),
        ("PATCH", pathless("add", &alone), vec![ben]),
        ("PATCH", by("remove", &alone), vec![ben]),
        ("PATCH", by("remove", nobody), vec![ben]),
        ("PATCH", pathless("remove", &alone), vec![ben]),
        ("PATCH", remove(&format!("{people}[value eq \"\"]")), vec![ben]),
        ("PATCH", by("add", &both), vec![ben, ann]),
        ("PATCH", by("remove", &both), vec![ben]),
        ("PATCH", by("replace", &both), vec![ann]),
        ("PATCH", pathless("replace", &alone), vec![]),
        ("PUT", listed.body(&both), vec![ann]),
        ("PUT", listed.body(&alone), vec![]),
    ];
    for (n, (method, body, left)) in cases.into_iter().enumerate() {
        // A remove without a value is of all of them.
        if n == 3 && nobody.is_null() {
            continue;
        }
        let before = listed.shown(&path);
        let (status, _, tolerances, answer) = send(idp, way, method, &path, &body);
        if is_lenient {
            let mut shown = listed.shown(&path);
            shown.sort_by_key(|id| id == ann);
            assert_eq!((status < 300, shown), (true, left.into_iter().map(str::to_owned).collect()), "{body} {answer}");
            let named = if n == 5 { "auto-002" } else { "auto-007" };
            assert!(tolerances.contains(named) || n == 3 && !is_object, "{body} {tolerances}");
        } else if n != 5 {
            assert_eq!((status, listed.shown(&path)), (400, before), "{body} {answer}");
        }
    }
    idp.delete(&path).expect(204);
}
