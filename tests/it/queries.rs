//! What clients write into URLs, filters and Bulk paths beside the letter, and what of it is understood.

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
fn f11_bulk_paths_are_read_as_over_http() {
    for_each_app(|app| {
        let idp = app.idp();
        let make = |n: u32| idp.post("/Users", user(&format!("u{n}@example.com"))).expect(201).id();
        for (n, form) in
            ["/Users/{id}/", "//Users//{id}//", "/users/{id}", "/USERS/{id}/", "/%55sers/{id}"].into_iter().enumerate()
        {
            let id = make(n as u32);
            let path = form.replace("{id}", &id);
            let job = bulk(json!([
                {"method": "PATCH", "path": path, "data": replace("title", "x")},
                {"method": "PUT", "path": path, "data": user(&format!("u{n}@example.com"))},
                {"method": "DELETE", "path": path, "version": "W/\"1\""},
                {"method": "DELETE", "path": path},
            ]));
            let done = idp.post("/Bulk", job).expect(200);
            let operations = done["Operations"].as_array().unwrap();
            let status: Vec<&str> = operations.iter().map(|one| one["status"].as_str().unwrap()).collect();
            assert_eq!(status, ["200", "200", "412", "204"], "{path}");
            // The resource has one URL, however it was asked for.
            let location = json!(format!("https://keyroll.example/scim/v2/Users/{id}"));
            assert!(operations.iter().all(|one| one["location"] == location), "{done}");
        }
        let job = bulk(json!([
            {"method": "POST", "path": "/groups/", "bulkId": "g", "data": group("team", &[])},
            {"method": "PATCH", "path": "//Groups/bulkId:g/", "data": replace("displayName", "crew")},
            {"method": "DELETE", "path": "/Users/1/2"},
            {"method": "DELETE", "path": "/"},
            {"method": "DELETE", "path": "/Users/"},
            {"method": "POST", "path": "/Users/1/", "bulkId": "u", "data": user("x@example.com")},
        ]));
        let done = idp.post("/Bulk", job).expect(200);
        let status: Vec<&Value> = done["Operations"].as_array().unwrap().iter().map(|one| &one["status"]).collect();
        assert_eq!(status, ["201", "200", "400", "400", "400", "400"].map(|s| json!(s)).iter().collect::<Vec<_>>());
    });
}

#[test]
fn endpoints_are_named_in_any_letter_case() {
    for_each_app(|app| {
        let idp = app.idp();
        let made = idp.post("/users", user("mira@example.com")).expect(201);
        let location = format!("https://keyroll.example/scim/v2/Users/{}", made.id());
        assert_eq!((made.header("location"), &made["meta"]["location"]), (location.as_str(), &json!(location)));
        let path = format!("/USERS/{}", made.id());
        assert_eq!(idp.get(&path).expect(200)["meta"]["location"], json!(location));
        idp.patch(&path, replace("title", "x")).expect(200);
        idp.put(&path, user("mira@example.com")).expect(200);
        assert_eq!(idp.get("/uSers").expect(200)["totalResults"], json!(1));
        assert_eq!(idp.post("/users/.SEARCH", search("title pr")).expect(200)["totalResults"], json!(0));
        assert_eq!(idp.post("/.Search", search("userName pr")).expect(200)["totalResults"], json!(1));
        let group_id = idp.post("/groups/", group("team", &[])).expect(201).id();
        idp.get(&format!("/groups/{group_id}")).expect(200);
        idp.post("/agents", agent("deploy")).expect(201);
        for path in
            ["/schemas", "/resourcetypes", "/serviceproviderconfig", "/ROLES", "/entitlements", "/roles/.search"]
        {
            let answer = if path.ends_with("search") { idp.post(path, search("value pr")) } else { idp.get(path) };
            answer.expect(200);
        }
        idp.get(&format!("/schemas/{USER}")).expect(200);
        idp.get("/resourceTypes/User").expect(200);
        idp.post("/bulk", bulk(json!([{"method": "DELETE", "path": "/users/1"}]))).expect(200);
        idp.get("/me").scim_error(501, "");
        // Ids and names are no endpoints, and one that is none stays none.
        idp.get(&format!("/users/{}", made.id().to_uppercase())).scim_error(404, "");
        idp.get("/resourceTypes/user").scim_error(404, "");
        idp.get("/userz").scim_error(404, "");
        idp.delete(&path).expect(204);
    });
}

#[test]
fn f12_allow_names_each_method_once() {
    let app = TestApp::sqlite();
    for (path, allowed) in
        [("/scim/v2", "GET, HEAD"), ("/Users", "GET, HEAD, POST"), ("/Users/1", "DELETE, GET, HEAD, PATCH, PUT")]
    {
        let answer = app.idp().send("OPTIONS", path, &[], "").expect(405);
        let mut methods: Vec<&str> = answer.header("allow").split(", ").collect();
        methods.sort_unstable();
        assert_eq!(methods.join(", "), allowed, "{path}");
    }
    for operation in keyroll::domain::Operation::ALL {
        for (_, template) in operation.routes() {
            let path = template.replace("{endpoint}", "Users").replace("{id}", "1");
            let answer = app.idp().send("TRACE", &path, &[], "").expect(405);
            let methods: Vec<&str> = answer.header("allow").split(", ").collect();
            let distinct: std::collections::BTreeSet<&str> = methods.iter().copied().collect();
            assert_eq!(methods.len(), distinct.len(), "{path}: {methods:?}");
        }
    }
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

#[test]
fn m6_the_path_of_the_public_url_may_stay_in() {
    let app = TestApp::with(None, |settings| settings.public_url = "https://id.ex.test/keyroll".to_owned());
    let (idp, admin) = (app.idp(), app.admin());
    let made = idp.post("/keyroll/scim/v2/Users", user("mira@example.com")).expect(201);
    let location = format!("https://id.ex.test/keyroll/scim/v2/Users/{}", made.id());
    assert_eq!(made.header("location"), location);
    let kept = location.strip_prefix("https://id.ex.test").unwrap();
    // With and without it, there is one resource.
    assert_eq!(idp.get(kept).expect(200)["meta"]["location"], json!(location));
    assert_eq!(idp.get(&format!("/Users/{}", made.id())).expect(200)["meta"]["location"], json!(location));
    assert_eq!(admin.get("/keyroll/v1/users").expect(200).status, 200);
    app.anonymous().get("/keyroll/healthz").expect(200);
    // Errors below it are those of their endpoint.
    idp.get("/keyroll/scim/v2/Users/1/2").scim_error(404, "");
    idp.get("/keyroll/scim/v2/nothing").scim_error(404, "");
    app.anonymous().get("/keyroll/scim/v2/Users").scim_error(401, "");
    admin.get("/keyroll/v1/nothing").problem(404, "not_found");
    admin.get("/keyrollers/v1/users").expect(404);
}

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
