//! Time that stands still, and chance that is the same in every run.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use keyroll::domain::clock::{Clock, Entropy};
use sha2::{Digest, Sha256};

/// A clock that stands still until it is advanced.
pub struct FixedClock {
    wall: AtomicI64,
    monotonic: AtomicI64,
}

impl FixedClock {
    pub fn at(millis: i64) -> FixedClock {
        FixedClock { wall: AtomicI64::new(millis), monotonic: AtomicI64::new(0) }
    }

    /// Time passes; a negative one is a clock that is set back.
    pub fn advance(&self, by: TimeDelta) {
        self.set(by);
        self.monotonic.fetch_add(by.num_milliseconds().max(0), Ordering::SeqCst);
    }

    /// Somebody sets the clock.
    pub fn set(&self, by: TimeDelta) {
        self.wall.fetch_add(by.num_milliseconds(), Ordering::SeqCst);
    }
}

impl Clock for FixedClock {
    fn now(&self) -> DateTime<Utc> {
        DateTime::from_timestamp_millis(self.wall.load(Ordering::SeqCst)).unwrap()
    }

    fn monotonic(&self) -> Duration {
        Duration::from_millis(self.monotonic.load(Ordering::SeqCst) as u64)
    }
}

/// Gives ids that count, and secrets that look random; the same in every run.
pub struct CountingEntropy {
    pub ids: AtomicU64,
    pub secrets: AtomicU64,
}

impl Default for CountingEntropy {
    fn default() -> CountingEntropy {
        // The two keys of the installation come first; what a story can see counts from 1.
        CountingEntropy { ids: AtomicU64::new(0), secrets: AtomicU64::new(u64::MAX) }
    }
}

/// What an id takes.
const ID_BYTES: usize = 10;
/// What the id of an installation takes.
const INSTALLATION_BYTES: usize = 16;

impl Entropy for CountingEntropy {
    fn fill(&self, bytes: &mut [u8]) {
        if bytes.len() == ID_BYTES {
            let number = self.ids.fetch_add(1, Ordering::SeqCst) + 1;
            bytes.fill(0);
            bytes[ID_BYTES - 8..].copy_from_slice(&number.to_be_bytes());
            return;
        }
        if bytes.len() == INSTALLATION_BYTES {
            bytes.fill(0x42);
            return;
        }
        let number = self.secrets.fetch_add(1, Ordering::SeqCst);
        for (n, chunk) in bytes.chunks_mut(32).enumerate() {
            let hash = Sha256::digest(format!("secret {number} {n}"));
            chunk.copy_from_slice(&hash[..chunk.len()]);
        }
    }
}
