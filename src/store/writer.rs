//! SQLite's one writer: a thread that commits waiting jobs together.
//!
//! Each job runs in a savepoint of its own, so its error or panic undoes it alone. Replies go out after
//! the one commit; if that fails, all of its jobs have failed.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};
use std::thread::JoinHandle;

use diesel::sql_types::BigInt;

use super::anchor::Anchor;
use super::connection::Conn;
use super::error::{Error, Result};
use super::file::connect;
use super::writes::Writes;

/// The most jobs in one commit, so that the first of them does not wait for ever.
const TOGETHER: usize = 256;

/// A job's savepoint. Written out, since diesel prepares its own anew each time; what a job itself opens
/// through diesel nests inside.
const MARK: &str = "SAVEPOINT job";
const UNDO: &str = "ROLLBACK TO job";
const RELEASE: &str = "RELEASE job";

pub(super) struct Writer {
    /// `None` only while it is dropped: without senders the thread ends.
    queue: Option<Sender<Box<dyn Job>>>,
    thread: Option<JoinHandle<()>>,
}

impl Writer {
    pub(super) fn start(path: String, conn: Conn, writes: Arc<Writes>, anchor: Arc<Anchor>) -> Result<Writer> {
        let (queue, jobs) = channel();
        let run = move || Thread { path, conn: Some(conn), writes, changes: 0, anchor }.run(&jobs);
        let thread = std::thread::Builder::new()
            .name("keyroll-writer".to_owned())
            .spawn(run)
            .map_err(|error| Error::Refused(format!("cannot start a thread: {error}")))?;
        Ok(Writer { queue: Some(queue), thread: Some(thread) })
    }

    pub(super) fn write<T, E>(&self, work: impl FnOnce(&mut Conn) -> Result<T, E> + Send + 'static) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<Error> + Send + 'static,
    {
        let stopped = || E::from(Error::Unavailable("the writer has stopped".to_owned()));
        let (reply, answer) = sync_channel(1);
        let job = Work { work: Some(work), outcome: None, reply };
        let queue = self.queue.as_ref().ok_or_else(stopped)?;
        queue.send(Box::new(job)).map_err(|_| stopped())?;
        answer.recv().map_err(|_| stopped())?
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.queue = None;
        if let Some(thread) = self.thread.take()
            // A job may hold the last clone of the store; a thread cannot wait for itself.
            && thread.thread().id() != std::thread::current().id()
        {
            let _ = thread.join();
        }
    }
}

/// Work whose types are forgotten.
trait Job: Send {
    /// Does the work in a savepoint.
    ///
    /// # Errors
    /// If the transaction around it cannot go on; the job's own failure is its outcome.
    fn run(&mut self, conn: &mut Conn) -> Result<()>;

    /// Answers with the outcome, or with the reason why nothing was kept.
    fn reply(self: Box<Self>, failure: Option<&Failure>);
}

struct Work<F, T, E> {
    work: Option<F>,
    outcome: Option<Result<T, E>>,
    reply: SyncSender<Result<T, E>>,
}

impl<F, T, E> Job for Work<F, T, E>
where
    F: FnOnce(&mut Conn) -> Result<T, E> + Send,
    T: Send,
    E: From<Error> + Send,
{
    fn run(&mut self, conn: &mut Conn) -> Result<()> {
        let Some(work) = self.work.take() else { return Ok(()) };
        let depth = conn.depth();
        conn.execute_sql(MARK, &[])?;
        let (outcome, kept) = match catch_unwind(AssertUnwindSafe(|| work(conn))) {
            Ok(Ok(value)) => (Ok(value), true),
            Ok(Err(error)) => (Err(error), false),
            // Savepoints that the work had opened by itself go first.
            Err(_) => (Err(Error::Panicked.into()), conn.unwind(depth).map(|()| false)?),
        };
        self.outcome = Some(outcome);
        // SQLite ends the whole transaction by itself when the disk is full or fails. Its savepoints are
        // gone then, and what came next would be committed one by one: these fail and the round ends.
        if !kept {
            conn.execute_sql(UNDO, &[])?;
        }
        conn.execute_sql(RELEASE, &[])?;
        Ok(())
    }

    fn reply(self: Box<Self>, failure: Option<&Failure>) {
        let unavailable = |why: &str| Err(Error::Unavailable(why.to_owned()).into());
        let answer = match (self.outcome, failure) {
            // Its own failure says more than that the others failed too.
            (Some(Err(error)), _) => Err(error),
            (_, Some(Failure::ReadOnly)) => Err(Error::ReadOnly.into()),
            (_, Some(Failure::Other(why))) => unavailable(why),
            (Some(outcome), None) => outcome,
            (None, None) => unavailable("the work was not done"),
        };
        // Whoever asked may have gone.
        let _ = self.reply.send(answer);
    }
}

/// Why nothing of a round was kept.
enum Failure {
    ReadOnly,
    Other(String),
}

struct Thread {
    path: String,
    conn: Option<Conn>,
    writes: Arc<Writes>,
    /// The rows that the connection has ever changed.
    changes: i64,
    anchor: Arc<Anchor>,
}

impl Thread {
    fn run(mut self, queue: &Receiver<Box<dyn Job>>) {
        while let Ok(first) = queue.recv() {
            let mut jobs = vec![first];
            let failure = self.round(&mut jobs, queue).map(|changes| self.learn(changes)).err().map(|error| {
                // The first job's own statement may have been told more: a probe finds out.
                self.writes.forget();
                // Those that wait would only wait again for the same.
                jobs.extend(queue.try_iter().take(TOGETHER));
                ::log::warn!("a round of {} writes failed: {error}", jobs.len());
                match error {
                    Error::ReadOnly => Failure::ReadOnly,
                    Error::Unavailable(reason) => Failure::Other(reason),
                    other => Failure::Other(other.to_string()),
                }
            });
            for job in jobs {
                job.reply(failure.as_ref());
            }
        }
    }

    /// Notes that writes are kept, if there was any: a commit of nothing writes nothing.
    fn learn(&mut self, changes: i64) {
        if changes != self.changes {
            self.changes = changes;
            self.writes.kept();
        }
    }

    /// One transaction: the first job and whatever comes in meanwhile. Gives the rows that the connection has
    /// ever changed.
    fn round(&mut self, jobs: &mut Vec<Box<dyn Job>>, queue: &Receiver<Box<dyn Job>>) -> Result<i64> {
        let mut conn = match self.conn.take() {
            Some(conn) => conn,
            None => connect(&self.path)?,
        };
        // Before, so that nothing is written into another file; after, so that nothing is acknowledged that only a
        // deleted one has.
        let outcome = self.anchor.look().and_then(|()| {
            let changes = together(&mut conn, jobs, queue)?;
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

fn together(conn: &mut Conn, jobs: &mut Vec<Box<dyn Job>>, queue: &Receiver<Box<dyn Job>>) -> Result<i64> {
    conn.begin("BEGIN IMMEDIATE", "BEGIN")?;
    let mut done = 0;
    while let Some(job) = jobs.get_mut(done) {
        job.run(conn)?;
        done += 1;
        if done < TOGETHER {
            jobs.extend(queue.try_recv());
        }
    }
    conn.commit()?;
    Ok(conn.load_sql::<BigInt, i64>("SELECT total_changes()", &[])?.pop().unwrap_or(0))
}
