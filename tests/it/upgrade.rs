//! Several versions of Keyroll on one database, while its nodes are upgraded one after the other.

use serde_json::json;

use crate::support::server::{Client, Installation, USER};
use crate::support::until;

fn user(idp: &Client, name: &str) -> String {
    let made = idp.post("/scim/v2/Users", &json!({"schemas": [USER], "userName": name})).expect(201);
    made.json()["id"].as_str().unwrap().to_owned()
}

/// What the next version would do: a step that the program of today does not know.
fn take(place: &Installation, step: &str, kind: &str, sql: &str) {
    place.sql(&format!(
        "{sql}; INSERT INTO __diesel_schema_migrations (version) VALUES ('{step}'); \
         INSERT INTO migration_steps (version, kind, needs) VALUES ('{step}', '{kind}', '9.9.9')"
    ));
}

#[test]
fn an_older_node_runs_on_what_expands_and_is_refused_by_what_contracts() {
    for place in Installation::each() {
        let first = place.serve(&[]);
        let id = user(&first.idp(), "ann");
        take(&place, "9001", "expand", "ALTER TABLE resources ADD COLUMN made_up INTEGER");
        let second = place.serve(&[]);
        for server in [&first, &second] {
            user(&server.idp(), &format!("of{}", server.address.port()));
            let seen = server.idp().get(&format!("/scim/v2/Users/{id}")).expect(200);
            assert_eq!(seen.json()["userName"], "ann");
        }
        place.run(&["log", "verify"]).expect(0);
        take(&place, "9002", "contract", "ALTER TABLE resources DROP COLUMN made_up");
        let refused = place.start(&[], &[]).outcome().err().unwrap();
        let said = format!(
            "keyroll: the database was migrated by a newer version of keyroll (9002) in a way that this one, {}, cannot \
             work with: install keyroll 9.9.9, or restore a backup\n",
            env!("CARGO_PKG_VERSION")
        );
        assert_eq!((refused.code, refused.stderr.ends_with(&said)), (1, true), "{refused:?}");
        assert_eq!(place.run(&["user", "list"]).expect(1).stderr, said);
        if place.is_embedded() {
            continue;
        }
        // Those that run find out by themselves.
        for server in [&first, &second] {
            let ready = || Some(server.client("").get("/readyz")).filter(|answer| answer.status == 503);
            let why = "a newer version of keyroll has changed the tables: start that version here";
            assert_eq!(until("it is outdated", ready).json()["reads"], json!(why));
            server.idp().get(&format!("/scim/v2/Users/{id}")).expect(503);
        }
    }
}

#[test]
fn what_contracts_waits_until_older_nodes_are_gone() {
    let Some(place) = Installation::postgres() else { return };
    let old = place.serve(&[]);
    let take_back = |sql: &str| place.sql(&format!("{sql} __diesel_schema_migrations WHERE version = '0006'"));
    place.sql("UPDATE nodes SET schema = '0005'");
    take_back("DELETE FROM");
    let refused = place.start(&[], &[]).outcome().err().unwrap();
    let said = format!("{} (keyroll {}) first\n", old.address, env!("CARGO_PKG_VERSION"));
    assert_eq!((refused.code, refused.stderr.ends_with(&said)), (1, true), "{refused:?}");
    assert!(refused.stderr.contains("the tables have to change in a way (0006) that"), "{refused:?}");
    place.sql("INSERT INTO __diesel_schema_migrations (version) VALUES ('0006')");
    // It is there, and knows what there is.
    user(&place.serve(&[]).idp(), "bob");
}
