//! Rounds on PostgreSQL: the jobs of a tenant in one transaction, whose rows are written together.
//!
//! No job has a savepoint. One that fails before it has written anything itself takes its staged rows back, and the
//! others go on. If there is more to take back, or a statement fails, the round is done again: without the one that
//! failed, or, when nobody knows which it was, each by itself.

use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use diesel::r2d2::{Pool, PooledConnection};

use super::{Failure, Job, More, Rounds, TOGETHER};
use crate::store::error::{Error, Kind, Result};
use crate::store::monotonic::now;
use crate::store::session::{Server, Trouble};
use crate::store::staged::Unit;
use crate::store::standby;
use crate::store::writes::Writes;

/// How long a round takes in more: others wait for the log, on other nodes too.
const LONG: Duration = Duration::from_millis(20);

/// How often work is done again that another transaction was in the way of.
const COLLISIONS_MAX: u32 = 3;

/// The longest pause before that: whoever was in the way shall be through, and two do not meet again.
const PAUSE_MICROS_MAX: u64 = 40_000;

/// What the writers of a server share.
pub(in crate::store) struct OnServer {
    pub(in crate::store) sessions: Pool<Server>,
    pub(in crate::store) writes: Writes,
    /// Whether a commit must wait for a synchronous standby.
    pub(in crate::store) insists: AtomicBool,
    /// How often work was done again that was kept in the end.
    repeats: AtomicU64,
    turns: AtomicI64,
}

/// Why a transaction was not committed.
enum Broken {
    /// A statement failed.
    Statement,
    /// The job at this place failed, and has left something that only the end of the transaction takes back.
    Left(usize),
    /// Beginning or committing failed.
    Transaction(Error),
    /// There is no standby.
    NoStandby(Error),
}

impl Rounds for Arc<OnServer> {
    fn round(&mut self, mut jobs: Vec<Box<dyn Job>>, more: &More<'_>) {
        match self.carry_out(&mut jobs, Some(more)) {
            Ok(()) => jobs.into_iter().for_each(|job| job.reply(None)),
            Err(Some(failure)) => {
                // Those that wait would only wait again for the same.
                jobs.extend(more(TOGETHER));
                jobs.into_iter().for_each(|job| job.reply(Some(&failure)));
            }
            Err(None) => jobs.into_iter().for_each(|job| self.alone(job)),
        }
    }
}

impl OnServer {
    pub(in crate::store) fn new(sessions: Pool<Server>) -> OnServer {
        let (writes, insists) = (Writes::default(), AtomicBool::new(false));
        OnServer { sessions, writes, insists, repeats: AtomicU64::new(0), turns: AtomicI64::new(0) }
    }

    /// Carries out a job by itself: what its rows fail of is its own outcome.
    fn alone(&self, job: Box<dyn Job>) {
        let mut jobs = vec![job];
        let done = self.carry_out(&mut jobs, None);
        let failure = done.err().flatten();
        jobs.into_iter().for_each(|job| job.reply(failure.as_ref()));
    }

    /// Carries out jobs in one transaction. What certainly was not kept is done again where that may help: on another
    /// session if this one is of no use, and a few times if another transaction was in the way. Answers those that fail
    /// for good and takes them out.
    ///
    /// # Errors
    /// Why nothing was kept; `None` if each job is to be tried by itself.
    fn carry_out(&self, jobs: &mut Vec<Box<dyn Job>>, more: Option<&More<'_>>) -> Result<(), Option<Failure>> {
        let (mut renewed, mut collisions) = (false, 0);
        let mut troubles = vec![];
        loop {
            let mut session = self.sessions.get().map_err(|error| {
                let error = Error::from(error);
                self.writes.failed(&error);
                Failure::from(error)
            })?;
            session.begin();
            let outcome = self.attempt(&mut session, jobs, more);
            session.conn.unit = Unit::default();
            let broken = match outcome {
                Ok(is_kept) => {
                    if is_kept {
                        self.writes.kept();
                    }
                    self.count(&troubles);
                    return Ok(());
                }
                Err(broken) => broken,
            };
            // If that fails too, the pool drops the session.
            let _ = session.conn.unwind(0);
            let trouble = session.trouble();
            drop(session);
            if let Broken::Left(place) = broken {
                jobs.remove(place).reply(None);
                if jobs.is_empty() { return Ok(()) } else { continue }
            }
            match &trouble {
                Some(Trouble { kind: Kind::Collided, .. }) if collisions < COLLISIONS_MAX => {
                    collisions += 1;
                    pause(collisions);
                }
                Some(Trouble { kind: Kind::Lost | Kind::ReadOnly, may_be_done: false, .. }) if !renewed => {
                    renewed = true
                }
                None if more.is_some() && matches!(broken, Broken::Statement) => return Err(None),
                _ => return Err(Some(self.failure(broken, trouble))),
            }
            troubles.extend(trouble);
        }
    }

