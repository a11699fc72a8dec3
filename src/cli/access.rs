//! `keyroll access`.

use std::process::ExitCode;

use chrono::{DateTime, Utc};
use clap::{Args, Subcommand};
use serde::Serialize;
use serde_json::Value;

use super::{Output, found, host, mapping, print};
use crate::domain::mapping::Person;
use crate::domain::principal::{PrincipalKind, is_operator};
use crate::domain::{Permission, Permissions, moment};
use crate::service::reports::response::{
    AccessResponse, Explanation, GroupStep, NearestRole, PossibleSource, ReasonResponse,
};
use crate::service::{Error, Service};

#[derive(Subcommand, Debug)]
pub(super) enum Command {
    /// Show what somebody may do, and every reason for it
    Show {
        /// Whom: an id, a userName, an agent's name, or operator
        user: String,
        #[command(flatten)]
        at: At,
        #[command(flatten)]
        output: Output,
    },
    /// Tell whether somebody may do something, and why or what is nearest; a no exits with 1
    Explain {
        /// Whom: an id, a userName, an agent's name, or operator
        user: String,
        /// What, such as billing:invoices:read
        #[arg(value_parser = single)]
        permission: String,
        #[command(flatten)]
        at: At,
        #[command(flatten)]
        output: Output,
    },
}

/// A past moment.
#[derive(Args, Debug)]
pub(super) struct At {
    /// At a past time instead of now: 2027-01-31T09:30:00Z, or 2027-01-31, the end of that day in UTC
    #[arg(long, value_name = "TIME", value_parser = moment)]
    pub(super) at: Option<String>,
}

impl At {
    /// What is missing where nobody is found.
    fn whom(&self) -> &'static str {
        match self.at {
            None => "user or agent",
            Some(_) => "user or agent who has this name now (who had it at that time is found by id):",
        }
    }

    /// Says so if the time lies ahead, which a typing error makes it: nobody knows who comes and goes until then.
    pub(super) fn tell_if_ahead(&self, service: &Service) {
        let (Some(text), now) = (&self.at, service.now()) else { return };
        let is_today = *text == now.date_naive().to_string();
        if !is_today && moment::parse(text, DateTime::<Utc>::MAX_UTC).is_some_and(|time| time > now) {
            print::note(&format!("{text} lies ahead: this is what is known now"));
        }
    }
}

/// A moment as an argument.
fn moment(text: &str) -> Result<String, String> {
    let read = moment::parse(text, DateTime::<Utc>::MAX_UTC);
    read.map(|_| text.to_owned()).ok_or_else(|| format!("expected {}", moment::EXPECTED))
}

/// A time as an argument.
pub(super) fn time(text: &str) -> Result<String, String> {
    let expected = |_| "expected a time such as 2027-01-31T09:30:00Z".to_owned();
    DateTime::parse_from_rfc3339(text).map(|_| text.to_owned()).map_err(expected)
}

/// One permission as an argument.
fn single(text: &str) -> Result<String, String> {
    let expected = || "expected one permission such as billing:invoices:read, without *".to_owned();
    Permission::parse(text).filter(Permission::is_single).map(|_| text.to_owned()).ok_or_else(expected)
}

/// What is shown of a reason.
const COLUMNS: [&str; 7] = ["role", "source", "path", "via", "since", "until", "mapping"];

