//! Pages, by index and by cursor.

use chrono::TimeDelta;
use keyroll::scim::tolerance::Dialect;
use serde_json::{Value, json};

use super::{filtered, letters, staff};
use crate::support::app::*;

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
