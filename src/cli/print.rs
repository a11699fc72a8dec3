//! What people and scripts see: JSON, tables, and failures with their exit code.
#![expect(clippy::print_stderr, reason = "the home of printing")]

use std::io::{self, Write};
use std::process::ExitCode;

use comfy_table::{ContentArrangement, Table, presets};
use serde::Serialize;
use serde_json::{Value, json};

use super::Output;
use crate::domain::secret::without_keys;
use crate::service::Error;
pub(super) use crate::service::keys::hint::argument;

/// Writes to standard output; if that cannot be had, the process ends here. Whoever has read enough has gone, and
/// is told nothing.
pub(super) fn put(text: &str) {
    let mut output = io::stdout().lock();
    let Err(error) = output.write_all(text.as_bytes()).and_then(|()| output.flush()) else { return };
    if error.kind() != io::ErrorKind::BrokenPipe {
        eprintln!("keyroll: cannot write to standard output: {error}: what was to be done is done and was not shown");
    }
    std::process::exit(1);
}

/// Says what a server has to say at its start, which goes on whoever listens: what standard output does not take goes to
/// standard error. Nothing that is secret is said so.
pub(super) fn announce(text: &str) {
    let mut output = io::stdout().lock();
    if let Err(error) = writeln!(output, "{text}").and_then(|()| output.flush()) {
        eprintln!("keyroll: cannot write to standard output: {error}: {text}");
    }
}

/// Prints one JSON value on one line.
pub(super) fn json(value: &impl Serialize) -> Result<(), Error> {
    put(&format!("{}\n", serde_json::to_string(value)?));
    Ok(())
}

/// Prints a line.
pub(super) fn line(text: &str) {
    put(&format!("{text}\n"));
}

/// Prints the named members of each object as a table.
pub(super) fn table(rows: &[Value], columns: &[&str]) {
    let mut table = Table::new();
    table.load_preset(presets::NOTHING).set_content_arrangement(ContentArrangement::Disabled);
    table.set_header(columns.iter().map(|column| column.to_uppercase()));
    for row in rows {
        table.add_row(columns.iter().map(|column| cell(row, column)));
    }
    put(&format!("{table}\n"));
}

/// Prints one object: as JSON, or its members.
pub(super) fn show(value: &impl Serialize, output: Output) -> Result<(), Error> {
    let value = serde_json::to_value(value)?;
    if output.json {
        return json(&value);
    }
    record(&value);
    Ok(())
}

/// Prints an answer that has a list: as JSON, or the list as a table.
pub(super) fn list(answer: &impl Serialize, member: &str, columns: &[&str], output: Output) -> Result<(), Error> {
    let answer = serde_json::to_value(answer)?;
    if output.json {
        return json(&answer);
    }
    let rows = answer.get(member).and_then(Value::as_array);
    table(rows.map_or(&[], Vec::as_slice), columns);
    Ok(())
}

/// How many rows are asked for at once.
pub(super) const PAGE: Option<usize> = Some(1_000);

/// Prints a list that is read page by page, as one answer or as tables, so that it is never in memory whole.
pub(super) fn pages<T: Serialize>(
    member: &str,
    columns: &[&str],
    output: Output,
    mut page: impl FnMut(Option<&str>) -> Result<T, Error>,
) -> Result<(), Error> {
    let mut page = |cursor: Option<&str>| Ok::<_, Error>(serde_json::to_value(page(cursor)?)?);
    let mut answer = page(None)?;
    let (begin, end) = around(&answer, member);
    if output.json {
        put(&begin);
    }
    let (mut separator, mut is_first) = ("", true);
    loop {
        let rows = answer.get(member).and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
        if output.json {
            for row in rows {
                put(&format!("{separator}{row}"));
                separator = ",";
            }
        } else if is_first || !rows.is_empty() {
            table(rows, columns);
        }
        is_first = false;
        let Some(cursor) = answer.get("next").and_then(Value::as_str).map(str::to_owned) else { break };
        answer = page(Some(&cursor))?;
    }
    if output.json {
        put(&format!("{end}\n"));
    }
    Ok(())
}

