//! Who is next: jobs wait in a line for each tenant, and each line is served by one writer at a time.

use std::collections::{HashMap, VecDeque};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use super::job::Job;
use crate::domain::TenantKey;

type Line = Option<TenantKey>;

/// Lets whoever serves a line take more of it.
pub(in crate::store) type More<'q> = dyn Fn(usize) -> Vec<Box<dyn Job>> + 'q;

#[derive(Default)]
pub(in crate::store) struct Queue {
    lines: Mutex<Lines>,
    comes: Condvar,
}

#[derive(Default)]
struct Lines {
    /// What waits. A line that is there, though it may be empty, is served or in `ready`.
    waiting: HashMap<Line, VecDeque<Box<dyn Job>>>,
    /// The lines that nobody serves, in the order in which they came.
    ready: VecDeque<Line>,
    is_closed: bool,
}

impl Lines {
    fn take(&mut self, line: Line, most: usize) -> Vec<Box<dyn Job>> {
        self.waiting.get_mut(&line).map_or(vec![], |jobs| jobs.drain(..most.min(jobs.len())).collect())
    }

    /// A line has been served: whoever waits in it is behind the other lines.
    fn give_back(&mut self, line: Line) {
        match self.waiting.get(&line).is_none_or(VecDeque::is_empty) {
            true => drop(self.waiting.remove(&line)),
            false => self.ready.push_back(line),
        }
    }
}

impl Queue {
    fn lines(&self) -> MutexGuard<'_, Lines> {
        // Nothing that holds the lock can leave it half-changed.
        self.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn put(&self, line: Line, jobs: Vec<Box<dyn Job>>) {
        let mut lines = self.lines();
        match lines.waiting.get_mut(&line) {
            Some(waiting) => waiting.extend(jobs),
            None => {
                lines.waiting.insert(line, jobs.into());
                lines.ready.push_back(line);
                drop(lines);
                self.comes.notify_one();
            }
        }
    }

    /// What was accepted is still done.
    pub(super) fn close(&self) {
        self.lines().is_closed = true;
        self.comes.notify_all();
    }

    /// Serves lines until the queue is closed and empty.
    pub(super) fn serve(&self, together: usize, mut round: impl FnMut(Vec<Box<dyn Job>>, &More<'_>)) {
        let nothing = |lines: &mut Lines| lines.ready.is_empty() && !lines.is_closed;
        loop {
            let mut lines = self.comes.wait_while(self.lines(), nothing).unwrap_or_else(PoisonError::into_inner);
            let Some(line) = lines.ready.pop_front() else { return };
            let jobs = lines.take(line, together);
            drop(lines);
            round(jobs, &|most| self.lines().take(line, most));
            let mut lines = self.lines();
            lines.give_back(line);
            let is_ready = !lines.ready.is_empty();
            drop(lines);
            if is_ready {
                self.comes.notify_one();
            }
        }
    }
}
