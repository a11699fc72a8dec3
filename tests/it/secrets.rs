//! No secret in any sink (promise P9; credentials.md §4: A25): keys are sent where they belong and where they do
//! not, and then everything that the server ever wrote is searched for them, by the program itself as well.

use std::cell::RefCell;
use std::fs;
use std::path::Path;

use diesel::deserialize::QueryableByName;
use diesel::sql_types::Text;
use diesel::{Connection, PgConnection, RunQueryDsl};
use serde_json::json;

use crate::support::server::{BULK, Client, Installation, PATCH, Server, USER, raw};

const EXPOSED: &str = "/v1/exposed-credentials";
const PASSWORD: &str = "correct-horse-battery-staple";

#[test]
fn no_secret_reaches_any_sink() {
    for place in Installation::each() {
        let server = place.serve_with(&[], &[("KEYROLL_LOG", "trace")]);
        let keys = server.keys();
        let mut secrets = vec![keys.admin.clone(), keys.provisioning.clone()];
        let mut story = Story { answers: String::new(), server: &server };
        let person = story.person();
        // The one answer that shows a key is not a sink.
        let owner = json!({"type": "user", "id": person});
        let issued = server.admin().post("/v1/keys", &json!({"owner": owner, "name": "n"})).expect(201).json();
        secrets.push(issued["key"].as_str().unwrap().to_owned());
        let issued_on_host = place.run(&["key", "issue", "--owner", "ann", "--json"]).expect(0).json();
        secrets.push(issued_on_host["key"].as_str().unwrap().to_owned());
        for key in secrets.clone() {
            story.misplace(&key, &person);
        }
        story.end(&person, issued["id"].as_str().unwrap(), &secrets);
        let Story { answers, .. } = story;

        let log = place.run(&["log", "tail", "-n", "100000"]).expect(0).stdout;
        let lists =
            [["key", "list", "--json"], ["user", "list", "--json"]].map(|command| place.run(&command).expect(0).stdout);
        // While it runs the newest rows are in the WAL; afterwards they are in the database itself.
        let running = database(&place);
        server.terminate();
        let (status, stdout, stderr) = server.wait();
        assert_eq!(status.code(), Some(0));
        assert!(stderr.contains("TRACE") && stderr.contains("user.created") || stderr.contains("Create"), "{stderr}");
        assert!(log.contains("credential.issued") && answers.contains("\"userName\":\"ann\""));
        let (listed, stopped) = (lists.concat(), database(&place));
        for (sink, text) in [
            ("answers", &answers),
            ("stdout", &stdout),
            ("stderr", &stderr),
            ("log", &log),
            ("lists", &listed),
            ("database", &running),
            ("database", &stopped),
        ] {
            for key in &secrets {
                // kru_ + selector + _ + the 43 characters of the secret + checksum
                assert!(!text.contains(&key[17..60]), "{} in {sink}: {}", &key[..8], around(text, &key[17..60]));
            }
            assert!(!text.contains(PASSWORD), "the password in {sink}: {}", around(text, PASSWORD));
            scanned(&place, text, &secrets);
        }
        assert!(!stderr.contains('\u{1b}'), "escape sequences of a client reach the terminal");
    }
}

/// A sink as the program itself searches it: there is none of the keys in it, and each that is put there is found.
fn scanned(place: &Installation, sink: &str, secrets: &[String]) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("sink");
    let path = path.to_str().unwrap();
    // Bytes of files stand there as letters of their own.
    fs::write(path, sink.chars().map(|letter| u8::try_from(letter).unwrap_or(b'?')).collect::<Vec<u8>>()).unwrap();
    place.run(&["scan", path]).expect(0);
    let middle = (0..=sink.len() / 2).rev().find(|at| sink.is_char_boundary(*at)).unwrap();
    let (before, behind) = sink.split_at(middle);
    fs::write(path, [before, &secrets.join("\n"), behind].concat()).unwrap();
    let found = place.run(&["scan", "--json", path]).expect(1).json();
    let found: Vec<&str> =
        found["hits"].as_array().unwrap().iter().map(|hit| hit["selector"].as_str().unwrap()).collect();
    assert_eq!(found, secrets.iter().map(|key| &key[4..16]).collect::<Vec<_>>());
}

