//! What each migration means for servers that do not know it yet: several versions run on one database while nodes are
//! upgraded one after the other.
//!
//! A step that **expands** leaves them everything as they know it: new tables, columns that have a value by themselves,
//! new indexes. A step that **contracts** does not: whatever is dropped, renamed, or means something else, and an indexed
//! path in `schemas/` that is new, since older servers would not index what they write. So a change that takes something
//! away comes in two versions: one that expands and does without, and a later one that contracts.
//!
//! Who does not know an expanding step runs on; who does not know a contracting one does not, and it is not taken as long
//! as such a node is there.

use diesel::sql_types::{BigInt, Text};

use super::connection::{Bind, Conn};
use super::error::{Error, OUTDATED, Result};

/// What a step means for who does not know it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    /// Nothing.
    Expand,
    /// It cannot work with the tables any more.
    Contract,
}

impl Step {
    fn name(self) -> &'static str {
        match self {
            Step::Expand => "expand",
            Step::Contract => "contract",
        }
    }
}

/// Every migration. Those of before there was this list were for all servers at once.
const STEPS: [(&str, Step); 12] = [
    ("0001", Step::Contract),
    ("0002", Step::Contract),
    ("0003", Step::Contract),
    ("0004", Step::Contract),
    ("0005", Step::Contract),
    ("0006", Step::Contract),
    ("0007", Step::Expand),
    ("0008", Step::Expand),
    ("0009", Step::Expand),
    ("0010", Step::Expand),
    ("0011", Step::Expand),
    ("0012", Step::Expand),
];

/// The version of this program.
const OWN: &str = env!("CARGO_PKG_VERSION");

/// The newest step that this program knows.
pub(super) const NEWEST: &str = match STEPS.last() {
    Some((version, _)) => version,
    None => "",
};

/// After how long a silent node does not count any more, in milliseconds.
const GONE_MILLIS: i64 = 60_000;

fn kind(version: &str) -> Option<Step> {
    STEPS.iter().find(|(known, _)| *known == version).map(|(_, step)| *step)
}

/// Refuses a database that has gone a step which this program does not know, unless it only expands.
///
/// # Errors
/// [`Error::Refused`] with the version that it needs.
pub(super) fn check_unknown(conn: &mut Conn, unknown: &[&String]) -> Result<()> {
    for version in unknown {
        const SQL: &str = "SELECT kind, needs FROM migration_steps WHERE version = ?";
        // A version from before there were steps has no table of them.
        let told = conn.load_sql::<(Text, Text), (String, String)>(SQL, &[Bind::Text(version)]);
        let (kind, needs) = told.ok().and_then(|mut rows| rows.pop()).unwrap_or_default();
        if kind == Step::Expand.name() {
            continue;
        }
        let fix = if needs.is_empty() { "install that version".to_owned() } else { format!("install keyroll {needs}") };
        return Err(Error::Refused(format!(
            "the database was migrated by a newer version of keyroll ({version}) in a way that this one, {OWN}, cannot \
             work with: {fix}, or restore a backup"
        )));
    }
    Ok(())
}

/// Refuses to take steps that nodes which are there cannot work with.
///
/// # Errors
/// [`Error::Refused`] with the nodes that have to be upgraded first.
pub(super) fn check_nodes(conn: &mut Conn, pending: &[&String]) -> Result<()> {
    let Some(step) = pending.iter().rfind(|version| kind(version) != Some(Step::Expand)) else { return Ok(()) };
    let sql = format!(
        "SELECT host, address, version FROM nodes WHERE schema < ? AND \
         seen > CAST(extract(epoch FROM clock_timestamp()) * 1000 AS bigint) - {GONE_MILLIS}"
    );
    // Before there were nodes, none could be known.
    if conn.is_embedded() || !has_nodes(conn)? {
        return Ok(());
    }
    let old = conn.load_sql::<(Text, Text, Text), (String, String, String)>(&sql, &[Bind::Text(step)])?;
    if old.is_empty() {
        return Ok(());
    }
    let named = old.iter().map(|(host, address, version)| format!("{host} {address} (keyroll {version})"));
    let named = named.collect::<Vec<_>>().join(", ");
    Err(Error::Refused(format!(
        "the tables have to change in a way ({step}) that nodes of an older version cannot work with: stop {named} first"
    )))
}

fn has_nodes(conn: &mut Conn) -> Result<bool> {
    const SQL: &str = "SELECT count(*) FROM information_schema.columns WHERE table_schema = current_schema() \
         AND table_name = 'nodes' AND column_name = 'schema'";
    Ok(conn.load_sql::<BigInt, i64>(SQL, &[])?.pop().unwrap_or(0) > 0)
}

/// Notes for older servers what the steps mean that this program knows.
///
/// # Errors
/// If the database cannot be written.
pub(super) fn note(conn: &mut Conn) -> Result<()> {
    let noted = conn.load_sql::<Text, String>("SELECT version FROM migration_steps ORDER BY version", &[])?;
    // A database that takes no writes now has them all the same.
    if STEPS.iter().all(|(version, _)| noted.iter().any(|known| known == version)) {
        return Ok(());
    }
    for (version, step) in STEPS {
        const SQL: &str = "INSERT INTO migration_steps (version, kind, needs) VALUES (?, ?, ?) ON CONFLICT DO NOTHING";
        conn.execute_sql(SQL, &[Bind::Text(version), Bind::Text(step.name()), Bind::Text(OWN)])?;
    }
    Ok(())
}

/// Makes sure that no step was taken meanwhile that this program, which runs, cannot work with.
///
/// # Errors
/// [`Error::Unavailable`] if one was.
pub(super) fn check_running(conn: &mut Conn) -> Result<()> {
    let overtaking = conn.load_sql::<BigInt, i64>(&format!("{OVERTAKING} ?"), &[Bind::Text(NEWEST)])?.pop();
    if overtaking == Some(0) { Ok(()) } else { Err(Error::Unavailable(OUTDATED.to_owned())) }
}

/// How many steps there are that who knows no more than a version cannot work with.
pub(super) const OVERTAKING: &str = "SELECT count(*) FROM migration_steps WHERE kind <> 'expand' AND version >";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_migration_says_what_it_means_for_others() {
        for folder in ["migrations/sqlite", "migrations/postgres"] {
            let entries = std::fs::read_dir(std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(folder)).unwrap();
            let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
            let mut versions: Vec<String> = names.map(|name| name.split('_').next().unwrap().to_owned()).collect();
            versions.sort();
            assert_eq!(versions, STEPS.map(|(version, _)| version));
        }
    }
}
