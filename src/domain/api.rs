//! Apis: what downstream services offer, as permissions and, if they like, as routes.

use std::borrow::Cow;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::operation::Operation;
use super::permission::{KEYROLL, Permission};
use crate::scim::schema::registry;

/// A longer path has no route: servers take no more than this of a request's first line.
const PATH_BYTES_MAX: usize = 8_192;

/// A registered downstream api.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Api {
    /// Its name: the first part of its permissions.
    pub name: String,
    /// For people.
    #[serde(default)]
    pub description: String,
    /// Who looks after it.
    #[serde(default)]
    pub owner_team: Option<String>,
    /// Whether roles may name permissions that are not listed.
    #[serde(default)]
    pub open: bool,
    /// What it offers.
    #[serde(default)]
    pub permissions: Vec<ApiPermission>,
    /// Which request needs which permission.
    #[serde(default)]
    pub routes: Vec<ApiRoute>,
}

/// A permission of an api.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ApiPermission {
    /// `resource:action`.
    pub name: String,
    /// For people.
    #[serde(default)]
    pub description: String,
}

/// A request of an api.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ApiRoute {
    /// The HTTP method, in upper case.
    pub method: String,
    /// `/v2/invoices/{id}`: a segment in braces stands for any one segment.
    pub path: String,
    /// The one permission that it needs, `resource:action`.
    pub permission: String,
}

impl Api {
    /// The permissions in full: `billing:invoices:read`.
    pub fn permissions(&self) -> impl Iterator<Item = Permission> {
        self.permissions.iter().filter_map(|own| Permission::parse(&format!("{}:{}", self.name, own.name)))
    }

    /// Whether a permission or pattern names something of this api: a listed permission, a pattern that
    /// covers a listed one, or anything at all if the api is open.
    pub fn knows(&self, permission: &Permission) -> bool {
        permission.api() == self.name
            && (self.open || self.permissions.iter().any(|own| permission.covers_in_api(&own.name)))
    }

    /// The permission that a request needs: that of the route with the most fixed segments from the left. A
    /// HEAD needs what a GET needs (RFC 9110 §9.3.2), unless a route of its own says otherwise.
    ///
    /// Servers disagree about what an odd path means, and none may get more by one than by a plain path. So
    /// a path has no permission if a segment is empty, is `.` or `..`, or holds a slash, a backslash, a `;`, a
    /// control character or an escaped `%`, escaped or not; or if it leads to different permissions as it
    /// was sent and with its escapes decoded. A query is not looked at.
    pub fn route(&self, method: &str, path: &str) -> Option<Permission> {
        let path = path.split('?').next().unwrap_or_default();
        if path.len() > PATH_BYTES_MAX {
            return None;
        }
        let sent: Vec<&str> = path.strip_prefix('/')?.split('/').collect();
        let decoded: Vec<Cow<'_, str>> = match path {
            "/" => vec![Cow::Borrowed("")],
            _ => sent.iter().map(|segment| decode(segment)).collect::<Option<_>>()?,
        };
        let decoded: Vec<&str> = decoded.iter().map(|segment| &**segment).collect();
        let best = self.best(method, &sent)?;
        let is_same = sent == decoded || self.best(method, &decoded)?.permission == best.permission;
        if is_same { Permission::parse(&format!("{}:{}", self.name, best.permission)) } else { None }
    }

    fn best(&self, method: &str, segments: &[&str]) -> Option<&ApiRoute> {
        let takes = |route: &&ApiRoute| route.method == method || (method == "HEAD" && route.method == "GET");
        let matching = self.routes.iter().filter(takes).filter(|route| route.matches(segments));
        // `false` sorts before `true`: fixed segments come first, and of two alike the method that was sent.
        let order =
            |route: &&ApiRoute| (route.segments().map(is_variable).collect::<Vec<bool>>(), route.method != method);
        matching.min_by_key(order)
    }
}