/// What is told, and every answer to it.
struct Story<'s> {
    answers: String,
    server: &'s Server,
}

impl Story<'_> {
    fn tell(&mut self, mut client: Client, requests: impl FnOnce(&Client)) {
        client.seen = Some(RefCell::new(String::new()));
        requests(&client);
        self.answers.push_str(&client.seen.unwrap().into_inner());
    }

    /// A user with a password.
    fn person(&mut self) -> String {
        let mut id = String::new();
        self.tell(self.server.idp(), |idp| {
            let body = json!({"schemas": [USER], "userName": "ann", "password": PASSWORD, "displayName": "Ann"});
            let made = idp.post("/scim/v2/Users", &body).expect(201).json();
            assert_eq!(made.get("password"), None);
            id = made["id"].as_str().unwrap().to_owned();
            let patch = json!({"op": "replace", "path": "password", "value": PASSWORD});
            // Keyroll keeps no passwords: whatever becomes of the request, nothing becomes of the value.
            idp.patch(&format!("/scim/v2/Users/{id}"), &json!({"schemas": [PATCH], "Operations": [patch]}));
            idp.get(&format!("/scim/v2/Users/{id}?attributes=password")).expect(200);
            idp.get("/scim/v2/Users?filter=userName%20eq%20%22ann%22").expect(200);
        });
        id
    }

    /// A key wherever somebody might put one.
    fn misplace(&mut self, key: &str, person: &str) {
        self.tell(self.server.idp(), |idp| {
            let in_url = "a key must not be in a URL: revoke it, it is in logs by now";
            for query in [format!("access_token={key}"), format!("{key}=1"), format!("filter={key}")] {
                let refused = idp.get(&format!("/scim/v2/Users?{query}")).expect(400);
                assert_eq!(refused.error(), format!("400 -: {in_url}"));
                let refused = idp.get(&format!("/v1/whoami?{query}")).expect(400).json();
                assert_eq!((&refused["code"], &refused["detail"]), (&json!("malformed"), &json!(in_url)));
            }
            idp.get(&format!("/scim/v2/Users/{key}")).expect(400);
            idp.get(&format!("/{key}")).expect(400);
            let body = json!({"schemas": [USER], "userName": "ben", "password": key});
            let made = idp.post("/scim/v2/Users", &body).expect(201).json();
            idp.delete(&format!("/scim/v2/Users/{}", made["id"].as_str().unwrap())).expect(204);
            let patch = json!({"schemas": [PATCH], "Operations": [{"op": "replace", "value": {"password": key}}]});
            idp.patch(&format!("/scim/v2/Users/{person}"), &patch).expect(200);
            let operation = json!({"method": "PATCH", "path": format!("/Users/{person}"), "data": patch});
            idp.post("/scim/v2/Bulk", &json!({"schemas": [BULK], "Operations": [operation]})).expect(200);
            // What a refusal says of a path, or of the word in the place of the verb, is no place for one either.
            for (op, path) in [("add", format!("emails[type eq \"{key}")), (key, "active".to_owned())] {
                let patch = json!({"schemas": [PATCH], "Operations": [{"op": op, "path": path, "value": true}]});
                idp.patch(&format!("/scim/v2/Users/{person}"), &patch).expect(400);
                let operation = json!({"method": "PATCH", "path": format!("/Users/{person}"), "data": patch});
                idp.post("/scim/v2/Bulk", &json!({"schemas": [BULK], "Operations": [operation]})).expect(200);
            }
            let odd =
                [("X-Request-Id", key), ("User-Agent", key), ("X-API-Key", key), ("Cookie", key), ("Referer", key)];
            let answer = idp.send("GET", "/v1/whoami", &odd, "").unwrap().expect(200);
            assert_ne!(answer.header("x-request-id"), Some(key));
        });
        self.tell(self.server.client(""), |nobody| {
            nobody.send("GET", "/v1/whoami", &[("X-API-Key", key)], "").unwrap().expect(401);
            let basic = base64(&format!("keyroll:{key}"));
            let basic = nobody.send("GET", "/v1/whoami", &[("Authorization", &format!("Basic {basic}"))], "").unwrap();
            assert_eq!(basic.expect(401).json()["detail"], "Authorization: expected Bearer and a key");
            let other = if key.ends_with('x') { 'y' } else { 'x' };
            let wrong = format!("Bearer {}{other}", &key[..key.len() - 1]);
            nobody.send("GET", "/v1/whoami", &[("Authorization", &wrong)], "").unwrap().expect(401);
            for report in [json!({"credentials": key}), json!({"credentials": [[key]]}), json!({key: []})] {
                nobody.post(EXPOSED, &report).expect(422);
            }
        });
        self.tell(self.server.admin(), |admin| {
            admin.post("/v1/verify", &json!({"key": key})).expect(200);
            admin.post("/v1/verify", &json!({key: 1})).expect(422);
            admin.post("/v1/keys", &json!({"owner": {"type": "user", "id": key}, "name": "n"})).expect(422);
            admin.get(&format!("/v1/keys/{key}")).expect(400);
        });
        // No client library sends these.
        for agent in
            [format!("\u{1b}[31m{key}"), format!("x\r\n{key}: x"), format!("</script>{key}"), "u".repeat(12_000)]
        {
            let request = format!("GET /healthz HTTP/1.1\r\nHost: x\r\nUser-Agent: {agent}\r\n\r\n");
            let answer = raw(self.server.address, request.as_bytes()).unwrap();
            self.answers.push_str(&format!("{answer:?}"));
        }
    }

    /// The keys die, one after the other.
    fn end(&mut self, person: &str, key_id: &str, secrets: &[String]) {
        self.tell(self.server.admin(), |admin| {
            admin.get("/v1/keys").expect(200);
            admin.get(&format!("/v1/keys/{key_id}")).expect(200);
            admin.post(&format!("/v1/keys/{key_id}/revoke"), &json!({})).expect(200);
            for key in secrets {
                admin.post("/v1/verify", &json!({"key": key})).expect(200);
            }
        });
        self.tell(self.server.idp(), |idp| {
            idp.delete(&format!("/scim/v2/Users/{person}")).expect(204);
        });
        self.tell(self.server.client(""), |nobody| {
            nobody.post(EXPOSED, &json!({"credentials": secrets})).expect(202);
        });
        for key in secrets {
            self.tell(self.server.client(key), |dead| drop(dead.get("/v1/whoami").expect(401)));
        }
    }
}

