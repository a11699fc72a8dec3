//! What `keyroll log verify` finds when somebody with SQL has been at the log (credentials.md §4: A23).

use sha2::{Digest, Sha256};

use crate::support::server::Installation;

/// What verifying says after these statements, on both databases.
fn check(statements: &[&str], expected: &str) {
    for place in Installation::each() {
        place.run(&["init"]).expect(0);
        for _ in 0..4 {
            place.run(&["key", "issue", "--owner", "operator"]).expect(0);
        }
        assert_eq!(place.run(&["log", "verify", "--json"]).expect(0).json()["records"], 11);
        let statements: Vec<String> = statements.iter().map(|sql| on(&place, sql)).collect();
        statements.iter().for_each(|sql| place.sql(sql));
        let found = place.run(&["log", "verify", "--json"]).expect(1);
        assert_eq!(found.json()["intact"], false);
        assert_eq!(found.json()["reason"], expected, "{statements:?}");
        assert_eq!(found.stderr, format!("keyroll: the log is broken: {expected}\n"));
        let plain = place.run(&["log", "verify"]).expect(1);
        assert_eq!((plain.stdout.as_str(), plain.stderr), ("", found.stderr));
    }
}

/// The words of each database for bytes.
fn on(place: &Installation, sql: &str) -> String {
    let (text, bytes) = match place.is_embedded() {
        true => ("CAST(bytes AS TEXT)", "CAST({} AS BLOB)"),
        false => ("convert_from(bytes, 'UTF8')", "convert_to({}, 'UTF8')"),
    };
    let edit = bytes.replace("{}", &format!("replace({text}, 'success', 'failure')"));
    let hash = |hex: &str| if place.is_embedded() { format!("X'{hex}'") } else { format!("decode('{hex}', 'hex')") };
    let forged = hash(&"00".repeat(32));
    let own = hash(&"ab".repeat(3));
    let own_hash = hash(&Sha256::digest([0xab; 3]).iter().map(|byte| format!("{byte:02x}")).collect::<String>());
    sql.replace("{EDIT}", &edit).replace("{ZEROS}", &forged).replace("{OWN}", &own).replace("{OWN_HASH}", &own_hash)
}

/// Makes room for a record before another; the numbers stay unique on the way.
const SHIFT: [&str; 2] =
    ["UPDATE log_records SET seq = -seq - 1 WHERE seq >= 5", "UPDATE log_records SET seq = -seq WHERE seq < 0"];

#[test]
fn an_edit_is_found() {
    check(
        &["UPDATE log_records SET bytes = {EDIT} WHERE seq = 3"],
        "record 3 was changed: its bytes do not have the stored hash",
    );
    check(&["UPDATE log_records SET bytes = {OWN}, hash = {OWN_HASH} WHERE seq = 3"], "record 3 is not JSON");
    check(&["UPDATE log_records SET action = 'x' WHERE seq = 3"], "record 3: its column for /action was changed");
}

#[test]
fn a_deletion_is_found() {
    check(&["DELETE FROM log_records WHERE seq = 4"], "record 4 is missing: found 5 in its place");
    check(&["DELETE FROM log_records WHERE seq = 0"], "record 0 is missing: found 1 in its place");
    check(&["DELETE FROM log_records WHERE seq >= 7"], "the log ends at 7, its head says 11");
    check(&["DELETE FROM log_records"], "the log ends at 0, its head says 11");
}

#[test]
fn an_insertion_is_found() {
    let copy = |seq: &str| {
        format!(
            "INSERT INTO log_records (tenant, seq, time, action, subject_kind, subject_id, bytes, hash) \
             SELECT tenant, {seq}, time, action, subject_kind, subject_id, bytes, hash FROM log_records WHERE seq = 4"
        )
    };
    let head = "UPDATE log_heads SET next_seq = 12";
    check(&[SHIFT[0], SHIFT[1], &copy("5"), head], "record 5 carries another number");
    check(&[&copy("11")], "record 11 lies behind the head, which says 11");
}

#[test]
fn a_swap_is_found() {
    let swap = [
        "UPDATE log_records SET seq = -1 WHERE seq = 4",
        "UPDATE log_records SET seq = 4 WHERE seq = 5",
        "UPDATE log_records SET seq = 5 WHERE seq = -1",
    ];
    check(&swap, "record 4 carries another number");
}

#[test]
fn a_foreign_head_is_found() {
    check(&["UPDATE log_heads SET hash = {ZEROS}"], "the head names another last record");
    check(&["UPDATE log_heads SET next_seq = 9"], "record 10 lies behind the head, which says 9");
    check(&["DELETE FROM log_heads"], "its head is missing: nothing says which record is the last one");
}
