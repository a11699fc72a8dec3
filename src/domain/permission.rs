//! Permissions `api:resource:action` and what covers what.

use std::borrow::Cow;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize, Serializer};

/// Keyroll's own API. A wildcard never reaches it: it must be named.
pub const KEYROLL: &str = "keyroll";

/// In bytes.
const LENGTH_MAX: usize = 256;

/// One permission or a pattern of permissions; each part is a name or `*`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
#[serde(try_from = "String")]
pub struct Permission {
    text: String,
    first: usize,
    second: usize,
    is_single: bool,
}

impl Permission {
    /// Parses `api:resource:action`, each part `[a-z0-9_.-]+` or `*`.
    pub fn parse(text: &str) -> Option<Permission> {
        let mut parts = text.split(':');
        let (api, resource, action) = (parts.next()?, parts.next()?, parts.next()?);
        if parts.next().is_some() || text.len() > LENGTH_MAX || ![api, resource, action].into_iter().all(is_part) {
            return None;
        }
        let (first, second) = (api.len(), api.len() + 1 + resource.len());
        Some(Permission { text: text.to_owned(), first, second, is_single: !text.contains('*') })
    }

    /// The api, or `*`.
    pub fn api(&self) -> &str {
        self.text.get(..self.first).unwrap_or_default()
    }

    /// The resource, or `*`.
    pub fn resource(&self) -> &str {
        self.text.get(self.first + 1..self.second).unwrap_or_default()
    }

    /// The action, or `*`.
    pub fn action(&self) -> &str {
        self.text.get(self.second + 1..).unwrap_or_default()
    }

    /// The whole text.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether whoever holds `self` holds all of `other`.
    pub fn covers(&self, other: &Permission) -> bool {
        let part = |own: &str, theirs: &str| own == "*" || own == theirs;
        let api = match self.api() {
            "*" => other.api() != KEYROLL,
            own => own == other.api(),
        };
        api && part(self.resource(), other.resource()) && part(self.action(), other.action())
    }

    /// The same for a permission of the very api that it names, as `resource:action`.
    pub fn covers_in_api(&self, name: &str) -> bool {
        if self.is_single {
            return self.text.get(self.first + 1..) == Some(name);
        }
        let part = |own: &str, theirs: &str| own == "*" || own == theirs;
        let parts = name.split_once(':');
        parts.is_some_and(|(resource, action)| part(self.resource(), resource) && part(self.action(), action))
    }

    /// What both patterns cover.
    pub fn meet(&self, other: &Permission) -> Option<Permission> {
        let narrow = |a: &str, b: &str| if a == "*" { b.to_owned() } else { a.to_owned() };
        let text = format!(
            "{}:{}:{}",
            narrow(self.api(), other.api()),
            narrow(self.resource(), other.resource()),
            narrow(self.action(), other.action())
        );
        if self.overlaps(other) { Permission::parse(&text) } else { None }
    }

    /// Whether it names one permission and no pattern.
    pub fn is_single(&self) -> bool {
        self.is_single
    }

    /// Whether some single permission is covered by both patterns.
    pub fn overlaps(&self, other: &Permission) -> bool {
        let part = |a: &str, b: &str| a == "*" || b == "*" || a == b;
        let api = match (self.api(), other.api()) {
            ("*", "*") => true,
            ("*", named) | (named, "*") => named != KEYROLL,
            (a, b) => a == b,
        };
        api && part(self.resource(), other.resource()) && part(self.action(), other.action())
    }
}

fn is_part(part: &str) -> bool {
    part == "*"
        || !part.is_empty()
            && part.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'_' | b'.' | b'-'))
}

impl fmt::Display for Permission {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl From<Permission> for String {
    fn from(permission: Permission) -> String {
        permission.text
    }
}

impl Serialize for Permission {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.text)
    }
}

impl TryFrom<String> for Permission {
    type Error = String;

    fn try_from(text: String) -> Result<Permission, String> {
        Permission::parse(&text).ok_or_else(|| format!("{text} is not a permission api:resource:action"))
    }
}

impl JsonSchema for Permission {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Permission".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "maxLength": LENGTH_MAX,
            "pattern": r"^([a-z0-9_.-]+|\*):([a-z0-9_.-]+|\*):([a-z0-9_.-]+|\*)$",
        })
    }
}

/// A set of permissions, in order. Empty covers nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(from = "Vec<Permission>")]
#[schemars(inline)]
pub struct Permissions(Vec<Permission>);

impl From<Vec<Permission>> for Permissions {
    fn from(permissions: Vec<Permission>) -> Permissions {
        permissions.into_iter().collect()
    }
}

impl Permissions {
    /// Parses each text; the first that is no permission is the error.
    pub fn parse<'t>(texts: impl IntoIterator<Item = &'t str>) -> Result<Permissions, String> {
        texts.into_iter().map(|text| Permission::parse(text).ok_or_else(|| text.to_owned())).collect()
    }

    /// Whether one of them covers the permission.
    pub fn cover(&self, permission: &Permission) -> bool {
        // A single permission covers itself alone.
        self.0.binary_search(permission).is_ok() || self.0.iter().any(|own| !own.is_single && own.covers(permission))
    }

    /// What both sets cover.
    pub fn meet(&self, other: &Permissions) -> Permissions {
        let all: Permissions = self.iter().flat_map(|own| other.iter().filter_map(|theirs| own.meet(theirs))).collect();
        // What another of them covers says nothing more.
        let is_new = |one: &&Permission| !all.iter().any(|other| other != *one && other.covers(one));
        all.iter().filter(is_new).cloned().collect()
    }

    /// Those of Keyroll's own api.
    pub fn of_keyroll(&self) -> Permissions {
        self.iter().filter(|own| own.api() == KEYROLL).cloned().collect()
    }

    /// The permissions in order.
    pub fn iter(&self) -> impl Iterator<Item = &Permission> {
        self.0.iter()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The texts, for storage and answers.
    pub fn texts(&self) -> Vec<&str> {
        self.0.iter().map(Permission::as_str).collect()
    }
}

