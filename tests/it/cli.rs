//! The command line as scripts see it: what it prints, how it ends, what it refuses, and what `log verify` finds.

mod access;
mod agents;
mod apply;
mod help;
mod hints;
mod keys;
mod log;
mod scan;
mod serve;
mod settings;

use std::collections::BTreeSet;
use std::fs::Permissions;
use std::os::unix::fs::{MetadataExt, PermissionsExt};

use serde_json::{Value, json};

use crate::support::server::{BULK, Installation, Output, USER, finish};

/// The names of an object's members, in order.
fn names(value: &Value) -> Vec<&str> {
    value.as_object().unwrap().keys().map(String::as_str).collect()
}

#[test]
fn init_prints_the_keys_once_and_a_second_one_changes_nothing() {
    for place in Installation::each() {
        let made = place.run(&["init", "--json", "--public-url", "https://scim.example/"]).expect(0);
        assert_eq!(made.stdout.lines().count(), 1);
        let made = made.json();
        assert_eq!(names(&made), ["tenant", "scim_base_url", "provisioning_key", "admin_key"]);
        assert_eq!(
            (&made["tenant"], &made["scim_base_url"]),
            (&json!("default"), &json!("https://scim.example/scim/v2"))
        );
        let state = || {
            [["key", "list", "--json"], ["user", "list", "--json"], ["log", "tail", "--json"]]
                .map(|c| place.run(&c).stdout)
        };
        let before = state();
        let again = place.run(&["init", "--json"]).expect(3);
        assert_eq!(
            (again.stdout.as_str(), again.stderr.as_str()),
            ("", "keyroll: the database has a tenant default already\n")
        );
        assert_eq!(state(), before);
        let server = place.serve(&[]);
        assert!(server.printed.is_empty(), "{:?}", server.printed);
        server.client(made["provisioning_key"].as_str().unwrap()).get("/scim/v2/Users").expect(200);
        server.client(made["admin_key"].as_str().unwrap()).get("/v1/keys").expect(200);
        assert!(state()[0].contains(&made["admin_key"].as_str().unwrap()[..8]) && !state()[0].contains("\"key\":"));
    }
}

#[test]
fn a_question_makes_no_installation() {
    for place in Installation::each() {
        let path = place.data_dir().join("keyroll.db");
        let said = match place.is_embedded() {
            true => {
                // As somebody else has left it.
                std::fs::create_dir(place.data_dir()).unwrap();
                std::fs::write(&path, "").unwrap();
                std::fs::set_permissions(&path, Permissions::from_mode(0o644)).unwrap();
                format!("the database at {} is empty", path.display())
            }
            false => "the database holds no installation".to_owned(),
        };
        for command in [&["key", "list"][..], &["nodes"], &["backup", "copy"], &["role", "list"]] {
            let output = place.run(command);
            let said = format!("keyroll: {said}: run keyroll init, or keyroll serve\n");
            assert_eq!((output.code, output.stderr), (1, said), "{command:?}");
        }
        assert!(!place.data_dir().join("root.key").exists());
        if let Ok(about) = std::fs::metadata(&path) {
            assert_eq!((about.len(), about.mode() & 0o777), (0, 0o644));
        }
        // Where an installation should be, it says what may have become of it.
        place.run(&["init"]).expect(0);
        let other = Installation::each().find(|one| one.is_embedded() == place.is_embedded()).unwrap();
        if !other.data_dir().exists() {
            std::fs::create_dir(other.data_dir()).unwrap();
        }
        std::fs::copy(place.data_dir().join("root.key"), other.data_dir().join("root.key")).unwrap();
        let lost = other.run(&["key", "list"]).expect(1).stderr;
        assert!(lost.starts_with("keyroll: root.key is of the installation "), "{lost}");
    }
}

