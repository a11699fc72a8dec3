//! Lists and searches over HTTP: filters, order, pages by index and by cursor (RFC 7644 §3.4.2, RFC 9865).

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
fn filters_find() {
    for_each_app(|app| {
        let ids = staff(app);
        let idp = app.idp();
        let crew = idp.get(&format!("/Groups?filter={}", encode("displayName eq \"CREW\""))).expect(200);
        let crew = crew["Resources"][0]["id"].as_str().unwrap();
        for (filter, expected) in [
            ("userName eq \"BOB@example.com\"".to_owned(), "b"),
            ("userName Eq \"bob@example.com\"".to_owned(), "b"),
            (format!("{USER}:userName eq \"bob@example.com\""), "b"),
            ("userName sw \"a\" or userName sw \"C\"".to_owned(), "ac"),
            ("externalId eq \"BOB@EXAMPLE.COM\"".to_owned(), "b"),
            ("externalId eq \"bob@example.com\"".to_owned(), ""),
            ("emails[type eq \"work\" and value eq \"eve@example.com\"]".to_owned(), "e"),
            ("emails[type eq \"home\" and value eq \"eve@example.com\"]".to_owned(), ""),
            ("emails.type eq \"home\" and emails.value eq \"eve@example.com\"".to_owned(), "e"),
            ("emails co \"home.ann\"".to_owned(), "a"),
            ("active eq false".to_owned(), "d"),
            ("active eq \"False\"".to_owned(), "d"),
            ("not (active eq true)".to_owned(), "d"),
            ("not(active eq true)".to_owned(), "d"),
            ("title pr".to_owned(), "eba"),
            ("title ne \"a\"".to_owned(), "edac"),
            ("title gt \"a\"".to_owned(), "ea"),
            ("title eq null".to_owned(), "dc"),
            (format!("id eq \"{}\"", ids[3]), "a"),
            ("meta.created gt \"2026-01-05T10:00:01+01:00\"".to_owned(), "dac"),
            ("meta.created eq \"2026-01-05T09:00:00Z\"".to_owned(), "e"),
            ("meta.resourceType eq \"User\" and title eq \"c\"".to_owned(), "a"),
            (format!("groups.value eq \"{crew}\""), "eb"),
            ("groups.display eq \"CREW\"".to_owned(), "eb"),
            ("groups[display eq \"crew\"] and userName sw \"b\"".to_owned(), "b"),
            ("groups.display eq \"all\"".to_owned(), "ebd"),
            ("groups.display ne \"crew\"".to_owned(), "ebdac"),
            ("not (groups.display eq \"crew\")".to_owned(), "dac"),
            ("groups.display eq \"cre\"".to_owned(), ""),
            (format!("schemas eq \"{USER}\" and active eq false"), "d"),
            ("userName eq \"x\\\" or userName pr or \\\"\"".to_owned(), ""),
            ("userName co \"%\"".to_owned(), ""),
            ("userName co \"_\"".to_owned(), ""),
        ] {
            let found = idp.get(&filtered(&filter)).expect(200);
            assert_eq!(
                (letters(&found).as_str(), &found["totalResults"]),
                (expected, &json!(expected.len())),
                "{filter}"
            );
            let body = json!({"schemas": [SEARCH], "filter": filter});
            assert_eq!(idp.post("/Users/.search", body).expect(200).body, found.body, "{filter}");
        }
        let is_member = |id: &str| {
            let filter = format!("id eq \"{crew}\" and members eq \"{id}\"");
            idp.get(&format!("/Groups?excludedAttributes=members&filter={}", encode(&filter))).expect(200)
        };
        assert_eq!(is_member(&ids[0])["totalResults"], json!(1));
        assert_eq!(is_member(&ids[2])["totalResults"], json!(0));
        assert_eq!(is_member(&ids[0])["Resources"][0]["members"], Value::Null);
    });
}

