//! Requests without a key that works, counted: the first of an address in a minute is told in the log, and how
//! many there were besides. A thousand wrong keys a second must not be a thousand lines.

use std::collections::{BTreeSet, HashMap};
use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};
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
    /// Why those that are untold were refused; there are few texts, all of them ours.
    why: BTreeSet<&'static str>,
}

/// Failures that were not told one by one.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Untold {
    pub(super) source: Source,
    pub(super) count: usize,
    pub(super) why: String,
}

impl Untold {
    fn of(source: Source, count: &Count) -> Option<Untold> {
        let why = || count.why.iter().copied().collect::<Vec<_>>().join("; ");
        (count.untold > 0).then(|| Untold { source, count: count.untold, why: why() })
    }
}

/// The counts of the last minute.
#[derive(Default)]
pub(super) struct Failures(Mutex<HashMap<Source, Count>>);

impl Failures {
    /// Counts a failure; `true` if it is to be told. What was not told since the last one that was goes to `tell`
    /// before: a flood that lasts never has a minute without a failure, after which it could be told.
    pub(super) fn is_first(&self, source: Source, why: &'static str, now: Instant, tell: impl FnOnce(Untold)) -> bool {
        let (is_first, untold) = self.count(source, why, now);
        if let Some(untold) = untold {
            tell(untold);
        }
        is_first
    }

    fn count(&self, source: Source, why: &'static str, now: Instant) -> (bool, Option<Untold>) {
        let mut counts = self.counts();
        let full = counts.len() >= SOURCES_MAX && !counts.contains_key(&source);
        let source = if full { Source::Others } else { source };
        match counts.get_mut(&source) {
            Some(count) if now.duration_since(count.since) < WINDOW => {
                count.untold += 1;
                count.why.insert(why);
                (false, None)
            }
            known => {
                let untold = known.and_then(|count| Untold::of(source, count));
                counts.insert(source, Count { since: now, untold: 0, why: BTreeSet::new() });
                (true, untold)
            }
        }
    }

    /// Forgets whose minute is over; gives those of which not everything was told.
    pub(super) fn take_untold(&self, now: Instant) -> Vec<Untold> {
        let mut untold = vec![];
        self.counts().retain(|source, count| {
            let is_over = now.duration_since(count.since) >= WINDOW;
            untold.extend(Untold::of(*source, count).filter(|_| is_over));
            !is_over
        });
        untold
    }

    /// The same of all, once nothing else comes.
    pub(super) fn take_all(&self) -> Vec<Untold> {
        self.counts().drain().filter_map(|(source, count)| Untold::of(source, &count)).collect()
    }

    fn counts(&self) -> MutexGuard<'_, HashMap<Source, Count>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
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
        assert!(failures.is_first(source(1), "a", at(0), |_| ()));
        for n in 0..399 {
            assert!(!failures.is_first(source(1), ["b", "c"][n % 2], at(1), |_| ()));
        }
        assert!(failures.is_first(source(2), "a", at(1), |_| ()), "another address is told by itself");
        assert_eq!(failures.take_untold(at(59)), []);
        let untold = |count, why: &str| [Untold { source: source(1), count, why: why.to_owned() }];
        assert_eq!(failures.take_untold(at(61)), untold(399, "b; c"));
        assert_eq!(failures.take_untold(at(200)), []);
        assert!(failures.is_first(source(1), "a", at(200), |_| ()));
        // What is untold when the server stops is told then, however short the minute was.
        assert!(!failures.is_first(source(1), "d", at(201), |_| ()));
        assert_eq!(failures.take_all(), untold(1, "d"));
        assert_eq!(failures.take_all(), []);
    }

    #[test]
    fn a_flood_that_lasts_is_counted_with_its_next_line() {
        #[expect(clippy::disallowed_methods, reason = "any moment to count from")]
        let start = Instant::now();
        let (failures, source) = (Failures::default(), Source::Address(None));
        let mut told = vec![];
        for second in 0..180 {
            let at = start + Duration::from_secs(second);
            // The minute of the server is not that of the flood.
            if second % 60 == 30 {
                assert_eq!(failures.take_untold(at), []);
            }
            let mut more = None;
            if failures.is_first(source, "a", at, |untold| more = Some(untold.count)) {
                told.push((second, more));
            }
        }
        assert_eq!(told, [(0, None), (60, Some(59)), (120, Some(59))]);
        assert_eq!(failures.take_all(), [Untold { source, count: 59, why: "a".to_owned() }]);
    }

    #[test]
    fn many_addresses_take_bounded_room() {
        #[expect(clippy::disallowed_methods, reason = "any moment to count from")]
        let start = Instant::now();
        let failures = Failures::default();
        let told = (0..SOURCES_MAX as u32 + 1_000)
            .filter(|n| failures.is_first(Source::Address(Some(IpAddr::from(n.to_be_bytes()))), "a", start, |_| ()));
        assert_eq!(told.count(), SOURCES_MAX + 1);
        let others = Untold { source: Source::Others, count: 999, why: "a".to_owned() };
        assert_eq!(failures.take_untold(start + WINDOW), [others]);
    }
}
