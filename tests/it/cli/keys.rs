//! Keys on the command line: named by their text, which is read and never shown; and listed.

use std::io::{Read, Write};
use std::process::Stdio;

use serde_json::json;

use crate::support::server::{Installation, Output, USER};

/// Runs a command with something on its standard input.
fn told(place: &Installation, arguments: &[&str], input: &str) -> Output {
    let mut command = place.command(arguments);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    // It may have gone before it has read.
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
    let output = child.wait_with_output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    Output { code: output.status.code().unwrap(), stdout: text(output.stdout), stderr: text(output.stderr) }
}

/// The same key with another last letter.
fn misspelt(key: &str) -> String {
    let (body, last) = key.split_at(key.len() - 1);
    format!("{body}{}", if last == "0" { "1" } else { "0" })
}

/// The published vector: a key with a right checksum that nobody has.
const UNKNOWN: &str = "kru_000000TEST01_003aUlTJC7tjlCTQj2uNU3MFagCXG9LRKRcwGkBIDlf0PZbtz";

#[test]
fn a_key_is_named_by_its_text() {
    for place in Installation::each() {
        let server = place.serve(&[]);
        let mira = server.idp().post("/scim/v2/Users", &json!({"schemas": [USER], "userName": "mira@example.com"}));
        mira.expect(201);
        let issued = place.run(&["key", "issue", "--owner", "mira@example.com", "--json"]).expect(0).json();
        let (id, key) = (issued["id"].as_str().unwrap(), issued["key"].as_str().unwrap());
        for input in [
            format!("{key}\n"),
            format!("  {key}\r\nmore"),
            issued.to_string(),
            format!("more\nAPI_KEY={key}\nOTHER=1\n"),
            format!("  \"api_key\": \"{key}\","),
            format!("{key},{key}"),
            key.to_owned(),
            format!("bearer {key}"),
            format!("\"{key}\""),
            format!(" 'Authorization: Bearer {key}'\n"),
        ] {
            let shown = told(&place, &["key", "show", "-"], &input).expect(0);
            assert_eq!(
                shown.stderr,
                format!("keyroll: this is a key of the user mira@example.com: class u, active, id {id}\n")
            );
            assert!(shown.stdout.contains(id) && !format!("{shown:?}").contains(&key[17..]), "{shown:?}");
        }
        let revoked = told(&place, &["key", "revoke", "-", "--reason", "leaked", "--json"], key).expect(0);
        let record = revoked.json();
        assert_eq!(
            json!([record["id"], record["owner"]["name"], record["class"], record["status"], record["revoke_reason"]]),
            json!([id, "mira@example.com", "u", "revoked", "leaked"])
        );
        assert!(!format!("{revoked:?}").contains(&key[17..]) && revoked.stderr.is_empty());
        assert_eq!(
            server.admin().post("/v1/verify", &json!({"key": key})).expect(200).json()["code"],
            json!("REVOKED")
        );
        // A provisioning key, too.
        let connection = told(&place, &["key", "show", "-"], &server.keys().provisioning).expect(0);
        assert!(
            connection.stderr.starts_with("keyroll: this is a key of the connection default: class p, active, id ")
        );
        // Of a deleted owner nothing but the id is kept.
        let owner = record["owner"]["id"].as_str().unwrap();
        server.idp().delete(&format!("/scim/v2/Users/{owner}")).expect(204);
        let deleted = told(&place, &["key", "show", "-"], key).expect(0).stderr;
        assert_eq!(deleted, format!("keyroll: this is a key of a deleted user, {owner}: class u, revoked, id {id}\n"));
        // Who has its beginning alone has no key, whether or not there is one.
        let other = place.run(&["key", "issue", "--owner", "operator", "--json"]).expect(0).json();
        let other = other["key"].as_str().unwrap();
        let none = "keyroll: no key of this installation has that text\n";
        let no_key = "keyroll: that is no key: its form or its checksum is wrong\n";
        let two = "keyroll: 2 keys are in what was read: give one of them\n";
        for (input, said) in [
            (UNKNOWN, none),
            (misspelt(other).as_str(), no_key),
            (format!("Bearer {}", misspelt(other)).as_str(), no_key),
            (id, no_key),
            ("-", no_key),
            (format!("{key}\n{other}").as_str(), two),
        ] {
            for command in ["show", "revoke"] {
                let refused = told(&place, &["key", command, "-"], input).expect(1);
                assert_eq!((refused.stdout.as_str(), refused.stderr.as_str()), ("", said), "{input}");
            }
        }
    }
}

