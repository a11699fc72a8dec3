//! The routes, as the table of operations has them.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::LazyLock;

use actix_web::http::{ConnectionType, Method};
use actix_web::{HttpRequest, HttpResponse, web};
use matchit::Router;

use super::connections::Link;
use super::handle::{handle, method_not_allowed, not_found};
use super::{Shared, unread};
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

    /// The value of `Allow`.
    fn allowed(&self) -> String {
        let with_head = |method: &'static str| if method == "GET" { vec!["GET", "HEAD"] } else { vec![method] };
        self.methods.iter().flat_map(|(method, _)| with_head(method)).collect::<Vec<_>>().join(", ")
    }
}

/// Where a request goes.
pub(super) struct Target<'r> {
    pub(super) operation: Operation,
    pub(super) method: &'static str,
    pub(super) template: &'static str,
    /// The path without what does not count: see [`normal`].
    pub(super) path: &'r str,
    /// The variable segments, as sent.
    pub(super) endpoint: &'r str,
    pub(super) id: &'r str,
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
    unread::close(response, payload).await
}

/// Takes a request to its operation; `known` becomes true if it has a key that works.
async fn answer(
    request: &HttpRequest,
    payload: &mut web::Payload,
    shared: &web::Data<Shared>,
    known: &mut bool,
) -> HttpResponse {
    let path = normal(request.match_info().as_str());
    let Ok(found) = ROUTES.at(&path) else { return not_found(request, shared, &path) };
    let Resource { template, .. } = *found.value;
    let Some((method, operation)) = found.value.answers(request.method()) else {
        return method_not_allowed(request, shared, &path, &found.value.allowed());
    };
    let variable = |name| found.params.get(name).unwrap_or_default();
    let (endpoint, id) = (variable("endpoint"), variable("id"));
    let target = Target { operation, method, template, path: &path, endpoint, id };
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
