//! PATCH over HTTP: what an operation does, and that it does all of it or nothing (RFC 7644 §3.5.2).

use keyroll::scim::tolerance::Dialect;
use serde_json::{Value, json};

use crate::support::app::*;

const WORK: &str = "emails[type eq \"work\"]";

/// A user with a few attributes.
fn mira() -> Value {
    and(
        user("mira@example.com"),
        json!({
            "title": "Dr",
            "name": {"givenName": "Mira", "familyName": "Holt"},
            "emails": [
                {"value": "work@example.com", "type": "work", "primary": true},
                {"value": "home@example.com", "type": "home"},
            ],
            ENTERPRISE: {"department": "x", "division": "y"},
        }),
    )
}

/// Operations on that user, and what one attribute is afterwards.
fn matrix() -> Vec<(Value, &'static str, Value)> {
    vec![
        (json!({"op": "add", "path": "title", "value": "Prof"}), "title", json!("Prof")),
        (json!({"op": "replace", "path": "nickName", "value": "M"}), "nickName", json!("M")),
        (json!({"op": "replace", "value": {"title": "a", "nickName": "b"}}), "title", json!("a")),
        (
            json!({"op": "add", "path": "name", "value": {"givenName": "Mi"}}),
            "name",
            json!({"familyName": "Holt", "givenName": "Mi"}),
        ),
        (
            json!({"op": "replace", "path": "name", "value": {"middleName": "A"}}),
            "name",
            json!({"familyName": "Holt", "givenName": "Mira", "middleName": "A"}),
        ),
        (
            json!({"op": "replace", "path": "name.givenName", "value": "Mi"}),
            "name",
            json!({"familyName": "Holt", "givenName": "Mi"}),
        ),
        (json!({"op": "remove", "path": "name.givenName"}), "name", json!({"familyName": "Holt"})),
        (json!({"op": "remove", "path": "name"}), "name", Value::Null),
        (json!({"op": "replace", "path": "title", "value": null}), "title", Value::Null),
        (json!({"op": "remove", "path": "emails"}), "emails", Value::Null),
        (json!({"op": "replace", "path": "emails", "value": []}), "emails", Value::Null),
        (json!({"op": "remove", "path": WORK}), "emails", json!([{"value": "home@example.com", "type": "home"}])),
        (json!({"op": "remove", "path": "emails[type eq \"x\"]"}), "emails", mira()["emails"].clone()),
        (
            json!({"op": "replace", "path": format!("{WORK}.value"), "value": "new@example.com"}),
            "emails",
            json!([{"value": "new@example.com", "type": "work", "primary": true},
                    {"value": "home@example.com", "type": "home"}]),
        ),
        (
            json!({"op": "add", "path": "emails", "value": [{"value": "home@example.com", "type": "home"}]}),
            "emails",
            mira()["emails"].clone(),
        ),
        (
            json!({"op": "add", "path": "emails", "value": {"value": "c@example.com", "primary": true}}),
            "emails",
            json!([{"value": "work@example.com", "type": "work", "primary": false},
                    {"value": "home@example.com", "type": "home"}, {"value": "c@example.com", "primary": true}]),
        ),
        (
            json!({"op": "replace", "path": "emails[type eq \"home\"].primary", "value": true}),
            "emails",
            json!([{"value": "work@example.com", "type": "work", "primary": false},
                    {"value": "home@example.com", "type": "home", "primary": true}]),
        ),
        (
            json!({"op": "replace", "path": format!("{ENTERPRISE}:department"), "value": "z"}),
            ENTERPRISE,
            json!({"division": "y", "department": "z"}),
        ),
        (
            json!({"op": "replace", "path": ENTERPRISE, "value": {"department": "z"}}),
            ENTERPRISE,
            json!({"division": "y", "department": "z"}),
        ),
        (json!({"op": "remove", "path": ENTERPRISE}), ENTERPRISE, Value::Null),
        (json!({"op": "replace", "value": {"id": "x", "meta": {}, "groups": [], "title": "a"}}), "title", json!("a")),
    ]
}

#[test]
fn operations_do_what_the_matrix_says() {
    for_each_app(|app| {
        let idp = app.idp();
        for (n, (operation, name, expected)) in matrix().into_iter().enumerate() {
            let body = and(mira(), json!({"userName": format!("u{n}@example.com")}));
            let path = format!("/Users/{}", idp.post("/Users", body).expect(201).id());
            let answer = idp.patch(&path, patch(json!([operation]))).expect(200);
            assert_eq!(answer[name], expected, "{operation}");
            assert_eq!(idp.get(&path).expect(200).body, answer.body, "{operation}");
        }
    });
}

