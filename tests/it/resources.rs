//! Users, groups and agents: create, read, replace, delete.

use chrono::TimeDelta;
use insta::assert_snapshot;
use keyroll::scim::tolerance::Dialect;
use serde_json::{Value, json};

use crate::support::app::*;

#[test]
fn a_resource_has_one_place_and_one_version() {
    for_each_app(|app| {
        let idp = app.idp();
        for (endpoint, body) in
            [("Users", user("mira@example.com")), ("Groups", group("team", &[])), ("Agents", agent("deploy"))]
        {
            let created = idp.post(&format!("/{endpoint}"), body.clone()).expect(201);
            let place = format!("https://keyroll.example/scim/v2/{endpoint}/{}", created.id());
            assert_eq!(created.header("location"), place);
            assert_eq!(created.header("content-type"), "application/scim+json");
            assert_eq!(created["meta"]["location"], json!(place));
            assert_eq!(created["meta"]["version"], json!(created.header("etag")));
            assert_eq!(created["meta"]["created"], created["meta"]["lastModified"]);

            let path = format!("/{endpoint}/{}", created.id());
            let read = idp.get(&path).expect(200);
            assert_eq!(read.body, created.body);
            assert_eq!((read.header("etag"), read.header("content-location")), ("W/\"1\"", place.as_str()));
            let head = idp.send("HEAD", &path, &[], "").expect(200);
            assert_eq!((head.header("etag"), head.header("content-location")), ("W/\"1\"", place.as_str()));

            app.clock.advance(TimeDelta::seconds(1));
            let name = if endpoint == "Groups" { "team two" } else { "a name" };
            let changed = idp.put(&path, and(body, json!({"displayName": name}))).expect(200);
            assert_eq!((changed.header("etag"), &changed["displayName"]), ("W/\"2\"", &json!(name)));
            assert_eq!(changed["meta"]["created"], created["meta"]["created"]);
            assert_ne!(changed["meta"]["lastModified"], created["meta"]["lastModified"]);
            assert_eq!(idp.get(&path).expect(200).body, changed.body);

            assert_eq!(idp.delete(&path).expect(204).text, "");
            for method in ["GET", "HEAD", "PUT", "PATCH", "DELETE"] {
                let body =
                    if method == "PUT" { json!({"schemas": [USER, GROUP, AGENT]}) } else { replace("title", "x") };
                let body = if matches!(method, "PUT" | "PATCH") { body.to_string() } else { String::new() };
                let body = match (method, endpoint) {
                    ("PUT", "Users") => user("x@example.com").to_string(),
                    ("PUT", "Groups") => group("x", &[]).to_string(),
                    ("PUT", _) => agent("x").to_string(),
                    ("PATCH", _) => replace("displayName", "x").to_string(),
                    _ => body,
                };
                idp.send(method, &path, &[], body).scim_error(404, "");
            }
        }
    });
}

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

#[test]
fn other_spellings_of_an_id_are_other_ids() {
    let app = TestApp::sqlite();
    let idp = app.idp();
    let id = idp.post("/Users", user("mira@example.com")).expect(201).id();
    let spellings = [
        id.to_uppercase(),
        id.replace('-', ""),
        format!("%7B{id}%7D"),
        format!("urn:uuid:{id}"),
        format!("{id}%20"),
        format!("%20{id}"),
        format!("{id}%00"),
        format!("{id}.scim"),
        format!("{}%C3%BC", &id[..35]),
        "operator".to_owned(),
        "%2e%2e".to_owned(),
        "bulkId:1".to_owned(),
        app.id(1000),
    ];
    for spelling in spellings {
        let answer = idp.get(&format!("/Users/{spelling}"));
        assert_eq!(answer.scim_error(404, ""), "not found", "{spelling}");
        assert_eq!((answer.header("etag"), answer.header("location")), ("", ""));
    }
    // The right id under the wrong type is nobody, too; a slash at the end is not part of it.
    idp.get(&format!("/Groups/{id}")).scim_error(404, "");
    // In which letters the endpoint is written does not matter; those of the id do.
    idp.get(&format!("/users/{id}")).expect(200);
    idp.get(&format!("/Users/{id}/")).expect(200);
    idp.get(&format!("/Users/%{:02x}{}", id.as_bytes()[0], &id[1..])).expect(200);
}

