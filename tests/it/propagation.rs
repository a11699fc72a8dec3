//! How far a change that takes access away has come when it is answered, and the nodes that are asked.

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Value, json};

use crate::support::server::{Answer, BULK, Client, GROUP, Installation, PATCH, Server, USER};
use crate::support::until;

/// What the header tells: seq, nodes, acked, ms.
#[track_caller]
fn told(answer: &Answer) -> [i64; 4] {
    let header = answer.header("keyroll-propagation").unwrap_or_else(|| panic!("{answer:?}"));
    let mut parts = header.split(", ").map(|part| part.split_once('=').unwrap());
    let told = ["seq", "nodes", "acked", "ms"].map(|name| {
        let (said, value) = parts.next().unwrap();
        assert_eq!(said, name, "{header}");
        value.parse().unwrap()
    });
    assert_eq!(parts.next(), None, "{header}");
    told
}

fn user(idp: &Client, name: &str) -> String {
    let made = idp.post("/scim/v2/Users", &json!({"schemas": [USER], "userName": name})).expect(201);
    assert_eq!(made.header("keyroll-propagation"), None, "nobody has less by a joiner");
    made.json()["id"].as_str().unwrap().to_owned()
}

fn patch(idp: &Client, id: &str, path: &str, value: Value) -> Answer {
    let operations = json!([{"op": "replace", "path": path, "value": value}]);
    idp.patch(&format!("/scim/v2/Users/{id}"), &json!({"schemas": [PATCH], "Operations": operations})).expect(200)
}

fn newest(place: &Installation) -> i64 {
    let printed = place.run(&["log", "tail", "-n", "1"]).expect(0).json();
    printed["seq"].as_i64().unwrap()
}

#[test]
fn what_takes_access_away_tells_how_far_it_has_come() {
    for place in Installation::each() {
        let server = place.serve(&[]);
        let (idp, admin) = (server.idp(), server.admin());
        let [ann, bob, cid] = ["ann", "bob", "cid"].map(|name| user(&idp, name));
        assert_eq!(patch(&idp, &ann, "title", json!("x")).header("keyroll-propagation"), None);
        let [seq, nodes, acked, _] = told(&patch(&idp, &ann, "active", json!("False")));
        assert_eq!((seq, nodes, acked), (newest(&place), 1, 1));
        // Once for a whole job, with its last record.
        let leave = |id: &str| {
            json!({"method": "PATCH", "path": format!("/Users/{id}"), "data": {"schemas": [PATCH],
                "Operations": [{"op": "replace", "path": "active", "value": false}]}})
        };
        let job = json!({"schemas": [BULK], "Operations": [leave(&bob), leave(&cid)]});
        assert_eq!(told(&idp.post("/scim/v2/Bulk", &job).expect(200))[..2], [newest(&place), 1]);
        // A member of the answer's object in Keyroll's own API; a header where there is no body.
        let operator = admin.get("/v1/whoami").json()["owner"].clone();
        let key = admin.post("/v1/keys", &json!({"owner": operator, "name": "x"})).expect(201).json();
        assert_eq!(key.get("propagation"), None);
        let revoked =
            admin.post(&format!("/v1/keys/{}/revoke", key["id"].as_str().unwrap()), &json!({})).expect(200).json();
        let told_there = &revoked["propagation"];
        assert_eq!(
            (&told_there["seq"], &told_there["nodes"], &told_there["acked"], told_there["ms"].is_u64()),
            (&json!(newest(&place)), &json!(1), &json!(1), true)
        );
        let gone = admin.delete(&format!("/v1/users/{ann}")).expect(204);
        assert_eq!(told(&gone)[..3], [newest(&place), 1, 1]);
        // Whoever is taken out of a group has less; whoever comes in has more.
        let dan = user(&idp, "dan");
        let group = json!({"schemas": [GROUP], "displayName": "g"});
        let group = idp.post("/scim/v2/Groups", &group).expect(201).json()["id"].as_str().unwrap().to_owned();
        let members = |op: &str| {
            let operations = json!([{"op": op, "path": "members", "value": [{"value": dan}]}]);
            let body = json!({"schemas": [PATCH], "Operations": operations});
            idp.patch(&format!("/scim/v2/Groups/{group}"), &body).expect(200)
        };
        assert_eq!(members("add").header("keyroll-propagation"), None);
        assert_eq!(told(&members("remove"))[0], newest(&place));
        assert_eq!(told(&idp.delete(&format!("/scim/v2/Users/{dan}")).expect(204))[0], newest(&place));
    }
}

