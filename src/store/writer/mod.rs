//! The writers: threads that commit waiting jobs together, those of one tenant one after the other.
//!
//! A job's error or panic undoes it alone. Replies go out after the one commit; if that fails, all of its jobs have
//! failed. SQLite has one writer; on PostgreSQL a few take turns at the tenants, so that none waits for another.

mod embedded;
mod job;
mod queue;
mod server;

use std::sync::Arc;
use std::sync::mpsc::sync_channel;
use std::thread::JoinHandle;

pub(super) use self::embedded::Embedded;
use self::job::Work;
pub(super) use self::job::{Failure, Job};
pub(super) use self::queue::{More, Queue};
pub(super) use self::server::OnServer;
use super::connection::Conn;
use super::error::{Error, Result};
use super::staged::Foreseen;
use crate::domain::TenantKey;

/// The most jobs in one commit, so that the first of them does not wait for ever.
const TOGETHER: usize = 256;

/// Carries out jobs in transactions.
pub(super) trait Rounds: Send {
    /// Carries out some jobs, and answers them; while it is at it, it may take more.
    fn round(&mut self, jobs: Vec<Box<dyn Job>>, more: &More<'_>);
}

pub(super) struct Writer {
    queue: Arc<Queue>,
    threads: Vec<JoinHandle<()>>,
}

impl Writer {
    pub(super) fn start(rounds: Vec<Box<dyn Rounds>>) -> Result<Writer> {
        let queue = Arc::new(Queue::default());
        let mut writer = Writer { queue, threads: vec![] };
        for mut rounds in rounds {
            let queue = Arc::clone(&writer.queue);
            let run = move || queue.serve(TOGETHER, |jobs, more| rounds.round(jobs, more));
            let thread = std::thread::Builder::new().name("keyroll-writer".to_owned()).spawn(run);
            writer.threads.push(thread.map_err(|error| Error::Refused(format!("cannot start a thread: {error}")))?);
        }
        Ok(writer)
    }

    /// Has a piece of work done. Those for one tenant, or for none, wait for each other.
    pub(super) fn write<T, E>(
        &self,
        tenant: Option<TenantKey>,
        foreseen: Vec<Foreseen>,
        work: impl Fn(&mut Conn) -> Result<T, E> + Send + 'static,
    ) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<Error> + Send + 'static,
    {
        let unanswered = || Err(Error::Unavailable("the writer has stopped".to_owned()).into());
        self.write_each(tenant, vec![(foreseen, work)]).pop().unwrap_or_else(unanswered)
    }

    /// The same for several, in their order; each succeeds or fails by itself.
    pub(super) fn write_each<T, E, F>(
        &self,
        tenant: Option<TenantKey>,
        work: Vec<(Vec<Foreseen>, F)>,
    ) -> Vec<Result<T, E>>
    where
        T: Send + 'static,
        E: From<Error> + Send + 'static,
        F: Fn(&mut Conn) -> Result<T, E> + Send + 'static,
    {
        let stopped = || Err(Error::Unavailable("the writer has stopped".to_owned()).into());
        let mut answers = Vec::with_capacity(work.len());
        let mut jobs: Vec<Box<dyn Job>> = Vec::with_capacity(work.len());
        for (foreseen, work) in work {
            let (reply, answer) = sync_channel(1);
            jobs.push(Box::new(Work::new(foreseen, work, reply)));
            answers.push(answer);
        }
        self.queue.put(tenant, jobs);
        answers.into_iter().map(|answer| answer.recv().unwrap_or_else(|_| stopped())).collect()
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.queue.close();
        for thread in self.threads.drain(..) {
            // A job may hold the last clone of the store; a thread cannot wait for itself.
            if thread.thread().id() != std::thread::current().id() {
                let _ = thread.join();
            }
        }
    }
}
