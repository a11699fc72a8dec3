//! Whose turn it is to read documents: a few searches at a time, in the order in which they came.

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::service::{Error, Service};

/// Searches that read documents, at once: more would only make each other slow.
const SCANS_MAX: usize = 4;

/// Is given the turn; gives it back if nobody is there any more.
type Waiter = Box<dyn FnOnce(Turn) -> Result<(), Turn> + Send>;

/// The places for searches that read documents, and who waits for one.
#[derive(Clone)]
pub(in crate::service) struct Turns(Arc<Mutex<Queue>>);

struct Queue {
    free: usize,
    waiting: VecDeque<Waiter>,
}

/// The right to search so, as long as it is held.
#[derive(Clone)]
pub struct Turn(#[expect(dead_code, reason = "it is held, and given back when it is dropped")] Arc<Held>);

struct Held(Turns);

impl fmt::Debug for Turn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Turn")
    }
}

impl Default for Turns {
    fn default() -> Turns {
        Turns(Arc::new(Mutex::new(Queue { free: SCANS_MAX, waiting: VecDeque::new() })))
    }
}

impl Turns {
    fn queue(&self) -> MutexGuard<'_, Queue> {
        // A number and a queue are never left half-changed.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A place that is free; whoever waits goes before.
    fn take(&self) -> Option<Turn> {
        let mut queue = self.queue();
        queue.free = queue.free.checked_sub(1)?;
        Some(Turn(Arc::new(Held(self.clone()))))
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        let next = {
            let mut queue = self.0.queue();
            let next = queue.waiting.pop_front();
            queue.free += usize::from(next.is_none());
            next
        };
        if let Some(next) = next {
            // If nobody is there any more, it goes on to the one behind.
            drop(next(Turn(Arc::new(Held(self.0.clone())))));
        }
    }
}

impl Service {
    /// Waits for a place behind all who wait already, and keeps no thread meanwhile: `then` is given it, perhaps on
    /// another thread, where it hands it on and does nothing else, or gives it back if nobody is there any more.
    pub fn wait_for_turn(&self, then: impl FnOnce(Turn) -> Result<(), Turn> + Send + 'static) {
        let mut queue = self.inner.turns.queue();
        let Some(free) = queue.free.checked_sub(1) else {
            return queue.waiting.push_back(Box::new(then));
        };
        queue.free = free;
        drop(queue);
        drop(then(Turn(Arc::new(Held(self.inner.turns.clone())))));
    }

    /// This service for a search whose turn it is.
    pub fn in_turn(&self, turn: Turn) -> Service {
        Service { turn: Some(turn), ..self.clone() }
    }
}

/// The place that it has, or one that is free; whoever waits goes before.
///
/// # Errors
/// [`Error::Crowded`] if there is none.
pub(in crate::service::directory::search) fn enter_scan(service: &Service) -> Result<Turn, Error> {
    if let Some(turn) = &service.turn {
        return Ok(turn.clone());
    }
    service.inner.turns.take().ok_or(Error::Crowded)
}
