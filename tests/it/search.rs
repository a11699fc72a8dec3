//! Lists and searches over HTTP: filters, order, pages by index and by cursor (RFC 7644 §3.4.2, RFC 9865).

mod filters;
mod pages;

use chrono::TimeDelta;
use insta::assert_snapshot;
use keyroll::scim::tolerance::Dialect;
use serde_json::{Value, json};

use crate::support::app::*;

/// Five people whose order by name is not that of their creation, two groups and an agent.
fn staff(app: &TestApp) -> Vec<String> {
    let idp = app.idp();
    let mut ids = vec![];
    for (name, title, active) in [
        ("eve@example.com", Some("b"), true),
        ("Bob@example.com", Some("A"), true),
        ("dan@example.com", None, false),
        ("ann@example.com", Some("c"), true),
        ("Cid@example.com", None, true),
    ] {
        let emails = json!([{"value": name, "type": "work"}, {"value": format!("home.{name}"), "type": "home"}]);
        let more = json!({"title": title, "active": active, "emails": emails, "externalId": name.to_uppercase()});
        ids.push(idp.post("/Users", and(user(name), more)).expect(201).id());
        app.clock.advance(TimeDelta::seconds(1));
    }
    let crew = idp.post("/Groups", group("crew", &[&ids[0], &ids[1]])).expect(201).id();
    idp.post("/Groups", group("all", &[&crew, &ids[2]])).expect(201);
    idp.post("/Agents", agent("deploy")).expect(201);
    ids
}

/// The first letters of the users that a query finds, in order.
fn letters(answer: &Answer) -> String {
    answer.each("userName").iter().map(|name| name[..1].to_lowercase()).collect()
}

fn filtered(filter: &str) -> String {
    format!("/Users?filter={}", encode(filter))
}