/// A segment with its escapes decoded; `None` for one that servers may take for something else.
fn decode(sent: &str) -> Option<Cow<'_, str>> {
    let is_escaped = |rest: &str| rest.len() >= 2 && rest.bytes().take(2).all(|b| b.is_ascii_hexdigit());
    // What is no escape, browsers and servers leave, drop or refuse.
    if sent.contains([' ', '#']) || !sent.split('%').skip(1).all(is_escaped) {
        return None;
    }
    let decoded = percent_encoding::percent_decode_str(sent).decode_utf8().ok()?;
    let is_odd = decoded.trim_matches('.').is_empty()
        || decoded.contains(|c: char| c.is_control() || matches!(c, '/' | '\\' | ';' | '%'));
    if is_odd { None } else { Some(decoded) }
}

impl ApiRoute {
    fn segments(&self) -> impl Iterator<Item = &str> {
        self.path.strip_prefix('/').unwrap_or(&self.path).split('/')
    }

    fn matches(&self, segments: &[&str]) -> bool {
        self.segments().count() == segments.len()
            && self.segments().zip(segments).all(|(own, sent)| is_variable(own) || own == *sent)
    }

    /// What two routes must not share: the method and the path, whatever its variables are called.
    pub fn shape(&self) -> String {
        let segments: Vec<&str> = self.segments().map(|own| if is_variable(own) { "{}" } else { own }).collect();
        format!("{} /{}", self.method, segments.join("/"))
    }

    /// Whether the path is a template: it begins with a slash, braces stand around whole segments, and the
    /// others are spelt as no request needs to escape them, or none would ever match.
    pub fn is_template(&self) -> bool {
        let segment = |own: &str| {
            let inner = own.strip_prefix('{').and_then(|rest| rest.strip_suffix('}')).unwrap_or(own);
            let is_plain = is_variable(own) || self.path == "/" || decode(own).is_some_and(|read| read == own);
            is_plain && !inner.contains(['{', '}', '?', '#', ' ']) && own != "{}"
        };
        self.path.starts_with('/') && self.path.len() <= 1_024 && self.segments().all(segment)
    }
}

fn is_variable(segment: &str) -> bool {
    segment.starts_with('{') && segment.ends_with('}')
}

