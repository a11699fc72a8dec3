//! Tables that are read as they are: one list of columns for diesel and for texts of SQL.

/// Declares `Row`, `SqlRow` and `COLUMNS` of a table: fields, their types in SQL and their names, in one order.
macro_rules! row {
    ($table:ident { $($column:ident: $kind:ty,)* }) => {
        #[derive(Clone, diesel::Queryable, diesel::Selectable)]
        #[diesel(table_name = $table)]
        pub(super) struct Row { $(pub(super) $column: $kind,)* }

        /// The types of a row's columns.
        pub(super) type SqlRow = diesel::dsl::SqlTypeOf<($($table::$column,)*)>;

        /// The names of a row's columns.
        pub(super) const COLUMNS: &[&str] = &[$(<$table::$column as diesel::Column>::NAME,)*];
    };
}
pub(super) use row;

/// Columns as a statement names them.
pub(super) fn list(columns: &[&str], named: impl Fn(&str) -> String) -> String {
    columns.iter().map(|name| named(name)).collect::<Vec<_>>().join(", ")
}
