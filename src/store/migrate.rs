//! Making and migrating the tables: compiled in, one folder for each database.

use diesel::migration::MigrationSource;
use diesel::sql_types::Text;
use diesel_migrations::{EmbeddedMigrations, MigrationHarness, embed_migrations};

use super::connection::{Bind, Conn};
use super::db::Db;
use super::error::{Error, Result, without_rights};
use super::{index, steps};

const SQLITE: EmbeddedMigrations = embed_migrations!("migrations/sqlite");
const POSTGRES: EmbeddedMigrations = embed_migrations!("migrations/postgres");

/// The advisory lock that whoever migrates holds: "keyroll" in ASCII.
const LOCK: i64 = 0x006b_6579_726f_6c6c;

/// Brings the tables up to date. One process at a time: on SQLite the caller holds a lock of the folder,
/// on PostgreSQL this takes one.
///
/// # Errors
/// [`Error::Refused`] if a newer version of Keyroll has migrated the database in a way that this one cannot work with, or a
/// migration fails.
pub(super) fn run(conn: &mut Conn) -> Result<()> {
    if conn.is_embedded() {
        return migrate(conn);
    }
    conn.execute_sql("SELECT pg_advisory_lock(?)", &[Bind::Int(LOCK)])?;
    let outcome = migrate(conn);
    conn.execute_sql("SELECT pg_advisory_unlock(?)", &[Bind::Int(LOCK)])?;
    outcome
}

/// The same for who has the database to itself.
///
/// # Errors
/// See [`run`].
pub(super) fn migrate(conn: &mut Conn) -> Result<()> {
    let known = known(conn)?;
    // Diesel would make its table first, and a database that takes no writes now has the tables all the same.
    let applied = applied(conn).unwrap_or_default();
    steps::check_unknown(conn, &applied.iter().filter(|version| !known.contains(version)).collect::<Vec<_>>())?;
    let pending: Vec<&String> = known.iter().filter(|version| !applied.contains(version)).collect();
    if !pending.is_empty() {
        steps::check_nodes(conn, &pending)?;
        match &mut conn.db {
            Db::Sqlite(c) => climb_on(c, SQLITE)?,
            Db::Postgres(c) => climb_on(c, POSTGRES)?,
        }
    }
    steps::note(conn)?;
    index::ensure_paths(conn)
}

/// The migrations that the database has come through, in order.
///
/// # Errors
/// If the database cannot be read.
pub(super) fn applied(conn: &mut Conn) -> Result<Vec<String>> {
    // Diesel would make its table first, and a snapshot is for reading.
    conn.load_sql::<Text, String>("SELECT version FROM __diesel_schema_migrations ORDER BY version", &[])
}

/// The migrations of this version of Keyroll, in order.
fn known(conn: &Conn) -> Result<Vec<String>> {
    fn versions<DB: diesel::backend::Backend>(source: &EmbeddedMigrations) -> Result<Vec<String>>
    where
        EmbeddedMigrations: MigrationSource<DB>,
    {
        let known = MigrationSource::<DB>::migrations(source).map_err(failed)?;
        let mut versions: Vec<String> = known.iter().map(|one| one.name().version().to_string()).collect();
        versions.sort();
        Ok(versions)
    }
    match &conn.db {
        Db::Sqlite(_) => versions::<diesel::sqlite::Sqlite>(&SQLITE),
        Db::Postgres(_) => versions::<diesel::pg::Pg>(&POSTGRES),
    }
}

/// Makes the tables as they were after these migrations, in a database that has none.
///
/// # Errors
/// [`Error::Refused`] if this version of Keyroll does not know one of them.
pub(super) fn up_to(conn: &mut Conn, migrations: &[String]) -> Result<()> {
    match &mut conn.db {
        Db::Sqlite(c) => climb(c, SQLITE, migrations),
        Db::Postgres(c) => climb(c, POSTGRES, migrations),
    }
}

fn climb<C, DB>(conn: &mut C, source: EmbeddedMigrations, wanted: &[String]) -> Result<()>
where
    C: MigrationHarness<DB>,
    DB: diesel::backend::Backend,
    EmbeddedMigrations: MigrationSource<DB>,
{
    let known = MigrationSource::<DB>::migrations(&source).map_err(failed)?;
    // Whoever asks makes the table of migrations.
    conn.applied_migrations().map_err(failed)?;
    for version in wanted {
        let Some(migration) = known.iter().find(|known| known.name().version().to_string() == *version) else {
            return Err(Error::Refused(format!(
                "the backup is of a newer version of keyroll ({version}): install that version"
            )));
        };
        conn.run_migration(migration).map_err(failed)?;
    }
    Ok(())
}

/// Drops all tables.
///
/// # Errors
/// If the database cannot be changed.
pub(super) fn revert(conn: &mut Conn) -> Result<()> {
    let reverted = match &mut conn.db {
        Db::Sqlite(c) => c.revert_all_migrations(SQLITE),
        Db::Postgres(c) => c.revert_all_migrations(POSTGRES),
    };
    reverted.map(|_| ()).map_err(failed)
}

fn failed(error: Box<dyn std::error::Error + Send + Sync>) -> Error {
    Error::Refused(format!("the database could not be migrated: {}", without_rights(&error.to_string())))
}

/// Takes the steps that this version knows and the database does not have.
fn climb_on<C, DB>(conn: &mut C, source: EmbeddedMigrations) -> Result<()>
where
    C: MigrationHarness<DB>,
    DB: diesel::backend::Backend,
    EmbeddedMigrations: MigrationSource<DB>,
{
    conn.run_pending_migrations(source).map(|_| ()).map_err(failed)
}
