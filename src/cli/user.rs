//! `keyroll user`.

use clap::{Args, Subcommand};
use serde_json::json;

use super::agent::NO_SPONSOR;
use super::{Output, found, host, print};
use crate::service::directory::users::{Origin, UserResponse};
use crate::service::{Error, Service};

#[derive(Subcommand, Debug)]
pub(super) enum Command {
    /// List people and agents, local ones included
    List(Output),
    /// Show one
    Show(Named),
    /// Suspend by an admin's hold, which no identity provider lifts; the keys stop working at once
    Suspend(Named),
    /// Lift an admin's hold
    Activate(Named),
    /// Delete, as DELETE in SCIM does; every key is revoked
    Delete(Named),
}

/// Whom.
#[derive(Args, Debug)]
pub(super) struct Named {
    /// An id, a userName, or operator
    user: String,
    #[command(flatten)]
    output: Output,
}

pub(super) fn run(service: &Service, command: Command) -> Result<(), Error> {
    match command {
        Command::List(output) => list(service, output),
        Command::Show(named) => {
            let context = host(service, "user show")?;
            print::show(&found("user", &named.user, service.read_user(&context, &named.user))?, named.output)
        }
        Command::Suspend(named) => {
            let context = host(service, "user suspend")?;
            print::show(
                &found("user", &named.user, service.hold_user(&context, &named.user, true, None))?,
                named.output,
            )
        }
        Command::Activate(named) => {
            let context = host(service, "user activate")?;
            let shown = found("user", &named.user, service.hold_user(&context, &named.user, false, None))?;
            print::show(&shown, named.output)?;
            if let Some(why) = in_the_way(&shown) {
                print::note(&format!("{} is still not live: {why}", named.user));
            }
            Ok(())
        }
        Command::Delete(named) => {
            found("user", &named.user, service.delete_user(&host(service, "user delete")?, &named.user))?;
            if named.output.json {
                return print::json(&json!({"deleted": named.user}));
            }
            print::line(&format!("{} is deleted and every key of theirs is revoked", named.user));
            Ok(())
        }
    }
}

/// Why somebody is not live whom no hold suspends.
fn in_the_way(shown: &UserResponse) -> Option<&'static str> {
    if shown.live {
        return None;
    }
    Some(match (shown.active, shown.origin == Origin::Admin) {
        (false, _) => "the identity provider does not say active: true, and it alone can",
        (true, false) => "none of its owners is live: the identity provider has to name one who is",
        (true, true) => NO_SPONSOR,
    })
}

fn list(service: &Service, output: Output) -> Result<(), Error> {
    let context = host(service, "user list")?;
    let columns = ["id", "type", "name", "origin", "live", "active", "admin_hold"];
    print::pages("users", &columns, output, |cursor| service.list_users(&context, print::PAGE, cursor))
}
