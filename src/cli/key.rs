//! `keyroll key`.

use clap::builder::PossibleValuesParser;
use clap::{ArgGroup, Args, Subcommand};
use serde::Serialize;

use super::conditions::Conditions;
use super::{Output, found, host, key_text, permission, principal, print};
use crate::domain::class::Class;
use crate::domain::credential::{Hold, RetireOn, Status};
use crate::domain::principal::is_operator;
use crate::domain::{Id, duration};
use crate::service::keys::identify::IdentifyRequest;
use crate::service::keys::request::GrantTexts;
use crate::service::keys::response::KeyResponse;
use crate::service::keys::rotate::{RotateReason, RotateRequest};
use crate::service::keys::steps::NarrowRequest;
use crate::service::keys::{self, Filter, Owner};
use crate::service::request::Text;
use crate::service::{Context, Error, Service};

#[derive(Subcommand, Debug)]
pub(super) enum Command {
    /// Issue a key; it is shown this once
    #[command(group(ArgGroup::new("whose").required(true).args(["owner", "connection"])))]
    Issue {
        /// Whose key: an id, a userName, an agent's name, or operator
        #[arg(long, value_name = "ID|NAME|operator")]
        owner: Option<String>,
        /// A provisioning key of this connection
        #[arg(long, value_name = "NAME", conflicts_with = "grant")]
        connection: Option<String>,
        /// What the key may do at most, api:resource:action; without it the key proves who its owner is, and the operator's may do everything
        #[arg(long, value_name = "PERMISSION", value_parser = permission)]
        grant: Vec<String>,
        #[command(flatten)]
        conditions: Conditions,
        /// How long it lives, such as P90D
        #[arg(long, value_name = "DURATION", value_parser = duration)]
        expires_in: Option<String>,
        /// A name for people
        #[arg(long, default_value = "")]
        name: String,
        #[command(flatten)]
        output: Output,
    },
    /// List keys, each with its owner and the status that verification would tell
    List {
        /// Only those of this owner: an id, a userName, the name of an agent or of a connection, or operator
        #[arg(long, value_name = "ID|NAME|operator")]
        owner: Option<String>,
        /// Only those of people (u), of agents (s), or of connections (p)
        #[arg(long, value_name = "u|s|p", value_parser = ["u", "s", "p"], hide_possible_values = true)]
        class: Option<String>,
        /// Only those with this status
        #[arg(long, value_name = "STATUS", value_parser = PossibleValuesParser::new(Status::ALL.map(Status::name)))]
        status: Option<String>,
        /// Only those that end before a date, a time, or a duration from now, such as P14D; the first to end first
        #[arg(long, value_name = "DATE|DURATION", value_parser = end)]
        expires_before: Option<String>,
        #[command(flatten)]
        output: Output,
    },
    /// Show the record of a key
    Show {
        /// The key's id; or -, and its text on standard input or as it is asked for
        #[arg(value_name = "ID|-", value_parser = key_text::argument)]
        id: String,
        #[command(flatten)]
        output: Output,
    },
    /// Tell whose a key is that somebody found: by its public part, a hash of its text, or its text
    #[command(group(ArgGroup::new("clue").required(true).args(["selector", "sha256", "text"])))]
    Identify {
        /// Its public part: the twelve letters behind kru_
        #[arg(long, value_name = "LETTERS")]
        selector: Option<String>,
        /// The SHA-256 of its text, in hexadecimal
        #[arg(long, value_name = "HEX")]
        sha256: Option<String>,
        /// -, and its text on standard input or as it is asked for
        #[arg(value_name = "-", value_parser = ["-"], hide_possible_values = true)]
        text: Option<String>,
        #[command(flatten)]
        output: Output,
    },
    /// Tell which permissions a key has at this moment, and why it lacks the others
    Effective {
        /// The key's id; or -, and its text on standard input or as it is asked for
        #[arg(value_name = "ID|-", value_parser = key_text::argument)]
        id: String,
        #[command(flatten)]
        output: Output,
    },
    /// Hold a key back until it is released
    Hold(Held),
    /// Release a key that was held back, for that reason alone
    Release(Held),
    /// Give a key another name
    Rename {
        /// The key's id; or -, and its text on standard input or as it is asked for
        #[arg(value_name = "ID|-", value_parser = key_text::argument)]
        id: String,
        /// A name for people
        name: String,
        #[command(flatten)]
        output: Output,
    },
    /// Take permissions away from a key
    Narrow {
        /// The key's id; or -, and its text on standard input or as it is asked for
        #[arg(value_name = "ID|-", value_parser = key_text::argument)]
        id: String,
        /// All that the key may do from now on, api:resource:action
        #[arg(long, value_name = "PERMISSION", value_parser = permission, required = true)]
        grant: Vec<String>,
        #[command(flatten)]
        conditions: Conditions,
        #[command(flatten)]
        output: Output,
    },
    /// Give a key a later end
    Extend {
        /// The key's id; or -, and its text on standard input or as it is asked for
        #[arg(value_name = "ID|-", value_parser = key_text::argument)]
        id: String,
        /// How long it lives from now on, such as P90D
        #[arg(long, value_name = "DURATION", value_parser = duration)]
        expires_in: String,
        #[command(flatten)]
        output: Output,
    },
    /// Give a key a successor, which may do the same; the new key is shown this once
    Rotate(Rotated),
    /// Revoke every key of a user or an agent for good
    RevokeAll {
        /// Whose: an id, a userName, an agent's name, or operator
        #[arg(long, value_name = "ID|NAME|operator")]
        owner: String,
        /// Why: a code of a–z and _, for the log; or a text, which is kept beside the log until the owner is deleted
        #[arg(long, value_parser = reason)]
        reason: Option<String>,
        #[command(flatten)]
        output: Output,
    },
    /// Revoke a key for good
    Revoke {
        /// The key's id; or -, and its text on standard input or as it is asked for
        #[arg(value_name = "ID|-", value_parser = key_text::argument)]
        id: String,
        /// Why: a code of a–z and _, for the log; or a text, which is kept beside the log until the owner is deleted
        #[arg(long, value_parser = reason)]
        reason: Option<String>,
        #[command(flatten)]
        output: Output,
    },
}