#[test]
fn a_key_that_is_revoked_keeps_its_reason() {
    for place in Installation::each() {
        place.run(&["init"]).expect(0);
        let issued = place.run(&["key", "issue", "--owner", "operator", "--json"]).expect(0).json();
        let id = issued["id"].as_str().unwrap();
        let record = place.run(&["key", "revoke", id, "--reason", "leaked", "--json"]).expect(0);
        assert_eq!(record.stderr, "");
        let record = record.json();
        for (input, command) in [("", "show"), (" \r\n", "revoke")] {
            let refused = told(&place, &["key", command, "-"], input).expect(1);
            let said = format!(
                "keyroll: nothing was read: give the key's text on standard input: keyroll key {command} - <FILE, or type it \
                 where it is asked for\n"
            );
            assert_eq!(refused.stderr, said);
        }
        // Revoked once, it is revoked for that reason.
        for (reason, kept) in [(&["--reason", "again"][..], ", and that stays the reason"), (&[], "")] {
            let again = place.run(&[&["key", "revoke", id, "--json"], reason].concat()).expect(0);
            let at = record["revoked_at"].as_str().unwrap();
            assert_eq!(again.json(), record);
            assert_eq!(again.stderr, format!("keyroll: it was revoked already, at {at}, for leaked{kept}\n"));
        }
    }
}

#[test]
fn a_keys_text_is_no_argument() {
    let place = Installation::sqlite();
    place.run(&["init"]).expect(0);
    let issued = place.run(&["key", "issue", "--owner", "operator", "--json"]).expect(0).json();
    let (id, own) = (issued["id"].as_str().unwrap(), issued["key"].as_str().unwrap());
    let records = || place.run(&["log", "verify", "--json"]).expect(0).json()["records"].clone();
    let before = records();
    let provisioning = format!("krp{}", &UNKNOWN[3..]);
    let said = "keyroll: a key's text is no argument: other users of this machine see it there, and the shell's history \
         keeps it. Give - in its place and the key on standard input: keyroll key revoke -, keyroll key show -\n";
    for key in [own, &misspelt(own), UNKNOWN, &provisioning, &own[..60]] {
        let (reason, flag) = (format!("leaked: {key}"), format!("--id={key}"));
        let commands: [&[&str]; 12] = [
            &["key", "revoke", key],
            &["key", "show", key],
            &["key", "list", "--owner", key],
            &["key", "list", "--expires-before", key],
            &["key", "issue", "--owner", key],
            &["key", "issue", "--owner", "operator", "--name", key],
            &["key", "issue", "--owner", "operator", "--expires-in", key],
            &["key", "revoke", id, "--reason", &reason],
            &["key", "revoke", &flag],
            &["user", "show", key],
            &["nonsense", key],
            &["--data-dir", key, "init"],
        ];
        for command in commands {
            let refused = place.run(command).expect(2);
            assert_eq!((refused.stdout.as_str(), refused.stderr.as_str()), ("", said), "{command:?}");
        }
    }
    assert_eq!(records(), before);
}

#[test]
fn most_of_a_key_is_repeated_nowhere() {
    let place = Installation::sqlite();
    place.run(&["init"]).expect(0);
    let issued = place.run(&["key", "issue", "--owner", "operator", "--json"]).expect(0).json();
    let key = issued["key"].as_str().unwrap();
    let altered = format!("krx{}", &key[3..]);
    let torn = format!("{}-{}", &key[..40], &key[41..]);
    for text in [&key[1..], &key[4..], &key[17..], &altered, &torn] {
        let commands: [(&[&str], i32); 9] = [
            (&["key", "show", text], 2),
            (&["key", "revoke", text], 2),
            (&["key", "list", "--owner", text], 1),
            (&["key", "list", "--status", text], 2),
            (&["key", "issue", "--owner", text], 1),
            (&["key", "issue", "--connection", text], 1),
            (&["user", "show", text], 1),
            (&["access", "show", text], 1),
            (&["user", text], 2),
        ];
        for (command, code) in commands {
            let refused = place.run(command);
            // One that still has its beginning is none of these commands' arguments.
            assert!(refused.code == code || refused.code == 2, "{command:?}: {refused:?}");
            let said = format!("{}{}", refused.stdout, refused.stderr);
            assert!(!said.contains(&key[50..]) && !said.contains(&key[20..36]), "{command:?}: {said}");
        }
    }
    let said = place.run(&["key", "show", &key[4..]]).expect(2).stderr;
    assert!(said.starts_with("error: invalid value '…' for '<ID|->': a key's text is no argument: "), "{said}");
}

