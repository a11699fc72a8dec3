//! The commands about access, as people type them and as scripts read them.

mod names;
mod reasons;

use serde_json::{Value, json};

use super::names;
use crate::support::server::{GROUP, Installation, USER};

#[test]
fn a_role_is_defined_mapped_and_shown() {
    for place in Installation::each() {
        let server = place.serve(&[]);
        let run = |command: &[&str]| place.run(command).expect(0);
        let route = "GET /v2/invoices/{id} invoices:read";
        let api = ["api", "create", "billing", "--permission", "invoices:read", "--route", route, "--json"];
        assert_eq!(run(&api).json(), server.admin().get("/v1/apis/billing").expect(200).json());
        let viewer = ["role", "create", "billing.viewer", "--permission", "billing:invoices:read"];
        run(&[&viewer[..], &["--assertable-by", "default", "--description", "Sees invoices"]].concat());
        let role = server.admin().get("/v1/roles/billing.viewer").expect(200).json();
        assert_eq!(run(&["role", "show", "billing.viewer", "--json"]).json(), role);
        assert_eq!((&role["assertable_by"], &role["description"]), (&json!(["default"]), &json!("Sees invoices")));
        run(&["role", "create", "clerk", "--include", "billing.viewer"]);
        let listed = run(&["role", "list"]).stdout;
        let rows: Vec<Vec<&str>> = listed.lines().map(|line| line.split_whitespace().collect()).collect();
        assert_eq!(rows[0], ["NAME", "PERMISSIONS", "INCLUDES", "ASSERTABLE_BY", "DESCRIPTION"]);
        assert_eq!(rows[1], ["billing.viewer", "billing:invoices:read", "default", "Sees", "invoices"]);
        assert_eq!((&rows[2][..], rows[3][0]), (&["clerk", "billing.viewer"][..], "keyroll.admin"));
        let listed = run(&["api", "list"]).stdout;
        let row: Vec<&str> = listed.lines().nth(1).unwrap().split_whitespace().collect();
        assert_eq!(row, ["billing", "invoices:read", "1", "false", "-"]);
        let idp = server.idp();
        let mira = idp.post("/scim/v2/Users", &json!({"schemas": [USER], "userName": "mira"})).expect(201).json();
        let mira = mira["id"].as_str().unwrap();
        let group = json!({"schemas": [GROUP], "displayName": "Finance", "members": [{"value": mira}]});
        let group = idp.post("/scim/v2/Groups", &group).expect(201).json();
        let mapping = run(&["mapping", "create", "--role", "clerk", "--group", "Finance", "--json"]).json();
        assert_eq!(mapping["source"], json!({"group": {"displayName": "Finance"}}));
        let id = mapping["id"].as_str().unwrap();
        assert_eq!(run(&["mapping", "show", id, "--json"]).json(), mapping);
        let listed = run(&["mapping", "list", "--json"]).json();
        assert_eq!(listed, server.admin().get("/v1/mappings").expect(200).json());
        assert_eq!(listed["mappings"].as_array().unwrap().len(), 2);
        let rows = run(&["mapping", "list"]).stdout;
        let row: Vec<&str> = rows.lines().nth(2).unwrap().split_whitespace().collect();
        assert_eq!(row, [id, "clerk", "group", "Finance", "billing:invoices:read"]);
        let path = format!("/v1/users/{mira}/access");
        let access = run(&["access", "show", "mira", "--json"]).json();
        assert_eq!(access, server.admin().get(&path).expect(200).json());
        let reason = &access["roles"][0]["reasons"][0];
        let since = reason["since"].as_str().unwrap();
        let shown = run(&["access", "show", "mira"]).stdout;
        let rows: Vec<Vec<&str>> = shown.lines().map(|line| line.split_whitespace().collect()).collect();
        assert_eq!((&rows[0][..], &rows[1][..]), (&["principal", "user", "mira", mira][..], &["live", "true"][..]));
        assert_eq!(rows[2], ["permissions", "billing:invoices:read"]);
        assert_eq!(rows[4], ["ROLE", "SOURCE", "PATH", "VIA", "SINCE", "UNTIL", "MAPPING"]);
        assert_eq!(rows[5], ["billing.viewer", "group", "Finance", "clerk", since, "-", id]);
        assert_eq!(rows[6], ["clerk", "group", "Finance", "-", since, "-", id]);
        let roles_after = |action: &str| {
            let tail = run(&["log", "tail"]).stdout;
            let mut records = tail.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
            let record = records.rfind(|record| record["action"] == action).unwrap();
            let at = record["time"].as_str().unwrap();
            run(&["access", "show", "mira", "--at", at, "--json"]).json()["roles"].as_array().unwrap().len()
        };
        assert_eq!((roles_after("group.created"), roles_after("mapping.created")), (0, 2));
        let then = run(&["access", "show", "mira", "--at", since, "--json"]).json();
        assert_eq!(then["roles"].as_array().unwrap().len(), 2, "what holds since then held then");
        let by_id = ["mapping", "create", "--role", "clerk", "--group-id", group["id"].as_str().unwrap(), "--json"];
        assert_eq!(run(&by_id).json()["source"]["group"]["id"], group["id"]);
        assert!(!run(&["mapping", "list"]).stdout.contains("gone"));
        let group = group["id"].as_str().unwrap();
        idp.delete(&format!("/scim/v2/Groups/{group}")).expect(204);
        let listed = run(&["mapping", "list"]).stdout;
        assert!(listed.contains(&format!("group id {group}, gone ")), "{listed}");
        assert_eq!(run(&["mapping", "delete", id]).stdout, format!("mapping {id} is deleted\n"));
        server.admin().get(&format!("/v1/mappings/{id}")).expect(404);
    }
}

