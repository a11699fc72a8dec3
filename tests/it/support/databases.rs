//! Runs a test on both databases, each empty and of its own.

use keyroll::store::{Settings, Store};

/// A database of a test's own, for as long as this lives.
pub struct TestDatabase {
    /// What [`Store::open`] takes.
    pub settings: Settings,
    _folder: Option<tempfile::TempDir>,
}

/// A new SQLite database.
pub fn sqlite() -> TestDatabase {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("sqlite:{}", folder.path().join("keyroll.db").display());
    TestDatabase { settings: Settings { url, readers: 4 }, _folder: Some(folder) }
}

/// A new PostgreSQL database, with tables; `None` if PostgreSQL is switched off.
pub fn postgres() -> Option<TestDatabase> {
    let url = super::postgres::url()?;
    Some(TestDatabase { settings: Settings { url, readers: 4 }, _folder: None })
}

/// Runs a test on SQLite and on PostgreSQL.
pub fn for_each_database(test: impl Fn(&Store)) {
    for database in [Some(sqlite()), postgres()].into_iter().flatten() {
        let store = Store::open(&database.settings).unwrap();
        // Shown only if the test fails.
        println!("on {store:?}");
        test(&store);
    }
}
