use super::super::super::schema::registry;
use super::super::super::tolerance::Dialect;
use super::super::parse;
use super::*;

fn bound(text: &str, rtype: &str, unknown: Unknown, dialect: Dialect) -> Result<(Bound, String), Error> {
    let mut tolerances = Tolerances::new(dialect);
    let filter = parse(text, &mut tolerances)?;
    let bound = bind(&filter, registry().by_name(rtype).unwrap(), unknown, &mut tolerances)?;
    Ok((bound, tolerances.header()))
}

/// A short rendering of a bound filter.
fn show(bound: &Bound) -> String {
    let list = |parts: &[Bound]| parts.iter().map(show).collect::<Vec<_>>().join(", ");
    match bound {
        Bound::And(parts) => format!("and({})", list(parts)),
        Bound::Or(parts) => format!("or({})", list(parts)),
        Bound::Not(inner) => format!("not({})", show(inner)),
        Bound::Present(target) => format!("{target} pr"),
        Bound::Compare { target, op, operand } => format!("{target} {op} {operand:?}"),
        Bound::ValuePath { target, filter } => format!("{target}[{}]", show(filter)),
        Bound::Never => "never".into(),
    }
}

fn check(text: &str, expected: &str) {
    let shown = match bound(text, "User", Unknown::Refuse, Dialect::Auto) {
        Ok((bound, used)) if used.is_empty() => show(&bound),
        Ok((bound, used)) => format!("{}  {used}", show(&bound)),
        Err(error) => format!("{}: {}", error.scim_type.unwrap().name(), error.detail),
    };
    assert_eq!(shown, expected, "{text}");
}

fn refused(text: &str, detail: &str) {
    check(text, &format!("invalidFilter: filter: {detail}"));
}

