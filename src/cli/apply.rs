//! `keyroll apply`: access lives in a file, and the file in version control.

use std::fs::File;
use std::io::Read;

use clap::Args;
use serde_json::Value;

use super::{Output, host, mapping, names, print};
use crate::service::apply::Options;
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
    let mut told = serde_json::to_value(told.map_err(|error| in_file(&command.file, error))?)?;
    if command.output.json {
        return print::json(&told);
    }
    names::put(service, &context, &mut told)?;
    for line in lines(&told) {
        print::line(&print::harmless(&line));
    }
    Ok(())
}

/// The same refusal, which names the entry, with the file that it is about.
fn in_file(path: &str, error: Error) -> Error {
    let path = if path == "-" { "standard input" } else { path };
    match error {
        Error::Invalid { pointer, detail } => Error::Invalid { pointer, detail: format!("{path}: {detail}") },
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

/// What is done or would be, as a diff; who gains and loses by it; and what the file does not name.
fn lines(told: &Value) -> Vec<String> {
    let list = |name: &str| told.get(name).and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    let changes = list("changes");
    let mut lines: Vec<String> = changes.iter().flat_map(of_change).collect();
    let count = |word: &str| changes.iter().filter(|one| one.get("change").is_some_and(|own| own == word)).count();
    let (created, replaced, deleted) = (count("create"), count("replace"), count("delete"));
    let gone = if deleted > 0 { format!(", {deleted} deleted") } else { String::new() };
    let dry_run = told.get("dry_run").and_then(Value::as_bool) == Some(true);
    lines.push(match dry_run {
        _ if changes.is_empty() => "nothing to do".to_owned(),
        true => format!("{created} would be created, {replaced} replaced{gone}; this dry run changed nothing"),
        false => format!("{created} created, {replaced} replaced{gone}"),
    });
    if dry_run && !changes.is_empty() {
        lines.push(
            if list("effects").is_empty() { "nobody gains or loses anything" } else { "who gains and loses:" }.into(),
        );
        lines.extend(list("effects").iter().flat_map(of_effect));
        if told.get("effects_truncated").is_some() {
            lines.push("    and others".to_owned());
        }
    }
    if !list("left").is_empty() {
        lines.push("not in the file, and left as it is:".to_owned());
        lines.extend(list("left").iter().map(of_left));
    }
    lines
}

/// What one principal gains and loses.
fn of_effect(effect: &Value) -> Vec<String> {
    let text = |pointer: &str| effect.pointer(pointer).and_then(Value::as_str);
    let name = text("/principal/name").or_else(|| text("/principal/id")).unwrap_or_default();
    let texts = |pointer: &str| items(effect.pointer(pointer)).join(" ");
    let line = |(sign, verb, side): (char, &str, &str)| {
        let (roles, permissions) = (texts(&format!("/{side}/roles")), texts(&format!("/{side}/permissions")));
        let what = [roles, if permissions.is_empty() { permissions } else { format!("({permissions})") }];
        let what: Vec<&str> = what.iter().map(String::as_str).filter(|part| !part.is_empty()).collect();
        (!what.is_empty()).then(|| format!("    {sign} {name} {verb} {}", what.join(" ")))
    };
    [('+', "gains", "gains"), ('-', "loses", "losses")].into_iter().filter_map(line).collect()
}

/// What the file does not name.
fn of_left(left: &Value) -> String {
    let text = |name: &str| left.get(name).and_then(Value::as_str);
    let stays = text("stays").map(|why| format!(" ({why})")).unwrap_or_default();
    let kind = text("kind").unwrap_or_default();
    let what = match text("name") {
        Some(name) => name.to_owned(),
        None => {
            let source = left.get("source").map(mapping::sentence).unwrap_or_default();
            format!("{}: {source}", text("role").unwrap_or_default())
        }
    };
    format!("    {kind} {what}{stays}")
}

/// A change, and below it each member that comes, goes or becomes another.
fn of_change(change: &Value) -> Vec<String> {
    let of = |name: &str| change.get(name).unwrap_or(&Value::Null);
    let (kind, before, after) = (of("kind").as_str().unwrap_or_default(), of("before"), of("after"));
    let sign = match (before, after) {
        (Value::Null, _) => '+',
        (_, Value::Null) => '-',
        _ => '~',
    };
    if kind == "mapping" {
        let role = after.get("role").or(before.get("role")).and_then(Value::as_str).unwrap_or_default();
        let source = |side: &Value| side.get("source").map(mapping::sentence).unwrap_or_default();
        let head = format!("{sign} mapping {role}");
        return match sign {
            '+' => vec![format!("{head}: {}", source(after))],
            '-' => vec![format!("{head}: {}", source(before))],
            _ => vec![head, format!("    - {}", source(before)), format!("    + {}", source(after))],
        };
    }
    let mut lines = vec![format!("{sign} {kind} {}", of("name").as_str().unwrap_or_default())];
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
    fn check(change: Value, expected: &[&str]) {
        assert_eq!(of_change(&change), expected);
    }

    #[test]
    fn members_that_differ_are_told() {
        let (old, new) = (json!({"includes": ["a", "b"]}), json!({"includes": ["b", "a"]}));
        let role =
            |before: &Value, after: &Value| json!({"kind": "role", "name": "r", "before": before, "after": after});
        check(role(&old, &new), &["~ role r", "    ~ includes: another order"]);
        check(role(&old, &json!({"includes": ["b"]})), &["~ role r", "    - includes a"]);
        check(role(&Value::Null, &json!({"name": "r", "description": "", "includes": []})), &["+ role r"]);
        let api = |open: bool| json!({"kind": "api", "name": "x", "before": {"open": !open}, "after": {"open": open}});
        check(api(true), &["~ api x", "    + open true"]);
        check(api(false), &["~ api x", "    - open true"]);
    }

    #[test]
    fn dates_are_texts_and_numbers_stay_numbers() {
        let table: toml::Table = toml::from_str("a = 2035-01-31T00:00:00Z\nb = [1, 1.5, true]").unwrap();
        assert_eq!(json_of(toml::Value::Table(table)), json!({"a": "2035-01-31T00:00:00Z", "b": [1, 1.5, true]}));
    }
}
