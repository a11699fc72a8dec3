use serde_json::json;

use super::super::super::attribute::Mutability;
use super::super::super::schema::registry;
use super::super::super::tolerance::Dialect::{self, Auto, Entra, Okta, Rfc, Strict};
use super::super::{PATCH_URN, parse};
use super::*;

const E: &str = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User";

fn mira() -> Map<String, Value> {
    let document = json!({
        "schemas": ["urn:ietf:params:scim:schemas:core:2.0:User", E],
        "userName": "mira",
        "name": {"givenName": "Mira", "familyName": "Vale"},
        "title": "Mate",
        "active": true,
        "emails": [{"value": "a@x", "type": "work", "primary": true}, {"value": "b@x", "type": "home"}],
        E: {"department": "Harbour", "manager": {"value": "m1", "$ref": "../Users/m1"}}
    });
    document.as_object().cloned().unwrap()
}

fn patched(dialect: Dialect, rtype: &str, before: &Map<String, Value>, operations: &str) -> String {
    let rtype = registry().by_name(rtype).unwrap();
    let mut tolerances = Tolerances::new(dialect);
    let operations: Value = serde_json::from_str(&operations.replace("{E}", E)).unwrap();
    let body = json!({"schemas": [PATCH_URN], "Operations": operations});
    let applied =
        parse(body, rtype, &mut tolerances).and_then(|operations| apply(before, &operations, rtype, &mut tolerances));
    let mut shown = match applied {
        Ok(applied) => {
            let touched = differences(before, &applied.document, rtype);
            assert_eq!(touched.is_empty(), applied.document == *before);
            let value = |path: &String| {
                let Some(super::super::super::path::Name::Attribute(attr)) =
                    super::super::super::path::resolve(rtype, path)
                else {
                    panic!("{path}")
                };
                let top = attr.find(&applied.document);
                let value = attr.sub.map_or(top, |sub| top.and_then(|top| top.get(&sub.name)));
                format!("{path}={}", value.unwrap_or(&Value::Null))
            };
            let rows = applied.rows.iter().map(|row| format!("{row:?}"));
            touched.iter().map(value).chain(rows).collect::<Vec<_>>().join("; ")
        }
        Err(error) => format!("{} {}", error.scim_type.map_or("none", |t| t.name()), error.detail),
    };
    if !tolerances.header().is_empty() {
        shown += &format!(" | {}", tolerances.header());
    }
    shown.replace(E, "{E}")
}

/// Patches Mira: what differs afterwards, with its new values, or the error; then the tolerances used.
fn check(dialect: Dialect, operations: &str, expected: &str) {
    assert_eq!(patched(dialect, "User", &mira(), operations), expected, "{operations}");
}

