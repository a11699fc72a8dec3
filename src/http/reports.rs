//! Reports of keys that somebody found, counted: so many an hour and address, each node for itself.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use crate::service::Error;

/// So many an address may make in so long.
const REQUESTS_MAX: u32 = 60;
const WINDOW: Duration = Duration::from_secs(3_600);
/// Addresses that are counted; beyond it, the one that was counted longest is forgotten.
const ADDRESSES_MAX: usize = 16_384;

/// How many each address has made.
#[derive(Default)]
pub(super) struct Reports(Mutex<HashMap<Option<IpAddr>, Count>>);

/// Requests of an address, and since when they are counted.
#[derive(Clone, Copy)]
struct Count {
    since: Duration,
    requests: u32,
}

impl Count {
    /// How long it is until it is forgotten; `None` if that was before.
    fn left(&self, now: Duration) -> Option<Duration> {
        WINDOW.checked_sub(now.saturating_sub(self.since)).filter(|left| !left.is_zero())
    }
}

impl Reports {
    /// Counts a request.
    ///
    /// # Errors
    /// 429 if its address has made too many.
    pub(super) fn count(&self, from: Option<IpAddr>, now: Duration) -> Result<(), Error> {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let from = from.map(network);
        if counts.len() >= ADDRESSES_MAX && !counts.contains_key(&from) {
            counts.retain(|_, count| count.left(now).is_some());
            let oldest = counts.iter().min_by_key(|(_, count)| count.since).map(|(address, _)| *address);
            if let Some(oldest) = oldest.filter(|_| counts.len() >= ADDRESSES_MAX) {
                counts.remove(&oldest);
            }
        }
        let count = counts.entry(from).or_insert(Count { since: now, requests: 0 });
        if count.left(now).is_none() {
            *count = Count { since: now, requests: 0 };
        }
        if count.requests >= REQUESTS_MAX {
            let left = count.left(now).unwrap_or_default();
            return Err(Error::AddressLimited {
                retry_after_seconds: left.as_secs() + u64::from(left.subsec_nanos() > 0),
            });
        }
        count.requests += 1;
        Ok(())
    }
}

/// What is counted as one: of IPv6, the network that a customer has.
fn network(ip: IpAddr) -> IpAddr {
    match ip.to_canonical() {
        IpAddr::V6(ip) => Ipv6Addr::from_bits(ip.to_bits() & !u128::from(u64::MAX)).into(),
        ip => ip,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Duration = Duration::from_secs(10_000);

    fn counted(reports: &Reports, from: &str, now: Duration) -> Result<(), u64> {
        match reports.count(Some(from.parse().unwrap()), now) {
            Ok(()) => Ok(()),
            Err(Error::AddressLimited { retry_after_seconds }) => Err(retry_after_seconds),
            Err(other) => panic!("{other}"),
        }
    }

    /// Seen to fail without the limit, and with IPv6 counted by address.
    #[test]
    fn an_address_has_sixty_an_hour_and_nobody_elses() {
        let reports = Reports::default();
        for (first, other, apart) in [
            ("203.0.113.9", "::ffff:203.0.113.9", "203.0.113.10"),
            ("2001:db8:1:2::1", "2001:db8:1:2:ffff::9", "2001:db8:1:3::1"),
        ] {
            for n in 0..60 {
                assert_eq!(counted(&reports, if n % 2 == 0 { first } else { other }, NOW), Ok(()), "{n}");
            }
            let later = NOW + Duration::from_secs(600);
            assert_eq!([first, other].map(|from| counted(&reports, from, later)), [Err(3_000); 2]);
            assert_eq!(counted(&reports, apart, later), Ok(()));
            assert_eq!(counted(&reports, first, NOW + WINDOW - Duration::from_millis(1)), Err(1));
            assert_eq!(counted(&reports, first, NOW + WINDOW), Ok(()));
        }
    }

    /// Seen to fail without the bound.
    #[test]
    fn many_addresses_take_bounded_room() {
        let reports = Reports::default();
        for n in 0..ADDRESSES_MAX as u32 + 20 {
            let from = Some(IpAddr::from(n.to_be_bytes()));
            assert!(reports.count(from, NOW + Duration::from_millis(n.into())).is_ok());
        }
        assert_eq!(reports.0.lock().unwrap().len(), ADDRESSES_MAX);
    }
}
