//! Whether requests can be served: reads, and writes apart from them, since verification needs no write.

use schemars::JsonSchema;
use serde::Serialize;

use crate::service::{Error, Service, clocks, memory};
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
    /// The last record before a fork of the log that nobody has accepted yet.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub log_forked: Option<i64>,
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

/// Why something cannot be served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Trouble {
    /// A sentence.
    pub why: &'static str,
    /// See [`Readiness::log_forked`].
    pub log_forked: Option<i64>,
}

impl From<&'static str> for Trouble {
    fn from(why: &'static str) -> Trouble {
        Trouble { why, log_forked: None }
    }
}

impl Readiness {
    /// With why reads and writes cannot be served; `None` where they can, or where nobody asked.
    pub fn new(reads: Option<Trouble>, writes: Option<Trouble>, warnings: Vec<&'static str>) -> Readiness {
        let is_ready = reads.is_none() && writes.is_none();
        let (status, warnings) = match is_ready {
            true => (ReadyStatus::Ready, warnings),
            false => (ReadyStatus::Unready, vec![]),
        };
        let log_forked = reads.and_then(|trouble| trouble.log_forked);
        let why = |trouble: Option<Trouble>| trouble.map(|trouble| trouble.why);
        Readiness { status, reads: why(reads), writes: why(writes), log_forked, warnings }
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
    pub fn trouble_reading(&self) -> Option<Trouble> {
        let read = || -> Result<Option<i64>, Error> {
            // It asks first what fails at once and says why; what other nodes have found of a fork stands in the log's head.
            match memory::follow_known(self) {
                Ok(()) | Err(Error::Forked(_)) => {}
                Err(error) => return Err(error),
            }
            // What a verification reads: a key, though nobody's.
            self.read(|conn| Ok(store::credentials::holder_or_other(conn, "").map(|_| ())?))?;
            self.read(|conn| Ok(store::log::forked(conn)?))
        };
        let log_forked = match read() {
            Ok(forked) => forked,
            Err(error) => {
                let (why, cause) = match &error {
                    Error::Unavailable(cause) => (cause.told(), cause.to_string()),
                    Error::Busy(why) => (*why, (*why).to_owned()),
                    _ => ("the database failed", error.to_string()),
                };
                self.inner.unread.goes_on(&cause);
                return Some(why.into());
            }
        };
        self.inner.store.renew_warnings();
        self.inner.unread.is_over();
        log_forked.map(|_| Trouble { why: FORKED, log_forked })
    }

    /// Why nothing that is written is kept, if it is not. It may wait as long as a write does.
    pub fn trouble_writing(&self) -> Option<Trouble> {
        // Where it cannot be read, that is told as what is in the way of reads.
        let newest = clocks::newest_record(self).unwrap_or_default();
        clocks::believe(self, newest).and_then(|()| self.inner.store.writable()).err().map(Trouble::from)
    }
}

/// Why nobody is answered by a log that has lost what servers knew.
const FORKED: &str = "the log forked: what was acknowledged after the record that log_forked names is lost, until that is \
     accepted: see docs/nodes.md, and keyroll log accept-fork";
