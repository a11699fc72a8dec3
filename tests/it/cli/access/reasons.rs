//! Who holds what and why, and what ends a denial.

use std::process::Command;

use serde_json::{Value, json};

use super::SHOP;
use crate::support::server::{GROUP, Installation, Output, USER, finish};

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
