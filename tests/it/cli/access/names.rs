//! By what name people are shown: now, at a past time, and once they have left.

use serde_json::{Value, json};

use super::SHOP;
use crate::support::server::{Installation, PATCH, USER};

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

#[test]
fn a_hold_that_was_lifted_keeps_nobody_out() {
    for place in Installation::each() {
        let server = place.serve(&[]);
        let run = |command: &[&str]| place.run(command).expect(0);
        let made =
            server.idp().post("/scim/v2/Users", &json!({"schemas": [USER], "userName": "mira"})).expect(201).json();
        let left_by = || {
            let by = run(&["user", "show", "mira", "--json"]).json()["left_by"].clone();
            (by["action"].clone(), by["by"].clone(), by["seq"].as_i64())
        };
        run(&["user", "suspend", "mira"]);
        let held = left_by();
        assert_eq!((&held.0, &held.1), (&json!("principal.suspended"), &json!("host")));
        let set = json!({"op": "replace", "path": "active", "value": false});
        let path = format!("/scim/v2/Users/{}", made["id"].as_str().unwrap());
        server.idp().patch(&path, &json!({"schemas": [PATCH], "Operations": [set]})).expect(200);
        assert_eq!(left_by(), held, "both keep them out, and the hold came first");
        run(&["user", "activate", "mira"]);
        let left = left_by();
        assert_eq!(left.1, "connection default");
        assert!(left.2 > held.2, "{left:?} {held:?}");
    }
}
