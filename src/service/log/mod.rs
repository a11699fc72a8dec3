//! Reading the audit log: check the chain and the rows of credentials, show the newest records.

pub mod feed;
mod fork;

use chrono::SecondsFormat;
use serde::Serialize;
use serde_json::Value;

use crate::domain::log::{ChainCheck, Head, Record};
use crate::domain::secret::Keyring;
use crate::domain::{Id, Operation, Tenant, TenantKey};
use crate::service::intact::is_intact;
use crate::service::{Context, Error, Service, authorize, caller};
use crate::store::credentials::Part;
use crate::store::{self, Conn, Store};

/// Rows in one read of a check.
const CHUNK: i64 = 1_000;

/// Ids of credentials whose rows were changed from outside that a check names; the others are counted.
const TAMPERED_NAMED_MAX: usize = 1_000;

/// What a check of the log and of the credentials found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verification {
    /// How many records there are, each of which follows its predecessor up to the head; or the first thing that
    /// is wrong.
    pub chain: Result<i64, String>,
    /// The credentials.
    pub credentials: Rows,
}

/// What a check of the credentials' rows found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rows {
    /// How many there are.
    pub total: u64,
    /// How many of them somebody else than Keyroll has written.
    pub tampered: u64,
    /// The first of those, by id.
    pub ids: Vec<Id>,
}

impl Service {
    /// Checks the tenant's log from its first record to its head, and the MAC over the row of each credential.
    /// Truncation together with a rewritten head cannot be seen without a checkpoint that was saved elsewhere,
    /// nor can a credential's row that stood there before and was put back.
    ///
    /// # Errors
    /// If the store fails.
    pub fn verify_log(&self, context: &Context) -> Result<Verification, Error> {
        authorize(&context.caller, Operation::LogVerify, None)?;
        let tenant = &context.caller.tenant;
        verify(&self.inner.store, self.keyring(), tenant)
    }

    /// The newest records, oldest first.
    ///
    /// # Errors
    /// If the store fails or a record is not JSON.
    pub fn tail_log(&self, context: &Context, count: i64) -> Result<Vec<Value>, Error> {
        caller::ask(self, context, Operation::LogTail, None, |conn| {
            let records = store::log::tail(conn, context.caller.tenant.key, count)?;
            records.iter().map(|record| Ok(serde_json::from_slice(&record.bytes)?)).collect()
        })
    }
}

/// The record by which somebody left.
#[derive(Debug, Serialize)]
pub struct Leaving {
    /// Its number in the log.
    pub seq: i64,
    /// What was done.
    pub action: String,
    /// Who did it: `host`, `connection default`, `user mira`.
    pub by: String,
}

/// The record that began what keeps a principal from being live; `None` if that is kept no longer.
///
/// # Errors
/// If the store fails.
pub fn leaving(service: &Service, context: &Context, id: &Id) -> Result<Option<Leaving>, Error> {
    caller::ask(service, context, Operation::LogTail, None, |conn| {
        let tenant = context.caller.tenant.key;
        let now = store::principals::find(conn, tenant, id)?;
        let seq = store::history::last_live(conn, tenant, id, now.as_ref())?;
        let record = seq.map(|seq| store::log::many(conn, tenant, &[seq])).transpose()?;
        let Some(record) = record.and_then(|mut records| records.pop()) else { return Ok(None) };
        let body: Value = serde_json::from_slice(&record.bytes)?;
        let actor = |path: &str| body.pointer(path).and_then(Value::as_str).unwrap_or_default();
        let owner = Id::parse(actor("/actor/owner/id"));
        let owner = owner.map(|id| store::principals::find(conn, tenant, &id)).transpose()?.flatten();
        let by = match owner {
            Some(owner) if actor("/actor/class") == "p" => format!("connection {}", owner.name),
            Some(owner) if owner.name.is_empty() => format!("{} {}", owner.kind.name(), owner.id),
            Some(owner) => format!("{} {}", owner.kind.name(), owner.name),
            None => actor("/actor/type").to_owned(),
        };
        Ok(Some(Leaving { seq: record.seq, action: record.action, by }))
    })
}

