use serde_json::json;

use super::super::super::error::ScimType;
use super::super::super::schema::registry;
use super::super::super::tolerance::Dialect;
use super::super::Target;
use super::super::verb::name;
use super::*;

const E: &str = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User";

fn read(dialect: Dialect, body: Value) -> String {
    let mut tolerances = Tolerances::new(dialect);
    let shown = match parse(body, registry().by_name("User").unwrap(), &mut tolerances) {
        Ok(operations) => operations.iter().map(show).collect::<Vec<_>>().join("; "),
        Err(error) => format!("{} {}", error.scim_type.map_or("none", ScimType::name), error.detail),
    };
    let used = tolerances.header();
    let shown = shown.replace(E, "{E}").replace(PATCH_URN, "{P}");
    if used.is_empty() { shown } else { format!("{shown} | {used}") }
}

fn show(operation: &Operation) -> String {
    let target = match &operation.target {
        Target::Attribute(attr) => attr.to_string(),
        Target::Extension(schema) => schema.id.clone(),
        Target::Elements { attr, written, sub, .. } => {
            format!("{attr}[{written}]{}", sub.map_or(String::new(), |sub| format!(".{}", sub.name)))
        }
    };
    let value = operation.value.clone().unwrap_or_default();
    format!("{}{} {target} {value}", operation.index, name(operation.op))
}

/// Reads operations in a good envelope.
fn check(dialect: Dialect, operations: &str, expected: &str) {
    let operations: Value = serde_json::from_str(&operations.replace("{E}", E)).unwrap();
    let body = json!({"schemas": [PATCH_URN], "Operations": operations});
    assert_eq!(read(dialect, body), expected, "{operations}");
}

use Dialect::{Auto, Entra, Okta, Rfc, Strict};

#[test]
fn the_envelope() {
    let ops = json!([{"op": "remove", "path": "title"}]);
    let envelope = |dialect, body: Value, expected: &str| assert_eq!(read(dialect, body), expected);
    envelope(Rfc, json!({"SCHEMAS": [PATCH_URN], "operations": ops}), "0remove title null");
    envelope(Rfc, json!({"schemas": PATCH_URN.to_lowercase(), "Operations": ops}), "0remove title null");
    envelope(Auto, json!({"Operations": ops}), "0remove title null | okta-001");
    envelope(Rfc, json!({"Operations": ops}), "invalidSyntax patch: schemas must contain {P}");
    envelope(Strict, json!({"schemas": [], "Operations": ops}), "invalidSyntax patch: schemas must contain {P}");
    envelope(
        Rfc,
        json!({"schemas": [PATCH_URN], "Operations": []}),
        "invalidSyntax patch: Operations must not be empty",
    );
    envelope(Rfc, json!({"schemas": [PATCH_URN]}), "invalidSyntax patch: Operations must be an array");
    envelope(Rfc, json!([]), "invalidSyntax patch: expected an object");
    envelope(Rfc, json!({"Operations": [], "operations": []}), "invalidSyntax patch: Operations is there twice");
    let many = |n| json!({"schemas": [PATCH_URN], "Operations": vec![ops[0].clone(); n]});
    assert_eq!(read(Rfc, many(1000)).matches("remove").count(), 1000);
    envelope(Rfc, many(1001), "none patch: 1001 operations; the limit is 1000");
    let error = parse(many(1001), registry().by_name("User").unwrap(), &mut Tolerances::new(Rfc)).unwrap_err();
    assert_eq!(error.status, 413);
}