#[test]
fn who_names_a_key_as_it_is_shown_is_told_where_its_id_stands() {
    let place = Installation::sqlite();
    place.run(&["init"]).expect(0);
    let listed = place.run(&["key", "list", "--json"]).expect(0).json();
    for key in listed["keys"].as_array().unwrap() {
        let shown = key["display"].as_str().unwrap();
        for text in [shown, shown.trim_end_matches('…')] {
            for command in ["show", "revoke"] {
                let said = place.run(&["key", command, text]).expect(2).stderr;
                assert!(
                    said.contains("keys may share their beginning: give the id, as keyroll key list tells it; "),
                    "{said}"
                );
            }
        }
    }
    assert_eq!(place.run(&["key", "list", "--json"]).expect(0).json(), listed);
}

#[test]
fn who_issues_a_key_to_nobody_is_told_both_ways() {
    let place = Installation::sqlite();
    place.run(&["init"]).expect(0);
    let said = place.run(&["key", "issue"]).expect(2).stderr;
    assert!(said.contains("<--owner <ID|NAME|operator>|--connection <NAME>>"), "{said}");
    place.run(&["key", "issue", "--owner", "operator", "--connection", "default"]).expect(2);
    place.run(&["key", "issue", "--connection", "default", "--grant", "keyroll:users:read"]).expect(2);
}

#[test]
fn a_provisioning_key_is_its_connections() {
    let place = Installation::sqlite();
    place.run(&["init"]).expect(0);
    let issued = place.run(&["key", "issue", "--connection", "default", "--json"]).expect(0).json();
    let (id, agent) = (issued["id"].as_str().unwrap(), issued["owner"]["id"].as_str().unwrap());
    let issued = place.run(&["key", "issue", "--connection", "default"]).expect(0).stdout;
    let shown = place.run(&["key", "show", id]).expect(0).stdout;
    let revoked = place.run(&["key", "revoke", id]).expect(0).stdout;
    let owner = |text: &str| {
        let line = text.lines().find(|line| line.trim_start().starts_with("owner ")).unwrap();
        line.split_whitespace().skip(1).collect::<Vec<_>>().join(" ")
    };
    for text in [issued, shown, revoked] {
        assert_eq!(owner(&text), format!("connection default {agent}"));
    }
    let own = place.run(&["key", "issue", "--owner", "operator"]).expect(0).stdout;
    assert!(owner(&own).starts_with("user operator "), "{own}");
}

#[test]
fn a_terminal_shows_nothing_of_a_key_that_is_typed() {
    let place = Installation::sqlite();
    place.run(&["init"]).expect(0);
    let issued = place.run(&["key", "issue", "--owner", "operator", "--json"]).expect(0).json();
    let (id, key) = (issued["id"].as_str().unwrap(), issued["key"].as_str().unwrap());
    // A terminal of the command's own, whose both ends are pipes here.
    let inner = place.command(&["key", "revoke", "-", "--json"]);
    let mut command = std::process::Command::new("script");
    command.args(["-qec", &format!("'{}' key revoke - --json", inner.get_program().to_str().unwrap()), "/dev/null"]);
    command.env_clear().envs(inner.get_envs().filter_map(|(name, value)| Some((name, value?))));
    command.env("PATH", std::env::var("PATH").unwrap()).env("SHELL", "/bin/sh");
    command.current_dir(inner.get_current_dir().unwrap());
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let (mut typed, mut seen) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
    let mut screen = vec![];
    while !String::from_utf8_lossy(&screen).contains("key (it is not shown): ") {
        let mut byte = [0];
        assert_eq!(seen.read(&mut byte).unwrap(), 1, "{}", String::from_utf8_lossy(&screen));
        screen.push(byte[0]);
    }
    typed.write_all(format!("{key}\n").as_bytes()).unwrap();
    seen.read_to_end(&mut screen).unwrap();
    let screen = String::from_utf8(screen).unwrap();
    assert!(child.wait().unwrap().success(), "{screen}");
    assert!(screen.contains(id) && screen.contains("\"status\":\"revoked\""), "{screen}");
    assert!(!screen.contains(&key[17..]) && !screen.contains(&key[..17]), "{screen}");
}