#[test]
fn a_list() {
    for_each_app(|app| {
        staff(app);
        assert_snapshot!(app.idp().get("/Users?count=1&attributes=userName"), @r#"
            200
            {
              "schemas": ["urn:ietf:params:scim:api:messages:2.0:ListResponse"],
              "totalResults": 5,
              "startIndex": 1,
              "itemsPerPage": 1,
              "Resources": [
                {
                  "schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"],
                  "userName": "eve@example.com",
                  "id": "019b8d62-7a80-7000-8000-000000000008"
                }
              ]
            }
            "#);
        assert_snapshot!(app.idp().get(&filtered("userName eq \"nobody\"")), @r#"
            200
            {
              "schemas": ["urn:ietf:params:scim:api:messages:2.0:ListResponse"],
              "totalResults": 0,
              "startIndex": 1,
              "itemsPerPage": 0,
              "Resources": []
            }
            "#);
    });
}

#[test]
fn order() {
    for_each_app(|app| {
        staff(app);
        let sorted = |query: &str| letters(&app.idp().get(&format!("/Users?{query}")).expect(200));
        assert_eq!(sorted(""), "ebdac");
        assert_eq!(sorted("sortBy=userName"), "abcde");
        assert_eq!(sorted("sortBy=username&sortOrder=ascending"), "abcde");
        assert_eq!(sorted("sortBy=userName&sortOrder=descending"), "edcba");
        // Who has no value is last, and first downwards.
        assert_eq!(sorted("sortBy=title"), "beadc");
        assert_eq!(sorted("sortBy=title&sortOrder=descending"), "dcaeb");
        assert_eq!(sorted("sortBy=meta.created&sortOrder=descending"), "cadbe");
        assert_eq!(sorted("sortBy=emails"), "abcde");
        assert_eq!(sorted("sortBy=emails.value&startIndex=2&count=2"), "bc");
        for refused in ["sortBy=shoeSize", "sortBy=name", "sortBy=members", "sortBy=userName&sortOrder=up"] {
            app.idp().get(&format!("/Users?{refused}")).scim_error(400, "invalidValue");
        }
    });
}

#[test]
fn the_root_has_every_type() {
    for_each_app(|app| {
        staff(app);
        let idp = app.idp();
        let types = |path: &str| {
            let answer = idp.get(path).expect(200);
            let resources = answer["Resources"].as_array().unwrap().iter();
            let letters: String =
                resources.map(|one| one["meta"]["resourceType"].as_str().unwrap()[..1].to_owned()).collect();
            (letters, answer["totalResults"].clone())
        };
        assert_eq!(types("/scim/v2"), ("AGGUUUUU".to_owned(), json!(8)));
        assert_eq!(types("/scim/v2/"), ("AGGUUUUU".to_owned(), json!(8)));
        assert_eq!(types("/scim/v2?startIndex=3&count=2"), ("GU".to_owned(), json!(8)));
        let found =
            idp.post("/.search", json!({"schemas": [SEARCH], "filter": "meta.resourceType eq \"Group\"", "count": 1}));
        assert_eq!((found.expect(200).each("displayName"), ()), (vec!["crew"], ()));
        // By cursor from one type into the next.
        let (mut seen, mut cursor) = (String::new(), String::new());
        loop {
            let page = idp.get(&format!("/scim/v2?count=3&cursor={cursor}")).expect(200);
            for one in page["Resources"].as_array().unwrap() {
                seen.push_str(&one["meta"]["resourceType"].as_str().unwrap()[..1]);
            }
            match page["nextCursor"].as_str() {
                Some(next) => next.clone_into(&mut cursor),
                None => break,
            }
        }
        assert_eq!(seen, "AGGUUUUU");
    });
}

#[test]
fn answers_show_what_was_asked_for() {
    for_each_app(|app| {
        staff(app);
        let idp = app.idp();
        let list = |query: &str| idp.get(&format!("/Users?count=1&{query}")).expect(200)["Resources"][0].clone();
        let names = |value: &Value| value.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
        assert_eq!(names(&list("attributes=userName")), ["schemas", "userName", "id"]);
        assert_eq!(list("attributes=emails.type")["emails"], json!([{"type": "work"}, {"type": "home"}]));
        assert_eq!(names(&list("attributes=nonsense")), ["schemas", "id"]);
        assert_eq!(list("attributes=externalId,groups")["groups"][0]["display"], json!("crew"));
        assert_eq!(list("attributes=externalId")["externalId"], json!("EVE@EXAMPLE.COM"));
        let but = list("excludedAttributes=emails,meta,id");
        assert!(but["emails"].is_null() && but["meta"].is_null() && but["id"].is_string());
        for path in ["/Users?attributes=id&excludedAttributes=meta", "/Users/x?attributes=id&excludedAttributes=meta"] {
            let refused = idp.get(path);
            assert_eq!(refused.scim_error(400, "invalidValue"), "attributes and excludedAttributes exclude each other");
        }
        let body = json!({"schemas": [SEARCH], "attributes": ["id"], "excludedAttributes": ["meta"]});
        idp.post("/Users/.search", body).scim_error(400, "invalidValue");
        let body = json!({"schemas": [SEARCH], "attributes": ["displayName"], "count": 1});
        let found = idp.post("/Groups/.search", body).expect(200);
        assert_eq!(names(&found["Resources"][0]), ["schemas", "displayName", "id"]);
    });
}

#[test]
fn lists_show_the_tenant_and_nothing_local() {
    for_each_app(|app| {
        staff(app);
        let (other, other_admin) = app.tenant("second");
        other.post("/Users", user("eve@example.com")).expect(201);
        for actor in [app.idp(), app.admin(), app.connect(Dialect::Okta)] {
            assert_eq!(letters(&actor.get("/Users").expect(200)), "ebdac");
            assert_eq!(actor.get("/Agents").expect(200)["totalResults"], json!(1));
        }
        for actor in [other, other_admin] {
            assert_eq!(letters(&actor.get("/Users").expect(200)), "e");
            assert_eq!(actor.get("/Agents").expect(200)["totalResults"], json!(0));
            assert_eq!(actor.get("/scim/v2").expect(200)["totalResults"], json!(1));
        }
        for filter in ["name eq \"operator\"", "name eq \"default\"", "name sw \"keyroll\""] {
            let found = app.idp().get(&format!("/Agents?filter={}", encode(filter))).expect(200);
            assert_eq!(found["totalResults"], json!(0), "{filter}");
        }
        // externalId is what this connection said, and nobody else.
        let okta = app.connect(Dialect::Entra);
        let found = okta.get(&filtered("externalId eq \"EVE@EXAMPLE.COM\"")).expect(200);
        assert_eq!(found["totalResults"], json!(0));
        assert_eq!(app.admin().get(&filtered("externalId pr")).expect(200)["totalResults"], json!(0));
    });
}

#[test]
fn a_search_is_not_a_resource() {
    let app = TestApp::sqlite();
    let idp = app.idp();
    idp.get("/Users/.search").scim_error(405, "");
    idp.post("/Users/.search", json!({"filter": "userName pr"})).expect(200);
    let rfc = app.connect(Dialect::Rfc);
    rfc.post("/Users/.search", json!({"filter": "userName pr"})).scim_error(400, "invalidSyntax");
    rfc.post("/Users/.search", json!([])).scim_error(400, "invalidSyntax");
    // It needs no right to write.
    app.admin().post("/Users/.search", json!({"schemas": [SEARCH]})).expect(200);
    app.idp().send("HEAD", "/Users", &[], "").expect(200);
    app.idp().send("HEAD", "/scim/v2", &[], "").expect(200);
}
