//! A database from before there were mappings: its operator's stored grant becomes one.

use serde_json::{Value, json};

use crate::support::server::Installation;

/// What such a database held of its operator. `{ID}`, `{TENANT}` and `{ZEROS}` are bytes.
const OPERATOR: &str = r#"
CREATE TABLE __diesel_schema_migrations (
    version VARCHAR(50) PRIMARY KEY NOT NULL, run_on TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP);
INSERT INTO __diesel_schema_migrations (version) VALUES ('0001');
INSERT INTO tenants (id, name, created) VALUES ({TENANT}, 'default', 1767603600000);
INSERT INTO principals (tenant, id, kind, local, name, active, admin_hold, permissions, version)
    SELECT key, {ID}, 'user', TRUE, 'operator', TRUE, FALSE, '["keyroll:*:*"]', 1 FROM tenants;
INSERT INTO principals (tenant, id, kind, local, name, active, admin_hold, permissions, version)
    SELECT key, {AGENT}, 'agent', TRUE, 'default', TRUE, FALSE, '["keyroll:users:read"]', 1 FROM tenants;
INSERT INTO principals (tenant, id, kind, local, name, active, admin_hold, permissions, version)
    SELECT key, {USER}, 'user', FALSE, 'mira', TRUE, FALSE, '[]', 1 FROM tenants;
INSERT INTO log_heads (tenant, next_seq, hash, time) SELECT key, 0, {ZEROS}, 1767603600000000 FROM tenants;
"#;

fn id(number: u8) -> String {
    format!("01939e7a-5b1c-7def-8abc-0000000000{number:02x}")
}

fn old_database(place: &Installation) {
    let (folder, tables) = match place.is_embedded() {
        true => ("sqlite", include_str!("../../../migrations/sqlite/0001_initial/up.sql")),
        false => ("postgres", include_str!("../../../migrations/postgres/0001_initial/up.sql")),
    };
    println!("on {folder}");
    std::fs::create_dir_all(place.data_dir()).unwrap();
    place.sql(tables);
    let bytes = |id: &str| {
        let hex = id.replace('-', "");
        if place.is_embedded() { format!("X'{hex}'") } else { format!("'\\x{hex}'::bytea") }
    };
    let sql = OPERATOR.replace("{TENANT}", &bytes(&id(1))).replace("{ID}", &bytes(&id(2)));
    let sql = sql.replace("{AGENT}", &bytes(&id(3))).replace("{USER}", &bytes(&id(4)));
    place.sql(&sql.replace("{ZEROS}", &bytes(&"00".repeat(32))));
}

#[test]
fn the_operators_stored_grant_becomes_a_mapping() {
    for place in Installation::each() {
        old_database(&place);
        let access = place.run(&["access", "show", "operator", "--json"]).expect(0).json();
        assert_eq!(access["principal"], json!({"type": "user", "id": id(2)}));
        assert_eq!(access["permissions"], json!(["keyroll:*:*"]));
        let reason = &access["roles"][0]["reasons"][0];
        assert_eq!((&access["roles"][0]["role"], &reason["source"]), (&json!("keyroll.admin"), &json!("person")));
        // Nobody else had one: a connection's agent has what its keys need by being one.
        for other in [id(3), id(4)] {
            assert_eq!(place.run(&["access", "show", &other, "--json"]).expect(0).json()["roles"], json!([]));
        }
        // Its record is the only one, and a second start adds none.
        let mapping = place.run(&["mapping", "show", reason["mapping"].as_str().unwrap(), "--json"]).expect(0).json();
        assert_eq!(mapping["source"]["reason"], json!("migrated"));
        let tail = place.run(&["log", "tail"]).expect(0).stdout;
        let record: Value = serde_json::from_str(tail.trim()).expect("one record");
        assert_eq!((&record["action"], &record["seq"]), (&json!("mapping.created"), &json!(0)));
        assert_eq!(record["subject"]["id"], reason["mapping"]);
        assert_eq!(place.run(&["log", "verify", "--json"]).expect(0).json()["records"], 1);
        // The way back in is open.
        let key = place.run(&["key", "issue", "--owner", "operator", "--json"]).expect(0).json();
        let server = place.serve(&[]);
        let admin = server.client(key["key"].as_str().unwrap());
        assert_eq!(admin.get("/v1/users/operator/access").expect(200).json()["roles"], access["roles"]);
    }
}
