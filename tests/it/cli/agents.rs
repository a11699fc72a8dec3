//! A service gets its key without the identity provider's: agents on the command line, named like people.

use serde_json::json;

use crate::support::server::{Installation, PATCH, USER};

const AGENT: &str = "urn:ietf:params:scim:schemas:core:2.0:Agent";

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
            "keyroll: no key of this agent works: none of its sponsors is live: name one who is: \
             keyroll agent replace ci ci --sponsor WHO --description=Builds\n"
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
fn a_refusal_names_the_command_that_makes_the_key_possible() {
    for place in Installation::each() {
        let server = place.serve(&[]);
        place.run(&["agent", "create", "shop-api", "--sponsor", "operator"]).expect(0);
        let issue = |owner: &str, grant: &str| place.run(&["key", "issue", "--owner", owner, "--grant", grant]);
        let refused = |owner: &str, grant: &str| {
            let output = issue(owner, grant).expect(1);
            assert_eq!(output.stdout, "");
            output.stderr.strip_prefix("keyroll: ").unwrap().trim_end().to_owned()
        };
        // What it says is done, word for word.
        let run = |command: &str| {
            let command = command.replace("TEXT", "test").replace("ROLE", "own").replace("WHO", "operator");
            let words: Vec<&str> = command.split(' ').skip(1).map(|word| word.trim_matches('\'')).collect();
            place.run(&words).expect(0);
        };
        let grant = "keyroll:keys:verify";
        let map = "keyroll mapping create --role keyroll.service --user shop-api --reason TEXT";
        let said = format!("the owner does not hold {grant}: role keyroll.service gives it: {map}");
        assert_eq!(refused("shop-api", grant), said);
        run(map);
        issue("shop-api", grant).expect(0);
        // Nobody is advised to become an admin for the sake of one permission.
        let make = "keyroll role create ROLE --permission 'keyroll:users:*'";
        let map = "keyroll mapping create --role ROLE --user shop-api --reason TEXT";
        let alone = "no role but keyroll.admin gives it";
        let said = format!("the owner does not hold keyroll:users:*: {alone}: {make} makes one, {map} gives it");
        assert_eq!(refused("shop-api", "keyroll:users:*"), said);
        let everything = refused("shop-api", "keyroll:*:*");
        assert!(everything.contains(": role keyroll.admin gives it: keyroll mapping create "), "{everything}");
        let connection = place.run(&["key", "issue", "--owner", "default"]).expect(1).stderr;
        let said = "no user and no agent is named default: a connection is: keyroll key issue --connection default";
        assert_eq!(connection, format!("keyroll: {said}\n"));
        // Whom a shell would misread is named by id; where no role gives it, one is made.
        place.run(&["api", "create", "shop", "--permission", "orders:read"]).expect(0);
        let body = json!({"schemas": [USER], "userName": "$(reboot)"});
        let user = server.idp().post("/scim/v2/Users", &body).expect(201).json()["id"].as_str().unwrap().to_owned();
        let make = "keyroll role create ROLE --permission 'shop:orders:read'";
        let map = format!("keyroll mapping create --role ROLE --user {user} --reason TEXT");
        let said =
            format!("the owner does not hold shop:orders:read: no role gives it: {make} makes one, {map} gives it");
        assert_eq!(refused(&user, "shop:orders:read"), said);
        run(make);
        run(&map);
        issue(&user, "shop:orders:read").expect(0);
        // Whoever does not live.
        let id = |name: &str| {
            place.run(&["agent", "show", name, "--json"]).expect(0).json()["id"].as_str().unwrap().to_owned()
        };
        place.run(&["user", "suspend", "shop-api"]).expect(0);
        let lift = "keyroll user activate shop-api";
        let said = format!("the owner {} is not live: an admin's hold suspends it: {lift}", id("shop-api"));
        let held = place.run(&["key", "issue", "--owner", "shop-api"]).expect(3);
        assert_eq!(held.stderr, format!("keyroll: {said}\n"));
        run(lift);
        place.run(&["agent", "create", "alone", "--description", "x", "--display-name", "On its own"]).expect(0);
        let sponsor = "keyroll agent replace alone alone --sponsor WHO --display-name='On its own' --description=x";
        let said = format!("the owner {} has no live sponsor: an admin's agent gets one by {sponsor}", id("alone"));
        let alone = place.run(&["key", "issue", "--owner", "alone"]).expect(3);
        assert_eq!(alone.stderr, format!("keyroll: {said}\n"));
        let activated = place.run(&["user", "activate", "alone"]).expect(0).stderr;
        assert!(activated.ends_with(&format!(": name one who is: {sponsor}\n")), "{activated}");
        run(&sponsor.replace("'On its own'", "Own"));
        place.run(&["key", "issue", "--owner", "alone"]).expect(0);
        let kept = place.run(&["agent", "show", "alone", "--json"]).expect(0).json();
        assert_eq!(json!([kept["display_name"], kept["description"]]), json!(["Own", "x"]));
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
        for command in [["key", "issue", "--owner", "ci"], ["key", "list", "--owner", "ci"]] {
            assert_eq!(place.run(&command).expect(3).stderr, said, "{command:?}");
        }
        // What speaks of users, of agents or of a sponsor means one kind alone.
        for (kind, id) in [("user", user), ("agent", agent)] {
            for command in ["suspend", "activate", "show"] {
                let done = place.run(&[kind, command, "ci", "--json"]).expect(0).json();
                assert_eq!((&done["id"], &done["admin_hold"]), (&json!(id), &json!(command == "suspend")));
            }
            let read = server.admin().get(&format!("/v1/{kind}s/ci")).expect(200).json();
            assert_eq!(read["id"], id);
        }
        assert_eq!(place.run(&["agent", "show", "ci", "--json"]).expect(0).json()["id"], json!(agent));
        place.run(&["agent", "replace", "ci", "ci", "--sponsor", "ci"]).expect(0);
        assert_eq!(place.run(&["key", "issue", "--owner", agent, "--json"]).expect(0).json()["class"], json!("s"));
        assert_eq!(place.run(&["key", "issue", "--owner", user, "--json"]).expect(0).json()["class"], json!("u"));
        // Where no user has the name, an agent is meant there, too.
        place.run(&["user", "delete", "ci"]).expect(0);
        assert_eq!(place.run(&["user", "show", "ci", "--json"]).expect(0).json()["id"], json!(agent));
    }
}

