//! The commands about access, as people type them and as scripts read them.

use std::process::Command;

use serde_json::{Value, json};

use super::names;
use crate::support::server::{GROUP, Installation, Output, PATCH, USER, finish};

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

#[test]
fn whom_a_mapping_names_is_shown_by_name_and_id() {
    for place in Installation::each() {
        let server = place.serve(&[]);
        let run = |command: &[&str]| place.run(command).expect(0);
        let path = place.data_dir().join("access.toml");
        std::fs::write(&path, SHOP).unwrap();
        run(&["apply", "-f", path.to_str().unwrap()]);
        let mira = server.idp().post("/scim/v2/Users", &json!({"schemas": [USER], "userName": "mira okafor"}));
        let mira = mira.expect(201).json()["id"].as_str().unwrap().to_owned();
        run(&["agent", "create", "ci", "--sponsor", "operator"]);
        let person = |user: &str, reason: &str| {
            let create = ["mapping", "create", "--role", "seller", "--user", user, "--reason", reason];
            run(&create).stdout
        };
        let said = format!("user mira okafor {mira} (on call)");
        let made = person("mira okafor", "on call");
        assert!(made.contains(&said), "{made}");
        let ci = run(&["agent", "show", "ci", "--json"]).json()["id"].as_str().unwrap().to_owned();
        let (agent, operator) = (format!("agent ci {ci} (builds)"), "user operator ");
        assert!(person("ci", "builds").contains(&agent));
        assert!(person("operator", "all").contains(operator));
        let listed = run(&["mapping", "list"]).stdout;
        assert!([&said, &agent, operator].iter().all(|text| listed.contains(*text)), "{listed}");
        let mappings = run(&["mapping", "list", "--json"]).json();
        let one = mappings["mappings"].as_array().unwrap().iter().find(|one| one["source"]["person"]["id"] == *mira);
        let id = one.unwrap()["id"].as_str().unwrap();
        assert!(run(&["mapping", "show", id]).stdout.contains(&said));
        let losses = run(&["mapping", "delete", id, "--dry-run"]).stdout;
        let row: Vec<&str> = losses.lines().nth(1).unwrap().split_whitespace().collect();
        assert_eq!(row[..5], ["user", &mira, "mira", "okafor", "seller"], "{losses}");
        let pruned = run(&["apply", "-f", path.to_str().unwrap(), "--prune", "--force", "--dry-run"]).stdout;
        assert!(pruned.contains(&format!("- mapping seller: {said}")), "{pruned}");
        let left = run(&["apply", "-f", path.to_str().unwrap()]).stdout;
        assert!(left.contains(&format!("mapping seller: {said}")), "{left}");
        // Of somebody who is deleted no name is kept.
        server.idp().delete(&format!("/scim/v2/Users/{mira}")).expect(204);
        let listed = run(&["mapping", "list"]).stdout;
        assert!(!listed.contains("okafor"), "{listed}");
        assert!(listed.contains(&format!("user {mira} (on call), gone ")), "{listed}");
        assert_eq!(listed.matches(", gone").count(), 1, "{listed}");
        let mappings = run(&["mapping", "list", "--json"]).json();
        let gone = mappings["mappings"].as_array().unwrap().iter().filter(|one| one["gone"] == true);
        assert_eq!(gone.map(|one| &one["source"]["person"]["id"]).collect::<Vec<_>>(), [&json!(mira)]);
    }
}

#[test]
fn a_name_at_a_past_time_is_no_others() {
    for place in Installation::each() {
        let server = place.serve(&[]);
        let idp = server.idp();
        let hire = |name: &str| {
            let made = idp.post("/scim/v2/Users", &json!({"schemas": [USER], "userName": name})).expect(201).json();
            made["id"].as_str().unwrap().to_owned()
        };
        let (first, _) = (hire("mira"), hire("noor"));
        let record = place.run(&["log", "tail", "-n", "1"]).expect(0).json();
        let then = record["time"].as_str().unwrap();
        let rename =
            json!({"schemas": [PATCH], "Operations": [{"op": "replace", "path": "userName", "value": "mira.vale"}]});
        idp.patch(&format!("/scim/v2/Users/{first}"), &rename).expect(200);
        let second = hire("mira");
        let asked = |verb: &str, name: &str| {
            let permission: &[&str] = if verb == "explain" { &["keyroll:users:read"] } else { &[] };
            place.run(&[&["access", verb, name], permission, &["--at", then, "--json"]].concat())
        };
        for verb in ["show", "explain"] {
            for (name, who, had) in [("mira", &second, "was not there"), ("mira.vale", &first, "had another")] {
                let said =
                    format!("user {who} has this name now and {had} at that time: give the id of the one who is meant");
                assert_eq!(asked(verb, name).expect(3).stderr, format!("keyroll: {said}\n"));
            }
            let nobody = "keyroll: there is no user or agent who has this name now (who had it at that time is found by id): eve\n";
            assert_eq!(asked(verb, "eve").expect(1).stderr, nobody);
            for name in [&first, "Noor", "operator"] {
                assert_eq!(asked(verb, name).stderr, "", "{verb} {name}");
            }
        }
    }
}