/// Checks a tenant's log, and its credentials.
pub(in crate::service) fn verify(store: &Store, keyring: &Keyring, tenant: &Tenant) -> Result<Verification, Error> {
    Ok(Verification { chain: verify_chain(store, tenant)?, credentials: verify_rows(store, keyring, tenant)? })
}

fn verify_chain(store: &Store, tenant: &Tenant) -> Result<Result<i64, String>, Error> {
    // Records that are appended while the check runs lie behind this head and are left to the next one.
    let Some(head) = store.read(|conn| head(conn, tenant.key))? else {
        return Ok(Err(NO_HEAD.to_owned()));
    };
    let mut check = ChainCheck::new(tenant.id);
    let mut next = 0;
    while next < head.next_seq {
        let limit = CHUNK.min(head.next_seq - next);
        let records = store.read(|conn| store::log::records(conn, tenant.key, next, limit))?;
        if records.is_empty() {
            break;
        }
        for record in &records {
            let taken = check.take(record.seq, &record.bytes, &record.hash).and_then(|()| check_columns(record));
            if let Err(broken) = taken {
                return Ok(Err(broken));
            }
        }
        next += records.len() as i64;
    }
    if let Some(broken) = store.read(|conn| behind_head(conn, tenant.key))? {
        return Ok(Err(broken));
    }
    Ok(check.finish(&head))
}

fn verify_rows(store: &Store, keyring: &Keyring, tenant: &Tenant) -> Result<Rows, Error> {
    let (mut found, mut last) = (Rows::default(), None);
    loop {
        let rows = store.read(|conn| store::credentials::list(conn, tenant.key, Part::All, last, CHUNK))?;
        let Some((key, _)) = rows.last() else { return Ok(found) };
        last = Some(*key);
        for (_, stored) in &rows {
            found.total += 1;
            if is_intact(keyring, tenant, stored) {
                continue;
            }
            found.tampered += 1;
            if found.ids.len() < TAMPERED_NAMED_MAX {
                found.ids.push(stored.credential.id);
            }
        }
    }
}

const NO_HEAD: &str = "its head is missing: nothing says which record is the last one";

/// The head, which every log has unless somebody has been at the database.
fn head(conn: &mut Conn, tenant: TenantKey) -> Result<Option<Head>, Error> {
    match store::log::head(conn, tenant) {
        Err(error) if error.is_not_found() => Ok(None),
        found => Ok(Some(found?)),
    }
}

/// What is wrong if the newest record lies behind the head, where no append puts one.
fn behind_head(conn: &mut Conn, tenant: TenantKey) -> Result<Option<String>, Error> {
    store::snapshot(conn, |conn| {
        let Some(Head { next_seq: next, .. }) = head(conn, tenant)? else { return Ok(Some(NO_HEAD.to_owned())) };
        let last = store::log::tail(conn, tenant, 1)?.last().map(|record| record.seq);
        let beyond = last.filter(|last| *last >= next);
        Ok(beyond.map(|last| format!("record {last} lies behind the head, which says {next}")))
    })
}

/// Readers look at columns too: they must say what the bytes say, which alone are hashed.
fn check_columns(record: &Record) -> Result<(), String> {
    let body: Value = serde_json::from_slice(&record.bytes).unwrap_or_default();
    let time = record.time.to_rfc3339_opts(SecondsFormat::Micros, true);
    let columns = [
        ("/action", &record.action),
        ("/subject/type", &record.subject_kind),
        ("/subject/id", &record.subject_id),
        ("/time", &time),
    ];
    let differs = columns.iter().find(|(path, column)| body.pointer(path).and_then(Value::as_str) != Some(column));
    differs.map_or(Ok(()), |(path, _)| Err(format!("record {}: its column for {path} was changed", record.seq)))
}