fn around<'t>(text: &'t str, secret: &str) -> &'t str {
    let Some(at) = text.find(secret) else { return "" };
    let start = (0..=at.saturating_sub(100)).rev().find(|start| text.is_char_boundary(*start)).unwrap_or(0);
    text.get(start..at).unwrap_or_default()
}

fn base64(text: &str) -> String {
    use base64::Engine;
    base64::engine::general_purpose::STANDARD.encode(text)
}

/// Everything that the database holds, as text.
fn database(place: &Installation) -> String {
    if place.is_embedded() { files(place.data_dir()) } else { tables(&place.database_url()) }
}

/// Every byte of every file but those that hold secrets: the database, its WAL, whatever else is there.
fn files(folder: &Path) -> String {
    let mut text = String::new();
    for entry in fs::read_dir(folder).unwrap() {
        let entry = entry.unwrap();
        if entry.file_name() != "root.key" && entry.file_name() != "first-keys.json" {
            text.push_str(&fs::read(entry.path()).unwrap().iter().map(|byte| *byte as char).collect::<String>());
        }
    }
    text
}

#[derive(QueryableByName)]
struct Line {
    #[diesel(sql_type = Text)]
    line: String,
}

/// Every row of every table; bytes as text too.
fn tables(url: &str) -> String {
    let mut conn = PgConnection::establish(url).unwrap();
    let mut lines = |sql: &str| -> Vec<String> {
        diesel::sql_query(sql).load::<Line>(&mut conn).unwrap().into_iter().map(|line| line.line).collect()
    };
    let names = lines("SELECT tablename::text AS line FROM pg_tables WHERE schemaname = 'public'");
    assert!(names.len() > 10);
    let mut text = String::new();
    for name in names {
        text.push_str(&lines(&format!("SELECT row_to_json(t)::text AS line FROM {name} t")).join("\n"));
    }
    text.push_str(&lines("SELECT convert_from(bytes, 'UTF8') AS line FROM log_records").join("\n"));
    text
}