/// Gives exit code 1 for a "no".
pub(super) fn run(service: &Service, command: Command) -> Result<ExitCode, Error> {
    match command {
        Command::Show { user, at, output } => {
            at.tell_if_ahead(service);
            let context = host(service, "access show")?;
            let shown = found(at.whom(), &user, service.read_user(&context, &user))?;
            let (kind, id) = (shown.kind, shown.id);
            let access = service.read_access(&context, kind, &user, at.at.as_deref())?;
            if output.json {
                print::json(&access)?;
                return Ok(ExitCode::SUCCESS);
            }
            let name = service.names(&context, &[id])?.remove(&id);
            print::show(&Summary::new(&access, name), output)?;
            let rows = access.roles.iter().flat_map(|held| held.reasons.iter().map(|reason| row(&held.role, reason)));
            print::table(&rows.collect::<Result<Vec<_>, Error>>()?, &COLUMNS);
            print_if(access.truncated);
            Ok(ExitCode::SUCCESS)
        }
        Command::Explain { user, permission, at, output } => {
            at.tell_if_ahead(service);
            let context = host(service, "access explain")?;
            let answer = service.explain(&context, None, (&user, &permission), at.at.as_deref());
            let answer = found(at.whom(), &user, answer)?;
            let code = if answer.allowed { ExitCode::SUCCESS } else { ExitCode::FAILURE };
            if output.json {
                print::json(&answer)?;
                return Ok(code);
            }
            let word = if answer.allowed { "yes" } else { "no" };
            let detail = answer.detail.as_deref().unwrap_or_default();
            print::line(&print::harmless(&format!("{word}: {detail}")));
            let rows = answer.reasons.iter().map(|reason| row(reason.role.as_deref().unwrap_or_default(), reason));
            let rows = rows.collect::<Result<Vec<_>, Error>>()?;
            if !rows.is_empty() {
                print::table(&rows, &COLUMNS);
            }
            print_if(answer.truncated);
            if at.at.is_none() {
                hints(&answer, &user).iter().for_each(|hint| print::line(&print::harmless(hint)));
            }
            Ok(code)
        }
    }
}

/// The commands that would make the mapping which is missing: for a group that they are in, else for whoever the
/// identity provider puts into one, and for this one alone.
fn hints(answer: &Explanation, user: &str) -> Vec<String> {
    let Some(NearestRole { role, could_map, .. }) = &answer.nearest else { return vec![] };
    let create = format!("keyroll mapping create --role {}", print::argument(role));
    let group = |source: &PossibleSource| match source {
        PossibleSource::Group { group } => Some(format!("hint: {create} {}", mapping::group_flag(group))),
        PossibleSource::Person { .. } => None,
    };
    let mut hints: Vec<String> = could_map.iter().filter_map(group).collect();
    let is_person = answer.principal.kind == PrincipalKind::User && !is_operator(user);
    if hints.is_empty() && !could_map.is_empty() && is_person {
        hints.push(format!("hint: {create} --group NAME  # and their identity provider puts them into that group"));
    }
    if answer.live || !could_map.is_empty() {
        hints.push(format!("hint: {create} --user {} --reason WHY", print::argument(user)));
    }
    hints
}

/// Says so if there are more ways through groups than the answer lists.
fn print_if(truncated: bool) {
    if truncated {
        print::line("there are more ways through groups than are listed; every mapping that applies is");
    }
}

/// What an answer says beside the roles.
#[derive(Serialize)]
struct Summary<'a> {
    principal: String,
    live: bool,
    permissions: &'a Permissions,
    as_of_seq: i64,
}

impl Summary<'_> {
    fn new(access: &AccessResponse, name: Option<String>) -> Summary<'_> {
        let AccessResponse { principal: Person { kind, id }, live, permissions, as_of_seq, .. } = access;
        let parts = [Some(kind.name().to_owned()), name, Some(id.to_string())];
        let principal = parts.into_iter().flatten().collect::<Vec<_>>().join(" ");
        Summary { principal, live: *live, permissions, as_of_seq: *as_of_seq }
    }
}

/// A reason as a row, with its groups in one cell, outermost first.
fn row(role: &str, reason: &ReasonResponse) -> Result<Value, Error> {
    #[derive(Serialize)]
    struct Row<'a> {
        #[serde(flatten)]
        reason: &'a ReasonResponse,
        role: &'a str,
        path: Option<String>,
    }
    let steps: Vec<String> = reason.path.iter().flatten().map(step).collect();
    let path = Some(steps.join(" > ")).filter(|path| !path.is_empty());
    Ok(serde_json::to_value(Row { reason, role, path })?)
}

/// A group by its name, or by its id if it has none.
fn step(group: &GroupStep) -> String {
    group.display_name.clone().unwrap_or_else(|| group.id.to_string())
}
