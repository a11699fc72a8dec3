//! The statements that find candidates, in order, and count them.

use diesel::sql_types::{BigInt, Integer, Nullable, Text};

use super::finder::Finder;
use super::order::{Column, Direction, Place, Segment};
use crate::domain::TenantKey;
use crate::store::connection::Conn;
use crate::store::error::{Error, Result};
use crate::store::filter::{Cond, EXISTS_END, Leaf, RANK_MANY, RowTest, Scope, Sql, Test, rank};
use crate::store::types::ResourceKey;

/// A resource that may match.
#[derive(Debug)]
pub(super) struct Candidate {
    pub(super) place: Place,
    /// Whether it does.
    pub(super) sure: bool,
}

/// The key, the sort key, and whether it matches for sure.
type Columns = (BigInt, Nullable<Text>, Integer);

/// Which of the candidates of a segment.
#[derive(Clone, Copy)]
pub(super) struct Slice<'a> {
    pub(super) after: Option<&'a Place>,
    pub(super) offset: u64,
    pub(super) limit: usize,
}

/// The table that a statement walks.
enum From<'p> {
    /// Rows of one value, which are in the order of their resources.
    Row(&'p RowTest),
    /// All resources of the type, or those in a set.
    Table(Option<&'p Cond>),
    /// Those in a set, looked up one by one: how many there are, PostgreSQL does not know.
    Gathered(&'p Cond),
    /// The rows that a path is sorted by, or those of a set of resources.
    Sorted(i32, Option<&'p Cond>),
}

impl<'q> Finder<'q> {
    /// Candidates of one segment, in its order.
    pub(super) fn fetch(
        &self,
        conn: &mut Conn,
        tenant: TenantKey,
        segment: Segment,
        slice: Slice<'_>,
    ) -> Result<Vec<Candidate>> {
        let bytes = after_id(segment, slice.after)?;
        let sql = self.rows(tenant, !conn.is_embedded(), segment, slice, bytes.as_deref())?;
        let (text, binds) = sql.parts();
        let rows = conn.load_sql_kept::<Columns, (i64, Option<String>, i32)>(text, binds, self.plan.is_kept)?;
        let candidate = |(key, value, sure): (i64, Option<String>, i32)| {
            let value = value.or_else(|| self.order.fixed().map(str::to_owned));
            Candidate { place: Place { key: ResourceKey(key), value }, sure: sure == 1 }
        };
        Ok(rows.into_iter().map(candidate).collect())
    }

    /// How many candidates a segment has, or has behind a place.
    pub(super) fn count(
        &self,
        conn: &mut Conn,
        tenant: TenantKey,
        segment: Segment,
        after: Option<&Place>,
    ) -> Result<u64> {
        let bytes = after_id(segment, after)?;
        let mut sql = self.sql(tenant, !conn.is_embedded());
        let from = self.from(segment, sql.is_postgres());
        sql.push("SELECT count(*)");
        self.body(&mut sql, segment, &from, true);
        if let Some(place) = after {
            go_on(&mut sql, segment, key(&from), place, bytes.as_deref())?;
        }
        let (text, binds) = sql.parts();
        let rows = conn.load_sql_kept::<BigInt, i64>(text, binds, self.plan.is_kept)?;
        Ok(rows.into_iter().next().and_then(|count| u64::try_from(count).ok()).unwrap_or(0))
    }

    fn sql(&self, tenant: TenantKey, postgres: bool) -> Sql<'q> {
        Sql::new(tenant, &self.query.resource_type.name, postgres)
    }

    /// The statement for candidates; `bytes` is the id that the slice begins behind, if they are sorted by it.
    pub(super) fn rows<'s>(
        &self,
        tenant: TenantKey,
        postgres: bool,
        segment: Segment,
        slice: Slice<'s>,
        bytes: Option<&'s [u8]>,
    ) -> Result<Sql<'s>>
    where
        'q: 's,
    {
        let mut sql: Sql<'s> = self.sql(tenant, postgres);
        let from = self.from(segment, postgres);
        sql.push("SELECT ").push(key(&from)).push(", ").push(value(segment, postgres)).push(", ");
        sql.push("CASE WHEN ").cond(&self.plan.sure, &scope(&from));
        sql.push(" THEN 1 ELSE 0 END");
        self.body(&mut sql, segment, &from, false);
        if let Some(place) = slice.after {
            go_on(&mut sql, segment, key(&from), place, bytes)?;
        }
        sql.push(" ORDER BY ").push(&order(segment, key(&from)));
        sql.push(" LIMIT ").int(i64::try_from(slice.limit).unwrap_or(i64::MAX));
        if slice.offset > 0 {
            sql.push(" OFFSET ").int(i64::try_from(slice.offset).unwrap_or(i64::MAX));
        }
        Ok(sql)
    }

    /// Whether each statement finds all that may match, and not only its own stretch of them.
    pub(super) fn gathers(&self, segment: Segment) -> bool {
        matches!(self.from(segment, true), From::Gathered(_) | From::Sorted(_, Some(_)))
    }

    fn from(&self, segment: Segment, postgres: bool) -> From<'q> {
        let driver = self.plan.driver.as_ref();
        let selective = driver.filter(|driver| rank(driver) < RANK_MANY);
        match (segment, driver) {
            (Segment::Key | Segment::Missing(_), Some(Cond::Leaf(Leaf::Row(row)))) if is_one_value(row) => {
                From::Row(row)
            }
            (Segment::Present(path, _), _) => From::Sorted(path, selective),
            // Its own index serves the condition and the order; of one moment there are few, whatever the order.
            (Segment::Column(column, _), Some(Cond::Leaf(Leaf::Time(clock, relation, _))))
                if !postgres || relation.sql() != "=" || column.name() == clock.column() =>
            {
                From::Table(None)
            }
            _ => match selective {
                None => From::Table(None),
                // The row itself says it.
                Some(Cond::Leaf(Leaf::Id(ids))) if ids.len() == 1 || !postgres => From::Table(None),
                Some(set) if postgres => From::Gathered(set),
                set => From::Table(set),
            },
        }
    }

    /// ` FROM … WHERE …`; `all` if no order says which index to go by.
    fn body<'s>(&self, sql: &mut Sql<'s>, segment: Segment, from: &From<'s>, all: bool)
    where
        'q: 's,
    {
        let (mut driver, postgres) = (self.plan.driver.as_ref(), sql.is_postgres());
        sql.push(" FROM ");
        match from {
            From::Row(row) => {
                driver = None;
                sql.push("resource_index d WHERE ").row("d", row);
                if row.path.is_multi_valued {
                    sql.push(" AND NOT EXISTS (SELECT 1 FROM resource_index o WHERE o.tenant = d.tenant AND ");
                    sql.push("o.path = d.path AND o.value = d.value AND o.resource = d.resource AND ");
                    sql.push("o.element < d.element").push(EXISTS_END);
                }
            }
            From::Table(set) => {
                let has_id = matches!(driver, Some(Cond::Leaf(Leaf::Id(_))));
                sql.push("resources r ");
                // SQLite may know how many there are, and would read those of other types and tenants beside.
                if all && set.is_none() && !has_id && !postgres {
                    sql.push("INDEXED BY resources_type ");
                }
                sql.push("WHERE r.tenant = ").tenant().of_type(has_id);
                if let Some(set) = set {
                    driver = None;
                    sql.push(" AND r.key IN (").keys(set, &[]);
                    sql.push(")");
                }
            }
            From::Gathered(set) => {
                driver = None;
                sql.push("(SELECT DISTINCT k FROM (").keys(set, &[]);
                sql.push(") AS f ORDER BY k OFFSET 0) AS d ").each("resources", "r", "r.key = d.k");
                sql.push(" WHERE r.tenant = ").tenant().push(" AND r.type = ").type_name();
            }
            From::Sorted(path, set) => {
                match set {
                    Some(set) => {
                        driver = None;
                        sql.push("(SELECT DISTINCT k FROM (").keys(set, &[]);
                        sql.push(") AS f) AS d ");
                        // The path is one of ours, and a number.
                        let own = if postgres {
                            &format!("s.resource = d.k AND s.path = {path}")
                        } else {
                            "s.resource = d.k"
                        };
                        sql.each("resource_index", "s", own).push(if postgres { " WHERE " } else { " AND " });
                    }
                    None => drop(sql.push("resource_index s WHERE ")),
                }
                sql.push("s.tenant = ").tenant().push(" AND s.path = ").int((*path).into());
                sql.push(" AND s.is_primary = TRUE");
            }
        }
        let scope = scope(from);
        sql.and(driver.into_iter().chain(&self.plan.rest), &scope);
        if let Segment::Missing(path) = segment {
            sql.push(" AND NOT EXISTS (SELECT 1 FROM resource_index n WHERE n.resource = ").push(key(from));
            sql.push(" AND n.path = ").int(path.into()).push(EXISTS_END);
        }
    }
}

