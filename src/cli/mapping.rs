//! `keyroll mapping`.

use std::collections::HashMap;

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::{ANY, Output, found, host, names, principal, print};
use crate::domain::Id;
use crate::domain::mapping::GroupName;
use crate::service::catalogue::mappings::{MappingRequest, TaggedMapping};
use crate::service::catalogue::snapshot::Form;
use crate::service::request;
use crate::service::{Context, Error, Service};

#[derive(Subcommand, Debug)]
pub(super) enum Command {
    /// List mappings
    List(Output),
    /// Show a mapping
    Show(Named),
    /// Give a role to whoever is in a group, matches a rule, is said to by the identity provider, or is named
    Create(Box<New>),
    /// Delete a mapping; whoever held its role by nothing else loses it at once
    Delete {
        #[command(flatten)]
        named: Named,
        /// Tell who would lose what and delete nothing
        #[arg(long)]
        dry_run: bool,
    },
}

/// Which mapping.
#[derive(Args, Debug)]
pub(super) struct Named {
    /// The mapping's id
    id: String,
    #[command(flatten)]
    output: Output,
}

/// The sources beside which there is no reason: clap asks for `--user` only where it would be allowed.
const NOT_OF_PERSONS: [&str; 5] = ["group", "group_id", "group_external_id", "rule", "asserted"];

/// A mapping as flags describe it.
#[derive(Args, Debug)]
pub(super) struct New {
    /// The role that is given
    #[arg(long)]
    role: String,
    #[command(flatten)]
    source: Source,
    /// Why this person has it; needed with --user
    #[arg(long, value_name = "TEXT", requires = "user", conflicts_with_all = NOT_OF_PERSONS)]
    reason: Option<String>,
    /// Until when this person has it, such as 2027-01-31T00:00:00Z
    #[arg(long, value_name = "TIME", requires = "user", conflicts_with_all = NOT_OF_PERSONS, value_parser = super::access::time)]
    expires_at: Option<String>,
    #[command(flatten)]
    output: Output,
}

/// Who gets the role.
#[derive(Args, Debug)]
#[group(required = true, multiple = false)]
struct Source {
    /// Members of the group with this displayName, which may come later
    #[arg(long, value_name = "NAME")]
    group: Option<String>,
    /// Members of the group with this id
    #[arg(long, value_name = "ID")]
    group_id: Option<String>,
    /// Members of the group that a connection calls so
    #[arg(long, value_name = "ID")]
    group_external_id: Option<String>,
    /// Users that match a SCIM filter, such as 'userType eq "Contractor"'
    #[arg(long, value_name = "FILTER")]
    rule: Option<String>,
    /// Users whose identity provider sends this value, such as roles=viewer
    #[arg(long, value_name = "ATTRIBUTE=VALUE", value_parser = asserted)]
    asserted: Option<Value>,
    /// One user or agent: an id, a userName, or operator
    #[arg(long, value_name = "ID|userName|operator", requires = "reason")]
    user: Option<String>,
}

fn asserted(text: &str) -> Result<Value, String> {
    let (attribute, value) = text.split_once('=').ok_or("expected roles=VALUE or entitlements=VALUE")?;
    Ok(json!({"attribute": attribute, "value": value}))
}

impl New {
    /// What is asked for by `POST /v1/mappings`.
    fn request(&self, service: &Service, context: &Context) -> Result<MappingRequest, Error> {
        let source = match &self.source {
            Source { group: Some(name), .. } => json!({"group": {"displayName": name}}),
            Source { group_id: Some(id), .. } => json!({"group": {"id": id}}),
            Source { group_external_id: Some(id), .. } => json!({"group": {"externalId": id}}),
            Source { rule: Some(rule), .. } => json!({"rule": rule}),
            Source { asserted: Some(asserted), .. } => json!({"asserted": asserted}),
            Source { user, .. } => {
                let (kind, id) = principal(service, context, user.as_deref().unwrap_or_default())?;
                json!({
                    "person": {"type": kind.name(), "id": id},
                    "reason": self.reason,
                    "expires_at": self.expires_at,
                })
            }
        };
        request::read(&json!({"role": self.role, "source": source}))
    }
}

pub(super) fn run(service: &Service, command: Command) -> Result<(), Error> {
    match command {
        Command::List(output) => list(service, output),
        Command::Show(Named { id, output }) => {
            let context = host(service, "mapping show")?;
            let mapping = found("mapping", &id, service.read_mapping(&context, &id, &ANY))?;
            show(service, &context, mapping, output)
        }
        Command::Create(new) => {
            let context = host(service, "mapping create")?;
            let made = service.create_mapping(&context, &new.request(service, &context)?)?;
            show(service, &context, made, new.output)
        }
        Command::Delete { named: Named { id, output }, dry_run: true } => {
            let context = host(service, "mapping delete")?;
            let columns = ["principal.type", "principal.id", "principal.name", "roles", "permissions"];
            print::pages("losses", &columns, output, |cursor| {
                let page = service.try_delete_mapping(&context, &id, print::PAGE, cursor, &ANY);
                let mut page = serde_json::to_value(found("mapping", &id, page)?)?;
                if !output.json {
                    names::put(service, &context, &mut page)?;
                }
                Ok(page)
            })
        }
        Command::Delete { named: Named { id, output }, dry_run: false } => {
            found("mapping", &id, service.delete_mapping(&host(service, "mapping delete")?, &id, &ANY))?;
            print::deleted("mapping", &id, output)
        }
    }
}

