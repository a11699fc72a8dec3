//! `keyroll role`.

use clap::{Args, Subcommand};
use serde::Serialize;
use serde_json::{Value, json};

use super::access::At;
use super::names::named;
use super::{Named, Output, found, host, items, names, permission, print};
use crate::domain::Role;
use crate::service::reports::response::HolderResponse;
use crate::service::{Error, Service};

#[derive(Subcommand, Debug)]
pub(super) enum Command {
    /// List roles, built-in ones included
    List(Output),
    /// Show a role
    Show(Named),
    /// Define a role
    Create(Definition),
    /// Replace the definition of a role; what is not given is empty, and whoever holds it gains and loses at once
    Replace(Definition),
    /// Delete a role that no mapping and no other role names
    Delete(Named),
    /// List who holds a role, and by what
    Holders {
        #[command(flatten)]
        named: Named,
        #[command(flatten)]
        at: At,
    },
}

/// A role as flags describe it: the body of `POST /v1/roles`.
#[derive(Args, Debug, Serialize)]
pub(super) struct Definition {
    /// The role's name, such as billing.viewer
    name: String,
    /// What it gives, api:resource:action; each part may be *
    #[arg(long = "permission", value_name = "PERMISSION", value_parser = permission)]
    permissions: Vec<String>,
    /// A role whose permissions it gives, too
    #[arg(long = "include", value_name = "ROLE")]
    includes: Vec<String>,
    /// A connection that may assert it for a user
    #[arg(long, value_name = "CONNECTION")]
    assertable_by: Vec<String>,
    /// For people
    #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true)]
    description: String,
    #[command(flatten)]
    #[serde(skip)]
    output: Output,
}

pub(super) fn run(service: &Service, command: Command) -> Result<(), Error> {
    match command {
        Command::List(output) => {
            let roles = service.list_items::<Role>(&host(service, "role list")?)?;
            print::list(&roles, "roles", &["name", "permissions", "includes", "assertable_by", "description"], output)
        }
        Command::Show(named) => items::show::<Role>(service, named),
        Command::Create(role) => items::create::<Role>(service, &role, role.output),
        Command::Replace(role) => items::replace::<Role>(service, &role.name, &role, role.output),
        Command::Delete(named) => items::delete::<Role>(service, named),
        Command::Holders { named: Named { name, output }, at } => {
            at.tell_if_ahead(service);
            let At { at } = at;
            let context = host(service, "role holders")?;
            let columns = ["principal.type", "principal.id", "principal.name", "reasons.source", "reasons.mapping"];
            print::pages("holders", &columns, output, |cursor| {
                let page = service.role_holders(&context, &name, at.as_deref(), (print::PAGE, cursor));
                let page = found("role", &name, page)?;
                if output.json {
                    return Ok(serde_json::to_value(page)?);
                }
                let names = names::of(service, &context, page.holders.iter().map(|one| one.principal.id))?;
                let row =
                    |one: &HolderResponse| json!({"principal": named(&names, one.principal), "reasons": one.reasons});
                let rows: Vec<Value> = page.holders.iter().map(row).collect();
                Ok(json!({"holders": rows, "next": page.next}))
            })
        }
    }
}
