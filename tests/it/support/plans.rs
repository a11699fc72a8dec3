//! The statements that the tests of this process send, and whether a database would read too much for one.
//!
//! [`watch`] collects the text of every statement, by diesel's own hook; [`check`], which the end of every story
//! calls, asks both kinds of database how they would run those that are new. SQLite is asked on the story's own
//! database, which has counted nothing, and on a full one that has; PostgreSQL on two that are full, one that has
//! counted its rows and one that never has, on one that has no rows yet, and on one that counted a few.

mod full;
mod indexes;
mod rules;

use std::collections::HashSet;
use std::fmt::Write;
use std::sync::{Mutex, MutexGuard, Once, OnceLock, PoisonError};

use diesel::connection::{Instrumentation, InstrumentationEvent, SimpleConnection, set_default_instrumentation};
use diesel::prelude::*;
use diesel::sql_types::{Integer, Text};
use diesel::sqlite::SqliteConnection;
use keyroll::store::{Conn, Db, Error, Store};

pub use self::rules::{Step, postgres_offence, sqlite_offence};
use super::overtaken::Listener;

/// What was sent, and not looked at yet.
#[derive(Default)]
struct Sent {
    known: HashSet<String>,
    sqlite: Vec<String>,
    postgres: Vec<String>,
}

static SENT: OnceLock<Mutex<Sent>> = OnceLock::new();

fn sent() -> MutexGuard<'static, Sent> {
    SENT.get_or_init(Mutex::default).lock().unwrap_or_else(PoisonError::into_inner)
}

/// Listens to every connection that is made from now on.
pub fn watch() {
    static ONCE: Once = Once::new();
    let listen = || {
        let mut listener = Listener::default();
        let hear = move |event: InstrumentationEvent<'_>| {
            note(&event);
            listener.hear(&event);
        };
        Some(Box::new(hear) as Box<dyn Instrumentation>)
    };
    ONCE.call_once(|| set_default_instrumentation(listen).unwrap());
}

