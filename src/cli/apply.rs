//! `keyroll apply`: access lives in a file, and the file in version control.

use std::fs::File;
use std::io::Read;

use clap::Args;
use serde_json::Value;

use super::names::{Names, person_of};
use super::{Output, host, mapping, names, print};
use crate::domain::loss::Loss;
use crate::domain::mapping::Source;
use crate::service::apply::Options;
use crate::service::apply::response::{Applied, AppliedChange, Definition, LeftItem};
use crate::service::reports::effects::Effect;
use crate::service::{Error, Service};

/// How large a file may be.
const FILE_BYTES_MAX: u64 = 16 << 20;

#[derive(Args, Debug)]
pub(super) struct Command {
    /// The file, such as examples/access.toml; - reads standard input
    #[arg(short = 'f', long, value_name = "FILE")]
    file: String,
    /// Tell what would change, and who would gain and lose what; change nothing
    #[arg(long)]
    dry_run: bool,
    /// Remove what the file does not name; mappings that other commands on the host made stay
    #[arg(long)]
    prune: bool,
    /// Remove these as well
    #[arg(long, requires = "prune")]
    force: bool,
    #[command(flatten)]
    output: Output,
}

pub(super) fn run(service: &Service, command: &Command) -> Result<(), Error> {
    let file = read(&command.file)?;
    let Command { dry_run, prune, force, .. } = *command;
    let context = host(service, "apply")?;
    let told = service.apply(&context, &file, Options { dry_run, prune, force });
    let told = told.map_err(|error| in_file(&command.file, error))?;
    if command.output.json {
        return print::json(&told);
    }
    let names = names::of(service, &context, sources(&told).filter_map(person_of))?;
    for line in lines(&told, &names)? {
        print::line(&print::harmless(&line));
    }
    Ok(())
}

/// The same refusal, which names the entry, with the file that it is about.
fn in_file(path: &str, error: Error) -> Error {
    let path = if path == "-" { "standard input" } else { path };
    match error {
        Error::Invalid { pointer, detail, names } => {
            Error::Invalid { pointer, detail: format!("{path}: {detail}"), names }
        }
        Error::Conflict { code, detail } => Error::Conflict { code, detail: format!("{path}: {detail}") },
        Error::Forbidden(detail) => Error::Forbidden(format!("{path}: {detail}")),
        other => other,
    }
}

/// The file as the JSON that it stands for.
fn read(path: &str) -> Result<Value, Error> {
    let failed = |error: std::io::Error| Error::Refused(format!("cannot read {path}: {error}"));
    let mut text = String::new();
    let source: Box<dyn Read> = match path {
        "-" => Box::new(std::io::stdin()),
        path => Box::new(File::open(path).map_err(failed)?),
    };
    source.take(FILE_BYTES_MAX + 1).read_to_string(&mut text).map_err(failed)?;
    if text.len() as u64 > FILE_BYTES_MAX {
        return Err(Error::Refused(format!("{path}: larger than {FILE_BYTES_MAX} bytes")));
    }
    let table: toml::Table =
        toml::from_str(&text).map_err(|error| Error::Refused(format!("{path}: {}", error.to_string().trim_end())))?;
    Ok(json_of(toml::Value::Table(table)))
}

/// TOML's values as JSON's; a date is the text that it is written as.
fn json_of(value: toml::Value) -> Value {
    match value {
        toml::Value::String(text) => text.into(),
        toml::Value::Integer(number) => number.into(),
        toml::Value::Float(number) => number.into(),
        toml::Value::Boolean(flag) => flag.into(),
        toml::Value::Datetime(time) => time.to_string().into(),
        toml::Value::Array(items) => items.into_iter().map(json_of).collect(),
        toml::Value::Table(members) => members.into_iter().map(|(name, value)| (name, json_of(value))).collect(),
    }
}

/// Every source that is told of.
fn sources(told: &Applied) -> impl Iterator<Item = &Source> {
    let definitions = told.changes.iter().flat_map(|one| [&one.before, &one.after]).flatten();
    let of_changes =
        definitions.filter_map(|one| if let Definition::Mapping { source, .. } = one { Some(source) } else { None });
    let of_left =
        told.left.iter().filter_map(|one| if let LeftItem::Mapping { source, .. } = one { Some(source) } else { None });
    of_changes.chain(of_left)
}

/// What is done or would be, as a diff; who gains and loses by it; and what the file does not name.
fn lines(told: &Applied, names: &Names) -> Result<Vec<String>, Error> {
    let changes = &told.changes;
    let of_changes = changes.iter().map(|change| of_change(change, names)).collect::<Result<Vec<_>, Error>>()?;
    let mut lines = of_changes.concat();
    let count = |word: &str| changes.iter().filter(|one| one.change == word).count();
    let (created, replaced, deleted) = (count("create"), count("replace"), count("delete"));
    let gone = if deleted > 0 { format!(", {deleted} deleted") } else { String::new() };
    lines.push(match told.dry_run {
        _ if changes.is_empty() => "nothing to do".to_owned(),
        true => format!("{created} would be created, {replaced} replaced{gone}; this dry run changed nothing"),
        false => format!("{created} created, {replaced} replaced{gone}"),
    });
    if told.dry_run && !changes.is_empty() {
        let effects = told.effects.as_deref().unwrap_or_default();
        lines.push(if effects.is_empty() { "nobody gains or loses anything" } else { "who gains and loses:" }.into());
        lines.extend(effects.iter().flat_map(of_effect));
        if told.effects_truncated {
            lines.push("    and others".to_owned());
        }
    }
    if !told.left.is_empty() {
        lines.push("not in the file, and left as it is:".to_owned());
        lines.extend(told.left.iter().map(|left| of_left(left, names)));
    }
    Ok(lines)
}

