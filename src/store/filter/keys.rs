//! Queries for the resources that meet a condition: what a search starts from.

use super::cond::{Cond, Leaf, RowTest, Test, Which};
use super::plan::rank;
use super::sql::{Scope, Sql};

impl<'p> Sql<'p> {
    /// A query for the keys (`k`) of what meets a condition that has a rank, and all of the others.
    pub(in crate::store) fn keys(&mut self, driver: &'p Cond, rest: &[&'p Cond]) {
        match driver {
            Cond::Leaf(leaf) => self.keys_of_leaf(leaf, rest),
            Cond::All(parts) => {
                let Some(first) = parts.iter().min_by_key(|part| rank(part)) else { return };
                let others = parts.iter().filter(|part| !std::ptr::eq(*part, first));
                let all: Vec<&Cond> = others.chain(rest.iter().copied()).collect();
                self.keys(first, &all);
            }
            Cond::Any(parts) => {
                for (n, part) in parts.iter().enumerate() {
                    self.push(if n > 0 { " UNION ALL " } else { "" });
                    self.keys(part, rest);
                }
            }
            Cond::True | Cond::False | Cond::Not(_) => drop(self.push("SELECT key AS k FROM resources WHERE FALSE")),
        }
    }

    fn keys_of_leaf(&mut self, leaf: &'p Leaf, rest: &[&'p Cond]) {
        let mut scope = Scope::key("r.key");
        match leaf {
            Leaf::Row(row) => scope.key = self.keys_of_row(row, None),
            Leaf::Element(row, others) => scope.key = self.keys_of_row(row, Some(others)),
            Leaf::Id(_) | Leaf::Time(..) => {
                self.push("SELECT r.key AS k FROM ").resources(leaf);
                scope.is_table = true;
            }
            Leaf::ExternalId(connection, test) => {
                self.push("SELECT e.resource AS k FROM external_ids e WHERE e.connection = ").int(*connection);
                self.push(" AND e.type = ").type_name().push(" AND e.tenant = ").tenant();
                self.test("e.value", test, None);
                scope.key = "e.resource".to_owned();
            }
            Leaf::Member(id) => {
                self.push("SELECT g.group_key AS k FROM memberships g WHERE g.until_seq IS NULL AND g.tenant = ");
                self.tenant();
                if let Some(id) = id {
                    self.push(" AND g.member_key = ").key_of(id);
                }
                scope.key = "g.group_key".to_owned();
            }
            Leaf::Group(which) => {
                self.push("SELECT down.k AS k FROM (WITH RECURSIVE inside (k) AS (SELECT m.member_key ");
                match which {
                    Which::Named(row) if self.is_postgres() => {
                        self.push("FROM (").keys_of_row(row, None);
                        self.push(") AS named ");
                        self.each("memberships", "m", "m.group_key = named.k AND m.until_seq IS NULL");
                        self.push(" WHERE m.tenant = ").tenant();
                    }
                    _ => drop(self.push("FROM memberships m WHERE m.until_seq IS NULL AND m.tenant = ").tenant()),
                }
                match which {
                    Which::Id(id) => drop(self.push(" AND m.group_key = ").key_of(id)),
                    Which::Named(row) if !self.is_postgres() => {
                        self.push(" AND m.group_key IN (").keys_of_row(row, None);
                        self.push(")");
                    }
                    Which::Any | Which::Named(_) => {}
                }
                self.push(" UNION SELECT m.member_key FROM inside ");
                self.each("memberships", "m", "m.group_key = inside.k AND m.until_seq IS NULL");
                self.push(") SELECT k FROM inside) AS down WHERE TRUE");
                scope.key = "down.k".to_owned();
            }
        }
        self.and(rest.iter().copied(), &scope);
    }

    /// The resources of the type, `r`, that have an id or a time. On PostgreSQL each of several ids is looked up by itself,
    /// and what has a time is asked for in its order, which only the index by time has: before any rows were counted,
    /// all of the type look as few to it as those.
    fn resources(&mut self, leaf: &'p Leaf) {
        match leaf {
            Leaf::Id(ids) if ids.len() > 1 && self.is_postgres() => {
                self.each_id(ids, "r").push(" WHERE r.type = ").type_name();
            }
            Leaf::Time(clock, relation, millis) if self.is_postgres() => {
                self.push("(SELECT r.* FROM resources r WHERE r.tenant = ").tenant().of_type(false);
                for end in relation.ends() {
                    self.push(" AND r.").push(clock.column()).push(" ").push(end.sql()).push(" ").int(*millis);
                }
                self.push(" ORDER BY r.").push(clock.column()).push(" OFFSET 0) AS r WHERE TRUE");
            }
            _ => {
                self.push("resources r WHERE r.tenant = ").tenant().of_type(matches!(leaf, Leaf::Id(_)));
                self.push(" AND ").leaf(leaf, &Scope::table());
            }
        }
    }

    /// The start of a query for keys by index rows; gives its key.
    fn keys_of_row(&mut self, row: &'p RowTest, others: Option<&'p Cond>) -> String {
        let alias = self.alias('i');
        self.push("SELECT ").push(&alias).push(".resource AS k FROM ");
        match &row.test {
            Test::In(texts) if texts.len() > 1 && self.is_postgres() => self.rows_of_each(&alias, row, texts),
            _ => self.push("resource_index ").push(&alias).push(" WHERE ").row(&alias, row),
        }
        self.rest_of_element(&alias, others);
        format!("{alias}.resource")
    }
}
