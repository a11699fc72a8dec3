//! What filters find, what they are refused for, and that what they find follows every change.

use serde_json::{Value, json};

use super::{filtered, letters, staff};
use crate::support::app::*;

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
