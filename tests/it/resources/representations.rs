//! How resources are shown, whole and in part.

use chrono::TimeDelta;
use insta::assert_snapshot;
use serde_json::json;

use crate::support::app::*;

#[test]
fn representations() {
    for_each_app(|app| {
        let idp = app.idp();
        let body = and(
            user("mira@example.com"),
            json!({"name": {"givenName": "Mira", "familyName": "Holt"},
                "emails": [{"value": "mira@example.com", "type": "work", "primary": true}],
                ENTERPRISE: {"employeeNumber": "7"}}),
        );
        let mira = idp.post("/Users", body).expect(201).id();
        idp.post("/Groups", and(group("team", &[&mira]), json!({"externalId": "g1"}))).expect(201);
        app.clock.advance(TimeDelta::minutes(1));
        assert_snapshot!(idp.get(&format!("/Users/{mira}")), @r#"
            200
            content-location: https://keyroll.example/scim/v2/Users/019b8d62-7a80-7000-8000-000000000008
            etag: W/"1"
            {
              "schemas": [
                "urn:ietf:params:scim:schemas:core:2.0:User",
                "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"
              ],
              "userName": "mira@example.com",
              "name": {"familyName":"Holt","givenName":"Mira"},
              "active": true,
              "emails": [{"value":"mira@example.com","type":"work","primary":true}],
              "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User": {"employeeNumber":"7"},
              "id": "019b8d62-7a80-7000-8000-000000000008",
              "groups": [
                {
                  "value": "019b8d62-7a80-7000-8000-000000000009",
                  "$ref": "https://keyroll.example/scim/v2/Groups/019b8d62-7a80-7000-8000-000000000009",
                  "display": "team",
                  "type": "direct"
                }
              ],
              "meta": {
                "resourceType": "User",
                "created": "2026-01-05T09:00:00.000Z",
                "lastModified": "2026-01-05T09:00:00.000Z",
                "location": "https://keyroll.example/scim/v2/Users/019b8d62-7a80-7000-8000-000000000008",
                "version": "W/\"1\""
              }
            }
            "#);
    });
}

#[test]
fn the_representation_of_an_agent() {
    for_each_app(|app| {
        let idp = app.idp();
        let mira = idp.post("/Users", user("mira@example.com")).expect(201).id();
        app.clock.advance(TimeDelta::minutes(1));
        let agent = and(agent("deploy"), json!({"owners": [{"value": mira}], "description": "ships"}));
        assert_snapshot!(idp.post("/Agents", agent), @r#"
            201
            etag: W/"1"
            location: https://keyroll.example/scim/v2/Agents/019b8d63-64e0-7000-8000-000000000009
            {
              "schemas": ["urn:ietf:params:scim:schemas:core:2.0:Agent"],
              "name": "deploy",
              "description": "ships",
              "active": true,
              "owners": [
                {
                  "value": "019b8d62-7a80-7000-8000-000000000008",
                  "$ref": "https://keyroll.example/scim/v2/Users/019b8d62-7a80-7000-8000-000000000008"
                }
              ],
              "id": "019b8d63-64e0-7000-8000-000000000009",
              "meta": {
                "resourceType": "Agent",
                "created": "2026-01-05T09:01:00.000Z",
                "lastModified": "2026-01-05T09:01:00.000Z",
                "location": "https://keyroll.example/scim/v2/Agents/019b8d63-64e0-7000-8000-000000000009",
                "version": "W/\"1\""
              }
            }
            "#);
    });
}

#[test]
fn projections() {
    for_each_app(|app| {
        let idp = app.idp();
        let body = and(
            user("mira@example.com"),
            json!({"name": {"givenName": "Mira", "familyName": "Holt"},
                "emails": [{"value": "mira@example.com", "type": "work", "primary": true}],
                ENTERPRISE: {"employeeNumber": "7"}}),
        );
        let mira = idp.post("/Users", body).expect(201).id();
        assert_snapshot!(idp.get(&format!("/Users/{mira}?attributes=userName,emails.value")), @r#"
            200
            content-location: https://keyroll.example/scim/v2/Users/019b8d62-7a80-7000-8000-000000000008
            etag: W/"1"
            {
              "schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"],
              "userName": "mira@example.com",
              "emails": [{"value":"mira@example.com"}],
              "id": "019b8d62-7a80-7000-8000-000000000008"
            }
            "#);
        assert_snapshot!(idp.get(&format!("/Users/{mira}?excludedAttributes=meta,{ENTERPRISE},groups,name.givenName,id")), @r#"
            200
            content-location: https://keyroll.example/scim/v2/Users/019b8d62-7a80-7000-8000-000000000008
            etag: W/"1"
            {
              "schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"],
              "userName": "mira@example.com",
              "name": {"familyName":"Holt"},
              "active": true,
              "emails": [{"value":"mira@example.com","type":"work","primary":true}],
              "id": "019b8d62-7a80-7000-8000-000000000008"
            }
            "#);
    });
}
