//! Records of the audit log, which is append-only: canonical JSON (RFC 8785) as bytes, chained by SHA-256.
//!
//! A record names attribute paths and ids, never values: the log carries no personal data.

use std::borrow::Cow;
use std::collections::BTreeMap;

use chrono::{DateTime, SecondsFormat, Utc};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

use super::caller::{Caller, Identity};
use super::id::Id;

/// The hash that the first record names as its predecessor.
pub const NO_HASH: [u8; 32] = [0; 32];

/// The end of a log: what the next record builds on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Head {
    /// The number that the next record gets.
    pub next_seq: i64,
    /// The hash of the last record.
    pub hash: [u8; 32],
    /// The time of the last record; the next is not earlier.
    pub time: DateTime<Utc>,
    /// The last record that changed what services read of roles and mappings.
    pub policy_seq: i64,
    /// A number that no other state of roles and mappings has.
    pub policy_epoch: i64,
    /// Whether servers knew a log that went on otherwise.
    pub fork: Fork,
}

/// Whether servers knew a log that went on otherwise: a failover or whoever put back a database has lost what they had
/// acknowledged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Fork {
    /// The last record that both have, as far as is known; `None` if there is no fork, or it was accepted.
    pub after: Option<i64>,
    /// When one was last accepted. Whoever knows of a later time knew a log that this one has not become.
    pub accepted: Option<DateTime<Utc>>,
}

/// What a record is about.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[schemars(rename = "ChangeSubject")]
pub struct Subject {
    /// What kind of thing it is, such as `user`, `credential` or `mapping`.
    #[serde(rename = "type")]
    pub kind: String,
    /// Its id.
    pub id: String,
}

/// The request that caused a record.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct RequestRef {
    /// The request id that the answer carries.
    pub id: String,
    /// The HTTP method, or `CLI`.
    pub method: Cow<'static, str>,
    /// The path template, never the path.
    pub route: Cow<'static, str>,
}

/// What happened, before it has a place in the log.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// `user.created`, `credential.revoked`, ….
    pub action: String,
    /// What it happened to.
    pub subject: Subject,
    /// Attribute paths and ids.
    pub change: Map<String, Value>,
    /// Whether it was done.
    pub outcome: Outcome,
}

/// Whether what a record is about was done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// It was done.
    Success,
    /// It was refused, and nothing has changed.
    Failure,
}

impl Entry {
    /// An entry without further detail.
    pub fn new(action: impl Into<String>, kind: impl Into<String>, id: impl ToString) -> Entry {
        Entry {
            action: action.into(),
            subject: Subject { kind: kind.into(), id: id.to_string() },
            change: Map::new(),
            outcome: Outcome::Success,
        }
    }

    /// The same as something that was refused.
    #[must_use]
    pub fn refused(self) -> Entry {
        Entry { outcome: Outcome::Failure, ..self }
    }

    /// Adds a detail: ids, attribute paths or codes, or lists of them; never an object, whose members would
    /// have to be sorted.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl Into<Value>) -> Entry {
        self.change.insert(name.to_owned(), value.into());
        self
    }
}

/// A record in its place: its number, its bytes and their hash.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Its number in the tenant's log.
    pub seq: i64,
    /// Its time.
    pub time: DateTime<Utc>,
    /// What happened.
    pub action: String,
    /// The type of its subject.
    pub subject_kind: String,
    /// The id of its subject.
    pub subject_id: String,
    /// The canonical bytes: what is stored and hashed, never serialised again.
    pub bytes: Vec<u8>,
    /// SHA-256 of the bytes.
    pub hash: [u8; 32],
}

/// Renders the time of a record, to the microsecond: what is asked for as of this time is as of the record.
pub fn render_time(time: DateTime<Utc>) -> String {
    time.to_rfc3339_opts(SecondsFormat::Micros, true)
}

