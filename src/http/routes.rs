//! The routes, as the table of operations has them.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

use actix_web::http::{ConnectionType, Method};
use actix_web::{HttpRequest, HttpResponse, web};
use matchit::Router;

use super::absent::{method_not_allowed, not_found};
use super::connections::Link;
use super::handle::handle;
use super::target::MatchedRoute;
use super::{Shared, early_response};
use crate::domain::Operation;

/// Every template with its methods. Fixed segments go before variable ones: `/Me` is no endpoint and
/// `.search` is no id.
static ROUTES: LazyLock<Router<Resource>> = LazyLock::new(routes);

/// What a path template stands for.
struct Resource {
    template: &'static str,
    methods: Vec<(&'static str, Operation)>,
}

impl Resource {
    /// RFC 9110 §9.3.2: HEAD is answered as GET is; the server leaves the body out.
    fn answers(&self, method: &Method) -> Option<(&'static str, Operation)> {
        let method = if method == Method::HEAD { "GET" } else { method.as_str() };
        self.methods.iter().find(|(own, _)| *own == method).copied()
    }

    /// The value of `Allow`: each method once, though several operations may answer it.
    fn allowed(&self) -> String {
        let mut allowed = vec![];
        for (method, _) in &self.methods {
            let with_head: &[&str] = if *method == "GET" { &["GET", "HEAD"] } else { &[method] };
            allowed.extend(with_head.iter().filter(|one| !allowed.contains(*one)).copied().collect::<Vec<_>>());
        }
        allowed.join(", ")
    }
}

fn routes() -> Router<Resource> {
    let mut templates: BTreeMap<&'static str, Vec<(&'static str, Operation)>> = BTreeMap::new();
    for operation in Operation::ALL {
        for (method, template) in operation.routes() {
            templates.entry(template.trim_end_matches('/')).or_default().push((method, *operation));
        }
    }
    let mut router = Router::new();
    for (template, methods) in templates {
        if let Err(conflict) = router.insert(template, Resource { template, methods }) {
            log::error!("the route {template} cannot be had: {conflict}");
        }
    }
    router
}

/// Answers any request.
pub(super) async fn dispatch(
    request: HttpRequest,
    mut payload: web::Payload,
    shared: web::Data<Shared>,
) -> HttpResponse {
    let link = Link::of(&request);
    let _work = link.map(Link::work);
    let mut known = false;
    let mut response = answer(&request, &mut payload, &shared, &mut known).await;
    if let Some(link) = link {
        link.recognise(known);
    }
    if !known {
        // Whoever shows no key has one request for each connection, so that none stays open without one.
        response.head_mut().set_connection_type(ConnectionType::Close);
    }
    early_response::close(response, payload).await
}

/// Takes a request to its operation; `known` becomes true if it has a key that works.
async fn answer(
    request: &HttpRequest,
    payload: &mut web::Payload,
    shared: &web::Data<Shared>,
    known: &mut bool,
) -> HttpResponse {
    let path = spelled(below(&shared.prefix, normal(request.match_info().as_str())));
    let Ok(found) = ROUTES.at(&path) else { return not_found(request, shared, &path) };
    let Resource { template, .. } = *found.value;
    let Some((method, operation)) = found.value.answers(request.method()) else {
        return method_not_allowed(request, shared, &path, &found.value.allowed());
    };
    let variable = |name| found.params.get(name).unwrap_or_default();
    let (endpoint, id) = (variable("endpoint"), variable("id"));
    let target = MatchedRoute { operation, method, template, path: &path, endpoint, id };
    handle(request, payload, shared, &target, known).await
}

/// The path without the slashes that some clients add: several in a row are one, and one at the end is none.
fn normal(path: &str) -> Cow<'_, str> {
    let path = path.trim_end_matches('/');
    if !path.contains("//") {
        return Cow::Borrowed(path);
    }
    let mut normal = String::with_capacity(path.len());
    for segment in path.split('/').filter(|segment| !segment.is_empty()) {
        normal.push('/');
        normal.push_str(segment);
    }
    Cow::Owned(normal)
}

/// The path below that of the public URL, for a proxy that leaves it in.
fn below<'p>(prefix: &str, path: Cow<'p, str>) -> Cow<'p, str> {
    let rest = path.strip_prefix(prefix).filter(|rest| !prefix.is_empty() && rest.starts_with('/'));
    match rest {
        // What is a path of ours as it is needs no other reading.
        Some(rest) if ROUTES.at(&path).is_err() => Cow::Owned(rest.to_owned()),
        _ => path,
    }
}

