//! Whole bodies, as the RFC prints them and as providers send them, and what they do to rows.

use super::super::super::RowChange;
use super::*;

/// Bodies of RFC 7644 §3.5.2 that are about users.
#[test]
fn rfc_7644_examples() {
    check(
        Rfc,
        r#"[{"op":"add","value":{"emails":[{"value":"babs@jensen.org","type":"home"}],"nickName":"Babs"}}]"#,
        &format!(r#"nickName="Babs"; emails=[{BOTH},{{"value":"babs@jensen.org","type":"home"}}]"#),
    );
    one(Rfc, "remove", r#"emails[type eq "work" and value ew "x"]"#, "", r#"emails=[{"value":"b@x","type":"home"}]"#);
    let mut before = mira();
    before.insert("addresses".into(), json!([{"type": "work", "streetAddress": "1"}]));
    let street = r#"[{"op":"replace","path":"addresses[type eq \"work\"].streetAddress","value":"1010 Broadway Ave"}]"#;
    assert_eq!(
        patched(Rfc, "User", &before, street),
        r#"addresses=[{"type":"work","streetAddress":"1010 Broadway Ave"}]"#
    );
    let whole = r#"[{"op":"replace","path":"addresses[type eq \"work\"]","value":{"type":"work","streetAddress":"911 Universal City Plaza","locality":"Hollywood","primary":true}}]"#;
    assert_eq!(
        patched(Rfc, "User", &before, whole),
        r#"addresses=[{"streetAddress":"911 Universal City Plaza","locality":"Hollywood","type":"work","primary":true}]"#
    );
    check(
        Rfc,
        r#"[{"op":"replace","value":{"emails":[{"value":"bjensen@example.com","type":"work","primary":true},{"value":"babs@jensen.org","type":"home"}],"nickName":"Babs"}}]"#,
        r#"nickName="Babs"; emails=[{"value":"bjensen@example.com","type":"work","primary":true},{"value":"babs@jensen.org","type":"home"}]"#,
    );
}

#[test]
fn entra_bodies() {
    check(
        Entra,
        r#"[
        {"op":"Replace","path":"displayName","value":"Mira V. Vale"},
        {"op":"Replace","path":"emails[type eq \"work\"].value","value":"mira2@x"},
        {"op":"Add","path":"phoneNumbers[type eq \"mobile\"].value","value":"+47 900 00 001"},
        {"op":"Add","path":"addresses[type eq \"work\"].country","value":"NO"},
        {"op":"Add","path":"addresses[type eq \"work\"].locality","value":"Bergen"},
        {"op":"Add","path":"{E}:department","value":"Quay"},
        {"op":"Replace","path":"active","value":"False"}]"#,
        r#"displayName="Mira V. Vale"; active=false; emails=[{"value":"mira2@x","type":"work","primary":true},{"value":"b@x","type":"home"}]; phoneNumbers=[{"type":"mobile","value":"+47 900 00 001"}]; addresses=[{"type":"work","country":"NO","locality":"Bergen"}]; {E}:department="Quay" | entra-001, entra-002, entra-005"#,
    );
    check(
        Entra,
        r#"[
        {"op":"replace","path":"emails[type eq \"work\"].value","value":"mira3@x"},
        {"op":"replace","value":{"displayName":"Mira F","name.givenName":"Mirabel","name.familyName":"Flagg","{E}:employeeNumber":"N-78"}}]"#,
        r#"name.familyName="Flagg"; name.givenName="Mirabel"; displayName="Mira F"; emails=[{"value":"mira3@x","type":"work","primary":true},{"value":"b@x","type":"home"}]; {E}:employeeNumber="N-78" | entra-008"#,
    );
    check(
        Entra,
        r#"[
        {"op":"Add","path":"roles[primary eq \"True\"].display","value":"Admin"},
        {"op":"Add","path":"roles[primary eq \"True\"].value","value":"Admin"},
        {"op":"Add","path":"roles[primary eq \"True\"].type","value":"WindowsAzureActiveDirectoryRole"}]"#,
        r#"roles=[{"primary":true,"display":"Admin","value":"Admin","type":"WindowsAzureActiveDirectoryRole"}] | entra-001, entra-002, entra-005"#,
    );
    check(
        Entra,
        r#"[{"op":"Add","path":"roles","value":[{"value":"{\"id\":1,\"value\":\"a\"}"}]}]"#,
        r#"roles=[{"value":"{\"id\":1,\"value\":\"a\"}"}] | entra-001"#,
    );
    check(Entra, r#"[{"op":"Add","path":"nickName","value":"Mi"}]"#, r#"nickName="Mi" | entra-001"#);
    check(Okta, r#"[{"op":"replace","value":{"active":false}}]"#, "active=false");
}

fn group(dialect: Dialect, operations: &str, expected: &str) {
    let document = json!({"schemas": ["urn:ietf:params:scim:schemas:core:2.0:Group"], "displayName": "Reef"});
    assert_eq!(patched(dialect, "Group", document.as_object().unwrap(), operations), expected, "{operations}");
}

#[test]
fn members_are_rows() {
    let u1 = r#"Member { value: "u1", type_hint: None }"#;
    let u2 = r#"Member { value: "u2", type_hint: Some("User") }"#;
    group(
        Rfc,
        r#"[{"op":"add","path":"members","value":[{"display":"B","$ref":"x","value":"u1"}]}]"#,
        &format!("Add([{u1}])"),
    );
    group(
        Entra,
        r#"[{"op":"Add","path":"members","value":[{"$ref":null,"value":"u1"}]}]"#,
        &format!("Add([{u1}]) | entra-001"),
    );
    group(
        Entra,
        r#"[{"op":"Remove","path":"members","value":[{"$ref":null,"value":"u1"}]}]"#,
        r#"Remove(["u1"]) | entra-001, entra-003"#,
    );
    group(
        Rfc,
        r#"[{"op":"remove","path":"members","value":[{"value":"u1"}]}]"#,
        "invalidValue Operations[0]: members: remove takes no value",
    );
    group(
        Okta,
        r#"[{"op":"remove","path":"members[value eq \"u1\"]"},{"op":"add","path":"members","value":{"Value":"u2","type":"User"}}]"#,
        &format!(r#"Remove(["u1"]); Add([{u2}])"#),
    );
    group(Rfc, r#"[{"op":"remove","path":"members[value eq\"u1\" or VALUE eq \"U2\"]"}]"#, r#"Remove(["u1", "U2"])"#);
    group(Rfc, r#"[{"op":"remove","path":"members"}]"#, "RemoveAll");
    group(Rfc, r#"[{"op":"replace","path":"members","value":[]}]"#, "Replace([])");
    group(Rfc, r#"[{"op":"replace","path":"members","value":null}]"#, "Replace([])");
    group(Rfc, r#"[{"op":"add","path":"members","value":[]}]"#, "");
    group(Auto, r#"[{"op":"remove","path":"members","value":[]}]"#, " | entra-003");
    group(Rfc, r#"[{"op":"replace","value":{"members":[{"value":"u1"}]}}]"#, &format!("Replace([{u1}])"));
    group(Rfc, r#"[{"op":"add","value":{"members":[{"value":"u1"}]}}]"#, &format!("Add([{u1}])"));
    group(
        Okta,
        r#"[{"op":"replace","value":{"members":[],"id":"g","displayName":"Reef B"}}]"#,
        r#"displayName="Reef B"; Replace([]) | okta-002"#,
    );
    group(
        Okta,
        r#"[{"op":"replace","value":{"id":"g","displayName":"Reef B"}}]"#,
        r#"displayName="Reef B" | okta-002"#,
    );
    let rtype = registry().by_name("Group").unwrap();
    let mut tolerances = Tolerances::new(Rfc);
    let body = json!({"schemas": [PATCH_URN], "Operations": [{"op": "remove", "path": "members[type eq \"User\"]"}]});
    let operations = parse(body, rtype, &mut tolerances).unwrap();
    let rows = apply(&Map::new(), &operations, rtype, &mut tolerances).unwrap().rows;
    assert!(matches!(&rows[..], [RowChange::RemoveWhere(_)]));
}

#[test]
fn members_are_immutable() {
    group(
        Auto,
        r#"[{"op":"replace","path":"members[value eq \"u\"].value","value":"v"}]"#,
        "mutability Operations[0]: members.value: is immutable",
    );
    group(
        Auto,
        r#"[{"op":"replace","path":"members[value eq \"u\"]","value":{"value":"v"}}]"#,
        "mutability Operations[0]: members: a member is immutable",
    );
    group(
        Auto,
        r#"[{"op":"add","path":"members[value eq \"u\"]","value":{"value":"v"}}]"#,
        "invalidPath Operations[0]: members: add takes no filter",
    );
    group(
        Auto,
        r#"[{"op":"replace","path":"members.value","value":"v"}]"#,
        "mutability Operations[0]: members.value: is immutable",
    );
    for (op, path) in
        [("add", "members.value"), ("remove", "members.value"), ("remove", r#"members[value eq \"u\"].value"#)]
    {
        group(
            Rfc,
            &format!(r#"[{{"op":"{op}","path":"{path}","value":"v"}}]"#),
            "mutability Operations[0]: members.value: is immutable",
        );
    }
    group(
        Strict,
        r#"[{"op":"add","path":"members","value":[{"value":"a"},{"display":"v"}]}]"#,
        "invalidValue Operations[0]: members[1].value: is required",
    );
}

#[test]
fn members_are_whom_a_client_means() {
    let a = r#"Member { value: "a", type_hint: None }"#;
    let add = |value: &str| format!(r#"[{{"op":"add","path":"members","value":{value}}}]"#);
    group(Auto, &add(r#"[{"value":"a"},{"display":"v"},{},null]"#), &format!("Add([{a}]) | auto-007, auto-009"));
    // Who is told by what they are called alone is not nobody.
    let called = r#"[{"op":"remove","path":"members","value":[{"display":"x"}]}]"#;
    group(Auto, called, "invalidValue Operations[0]: members[0].value: is required | entra-003");
    group(Auto, &add(r#"[{"display":"x"}]"#), "invalidValue Operations[0]: members[0].value: is required");
    group(Auto, &add(r#"[{}]"#), " | auto-007");
    group(Okta, &add(r#"["a"]"#), &format!("Add([{a}]) | entra-006"));
    for spelt in [r#"{"value":["a"]}"#, r#"{"value":null,"$ref":"https://x/Users/a"}"#] {
        group(Auto, &add(&format!("[{spelt}]")), &format!("Add([{a}]) | auto-016"));
        group(
            Entra,
            &format!(r#"[{{"op":"remove","path":"members","value":[{spelt}]}}]"#),
            r#"Remove(["a"]) | entra-003, auto-016"#,
        );
        group(Rfc, &add(&format!("[{spelt}]")), "invalidValue Operations[0]: members[0].value: is required");
    }
    let nobody = "invalidValue Operations[0]: members[0].value: is required";
    group(Auto, &add("[5]"), "invalidValue Operations[0]: members[0]: expected an object");
    for value in [r#"[{"value":5}]"#, r#"[{"value":["a","b"]}]"#, r#"[{"$ref":"x"}]"#, r#"{"value":{"value":"a"}}"#] {
        group(Auto, &add(value), nobody);
        // Beside a removal it is left out; a removal that names nobody is not.
        let beside = |op: &str| {
            format!(
                r#"[{{"op":"{op}","path":"members","value":{value}}},{{"op":"remove","path":"members[value eq \"a\"]"}}]"#
            )
        };
        group(Auto, &beside("add"), r#"Remove(["a"]) | auto-009"#);
        group(Okta, &beside("remove"), &format!("{nobody} | entra-003"));
        group(Rfc, &beside("add"), nobody);
    }
    for (operation, expected) in [
        (r#"{"op":"add","path":"members.value","value":"a"}"#, format!("Add([{a}]) | entra-006, auto-015")),
        (
            r#"{"op":"remove","path":"members.value","value":"a"}"#,
            r#"Remove(["a"]) | entra-003, entra-006, auto-015"#.to_owned(),
        ),
        (r#"{"op":"remove","path":"members[value eq \"a\"].value"}"#, r#"Remove(["a"]) | auto-015"#.to_owned()),
        (r#"{"op":"remove","path":"members[value eq 'a']"}"#, r#"Remove(["a"]) | authentik-001"#.to_owned()),
        (r#"{"op":"remove","value":{"members":[{"value":"a"}]}}"#, r#"Remove(["a"]) | entra-003, auto-014"#.to_owned()),
    ] {
        group(Auto, &format!("[{operation}]"), &expected);
    }
    // Nobody is named: that is not everybody.
    group(Auto, r#"[{"op":"remove","path":"members.value"}]"#, "mutability Operations[0]: members.value: is immutable");
    for value in [r#"{"members":null}"#, r#"{"title":"x"}"#, "{}", r#""x""#] {
        let whole = format!(r#"[{{"op":"remove","value":{value}}}]"#);
        group(Auto, &whole, "noTarget Operations[0]: path: is missing, and remove needs one");
    }
    let whole = r#"[{"op":"remove","value":{"members":[{"value":"a"}]}}]"#;
    group(Rfc, whole, "noTarget Operations[0]: path: is missing, and remove needs one");
    group(
        Auto,
        r#"[{"op":"add","path":"members","value":["u"]}]"#,
        "Add([Member { value: \"u\", type_hint: None }]) | entra-006",
    );
    group(
        Rfc,
        r#"[{"op":"add","path":"members","value":["u"]}]"#,
        "invalidValue Operations[0]: members[0]: expected an object",
    );
    let many = |n: usize| {
        format!(r#"[{{"op":"add","path":"members","value":{}}}]"#, Value::from(vec![json!({"value": "u"}); n]))
    };
    group(Auto, &many(100_001), "none Operations[0]: members: more than 100000 in one request, which is the limit");
}