/// The same with one operation.
fn one(dialect: Dialect, op: &str, path: &str, value: &str, expected: &str) {
    let path = serde_json::to_string(path).unwrap();
    let value = if value.is_empty() { String::new() } else { format!(r#","value":{value}"#) };
    check(dialect, &format!(r#"[{{"op":"{op}","path":{path}{value}}}]"#), expected);
}

const BOTH: &str = r#"{"value":"a@x","type":"work","primary":true},{"value":"b@x","type":"home"}"#;

#[test]
fn single_simple() {
    one(Rfc, "add", "title", r#""Cook""#, r#"title="Cook""#);
    one(Rfc, "replace", "title", r#""Cook""#, r#"title="Cook""#);
    one(Rfc, "replace", "nickName", r#""Mi""#, r#"nickName="Mi""#);
    one(Rfc, "add", "title", r#""Mate""#, "");
    one(Rfc, "remove", "title", "", "title=null");
    one(Rfc, "remove", "nickName", "", "");
    one(Rfc, "replace", "title", "null", "title=null");
    one(Auto, "replace", "title", r#""""#, "title=null | entra-007");
    one(Rfc, "replace", "active", "false", "active=false");
    one(Auto, "replace", "active", r#""False""#, "active=false | entra-002");
    one(Rfc, "replace", "active", r#""False""#, "invalidValue Operations[0]: active: expected a boolean, got a string");
    one(Rfc, "remove", "userName", "", "mutability Operations[0]: userName: is required");
    one(Rfc, "replace", "userName", "null", "mutability Operations[0]: userName: is required");
    one(Auto, "replace", "userName", r#""""#, "invalidValue Operations[0]: userName: must not be empty");
    one(Rfc, "replace", "urn:ietf:params:scim:schemas:core:2.0:User:userName", r#""m""#, r#"userName="m""#);
    one(Rfc, "replace", "externalId", r#""e""#, r#"externalId="e""#);
}

#[test]
fn read_only() {
    one(Rfc, "replace", "id", r#""x""#, "mutability Operations[0]: id: is read-only");
    one(Rfc, "remove", "meta.created", "", "mutability Operations[0]: meta.created: is read-only");
    one(Rfc, "add", "groups", r#"[{"value":"g"}]"#, "mutability Operations[0]: groups: is read-only");
    one(Rfc, "remove", r#"groups[value eq "g"]"#, "", "mutability Operations[0]: groups: is read-only");
    one(
        Rfc,
        "replace",
        "{E}:manager.displayName",
        r#""x""#,
        "mutability Operations[0]: {E}:manager.displayName: is read-only",
    );
    check(
        Rfc,
        r#"[{"op":"replace","value":{"id":"x","meta":{},"groups":[],"schemas":["{E}"],"title":"T"}}]"#,
        r#"title="T" | okta-002"#,
    );
    check(Strict, r#"[{"op":"replace","value":{"id":"x"}}]"#, "mutability Operations[0]: id: is read-only");
    one(Rfc, "replace", "{E}:manager", r#"{"value":"m1","displayName":"B"}"#, " | okta-002");
}

#[test]
fn single_complex() {
    one(Rfc, "add", "name", r#"{"GIVENNAME":"M","middleName":"Q"}"#, r#"name.givenName="M"; name.middleName="Q""#);
    one(Rfc, "replace", "name", r#"{"familyName":"V"}"#, r#"name.familyName="V""#);
    one(Rfc, "replace", "name", r#"{"familyName":null}"#, "name.familyName=null");
    one(Rfc, "replace", "name", "{}", "name.familyName=null; name.givenName=null");
    one(Rfc, "add", "name", "{}", "");
    one(Rfc, "replace", "name", "null", "name.familyName=null; name.givenName=null");
    one(Rfc, "remove", "name", "", "name.familyName=null; name.givenName=null");
    one(Rfc, "remove", "name.givenName", "", "name.givenName=null");
    one(Rfc, "replace", "name.givenName", r#""M""#, r#"name.givenName="M""#);
    one(
        Rfc,
        "add",
        "name",
        r#"{"givenName":"a","GivenName":"b"}"#,
        "invalidSyntax Operations[0]: name.givenName: is there twice",
    );
    one(Rfc, "add", "name", r#"{"shoe":1}"#, " | auto-001");
    one(Strict, "add", "name", r#"{"shoe":1}"#, "invalidSyntax Operations[0]: name.shoe: no such attribute");
    one(Rfc, "add", "name", r#""x""#, "invalidValue Operations[0]: name: expected an object, got a string");
    check(
        Rfc,
        r#"[{"op":"remove","path":"name.givenName"},{"op":"remove","path":"name.familyName"}]"#,
        "name.familyName=null; name.givenName=null",
    );
}

#[test]
fn manager() {
    let gone = "{E}:manager.value=null; {E}:manager.$ref=null";
    let moved = r#"{E}:manager.value="m2"; {E}:manager.$ref=null"#;
    for value in [r#""m2""#, r#"[{"$ref":null,"value":"m2"}]"#] {
        one(Auto, "add", "{E}:manager", value, &format!("{moved} | entra-006"));
        assert!(
            patched(Rfc, "User", &mira(), &format!(r#"[{{"op":"add","path":"{E}:manager","value":{value}}}]"#))
                .starts_with("invalidValue")
        );
    }
    one(Rfc, "replace", "{E}:manager", r#"{"value":"m2"}"#, moved);
    one(Rfc, "replace", "{E}:manager.value", r#""m2""#, moved);
    one(Rfc, "remove", "{E}:manager", "", gone);
    one(Entra, "replace", "{E}:manager", r#""""#, &format!("{gone} | entra-007"));
    one(Rfc, "replace", "{E}:manager", r#"{"value":"m2","$ref":"../Users/m2"}"#, moved);
}

#[test]
fn extensions() {
    one(Rfc, "remove", "{E}", "", "{E}:department=null; {E}:manager.value=null; {E}:manager.$ref=null");
    one(Rfc, "add", "{E}", r#"{"division":"D"}"#, r#"{E}:division="D""#);
    one(Rfc, "replace", "{E}:department", r#""D""#, r#"{E}:department="D""#);
    check(Rfc, r#"[{"op":"replace","value":{"{E}":{"department":"D"}}}]"#, r#"{E}:department="D""#);
    let rtype = registry().by_name("User").unwrap();
    let schemas = |operations: Value| {
        let body = json!({"schemas": [PATCH_URN], "Operations": operations});
        let mut tolerances = Tolerances::new(Rfc);
        let operations = parse(body, rtype, &mut tolerances).unwrap();
        let document = apply(&mira(), &operations, rtype, &mut tolerances).unwrap().document;
        (document["schemas"].as_array().unwrap().len(), document.contains_key(E))
    };
    let manager = format!("{E}:manager");
    let department = format!("{E}:department");
    let drop = json!([{"op": "remove", "path": manager}, {"op": "remove", "path": department}]);
    assert_eq!(schemas(drop.clone()), (1, false));
    let mut again = drop.as_array().unwrap().clone();
    again.push(json!({"op": "add", "path": department, "value": "D"}));
    assert_eq!(schemas(again.into()), (2, true));
}

#[test]
fn the_schemas_attribute() {
    one(Rfc, "add", "schemas", r#"["{E}"]"#, "");
    one(Auto, "add", "schemas", r#"["urn:x"]"#, " | entra-009");
    one(Rfc, "replace", "schemas", r#""urn:x""#, "invalidSyntax Operations[0]: schemas: urn:x is no schema of User");
    one(Rfc, "remove", "schemas", "", "mutability Operations[0]: schemas: is required");
    one(Rfc, "add", "schemas", "[1]", "invalidValue Operations[0]: schemas: expected URNs");
}

#[test]
fn add_to_many() {
    one(Rfc, "add", "emails", r#"[{"value":"c@x"}]"#, &format!(r#"emails=[{BOTH},{{"value":"c@x"}}]"#));
    one(Rfc, "add", "emails", r#"{"value":"c@x"}"#, &format!(r#"emails=[{BOTH},{{"value":"c@x"}}]"#));
    one(Rfc, "add", "emails", &format!("[{BOTH}]"), "");
    one(
        Rfc,
        "add",
        "emails",
        r#"[{"TYPE":"home","value":"B@X"}]"#,
        r#"emails=[{"value":"a@x","type":"work","primary":true},{"value":"B@X","type":"home"}]"#,
    );
    one(Rfc, "add", "emails", "[]", "");
    one(Rfc, "add", "emails", "null", "");
    one(Rfc, "add", "roles", r#"[{"value":"r"},{"value":"r"}]"#, r#"roles=[{"value":"r"}]"#);
    one(
        Auto,
        "add",
        "roles",
        r#"[{"value":"r","primary":"True"}]"#,
        r#"roles=[{"value":"r","primary":true}] | entra-002"#,
    );
    one(
        Rfc,
        "add",
        "emails",
        r#"[{"value":"c@x","primary":true}]"#,
        r#"emails=[{"value":"a@x","type":"work","primary":false},{"value":"b@x","type":"home"},{"value":"c@x","primary":true}]"#,
    );
    one(Rfc, "add", "emails", "7", "invalidValue Operations[0]: emails[0]: expected an object, got a number");
}

#[test]
fn add_to_chosen() {
    let work = r#"emails[type eq "work"]"#;
    one(
        Rfc,
        "add",
        work,
        r#"{"display":"A"}"#,
        r#"emails=[{"value":"a@x","type":"work","primary":true,"display":"A"},{"value":"b@x","type":"home"}]"#,
    );
    one(
        Rfc,
        "add",
        &format!("{work}.display"),
        r#""A""#,
        r#"emails=[{"value":"a@x","type":"work","primary":true,"display":"A"},{"value":"b@x","type":"home"}]"#,
    );
    let mobile = r#"phoneNumbers[type eq "Mobile"].value"#;
    let created = r#"phoneNumbers=[{"type":"Mobile","value":"1"}]"#;
    one(Okta, "add", mobile, r#""1""#, &format!("{created} | entra-005"));
    one(Rfc, "add", mobile, r#""1""#, "noTarget Operations[0]: phoneNumbers: no element matches");
    one(Auto, "add", r#"phoneNumbers[type eq "Mobile"]"#, r#"{"value":"1"}"#, &format!("{created} | entra-005"));
    one(
        Auto,
        "add",
        "phoneNumbers[type pr].value",
        r#""1""#,
        "noTarget Operations[0]: phoneNumbers: no element matches",
    );
    one(
        Auto,
        "add",
        r#"phoneNumbers[type sw "m"].value"#,
        r#""1""#,
        "noTarget Operations[0]: phoneNumbers: no element matches",
    );
    one(
        Auto,
        "add",
        r#"phoneNumbers[type eq "a" and type eq "b"].value"#,
        r#""1""#,
        "noTarget Operations[0]: phoneNumbers: no element matches",
    );
}

#[test]
fn replace_many() {
    one(Rfc, "replace", "emails", r#"[{"value":"c@x"}]"#, r#"emails=[{"value":"c@x"}]"#);
    one(Rfc, "replace", "emails", "[]", "emails=null");
    one(Rfc, "replace", "emails", "null", "emails=null");
    one(Rfc, "replace", "emails", &format!("[{BOTH}]"), "");
    one(Rfc, "replace", "roles", r#"[{"value":"r"}]"#, r#"roles=[{"value":"r"}]"#);
    one(
        Rfc,
        "replace",
        "emails",
        r#"[{"value":"c","primary":true},{"value":"d","primary":true}]"#,
        r#"emails=[{"value":"c","primary":false},{"value":"d","primary":true}]"#,
    );
}

#[test]
fn replace_chosen() {
    let work = r#"emails[type eq "work"]"#;
    one(Rfc, "replace", work, r#"{"value":"c@x"}"#, r#"emails=[{"value":"c@x"},{"value":"b@x","type":"home"}]"#);
    one(Rfc, "replace", "emails[value pr]", r#"{"value":"c@x"}"#, r#"emails=[{"value":"c@x"}]"#);
    one(
        Rfc,
        "replace",
        "emails[value pr].display",
        r#""D""#,
        r#"emails=[{"value":"a@x","type":"work","primary":true,"display":"D"},{"value":"b@x","type":"home","display":"D"}]"#,
    );
    one(Rfc, "replace", &format!("{work}.value"), r#""a@x""#, "");
    let other = r#"emails[type eq "other"]"#;
    one(Rfc, "replace", other, r#"{"value":"c@x"}"#, "noTarget Operations[0]: emails: no element matches");
    one(Okta, "replace", &format!("{other}.value"), r#""c@x""#, "noTarget Operations[0]: emails: no element matches");
    one(
        Entra,
        "replace",
        other,
        r#"{"value":"c@x"}"#,
        &format!(r#"emails=[{BOTH},{{"type":"other","value":"c@x"}}] | entra-004"#),
    );
    one(
        Entra,
        "replace",
        &format!("{other}.value"),
        r#""c@x""#,
        &format!(r#"emails=[{BOTH},{{"type":"other","value":"c@x"}}] | entra-004"#),
    );
    one(Auto, "replace", &format!("{work}.value"), r#""""#, r#"emails=[{"value":"b@x","type":"home"}] | entra-007"#);
    one(Rfc, "replace", work, "null", r#"emails=[{"value":"b@x","type":"home"}]"#);
    one(Auto, "replace", &format!("{other}.value"), "null", " | auto-002");
}

#[test]
fn sub_attributes_of_all() {
    one(
        Rfc,
        "replace",
        "emails.display",
        r#""D""#,
        r#"emails=[{"value":"a@x","type":"work","primary":true,"display":"D"},{"value":"b@x","type":"home","display":"D"}]"#,
    );
    one(Rfc, "remove", "emails.type", "", r#"emails=[{"value":"a@x","primary":true},{"value":"b@x"}]"#);
    one(Rfc, "add", "roles.value", r#""r""#, r#"roles=[{"value":"r"}]"#);
    one(Rfc, "remove", "roles.value", "", "");
    one(
        Rfc,
        "replace",
        "emails.primary",
        "true",
        "invalidValue Operations[0]: emails.primary: 2 values would be primary",
    );
}

#[test]
fn remove_from_many() {
    one(Rfc, "remove", "emails", "", "emails=null");
    one(Rfc, "remove", "emails", "null", "emails=null");
    one(Auto, "remove", "emails", r#"[{"value":"A@x"}]"#, r#"emails=[{"value":"b@x","type":"home"}] | entra-003"#);
    one(Auto, "remove", "emails", r#"{"value":"a@x","type":"home"}"#, " | entra-003, auto-002");
    one(
        Auto,
        "remove",
        "emails",
        r#"["b@x"]"#,
        r#"emails=[{"value":"a@x","type":"work","primary":true}] | entra-003, entra-006"#,
    );
    one(
        Auto,
        "remove",
        "emails",
        r#"[{"type":"home"}]"#,
        r#"emails=[{"value":"a@x","type":"work","primary":true}] | entra-003"#,
    );
    one(Auto, "remove", "emails", "[]", " | entra-003");
    one(Auto, "remove", "emails", r#"[{"value":"a@x"},{"value":"b@x"}]"#, "emails=null | entra-003");
    one(Rfc, "remove", "emails", r#"[{"value":"a@x"}]"#, "invalidValue Operations[0]: emails: remove takes no value");
    one(Rfc, "remove", r#"emails[type eq "work"]"#, "", r#"emails=[{"value":"b@x","type":"home"}]"#);
    one(Rfc, "remove", "emails[value pr]", "", "emails=null");
    one(Rfc, "remove", r#"emails[type eq "other"]"#, "", " | auto-002");
    one(Strict, "remove", r#"emails[type eq "other"]"#, "", "noTarget Operations[0]: emails: no element matches");
    one(
        Rfc,
        "remove",
        r#"emails[type eq "work"].primary"#,
        "",
        r#"emails=[{"value":"a@x","type":"work"},{"value":"b@x","type":"home"}]"#,
    );
    one(
        Rfc,
        "remove",
        r#"emails[type eq "home"].value"#,
        "",
        r#"emails=[{"value":"a@x","type":"work","primary":true}]"#,
    );
}

#[test]
fn primary_moves() {
    let moved =
        r#"emails=[{"value":"a@x","type":"work","primary":false},{"value":"b@x","type":"home","primary":true}]"#;
    one(Rfc, "replace", r#"emails[type eq "home"].primary"#, "true", moved);
    one(Rfc, "add", r#"emails[type eq "home"]"#, r#"{"primary":true}"#, moved);
    one(Rfc, "replace", r#"emails[type eq "home"]"#, r#"{"value":"b@x","type":"home","primary":true}"#, moved);
    check(Rfc, r#"[{"op":"add","value":{"emails":[{"value":"b@x","type":"home","primary":true}]}}]"#, moved);
    one(
        Rfc,
        "replace",
        "emails[value pr].primary",
        "true",
        "invalidValue Operations[0]: emails: 2 values would be primary",
    );
    one(
        Rfc,
        "replace",
        "emails[value pr]",
        r#"{"value":"c","primary":true}"#,
        "invalidValue Operations[0]: emails: 2 values would be primary",
    );
    one(Rfc, "replace", r#"emails[type eq "work"].primary"#, "true", "");
}

#[test]
fn all_or_nothing_and_in_order() {
    check(
        Rfc,
        r#"[{"op":"replace","path":"title","value":"T"},{"op":"remove","path":"userName"}]"#,
        "mutability Operations[1]: userName: is required",
    );
    check(
        Rfc,
        r#"[{"op":"remove","path":"title"},{"op":"add","path":"title","value":"T"},{"op":"replace","path":"title","value":"Mate"}]"#,
        "",
    );
    check(
        Rfc,
        r#"[{"op":"add","path":"emails","value":[{"value":"c","type":"t"}]},{"op":"remove","path":"emails[type eq \"t\"]"}]"#,
        "",
    );
}

#[test]
fn immutable_keeps_its_value() {
    let mut attribute = registry().by_name("User").unwrap().attribute("title").cloned().unwrap();
    attribute.mutability = Mutability::Immutable;
    let (a, b) = (json!("a"), json!("b"));
    assert_eq!(settled(&attribute, None, Some(a.clone()), "t"), Ok(Some(a.clone())));
    assert_eq!(settled(&attribute, Some(&a), Some(a.clone()), "t"), Ok(Some(a.clone())));
    let error = Error::mutability("t: is immutable and has another value");
    assert_eq!(settled(&attribute, Some(&a), Some(b), "t"), Err(error.clone()));
    assert_eq!(settled(&attribute, Some(&a), None, "t"), Err(error));
}

proptest::proptest! {
    /// Applying the same replacements twice changes nothing the second time.
    #[test]
    fn replacing_is_idempotent(title in "[a-c]{1,2}", given in "[a-c]{1,2}", mails in proptest::collection::vec("[a-d]", 0..5)) {
        let rtype = registry().by_name("User").unwrap();
        let elements: Vec<Value> = mails.iter().map(|m| json!({"value": m, "type": "work"})).collect();
        let body = json!({"schemas": [PATCH_URN], "Operations": [
            {"op": "replace", "value": {"title": title, "name": {"givenName": given}, "emails": elements}},
            {"op": "add", "path": "emails", "value": elements}]});
        let mut tolerances = Tolerances::new(Rfc);
        let operations = parse(body, rtype, &mut tolerances).unwrap();
        let once = apply(&mira(), &operations, rtype, &mut tolerances).unwrap();
        let twice = apply(&once.document, &operations, rtype, &mut tolerances).unwrap();
        proptest::prop_assert_eq!(once.document, twice.document);
    }
}

#[path = "bodies_test.rs"]
mod bodies;