/// Keyroll's own api: the permissions that its operations need.
pub fn keyroll() -> Api {
    let mut names: Vec<String> = vec![];
    for operation in Operation::ALL {
        let permission = operation.permission();
        if permission.contains("{type}") {
            names.extend(registry().types.iter().map(|one| operation.permission_for(&one.endpoint)));
        } else if !permission.is_empty() {
            names.push(permission.to_owned());
        }
    }
    names.sort();
    names.dedup();
    let prefix = format!("{KEYROLL}:");
    let permission = |name: &String| {
        let name = name.strip_prefix(&prefix)?.to_owned();
        Some(ApiPermission { name, description: String::new() })
    };
    Api {
        name: KEYROLL.to_owned(),
        description: "Keyroll itself.".to_owned(),
        owner_team: None,
        open: false,
        permissions: names.iter().filter_map(permission).collect(),
        routes: vec![],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn api(routes: &[(&str, &str, &str)]) -> Api {
        let route = |(method, path, permission): &(&str, &str, &str)| ApiRoute {
            method: (*method).to_owned(),
            path: (*path).to_owned(),
            permission: (*permission).to_owned(),
        };
        Api {
            name: "billing".into(),
            description: String::new(),
            owner_team: None,
            open: false,
            permissions: vec![ApiPermission { name: "invoices:read".into(), description: String::new() }],
            routes: routes.iter().map(route).collect(),
        }
    }

    #[test]
    fn the_most_fixed_route_decides() {
        let api = api(&[
            ("GET", "/v2/{kind}/{id}", "all:read"),
            ("GET", "/v2/invoices/{id}", "invoices:read"),
            ("GET", "/v2/invoices/latest", "invoices:latest"),
            ("GET", "/", "root:read"),
        ]);
        let check = |method: &str, path: &str, expected: Option<&str>| {
            let found = api.route(method, path).map(|p| p.to_string());
            assert_eq!(found.as_deref(), expected, "{method} {path}");
        };
        check("GET", "/v2/invoices/7", Some("billing:invoices:read"));
        check("GET", "/v2/invoices/7?x=/a/../b", Some("billing:invoices:read"));
        check("GET", "/v2/invoices/latest", Some("billing:invoices:latest"));
        check("GET", "/v2/receipts/7", Some("billing:all:read"));
        check("GET", "/", Some("billing:root:read"));
        for path in
            ["/v2/invoices", "/v2/invoices/", "/v2//7", "/v2/invoices/..", "/v2/invoices/%2E%2e", "v2/invoices/7"]
        {
            check("GET", path, None);
        }
        for path in ["/v2/invoices/a%2Fb", "/v2/invoices/a%5cb", "/v2/invoices/7/"] {
            check("GET", path, None);
        }
        check("POST", "/v2/invoices/7", None);
    }

    #[test]
    fn no_spelling_of_a_path_opens_more_than_the_plain_one() {
        let api = api(&[
            ("GET", "/v2/{kind}/{id}", "all:read"),
            ("GET", "/v2/invoices/{id}", "invoices:read"),
            ("HEAD", "/v2/invoices/{id}", "invoices:exists"),
            ("HEAD", "/{version}/{kind}/{id}", "all:exists"),
            ("GET", "/v2/users/@me", "me:read"),
            ("GET", "/v2/users/{id}", "users:read"),
            ("GET", "/v2/admin/{a}/{b}", "admin:read"),
        ]);
        let check = |method: &str, path: &str, expected: Option<&str>| {
            let found = api.route(method, path).map(|p| p.to_string());
            assert_eq!(found.as_deref(), expected, "{method} {path}");
        };
        // Escapes that a client needs are fine where the path means one thing only.
        check("GET", "/v2/invoices/a%20b%C3%A4", Some("billing:invoices:read"));
        check("GET", "/v2/users/x%40y", Some("billing:users:read"));
        check("GET", "/v2/users/@me", Some("billing:me:read"));
        check("GET", "/v2/invoices/%37", Some("billing:invoices:read"));
        check("GET", "/v2/a.b/..c", Some("billing:all:read"));
        // Read by one server as this and by another as that.
        for path in ["/v2/%69nvoices/7", "/v2/invoice%73/7", "/v2/users/%40me", "/v2/%75sers/@me", "/%762/admin/a/b"] {
            check("GET", path, None);
        }
        for segment in [
            "", ".", "..", "...", "%2e", "%2E.", ".%2e", "a%2fb", "a%2Fb", "a%5cb", "a\\b", "..;", "x;y=1", "x%3by",
            "%", "%7", "%zz", "%252e", "%25", "%00", "a%0ab", "a\tb", "a b", "a#b", "%ff", "%c0%af", "%c2%85",
            "a\u{85}",
        ] {
            for path in
                [format!("/v2/invoices/{segment}"), format!("/v2/{segment}/7"), format!("/v2/admin/{segment}/7")]
            {
                check("GET", &path, None);
            }
        }
        check("GET", "/v2/invoices/7#x", None);
        check("GET", &format!("/v2/invoices/{}", "x".repeat(9_000)), None);
        check("GET", &format!("/v2/invoices/7?{}", "x".repeat(9_000)), Some("billing:invoices:read"));
        // HEAD is a GET, unless it has a route of its own that fits as well.
        check("HEAD", "/v2/users/@me", Some("billing:me:read"));
        check("HEAD", "/v2/invoices/7", Some("billing:invoices:exists"));
        check("HEAD", "/v3/x/7", Some("billing:all:exists"));
        check("head", "/v2/users/@me", None);
        check("get", "/v2/users/@me", None);
    }

    #[test]
    fn a_pattern_must_reach_something_listed() {
        let knows = |api: &Api, text: &str| api.knows(&Permission::parse(text).unwrap());
        let closed = api(&[]);
        assert!(knows(&closed, "billing:invoices:read") && knows(&closed, "billing:*:read"));
        assert!(!knows(&closed, "billing:invoices:write") && !knows(&closed, "other:invoices:read"));
        assert!(!knows(&closed, "*:invoices:read"), "a wildcard names no api");
        let open = Api { open: true, ..closed };
        assert!(knows(&open, "billing:invoices:write") && !knows(&open, "other:invoices:read"));
    }

    #[test]
    fn keyrolls_own_api_lists_what_operations_need() {
        let api = keyroll();
        assert!(api.knows(&Permission::parse("keyroll:users:write").unwrap()));
        assert!(api.knows(&Permission::parse("keyroll:keys:verify").unwrap()));
        assert!(!api.knows(&Permission::parse("keyroll:nothing:read").unwrap()));
    }
}
