//! One value in a list, and no value at all.

use serde_json::{Value, json};

use super::{EXACT, LENIENT, hire, last_write, send, speaking};
use crate::support::app::*;

#[test]
fn a_list_of_one_is_its_one() {
    for_each_app(|app| {
        for dialect in LENIENT {
            let idp = speaking(app, dialect);
            let who = hire(app, &idp, dialect.name());
            let set = |path: &str, value: Value| {
                let answer = idp.patch(&who.path, replace(path, value)).expect(200);
                (answer.body.clone(), answer.header("keyroll-tolerance").to_owned())
            };
            let (body, named) = set("displayName", json!(["Quay"]));
            assert_eq!((&body["displayName"], named.as_str()), (&json!("Quay"), "auto-004"));
            idp.patch(&who.path, add("emails", json!([{"type": "work", "value": "a@example.com"}]))).expect(200);
            let (body, named) = set("emails[type eq \"work\"].value", json!(["q@example.com"]));
            assert_eq!((&body["emails"][0]["value"], named.as_str()), (&json!("q@example.com"), "auto-004"));
            let (body, _) = set("name.givenName", json!(["Mira"]));
            assert_eq!(body["name"]["givenName"], json!("Mira"));
            let (body, _) = set(&format!("{ENTERPRISE}:department"), json!(["R"]));
            assert_eq!(body[ENTERPRISE]["department"], json!("R"));
            assert_eq!(set("displayName", json!([])).0["displayName"], Value::Null);
            for two in [json!(["a", "b"]), json!([["a"], "b"]), json!([{}])] {
                idp.patch(&who.path, replace("displayName", two.clone())).scim_error(400, "invalidValue");
                idp.put(&who.path, and(user(&who.name), json!({"title": two}))).scim_error(400, "invalidValue");
            }
            let whole = json!({"schemas": [USER], "userName": [who.name], "title": ["Dr"], "active": ["false"]});
            let put = idp.put(&who.path, whole).expect(200);
            assert_eq!((&put["title"], &put["active"]), (&json!("Dr"), &json!(false)));
            assert_eq!(app.verify(&who.key), "OWNER_INACTIVE");
            let pathless = patch(json!([{"op": "replace", "value": {"active": ["True"], "title": ["Prof"]}}]));
            let (status, _, named, _) = send(&idp, "Bulk", "PATCH", &who.path, &pathless);
            assert_eq!((status, named.as_str()), (200, "entra-002, auto-004"));
            assert_eq!(last_write(app, "user.patched")["change"]["tolerances"], json!(["entra-002", "auto-004"]));
            assert_eq!(
                (idp.get(&who.path).expect(200)["title"].clone(), app.verify(&who.key).as_str()),
                (json!("Prof"), "VALID")
            );
            set("active", json!(["false"]));
            assert_eq!(app.verify(&who.key), "OWNER_INACTIVE");
            let bot = and(agent("x"), json!({"name": [format!("bot-{}", dialect.name())], "active": [false]}));
            let bot = idp.post("/Agents", bot).expect(201);
            assert_eq!((bot["active"].clone(), bot.header("keyroll-tolerance")), (json!(false), "auto-004"));
        }
        for dialect in EXACT {
            let idp = speaking(app, dialect);
            let who = hire(app, &idp, dialect.name());
            let refused = idp.patch(&who.path, replace("active", json!([false])));
            assert_eq!(
                refused.scim_error(400, "invalidValue"),
                "Operations[0]: active: expected a boolean, got an array"
            );
            idp.put(&who.path, and(user(&who.name), json!({"title": ["x"]}))).scim_error(400, "invalidValue");
            assert_eq!(app.verify(&who.key), "VALID");
        }
    });
}

#[test]
fn a_patch_of_nothing_changes_nothing() {
    for_each_app(|app| {
        for dialect in LENIENT {
            let idp = speaking(app, dialect);
            let who = hire(app, &idp, dialect.name());
            let before = idp.get(&who.path).expect(200);
            let records = app.log().len();
            for body in [patch(json!([])), patch(Value::Null)] {
                let same = idp.patch(&who.path, body).expect(200);
                assert_eq!((&same.body, same.header("etag")), (&before.body, before.header("etag")));
                assert_eq!(same.header("keyroll-tolerance"), "auto-005");
            }
            assert_eq!(app.log().len(), records);
            let team = format!("/Groups/{}", idp.post("/Groups", group("team", &[])).expect(201).id());
            idp.patch(&team, patch(json!([]))).expect(200);
            assert_eq!(send(&idp, "Bulk", "PATCH", &team, &patch(json!([]))).0, 200);
            idp.send("PATCH", &who.path, &[("if-match", "W/\"9\"")], patch(json!([])).to_string()).scim_error(412, "");
            idp.patch("/Users/nobody", patch(json!([]))).scim_error(404, "");
            let empty = patch(json!([{"op": "replace", "path": "", "value": {"active": false}}]));
            assert_eq!(idp.patch(&who.path, empty).expect(200).header("keyroll-tolerance"), "auto-006");
            assert_eq!(app.verify(&who.key), "OWNER_INACTIVE");
        }
        for dialect in EXACT {
            let idp = speaking(app, dialect);
            let who = hire(app, &idp, dialect.name());
            let refused = idp.patch(&who.path, patch(json!([])));
            assert_eq!(refused.scim_error(400, "invalidSyntax"), "patch: Operations must not be empty");
            assert_eq!(
                idp.patch(&who.path, replace("", "x")).scim_error(400, "invalidPath"),
                "Operations[0]: path: is empty"
            );
        }
    });
}
