//! The tables whose rows can wait, with what a change does to each of their columns.

use std::sync::OnceLock;

/// What a column holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Int,
    Bool,
    Text,
    Bytes,
}

impl Kind {
    /// What PostgreSQL calls it.
    pub(super) fn name(self) -> &'static str {
        match self {
            Kind::Int => "bigint",
            Kind::Bool => "boolean",
            Kind::Text => "text",
            Kind::Bytes => "bytea",
        }
    }
}

/// A column by name.
pub(in crate::store) struct Column(pub(super) &'static str, pub(super) Kind);

/// A table. The order of the columns in a row that waits is: key, fixed, set, counted, later.
pub(in crate::store) struct Table {
    /// Its place in the order in which tables are written.
    pub(super) place: usize,
    pub(super) name: &'static str,
    /// What a row is found by.
    pub(super) key: &'static [Column],
    /// What stays as it was inserted.
    pub(super) fixed: &'static [Column],
    /// What is replaced.
    pub(super) set: &'static [Column],
    /// What counts: a change adds to it.
    pub(super) counted: &'static [Column],
    /// Times: a change is later than the one before it, whatever the clock says.
    pub(super) later: &'static [Column],
    /// Which of the rows with a key is meant.
    pub(super) current: Option<&'static str>,
    /// The statements that change one row, on SQLite.
    pub(super) texts: [OnceLock<String>; 5],
}

impl Table {
    /// The columns that an update changes.
    pub(super) fn changing(&self) -> impl Iterator<Item = &'static Column> {
        self.set.iter().chain(self.counted).chain(self.later)
    }

    /// All columns but the key.
    pub(super) fn rest(&self) -> impl Iterator<Item = &'static Column> {
        self.fixed.iter().chain(self.changing())
    }
}

macro_rules! columns {
    ($($name:literal $kind:ident),*) => { &[$(Column($name, Kind::$kind)),*] };
}

macro_rules! table {
    ($constant:ident, $place:literal, $name:literal, $key:expr, $fixed:expr, $set:expr, $counted:expr, $later:expr) => {
        table!($constant, $place, $name, $key, $fixed, $set, $counted, $later, None);
    };
    ($constant:ident, $place:literal, $name:literal, $key:expr, $fixed:expr, $set:expr, $counted:expr, $later:expr, $current:expr) => {
        pub(in crate::store) static $constant: Table = Table {
            place: $place,
            name: $name,
            key: $key,
            fixed: $fixed,
            set: $set,
            counted: $counted,
            later: $later,
            current: $current,
            texts: [const { OnceLock::new() }; 5],
        };
    };
}

table!(
    PRINCIPALS,
    0,
    "principals",
    columns!("tenant" Int, "id" Bytes),
    columns!("kind" Text, "created_seq" Int),
    columns!("local" Bool, "name" Text, "active" Bool, "admin_hold" Bool, "suspended_at" Int, "deleted_at" Int),
    columns!("version" Int),
    columns!()
);
table!(
    RESOURCES,
    1,
    "resources",
    columns!("key" Int, "tenant" Int),
    columns!("id" Bytes, "type" Text, "connection" Int, "created" Int),
    columns!("display" Text, "document" Text),
    columns!("version" Int),
    columns!("modified" Int)
);
// Resources of which only that they were changed is known.
table!(
    TOUCHED,
    2,
    "resources",
    columns!("key" Int, "tenant" Int),
    columns!(),
    columns!(),
    columns!("version" Int),
    columns!("modified" Int)
);
table!(
    UNIQUE_VALUES,
    3,
    "unique_values",
    columns!("tenant" Int, "scope" Text, "hash" Bytes),
    columns!("resource" Int),
    columns!(),
    columns!(),
    columns!()
);
table!(
    EXTERNAL_IDS,
    4,
    "external_ids",
    columns!("resource" Int, "connection" Int),
    columns!("tenant" Int, "type" Text),
    columns!("value" Text),
    columns!(),
    columns!()
);
table!(
    RESOURCE_INDEX,
    5,
    "resource_index",
    columns!("tenant" Int, "path" Int, "value" Text, "resource" Int, "element" Int),
    columns!("is_primary" Bool, "cut" Bool),
    columns!(),
    columns!(),
    columns!()
);
table!(
    MEMBERSHIPS,
    6,
    "memberships",
    columns!("group_key" Int, "member_key" Int, "tenant" Int),
    columns!("from_seq" Int, "nested" Bool),
    columns!("until_seq" Int),
    columns!(),
    columns!(),
    Some("until_seq IS NULL")
);
table!(
    PRINCIPAL_HISTORY,
    7,
    "principal_history",
    columns!("tenant" Int, "id" Bytes, "until_seq" Int),
    columns!("active" Bool, "admin_hold" Bool),
    columns!(),
    columns!(),
    columns!()
);
table!(
    RESOURCE_HISTORY,
    8,
    "resource_history",
    columns!("resource" Int, "until_seq" Int),
    columns!("tenant" Int, "id" Bytes, "type" Text, "connection" Int, "at" Int, "sealed" Bytes),
    columns!(),
    columns!(),
    columns!()
);
table!(
    SUBJECT_KEYS,
    9,
    "subject_keys",
    columns!("tenant" Int, "id" Bytes),
    columns!("wrapped" Bytes),
    columns!(),
    columns!(),
    columns!()
);
table!(
    COUNTERS,
    10,
    "counters",
    columns!("tenant" Int, "type" Text),
    columns!(),
    columns!(),
    columns!("total" Int),
    columns!()
);
table!(
    LOG_RECORDS,
    11,
    "log_records",
    columns!("tenant" Int, "seq" Int),
    columns!("time" Int, "action" Text, "subject_kind" Text, "subject_id" Text, "bytes" Bytes, "hash" Bytes),
    columns!(),
    columns!(),
    columns!()
);
table!(
    LOG_HEADS,
    12,
    "log_heads",
    columns!("tenant" Int),
    columns!(),
    columns!("next_seq" Int, "hash" Bytes, "time" Int, "policy_seq" Int, "policy_epoch" Int),
    columns!(),
    columns!()
);

/// How many there are.
pub(super) const COUNT: usize = 13;

/// All of them, in the order in which they are written: what is referred to comes first.
pub(super) const ALL: [&Table; COUNT] = [
    &PRINCIPALS,
    &RESOURCES,
    &TOUCHED,
    &UNIQUE_VALUES,
    &EXTERNAL_IDS,
    &RESOURCE_INDEX,
    &MEMBERSHIPS,
    &PRINCIPAL_HISTORY,
    &RESOURCE_HISTORY,
    &SUBJECT_KEYS,
    &COUNTERS,
    &LOG_RECORDS,
    &LOG_HEADS,
];