#[test]
fn who_brings_an_agent_back_is_told_under_whom() {
    for place in Installation::each() {
        let server = place.serve(&[]);
        let person = |name: &str| {
            let made = server.idp().post("/scim/v2/Users", &json!({"schemas": [USER], "userName": name}));
            made.expect(201).json()["id"].as_str().unwrap().to_owned()
        };
        let (boss, eve, gone) = (person("boss"), person("eve"), person("gone"));
        let deploy = json!({"schemas": [AGENT], "name": "deploy", "owners": [{"value": boss}]});
        let id = server.idp().post("/scim/v2/Agents", &deploy).expect(201).json()["id"].as_str().unwrap().to_owned();
        let source = json!({"person": {"type": "agent", "id": id}, "reason": "ops"});
        server.admin().post("/v1/mappings", &json!({"role": "keyroll.admin", "source": source})).expect(201);
        let set = |path: String, name: &str, value: serde_json::Value| {
            let set = json!([{"op": "replace", "path": name, "value": value}]);
            server.idp().patch(&path, &json!({"schemas": [PATCH], "Operations": set}))
        };
        let (agent, left) = (format!("/scim/v2/Agents/{id}"), format!("/scim/v2/Users/{gone}"));
        set(agent.clone(), "active", json!(false)).expect(200);
        set(agent.clone(), "owners", json!([{"value": eve}, {"value": gone}])).expect(200);
        set(left, "active", json!(false)).expect(200);
        let refused = set(agent, "active", json!(true)).expect(403).json()["detail"].as_str().unwrap().to_owned();
        let way = format!("keyroll agent activate {id} --force");
        assert!(refused.ends_with(&format!(": {way}")), "{refused}");
        let words: Vec<&str> = way.split(' ').skip(1).chain(["--json"]).collect();
        let back = place.run(&words).expect(0);
        assert_eq!(back.stderr, "keyroll: these answer for it now: eve, gone (not live)\n");
        let sponsors = json!([{"id": eve, "name": "eve", "live": true}, {"id": gone, "name": "gone", "live": false}]);
        assert_eq!((&back.json()["live"], &back.json()["sponsors"]), (&json!(true), &sponsors));
        let log = place.run(&["log", "tail", "-n", "2", "--json"]).expect(0).stdout;
        assert!(log.contains("\"action\":\"principal.activated\""), "{log}");
        let (first, second) = (eve.as_str().min(&gone), eve.as_str().max(&gone));
        let listed = format!("\"sponsors\":[\"{first}\",\"{second}\"],\"sponsors_live\":[\"{eve}\"]");
        assert!(log.contains(&listed), "{log}");
        // Who lifts a mere hold has nothing to look at.
        place.run(&["agent", "suspend", "deploy"]).expect(0);
        assert_eq!(place.run(&["agent", "activate", "deploy"]).expect(0).stderr, "");
    }
}
