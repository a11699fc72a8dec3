//! The one home of the real clock and the real random source.

use chrono::{DateTime, Utc};
use rand::TryRng;

use crate::domain::clock::{Clock, Entropy};

/// The clock of the machine.
#[derive(Debug)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "the home of the clock")]
    fn now(&self) -> DateTime<Utc> {
        Utc::now()
    }
}

/// The random source of the operating system.
#[derive(Debug)]
pub struct SystemEntropy;

impl Entropy for SystemEntropy {
    #[expect(clippy::expect_used, reason = "without randomness no key and no id may be made: stop at once")]
    fn fill(&self, bytes: &mut [u8]) {
        rand::rngs::SysRng.try_fill_bytes(bytes).expect("the operating system gives random bytes");
    }
}