#[test]
fn keys_are_listed_by_what_is_asked_for() {
    for place in Installation::each() {
        place.run(&["init"]).expect(0);
        let short =
            place.run(&["key", "issue", "--owner", "operator", "--expires-in", "P3D", "--json"]).expect(0).json();
        let list = |arguments: &[&str]| {
            let listed = place.run(&[&["key", "list", "--json"], arguments].concat()).expect(0).json();
            assert_eq!(listed["next"], json!(null));
            listed["keys"].as_array().unwrap().iter().map(|key| key["id"].clone()).collect::<Vec<_>>()
        };
        assert_eq!(list(&["--expires-before", "P14D", "--status", "active"]), [short["id"].clone()]);
        assert_eq!(list(&["--owner", "operator", "--class", "u"]).len(), 2);
        assert_eq!((list(&["--class", "p"]).len(), list(&["--class", "s"]).len()), (1, 0));
        // A provisioning key is asked for as it is shown: by its connection.
        assert_eq!(list(&["--owner", "default"]), list(&["--class", "p"]));
        assert_eq!(list(&["--status", "revoked"]).len(), 0);
        let table = place.run(&["key", "list", "--expires-before", "P14D"]).expect(0).stdout;
        let header: Vec<&str> = table.lines().next().unwrap().split_whitespace().collect();
        assert_eq!(header, ["ID", "DISPLAY", "CLASS", "NAME", "OWNER.NAME", "STATUS", "REASONS", "EXPIRES_AT"]);
        let row: Vec<&str> = table.lines().nth(1).unwrap().split_whitespace().collect();
        assert_eq!((row[0], &row[2..5]), (short["id"].as_str().unwrap(), &["u", "operator", "active"][..]), "{table}");
        place.run(&["key", "list", "--class", "x"]).expect(2);
        place.run(&["key", "list", "--status", "live"]).expect(2);
        let unknown = place.run(&["key", "list", "--owner", "nobody"]).expect(1);
        assert_eq!(unknown.stderr, "keyroll: owner: nobody has this id or name\n");
        let soon = place.run(&["key", "list", "--expires-before", "soon"]).expect(2);
        let said = "error: invalid value 'soon' for '--expires-before <DATE|DURATION>': expected a date, a time, or a \
                    duration from now, such as 2027-01-31 or P14D\n";
        assert!(soon.stderr.starts_with(said), "{soon:?}");
    }
}

