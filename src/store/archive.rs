//! All rows as lines of JSON, the same from either database, and back into either.
//!
//! Each table begins with an object that names it and its columns; each of its rows is an array. Bytes are
//! hexadecimal, truth values 0 and 1. The databases write and read the lines themselves.

use std::fs;
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use diesel::connection::DefaultLoadingMode;
use diesel::pg::{PgConnection, PgRowByRowLoadingMode};
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Nullable, Text};
use serde::{Deserialize, Serialize};

use super::connection::{Bind, Conn};
use super::db::Db;
use super::error::{Error, Result};
use super::schema::TABLES;
use super::statement::Statement;
pub use super::swap::Present;
use super::{file, installation, migrate, place, swap};

/// What goes to the database at once: so many bytes, or so many rows.
const BYTES_TOGETHER: usize = 1 << 20;
const ROWS_TOGETHER: usize = 1_000;

/// What a table's lines begin with.
#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Header {
    table: String,
    columns: Vec<String>,
    /// The last surrogate key that was given, to a row that may be gone.
    last_key: Option<i64>,
}

/// How a column's values stand in a line.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Number,
    Truth,
    Text,
    Bytes,
}

struct Column {
    name: String,
    kind: Kind,
}

/// The columns of a table; none if there is no such table.
fn columns(conn: &mut Conn, table: &str) -> Result<Vec<Column>> {
    let sql = match &conn.db {
        Db::Sqlite(_) => "SELECT name, lower(type) FROM pragma_table_info(?) ORDER BY cid",
        Db::Postgres(_) => {
            "SELECT CAST(column_name AS text), CAST(data_type AS text) FROM information_schema.columns \
             WHERE table_schema = current_schema() AND table_name = ? ORDER BY ordinal_position"
        }
    };
    let rows = conn.load_sql::<(Text, Text), (String, String)>(sql, &[Bind::Text(table)])?;
    let column = |(name, kind): (String, String)| {
        let kind = match kind.as_str() {
            "integer" | "bigint" => Kind::Number,
            "boolean" => Kind::Truth,
            "text" => Kind::Text,
            "blob" | "bytea" => Kind::Bytes,
            other => return Err(Error::Refused(format!("a column of {table} is of the unknown type {other}"))),
        };
        Ok(Column { name, kind })
    };
    rows.into_iter().map(column).collect()
}

/// Gives all rows, line by line. Inside a snapshot they agree with each other.
///
/// # Errors
/// If the database cannot be read, or `put` fails.
pub fn export(conn: &mut Conn, mut put: impl FnMut(&str) -> io::Result<()>) -> Result<u64> {
    let mut count = 0;
    if !conn.is_embedded() {
        // Other statements are bounded in time; these are as long as their tables.
        conn.execute_sql("SET LOCAL statement_timeout = 0", &[])?;
    }
    for table in TABLES {
        let columns = columns(conn, table)?;
        let names = columns.iter().map(|column| column.name.clone()).collect();
        let header = Header { table: table.to_owned(), columns: names, last_key: last_key(conn, table, &columns)? };
        let header = serde_json::to_string(&header).map_err(|error| unwritten(&error.into()))?;
        put(&header).map_err(|error| unwritten(&error))?;
        let order = if table == "log_records" { " ORDER BY tenant, seq" } else { "" };
        let sql = format!("SELECT {} FROM \"{table}\"{order}", conn.line(&columns));
        each(conn, &sql, |line| {
            count += 1;
            put(line).map_err(|error| unwritten(&error))
        })?;
    }
    Ok(count)
}

fn unwritten(error: &io::Error) -> Error {
    Error::Refused(format!("the backup cannot be written: {error}"))
}

/// Streams a column of texts: a table may be larger than memory.
fn each(conn: &mut Conn, sql: &str, mut take: impl FnMut(&str) -> Result<()>) -> Result<()> {
    let postgres = !conn.is_embedded();
    let statement = Statement::<Text> { sql, binds: &[], postgres, keep: false, row: std::marker::PhantomData };
    match &mut conn.db {
        Db::Sqlite(c) => {
            for line in statement.load_iter::<String, DefaultLoadingMode>(c)? {
                take(&line?)?;
            }
        }
        Db::Postgres(c) => {
            for line in RunQueryDsl::<PgConnection>::load_iter::<String, PgRowByRowLoadingMode>(statement, c)? {
                take(&line?)?;
            }
        }
    }
    Ok(())
}

