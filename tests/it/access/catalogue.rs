//! Apis, roles and mappings: what is taken, what is refused, and what the log says of it.

use serde_json::{Value, json};

use keyroll::service::keys::Owner;

use crate::support::app::*;

/// An api with one permission, and a role that gives it.
pub fn billing(app: &TestApp) {
    let api = json!({"name": "billing", "permissions": [{"name": "invoices:read"}],
        "routes": [{"method": "GET", "path": "/v2/invoices/{id}", "permission": "invoices:read"}]});
    app.admin().post("/v1/apis", api).expect(201);
    let role = json!({"name": "billing.viewer", "permissions": ["billing:invoices:read"]});
    app.admin().post("/v1/roles", role).expect(201);
}

/// What is refused, with the code and the member it points at; nothing is stored or recorded.
#[track_caller]
fn refused(app: &TestApp, method: &str, path: &str, body: Value, status: u16, pointer: &str) {
    let before = app.actions().len();
    let answer = app.admin().send(method, path, &[], body.to_string());
    assert_eq!(answer.status, status, "{method} {path} {body}: {answer}");
    assert_eq!(answer.header("content-type"), "application/problem+json");
    if status == 422 {
        assert_eq!(answer["pointer"], json!(pointer), "{body}: {answer}");
    }
    assert_eq!(app.actions().len(), before, "{body}");
}

#[test]
fn the_fixed_shapes() {
    for_each_app(|app| {
        billing(app);
        let admin = app.admin();
        let source = json!({"group": {"displayName": "Finance"}});
        let made = admin.post("/v1/mappings", json!({"role": "billing.viewer", "source": source})).expect(201);
        assert_eq!((&made["source"], &made["permissions"]), (&source, &json!(["billing:invoices:read"])));
        assert_eq!(made.header("location"), format!("/v1/mappings/{}", made.id()));
        assert_eq!(admin.get(&format!("/v1/mappings/{}", made.id())).expect(200).body, made.body);
        let role = admin.get("/v1/roles/billing.viewer").expect(200);
        assert_eq!((&role["built_in"], &role["assertable_by"]), (&json!(false), &json!([])));
        assert_eq!(admin.get("/v1/roles/keyroll.admin").expect(200)["permissions"], json!(["keyroll:*:*"]));
        let names: Vec<Value> =
            admin.get("/v1/roles").expect(200)["roles"].as_array().unwrap().iter().map(|r| r["name"].clone()).collect();
        assert_eq!(
            names,
            ["billing.viewer", "keyroll.admin", "keyroll.auditor", "keyroll.provisioner", "keyroll.service"]
        );
        assert_eq!(admin.get("/v1/apis").expect(200)["apis"].as_array().unwrap().len(), 2);
        admin.delete(&format!("/v1/mappings/{}", made.id())).expect(204);
        admin.get(&format!("/v1/mappings/{}", made.id())).problem(404, "not_found");
        admin.delete("/v1/roles/billing.viewer").expect(204);
        admin.delete("/v1/apis/billing").expect(204);
        let actions =
            ["api.created", "role.created", "mapping.created", "mapping.deleted", "role.deleted", "api.deleted"];
        assert_eq!(app.actions(), actions);
    });
}