#[test]
fn who_has_left_is_shown_with_the_record_of_it() {
    for place in Installation::each() {
        let server = place.serve(&[]);
        let run = |command: &[&str]| place.run(command).expect(0);
        let made =
            server.idp().post("/scim/v2/Users", &json!({"schemas": [USER], "userName": "mira"})).expect(201).json();
        let path = format!("/scim/v2/Users/{}", made["id"].as_str().unwrap());
        assert_eq!(run(&["user", "show", "mira", "--json"]).json()["left_by"], Value::Null);
        let active = |value: bool| {
            let set = json!({"op": "replace", "path": "active", "value": value});
            server.idp().patch(&path, &json!({"schemas": [PATCH], "Operations": [set]})).expect(200);
        };
        let left_by = || run(&["user", "show", "mira", "--json"]).json()["left_by"].clone();
        let record = |seq: &Value| {
            let tail = run(&["log", "tail"]).stdout;
            let mut records = tail.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
            records.find(|record| record["seq"] == *seq).unwrap()
        };
        active(false);
        let by = left_by();
        assert_eq!((&by["action"], &by["by"]), (&json!("principal.suspended"), &json!("connection default")));
        assert_eq!(record(&by["seq"])["subject"]["id"], made["id"]);
        let shown = run(&["user", "show", "mira"]).stdout;
        let said = format!("principal.suspended by connection default, record {}", by["seq"]);
        assert!(shown.contains(&said), "{shown}");
        // A hold beside it changes nothing of that; who comes back and is held is held by whoever did that.
        run(&["user", "suspend", "mira"]);
        assert_eq!(left_by(), by);
        run(&["user", "activate", "mira"]);
        active(true);
        assert_eq!(left_by(), Value::Null);
        run(&["user", "suspend", "mira"]);
        let by = left_by();
        assert_eq!((&by["by"], record(&by["seq"])["actor"]["type"].clone()), (&json!("host"), json!("host")));
        // Of whoever is deleted, only the id is left.
        run(&["user", "activate", "mira"]);
        server.admin().delete(&format!("/v1/users/{}", made["id"].as_str().unwrap())).expect(204);
        let gone = run(&["user", "show", made["id"].as_str().unwrap(), "--json"]).json();
        assert_eq!(gone["left_by"]["by"], "user operator", "{gone}");
    }
}

const SHOP: &str = r#"
    apis = [{ name = "shop", permissions = [{ name = "orders:read" }] }]
    roles = [{ name = "seller", permissions = ["shop:orders:read"] }]
    mappings = [{ role = "seller", source.group.displayName = "Sellers" }]
"#;

#[test]
fn who_holds_a_role_and_why_somebody_may() {
    for place in Installation::each() {
        let server = place.serve(&[]);
        let (run, admin) = (|command: &[&str]| place.run(command).expect(0), server.admin());
        let path = place.data_dir().join("access.toml");
        std::fs::write(&path, SHOP).unwrap();
        run(&["apply", "-f", path.to_str().unwrap()]);
        let user = |name: &str| {
            let made = server.idp().post("/scim/v2/Users", &json!({"schemas": [USER], "userName": name})).expect(201);
            made.json()["id"].as_str().unwrap().to_owned()
        };
        let (mira, _) = (user("mira"), user("noor"));
        let group = json!({"schemas": [GROUP], "displayName": "Sellers", "members": [{"value": mira}]});
        server.idp().post("/scim/v2/Groups", &group).expect(201);

        let holders = run(&["role", "holders", "seller", "--json"]).json();
        assert_eq!(holders, admin.get("/v1/roles/seller/holders").expect(200).json());
        let mapping = holders["holders"][0]["reasons"][0]["mapping"].as_str().unwrap();
        let row = |text: &str, n: usize| -> Vec<String> {
            text.lines().nth(n).unwrap_or_default().split_whitespace().map(str::to_owned).collect()
        };
        assert_eq!(row(&run(&["role", "holders", "seller"]).stdout, 1), ["user", &mira, "mira", "group", mapping]);

        let explain = |name: &str| json!({"principal": {"type": "user", "id": name}, "permission": "shop:orders:read"});
        let explained = run(&["access", "explain", "mira", "shop:orders:read", "--json"]).json();
        assert_eq!(explained, admin.post("/v1/access/explain", &explain(&mira)).expect(200).json());
        let shown = run(&["access", "explain", "mira", "shop:orders:read"]).stdout;
        assert_eq!(shown.lines().next(), Some("yes: given by role seller"));
        let since = explained["reasons"][0]["since"].as_str().unwrap();
        assert_eq!(row(&shown, 2), ["seller", "group", "Sellers", "-", since, "-", mapping]);
        let denied = place.run(&["access", "explain", "noor", "shop:orders:read"]).expect(1);
        let said = "no: would need role seller; group Sellers would give it\n\
                    hint: keyroll mapping create --role seller --user noor --reason WHY\n";
        assert_eq!((denied.stdout.as_str(), denied.stderr.as_str()), (said, ""));
        let denied = place.run(&["access", "explain", "noor", "shop:orders:read", "--json"]).expect(1);
        assert_eq!(denied.json()["allowed"], json!(false));
        // The state of a moment: before the group came, nobody held it.
        let before = place.run(&["log", "tail"]).expect(0).stdout;
        let mut made = before.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        let made = made.rfind(|record| record["action"] == "user.created").unwrap()["time"].clone();
        let at = ["--at", made.as_str().unwrap(), "--json"];
        let then = run(&[&["role", "holders", "seller"][..], &at].concat()).json();
        assert_eq!((&then["holders"], &then["next"]), (&json!([]), &Value::Null));
        let path = format!("/v1/roles/seller/holders?at={}", made.as_str().unwrap());
        assert_eq!(then, admin.get(&path).expect(200).json());
        place.run(&[&["access", "explain", "mira", "shop:orders:read"][..], &at].concat()).expect(1);
        let today = run(&["role", "holders", "seller", "--at", "2099-12-31", "--json"]).json();
        assert_eq!(today["holders"], holders["holders"], "a day that has not ended is the present");

        let records = || run(&["log", "verify", "--json"]).json()["records"].clone();
        let before = records();
        let losses = run(&["mapping", "delete", mapping, "--dry-run", "--json"]).json();
        let path = format!("/v1/mappings/{mapping}");
        assert_eq!(losses, admin.delete(&format!("{path}?dry_run=true")).expect(200).json());
        let shown = run(&["mapping", "delete", mapping, "--dry-run"]).stdout;
        assert_eq!(row(&shown, 1), ["user", &mira, "mira", "seller", "shop:orders:read"]);
        admin.get(&path).expect(200);
        assert_eq!(records(), before);
        run(&["mapping", "delete", mapping]);
        assert_eq!(run(&["role", "holders", "seller", "--json"]).json()["holders"], json!([]));
    }
}

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

