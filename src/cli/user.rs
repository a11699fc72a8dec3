//! `keyroll user`.

use clap::{Args, Subcommand};
use serde_json::json;

use super::agent::no_sponsor;
use super::{Output, found, host, print};
use crate::service::directory::users::{Hold, Origin, UserResponse};
use crate::service::log::{self, Leaving};
use crate::service::{Context, Error, Service};

#[derive(Subcommand, Debug)]
pub(super) enum Command {
    /// List people and agents, local ones included
    List(Output),
    /// Show one
    Show(Named),
    /// Suspend by an admin's hold, which no identity provider lifts; the keys stop working at once
    Suspend(Named),
    /// Lift an admin's hold
    Activate(Lift),
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

/// Whose hold is lifted.
#[derive(Args, Debug)]
pub(super) struct Lift {
    #[command(flatten)]
    of: Named,
    /// Also say active: true where the identity provider says false, or is refused to say true
    #[arg(long)]
    force: bool,
}

pub(super) fn run(service: &Service, command: Command) -> Result<(), Error> {
    match command {
        Command::List(output) => list(service, output),
        Command::Show(named) => {
            let context = host(service, "user show")?;
            let user = found("user", &named.user, service.read_user(&context, &named.user))?;
            show(service, &context, &user, named.output)
        }
        Command::Suspend(named) => {
            let context = host(service, "user suspend")?;
            print::show(
                &found("user", &named.user, service.hold_user(&context, &named.user, Hold::Put, None))?,
                named.output,
            )
        }
        Command::Activate(Lift { of, force }) => {
            let context = host(service, "user activate")?;
            let shown = found("user", &of.user, service.hold_user(&context, &of.user, lifted(force), None))?;
            print::show(&shown, of.output)?;
            if let Some(why) = in_the_way(service, &context, &shown, &of.user)? {
                print::note(&format!("{} is still not live: {why}", of.user));
            }
            if force && shown.live {
                of_keyroll(service, &context, &shown)?.iter().for_each(|held| print::note(held));
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

/// What `--force` asks for.
pub(super) fn lifted(force: bool) -> Hold {
    if force { Hold::Overrule } else { Hold::Lift }
}

/// Prints somebody; of whoever has left, also by which record of the log, and who did it.
fn show(service: &Service, context: &Context, user: &UserResponse, output: Output) -> Result<(), Error> {
    let has_left = !user.active || user.admin_hold || user.deleted_at.is_some();
    let leaving = if has_left { log::leaving(service, context, &user.id)? } else { None };
    let mut shown = serde_json::to_value(user)?;
    if let (Some(leaving), Some(members)) = (leaving, shown.as_object_mut()) {
        let Leaving { seq, action, by } = &leaving;
        let told = if output.json { json!(leaving) } else { format!("{action} by {by}, record {seq}").into() };
        members.insert("left_by".to_owned(), told);
    }
    print::show(&shown, output)
}

/// Why somebody is not live whom no hold suspends.
fn in_the_way(service: &Service, context: &Context, shown: &UserResponse, name: &str) -> Result<Option<String>, Error> {
    if shown.live {
        return Ok(None);
    }
    Ok(Some(match (shown.active, shown.origin == Origin::Admin) {
        (false, _) => {
            format!("{INACTIVE}: keyroll user activate {} --force says so in its place", print::argument(name))
        }
        (true, false) => "none of its owners is live: the identity provider has to name one who is".to_owned(),
        (true, true) => no_sponsor(&service.read_agent(context, &shown.id.to_string())?),
    }))
}

/// What somebody who comes back may do with Keyroll itself: an identity provider may not bring that about, but of whoever is
/// inactive it writes what it likes (design §5), and a rule or a role that it asserts may give it.
fn of_keyroll(service: &Service, context: &Context, shown: &UserResponse) -> Result<Option<String>, Error> {
    let access = service.read_access(context, shown.kind, &shown.id.to_string(), None)?;
    let held = access.permissions.texts().into_iter().filter(|text| text.starts_with("keyroll:"));
    let held = held.collect::<Vec<_>>().join(", ");
    let why = format!("keyroll access show {} says why", shown.id);
    Ok((!held.is_empty()).then(|| format!("this permits on Keyroll itself: {held}: {why}")))
}

/// What only `--force` overrules.
pub(super) const INACTIVE: &str = "the identity provider does not say active: true";

fn list(service: &Service, output: Output) -> Result<(), Error> {
    let context = host(service, "user list")?;
    let columns = ["id", "type", "name", "origin", "live", "active", "admin_hold"];
    print::pages("users", &columns, output, |cursor| service.list_users(&context, print::PAGE, cursor))
}
