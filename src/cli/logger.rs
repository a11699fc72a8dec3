//! How lines of the log are written: for people or for programs, one line each whatever is in them.

use std::fmt::Write as _;
use std::io::Write as _;

use log::Record;
use log::kv::{Error, Key, Value, VisitSource, VisitValue};

use super::lines::Lines;
use super::print::harmless;
use crate::config::{Format, Log};

/// Starts to log, to standard error or to what collects its lines.
pub(super) fn start(settings: &Log, lines: Option<Lines>) {
    let mut logger = env_logger::Builder::new();
    logger.parse_filters(&settings.filter);
    if let Some(lines) = lines {
        logger.target(env_logger::Target::Pipe(Box::new(lines)));
    }
    let format = settings.format;
    logger.format(move |to, record| {
        if is_of_stop(record) {
            return Ok(());
        }
        let time = to.timestamp_millis().to_string();
        let mut line = match format {
            Format::Text => text(&time, record),
            Format::Json => json(&time, record),
        };
        line.push('\n');
        to.write_all(line.as_bytes())
    });
    logger.init();
}

/// Room for the line of a request.
const LINE_BYTES: usize = 512;

/// Whether this is how the thread that takes connections learns that the server does not listen any more (EINVAL,
/// accept(2)): nobody has to do anything about it.
fn is_of_stop(record: &Record<'_>) -> bool {
    record.target() == "actix_server::accept" && record.args().to_string().ends_with("(os error 22)")
}

/// `[TIME LEVEL TARGET] MESSAGE NAME=VALUE …`
fn text(time: &str, record: &Record<'_>) -> String {
    let mut line = String::with_capacity(LINE_BYTES);
    let _ = write!(line, "[{time} {:<5} {}] ", record.level(), record.target());
    match record.args().as_str() {
        Some(text) => escape(&mut line, text),
        None => escape(&mut line, &record.args().to_string()),
    }
    // Writing to a text cannot fail, and no field is worth losing the line.
    let _ = record.key_values().visit(&mut Words(&mut line));
    line
}

/// One JSON object. The names of its members are fixed: programs depend on them.
fn json(time: &str, record: &Record<'_>) -> String {
    let mut object = serde_json::Map::new();
    object.insert("ts".to_owned(), time.into());
    object.insert("level".to_owned(), record.level().as_str().to_ascii_lowercase().into());
    object.insert("target".to_owned(), record.target().into());
    object.insert("message".to_owned(), record.args().to_string().into());
    let _ = record.key_values().visit(&mut Members(&mut object));
    serde_json::Value::Object(object).to_string()
}

/// Adds a text without what would end the line, or turn it round in a terminal.
fn escape(line: &mut String, text: &str) {
    if text.bytes().all(|byte| (b' '..=b'~').contains(&byte)) {
        line.push_str(text);
    } else {
        line.push_str(&harmless(text));
    }
}

/// Fields behind a line of text; those without a value are left out.
struct Words<'l>(&'l mut String);

impl<'kvs> VisitSource<'kvs> for Words<'_> {
    fn visit_pair(&mut self, key: Key<'kvs>, value: Value<'kvs>) -> Result<(), Error> {
        value.visit(Word { line: self.0, name: key.as_str() })
    }
}

/// One of them.
struct Word<'l> {
    line: &'l mut String,
    name: &'l str,
}

impl Word<'_> {
    fn name(&mut self) {
        self.line.push(' ');
        self.line.push_str(self.name);
        self.line.push('=');
    }
}

impl VisitValue<'_> for Word<'_> {
    fn visit_any(&mut self, value: Value<'_>) -> Result<(), Error> {
        self.visit_str(&value.to_string())
    }

    fn visit_null(&mut self) -> Result<(), Error> {
        Ok(())
    }

    fn visit_u64(&mut self, number: u64) -> Result<(), Error> {
        self.name();
        let _ = write!(self.line, "{number}");
        Ok(())
    }

    fn visit_str(&mut self, text: &str) -> Result<(), Error> {
        self.name();
        // Nobody shall take a part of it for another field.
        let is_word = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.:,;/{}[]+*@".contains(&byte);
        if !text.is_empty() && text.bytes().all(is_word) {
            self.line.push_str(text);
        } else {
            escape(self.line, &format!("{text:?}"));
        }
        Ok(())
    }
}

/// Fields as members of an object; those without a value are left out.
struct Members<'o>(&'o mut serde_json::Map<String, serde_json::Value>);

impl<'kvs> VisitSource<'kvs> for Members<'_> {
    fn visit_pair(&mut self, key: Key<'kvs>, value: Value<'kvs>) -> Result<(), Error> {
        let value = serde_json::to_value(&value).unwrap_or_else(|_| value.to_string().into());
        if !value.is_null() {
            self.0.entry(key.as_str()).or_insert(value);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(message: &str, fields: &[(&str, Value<'_>)], expected_text: &str, expected_json: &str) {
        let args = format_args!("{message}");
        let record =
            Record::builder().args(args).target("keyroll::http").level(log::Level::Info).key_values(&fields).build();
        assert_eq!(text("T", &record), expected_text);
        assert_eq!(json("T", &record), expected_json);
    }

    #[test]
    fn a_line_is_one_line_whatever_is_in_it() {
        let start = r#"{"ts":"T","level":"info","target":"keyroll::http","message""#;
        check(
            "Create",
            &[("route", Value::from("/scim/v2/{endpoint}")), ("status", Value::from(201)), ("why", Value::null())],
            "[T INFO  keyroll::http] Create route=/scim/v2/{endpoint} status=201",
            &format!(r#"{start}:"Create","route":"/scim/v2/{{endpoint}}","status":201}}"#),
        );
        check(
            "a\nb \u{1b}[31m \u{202e}c",
            &[("why", Value::from("x y=\"z\"\r\n[T INFO] forged\u{2028}")), ("empty", Value::from(""))],
            r#"[T INFO  keyroll::http] a\nb \u{1b}[31m \u{202e}c why="x y=\"z\"\r\n[T INFO] forged\u{2028}" empty="""#,
            &format!(
                "{start}:\"a\\nb \\u001b[31m \u{202e}c\",\"why\":\"x y=\\\"z\\\"\\r\\n[T INFO] forged\u{2028}\",\"empty\":\"\"}}"
            ),
        );
        // A field cannot take the place of what every line has.
        check(
            "m",
            &[("level", Value::from("error"))],
            "[T INFO  keyroll::http] m level=error",
            &format!(r#"{start}:"m"}}"#),
        );
    }

    #[test]
    fn what_a_stop_makes_of_the_socket_is_not_told() {
        let told = |target: &str, text: &str| {
            !is_of_stop(&Record::builder().target(target).args(format_args!("{text}")).build())
        };
        let closed = "Error accepting connection: Invalid argument (os error 22)";
        assert!(!told("actix_server::accept", closed));
        assert!(told("actix_server::accept", "Error accepting connection: Too many open files (os error 24)"));
        assert!(told("keyroll::store", closed));
    }
}
