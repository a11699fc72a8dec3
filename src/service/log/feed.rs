//! The change feed: the log as services follow it, from a position on and without a gap.
//!
//! A position is the number of the last record that was looked at. Records are numbered under the lock of
//! their log's head, so whoever reads them in order up to the head misses none; that nothing is missing
//! is checked all the same, since a reader that skips a change never learns of it.

use std::borrow::Cow;
use std::collections::HashMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::value::{RawValue, to_raw_value};
use serde_json::{Map, Value};

use crate::domain::log::{Outcome, Record, Subject};
use crate::domain::{Operation, TenantKey};
use crate::service::caller::authenticate;
use crate::service::error::Conflict;
use crate::service::{Context, Error, Service, authorize};
use crate::store::{self, Conn};

/// Before the first record.
pub const START: i64 = -1;
/// The most records that one page looks at.
pub const PAGE_MAX: i64 = 1_000;
/// A page ends early once it has looked at so many bytes: one record can name a thousand members.
const PAGE_BYTES: usize = 1 << 20;
/// Records in one read.
const CHUNK: i64 = 100;

/// The kinds of change that a reader wants; none named means all.
#[derive(Clone, Debug, Default)]
pub struct Kinds(Vec<String>);

impl Kinds {
    /// Reads lists such as `user.created,group.*`.
    ///
    /// # Errors
    /// 400 for what no kind can look like: it would match nothing for ever.
    pub fn parse<'t>(lists: impl Iterator<Item = &'t str>) -> Result<Kinds, Error> {
        let kinds: Vec<String> = lists.flat_map(|list| list.split(',')).map(|kind| kind.trim().to_owned()).collect();
        let word = |text: &str| {
            !text.is_empty() && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
        };
        let usable = |kind: &String| {
            kind.split_once('.').is_some_and(|(noun, rest)| word(noun) && (rest == "*" || rest.split('.').all(word)))
        };
        if kinds.iter().all(usable) {
            return Ok(Kinds(kinds));
        }
        Err(Error::Malformed("kind: expected kinds such as user.created or group.*".to_owned()))
    }

    fn take(&self, kind: &str) -> bool {
        let matches = |wanted: &String| match wanted.strip_suffix('*') {
            Some(prefix) => kind.starts_with(prefix),
            None => kind == wanted,
        };
        self.0.is_empty() || self.0.iter().any(matches)
    }
}

/// A change as a reader sees it.
#[derive(Debug)]
pub struct Item {
    /// Its number in the log.
    pub seq: i64,
    /// What happened: the record's action.
    pub kind: String,
    /// The change as JSON, on one line: a [`Change`].
    pub json: Box<RawValue>,
}

/// A page of the change feed (`GET /v1/changes`).
#[derive(Debug, Serialize, JsonSchema)]
pub struct ChangeList<'p> {
    /// The changes, in the order of the log.
    #[schemars(with = "Vec<Change<'_>>")]
    pub changes: Vec<&'p RawValue>,
    /// The number of the last record that was looked at: reading goes on `after` it.
    pub next: i64,
}

/// What a stretch of the log holds for a reader.
#[derive(Debug)]
pub struct Page {
    /// What the filter left, in the order of the log.
    pub items: Vec<Item>,
    /// The last number looked at: reading goes on after it.
    pub next: i64,
    /// Whether the log went on behind it.
    pub more: bool,
}

/// A record as it was written.
#[derive(Deserialize)]
struct Written<'r> {
    #[serde(borrow)]
    action: Cow<'r, str>,
    #[serde(borrow)]
    change: &'r RawValue,
    #[serde(borrow)]
    outcome: Cow<'r, str>,
    seq: i64,
    #[serde(borrow)]
    subject: &'r RawValue,
    #[serde(borrow)]
    time: Cow<'r, str>,
}

/// A change: a record of the log without the chain, the actor and the request, which are the auditor's.
#[derive(Serialize, JsonSchema)]
struct Change<'r> {
    /// Its number in the log.
    seq: i64,
    /// What happened, such as `user.created`.
    kind: &'r str,
    /// When.
    #[schemars(extend("format" = "date-time"))]
    time: &'r str,
    /// Told where nothing changed, as with a refusal, so that nobody takes it for a change.
    #[serde(skip_serializing_if = "is_success")]
    #[schemars(with = "Outcome")]
    outcome: &'r str,
    /// What it happened to.
    #[schemars(with = "Subject")]
    subject: &'r RawValue,
    /// What of it changed, by the names of attributes and by ids; never by values.
    #[schemars(with = "Map<String, Value>")]
    change: &'r RawValue,
}

fn is_success(outcome: &&str) -> bool {
    *outcome == "success"
}

