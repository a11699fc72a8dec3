//! What the server does by itself: one node at a time, in steps, and nothing while there is nothing to do.

mod analyze;
mod served;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use diesel::prelude::*;
use diesel::sql_types::BigInt;
use keyroll::domain::clock::Clock;
use keyroll::service::keys::Owner;
use keyroll::service::{Error, Service};
use keyroll::store::{self, Store};
use keyroll::worker::{self, Job, Lag, Outcome, Runner, Sweep};
use serde_json::{Value, json};

use crate::access::catalogue::billing;
use crate::support::app::*;
use crate::support::overtaken;

#[derive(QueryableByName)]
struct Number {
    #[diesel(sql_type = BigInt)]
    number: i64,
}

fn ask(url: &str, sql: &str) -> i64 {
    let store = Store::open(&store::Settings { url: url.to_owned(), readers: 1 }).unwrap();
    let sql = format!("SELECT CAST(coalesce(({sql}), -1) AS bigint) AS number");
    let rows: Vec<Number> =
        store.read(|conn| diesel::sql_query(&sql).load(conn.settled().unwrap()).map_err(store::Error::from)).unwrap();
    rows[0].number
}

fn count(app: &TestApp, table: &str) -> i64 {
    ask(&app.service.settings().database_url, &format!("SELECT count(*) FROM {table}"))
}

fn cursor(app: &TestApp) -> i64 {
    ask(&app.service.settings().database_url, "SELECT next_seq FROM worker_cursors")
}

/// Memberships that have ended, past states of principals, past documents.
fn kept(app: &TestApp) -> [i64; 3] {
    let past = ["memberships WHERE until_seq > 0", "principal_history", "resource_history WHERE length(sealed) > 0"];
    past.map(|table| count(app, table))
}

fn step(job: &mut Sweep, app: &TestApp) -> Outcome {
    job.step(&app.service, app.clock.now()).unwrap()
}

/// Works until there is nothing to do.
fn work(app: &TestApp) {
    let mut runner = Runner::new(worker::jobs(&app.service));
    while runner.pass(&app.service, app.clock.now(), app.clock.monotonic()) {}
}

/// The operator, with a key of today.
fn operator(app: &TestApp) -> String {
    app.issue_on_host(Owner::Operator, &[])
}

/// Lets whatever lease there is end: by the clock of the machine, or by that of the server.
fn end_lease(app: &TestApp) {
    app.sql("UPDATE worker_leases SET until = until - 3600000");
}

/// Memberships that a record has ended.
fn end_memberships(app: &TestApp, number: u32, seq: i64) {
    app.sql(&format!(
        "INSERT INTO memberships (tenant, group_key, member_key, from_seq, until_seq, nested) \
         WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {number}) \
         SELECT t.key, 1, n.i, 0, {seq}, FALSE FROM n CROSS JOIN tenants t"
    ));
}

