//! Whatever an identity provider writes into `roles` and `entitlements`, in whatever way it writes it, is stored and
//! shown, and gives nothing unless an admin said so (attack case A04).

use keyroll::scim::tolerance::Dialect;
use serde_json::{Value, json};

use super::catalogue::billing;
use crate::support::app::*;

/// Roles that the first connection may not assert: one that nobody may, one of another connection, a built-in one.
fn elements() -> Value {
    json!([{"value": "tenant_admin"}, {"value": "boss"}, {"value": "keyroll.admin"}])
}

fn roles(app: &TestApp) -> Actor<'_> {
    billing(app);
    let (admin, other) = (app.admin(), app.connect(Dialect::Okta));
    admin.post("/v1/roles", json!({"name": "tenant_admin", "permissions": ["billing:*:*"]})).expect(201);
    let boss = json!({"name": "boss", "permissions": ["billing:*:*"], "assertable_by": ["okta"]});
    admin.post("/v1/roles", boss).expect(201);
    let source = json!({"asserted": {"attribute": "roles", "value": "boss"}});
    admin.post("/v1/mappings", json!({"role": "boss", "source": source})).expect(201);
    other
}

/// The elements are stored and shown, and give nothing.
#[track_caller]
fn holds_nothing(app: &TestApp, id: &str, stored: &Value, what: &str) {
    let shown = app.idp().get(&format!("/Users/{id}")).expect(200);
    let written = shown.body.get("roles").or_else(|| shown.body.get("entitlements")).unwrap_or(&Value::Null);
    assert_eq!(written, stored, "{what}");
    let access = app.admin().get(&format!("/v1/users/{id}/access")).expect(200);
    assert_eq!((&access["roles"], &access["permissions"]), (&json!([]), &json!([])), "{what}");
}

#[test]
fn a04_nobody_gains_by_what_is_posted_or_put() {
    for_each_app(|app| {
        let (other, idp) = (roles(app), app.idp());
        for (n, name) in ["roles", "Roles", "ROLES", "entitlements"].into_iter().enumerate() {
            let more = json!({name: elements()});
            let made = idp.post("/Users", and(user(&format!("p{n}@example.com")), more.clone())).expect(201).id();
            holds_nothing(app, &made, &elements(), name);
            let id = idp.post("/Users", user(&format!("u{n}@example.com"))).expect(201).id();
            idp.put(&format!("/Users/{id}"), and(user(&format!("u{n}@example.com")), more)).expect(200);
            holds_nothing(app, &id, &elements(), name);
        }
        // An extension has no such attribute: it is dropped, and the answer says so.
        let id = idp.post("/Users", user("e@example.com")).expect(201).id();
        for container in [ENTERPRISE, "urn:example:roles:2.0:User"] {
            let more = json!({"schemas": [USER, container], container: {"roles": elements()}});
            let put = idp.put(&format!("/Users/{id}"), and(user("e@example.com"), more)).expect(200);
            assert!(!put.header("keyroll-tolerance").is_empty(), "{put}");
            assert_eq!(put.body.get(container), None);
            holds_nothing(app, &id, &Value::Null, container);
        }
        // The same values do count where an admin said so.
        let theirs = other.post("/Users", and(user("o@example.com"), json!({"Roles": elements()}))).expect(201).id();
        let access = app.admin().get(&format!("/v1/users/{theirs}/access")).expect(200);
        assert_eq!(access["permissions"], json!(["billing:*:*"]));
    });
}

#[test]
fn a04_nobody_gains_by_what_is_patched() {
    for_each_app(|app| {
        roles(app);
        let idp = app.idp();
        let urn = format!("{USER}:roles");
        let whole = |path: &str| json!([{"op": "add", "path": path, "value": elements()}]);
        let within = |path: &str, value: &str| {
            json!([{"op": "add", "path": "roles", "value": [{"value": "x"}]},
                {"op": "replace", "path": path, "value": value}])
        };
        for (n, (operations, stored)) in [
            (whole("roles"), elements()),
            (whole("Roles"), elements()),
            (whole(&urn), elements()),
            (whole("entitlements"), elements()),
            (within("roles[value eq \"x\"].value", "tenant_admin"), json!([{"value": "tenant_admin"}])),
            (within("ROLES[Value eq \"X\"].VALUE", "boss"), json!([{"value": "boss"}])),
            (within(&format!("{urn}[value eq \"x\"].value"), "keyroll.admin"), json!([{"value": "keyroll.admin"}])),
            (json!([{"op": "add", "value": {"roles": elements(), "entitlements": elements()}}]), elements()),
            (json!([{"op": "replace", "value": {urn.clone(): elements()}}]), elements()),
        ]
        .into_iter()
        .enumerate()
        {
            let id = idp.post("/Users", user(&format!("u{n}@example.com"))).expect(201).id();
            idp.patch(&format!("/Users/{id}"), patch(operations.clone())).expect(200);
            holds_nothing(app, &id, &stored, &operations.to_string());
        }
    });
}

#[test]
fn a04_nobody_gains_by_a_bulk_job() {
    for_each_app(|app| {
        roles(app);
        let posted = and(user("b@example.com"), json!({"Roles": elements()}));
        let patched = patch(json!([{"op": "add", "path": "entitlements", "value": elements()}]));
        let job = bulk(json!([
            {"method": "POST", "path": "/Users", "bulkId": "a", "data": posted},
            {"method": "PATCH", "path": "/Users/bulkId:a", "data": patched},
        ]));
        let done = app.idp().post("/Bulk", job).expect(200);
        assert_eq!(done["Operations"][1]["status"], json!("200"));
        let id = done["Operations"][0]["location"].as_str().unwrap().rsplit('/').next().unwrap();
        let stored = app.idp().get(&format!("/Users/{id}")).expect(200);
        assert_eq!((&stored["roles"], &stored["entitlements"]), (&elements(), &elements()));
        holds_nothing(app, id, &elements(), "Bulk");
    });
}
