//! A service gets its key without the identity provider's: agents on the command line, named like people.

use serde_json::json;

use crate::support::server::{Installation, USER};

#[test]
fn a_service_gets_its_key_in_two_commands() {
    for place in Installation::each() {
        place.run(&["init"]).expect(0);
        let made = place.run(&["agent", "create", "ci", "--sponsor", "operator", "--json"]).expect(0);
        assert_eq!((made.json()["live"].clone(), made.stderr.as_str()), (json!(true), ""));
        let issued = place.run(&["key", "issue", "--owner", "CI", "--json"]).expect(0).json();
        assert_eq!(json!([issued["class"], issued["owner"]["name"], issued["status"]]), json!(["s", "ci", "active"]));
        let keys = place.run(&["key", "list", "--owner", "ci", "--class", "s", "--json"]).expect(0).json();
        assert_eq!(keys["keys"][0]["id"], issued["id"]);
        // Wherever somebody is named.
        for command in [&["user", "show", "ci"][..], &["access", "show", "ci"], &["access", "explain", "ci", "a:b:c"]] {
            assert!(matches!(place.run(command).code, 0 | 1), "{command:?}");
            assert!(!place.run(command).stderr.contains("there is no"), "{command:?}");
        }
        assert_eq!(place.run(&["user", "suspend", "ci", "--json"]).expect(0).json()["live"], json!(false));
        let activated = place.run(&["agent", "activate", "ci", "--json"]).expect(0).json();
        assert_eq!((&activated["live"], &activated["origin"]), (&json!(true), &json!("admin")));
        let alone = place.run(&["agent", "replace", "ci", "ci", "--description", "Builds"]).expect(0);
        assert_eq!(
            alone.stderr,
            "keyroll: no key of this agent works: none of its sponsors is live: name one by keyroll agent replace --sponsor\n"
        );
        let table = place.run(&["agent", "list"]).expect(0).stdout;
        assert!(table.lines().nth(1).unwrap().contains(" ci "), "{table}");
        place.run(&["agent", "create", "ci"]).expect(3);
        let unknown = place.run(&["agent", "create", "x", "--sponsor", "nobody"]).expect(1);
        assert_eq!(unknown.stderr, "keyroll: sponsors: no user has the id or userName nobody\n");
        let deleted = place.run(&["agent", "delete", "ci"]).expect(0);
        assert_eq!(deleted.stdout, "agent ci is deleted\n");
        let gone = place.run(&["agent", "show", "ci"]).expect(1);
        assert_eq!(gone.stderr, "keyroll: there is no agent ci\n");
    }
}

#[test]
fn who_is_named_like_another_is_named_by_id() {
    for place in Installation::each() {
        let server = place.serve(&[]);
        let user =
            server.idp().post("/scim/v2/Users", &json!({"schemas": [USER], "userName": "ci"})).expect(201).json();
        let agent = place.run(&["agent", "create", "ci", "--sponsor", "ci", "--json"]).expect(0).json();
        let (user, agent) = (user["id"].as_str().unwrap(), agent["id"].as_str().unwrap());
        let said =
            format!("keyroll: user {user} and agent {agent} have this name: give the id of the one that is meant\n");
        for command in
            [&["key", "issue", "--owner", "ci"][..], &["key", "list", "--owner", "ci"], &["user", "suspend", "ci"]]
        {
            assert_eq!(place.run(command).expect(3).stderr, said, "{command:?}");
        }
        // What asks for an agent or a sponsor means one kind alone.
        assert_eq!(place.run(&["agent", "show", "ci", "--json"]).expect(0).json()["id"], json!(agent));
        place.run(&["agent", "replace", "ci", "ci", "--sponsor", "ci"]).expect(0);
        assert_eq!(place.run(&["key", "issue", "--owner", agent, "--json"]).expect(0).json()["class"], json!("s"));
        assert_eq!(place.run(&["key", "issue", "--owner", user, "--json"]).expect(0).json()["class"], json!("u"));
    }
}