impl Conn {
    /// A row as one text.
    fn line(&self, columns: &[Column]) -> String {
        let value = |column: &Column| match (&self.db, column.kind) {
            (_, Kind::Number | Kind::Text) => format!("\"{}\"", column.name),
            (_, Kind::Truth) => format!("CAST(\"{}\" AS integer)", column.name),
            (Db::Sqlite(_), Kind::Bytes) => {
                format!("CASE WHEN \"{0}\" IS NULL THEN NULL ELSE hex(\"{0}\") END", column.name)
            }
            (Db::Postgres(_), Kind::Bytes) => format!("encode(\"{}\", 'hex')", column.name),
        };
        let values: Vec<String> = columns.iter().map(value).collect();
        match &self.db {
            Db::Sqlite(_) => format!("json_array({})", values.join(", ")),
            Db::Postgres(_) => format!("CAST(json_build_array({}) AS text)", values.join(", ")),
        }
    }

    /// The insert of many rows, which are one JSON array in one parameter.
    fn insert(&self, table: &str, columns: &[&Column]) -> String {
        let names: Vec<String> = columns.iter().map(|column| format!("\"{}\"", column.name)).collect();
        let value = |(at, column): (usize, &&Column)| match (&self.db, column.kind) {
            (Db::Sqlite(_), Kind::Bytes) => format!("unhex(json_extract(value, '$[{at}]'))"),
            (Db::Sqlite(_), _) => format!("json_extract(value, '$[{at}]')"),
            (Db::Postgres(_), Kind::Number) => format!("CAST(value->>{at} AS bigint)"),
            (Db::Postgres(_), Kind::Truth) => format!("CAST(CAST(value->>{at} AS integer) AS boolean)"),
            (Db::Postgres(_), Kind::Text) => format!("value->>{at}"),
            (Db::Postgres(_), Kind::Bytes) => format!("decode(value->>{at}, 'hex')"),
        };
        let values: Vec<String> = columns.iter().enumerate().map(value).collect();
        let (names, values) = (names.join(", "), values.join(", "));
        match &self.db {
            Db::Sqlite(_) => format!("INSERT INTO \"{table}\" ({names}) SELECT {values} FROM json_each(?)"),
            Db::Postgres(_) => format!(
                "INSERT INTO \"{table}\" ({names}) OVERRIDING SYSTEM VALUE SELECT {values} \
                 FROM json_array_elements(CAST(? AS json)) AS rows (value)"
            ),
        }
    }
}

/// The last surrogate key that was given in a table, if it counts them.
fn last_key(conn: &mut Conn, table: &str, columns: &[Column]) -> Result<Option<i64>> {
    if columns.iter().all(|column| column.name != "key") {
        return Ok(None);
    }
    let sql = match &conn.db {
        Db::Sqlite(_) => "SELECT seq FROM sqlite_sequence WHERE name = ?",
        Db::Postgres(_) => "SELECT pg_sequence_last_value(CAST(pg_get_serial_sequence(?, 'key') AS regclass))",
    };
    let rows = conn.load_sql::<Nullable<BigInt>, Option<i64>>(sql, &[Bind::Text(table)])?;
    Ok(rows.into_iter().next().flatten())
}

fn set_last_key(conn: &mut Conn, table: &str, last: i64) -> Result<()> {
    match conn.is_embedded() {
        true => {
            conn.execute_sql("DELETE FROM sqlite_sequence WHERE name = ?", &[Bind::Text(table)])?;
            let binds = [Bind::Text(table), Bind::Int(last)];
            conn.execute_sql("INSERT INTO sqlite_sequence (name, seq) VALUES (?, ?)", &binds)?;
        }
        false => {
            let sql = "SELECT setval(CAST(pg_get_serial_sequence(?, 'key') AS regclass), ?)";
            conn.load_sql::<BigInt, i64>(sql, &[Bind::Text(table), Bind::Int(last)])?;
        }
    }
    Ok(())
}

/// The lines of a backup.
pub type Lines<'l> = &'l mut dyn Iterator<Item = io::Result<String>>;

/// Puts rows into empty tables; those of tables that are not wanted are skipped.
fn import(conn: &mut Conn, lines: Lines<'_>, wanted: &[&str]) -> Result<()> {
    let broken = |what: &str| Error::Refused(format!("the backup is broken: {what}"));
    let mut table: Option<Table> = None;
    for line in lines {
        let line = line.map_err(|error| broken(&error.to_string()))?;
        if line.starts_with('[') {
            let Some(table) = &mut table else { return Err(broken("a row of no table")) };
            table.take(conn, &line)?;
            continue;
        }
        if let Some(table) = table.take() {
            table.end(conn)?;
        }
        let header: Header = serde_json::from_str(&line).map_err(|error| broken(&error.to_string()))?;
        if !TABLES.contains(&header.table.as_str()) {
            return Err(broken(&format!("it has a table {}", header.table)));
        }
        let known = columns(conn, &header.table)?;
        let find = |name: &String| known.iter().find(|column| column.name == *name);
        let own: Option<Vec<&Column>> = header.columns.iter().map(find).collect();
        let Some(own) = own else { return Err(broken(&format!("{} has other columns", header.table))) };
        let sql = wanted.contains(&header.table.as_str()).then(|| conn.insert(&header.table, &own));
        table = Some(Table { name: header.table, sql, rows: String::new(), count: 0, last_key: header.last_key });
    }
    table.map_or(Ok(()), |table| table.end(conn))
}

