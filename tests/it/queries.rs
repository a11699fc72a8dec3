//! What clients write into URLs, filters and Bulk paths beside the letter, and what of it is understood.

mod endpoints;
mod filled;

use keyroll::scim::tolerance::Dialect;
use serde_json::{Value, json};

use crate::support::app::*;

const UNQUOTED: &str = "authentik-001";

fn filtered(list: &str, filter: &str) -> String {
    format!("{list}?filter={}", encode(filter))
}

fn search(filter: &str) -> Value {
    json!({"schemas": [SEARCH], "filter": filter})
}

#[test]
fn m2_words_without_quotes_are_text_after_eq() {
    for_each_app(|app| {
        for dialect in [Dialect::Auto, Dialect::Entra, Dialect::Okta, Dialect::Rfc, Dialect::Strict] {
            let idp = if dialect == Dialect::Auto { app.idp() } else { app.connect(dialect) };
            let name = format!("ak-admin_{}@x.y", dialect.name());
            let emails = json!([{"type": "work", "value": "a@x.y"}, {"type": "home", "value": "b@x.y"}]);
            let new = and(user(&name), json!({"externalId": "00u1", "title": "7x", "emails": emails}));
            let id = idp.post("/Users", new).expect(201).id();
            let is_lenient = !matches!(dialect, Dialect::Rfc | Dialect::Strict);
            for filter in [
                format!("userName eq {name}"),
                "externalId eq 00u1".to_owned(),
                format!("(title EQ 7x) and userName eq {name}"),
                format!("emails[type eq home] and userName eq {name}"),
                format!("emails.value eq a@x.y and userName eq {name}"),
            ] {
                let ways = [
                    idp.get(&filtered("/Users", &filter)),
                    idp.post("/Users/.search", search(&filter)),
                    idp.get(&filtered("", &filter)),
                    idp.post("/.search", search(&filter)),
                ];
                for answer in ways {
                    if is_lenient {
                        assert_eq!(answer.header("keyroll-tolerance"), UNQUOTED, "{filter}");
                        assert_eq!(answer.expect(200).each("id"), [&id], "{filter}");
                    } else {
                        answer.scim_error(400, "invalidFilter");
                    }
                }
            }
            let path = format!("/Users/{id}");
            let change = replace("emails[type eq work].value", "c@x.y");
            let patched = idp.patch(&path, change.clone());
            let job = bulk(json!([{"method": "PATCH", "path": path, "data": change}]));
            let done = idp.post("/Bulk", job).expect(200);
            if is_lenient {
                assert_eq!(patched.header("keyroll-tolerance"), UNQUOTED);
                assert_eq!(patched.expect(200)["emails"][0]["value"], json!("c@x.y"));
                assert_eq!(
                    (done.header("keyroll-tolerance"), &done["Operations"][0]["status"]),
                    (UNQUOTED, &json!("200"))
                );
            } else {
                patched.scim_error(400, "invalidFilter");
                assert_eq!(done["Operations"][0]["status"], json!("400"));
            }
        }
    });
}

#[test]
fn m2_only_words_and_only_after_eq() {
    let app = TestApp::sqlite();
    let idp = app.idp();
    for filter in [
        "userName ne akadmin",
        "userName co akadmin",
        "userName sw akadmin",
        "userName gt akadmin",
        "userName eq and title pr",
        "userName ne 'akadmin'",
        "userName eq ak:admin",
        "userName eq ak admin",
        "userName eq",
        "active eq yes",
        "meta.created eq 2020",
    ] {
        idp.get(&filtered("/Users", filter)).scim_error(400, "invalidFilter");
        idp.post("/Users/.search", search(filter)).scim_error(400, "invalidFilter");
    }
    // Where nothing else can be meant, a logical word is a value.
    let id = idp.post("/Users", user("and")).expect(201).id();
    for filter in
        ["userName eq and", "(userName eq AND)", "userName eq and and userName pr", "title pr or userName eq and"]
    {
        let found = idp.get(&filtered("/Users", filter)).expect(200);
        assert_eq!((found.each("id"), found.header("keyroll-tolerance")), (vec![&*id], UNQUOTED), "{filter}");
    }
    // A plus may have been a blank: whether it was, nobody knows by now.
    let why = "a value with a blank or a + in it needs double quotes, since + may stand for a blank in a URL";
    for (query, expected) in [
        (
            "userName%20eq%20plus+tag%40ex.test",
            "a value: a string in double quotes, a number, true, false or null, at column 13",
        ),
        (
            "userName+eq+plus%2Btag%40ex.test",
            "a value: a string in double quotes, a number, true, false or null, at column 13",
        ),
        ("userName+eq+plus+tag%40ex.test", "and, or or the end at column 18"),
    ] {
        let refused = idp.get(&format!("/Users?filter={query}"));
        assert_eq!(refused.scim_error(400, "invalidFilter"), format!("filter: expected {expected}: {why}"));
    }
    // What is JSON stays what it is, and a rule is an admin's own words.
    idp.get(&filtered("/Users", "title eq true")).scim_error(400, "invalidFilter");
    let rule = json!({"role": "keyroll.auditor", "source": {"rule": "title eq akadmin"}});
    app.admin().post("/v1/mappings", rule).problem(422, "invalid");
}