fn is_one_value(row: &RowTest) -> bool {
    matches!(&row.test, Test::In(texts) if texts.len() == 1)
}

fn key(from: &From<'_>) -> &'static str {
    match from {
        From::Row(_) => "d.resource",
        From::Table(_) => "r.key",
        From::Gathered(_) => "d.k",
        From::Sorted(..) => "s.resource",
    }
}

fn scope(from: &From<'_>) -> Scope {
    if matches!(from, From::Table(_) | From::Gathered(_)) { Scope::table() } else { Scope::key(key(from)) }
}

/// The sort key, as text.
fn value(segment: Segment, postgres: bool) -> &'static str {
    match segment {
        Segment::Key | Segment::Missing(_) => "CAST(NULL AS TEXT)",
        Segment::Present(..) => "s.value",
        Segment::Column(Column::Id, _) if postgres => "encode(r.id, 'hex')",
        Segment::Column(Column::Id, _) => "lower(hex(r.id))",
        Segment::Column(Column::Created, _) => "CAST(r.created AS TEXT)",
        Segment::Column(Column::Modified, _) => "CAST(r.modified AS TEXT)",
    }
}

fn order(segment: Segment, key: &str) -> String {
    let descending = |direction| if direction == Direction::Descending { " DESC" } else { "" };
    match segment {
        Segment::Key | Segment::Missing(_) => key.to_owned(),
        Segment::Present(_, direction) => format!("s.value{0}, {key}{0}", descending(direction)),
        Segment::Column(column, direction) => format!("r.{}{1}, {key}{1}", column.name(), descending(direction)),
    }
}

