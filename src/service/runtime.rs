//! The one home of the real clock and the real random source.

use std::time::Duration;

use chrono::{DateTime, Utc};
use rand::Rng;
#[cfg(target_os = "linux")]
use rustix::time::{ClockId, clock_gettime};

use crate::domain::clock::{Clock, Entropy};

/// The clock of the machine.
#[derive(Debug)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "the home of the clock")]
    fn now(&self) -> DateTime<Utc> {
        Utc::now()
    }

    /// It goes on while the machine sleeps, where the system has such a clock: waking up is no jump of the other one.
    #[cfg(target_os = "linux")]
    fn monotonic(&self) -> Duration {
        let time = clock_gettime(ClockId::Boottime);
        Duration::new(time.tv_sec.try_into().unwrap_or_default(), time.tv_nsec.try_into().unwrap_or_default())
    }

    #[cfg(not(target_os = "linux"))]
    #[expect(clippy::disallowed_methods, reason = "the home of the clock")]
    fn monotonic(&self) -> Duration {
        static BEGUN: std::sync::LazyLock<std::time::Instant> = std::sync::LazyLock::new(std::time::Instant::now);
        BEGUN.elapsed()
    }
}

/// A cryptographic generator for each thread, seeded again and again by the operating system, which would
/// be asked for every request's id otherwise. Without a seed it stops the process: no key and no id may be made.
#[derive(Debug)]
pub struct SystemEntropy;

impl Entropy for SystemEntropy {
    #[expect(clippy::disallowed_methods, reason = "the home of randomness")]
    fn fill(&self, bytes: &mut [u8]) {
        rand::rng().fill_bytes(bytes);
    }
}
