use proptest::prelude::*;

use super::super::super::tolerance::Dialect;
use super::*;

fn read(text: &str, dialect: Dialect) -> String {
    let mut tolerances = Tolerances::new(dialect);
    match parse(text, &mut tolerances) {
        Ok(filter) => {
            let canonical = filter.to_string();
            assert_eq!(parse(&canonical, &mut Tolerances::new(Dialect::Rfc)).as_ref(), Ok(&filter));
            match tolerances.header().as_str() {
                "" => canonical,
                used => format!("{canonical}  {used}"),
            }
        }
        Err(error) => format!("{} {}", error.scim_type.map_or("none", ScimType::name), error.detail),
    }
}

/// The canonical text, with the tolerances used after two spaces; or the error.
fn check(text: &str, expected: &str) {
    assert_eq!(read(text, Dialect::Auto), expected, "{text}");
}

/// The same for an error at a column, given `what`.
fn refused(text: &str, what: &str, column: usize) {
    check(text, &format!("invalidFilter filter: expected {what} at column {column}"));
}

const VALUE: &str = "a value: a string in double quotes, a number, true, false or null,";

#[test]
fn every_example_of_rfc_7644_3_4_2_2() {
    check(r#"userName Eq "john""#, r#"userName eq "john""#);
    check(r#"Username eq "john""#, r#"Username eq "john""#);
    check(r#"userName eq "bjensen""#, r#"userName eq "bjensen""#);
    check(r#"name.familyName co "O'Malley""#, r#"name.familyName co "O'Malley""#);
    check(r#"userName sw "J""#, r#"userName sw "J""#);
    let urn = "urn:ietf:params:scim:schemas:core:2.0:User";
    check(&format!(r#"{urn}:userName sw "J""#), &format!(r#"{urn}:userName sw "J""#));
    check("title pr", "title pr");
    let time = "2011-05-13T04:42:34Z";
    for op in ["gt", "ge", "lt", "le"] {
        let text = format!(r#"meta.lastModified {op} "{time}""#);
        check(&text, &text);
    }
    check(r#"title pr and userType eq "Employee""#, r#"title pr and userType eq "Employee""#);
    check(r#"title pr or userType eq "Intern""#, r#"title pr or userType eq "Intern""#);
    check(&format!(r#"schemas eq "{urn}""#), &format!(r#"schemas eq "{urn}""#));
    check(
        r#"userType eq "Employee" and (emails co "example.com" or emails.value co "example.org")"#,
        r#"userType eq "Employee" and (emails co "example.com" or emails.value co "example.org")"#,
    );
    check(
        r#"userType ne "Employee" and not (emails co "example.com" or emails.value co "example.org")"#,
        r#"userType ne "Employee" and not (emails co "example.com" or emails.value co "example.org")"#,
    );
    check(
        r#"userType eq "Employee" and (emails.type eq "work")"#,
        r#"userType eq "Employee" and emails.type eq "work""#,
    );
    check(
        r#"userType eq "Employee" and emails[type eq "work" and value co "@example.com"]"#,
        r#"userType eq "Employee" and emails[type eq "work" and value co "@example.com"]"#,
    );
    check(
        r#"emails[type eq "work" and value co "@example.com"] or ims[type eq "xmpp" and value co "@foo.com"]"#,
        r#"emails[type eq "work" and value co "@example.com"] or ims[type eq "xmpp" and value co "@foo.com"]"#,
    );
    check("meta.resourceType eq User", "meta.resourceType eq \"User\"  authentik-001");
    refused("displayName sw 'Group'", VALUE, 16);
}

#[test]
fn precedence_and_grouping() {
    check("a pr or b pr and c pr", "a pr or b pr and c pr");
    check("(a pr or b pr) and c pr", "(a pr or b pr) and c pr");
    check("(a pr and b pr) and (c pr and d pr)", "a pr and b pr and c pr and d pr");
    check("a pr OR (b pr oR c pr)", "a pr or b pr or c pr");
    check("not(a pr)", "not (a pr)");
    check("NOT  ( a pr )and b pr", "not (a pr) and b pr");
    check("not (not(a pr))", "not (not (a pr))");
    check("((((a pr))))", "a pr");
}

#[test]
fn spaces_are_optional_and_many() {
    check(r#"members[value eq"2819"]"#, r#"members[value eq "2819"]"#);
    check("  userName   eq \t \"a  b\"  ", r#"userName eq "a  b""#);
    check(r#"emails[ type eq "work" ]"#, r#"emails[type eq "work"]"#);
    check(r#"emails [type eq "work"]and a pr"#, r#"emails[type eq "work"] and a pr"#);
    check(r#"members[$ref eq "x"]"#, r#"members[$ref eq "x"]"#);
    check("emails[(type pr or not(value pr))]", "emails[type pr or not (value pr)]");
}

#[test]
fn value_paths_with_a_sub_attribute_then_an_operator() {
    check(r#"emails[type eq "work"].value eq "x""#, r#"emails[type eq "work" and value eq "x"]"#);
    check(r#"emails[type eq "a" or type eq "b"].value pr"#, r#"emails[(type eq "a" or type eq "b") and value pr]"#);
    refused(r#"emails[type eq "work"].value"#, "an operator", 29);
    refused(r#"emails[type eq "work"].a.b eq 1"#, "and, or or the end", 23);
    refused(r#"emails[type eq "work"] value eq "x""#, "and, or or the end", 24);
}

#[test]
fn literals() {
    check("a eq null", "a eq null");
    check("a eq -1.5e3", "a eq -1500.0");
    check("a eq 42", "a eq 42");
    check("a eq True", "a eq true  entra-002");
    check("a eq FALSE", "a eq false  entra-002");
    check(r#"a eq "\"q\" \\ \/ \n \u00e9 \ud83d\ude00""#, "a eq \"\\\"q\\\" \\\\ / \\n é 😀\"");
    check(r#"a eq "Ærlig""#, r#"a eq "Ærlig""#);
    for (text, column) in [("a eq Null", 6), ("a gt 01", 6), ("a ne .5", 6), ("a eq 1e999", 6), ("é", 1)] {
        refused(text, if text == "é" { "an attribute" } else { VALUE }, column);
    }
    check(r#"a eq "\ud83d""#, "invalidFilter filter: not a JSON string at column 6");
    check(r#"a eq "\x""#, "invalidFilter filter: not a JSON string at column 6");
    check("a eq \"\u{1}\"", "invalidFilter filter: not a JSON string at column 6");
    check(r#"a eq "\u0000""#, "invalidFilter filter: U+0000 in the string at column 6");
    check(r#"a eq "open\""#, "invalidFilter filter: the string at column 6 does not end");
    assert_eq!(read("a eq True", Dialect::Rfc), format!("invalidFilter filter: expected {VALUE} at column 6"));
}

#[test]
fn malformed() {
    refused("", "an attribute", 1);
    refused("   ", "an attribute", 4);
    refused("userName", "an operator", 9);
    refused("userName is \"x\"", "an operator", 10);
    refused("userName eq", "a value", 12);
    refused("userName \"x\"", "an operator", 10);
    refused("and eq 1", "an attribute", 1);
    refused("a pr and", "an attribute", 9);
    refused("a pr b pr", "and, or or the end", 6);
    refused("(a pr", ")", 6);
    refused("a pr)", "and, or or the end", 5);
    refused("not a pr", "(", 5);
    refused("emails[a pr", "]", 12);
    refused("emails[]", "an attribute", 8);
    refused("a[b eq 1 and c[d eq 2]]", "an operator, not a nested value path,", 15);
    refused("/name/givenName pr", "an attribute", 1);
    refused("å pr", "an attribute", 1);
    refused("\"å\" pr", "an attribute", 1);
    refused("a eq \"å\" x", "and, or or the end", 10);
}

#[test]
fn limits_are_named() {
    let chain = |n: usize| format!("{}a pr{}", "not (".repeat(n), ")".repeat(n));
    check(&chain(32), chain(32).as_str());
    check(&chain(33), "invalidFilter filter: nested deeper than the limit of 32");
    check(&format!("{}!", "not (".repeat(3_000)), "invalidFilter filter: nested deeper than the limit of 32");
    check(&"not (".repeat(100_000), "invalidFilter filter: 500000 bytes; the limit is 16384");
    check(&"(".repeat(16_000), "invalidFilter filter: nested deeper than the limit of 32");
    let limits = Limits { bytes_max: usize::MAX, ..Limits::default() };
    let wide = |n: usize| parse_within(&vec!["a pr"; n].join(" or "), &limits, &mut Tolerances::new(Dialect::Rfc));
    assert!(wide(2048).is_ok());
    let error = wide(2049).unwrap_err();
    assert_eq!(error, Error::new(ScimType::TooMany, "filter: more terms than the limit of 2048"));
}

#[test]
fn a_huge_limit_on_bytes_still_cannot_overflow_the_stack() {
    let limits = Limits { bytes_max: usize::MAX, ..Limits::default() };
    let text = format!("{}!", "not (".repeat(100_000));
    let error = parse_within(&text, &limits, &mut Tolerances::new(Dialect::Auto)).unwrap_err();
    assert_eq!(error.detail, "filter: nested deeper than the limit of 32");
}

fn literal() -> impl Strategy<Value = Literal> {
    prop_oneof![
        Just(Literal::Null),
        any::<bool>().prop_map(Literal::Bool),
        any::<i64>().prop_map(|n| Literal::Number(n.into())),
        any::<String>().prop_map(|text| Literal::Text(text.replace('\0', ""))),
    ]
}

fn path() -> impl Strategy<Value = AttrPath> {
    "(urn:x:2\\.0:User:)?[a-z$][a-zA-Z0-9_-]{0,6}(\\.[a-z]{1,4})?"
        .prop_filter("a logical word", |text| is_path(text))
        .prop_map(|text| AttrPath { text, column: 1 })
}

fn filters(brackets: bool) -> BoxedStrategy<Filter> {
    let compare = (path(), 0..9usize, literal())
        .prop_map(|(path, operator, literal)| Filter::Compare(path, Operator::ALL[operator], literal));
    let leaf = prop_oneof![path().prop_map(Filter::Present), compare].boxed();
    let leaf = if brackets {
        let inside = (path(), filters(false)).prop_map(|(path, inner)| Filter::ValuePath(path, Box::new(inner)));
        prop_oneof![leaf, inside].boxed()
    } else {
        leaf
    };
    leaf.prop_recursive(3, 12, 3, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 2..4).prop_map(Filter::and),
            prop::collection::vec(inner.clone(), 2..4).prop_map(Filter::or),
            inner.prop_map(|filter| Filter::Not(Box::new(filter))),
        ]
    })
    .boxed()
}

proptest! {
    #[test]
    fn what_is_printed_parses_to_the_same(filter in filters(true)) {
        let parsed = parse(&filter.to_string(), &mut Tolerances::new(Dialect::Rfc));
        prop_assert_eq!(parsed, Ok(filter));
    }

    #[test]
    fn no_text_panics(text in "[ a-c()\\[\\]\"\\\\.:notandrequ0-9\u{e9}]{0,40}") {
        let _ = parse(&text, &mut Tolerances::new(Dialect::Auto));
    }
}
