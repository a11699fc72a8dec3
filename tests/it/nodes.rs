//! Several processes on one database: servers side by side, and the command line beside a server.

use std::collections::BTreeSet;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;

use diesel::connection::SimpleConnection;
use diesel::{Connection, PgConnection};
use serde_json::{Value, json};

use crate::support::client::{connect, read_answer};
use crate::support::postgres::wait_for_locks;
use crate::support::server::{GROUP, Installation, Output, PATCH, Server, USER};

/// Two servers that start at the same moment.
fn two(first: &Installation, second: &Installation) -> (Server, Server) {
    let (a, b) = (first.start(&[], &[]), second.start(&[], &[]));
    (a.ready(), b.ready())
}

#[test]
fn of_two_nodes_that_start_at_once_one_prints_keys_and_both_serve() {
    // The race is lost or won anew each time.
    for _ in 0..5 {
        for place in Installation::each() {
            let (a, b) = two(&place, &place);
            assert_eq!(a.printed.len() + b.printed.len(), 1, "{:?} {:?}", a.printed, b.printed);
            let made = a.idp().post("/scim/v2/Users", &json!({"schemas": [USER], "userName": "ann"})).expect(201);
            let id = made.json()["id"].as_str().unwrap().to_owned();
            let seen = b.idp().get(&format!("/scim/v2/Users/{id}")).expect(200);
            assert_eq!((seen.version(), seen.json()["userName"].clone()), (1, json!("ann")));
            let keys = |server: &Server| server.client("").get("/.well-known/jwks.json").expect(200).json();
            assert_eq!(keys(&a), keys(&b));
        }
    }
}

#[test]
fn a_key_that_one_node_revokes_is_dead_on_the_next_request_to_the_other() {
    for place in Installation::each() {
        let (a, b) = two(&place, &place);
        let operator = a.admin().get("/v1/whoami").json()["owner"].clone();
        for _ in 0..20 {
            let issued = a.admin().post("/v1/keys", &json!({"owner": operator, "name": "short"})).expect(201).json();
            let holder = b.client(issued["key"].as_str().unwrap());
            // Whatever the node could remember of the key, it remembers now.
            holder.get("/v1/whoami").expect(200);
            a.admin().post(&format!("/v1/keys/{}/revoke", issued["id"].as_str().unwrap()), &json!({})).expect(200);
            let refused = holder.get("/v1/whoami").expect(401).json();
            assert_eq!(
                (&refused["code"], &refused["detail"]),
                (&json!("unauthenticated"), &json!("the key is not valid"))
            );
        }
    }
}

#[test]
fn a_body_that_is_long_in_coming_is_answered_by_what_holds_when_it_is_there() {
    for place in Installation::each() {
        let server = place.serve(&[]);
        let ida =
            server.idp().post("/scim/v2/Users", &json!({"schemas": [USER], "userName": "ida"})).expect(201).json();
        let suspend = format!("/v1/users/{}/suspend", ida["id"].as_str().unwrap());
        let key = place.run(&["key", "issue", "--owner", "ida", "--json"]).expect(0).json()["key"].clone();
        let body = json!({"key": key}).to_string();
        // Whatever the node could remember of the key, it remembers now.
        let holder = server.client(key.as_str().unwrap());
        holder.get("/v1/whoami").expect(200);
        let head = |key: &str| {
            format!(
                "POST /v1/verify HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {key}\r\n\
                 Content-Type: application/json\r\nExpect: 100-continue\r\nContent-Length: {}\r\n\r\n",
                body.len()
            )
        };
        let mut slow = connect(server.address);
        slow.write_all(head(&server.keys().admin).as_bytes()).unwrap();
        assert_eq!(read_answer(&mut slow).unwrap().status, 100);
        holder.get("/v1/whoami").expect(200);
        server.admin().post(&suspend, &json!({})).expect(200);
        slow.write_all(body.as_bytes()).unwrap();
        assert_eq!(read_answer(&mut slow).unwrap().json()["code"], "OWNER_INACTIVE");

        // So is who asks.
        let operator = server.admin().get("/v1/whoami").json()["owner"].clone();
        let short = json!({"owner": operator, "name": "short", "grant": [{"permissions": ["keyroll:keys:verify"]}]});
        let short = server.admin().post("/v1/keys", &short).expect(201).json();
        let mut slow = connect(server.address);
        slow.write_all(head(short["key"].as_str().unwrap()).as_bytes()).unwrap();
        assert_eq!(read_answer(&mut slow).unwrap().status, 100);
        server.admin().get("/v1/whoami").expect(200);
        server.admin().post(&format!("/v1/keys/{}/revoke", short["id"].as_str().unwrap()), &json!({})).expect(200);
        slow.write_all(body.as_bytes()).unwrap();
        assert_eq!(read_answer(&mut slow).unwrap().status, 401);
    }
}