/// What one principal gains and loses.
fn of_effect(effect: &Effect) -> Vec<String> {
    let name = effect.principal.name.clone().unwrap_or_else(|| effect.principal.id.to_string());
    let line = |(sign, verb, side): (char, &str, &Loss)| {
        let roles = side.roles.iter().map(String::as_str).collect::<Vec<_>>().join(" ");
        let permissions = side.permissions.texts().join(" ");
        let what = [roles, if permissions.is_empty() { permissions } else { format!("({permissions})") }];
        let what: Vec<&str> = what.iter().map(String::as_str).filter(|part| !part.is_empty()).collect();
        (!what.is_empty()).then(|| format!("    {sign} {name} {verb} {}", what.join(" ")))
    };
    [('+', "gains", &effect.gains), ('-', "loses", &effect.losses)].into_iter().filter_map(line).collect()
}

/// What the file does not name.
fn of_left(left: &LeftItem, names: &Names) -> String {
    let (what, stays) = match left {
        LeftItem::Api { name, stays } => (format!("api {name}"), stays),
        LeftItem::Role { name, stays } => (format!("role {name}"), stays),
        LeftItem::Mapping { role, source, stays, .. } => {
            (format!("mapping {role}: {}", mapping::sentence(source, names)), stays)
        }
    };
    let stays = stays.as_ref().map(|why| format!(" ({why})")).unwrap_or_default();
    format!("    {what}{stays}")
}

/// A change, and below it each member that comes, goes or becomes another.
fn of_change(change: &AppliedChange, names: &Names) -> Result<Vec<String>, Error> {
    let AppliedChange { kind, name, before, after, .. } = change;
    let said = |side: &Definition| match side {
        Definition::Mapping { role, source } => Some((role.clone(), mapping::sentence(source, names))),
        Definition::Api(_) | Definition::Role(_) => None,
    };
    Ok(match (before.as_ref().and_then(said), after.as_ref().and_then(said)) {
        (None, Some((role, source))) => vec![format!("+ mapping {role}: {source}")],
        (Some((role, source)), None) => vec![format!("- mapping {role}: {source}")],
        (Some((_, old)), Some((role, new))) => {
            vec![format!("~ mapping {role}"), format!("    - {old}"), format!("    + {new}")]
        }
        (None, None) => {
            let (before, after) = (serde_json::to_value(before)?, serde_json::to_value(after)?);
            diff(kind, name.as_deref().unwrap_or_default(), &before, &after)
        }
    })
}

/// An api or a role, and how it changes.
fn diff(kind: &str, name: &str, before: &Value, after: &Value) -> Vec<String> {
    let sign = match (before, after) {
        (Value::Null, _) => '+',
        (_, Value::Null) => '-',
        _ => '~',
    };
    let mut lines = vec![format!("{sign} {kind} {name}")];
    for (name, value) in after.as_object().into_iter().flatten().filter(|(name, _)| *name != "name") {
        let (old, new) = (items(before.get(name)), items(Some(value)));
        let goes = old.iter().filter(|item| !new.contains(item)).map(|item| format!("    - {name} {item}"));
        let comes = new.iter().filter(|item| !old.contains(item)).map(|item| format!("    + {name} {item}"));
        let before = lines.len();
        lines.extend(goes.chain(comes));
        if lines.len() == before && old != new {
            lines.push(format!("    ~ {name}: another order"));
        }
    }
    lines
}

/// A member as the items that a diff is made of; what is empty has none.
fn items(value: Option<&Value>) -> Vec<String> {
    match value {
        None | Some(Value::Null | Value::Bool(false)) => vec![],
        Some(Value::String(text)) if text.is_empty() => vec![],
        Some(Value::Array(items)) => items.iter().map(item).collect(),
        Some(other) => vec![item(other)],
    }
}

/// One item: a text as it is, a permission or a route of an api in one line.
fn item(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Object(members) => {
            let texts = members.values().filter_map(Value::as_str).filter(|text| !text.is_empty());
            texts.collect::<Vec<_>>().join(" ")
        }
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[track_caller]
    fn check(kind: &str, (before, after): (&Value, &Value), expected: &[&str]) {
        assert_eq!(diff(kind, "x", before, after), expected);
    }

    #[test]
    fn members_that_differ_are_told() {
        let (old, new) = (json!({"includes": ["a", "b"]}), json!({"includes": ["b", "a"]}));
        check("role", (&old, &new), &["~ role x", "    ~ includes: another order"]);
        check("role", (&old, &json!({"includes": ["b"]})), &["~ role x", "    - includes a"]);
        check("role", (&Value::Null, &json!({"name": "x", "description": "", "includes": []})), &["+ role x"]);
        let (open, closed) = (json!({"open": true}), json!({"open": false}));
        check("api", (&closed, &open), &["~ api x", "    + open true"]);
        check("api", (&open, &closed), &["~ api x", "    - open true"]);
    }

    #[test]
    fn dates_are_texts_and_numbers_stay_numbers() {
        let table: toml::Table = toml::from_str("a = 2035-01-31T00:00:00Z\nb = [1, 1.5, true]").unwrap();
        assert_eq!(json_of(toml::Value::Table(table)), json!({"a": "2035-01-31T00:00:00Z", "b": [1, 1.5, true]}));
    }
}