/// The text of an answer before the rows of its list, and behind them. Behind the last there is no next page.
fn around(answer: &Value, member: &str) -> (String, String) {
    let mut empty = answer.clone();
    for (name, value) in [(member, json!([])), ("next", Value::Null)] {
        if let Some(place) = empty.get_mut(name) {
            *place = value;
        }
    }
    let (text, list) = (empty.to_string(), format!("{}:[", json!(member)));
    let at = text.find(&format!("{list}]")).map_or(0, |at| at + list.len());
    let (begin, end) = text.split_at(at);
    (begin.to_owned(), end.to_owned())
}

/// Says that something is gone.
pub(super) fn deleted(kind: &str, name: &str, output: Output) -> Result<(), Error> {
    if output.json {
        return json(&json!({"deleted": name}));
    }
    line(&format!("{kind} {} is deleted", harmless(name)));
    Ok(())
}

/// Prints the members of one object, one per line.
pub(super) fn record(value: &Value) {
    let mut table = Table::new();
    table.load_preset(presets::NOTHING).set_content_arrangement(ContentArrangement::Disabled);
    for (name, _) in value.as_object().into_iter().flatten() {
        table.add_row([name.clone(), cell(value, name)]);
    }
    put(&format!("{table}\n"));
}

/// A value as a cell.
fn cell(row: &Value, column: &str) -> String {
    harmless(&plain(row, column))
}

/// A text without control characters, nor those that end a line or turn its direction round: identity providers
/// choose names, and those must not reach a terminal.
pub(super) fn harmless(text: &str) -> String {
    let turns =
        |c: char| matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    let is_harmful = |c: char| c.is_control() || turns(c);
    let escaped = |c: char| if is_harmful(c) { c.escape_default().to_string() } else { c.to_string() };
    text.chars().map(escaped).collect()
}

/// A member of a member, as a text; of a list, that member of each item.
fn plain(row: &Value, column: &str) -> String {
    if let Value::Array(items) = row {
        return items.iter().map(|item| plain(item, column)).collect::<Vec<_>>().join(" ");
    }
    if let Some((first, rest)) = column.split_once('.') {
        return row.get(first).map_or_else(|| "-".to_owned(), |inner| plain(inner, rest));
    }
    match row.get(column).unwrap_or(&Value::Null) {
        Value::Null => "-".to_owned(),
        Value::String(text) => text.clone(),
        Value::Array(items) if items.iter().all(Value::is_string) => {
            items.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(" ")
        }
        other => other.to_string(),
    }
}

/// Tells what is to be known beside the answer, which is on standard output.
pub(super) fn note(text: &str) {
    eprintln!("keyroll: {}", harmless(text));
}

/// Asks for a line.
pub(super) fn prompt(text: &str) {
    eprint!("{text}");
}

/// Prints why what was given on the command line cannot be; gives the exit code of a usage error.
pub(super) fn misused(text: &str) -> ExitCode {
    eprintln!("keyroll: {text}");
    ExitCode::from(2)
}

/// Prints why nothing was done; gives the exit code (design §10).
pub(super) fn failure(error: &Error) -> ExitCode {
    // What the store says of itself says what this would.
    let (mut text, mut next) = match error {
        Error::Unavailable(cause) => (cause.to_string(), std::error::Error::source(cause)),
        _ => (error.to_string(), std::error::Error::source(error)),
    };
    while let Some(cause) = next {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        next = cause.source();
    }
    // A key may have been given where a name was asked for.
    eprintln!("keyroll: {}", without_keys(&text));
    ExitCode::from(match error {
        Error::Conflict { .. } | Error::PreconditionFailed(_) => 3,
        Error::Unavailable(_) | Error::Busy(_) | Error::Crowded | Error::Forked(_) => 4,
        _ => 1,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_is_printed_where_it_stands_in_its_answer() {
        let answer = json!({"role": "\"rows\":[]", "rows": [1, 2], "next": "x", "as_of_seq": 7});
        let (begin, end) = around(&answer, "rows");
        assert_eq!(begin, r#"{"role":"\"rows\":[]","rows":["#);
        assert_eq!(end, r#"],"next":null,"as_of_seq":7}"#);
    }
}
