//! What `keyroll apply` asks of the service: everything or nothing, in order, with the entry in each refusal.

use serde_json::{Value, json};

use crate::support::app::*;

fn apply(app: &TestApp, file: Value) -> Result<Value, String> {
    let (before, context) = (app.actions(), app.host());
    // A dry run says the same and changes nothing.
    let dry = app.service.apply(&context, &file, true).map_err(|error| error.to_string());
    assert_eq!(app.actions(), before);
    let done = app.service.apply(&context, &file, false).map_err(|error| error.to_string());
    match (&dry, &done) {
        (Ok(dry), Ok(done)) => assert_eq!((&dry["changes"], &dry["unchanged"]), (&done["changes"], &done["unchanged"])),
        (dry, done) => assert_eq!(dry, done),
    }
    if done.is_err() {
        assert_eq!(app.actions(), before, "{file}");
    }
    done
}

/// The changes in short: `create role a`.
fn told(answer: &Value) -> Vec<String> {
    let text = |value: &Value| value.as_str().unwrap_or("-").to_owned();
    let changes = answer["changes"].as_array().unwrap().iter();
    changes.map(|one| [&one["change"], &one["kind"], &one["name"]].map(text).join(" ")).collect()
}

#[test]
fn included_roles_come_first_and_the_whole_is_what_counts() {
    for_each_app(|app| {
        let role = |name: &str, includes: &[&str]| json!({"name": name, "includes": includes});
        let file = json!({"roles": [role("c", &["b", "a"]), role("b", &["a"]), role("a", &[])]});
        assert_eq!(told(&apply(app, file.clone()).unwrap()), ["create role a", "create role b", "create role c"]);
        assert_eq!(apply(app, file).unwrap(), json!({"dry_run": false, "changes": [], "unchanged": 3}));
        // Turned round: at no moment of the change is there a circle.
        let file = json!({"roles": [role("a", &["b"]), role("b", &["c"]), role("c", &[])]});
        assert_eq!(told(&apply(app, file).unwrap()), ["replace role c", "replace role b", "replace role a"]);
        // A role that the file does not name takes part.
        let circle = json!({"roles": [role("c", &["a"])]});
        assert_eq!(apply(app, circle).unwrap_err(), "roles[0].includes[0]: a includes c already");
        let source = json!({"group": {"displayName": "x"}});
        let mapping = json!({"role": "a", "source": source});
        assert_eq!(told(&apply(app, json!({"mappings": [mapping]})).unwrap()), ["create mapping -"]);
        let made = app.log().last().unwrap().clone();
        assert_eq!((&made["action"], &made["change"]["role"]), (&json!("mapping.created"), &json!("a")));
        assert_eq!(made["request"]["route"], json!("test"));
    });
}

#[test]
fn what_the_file_does_not_name_is_left_alone() {
    let app = TestApp::sqlite();
    let (idp, admin) = (app.idp(), app.admin());
    admin.post("/v1/roles", json!({"name": "kept"})).expect(201);
    let kept = json!({"role": "kept", "source": {"group": {"displayName": "x"}}});
    let kept = admin.post("/v1/mappings", kept).expect(201).id();
    idp.post("/Users", user("mira@example.com")).expect(201);
    apply(&app, json!({"roles": [{"name": "new"}]})).unwrap();
    admin.get(&format!("/v1/mappings/{kept}")).expect(200);
    admin.get("/v1/roles/kept").expect(200);
    assert_eq!(apply(&app, json!({})).unwrap(), json!({"dry_run": false, "changes": [], "unchanged": 0}));
}