#[test]
fn apis_that_break_the_rules() {
    let app = TestApp::sqlite();
    billing(&app);
    let read = json!([{"name": "x:read"}]);
    let route = |path: &str, permission: &str| json!({"method": "GET", "path": path, "permission": permission});
    for (body, pointer) in [
        (json!({}), "/name"),
        (json!({"name": "Billing"}), "/name"),
        (json!({"name": "a", "extra": 1}), "/extra"),
        (json!({"name": "a", "open": "yes"}), "/open"),
        (json!({"name": "a", "permissions": [{"name": "read"}]}), "/permissions/0/name"),
        (json!({"name": "a", "permissions": [{"name": "x:*"}]}), "/permissions/0/name"),
        (json!({"name": "a", "permissions": [{"name": "x:read"}, {"name": "x:read"}]}), "/permissions/1/name"),
        (json!({"name": "a", "permissions": read, "routes": [route("/x", "x:write")]}), "/routes/0/permission"),
        (json!({"name": "a", "permissions": read, "routes": [route("x", "x:read")]}), "/routes/0/path"),
        (json!({"name": "a", "permissions": read, "routes": [route("/x/../y", "x:read")]}), "/routes/0/path"),
        (json!({"name": "a", "permissions": read, "routes": [route("/x/%2e", "x:read")]}), "/routes/0/path"),
        (
            json!({"name": "a", "permissions": read, "routes": [route("/x/{a}", "x:read"), route("/x/{b}", "x:read")]}),
            "/routes/1/path",
        ),
    ] {
        refused(&app, "POST", "/v1/apis", body, 422, pointer);
    }
    refused(&app, "POST", "/v1/apis", json!({"name": "keyroll"}), 403, "");
    refused(&app, "POST", "/v1/apis", json!({"name": "billing"}), 409, "");
    refused(&app, "PUT", "/v1/apis/billing", json!({"permissions": []}), 409, "");
    refused(&app, "DELETE", "/v1/apis/billing", json!({}), 409, "");
    refused(&app, "DELETE", "/v1/apis/none", json!({}), 404, "");
}

#[test]
fn roles_that_break_the_rules() {
    let app = TestApp::sqlite();
    billing(&app);
    for (body, pointer) in [
        (json!({"name": "keyroll.mine"}), "/name"),
        (json!({"name": "keyroll"}), "/name"),
        (json!({"name": "a", "permissions": ["billing:invoices:read", "billing:invoices:write"]}), "/permissions/1"),
        (json!({"name": "a", "permissions": ["none:x:y"]}), "/permissions/0"),
        (json!({"name": "a", "permissions": ["read"]}), "/permissions/0"),
        // A wildcard that would seem to cover Keyroll itself.
        (json!({"name": "a", "permissions": ["*:*:*"]}), "/permissions/0"),
        (json!({"name": "a", "permissions": ["*:keys:issue"]}), "/permissions/0"),
        (json!({"name": "a", "includes": ["none"]}), "/includes/0"),
        (json!({"name": "a", "includes": ["a"]}), "/includes/0"),
        (json!({"name": "a", "assertable_by": ["none"]}), "/assertable_by/0"),
    ] {
        refused(&app, "POST", "/v1/roles", body, 422, pointer);
    }
    refused(&app, "POST", "/v1/roles", json!({"name": "billing.viewer"}), 409, "");
    refused(&app, "PUT", "/v1/roles/keyroll.admin", json!({"permissions": []}), 403, "");
    refused(&app, "DELETE", "/v1/roles/keyroll.admin", json!({}), 403, "");
    // A circle of three.
    for (name, inner) in [("a", "billing.viewer"), ("b", "a")] {
        app.admin().post("/v1/roles", json!({"name": name, "includes": [inner]})).expect(201);
    }
    let circle = json!({"permissions": ["billing:invoices:read"], "includes": ["b"]});
    refused(&app, "PUT", "/v1/roles/billing.viewer", circle, 422, "/includes/0");
    refused(&app, "DELETE", "/v1/roles/a", json!({}), 409, "");
    // What a pattern reaches is enough, and an open api takes what it does not list.
    app.admin().post("/v1/roles", json!({"name": "all", "permissions": ["billing:*:*", "keyroll:*:read"]})).expect(201);
    app.admin().post("/v1/apis", json!({"name": "open", "open": true})).expect(201);
    app.admin().post("/v1/roles", json!({"name": "any", "permissions": ["open:x:y"]})).expect(201);
}