impl Page {
    /// It as an answer.
    pub fn list(&self) -> ChangeList<'_> {
        ChangeList { changes: self.items.iter().map(|item| &*item.json).collect(), next: self.next }
    }

    /// Looks at the next record, which must be the next number.
    fn look_at(&mut self, record: &Record, kinds: &Kinds) -> Result<(), Error> {
        let written: Written<'_> = serde_json::from_slice(&record.bytes)?;
        let expected = self.next + 1;
        if record.seq != expected || written.seq != expected {
            return Err(gap(expected));
        }
        self.next = expected;
        if kinds.take(&written.action) {
            let change = Change {
                seq: expected,
                kind: &written.action,
                time: &written.time,
                outcome: &written.outcome,
                subject: written.subject,
                change: written.change,
            };
            let json = to_raw_value(&change)?;
            self.items.push(Item { seq: expected, kind: written.action.into_owned(), json });
        }
        Ok(())
    }
}

fn gap(seq: i64) -> Error {
    Error::internal(format!("the change feed stops: record {seq} is not where it was written"))
}

/// How far every log has come.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Heads {
    /// Stands for the commit that was seen; `None` where only reading tells.
    pub version: i64,
    /// The number of the next record of each tenant.
    pub next_seqs: HashMap<TenantKey, i64>,
}

impl Service {
    /// The changes after a number. The caller is looked at again, together with what it reads: a key that
    /// died before a change learns nothing of it, however long its request has been open (promise P4).
    ///
    /// # Errors
    /// 401 and 403 as the caller stands now; 409 if the log does not reach that number; 500 if a record is
    /// missing.
    pub fn changes(&self, context: &Context, kinds: &Kinds, after: i64, count: i64) -> Result<Page, Error> {
        self.read(|conn| {
            store::snapshot(conn, |conn| {
                check_reader(self, conn, context)?;
                let tenant = context.caller.tenant.key;
                let end = store::log::head(conn, tenant)?.next_seq;
                if after >= end {
                    return Err(ahead(after, end));
                }
                let mut page = Page { items: vec![], next: after.max(START), more: false };
                let (stop, mut bytes) = (end.min(page.next + 1 + count.clamp(1, PAGE_MAX)), 0);
                while page.next + 1 < stop && bytes < PAGE_BYTES {
                    let from = page.next + 1;
                    let records = store::log::records(conn, tenant, from, CHUNK.min(stop - from))?;
                    if records.is_empty() {
                        return Err(gap(from));
                    }
                    for record in &records {
                        page.look_at(record, kinds)?;
                        bytes += record.bytes.len();
                    }
                }
                page.more = page.next + 1 < end;
                Ok(page)
            })
        })
    }

    /// Whether the caller of an open request may still read the feed.
    ///
    /// # Errors
    /// 401 if its key works no more, 403 if it may not any more.
    pub fn may_follow(&self, context: &Context) -> Result<(), Error> {
        self.read(|conn| check_reader(self, conn, context))
    }

    /// How far every log has come; `None` if nobody has committed anything since the given version.
    ///
    /// # Errors
    /// If the store fails.
    pub fn heads(&self, since: Option<i64>) -> Result<Option<Heads>, Error> {
        // The version first: what is committed between the two reads is seen again, not overlooked.
        let version = self.inner.store.data_version()?;
        if since == Some(version) {
            return Ok(None);
        }
        let heads = self.read(|conn| Ok(store::log::heads(conn)?))?;
        Ok(Some(Heads { version, next_seqs: heads.into_iter().map(|end| (end.tenant, end.next_seq)).collect() }))
    }
}

fn check_reader(service: &Service, conn: &mut Conn, context: &Context) -> Result<(), Error> {
    authorize(&authenticate::refresh(service, conn, &context.caller)?, Operation::Changes, None)
}

/// Waiting there would skip what is written until the number is reached.
fn ahead(after: i64, end: i64) -> Error {
    let last = end - 1;
    let detail =
        format!("after: {after} is not in the log, which ends at {last}: it is not the log that was read before");
    Error::Conflict { code: Conflict::AheadOfLog, detail }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_are_exact_or_a_whole_noun() {
        let takes = |list: &str, kind: &str| Kinds::parse(std::iter::once(list)).unwrap().take(kind);
        assert!(Kinds::default().take("user.created"));
        assert!(takes("user.created", "user.created"));
        assert!(!takes("user.created", "user.created_twice"));
        assert!(takes("mapping.created, user.created", "user.created"));
        assert!(takes("group.*", "group.patched"));
        assert!(!takes("group.*", "groups.patched"));
        for wrong in ["", "user", "*", "user.", "user.cre*", "User.created", "a.b,", "a.*.b", "a.b c"] {
            assert!(Kinds::parse(std::iter::once(wrong)).is_err(), "{wrong:?}");
        }
    }
}