#[test]
fn a_read_that_hangs_on_postgresql_holds_nobody_up_who_does_not_need_it() {
    let Some(place) = Installation::postgres() else { return };
    let server = place.serve(&[]);
    server.admin().get("/v1/whoami").expect(200);
    server.idp().post("/scim/v2/Users", &json!({"schemas": [USER], "userName": "ian"})).expect(201);
    let mut other = PgConnection::establish(&place.database_url()).unwrap();
    other.batch_execute("BEGIN; LOCK TABLE log_heads IN ACCESS EXCLUSIVE MODE").unwrap();
    std::thread::scope(|scope| {
        // Who waits longer than an answer may be old is told so.
        let ask = || assert!(matches!(server.admin().get("/v1/whoami").status, 200 | 503));
        // The first reads what has changed; the others, more than there are threads for connections, wait for it.
        let mut waiting = vec![scope.spawn(ask)];
        wait_for_locks(&mut other, 1);
        waiting.extend((0..8).map(|_| scope.spawn(ask)));
        for _ in 0..8 {
            server.client("").get("/healthz").expect(200);
        }
        other.batch_execute("COMMIT").unwrap();
        waiting.into_iter().for_each(|one| one.join().unwrap());
    });
}

#[test]
fn a_key_that_the_command_line_revokes_is_dead_on_the_servers_next_request() {
    for place in Installation::each() {
        let server = place.serve(&[]);
        let issued = place.run(&["key", "issue", "--owner", "operator", "--json"]).expect(0).json();
        let holder = server.client(issued["key"].as_str().unwrap());
        holder.get("/v1/keys").expect(200);
        let revoked = place.run(&["key", "revoke", issued["id"].as_str().unwrap(), "--json"]).expect(0).json();
        assert_eq!(revoked["status"], "revoked");
        holder.get("/v1/keys").expect(401);
        // A leaver's keys too.
        let idp = server.idp();
        idp.post("/scim/v2/Users", &json!({"schemas": [USER], "userName": "ben"})).expect(201);
        let issued = place.run(&["key", "issue", "--owner", "ben", "--json"]).expect(0).json();
        let holder = server.client(issued["key"].as_str().unwrap());
        holder.get("/scim/v2/Me").expect(200);
        place.run(&["user", "suspend", "ben"]).expect(0);
        holder.get("/scim/v2/Me").expect(401);
        place.run(&["user", "activate", "ben"]).expect(0);
        holder.get("/scim/v2/Me").expect(200);
    }
}

#[test]
fn the_key_of_an_agent_is_dead_everywhere_once_its_sponsor_leaves() {
    for place in Installation::each() {
        let (a, b) = two(&place, &place);
        let make = |endpoint: &str, body: Value| {
            a.idp().post(endpoint, &body).expect(201).json()["id"].as_str().unwrap().to_owned()
        };
        let ben = make("/scim/v2/Users", json!({"schemas": [USER], "userName": "ben"}));
        let schema = "urn:ietf:params:scim:schemas:core:2.0:Agent";
        let agent = json!({"schemas": [schema], "name": "bot", "owners": [{"value": ben}]});
        let bot = make("/scim/v2/Agents", agent);
        let issued = place.run(&["key", "issue", "--owner", &bot, "--json"]).expect(0).json();
        let key = issued["key"].as_str().unwrap();
        assert!(key.starts_with("krs_"));
        let holder = b.client(key);
        let code = || {
            let verified = b.admin().post("/v1/verify", &json!({"key": key})).expect(200).json()["code"].clone();
            (holder.get("/scim/v2/Me").status, verified)
        };
        let (works, orphaned) = ((200, json!("VALID")), (401, json!("OWNER_INACTIVE")));
        assert_eq!(code(), works);
        place.run(&["user", "suspend", "ben"]).expect(0);
        assert_eq!(code(), orphaned);
        let refused = place.run(&["key", "issue", "--owner", &bot]).expect(3);
        assert!(refused.stderr.contains("has no live sponsor"), "{refused:?}");
        place.run(&["user", "activate", "ben"]).expect(0);
        assert_eq!(code(), works);
        // Through the other node.
        let active = |on: bool| {
            let operations = json!([{"op": "replace", "path": "active", "value": on}]);
            let body = json!({"schemas": [PATCH], "Operations": operations});
            a.idp().patch(&format!("/scim/v2/Users/{ben}"), &body).expect(200);
        };
        for _ in 0..5 {
            active(false);
            assert_eq!(code(), orphaned);
            active(true);
            assert_eq!(code(), works);
        }
        a.idp().delete(&format!("/scim/v2/Users/{ben}")).expect(204);
        assert_eq!(code(), orphaned);
    }
}

