//! `keyroll api`.

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::{Named, Output, host, items, print};
use crate::domain::Api;
use crate::service::{Error, Service};

#[derive(Subcommand, Debug)]
pub(super) enum Command {
    /// List apis, Keyroll's own included
    List(Output),
    /// Show an api
    Show(Named),
    /// Register an api
    Create(Definition),
    /// Replace an api; what is not given is empty
    Replace(Definition),
    /// Delete an api that no role uses
    Delete(Named),
}

/// An api as flags describe it.
#[derive(Args, Debug)]
pub(super) struct Definition {
    /// The api's name, such as billing: the first part of its permissions
    name: String,
    /// What it offers, resource:action
    #[arg(long = "permission", value_name = "PERMISSION")]
    permissions: Vec<String>,
    /// Which request needs which permission, such as "GET /v2/invoices/{id} invoices:read"
    #[arg(long = "route", value_name = "METHOD PATH PERMISSION", value_parser = route)]
    routes: Vec<Value>,
    /// Whether roles may name permissions that are not listed
    #[arg(long)]
    open: bool,
    /// Who looks after it
    #[arg(long, value_name = "TEAM")]
    owner_team: Option<String>,
    /// For people
    #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true)]
    description: String,
    #[command(flatten)]
    output: Output,
}

/// A route in one argument.
fn route(text: &str) -> Result<Value, String> {
    match text.split_whitespace().collect::<Vec<_>>().as_slice() {
        [method, path, permission] => Ok(json!({"method": method, "path": path, "permission": permission})),
        _ => Err("expected a method, a path and a permission".to_owned()),
    }
}

impl Definition {
    /// The body of `POST /v1/apis`.
    fn body(&self) -> Value {
        let permissions: Vec<Value> = self.permissions.iter().map(|name| json!({"name": name})).collect();
        json!({
            "name": self.name,
            "description": self.description,
            "owner_team": self.owner_team,
            "open": self.open,
            "permissions": permissions,
            "routes": self.routes,
        })
    }
}

/// What a table shows of an api.
const COLUMNS: [&str; 6] = ["name", "permissions.name", "routes", "open", "owner_team", "description"];

/// An api may have a thousand routes: a table says how many.
fn count_routes(apis: &mut Value) {
    for api in apis.get_mut("apis").and_then(Value::as_array_mut).into_iter().flatten() {
        if let Some(routes) = api.get_mut("routes") {
            *routes = routes.as_array().map_or(0, Vec::len).into();
        }
    }
}

pub(super) fn run(service: &Service, command: Command) -> Result<(), Error> {
    match command {
        Command::List(output) => {
            let mut apis = serde_json::to_value(service.list_items::<Api>(&host(service, "api list")?)?)?;
            if !output.json {
                count_routes(&mut apis);
            }
            print::list(&apis, "apis", &COLUMNS, output)
        }
        Command::Show(named) => items::show::<Api>(service, named),
        Command::Create(api) => items::create::<Api>(service, &api.body(), api.output),
        Command::Replace(api) => items::replace::<Api>(service, &api.name, &api.body(), api.output),
        Command::Delete(named) => items::delete::<Api>(service, named),
    }
}