#[test]
fn verbs() {
    check(Auto, r#"[{"op":"Add","path":"title","value":"x"}]"#, r#"0add title "x" | entra-001"#);
    check(Okta, r#"[{"OP":"REPLACE","Path":"title","Value":"x"}]"#, r#"0replace title "x" | entra-001"#);
    check(
        Rfc,
        r#"[{"op":"Add","path":"title","value":"x"}]"#,
        "invalidSyntax Operations[0]: op: Add is none of add, remove, replace",
    );
    check(
        Auto,
        r#"[{"op":"remove","path":"title"},{"op":"copy"}]"#,
        "invalidSyntax Operations[1]: op: copy is none of add, remove, replace",
    );
    check(Auto, r#"[{"path":"title"}]"#, "invalidSyntax Operations[0]: op: expected a string");
    check(Auto, r#"["x"]"#, "invalidSyntax Operations[0]: expected an object");
    check(Auto, r#"[{"op":"add","path":"title"}]"#, "invalidValue Operations[0]: value: is missing, and add needs one");
    check(Auto, r#"[{"op":"replace"}]"#, "invalidValue Operations[0]: value: is missing, and replace needs one");
    check(Auto, r#"[{"op":"remove"}]"#, "noTarget Operations[0]: path: is missing, and remove needs one");
    check(
        Auto,
        r#"[{"op":"remove","path":null,"value":{"title":"x"}}]"#,
        "noTarget Operations[0]: path: is missing, and remove needs one",
    );
    check(Auto, r#"[{"op":"add","path":7,"value":1}]"#, "invalidPath Operations[0]: path: expected a string");
    check(
        Auto,
        r#"[{"op":"add","OP":"add","path":"title","value":1}]"#,
        "invalidSyntax Operations[0]: patch: op is there twice",
    );
    check(
        Rfc,
        r#"[{"op":"add","path":"/name/givenName","value":1}]"#,
        "invalidPath Operations[0]: path: User has no such attribute: /name/givenName",
    );
    check(Rfc, r#"[{"op":"replace","path":"title","value":null}]"#, "0replace title null");
}

#[test]
fn verbs_that_can_mean_one_thing_only() {
    check(Auto, r#"[{"op":" replace\t","path":"title","value":"x"}]"#, r#"0replace title "x" | entra-001"#);
    for op in [r#""op":"update","#, r#""op":" Set ","#, r#""op":null,"#, r#""op":"","#, ""] {
        let set = |rest: &str| format!("[{{{op}{rest}}}]");
        check(Auto, &set(r#""path":"title","value":"x""#), r#"0replace title "x" | auto-011"#);
        check(Auto, &set(r#""path":"name.givenName","value":"x""#), r#"0replace name.givenName "x" | auto-011"#);
        check(
            Okta,
            &set(r#""value":{"active":false,"title":"x"}"#),
            "0replace active false; 0replace title \"x\" | auto-011",
        );
        // To add or to replace makes a difference to several values.
        let refused = read(
            Auto,
            json!({"schemas": [PATCH_URN],
            "Operations": serde_json::from_str::<Value>(&set(r#""path":"emails","value":[{"value":"x"}]"#)).unwrap()}),
        );
        assert!(refused.starts_with("invalidSyntax Operations[0]: op: "), "{refused}");
        assert!(
            read(
                Rfc,
                json!({"schemas": [PATCH_URN],
            "Operations": serde_json::from_str::<Value>(&set(r#""path":"title","value":"x""#)).unwrap()})
            )
            .starts_with("invalidSyntax Operations[0]: op: ")
        );
    }
    check(Auto, r#"[{"op":"Delete","path":"title"}]"#, "0remove title null | auto-011");
    // Whatever it means, nobody is active by it.
    for op in [r#""test""#, r#""deactivate""#, "5", "[]"] {
        check(
            Auto,
            &format!(r#"[{{"op":{op},"path":"active","value":"False"}}]"#),
            r#"0replace active "False" | auto-011"#,
        );
        let alone = read(
            Auto,
            json!({"schemas": [PATCH_URN],
            "Operations": serde_json::from_str::<Value>(&format!(r#"[{{"op":{op},"path":"active","value":true}}]"#)).unwrap()}),
        );
        assert!(alone.starts_with("invalidSyntax Operations[0]: op: "), "{alone}");
    }
    check(Auto, r#"[{"op":"foo","value":{"active":false,"title":"x"}}]"#, "0replace active false | auto-011");
}

#[test]
fn one_operation_is_a_list_of_one() {
    let one = json!({"op": "replace", "value": [{"active": false}]});
    let lone = |dialect| read(dialect, json!({"schemas": [PATCH_URN], "Operations": one}));
    assert_eq!(lone(Auto), "0replace active false | auto-004, auto-010");
    assert_eq!(lone(Rfc), "invalidSyntax patch: Operations must be an array");
    check(Entra, r#"[[{"op":"replace","path":"title","value":"x"}]]"#, r#"0replace title "x" | auto-004"#);
    check(Rfc, r#"[[{"op":"replace","path":"title","value":"x"}]]"#, "invalidSyntax Operations[0]: expected an object");
    check(
        Auto,
        r#"[[{"op":"replace","path":"active","value":true}],[[{"op":"replace","path":"title","value":"x"}]]]"#,
        r#"0replace active true; 1replace title "x" | auto-004"#,
    );
    // Two values of one are not guessed at: they say who has access. A clear no beside them holds.
    check(
        Auto,
        r#"[{"op":"replace","value":[{"active":true},{"title":"x"}]},{"op":"replace","path":"title","value":"x"}]"#,
        "invalidValue Operations[0]: value: expected an object, because there is no path | auto-009",
    );
    check(
        Auto,
        r#"[{"op":"replace","value":[{"active":true},{"title":"x"}]},{"op":"replace","path":"active","value":false}]"#,
        "1replace active false | auto-009",
    );
}

#[test]
fn the_malformed_is_set_aside_beside_what_says_who_has_access() {
    let odd = [
        r#"{"op":"remove"}"#,
        r#"{"op":"remove","value":{"active":true}}"#,
        r#"{"op":"replace","path":5,"value":"x"}"#,
        r#"{"op":"replace","path":{},"value":{"title":"x"}}"#,
        r#""x""#,
        "null",
        "7",
        "{}",
        r#"{"op":"replace"}"#,
        r#"{"op":"add","value":"x"}"#,
        r#"{"op":"foo","value":"x"}"#,
        r#"{"op":"foo","path":"title","value":"x"}"#,
        r#"{"path":"emails","value":"x"}"#,
    ];
    for odd in odd {
        for operations in [
            format!(r#"[{odd},{{"op":"replace","path":"active","value":false}}]"#),
            format!(r#"[{{"op":"replace","path":"active","value":false}},{odd}]"#),
        ] {
            let body = |operations: &str| {
                json!({"schemas": [PATCH_URN],
                "Operations": serde_json::from_str::<Value>(operations).unwrap()})
            };
            let mut tolerances = Tolerances::new(Auto);
            let user = registry().by_name("User").unwrap();
            let found = parse(body(&operations), user, &mut tolerances).unwrap();
            assert_eq!(found.iter().map(|one| one.target.name()).collect::<Vec<_>>(), ["active"], "{odd}");
            assert_eq!(tolerances.dropped().total(), 1, "{odd}");
            // Alone it is refused, and so it is by those that tolerate nothing.
            assert_eq!(parse(body(&format!("[{odd}]")), user, &mut Tolerances::new(Auto)).unwrap_err().status, 400);
            assert_eq!(parse(body(&operations), user, &mut Tolerances::new(Rfc)).unwrap_err().status, 400, "{odd}");
        }
    }
    // A path that is none, where the value says it.
    check(Auto, r#"[{"op":"replace","path":[],"value":{"active":false}}]"#, "0replace active false | auto-006");
}

#[test]
fn active_twice_is_several_values() {
    let urn = "urn:ietf:params:scim:schemas:core:2.0:User";
    let both = format!(r#"[{{"op":"replace","value":{{"active":true,"{urn}:active":false}}}}]"#);
    check(Okta, &both, "0replace active [true,false] | entra-008");
    let nested = format!(r#"[{{"op":"replace","value":{{"{urn}":{{"active":false}},"active":true}}}}]"#);
    check(Auto, &nested, "0replace active [false,true]");
    check(Rfc, &nested, "invalidSyntax Operations[0]: value: active is there twice");
}

#[test]
fn path_less_values() {
    check(Rfc, r#"[{"op":"add","value":{"TITLE":"x","active":true}}]"#, r#"0add title "x"; 0add active true"#);
    check(
        Rfc,
        r#"[{"op":"replace","value":{"{E}":{"Department":"x"},"externalId":"e"}}]"#,
        r#"0replace {E}:department "x"; 0replace externalId "e""#,
    );
    check(Rfc, r#"[{"op":"add","value":{"{E}":null}}]"#, "0remove {E} null");
    check(Auto, r#"[{"op":"add","path":"{E}","value":""}]"#, "0remove {E} null | entra-007");
    check(Rfc, r#"[{"op":"add","path":"{E}","value":""}]"#, "invalidValue Operations[0]: {E}: expected an object");
    check(Rfc, r#"[{"op":"add","path":"{E}","value":{"division":"x"}}]"#, r#"0add {E}:division "x""#);
    check(Rfc, r#"[{"op":"remove","path":"{E}"}]"#, "0remove {E} null");
    check(
        Rfc,
        r#"[{"op":"add","value":"x"}]"#,
        "invalidValue Operations[0]: value: expected an object, because there is no path",
    );
    check(
        Rfc,
        r#"[{"op":"add","value":null}]"#,
        "invalidValue Operations[0]: value: expected an object, because there is no path",
    );
    check(
        Rfc,
        r#"[{"op":"add","value":{"title":"x","TITLE":"y"}}]"#,
        "invalidSyntax Operations[0]: value: title is there twice",
    );
}

#[test]
fn keys_that_are_paths() {
    let dotted = r#"[{"op":"replace","value":{"name.givenName":"M","{E}:employeeNumber":"N","emails[type eq \"work\"].value":"x"}}]"#;
    let expected = r#"0replace name.givenName "M"; 0replace {E}:employeeNumber "N"; 0replace emails[type eq "work"].value "x" | entra-008"#;
    check(Auto, dotted, expected);
    check(Entra, dotted, expected);
    check(Okta, dotted, expected);
    for dialect in [Rfc, Strict] {
        check(dialect, dotted, "invalidPath Operations[0]: value: name.givenName is a path, where a name is expected");
    }
    check(Auto, r#"[{"op":"add","value":{"{E}":{"manager.value":"x"}}}]"#, r#"0add {E}:manager.value "x" | entra-008"#);
    check(
        Auto,
        r#"[{"op":"add","value":{"emails[type is 1].value":"x"}}]"#,
        "invalidFilter Operations[0]: filter: expected an operator at column 6 | entra-008",
    );
}

#[test]
fn unknown_keys() {
    check(Rfc, r#"[{"op":"add","value":{"shoe":1,"name.shoe":1,"{E}":{"shoe":2}}}]"#, " | auto-001");
    check(
        Strict,
        r#"[{"op":"add","value":{"shoe":1}}]"#,
        "invalidSyntax Operations[0]: value: User has no such attribute: shoe",
    );
    check(Auto, r#"[{"op":"add","value":{"urn:x:y":{"a":1},"shoes[value pr].x":1}}]"#, " | entra-009, auto-001");
    check(
        Rfc,
        r#"[{"op":"add","value":{"urn:x:y":1}}]"#,
        "invalidSyntax Operations[0]: value: User has no such schema: urn:x:y",
    );
}

#[test]
fn a_password_is_nobodys() {
    let set = r#"[{"op":"replace","path":"password","value":"9xPq"},{"op":"replace","path":"title","value":"x"}]"#;
    check(Okta, set, "1replace title \"x\" | okta-003");
    check(Rfc, set, "invalidPath Operations[0]: path: User has no such attribute: password");
}