/// Runs a command line of the program, for JSON.
fn in_shell(place: &Installation, line: &str) -> Output {
    let inner = place.command(&[]);
    let mut shell = Command::new("sh");
    shell.args(["-c", &format!("{} --json", line.replacen("keyroll", "\"$0\"", 1))]).arg(inner.get_program());
    shell.current_dir(inner.get_current_dir().unwrap());
    shell.envs(inner.get_envs().filter_map(|(name, value)| Some((name, value?))));
    finish(shell).expect(0)
}

#[test]
fn who_is_denied_is_given_the_command_that_ends_it() {
    for place in Installation::each() {
        let server = place.serve(&[]);
        let path = place.data_dir().join("access.toml");
        std::fs::write(&path, SHOP).unwrap();
        place.run(&["apply", "-f", path.to_str().unwrap()]).expect(0);
        let mappings = place.run(&["mapping", "list", "--json"]).expect(0).json();
        for mapping in mappings["mappings"].as_array().unwrap().iter().filter(|one| one["role"] == "seller") {
            place.run(&["mapping", "delete", mapping["id"].as_str().unwrap()]).expect(0);
        }
        let hire = |name: &str| {
            let made = server.idp().post("/scim/v2/Users", &json!({"schemas": [USER], "userName": name}));
            made.expect(201).json()["id"].as_str().unwrap().to_owned()
        };
        let (_, noor) = (hire("mira@example.com"), hire("o'noor"));
        let group = json!({"schemas": [GROUP], "displayName": "Front Office", "members": [{"value": noor}]});
        server.idp().post("/scim/v2/Groups", &group).expect(201);
        let hints = |who: &str, more: &[&str], code: i32| {
            let asked = place.run(&[&["access", "explain", who, "shop:orders:read"], more].concat()).expect(code);
            let hints = asked.stdout.lines().filter_map(|line| line.strip_prefix("hint: "));
            hints.map(str::to_owned).collect::<Vec<_>>()
        };
        let create = "keyroll mapping create --role seller";
        let alone = |who: &str| format!("{create} --user {who} --reason WHY");
        let group = format!("{create} --group NAME  # and their identity provider puts them into that group");
        assert_eq!(hints("mira@example.com", &[], 1), [group, alone("mira@example.com")]);
        assert_eq!(hints("operator", &[], 1), [alone("operator")]);
        let given = hints("o'noor", &[], 1);
        assert_eq!(given, [format!("{create} --group 'Front Office'"), alone(r"'o'\''noor'")]);
        // They are what a shell takes, and what helps. Of the past nothing can be changed.
        let day = chrono::Utc::now().date_naive().to_string();
        for command in given.iter().rev() {
            assert_eq!(hints("o'noor", &["--at", &day], 1), Vec::<String>::new());
            let made = in_shell(&place, command).json();
            assert_eq!(hints("o'noor", &[], 0), Vec::<String>::new());
            place.run(&["mapping", "delete", made["id"].as_str().unwrap()]).expect(0);
        }
    }
}