/// Appends an entry to a log: the record, and the head after it.
///
/// # Errors
/// If the entry has no canonical form, which its types rule out.
pub fn append(
    head: &Head,
    entry: Entry,
    caller: &Caller,
    request: &RequestRef,
    now: DateTime<Utc>,
) -> Result<(Record, Head), serde_json::Error> {
    let time = now.max(head.time);
    let bytes = serde_json::to_vec(&Body {
        action: &entry.action,
        actor: actor(caller),
        change: entry.change.iter().collect(),
        log: caller.tenant.id,
        outcome: entry.outcome,
        prev: hex(&head.hash),
        request,
        seq: head.next_seq,
        subject: SubjectBody { id: &entry.subject.id, kind: &entry.subject.kind },
        time: render_time(time),
        v: 1,
    })?;
    let hash: [u8; 32] = Sha256::digest(&bytes).into();
    let record = Record {
        seq: head.next_seq,
        time,
        action: entry.action,
        subject_kind: entry.subject.kind,
        subject_id: entry.subject.id,
        bytes,
        hash,
    };
    let head = Head { next_seq: head.next_seq + 1, hash, time, ..*head };
    Ok((record, head))
}

/// A record's members in the order of RFC 8785 §3.2.3: written so, serde_json's text is the canonical one.
/// A test holds it to the canonicalizer, which would sort a tree for each record.
#[derive(Serialize)]
struct Body<'r> {
    action: &'r str,
    actor: ActorBody<'r>,
    change: BTreeMap<&'r String, &'r Value>,
    log: Id,
    outcome: Outcome,
    prev: String,
    request: &'r RequestRef,
    seq: i64,
    subject: SubjectBody<'r>,
    time: String,
    v: u8,
}

#[derive(Serialize)]
struct ActorBody<'r> {
    #[serde(skip_serializing_if = "Option::is_none")]
    class: Option<char>,
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<Id>,
    #[serde(skip_serializing_if = "Option::is_none")]
    owner: Option<OwnerBody<'r>>,
    #[serde(rename = "type")]
    kind: &'static str,
}

#[derive(Serialize)]
struct OwnerBody<'r> {
    id: Id,
    #[serde(rename = "type")]
    kind: &'r str,
}

#[derive(Serialize)]
struct SubjectBody<'r> {
    id: &'r str,
    #[serde(rename = "type")]
    kind: &'r str,
}

fn actor(caller: &Caller) -> ActorBody<'_> {
    match &caller.identity {
        Identity::Host => ActorBody { class: None, id: None, owner: None, kind: "host" },
        Identity::Anonymous => ActorBody { class: None, id: None, owner: None, kind: "anonymous" },
        Identity::Key(holder) => ActorBody {
            class: Some(holder.class.letter()),
            id: Some(holder.credential),
            owner: Some(OwnerBody { id: holder.owner.id, kind: holder.owner.kind.name() }),
            kind: "key",
        },
    }
}

/// Lower-case hexadecimal.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Checks a log record by record, from the first on.
#[derive(Debug)]
pub struct ChainCheck {
    log: Id,
    next_seq: i64,
    prev: [u8; 32],
    time: String,
}

impl ChainCheck {
    /// Starts before the first record of a tenant's log.
    pub fn new(log: Id) -> ChainCheck {
        ChainCheck { log, next_seq: 0, prev: NO_HASH, time: String::new() }
    }

    /// Takes the next stored record.
    ///
    /// # Errors
    /// The first thing that is wrong with it.
    pub fn take(&mut self, seq: i64, bytes: &[u8], stored_hash: &[u8]) -> Result<(), String> {
        let expected = self.next_seq;
        if seq != expected {
            return Err(format!("record {expected} is missing: found {seq} in its place"));
        }
        let hash: [u8; 32] = Sha256::digest(bytes).into();
        if hash != stored_hash {
            return Err(format!("record {seq} was changed: its bytes do not have the stored hash"));
        }
        let body: Value = serde_json::from_slice(bytes).map_err(|_| format!("record {seq} is not JSON"))?;
        let text = |name: &str| body.get(name).and_then(Value::as_str).unwrap_or_default();
        if body.get("seq").and_then(Value::as_i64) != Some(seq) {
            return Err(format!("record {seq} carries another number"));
        }
        if text("log") != self.log.to_string() {
            return Err(format!("record {seq} belongs to another log"));
        }
        if text("prev") != hex(&self.prev) {
            return Err(format!("record {seq} does not follow record {}: its prev is another hash", seq - 1));
        }
        if text("time") < self.time.as_str() {
            return Err(format!("record {seq} is earlier than record {}", seq - 1));
        }
        self.time = text("time").to_owned();
        self.prev = hash;
        self.next_seq = seq + 1;
        Ok(())
    }

