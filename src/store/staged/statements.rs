//! The statements that write rows: on SQLite a row each, on PostgreSQL all rows of a table at once.

use std::sync::OnceLock;

use diesel::pg::{Pg, PgConnection};
use diesel::prelude::*;
use diesel::query_builder::{AstPass, Query, QueryFragment, QueryId};
use diesel::sql_types::{Array, BigInt, Binary, Bool, Nullable, Text};

use super::rows::{Cell, Op, Rows};
use super::tables::{ALL, Column, Kind, RESOURCES, TOUCHED, Table};
use crate::store::db::Db;
use crate::store::statement::{Bind, run};

/// The most new rows in one statement on SQLite, and so the number of statements that are kept prepared.
const ROWS_MAX: usize = 8;

/// What is done to rows: the order in which it is done to those of a table, and the place of its statement.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Verb {
    Delete,
    Update,
    Put,
    Keep,
    Insert,
}

const VERBS: [Verb; 5] = [Verb::Delete, Verb::Update, Verb::Put, Verb::Keep, Verb::Insert];

impl<'a> Op<'a> {
    fn verb(&self) -> Verb {
        match self {
            Op::Delete => Verb::Delete,
            Op::Update(_) => Verb::Update,
            Op::Put(_) => Verb::Put,
            Op::Keep(_) => Verb::Keep,
            Op::Insert(_) => Verb::Insert,
        }
    }

    fn cells(&self) -> &[Cell<'a>] {
        match self {
            Op::Delete => &[],
            Op::Update(cells) | Op::Put(cells) | Op::Keep(cells) | Op::Insert(cells) => cells,
        }
    }
}

fn names<'c>(columns: impl Iterator<Item = &'c Column>) -> String {
    columns.map(|column| column.0).collect::<Vec<_>>().join(", ")
}

/// What follows the rows of an INSERT: what becomes of a row that is there already.
fn conflict(table: &Table, verb: Verb) -> String {
    match verb {
        Verb::Keep => " ON CONFLICT DO NOTHING".to_owned(),
        Verb::Put => {
            let set = table.set.iter().map(|Column(name, _)| format!("{name} = excluded.{name}"));
            let counted =
                table.counted.iter().map(|Column(name, _)| format!("{name} = {}.{name} + excluded.{name}", table.name));
            let all: Vec<String> = set.chain(counted).collect();
            format!(" ON CONFLICT ({}) DO UPDATE SET {}", names(table.key.iter()), all.join(", "))
        }
        Verb::Insert | Verb::Update | Verb::Delete => String::new(),
    }
}

/// The text of a statement that changes one row.
fn text(table: &'static Table, verb: Verb) -> &'static str {
    static NONE: OnceLock<String> = OnceLock::new();
    table.texts.get(verb as usize).unwrap_or(&NONE).get_or_init(|| {
        let own = table.key.iter().map(|Column(name, _)| format!("{name} = ?"));
        let own = own.chain(table.current.map(str::to_owned)).collect::<Vec<_>>().join(" AND ");
        match verb {
            Verb::Delete => format!("DELETE FROM {} WHERE {own}", table.name),
            Verb::Update => {
                let set = table.set.iter().map(|Column(name, _)| format!("{name} = ?"));
                let counted = table.counted.iter().map(|Column(name, _)| format!("{name} = {name} + ?"));
                let later = table.later.iter().map(|Column(name, _)| format!("{name} = max({name} + 1, ?)"));
                let all: Vec<String> = set.chain(counted).chain(later).collect();
                format!("UPDATE {} SET {} WHERE {own}", table.name, all.join(", "))
            }
            Verb::Put | Verb::Keep | Verb::Insert => insert(table, 1) + &conflict(table, verb),
        }
    })
}

/// An INSERT of so many rows.
fn insert(table: &Table, rows: usize) -> String {
    let row = format!("({})", vec!["?"; table.key.len() + table.rest().count()].join(", "));
    format!(
        "INSERT INTO {} ({}) VALUES {}",
        table.name,
        names(table.key.iter().chain(table.rest())),
        vec![row; rows].join(", ")
    )
}

fn bind<'b>(cell: &'b Cell<'_>) -> Bind<'b> {
    match cell {
        Cell::Null => Bind::Null,
        Cell::Int(number) => Bind::Int(*number),
        Cell::Bool(value) => Bind::Bool(*value),
        Cell::Text(text) => Bind::Text(text),
        Cell::Bytes(bytes) => Bind::Bytes(bytes),
    }
}

/// Changes a row on SQLite.
pub(super) fn write_row(db: &mut Db, table: &'static Table, key: &[Cell<'_>], op: &Op<'_>) -> QueryResult<()> {
    let verb = op.verb();
    // An UPDATE names its values before the key.
    let binds: Vec<Bind<'_>> = match verb {
        Verb::Update => op.cells().iter().chain(key).map(bind).collect(),
        _ => key.iter().chain(op.cells()).map(bind).collect(),
    };
    let rows = run(db, text(table, verb), &binds)?;
    if verb == Verb::Update && rows == 0 { Err(diesel::result::Error::NotFound) } else { Ok(()) }
}