/// A key that is held back, or released.
#[derive(Args, Debug)]
pub(super) struct Held {
    /// The key's id; or -, and its text on standard input or as it is asked for
    #[arg(value_name = "ID|-", value_parser = key_text::argument)]
    id: String,
    /// The reason, which goes by itself
    #[arg(long, default_value = Hold::AdminHold.name(), value_parser = PossibleValuesParser::new(Hold::ALL.map(Hold::name)))]
    reason: String,
    #[command(flatten)]
    output: Output,
}

/// A key that gets a successor.
#[derive(Args, Debug)]
pub(super) struct Rotated {
    /// The key's id; or -, and its text on standard input or as it is asked for
    #[arg(value_name = "ID|-", value_parser = key_text::argument)]
    id: String,
    /// How long the old key goes on, at most P7D
    #[arg(long, value_name = "DURATION", value_parser = duration, conflicts_with = "compromised")]
    grace: Option<String>,
    /// Somebody else may know the old key: it ends at once
    #[arg(long)]
    compromised: bool,
    /// The old key ends with the first use of the new one, if that comes earlier
    #[arg(long)]
    retire_on_first_use: bool,
    #[command(flatten)]
    output: Output,
}

pub(super) fn run(service: &Service, command: Command) -> Result<(), Error> {
    match command {
        Command::Issue { owner, connection, grant, conditions, expires_in, name, output } => {
            let context = host(service, "key issue")?;
            let owner = match (connection, owner) {
                (Some(connection), _) => Owner::Connection(connection),
                (None, Some(owner)) => named(service, &owner)?,
                (None, None) => return Err(Error::Refused("--owner or --connection is needed".to_owned())),
            };
            let grant = GrantTexts { permissions: &grant, when: conditions.when()? };
            let issued = service.issue_key_on_host(&context, owner, &name, &grant, expires_in.as_deref())?;
            show(&issued, &issued.record, output)
        }
        Command::List { owner, class, status, expires_before, output } => {
            let (owner, class) = (owner.as_deref(), class.as_deref());
            let (status, expires_before) = (status.as_deref(), expires_before.as_deref());
            list(service, &Filter { owner, class, status, expires_before }, output)
        }
        Command::Show { id, output } => {
            let context = host(service, "key show")?;
            let id = key_text::named(service, &context, "show", id, output)?;
            let key = found("key", &id, service.read_key(&context, &id))?;
            show(&key, &key, output)
        }
        Command::Identify { selector, sha256, text: _, output } => identify(service, selector, sha256, output),
        Command::Effective { id, output } => {
            let context = host(service, "key effective")?;
            let id = key_text::named(service, &context, "effective", id, output)?;
            print::list(
                &found("key", &id, service.effective_key(&context, &id))?,
                "permissions",
                &["permission", "state"],
                output,
            )
        }
        Command::Hold(held) => hold(service, "hold", held, true),
        Command::Release(held) => hold(service, "release", held, false),
        Command::Rename { id, name, output } => {
            on_key(service, "rename", id, output, |context, id| service.rename_key(context, id, &name))
        }
        Command::Narrow { id, grant, conditions, output } => on_key(service, "narrow", id, output, |context, id| {
            service.narrow_key(
                context,
                id,
                &NarrowRequest::of(&GrantTexts { permissions: &grant, when: conditions.when()? })?,
            )
        }),
        Command::Extend { id, expires_in, output } => {
            on_key(service, "extend", id, output, |context, id| service.extend_key(context, id, &expires_in))
        }
        Command::RevokeAll { owner, reason, output } => revoke_all(service, &owner, reason.as_deref(), output),
        Command::Rotate(rotated) => rotate(service, rotated),
        Command::Revoke { id, reason, output } => {
            let context = host(service, "key revoke")?;
            let id = key_text::named(service, &context, "revoke", id, output)?;
            let before = found("key", &id, service.read_key(&context, &id))?;
            let revoked = found("key", &id, service.revoke_key(&context, &id, reason.as_deref()))?;
            if let (Some(at), true) = (&revoked.revoked_at, before.revoked_at == revoked.revoked_at) {
                let why = revoked.revoke_note.as_ref().or(revoked.revoke_reason.as_ref());
                let why = why.map(|why| format!(", for {why}")).unwrap_or_default();
                let kept = if reason.is_some() { ", and that stays the reason" } else { "" };
                print::note(&format!("it was revoked already, at {at}{why}{kept}"));
            }
            show(&revoked, &revoked, output)
        }
    }
}

