//! `keyroll apply`: what it makes, what it tells, and that a second run has nothing to do.

use std::process::Stdio;

use insta::assert_snapshot;
use serde_json::{Value, json};

use crate::support::server::{Installation, USER};

/// The file that ships with Keyroll.
const EXAMPLE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/access.toml");

/// Writes a file beside the data folder, and gives its path.
fn file(place: &Installation, text: &str) -> String {
    let path = place.data_dir().parent().unwrap().join("access.toml");
    std::fs::write(&path, text).unwrap();
    path.display().to_string()
}

fn records(place: &Installation) -> Value {
    place.run(&["log", "verify", "--json"]).expect(0).json()["records"].clone()
}

#[test]
fn the_example_is_applied_once() {
    for place in Installation::each() {
        place.run(&["init"]).expect(0);
        let before = records(&place);
        let operator = place.run(&["user", "show", "operator", "--json"]).expect(0).json()["id"].clone();
        let dry = place.run(&["apply", "-f", EXAMPLE, "--dry-run"]).expect(0).stdout;
        insta::allow_duplicates! { assert_snapshot!(dry.replace(operator.as_str().unwrap(), "OPERATOR"), @r#"
            + api billing
                + description Invoices and what is paid on them
                + owner_team finance-platform
                + permissions invoices:read See invoices
                + permissions invoices:write Make and change invoices
                + routes GET /v2/invoices/{id} invoices:read
                + routes PUT /v2/invoices/{id} invoices:write
            + role billing.viewer
                + permissions billing:invoices:read
                + assertable_by default
            + role billing.clerk
                + description Keeps the invoices
                + permissions billing:invoices:write
                + includes billing.viewer
            + mapping billing.clerk: group Finance
            + mapping billing.viewer: rule userType eq "Contractor" and title co "Billing"
            + mapping billing.viewer: asserted roles=viewer
            + mapping billing.viewer: user operator OPERATOR (quarterly review, until 2035-01-31T00:00:00.000Z)
            7 would be created, 0 replaced; this dry run changed nothing
            who gains and loses:
                + operator gains billing.viewer (billing:invoices:read)
            "#); }
        assert_eq!(records(&place), before, "a dry run records nothing");
        assert_eq!(place.run(&["role", "list", "--json"]).expect(0).json()["roles"].as_array().unwrap().len(), 4);
        let (told, _) = dry.rsplit_once("7 would").unwrap();
        let done = place.run(&["apply", "-f", EXAMPLE]).expect(0).stdout;
        assert_eq!(done, format!("{told}7 created, 0 replaced\n"), "the same diff");
        let tail = place.run(&["log", "tail", "-n", "7"]).expect(0).stdout;
        let actions: Vec<Value> =
            tail.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()["action"].clone()).collect();
        let mapping = "mapping.created";
        assert_eq!(actions, ["api.created", "role.created", "role.created", mapping, mapping, mapping, mapping]);
        // The included role is there first.
        assert!(tail.lines().nth(1).unwrap().contains("billing.viewer"), "{tail}");
        let before = records(&place);
        assert_eq!(place.run(&["apply", "-f", EXAMPLE]).expect(0).stdout, "nothing to do\n");
        let told = place.run(&["apply", "-f", EXAMPLE, "--json"]).expect(0).json();
        assert_eq!(told, json!({"dry_run": false, "changes": [], "unchanged": 7, "left": []}));
        assert_eq!(records(&place), before, "nothing to do is not recorded");
        let access = place.run(&["access", "show", "operator", "--json"]).expect(0).json();
        assert_eq!(access["permissions"], json!(["billing:invoices:read", "keyroll:*:*"]));
        assert_eq!(access["roles"][0]["reasons"][0]["until"], json!("2035-01-31T00:00:00.000Z"));
    }
}

const FIRST: &str = r#"
[[apis]]
name = "shop"
permissions = [{ name = "orders:read" }, { name = "orders:cancel" }]

[[roles]]
name = "shop.seller"
description = "Sells"
permissions = ["shop:orders:read", "shop:orders:cancel"]

[[mappings]]
role = "shop.seller"
source = { person = { type = "user", id = "mira" }, reason = "trial", expires_at = 2035-01-01T00:00:00Z }
"#;

/// The api loses a permission in the file in which its role does; the grant of a person lasts.
const SECOND: &str = r#"
[[apis]]
name = "shop"
permissions = [{ name = "orders:read" }, { name = "orders:refund", description = "Pay back" }]

[[roles]]
name = "shop.seller"
permissions = ["shop:orders:read", "shop:orders:refund"]

[[mappings]]
role = "shop.seller"
source = { person = { type = "user", id = "mira" }, reason = "hired" }
"#;

#[test]
fn what_differs_is_replaced_together() {
    for place in Installation::each() {
        let server = place.serve(&[]);
        let mira = server.idp().post("/scim/v2/Users", &json!({"schemas": [USER], "userName": "mira"})).expect(201);
        let mira = mira.json()["id"].as_str().unwrap().to_owned();
        place.run(&["apply", "-f", &file(&place, FIRST)]).expect(0);
        let path = file(&place, SECOND);
        let told = place.run(&["apply", "-f", &path]).expect(0).stdout.replace(&mira, "MIRA");
        insta::allow_duplicates! { assert_snapshot!(told, @r"
            ~ api shop
                - permissions orders:cancel
                + permissions orders:refund Pay back
            ~ role shop.seller
                - description Sells
                - permissions shop:orders:cancel
                + permissions shop:orders:refund
            ~ mapping shop.seller
                - user mira MIRA (trial, until 2035-01-01T00:00:00.000Z)
                + user mira MIRA (hired)
            0 created, 3 replaced
            "); }
        let tail = place.run(&["log", "tail", "-n", "3"]).expect(0).stdout;
        let records: Vec<Value> = tail.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let actions: Vec<&Value> = records.iter().map(|record| &record["action"]).collect();
        assert_eq!(actions, ["api.replaced", "role.replaced", "mapping.replaced"]);
        // Which members changed, and never what they are.
        assert_eq!(records[0]["change"], json!({"roles": ["shop.seller"], "paths": ["permissions"]}));
        let given = json!({"mappings": [records[2]["subject"]["id"]], "paths": ["description", "permissions"]});
        assert_eq!(records[1]["change"], given);
        let grant = json!({"role": "shop.seller", "source": "person", "principal": mira, "paths": ["source"]});
        assert_eq!(records[2]["change"], grant);
        // A started server sees it on the next request.
        let access = server.admin().get(&format!("/v1/users/{mira}/access")).expect(200).json();
        assert_eq!(access["permissions"], json!(["shop:orders:read", "shop:orders:refund"]));
        assert_eq!(access["roles"][0]["reasons"][0]["until"], Value::Null);
        assert_eq!(place.run(&["apply", "-f", &path]).expect(0).stdout, "nothing to do\n");
    }
}

#[test]
fn a_file_that_breaks_a_rule_changes_nothing() {
    let place = Installation::sqlite();
    place.run(&["init"]).expect(0);
    let before = records(&place);
    let path = file(&place, "");
    let refused = |text: &str, code: i32, message: &str| {
        file(&place, text);
        for flags in [&["apply", "-f", &path][..], &["apply", "-f", &path, "--dry-run"]] {
            let output = place.run(flags).expect(code);
            assert_eq!((output.stdout.as_str(), output.stderr.trim_end()), ("", message), "{text}");
        }
        assert_eq!(records(&place), before);
    };
    let late = format!("{FIRST}\n[[mappings]]\nrole = \"nobody\"\nsource.rule = \"title pr\"\n");
    let said = |what: &str| format!("keyroll: {path}: {what}");
    refused(&late, 1, &said("mappings[0].source.person.id: nobody has the id or userName mira"));
    let late = late.replace("\"mira\"", "\"operator\"");
    refused(&late, 1, &said("mappings[1].role: there is no role nobody"));
    let group = "01939e7a-5b1c-7def-8abc-0123456789ab";
    let unknown = format!("[[mappings]]\nrole = \"keyroll.auditor\"\nsource.group.id = \"{group}\"\n");
    refused(&unknown, 1, &said(&format!("mappings[0].source.group.id: there is no group {group}")));
    refused("roles = 1", 1, &said("roles: expected an array of at most 100000"));
    refused("[[role]]\nname = \"x\"", 1, &said("role: no such member"));
    refused("[[apis]]\nname = \"keyroll\"", 1, &said("apis[0]: api keyroll is built in and cannot be changed"));
    let mut command = place.command(&["apply", "-f", "-"]);
    file(&place, "[[roles]]\nnamed = \"all\"\n");
    command.stdin(Stdio::from(std::fs::File::open(&path).unwrap()));
    let output = crate::support::server::finish(command).expect(1);
    assert_eq!(output.stderr, "keyroll: standard input: roles[0].named: no such member\n");
    file(&place, "[[roles]]\nname = ");
    let broken = place.run(&["apply", "-f", &path]).expect(1).stderr;
    assert!(broken.starts_with(&format!("keyroll: {path}: TOML parse error at line 2, column 8")), "{broken}");
    let gone = place.run(&["apply", "-f", "none.toml"]).expect(1).stderr;
    assert!(gone.starts_with("keyroll: cannot read none.toml: No such file"), "{gone}");
    place.run(&["apply"]).expect(2);
}

#[test]
fn standard_input_is_read_too() {
    let place = Installation::sqlite();
    place.run(&["init"]).expect(0);
    let mut command = place.command(&["apply", "-f", "-", "--json"]);
    let path = file(&place, "[[roles]]\nname = \"all\"\npermissions = [\"keyroll:*:read\"]\n");
    command.stdin(Stdio::from(std::fs::File::open(path).unwrap()));
    let told = crate::support::server::finish(command).expect(0).json();
    let role = json!({"name": "all", "description": "", "permissions": ["keyroll:*:read"], "includes": [],
        "assertable_by": []});
    let change = json!({"change": "create", "kind": "role", "name": "all", "before": null, "after": role});
    assert_eq!(told, json!({"dry_run": false, "changes": [change], "unchanged": 0, "left": []}));
}