impl FromIterator<Permission> for Permissions {
    fn from_iter<I: IntoIterator<Item = Permission>>(permissions: I) -> Self {
        let mut list: Vec<_> = permissions.into_iter().collect();
        list.sort();
        list.dedup();
        Permissions(list)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn covers(own: &str, other: &str) -> bool {
        Permission::parse(own).unwrap().covers(&Permission::parse(other).unwrap())
    }

    #[test]
    fn a_wildcard_covers_a_part_but_never_keyroll() {
        assert!(covers("billing:invoices:read", "billing:invoices:read"));
        assert!(covers("billing:*:read", "billing:invoices:read"));
        assert!(!covers("billing:*:read", "billing:invoices:write"));
        assert!(covers("*:*:*", "billing:invoices:read"));
        assert!(covers("*:*:*", "*:*:*"));
        assert!(!covers("*:*:*", "keyroll:keys:issue"));
        assert!(!covers("*:keys:issue", "keyroll:keys:issue"));
        assert!(covers("keyroll:*:*", "keyroll:keys:issue"));
        assert!(!covers("keyroll:keys:issue", "keyroll:keys:*"));
        assert!(!covers("billing:*:*", "*:*:*"));
    }

    #[test]
    fn what_two_sets_share() {
        let meet = |a: &[&str], b: &[&str]| {
            let parse = |texts: &[&str]| Permissions::parse(texts.iter().copied()).unwrap();
            parse(a).meet(&parse(b)).texts().into_iter().map(str::to_owned).collect::<Vec<_>>()
        };
        assert_eq!(meet(&["a:*:read"], &["a:x:*"]), ["a:x:read"]);
        assert_eq!(meet(&["a:*:*", "a:x:*"], &["a:x:read"]), ["a:x:read"]);
        assert_eq!(meet(&["*:*:*"], &["keyroll:keys:read"]), Vec::<String>::new());
        assert_eq!(meet(&["keyroll:*:*"], &["keyroll:*:*"]), ["keyroll:*:*"]);
        assert_eq!(meet(&["a:*:*"], &["a:x:read", "a:*:read", "b:x:y"]), ["a:*:read"]);
    }

    #[test]
    fn three_parts_of_plain_letters() {
        for bad in ["", "a:b", "a:b:c:d", "A:b:c", "a::c", "a:b:c*", "a:b:ü", "a b:c:d"] {
            assert_eq!(Permission::parse(bad), None, "{bad}");
        }
        let p = Permission::parse("billing:in.voices_2:read-all").unwrap();
        assert_eq!((p.api(), p.resource(), p.action()), ("billing", "in.voices_2", "read-all"));
    }

    #[test]
    fn overlap_is_a_common_permission() {
        let overlap = |a, b| Permission::parse(a).unwrap().overlaps(&Permission::parse(b).unwrap());
        assert!(overlap("keyroll:*:*", "keyroll:keys:issue"));
        assert!(overlap("keyroll:keys:*", "keyroll:*:issue"));
        assert!(!overlap("*:*:*", "keyroll:keys:issue"));
        assert!(!overlap("keyroll:users:*", "keyroll:keys:issue"));
    }

    /// Whether a pattern covers a single permission, part by part.
    fn reaches(pattern: &str, single: &str) -> bool {
        let (own, asked): (Vec<&str>, Vec<&str>) = (pattern.split(':').collect(), single.split(':').collect());
        let api = own[0] == asked[0] || (own[0] == "*" && asked[0] != KEYROLL);
        api && (1..3).all(|n| own[n] == "*" || own[n] == asked[n])
    }

    proptest::proptest! {
        #[test]
        fn what_a_key_may_is_what_both_sides_reach(
            granted in proptest::collection::vec("(a|b|keyroll|\\*):(x|y|\\*):(r|w|\\*)", 0..4),
            held in proptest::collection::vec("(a|b|keyroll|\\*):(x|y|\\*):(r|w|\\*)", 0..4),
        ) {
            let parse = |texts: &[String]| Permissions::parse(texts.iter().map(String::as_str)).unwrap();
            let (grant, access) = (parse(&granted), parse(&held));
            let meet = grant.meet(&access);
            for single in ["a", "b", "c", KEYROLL].iter().flat_map(|api| ["x", "y", "z"].map(|r| format!("{api}:{r}"))) {
                for single in ["r", "w", "d"].map(|action| format!("{single}:{action}")) {
                    let both = [&granted, &held].iter().all(|side| side.iter().any(|one| reaches(one, &single)));
                    let asked = Permission::parse(&single).unwrap();
                    proptest::prop_assert_eq!(grant.cover(&asked) && access.cover(&asked), both, "{}", single);
                    proptest::prop_assert_eq!(meet.cover(&asked), both, "{} by {:?}", single, meet);
                }
            }
        }
    }
}
