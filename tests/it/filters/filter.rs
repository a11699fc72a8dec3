//! Random filters, as text.

use proptest::prelude::*;

use super::directory::texts;

pub const USER_ORDERS: &[&str] = &[
    "userName",
    "displayName",
    "name.givenName",
    "active",
    "emails.value",
    "emails.type",
    "title",
    "externalId",
    "id",
    "meta.created",
    "meta.lastModified",
    "meta.resourceType",
    "meta.version",
    "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:employeeNumber",
];

pub const GROUP_ORDERS: &[&str] = &["displayName", "id", "externalId", "meta.created"];

/// Orders over all types: what all know, what some know, what is the same within a type.
pub const ROOT_ORDERS: &[&str] = &[
    "displayName",
    "active",
    "userName",
    "name",
    "title",
    "description",
    "roles",
    "emails.value",
    "externalId",
    "id",
    "meta.created",
    "meta.lastModified",
    "meta.resourceType",
    "meta.version",
    "urn:ietf:params:scim:schemas:core:2.0:User:id",
    "urn:ietf:params:scim:schemas:core:2.0:Agent:meta.created",
    "urn:ietf:params:scim:schemas:core:2.0:Group:displayName",
    "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:employeeNumber",
];

const USER_TEXTS: &[&str] = &[
    "userName",
    "displayName",
    "name.givenName",
    "name.familyName",
    "emails.value",
    "emails.type",
    "emails.display",
    "title",
    "externalId",
    "emails",
    "groups.display",
    "groups.type",
    "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:employeeNumber",
    "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:department",
    "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:manager.value",
];

const PRESENT: &[&str] = &[
    "userName",
    "displayName",
    "name",
    "name.givenName",
    "emails",
    "emails.value",
    "emails.type",
    "title",
    "externalId",
    "active",
    "groups",
    "groups.value",
    "groups.display",
    "meta",
    "id",
    "schemas",
    "meta.created",
    "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:manager",
];

fn operator() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec!["eq", "eq", "eq", "ne", "co", "sw", "ew", "gt", "ge", "lt", "le"])
}

fn quoted(text: &str) -> String {
    serde_json::to_string(text).unwrap()
}

fn compare(paths: &'static [&'static str]) -> BoxedStrategy<String> {
    (prop::sample::select(paths), operator(), texts())
        .prop_map(|(path, operator, text)| format!("{path} {operator} {}", quoted(&text)))
        .boxed()
}

/// User names are given by number.
fn user_name() -> BoxedStrategy<String> {
    (operator(), prop::sample::select(vec!["Bu", "AU", "éu", "cu"]), 0..12, 1_usize..5)
        .prop_map(|(operator, start, number, length)| {
            let text: String = format!("{start}{number}").chars().take(length).collect();
            format!("userName {operator} {}", quoted(&text))
        })
        .boxed()
}

fn time() -> BoxedStrategy<String> {
    let operators = vec!["eq", "ne", "gt", "ge", "lt", "le"];
    (
        prop::sample::select(vec!["meta.created", "meta.lastModified"]),
        prop::sample::select(operators),
        0..3,
        0..3,
        prop::sample::select(vec!["", "0", "5", "000001"]),
    )
        .prop_map(|(path, operator, second, millisecond, finer)| {
            // 1 800 000 000 is 2027-01-15T08:00:00Z.
            format!("{path} {operator} \"2027-01-15T10:00:0{second}.00{millisecond}{finer}+02:00\"")
        })
        .boxed()
}

fn related(path: &'static str) -> BoxedStrategy<String> {
    let shapes = vec![
        "{} eq \"@#\"",
        "{}.value eq \"@#\"",
        "{} ne \"@#\"",
        "{}[value eq \"@#\"]",
        "{}[value eq \"@#\" and type sw \"\"]",
        "{}[not (value eq \"@#\")]",
        "{}[value eq \"@#\" or type eq \"indirect\"]",
    ];
    (prop::sample::select(shapes), 0_u8..16)
        .prop_map(move |(shape, number)| shape.replace("{}", path).replace('#', &number.to_string()))
        .boxed()
}

fn id() -> BoxedStrategy<String> {
    (prop::sample::select(vec!["eq", "eq", "ne", "gt", "sw"]), 0..16)
        .prop_map(|(operator, number)| format!("id {operator} \"@{number}\""))
        .boxed()
}

fn fixed(texts: &'static [&'static str]) -> BoxedStrategy<String> {
    prop::sample::select(texts).prop_map(str::to_owned).boxed()
}

fn element() -> BoxedStrategy<String> {
    let leaf = prop_oneof![
        4 => compare(&["value", "type"]),
        1 => compare(&["display"]),
        2 => fixed(&["type eq \"work\"", "type eq \"HOME\"", "type ne \"work\"", "primary eq true", "value pr", "type pr", "display pr"]),
    ];
    combined(leaf.boxed()).prop_map(|filter| format!("emails[{filter}]")).boxed()
}

fn combined(leaf: BoxedStrategy<String>) -> BoxedStrategy<String> {
    leaf.prop_recursive(3, 10, 3, |inner| {
        let list = prop::collection::vec(inner.clone(), 2..4);
        prop_oneof![
            list.clone().prop_map(|parts| format!("({})", parts.join(" and "))),
            list.prop_map(|parts| format!("({})", parts.join(" or "))),
            inner.prop_map(|part| format!("not ({part})")),
        ]
    })
    .boxed()
}

/// Filters over users.
pub fn users() -> impl Strategy<Value = String> {
    let present = prop::sample::select(PRESENT).prop_map(|path| format!("{path} pr"));
    let leaf = prop_oneof![
        5 => compare(USER_TEXTS),
        2 => user_name(),
        2 => present,
        2 => time(),
        2 => id(),
        2 => related("groups"),
        4 => element(),
        2 => fixed(&["active eq true", "active ne true", "active eq false", "active eq null", "meta.resourceType eq \"User\"",
            "meta.resourceType ne \"Group\"", "meta.resourceType sw \"u\"", "schemas eq \"urn:ietf:params:scim:schemas:core:2.0:User\"",
            "schemas co \"enterprise\"", "meta.version eq \"W/\\\"1\\\"\"", "meta.location ew \"0\"", "name[givenName eq \"a\" and familyName sw \"a\"]",
            "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:manager[value eq \"a\"]"]),
    ];
    combined(leaf.boxed())
}

/// Filters over groups.
pub fn groups() -> impl Strategy<Value = String> {
    let member_and_id =
        (0..16, 0..16).prop_map(|(group, user)| format!("id eq \"@{group}\" and members eq \"@{user}\""));
    let leaf = prop_oneof![
        2 => compare(&["displayName", "members.display", "members.type", "members.$ref"]),
        3 => related("members"),
        1 => id(),
        1 => member_and_id,
        1 => fixed(&["members pr", "members.value pr", "members.display pr", "displayName pr", "displayName sw \"g\"",
            "members[type eq \"Group\"]", "members[type eq \"User\" and display pr]"]),
    ];
    combined(leaf.boxed())
}
