//! Whether anybody waits for what is read, and how PostgreSQL is told to stop when nobody does.
//!
//! SQLite reads in short statements; on PostgreSQL a statement may go on for as long as its session lets it, keep
//! a connection and a core, and outlive whoever asked. Only reads are ended: a change is carried out whoever has
//! gone, and one whose commit waits for a standby must not be told that it has succeeded.

use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::error::{Error, Result};

/// How soon a reader is told again, should it have been between two statements.
const AGAIN: Duration = Duration::from_millis(100);

/// Somebody's interest in what is read for them. Clones are the same one.
#[derive(Clone, Debug, Default)]
pub struct Interest(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    is_lost: bool,
    /// Sessions that read for it, each with who can end what it does.
    readers: Vec<(i32, Sender<Interest>)>,
}

impl Interest {
    fn state(&self) -> MutexGuard<'_, State> {
        // A list and a flag are never left half-changed.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Says that nobody waits any more: what is being read for it ends, and nothing more is begun.
    pub fn lose(&self) {
        let mut state = self.state();
        state.is_lost = true;
        if let Some((_, cancels)) = state.readers.first() {
            // A store that is closing ends its sessions itself.
            let _ = cancels.send(self.clone());
        }
    }

    /// Fails if nobody waits any more.
    pub(super) fn check(&self) -> Result<()> {
        if self.state().is_lost { Err(Error::TooLong) } else { Ok(()) }
    }

    /// Notes that a session reads for it, until what is returned is dropped.
    pub(super) fn enter(&self, backend: i32, cancels: &Cancels) -> Result<Reading> {
        self.check()?;
        self.state().readers.push((backend, cancels.queue.clone()));
        Ok(Reading { interest: self.clone(), backend })
    }

    /// Ends what is being read; whether there was anything.
    fn cancel(&self, cancel: &impl Fn(i32) -> Result<()>) -> bool {
        // Held meanwhile: a session that goes on to somebody else's work waits until it is told for the last time.
        let state = self.state();
        for (backend, _) in &state.readers {
            if let Err(error) = cancel(*backend) {
                ::log::warn!("a statement that nobody waits for could not be ended: {error}");
            }
        }
        !state.readers.is_empty()
    }
}

/// A session that reads for somebody.
pub(super) struct Reading {
    interest: Interest,
    backend: i32,
}

impl Drop for Reading {
    fn drop(&mut self) {
        let mut state = self.interest.state();
        if let Some(at) = state.readers.iter().position(|(backend, _)| *backend == self.backend) {
            state.readers.swap_remove(at);
        }
    }
}

/// The thread that tells sessions to stop: who loses interest does not wait for that.
pub(super) struct Cancels {
    queue: Sender<Interest>,
}

impl Cancels {
    /// Starts the thread; it ends with the last of what may ask it. `cancel` ends what a session does.
    pub(super) fn start(cancel: impl Fn(i32) -> Result<()> + Send + 'static) -> Result<Cancels> {
        let (queue, lost) = channel();
        std::thread::Builder::new()
            .name("keyroll-cancels".to_owned())
            .spawn(move || run(&lost, &cancel))
            .map_err(|error| Error::Refused(format!("cannot start a thread: {error}")))?;
        Ok(Cancels { queue })
    }
}

fn run(queue: &Receiver<Interest>, cancel: &impl Fn(i32) -> Result<()>) {
    let mut open: Vec<Interest> = vec![];
    loop {
        let next = match open.is_empty() {
            true => queue.recv().map_err(|_| RecvTimeoutError::Disconnected),
            false => queue.recv_timeout(AGAIN),
        };
        match next {
            Ok(lost) => open.push(lost),
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return,
        }
        open.retain(|interest| interest.cancel(cancel));
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::sync_channel;

    use super::*;

    #[test]
    fn a_reader_is_told_until_it_leaves() {
        let (told, tells) = sync_channel(8);
        let cancels = Cancels::start(move |backend| {
            // Nobody listens any more once the test is done.
            let _ = told.try_send(backend);
            Ok(())
        })
        .unwrap();
        let interest = Interest::default();
        let other = interest.enter(6, &cancels).unwrap();
        drop(other);
        let reading = interest.enter(7, &cancels).unwrap();
        interest.lose();
        assert_eq!([tells.recv().unwrap(), tells.recv().unwrap()], [7, 7]);
        drop(reading);
        assert!(matches!(interest.enter(8, &cancels), Err(Error::TooLong)));
    }
}
