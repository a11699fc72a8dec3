//! Attributes with many values: what is added, replaced and removed among them, and which one is primary.

use super::*;

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