#[test]
fn m3_a_plus_is_a_plus_beside_encoded_blanks() {
    for_each_app(|app| {
        let idp = app.idp();
        idp.post("/Users", and(user("plus+tag@ex.test"), json!({"title": "a b"}))).expect(201);
        idp.post("/Users", and(user("plus tag@ex.test"), json!({"title": "a+b"}))).expect(201);
        idp.post("/Groups", group("Deck Crew", &[])).expect(201);
        let found = |query: &str| idp.get(query).expect(200).each("userName").join(",");
        for (query, expected) in [
            ("/Users?filter=userName%20eq%20%22plus+tag%40ex.test%22", "plus+tag@ex.test"),
            ("/Users?filter=userName+eq+%22plus%2Btag%40ex.test%22", "plus+tag@ex.test"),
            ("/Users?filter=userName+eq+%22plus+tag%40ex.test%22", "plus tag@ex.test"),
            ("/Users?filter=title%20eq%20%22a+b%22&attributes=userName", "plus tag@ex.test"),
            ("/Users?filter=userName%20eq%20%22plus%20tag%40ex.test%22", "plus tag@ex.test"),
            // One that writes blanks so means it everywhere, and a number may have a sign.
            (
                "/Users?attributes=userName,%20title&count=+1&startIndex=+2&sortBy=title&filter=title%20pr",
                "plus tag@ex.test",
            ),
            ("/Users?attributes=userName,+title&sortBy=+title&count=1", "plus+tag@ex.test"),
        ] {
            assert_eq!(found(query), expected, "{query}");
        }
        let crew = idp.get("/Groups?filter=displayName+eq+%22Deck+Crew%22").expect(200);
        assert_eq!(crew.each("displayName"), ["Deck Crew"]);
        let since = "/Users?filter=meta.created%20gt%20%222020-01-01T00:00:00+02:00%22";
        assert_eq!(idp.get(since).expect(200)["totalResults"], json!(2));
        // A cursor is no place for either.
        let page = idp.get("/Users?cursor=&count=1&filter=title%20pr").expect(200);
        let next = page["nextCursor"].as_str().unwrap();
        assert_eq!(found(&format!("/Users?cursor={next}&count=1&filter=title%20pr")), "plus tag@ex.test");
    });
}

#[test]
fn bytes_that_are_no_text_are_refused() {
    for_each_app(|app| {
        let (idp, admin) = (app.idp(), app.admin());
        for (query, name) in [
            ("/Users?filter=userName%20eq%20%22%FF%22", "filter: is not UTF-8"),
            ("/Users?attributes=userName,%C3%28", "attributes: is not UTF-8"),
            ("/Users?sortBy=%ED%A0%80", "sortBy: is not UTF-8"),
            ("/Users?x%FE=1&count=1", "a parameter's name is not UTF-8"),
            ("?filter=%80", "filter: is not UTF-8"),
            ("/Roles?filter=%80", "filter: is not UTF-8"),
            ("/Me?attributes=%80", "attributes: is not UTF-8"),
            ("/Users/%FF", "path: is not UTF-8"),
            ("/Us%E9rs", "path: is not UTF-8"),
            ("/Schemas/urn:%FF", "path: is not UTF-8"),
            ("/Roles/%FF", "path: is not UTF-8"),
        ] {
            assert_eq!(idp.get(query).scim_error(400, ""), name, "{query}");
        }
        for (query, name) in [
            ("/v1/keys?owner=%FF", "owner: is not UTF-8"),
            ("/v1/users/%FF/access", "path: is not UTF-8"),
            ("/v1/roles/%C0%80", "path: is not UTF-8"),
            ("/v1/changes?kind=%FF", "kind: is not UTF-8"),
        ] {
            assert_eq!(admin.get(query).problem(400, "malformed"), name, "{query}");
        }
        let evaluation = admin.post("/access/v1/evaluation?x=%FF", json!({})).expect(400);
        assert_eq!(evaluation.body, json!("x: is not UTF-8"));
        let job = bulk(json!([{"method": "DELETE", "path": "/Users/%FF"}]));
        let done = idp.post("/Bulk", job).expect(200);
        assert_eq!(done["Operations"][0]["response"]["detail"], json!("path: is not UTF-8"));
        // What is text in other bytes is text.
        assert_eq!(idp.get("/Users?filter=title%20eq%20%22%C3%A9%22").expect(200)["totalResults"], json!(0));
    });
}

#[test]
fn user_is_the_first_of_the_types() {
    let app = TestApp::sqlite();
    let types = app.idp().get("/ResourceTypes").expect(200);
    assert_eq!(types.each("name"), ["User", "Agent", "Group"]);
    assert_eq!(types.each("description")[0], "User Account");
    let schemas = app.idp().get("/Schemas").expect(200);
    let described = |id: &str| {
        let found = schemas["Resources"].as_array().unwrap().iter().find(|one| one["id"] == json!(id));
        found.unwrap()["description"].as_str().unwrap().to_owned()
    };
    // As RFC 7643 §8.7 has them.
    assert_eq!(
        [described(USER), described(GROUP), described(ENTERPRISE)],
        ["User Account", "Group", "Enterprise User"]
    );
}
