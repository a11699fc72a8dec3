//! The routes, as the table of operations has them.

use std::collections::BTreeMap;

use actix_web::http::Method;
use actix_web::web::{self, ServiceConfig};
use actix_web::{HttpRequest, HttpResponse, guard};

use super::Shared;
use super::handle::{handle, method_not_allowed, not_found};
use crate::domain::Operation;

/// What the templates of most operations begin with. A request's path is compared with those of its own
/// alone: each comparison with a variable in it costs as much as finding the answer.
const SCOPES: [&str; 2] = ["/scim/v2", "/v1"];

/// Templates with their methods and operations, in the order in which paths are compared with them.
type Templates = BTreeMap<(usize, &'static str), Vec<(&'static str, Operation)>>;

/// Adds every route of every operation, and answers for what is not there.
pub(super) fn configure(config: &mut ServiceConfig) {
    let mut scopes: BTreeMap<&'static str, Templates> = BTreeMap::new();
    for operation in Operation::ALL {
        for (method, template) in operation.routes() {
            // Fixed segments go before variable ones: `/Me` is no endpoint and `.search` is no id.
            let variables = template.matches('{').count();
            let scope = SCOPES.into_iter().find(|scope| template.starts_with(scope)).unwrap_or_default();
            let routes = scopes.entry(scope).or_default().entry((variables, template)).or_default();
            routes.push((method, *operation));
            // RFC 9110 §9.3.2: HEAD is answered as GET is; the server leaves the body out.
            if *method == "GET" {
                routes.push(("HEAD", *operation));
            }
        }
    }
    let root = scopes.remove("").unwrap_or_default();
    for (prefix, templates) in scopes {
        let scope = web::scope(prefix).configure(|config| add(config, prefix, templates));
        config.service(scope.default_service(web::to(absent)));
    }
    add(config, "", root);
    config.default_service(web::to(absent));
}

fn add(config: &mut ServiceConfig, prefix: &str, templates: Templates) {
    for ((_, template), routes) in templates {
        let path = template.strip_prefix(prefix).unwrap_or(template).trim_end_matches('/');
        let mut resource = web::resource(path);
        let allowed: Vec<&'static str> = routes.iter().map(|(method, _)| *method).collect();
        for (method, operation) in routes {
            let Ok(verb) = Method::from_bytes(method.as_bytes()) else { continue };
            let handler = move |request: HttpRequest, payload: web::Payload, shared: web::Data<Shared>| {
                handle(request, payload, shared, operation, template)
            };
            resource = resource.route(web::route().guard(guard::Method(verb)).to(handler));
        }
        let allow = allowed.join(", ");
        config.service(resource.default_service(web::to(move |request: HttpRequest, shared: web::Data<Shared>| {
            let allow = allow.clone();
            async move { method_not_allowed(&request, &shared, &allow) }
        })));
    }
}

async fn absent(request: HttpRequest, shared: web::Data<Shared>) -> HttpResponse {
    not_found(&request, &shared)
}
