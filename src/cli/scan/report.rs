//! What was found, as lines for people, as JSON, or as SARIF: told as it is found, so that nothing of it is kept.

use std::process::ExitCode;

use indicatif::{ProgressBar, ProgressStyle};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Value, json};

use crate::cli::print::{harmless, note, put};
use crate::domain::secret::find::{Found, shown};

/// How it is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    Lines,
    Json,
    Sarif,
}

/// Where something was found.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place<'p> {
    /// A path, or what kind of object it is that has none.
    pub(super) path: &'p str,
    /// What git calls the object.
    pub(super) object: Option<&'p str>,
    /// Whether it stands in a name, which has no lines.
    pub(super) is_name: bool,
}

impl<'p> Place<'p> {
    pub(super) fn file(path: &'p str) -> Place<'p> {
        Place { path, object: None, is_name: false }
    }

    /// The path, as it may be shown.
    fn path(&self) -> String {
        harmless(&shown(self.path))
    }

    /// The same as git names it, `<object>:<path>`.
    fn name(&self) -> String {
        match self.object {
            Some(object) => format!("{}:{}", object.get(..OBJECT).unwrap_or(object), self.path()),
            None => self.path(),
        }
    }
}

/// As many letters of an object's name tell it from others.
const OBJECT: usize = 12;
/// What stays as it is in a URI.
const PATH: &AsciiSet = &NON_ALPHANUMERIC.remove(b'/').remove(b'-').remove(b'.').remove(b'_').remove(b'~');
/// What it is called in SARIF, as in `examples/gitleaks.toml`.
const RULE: &str = "keyroll-credential";
const SCHEMA: &str = "https://json.schemastore.org/sarif-2.1.0.json";

/// What is told, and what was told so far.
pub(super) struct Report {
    form: Form,
    progress: ProgressBar,
    hits: u64,
    searched: u64,
    bytes: u64,
    unread: Vec<(String, String)>,
}

impl Report {
    pub(super) fn begin(form: Form) -> Report {
        // On standard error, if that is a terminal.
        let progress = ProgressBar::new_spinner();
        if let Ok(style) = ProgressStyle::with_template("{spinner} {bytes} searched ({bytes_per_sec}): {wide_msg}") {
            progress.set_style(style);
        }
        match form {
            Form::Lines => {}
            Form::Json => put("{\"hits\":["),
            Form::Sarif => put(&sarif_begin()),
        }
        Report { form, progress, hits: 0, searched: 0, bytes: 0, unread: vec![] }
    }

    /// Something is being searched.
    pub(super) fn look_at(&mut self, place: &Place<'_>) {
        self.searched += 1;
        if !self.progress.is_hidden() {
            self.progress.set_message(place.name());
        }
    }

    /// So many bytes of it were.
    pub(super) fn passed(&mut self, bytes: usize) {
        self.bytes += bytes as u64;
        self.progress.inc(bytes as u64);
    }

    /// A key was found.
    pub(super) fn found(&mut self, place: &Place<'_>, found: &Found) {
        let separator = if self.hits == 0 { "" } else { "," };
        self.hits += 1;
        let text = match self.form {
            Form::Lines => line(place, found),
            Form::Json => format!("{separator}{}", hit(place, found)),
            Form::Sarif => format!("{separator}{}", result(place, found)),
        };
        self.progress.suspend(|| put(&text));
    }

    /// Something could not be read: nobody knows what is in it.
    pub(super) fn unread(&mut self, place: &Place<'_>, why: &str) {
        self.progress.suspend(|| note(&format!("{} was not searched: {why}", place.name())));
        self.unread.push((place.name(), harmless(why)));
    }

    /// Tells what it came to.
    pub(super) fn end(self) -> ExitCode {
        self.progress.finish_and_clear();
        match self.form {
            Form::Lines => {}
            Form::Json => {
                let unread: Vec<Value> =
                    self.unread.iter().map(|(path, why)| json!({"path": path, "why": why})).collect();
                put(&format!(
                    "],\"searched\":{},\"bytes\":{},\"unread\":{}}}\n",
                    self.searched,
                    self.bytes,
                    json!(unread)
                ));
            }
            Form::Sarif => put(&sarif_end(&self.unread)),
        }
        ExitCode::from(match (self.hits, self.unread.is_empty()) {
            (1.., _) => 1,
            (0, false) => 4,
            (0, true) => 0,
        })
    }
}

fn line(place: &Place<'_>, found: &Found) -> String {
    let at = match place.is_name {
        true => ": in its name".to_owned(),
        false => format!(":{}:{}", found.line, found.column),
    };
    format!("{}{at}: class {}, {}\n", place.name(), found.class, found.display())
}

fn hit(place: &Place<'_>, found: &Found) -> Value {
    let at = |number: u64| Some(number).filter(|_| !place.is_name);
    json!({
        "path": place.path(),
        "object": place.object,
        "line": at(found.line),
        "column": at(found.column),
        "class": found.class,
        "selector": found.selector,
        "display": found.display(),
    })
}

/// A result of SARIF (§3.27): the same key has the same fingerprint wherever it is found.
fn result(place: &Place<'_>, found: &Found) -> Value {
    let path = shown(place.path);
    let scheme = if path.starts_with('/') { "file://" } else { "" };
    let mut physical = json!({"artifactLocation": {"uri": format!("{scheme}{}", utf8_percent_encode(&path, PATH))}});
    if let (false, Some(members)) = (place.is_name, physical.as_object_mut()) {
        members.insert("region".to_owned(), json!({"startLine": found.line, "startColumn": found.column}));
    }
    let mut result = json!({
        "ruleId": RULE,
        "level": "error",
        "message": {"text": format!("a key of class {}, {}: revoke it", found.class, found.display())},
        "locations": [{"physicalLocation": physical}],
        "fingerprints": {"keyrollSelector/v1": found.selector},
    });
    if let (Some(object), Some(members)) = (place.object, result.as_object_mut()) {
        members.insert("properties".to_owned(), json!({"object": object}));
    }
    result
}

fn sarif_begin() -> String {
    let text = "A key of Keyroll where none belongs";
    let rule = json!({"id": RULE, "name": "KeyrollCredential", "shortDescription": {"text": text}});
    let driver = json!({"name": "keyroll", "version": env!("CARGO_PKG_VERSION"), "rules": [rule]});
    let schema = json!(SCHEMA);
    format!(
        "{{\"$schema\":{schema},\"version\":\"2.1.0\",\"runs\":[{{\"tool\":{},\"columnKind\":\"unicodeCodePoints\",\"results\":[",
        json!({"driver": driver})
    )
}

fn sarif_end(unread: &[(String, String)]) -> String {
    let told = |(path, why): &(String, String)| json!({"level": "error", "message": {"text": format!("{path} was not searched: {why}")}});
    let told: Vec<Value> = unread.iter().map(told).collect();
    let invocation = json!({"executionSuccessful": unread.is_empty(), "toolExecutionNotifications": told});
    format!("],\"invocations\":{}}}]}}\n", json!([invocation]))
}
