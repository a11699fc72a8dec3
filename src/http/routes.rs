//! The routes, as the table of operations has them.

use std::collections::BTreeMap;

use actix_web::http::Method;
use actix_web::web::{self, ServiceConfig};
use actix_web::{HttpRequest, guard};

use super::Shared;
use super::handle::{handle, method_not_allowed, not_found};
use crate::domain::Operation;

/// Adds every route of every operation, and answers for what is not there.
pub(super) fn configure(config: &mut ServiceConfig) {
    let mut templates: BTreeMap<(usize, &'static str), Vec<(&'static str, Operation)>> = BTreeMap::new();
    for operation in Operation::ALL {
        for (method, template) in operation.routes() {
            // Fixed segments go before variable ones: `/Me` is no endpoint and `.search` is no id.
            let variables = template.matches('{').count();
            let routes = templates.entry((variables, template)).or_default();
            routes.push((method, *operation));
            // RFC 9110 §9.3.2: HEAD is answered as GET is; the server leaves the body out.
            if *method == "GET" {
                routes.push(("HEAD", *operation));
            }
        }
    }
    for ((_, template), routes) in templates {
        let template_path = template.trim_end_matches('/');
        let mut resource = web::resource(template_path);
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
    config.default_service(web::to(|request: HttpRequest, shared: web::Data<Shared>| async move {
        not_found(&request, &shared)
    }));
}