/// Every mapping: as the one answer that it is in the API, or as a table. Whose source is deleted is marked.
fn list(service: &Service, output: Output) -> Result<(), Error> {
    let context = host(service, "mapping list")?;
    let listed = service.list_mappings(&context, Form::Plain, &ANY)?;
    let (mut body, mut text) = (listed.body.unwrap_or_default(), String::new());
    while let Some(chunk) = body.next_chunk(service)? {
        text.push_str(&chunk);
    }
    let mut answer: Value = serde_json::from_str(&text)?;
    let names = names::of(service, &context, &mut answer)?;
    for mapping in answer.get_mut("mappings").and_then(Value::as_array_mut).into_iter().flatten() {
        if let (true, Some(members)) = (is_gone(mapping, &names), mapping.as_object_mut()) {
            members.insert("gone".to_owned(), true.into());
        }
    }
    if output.json {
        return print::json(&answer);
    }
    names::put(service, &context, &mut answer)?;
    let rows = answer.get_mut("mappings").and_then(Value::as_array_mut).map(std::mem::take).unwrap_or_default();
    let rows: Vec<Value> = rows.into_iter().map(for_people).collect();
    print::table(&rows, &["id", "role", "source", "permissions"]);
    Ok(())
}

/// Whether the source of a mapping is the id of a principal or a group that is deleted.
fn is_gone(mapping: &Value, names: &HashMap<Id, String>) -> bool {
    let person = mapping.pointer("/source/person").and_then(names::id);
    let is_by_id = mapping.pointer("/source/group/id").is_some();
    person.is_some_and(|id| !names.contains_key(&id)) || is_by_id && mapping.get("groups") == Some(&json!([]))
}

fn show(service: &Service, context: &Context, mapping: TaggedMapping, output: Output) -> Result<(), Error> {
    let mut mapping = serde_json::to_value(mapping.value)?;
    if !output.json {
        names::put(service, context, &mut mapping)?;
        mapping = for_people(mapping);
    }
    print::show(&mapping, output)
}

/// A mapping whose source is a sentence.
pub(super) fn for_people(mut mapping: Value) -> Value {
    let gone = if mapping.get("gone").is_some() { ", gone" } else { "" };
    if let Some(source) = mapping.get_mut("source") {
        *source = format!("{}{gone}", sentence(source)).into();
    }
    mapping
}

/// A source as people say it: `group Finance`.
pub(super) fn sentence(source: &Value) -> String {
    let text = |pointer: &str| source.pointer(pointer).and_then(Value::as_str);
    if let Some(rule) = text("/rule") {
        return format!("rule {rule}");
    }
    if let Some(value) = text("/asserted/value") {
        return format!("asserted {}={value}", text("/asserted/attribute").unwrap_or_default());
    }
    if let Some(id) = text("/person/id") {
        let until = text("/expires_at").map(|time| format!(", until {time}")).unwrap_or_default();
        let kind = text("/person/type").unwrap_or_default();
        let name = text("/person/name").map(|name| format!("{name} ")).unwrap_or_default();
        return format!("{kind} {name}{id} ({}{until})", text("/reason").unwrap_or_default());
    }
    let group = [("/group/displayName", "group"), ("/group/id", "group id"), ("/group/externalId", "group externalId")];
    let name = group.into_iter().find_map(|(pointer, word)| Some(format!("{word} {}", text(pointer)?)));
    name.unwrap_or_default()
}

/// The flag that names a group, as a shell takes it.
pub(super) fn group_flag(group: &GroupName) -> String {
    let (flag, name) = match group {
        GroupName::DisplayName(name) => ("--group", print::argument(name)),
        GroupName::Id(id) => ("--group-id", print::argument(&id.to_string())),
        GroupName::ExternalId(id) => ("--group-external-id", print::argument(id)),
    };
    // What begins like a flag would be taken for one.
    let between = if name.trim_start_matches('\'').starts_with('-') { '=' } else { ' ' };
    format!("{flag}{between}{name}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Id;

    #[test]
    fn a_group_is_named_as_a_shell_takes_it() {
        let name = |text: &str| GroupName::DisplayName(text.to_owned());
        let id = Id::parse("01939e7a-5b1c-7def-8abc-0123456789ab").unwrap();
        for (group, expected) in [
            (name("Finance"), "--group Finance"),
            (name("Finance & Tax"), "--group 'Finance & Tax'"),
            (name("l'équipe"), r"--group 'l'\''équipe'"),
            (name("-x"), "--group=-x"),
            (name("-x y"), "--group='-x y'"),
            (name(""), "--group ''"),
            (GroupName::Id(id), "--group-id 01939e7a-5b1c-7def-8abc-0123456789ab"),
            (GroupName::ExternalId("x".to_owned()), "--group-external-id x"),
        ] {
            assert_eq!(group_flag(&group), expected);
        }
    }

    #[test]
    fn sources_are_said_in_a_few_words() {
        for (source, expected) in [
            (json!({"group": {"displayName": "Finance"}}), "group Finance"),
            (json!({"group": {"id": "7"}}), "group id 7"),
            (json!({"group": {"externalId": "x"}}), "group externalId x"),
            (json!({"rule": "title pr"}), "rule title pr"),
            (json!({"asserted": {"attribute": "roles", "value": "viewer"}}), "asserted roles=viewer"),
            (json!({"person": {"type": "user", "id": "7"}, "reason": "on call"}), "user 7 (on call)"),
            (json!({"person": {"type": "user", "id": "7", "name": "mira"}, "reason": "r"}), "user mira 7 (r)"),
            (
                json!({"person": {"type": "agent", "id": "7"}, "reason": "ci", "expires_at": "2027-01-31T00:00:00.000Z"}),
                "agent 7 (ci, until 2027-01-31T00:00:00.000Z)",
            ),
        ] {
            assert_eq!(sentence(&source), expected);
        }
    }
}
