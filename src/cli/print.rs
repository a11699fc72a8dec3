//! What people and scripts see: JSON, tables, and failures with their exit code.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "the home of printing")]

use std::process::ExitCode;

use comfy_table::{ContentArrangement, Table, presets};
use serde_json::Value;

use crate::service::Error;

/// Prints one JSON value on one line.
pub(super) fn json(value: &Value) -> Result<(), Error> {
    println!("{value}");
    Ok(())
}

/// Prints a line.
pub(super) fn line(text: &str) {
    println!("{text}");
}

/// Prints the named members of each object as a table.
pub(super) fn table(rows: &[Value], columns: &[&str]) {
    let mut table = Table::new();
    table.load_preset(presets::NOTHING).set_content_arrangement(ContentArrangement::Disabled);
    table.set_header(columns.iter().map(|column| column.to_uppercase()));
    for row in rows {
        table.add_row(columns.iter().map(|column| cell(row, column)));
    }
    println!("{table}");
}

/// Prints the members of one object, one per line.
pub(super) fn record(value: &Value) {
    let mut table = Table::new();
    table.load_preset(presets::NOTHING).set_content_arrangement(ContentArrangement::Disabled);
    for (name, _) in value.as_object().into_iter().flatten() {
        table.add_row([name.clone(), cell(value, name)]);
    }
    println!("{table}");
}

/// A value as a cell. Identity providers choose names: control characters in them must not reach a
/// terminal.
fn cell(row: &Value, column: &str) -> String {
    let escaped = |c: char| if c.is_control() { c.escape_default().to_string() } else { c.to_string() };
    plain(row, column).chars().map(escaped).collect()
}

fn plain(row: &Value, column: &str) -> String {
    let mut value = row;
    for part in column.split('.') {
        value = value.get(part).unwrap_or(&Value::Null);
    }
    match value {
        Value::Null => "-".to_owned(),
        Value::String(text) => text.clone(),
        Value::Array(items) if items.iter().all(Value::is_string) => {
            items.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(" ")
        }
        other => other.to_string(),
    }
}

/// Prints why nothing was done; gives the exit code (design §10).
pub(super) fn failure(error: &Error) -> ExitCode {
    let mut text = error.to_string();
    let mut next = std::error::Error::source(error);
    while let Some(cause) = next {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        next = cause.source();
    }
    eprintln!("keyroll: {text}");
    ExitCode::from(match error {
        Error::Conflict { .. } | Error::PreconditionFailed(_) => 3,
        Error::Unavailable(_) | Error::Busy(_) => 4,
        _ => 1,
    })
}