#[test]
fn what_is_read_only_is_ignored() {
    for_each_app(|app| {
        let idp = app.idp();
        let lies = json!({"id": "mine", "meta": {"version": "W/\"9\"", "created": "1999-01-01T00:00:00Z"},
            "groups": [{"value": "x"}]});
        let created = idp.post("/Users", and(user("mira@example.com"), lies.clone())).expect(201);
        assert_eq!(created.header("keyroll-tolerance"), "");
        assert_eq!(created.id(), app.id(8));
        assert_eq!((&created["groups"], created.header("etag")), (&Value::Null, "W/\"1\""));
        let path = format!("/Users/{}", created.id());
        let replaced = idp.put(&path, and(user("mira@example.com"), lies)).expect(200);
        assert_eq!(replaced.body, created.body);
        let manager = json!({ENTERPRISE: {"manager": {"value": created.id(), "displayName": "a lie"}}});
        let report = idp.post("/Users", and(user("rolf@example.com"), manager)).expect(201);
        assert_eq!(report[ENTERPRISE]["manager"]["displayName"], Value::Null);
    });
}

#[test]
fn the_unknown_is_dropped_and_named() {
    for_each_app(|app| {
        let idp = app.idp();
        let odd =
            and(user("mira@example.com"), json!({"password": "s3cret", "urn:example:x": {"a": 1}, "shoeSize": 43}));
        let created = idp.post("/Users", odd).expect(201);
        assert_eq!(created.header("keyroll-tolerance"), "entra-009, auto-001");
        assert!(!created.text.contains("s3cret") && !created.text.contains("shoeSize"));
        let strict = app.connect(Dialect::Strict);
        let refused = strict.post("/Users", and(user("rolf@example.com"), json!({"shoeSize": 43})));
        assert_eq!(refused.scim_error(400, "invalidSyntax"), "shoeSize: User has no such attribute");
    });
}

#[test]
fn reserved_names_are_taken() {
    for_each_app(|app| {
        let idp = app.idp();
        let reserved = "userName: names that start with keyroll: are reserved";
        for name in ["keyroll:operator", "Keyroll:x", "KEYROLL:", "ｋｅｙｒｏｌｌ:x", " keyroll:x"] {
            assert_eq!(idp.post("/Users", user(name)).scim_error(409, "uniqueness"), reserved, "{name}");
        }
        let id = idp.post("/Users", user("mira@example.com")).expect(201).id();
        let path = format!("/Users/{id}");
        assert_eq!(idp.patch(&path, replace("userName", "keyroll:x")).scim_error(409, "uniqueness"), reserved);
        assert_eq!(idp.put(&path, user("keyroll:x")).scim_error(409, "uniqueness"), reserved);
        idp.post("/Users", user("keyrollx")).expect(201);
        assert_eq!(app.actions(), ["user.created", "user.created"]);
    });
}

#[test]
fn names_are_unique_whatever_their_case_and_width() {
    for_each_app(|app| {
        let idp = app.idp();
        let id = idp.post("/Users", user("José@example.com")).expect(201).id();
        for same in ["josé@example.com", "JOSÉ@EXAMPLE.COM", "Jose\u{301}@example.com", "ｊosé@example.com"] {
            let refused = idp.post("/Users", user(same));
            let told = format!("userName: the value is taken by {id}");
            assert_eq!(refused.scim_error(409, "uniqueness"), told, "{same}");
        }
        let other = idp.post("/Users", user("jose@example.com")).expect(201).id();
        let path = format!("/Users/{other}");
        idp.patch(&path, replace("userName", "JOSÉ@example.com")).scim_error(409, "uniqueness");
        idp.put(&path, user("josé@example.com")).scim_error(409, "uniqueness");
        // One's own name in another spelling is a change of one's own.
        let respelled = idp.patch(&format!("/Users/{id}"), replace("userName", "JOSÉ@example.com")).expect(200);
        assert_eq!(respelled["userName"], json!("JOSÉ@example.com"));
        // A name that was given up is free.
        idp.patch(&format!("/Users/{id}"), replace("userName", "pepe@example.com")).expect(200);
        idp.post("/Users", user("josé@example.com")).expect(201);

        idp.post("/Groups", group("Team", &[])).expect(201);
        idp.post("/Groups", group("TEAM", &[])).scim_error(409, "uniqueness");
        idp.post("/Agents", agent("Deploy")).expect(201);
        idp.post("/Agents", agent("deploy")).scim_error(409, "uniqueness");
        let okta = app.connect(Dialect::Okta);
        okta.post("/Groups", group("team", &[])).expect(201);
        okta.post("/Users", user("PEPE@example.com")).scim_error(409, "uniqueness");
    });
}

