//! Sorted searches over users, groups and agents together (RFC 7644 §3.4.2.3, §3.4.3).

use chrono::TimeDelta;
use serde_json::{Value, json};

use crate::support::app::*;

/// Users, groups and agents in turns. Each is told by a letter, small for users, large for the rest.
fn staff(app: &TestApp) {
    let idp = app.idp();
    let show = |name: &str| json!({"displayName": name});
    for (path, body) in [
        ("/Users", and(user("u"), show("Delta"))),
        ("/Agents", and(agent("A"), json!({"displayName": "alpha", "active": false}))),
        ("/Groups", group("Charlie", &[])),
        ("/Users", user("v")),
        ("/Agents", agent("B")),
        ("/Groups", group("alpha", &[])),
        ("/Users", and(user("w"), json!({"displayName": "bravo", "title": "Head", "active": false}))),
        ("/Users", and(user("x"), json!({"displayName": "ALPHA", "title": "clerk"}))),
    ] {
        idp.post(path, body).expect(201);
        app.clock.advance(TimeDelta::seconds(1));
    }
}

/// What stands where in an answer: `u`, `v`, … for users, `A`, `B` for agents, and `C`, `G` for Charlie and alpha.
fn letters(answer: &Answer) -> String {
    let letter = |one: &Value| {
        let text = |name: &str| one[name].as_str().map(str::to_owned);
        match text("userName").or_else(|| text("name")) {
            Some(name) => name,
            None => if one["displayName"] == "Charlie" { "C" } else { "G" }.to_owned(),
        }
    };
    answer["Resources"].as_array().unwrap().iter().map(letter).collect()
}

/// Every page of a root search by cursor.
fn pages(idp: &Actor<'_>, query: &str, count: usize) -> String {
    let (mut seen, mut cursor) = (vec![], String::new());
    loop {
        let page = idp.get(&format!("/scim/v2?count={count}&cursor={cursor}&{query}")).expect(200);
        seen.push(letters(&page));
        assert!(seen.len() < 20, "{query}: {seen:?}");
        match page["nextCursor"].as_str() {
            Some(next) => next.clone_into(&mut cursor),
            None => return seen.join(" "),
        }
    }
}

#[test]
fn one_order_over_all_types() {
    for_each_app(|app| {
        staff(app);
        let idp = app.idp();
        for (query, expected) in [
            // Letter case does not matter, ties stand in the order in which they were made, no value comes last; and the
            // other way round, but for what has no value.
            ("sortBy=displayName", "AGxwCuvB"),
            ("sortBy=displayname&sortOrder=descending", "vBuCwxGA"),
            ("sortBy=userName", "uvwxACBG"),
            ("sortBy=userName&sortOrder=descending", "ACBGxwvu"),
            ("sortBy=title", "xwuACvBG"),
            ("sortBy=title&sortOrder=descending", "uACvBGwx"),
            // A user's name has no order of its own.
            ("sortBy=name", "ABuCvGwx"),
            ("sortBy=active", "AwuvBxCG"),
            ("sortBy=active&sortOrder=descending", "CGxBvuwA"),
            ("sortBy=meta.created", "uACvBGwx"),
            ("sortBy=meta.lastModified&sortOrder=descending", "xwGBvCAu"),
            ("sortBy=meta.resourceType", "ABCGuvwx"),
            ("sortBy=meta.resourceType&sortOrder=descending", "uvwxCGAB"),
            ("sortBy=urn:ietf:params:scim:schemas:core:2.0:Agent:displayName", "AuCvBGwx"),
            ("sortBy=urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:department", "uACvBGwx"),
            ("sortBy=displayName&filter=displayName%20sw%20%22alpha%22", "AGx"),
            ("sortBy=displayName&filter=active%20eq%20false%20or%20title%20pr", "Axw"),
            ("sortBy=displayName&filter=title%20co%20%22e%22", "xw"),
            ("sortBy=displayName&filter=meta.resourceType%20ne%20%22User%22", "AGCB"),
        ] {
            let all = idp.get(&format!("/scim/v2?{query}")).expect(200);
            assert_eq!((letters(&all).as_str(), &all["totalResults"]), (expected, &json!(expected.len())), "{query}");
            for start in 1..=expected.len() + 1 {
                let page = idp.get(&format!("/scim/v2?{query}&startIndex={start}&count=3")).expect(200);
                let rest = &expected[start - 1..];
                assert_eq!(letters(&page), rest[..rest.len().min(3)], "{query} from {start}");
                assert_eq!(page["totalResults"], json!(expected.len()), "{query} from {start}");
                assert_eq!((&page["startIndex"], &page["itemsPerPage"]), (&json!(start), &json!(rest.len().min(3))));
            }
            for count in [1, 3, 8] {
                assert_eq!(pages(&idp, query, count).replace(' ', ""), expected, "{query} by {count}");
            }
        }
    });
}

