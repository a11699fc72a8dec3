//! An outage as the server's log tells of it: when it begins, when its cause becomes another, and when it is over.
//! A probe every second does not fill the log.

use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use super::monotonic::now;

/// What cannot be done now, if it cannot.
pub struct Outage {
    what: &'static str,
    now: Mutex<Option<Cause>>,
}

struct Cause {
    text: String,
    since: Instant,
}

impl Outage {
    /// With what is not done while it lasts: `reads`.
    pub fn new(what: &'static str) -> Outage {
        Outage { what, now: Mutex::default() }
    }

    /// It was tried, and failed.
    pub fn goes_on(&self, cause: &str) {
        let mut known = self.now.lock().unwrap_or_else(PoisonError::into_inner);
        match &mut *known {
            Some(before) if before.text == cause => return,
            Some(before) => before.text = cause.to_owned(),
            None => *known = Some(Cause { text: cause.to_owned(), since: now() }),
        }
        log::warn!("not ready: {}: {cause}", self.what);
    }

    /// It was tried, and done.
    pub fn is_over(&self) {
        let ended = self.now.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(Cause { since, .. }) = ended {
            log::warn!("ready again: {}, after {} s", self.what, since.elapsed().as_secs());
        }
    }
}
