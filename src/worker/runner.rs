//! Goes through the jobs, step by step, so that none waits for another one's end.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use chrono::{DateTime, Utc};

use super::{Lag, Outcome};
use crate::service::{Error, Service};

/// How long a job that failed rests; twice as long each time that it fails again, up to the second.
const REST_MIN: Duration = Duration::from_secs(60);
const REST_MAX: Duration = Duration::from_secs(3_600);
/// How often is looked how far a job is behind.
const LOOK: Duration = Duration::from_secs(60);

/// Something to do again and again.
pub trait Job: Send {
    /// What its cursor, its lease and its lines in the log are called.
    fn name(&self) -> &'static str;

    /// Does a little, in a transaction of its own, or finds that there is nothing to do: then nothing is written.
    ///
    /// # Errors
    /// If it could not; then nothing of the step was done.
    fn step(&mut self, service: &Service, now: DateTime<Utc>) -> Result<Outcome, Error>;

    /// How far it is behind.
    ///
    /// # Errors
    /// If the store fails.
    fn lag(&self, service: &Service, now: DateTime<Utc>) -> Result<Lag, Error>;
}

impl Failure {
    /// The next one of a job, and whether it is worth telling: what goes on failing for one reason is told once.
    fn after(before: Option<&Failure>, why: String, passed: Duration) -> (Failure, bool) {
        let rest = before.map_or(REST_MIN, |before| (before.rest * 2).min(REST_MAX));
        let is_news = before.is_none_or(|before| before.why != why);
        (Failure { why, rest, until: passed.saturating_add(rest) }, is_news)
    }
}

/// The jobs of a node.
pub struct Runner {
    jobs: Vec<Running>,
}

struct Running {
    job: Box<dyn Job>,
    failure: Option<Failure>,
    /// When its lag was last looked at, and what it was.
    looked: Option<(Duration, Lag)>,
}

/// Why a job rests.
struct Failure {
    why: String,
    rest: Duration,
    until: Duration,
}

impl Runner {
    /// Nothing was done yet.
    pub fn new(jobs: Vec<Box<dyn Job>>) -> Runner {
        let running = |job| Running { job, failure: None, looked: None };
        Runner { jobs: jobs.into_iter().map(running).collect() }
    }

    /// One step of each job that does not rest; gives whether there may be more to do at once. `passed` is a time by
    /// a clock that nobody sets.
    pub fn pass(&mut self, service: &Service, now: DateTime<Utc>, passed: Duration) -> bool {
        let mut more = false;
        for running in &mut self.jobs {
            more |= running.step(service, now, passed);
            running.look(service, now, passed);
        }
        more
    }
}

impl Running {
    fn step(&mut self, service: &Service, now: DateTime<Utc>, passed: Duration) -> bool {
        if self.failure.as_ref().is_some_and(|failure| passed < failure.until) {
            return false;
        }
        let failed = match contained(|| self.job.step(service, now)) {
            Ok(outcome) => {
                if self.failure.take().is_some() {
                    log::info!(job = self.job.name(); "background work goes on");
                }
                return outcome == Outcome::Worked;
            }
            Err(why) => why,
        };
        let (failure, is_news) = Failure::after(self.failure.as_ref(), failed, passed);
        if is_news {
            let fix = "it is tried again, ever more rarely, and requests do not wait for it";
            log::error!(job = self.job.name(); "background work failed: {}: {fix}", failure.why);
        }
        self.failure = Some(failure);
        false
    }

    /// Tells how far the job is behind, if that is more than a minute ago.
    fn look(&mut self, service: &Service, now: DateTime<Utc>, passed: Duration) {
        if self.looked.is_some_and(|(at, _)| passed.saturating_sub(at) < LOOK) {
            return;
        }
        // Why the store fails, its step has told.
        let Ok(lag) = contained(|| self.job.lag(service, now)) else { return };
        let before = self.looked.replace((passed, lag));
        if has_grown(before.map(|(_, before)| before), lag) {
            let since = lag.since.map(|since| since.to_rfc3339());
            log::warn!(job = self.job.name(), records = lag.records, since; "background work falls behind");
        }
    }
}

/// Whether a job falls behind; one that was never looked at does not.
fn has_grown(before: Option<Lag>, lag: Lag) -> bool {
    before.is_some_and(|before| lag.records > before.records)
}

/// What work gives, or why it failed, in words: by a panic, too.
fn contained<T>(work: impl FnOnce() -> Result<T, Error>) -> Result<T, String> {
    match catch_unwind(AssertUnwindSafe(work)) {
        Ok(done) => done.map_err(|error| error.causes()),
        Err(panic) => {
            let text = panic.downcast_ref::<&str>().copied().map(str::to_owned);
            let text = text.or_else(|| panic.downcast_ref::<String>().cloned());
            Err(format!("it panicked: {}", text.unwrap_or_default()))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_fails_for_one_reason_is_told_once() {
        let mut failure = None;
        let mut fail = |why: &str, passed: u64| {
            let (next, is_news) = Failure::after(failure.as_ref(), why.to_owned(), Duration::from_secs(passed));
            let until = next.until.as_secs();
            failure = Some(next);
            (is_news, until)
        };
        assert_eq!([fail("full", 0), fail("full", 60), fail("full", 180)], [(true, 60), (false, 180), (false, 420)]);
        assert_eq!([fail("gone", 420), fail("full", 900)], [(true, 900), (true, 1_860)]);
    }

    #[test]
    fn a_job_falls_behind_when_it_has_more_to_do_than_before() {
        let lag = |records| Lag { records, since: None };
        assert!(!has_grown(None, lag(7)));
        assert!(!has_grown(Some(lag(7)), lag(7)) && !has_grown(Some(lag(7)), lag(6)));
        assert!(has_grown(Some(lag(7)), lag(8)));
    }
}
