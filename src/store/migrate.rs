//! Making and migrating the tables: compiled in, one folder for each database.

use diesel::migration::{MigrationSource, MigrationVersion};
use diesel_migrations::{EmbeddedMigrations, MigrationHarness, embed_migrations};

use super::connection::{Bind, Conn};
use super::error::{Error, Result};
use super::index;

const SQLITE: EmbeddedMigrations = embed_migrations!("migrations/sqlite");
const POSTGRES: EmbeddedMigrations = embed_migrations!("migrations/postgres");

/// The advisory lock that whoever migrates holds: "keyroll" in ASCII.
const LOCK: i64 = 0x006b_6579_726f_6c6c;

/// Brings the tables up to date. One process at a time: on SQLite the caller holds a lock of the folder,
/// on PostgreSQL this takes one.
///
/// # Errors
/// [`Error::Refused`] if a newer version of Keyroll has migrated the database, or a migration fails.
pub(super) fn run(conn: &mut Conn) -> Result<()> {
    if matches!(conn, Conn::Sqlite(_)) {
        return migrate(conn);
    }
    conn.execute_sql("SELECT pg_advisory_lock(?)", &[Bind::Int(LOCK)])?;
    let outcome = migrate(conn);
    conn.execute_sql("SELECT pg_advisory_unlock(?)", &[Bind::Int(LOCK)])?;
    outcome
}

fn migrate(conn: &mut Conn) -> Result<()> {
    match conn {
        Conn::Sqlite(c) => pending(c, SQLITE)?,
        Conn::Postgres(c) => pending(c, POSTGRES)?,
    }
    index::ensure_paths(conn)
}

fn pending<C, DB>(conn: &mut C, source: EmbeddedMigrations) -> Result<()>
where
    C: MigrationHarness<DB>,
    DB: diesel::backend::Backend,
    EmbeddedMigrations: MigrationSource<DB>,
{
    let failed = |error| Error::Refused(format!("the database could not be migrated: {error}"));
    let known = MigrationSource::<DB>::migrations(&source).map_err(failed)?;
    let known: Vec<MigrationVersion<'_>> = known.iter().map(|m| m.name().version().as_owned()).collect();
    let applied = conn.applied_migrations().map_err(failed)?;
    if let Some(newer) = applied.iter().find(|version| !known.contains(version)) {
        return Err(Error::Refused(format!(
            "the database was migrated by a newer version of keyroll ({newer}): \
             install that version or restore a backup"
        )));
    }
    conn.run_pending_migrations(source).map_err(failed)?;
    Ok(())
}
