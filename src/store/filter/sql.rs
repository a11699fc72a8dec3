//! Conditions, written for either database: a text with a `?` for each value.

use super::cond::{Cond, Leaf, RowTest, Test, Which};
use super::values::CUT_BYTES_MIN;
use crate::domain::{Id, TenantKey};
use crate::store::connection::{Bind, LISTED, List};
use crate::store::statement::each;

/// A statement in the making; values stay where they are. What a query starts from and what a condition
/// looks up have aliases of their own (`r e g down`, `t x m up`), so that none hides another.
pub(in crate::store) struct Sql<'p> {
    text: String,
    binds: Vec<Bind<'p>>,
    tenant: TenantKey,
    type_name: &'p str,
    postgres: bool,
    aliases: u32,
}

/// The end of `EXISTS (SELECT …`. Without a limit SQLite 3.51 makes it a join, and then OFFSET counts a row
/// of the outer query once for each inner one. Without an offset PostgreSQL joins with all that the inner
/// query could find, though the outer one stops when a page is full.
pub(in crate::store) const EXISTS_END: &str = " LIMIT 1 OFFSET 0)";

/// What a condition is about.
#[derive(Clone)]
pub(in crate::store) struct Scope {
    /// The surrogate key of the resource.
    pub(super) key: String,
    /// The number of the element, inside a value path.
    element: Option<String>,
    /// Whether it is the table of resources itself, aliased `r`.
    pub(super) is_table: bool,
}

impl Scope {
    pub(in crate::store) fn table() -> Scope {
        Scope { key: "r.key".to_owned(), element: None, is_table: true }
    }

    pub(in crate::store) fn key(key: impl Into<String>) -> Scope {
        Scope { key: key.into(), element: None, is_table: false }
    }
}