fn nodes(place: &Installation) -> Vec<Value> {
    place.run(&["nodes", "--json"]).expect(0).json()["nodes"].as_array().unwrap().clone()
}

#[test]
fn nodes_answer_each_other_until_one_falls_silent_or_takes_leave() {
    let Some(place) = Installation::postgres() else { return };
    let (a, b): (Server, Server) = (place.serve(&[]), place.serve(&[]));
    let ids: Vec<String> = (0..6).map(|n| user(&a.idp(), &format!("user{n}"))).collect();
    let leave = |server: &Server, n: usize| {
        let [_, nodes, acked, ms] = told(&patch(&server.idp(), &ids[n], "active", json!(false)));
        (nodes, acked, ms)
    };
    // A node that was alone a moment ago learns of another one within its next beats.
    let suspend = || a.admin().post(&format!("/v1/users/{}/suspend", ids[0]), &json!({})).expect(200).json();
    let activate = || drop(a.admin().post(&format!("/v1/users/{}/activate", ids[0]), &json!({})).expect(200));
    until("it knows the other", || {
        activate();
        (suspend()["propagation"]["nodes"] == 2).then_some(())
    });
    activate();
    let (nodes_there, acked, ms) = leave(&a, 0);
    assert_eq!((nodes_there, acked), (2, 2), "{ms}");
    assert_eq!((leave(&b, 1).0, leave(&b, 2).1), (2, 2));
    let listed = nodes(&place);
    let addresses: Vec<&str> = listed.iter().map(|node| node["address"].as_str().unwrap()).collect();
    assert_eq!(addresses, [a.address.to_string(), b.address.to_string()]);
    for node in &listed {
        assert_eq!((&node["status"], &node["version"]), (&json!("live"), &json!(env!("CARGO_PKG_VERSION"))));
    }
    let table = place.run(&["nodes"]).expect(0).stdout;
    assert!(table.contains("LAST_SEEN") && table.contains(&a.address.to_string()), "{table}");
    // One that stands still is waited for as long as it may yet answer, and counted when it is not.
    b.signal("STOP");
    let (nodes_there, acked, ms) = leave(&a, 3);
    assert_eq!((nodes_there, acked), (2, 1));
    assert!((500..2_000).contains(&ms), "{ms}");
    place.sql(&format!("UPDATE nodes SET seen = seen - 3000 WHERE address = '{}'", b.address));
    assert_eq!(leave(&a, 4).1, 1);
    assert_eq!(nodes(&place)[1]["status"], json!("silent"));
    b.signal("CONT");
    b.terminate();
    assert!(b.wait().0.success());
    assert_eq!(leave(&a, 5).0, 1);
    assert_eq!(nodes(&place).len(), 1);
}

#[test]
fn a_node_whose_row_was_lost_is_as_old_as_before() {
    let Some(place) = Installation::postgres() else { return };
    let _server: Server = place.serve(&[]);
    let time = |node: &Value, name: &str| node[name].as_str().unwrap().parse::<DateTime<Utc>>().unwrap();
    let row = || nodes(&place).pop();
    let begun = time(&until("its row", row), "started");
    until("it is there for a while", || row().filter(|node| time(node, "last_seen") - begun > TimeDelta::seconds(2)));
    place.sql("DELETE FROM nodes");
    let started = time(&until("its row again", row), "started");
    assert!((started - begun).abs() < TimeDelta::milliseconds(500), "{begun} {started}");
}

#[test]
fn the_embedded_database_has_one_machine() {
    let place = Installation::sqlite();
    let _server = place.serve(&[]);
    let output = place.run(&["nodes"]).expect(0);
    assert!(output.stderr.contains("fuser"), "{output:?}");
    assert_eq!(nodes(&place), Vec::<Value>::new());
}