#[test]
fn what_was_true_before_is_kept_as_long_as_promised() {
    for_each_app(|app| {
        billing(app);
        let (idp, admin) = (app.idp(), app.admin());
        let mira = idp.post("/Users", and(user("mira@example.com"), json!({"title": "clerk"}))).expect(201).id();
        let gone = idp.post("/Users", user("gone@example.com")).expect(201).id();
        let team = format!("/Groups/{}", idp.post("/Groups", group("Finance", &[&mira])).expect(201).id());
        let source = json!({"group": {"displayName": "Finance"}});
        admin.post("/v1/mappings", json!({"role": "billing.viewer", "source": source})).expect(201);
        // An hour later everything is as it was at first, and each of these changes twice.
        for (hour, title, member) in [(1, "boss", false), (2, "clerk", true)] {
            app.clock.advance(TimeDelta::hours(1));
            idp.patch(&format!("/Users/{mira}"), replace("title", title)).expect(200);
            let path = format!("members[value eq \"{mira}\"]");
            let change = if member { add("members", json!([{"value": mira}])) } else { remove(&path) };
            idp.patch(&team, change).expect(200);
            let verb = if member { "activate" } else { "suspend" };
            admin.post(&format!("/v1/users/{mira}/{verb}"), json!({})).expect(200);
            if hour == 1 {
                idp.delete(&format!("/Users/{gone}")).expect(204);
            }
        }
        let before = kept(app);
        assert_eq!(before[0], 1);
        app.clock.advance(TimeDelta::days(400) - TimeDelta::hours(2));
        let key = operator(app);
        let admin = app.with_key(&key);
        let held = |at: &str| admin.get(&format!("/v1/users/{mira}/access?at=2026-01-05T{at}Z"));
        let refused = |at: &str| {
            let answer = held(at);
            answer.problem(422, "invalid");
            assert_eq!(answer["detail"], "at: what was true is kept for 400 days");
        };
        let promised = ["09:00:00", "09:59:59.999999", "10:00:00", "10:59:59", "11:00:00"];
        let told: Vec<Value> = promised.iter().map(|at| held(at).expect(200).body).collect();
        assert_eq!(told[0]["roles"][0]["role"], "billing.viewer");
        assert_eq!(told[2]["roles"], json!([]));
        refused("08:59:59");
        // What ended at nine is of no use to anybody, and what ended later is.
        work(app);
        assert_eq!(kept(app), before);
        assert_eq!(promised.map(|at| held(at).expect(200).body).to_vec(), told);
        app.clock.advance(TimeDelta::minutes(59));
        work(app);
        assert_eq!(kept(app), before);
        app.clock.advance(TimeDelta::minutes(1));
        work(app);
        // Of each kind what ended at ten is gone; of a principal the last is left.
        let after = kept(app);
        assert_eq!(after[0], 0);
        assert!(after[2] < before[2], "{before:?} {after:?}");
        refused("09:59:59.999999");
        let still = ["10:00:00", "10:59:59", "11:00:00"];
        assert_eq!(still.map(|at| held(at).expect(200)["roles"].clone()), [2, 3, 4].map(|n| told[n]["roles"].clone()));
        app.clock.advance(TimeDelta::hours(1));
        work(app);
        assert_eq!((kept(app)[0], kept(app)[2]), (0, 0));
        // Two were suspended or deleted, and each is told from when.
        assert_eq!(kept(app)[1], 2);
        refused("10:59:59");
        assert_eq!(held("11:00:00").expect(200)["roles"], told[4]["roles"]);
        // One that is gone leaves nothing; the others an empty row each.
        assert_eq!(count(app, "resource_history"), 1);
    });
}

#[test]
fn another_nodes_clock_does_not_bring_back_what_is_gone() {
    for_each_app(|app| {
        let mira = app.idp().post("/Users", user("mira@example.com")).expect(201).id();
        app.clock.advance(TimeDelta::hours(1));
        app.idp().patch(&format!("/Users/{mira}"), replace("title", "boss")).expect(200);
        app.clock.advance(TimeDelta::days(400));
        let key = operator(app);
        let late = app.beside(TimeDelta::hours(-2));
        let path = format!("/v1/users/{mira}/access?at=2026-01-05T09:30:00Z");
        late.with_key(&key).get(&path).expect(200);
        work(app);
        let refused = late.with_key(&key).get(&path);
        refused.problem(422, "invalid");
        assert_eq!(refused["detail"], "at: what was true is kept for 400 days");
        late.with_key(&key).get(&path.replace("09:30", "10:00")).expect(200);
    });
}

#[test]
fn since_when_something_holds_is_never_told_too_early() {
    for_each_app(|app| {
        billing(app);
        let (idp, admin) = (app.idp(), app.admin());
        let mira = idp.post("/Users", user("mira@example.com")).expect(201).id();
        let source = json!({"rule": "title eq \"boss\""});
        admin.post("/v1/mappings", json!({"role": "billing.viewer", "source": source})).expect(201);
        let minute = || app.clock.advance(TimeDelta::minutes(1));
        minute();
        idp.patch(&format!("/Users/{mira}"), replace("title", "boss")).expect(200);
        minute();
        idp.patch(&format!("/Users/{mira}"), replace("nickName", "m")).expect(200);
        app.clock.advance(TimeDelta::days(400));
        let since = |key: &str| {
            let access = app.with_key(key).get(&format!("/v1/users/{mira}/access")).expect(200);
            access["roles"][0]["reasons"][0]["since"].clone()
        };
        let key = operator(app);
        assert_eq!(since(&key), "2026-01-05T09:01:00.000000Z");
        app.clock.advance(TimeDelta::hours(1));
        work(app);
        // What she was before that is not known any more.
        assert_eq!(since(&key), "2026-01-05T09:02:00.000000Z");
        let hold = |verb: &str| {
            minute();
            app.with_key(&key).post(&format!("/v1/users/{mira}/{verb}"), json!({})).expect(200);
        };
        hold("suspend");
        hold("activate");
        let live_since = app.clock.now().to_rfc3339_opts(chrono::SecondsFormat::Micros, true);
        assert_eq!(since(&key), json!(live_since));
        hold("suspend");
        hold("activate");
        app.clock.advance(TimeDelta::days(401));
        let (key, live_since) = (operator(app), since(&operator(app)));
        work(app);
        // Of suspensions the last stays known.
        assert_eq!(since(&key), live_since);
    });
}