/// Does something with a key that is named by its id or its text, and shows what became of it.
fn on_key(
    service: &Service,
    verb: &str,
    id: String,
    output: Output,
    work: impl FnOnce(&Context, &str) -> Result<KeyResponse, Error>,
) -> Result<(), Error> {
    let context = host(service, &format!("key {verb}"))?;
    let id = key_text::named(service, &context, verb, id, output)?;
    let key = found("key", &id, work(&context, &id))?;
    show(&key, &key, output)
}

fn hold(service: &Service, verb: &str, Held { id, reason, output }: Held, hold: bool) -> Result<(), Error> {
    let reason = Hold::parse(&reason).unwrap_or_default();
    on_key(service, verb, id, output, |context, id| service.hold_key(context, id, reason, hold))
}

fn revoke_all(service: &Service, owner: &str, reason: Option<&str>, output: Output) -> Result<(), Error> {
    let revoked = service.revoke_keys_of(&host(service, "key revoke-all")?, owner, reason);
    print::show(&found("owner", owner, revoked)?, output)
}

fn rotate(service: &Service, rotated: Rotated) -> Result<(), Error> {
    let Rotated { id, grace, compromised, retire_on_first_use, output } = rotated;
    let request = RotateRequest {
        grace: grace.map(Text),
        reason: if compromised { RotateReason::Compromised } else { RotateReason::Scheduled },
        retire_on: if retire_on_first_use { RetireOn::FirstUse } else { RetireOn::Deadline },
    };
    let context = host(service, "key rotate")?;
    let id = key_text::named(service, &context, "rotate", id, output)?;
    let rotated = found("key", &id, service.rotate_key(&context, &id, &request))?;
    show(&rotated, &rotated.issued.record, output)
}

