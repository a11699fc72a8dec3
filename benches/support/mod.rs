//! What every bench stands on.

use std::sync::Arc;

use keyroll::service::runtime::{SystemClock, SystemEntropy};
use keyroll::service::{Limits, Service, Settings};

/// A service without a rate limit on an empty SQLite database, and its folder.
pub(crate) fn service() -> (tempfile::TempDir, Service) {
    let folder = tempfile::tempdir().unwrap();
    let settings = Settings {
        data_dir: folder.path().join("data"),
        database_url: format!("sqlite:{}", folder.path().join("data/keyroll.db").display()),
        require_synchronous_standby: false,
        readers: 4,
        public_url: "http://127.0.0.1:8080".into(),
        limits: Limits { requests_per_minute: None, ..Limits::default() },
    };
    (folder, Service::open(settings, Arc::new(SystemClock), Arc::new(SystemEntropy)).unwrap())
}
