//! What people are told who asked for what cannot be: what is wrong, and what to do.

use diesel::connection::SimpleConnection;
use diesel::{Connection, PgConnection, SqliteConnection};
use serde_json::json;

use crate::support::server::{Installation, PATCH, USER};

#[test]
fn an_argument_that_says_nothing_is_a_usage_error() {
    let place = Installation::sqlite();
    place.run(&["init"]).expect(0);
    let records = || place.run(&["log", "verify", "--json"]).expect(0).json()["records"].clone();
    let before = records();
    let one = "expected one permission such as billing:invoices:read, without *";
    let time = "expected a time such as 2027-01-31T09:30:00Z";
    let moment = "expected a time such as 2027-01-31T09:30:00Z, or a date, which is the end of that day in UTC";
    let code = "expected a code of a–z and _, at most 64 letters, or a text of at most 1000";
    let long = "x".repeat(1_001);
    for (command, value, name, why) in [
        (&["access", "explain", "operator"][..], "bogus", "<PERMISSION>", one),
        (&["access", "explain", "operator"], "billing:*:read", "<PERMISSION>", one),
        (&["access", "explain", "operator"], "", "<PERMISSION>", one),
        (&["access", "show", "operator", "--at"], "bogus", "--at <TIME>", moment),
        (&["access", "explain", "operator", "a:b:c", "--at"], "2027-1-31", "--at <TIME>", moment),
        (&["role", "holders", "keyroll.admin", "--at"], "2027-02-30", "--at <TIME>", moment),
        (
            &["mapping", "create", "--role", "keyroll.auditor", "--user", "operator", "--reason", "r", "--expires-at"],
            "tomorrow",
            "--expires-at <TIME>",
            time,
        ),
        (&["key", "revoke", "01939e7a-5b1c-7def-8abc-0123456789ab", "--reason"], "", "--reason <REASON>", code),
        (&["key", "revoke", "01939e7a-5b1c-7def-8abc-0123456789ab", "--reason"], &long, "--reason <REASON>", code),
    ] {
        let output = place.run(&[command, &[value]].concat()).expect(2);
        let said = format!("error: invalid value '{value}' for '{name}': {why}\n");
        assert_eq!((output.stdout.as_str(), output.stderr.starts_with(&said)), ("", true), "{output:?}");
    }
    assert_eq!(records(), before);
    // What is well said is looked at.
    assert!(place.run(&["access", "explain", "operator", "a:b:c"]).expect(1).stdout.starts_with("no: "));
    let today = ["access", "explain", "operator", "keyroll:users:read", "--at", "2099-01-31"];
    assert_eq!(place.run(&today).expect(0).stdout.lines().next(), Some("yes: given by role keyroll.admin"));
    let early = place.run(&["access", "show", "operator", "--at", "2001-01-31T09:30:00Z"]).expect(1);
    assert!(early.stderr.starts_with("keyroll: at: "), "{early:?}");
    let none = place.run(&["key", "revoke", "01939e7a-5b1c-7def-8abc-0123456789ab", "--reason", "left"]).expect(1);
    assert_eq!(none.stderr, "keyroll: there is no key 01939e7a-5b1c-7def-8abc-0123456789ab\n");
}

#[test]
fn a_locked_database_is_named_once_with_what_to_do() {
    // Each waits for as long as the program waits for a lock.
    std::thread::scope(|scope| {
        for place in Installation::each() {
            scope.spawn(move || {
                place.run(&["init"]).expect(0);
                let url = place.database_url();
                let issue = || place.run(&["key", "issue", "--owner", "operator"]).expect(4);
                let output = match url.strip_prefix("sqlite:") {
                    Some(path) => {
                        let mut other = SqliteConnection::establish(path).unwrap();
                        other.batch_execute("BEGIN IMMEDIATE").unwrap();
                        issue()
                    }
                    None => {
                        let mut other = PgConnection::establish(&url).unwrap();
                        other.batch_execute("BEGIN; LOCK TABLE log_heads").unwrap();
                        issue()
                    }
                };
                let said = "keyroll: the database is not available: another program has locked it: try again once that \
                            has finished, or end it\n";
                assert!(output.stderr.ends_with(said), "{output:?}");
                assert_eq!(output.stderr.matches("keyroll: ").count(), 1, "{output:?}");
                assert_eq!(output.stdout, "");
                place.run(&["key", "issue", "--owner", "operator"]).expect(0);
            });
        }
    });
}

