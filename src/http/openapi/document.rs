//! The document as a whole.

use serde_json::{Map, Value, json};

use super::answers::headers;
use super::contract::Contract;
use super::schemas::{Schemas, add};
use super::{examples, refusals};
use crate::domain::Operation;
use crate::domain::operation::{Keys, Surface};
use crate::http::conditions::is_tagged;
use crate::http::parameters;

const DESCRIPTION: &str = "Keyroll turns identity changes into access changes: it keeps who may do what, issues and \
    revokes the keys that hang on it, and answers the services that ask. This describes its own API under `/v1`, \
    decisions by OpenID AuthZEN under `/access/v1`, and what anybody may read. SCIM 2.0 under `/scim/v2` describes \
    itself (RFC 7644 §4).";

/// The description of the API behind a URL, as text.
pub(super) fn render(public_url: &str) -> String {
    let mut schemas = Schemas::new();
    let paths = paths(&mut schemas);
    let responses = refusals::responses(&mut schemas);
    let document = json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Keyroll",
            "version": env!("CARGO_PKG_VERSION"),
            "description": DESCRIPTION,
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": public_url}],
        "security": [{SECURITY: []}],
        "paths": paths,
        "components": {
            "schemas": schemas.into_named(),
            "responses": responses,
            "headers": headers(),
            "securitySchemes": {
                SECURITY: {"type": "http", "scheme": "bearer", "description": "A key: `kru_…` or `krs_…`."},
            },
        },
    });
    format!("{document:#}\n")
}

const SECURITY: &str = "key";

fn paths(schemas: &mut Schemas) -> Map<String, Value> {
    let mut paths: Map<String, Value> = Map::new();
    for operation in Operation::ALL {
        let Some(contract) = Contract::of(*operation) else { continue };
        for (method, template) in operation.routes() {
            let described = describe(*operation, template, &contract, schemas);
            let path = paths.entry(*template).or_insert_with(|| Map::new().into());
            add(path, &method.to_ascii_lowercase(), described);
        }
    }
    paths
}

fn describe(operation: Operation, template: &str, contract: &Contract, schemas: &mut Schemas) -> Value {
    let mut responses: Map<String, Value> =
        contract.gives.iter().map(|answer| (answer.status.to_string(), answer.render(schemas))).collect();
    responses.append(&mut refusals::of(operation, contract));
    let mut shown = json!({
        "operationId": id(operation),
        "tags": [tag(operation, template)],
        "summary": operation.summary().trim_end_matches('.'),
        "description": permission(operation),
        "parameters": parameters(operation, template),
        "responses": responses,
    });
    if let Some(taken) = &contract.takes {
        let content = json!({"schema": (taken.describe)(schemas), "example": examples::body(operation)});
        let body = json!({"required": taken.is_required, "content": {"application/json": content}});
        add(&mut shown, "requestBody", body);
    }
    if operation.keys() == Keys::Open {
        add(&mut shown, "security", json!([]));
    }
    if !operation.permission().is_empty() {
        add(&mut shown, "x-keyroll-permission", operation.permission());
    }
    shown
}

/// The name of the operation in the table, as programs write names of functions.
fn id(operation: Operation) -> String {
    let name = operation.name();
    let first = name.chars().next().map(|first| first.to_ascii_lowercase());
    first.into_iter().chain(name.chars().skip(1)).collect()
}

/// What operations are grouped by: the noun of their path.
fn tag(operation: Operation, template: &str) -> &str {
    match operation {
        Operation::KeyVerify | Operation::KeyIdentify | Operation::KeyExpose | Operation::Whoami => "keys",
        Operation::UserAccess | Operation::AgentAccess | Operation::RoleHolders => "access",
        _ => match operation.surface() {
            Surface::AuthZen => "authzen",
            Surface::Open => "server",
            _ => template.split('/').nth(2).unwrap_or_default(),
        },
    }
}

fn permission(operation: Operation) -> String {
    let permission = operation.permission();
    match operation.keys() {
        Keys::Open | Keys::None => "Needs no key.".to_owned(),
        _ if permission.is_empty() => "Needs a key, and no permission.".to_owned(),
        Keys::Any => format!("Needs the permission `{permission}`, but for the key's own."),
        _ => format!("Needs the permission `{permission}`; provisioning keys never have it."),
    }
}

fn parameters(operation: Operation, template: &str) -> Vec<Value> {
    let text = json!({"type": "string"});
    let mut shown = vec![];
    if template.contains("{id}") {
        let example = examples::id(template);
        let what = what_id(template);
        shown.push(json!({"name": "id", "in": "path", "required": true, "description": what, "schema": text, "example": example}));
    }
    for parameter in parameters::of(operation) {
        let mut described = json!({
            "name": parameter.name,
            "in": "query",
            "description": parameter.summary,
            "schema": parameter.schema(),
        });
        if let Some(example) = parameter.example() {
            add(&mut described, "example", example);
        }
        shown.push(described);
    }
    for (name, what) in conditions(operation) {
        shown.push(json!({"name": name, "in": "header", "description": what, "schema": text}));
    }
    shown
}

/// What stands for `{id}`.
fn what_id(template: &str) -> &'static str {
    match template.split('/').nth(2) {
        Some("users") => "An id, a userName, an agent's name, or `operator`.",
        Some("agents") => "An id or a name.",
        Some("apis" | "roles") => "A name.",
        _ => "An id.",
    }
}

fn conditions(operation: Operation) -> Vec<(&'static str, &'static str)> {
    let mut known = vec![];
    if is_tagged(operation) {
        known.push(match operation.writes() {
            true => ("If-Match", "Does it only to the version with one of these tags."),
            false => ("If-None-Match", "Shows it only if it has none of these tags."),
        });
    }
    if operation == Operation::Changes {
        known.push(("Last-Event-ID", "Of a stream of events: the number of the last change that was seen."));
    }
    known
}
