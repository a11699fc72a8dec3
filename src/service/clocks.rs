//! A clock that is not to be believed writes nothing: what is recorded at a time far ahead would end every key that
//! should live until then, for time never goes back (`memory::now_in`).

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};

use crate::domain::clock::Clock;
use crate::service::{Error, Service};
use crate::store;

/// How far a clock may go forward beside the monotonic one, between two looks.
const JUMP_MAX: TimeDelta = TimeDelta::minutes(10);

const APART: &str = "this node's clock differs from the database's by more than a minute: set it right";
const JUMPED: &str = "this node's clock has jumped forward by more than ten minutes: set it right, or restart keyroll if it is right now";

/// What is known of this node's clock.
pub(in crate::service) struct Clocks {
    /// Both clocks at the last look at which they agreed; where the wall clock was behind by then, what the monotonic
    /// one made of the time before: whoever was set back and is set right again has not jumped.
    agreed: Mutex<(DateTime<Utc>, Duration)>,
    /// The latest moment that anything was judged by, on both clocks.
    judged: Mutex<(DateTime<Utc>, Duration)>,
    /// Whether the clock was too far from the database's when that last told its time.
    is_apart: AtomicBool,
}

impl Clocks {
    pub(in crate::service) fn new(clock: &dyn Clock) -> Clocks {
        let begun = (clock.now(), clock.monotonic());
        Clocks { agreed: Mutex::new(begun), judged: Mutex::new(begun), is_apart: AtomicBool::new(false) }
    }

    /// The time to judge by: the clock's, and where that was set back, what the monotonic clock makes of the time before:
    /// a key that has ended stays ended. What is far ahead is no time to go on from.
    pub(in crate::service) fn judge(&self, clock: &dyn Clock) -> DateTime<Utc> {
        self.both(clock).1
    }

    /// The clock's time, and the one to judge by.
    fn both(&self, clock: &dyn Clock) -> (DateTime<Utc>, DateTime<Utc>) {
        let mut judged = self.judged.lock().unwrap_or_else(PoisonError::into_inner);
        let (now, monotonic) = (clock.now(), clock.monotonic());
        let passed = TimeDelta::from_std(monotonic.saturating_sub(judged.1)).unwrap_or_default();
        let expected = judged.0 + passed;
        if now >= expected && now - expected <= JUMP_MAX {
            *judged = (now, monotonic);
        }
        (now, now.max(expected))
    }

    /// The clock was wrong, and is right now: that it was set is no jump.
    fn was_set_right(&self, clock: &dyn Clock) {
        *self.agreed.lock().unwrap_or_else(PoisonError::into_inner) = (clock.now(), clock.monotonic());
    }

    /// Whether the clock is far ahead of what the monotonic one makes of the time before, and of the newest record:
    /// whoever comes from behind that was wrong before, and is not now.
    fn has_jumped(&self, clock: &dyn Clock, newest: Option<DateTime<Utc>>) -> bool {
        let mut agreed = self.agreed.lock().unwrap_or_else(PoisonError::into_inner);
        let (now, monotonic) = (clock.now(), clock.monotonic());
        let passed = TimeDelta::from_std(monotonic.saturating_sub(agreed.1)).unwrap_or(TimeDelta::MAX);
        let expected = agreed.0.checked_add_signed(passed).unwrap_or(DateTime::<Utc>::MAX_UTC);
        let latest = newest.map_or(expected, |newest| newest.max(expected));
        if now.signed_duration_since(latest) > JUMP_MAX {
            return true;
        }
        *agreed = (now.max(expected), monotonic);
        false
    }
}

impl Service {
    /// The time of the newest record, if that is so far ahead of this node's clock that one of the two is wrong:
    /// until then time stands still, and keys that should live on are EXPIRED.
    ///
    /// # Errors
    /// If the store fails.
    pub fn log_ahead(&self) -> Result<Option<DateTime<Utc>>, Error> {
        Ok(newest_record(self)?.filter(|time| time.signed_duration_since(self.now()) > JUMP_MAX))
    }
}

/// The time of the newest record, of whatever tenant.
pub(in crate::service) fn newest_record(service: &Service) -> Result<Option<DateTime<Utc>>, Error> {
    service.read(|conn| Ok(store::log::heads(conn)?.into_iter().map(|head| head.time).max()))
}

/// A time of this node's clock, or the one that keys are judged by where the clock was set back behind that. What shall
/// live for so long from now on is counted from there, or it would have ended before its time.
pub(in crate::service) fn later(service: &Service, now: DateTime<Utc>) -> DateTime<Utc> {
    let (clock, judged) = service.inner.clocks.both(service.inner.clock.as_ref());
    if judged > clock { now.max(judged) } else { now }
}

/// Compares the clocks, when the database has just told its own.
pub(in crate::service) fn compare(service: &Service) {
    let (Some(told), Some(max)) =
        (service.inner.store.told_time(), service.inner.settings.limits.clock_skew_seconds_max)
    else {
        return;
    };
    let apart = service.now().signed_duration_since(told).abs();
    let is_apart = apart > TimeDelta::seconds(max);
    if service.inner.clocks.is_apart.swap(is_apart, Ordering::AcqRel) != is_apart {
        // Only after it differed: a clock that goes wrong together with the database's was never apart from it.
        if !is_apart {
            service.inner.clocks.was_set_right(service.inner.clock.as_ref());
        }
        log::warn!(seconds = apart.num_seconds(); "{}", if is_apart { APART } else { "the clocks agree again" });
    }
}

/// Whether what is written now would carry a time that can be believed, else why not. `newest` is the time of the newest
/// record, if anything is recorded.
pub(in crate::service) fn believe(service: &Service, newest: Option<DateTime<Utc>>) -> Result<(), &'static str> {
    if service.inner.clocks.is_apart.load(Ordering::Acquire) {
        return Err(APART);
    }
    if service.inner.clocks.has_jumped(service.inner.clock.as_ref(), newest) {
        return Err(JUMPED);
    }
    Ok(())
}