#[test]
fn what_becomes_of_a_key_on_the_host() {
    for place in Installation::each() {
        let first = place.run(&["init", "--json"]).expect(0).json();
        let admin = first["admin_key"].as_str().unwrap();
        let grant = "keyroll:keys:read";
        let issue =
            ["key", "issue", "--owner", "operator", "--grant", grant, "--grant", "keyroll:roles:read", "--json"];
        let issued = place.run(&issue).expect(0).json();
        let (id, key) = (issued["id"].as_str().unwrap(), issued["key"].as_str().unwrap());
        let run = |arguments: &[&str]| place.run(&[arguments, &["--json"]].concat());
        let done = |arguments: &[&str]| run(arguments).expect(0).json();
        assert_eq!(done(&["key", "hold", id])["reasons"], json!(["admin_hold"]));
        assert_eq!(done(&["key", "hold", id, "--reason", "leak_suspected"])["status"], json!("suspended"));
        assert_eq!(done(&["key", "release", id])["reasons"], json!(["leak_suspected"]));
        assert_eq!(done(&["key", "release", id, "--reason", "leak_suspected"])["status"], json!("active"));
        assert_eq!(done(&["key", "rename", id, "old laptop"])["name"], json!("old laptop"));
        assert_eq!(done(&["key", "narrow", id, "--grant", grant])["grant"], json!([{"permissions": [grant]}]));
        assert_eq!(run(&["key", "narrow", id, "--grant", "keyroll:roles:read"]).code, 1);
        let ends = done(&["key", "extend", id, "--expires-in", "P200D"])["expires_at"].clone();
        assert!(ends.as_str() > issued["expires_at"].as_str(), "{ends}");
        assert_eq!(run(&["key", "extend", id, "--expires-in", "P1D"]).code, 1);
        let effective = done(&["key", "effective", id]);
        assert_eq!(effective, json!({"permissions": [{"permission": grant, "state": "granted"}]}));
        let shown = place.run(&["key", "effective", id]).expect(0).stdout;
        assert!(shown.contains("PERMISSION") && shown.contains("granted"), "{shown}");
        assert_eq!(done(&["key", "identify", "--selector", &key[..16]])["id"], json!(id));
        let found = told(&place, &["key", "identify", "-"], &format!("found: {key}\n")).expect(0);
        assert!(found.stdout.contains(id) && !format!("{found:?}").contains(&key[17..]), "{found:?}");
        let nobody = run(&["key", "identify", "--sha256", &"0".repeat(64)]);
        assert_eq!((nobody.code, nobody.stderr.as_str()), (1, "keyroll: no key of this installation is that one\n"));
        assert_eq!(run(&["key", "identify"]).code, 2);
        assert_eq!(run(&["key", "identify", admin]).code, 2);
        done(&["key", "revoke", id]);
        assert_eq!(run(&["key", "hold", id]).code, 3);
    }
}

#[test]
fn a_key_with_conditions_is_issued_rotated_and_ended() {
    for place in Installation::each() {
        let server = place.serve(&[]);
        let issue = ["key", "issue", "--owner", "operator", "--grant", "keyroll:users:read", "--json"];
        let when = ["--ip", "127.0.0.0/8", "--between", "00:00-23:59@Europe/Paris", "--environment", "prod"];
        let issued = place.run(&[&issue[..], &when].concat()).expect(0).json();
        let expected =
            json!({"ip": ["127.0.0.0/8"], "between": ["00:00", "23:59", "Europe/Paris"], "environment": ["prod"]});
        assert_eq!(issued["grant"], json!([{"permissions": ["keyroll:users:read"], "when": expected}]));
        for odd in [
            ["--ip", "office"],
            ["--between", "8-20@Europe/Paris"],
            ["--between", "08:00-20:00@Nowhere"],
            ["--certificate", "x"],
        ] {
            let refused = place.run(&[&issue[..], &odd].concat()).expect(2);
            assert!(refused.stderr.contains("expected"), "{refused:?}");
        }
        place.run(&["key", "issue", "--owner", "operator", "--ip", "127.0.0.1"]).expect(2);
        let id = issued["id"].as_str().unwrap();
        let rotated = place.run(&["key", "rotate", id, "--grace", "PT1H", "--json"]).expect(0).json();
        assert_eq!((&rotated["predecessor"]["id"], &rotated["grant"]), (&issued["id"], &issued["grant"]));
        place.run(&["key", "rotate", id, "--grace", "PT1H", "--compromised"]).expect(2);
        place.run(&["key", "rotate", id, "--compromised"]).expect(0);
        // The one that replaced it was never used.
        let replaced = place.run(&["key", "show", rotated["id"].as_str().unwrap(), "--json"]).expect(0).json();
        assert_eq!(replaced["revoke_reason"], json!("replaced"));
        place.run(&["key", "rotate", id]).expect(3);
        let ended = place.run(&["key", "revoke-all", "--owner", "operator", "--reason", "leaves", "--json"]).expect(0);
        assert_eq!(ended.json()["owner"]["name"], json!("operator"));
        assert_eq!(server.admin().get("/v1/users").status, 401);
        // The host is the way back in.
        place.run(&["key", "issue", "--owner", "operator"]).expect(0);
    }
}