#[test]
fn names_resolve_in_any_case_and_with_urns() {
    check(r#"USERNAME eq "Mira""#, r#"userName eq Text("mira")"#);
    check(r#"urn:ietf:params:scim:schemas:core:2.0:User:name.GivenName sw "M""#, r#"name.givenName sw Text("m")"#);
    let urn = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User";
    check(&format!(r#"{urn}:Manager eq "X""#), &format!(r#"{urn}:manager.value eq Text("X")"#));
    check(&format!("{urn}:manager pr"), &format!("{urn}:manager pr"));
    check(&format!("{} pr", urn.to_uppercase()), &format!("schemas eq Text({:?})", urn.to_lowercase()));
    check(r#"meta.resourceType eq "User""#, r#"meta.resourceType eq Text("User")"#);
    check(r#"externalId eq "A""#, r#"externalId eq Text("A")"#);
}

#[test]
fn complex_attributes_compare_by_value() {
    check(r#"emails co "X""#, r#"emails.value co Text("x")"#);
    check("emails pr", "emails pr");
    check(r#"groups eq "G""#, r#"groups.value eq Text("G")"#);
    refused(r#"name eq "x""#, "name at column 1: it is complex: name a sub-attribute");
    refused(r#"userName[value eq "x"]"#, "userName at column 1: it has no sub-attributes");
    check(
        r#"emails[Type eq "W" and primary eq true]"#,
        r#"emails[and(emails.type eq Text("w"), emails.primary eq Bool(true))]"#,
    );
    check(r#"name[givenName eq "x"]"#, r#"name[name.givenName eq Text("x")]"#);
    refused(r#"emails[userName eq "x"]"#, "userName at column 8: no such attribute");
}

#[test]
fn operators_and_operands_fit_the_type() {
    check("active eq true", "active eq Bool(true)");
    check(r#"active ne "True""#, "active ne Bool(true)  entra-002");
    refused(r#"active eq "yes""#, "active at column 1: it is a boolean, so it does not compare with \"yes\"");
    refused("active gt true", "active at column 1: gt does not apply to a boolean");
    refused("active co true", "active at column 1: co does not apply to a boolean");
    refused(r#"x509Certificates.value ge "x""#, "x509Certificates.value at column 1: ge does not apply to binary");
    check(r#"x509Certificates.value eq "X""#, r#"x509Certificates.value eq Text("X")"#);
    refused(r#"meta.created co "2011""#, "meta.created at column 1: co does not apply to a dateTime");
    refused(r#"meta.created gt "x""#, "meta.created at column 1: it is a dateTime, so it does not compare with \"x\"");
    check(r#"meta.created gt "2011-05-13T06:42:34+02:00""#, "meta.created gt Time(2011-05-13T04:42:34Z)");
    refused("userName eq 1", "userName at column 1: it is a string, so it does not compare with 1");
    refused("userName eq true", "userName at column 1: it is a string, so it does not compare with true");
    assert!(bound(r#"active eq "true""#, "User", Unknown::Refuse, Dialect::Rfc).is_err());
}

#[test]
fn null_is_absence() {
    check("title eq null", "not(title pr)");
    check("title ne null", "title pr");
    check("emails eq null", "not(emails.value pr)");
    refused("title gt null", "title at column 1: gt does not compare with null");
}

#[test]
fn secrets_cannot_be_probed() {
    let mut token = registry().by_name("User").unwrap().attribute("title").cloned().unwrap();
    let mut outer = registry().by_name("User").unwrap().attribute("ims").cloned().unwrap();
    for (mutability, returned) in [(Mutability::WriteOnly, Returned::Default), (Mutability::ReadWrite, Returned::Never)]
    {
        (token.mutability, token.returned) = (mutability, returned);
        outer.sub_attributes = vec![token.clone()];
        let attribute: &'static Attribute = Box::leak(Box::new(outer.clone()));
        let place = AttrRef { extension: None, attribute, sub: None };
        let mut tolerances = Tolerances::new(Dialect::Auto);
        for text in ["title pr", r#"title eq "x""#, "title ne null"] {
            let error = bind_elements(&parse(text, &mut tolerances).unwrap(), place, &mut tolerances).unwrap_err();
            assert_eq!(error.detail, "filter: title at column 1: values of this attribute cannot be filtered");
        }
    }
}

#[test]
fn unknown_attributes() {
    refused(r#"active eq true or shoeSize gt "4""#, "shoeSize at column 19: no such attribute");
    refused("name.x pr", "name.x at column 1: no such attribute");
    let root = |text: &str, expected: &str| {
        let (bound, _) = bound(text, "Group", Unknown::NoValue, Dialect::Auto).unwrap();
        assert_eq!(show(&bound), expected, "{text}");
    };
    root(r#"userName eq "x""#, "never");
    root(r#"userName ne "x""#, "not(never)");
    root("userName pr", "never");
    root("userName eq null", "not(never)");
    root("userName ne null", "never");
    root(r#"emails[type eq "x"]"#, "never");
    root(r#"members[colour ne "x"]"#, "members[not(never)]");
    root(r#"userName sw "a" or displayName sw "A""#, r#"or(never, displayName sw Text("a"))"#);
    root(r#"members eq "u""#, r#"members.value eq Text("u")"#);
}

#[test]
fn what_is_complex_in_one_type_may_be_text_in_another() {
    for (text, user, agent) in [
        (r#"name eq "x""#, "never", r#"name eq Text("x")"#),
        (r#"name ne "x""#, "not(never)", r#"name ne Text("x")"#),
        ("name pr", "name pr", "name pr"),
        (r#"name[givenName eq "x"]"#, r#"name[name.givenName eq Text("x")]"#, "never"),
    ] {
        for (rtype, expected) in [("User", user), ("Agent", agent)] {
            let (bound, _) = bound(text, rtype, Unknown::NoValue, Dialect::Auto).unwrap();
            assert_eq!(show(&bound), expected, "{text} {rtype}");
        }
    }
    assert!(bound("active eq \"x\"", "User", Unknown::NoValue, Dialect::Auto).is_err());
}

#[test]
fn every_attribute_is_visited() {
    let (bound, _) =
        bound(r#"not (id eq "g") and (groups[value eq "u"] or title pr)"#, "User", Unknown::Refuse, Dialect::Rfc)
            .unwrap();
    let names: Vec<_> = attributes(&bound).iter().map(ToString::to_string).collect();
    assert_eq!(names, ["id", "groups", "groups.value", "title"]);
}

#[test]
fn extension_names_may_lack_their_urn_where_entra_speaks() {
    check(
        r#"manager eq "m""#,
        r#"urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:manager.value eq Text("m")  entra-010"#,
    );
    assert!(bound(r#"manager eq "m""#, "User", Unknown::Refuse, Dialect::Rfc).is_err());
    assert!(bound(r#"manager eq "m""#, "Group", Unknown::Refuse, Dialect::Auto).is_err());
}
