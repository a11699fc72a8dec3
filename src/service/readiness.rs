//! Whether requests can be served: reads, and writes apart from them, since verification needs no write.

use schemars::JsonSchema;
use serde::Serialize;

use crate::service::{Error, Service, clocks};
use crate::store;

/// What can be served, and what not, and why.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Readiness {
    /// Whether all that was asked for can.
    pub status: ReadyStatus,
    /// Why nothing can be read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reads: Option<&'static str>,
    /// Why nothing that is written is kept.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub writes: Option<&'static str>,
    /// What may lose what was acknowledged, although everything can be served.
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    pub warnings: Vec<&'static str>,
}

/// Whether requests can be served.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum ReadyStatus {
    /// They can.
    Ready,
    /// They cannot.
    Unready,
}

impl Readiness {
    /// With why reads and writes cannot be served; `None` where they can, or where nobody asked.
    pub fn new(reads: Option<&'static str>, writes: Option<&'static str>, warnings: Vec<&'static str>) -> Readiness {
        let is_ready = reads.is_none() && writes.is_none();
        let (status, warnings) = match is_ready {
            true => (ReadyStatus::Ready, warnings),
            false => (ReadyStatus::Unready, vec![]),
        };
        Readiness { status, reads, writes, warnings }
    }
}

impl Service {
    /// What an operator should know of a database that may lose what it has acknowledged.
    pub fn warnings(&self) -> Vec<&'static str> {
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
            // What a verification reads: a key, though nobody's.
            self.read(|conn| Ok(store::credentials::holder_or_other(conn, "").map(|_| ())?))
        };
        let Err(error) = read() else {
            self.inner.store.renew_warnings();
            self.inner.unread.is_over();
            return None;
        };
        let (why, cause) = match &error {
            Error::Unavailable(cause) => (cause.told(), cause.to_string()),
            _ => ("the database failed", error.to_string()),
        };
        self.inner.unread.goes_on(&cause);
        Some(why)
    }

    /// Why nothing that is written is kept, if it is not. It may wait as long as a write does.
    pub fn trouble_writing(&self) -> Option<&'static str> {
        clocks::believe(self).and_then(|()| self.inner.store.writable()).err()
    }
}