#[test]
fn every_command_ends_with_a_code_that_says_how() {
    let place = Installation::sqlite();
    let refused = |output: Output, code: i32, message: &str| {
        assert_eq!((output.code, output.stdout.as_str()), (code, ""), "{output:?}");
        assert_eq!(output.stderr.trim_end(), format!("keyroll: {message}"));
    };
    for command in
        [&["key", "list"][..], &["user", "list"], &["log", "verify"], &["key", "issue", "--owner", "operator"]]
    {
        let output = place.run(command);
        assert_eq!((output.code, output.stdout.as_str()), (1, ""), "{output:?}");
        assert!(output.stderr.starts_with("keyroll: there is no database at "), "{output:?}");
        assert!(output.stderr.ends_with("keyroll.db: run keyroll init, or keyroll serve\n"), "{output:?}");
    }
    place.run(&["init"]).expect(0);
    for usage in [
        &[][..],
        &["nope"],
        &["key", "issue"],
        &["key", "show"],
        &["log", "tail", "-n", "0"],
        &["serve", "--listen", "x"],
        &["serve", "--rate-limit", "often"],
        &["key", "issue", "--owner", "operator", "--expires-in", "P1M"],
        &["key", "issue", "--owner", "operator", "--grant", "keyroll:keys"],
        &["role", "create", "x", "--permission", "A:b:c"],
    ] {
        let output = place.run(usage).expect(2);
        assert!(
            output.stdout.is_empty() && output.stderr.contains("Usage: keyroll") || output.stderr.contains("error:")
        );
    }
    refused(place.run(&["key", "show", "nope"]), 1, "there is no key nope");
    refused(
        place.run(&["key", "revoke", "01939e7a-5b1c-7def-8abc-0123456789ab"]),
        1,
        "there is no key 01939e7a-5b1c-7def-8abc-0123456789ab",
    );
    refused(place.run(&["user", "show", "ghost"]), 1, "there is no user ghost");
    refused(
        place.run(&["key", "issue", "--owner", "ghost"]),
        1,
        "no user and no agent is named ghost: keyroll user list shows everybody, keyroll agent create NAME --sponsor WHO \
         makes an agent",
    );
    refused(place.run(&["key", "issue", "--connection", "ghost"]), 1, "no connection is named ghost");
    refused(place.run(&["user", "delete", "operator"]), 3, "a local principal cannot be deleted");
    let letter = place.data_dir().join("letter");
    std::fs::write(&letter, "Dear Mira, this is no database.\n".repeat(200)).unwrap();
    let letter = format!("sqlite:{}", letter.display());
    let wrong = place.run(&["key", "list", "--database-url", &letter]).expect(1);
    assert!(wrong.stderr.contains("file is not a database: it was left as it is: "), "{wrong:?}");
    let gone = ["key", "list", "--database-url", "postgres:///keyroll?host=/nonexistent"];
    let gone = place.run(&gone).expect(4);
    assert!(gone.stderr.contains("cannot connect to PostgreSQL"), "{gone:?}");
}

#[test]
fn what_cannot_be_printed_is_a_failure() {
    let place = Installation::sqlite();
    place.run(&["init"]).expect(0);
    let mut command = place.command(&["key", "list"]);
    command.stdout(std::fs::File::options().write(true).open("/dev/full").unwrap());
    let output = finish(command).expect(1);
    let said = "keyroll: cannot write to standard output: No space left on device (os error 28): what was to be done is \
                done and was not shown\n";
    assert_eq!(output.stderr, said);
    // Whoever has gone away is told nothing.
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let mut command = place.command(&["key", "list"]);
    command.stdout(writer);
    assert_eq!(finish(command).expect(1).stderr, "");
}

