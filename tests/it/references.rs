//! `manager` and `owners`: an id from the client; where it leads and what is there from the server.

use serde_json::{Value, json};

use crate::support::app::*;

const BASE: &str = "https://keyroll.example/scim/v2";

fn manager(id: &str) -> Value {
    json!({ENTERPRISE: {"manager": {"value": id, "$ref": "http://liar/Users/1", "displayName": "Liar"}}})
}

fn named(name: &str, display: &str) -> Value {
    and(user(name), json!({"displayName": display}))
}

#[test]
fn a_reference_says_where_it_leads_and_what_is_there() {
    for_each_app(|app| {
        let idp = app.idp();
        let mira = idp.post("/Users", named("mira@example.com", "Mira")).expect(201).id();
        let team = idp.post("/Groups", group("team", &[])).expect(201).id();
        let expected =
            |display: &str| json!({"value": mira, "$ref": format!("{BASE}/Users/{mira}"), "displayName": display});
        let made = idp.post("/Users", and(user("rolf@example.com"), manager(&mira))).expect(201);
        assert_eq!(made[ENTERPRISE]["manager"], expected("Mira"));
        let path = format!("/Users/{}", made.id());
        let shown = |display: &str| {
            // Twice: what is remembered must not be older than the name.
            for _ in 0..2 {
                assert_eq!(idp.get(&path).expect(200)[ENTERPRISE]["manager"], expected(display));
                let found = idp.get("/Users?filter=userName%20eq%20%22rolf@example.com%22").expect(200);
                assert_eq!(found["Resources"][0][ENTERPRISE]["manager"], expected(display));
            }
            let one = idp.get(&format!("{path}?attributes={ENTERPRISE}:manager.displayName")).expect(200);
            assert_eq!(one[ENTERPRISE], json!({"manager": {"displayName": display}}));
        };
        shown("Mira");
        idp.patch(&format!("/Users/{mira}"), replace("displayName", "Mira M.")).expect(200);
        shown("Mira M.");
        for (body, method) in [(and(user("rolf@example.com"), manager(&mira)), "PUT"), (manager(&mira), "PATCH")] {
            let changed = match method {
                "PUT" => idp.put(&path, body).expect(200),
                _ => idp.patch(&path, patch(json!([{"op": "replace", "value": body}]))).expect(200),
            };
            assert_eq!(changed[ENTERPRISE]["manager"], expected("Mira M."), "{method}");
        }
        for sub in ["$ref", "displayName"] {
            let refused = idp.patch(&path, replace(&format!("{ENTERPRISE}:manager.{sub}"), "x"));
            refused.scim_error(400, "mutability");
        }
        // Nobody has the id, or no user.
        for other in ["x", "01939e7a-5b1c-7def-8abc-0123456789ab", &team] {
            let changed = idp.put(&path, and(user("rolf@example.com"), manager(other))).expect(200);
            assert_eq!(changed[ENTERPRISE]["manager"], json!({"value": other}));
        }
        idp.put(&path, and(user("rolf@example.com"), manager(&mira))).expect(200);
        idp.delete(&format!("/Users/{mira}")).expect(204);
        assert_eq!(idp.get(&path).expect(200)[ENTERPRISE], Value::Null);
    });
}

#[test]
fn what_is_shown_can_be_asked_for() {
    for_each_app(|app| {
        let idp = app.idp();
        let mira = idp.post("/Users", named("mira@example.com", "Mira")).expect(201).id();
        let nils = idp.post("/Users", user("nils@example.com")).expect(201).id();
        idp.post("/Users", and(user("rolf@example.com"), manager(&mira))).expect(201);
        idp.post("/Users", and(user("ada@example.com"), manager(&nils))).expect(201);
        let owners =
            json!({"owners": [{"value": nils}, {"value": mira, "display": "Liar", "$ref": "x", "primary": true}]});
        let deploy = idp.post("/Agents", and(agent("deploy"), owners)).expect(201);
        let at = |id: &str| format!("{BASE}/Users/{id}");
        let expected = json!([{"value": nils, "$ref": at(&nils)},
            {"value": mira, "$ref": at(&mira), "display": "Mira", "primary": true}]);
        assert_eq!(deploy["owners"], expected);
        assert_eq!(idp.get(&format!("/Agents/{}", deploy.id())).expect(200)["owners"], expected);
        let found = |endpoint: &str, filter: &str| {
            let search = json!({"schemas": [SEARCH], "filter": filter});
            idp.post(&format!("/{endpoint}/.search"), search).expect(200)["totalResults"].clone()
        };
        for (endpoint, filter, total) in [
            ("Users", format!("{ENTERPRISE}:manager.displayName eq \"mira\""), 1),
            ("Users", format!("{ENTERPRISE}:manager.displayName pr"), 1),
            ("Users", format!("{ENTERPRISE}:manager.$ref ew \"{nils}\""), 1),
            ("Users", format!("{ENTERPRISE}:manager.$ref sw \"http://liar\""), 0),
            ("Agents", "owners[display eq \"Mira\" and primary eq true]".to_owned(), 1),
            ("Agents", "owners.display eq \"Liar\"".to_owned(), 0),
        ] {
            assert_eq!(found(endpoint, &filter), json!(total), "{filter}");
        }
        let page = idp.get("/Users?sortBy=userName&excludedAttributes=meta").expect(200);
        let names: Vec<&Value> = page["Resources"]
            .as_array()
            .unwrap()
            .iter()
            .map(|one| &one[ENTERPRISE]["manager"]["displayName"])
            .collect();
        assert_eq!(names, [&Value::Null, &Value::Null, &Value::Null, &json!("Mira")]);
    });
}