#[test]
fn external_ids_belong_to_a_connection_and_a_type() {
    for_each_app(|app| {
        let idp = app.idp();
        let named = |name: &str, external_id: &str| and(user(name), json!({"externalId": external_id}));
        let mira = idp.post("/Users", named("mira@example.com", "7")).expect(201).id();
        idp.post("/Groups", and(group("team", &[]), json!({"externalId": "7"}))).expect(201);
        let rolf = idp.post("/Users", named("rolf@example.com", "8")).expect(201).id();
        // Letter case counts.
        idp.post("/Users", named("ada@example.com", "A")).expect(201);
        idp.post("/Users", named("bea@example.com", "a")).expect(201);

        let okta = app.connect(Dialect::Okta);
        okta.post("/Users", named("otto@example.com", "7")).expect(201);
        assert_eq!(okta.get(&format!("/Users/{mira}")).expect(200)["externalId"], Value::Null);
        assert_eq!(idp.get(&format!("/Users/{mira}")).expect(200)["externalId"], json!("7"));
        let cleared = idp.patch(&format!("/Users/{mira}"), remove("externalId")).expect(200);
        assert_eq!((&cleared["externalId"], cleared.header("etag")), (&Value::Null, "W/\"2\""));
        idp.patch(&format!("/Users/{rolf}"), replace("externalId", "7")).expect(200);
        let put = idp.put(&format!("/Users/{rolf}"), user("rolf@example.com")).expect(200);
        assert_eq!(put["externalId"], Value::Null);
    });
}

#[test]
fn a_connection_writes_its_own_resources_only() {
    for_each_app(|app| {
        let (idp, okta) = (app.idp(), app.connect(Dialect::Okta));
        let mira = idp.post("/Users", user("mira@example.com")).expect(201).id();
        let path = format!("/Users/{mira}");
        assert_eq!(okta.get(&path).expect(200)["userName"], json!("mira@example.com"));
        let rule = "connection okta did not create this resource: it must adopt it before it may write it";
        for answer in
            [okta.patch(&path, replace("title", "x")), okta.put(&path, user("x@example.com")), okta.delete(&path)]
        {
            assert_eq!(answer.scim_error(403, ""), rule);
        }
        assert_eq!(idp.get(&path).expect(200).header("etag"), "W/\"1\"");
    });
}

#[test]
fn local_principals_are_no_resources() {
    for_each_app(|app| {
        let (idp, admin) = (app.idp(), app.admin());
        let people = admin.get("/v1/users").expect(200);
        let locals: Vec<(&str, &str)> = people["users"]
            .as_array()
            .unwrap()
            .iter()
            .map(|one| (one["type"].as_str().unwrap(), one["id"].as_str().unwrap()))
            .collect();
        assert_eq!(locals.iter().map(|(kind, _)| *kind).collect::<Vec<_>>(), ["user", "agent"]);
        for (kind, id) in locals {
            let path = if kind == "user" { format!("/Users/{id}") } else { format!("/Agents/{id}") };
            for answer in
                [idp.get(&path), idp.delete(&path), idp.patch(&path, replace("active", false)), admin.get(&path)]
            {
                answer.scim_error(404, "");
            }
            let team = idp.post("/Groups", group(id, &[id])).expect(201);
            assert_eq!((team.members(), team.header("keyroll-tolerance")), (vec![], "auto-007"));
        }
        admin.get("/Me").scim_error(404, "");
        let (of, about) = (admin.post("/v1/users/operator/suspend", json!({})), admin.delete("/v1/users/operator"));
        of.problem(409, "local_principal");
        about.problem(409, "local_principal");
    });
}