#[test]
fn every_command_prints_json_of_one_shape() {
    let place = Installation::sqlite();
    place.run(&["init"]).expect(0);
    let issued = place.run(&["key", "issue", "--owner", "operator", "--name", "n", "--expires-in", "P1D", "--json"]);
    let issued = issued.expect(0).json();
    let record = [
        "id",
        "name",
        "display",
        "class",
        "owner",
        "status",
        "reasons",
        "grant",
        "created_at",
        "expires_at",
        "revoked_at",
        "revoke_reason",
        "revoke_note",
    ];
    assert_eq!(names(&issued)[..13], record);
    assert_eq!(names(&issued)[13..], ["key"]);
    let id = issued["id"].as_str().unwrap();
    let shown = place.run(&["key", "show", id, "--json"]).expect(0).json();
    assert_eq!(names(&shown), record);
    let revoked = place.run(&["key", "revoke", id, "--reason", "left_company", "--json"]).expect(0).json();
    assert_eq!((names(&revoked), &revoked["revoke_reason"]), (record.to_vec(), &json!("left_company")));
    assert_eq!(names(&place.run(&["key", "list", "--json"]).expect(0).json()), ["keys", "next"]);
    let users = place.run(&["user", "list", "--json"]).expect(0).json();
    assert_eq!(names(&users), ["users", "next"]);
    let user = ["id", "type", "name", "origin", "live", "active", "admin_hold", "suspended_at", "deleted_at"];
    assert_eq!(names(&users["users"][0]), user);
    let verified = place.run(&["log", "verify", "--json"]).expect(0).json();
    assert_eq!(names(&verified), ["intact", "records", "credentials", "reason", "tampered", "tampered_total", "note"]);
    for line in place.run(&["log", "tail", "-n", "3"]).expect(0).stdout.lines() {
        let record: Value = serde_json::from_str(line).unwrap();
        assert_eq!(
            names(&record),
            ["action", "actor", "change", "log", "outcome", "prev", "request", "seq", "subject", "time", "v"]
        );
    }
}

#[test]
fn a_list_of_several_pages_is_one_answer() {
    let place = Installation::sqlite();
    let server = place.serve(&[]);
    let create = |n: usize| {
        let user = json!({"schemas": [USER], "userName": format!("user{n}")});
        json!({"method": "POST", "path": "/Users", "bulkId": n.to_string(), "data": user})
    };
    let job = json!({"schemas": [BULK], "Operations": (0..1_000).map(create).collect::<Vec<_>>()});
    server.idp().post("/scim/v2/Bulk", &job).expect(200);
    let listed = place.run(&["user", "list", "--json"]).expect(0).json();
    let ids: BTreeSet<&str> =
        listed["users"].as_array().unwrap().iter().map(|user| user["id"].as_str().unwrap()).collect();
    // The operator and the connection's agent are there, too.
    assert_eq!((listed["users"].as_array().unwrap().len(), ids.len()), (1_002, 1_002));
    assert_eq!(listed["next"], Value::Null);
    let rows = place.run(&["user", "list"]).expect(0).stdout;
    assert_eq!(rows.lines().filter(|line| line.contains(" scim ")).count(), 1_000);
}

#[test]
fn the_host_always_finds_its_way_back_in() {
    for place in Installation::each() {
        let server = place.serve(&[]);
        let listed = place.run(&["key", "list", "--json"]).expect(0).json();
        for key in listed["keys"].as_array().unwrap() {
            place.run(&["key", "revoke", key["id"].as_str().unwrap()]).expect(0);
        }
        server.admin().get("/v1/keys").expect(401);
        server.idp().get("/scim/v2/Users").expect(401);
        let issued = place.run(&["key", "issue", "--owner", "operator", "--json"]).expect(0).json();
        assert_eq!(issued["grant"], json!([{"permissions": ["keyroll:*:*"]}]));
        server.client(issued["key"].as_str().unwrap()).get("/v1/keys").expect(200);
        let issued = place.run(&["key", "issue", "--connection", "default", "--json"]).expect(0).json();
        assert_eq!(issued["class"], "p");
        let idp = server.client(issued["key"].as_str().unwrap());
        idp.post("/scim/v2/Users", &json!({"schemas": [USER], "userName": "ann"})).expect(201);
    }
}
