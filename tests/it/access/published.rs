//! `/Roles` and `/Entitlements`: the catalogue as identity providers read it, and nobody writes it there.

use insta::assert_snapshot;
use keyroll::scim::tolerance::Dialect;
use keyroll::service::keys::Owner;
use serde_json::json;

use super::catalogue::billing;
use crate::support::app::*;

/// Two roles beside the built-in ones, one inside the other, and what makes one of them assertable.
fn catalogue(app: &TestApp) {
    billing(app);
    let clerk = json!({"name": "clerk", "description": "Books invoices.", "includes": ["billing.viewer"],
        "assertable_by": ["default"]});
    app.admin().post("/v1/roles", clerk).expect(201);
    for (attribute, value) in [("roles", "Clerk"), ("entitlements", "billing:invoices:read"), ("roles", "other")] {
        let source = json!({"asserted": {"attribute": attribute, "value": value}});
        app.admin().post("/v1/mappings", json!({"role": "clerk", "source": source})).expect(201);
    }
}

#[test]
fn a_role_and_an_entitlement() {
    for_each_app(|app| {
        catalogue(app);
        assert_snapshot!(app.idp().get("/Roles/billing.viewer"), @r#"
        200
        content-location: https://keyroll.example/scim/v2/Roles/billing.viewer
        {
          "schemas": ["urn:ietf:params:scim:schemas:core:2.0:Role"],
          "id": "billing.viewer",
          "value": "billing.viewer",
          "display": "billing.viewer",
          "supported": false,
          "limitedAssignmentsPermitted": false,
          "containedBy": ["clerk"],
          "meta": {
            "resourceType": "Role",
            "location": "https://keyroll.example/scim/v2/Roles/billing.viewer"
          }
        }
        "#);
        assert_snapshot!(app.idp().get("/Roles/clerk"), @r#"
        200
        content-location: https://keyroll.example/scim/v2/Roles/clerk
        {
          "schemas": ["urn:ietf:params:scim:schemas:core:2.0:Role"],
          "id": "clerk",
          "value": "clerk",
          "display": "Books invoices.",
          "supported": true,
          "limitedAssignmentsPermitted": false,
          "contains": ["billing.viewer"],
          "meta": {"resourceType":"Role","location":"https://keyroll.example/scim/v2/Roles/clerk"}
        }
        "#);
        assert_snapshot!(app.idp().get("/Entitlements/billing:invoices:read"), @r#"
        200
        content-location: https://keyroll.example/scim/v2/Entitlements/billing:invoices:read
        {
          "schemas": ["urn:ietf:params:scim:schemas:core:2.0:Entitlement"],
          "id": "billing:invoices:read",
          "value": "billing:invoices:read",
          "display": "billing:invoices:read",
          "type": "billing",
          "supported": true,
          "limitedAssignmentsPermitted": false,
          "meta": {
            "resourceType": "Entitlement",
            "location": "https://keyroll.example/scim/v2/Entitlements/billing:invoices:read"
          }
        }
        "#);
        let encoded = app.idp().get("/Entitlements/billing%3Ainvoices%3Aread?attributes=value").expect(200);
        assert_eq!(
            encoded.body,
            json!({"schemas": ["urn:ietf:params:scim:schemas:core:2.0:Entitlement"], "id": "billing:invoices:read",
                "value": "billing:invoices:read"})
        );
        for path in ["/Roles/none", "/Roles/Clerk", "/Entitlements/billing:invoices:write", "/Roles/clerk/x"] {
            app.idp().get(path).scim_error(404, "");
        }
    });
}

#[test]
fn supported_is_what_takes_effect() {
    for_each_app(|app| {
        catalogue(app);
        let other = app.connect(Dialect::Okta);
        let supported = |actor: &Actor<'_>, path: &str| actor.get(path).expect(200)["supported"].clone();
        for (path, default) in [
            ("/Roles/clerk", true),
            // What comes with an assertable role does not become assertable by its own name.
            ("/Roles/billing.viewer", false),
            ("/Roles/keyroll.admin", false),
            ("/Entitlements/billing:invoices:read", true),
            ("/Entitlements/keyroll:users:read", false),
        ] {
            assert_eq!(supported(&app.idp(), path), json!(default), "{path}");
            assert_eq!(supported(&app.admin(), path), json!(default), "{path}");
            assert_eq!(supported(&other, path), json!(false), "{path}");
        }
        // And it is: the value in whatever case, from that connection alone.
        for (idp, attribute, value, expected) in [
            (&app.idp(), "roles", "clerk", json!(["billing:invoices:read"])),
            (&app.idp(), "entitlements", "BILLING:invoices:read", json!(["billing:invoices:read"])),
            (&app.idp(), "roles", "billing.viewer", json!([])),
            (&other, "roles", "clerk", json!([])),
        ] {
            let name = format!("{}@example.com", app.log().len());
            let id = idp.post("/Users", and(user(&name), json!({attribute: [{"value": value}]}))).expect(201).id();
            let access = app.admin().get(&format!("/v1/users/{id}/access")).expect(200);
            assert_eq!(access["permissions"], expected, "{attribute} {value}");
        }
    });
}

#[test]
fn lists_are_searched_like_all_others() {
    for_each_app(|app| {
        catalogue(app);
        let idp = app.idp();
        let all =
            ["billing.viewer", "clerk", "keyroll.admin", "keyroll.auditor", "keyroll.provisioner", "keyroll.service"];
        let list = idp.get("/Roles").expect(200);
        assert_eq!(
            (list.each("id"), &list["totalResults"], &list["itemsPerPage"]),
            (all.to_vec(), &json!(6), &json!(6))
        );
        for (filter, expected) in [
            ("value eq \"CLERK\"", &all[1..2]),
            ("value sw \"keyroll.\"", &all[2..]),
            ("supported eq true", &all[1..2]),
            ("contains eq \"billing.viewer\"", &all[1..2]),
            ("not (containedBy pr) and value co \"e\" and display co \"everything\"", &all[2..4]),
            ("id eq \"Clerk\"", &[]),
            ("urn:ietf:params:scim:schemas:core:2.0:Role:value eq \"clerk\"", &all[1..2]),
            ("meta.resourceType eq \"Role\" and externalId pr", &[]),
        ] {
            let found = idp.get(&format!("/Roles?filter={}", encode(filter))).expect(200);
            assert_eq!(found.each("value"), expected, "{filter}");
            let search = json!({"schemas": [SEARCH], "filter": filter});
            assert_eq!(idp.post("/Roles/.search", search).expect(200).body, found.body);
        }
        let page =
            idp.get("/Roles?startIndex=2&count=2&attributes=value&sortBy=value&sortOrder=descending").expect(200);
        assert_snapshot!(page, @r#"
        200
        {
          "schemas": ["urn:ietf:params:scim:api:messages:2.0:ListResponse"],
          "totalResults": 6,
          "startIndex": 2,
          "itemsPerPage": 2,
          "Resources": [
            {
              "schemas": ["urn:ietf:params:scim:schemas:core:2.0:Role"],
              "id": "keyroll.provisioner",
              "value": "keyroll.provisioner"
            },
            {
              "schemas": ["urn:ietf:params:scim:schemas:core:2.0:Role"],
              "id": "keyroll.auditor",
              "value": "keyroll.auditor"
            }
          ]
        }
        "#);
        // Those without a description show their name.
        assert_eq!(idp.get("/Roles?sortBy=display&count=2").expect(200).each("value"), ["billing.viewer", "clerk"]);
        assert_eq!(idp.get("/Roles?sortBy=contains&count=1").expect(200).each("value"), ["clerk"]);
        assert_eq!(idp.get("/Roles?count=0").expect(200)["totalResults"], json!(6));
        let permissions = idp.get("/Entitlements?filter=type%20eq%20%22billing%22&excludedAttributes=meta").expect(200);
        assert_eq!(permissions.each("value"), ["billing:invoices:read"]);
        assert_eq!(permissions["Resources"][0].get("meta"), None);
        assert!(idp.get("/Entitlements").expect(200).each("value").contains(&"keyroll:entitlements:read"));
        for (query, scim_type) in [
            ("filter=userName%20pr", "invalidFilter"),
            ("filter=value%20eq", "invalidFilter"),
            ("sortBy=userName", "invalidValue"),
            ("cursor=x", "invalidCursor"),
            ("attributes=id&excludedAttributes=meta", "invalidValue"),
        ] {
            idp.get(&format!("/Roles?{query}")).scim_error(400, scim_type);
        }
    });
}

#[test]
fn a_cursor_goes_on_where_it_was() {
    for_each_app(|app| {
        catalogue(app);
        let (idp, admin) = (app.idp(), app.admin());
        for query in ["", "&sortBy=display", "&sortBy=supported&sortOrder=descending", "&filter=value%20co%20%22e%22"] {
            let whole = idp.get(&format!("/Roles?count=100{query}")).expect(200);
            let (mut seen, mut cursor) = (vec![], String::new());
            loop {
                let page = idp.get(&format!("/Roles?count=2{query}&cursor={cursor}")).expect(200);
                seen.extend(page.each("value").into_iter().map(str::to_owned));
                match page["nextCursor"].as_str() {
                    Some(next) => cursor = next.to_owned(),
                    None => break,
                }
            }
            assert_eq!(seen, whole.each("value"), "{query}");
        }
        // What comes and goes between two pages neither hides nor repeats another.
        let first = idp.get("/Roles?count=3&cursor=").expect(200);
        let next = first["nextCursor"].as_str().unwrap().to_owned();
        admin.post("/v1/roles", json!({"name": "a"})).expect(201);
        admin.post("/v1/roles", json!({"name": "z"})).expect(201);
        let rest = idp.get(&format!("/Roles?count=3&cursor={next}")).expect(200);
        assert_eq!(rest.each("value"), ["keyroll.auditor", "keyroll.provisioner", "keyroll.service"]);
        // It belongs to its query and its list.
        idp.get(&format!("/Entitlements?count=3&cursor={next}")).scim_error(400, "invalidCursor");
        idp.get(&format!("/Roles?count=3&sortBy=id&cursor={next}")).scim_error(400, "invalidCursor");
    });
}

#[test]
fn it_is_published_and_listed_nowhere_else() {
    for_each_app(|app| {
        catalogue(app);
        let config = app.anonymous().get("/ServiceProviderConfig").expect(200);
        assert_eq!(config["RolesAndEntitlements"]["roles"]["supported"], json!(true));
        let types = app.anonymous().get("/ResourceTypes").expect(200);
        assert_eq!(types.each("name"), ["User", "Agent", "Group"]);
        app.anonymous().get("/ResourceTypes/Role").scim_error(404, "");
        assert_eq!(app.idp().get("?filter=value%20pr").expect(200)["totalResults"], json!(0));
        // The schemas name every attribute that is sent, and no other.
        for (path, urn) in [("/Roles", "core:2.0:Role"), ("/Entitlements", "core:2.0:Entitlement")] {
            let schema = app.anonymous().get(&format!("/Schemas/urn:ietf:params:scim:schemas:{urn}")).expect(200);
            let attributes = schema["attributes"].as_array().unwrap();
            let published: std::collections::BTreeSet<&str> =
                attributes.iter().map(|attribute| attribute["name"].as_str().unwrap()).collect();
            let list = app.idp().get(path).expect(200);
            let resources = list["Resources"].as_array().unwrap().iter();
            let sent: std::collections::BTreeSet<&str> = resources
                .flat_map(|one| one.as_object().unwrap().keys().map(String::as_str))
                .filter(|name| !["schemas", "id", "meta"].contains(name))
                .collect();
            assert_eq!(sent, published);
            assert!(attributes.iter().all(|attribute| attribute["mutability"] == json!("readOnly")));
        }
    });
}

#[test]
fn who_reads_it_and_that_nobody_writes_it() {
    for_each_app(|app| {
        catalogue(app);
        let before = app.log().len();
        for (path, id) in [("/Roles", "clerk"), ("/Entitlements", "billing:invoices:read")] {
            for target in [path.to_owned(), format!("{path}/{id}")] {
                app.anonymous().get(&target).scim_error(401, "");
                app.idp().send("HEAD", &target, &[], "").expect(200);
                for method in ["POST", "PUT", "PATCH", "DELETE"] {
                    for actor in [app.idp(), app.admin()] {
                        let refused = actor.send(method, &target, &[], "{}");
                        refused.scim_error(405, "");
                        assert_eq!(refused.header("allow"), "GET, HEAD", "{method} {target}");
                    }
                }
            }
            let job = bulk(json!([{"method": "DELETE", "path": format!("{path}/{id}")},
                {"method": "POST", "path": path, "bulkId": "a", "data": {"value": "x"}}]));
            let done = app.idp().post("/Bulk", job).expect(200);
            for operation in done["Operations"].as_array().unwrap() {
                assert_eq!(
                    (&operation["status"], &operation["response"]["scimType"]),
                    (&json!("400"), &json!("invalidSyntax"))
                );
            }
        }
        assert_eq!(app.log().len(), before);
        for (grant, roles, entitlements) in [
            ("keyroll:roles:read", 200, 403),
            ("keyroll:entitlements:read", 403, 200),
            ("keyroll:users:read", 403, 403),
        ] {
            let actor = app.with_key(&app.issue_on_host(Owner::Operator, &[grant]));
            let statuses = ["/Roles", "/Roles/clerk", "/Entitlements"].map(|path| actor.get(path).status);
            assert_eq!(statuses, [roles, roles, entitlements], "{grant}");
        }
        // A provisioning key reads it here and not as admins do, and writes neither.
        app.idp().get("/v1/roles").problem(403, "forbidden");
        app.idp().post("/v1/roles", json!({"name": "x"})).problem(403, "forbidden");
        let (theirs, _) = app.tenant("second");
        assert_eq!(theirs.get("/Roles?filter=value%20eq%20%22clerk%22").expect(200)["totalResults"], json!(0));
        theirs.get("/Roles/clerk").scim_error(404, "");
    });
}
