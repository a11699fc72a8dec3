//! What the server says about itself (RFC 7644 §4).

use insta::assert_snapshot;
use keyroll::scim::tolerance::Dialect;
use serde_json::{Value, json};

use crate::support::app::*;

const PATHS: [&str; 4] = ["/ServiceProviderConfig", "/ServiceProviderConfigs", "/Schemas", "/ResourceTypes"];

#[test]
fn anybody_may_ask_but_a_bad_key_is_refused() {
    for_each_app(|app| {
        for path in PATHS {
            let open = app.anonymous().get(path).expect(200);
            assert_eq!(open.header("content-type"), "application/scim+json");
            assert_eq!(app.admin().get(path).expect(200).text, open.text, "{path}");
            assert_eq!(app.idp().get(path).expect(200).text, open.text, "{path}");
            let bad = app.with_key("kru_000000000000_no").get(path);
            assert_eq!(bad.scim_error(401, ""), "the key is not valid");
            assert!(bad.header("www-authenticate").contains("error=\"invalid_token\""), "{bad}");
        }
    });
}

/// scim2-001.
#[test]
fn a_client_that_refuses_members_of_drafts_is_not_sent_any() {
    let app = TestApp::sqlite();
    let ask = |client: &Actor<'_>, agent: &str| {
        let headers = [("user-agent", agent)];
        let answer = client.send("GET", "/ServiceProviderConfig", &headers, "").expect(200);
        (answer.body.get("RolesAndEntitlements").is_some(), answer.header("keyroll-tolerance").to_owned())
    };
    let (told, spared) = ((true, String::new()), (false, "scim2-001".to_owned()));
    assert_eq!(ask(&app.idp(), "python-httpx2/2.16.2"), spared);
    assert_eq!(ask(&app.connect(Dialect::Rfc), "python-httpx2/2.16.2"), spared);
    assert_eq!(ask(&app.idp(), "python-httpx/0.28.1"), told);
    assert_eq!(ask(&app.connect(Dialect::Entra), "python-httpx2/2.16.2"), told);
    assert_eq!(ask(&app.anonymous(), "python-httpx2/2.16.2"), told);
}

#[test]
fn a_strict_connection_conforms_to_the_profile() {
    let app = TestApp::sqlite();
    let strict = app.connect(Dialect::Strict);
    let config = strict.get("/ServiceProviderConfig").expect(200);
    assert_eq!(config["interopProfileConformant"], json!(true));
    assert_eq!(app.idp().get("/ServiceProviderConfig").expect(200)["interopProfileConformant"], Value::Null);
}