#[test]
fn a_node_with_other_keys_does_not_start_and_names_the_file_to_copy() {
    for place in Installation::each() {
        let server = place.serve(&[]);
        let stranger = place.elsewhere("stranger");
        let refuses = |name: &str, why: &str| {
            let file = stranger.data_dir().join(name);
            for command in [&["serve", "--listen", "127.0.0.1:0"][..], &["key", "list"]] {
                let refused = stranger.run(command).expect(1);
                let fix = format!("copy {name} of the node that made the database to {}", file.display());
                let expected = format!("keyroll: the database {why}: {fix}\n");
                assert_eq!((refused.stdout.as_str(), refused.stderr), ("", expected));
            }
        };
        std::fs::create_dir_all(stranger.data_dir()).unwrap();
        for name in ["root.key", "signing.key"] {
            refuses(name, &format!("has a {name} and this folder has none"));
            let file = stranger.data_dir().join(name);
            assert!(!file.exists(), "a key that opens nothing was made");
            std::fs::write(&file, [7; 32]).unwrap();
            std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).unwrap();
            refuses(name, &format!("belongs to another {name}"));
            // The named fix is one.
            std::fs::copy(place.data_dir().join(name), &file).unwrap();
        }
        stranger.serve(&[]).idp().get("/scim/v2/Users").expect(200);
        server.idp().get("/scim/v2/Users").expect(200);
    }
}

#[test]
fn a_role_without_rights_is_told_which_one_has_them() {
    let Some(place) = Installation::postgres() else { return };
    place.sql("CREATE ROLE stranger LOGIN");
    let stranger = place.through(place.database_url().replace("user=keyroll", "user=stranger"));
    let refused = |what: &str, output: Output| {
        let fix =
            "name the role in the database URL that made Keyroll's tables; for a new database, the role that owns it";
        assert_eq!((output.code, output.stderr), (1, format!("keyroll: {what}: {fix}\n")));
    };
    let could_not = "the database could not be migrated: permission denied for schema public";
    refused(could_not, stranger.run(&["init"]));
    place.run(&["init"]).expect(0);
    refused("permission denied for table installation", stranger.run(&["key", "list"]));
    refused("permission denied for table installation", stranger.start(&[], &[]).outcome().err().unwrap());
}

#[test]
fn of_two_installations_that_start_at_once_on_one_database_one_refuses() {
    for _ in 0..5 {
        let Some(place) = Installation::postgres() else { return };
        let (a, b) = (place.start(&[], &[]), place.elsewhere("stranger").start(&[], &[]));
        let (served, refused): (Vec<_>, Vec<_>) = [a.outcome(), b.outcome()].into_iter().partition(Result::is_ok);
        let served = served.into_iter().next().unwrap().ok().unwrap();
        assert_eq!(served.printed.len(), 1);
        let refused = refused.into_iter().next().unwrap().err().unwrap();
        assert_eq!((refused.code, refused.stdout.as_str()), (1, ""));
        // Whether its own key was there first depends on who was faster.
        assert!(refused.stderr.starts_with("keyroll: the database "), "{refused:?}");
        assert!(refused.stderr.contains(": copy root.key of the node that made the database to "), "{refused:?}");
    }
}

#[test]
fn two_nodes_that_change_one_group_lose_nothing() {
    const EACH: usize = 30;
    for place in Installation::each() {
        let (a, b) = two(&place, &place);
        let idp = a.idp();
        let make = |endpoint: &str, body: Value| {
            idp.post(endpoint, &body).expect(201).json()["id"].as_str().unwrap().to_owned()
        };
        let group = make("/scim/v2/Groups", json!({"schemas": [GROUP], "displayName": "everybody"}));
        let path = format!("/scim/v2/Groups/{group}");
        let people: Vec<String> = (0..4 * EACH)
            .map(|n| make("/scim/v2/Users", json!({"schemas": [USER], "userName": format!("user{n}")})))
            .collect();
        let operation = |op: &str, id: &str| {
            let value = json!([{"value": id}]);
            json!({"schemas": [PATCH], "Operations": [{"op": op, "path": "members", "value": value}]})
        };
        // Two clients at each node add; every second one is removed again.
        std::thread::scope(|scope| {
            for (client, people) in people.chunks(EACH).enumerate() {
                let idp = if client % 2 == 0 { a.idp() } else { b.idp() };
                let (path, operation) = (&path, &operation);
                scope.spawn(move || {
                    for (n, id) in people.iter().enumerate() {
                        let answer = idp.patch(path, &operation("add", id));
                        assert!(matches!(answer.status, 200 | 204), "{answer:?}");
                        if n % 2 == 0 {
                            let answer = idp.patch(path, &operation("remove", id));
                            assert!(matches!(answer.status, 200 | 204), "{answer:?}");
                        }
                    }
                });
            }
        });
        let found = b.idp().get(&path).expect(200);
        let members = found.json()["members"].as_array().unwrap().clone();
        let members: BTreeSet<&str> = members.iter().map(|member| member["value"].as_str().unwrap()).collect();
        let expected = people.chunks(EACH).flat_map(|chunk| chunk.iter().skip(1).step_by(2));
        assert_eq!(members, expected.map(String::as_str).collect());
        let writes = 4 * (EACH + EACH / 2);
        assert_eq!(found.version(), 1 + writes as i64, "every write made a version");
        place.run(&["log", "verify"]).expect(0);
    }
}
