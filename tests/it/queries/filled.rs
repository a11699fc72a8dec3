//! No answer holds an empty object or null, whatever was written and whatever is asked for.

use serde_json::{Value, json};

use super::search;
use crate::support::app::*;

/// Every object and list of an answer holds something.
fn check_filled(value: &Value, what: &str) {
    match value {
        Value::Object(members) => {
            assert!(!members.is_empty(), "{{}} in {what}");
            members.values().for_each(|value| check_filled(value, what));
        }
        Value::Array(elements) => elements.iter().for_each(|value| check_filled(value, what)),
        _ => assert!(!value.is_null(), "null in {what}"),
    }
}

/// Queries that ask for parts of attributes, and for all but all parts of some.
fn projections() -> Vec<String> {
    let names = [
        "members.display",
        "members.type",
        "members.value",
        "members",
        "name",
        "name.familyName",
        "name.givenName",
        "emails.display",
        "emails.type",
        "emails.primary",
        "addresses.region",
        "addresses",
        "roles.display",
        "groups.type",
        "groups.display",
        "meta.version",
        "meta",
        "externalId",
        "displayName",
        "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User",
        "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:manager.displayName",
        "manager.value",
        "owners.display",
    ];
    let whole = |name: &str| -> Vec<String> {
        let subs = match name {
            "name" => vec!["formatted", "familyName", "givenName", "middleName"],
            "emails" => vec!["value", "type", "display", "primary"],
            "members" => vec!["value", "$ref", "type"],
            _ => vec!["value", "$ref", "type", "display"],
        };
        subs.iter().map(|sub| format!("{name}.{sub}")).collect()
    };
    let mut queries: Vec<String> = vec![String::new()];
    queries.extend(names.iter().flat_map(|name| [format!("attributes={name}"), format!("excludedAttributes={name}")]));
    for name in ["name", "emails", "members", "groups", "owners"] {
        queries.push(format!("excludedAttributes={}", whole(name).join(",")));
    }
    queries
}

#[test]
fn no_answer_holds_an_empty_object() {
    for_each_app(|app| {
        let idp = app.idp();
        let boss = idp.post("/Users", user("boss@example.com")).expect(201).id();
        let emails = json!([{"value": "a@x.y"}, {"type": "work"}, {"display": "d"}]);
        let full = json!({"schemas": [USER, ENTERPRISE], "name": {"givenName": "M"}, "emails": emails,
            "addresses": [{"country": "DE"}], "roles": [{"value": "r"}], ENTERPRISE: {"manager": {"value": boss}}});
        let mira = idp.post("/Users", and(user("mira@example.com"), full.clone())).expect(201).id();
        // Nobody gave her a name: as a member she has no `display`.
        let inner = idp.post("/Groups", group("inner", &[])).expect(201).id();
        let team = idp.post("/Groups", group("team", &[&mira, &inner, &boss])).expect(201).id();
        let empty = idp.post("/Groups", group("empty", &[&boss])).expect(201).id();
        let queries = projections();
        for query in &queries {
            for path in [
                format!("/Users/{mira}"),
                format!("/Groups/{team}"),
                format!("/Groups/{empty}"),
                "/Users".to_owned(),
                "/Groups".to_owned(),
                String::new(),
            ] {
                let what = format!("{path}?{query}");
                check_filled(&idp.get(&what).expect(200).body, &what);
            }
            let (path, what) = (format!("/Users/{mira}?{query}"), format!("a write, {query}"));
            check_filled(&idp.put(&path, and(user("mira@example.com"), full.clone())).expect(200).body, &what);
            check_filled(&idp.patch(&path, replace("title", query.as_str())).body, &what);
            let path = format!("/Groups/{team}?{query}");
            check_filled(&idp.patch(&path, replace("displayName", format!("team {}", query.len()))).body, &what);
            let mut body = search("meta.created pr");
            if let Some((name, list)) = query.split_once('=') {
                body[name] = json!(list.split(',').collect::<Vec<_>>());
            }
            check_filled(&idp.post("/.search", body).expect(200).body, &format!("search, {query}"));
        }
        // Who has what is asked for is shown, in order, without a gap.
        let shown = idp.get(&format!("/Groups/{team}?attributes=members.display")).expect(200);
        assert_eq!(shown["members"], json!([{"display": "inner"}]));
    });
}

#[test]
fn nothing_that_is_written_leaves_an_empty_object() {
    for_each_app(|app| {
        let idp = app.idp();
        let bodies = [
            json!({"name": {}}),
            json!({"name": {"givenName": ""}}),
            json!({"name": {"givenName": null}}),
            json!({"emails": [{}]}),
            json!({"emails": [{"value": null}]}),
            json!({"emails": []}),
            json!({"addresses": [{"unknown": "x"}]}),
            json!({"schemas": [USER, ENTERPRISE], ENTERPRISE: {}}),
            json!({"schemas": [USER, ENTERPRISE], ENTERPRISE: {"manager": {}}}),
            json!({"schemas": [USER, ENTERPRISE], ENTERPRISE: {"department": null}}),
        ];
        for (n, more) in bodies.into_iter().enumerate() {
            let name = format!("u{n}@example.com");
            let answer = idp.post("/Users", and(user(&name), more.clone()));
            check_filled(&answer.body, &more.to_string());
            let name = format!("v{n}@example.com");
            let id = idp.post("/Users", user(&name)).expect(201).id();
            let answer = idp.put(&format!("/Users/{id}"), and(user(&name), more.clone()));
            check_filled(&answer.body, &more.to_string());
            let mut value = more;
            value.as_object_mut().unwrap().remove("schemas");
            for op in ["add", "replace"] {
                let change = patch(json!([{"op": op, "value": value.clone()}]));
                let answer = idp.patch(&format!("/Users/{id}"), change);
                check_filled(&answer.body, &format!("{op} {value}"));
            }
        }
        let full = json!({"schemas": [USER, ENTERPRISE], "name": {"givenName": "M"}, "emails": [{"value": "a@x.y"}],
            ENTERPRISE: {"department": "d"}});
        let id = idp.post("/Users", and(user("mira@example.com"), full)).expect(201).id();
        for path in ["name.givenName", "emails[value eq \"a@x.y\"].value", &format!("{ENTERPRISE}:department")] {
            let answer = idp.patch(&format!("/Users/{id}"), remove(path)).expect(200);
            check_filled(&answer.body, path);
        }
    });
}
