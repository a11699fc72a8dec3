//! Rounds on SQLite.

use std::sync::Arc;

use diesel::sql_types::BigInt;

use super::{Failure, Job, More, Rounds, TOGETHER};
use crate::store::anchor::Anchor;
use crate::store::connection::Conn;
use crate::store::error::Result;
use crate::store::file::connect;
use crate::store::writes::Writes;

/// A job's savepoint. Written out, since diesel prepares its own anew each time; what a job itself opens
/// through diesel nests inside.
const MARK: &str = "SAVEPOINT job";
const UNDO: &str = "ROLLBACK TO job";
const RELEASE: &str = "RELEASE job";

pub(in crate::store) struct Embedded {
    path: String,
    conn: Option<Conn>,
    writes: Arc<Writes>,
    /// The rows that the connection has ever changed.
    changes: i64,
    anchor: Arc<Anchor>,
}

impl Embedded {
    pub(in crate::store) fn new(path: String, conn: Conn, writes: Arc<Writes>, anchor: Arc<Anchor>) -> Embedded {
        Embedded { path, conn: Some(conn), writes, changes: 0, anchor }
    }

    /// Notes that writes are kept, if there was any: a commit of nothing writes nothing.
    fn learn(&mut self, changes: i64) {
        if changes != self.changes {
            self.changes = changes;
            self.writes.kept();
        }
    }

    /// One transaction: the first jobs and whatever comes in meanwhile. Gives the rows that the connection has
    /// ever changed.
    fn attempt(&mut self, jobs: &mut Vec<Box<dyn Job>>, more: &More<'_>) -> Result<i64> {
        let mut conn = match self.conn.take() {
            Some(conn) => conn,
            None => connect(&self.path)?,
        };
        // Before, so that nothing is written into another file; after, so that nothing is acknowledged that only a
        // deleted one has.
        let outcome = self.anchor.look().and_then(|()| {
            let changes = together(&mut conn, jobs, more)?;
            self.anchor.look().map(|()| changes)
        });
        let unwound = outcome.is_ok() || conn.unwind(0).is_ok();
        // Otherwise the next round opens another connection.
        self.conn = Some(conn).filter(|_| unwound);
        if let Some(conn) = &mut self.conn
            && !conn.is_clean()
        {
            self.conn = None;
        }
        outcome
    }
}

impl Rounds for Embedded {
    fn round(&mut self, mut jobs: Vec<Box<dyn Job>>, more: &More<'_>) {
        let failure = self.attempt(&mut jobs, more).map(|changes| self.learn(changes)).err().map(|error| {
            // The first job's own statement may have been told more: a probe finds out.
            self.writes.forget();
            // Those that wait would only wait again for the same.
            jobs.extend(more(TOGETHER));
            ::log::warn!("a round of {} writes failed: {error}", jobs.len());
            Failure::from(error)
        });
        for job in jobs {
            job.reply(failure.as_ref());
        }
    }
}

fn together(conn: &mut Conn, jobs: &mut Vec<Box<dyn Job>>, more: &More<'_>) -> Result<i64> {
    conn.begin("BEGIN IMMEDIATE", "BEGIN")?;
    let mut done = 0;
    while let Some(job) = jobs.get_mut(done) {
        carry_out(conn, &mut **job)?;
        done += 1;
        if done == jobs.len() && done < TOGETHER {
            jobs.extend(more(TOGETHER - done));
        }
    }
    conn.commit()?;
    Ok(conn.load_sql::<BigInt, i64>("SELECT total_changes()", &[])?.pop().unwrap_or(0))
}

/// Does a job in a savepoint.
///
/// # Errors
/// If the transaction around it cannot go on; the job's own failure is its outcome.
fn carry_out(conn: &mut Conn, job: &mut dyn Job) -> Result<()> {
    let depth = conn.depth();
    conn.run(MARK, &[])?;
    let is_done = job.run(conn, false);
    // Savepoints that a job which panicked had opened by itself go first.
    conn.unwind(depth)?;
    // SQLite ends the whole transaction by itself when the disk is full or fails. Its savepoints are
    // gone then, and what came next would be committed one by one: these fail and the round ends.
    if !is_done {
        conn.run(UNDO, &[])?;
    }
    conn.run(RELEASE, &[])?;
    Ok(())
}