#[test]
fn mappings_that_break_the_rules() {
    for_each_app(|app| {
        billing(app);
        let (other, _) = app.tenant("second");
        let foreign = other.post("/Groups", group("Theirs", &[])).expect(201).id();
        let person = app.idp().post("/Users", user("mira@example.com")).expect(201).id();
        let user_as_group = json!({"group": {"id": person}});
        for (source, pointer) in [
            (json!({}), "/source"),
            (json!({"rule": "title pr", "group": {"displayName": "x"}}), "/source"),
            (json!({"group": {}}), "/source/group"),
            (json!({"group": {"id": "x"}}), "/source/group/id"),
            (json!({"group": {"id": app.id(99)}}), "/source/group/id"),
            (json!({"group": {"id": foreign}}), "/source/group/id"),
            (user_as_group, "/source/group/id"),
            (json!({"group": {"name": "x"}}), "/source/group/name"),
            (json!({"rule": "title eq"}), "/source/rule"),
            (json!({"rule": "nothing eq \"x\""}), "/source/rule"),
            (json!({"rule": "password pr"}), "/source/rule"),
            (json!({"rule": "title pr", "reason": "x"}), "/source/reason"),
            (json!({"asserted": {"attribute": "groups", "value": "x"}}), "/source/asserted/attribute"),
            (json!({"asserted": {"attribute": "roles", "value": "x"}}), "/role"),
            (json!({"person": {"type": "user", "id": person}}), "/source/reason"),
            (json!({"person": {"type": "agent", "id": person}, "reason": "x"}), "/source/person/id"),
            (
                json!({"person": {"type": "user", "id": person}, "reason": "x", "expires_at": "soon"}),
                "/source/expires_at",
            ),
            (
                json!({"person": {"type": "user", "id": person}, "reason": "x", "expires_at": "2026-01-05T09:00:00Z"}),
                "/source/expires_at",
            ),
        ] {
            refused(app, "POST", "/v1/mappings", json!({"role": "billing.viewer", "source": source}), 422, pointer);
        }
        const MANAGER: &str = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:manager";
        let made = ["$ref", "displayName"].map(|sub| format!("{MANAGER}.{sub}"));
        let hidden = ["id", "meta.created", "groups", "roles.value", "entitlements.value", "externalId"];
        for hidden in hidden.into_iter().chain(made.iter().map(String::as_str)) {
            let source = json!({"rule": format!("not ({hidden} eq \"2026-01-01T00:00:00Z\")")});
            refused(
                app,
                "POST",
                "/v1/mappings",
                json!({"role": "billing.viewer", "source": source}),
                422,
                "/source/rule",
            );
        }
        let source = json!({"group": {"displayName": "x"}});
        refused(app, "POST", "/v1/mappings", json!({"role": "none", "source": source}), 422, "/role");
        // The same words for a group of another tenant as for none.
        let detail = |id: &str| {
            let body = json!({"role": "billing.viewer", "source": {"group": {"id": id}}});
            app.admin().post("/v1/mappings", body).problem(422, "invalid").replace(id, "ID")
        };
        assert_eq!(detail(&foreign), detail(&app.id(99)));
        let body = json!({"role": "billing.viewer", "source": source});
        app.admin().post("/v1/mappings", body.clone()).expect(201);
        refused(app, "POST", "/v1/mappings", body, 409, "");
    });
}

#[test]
fn the_operator_stays_an_admin() {
    let app = TestApp::sqlite();
    let access = app.admin().get("/v1/users/operator/access").expect(200);
    assert_eq!(access["permissions"], json!(["keyroll:*:*"]));
    let mapping = access["roles"][0]["reasons"][0]["mapping"].as_str().unwrap().to_owned();
    assert_eq!(access["roles"][0]["role"], json!("keyroll.admin"));
    app.admin().delete(&format!("/v1/mappings/{mapping}")).problem(409, "in_use");
}