    /// Compares the end with the stored head; gives the number of records.
    ///
    /// # Errors
    /// If records are missing at the end or the head names another hash.
    pub fn finish(self, head: &Head) -> Result<i64, String> {
        if head.next_seq != self.next_seq {
            return Err(format!("the log ends at {}, its head says {}", self.next_seq, head.next_seq));
        }
        if head.hash != self.prev {
            return Err("the head names another last record".to_owned());
        }
        Ok(self.next_seq)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::domain::{Tenant, TenantKey};

    #[test]
    fn records_are_what_the_canonicalizer_would_write() {
        let (_, records, _) = log(2);
        for record in records {
            let parsed: Value = serde_json::from_slice(&record.bytes).unwrap();
            assert_eq!(record.bytes, serde_json_canonicalizer::to_vec(&parsed).unwrap());
        }
    }

    fn log(entries: usize) -> (Id, Vec<Record>, Head) {
        let id = Id::parse("01939e7a-5b1c-7def-8abc-0123456789ab").unwrap();
        let start = DateTime::from_timestamp(1_800_000_000, 0).unwrap();
        let tenant = Tenant { key: TenantKey(1), id, name: "default".into(), created: start };
        let caller = Caller::host(tenant);
        let mut head =
            Head { next_seq: 0, hash: NO_HASH, time: start, policy_seq: 0, policy_epoch: 0, fork: Fork::default() };
        let mut records = vec![];
        for n in 0..entries {
            let entry = Entry::new("user.created", "user", n).with("paths", json!(["userName"]));
            let (record, next) = append(&head, entry, &caller, &RequestRef::default(), start).unwrap();
            records.push(record);
            head = next;
        }
        (id, records, head)
    }

    fn check(id: Id, records: &[Record], head: &Head) -> Result<i64, String> {
        let mut chain = ChainCheck::new(id);
        for record in records {
            chain.take(record.seq, &record.bytes, &record.hash)?;
        }
        chain.finish(head)
    }

    #[test]
    fn an_honest_log_verifies_and_its_bytes_are_canonical() {
        let (id, records, head) = log(3);
        assert_eq!(check(id, &records, &head), Ok(3));
        assert_eq!(
            String::from_utf8(records[0].bytes.clone()).unwrap(),
            r#"{"action":"user.created","actor":{"type":"host"},"change":{"paths":["userName"]},"log":"01939e7a-5b1c-7def-8abc-0123456789ab","outcome":"success","prev":"0000000000000000000000000000000000000000000000000000000000000000","request":{"id":"","method":"","route":""},"seq":0,"subject":{"id":"0","type":"user"},"time":"2027-01-15T08:00:00.000000Z","v":1}"#
        );
    }

    #[test]
    fn every_kind_of_tampering_is_named() {
        let (id, records, head) = log(5);
        let mut edited = records.clone();
        edited[2].bytes = edited[2].bytes.iter().map(|b| if *b == b'2' { b'3' } else { *b }).collect();
        assert_eq!(
            check(id, &edited, &head),
            Err("record 2 was changed: its bytes do not have the stored hash".into())
        );
        edited[2].hash = Sha256::digest(&edited[2].bytes).into();
        assert!(check(id, &edited, &head).unwrap_err().starts_with("record 2 "));
        let mut deleted = records.clone();
        deleted.remove(1);
        assert_eq!(check(id, &deleted, &head), Err("record 1 is missing: found 2 in its place".into()));
        let mut swapped = records.clone();
        swapped.swap(1, 2);
        assert_eq!(check(id, &swapped, &head), Err("record 1 is missing: found 2 in its place".into()));
        let mut forged = records.clone();
        forged[3].bytes = records[2].bytes.clone();
        forged[3].hash = records[2].hash;
        assert_eq!(check(id, &forged, &head), Err("record 3 carries another number".into()));
        assert_eq!(check(id, &records[..4], &head), Err("the log ends at 4, its head says 5".into()));
        let (_, other, _) = log(5);
        assert_eq!(check(id, &other, &head), Ok(5));
    }
}
