//! The indexes of PostgreSQL, and what a search by one reads: it goes straight to what its first columns say, and through
//! all that these have in common for the others.

use diesel::prelude::*;
use diesel::sql_types::{Array, Text};
use serde_json::Value;

use super::rules::{WIDE, compared};

#[derive(QueryableByName)]
struct Index {
    #[diesel(sql_type = Text)]
    table: String,
    #[diesel(sql_type = Text)]
    name: String,
    #[diesel(sql_type = Array<Text>)]
    columns: Vec<String>,
}

pub struct Indexes(Vec<Index>);

const ALL: &str = "SELECT t.relname::text AS table, i.relname::text AS name, ARRAY( \
        SELECT a.attname::text FROM unnest(x.indkey) WITH ORDINALITY AS k (number, place) \
        JOIN pg_attribute a ON a.attrelid = t.oid AND a.attnum = k.number ORDER BY k.place) AS columns \
    FROM pg_index x JOIN pg_class i ON i.oid = x.indexrelid JOIN pg_class t ON t.oid = x.indrelid \
    WHERE t.relnamespace = 'public'::regnamespace";

impl Indexes {
    pub fn read(conn: &mut PgConnection) -> Indexes {
        Indexes(diesel::sql_query(ALL).load(conn).unwrap())
    }

    /// The columns that a scan goes by, of those that its condition names.
    pub fn gone_by(&self, plan: &Value) -> Vec<String> {
        let named = compared(plan["Index Cond"].as_str().unwrap_or_default());
        let index = self.0.iter().find(|index| Some(index.name.as_str()) == plan["Index Name"].as_str());
        index.map_or(named.clone(), |index| index.begin(&named))
    }

    /// The index that would have led a scan to fewer rows than what is wide: by what it compares them with one by one.
    pub fn missed(&self, plan: &Value, gone_by: &[String]) -> Option<String> {
        if gone_by.iter().any(|column| !WIDE.contains(&column.as_str())) {
            return None;
        }
        let equal = |text: &str| -> Vec<String> {
            let is_equal = |term: &&str| term.contains(" = ") && !term.contains(" OR ") && !term.contains("NOT ");
            terms(text).into_iter().filter(is_equal).flat_map(compared).collect()
        };
        let mut known = equal(plan["Filter"].as_str().unwrap_or_default());
        known.extend(equal(plan["Index Cond"].as_str().unwrap_or_default()));
        let of_table = self.0.iter().filter(|index| Some(index.table.as_str()) == plan["Relation Name"].as_str());
        let narrow = |index: &&Index| index.begin(&known).iter().any(|column| !WIDE.contains(&column.as_str()));
        of_table.into_iter().find(narrow).map(|index| index.name.clone())
    }
}

/// The terms that all hold: of `((a = 1) AND ((b = 2) OR ((c = 3) AND (d = 4))))` two.
fn terms(text: &str) -> Vec<&str> {
    let mut depth = 0_u32;
    let pieces = text.split(|letter: char| {
        depth = if letter == '(' { depth + 1 } else { depth.saturating_sub((letter == ')').into()) };
        letter == ')' && depth == 1
    });
    let pieces: Vec<&str> = pieces.map(|piece| piece.trim_start_matches(" AND ")).collect();
    if pieces.iter().any(|piece| piece.starts_with(" OR ")) { vec![] } else { pieces }
}

impl Index {
    fn begin(&self, named: &[String]) -> Vec<String> {
        self.columns.iter().take_while(|column| named.contains(column)).cloned().collect()
    }
}
