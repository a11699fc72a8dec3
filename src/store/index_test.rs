use std::collections::HashSet;

use serde_json::json;

use super::*;
use crate::scim::schema::registry;

/// `path value [element] primary cut`, a row a line.
fn check(document: Value, expected: &str) {
    let user = registry().by_name("User").unwrap();
    let name = |key| user.indexed.iter().find(|path| path_key("User", path) == key).unwrap();
    let rows = derive(user, document.as_object().unwrap());
    let show = |row: &IndexRow| {
        let marks = [(row.is_primary, " primary"), (row.cut, " cut")].map(|(set, text)| if set { text } else { "" });
        format!("{} {} {}{}", name(row.path), row.value, row.element, marks.concat())
    };
    assert_eq!(rows.iter().map(show).collect::<Vec<_>>().join("\n"), expected);
}

#[test]
fn values_are_normalised() {
    check(
        json!({"userName": "Ａlice", "active": false, "displayName": "", "name": {"givenName": "ÉVA", "formatted": "x"}}),
        "userName alice 0 primary\nname.givenName éva 0 primary\nactive false 0 primary",
    );
}

#[test]
fn one_value_of_each_path_is_primary() {
    check(
        json!({"emails": [{"value": "a"}, {"type": "work", "primary": true}, {"value": "B", "type": "home"}]}),
        "emails.value a 0 primary\nemails.value b 2\nemails.type work 1 primary\nemails.type home 2",
    );
    check(
        json!({"emails": [{"value": "a"}, {"value": "b", "primary": true}]}),
        "emails.value a 0\nemails.value b 1 primary",
    );
}

#[test]
fn extensions_are_indexed() {
    let urn = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User";
    check(
        json!({urn: {"employeeNumber": "7", "manager": {"value": "M"}}}),
        &format!("{urn}:employeeNumber 7 0 primary\n{urn}:manager.value M 0 primary"),
    );
}

#[test]
fn long_values_are_cut_between_characters() {
    let rows = |text: String| {
        let document = json!({ "displayName": text });
        let rows = derive(registry().by_name("User").unwrap(), document.as_object().unwrap());
        (rows[0].value.len(), rows[0].cut)
    };
    assert_eq!(rows("x".repeat(512)), (512, false));
    assert_eq!(rows("x".repeat(513)), (512, true));
    assert_eq!(rows(format!("xé{}", "é".repeat(300))), (511, true));
}

#[test]
fn every_path_has_a_number_of_its_own() {
    let types = registry().types.iter();
    let all: Vec<i32> = types.flat_map(|t| t.indexed.iter().map(|path| path_key(&t.name, path))).collect();
    assert_eq!(all.iter().collect::<HashSet<_>>().len(), all.len());
    assert!(all.iter().all(|key| (0..1 << 24).contains(key)));
    // The numbers are in databases: they never change.
    assert_eq!(path_key("User", "userName"), 8_733_964);
}