#[test]
fn what_lies_ahead_is_answered_by_what_is_known_now() {
    for place in Installation::each() {
        let server = place.serve(&[]);
        let run = |command: &[&str]| place.run(command).expect(0);
        let path = place.data_dir().join("access.toml");
        std::fs::write(&path, SHOP).unwrap();
        run(&["apply", "-f", path.to_str().unwrap()]);
        server.idp().post("/scim/v2/Users", &json!({"schemas": [USER], "userName": "noor"})).expect(201);
        // Of what lies ahead nobody knows more than now, which is said: but for a grant that has run out by then.
        let until = ["--user", "noor", "--reason", "trial", "--expires-at", "2099-06-01T00:00:00Z"];
        run(&[&["mapping", "create", "--role", "seller"][..], &until].concat());
        for (time, number) in [("2099-05-31T00:00:00Z", 1), ("2099-06-02T00:00:00Z", 0)] {
            let at = ["--at", time, "--json"];
            let then = run(&[&["role", "holders", "seller"][..], &at].concat());
            assert_eq!(then.json()["holders"].as_array().unwrap().len(), number);
            let asked = place.run(&[&["access", "explain", "noor", "shop:orders:read"][..], &at].concat());
            let shown = run(&[&["access", "show", "noor"][..], &at].concat());
            assert_eq!((asked.json()["allowed"] == true, asked.code), (number == 1, i32::from(number == 0)));
            assert_eq!(shown.json()["roles"].as_array().unwrap().len(), number);
            let note = format!("keyroll: {time} lies ahead: this is what is known now\n");
            assert_eq!([then.stderr, asked.stderr, shown.stderr], [&*note, &note, &note]);
        }
        let until = ["role", "holders", "seller", "--at", "2099-12-31"];
        assert_eq!(run(&until).stderr, "keyroll: 2099-12-31 lies ahead: this is what is known now\n");
        let today = chrono::Utc::now().date_naive().to_string();
        assert_eq!(run(&["role", "holders", "seller", "--at", &today]).stderr, "");
    }
}

const SHOP: &str = r#"
    apis = [{ name = "shop", permissions = [{ name = "orders:read" }] }]
    roles = [{ name = "seller", permissions = ["shop:orders:read"] }]
    mappings = [{ role = "seller", source.group.displayName = "Sellers" }]
"#;