#[test]
fn nobody_hands_out_more_than_it_holds() {
    for_each_app(|app| {
        billing(app);
        let held = ["keyroll:mappings:write", "keyroll:roles:write", "keyroll:keys:read"];
        let clerk = app.with_key(&app.issue_on_host(Owner::Operator, &held));
        let id = app.idp().post("/Users", user("mira@example.com")).expect(201).id();
        let before = app.actions().len();
        let person =
            |role: &str| json!({"role": role, "source": {"person": {"type": "user", "id": id}, "reason": "x"}});
        let role = |permission: &str| json!({"name": "clerk", "permissions": [permission]});
        let forbidden = |path: &str, body: Value, detail: &str| {
            assert_eq!(clerk.post(path, body).problem(403, "forbidden"), detail);
        };
        let lacks =
            |role: &str, permission: &str| format!("role {role} gives {permission}, which the caller does not hold");
        forbidden("/v1/mappings", person("keyroll.admin"), &lacks("keyroll.admin", "keyroll:*:*"));
        forbidden("/v1/roles", role("keyroll:keys:issue"), &lacks("clerk", "keyroll:keys:issue"));
        let including = json!({"name": "clerk", "permissions": [], "includes": ["keyroll.auditor"]});
        forbidden("/v1/roles", including, &lacks("clerk", "keyroll:*:read"));
        assert_eq!(app.actions().len(), before);
        // What it holds, and what is not Keyroll's, it may hand out.
        clerk.post("/v1/roles", role("keyroll:keys:read")).expect(201);
        clerk.post("/v1/mappings", person("clerk")).expect(201);
        clerk.post("/v1/mappings", person("billing.viewer")).expect(201);
        let wider = json!({"permissions": ["keyroll:keys:read", "keyroll:keys:revoke"]});
        let answer = clerk.send("PUT", "/v1/roles/clerk", &[], wider.to_string());
        assert_eq!(answer.problem(403, "forbidden"), lacks("clerk", "keyroll:keys:revoke"));
    });
}

#[test]
fn who_may_not_is_not_told_what_is_wrong_with_a_body() {
    for_each_app(|app| {
        let mira = app.idp().post("/Users", user("mira@example.com")).expect(201).id();
        let nobody = app.with_key(&app.issue(&mira));
        let before = app.actions().len();
        for body in ["{}", "{", "[]", r#"{"name":"keyroll.x"}"#, r#"{"role":"x","source":{"rule":"shoeSize eq 7"}}"#] {
            for (method, path) in [
                ("POST", "/v1/keys"),
                ("POST", "/v1/verify"),
                ("POST", "/v1/apis"),
                ("PUT", "/v1/apis/x"),
                ("POST", "/v1/roles"),
                ("PUT", "/v1/roles/x"),
                ("POST", "/v1/mappings"),
                ("PUT", "/v1/mappings/x"),
                ("POST", "/v1/access/explain"),
                ("POST", "/access/v1/evaluation"),
                ("GET", "/v1/mappings?Form=x"),
            ] {
                let answer = nobody.send(method, path, &[], body);
                assert_eq!(answer.status, 403, "{method} {path} {body}: {answer}");
            }
        }
        assert_eq!(app.actions().len(), before);
    });
}

#[test]
fn a_name_in_other_letters_is_the_same_source() {
    for_each_app(|app| {
        billing(app);
        let admin = app.admin();
        let viewer =
            json!({"name": "asserted", "permissions": ["billing:invoices:read"], "assertable_by": ["default"]});
        admin.post("/v1/roles", viewer).expect(201);
        let map = |role: &str, source: Value| admin.post("/v1/mappings", json!({"role": role, "source": source}));
        let named = |name: &str| json!({"group": {"displayName": name}});
        let finance = map("billing.viewer", named("Finance")).expect(201).id();
        let taken = format!("mapping {finance} is there already");
        assert_eq!(map("billing.viewer", named("fINANCE")).problem(409, "already_exists"), taken);
        map("asserted", named("fINANCE")).expect(201);
        map("billing.viewer", json!({"group": {"externalId": "Finance"}})).expect(201);
        map("billing.viewer", json!({"group": {"externalId": "finance"}})).expect(201);
        let value = |value: &str| json!({"asserted": {"attribute": "roles", "value": value}});
        map("asserted", value("Viewer")).expect(201);
        map("asserted", value("viewer")).problem(409, "already_exists");
        // The spelling can still be changed.
        let other = json!({"role": "billing.viewer", "source": named("FINANCE")});
        let replaced = admin.put(&format!("/v1/mappings/{finance}"), other).expect(200);
        assert_eq!(replaced["source"], named("FINANCE"));
    });
}

