//! What a request came to, for its line in the access log.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::domain::Id;
use crate::domain::credential::Verdict;
use crate::scim;

/// Collected while a request is carried out, wherever that happens.
#[derive(Debug, Default)]
pub struct Noted(Mutex<Notes>);

#[derive(Debug, Default)]
struct Notes {
    /// First and last number of each stretch of records.
    recorded: Vec<(i64, i64)>,
    reduced: Option<i64>,
    outcomes: BTreeMap<String, usize>,
    failed: Option<(usize, scim::Error)>,
    judged: Option<(Verdict, Option<Id>)>,
    subject: Option<String>,
}

/// What was noted, at the end of the request.
#[derive(Debug, Default)]
pub struct Told {
    /// The numbers of the first and the last record.
    pub span: Option<(i64, i64)>,
    /// How often the operations of a job came to what: `201:3,400/invalidValue:1`.
    pub outcomes: Option<String>,
    /// The first of them that failed: its place, and what its client got.
    pub failed: Option<(usize, scim::Error)>,
    /// What a verification told, and of which key, if there is one.
    pub judged: Option<(Verdict, Option<Id>)>,
    /// What was made or changed, where neither the path nor the answer's head has its id.
    pub subject: Option<String>,
}

impl Noted {
    fn notes(&self) -> MutexGuard<'_, Notes> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes records that the log has got, and whether what they tell of may have taken access away.
    pub(in crate::service) fn recorded(&self, first: i64, last: i64, reduces: bool) {
        let mut notes = self.notes();
        notes.recorded.push((first, last));
        notes.reduced = notes.reduced.max(reduces.then_some(last));
    }

    /// Notes what one operation of a job came to.
    pub(in crate::service) fn outcome(&self, name: String) {
        *self.notes().outcomes.entry(name).or_default() += 1;
    }

    /// Notes the first operation of a job that failed: its place, and what its client gets.
    pub(in crate::service) fn failed(&self, place: usize, error: &scim::Error) {
        self.notes().failed = Some((place, error.clone()));
    }

    /// Notes what a verification told, and of which key.
    pub(in crate::service) fn judged(&self, verdict: Verdict, key: Option<Id>) {
        self.notes().judged = Some((verdict, key));
    }

    /// Notes what is made or changed: the id of a key, the name of an api or a role.
    pub(in crate::service) fn subject(&self, subject: impl ToString) {
        self.notes().subject = Some(subject.to_string());
    }

    /// The last record of a change that may have taken access away.
    pub fn reduced(&self) -> Option<i64> {
        self.notes().reduced
    }

    /// All of it.
    pub fn told(&self) -> Told {
        let notes = self.notes();
        let first = notes.recorded.iter().map(|(first, _)| *first).min();
        let last = notes.recorded.iter().map(|(_, last)| *last).max();
        let texts = || notes.outcomes.iter().map(|(name, count)| format!("{name}:{count}")).collect::<Vec<_>>();
        Told {
            span: first.zip(last),
            outcomes: (!notes.outcomes.is_empty()).then(|| texts().join(",")),
            failed: notes.failed.clone(),
            judged: notes.judged,
            subject: notes.subject.clone(),
        }
    }
}