/// ` AND` behind that place.
fn go_on<'p>(sql: &mut Sql<'p>, segment: Segment, key: &str, place: &'p Place, bytes: Option<&'p [u8]>) -> Result<()> {
    let (column, direction) = match segment {
        Segment::Key | Segment::Missing(_) => {
            sql.push(" AND ").push(key).push(" > ").int(place.key.0);
            return Ok(());
        }
        Segment::Present(_, direction) => ("s.value".to_owned(), direction),
        Segment::Column(column, direction) => (format!("r.{}", column.name()), direction),
    };
    let beyond = if direction == Direction::Descending { "<" } else { ">" };
    // At or beyond is what an index can start from.
    sql.push(" AND ").push(&column).push(" ").push(beyond).push("= ");
    bind(sql, segment, place, bytes)?;
    sql.push(" AND (").push(&column).push(" ").push(beyond).push(" ");
    bind(sql, segment, place, bytes)?;
    sql.push(" OR ").push(key).push(" ").push(beyond).push(" ").int(place.key.0).push(")");
    Ok(())
}

fn bind<'p>(sql: &mut Sql<'p>, segment: Segment, place: &'p Place, bytes: Option<&'p [u8]>) -> Result<()> {
    let value = place.value.as_deref().unwrap_or_default();
    match segment {
        Segment::Column(Column::Id, _) => sql.bytes(bytes.unwrap_or_default()),
        Segment::Column(..) => sql.int(value.parse().map_err(|_| unreadable())?),
        _ => sql.text(value),
    };
    Ok(())
}

/// The bytes of the id that a place names in hexadecimal.
fn after_id(segment: Segment, place: Option<&Place>) -> Result<Option<Vec<u8>>> {
    let (Segment::Column(Column::Id, _), Some(place)) = (segment, place) else { return Ok(None) };
    let text = place.value.as_deref().unwrap_or_default();
    // Behind every id, see `Order::beginning`.
    if text == "g" {
        return Ok(Some(vec![u8::MAX; 17]));
    }
    let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok();
    let bytes: Option<Vec<u8>> = text.as_bytes().chunks(2).map(byte).collect();
    bytes.map(Some).ok_or_else(unreadable)
}

fn unreadable() -> Error {
    Error::corrupt("cursor", "sort", "another order's key")
}
