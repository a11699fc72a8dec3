//! Statements of our own text, and the values in them.

use std::marker::PhantomData;

use diesel::backend::Backend;
use diesel::pg::PgConnection;
use diesel::prelude::*;
use diesel::query_builder::{AstPass, Query, QueryFragment, QueryId};
use diesel::serialize::ToSql;
use diesel::sql_types::{BigInt, Binary, Bool, HasSqlType, Nullable, Text};
use diesel::sqlite::SqliteConnection;

use super::db::{Db, with};
use super::types::ResourceKey;
use crate::domain::Id;

/// A value for a `?` of a `Conn::execute_sql` or `Conn::load_sql`.
pub enum Bind<'a> {
    /// None, in a column of any type.
    Null,
    /// A number.
    Int(i64),
    /// A truth value.
    Bool(bool),
    /// A text.
    Text(&'a str),
    /// Bytes, such as an id's.
    Bytes(&'a [u8]),
    /// Keys, ids or texts: `IN ?`, or a subquery with one column `value`: `FROM ? AS list`.
    List(List),
}

/// A list in one parameter, so that the statement is the same whatever its length, and stays prepared.
pub struct List {
    text: String,
    sqlite: (&'static str, &'static str),
    postgres: (&'static str, &'static str),
    /// The same as an array, by which PostgreSQL looks values up in an index, one by one. A subquery behind IN it
    /// may compare with everything that a tenant has.
    array: (&'static str, &'static str),
}

impl List {
    /// A list of surrogate keys.
    pub(crate) fn keys(keys: &[ResourceKey]) -> List {
        let keys: Vec<String> = keys.iter().map(|key| key.0.to_string()).collect();
        List {
            text: keys.join(","),
            sqlite: ("(SELECT value FROM json_each('[' || ", " || ']'))"),
            postgres: ("(SELECT unnest(CAST('{' || ", " || '}' AS bigint[])) AS value)"),
            array: ("(CAST('{' || ", " || '}' AS bigint[]))"),
        }
    }

    /// A list of texts.
    pub(crate) fn texts<'t>(texts: impl Iterator<Item = &'t str>) -> List {
        let texts: Vec<&str> = texts.collect();
        // As JSON, without its brackets. Texts cannot fail to be written.
        let text = serde_json::to_string(&texts).unwrap_or_default();
        List {
            text: text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or_default().to_owned(),
            sqlite: ("(SELECT value FROM json_each('[' || ", " || ']'))"),
            postgres: ("(SELECT json_array_elements_text(CAST('[' || ", " || ']' AS json)) COLLATE \"C\" AS value)"),
            array: ("(ARRAY(SELECT json_array_elements_text(CAST('[' || ", " || ']' AS json)) COLLATE \"C\"))"),
        }
    }

    /// A list of ids.
    pub(crate) fn ids(ids: &[Id]) -> List {
        let ids: Vec<String> = ids.iter().map(|id| format!("\"{}\"", crate::domain::log::hex(id.as_bytes()))).collect();
        List {
            text: ids.join(","),
            sqlite: ("(SELECT unhex(value) AS value FROM json_each('[' || ", " || ']'))"),
            postgres: ("(SELECT decode(unnest(CAST('{' || ", " || '}' AS text[])), 'hex') AS value)"),
            array: ("(ARRAY(SELECT decode(unnest(CAST('{' || ", " || '}' AS text[])), 'hex')))"),
        }
    }
}

/// The values of a list, each once; to be gone on with [`super::Conn::each`]. `tenant = ? AND id IN ?` would do on
/// SQLite; PostgreSQL may read all of the tenant for it, and goes on so when that has grown.
pub(crate) const LISTED: &str = "FROM (SELECT DISTINCT value FROM ? AS given) AS list ";

/// See [`super::Conn::each`].
pub(crate) fn each(postgres: bool, table: &str, alias: &str, condition: &str) -> String {
    if !postgres {
        return format!("CROSS JOIN {table} {alias} WHERE {condition}");
    }
    // OFFSET: PostgreSQL plans by itself what has one.
    let rows = format!("SELECT {alias}.* FROM {table} {alias} WHERE {condition} OFFSET 0");
    format!("CROSS JOIN LATERAL ({rows}) AS {alias}")
}

/// Runs a statement with a `?` for each value; gives the number of rows.
pub(super) fn run(db: &mut Db, sql: &str, binds: &[Bind<'_>]) -> QueryResult<usize> {
    let statement = Statement::<()> { sql, binds, postgres: !db.is_embedded(), keep: true, row: PhantomData };
    with!(db, |c| statement.execute(c))
}

/// A statement of our own text. Unlike `sql_query` it can be prepared once and kept, by its text.
pub(crate) struct Statement<'a, ST> {
    pub(super) sql: &'a str,
    pub(super) binds: &'a [Bind<'a>],
    pub(super) postgres: bool,
    pub(super) keep: bool,
    pub(super) row: PhantomData<ST>,
}

impl<ST> QueryId for Statement<'_, ST> {
    type QueryId = ();
    const HAS_STATIC_QUERY_ID: bool = false;
}

impl<ST> Query for Statement<'_, ST> {
    type SqlType = ST;
}

impl<ST> RunQueryDsl<SqliteConnection> for Statement<'_, ST> {}
impl<ST> RunQueryDsl<PgConnection> for Statement<'_, ST> {}

impl<DB, ST> QueryFragment<DB> for Statement<'_, ST>
where
    DB: Backend + HasSqlType<BigInt> + HasSqlType<Bool> + HasSqlType<Text> + HasSqlType<Binary>,
    i64: ToSql<BigInt, DB>,
    bool: ToSql<Bool, DB>,
    str: ToSql<Text, DB>,
    [u8]: ToSql<Binary, DB>,
{
    fn walk_ast<'b>(&'b self, mut pass: AstPass<'_, 'b, DB>) -> QueryResult<()> {
        if !self.keep {
            pass.unsafe_to_cache_prepared();
        }
        let (mut binds, mut is_among) = (self.binds.iter().peekable(), false);
        for (place, text) in self.sql.split('?').enumerate() {
            if place > 0 {
                match binds.next() {
                    Some(Bind::Null) => pass.push_bind_param::<Nullable<Text>, Option<String>>(&None)?,
                    Some(Bind::Int(number)) => pass.push_bind_param::<BigInt, _>(number)?,
                    Some(Bind::Bool(value)) => pass.push_bind_param::<Bool, _>(value)?,
                    Some(Bind::Text(text)) => pass.push_bind_param::<Text, str>(text)?,
                    Some(Bind::Bytes(bytes)) => pass.push_bind_param::<Binary, [u8]>(bytes)?,
                    Some(Bind::List(list)) => {
                        let (before, after) = match (self.postgres, is_among) {
                            (true, true) => list.array,
                            (true, false) => list.postgres,
                            (false, _) => list.sqlite,
                        };
                        pass.push_sql(before);
                        pass.push_bind_param::<Text, str>(&list.text)?;
                        pass.push_sql(after);
                    }
                    None => return Err(diesel::result::Error::QueryBuilderError("too few values".into())),
                }
            }
            let before = text.strip_suffix("IN ").filter(|_| matches!(binds.peek(), Some(Bind::List(_))));
            is_among = before.is_some();
            match before.filter(|_| self.postgres) {
                Some(before) => {
                    pass.push_sql(before);
                    pass.push_sql("= ANY ");
                }
                None => pass.push_sql(text),
            }
        }
        Ok(())
    }
}
