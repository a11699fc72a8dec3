//! Whether writes are kept: what the last of them has learned, and else a probe.
//!
//! Whoever asks often costs little: a probe is made only if no write has told anything for a while, and one at
//! a time.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::error::{DISK_FULL, Error, Result, SERVER_DISK_FULL, TOLD_LOCKED};
use super::monotonic::now;
use super::outage::Outage;

/// How long it is believed that writes are kept.
const GOOD: Duration = Duration::from_secs(2);
/// How long it is believed that they are not.
const BAD: Duration = Duration::from_millis(250);

/// How long a probe may take before that is told: less than whoever asks waits for it.
const LONG: Duration = Duration::from_millis(750);

/// What is told of a write that somebody waits for in vain.
pub const ENDLESS: &str = "a write has begun and does not end";

pub(super) struct Writes {
    known: Mutex<WriteHealth>,
    outage: Outage,
}

impl Default for Writes {
    fn default() -> Writes {
        Writes { known: Mutex::default(), outage: Outage::new("writes") }
    }
}

#[derive(Default)]
struct WriteHealth {
    learned: Option<Instant>,
    trouble: Option<&'static str>,
    /// When the probe began that is under way.
    probing: Option<Instant>,
}

impl WriteHealth {
    fn learn(&mut self, trouble: Option<&'static str>) {
        (self.learned, self.trouble) = (Some(now()), trouble);
    }

    fn is_fresh(&self) -> bool {
        let valid = if self.trouble.is_some() { BAD } else { GOOD };
        self.learned.is_some_and(|at| at.elapsed() < valid)
    }

    /// Whether something is in the way of some writes and not of others, as far as is known: another's lock, or a full
    /// disk, on which what has a place already can still be changed.
    fn is_partial(&self) -> bool {
        self.trouble == Some(TOLD_LOCKED) || self.lacks_space() || self.is_stuck()
    }

    fn lacks_space(&self) -> bool {
        self.trouble.is_some_and(|trouble| [DISK_FULL, SERVER_DISK_FULL].contains(&trouble))
    }

    fn is_stuck(&self) -> bool {
        self.probing.is_some_and(|since| since.elapsed() >= LONG)
    }

    fn told(&self) -> Result<(), &'static str> {
        self.trouble.map_or(Ok(()), Err)
    }
}

impl Writes {
    fn known(&self) -> MutexGuard<'_, WriteHealth> {
        // Nothing that holds the lock can leave it half-changed.
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A write was committed. What stops one write and not another may still be there: the probe finds out, which tries
    /// them all.
    pub(super) fn kept(&self) {
        let mut known = self.known();
        if known.is_partial() {
            return;
        }
        if known.trouble.is_some() {
            self.outage.is_over();
        }
        known.learn(None);
    }

    /// A write failed as any other would have.
    pub(super) fn failed(&self, error: &Error) {
        self.known().learn(Some(error.told()));
    }

    /// A write failed, and others may: nothing is known any more.
    pub(super) fn forget(&self) {
        self.known().learned = None;
    }

    /// Whether there was no space for what was written last.
    pub(super) fn lacks_space(&self) -> bool {
        self.known().lacks_space()
    }

    /// Whether writes are kept, else why not.
    pub(super) fn ask(&self, probe: impl FnOnce() -> Result<()>) -> Result<(), &'static str> {
        {
            let mut known = self.known();
            if known.is_stuck() {
                self.outage.goes_on(ENDLESS);
                return Err(ENDLESS);
            }
            if known.is_fresh() || known.probing.is_some() {
                return known.told();
            }
            known.probing = Some(now());
        }
        let outcome = match probe() {
            Ok(()) => {
                self.outage.is_over();
                Ok(())
            }
            Err(error) => {
                self.outage.goes_on(&error.to_string());
                Err(error.told())
            }
        };
        let mut known = self.known();
        known.probing = None;
        known.learn(outcome.err());
        outcome
    }
}

#[cfg(test)]
mod tests {
    use super::super::error::LOCKED;
    use super::*;

    #[test]
    fn what_writes_learn_is_told_without_a_probe() {
        let writes = Writes::default();
        let never = || -> Result<()> { panic!("no probe is needed") };
        writes.kept();
        assert_eq!(writes.ask(never), Ok(()));
        writes.failed(&Error::Unavailable("disk I/O error".to_owned()));
        assert_eq!(writes.ask(never), Err("the disk fails"));
        writes.kept();
        assert_eq!(writes.ask(never), Ok(()));
    }

    #[test]
    fn what_stops_some_writes_is_in_the_way_until_the_probe_has_passed() {
        for (text, told) in [
            (LOCKED, TOLD_LOCKED),
            ("database or disk is full", DISK_FULL),
            ("could not extend file: No space left on device", SERVER_DISK_FULL),
        ] {
            let writes = Writes::default();
            writes.failed(&Error::Unavailable(text.to_owned()));
            writes.kept();
            assert_eq!(writes.ask(|| panic!("it is known")), Err(told));
            assert_eq!(writes.lacks_space(), told != TOLD_LOCKED);
            writes.forget();
            assert_eq!(writes.ask(|| Ok(())), Ok(()));
            writes.kept();
            assert_eq!((writes.ask(|| panic!("it is known")), writes.lacks_space()), (Ok(()), false));
        }
    }

    #[test]
    fn one_probe_at_a_time_finds_out_what_nobody_knows() {
        let writes = Writes::default();
        let outcome = writes.ask(|| {
            // Whoever comes meanwhile is told what was known before.
            assert_eq!(writes.ask(|| panic!("a second probe")), Ok(()));
            Err(Error::ReadOnly)
        });
        assert_eq!(outcome, Err(Error::ReadOnly.told()));
        assert_eq!(writes.ask(|| panic!("it is known")), outcome);
    }
}