#[test]
fn every_source_has_a_flag() {
    let place = Installation::sqlite();
    place.run(&["init"]).expect(0);
    place.run(&["role", "create", "viewer", "--assertable-by", "default"]).expect(0);
    let source = |flags: &[&str]| -> Value {
        let create = ["mapping", "create", "--role", "viewer", "--json"];
        place.run(&[&create[..], flags].concat()).expect(0).json()["source"].clone()
    };
    assert_eq!(source(&["--group-external-id", "g1"]), json!({"group": {"externalId": "g1"}}));
    let rule = "userType eq \"Contractor\"";
    assert_eq!(source(&["--rule", rule]), json!({"rule": rule}));
    let asserted = json!({"asserted": {"attribute": "entitlements", "value": "a=b"}});
    assert_eq!(source(&["--asserted", "entitlements=a=b"]), asserted);
    let operator = place.run(&["user", "show", "operator", "--json"]).expect(0).json()["id"].clone();
    let person = source(&["--user", "operator", "--reason", "on_call", "--expires-at", "2035-01-31T00:00:00Z"]);
    let expected = json!({"person": {"type": "user", "id": operator}, "reason": "on_call",
        "expires_at": "2035-01-31T00:00:00.000Z"});
    assert_eq!(person, expected);
    // Connections' agents are people of the host, too.
    let agents = place.run(&["user", "list", "--json"]).expect(0).json();
    let agent = agents["users"].as_array().unwrap().iter().find(|user| user["type"] == "agent").unwrap()["id"].clone();
    let person = source(&["--user", agent.as_str().unwrap(), "--reason", "ci"]);
    assert_eq!(person["person"], json!({"type": "agent", "id": agent}));
    for usage in [
        &["--group", "a", "--rule", "title pr"][..],
        &[],
        &["--user", "operator"],
        &["--group", "a", "--reason", "x"],
        &["--asserted", "viewer"],
    ] {
        place.run(&[&["mapping", "create", "--role", "viewer"], usage].concat()).expect(2);
    }
}

#[test]
fn refusals_end_with_the_code_that_says_how() {
    let place = Installation::sqlite();
    place.run(&["init"]).expect(0);
    let refused = |command: &[&str], code: i32, message: &str| {
        let output = place.run(command).expect(code);
        assert_eq!((output.stdout.as_str(), output.stderr), ("", format!("keyroll: {message}\n")), "{command:?}");
    };
    let before = place.run(&["log", "verify", "--json"]).expect(0).json();
    refused(&["role", "show", "none"], 1, "there is no role none");
    refused(&["role", "delete", "none"], 1, "there is no role none");
    let built_in = "role keyroll.admin is built in and cannot be changed";
    refused(&["role", "replace", "keyroll.admin"], 1, built_in);
    refused(&["role", "create", "x", "--permission", "a:b:c"], 1, "a:b:c: there is no api a");
    refused(&["role", "create", "x", "--include", "y"], 1, "includes: there is no role y");
    refused(&["api", "delete", "keyroll"], 1, "api keyroll is built in and cannot be changed");
    refused(&["mapping", "delete", "x"], 1, "there is no mapping x");
    refused(&["mapping", "create", "--role", "x", "--group", "y"], 1, "role: there is no role x");
    refused(&["access", "show", "ghost"], 1, "there is no user or agent ghost");
    refused(&["role", "holders", "none"], 1, "there is no role none");
    refused(&["mapping", "delete", "x", "--dry-run"], 1, "there is no mapping x");
    assert_eq!(place.run(&["log", "verify", "--json"]).expect(0).json(), before);
    place.run(&["api", "create", "billing", "--permission", "invoices:read"]).expect(0);
    refused(&["api", "create", "billing"], 3, "api billing is there already");
    place.run(&["role", "create", "viewer", "--permission", "billing:*:read"]).expect(0);
    let in_use = "role viewer uses a permission of api billing that would go";
    refused(&["api", "replace", "billing"], 3, in_use);
    refused(&["api", "delete", "billing"], 3, "role viewer uses api billing");
    place.run(&["mapping", "create", "--role", "viewer", "--group", "x"]).expect(0);
    let usage = place.run(&["api", "create", "a", "--route", "GET /x"]).expect(2).stderr;
    assert!(usage.contains("expected a method, a path and a permission"), "{usage}");
    assert_eq!(names(&place.run(&["api", "list", "--json"]).expect(0).json()), ["apis"]);
    assert_eq!(names(&place.run(&["role", "list", "--json"]).expect(0).json()), ["roles"]);
    assert_eq!(place.run(&["role", "create", "y", "--json"]).expect(0).json()["name"], "y");
    assert_eq!(place.run(&["role", "delete", "y", "--json"]).expect(0).json(), json!({"deleted": "y"}));
}
