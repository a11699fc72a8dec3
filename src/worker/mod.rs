//! Work that nobody asked for: jobs that follow the logs and the clock, each from where it was left, on one node at a
//! time. A server runs them beside its requests; a command does not.
//!
//! A job is a [`Job`]: its steps are short, and tests drive them without this thread. The [`Runner`] goes through the
//! jobs, and keeps the failures of one from the others.

mod analyze;
mod runner;
mod sweep;

use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::Duration;

pub use self::analyze::Analyze;
pub use self::runner::{Job, Runner};
pub use self::sweep::Sweep;
use crate::service::Service;
use crate::service::work;
pub use crate::service::work::{Lag, Outcome};

/// How often is looked for something to do.
const PAUSE: Duration = Duration::from_secs(60);
/// What lies between two steps, so that requests go first.
const BREATH: Duration = Duration::from_millis(10);
/// How long the step that is under way may take once the server ends. What it has not committed then is undone.
const PATIENCE: Duration = Duration::from_secs(10);

/// Every job of a server.
pub fn jobs(service: &Service) -> Vec<Box<dyn Job>> {
    vec![Box::new(Sweep::new(service)), Box::new(Analyze::new(service))]
}

/// The thread that works.
pub struct Worker {
    /// Without it, the thread ends.
    go_on: Sender<()>,
    /// Ends with the thread.
    ended: Receiver<()>,
}

impl Worker {
    /// Begins to work.
    ///
    /// # Errors
    /// If there can be no thread.
    pub fn start(service: Service, jobs: Vec<Box<dyn Job>>) -> std::io::Result<Worker> {
        let (go_on, stopped) = channel();
        let (running, ended) = channel();
        let work = move || {
            run(&service, Runner::new(jobs), &stopped);
            drop(running);
        };
        std::thread::Builder::new().name("keyroll-worker".to_owned()).spawn(work)?;
        Ok(Worker { go_on, ended })
    }

    /// Ends with the step that is under way.
    pub fn stop(self) {
        drop(self.go_on);
        if let Err(RecvTimeoutError::Timeout) = self.ended.recv_timeout(PATIENCE) {
            log::warn!("a step of the background work does not end: it is undone");
        }
    }
}

fn run(service: &Service, mut runner: Runner, stopped: &Receiver<()>) {
    let mut pause = Duration::ZERO;
    while let Err(RecvTimeoutError::Timeout) = stopped.recv_timeout(pause) {
        let (now, passed) = work::both_clocks(service);
        pause = if runner.pass(service, now, passed) { BREATH } else { PAUSE };
    }
}
