//! The command line as scripts see it: what it prints, how it ends, what it refuses, and what `log verify` finds.

mod access;
mod agents;
mod apply;
mod help;
mod hints;
mod keys;
mod log;

use std::collections::BTreeSet;
use std::io::{Read, Write};

use diesel::connection::SimpleConnection;
use serde_json::{Value, json};

use crate::support::server::{BULK, Installation, Output, USER, connect, finish, raw, read_answer, unwarned};

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
fn serve_prints_the_keys_once_and_never_logs_them() {
    let place = Installation::sqlite();
    let server = place.serve_with(&[], &[("KEYROLL_LOG", "trace")]);
    assert_eq!(server.printed.len(), 1);
    let printed: Value = serde_json::from_str(&server.printed[0]).unwrap();
    assert_eq!(printed["scim_base_url"], format!("http://{}/scim/v2", server.address));
    let keys = server.keys();
    server.admin().get("/v1/whoami").expect(200);
    server.terminate();
    let (status, stdout, stderr) = server.wait();
    assert_eq!((status.code(), stdout.as_str()), (Some(0), ""));
    assert!(!stderr.contains(&keys.admin) && !stderr.contains(&keys.provisioning));
    assert!(place.serve(&[]).printed.is_empty());
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
fn a_log_that_nobody_reads_holds_nobody_up() {
    let place = Installation::sqlite();
    let server = place.serve_unread(&[("KEYROLL_LOG", "info")]);
    // Far more lines than a pipe has room for.
    for _ in 0..1_500 {
        server.admin().get("/healthz").expect(200);
    }
    server.terminate();
    assert_eq!(server.wait().0.code(), Some(0));
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

#[test]
fn what_cannot_be_honoured_does_not_start() {
    let place = Installation::sqlite();
    let start = |flags: &[&str], variables: &[(&str, &str)]| {
        let mut command = place.command(&["serve"]);
        command.args(flags).envs(variables.iter().copied());
        let output = finish(command).expect(2);
        assert_eq!(output.stdout, "");
        output.stderr
    };
    let says = |message: String, expected: &str| assert!(message.contains(expected), "{message}");
    says(
        start(&[], &[("KEYROLL_FOO", "1")]),
        "keyroll: KEYROLL_FOO is no setting of Keyroll: known are KEYROLL_DATA_DIR, ",
    );
    says(start(&["--config", "none.toml"], &[]), "keyroll: cannot read none.toml: No such file");
    let folder = place.data_dir().parent().unwrap();
    std::fs::write(folder.join("keyroll.toml"), "listen = \"127.0.0.1:0\"\nlog_levle = \"info\"\n").unwrap();
    says(start(&[], &[]), "unknown field `log_levle`, expected one of `data_dir`, `database_url`, ");
    says(start(&[], &[]), "`rate_limit`, `require_synchronous_standby`, `log_level`, `log_format`");
    std::fs::write(folder.join("keyroll.toml"), "rate_limit = \"fast\"\n").unwrap();
    says(start(&[], &[]), "rate-limit: expected a number and /min");
    // A flag wins over the file.
    says(
        start(&["--rate-limit", "off", "--listen", "0.0.0.0:0"], &[]),
        "would send keys in the clear: end TLS in a proxy and name it with --behind-proxy",
    );
    std::fs::remove_file(folder.join("keyroll.toml")).unwrap();
    let remote = start(&["--listen", "127.0.0.1:0", "--database-url", "postgres://u:secret@db.example/k"], &[]);
    says(
        remote.clone(),
        "a database on another host needs sslmode=require or stronger, or an explicit sslmode=disable",
    );
    assert!(!remote.contains("secret"));
    says(start(&["--public-url", "scim.example"], &[]), "--public-url: expected http:// or https://");
    says(start(&["--public-url", "https://id.example/k/scim/v2/"], &[]), "--public-url: leave out /scim/v2");
    assert!(!place.data_dir().exists(), "nothing was made");
    // Variables of others are left alone.
    place.serve_with(&[], &[("KEYROLL_TEST_X", "1"), ("KEYROLL_SERVICE_HOST", "x"), ("KEYROLL_PORT_80_TCP", "x")]);
}

#[test]
fn what_is_said_of_settings_repeats_no_value() {
    const SECRET: &str = "Hunter2";
    let place = Installation::sqlite();
    let folder = place.data_dir().parent().unwrap();
    let refused = |code: i32, arguments: &[&str], variables: &[(&str, &str)], names: &str| {
        let mut command = place.command(arguments);
        command.args(["--data-dir", "data"]).envs(variables.iter().copied());
        let output = finish(command).expect(code);
        assert!(output.stderr.contains(names), "{arguments:?}: {output:?}");
        assert!(!output.stderr.contains(SECRET) && output.stdout.is_empty(), "{arguments:?}: {output:?}");
    };
    let url = |rest: &str| format!("postgres://u:{SECRET}{rest}");
    for bad in [url("%zz@127.0.0.1/k"), url("@[::1/x"), url("@127.0.0.1:x/k"), format!("mysql://u:{SECRET}@h/k")] {
        refused(2, &["key", "list", "--database-url", &bad], &[], "--database-url: ");
        refused(2, &["serve"], &[("KEYROLL_DATABASE_URL", &bad)], "--database-url: ");
    }
    // What only libpq refuses, it repeats.
    for bad in ["@127.0.0.1:1/k?sslmode=disable&%s=1", "@127.0.0.1:1/k?sslmode=%s", "@127.0.0.1:1/%s?a=%s=%s"] {
        let bad = url(&bad.replace("%s", SECRET));
        refused(4, &["init", "--database-url", &bad], &[], "cannot connect to PostgreSQL");
    }
    refused(2, &["key", "list", "--database-url", "sqlite:"], &[], "--database-url: behind sqlite: expected the path");
    let good = url("@127.0.0.1/k");
    refused(2, &["serve", &good], &[], "unexpected argument");
    refused(2, &["serve", "--listen", &good], &[], "--listen <ADDRESS>");
    refused(2, &["serve"], &[("KEYROLL_LISTEN", &good)], "--listen <ADDRESS>");
    refused(2, &["serve"], &[("KEYROLL_BEHIND_PROXY", &good)], "--behind-proxy <CIDR>");
    refused(2, &["serve", "--log-level", &good], &[], "--log-level <LEVEL>");
    refused(2, &["serve"], &[("KEYROLL_LOG_FORMAT", &good)], "--log-format <text|json>");
    refused(2, &["key", "list"], &[("KEYROLL_LOG", &good)], "--log-level: expected error, warn, info");
    refused(2, &["serve", &format!("--databse-url={good}")], &[], "unexpected argument '--databse-url'");
    refused(2, &[&good], &[], "unrecognized subcommand");
    refused(2, &["key", "issue", "--grant", &good], &[], "--grant <PERMISSION>");
    refused(2, &["serve", "--public-url", &format!("https://u:{SECRET}@id.example")], &[], "--public-url: expected");
    for (line, names) in [
        (format!("listen = \"127.0.0.1:0\"\ndatabase_url = \"{good}\n"), "keyroll.toml: line 2: database_url: "),
        (format!("database-url = \"{good}\""), "keyroll.toml: a setting is written with underscores"),
        (format!("database_ulr = \"{good}\""), "keyroll.toml: unknown field `database_ulr`"),
        (format!("rate_limit = \"{good}\""), "rate-limit: expected a number"),
    ] {
        std::fs::write(folder.join("keyroll.toml"), line).unwrap();
        refused(2, &["serve"], &[], names);
    }
    assert!(!place.data_dir().exists(), "nothing was made");
}

#[test]
fn a_server_that_is_told_to_stop_finishes_what_it_accepted() {
    for place in Installation::each() {
        let server = place.serve(&[]);
        let (idle, key) = (server.idp(), server.keys().provisioning);
        idle.get("/scim/v2/Users").expect(200);
        // `100 Continue` says that the request has been accepted and its body is awaited.
        let mut accepted: Vec<_> = (0..10)
            .map(|n| {
                let body = json!({"schemas": [USER], "userName": format!("last{n}")}).to_string();
                let head = format!(
                    "POST /scim/v2/Users HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {key}\r\nContent-Length: {}\r\n\
                     Content-Type: application/scim+json\r\nExpect: 100-continue\r\n\r\n",
                    body.len()
                );
                let mut stream = connect(server.address);
                stream.write_all(head.as_bytes()).unwrap();
                let mut go_on = [0; 25];
                stream.read_exact(&mut go_on).unwrap();
                assert_eq!(&go_on, b"HTTP/1.1 100 Continue\r\n\r\n");
                (stream, body)
            })
            .collect();
        server.terminate();
        // Once nobody new is let in, it is stopping.
        while std::net::TcpStream::connect(server.address).is_ok() {}
        for (stream, body) in &mut accepted {
            stream.write_all(body.as_bytes()).unwrap();
        }
        for (stream, _) in &mut accepted {
            read_answer(stream).expect("an answer").expect(201);
        }
        let address = server.address;
        let (status, _, stderr) = server.wait();
        assert_eq!((status.code(), unwarned(&stderr).as_str()), (Some(0), ""));
        assert!(std::net::TcpStream::connect(address).is_err());
        let users = place.run(&["user", "list", "--json"]).expect(0).json();
        assert_eq!(users["users"].as_array().unwrap().iter().filter(|user| user["origin"] == "scim").count(), 10);
    }
}

#[test]
fn health_says_that_it_runs_and_readiness_that_it_can_work() {
    for place in Installation::each() {
        let server = place.serve(&[]);
        let nobody = server.client("");
        assert_eq!(nobody.get("/healthz").expect(200).json(), json!({"status": "ok"}));
        assert_eq!(nobody.get("/readyz").expect(200).json()["status"], "ready");
        if place.is_embedded() {
            continue;
        }
        let (name, mut cluster) = place.cluster();
        let mut run = |sql: &str| cluster.batch_execute(sql).unwrap();
        run(&format!("ALTER DATABASE {name} ALLOW_CONNECTIONS false"));
        run(&format!("SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = '{name}'"));
        let gone = nobody.get("/readyz").expect(503);
        assert_eq!(gone.header("retry-after"), Some("1"));
        let why = "the database is not available";
        assert_eq!(gone.json(), json!({"status": "unready", "reads": why, "writes": why}), "nothing of the driver");
        nobody.get("/healthz").expect(200);
        let read = server.idp().get("/scim/v2/Users").expect(503);
        assert_eq!((read.error().as_str(), read.header("retry-after")), ("503 -: the store is unavailable", Some("1")));
        run(&format!("ALTER DATABASE {name} ALLOW_CONNECTIONS true"));
        nobody.get("/readyz").expect(200);
        server.idp().get("/scim/v2/Users").expect(200);
    }
}

#[test]
fn what_is_not_there_is_said_so_with_a_request_id() {
    let place = Installation::sqlite();
    let server = place.serve(&[]);
    for (line, status) in
        [("GET /nowhere", 404), ("GET /scim/v2/Users/a/b", 404), ("TRACE /scim/v2/Users", 405), ("PUT /v1/keys", 405)]
    {
        let answer = raw(server.address, format!("{line} HTTP/1.1\r\nHost: x\r\n\r\n").as_bytes()).unwrap();
        assert_eq!(answer.status, status, "{answer:?}");
        let id = answer.header("x-request-id").expect("a request id");
        let body = answer.json();
        assert!(body["request_id"] == id || body["schemas"].is_array(), "{answer:?}");
    }
}
