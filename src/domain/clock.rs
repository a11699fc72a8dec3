//! Where time and randomness come from: always an argument, so that tests assert exact values.

use std::time::Duration;

use chrono::{DateTime, Utc};

/// Tells the time.
pub trait Clock: Send + Sync {
    /// The current time.
    fn now(&self) -> DateTime<Utc>;

    /// The time since some moment, by a clock that nobody sets.
    fn monotonic(&self) -> Duration;
}

/// Fills buffers with unpredictable bytes.
pub trait Entropy: Send + Sync {
    /// Overwrites the whole buffer.
    fn fill(&self, bytes: &mut [u8]);
}