#[test]
fn of_two_nodes_one_works_and_the_other_takes_over() {
    for_each_app(|app| {
        end_memberships(app, 900, 3);
        app.clock.advance(TimeDelta::days(401));
        let other = app.beside(TimeDelta::zero());
        let (mut first, mut second) = (Sweep::new(&app.service), Sweep::new(&other.service));
        let left = || count(app, "memberships");
        assert_eq!((step(&mut first, app), left()), (Outcome::Worked, 650));
        assert_eq!((step(&mut second, &other), left()), (Outcome::Elsewhere, 650));
        assert_eq!((step(&mut first, app), left()), (Outcome::Worked, 400));
        end_lease(app);
        // The first has seen that nobody else works; before it begins, its lease has ended and is the other's.
        let database = app.service.settings().database_url.trim_start_matches("sqlite:").to_owned();
        let late = || assert_eq!(step(&mut first, app), Outcome::Elsewhere);
        let over = || assert_eq!((step(&mut second, &other), left()), (Outcome::Worked, 150));
        overtaken::run(&database, "SELECT until FROM worker_leases", late, over);
        assert_eq!(left(), 150);
        assert_eq!((step(&mut second, &other), left()), (Outcome::Worked, 0));
        // Whoever is done lets go at once.
        end_memberships(app, 10, 3);
        assert_eq!((step(&mut first, app), left()), (Outcome::Worked, 0));
    });
}

#[test]
fn a_job_that_was_killed_goes_on_where_it_was() {
    for_each_app(|app| {
        // Each of five records ended 120 states.
        app.sql(
            "INSERT INTO resource_history (tenant, resource, id, type, until_seq, at, sealed) \
             WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 600) \
             SELECT t.key, 1000 + n.i, t.id, 'User', 1 + n.i % 5, 0, t.id FROM n CROSS JOIN tenants t",
        );
        app.clock.advance(TimeDelta::days(401));
        let left = || count(app, "resource_history");
        let mut job = Sweep::new(&app.service);
        assert_eq!(job.lag(&app.service, app.clock.now()).unwrap(), lag(6, START));
        assert_eq!((step(&mut job, app), cursor(app), left()), (Outcome::Worked, 3, 360));
        let node = app.beside(TimeDelta::zero());
        let mut job = Sweep::new(&node.service);
        assert_eq!(job.lag(&node.service, node.clock.now()).unwrap(), lag(4, START));
        assert_eq!(step(&mut job, &node), Outcome::Elsewhere);
        end_lease(app);
        assert_eq!((step(&mut job, &node), cursor(app), left()), (Outcome::Worked, 5, 120));
        assert_eq!((step(&mut job, &node), cursor(app), left()), (Outcome::Worked, 7, 0));
        assert_eq!(step(&mut job, &node), Outcome::Idle);
        assert_eq!(job.lag(&node.service, node.clock.now()).unwrap(), Lag::default());
    });
}

/// Due since what happened at `ended` is kept no longer.
fn lag(records: i64, ended: i64) -> Lag {
    let ended = DateTime::from_timestamp_millis(ended).unwrap();
    Lag { records, since: Some(ended + TimeDelta::days(400)) }
}

