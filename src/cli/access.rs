//! `keyroll access`.

use std::process::ExitCode;

use chrono::{DateTime, Utc};
use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::{Output, found, host, mapping, names, principal, print};
use crate::domain::principal::is_operator;
use crate::domain::{Permission, moment};
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
            let At { at } = at;
            let context = host(service, "access show")?;
            let (kind, id) = principal(service, &context, &user)?;
            let access = service.read_access(&context, kind, &id.to_string(), at.as_deref())?;
            let access: Value = serde_json::from_str(&access)?;
            if output.json {
                print::json(&access)?;
                return Ok(ExitCode::SUCCESS);
            }
            let mut access = access;
            names::put(service, &context, &mut access)?;
            print::record(&summary(&access));
            print::table(&rows(&access), &COLUMNS);
            print_if_truncated(&access);
            Ok(ExitCode::SUCCESS)
        }
        Command::Explain { user, permission, at, output } => {
            at.tell_if_ahead(service);
            let At { at } = at;
            let context = host(service, "access explain")?;
            let answer = service.explain(&context, None, (&user, &permission), at.as_deref());
            let answer = found("user or agent", &user, answer)?;
            let allowed = answer.get("allowed").and_then(Value::as_bool) == Some(true);
            let code = if allowed { ExitCode::SUCCESS } else { ExitCode::FAILURE };
            if output.json {
                print::json(&answer)?;
                return Ok(code);
            }
            let word = if allowed { "yes" } else { "no" };
            let detail = answer.get("detail").and_then(Value::as_str).unwrap_or_default();
            print::line(&print::harmless(&format!("{word}: {detail}")));
            let reasons: Vec<Value> = list(&answer, "reasons").into_iter().map(row).collect();
            if !reasons.is_empty() {
                print::table(&reasons, &COLUMNS);
            }
            print_if_truncated(&answer);
            if at.is_none() {
                hints(&answer, &user).iter().for_each(|hint| print::line(&print::harmless(hint)));
            }
            Ok(code)
        }
    }
}

/// The commands that would make the mapping which is missing: for a group that they are in, else for whoever the
/// identity provider puts into one, and for this one alone.
fn hints(answer: &Value, user: &str) -> Vec<String> {
    let Some(role) = answer.pointer("/nearest/role").and_then(Value::as_str) else { return vec![] };
    let create = format!("keyroll mapping create --role {}", print::argument(role));
    let nearest = answer.get("nearest").cloned().unwrap_or_default();
    let could_map = list(&nearest, "could_map");
    let groups = could_map.iter().filter_map(|source| Some(format!("{create} {}", mapping::group_flag(source)?)));
    let mut hints: Vec<String> = groups.map(|command| format!("hint: {command}")).collect();
    let is_live = answer.get("live").and_then(Value::as_bool) == Some(true);
    let is_person = answer.pointer("/principal/type").and_then(Value::as_str) == Some("user") && !is_operator(user);
    if hints.is_empty() && !could_map.is_empty() && is_person {
        hints.push(format!("hint: {create} --group NAME  # and their identity provider puts them into that group"));
    }
    if is_live || !could_map.is_empty() {
        hints.push(format!("hint: {create} --user {} --reason WHY", print::argument(user)));
    }
    hints
}

/// Says so if there are more ways through groups than the answer lists.
fn print_if_truncated(answer: &Value) {
    if answer.get("truncated").is_some() {
        print::line("there are more ways through groups than are listed; every mapping that applies is");
    }
}

/// What an answer says beside the roles.
fn summary(access: &Value) -> Value {
    let of = |name: &str| access.get(name).cloned().unwrap_or_default();
    let text = |pointer: &str| access.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
    let parts = ["/principal/type", "/principal/name", "/principal/id"].map(text);
    let principal = parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(" ");
    json!({
        "principal": principal,
        "live": of("live"),
        "permissions": of("permissions"),
        "as_of_seq": of("as_of_seq"),
    })
}

/// One row for each reason.
fn rows(access: &Value) -> Vec<Value> {
    let mut rows = vec![];
    for role in list(access, "roles") {
        for mut reason in list(&role, "reasons") {
            if let Some(members) = reason.as_object_mut() {
                members.insert("role".to_owned(), role.get("role").cloned().unwrap_or_default());
            }
            rows.push(row(reason));
        }
    }
    rows
}

/// A reason with its groups in one cell, outermost first.
fn row(mut reason: Value) -> Value {
    let steps: Vec<String> = list(&reason, "path").iter().map(step).collect();
    if let Some(members) = reason.as_object_mut() {
        members.insert("path".to_owned(), Some(steps.join(" > ")).filter(|path| !path.is_empty()).into());
    }
    reason
}

fn list(value: &Value, name: &str) -> Vec<Value> {
    value.get(name).and_then(Value::as_array).cloned().unwrap_or_default()
}

/// A group by its name, or by its id if it has none.
fn step(group: &Value) -> String {
    let text = |name: &str| group.get(name).and_then(Value::as_str);
    text("displayName").or_else(|| text("id")).unwrap_or_default().to_owned()
}
