//! `keyroll mapping`.

use chrono::SecondsFormat;
use clap::{Args, Subcommand};
use serde::Serialize;
use serde_json::{Value, json};

use super::names::{Names, named, person_of};
use super::{ANY, Output, found, host, names, principal, print};
use crate::domain::mapping::{self as source, GroupName};
use crate::domain::{Id, Permissions};
use crate::service::catalogue::mappings::{MappingRequest, MappingResponse, TaggedMapping};
use crate::service::catalogue::snapshot::MappingList;
use crate::service::reports::response::LossResponse;
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
        request::read_value(&json!({"role": self.role, "source": source}))
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
                let page = found("mapping", &id, page)?;
                if output.json {
                    return Ok(serde_json::to_value(page)?);
                }
                let names = names::of(service, &context, page.losses.iter().map(|one| one.principal.id))?;
                let row = |LossResponse { principal, roles, permissions }: &LossResponse| json!({"principal": named(&names, *principal), "roles": roles, "permissions": permissions});
                let rows: Vec<Value> = page.losses.iter().map(row).collect();
                Ok(json!({"losses": rows, "next": page.next}))
            })
        }
        Command::Delete { named: Named { id, output }, dry_run: false } => {
            found("mapping", &id, service.delete_mapping(&host(service, "mapping delete")?, &id, &ANY))?;
            print::deleted("mapping", &id, output)
        }
    }
}

/// A mapping in the list: marked if its source is deleted.
#[derive(Serialize)]
struct Listed<'m> {
    #[serde(flatten)]
    mapping: &'m MappingResponse<'m>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    gone: bool,
}

/// A mapping whose source is a sentence.
#[derive(Serialize)]
struct Row<'m> {
    id: Id,
    role: &'m str,
    permissions: Option<&'m Permissions>,
    source: String,
}

impl<'m> Row<'m> {
    fn of(mapping: &'m MappingResponse<'_>, names: &Names) -> Row<'m> {
        let MappingResponse { id, role, permissions, source, .. } = mapping;
        Row { id: *id, role, permissions: permissions.as_deref(), source: sentence(source, names) }
    }
}

/// Every mapping: as the one answer that it is in the API, or as a table. Whose source is deleted is marked.
fn list(service: &Service, output: Output) -> Result<(), Error> {
    let context = host(service, "mapping list")?;
    service.show_mappings(&context, |MappingList { as_of_seq, mappings }| {
        let names = names::of(service, &context, mappings.iter().filter_map(|one| person_of(&one.source)))?;
        if output.json {
            let listed = |mapping| Listed { mapping, gone: is_gone(mapping, &names) };
            let all: Vec<Listed<'_>> = mappings.iter().map(listed).collect();
            return print::json(&json!({"as_of_seq": as_of_seq, "mappings": all}));
        }
        let row = |mapping: &MappingResponse<'_>| {
            let mut row = Row::of(mapping, &names);
            row.source.push_str(if is_gone(mapping, &names) { ", gone" } else { "" });
            Ok(serde_json::to_value(row)?)
        };
        let rows = mappings.iter().map(row).collect::<Result<Vec<Value>, Error>>()?;
        print::table(&rows, &["id", "role", "source", "permissions"]);
        Ok(())
    })
}

/// Whether the source of a mapping is the id of a principal or a group that is deleted.
fn is_gone(mapping: &MappingResponse<'_>, names: &Names) -> bool {
    match &*mapping.source {
        source::Source::Person { person, .. } => !names.contains_key(&person.id),
        source::Source::Group { group: GroupName::Id(_) } => mapping.groups.as_ref().is_some_and(Vec::is_empty),
        _ => false,
    }
}

fn show(service: &Service, context: &Context, mapping: TaggedMapping, output: Output) -> Result<(), Error> {
    let Some(mapping) = mapping.value else { return Ok(()) };
    if output.json {
        return print::show(&mapping, output);
    }
    let names = names::of(service, context, person_of(&mapping.source).into_iter())?;
    print::show(&Row::of(&mapping, &names), output)
}

/// A source as people say it: `group Finance`.
pub(super) fn sentence(source: &source::Source, names: &Names) -> String {
    match source {
        source::Source::Rule { rule } => format!("rule {rule}"),
        source::Source::Asserted { asserted } => format!("asserted {}={}", asserted.attribute, asserted.value),
        source::Source::Person { person, reason, expires_at } => {
            let until = expires_at
                .map(|time| format!(", until {}", time.to_rfc3339_opts(SecondsFormat::Millis, true)))
                .unwrap_or_default();
            let name = names.get(&person.id).map(|name| format!("{name} ")).unwrap_or_default();
            format!("{} {name}{} ({reason}{until})", person.kind.name(), person.id)
        }
        source::Source::Group { group: GroupName::DisplayName(name) } => format!("group {name}"),
        source::Source::Group { group: GroupName::Id(id) } => format!("group id {id}"),
        source::Source::Group { group: GroupName::ExternalId(id) } => format!("group externalId {id}"),
    }
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
        let id = Id::parse("01939e7a-5b1c-7def-8abc-0123456789ab").unwrap();
        let other = Id::parse("01939e7a-5b1c-7def-8abc-0123456789ac").unwrap();
        let names = Names::from([(id, "mira".to_owned())]);
        let person = |kind: &str, id: Id| json!({"type": kind, "id": id});
        let until = "2027-01-31T00:00:00.000Z";
        for (source, expected) in [
            (json!({"group": {"displayName": "Finance"}}), "group Finance".to_owned()),
            (json!({"group": {"id": id}}), format!("group id {id}")),
            (json!({"group": {"externalId": "x"}}), "group externalId x".to_owned()),
            (json!({"rule": "title pr"}), "rule title pr".to_owned()),
            (json!({"asserted": {"attribute": "roles", "value": "viewer"}}), "asserted roles=viewer".to_owned()),
            (json!({"person": person("user", other), "reason": "on call"}), format!("user {other} (on call)")),
            (json!({"person": person("user", id), "reason": "r"}), format!("user mira {id} (r)")),
            (
                json!({"person": person("agent", other), "reason": "ci", "expires_at": until}),
                format!("agent {other} (ci, until {until})"),
            ),
        ] {
            assert_eq!(sentence(&serde_json::from_value(source).unwrap(), &names), expected);
        }
    }
}