#[test]
fn an_idle_server_writes_nothing() {
    for_each_app(|app| {
        let store = Store::open(&store::Settings { url: app.service.settings().database_url.clone(), readers: 1 });
        let store = store.unwrap();
        let mira = app.idp().post("/Users", user("mira@example.com")).expect(201).id();
        app.idp().patch(&format!("/Users/{mira}"), replace("title", "boss")).expect(200);
        let mut runner = Runner::new(worker::jobs(&app.service));
        let mut quiet = |days: i64| {
            let before = store.data_version().unwrap();
            for _ in 0..days * 24 {
                app.clock.advance(TimeDelta::hours(1));
                assert!(!runner.pass(&app.service, app.clock.now(), app.clock.monotonic()));
            }
            // Every transaction of PostgreSQL counts there, those of other tests, too.
            assert!(!app.service.is_embedded() || store.data_version().unwrap() == before);
        };
        quiet(20);
        assert_eq!((count(app, "worker_cursors"), count(app, "worker_leases")), (0, 0));
        app.clock.advance(TimeDelta::days(400));
        work(app);
        assert_eq!((count(app, "worker_cursors"), count(app, "worker_leases WHERE until = 0")), (1, 1));
        let updated = || ask(&app.service.settings().database_url, "SELECT updated FROM worker_cursors");
        let swept = updated();
        quiet(20);
        assert_eq!((updated(), count(app, "worker_leases WHERE until = 0")), (swept, 1));
    });
}

#[test]
fn nothing_goes_by_a_clock_that_is_wrong() {
    for_each_app(|app| {
        end_memberships(app, 10, 3);
        let mut job = Sweep::new(&app.service);
        app.clock.set(TimeDelta::days(401));
        let refused = job.step(&app.service, app.clock.now()).unwrap_err().to_string();
        assert!(refused.starts_with("this node's clock has jumped forward"), "{refused}");
        assert_eq!(count(app, "memberships"), 10);
        app.clock.set(TimeDelta::days(-401));
        app.clock.advance(TimeDelta::days(401));
        assert_eq!((step(&mut job, app), count(app, "memberships")), (Outcome::Worked, 0));
    });
}

#[test]
fn each_tenant_goes_by_its_own_log() {
    for_each_app(|app| {
        app.clock.advance(TimeDelta::days(401));
        let _ = app.tenant("second");
        end_memberships(app, 10, 3);
        work(app);
        // The same records of the second are of today.
        assert_eq!(count(app, "memberships"), 10);
        app.clock.advance(TimeDelta::days(401));
        work(app);
        assert_eq!(count(app, "memberships"), 0);
    });
}

/// A job that never works, and counts how often it is tried.
struct Broken(Arc<AtomicUsize>);

impl Job for Broken {
    fn name(&self) -> &'static str {
        "broken"
    }

    fn step(&mut self, _: &Service, _: DateTime<Utc>) -> Result<Outcome, Error> {
        self.0.fetch_add(1, Ordering::SeqCst);
        panic!("this one always fails")
    }

    fn lag(&self, _: &Service, _: DateTime<Utc>) -> Result<Lag, Error> {
        panic!("so does this")
    }
}

#[test]
fn a_job_that_panics_rests_ever_longer_and_stops_nobody() {
    for_each_app(|app| {
        end_memberships(app, 900, 3);
        app.clock.advance(TimeDelta::days(401));
        let tried = Arc::new(AtomicUsize::new(0));
        let jobs: Vec<Box<dyn Job>> = vec![Box::new(Broken(Arc::clone(&tried))), Box::new(Sweep::new(&app.service))];
        let mut runner = Runner::new(jobs);
        let mut pass = |seconds: u64| {
            let more = runner.pass(&app.service, app.clock.now(), Duration::from_secs(seconds));
            (more, tried.load(Ordering::SeqCst))
        };
        assert_eq!([0, 0, 0, 0, 59].map(&mut pass), [(true, 1), (true, 1), (true, 1), (true, 1), (false, 1)]);
        assert_eq!(count(app, "memberships"), 0);
        assert_eq!([60, 179, 180, 419, 420].map(&mut pass), [2, 2, 3, 3, 4].map(|tried| (false, tried)));
        // At last once an hour.
        assert_eq!((0..6).map(|n| pass(10_000 + n * 3_600).1).collect::<Vec<_>>(), [5, 6, 7, 8, 9, 10]);
        app.with_key(&operator(app)).get("/v1/whoami").expect(200);
    });
}