/// Writes new rows on SQLite.
pub(super) fn insert_rows<'a>(
    db: &mut Db,
    table: &'static Table,
    rows: impl Iterator<Item = (Vec<Cell<'a>>, Vec<Cell<'a>>)>,
) -> QueryResult<()> {
    let mut rows = rows.peekable();
    while rows.peek().is_some() {
        let chunk: Vec<_> = rows.by_ref().take(ROWS_MAX).collect();
        let binds: Vec<Bind<'_>> = chunk.iter().flat_map(|(key, row)| key.iter().chain(row)).map(bind).collect();
        match chunk.len() {
            1 => run(db, text(table, Verb::Insert), &binds)?,
            several => run(db, &insert(table, several), &binds)?,
        };
    }
    Ok(())
}

/// Keys that no resource had, in ascending order.
pub(super) fn keys(db: &mut Db, count: usize) -> QueryResult<Vec<i64>> {
    const SQL: &str = "SELECT nextval(pg_get_serial_sequence('resources', 'key')) FROM generate_series(1, ";
    let Db::Postgres(session) = db else { return Ok(vec![]) };
    // A few lengths, so that a few statements are kept.
    let sql = format!("{SQL}{})", count.next_power_of_two());
    let mut keys = Set::<BigInt> { sql: &sql, columns: vec![], rows: std::marker::PhantomData }.load::<i64>(session)?;
    keys.sort_unstable();
    Ok(keys)
}

/// A statement of its own, or a part of one.
struct Part<'r> {
    sql: String,
    values: Vec<Values<'r>>,
    /// How many rows there must be to update.
    updates: Option<usize>,
}

/// Writes all rows that wait, on PostgreSQL: in one statement, of which each part sees the database as it was before.
/// No two parts change one row, but for those that were both changed and touched.
pub(super) fn write(db: &mut Db, tables: &[Rows; super::tables::COUNT]) -> QueryResult<()> {
    let Db::Postgres(session) = db else { return Ok(()) };
    let (mut parts, mut behind) = (vec![], vec![]);
    for (table, rows) in ALL.iter().zip(tables) {
        let into = if table.place == TOUCHED.place { &mut behind } else { &mut parts };
        for verb in VERBS {
            let some: Vec<Row<'_>> = rows.iter().filter(|(_, op)| op.verb() == verb).collect();
            if !some.is_empty() {
                into.push(part(table, verb, &some));
            }
        }
    }
    let is_changed = tables.get(RESOURCES.place).is_some_and(|rows| !rows.is_empty());
    if is_changed && !behind.is_empty() {
        run_parts(session, parts)?;
        return run_parts(session, behind);
    }
    parts.extend(behind);
    run_parts(session, parts)
}

fn run_parts(session: &mut PgConnection, parts: Vec<Part<'_>>) -> QueryResult<()> {
    let expected: usize = parts.iter().filter_map(|part| part.updates).sum();
    let (mut sql, mut counts, mut columns) =
        (String::with_capacity(2_048), vec!["CAST(0 AS bigint)".to_owned()], vec![]);
    for (n, part) in parts.into_iter().enumerate() {
        sql.push_str(if n == 0 { "WITH " } else { ", " });
        sql.extend([format!("p{n} AS (").as_str(), &part.sql]);
        if part.updates.is_some() {
            sql.push_str(" RETURNING 1");
            counts.push(format!("(SELECT count(*) FROM p{n})"));
        }
        sql.push(')');
        columns.extend(part.values);
    }
    sql.extend([" SELECT ", &counts.join(" + ")]);
    let updated = Set::<BigInt> { sql: &sql, columns, rows: std::marker::PhantomData }.get_result::<i64>(session)?;
    if usize::try_from(updated) == Ok(expected) { Ok(()) } else { Err(diesel::result::Error::NotFound) }
}

/// A row that waits.
type Row<'r> = (&'r Vec<Cell<'static>>, &'r Op<'static>);

fn part<'r>(table: &Table, verb: Verb, rows: &[Row<'r>]) -> Part<'r> {
    let rest: Vec<&Column> = match verb {
        Verb::Delete => vec![],
        Verb::Update => table.changing().collect(),
        _ => table.rest().collect(),
    };
    let columns: Vec<&Column> = table.key.iter().chain(rest).collect();
    let values = columns.iter().enumerate().map(|(n, column)| Values::of(column.1, column_of(rows, n))).collect();
    Part { sql: set_text(table, verb, &columns), values, updates: (verb == Verb::Update).then_some(rows.len()) }
}

/// The values of a column, by its place.
fn column_of<'r>(rows: &[Row<'r>], n: usize) -> impl Iterator<Item = &'r Cell<'static>> {
    rows.iter().map(move |(key, op)| key.get(n).or_else(|| op.cells().get(n - key.len())).unwrap_or(&Cell::Null))
}