impl<'p> Sql<'p> {
    pub(in crate::store) fn new(tenant: TenantKey, type_name: &'p str, postgres: bool) -> Sql<'p> {
        Sql { text: String::with_capacity(512), binds: vec![], tenant, type_name, postgres, aliases: 0 }
    }

    pub(in crate::store) fn parts(&self) -> (&str, &[Bind<'p>]) {
        (&self.text, &self.binds)
    }

    pub(in crate::store) fn push(&mut self, text: &str) -> &mut Self {
        self.text.push_str(text);
        self
    }

    pub(in crate::store) fn int(&mut self, number: i64) -> &mut Self {
        self.binds.push(Bind::Int(number));
        self.push("?")
    }

    pub(in crate::store) fn text(&mut self, text: &'p str) -> &mut Self {
        self.binds.push(Bind::Text(text));
        self.push("?")
    }

    pub(in crate::store) fn bytes(&mut self, bytes: &'p [u8]) -> &mut Self {
        self.binds.push(Bind::Bytes(bytes));
        self.push("?")
    }

    pub(in crate::store) fn tenant(&mut self) -> &mut Self {
        self.int(self.tenant.0)
    }

    pub(in crate::store) fn type_name(&mut self) -> &mut Self {
        self.text(self.type_name)
    }

    /// ` AND r.type = ?`, in words that no index knows where an id says which resource it is: before PostgreSQL has counted
    /// any, all of a type look as few to it as the one that has the id.
    pub(in crate::store) fn of_type(&mut self, has_id: bool) -> &mut Self {
        self.push(if has_id { " AND r.type || '' = " } else { " AND r.type = " }).type_name()
    }

    /// The rows of a table for each row before it: see [`crate::store::Conn::each`].
    pub(in crate::store) fn each(&mut self, table: &str, alias: &str, condition: &str) -> &mut Self {
        let join = each(self.postgres, table, alias, condition);
        self.push(&join)
    }

    pub(in crate::store) fn is_postgres(&self) -> bool {
        self.postgres
    }

    pub(super) fn alias(&mut self, letter: char) -> String {
        self.aliases += 1;
        format!("{letter}{}", self.aliases)
    }

    /// ` AND conditions`, if there are any.
    pub(in crate::store) fn and(&mut self, conds: impl IntoIterator<Item = &'p Cond>, scope: &Scope) {
        let conds: Vec<&Cond> = conds.into_iter().collect();
        if !conds.is_empty() {
            self.push(" AND ").joined(&conds, " AND ", scope);
        }
    }

    /// A condition on the resource of the scope.
    pub(in crate::store) fn cond(&mut self, cond: &'p Cond, scope: &Scope) {
        match cond {
            Cond::True => drop(self.push("TRUE")),
            Cond::False => drop(self.push("FALSE")),
            Cond::All(parts) => self.joined(&parts.iter().collect::<Vec<_>>(), " AND ", scope),
            Cond::Any(parts) => self.joined(&parts.iter().collect::<Vec<_>>(), " OR ", scope),
            Cond::Not(leaf) => {
                self.push("NOT (").leaf(leaf, scope);
                self.push(")");
            }
            Cond::Leaf(leaf) => self.leaf(leaf, scope),
        }
    }

    /// In halves of halves: SQLite bounds the depth of an expression.
    fn joined(&mut self, parts: &[&'p Cond], between: &str, scope: &Scope) {
        match parts {
            [] => {}
            [only] => self.cond(only, scope),
            _ => {
                let (left, right) = parts.split_at(parts.len() / 2);
                self.push("(").joined(left, between, scope);
                self.push(between).joined(right, between, scope);
                self.push(")");
            }
        }
    }

    pub(super) fn leaf(&mut self, leaf: &'p Leaf, scope: &Scope) {
        let key = scope.key.as_str();
        match leaf {
            Leaf::Id(ids) if scope.is_table => self.push("r.id").ids(ids),
            Leaf::Id(ids) if ids.len() > 1 && self.postgres => {
                self.push(key).push(" IN (SELECT t.key FROM ").each_id(ids, "t").push(")");
            }
            Leaf::Id(ids) => {
                self.push(key).push(" IN (SELECT key FROM resources WHERE tenant = ").tenant().push(" AND id").ids(ids);
                self.push(")");
            }
            Leaf::Time(clock, relation, millis) if scope.is_table => {
                self.push("r.").push(clock.column()).push(" ").push(relation.sql()).push(" ").int(*millis);
            }
            Leaf::Time(clock, relation, millis) => {
                self.push("EXISTS (SELECT 1 FROM resources t WHERE t.key = ").push(key).push(" AND t.");
                self.push(clock.column()).push(" ").push(relation.sql()).push(" ").int(*millis).push(EXISTS_END);
            }
            Leaf::Row(row) => self.row_of(row, None, scope),
            Leaf::Element(row, rest) => self.row_of(row, Some(rest), scope),
            Leaf::ExternalId(connection, test) => {
                self.push("EXISTS (SELECT 1 FROM external_ids x WHERE x.connection = ").int(*connection);
                self.push(" AND x.resource = ").push(key).push(" AND x.tenant = ").tenant();
                self.test("x.value", test, None);
                self.push(EXISTS_END);
            }
            Leaf::Member(member) => {
                self.push("EXISTS (SELECT 1 FROM memberships m WHERE m.group_key = ").push(key);
                self.push(" AND m.until_seq IS NULL AND m.tenant = ").tenant();
                if let Some(id) = member {
                    self.push(" AND m.member_key = ").key_of(id);
                }
                self.push(EXISTS_END);
            }
            Leaf::Group(Which::Any) => {
                self.push("EXISTS (SELECT 1 FROM memberships m WHERE m.member_key = ").push(key);
                self.push(" AND m.until_seq IS NULL AND m.tenant = ").tenant().push(EXISTS_END);
            }
            Leaf::Group(which) => self.in_group(which, key),
        }
    }

    /// Climbs from the resource: what it is in is little, what the group holds may be much. Not `key IN`:
    /// the key of a group that is not there is NULL, and so is its opposite.
    fn in_group(&mut self, which: &'p Which, key: &str) {
        self.push("EXISTS (WITH RECURSIVE up (grp) AS (SELECT m.group_key FROM memberships m WHERE m.member_key = ");
        self.push(key).push(" AND m.until_seq IS NULL AND m.tenant = ").tenant();
        self.push(" UNION SELECT m.group_key FROM up ");
        self.each("memberships", "m", "m.member_key = up.grp AND m.until_seq IS NULL")
            .push(") SELECT 1 FROM up WHERE ");
        match which {
            Which::Any => drop(self.push("TRUE")),
            Which::Id(id) => drop(self.push("up.grp = ").key_of(id)),
            Which::Named(row) => self.row_of(row, None, &Scope::key("up.grp")),
        }
        self.push(EXISTS_END);
    }

    fn row_of(&mut self, row: &'p RowTest, rest: Option<&'p Cond>, scope: &Scope) {
        let alias = self.alias('i');
        self.push("EXISTS (SELECT 1 FROM resource_index ").push(&alias).push(" WHERE ");
        // PostgreSQL shall go by the resource, which has few rows: before it has counted any, going through all that stand
        // under the path looks as good to it.
        self.push(if self.postgres { "+" } else { "" });
        self.row(&alias, row);
        self.push(" AND ").push(&alias).push(".resource = ").push(&scope.key);
        if let Some(element) = &scope.element {
            self.push(" AND ").push(&alias).push(".element = ").push(element);
        }
        self.rest_of_element(&alias, rest);
        self.push(EXISTS_END);
    }

    /// What an index row must be.
    pub(in crate::store) fn row(&mut self, alias: &str, row: &'p RowTest) {
        self.place(alias, row);
        self.test(&format!("{alias}.value"), &row.test, Some(alias));
    }

    fn place(&mut self, alias: &str, row: &'p RowTest) {
        self.push(alias).push(".tenant = ").tenant().push(" AND ");
        self.push(alias).push(".path = ").int(row.path.key.into());
    }

    /// ` FROM … WHERE …` of the index rows that have one of some values, for PostgreSQL. Value by value: with a list of
    /// many it would rather read whatever else stands under the path.
    pub(super) fn rows_of_each(&mut self, alias: &str, row: &'p RowTest, texts: &'p [String]) {
        self.binds.push(Bind::List(List::texts(texts.iter().map(String::as_str))));
        self.push(LISTED.trim_start_matches("FROM ")).push("CROSS JOIN LATERAL (SELECT * FROM resource_index ");
        self.push(alias).push(" WHERE ").place(alias, row);
        self.push(" AND ").push(alias).push(".value = list.value");
        self.uncut(texts, Some(&format!("{alias}.cut")));
        self.push(" OFFSET 0) AS ").push(alias).push(" WHERE TRUE");
    }

    pub(in crate::store) fn rest_of_element(&mut self, alias: &str, rest: Option<&'p Cond>) {
        if let Some(rest) = rest {
            let (key, element) = (format!("{alias}.resource"), Some(format!("{alias}.element")));
            self.push(" AND ").cond(rest, &Scope { key, element, is_table: false });
        }
    }

    /// Resources by their ids, each looked up by itself: see [`LISTED`].
    pub(super) fn each_id(&mut self, ids: &[Id], alias: &str) -> &mut Self {
        self.binds.push(Bind::List(List::ids(ids)));
        let own = format!("{alias}.tenant = ? AND {alias}.id = list.value");
        self.push(LISTED.trim_start_matches("FROM ")).each("resources", alias, &own);
        self.binds.push(Bind::Int(self.tenant.0));
        self
    }

    fn ids(&mut self, ids: &'p [Id]) {
        match ids {
            [id] => self.push(" = ").bytes(id.as_bytes()),
            _ => {
                self.binds.push(Bind::List(List::ids(ids)));
                self.push(" IN ?")
            }
        };
    }

    pub(super) fn key_of(&mut self, id: &'p Id) -> &mut Self {
        self.push("(SELECT key FROM resources WHERE tenant = ").tenant().push(" AND id = ");
        self.bytes(id.as_bytes()).push(")")
    }

    /// ` AND test`; without an alias, values are whole and there is no column that says so.
    pub(super) fn test(&mut self, value: &str, test: &'p Test, alias: Option<&str>) {
        let column = alias.map(|alias| format!("{alias}.cut"));
        let cut = column.as_deref().unwrap_or("FALSE");
        match test {
            Test::Any => {}
            Test::In(texts) => self.one_of(value, texts, column.as_deref()),
            Test::CutTo(text) => {
                self.push(" AND ").push(value).push(" = ").text(text).push(" AND ").push(cut).push(" = TRUE");
            }
            Test::Compare(relation, text) => {
                self.push(" AND ").push(value).push(" ").push(relation.sql()).push(" ").text(text);
            }
            Test::UnequalOrCut(text) => {
                self.push(" AND (").push(value).push(" <> ").text(text).push(" OR ").push(cut).push(" = TRUE)");
            }
            Test::Between(from, to) => {
                self.push(" AND ").push(value).push(" >= ").text(from);
                if let Some(to) = to {
                    self.push(" AND ").push(value).push(" < ").text(to);
                }
            }
            Test::Contains(text) => self.push(" AND ").contains(value, text),
            Test::ContainsOrCut(text) => {
                self.push(" AND (").push(cut).push(" = TRUE OR ").contains(value, text);
                self.push(")");
            }
            Test::EndsWith(text) => self.push(" AND ").ends_with(value, text),
            Test::EndsWithOrCut(text) => {
                self.push(" AND (").push(cut).push(" = TRUE OR ").ends_with(value, text);
                self.push(")");
            }
            Test::EndsWithUncut(text) => {
                self.push(" AND ").push(cut).push(" = FALSE AND ").ends_with(value, text);
            }
        }
    }

    fn one_of(&mut self, value: &str, texts: &'p [String], cut: Option<&str>) {
        self.push(" AND ").push(value);
        if let [text] = texts {
            self.push(" = ").text(text);
        } else {
            self.push(" IN (");
            for (n, text) in texts.iter().enumerate() {
                self.push(if n > 0 { ", " } else { "" }).text(text);
            }
            self.push(")");
        }
        self.uncut(texts, cut);
    }

    /// A shorter one is never what was left of a longer one.
    fn uncut(&mut self, texts: &[String], cut: Option<&str>) {
        if let Some(cut) = cut.filter(|_| texts.iter().any(|text| text.len() >= CUT_BYTES_MIN)) {
            self.push(" AND ").push(cut).push(" = FALSE");
        }
    }

    /// By bytes on both databases, since columns compare so; `LIKE` does not.
    fn contains(&mut self, value: &str, text: &'p str) {
        let function = if self.postgres { "strpos(" } else { "instr(" };
        self.push(function).push(value).push(", ").text(text).push(") > 0");
    }

    fn ends_with(&mut self, value: &str, text: &'p str) {
        self.push("(length(").push(value).push(") >= length(").text(text).push(") AND substr(").push(value);
        self.push(", length(").push(value).push(") - length(").text(text).push(") + 1) = ").text(text).push(")");
    }
}