fn identify(service: &Service, selector: Option<String>, sha256: Option<String>, output: Output) -> Result<(), Error> {
    let context = host(service, "key identify")?;
    let key = match (&selector, &sha256) {
        (None, None) => Some(key_text::read_one("identify")?),
        _ => None,
    };
    let clue = IdentifyRequest { key: key.map(Text), selector: selector.map(Text), sha256: sha256.map(Text) };
    let found = service.identify_key(&context, &clue).map_err(|error| match error {
        Error::NotFound => Error::Refused("no key of this installation is that one".to_owned()),
        other => other,
    })?;
    show(&found, &found, output)
}

/// Prints a key; for people, its owner is a few words.
fn show(shown: &impl Serialize, key: &KeyResponse, output: Output) -> Result<(), Error> {
    let mut shown = serde_json::to_value(shown)?;
    if let (false, Some(owner), Some(place)) = (output.json, &key.owner, shown.get_mut("owner")) {
        *place = format!("{} {}", named_owner(key).unwrap_or_default(), owner.id).into();
    }
    print::show(&shown, output)
}

/// Whose a key is: `user mira`. A provisioning key is its connection's, whose agent nobody knows by name.
pub(super) fn named_owner(key: &KeyResponse) -> Option<String> {
    let owner = key.owner.as_ref()?;
    let kind = if key.class == Class::Provisioning.letter() { "connection" } else { owner.kind.name() };
    Some(format!("{kind} {}", owner.name.as_deref().unwrap_or("?")))
}

/// A duration as an argument.
fn duration(text: &str) -> Result<String, String> {
    let expected = || "expected weeks, days, hours, minutes and seconds, such as P90D or PT12H".to_owned();
    duration::parse(text).map(|_| text.to_owned()).ok_or_else(expected)
}

/// The end of a list as an argument.
fn end(text: &str) -> Result<String, String> {
    let expected = || format!("expected {}", keys::list::END);
    keys::list::is_end(text).then(|| text.to_owned()).ok_or_else(expected)
}

/// A reason as an argument.
fn reason(text: &str) -> Result<String, String> {
    match keys::is_reason(text) {
        true => Ok(text.to_owned()),
        false => keys::note_flaw(text).map_or(Ok(text.to_owned()), |flaw| Err(format!("expected {flaw}"))),
    }
}

/// An owner as people name one.
fn named(service: &Service, owner: &str) -> Result<Owner, Error> {
    if is_operator(owner) {
        return Ok(Owner::Operator);
    }
    if Id::parse(owner).is_none() {
        return Ok(Owner::Named(owner.to_owned()));
    }
    let (kind, id) = principal(service, &host(service, "key issue")?, owner)?;
    Ok(Owner::Principal(kind, id))
}

fn list(service: &Service, filter: &Filter<'_>, output: Output) -> Result<(), Error> {
    let context = host(service, "key list")?;
    let columns = ["id", "display", "class", "name", "owner.name", "status", "reasons", "expires_at"];
    let page = |cursor: Option<&str>| service.list_keys(&context, filter, print::PAGE, cursor);
    print::pages("keys", &columns, output, page)
}