const SCIM: &str = "/scim/v2/";

/// The fixed segments below `/scim/v2`: endpoints that are no resource types, and `.search`.
static FIXED: LazyLock<BTreeSet<&'static str>> = LazyLock::new(|| {
    let templates = Operation::ALL.iter().flat_map(|operation| operation.routes());
    let segments = templates.filter_map(|(_, template)| template.strip_prefix(SCIM)).flat_map(|rest| rest.split('/'));
    segments.filter(|segment| !segment.is_empty() && !segment.starts_with('{')).collect()
});

/// The path with names of SCIM endpoints in our spelling: clients write them in any letter case. Those of resource
/// types are found in any; ids stay as they are.
fn spelled(path: Cow<'_, str>) -> Cow<'_, str> {
    let Some(rest) = path.strip_prefix(SCIM) else { return path };
    let own = |segment: &&str| FIXED.iter().find(|own| own.eq_ignore_ascii_case(segment) && *own != segment);
    if !rest.split('/').any(|segment| own(&segment).is_some()) {
        return path;
    }
    let segments: Vec<&str> = rest.split('/').map(|segment| own(&segment).copied().unwrap_or(segment)).collect();
    Cow::Owned(format!("{SCIM}{}", segments.join("/")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_route_of_every_operation_is_found() {
        for operation in Operation::ALL {
            for (method, template) in operation.routes() {
                let path = normal(template).replace("{endpoint}", "Users").replace("{id}", "1");
                let found = ROUTES.at(&path).unwrap();
                assert_eq!(found.value.template, template.trim_end_matches('/'));
                let sent = Method::from_bytes(method.as_bytes()).unwrap();
                assert_eq!(found.value.answers(&sent), Some((*method, *operation)), "{template}");
            }
        }
    }

    #[test]
    fn endpoints_are_spelled_in_any_letter_case() {
        let check = |path: &str, expected: &str| assert_eq!(spelled(normal(path)), expected);
        check("/scim/v2/me", "/scim/v2/Me");
        check("/scim/v2/BULK/", "/scim/v2/Bulk");
        check("/scim/v2/.SEARCH", "/scim/v2/.search");
        check("/scim/v2/serviceproviderconfig", "/scim/v2/ServiceProviderConfig");
        check("/scim/v2/schemas/urn:X", "/scim/v2/Schemas/urn:X");
        check("/scim/v2/users/.Search", "/scim/v2/users/.search");
        check("/scim/v2/Users/ABC", "/scim/v2/Users/ABC");
        check("/SCIM/V2/me", "/SCIM/V2/me");
        check("/v1/ME", "/v1/ME");
    }

    #[test]
    fn the_path_of_the_public_url_may_stay_in() {
        let check = |prefix: &str, path: &str, expected: &str| assert_eq!(below(prefix, normal(path)), expected);
        check("/keyroll", "/keyroll/scim/v2/Users", "/scim/v2/Users");
        check("/keyroll", "//keyroll//v1/users/", "/v1/users");
        check("/keyroll", "/scim/v2/Users", "/scim/v2/Users");
        check("/keyroll", "/keyrollx/scim/v2", "/keyrollx/scim/v2");
        check("/keyroll", "/keyroll", "/keyroll");
        check("", "/scim/v2/Users", "/scim/v2/Users");
        // Two readings: the one that needs no other goes first.
        check("/scim", "/scim/v2/Users", "/scim/v2/Users");
        check("/scim", "/scim/scim/v2/Users", "/scim/v2/Users");
    }

    #[test]
    fn fixed_segments_go_before_variable_ones() {
        let check = |path: &str, template: &str| {
            assert_eq!(ROUTES.at(&normal(path)).map(|found| found.value.template).ok(), Some(template), "{path}");
        };
        check("/scim/v2/Me", "/scim/v2/Me");
        check("/scim/v2/Mexico", "/scim/v2/{endpoint}");
        check("/scim/v2/Me/1", "/scim/v2/{endpoint}/{id}");
        check("/scim/v2/Users/.search", "/scim/v2/{endpoint}/.search");
        check("/scim/v2/Roles/.search", "/scim/v2/Roles/.search");
        check("/scim/v2/Schemas/.search", "/scim/v2/Schemas/{id}");
        check("//scim//v2/Users///1//", "/scim/v2/{endpoint}/{id}");
        check("/scim/v2/", "/scim/v2");
        for path in ["", "/", "/scim", "/v1", "/scim/v2/Users/1/2", "scim/v2"] {
            assert!(ROUTES.at(&normal(path)).is_err(), "{path}");
        }
    }
}