    /// Runs jobs in a transaction; gives whether anything was committed.
    fn attempt(
        &self,
        session: &mut PooledConnection<Server>,
        jobs: &mut Vec<Box<dyn Job>>,
        more: Option<&More<'_>>,
    ) -> Result<bool, Broken> {
        let failed = |error: diesel::result::Error| Broken::Transaction(error.into());
        let started = now();
        session.conn.unit = Unit::begin(self.turns.fetch_add(1, Ordering::Relaxed));
        foresee(session, jobs);
        session.conn.begin("BEGIN IMMEDIATE", "BEGIN").map_err(failed)?;
        let (mut done, mut kept) = (0, false);
        while let (left, Some(job)) = (jobs.len() - done, jobs.get_mut(done)) {
            session.conn.unit.expect_new(left);
            let is_done = job.run(&mut session.conn, more.is_none());
            if session.has_failed() {
                return Err(Broken::Statement);
            }
            // Whoever panicked may have left a transaction of its own open.
            let is_closed = session.conn.depth() == 1;
            match (is_done, is_closed) {
                (true, true) => session.conn.unit.keep_own(),
                (true, false) => return Err(Broken::Statement),
                (false, true) if session.conn.unit.drop_own() => {}
                (false, _) => return Err(Broken::Left(done)),
            }
            (done, kept) = (done + 1, kept || is_done);
            if session.conn.unit.is_heavy() {
                session.conn.settled().map_err(|_| Broken::Statement)?;
            }
            if let Some(more) = more.filter(|_| done == jobs.len() && done < TOGETHER && started.elapsed() < LONG) {
                jobs.extend(more(TOGETHER - done));
                foresee(session, jobs.get(done..).unwrap_or_default());
            }
        }
        if !kept {
            return session.conn.unwind(0).map(|()| false).map_err(failed);
        }
        // Before the standby is looked for: these rows may not be the last to fail.
        session.conn.settled().map_err(|_| Broken::Statement)?;
        let insists = self.insists.load(Ordering::Relaxed);
        if insists {
            standby::check_before(&mut session.conn).map_err(Broken::NoStandby)?;
        }
        session.conn.commit().map_err(failed)?;
        if insists {
            standby::check_after(&mut session.conn).map_err(Broken::NoStandby)?;
        }
        Ok(true)
    }

    /// Counts how often a round was done again that was kept in the end. Of one that was not, its error tells.
    fn count(&self, troubles: &[Trouble]) {
        for trouble in troubles {
            let repeats = self.repeats.fetch_add(1, Ordering::Relaxed) + 1;
            log::info!(repeats; "a write was done again: {}", trouble.text);
        }
    }

    /// What jobs are told that are not done again.
    fn failure(&self, broken: Broken, trouble: Option<Trouble>) -> Failure {
        // A refusal says nothing of other writes, unless it is for want of a standby.
        if self.insists.load(Ordering::Relaxed) {
            self.writes.forget();
        }
        if let Some(trouble) = &trouble
            && trouble.kind.stops_writes()
        {
            let read_only = trouble.kind == Kind::ReadOnly;
            self.writes.failed(&if read_only { Error::ReadOnly } else { Error::Unavailable(trouble.text.clone()) });
        }
        match (broken, trouble) {
            (Broken::Transaction(_), Some(Trouble { kind: Kind::Lost, may_be_done: true, .. })) => {
                Failure::Other("the database was lost during a commit: it may yet be done".to_owned())
            }
            (Broken::Transaction(error) | Broken::NoStandby(error), _) => error.into(),
            (_, Some(Trouble { kind: Kind::ReadOnly, .. })) => Failure::ReadOnly,
            (_, Some(trouble)) => Failure::Other(trouble.text),
            (_, None) => Failure::Other("a statement failed".to_owned()),
        }
    }
}

/// Notes what jobs will look up.
fn foresee(session: &mut PooledConnection<Server>, jobs: &[Box<dyn Job>]) {
    jobs.iter().for_each(|job| session.conn.unit.ahead.want(job.foreseen()));
}

/// Waits up to the longest pause, the longer the more often it happened.
#[expect(clippy::disallowed_methods, reason = "whoever was in the way is what it waits for")]
fn pause(collisions: u32) {
    let longest = PAUSE_MICROS_MAX >> COLLISIONS_MAX.saturating_sub(collisions);
    // Nodes that met must not meet again: any two numbers do.
    let random = RandomState::new().hash_one(collisions);
    std::thread::sleep(Duration::from_micros(random % longest.max(1)));
}
