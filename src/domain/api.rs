//! Apis: what downstream services offer, as permissions and, if they like, as routes.

use serde::{Deserialize, Serialize};

use super::operation::Operation;
use super::permission::{KEYROLL, Permission};
use crate::scim::schema::registry;

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
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApiPermission {
    /// `resource:action`.
    pub name: String,
    /// For people.
    #[serde(default)]
    pub description: String,
}

/// A request of an api.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
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
        permission.api() == self.name && (self.open || self.permissions().any(|own| permission.covers(&own)))
    }

    /// The permission that a request needs: that of the route with the most fixed segments from the left.
    /// The path is compared as sent, without its query; one with an empty, `.` or `..` segment, or an
    /// escaped slash, has none, since servers disagree about what it means.
    pub fn route(&self, method: &str, path: &str) -> Option<Permission> {
        let path = path.split(['?', '#']).next().unwrap_or_default();
        let segments: Vec<&str> = path.strip_prefix('/')?.split('/').collect();
        let odd = |segment: &&str| {
            let lower = segment.to_ascii_lowercase();
            lower.replace("%2e", ".").trim_matches('.').is_empty() || lower.contains("%2f") || lower.contains("%5c")
        };
        if segments.iter().any(odd) && path != "/" {
            return None;
        }
        let matching = self.routes.iter().filter(|route| route.method == method && route.matches(&segments));
        // `false` sorts before `true`: fixed segments come first.
        let best = matching.min_by_key(|route| route.segments().map(is_variable).collect::<Vec<bool>>())?;
        Permission::parse(&format!("{}:{}", self.name, best.permission))
    }
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

    /// Whether the path is a template: it begins with a slash, and braces stand around whole segments.
    pub fn is_template(&self) -> bool {
        let segment = |own: &str| {
            let inner = own.strip_prefix('{').and_then(|rest| rest.strip_suffix('}')).unwrap_or(own);
            (!own.is_empty() || self.path == "/") && !inner.contains(['{', '}', '?', '#', ' ']) && own != "{}"
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
