//! What stands at the other end of a database URL: PostgreSQL itself, and sessions that are ours alone.

use diesel::sql_types::{BigInt, Text};

use super::connection::{Bind, Conn};
use super::error::{Error, Result};
use super::session;

/// The oldest PostgreSQL with `pg_current_snapshot()`.
const OLDEST: i64 = 130_000;

/// Refuses what Keyroll cannot keep its promises on: a server whose commits cannot be followed, and a pooler that
/// gives a session's statements to several.
///
/// # Errors
/// [`Error::Refused`] with the reason and the way out.
pub(super) fn check(conn: &mut Conn, url: &str) -> Result<()> {
    let version = text(conn, "SELECT version()")?;
    check_version(&version)?;
    let number = text(conn, "SHOW server_version_num")?;
    if number.parse::<i64>().is_ok_and(|number| number < OLDEST) {
        return Err(Error::Refused(format!("{} is too old: use PostgreSQL 13 or newer", name(&version))));
    }
    let citus = text(conn, "SELECT CAST(count(*) AS text) FROM pg_extension WHERE extname = 'citus'")?;
    if citus != "0" {
        let fix = "use a database without it";
        return Err(Error::Refused(format!("the database has the extension citus, which spreads commits: {fix}")));
    }
    if text(conn, "SHOW server_encoding")? != "UTF8" {
        let fix = "create it with ENCODING 'UTF8' TEMPLATE template0";
        return Err(Error::Refused(format!("the database's encoding must be UTF8: {fix}")));
    }
    if is_shared(conn, url)? {
        return Err(Error::Refused(
            "the database URL leads to a pooler that shares sessions (PgBouncer in transaction mode): \
             use session mode, or go to PostgreSQL itself"
                .to_owned(),
        ));
    }
    Ok(())
}

/// What an operator should know of a server that may lose what it has acknowledged.
///
/// # Errors
/// If the database cannot be read.
pub(super) fn warnings(conn: &mut Conn) -> Result<Vec<&'static str>> {
    let mut found = vec![];
    for (setting, warning) in [
        (
            "fsync",
            "fsync is off at the database server: a crash of its machine loses or destroys what it has acknowledged",
        ),
        (
            "full_page_writes",
            "full_page_writes is off at the database server: a crash of its machine may destroy pages",
        ),
    ] {
        if text(conn, &format!("SHOW {setting}"))? == "off" {
            found.push(warning);
        }
    }
    Ok(found)
}

/// The first column of the first row. Unnamed: a pooler would lose what is prepared.
fn text(conn: &mut Conn, sql: &str) -> Result<String> {
    Ok(conn.load_sql_kept::<Text, String>(sql, &[], false)?.pop().unwrap_or_default())
}

/// Refuses what only speaks PostgreSQL's language, by what `version()` says.
fn check_version(version: &str) -> Result<()> {
    let is_copy = ["-YB-", "Redshift", "Greenplum", "CockroachDB", "openGauss", "Materialize", "CrateDB"]
        .iter()
        .any(|mark| version.contains(mark));
    if version.starts_with("PostgreSQL ") && !is_copy {
        return Ok(());
    }
    let fix = "use PostgreSQL 13 or newer";
    Err(Error::Refused(format!("{} does not tell of its commits as PostgreSQL does: {fix}", name(version))))
}

/// The product, without the platform that it was built for.
fn name(version: &str) -> &str {
    version.split([',', '(']).next().unwrap_or_default().split(" on ").next().unwrap_or_default().trim()
}

/// Whether somebody between here and the server gives one session's statements to several of the server's: then
/// the first session's place is taken, or moved, while a second one holds a transaction.
fn is_shared(conn: &mut Conn, url: &str) -> Result<bool> {
    let place = |conn: &mut Conn| -> Result<i64> {
        let sql = "SELECT CAST(pg_backend_pid() AS bigint)";
        Ok(conn.load_sql_kept::<BigInt, i64>(sql, &[], false)?.pop().unwrap_or_default())
    };
    let first = place(conn)?;
    let mark = first.to_string();
    conn.load_sql_kept::<Text, String>("SELECT set_config('keyroll.session', ?, false)", &[Bind::Text(&mark)], false)?;
    let mut other = Conn::from(session::connect(url)?);
    other.begin("BEGIN", "BEGIN")?;
    let second = place(&mut other)?;
    let kept = text(conn, "SELECT coalesce(current_setting('keyroll.session', true), '')");
    let again = place(conn);
    other.unwind(0)?;
    Ok(second == first || kept? != mark || again? != first)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_postgresql_itself_is_taken() {
        for good in [
            "PostgreSQL 15.14 (Debian 15.14-0+deb12u1) on x86_64-pc-linux-gnu, compiled by gcc",
            "PostgreSQL 18.0 on aarch64-unknown-linux-gnu, compiled by clang, 64-bit",
        ] {
            assert!(check_version(good).is_ok(), "{good}");
        }
        let refused = |version: &str| check_version(version).unwrap_err().to_string();
        let tail = "does not tell of its commits as PostgreSQL does: use PostgreSQL 13 or newer";
        for (version, name) in [
            ("CockroachDB CCL v25.2.1 (x86_64-pc-linux-gnu, built 2025/06/04)", "CockroachDB CCL v25.2.1"),
            (
                "PostgreSQL 15.2-YB-2025.1.0.0-b0 on x86_64-pc-linux-gnu, compiled by clang",
                "PostgreSQL 15.2-YB-2025.1.0.0-b0",
            ),
            (
                "PostgreSQL 8.0.2 on i686-pc-linux-gnu, compiled by GCC gcc (GCC) 3.4.2, Redshift 1.0",
                "PostgreSQL 8.0.2",
            ),
            ("", ""),
        ] {
            assert_eq!(refused(version), format!("{name} {tail}"));
        }
    }
}