#[test]
fn who_lifts_a_hold_learns_what_is_still_in_the_way() {
    for place in Installation::each() {
        let server = place.serve(&[]);
        let post =
            |path: &str, body| server.idp().post(path, &body).expect(201).json()["id"].as_str().unwrap().to_owned();
        let id = post("/scim/v2/Users", json!({"schemas": [USER], "userName": "mira"}));
        let active = |value: bool| {
            let set = json!([{"op": "replace", "path": "active", "value": value}]);
            server
                .idp()
                .patch(&format!("/scim/v2/Users/{id}"), &json!({"schemas": [PATCH], "Operations": set}))
                .expect(200);
        };
        let activate = |name: &str| {
            let output = place.run(&["user", "activate", name, "--json"]).expect(0);
            (output.json()["live"].clone(), output.stderr)
        };
        place.run(&["user", "suspend", "mira"]).expect(0);
        assert_eq!(activate("mira"), (json!(true), String::new()));
        active(false);
        place.run(&["user", "suspend", "mira"]).expect(0);
        let waits = |name: &str| {
            let way = format!("keyroll user activate {name} --force says so in its place");
            format!("keyroll: {name} is still not live: the identity provider does not say active: true: {way}\n")
        };
        assert_eq!(activate("mira"), (json!(false), waits("mira")));
        let plain = place.run(&["user", "activate", &id]).expect(0);
        assert_eq!(plain.stderr, waits(&id));
        let agent = json!({"schemas": ["urn:ietf:params:scim:schemas:core:2.0:Agent"], "name": "deploy",
            "owners": [{"value": id}]});
        let agent = post("/scim/v2/Agents", agent);
        let waits = "none of its owners is live: the identity provider has to name one who is";
        assert_eq!(activate(&agent), (json!(false), format!("keyroll: {agent} is still not live: {waits}\n")));
        active(true);
        assert_eq!(activate("mira"), (json!(true), String::new()));
        assert_eq!(activate(&agent), (json!(true), String::new()));
    }
}

#[test]
fn the_host_brings_back_whom_the_identity_provider_may_not() {
    for place in Installation::each() {
        let server = place.serve(&[]);
        let body = json!({"schemas": [USER], "userName": "boss"});
        let id = server.idp().post("/scim/v2/Users", &body).expect(201).json()["id"].as_str().unwrap().to_owned();
        place.run(&["mapping", "create", "--role", "keyroll.admin", "--user", "boss", "--reason", "leads"]).expect(0);
        let issue = || place.run(&["key", "issue", "--owner", "boss", "--grant", "keyroll:users:read", "--json"]);
        let key = issue().expect(0).json()["key"].as_str().unwrap().to_owned();
        let active = |value: bool| {
            let set = json!([{"op": "replace", "path": "active", "value": value}]);
            server.idp().patch(&format!("/scim/v2/Users/{id}"), &json!({"schemas": [PATCH], "Operations": set}))
        };
        let way = format!("keyroll user activate {id} --force");
        let verify = || server.admin().post("/v1/verify", &json!({"key": key})).expect(200).json()["code"].clone();
        active(false).expect(200);
        // The identity provider's return is refused, and says how it is done.
        let detail = active(true).expect(403).json()["detail"].as_str().unwrap().to_owned();
        let said = "a principal that holds a permission of Keyroll is made active by an admin, on the server's host: ";
        assert_eq!(detail, format!("{said}{way}"));
        let said =
            "its identity provider does not say active: true: keyroll user activate boss --force says so in its place";
        assert_eq!(issue().expect(3).stderr, format!("keyroll: the owner {id} is not live: {said}\n"));
        place.run(&["user", "suspend", "boss"]).expect(0);
        assert_eq!(verify(), json!("OWNER_INACTIVE"));
        let words: Vec<&str> = way.split(' ').skip(1).chain(["--json"]).collect();
        let shown = place.run(&words).expect(0);
        // What comes back with the person, whoever brought it about meanwhile.
        let said = format!("this permits on Keyroll itself: keyroll:*:*: keyroll access show {id} says why");
        assert_eq!(shown.stderr, format!("keyroll: {said}\n"));
        let shown = shown.json();
        assert_eq!(
            [&shown["live"], &shown["active"], &shown["admin_hold"]],
            [&json!(true), &json!(true), &json!(false)]
        );
        assert_eq!(verify(), json!("VALID"));
        // The identity provider reads it, and its next word counts as ever.
        let read = server.idp().get(&format!("/scim/v2/Users/{id}")).expect(200).json();
        assert_eq!((&read["active"], &read["meta"]["version"]), (&json!(true), &json!("W/\"3\"")));
        active(false).expect(200);
        assert_eq!(verify(), json!("OWNER_INACTIVE"));
        // Of whoever is inactive a provider writes what it likes: that a rule gives something by it is told as well.
        let made = server.idp().post("/scim/v2/Users", &json!({"schemas": [USER], "userName": "eve", "active": false}));
        let eve = made.expect(201).json()["id"].as_str().unwrap().to_owned();
        let rule = json!({"role": "keyroll.auditor", "source": {"rule": "title eq \"CISO\""}});
        server.admin().post("/v1/mappings", &rule).expect(201);
        let set = json!([{"op": "replace", "path": "title", "value": "CISO"}]);
        let set = json!({"schemas": [PATCH], "Operations": set});
        server.idp().patch(&format!("/scim/v2/Users/{eve}"), &set).expect(200);
        let told = place.run(&["user", "activate", "eve", "--force"]).expect(0).stderr;
        assert!(told.starts_with("keyroll: this permits on Keyroll itself: keyroll:"), "{told}");
        // Who lifts a mere hold, or brings back somebody without any, has nothing to look at.
        place.run(&["user", "suspend", "eve"]).expect(0);
        assert_eq!(place.run(&["user", "activate", "eve"]).expect(0).stderr, "");
        place.run(&["log", "verify"]).expect(0);
    }
}
