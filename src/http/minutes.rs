//! What the server does by itself: every few seconds it brings the file of the embedded database up to date; once a
//! minute it tells how many failures of authentication there were besides those that it told (of whoever goes on
//! failing, their next line does); at its start and once a
//! day it tells which provisioning keys end.

use std::time::Duration;

use actix_web::rt::time::interval;
use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use tokio::time::MissedTickBehavior;

use super::Shared;
use super::failures::{Source, Untold};
use super::run::{now, run};
use crate::domain::operation::Place;
use crate::service::Service;
use crate::service::keys::expiring::ExpiringKey;

const MINUTE: Duration = Duration::from_secs(60);
/// How old the file of the embedded database may be by itself. Whoever copies it alone has a state of so long ago, in
/// which keys work that were revoked since.
const FILE_AGE: Duration = Duration::from_secs(5);
/// So often it is looked whether time has passed in which nothing was done.
const STEP: Duration = Duration::from_secs(1);

/// Goes on as long as the server runs.
pub(super) async fn pass(shared: Shared) {
    let mut minutes = interval(MINUTE);
    let mut told = None;
    loop {
        minutes.tick().await;
        shared.failures.take_untold(now()).into_iter().for_each(tell_failures);
        let now = shared.service.now();
        if is_due(told, now) {
            told = Some(now);
            match run(&shared.service, Place::Blocking, Service::expiring_keys).await {
                Ok(ending) => ending.iter().for_each(tell),
                Err(error) => log::warn!("cannot look for keys that end: {}", error.causes()),
            }
        }
    }
}

/// Keeps the file of the embedded database no older than [`FILE_AGE`], as long as the server runs.
pub(super) async fn write_back(shared: Shared) {
    let mut times = interval(FILE_AGE);
    let mut failing = Failing::default();
    // The first is at once.
    times.tick().await;
    loop {
        times.tick().await;
        let done = run(&shared.service, Place::Blocking, Service::write_back).await;
        if failing.changes(done.is_err()) {
            match done {
                Ok(()) => log::info!("the database file is brought up to date again"),
                Err(error) => log::warn!("the database file cannot be brought up to date: {}", error.causes()),
            }
        }
    }
}

/// Tells when the process has stood still, as long as the server runs: stopped, or on a machine that slept.
pub(super) async fn stand_still() {
    let mut steps = interval(STEP);
    steps.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut last = now();
    loop {
        steps.tick().await;
        let time = now();
        if let Some(seconds) = stood_still(time - last) {
            log::info!(seconds; "the server stood still, and goes on");
        }
        last = time;
    }
}

/// For how many seconds nothing was done, if that is much longer than a step.
fn stood_still(passed: Duration) -> Option<u64> {
    (passed > STEP * 5).then(|| (passed - STEP).as_secs())
}

/// Whether something failed the last time: what fails again and again is told once.
#[derive(Default)]
struct Failing(bool);

impl Failing {
    /// Notes an outcome; gives whether it is another than the last one.
    fn changes(&mut self, failed: bool) -> bool {
        std::mem::replace(&mut self.0, failed) != failed
    }
}

/// Tells how many failures there were that have no line of their own.
pub(super) fn tell_failures(untold: Untold) {
    let (from, key) = match untold.source {
        Source::Address(ip) => (ip.map(|ip| ip.to_string()), None),
        Source::Key(key) => (None, Some(key.to_string())),
        Source::Others => (None, None),
    };
    let (failures, why) = (untold.count, untold.why);
    log::warn!(from, key, failures, why; "more failures of authentication within a minute");
}

fn is_due(told: Option<DateTime<Utc>>, now: DateTime<Utc>) -> bool {
    told.is_none_or(|told| now - told >= TimeDelta::days(1))
}

fn tell(ending: &ExpiringKey) {
    let (connection, key) = (ending.connection.as_str(), ending.key.to_string());
    let at = ending.at.to_rfc3339_opts(SecondsFormat::Secs, true);
    let fix = "issue the next with keyroll key issue --connection, and give it to the identity provider";
    match ending.left.map(|left| (left.num_days(), left.num_hours())) {
        Some((0, hours)) => log::warn!(connection, key, at, hours; "a provisioning key ends in {hours} hours: {fix}"),
        Some((days, _)) => log::warn!(connection, key, at, days; "a provisioning key ends in {days} days: {fix}"),
        None => log::warn!(connection, key, at; "a connection has no key that works since its last one ended: {fix}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_fails_again_and_again_is_told_once() {
        let mut failing = Failing::default();
        let told = [false, true, true, true, false, false, true].map(|failed| failing.changes(failed));
        assert_eq!(told, [false, true, false, false, true, false, true]);
    }

    #[test]
    fn a_step_that_is_late_is_no_standstill() {
        assert_eq!(
            [100, 1_000, 5_000, 5_001, 63_500].map(|n| stood_still(Duration::from_millis(n))),
            [None, None, None, Some(4), Some(62)]
        );
    }

    #[test]
    fn once_a_day_is_often_enough() {
        let at = |hours: i64| DateTime::from_timestamp(1_767_603_600, 0).unwrap() + TimeDelta::hours(hours);
        assert!(is_due(None, at(0)));
        assert!(!is_due(Some(at(0)), at(23)));
        assert!(is_due(Some(at(0)), at(24)));
        assert!(!is_due(Some(at(24)), at(0)));
    }
}
