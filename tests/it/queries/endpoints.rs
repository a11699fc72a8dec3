//! How endpoints are named: over HTTP and in Bulk, in any letter case, with and without the path of the public URL.

use serde_json::{Value, json};

use super::search;
use crate::support::app::*;

#[test]
fn f11_bulk_paths_are_read_as_over_http() {
    for_each_app(|app| {
        let idp = app.idp();
        let make = |n: u32| idp.post("/Users", user(&format!("u{n}@example.com"))).expect(201).id();
        for (n, form) in
            ["/Users/{id}/", "//Users//{id}//", "/users/{id}", "/USERS/{id}/", "/%55sers/{id}"].into_iter().enumerate()
        {
            let id = make(n as u32);
            let path = form.replace("{id}", &id);
            let job = bulk(json!([
                {"method": "PATCH", "path": path, "data": replace("title", "x")},
                {"method": "PUT", "path": path, "data": user(&format!("u{n}@example.com"))},
                {"method": "DELETE", "path": path, "version": "W/\"1\""},
                {"method": "DELETE", "path": path},
            ]));
            let done = idp.post("/Bulk", job).expect(200);
            let operations = done["Operations"].as_array().unwrap();
            let status: Vec<&str> = operations.iter().map(|one| one["status"].as_str().unwrap()).collect();
            assert_eq!(status, ["200", "200", "412", "204"], "{path}");
            // The resource has one URL, however it was asked for.
            let location = json!(format!("https://keyroll.example/scim/v2/Users/{id}"));
            assert!(operations.iter().all(|one| one["location"] == location), "{done}");
        }
        let job = bulk(json!([
            {"method": "POST", "path": "/groups/", "bulkId": "g", "data": group("team", &[])},
            {"method": "PATCH", "path": "//Groups/bulkId:g/", "data": replace("displayName", "crew")},
            {"method": "DELETE", "path": "/Users/1/2"},
            {"method": "DELETE", "path": "/"},
            {"method": "DELETE", "path": "/Users/"},
            {"method": "POST", "path": "/Users/1/", "bulkId": "u", "data": user("x@example.com")},
        ]));
        let done = idp.post("/Bulk", job).expect(200);
        let status: Vec<&Value> = done["Operations"].as_array().unwrap().iter().map(|one| &one["status"]).collect();
        assert_eq!(status, ["201", "200", "400", "400", "400", "400"].map(|s| json!(s)).iter().collect::<Vec<_>>());
    });
}

#[test]
fn endpoints_are_named_in_any_letter_case() {
    for_each_app(|app| {
        let idp = app.idp();
        let made = idp.post("/users", user("mira@example.com")).expect(201);
        let location = format!("https://keyroll.example/scim/v2/Users/{}", made.id());
        assert_eq!((made.header("location"), &made["meta"]["location"]), (location.as_str(), &json!(location)));
        let path = format!("/USERS/{}", made.id());
        assert_eq!(idp.get(&path).expect(200)["meta"]["location"], json!(location));
        idp.patch(&path, replace("title", "x")).expect(200);
        idp.put(&path, user("mira@example.com")).expect(200);
        assert_eq!(idp.get("/uSers").expect(200)["totalResults"], json!(1));
        assert_eq!(idp.post("/users/.SEARCH", search("title pr")).expect(200)["totalResults"], json!(0));
        assert_eq!(idp.post("/.Search", search("userName pr")).expect(200)["totalResults"], json!(1));
        let group_id = idp.post("/groups/", group("team", &[])).expect(201).id();
        idp.get(&format!("/groups/{group_id}")).expect(200);
        idp.post("/agents", agent("deploy")).expect(201);
        for path in
            ["/schemas", "/resourcetypes", "/serviceproviderconfig", "/ROLES", "/entitlements", "/roles/.search"]
        {
            let answer = if path.ends_with("search") { idp.post(path, search("value pr")) } else { idp.get(path) };
            answer.expect(200);
        }
        idp.get(&format!("/schemas/{USER}")).expect(200);
        idp.get("/resourceTypes/User").expect(200);
        idp.post("/bulk", bulk(json!([{"method": "DELETE", "path": "/users/1"}]))).expect(200);
        idp.get("/me").scim_error(501, "");
        // Ids and names are no endpoints, and one that is none stays none.
        idp.get(&format!("/users/{}", made.id().to_uppercase())).scim_error(404, "");
        idp.get("/resourceTypes/user").scim_error(404, "");
        idp.get("/userz").scim_error(404, "");
        idp.delete(&path).expect(204);
    });
}

#[test]
fn f12_allow_names_each_method_once() {
    let app = TestApp::sqlite();
    for (path, allowed) in
        [("/scim/v2", "GET, HEAD"), ("/Users", "GET, HEAD, POST"), ("/Users/1", "DELETE, GET, HEAD, PATCH, PUT")]
    {
        let answer = app.idp().send("OPTIONS", path, &[], "").expect(405);
        let mut methods: Vec<&str> = answer.header("allow").split(", ").collect();
        methods.sort_unstable();
        assert_eq!(methods.join(", "), allowed, "{path}");
    }
    for operation in keyroll::domain::Operation::ALL {
        for (_, template) in operation.routes() {
            let path = template.replace("{endpoint}", "Users").replace("{id}", "1");
            let answer = app.idp().send("TRACE", &path, &[], "").expect(405);
            let methods: Vec<&str> = answer.header("allow").split(", ").collect();
            let distinct: std::collections::BTreeSet<&str> = methods.iter().copied().collect();
            assert_eq!(methods.len(), distinct.len(), "{path}: {methods:?}");
        }
    }
}

#[test]
fn m6_the_path_of_the_public_url_may_stay_in() {
    let app = TestApp::with(None, |settings| settings.public_url = "https://id.ex.test/keyroll".to_owned());
    let (idp, admin) = (app.idp(), app.admin());
    let made = idp.post("/keyroll/scim/v2/Users", user("mira@example.com")).expect(201);
    let location = format!("https://id.ex.test/keyroll/scim/v2/Users/{}", made.id());
    assert_eq!(made.header("location"), location);
    let kept = location.strip_prefix("https://id.ex.test").unwrap();
    // With and without it, there is one resource.
    assert_eq!(idp.get(kept).expect(200)["meta"]["location"], json!(location));
    assert_eq!(idp.get(&format!("/Users/{}", made.id())).expect(200)["meta"]["location"], json!(location));
    assert_eq!(admin.get("/keyroll/v1/users").expect(200).status, 200);
    app.anonymous().get("/keyroll/healthz").expect(200);
    // Errors below it are those of their endpoint.
    idp.get("/keyroll/scim/v2/Users/1/2").scim_error(404, "");
    idp.get("/keyroll/scim/v2/nothing").scim_error(404, "");
    app.anonymous().get("/keyroll/scim/v2/Users").scim_error(401, "");
    admin.get("/keyroll/v1/nothing").problem(404, "not_found");
    admin.get("/keyrollers/v1/users").expect(404);
}