#[test]
fn a_body_asks_as_a_url_does() {
    for_each_app(|app| {
        staff(app);
        let idp = app.idp();
        let body = json!({"schemas": [SEARCH], "sortBy": "displayName", "sortOrder": "descending", "startIndex": 3,
            "count": 4, "attributes": ["displayName"]});
        let found = idp.post("/.search", body).expect(200);
        assert_eq!(found["totalResults"], json!(8));
        assert_eq!(found.each("displayName"), ["Delta", "Charlie", "bravo", "ALPHA"]);
        let names = |one: &Value| one.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
        assert!(
            found["Resources"].as_array().unwrap().iter().all(|one| names(one) == ["schemas", "displayName", "id"])
        );
        let query = "/scim/v2?sortBy=displayName&excludedAttributes=meta,groups,members,active&count=3";
        let shown = idp.get(query).expect(200);
        assert_eq!(shown.each("displayName"), ["alpha", "alpha", "ALPHA"]);
        let first: Vec<_> = shown["Resources"].as_array().unwrap().iter().map(names).collect();
        assert_eq!(first[0], ["schemas", "name", "displayName", "id"]);
        assert_eq!(first[1], ["schemas", "displayName", "id"]);
        assert_eq!(first[2], ["schemas", "userName", "displayName", "title", "id"]);
        // What the attribute sorted by holds need not be shown.
        assert_eq!(letters(&idp.get("/scim/v2?sortBy=displayName&attributes=userName,name").expect(200)).len(), 8);
        let body = json!({"schemas": [SEARCH], "sortBy": "displayName", "cursor": "", "count": 5});
        let page = idp.post("/.search", body).expect(200);
        assert_eq!((letters(&page).as_str(), &page["totalResults"]), ("AGxwC", &json!(8)));
        let body = json!({"schemas": [SEARCH], "sortBy": "displayName", "cursor": page["nextCursor"], "count": 5});
        let page = idp.post("/.search", body).expect(200);
        assert_eq!((letters(&page).as_str(), &page["nextCursor"]), ("uvB", &Value::Null));
        let total = idp.get("/scim/v2?sortBy=title&cursor=&count=0&filter=title%20pr").expect(200);
        assert_eq!((&total["totalResults"], &total["nextCursor"]), (&json!(2), &Value::Null));
    });
}

#[test]
fn what_comes_and_goes_between_pages_of_all_types_hides_nothing_else() {
    for_each_app(|app| {
        staff(app);
        let idp = app.idp();
        let page = |cursor: &str| {
            let page = idp.get(&format!("/scim/v2?count=3&sortBy=displayName&cursor={cursor}")).expect(200);
            let last = page["Resources"].as_array().unwrap().last().unwrap()["meta"]["location"].clone();
            let path = last.as_str().unwrap().split_once("/scim/v2").unwrap().1.to_owned();
            (letters(&page), page["nextCursor"].as_str().unwrap_or_default().to_owned(), path)
        };
        let (first, next, last) = page("");
        assert_eq!(first, "AGx");
        // The last one seen goes; one comes before it, and one of another type behind it.
        idp.delete(&last).expect(204);
        idp.post("/Agents", and(agent("Z"), json!({"displayName": "aa"}))).expect(201);
        idp.post("/Agents", and(agent("Y"), json!({"displayName": "bravo"}))).expect(201);
        let (second, next, last) = page(&next);
        assert_eq!(second, "wYC");
        idp.delete(&last).expect(204);
        assert_eq!(page(&next).0, "uvB");
    });
}

#[test]
fn a_cursor_of_one_order_opens_no_other() {
    for_each_app(|app| {
        staff(app);
        let idp = app.idp();
        let cursor = |query: &str| {
            let page = idp.get(&format!("/scim/v2?cursor=&count=2&{query}")).expect(200);
            page["nextCursor"].as_str().unwrap().to_owned()
        };
        let (sorted, unsorted) = (cursor("sortBy=displayName"), cursor(""));
        let refused = |query: String, code: &str| idp.get(&query).scim_error(400, code).to_owned();
        let other = "cursor: it belongs to another query";
        for query in [
            format!("/scim/v2?count=2&cursor={sorted}"),
            format!("/scim/v2?count=2&sortBy=userName&cursor={sorted}"),
            format!("/scim/v2?count=2&sortBy=displayName&sortOrder=descending&cursor={sorted}"),
            format!("/scim/v2?count=2&sortBy=displayName&filter=title%20pr&cursor={sorted}"),
            format!("/scim/v2?count=2&sortBy=displayName&cursor={unsorted}"),
            format!("/Users?count=2&sortBy=displayName&cursor={sorted}"),
        ] {
            assert_eq!(refused(query, "invalidCursor"), other);
        }
        refused(format!("/scim/v2?count=3&sortBy=displayName&cursor={sorted}"), "invalidCount");
        app.clock.advance(TimeDelta::seconds(3_601));
        refused(format!("/scim/v2?count=2&sortBy=displayName&cursor={sorted}"), "expiredCursor");
    });
}

#[test]
fn what_has_no_order_is_refused() {
    for_each_app(|app| {
        staff(app);
        let members = "has no order: members are a set, and none of them is the first";
        for (path, by, why) in [
            ("/scim/v2", "members", members),
            ("/scim/v2", "members.value", members),
            ("/scim/v2", "members.display", members),
            ("/Groups", "members", members),
            ("/Groups", "members.value", members),
            ("/Groups", "members.display", members),
            ("/Groups", "urn:ietf:params:scim:schemas:core:2.0:Group:members.type", members),
            ("/scim/v2", "addresses", "is complex: name one of its sub-attributes"),
            ("/scim/v2", "meta", "is complex: name one of its sub-attributes"),
            ("/Users", "name", "is complex: name one of its sub-attributes"),
            ("/scim/v2", "shoeSize", "is no attribute of any type"),
            ("/scim/v2", "emails.shoeSize", "is no attribute of any type"),
            ("/Users", "shoeSize", "is no attribute of this type"),
            ("/Users", "members.value", "is no attribute of this type"),
        ] {
            let refused = app.idp().get(&format!("{path}?sortBy={by}"));
            assert_eq!(refused.scim_error(400, "invalidValue"), format!("sortBy: {by} {why}"), "{path}");
            let root = if path == "/scim/v2" { "" } else { path };
            let body = json!({"schemas": [SEARCH], "sortBy": by});
            let refused = app.idp().post(&format!("{root}/.search"), body);
            assert_eq!(refused.scim_error(400, "invalidValue"), format!("sortBy: {by} {why}"), "{path}");
        }
    });
}