/// The text of a statement that changes any number of rows: each parameter is a column.
fn set_text(table: &Table, verb: Verb, columns: &[&Column]) -> String {
    let name = table.name;
    let place = |(n, column): (usize, &&Column)| format!("CAST(${} AS {}[])", n + 1, column.1.name());
    let places: Vec<String> = columns.iter().enumerate().map(place).collect();
    let values = format!("unnest({})", places.join(", "));
    let listed = names(columns.iter().copied());
    // Each row is looked up by itself, whatever the planner knows of the table: what has an offset it plans alone, and a
    // place it goes to.
    let found = || {
        let same = table.key.iter().map(|Column(key, _)| format!("o.{key} = v.{key}"));
        let own: Vec<String> = same.chain(table.current.map(|current| format!("o.{current}"))).collect();
        let each = format!("SELECT o.ctid FROM {name} AS o WHERE {} OFFSET 0", own.join(" AND "));
        format!("(SELECT o.ctid AS place, v.* FROM {values} AS v ({listed}) CROSS JOIN LATERAL ({each}) AS o) AS v")
    };
    match verb {
        Verb::Delete => format!("DELETE FROM {name} AS t USING {} WHERE t.ctid = v.place", found()),
        Verb::Update => {
            let set = table.set.iter().map(|Column(one, _)| format!("{one} = v.{one}"));
            let counted = table.counted.iter().map(|Column(one, _)| format!("{one} = t.{one} + v.{one}"));
            let later = table.later.iter().map(|Column(one, _)| format!("{one} = greatest(t.{one} + 1, v.{one})"));
            let all: Vec<String> = set.chain(counted).chain(later).collect();
            format!("UPDATE {name} AS t SET {} FROM {} WHERE t.ctid = v.place", all.join(", "), found())
        }
        Verb::Put | Verb::Keep | Verb::Insert => {
            // The key of a resource was taken from its sequence before.
            let given =
                if columns.first().is_some_and(|first| first.0 == "key") { "OVERRIDING SYSTEM VALUE " } else { "" };
            format!("INSERT INTO {name} ({listed}) {given}SELECT * FROM {values}{}", conflict(table, verb))
        }
    }
}

/// The values of a column.
enum Values<'a> {
    Int(Vec<Option<i64>>),
    Bool(Vec<Option<bool>>),
    Text(Vec<Option<&'a str>>),
    Bytes(Vec<Option<&'a [u8]>>),
}

impl<'a> Values<'a> {
    fn of(kind: Kind, cells: impl Iterator<Item = &'a Cell<'static>>) -> Values<'a> {
        match kind {
            Kind::Int => {
                Values::Int(cells.map(|c| if let Cell::Int(value) = c { Some(*value) } else { None }).collect())
            }
            Kind::Bool => {
                Values::Bool(cells.map(|c| if let Cell::Bool(value) = c { Some(*value) } else { None }).collect())
            }
            Kind::Text => {
                Values::Text(cells.map(|c| if let Cell::Text(text) = c { Some(&**text) } else { None }).collect())
            }
            Kind::Bytes => {
                Values::Bytes(cells.map(|c| if let Cell::Bytes(one) = c { Some(&**one) } else { None }).collect())
            }
        }
    }
}

/// A statement over sets of values. It is prepared once and kept, by its text.
struct Set<'a, ST> {
    sql: &'a str,
    columns: Vec<Values<'a>>,
    rows: std::marker::PhantomData<ST>,
}

impl<ST> QueryId for Set<'_, ST> {
    type QueryId = ();
    const HAS_STATIC_QUERY_ID: bool = false;
}

impl<ST> Query for Set<'_, ST> {
    type SqlType = ST;
}

impl<ST> RunQueryDsl<PgConnection> for Set<'_, ST> {}

impl<ST> QueryFragment<Pg> for Set<'_, ST> {
    fn walk_ast<'b>(&'b self, mut pass: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        let mut columns = self.columns.iter();
        // The text names its parameters; Diesel writes them.
        for (n, part) in self.sql.split('$').enumerate() {
            let part = part.trim_start_matches(|c: char| n > 0 && c.is_ascii_digit());
            match if n > 0 { columns.next() } else { None } {
                Some(Values::Int(values)) => pass.push_bind_param::<Array<Nullable<BigInt>>, _>(values)?,
                Some(Values::Bool(values)) => pass.push_bind_param::<Array<Nullable<Bool>>, _>(values)?,
                Some(Values::Text(values)) => pass.push_bind_param::<Array<Nullable<Text>>, _>(values)?,
                Some(Values::Bytes(values)) => pass.push_bind_param::<Array<Nullable<Binary>>, _>(values)?,
                None => {}
            }
            pass.push_sql(part);
        }
        Ok(())
    }
}
