//! `keyroll key`.

use clap::Subcommand;

use super::{Output, found, host, permission, principal, print};
use crate::domain::principal::OPERATOR;
use crate::domain::{Id, duration};
use crate::service::credentials::{self, Owner};
use crate::service::{Error, Service};

#[derive(Subcommand, Debug)]
pub(super) enum Command {
    /// Issue a key; it is shown this once
    Issue {
        /// Whose key: an id, a userName, or operator
        #[arg(long, value_name = "ID|userName|operator", required_unless_present = "connection")]
        owner: Option<String>,
        /// A provisioning key of this connection
        #[arg(long, value_name = "NAME", conflicts_with_all = ["owner", "grant"])]
        connection: Option<String>,
        /// What the key may do at most, api:resource:action; without it the key proves who its owner is
        #[arg(long, value_name = "PERMISSION", value_parser = permission)]
        grant: Vec<String>,
        /// How long it lives, such as P90D
        #[arg(long, value_name = "DURATION", value_parser = duration)]
        expires_in: Option<String>,
        /// A name for people
        #[arg(long, default_value = "")]
        name: String,
        #[command(flatten)]
        output: Output,
    },
    /// List keys
    List {
        /// Only those of this owner: an id, a userName, or operator
        #[arg(long, value_name = "ID|userName|operator")]
        owner: Option<String>,
        #[command(flatten)]
        output: Output,
    },
    /// Show the record of a key
    Show {
        /// The key's id
        id: String,
        #[command(flatten)]
        output: Output,
    },
    /// Revoke a key for good
    Revoke {
        /// The key's id
        id: String,
        /// Why: a code of a–z and _
        #[arg(long, value_parser = reason)]
        reason: Option<String>,
        #[command(flatten)]
        output: Output,
    },
}

pub(super) fn run(service: &Service, command: Command) -> Result<(), Error> {
    match command {
        Command::Issue { owner, connection, grant, expires_in, name, output } => {
            let context = host(service, "key issue")?;
            let owner = match (connection, owner) {
                (Some(connection), _) => Owner::Connection(connection),
                (None, Some(owner)) => named(service, &owner)?,
                (None, None) => return Err(Error::Refused("--owner or --connection is needed".to_owned())),
            };
            let issued = service.issue_key_on_host(&context, owner, &name, &grant, expires_in.as_deref())?;
            print::show(&issued, output)
        }
        Command::List { owner, output } => list(service, owner.as_deref(), output),
        Command::Show { id, output } => {
            print::show(&found("key", &id, service.read_key(&host(service, "key show")?, &id))?, output)
        }
        Command::Revoke { id, reason, output } => {
            let context = host(service, "key revoke")?;
            print::show(&found("key", &id, service.revoke_key(&context, &id, reason.as_deref()))?, output)
        }
    }
}

/// A duration as an argument.
fn duration(text: &str) -> Result<String, String> {
    let expected = || "expected weeks, days, hours, minutes and seconds, such as P90D or PT12H".to_owned();
    duration::parse(text).map(|_| text.to_owned()).ok_or_else(expected)
}

/// A reason as an argument.
fn reason(text: &str) -> Result<String, String> {
    let expected = || "expected a code of a–z and _, at most 64 letters".to_owned();
    credentials::is_reason(text).then(|| text.to_owned()).ok_or_else(expected)
}

/// An owner as people name one.
fn named(service: &Service, owner: &str) -> Result<Owner, Error> {
    if owner == OPERATOR {
        return Ok(Owner::Operator);
    }
    if Id::parse(owner).is_none() {
        return Ok(Owner::UserName(owner.to_owned()));
    }
    let (kind, id) = principal(service, &host(service, "key issue")?, owner)?;
    Ok(Owner::Principal(kind, id))
}

fn list(service: &Service, owner: Option<&str>, output: Output) -> Result<(), Error> {
    let context = host(service, "key list")?;
    let owner = match owner {
        None => None,
        Some(owner) => Some(principal(service, &context, owner)?.1),
    };
    let columns = ["id", "display", "name", "owner.id", "status", "reasons", "expires_at"];
    let page = |cursor: Option<&str>| service.list_keys(&context, owner.as_ref(), print::PAGE, cursor);
    print::pages("keys", &columns, output, page)
}