#[test]
fn each_kind_of_key_has_its_door() {
    for_each_app(|app| {
        let (idp, admin) = (app.idp(), app.admin());
        let mira = idp.post("/Users", user("mira@example.com")).expect(201).id();
        let path = format!("/Users/{mira}");
        assert_eq!(admin.get(&path).expect(200)["userName"], json!("mira@example.com"));
        let only = "only an identity provider's connection writes through SCIM";
        for answer in [
            admin.post("/Users", user("x@example.com")),
            admin.put(&path, user("x@example.com")),
            admin.patch(&path, replace("active", false)),
            admin.delete(&path),
        ] {
            assert_eq!(answer.scim_error(403, ""), only);
        }
        let job = bulk(json!([{"method": "DELETE", "path": path}]));
        let answer = admin.post("/Bulk", job).expect(200);
        assert_eq!(answer["Operations"][0]["status"], json!("403"));
        let key = app.issue(&mira);
        let holder = app.with_key(&key);
        for answer in [holder.get(&path), holder.get("/Users"), holder.post("/Users", user("x@example.com"))] {
            answer.scim_error(403, "");
        }
        for answer in [
            idp.post("/v1/keys", json!({"owner": {"type": "user", "id": mira}})),
            idp.get("/v1/keys"),
            idp.get("/v1/users"),
            idp.post("/v1/verify", json!({"key": key})),
            idp.delete(&format!("/v1/users/{mira}")),
            idp.post(&format!("/v1/users/{mira}/suspend"), json!({})),
        ] {
            assert_eq!(answer.problem(403, "forbidden"), "a provisioning key may use SCIM only");
        }
        assert_eq!(app.verify(&key), "VALID");
        assert_eq!(app.actions(), ["user.created", "credential.issued"]);
    });
}

#[test]
fn put_creates_nothing() {
    for_each_app(|app| {
        let idp = app.idp();
        let id = app.id(78);
        idp.put(&format!("/Users/{id}"), user("mira@example.com")).scim_error(404, "");
        idp.get(&format!("/Users/{id}")).scim_error(404, "");
        assert_eq!(app.actions(), Vec::<String>::new());
    });
}

#[test]
fn put_clears_what_it_leaves_out() {
    for_each_app(|app| {
        let idp = app.idp();
        let full = json!({"title": "Dr", "name": {"givenName": "Mira"}, "emails": [{"value": "mira@example.com"}],
            "externalId": "7", ENTERPRISE: {"department": "x"}});
        let path = format!("/Users/{}", idp.post("/Users", and(user("mira@example.com"), full)).expect(201).id());
        let bare = idp.put(&path, user("mira@example.com")).expect(200);
        assert_eq!(bare["schemas"], json!([USER]));
        for name in ["title", "name", "emails", "externalId", ENTERPRISE] {
            assert_eq!(bare[name], Value::Null, "{name}");
        }
        assert_eq!(
            idp.put(&path, json!({"schemas": [USER], "title": "x"})).scim_error(400, "invalidValue"),
            "userName: is required"
        );
        assert_eq!(idp.get(&path).expect(200).header("etag"), "W/\"2\"");
    });
}

#[test]
fn what_changes_nothing_is_no_change() {
    for_each_app(|app| {
        let idp = app.idp();
        let body = and(user("mira@example.com"), json!({"title": "Dr", "emails": [{"value": "mira@example.com"}]}));
        let created = idp.post("/Users", body.clone()).expect(201);
        let path = format!("/Users/{}", created.id());
        let team = format!("/Groups/{}", idp.post("/Groups", group("team", &[&created.id()])).expect(201).id());
        let before = app.actions();
        app.clock.advance(TimeDelta::hours(1));
        for answer in [
            idp.put(&path, body),
            idp.patch(&path, replace("title", "Dr")),
            idp.patch(&path, replace("active", true)),
            idp.patch(&path, add("emails", json!([{"value": "mira@example.com"}]))),
            idp.patch(&path, remove("nickName")),
            idp.patch(
                &path,
                patch(json!([{"op": "replace", "path": "title", "value": "x"},
                {"op": "replace", "path": "title", "value": "Dr"}])),
            ),
        ] {
            assert_eq!(answer.status, 200, "{answer}");
            assert_eq!(answer.header("etag"), "W/\"1\"", "{answer}");
            assert_eq!(answer["meta"]["lastModified"], created["meta"]["created"]);
        }
        let id = created.id();
        for answer in [
            idp.patch(&team, add("members", json!([{"value": id}]))),
            idp.patch(&team, replace("members", json!([{"value": id}]))),
            idp.put(&team, group("team", &[&id])),
            idp.patch(&team, remove(&format!("members[value eq \"{}\"]", app.id(100)))),
        ] {
            assert_eq!(answer.status, 200, "{answer}");
            assert_eq!(answer.header("etag"), "W/\"1\"", "{answer}");
        }
        assert_eq!(app.actions(), before);
    });
}
