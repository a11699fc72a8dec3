//! Users, groups and agents: create, read, replace, delete.

mod names;
mod representations;

use chrono::TimeDelta;
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
        ] {
            assert_eq!(answer.status, 200, "{answer}");
            assert_eq!(answer.header("etag"), "W/\"1\"", "{answer}");
        }
        assert_eq!(app.actions(), before);
        // Nor is the removal of somebody whom nobody has; who it was is named.
        let absent = idp.patch(&team, remove(&format!("members[value eq \"{}\"]", app.id(100)))).expect(200);
        assert_eq!(absent.header("etag"), "W/\"1\"");
        assert_eq!(app.log().pop().unwrap()["change"]["unknown"], json!([app.id(100)]));
    });
}