#[test]
fn what_is_asked_beside_the_point_is_refused() {
    for_each_app(|app| {
        billing(app);
        let (admin, before) = (app.admin(), app.actions().len());
        let id = app.idp().post("/Users", user("mira@example.com")).expect(201).id();
        for (path, detail) in [
            (format!("/v1/users/{id}/access?At=2026-01-05T09:00:00Z"), "At: no parameter of this"),
            (format!("/v1/users/{id}/access?at=2026-01-05T09:00:00Z&at=2027-01-01T00:00:00Z"), "at: is there twice"),
            ("/v1/roles/billing.viewer/holders?limit=2".to_owned(), "limit: no parameter of this"),
            ("/v1/mappings?Form=signed".to_owned(), "Form: no parameter of this"),
            ("/v1/changes?afer=5".to_owned(), "afer: no parameter of this"),
            ("/v1/changes?after=5&after=6".to_owned(), "after: is there twice"),
            ("/v1/keys?ower=x".to_owned(), "ower: no parameter of this"),
            ("/v1/users?filter=x".to_owned(), "filter: no parameter of this"),
            ("/v1/apis?count=1".to_owned(), "count: no parameter of this"),
        ] {
            assert_eq!(admin.get(&path).problem(400, "malformed"), detail);
        }
        // What has no tag matches none (RFC 9110 §13.1.1).
        let owner = json!({"owner": {"type": "user", "id": id}});
        let role = json!({"name": "new"});
        let source = json!({"role": "billing.viewer", "source": {"rule": "title pr"}});
        let hold = format!("/v1/users/{id}/suspend");
        for (method, path, body) in [
            ("POST", "/v1/keys", &owner),
            ("POST", "/v1/apis", &role),
            ("POST", "/v1/roles", &role),
            ("POST", "/v1/mappings", &source),
            ("POST", hold.as_str(), &json!({})),
            ("DELETE", &format!("/v1/users/{id}"), &json!({})),
        ] {
            let answer = admin.send(method, path, &[("if-match", "\"1\"")], body.to_string());
            assert_eq!(answer.problem(412, "precondition_failed"), "If-Match: what is written here has no tag");
        }
        assert_eq!(app.actions().len(), before + 1);
        admin.send("POST", "/v1/roles", &[("if-match", "*")], role.to_string()).expect(201);
    });
}

#[test]
fn roles_go_so_deep_and_no_deeper() {
    let app = TestApp::sqlite();
    billing(&app);
    let role = |n: usize| json!({"name": format!("r{n}"), "permissions": [], "includes": [format!("r{}", n + 1)]});
    app.admin().post("/v1/roles", json!({"name": "r20", "permissions": ["billing:invoices:read"]})).expect(201);
    for n in (4..20).rev() {
        let made = app.admin().post("/v1/roles", role(n)).expect(201);
        assert_eq!(made["effective_permissions"], json!(["billing:invoices:read"]));
    }
    refused(&app, "POST", "/v1/roles", role(3), 422, "/includes");
    // Nor by what goes in at the other end.
    let longer = json!({"permissions": [], "includes": ["billing.viewer"]});
    refused(&app, "PUT", "/v1/roles/r20", longer, 422, "/includes");
}
