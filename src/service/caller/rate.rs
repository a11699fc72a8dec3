//! The rate limit of SCIM requests, per connection.

use std::num::NonZeroU32;

use governor::clock::{Clock, DefaultClock};
use governor::{DefaultKeyedRateLimiter, Quota};

use crate::domain::Caller;
use crate::service::{Error, Service};

/// How many requests may come at once before the rate counts.
const BURST: u32 = 1_000;

/// Counts the requests of each connection.
pub(in crate::service) struct Limiter {
    limiter: Option<DefaultKeyedRateLimiter<i64>>,
    clock: DefaultClock,
}

impl Limiter {
    pub(in crate::service) fn new(per_minute: Option<u32>) -> Limiter {
        let quota = |rate: NonZeroU32| {
            let burst = NonZeroU32::new(rate.get().min(BURST)).unwrap_or(rate);
            Quota::per_minute(rate).allow_burst(burst)
        };
        let limiter = per_minute.and_then(NonZeroU32::new).map(|rate| DefaultKeyedRateLimiter::keyed(quota(rate)));
        Limiter { limiter, clock: DefaultClock::default() }
    }
}

impl Service {
    /// Counts one SCIM request of the caller's connection.
    ///
    /// # Errors
    /// [`Error::RateLimited`] over the limit.
    pub fn count_request(&self, caller: &Caller) -> Result<(), Error> {
        let (Some(limiter), Some(connection)) = (&self.inner.rate.limiter, caller.connection()) else {
            return Ok(());
        };
        limiter.check_key(&connection.key).map_err(|not_until| {
            let wait = not_until.wait_time_from(self.inner.rate.clock.now());
            Error::RateLimited { retry_after_seconds: wait.as_secs() + 1 }
        })
    }
}
