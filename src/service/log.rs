//! Reading the log: check the chain, show the newest records.

use serde_json::Value;

use super::{Context, Error, Service, authorize};
use crate::domain::Operation;
use crate::domain::log::ChainCheck;
use crate::store;

/// Records in one read while the chain is checked.
const CHUNK: i64 = 1_000;

/// What a check of the chain found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verification {
    /// Every record follows its predecessor, and the head is the last one.
    Intact {
        /// How many records there are.
        records: i64,
    },
    /// The first thing that is wrong.
    Broken(String),
}

impl Service {
    /// Checks the tenant's log from its first record to its head. Truncation together with a rewritten
    /// head cannot be seen without a checkpoint that was saved elsewhere.
    ///
    /// # Errors
    /// If the store fails.
    pub fn verify_log(&self, context: &Context) -> Result<Verification, Error> {
        authorize(&context.caller, Operation::LogVerify, None)?;
        let tenant = &context.caller.tenant;
        // Records that are appended while the check runs lie behind this head and are left to the next one.
        let head = self.read(|conn| Ok(store::log::head(conn, tenant.key)?))?;
        let mut check = ChainCheck::new(tenant.id);
        let mut next = 0;
        while next < head.next_seq {
            let limit = CHUNK.min(head.next_seq - next);
            let records = self.read(|conn| Ok(store::log::records(conn, tenant.key, next, limit)?))?;
            if records.is_empty() {
                break;
            }
            for record in &records {
                if let Err(broken) = check.take(record.seq, &record.bytes, &record.hash) {
                    return Ok(Verification::Broken(broken));
                }
            }
            next += records.len() as i64;
        }
        Ok(match check.finish(&head) {
            Ok(records) => Verification::Intact { records },
            Err(broken) => Verification::Broken(broken),
        })
    }

    /// The newest records, oldest first.
    ///
    /// # Errors
    /// If the store fails or a record is not JSON.
    pub fn tail_log(&self, context: &Context, count: i64) -> Result<Vec<Value>, Error> {
        self.ask(context, Operation::LogTail, None, |conn| {
            let records = store::log::tail(conn, context.caller.tenant.key, count)?;
            records.iter().map(|record| Ok(serde_json::from_slice(&record.bytes)?)).collect()
        })
    }
}
