//! Requests without a key that works, counted: the first of an address in a minute is told in the log, and how
//! many there were besides. A thousand wrong keys a second must not be a thousand lines.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::domain::Id;

/// What is told once in so long.
const WINDOW: Duration = Duration::from_secs(60);
/// Addresses that are told apart; those beyond it are one.
const SOURCES_MAX: usize = 4_096;

/// What failures are counted by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Source {
    /// Who does not hold a key.
    Address(Option<IpAddr>),
    /// A key that is proven and does not work any more, wherever it is used.
    Key(Id),
    /// Addresses for which there was no room.
    Others,
}

struct Count {
    since: Instant,
    untold: usize,
}

/// The counts of the last minute.
#[derive(Default)]
pub(super) struct Failures(Mutex<HashMap<Source, Count>>);

impl Failures {
    /// Counts a failure; `true` if it is to be told.
    pub(super) fn is_first(&self, source: Source, now: Instant) -> bool {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let full = counts.len() >= SOURCES_MAX && !counts.contains_key(&source);
        let source = if full { Source::Others } else { source };
        match counts.get_mut(&source) {
            Some(count) if now.duration_since(count.since) < WINDOW => {
                count.untold += 1;
                false
            }
            Some(count) => {
                *count = Count { since: now, untold: count.untold };
                true
            }
            None => {
                counts.insert(source, Count { since: now, untold: 0 });
                true
            }
        }
    }

    /// Forgets whose minute is over; gives those of which not everything was told, with how many.
    pub(super) fn take_untold(&self, now: Instant) -> Vec<(Source, usize)> {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut untold = vec![];
        counts.retain(|source, count| {
            let is_over = now.duration_since(count.since) >= WINDOW;
            if is_over && count.untold > 0 {
                untold.push((*source, count.untold));
            }
            !is_over
        });
        untold
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_is_told_once_a_minute_and_counted() {
        #[expect(clippy::disallowed_methods, reason = "any moment to count from")]
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let failures = Failures::default();
        let source = |n: u8| Source::Address(Some(IpAddr::from([10, 0, 0, n])));
        assert!(failures.is_first(source(1), at(0)));
        for _ in 0..399 {
            assert!(!failures.is_first(source(1), at(1)));
        }
        assert!(failures.is_first(source(2), at(1)), "another address is told by itself");
        assert_eq!(failures.take_untold(at(59)), []);
        assert_eq!(failures.take_untold(at(61)), [(source(1), 399)]);
        assert_eq!(failures.take_untold(at(200)), []);
        assert!(failures.is_first(source(1), at(200)));
    }

    #[test]
    fn many_addresses_take_bounded_room() {
        #[expect(clippy::disallowed_methods, reason = "any moment to count from")]
        let start = Instant::now();
        let failures = Failures::default();
        let told = (0..SOURCES_MAX as u32 + 1_000)
            .filter(|n| failures.is_first(Source::Address(Some(IpAddr::from(n.to_be_bytes()))), start));
        assert_eq!(told.count(), SOURCES_MAX + 1);
        assert_eq!(failures.take_untold(start + WINDOW), [(Source::Others, 999)]);
    }
}
