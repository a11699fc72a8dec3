//! Settings of a database server by which it may lose what it has acknowledged: named, not refused.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::error::Result;
use super::monotonic::now;

/// They may be changed under a running node, and another server may have taken over.
const FRESH: Duration = Duration::from_secs(4);

/// What is known of the server's settings.
pub(super) struct Risks(Mutex<Known>);

struct Known {
    warnings: Vec<&'static str>,
    at: Instant,
}

impl Risks {
    pub(super) fn new(warnings: Vec<&'static str>) -> Risks {
        Risks(Mutex::new(Known { warnings, at: now() }))
    }

    pub(super) fn warnings(&self) -> Vec<&'static str> {
        self.known().warnings.clone()
    }

    /// Looks again if that was long ago; what has changed goes to the server's log. What cannot be read stays as it
    /// was: others tell of that.
    pub(super) fn refresh(&self, look: impl FnOnce() -> Result<Vec<&'static str>>) {
        {
            let mut known = self.known();
            if known.at.elapsed() < FRESH {
                return;
            }
            known.at = now();
        }
        let Ok(found) = look() else { return };
        let before = std::mem::replace(&mut self.known().warnings, found.clone());
        for new in found.iter().filter(|warning| !before.contains(warning)) {
            log::warn!("{new}");
        }
        for gone in before.iter().filter(|warning| !found.contains(warning)) {
            log::warn!("no longer true: {gone}");
        }
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