#[test]
fn refusals_name_the_entry() {
    for_each_app(|app| {
        super::catalogue::billing(app);
        app.admin().post("/v1/roles", json!({"name": "other", "permissions": ["billing:invoices:read"]})).expect(201);
        let invoices = json!([{"name": "invoices:read"}, {"name": "invoices:read"}]);
        let group = |role: &str| json!({"role": role, "source": {"group": {"displayName": "x"}}});
        let operator = |role: &str, end: Value| json!({"role": role, "source": {"person": {"type": "user", "id": "operator"}, "reason": "x", "expires_at": end}});
        let end = json!("2027-01-01T00:00:00Z");
        let cases = [
            (json!([]), "expected an object"),
            (json!({"users": []}), "users: no such member"),
            (json!({"roles": {}}), "roles: expected a list"),
            (json!({"roles": [1]}), "roles[0]: expected an object"),
            (json!({"apis": [{"name": "a"}, {"name": "a"}]}), "apis[1].name: a is in the file twice"),
            (
                json!({"apis": [{"name": "a", "permissions": invoices}]}),
                "apis[0].permissions[1].name: invoices:read is listed twice",
            ),
            (json!({"apis": [{"name": "keyroll"}]}), "apis[0]: api keyroll is built in and cannot be changed"),
            // `billing.viewer` is in the file and says so itself; `other` is not.
            (
                json!({"apis": [{"name": "billing"}], "roles": [{"name": "billing.viewer"}]}),
                "apis[0]: role other uses a permission of api billing that would go",
            ),
            (
                json!({"apis": [{"name": "a"}], "roles": [{"name": "r"}, {"name": "s", "permissions": ["a:b:c"]}]}),
                "roles[1].permissions[0]: a:b:c: api a has no such permission",
            ),
            (
                json!({"roles": [{"name": "r", "permissions": ["*:*:*"]}]}),
                "roles[0].permissions[0]: *:*:*: name the api; * would seem to include keyroll and never does",
            ),
            (json!({"roles": [{"name": "keyroll.x"}]}), "roles[0].name: names of built-in roles begin with keyroll."),
            (
                json!({"roles": [{"name": "a", "includes": ["b"]}, {"name": "b", "includes": ["a"]}]}),
                "roles[0].includes[0]: b includes a already",
            ),
            (
                json!({"roles": [{"name": "a", "assertable_by": ["none"]}]}),
                "roles[0].assertable_by[0]: there is no connection none",
            ),
            (json!({"mappings": [group("none")]}), "mappings[0].role: there is no role none"),
            (json!({"mappings": [group("other"), group("other")]}), "mappings[1]: the same as mappings[0]"),
            (
                json!({"mappings": [{"role": "other", "source": {"rule": "title eq"}}]}),
                "mappings[0].source.rule: filter: expected a value at column 9",
            ),
            (
                json!({"mappings": [{"role": "other", "source": {"person": {"type": "user", "id": "ghost"}, "reason": "x"}}]}),
                "mappings[0].source.person.id: nobody has the id or userName ghost",
            ),
            (
                json!({"mappings": [operator("other", Value::Null), operator("keyroll.admin", end)]}),
                "mappings[1]: the operator stays an admin: it is the way back in",
            ),
        ];
        let (files, expected): (Vec<Value>, Vec<&str>) = cases.into_iter().unzip();
        let found: Vec<String> = files.into_iter().map(|file| apply(app, file).expect_err("a refusal")).collect();
        assert_eq!(found, expected);
        // Why it is one may be said anew.
        let reason = json!({"mappings": [operator("keyroll.admin", Value::Null)]});
        assert_eq!(told(&apply(app, reason).unwrap()), ["replace mapping -"]);
    });
}

#[test]
fn a_key_cannot_apply() {
    let app = TestApp::sqlite();
    // Nothing on the wire does; whoever calls the service with a key is refused, too.
    let keys = keyroll::domain::Operation::Apply;
    assert_eq!((keys.keys(), keys.routes().len()), (keyroll::domain::operation::Keys::Host, 0));
    app.admin().post("/v1/apply", json!({})).problem(404, "not_found");
}

#[test]
fn too_many_ways_to_a_role_are_refused() {
    let app = TestApp::sqlite();
    let names = |level: &str| (0..40).map(|n| format!("{level}{n}")).collect::<Vec<_>>();
    let mut roles: Vec<Value> = names("c").iter().map(|name| json!({"name": name})).collect();
    roles.extend(names("b").iter().map(|name| json!({"name": name, "includes": names("c")})));
    assert_eq!(apply(&app, json!({"roles": roles})).unwrap()["changes"].as_array().unwrap().len(), 80);
    let top = json!({"name": "a", "includes": names("b")});
    let refused = apply(&app, json!({"roles": [top.clone()]})).unwrap_err();
    assert_eq!(refused, "roles[0].includes: more than 1000 ways from a role to those inside it");
    assert_eq!(app.admin().post("/v1/roles", top).problem(422, "invalid"), refused.replacen("roles[0].", "", 1));
}
