//! How many refusals of a connection the log takes. Each is a record that stays for ever, and costs its client nothing:
//! whoever repeats one must not fill the log. Each node counts for itself; what is over stands in the server's own log.

use std::collections::HashMap;
use std::mem::{self, Discriminant};
use std::sync::{Mutex, PoisonError};

use chrono::{DateTime, TimeDelta, Utc};

use crate::domain::Id;
use crate::domain::log::{Entry, render_time};

/// After this a budget is whole again.
const HOUR: TimeDelta = TimeDelta::hours(1);
/// Refused gains of access that one connection has recorded in that time.
const GAINS_MAX: u32 = 100;
/// Refusals of one kind and connection that are told apart; those beyond it are not recorded.
const STAYS_MAX: usize = 4_096;

/// What a refusal is about.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(in crate::service) enum Refused {
    /// Somebody would have gained access to Keyroll itself: so many an hour.
    Gain,
    /// Somebody stays: each resource once an hour for each kind of refusal.
    Stay(Id, String),
    /// Nothing changed, and something was dropped: each resource once an hour for each kind of what it was.
    Dropped(Id, u64),
}

/// Since when records of one kind are counted, and how many there are.
#[derive(Clone, Copy)]
struct Spent {
    since: DateTime<Utc>,
    count: u32,
}

/// The place of a refusal in the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::service) struct Place {
    /// Of the last one that there is room for: until when no other is recorded.
    pub(in crate::service) unrecorded_until: Option<DateTime<Utc>>,
}

/// What each connection has recorded of its refusals: no kind of them takes another one's room.
#[derive(Default)]
pub(in crate::service) struct Refusals(Mutex<HashMap<Room, HashMap<Refused, Spent>>>);

type Room = (i64, Discriminant<Refused>);

fn room(connection: i64, refused: &Refused) -> Room {
    (connection, mem::discriminant(refused))
}

impl Refusals {
    /// Takes the place of a refusal's record, if there is one.
    pub(in crate::service) fn take(&self, connection: i64, refused: &Refused, now: DateTime<Utc>) -> Option<Place> {
        let is_over = |spent: &Spent| now - spent.since >= HOUR;
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let room = room(connection, refused);
        if !all.contains_key(&room) {
            all.retain(|_, known| known.values().any(|spent| !is_over(spent)));
        }
        let known = all.entry(room).or_default();
        if known.len() >= STAYS_MAX {
            known.retain(|_, spent| !is_over(spent));
        }
        let max = match refused {
            Refused::Gain => GAINS_MAX,
            _ if known.len() >= STAYS_MAX && !known.contains_key(refused) => return None,
            Refused::Stay(..) | Refused::Dropped(..) => 1,
        };
        let spent = known.entry(refused.clone()).or_insert(Spent { since: now, count: 0 });
        if spent.count == 0 || is_over(spent) {
            *spent = Spent { since: now, count: 0 };
        }
        if spent.count >= max {
            return None;
        }
        spent.count += 1;
        let is_last = spent.count == max;
        Some(Place { unrecorded_until: is_last.then(|| spent.since + HOUR) })
    }

    /// The record of a refused gain, if there is a place for it; the last one says until when there is no other.
    pub(in crate::service) fn gain(&self, connection: i64, entry: Entry, now: DateTime<Utc>) -> Option<Entry> {
        let place = self.take(connection, &Refused::Gain, now)?;
        Some(match place.unrecorded_until {
            Some(until) => entry.with("unrecorded_until", render_time(until)),
            None => entry,
        })
    }

    /// Gives back the place of a record that was not kept.
    pub(in crate::service) fn give_back(&self, connection: i64, refused: &Refused) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(spent) = all.get_mut(&room(connection, refused)).and_then(|known| known.get_mut(refused)) {
            spent.count = spent.count.saturating_sub(1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(minutes: i64) -> DateTime<Utc> {
        DateTime::UNIX_EPOCH + TimeDelta::minutes(minutes)
    }

    #[test]
    fn a_budget_ends_and_is_whole_again_after_an_hour() {
        let refusals = Refusals::default();
        let take = |connection, minutes| refusals.take(connection, &Refused::Gain, at(minutes));
        let place = |until: Option<i64>| Some(Place { unrecorded_until: until.map(at) });
        for count in 1..GAINS_MAX {
            assert_eq!(take(1, 1 + i64::from(count % 50)), place(None), "{count}");
        }
        // A record that was not kept leaves its place to the next.
        assert_eq!(take(1, 51), place(Some(62)));
        refusals.give_back(1, &Refused::Gain);
        assert_eq!(take(1, 52), place(Some(62)));
        assert_eq!((take(1, 52), take(1, 61)), (None, None));
        assert_eq!(take(2, 52), place(None));
        assert_eq!(take(1, 62), place(None));
    }

    #[test]
    fn a_connection_takes_nobody_elses_place() {
        let refusals = Refusals::default();
        let stay = |n: u16| Refused::Stay(Id::mint(at(0), &crate::service::runtime::SystemEntropy), n.to_string());
        let taken = (0..5_000).filter(|n| refusals.take(1, &stay(*n), at(0)).is_some()).count();
        assert_eq!(taken, STAYS_MAX);
        assert!(refusals.take(1, &Refused::Gain, at(0)).is_some());
        // What is dropped at every sync leaves room for whoever stays.
        assert!((0..5_000).any(|n| refusals.take(3, &Refused::Dropped(Id::NIL, n), at(0)).is_none()));
        assert!(refusals.take(3, &stay(1), at(0)).is_some());
        let one = stay(7);
        assert!(refusals.take(2, &one, at(0)).is_some());
        assert_eq!(refusals.take(2, &one, at(59)), None);
        assert!(refusals.take(2, &one, at(60)).is_some());
        assert!(refusals.take(1, &stay(1), at(60)).is_some());
    }
}
