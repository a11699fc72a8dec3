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

#[path = "many_test.rs"]
mod many;
