//! What a request came to, for the line that the server logs about it.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Collected while a request is carried out, wherever that happens.
#[derive(Debug, Default)]
pub struct Noted(Mutex<Notes>);

#[derive(Debug, Default)]
struct Notes {
    /// First and last number of each stretch of records.
    recorded: Vec<(i64, i64)>,
    outcomes: BTreeMap<String, usize>,
}

impl Noted {
    fn notes(&self) -> MutexGuard<'_, Notes> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How much is noted; see [`Noted::forget`].
    pub(super) fn mark(&self) -> usize {
        self.notes().recorded.len()
    }

    /// Forgets the records of a transaction that was not kept: those behind a mark.
    pub(super) fn forget(&self, mark: usize) {
        self.notes().recorded.truncate(mark);
    }

    /// Notes records that the log gets with the commit.
    pub(super) fn recorded(&self, first: i64, last: i64) {
        self.notes().recorded.push((first, last));
    }

    /// Notes what one operation of a job came to.
    pub(super) fn outcome(&self, name: String) {
        *self.notes().outcomes.entry(name).or_default() += 1;
    }

    /// The numbers of the first and the last record.
    pub fn span(&self) -> Option<(i64, i64)> {
        let notes = self.notes();
        let first = notes.recorded.iter().map(|(first, _)| *first).min()?;
        Some((first, notes.recorded.iter().map(|(_, last)| *last).max()?))
    }

    /// How often the operations of a job came to what: `201:3,400/invalidValue:1`.
    pub fn outcomes(&self) -> Option<String> {
        let notes = self.notes();
        let texts: Vec<String> = notes.outcomes.iter().map(|(name, count)| format!("{name}:{count}")).collect();
        (!texts.is_empty()).then(|| texts.join(","))
    }
}
