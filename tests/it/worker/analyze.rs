//! The database counts its rows after a large change, and after no other.

use chrono::TimeDelta;
use keyroll::domain::clock::Clock;
use keyroll::worker::{Analyze, Job, Lag, Outcome};

use super::{ask, count, end_lease};
use crate::support::app::*;
use crate::support::overtaken;

/// Says of the first log that it has so many records.
fn records(app: &TestApp, number: i64) {
    app.sql(&format!("UPDATE log_heads SET next_seq = {number} WHERE tenant = (SELECT min(key) FROM tenants)"));
}

/// Runs a story on each database, and takes back what it said of the log, and what SQLite has counted: of so few rows
/// it would rather read all.
fn tell(story: impl Fn(&TestApp)) {
    for_each_app(|app| {
        let url = &app.service.settings().database_url;
        let before = ask(url, "SELECT next_seq FROM log_heads ORDER BY tenant LIMIT 1");
        story(app);
        records(app, before);
        if app.service.is_embedded() {
            app.sql("DROP TABLE sqlite_stat1");
        }
    });
}

/// The tables whose rows the database has counted, of two.
fn counted(app: &TestApp) -> i64 {
    let url = &app.service.settings().database_url;
    if !app.service.is_embedded() {
        let counted = "last_analyze IS NOT NULL AND relname IN ('principals', 'log_records')";
        return ask(url, &format!("SELECT count(*) FROM pg_stat_user_tables WHERE {counted}"));
    }
    match ask(url, "SELECT count(*) FROM sqlite_schema WHERE name = 'sqlite_stat1'") {
        0 => 0,
        _ => ask(url, "SELECT count(DISTINCT tbl) FROM sqlite_stat1 WHERE tbl IN ('principals', 'log_records')"),
    }
}

fn step(job: &mut Analyze, app: &TestApp) -> Outcome {
    job.step(&app.service, app.clock.now()).unwrap()
}

fn behind(job: &Analyze, app: &TestApp) -> i64 {
    let Lag { records, since } = job.lag(&app.service, app.clock.now()).unwrap();
    assert_eq!(since, None);
    records
}

#[test]
fn rows_are_counted_after_a_large_change() {
    tell(|app| {
        let mut job = Analyze::new(&app.service);
        let mut due = |number: i64| {
            records(app, number);
            let behind = behind(&job, app);
            let outcome = step(&mut job, app);
            assert_eq!((behind > 0, step(&mut job, app)), (outcome == Outcome::Worked, Outcome::Idle), "{number}");
            (behind, outcome)
        };
        assert_eq!((due(1_000), counted(app)), ((0, Outcome::Idle), 0));
        assert_eq!((due(1_001), counted(app)), ((1_001, Outcome::Worked), 2));
        // A thousand more, and then a tenth more.
        assert_eq!([2_001, 2_002].map(&mut due), [(0, Outcome::Idle), (1_001, Outcome::Worked)]);
        assert_eq!(due(30_000), (27_998, Outcome::Worked));
        assert_eq!([33_000, 33_001].map(&mut due), [(0, Outcome::Idle), (3_001, Outcome::Worked)]);
        let held = "worker_leases WHERE job = 'analyze' AND until = 0";
        assert_eq!((count(app, "worker_cursors WHERE next_seq = 33001"), count(app, held)), (1, 1));
    });
}

#[test]
fn a_change_counts_wherever_it_is() {
    tell(|app| {
        let _ = app.tenant("second");
        let of_second = ask(&app.service.settings().database_url, "SELECT max(next_seq) FROM log_heads");
        records(app, 1_001 - of_second);
        let mut job = Analyze::new(&app.service);
        assert_eq!((behind(&job, app), step(&mut job, app)), (1_001, Outcome::Worked));
        assert_eq!(count(app, "worker_cursors"), 2);
    });
}

#[test]
fn while_one_node_counts_another_does_not_and_changes_go_on() {
    tell(|app| {
        records(app, 1_001);
        let other = app.beside(TimeDelta::zero());
        let (mut first, mut second) = (Analyze::new(&app.service), Analyze::new(&other.service));
        let database = app.service.settings().database_url.trim_start_matches("sqlite:").to_owned();
        let words = if app.service.is_embedded() { "PRAGMA optimize" } else { "ANALYZE (SKIP_LOCKED) \"principals\"" };
        let counts = || assert_eq!(step(&mut first, app), Outcome::Worked);
        let over = || {
            assert_eq!(step(&mut second, &other), Outcome::Elsewhere);
            // The embedded database has one writer, which waits for as long as a few thousand rows take to read.
            if !app.service.is_embedded() {
                app.anonymous().get("/readyz").expect(200);
            }
        };
        overtaken::run(&database, words, counts, over);
        assert_eq!((counted(app), step(&mut second, &other)), (2, Outcome::Idle));
    });
}

#[test]
fn a_node_that_was_killed_while_it_counted_is_taken_over_from() {
    tell(|app| {
        records(app, 1_001);
        app.sql(&format!(
            "INSERT INTO worker_leases (job, holder, until) SELECT 'analyze', id, {} FROM tenants",
            i64::from(u32::MAX) * 1_000
        ));
        let mut job = Analyze::new(&app.service);
        assert_eq!((step(&mut job, app), counted(app)), (Outcome::Elsewhere, 0));
        app.sql("UPDATE worker_leases SET until = 1");
        end_lease(app);
        assert_eq!((step(&mut job, app), counted(app)), (Outcome::Worked, 2));
    });
}