#[test]
fn what_cannot_be_applied_is_refused_and_changes_nothing() {
    for_each_app(|app| {
        let idp = app.idp();
        let created = idp.post("/Users", mira()).expect(201);
        let path = format!("/Users/{}", created.id());
        let cases = [
            (json!({"op": "remove"}), "noTarget"),
            (json!({"op": "replace", "path": "emails[type eq \"x\"]", "value": {"value": "c"}}), "ok"),
            (json!({"op": "replace", "path": "emails[value sw \"x\"].value", "value": "c"}), "noTarget"),
            (json!({"op": "remove", "path": "userName"}), "mutability"),
            (json!({"op": "replace", "path": "userName", "value": null}), "mutability"),
            (json!({"op": "replace", "path": "id", "value": "x"}), "mutability"),
            (json!({"op": "add", "path": "meta.created", "value": "x"}), "mutability"),
            (json!({"op": "add", "path": "groups", "value": [{"value": "x"}]}), "mutability"),
            (json!({"op": "remove", "path": "schemas"}), "mutability"),
            (json!({"op": "replace", "path": "emails[0]", "value": "x"}), "invalidFilter"),
            (json!({"op": "replace", "path": "emails[type is \"work\"].value", "value": "x"}), "invalidFilter"),
            (json!({"op": "replace", "path": "emails[type eq \"work\"", "value": "x"}), "invalidPath"),
            (json!({"op": "replace", "path": "title", "value": 7}), "invalidValue"),
            (json!({"op": "replace", "path": "title"}), "invalidValue"),
            (json!({"op": "replace", "value": "x"}), "invalidValue"),
            (json!({"op": "move", "path": "title", "value": "x"}), "invalidSyntax"),
        ];
        for (operation, expected) in cases {
            let before = idp.get(&path).expect(200).body;
            let records = app.log().len();
            // The first is fine: it must not stay behind.
            let answer =
                idp.patch(&path, patch(json!([{"op": "replace", "path": "nickName", "value": "M"}, operation])));
            if expected == "ok" {
                assert_eq!(answer.status, 200, "{operation}");
                continue;
            }
            let detail = answer.scim_error(400, expected);
            assert!(detail.starts_with("Operations[1]"), "{operation}: {detail}");
            assert_eq!(idp.get(&path).expect(200).body, before, "{operation}");
            // What is removed or set without a path may be anything: it is recorded that it was refused.
            let mut new = app.log().into_iter().skip(records);
            let is_unplaced = operation.get("path").is_none();
            assert!(new.all(|record| is_unplaced && record["action"] == "user.refused"), "{operation}");
        }
        for (body, detail) in [
            (json!({"schemas": [PATCH]}), "patch: Operations must be an array"),
            (json!([]), "patch: expected an object"),
        ] {
            assert_eq!(idp.patch(&path, body).scim_error(400, "invalidSyntax"), detail);
        }
        let many: Vec<Value> =
            (0..1001).map(|n| json!({"op": "replace", "path": "title", "value": n.to_string()})).collect();
        assert_eq!(
            idp.patch(&path, patch(json!(many))).scim_error(413, ""),
            "patch: 1001 operations; the limit is 1000"
        );
    });
}

#[test]
fn a_refused_patch_of_members_leaves_no_row_behind() {
    for_each_app(|app| {
        let idp = app.connect(Dialect::Rfc);
        let mira = idp.post("/Users", user("mira@example.com")).expect(201).id();
        let rolf = idp.post("/Users", user("rolf@example.com")).expect(201).id();
        let team = format!("/Groups/{}", idp.post("/Groups", group("team", &[&rolf])).expect(201).id());
        let before = app.log().len();
        let refused = idp.patch(
            &team,
            patch(json!([
                {"op": "add", "path": "members", "value": [{"value": mira}]},
                {"op": "remove", "path": format!("members[value eq \"{rolf}\"]")},
                {"op": "add", "path": "members", "value": [{"value": app.id(100)}]},
            ])),
        );
        let unknown = format!("members: no resource has the id \"{}\"", app.id(100));
        assert_eq!(refused.scim_error(400, "invalidValue"), unknown);
        let team = idp.get(&team).expect(200);
        assert_eq!((team.members(), team.header("etag")), (vec![rolf.as_str()], "W/\"1\""));
        // The refusal, by which rolf stays in it.
        assert_eq!(app.log().len(), before + 1);
    });
}

#[test]
fn a_small_group_is_echoed_and_a_large_one_is_not() {
    for_each_app(|app| {
        let idp = app.idp();
        let ids: Vec<String> =
            (0..101).map(|n| idp.post("/Users", user(&format!("u{n}@example.com"))).expect(201).id()).collect();
        let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
        let team = format!("/Groups/{}", idp.post("/Groups", group("team", &ids[..99])).expect(201).id());
        let one = |id: &str| add("members", json!([{"value": id}]));
        let small = idp.patch(&team, one(ids[99])).expect(200);
        assert_eq!((small.members().len(), small.header("etag")), (100, "W/\"2\""));
        let large = idp.patch(&team, one(ids[100])).expect(204);
        assert_eq!((large.text.as_str(), large.header("etag")), ("", "W/\"3\""));
        assert_eq!(large.header("content-location"), format!("https://keyroll.example/scim/v2{team}"));
        // RFC 7644 §3.5.2: whoever names attributes gets them.
        let named = idp.patch(&format!("{team}?attributes=displayName"), replace("displayName", "team 2")).expect(200);
        assert_eq!(named["displayName"], json!("team 2"));
        let but =
            idp.patch(&format!("{team}?excludedAttributes=members"), replace("displayName", "team 3")).expect(200);
        assert_eq!((&but["displayName"], &but["members"]), (&json!("team 3"), &Value::Null));
        let all = idp.patch(&format!("{team}?attributes=members"), replace("displayName", "team 4")).expect(200);
        assert_eq!(all.members().len(), 101);
        // POST and PUT always answer with the body.
        assert_eq!(idp.put(&team, group("team 5", &ids)).expect(200).members().len(), 101);
        let removed = idp.patch(&team, remove(&format!("members[value eq \"{}\"]", ids[0]))).expect(200);
        assert_eq!(removed.members(), ids[1..]);
    });
}
