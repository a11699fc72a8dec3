use super::super::super::schema::registry;
use super::super::super::tolerance::Dialect;
use super::*;

const E: &str = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User";

fn check(path: &str, expected: &str) {
    let rtype = registry().by_name("User").unwrap();
    let shown = match Target::parse(&path.replace("{E}", E), None, rtype, &mut Tolerances::new(Dialect::Rfc)) {
        Ok(None) => "dropped".to_owned(),
        Ok(Some(Target::Attribute(attr))) => attr.to_string(),
        Ok(Some(Target::Extension(schema))) => format!("extension {}", schema.id),
        Ok(Some(Target::Elements { attr, written, sub, .. })) => {
            let described = described(attr.attribute, &written).map(Value::Object);
            format!("{attr} [{written}] {:?} {}", sub.map(|s| &s.name), described.unwrap_or_default())
        }
        Err(error) => format!("{}: {}", error.scim_type.unwrap().name(), error.detail),
    };
    assert_eq!(shown.replace(E, "{E}"), expected, "{path}");
}

#[test]
fn attributes_and_extensions() {
    check("userName", "userName");
    check(" NAME.givenname ", "name.givenName");
    check("urn:ietf:params:scim:schemas:core:2.0:User:userName", "userName");
    check("{E}:manager.value", "{E}:manager.value");
    check("{E}", "extension {E}");
    check("emails.value", "emails.value");
    check("id", "id");
    check("meta.version", "meta.version");
}

#[test]
fn elements() {
    check(r#"emails[type eq "work"]"#, r#"emails [type eq "work"] None {"type":"work"}"#);
    check(r#"EMAILS [type eq"Work"] .VALUE"#, r#"emails [type eq "Work"] Some("value") {"type":"Work"}"#);
    check(
        r#"emails[type eq "a]b" and primary eq true]"#,
        r#"emails [type eq "a]b" and primary eq true] None {"type":"a]b","primary":true}"#,
    );
    check(r#"emails[type eq "a" and type eq "b"]"#, r#"emails [type eq "a" and type eq "b"] None null"#);
    check(r#"emails[type eq "a" or type eq "b"]"#, r#"emails [type eq "a" or type eq "b"] None null"#);
    check(
        r#"emails[type eq "a" and display eq null]"#,
        r#"emails [type eq "a" and display eq null] None {"type":"a"}"#,
    );
    check("emails[value pr]", "emails [value pr] None null");
    check("emails[not (value pr)]", "emails [not (value pr)] None null");
}

#[test]
fn malformed_or_unknown() {
    check("/name/givenName", "invalidPath: path: User has no such attribute: /name/givenName");
    check("", "invalidPath: path: is empty");
    check("emails[0].value", "invalidFilter: filter: expected an attribute at column 1");
    check("shoeSize", "invalidPath: path: User has no such attribute: shoeSize");
    check("name.shoeSize", "invalidPath: path: User has no such attribute: name.shoeSize");
    check("{E}:shoeSize", "invalidPath: path: User has no such attribute: {E}:shoeSize");
    check("urn:x:y", "invalidPath: path: User has no such attribute: urn:x:y");
    check("shoes[value pr]", "invalidPath: path: User has no such attribute: shoes");
    check(r#"emails[type eq "work""#, r#"invalidPath: path: emails[type eq "work" has no closing bracket"#);
    check("name[givenName pr]", "invalidPath: path: name has no elements to choose from");
    check("emails.value[value pr]", "invalidPath: path: emails.value has no elements to choose from");
    check("emails[value pr].x", "invalidPath: path: emails has no such sub-attribute: .x");
    check("emails[value pr]value", "invalidPath: path: emails has no such sub-attribute: value");
    check("emails[type is 1]", "invalidFilter: filter: expected an operator at column 6");
    check("emails[x eq 1]", "invalidFilter: filter: x at column 1: no such attribute");
    check("emails[primary gt true]", "invalidFilter: filter: primary at column 1: gt does not apply to a boolean");
    check(
        r#"emails[primary eq "True"]"#,
        r#"invalidFilter: filter: primary at column 1: it is a boolean, so it does not compare with "True""#,
    );
    check("emails[a[b pr]]", "invalidFilter: filter: a at column 1: no value path inside a value path");
}
