//! Whose turn it is to read documents: a few searches at a time, in the order in which they came.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::service::{Error, Service};

/// Searches that read documents, at once: more would only make each other slow.
const SCANS_MAX: usize = 4;

/// The places for searches that read documents.
#[derive(Debug)]
pub(in crate::service) struct Turns(Arc<Semaphore>);

/// The right to search so, as long as it is held.
#[derive(Clone, Debug)]
pub struct Turn(
    #[expect(dead_code, reason = "it is held, and given back when it is dropped")] Arc<OwnedSemaphorePermit>,
);

impl Default for Turns {
    fn default() -> Turns {
        Turns(Arc::new(Semaphore::new(SCANS_MAX)))
    }
}

impl Service {
    /// Waits for a place behind all who wait already, and keeps no thread meanwhile.
    ///
    /// # Errors
    /// [`Error::Crowded`] if there are no places any more.
    pub async fn turn(&self) -> Result<Turn, Error> {
        let place = Arc::clone(&self.inner.turns.0).acquire_owned().await;
        place.map(|place| Turn(Arc::new(place))).map_err(|_| Error::Crowded)
    }

    /// This service for a search whose turn it is.
    pub fn in_turn(&self, turn: Turn) -> Service {
        Service { turn: Some(turn), ..self.clone() }
    }

    /// The place that it has, or one that is free; whoever waits goes before.
    ///
    /// # Errors
    /// [`Error::Crowded`] if there is none.
    pub(super) fn enter_scan(&self) -> Result<Turn, Error> {
        if let Some(turn) = &self.turn {
            return Ok(turn.clone());
        }
        let place = Arc::clone(&self.inner.turns.0).try_acquire_owned();
        place.map(|place| Turn(Arc::new(place))).map_err(|_| Error::Crowded)
    }
}