#[test]
fn filters_are_refused() {
    for_each_app(|app| {
        let idp = app.idp();
        for filter in [
            "",
            " ",
            "userName",
            "userName eq",
            "userName is \"x\"",
            "userName co 'x'",
            "shoeSize eq 7",
            "password eq \"x\"",
            "userName eq \"a\" or password pr",
            "active gt true",
            "active co \"t\"",
            "active eq \"yes\"",
            "title eq 7",
            "(title pr",
            "title pr)",
            "emails[type eq \"work\"",
            "emails[emails[type pr]]",
            "meta.created eq \"yesterday\"",
            "title pr and",
            "not title pr",
            "urn:example:x:title pr",
        ] {
            for answer in
                [idp.get(&filtered(filter)), idp.post("/Users/.search", json!({"schemas": [SEARCH], "filter": filter}))]
            {
                let detail = answer.scim_error(400, "invalidFilter");
                assert!(detail.starts_with("filter"), "{filter}: {detail}");
            }
        }
        let deep = "(".repeat(5_000);
        idp.post("/Users/.search", json!({"schemas": [SEARCH], "filter": deep})).scim_error(400, "invalidFilter");
        // Where several types are searched, what one does not know has no value there.
        staff(app);
        let root =
            |filter: &str| idp.get(&format!("/scim/v2?filter={}", encode(filter))).expect(200)["totalResults"].clone();
        assert_eq!(root("displayName eq \"crew\""), json!(1));
        assert_eq!(root("userName pr"), json!(5));
        assert_eq!(root("members pr"), json!(2));
        assert_eq!(root("not (userName pr)"), json!(3));
        assert_eq!(root("userName ne \"eve@example.com\""), json!(7));
        assert_eq!(root("shoeSize pr"), json!(0));
        // A user's name has parts: whoever compares names compares those of agents.
        assert_eq!(root("name eq \"deploy\""), json!(1));
        idp.get(&format!("/Users?filter={}", encode("name eq \"deploy\""))).scim_error(400, "invalidFilter");
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
fn pages_by_index() {
    for_each_app(|app| {
        staff(app);
        for (query, found, start) in [
            ("startIndex=1&count=2", "eb", 1),
            ("startIndex=3&count=2", "da", 3),
            ("startIndex=5&count=2", "c", 5),
            ("startIndex=6&count=2", "", 6),
            ("startIndex=1000000", "", 1_000_000),
            ("startIndex=0&count=2", "eb", 1),
            ("startIndex=-5&count=1", "e", 1),
            ("count=0", "", 1),
            ("count=-1", "", 1),
            ("count=1000000000000", "ebdac", 1),
            ("unknown=1", "ebdac", 1),
        ] {
            let page = app.idp().get(&format!("/Users?{query}")).expect(200);
            assert_eq!(letters(&page), found, "{query}");
            assert_eq!(page["totalResults"], json!(5), "{query}");
            assert_eq!(page["startIndex"], json!(start), "{query}");
            assert_eq!(page["itemsPerPage"], json!(found.len()), "{query}");
        }
        for bad in ["count=x", "startIndex=1.5", "count=", "count=1&count=2"] {
            app.idp().get(&format!("/Users?{bad}")).scim_error(400, "invalidValue");
        }
        let page = app.idp().get(&format!("{}&startIndex=2&count=1", filtered("title pr"))).expect(200);
        assert_eq!((letters(&page), &page["totalResults"]), ("b".to_owned(), &json!(3)));
    });
    let app =
        TestApp::with(None, |settings| (settings.limits.page_size_default, settings.limits.page_size_max) = (2, 3));
    staff(&app);
    assert_eq!(letters(&app.idp().get("/Users").expect(200)), "eb");
    assert_eq!(letters(&app.idp().get("/Users?count=5").expect(200)), "ebd");
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
fn pages_by_cursor() {
    for_each_app(|app| {
        staff(app);
        let idp = app.idp();
        for (query, expected) in [
            ("", "ebdac"),
            ("&sortBy=userName", "abcde"),
            ("&sortBy=title&sortOrder=descending", "dcaeb"),
            ("&filter=title%20pr", "eba"),
        ] {
            let (mut seen, mut cursor) = (String::new(), String::new());
            loop {
                let page = idp.get(&format!("/Users?count=2&cursor={cursor}{query}")).expect(200);
                assert_eq!((&page["startIndex"], &page["previousCursor"]), (&Value::Null, &Value::Null));
                assert_eq!(page["itemsPerPage"], json!(page.each("id").len()));
                seen += &letters(&page);
                match page["nextCursor"].as_str() {
                    Some(next) => next.clone_into(&mut cursor),
                    None => break,
                }
            }
            assert_eq!(seen, expected, "{query}");
        }
        let total = idp.get("/Users?cursor=&count=0").expect(200);
        assert_eq!((&total["totalResults"], &total["nextCursor"]), (&json!(5), &Value::Null));
        let body = json!({"schemas": [SEARCH], "cursor": "", "count": 3});
        let first = idp.post("/Users/.search", body).expect(200);
        let next = json!({"schemas": [SEARCH], "cursor": first["nextCursor"], "count": 3});
        let second = idp.post("/Users/.search", next).expect(200);
        assert_eq!((letters(&first) + &letters(&second), &second["nextCursor"]), ("ebdac".to_owned(), &Value::Null));
    });
}

#[test]
fn a_cursor_opens_one_door() {
    for_each_app(|app| {
        staff(app);
        let (idp, okta) = (app.idp(), app.connect(Dialect::Okta));
        let first = idp.get("/Users?cursor=&count=2&sortBy=userName").expect(200);
        let cursor = first["nextCursor"].as_str().unwrap();
        let next = |actor: &Actor<'_>, query: &str| actor.get(&format!("/Users?{query}"));
        let good = format!("cursor={cursor}&count=2&sortBy=userName");
        assert_eq!(letters(&next(&idp, &good).expect(200)), "cd");
        let end = cursor.len() - 1;
        let last = if cursor.ends_with('A') { "B" } else { "A" };
        let flipped = format!("{}{}", if cursor.starts_with('A') { "B" } else { "A" }, &cursor[1..]);
        for (bad, code) in [
            (format!("cursor={}{last}&count=2&sortBy=userName", &cursor[..end]), "invalidCursor"),
            (format!("cursor={flipped}&count=2&sortBy=userName"), "invalidCursor"),
            ("cursor=x&count=2&sortBy=userName".to_owned(), "invalidCursor"),
            (format!("cursor={cursor}&count=2"), "invalidCursor"),
            (format!("cursor={cursor}&count=2&sortBy=userName&sortOrder=descending"), "invalidCursor"),
            (format!("cursor={cursor}&count=2&sortBy=userName&filter=title%20pr"), "invalidCursor"),
            (format!("cursor={cursor}&count=3&sortBy=userName"), "invalidCount"),
            (format!("cursor={cursor}&count=x&sortBy=userName"), "invalidCount"),
            ("cursor=&count=1001".to_owned(), "invalidCount"),
            (format!("cursor={cursor}&count=2&sortBy=userName&startIndex=1"), "invalidValue"),
        ] {
            next(&idp, &bad).scim_error(400, code);
        }
        let unsorted = idp.get("/Users?cursor=&count=1").expect(200);
        let unsorted = format!("/Groups?count=1&cursor={}", unsorted["nextCursor"].as_str().unwrap());
        idp.get(&unsorted).scim_error(400, "invalidCursor");
        next(&okta, &good).scim_error(400, "invalidCursor");
        next(&app.admin(), &good).scim_error(400, "invalidCursor");
        let (other, _) = app.tenant("second");
        next(&other, &good).scim_error(400, "invalidCursor");
        app.clock.advance(TimeDelta::seconds(3_600));
        next(&idp, &good).expect(200);
        app.clock.advance(TimeDelta::seconds(1));
        assert_eq!(next(&idp, &good).scim_error(400, "expiredCursor"), "cursor: it is too old, begin again");
    });
}

#[test]
fn what_comes_and_goes_between_pages_hides_nothing_else() {
    for_each_app(|app| {
        let ids = staff(app);
        let idp = app.idp();
        let page = |cursor: &str, query: &str| {
            let page = idp.get(&format!("/Users?count=2&cursor={cursor}{query}")).expect(200);
            (letters(&page), page["nextCursor"].as_str().unwrap_or_default().to_owned())
        };
        let (first, next) = page("", "&sortBy=userName");
        assert_eq!(first, "ab");
        // The last one seen goes, another one before it comes, and one behind it.
        idp.delete(&format!("/Users/{}", ids[1])).expect(204);
        idp.post("/Users", user("aaa@example.com")).expect(201);
        idp.post("/Users", user("cz@example.com")).expect(201);
        let (second, next) = page(&next, "&sortBy=userName");
        assert_eq!(second, "cc");
        let (third, next) = page(&next, "&sortBy=userName");
        assert_eq!((third.as_str(), next.as_str()), ("de", ""));
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
fn the_index_follows_every_change() {
    for_each_app(|app| {
        let ids = staff(app);
        let idp = app.idp();
        let total = |filter: &str| idp.get(&filtered(filter)).expect(200)["totalResults"].clone();
        let path = format!("/Users/{}", ids[0]);
        idp.patch(&path, replace("userName", "zoe@example.com")).expect(200);
        assert_eq!(
            (total("userName eq \"eve@example.com\""), total("userName eq \"ZOE@example.com\"")),
            (json!(0), json!(1))
        );
        idp.patch(&path, remove("emails[type eq \"home\"]")).expect(200);
        assert_eq!(
            (total("emails.value eq \"home.eve@example.com\""), total("emails.type eq \"home\"")),
            (json!(0), json!(4))
        );
        idp.patch(&path, replace("active", "False")).expect(200);
        assert_eq!(total("active eq false"), json!(2));
        idp.put(&path, user("yan@example.com")).expect(200);
        assert_eq!(
            (total("userName sw \"zoe\""), total("emails pr"), total("externalId pr")),
            (json!(0), json!(4), json!(4))
        );
        idp.delete(&path).expect(204);
        assert_eq!((total("userName pr"), total("userName eq \"yan@example.com\"")), (json!(4), json!(0)));
        assert_eq!(idp.get("/Users").expect(200)["totalResults"], json!(4));
        // A refused change leaves the index as it was.
        idp.patch(
            &format!("/Users/{}", ids[1]),
            patch(json!([{"op": "replace", "path": "userName", "value": "q@example.com"},
            {"op": "replace", "path": "id", "value": "x"}])),
        )
        .scim_error(400, "mutability");
        assert_eq!((total("userName sw \"q\""), total("userName sw \"bob\"")), (json!(0), json!(1)));
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
