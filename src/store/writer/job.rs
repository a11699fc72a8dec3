//! A piece of work that waits for its transaction.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::SyncSender;

use crate::store::connection::Conn;
use crate::store::error::{Error, Result};
use crate::store::staged::Foreseen;

/// Why nothing of a round was kept.
#[derive(Clone, Debug)]
pub(in crate::store) enum Failure {
    ReadOnly,
    Other(String),
}

impl From<Error> for Failure {
    fn from(error: Error) -> Failure {
        match error {
            Error::ReadOnly => Failure::ReadOnly,
            Error::Unavailable(reason) => Failure::Other(reason),
            other => Failure::Other(other.to_string()),
        }
    }
}

impl Failure {
    /// The error that each job is told.
    pub(in crate::store) fn told(&self) -> Error {
        match self {
            Failure::ReadOnly => Error::ReadOnly,
            Failure::Other(why) => Error::Unavailable(why.clone()),
        }
    }
}

/// Work whose types are forgotten.
pub(in crate::store) trait Job: Send {
    /// Does the work; gives whether it succeeded. It may be done again, if nothing of it was kept. If it is alone, its rows
    /// are written at once.
    fn run(&mut self, conn: &mut Conn, alone: bool) -> bool;

    /// What it will look up.
    fn foreseen(&self) -> &[Foreseen];

    /// Answers with the outcome, or with the reason why nothing was kept.
    fn reply(self: Box<Self>, failure: Option<&Failure>);
}

pub(super) struct Work<F, T, E> {
    foreseen: Vec<Foreseen>,
    work: F,
    outcome: Option<Result<T, E>>,
    reply: SyncSender<Result<T, E>>,
}

impl<F, T, E> Work<F, T, E> {
    pub(super) fn new(foreseen: Vec<Foreseen>, work: F, reply: SyncSender<Result<T, E>>) -> Work<F, T, E> {
        Work { foreseen, work, outcome: None, reply }
    }
}

impl<F, T, E> Job for Work<F, T, E>
where
    F: Fn(&mut Conn) -> Result<T, E> + Send,
    T: Send,
    E: From<Error> + Send,
{
    fn run(&mut self, conn: &mut Conn, alone: bool) -> bool {
        let work = || {
            let value = (self.work)(conn)?;
            if alone {
                conn.settled().map_err(Error::from)?;
            }
            Ok(value)
        };
        let outcome = catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|_| Err(Error::Panicked.into()));
        let is_done = outcome.is_ok();
        self.outcome = Some(outcome);
        is_done
    }

    fn foreseen(&self) -> &[Foreseen] {
        &self.foreseen
    }

    fn reply(self: Box<Self>, failure: Option<&Failure>) {
        let answer = match (self.outcome, failure) {
            // Its own failure says more than that the others failed too.
            (Some(Err(error)), _) => Err(error),
            (_, Some(failure)) => Err(failure.told().into()),
            (Some(outcome), None) => outcome,
            (None, None) => Err(Error::Unavailable("the work was not done".to_owned()).into()),
        };
        // Whoever asked may have gone.
        let _ = self.reply.send(answer);
    }
}