/// A connection that nobody listens to, for what is no statement of the server's.
pub fn unwatched<C: Connection>(url: &str) -> C {
    let mut conn = C::establish(url).unwrap();
    conn.set_instrumentation(|_: InstrumentationEvent<'_>| {});
    conn
}

/// What is longer says the same words again and again, and PostgreSQL takes minutes to explain it.
const EXPLAINED_BYTES_MAX: usize = 16 << 10;

fn note(event: &InstrumentationEvent<'_>) {
    let InstrumentationEvent::StartQuery { query, .. } = event else { return };
    let mut head = Head(String::new());
    // It fails once it has the statement, since nobody wants the values.
    let _ = write!(head, "{query}");
    let Head(text) = head;
    let planned = ["SELECT ", "WITH ", "INSERT ", "UPDATE ", "DELETE "];
    // What names no value is about the installation, or a test's own.
    let is_long = text.len() > EXPLAINED_BYTES_MAX;
    if !planned.iter().any(|word| text.starts_with(word)) || !text.contains(['?', '$']) || is_long {
        return;
    }
    let mut sent = sent();
    if sent.known.insert(text.clone()) {
        // Only one of the two numbers its values.
        let of_its_kind = if text.contains("$1") { &mut sent.postgres } else { &mut sent.sqlite };
        of_its_kind.push(text);
    }
}

/// A statement without its values, as diesel shows it.
struct Head(String);

const VALUES: &str = " -- binds: ";

impl Write for Head {
    fn write_str(&mut self, part: &str) -> std::fmt::Result {
        self.0.push_str(part);
        match self.0.rfind(VALUES) {
            Some(end) => {
                self.0.truncate(end);
                Err(std::fmt::Error)
            }
            None => Ok(()),
        }
    }
}

/// Fails if a database would read too much for anything that was sent up to now. `url` is a database with tables.
pub fn check(url: &str) {
    let mut offences = vec![];
    if let Some(path) = url.strip_prefix("sqlite:") {
        let texts = std::mem::take(&mut sent().sqlite);
        let mut conn = unwatched::<SqliteConnection>(path);
        offences.extend(texts.iter().filter_map(|text| on_sqlite(&mut conn, text)));
        let mut counted = full::counted();
        let with = |offence| format!("with statistics: {offence}");
        offences.extend(texts.iter().filter_map(|text| on_sqlite(&mut counted, text).map(with)));
    } else {
        let texts = std::mem::take(&mut sent().postgres);
        if !texts.is_empty() {
            offences.extend(full::on_postgres().iter().flat_map(|full| on_postgres(full, &texts)));
        }
    }
    assert!(offences.is_empty(), "some test of this process sends what reads too much:\n\n{}", offences.join("\n\n"));
}

#[derive(QueryableByName)]
struct SqliteStep {
    #[diesel(sql_type = Integer)]
    id: i32,
    #[diesel(sql_type = Integer)]
    parent: i32,
    #[diesel(sql_type = Text)]
    detail: String,
}

/// What is wrong with a statement on this SQLite database.
pub fn on_sqlite(conn: &mut SqliteConnection, text: &str) -> Option<String> {
    let steps = diesel::sql_query(format!("EXPLAIN QUERY PLAN {text}")).load::<SqliteStep>(conn);
    let steps = match steps {
        Ok(steps) => steps,
        Err(error) => return Some(unplanned(text, &error)),
    };
    let steps: Vec<Step> = steps.into_iter().map(|s| Step { id: s.id, parent: s.parent, detail: s.detail }).collect();
    let offence = sqlite_offence(text, &steps)?;
    let plan: Vec<&str> = steps.iter().map(|step| step.detail.as_str()).collect();
    Some(format!("{offence} on SQLite\n{text}\n{}", plan.join("\n")))
}

/// What cannot be planned is an offence as well, or the guard would be blind to it.
fn unplanned(text: &str, error: &dyn std::error::Error) -> String {
    format!("cannot be planned ({error})\n{text}")
}

#[derive(QueryableByName)]
struct Plan {
    #[diesel(sql_type = Text, column_name = "QUERY PLAN")]
    plan: String,
}

/// What is wrong with statements on one of the full databases, in a session as the server sets it up.
fn on_postgres(full: &full::Full, texts: &[String]) -> Vec<String> {
    let look = |conn: &mut Conn| {
        let Ok(Db::Postgres(conn)) = conn.settled() else { return Ok(vec![]) };
        Ok::<_, Error>(texts.iter().filter_map(|text| on_session(conn, full, text)).collect())
    };
    full.store.read(look).unwrap()
}

fn on_session(conn: &mut PgConnection, full: &full::Full, text: &str) -> Option<String> {
    // For any values, as the server's own sessions plan it.
    if let Err(error) = conn.batch_execute(&format!("PREPARE looked_at AS {text}")) {
        return Some(unplanned(text, &error));
    }
    let values = (1..).take_while(|n| text.contains(&format!("${n}"))).count();
    let values = if values == 0 { String::new() } else { format!("({})", vec!["NULL"; values].join(", ")) };
    let explain = diesel::sql_query(format!("EXPLAIN (FORMAT JSON) EXECUTE looked_at{values}"));
    let plan = explain.get_result::<Plan>(conn);
    conn.batch_execute("DEALLOCATE looked_at").unwrap();
    let plan = plan.unwrap().plan;
    let parsed: serde_json::Value = serde_json::from_str(&plan).unwrap();
    let offence = postgres_offence(text, &parsed[0]["Plan"], &full.indexes)?;
    let state = full.state;
    Some(format!("{offence} on PostgreSQL {state}\n{text}\n{}", rules::outline(&parsed[0]["Plan"])))
}

/// The same for a test of this guard; `None` if PostgreSQL is switched off.
pub fn on_full_postgres(text: &str) -> Option<Vec<String>> {
    super::postgres::url()?;
    Some(full::on_postgres().iter().flat_map(|full| on_postgres(full, &[text.to_owned()])).collect())
}

/// A store on a full database that never counted its rows; `None` if PostgreSQL is switched off.
pub fn uncounted() -> Option<&'static Store> {
    super::postgres::url()?;
    Some(&full::on_postgres()[0].store)
}
