//! Whether requests can be served: reads, and writes apart from them, since verification needs no write.

use serde_json::{Map, Value};

use crate::service::{Error, Service, clocks};
use crate::store;

/// What can be served, and what not, and why.
#[derive(Clone, Debug, Default)]
pub struct Readiness {
    /// Why nothing can be read; `None` if it can.
    pub reads: Option<&'static str>,
    /// Why nothing that is written is kept; `None` if it is, or if nobody asked.
    pub writes: Option<&'static str>,
    /// What may lose what was acknowledged, although everything can be served.
    pub warnings: Vec<&'static str>,
}

impl Readiness {
    /// The same as JSON: `{"status": "ready"}`, or `unready` with what fails.
    pub fn to_json(&self) -> Value {
        let ready = self.reads.is_none() && self.writes.is_none();
        let mut told = Map::from_iter([("status".to_owned(), if ready { "ready" } else { "unready" }.into())]);
        for (name, why) in [("reads", self.reads), ("writes", self.writes)] {
            told.extend(why.map(|why| (name.to_owned(), why.into())));
        }
        if ready && !self.warnings.is_empty() {
            told.insert("warnings".to_owned(), self.warnings.as_slice().into());
        }
        Value::Object(told)
    }
}

impl Service {
    /// What an operator should know of a database that may lose what it has acknowledged.
    pub fn warnings(&self) -> &[&'static str] {
        self.inner.store.warnings()
    }

    /// Makes sure, before anything is served, that no commit can go unseen.
    ///
    /// # Errors
    /// If one can.
    pub fn check_clock(&self) -> Result<(), Error> {
        Ok(self.inner.store.check_clock()?)
    }

    /// Sees to it that a copy of the embedded database's file alone is no older than this, and keeps nobody waiting.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn write_back(&self) -> Result<(), Error> {
        self.inner.store.write_back()?;
        Ok(())
    }

    /// Why nothing can be read, if it cannot. It may wait as long as the store does.
    pub fn trouble_reading(&self) -> Option<&'static str> {
        let read = || -> Result<(), Error> {
            self.inner.store.data_version()?;
            clocks::compare(self);
            self.read(|conn| Ok(store::tenants::all(conn).map(|_| ())?))
        };
        let error = read().err()?;
        let (why, cause) = match &error {
            Error::Unavailable(cause) => (cause.told(), cause.to_string()),
            _ => ("the database failed", error.to_string()),
        };
        log::warn!("not ready: {cause}");
        Some(why)
    }

    /// Why nothing that is written is kept, if it is not. It may wait as long as a write does.
    pub fn trouble_writing(&self) -> Option<&'static str> {
        clocks::believe(self).and_then(|()| self.inner.store.writable()).err()
    }
}
