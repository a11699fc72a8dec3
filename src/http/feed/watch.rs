//! One look at the logs for everybody who waits for them.
//!
//! Nobody looks while nobody waits. Of those who do, one has the turn and looks a few times a second; what
//! it sees wakes the others, whatever process has written it. When it leaves, the next has the turn.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use actix_web::rt::time::{Instant, sleep_until};
use futures_util::future::{Either, select};
use tokio::sync::{Mutex, OwnedSemaphorePermit, Semaphore, watch};

use crate::domain::TenantKey;
use crate::domain::operation::Place;
use crate::http::run::run;
use crate::service::log::feed::Heads;
use crate::service::{Error, Service};

/// Between two looks.
const PAUSE: Duration = Duration::from_millis(50);
/// Requests that wait and streams that are open, at once: each holds a connection, and a process has often
/// no more than 1 024 of them.
pub(super) const PLACES: usize = 500;

/// What those who wait share.
pub(in crate::http) struct Watch {
    seen: watch::Sender<Seen>,
    turn: Mutex<Turn>,
    places: Arc<Semaphore>,
}

#[derive(Default)]
struct Seen {
    heads: Heads,
    stopping: bool,
}

struct Turn {
    looked: Instant,
    version: Option<i64>,
}

impl Default for Watch {
    fn default() -> Watch {
        let turn = Mutex::new(Turn { looked: Instant::now(), version: None });
        Watch { seen: watch::Sender::default(), turn, places: Arc::new(Semaphore::new(PLACES)) }
    }
}

impl Watch {
    /// Ends every wait, now and from now on.
    pub(in crate::http) fn stop(&self) {
        self.seen.send_modify(|seen| seen.stopping = true);
    }

    pub(super) fn is_stopping(&self) -> bool {
        self.seen.borrow().stopping
    }

    /// The right to wait, as long as it is held.
    ///
    /// # Errors
    /// 503 if too many do.
    pub(super) fn place(&self) -> Result<OwnedSemaphorePermit, Error> {
        let place = Arc::clone(&self.places).try_acquire_owned();
        place.map_err(|_| Error::Busy("too many readers wait for changes: try again"))
    }

    /// Waits until a log goes on behind a number; `false` if the server stops first.
    ///
    /// # Errors
    /// If the logs cannot be looked at.
    pub(super) async fn beyond(&self, service: &Service, tenant: TenantKey, seq: i64) -> Result<bool, Error> {
        let mut seen = self.seen.subscribe();
        let is_beyond =
            |seen: &Seen| seen.stopping || seen.heads.next_seqs.get(&tenant).is_some_and(|next| *next > seq + 1);
        let woken = pin!(async { seen.wait_for(is_beyond).await.is_ok_and(|seen| !seen.stopping) });
        match select(woken, pin!(self.look(service))).await {
            Either::Left((news, _)) => Ok(news),
            Either::Right((error, _)) => Err(error),
        }
    }

    /// Waits for the turn, then looks until something fails.
    async fn look(&self, service: &Service) -> Error {
        let mut turn = self.turn.lock().await;
        loop {
            // Counted from the last look by anybody: turns that change often must neither hurry nor starve it.
            sleep_until(turn.looked + PAUSE).await;
            turn.looked = Instant::now();
            let version = turn.version;
            match run(service, Place::Inline, move |service| service.heads(version)).await {
                Ok(None) => {}
                Ok(Some(heads)) => {
                    turn.version = Some(heads.version);
                    self.seen.send_if_modified(|seen| {
                        let differs = seen.heads.next_seqs != heads.next_seqs;
                        seen.heads = heads;
                        differs
                    });
                }
                Err(error) => return error,
            }
        }
    }
}