/// A table that is being filled.
struct Table {
    name: String,
    /// `None` if it is skipped.
    sql: Option<String>,
    rows: String,
    count: usize,
    last_key: Option<i64>,
}

impl Table {
    fn take(&mut self, conn: &mut Conn, row: &str) -> Result<()> {
        if self.sql.is_none() {
            return Ok(());
        }
        self.rows.push(if self.rows.is_empty() { '[' } else { ',' });
        self.rows.push_str(row);
        self.count += 1;
        if self.rows.len() >= BYTES_TOGETHER || self.count >= ROWS_TOGETHER { self.flush(conn) } else { Ok(()) }
    }

    fn flush(&mut self, conn: &mut Conn) -> Result<()> {
        let Some(sql) = self.sql.as_ref().filter(|_| !self.rows.is_empty()) else { return Ok(()) };
        self.rows.push(']');
        conn.execute_sql(sql, &[Bind::Text(&self.rows)])?;
        self.rows.clear();
        self.count = 0;
        Ok(())
    }

    fn end(mut self, conn: &mut Conn) -> Result<()> {
        self.flush(conn)?;
        match self.last_key.filter(|_| self.sql.is_some()) {
            Some(last) => set_last_key(conn, &self.name, last),
            None => Ok(()),
        }
    }
}

/// Makes a SQLite database of lines, with the tables of the version that wrote them, and migrates it. The file is
/// durable when this returns; with a failure there is none.
///
/// # Errors
/// If the lines are broken, the file is there already, or `finish` fails.
pub fn fill<T, E: From<Error>>(
    path: &Path,
    migrations: &[String],
    lines: Lines<'_>,
    wanted: &[&str],
    finish: impl FnOnce(&mut Conn) -> Result<T, E>,
) -> Result<T, E> {
    let failed = |error: io::Error| Error::Refused(format!("cannot write {}: {error}", path.display()));
    fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path).map_err(failed)?;
    let filled = || {
        let text = path.to_str().ok_or_else(|| Error::Refused("the database's path must be UTF-8".to_owned()))?;
        let mut conn = file::connect(text)?;
        place::claim(&mut conn)?;
        // Nobody else sees the file, and it is thrown away unless it becomes whole.
        conn.batch("PRAGMA foreign_keys = OFF; PRAGMA journal_mode = MEMORY; PRAGMA synchronous = OFF;")
            .map_err(Error::from)?;
        let made = into(&mut conn, migrations, lines, wanted, finish)?;
        drop(conn);
        fs::File::open(path).and_then(|file| file.sync_all()).map_err(failed)?;
        Ok(made)
    };
    filled().inspect_err(|_: &E| drop(fs::remove_file(path)))
}

fn into<T, E: From<Error>>(
    conn: &mut Conn,
    migrations: &[String],
    lines: Lines<'_>,
    wanted: &[&str],
    finish: impl FnOnce(&mut Conn) -> Result<T, E>,
) -> Result<T, E> {
    let done = super::connection::transaction(conn, |conn| {
        migrate::up_to(conn, migrations)?;
        import(conn, lines, wanted)?;
        migrate::migrate(conn)?;
        finish(conn)
    });
    done.map_err(super::connection::Failed::into_error)
}

/// The migrations that the tables have come through: what [`restore`] begins with.
///
/// # Errors
/// If the database cannot be read.
pub fn migrations(conn: &mut Conn) -> Result<Vec<String>> {
    migrate::applied(conn)
}

/// Puts lines in the place of the database, all or nothing.
///
/// # Errors
/// [`Error::Refused`] if a server or a command has the database open, or it holds something that shall be kept.
pub fn restore<T, E: From<Error>>(
    url: &str,
    migrations: &[String],
    lines: Lines<'_>,
    present: Present,
    finish: impl FnOnce(&mut Conn) -> Result<T, E>,
) -> Result<T, E> {
    match url.strip_prefix("sqlite:") {
        Some(path) => swap::replace(path, present, |draft| fill(draft, migrations, lines, &TABLES, finish)),
        None => {
            let mut conn = super::postgres::alone(url)?;
            let done = super::connection::transaction(&mut conn, |conn| {
                if installation::is_used(conn)? && present == Present::Keep {
                    return Err(E::from(Error::Refused(swap::HOLDS_ONE.to_owned())));
                }
                migrate::revert(conn)?;
                migrate::up_to(conn, migrations)?;
                import(conn, lines, &TABLES)?;
                migrate::migrate(conn)?;
                finish(conn)
            });
            done.map_err(super::connection::Failed::into_error)
        }
    }
}
