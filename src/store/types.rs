//! How domain values lie in columns, and back.

use chrono::{DateTime, Utc};

use super::error::{Error, Result};
use crate::domain::{Id, Permissions};

/// The surrogate key of a resource: small, never given twice, and the last sort key of every list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ResourceKey(pub i64);

/// A column, to name in an error.
#[derive(Clone, Copy)]
pub(super) struct Column(pub(super) &'static str, pub(super) &'static str);

impl Column {
    /// The error that the column holds something else.
    pub(super) fn corrupt(self, detail: impl Into<String>) -> Error {
        Error::corrupt(self.0, self.1, detail)
    }

    /// Reads an id.
    pub(super) fn id(self, bytes: &[u8]) -> Result<Id> {
        Id::from_bytes(bytes).ok_or_else(|| self.corrupt("no 16 bytes"))
    }

    /// Reads a hash.
    pub(super) fn hash(self, bytes: &[u8]) -> Result<[u8; 32]> {
        bytes.try_into().map_err(|_| self.corrupt("no 32 bytes"))
    }

    /// Reads milliseconds.
    pub(super) fn time(self, millis: i64) -> Result<DateTime<Utc>> {
        DateTime::from_timestamp_millis(millis).ok_or_else(|| self.corrupt("no time"))
    }

    /// Reads milliseconds, if there are any.
    pub(super) fn time_opt(self, millis: Option<i64>) -> Result<Option<DateTime<Utc>>> {
        millis.map(|millis| self.time(millis)).transpose()
    }

    /// Reads a JSON array of strings.
    pub(super) fn texts(self, json: &str) -> Result<Vec<String>> {
        serde_json::from_str(json).map_err(|_| self.corrupt("no JSON array of strings"))
    }

    /// Reads a JSON array of permissions.
    pub(super) fn permissions(self, json: &str) -> Result<Permissions> {
        // Most principals hold none: no need for a parser to say so.
        if json == "[]" {
            return Ok(Permissions::default());
        }
        let texts = self.texts(json)?;
        Permissions::parse(texts.iter().map(String::as_str)).map_err(|_| self.corrupt("no permission"))
    }
}

/// Milliseconds, as they are stored.
pub(super) fn millis(time: DateTime<Utc>) -> i64 {
    time.timestamp_millis()
}

/// Milliseconds, if there is a time.
pub(super) fn millis_opt(time: Option<DateTime<Utc>>) -> Option<i64> {
    time.map(millis)
}

/// A JSON array of strings.
pub(super) fn json(texts: &[impl AsRef<str>]) -> String {
    serde_json::Value::from_iter(texts.iter().map(AsRef::as_ref)).to_string()
}