#[test]
fn the_features() {
    let app = TestApp::sqlite();
    assert_snapshot!(app.anonymous().get("/ServiceProviderConfig"), @r#"
        200
        {
          "schemas": ["urn:ietf:params:scim:schemas:core:2.0:ServiceProviderConfig"],
          "patch": {"supported":true},
          "bulk": {"supported":true,"maxOperations":1000,"maxPayloadSize":16777216},
          "filter": {"supported":true,"maxResults":1000},
          "changePassword": {"supported":false},
          "sort": {"supported":true},
          "etag": {"supported":true},
          "pagination": {
            "cursor": true,
            "index": true,
            "defaultPaginationMethod": "index",
            "defaultPageSize": 100,
            "maxPageSize": 1000,
            "cursorTimeout": 3600
          },
          "authenticationSchemes": [
            {
              "type": "oauthbearertoken",
              "name": "Bearer token",
              "description": "A key or an access token in the Authorization header",
              "specUri": "https://www.rfc-editor.org/info/rfc6750",
              "primary": true
            }
          ],
          "RolesAndEntitlements": {
            "roles": {
              "supported": true,
              "multipleRolesSupported": true,
              "primarySupported": true,
              "typeSupported": false
            },
            "entitlements": {
              "supported": true,
              "multipleEntitlementsSupported": true,
              "primarySupported": true,
              "typeSupported": true
            }
          },
          "meta": {
            "resourceType": "ServiceProviderConfig",
            "location": "https://keyroll.example/scim/v2/ServiceProviderConfig"
          }
        }
        "#);
    let aliased = app.anonymous().get("/ServiceProviderConfigs").expect(200);
    assert_eq!(aliased.text, app.anonymous().get("/ServiceProviderConfig").expect(200).text);
}

#[test]
fn a_resource_type() {
    let app = TestApp::sqlite();
    assert_snapshot!(app.anonymous().get("/ResourceTypes/User"), @r#"
        200
        {
          "schemas": ["urn:ietf:params:scim:schemas:core:2.0:ResourceType"],
          "id": "User",
          "name": "User",
          "description": "User Account",
          "endpoint": "/Users",
          "schema": "urn:ietf:params:scim:schemas:core:2.0:User",
          "schemaExtensions": [
            {
              "schema": "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User",
              "required": false
            }
          ],
          "meta": {
            "resourceType": "ResourceType",
            "location": "https://keyroll.example/scim/v2/ResourceTypes/User"
          }
        }
        "#);
}

#[test]
fn limits_are_those_that_hold() {
    let app = TestApp::with(None, |settings| {
        settings.limits.bulk_operations_max = 7;
        settings.limits.body_bytes_max = 5_000;
        settings.limits.page_size_max = 9;
        settings.limits.page_size_default = 3;
        settings.limits.cursor_timeout_seconds = 60;
    });
    let config = app.anonymous().get("/ServiceProviderConfig").expect(200);
    assert_eq!(config["bulk"], json!({"supported": true, "maxOperations": 7, "maxPayloadSize": 5_000}));
    assert_eq!(config["filter"], json!({"supported": true, "maxResults": 9}));
    let paging = &config["pagination"];
    assert_eq!(
        (&paging["maxPageSize"], &paging["defaultPageSize"], &paging["cursorTimeout"]),
        (&json!(9), &json!(3), &json!(60))
    );
}

#[test]
fn every_schema_of_a_type_is_published() {
    let app = TestApp::sqlite();
    let all = app.anonymous().get("/Schemas").expect(200);
    assert_eq!(all["totalResults"], json!(all.each("id").len()));
    let types = app.anonymous().get("/ResourceTypes").expect(200);
    assert_eq!(types.each("name"), ["User", "Agent", "Group"]);
    for one in types["Resources"].as_array().unwrap() {
        let extensions = one["schemaExtensions"].as_array().unwrap().iter().map(|extension| &extension["schema"]);
        for urn in std::iter::once(&one["schema"]).chain(extensions).map(|urn| urn.as_str().unwrap()) {
            assert!(all.each("id").contains(&urn));
            for spelling in [urn.to_owned(), urn.to_uppercase(), urn.replace(':', "%3A")] {
                let schema = app.anonymous().get(&format!("/Schemas/{spelling}")).expect(200);
                assert_eq!(schema.id(), urn);
                assert_eq!(schema["meta"]["resourceType"], json!("Schema"));
                assert_eq!(schema["meta"]["location"], json!(format!("https://keyroll.example/scim/v2/Schemas/{urn}")));
            }
        }
        let name = one["name"].as_str().unwrap();
        assert_eq!(&app.anonymous().get(&format!("/ResourceTypes/{name}")).expect(200).body, one);
    }
    app.anonymous().get("/Schemas/urn:example:x").scim_error(404, "");
    app.anonymous().get("/ResourceTypes/Device").scim_error(404, "");
}

#[test]
fn parameters_are_ignored_but_a_filter_is_refused() {
    let app = TestApp::sqlite();
    for path in PATHS {
        let plain = app.anonymous().get(path).expect(200);
        let asked = format!("{path}?attributes=id&startIndex=2&count=1&sortBy=id&excludedAttributes=meta");
        assert_eq!(app.anonymous().get(&asked).expect(200).text, plain.text, "{path}");
        for name in ["filter", "Filter"] {
            let refused = app.anonymous().get(&format!("{path}?{name}=id%20pr"));
            assert_eq!(refused.scim_error(403, ""), "discovery cannot be filtered (RFC 7644 §4)");
        }
    }
}

#[test]
fn nothing_writes_here() {
    let app = TestApp::sqlite();
    for path in PATHS
        .iter()
        .map(|path| (*path).to_owned())
        .chain([format!("/Schemas/{USER}"), "/ResourceTypes/User".to_owned()])
    {
        for method in ["POST", "PUT", "PATCH", "DELETE"] {
            for (kind, body) in [("application/scim+json", "{}"), ("text/plain", "not JSON"), ("application/json", "")]
            {
                let refused = app.idp().send(method, &path, &[("content-type", kind)], body);
                refused.scim_error(405, "");
                assert!(refused.header("allow").contains("GET"), "{method} {path}");
            }
        }
    }
}
