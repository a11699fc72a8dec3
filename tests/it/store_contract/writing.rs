//! Writes: together where that is cheaper, but each with its own fate.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::mpsc::channel;
use std::sync::{Arc, Barrier, Mutex};
use std::thread;

use diesel::connection::{Connection, InstrumentationEvent, SimpleConnection};
use keyroll::domain::TenantKey;
use keyroll::domain::log::{Fork, Head, NO_HASH};
use keyroll::store::{Conn, Error, ResourceKey, Store, credentials, log, members, resources, tenants, unique};

use super::fixture::{add, at, id, read, resource, tenant, write};
use crate::support::databases::{postgres, sqlite};
use crate::support::for_each_database;

fn names(store: &Store) -> Vec<String> {
    read(store, tenants::all).into_iter().map(|tenant| tenant.name).collect()
}

/// Makes the next writes wait for each other, so that they share a round.
pub(super) fn held<T>(store: &Store, then: impl FnOnce() -> T) -> T {
    let (release, wait) = channel::<()>();
    let barrier = Arc::new(Barrier::new(2));
    let (held, started) = (store.clone(), Arc::clone(&barrier));
    let holder = thread::spawn(move || {
        let (is_first, wait) = (AtomicBool::new(true), Mutex::new(wait));
        // Its own fate may be that of the round, which may be done again.
        let _ = held.write(move |_| {
            if is_first.swap(false, Ordering::Relaxed) {
                started.wait();
                let _ = wait.lock().unwrap().recv();
            }
            Ok::<_, Error>(())
        });
    });
    barrier.wait();
    let outcome = then();
    drop(release);
    holder.join().unwrap();
    outcome
}

#[test]
fn many_threads_write_and_nothing_is_lost() {
    for_each_database(|store| {
        thread::scope(|scope| {
            for thread in 0..16u64 {
                scope.spawn(move || {
                    for n in 0..25 {
                        tenant(store, 1 + thread * 100 + n);
                    }
                });
            }
        });
        assert_eq!(names(store).len(), 400);
    });
}

#[test]
fn errors_and_panics_undo_themselves_alone() {
    for_each_database(|store| {
        let job = |number: u64| {
            let store = store.clone();
            thread::spawn(move || {
                store.write(move |conn: &mut Conn| {
                    tenants::insert(conn, &id(number), &format!("{number}"), at(0))?;
                    match number % 4 {
                        1 => Err(Error::Refused("no".to_owned())),
                        2 => panic!("a job panics: this is a test"),
                        // The panic leaves a transaction inside its own open.
                        3 => diesel::Connection::transaction(conn.settled().unwrap(), |_| {
                            panic!("a job panics: this is a test")
                        }),
                        _ => Ok(number),
                    }
                })
            })
        };
        let jobs: Vec<_> = held(store, || (0..40).map(job).collect());
        for (number, job) in jobs.into_iter().enumerate() {
            match (number % 4, job.join().unwrap()) {
                (0, Ok(value)) => assert_eq!(value, number as u64),
                (1, Err(Error::Refused(_))) | (2 | 3, Err(Error::Panicked)) => {}
                (_, outcome) => panic!("{number}: {outcome:?}"),
            }
        }
        let mut expected: Vec<String> = (0..40).step_by(4).map(|n| n.to_string()).collect();
        let mut found = names(store);
        expected.sort();
        found.sort();
        assert_eq!(found, expected);
        tenant(store, 1_000);
    });
}

#[test]
fn a_lost_transaction_fails_its_round_and_no_more() {
    let database = sqlite();
    let store = Store::open(&database.settings).unwrap();
    let job = |sql: Option<&'static str>, number: u64| {
        let store = store.clone();
        thread::spawn(move || {
            store.write(move |conn: &mut Conn| {
                if let Some(sql) = sql {
                    // What SQLite does by itself when the disk is full.
                    conn.settled().unwrap().batch_execute(sql)?;
                    return Err(Error::Refused("disk full".to_owned()));
                }
                tenants::insert(conn, &id(number), &format!("{number}"), at(0))?;
                Ok::<_, Error>(())
            })
        })
    };
    let jobs = held(&store, || vec![job(None, 1), job(Some("ROLLBACK"), 2), job(None, 3)]);
    let outcomes: Vec<bool> = jobs.into_iter().map(|job| job.join().unwrap().is_ok()).collect();
    // Whoever was told of success is there; nobody else is.
    let found = names(&store);
    for (outcome, name) in outcomes.iter().zip(["1", "2", "3"]) {
        assert_eq!(*outcome, found.iter().any(|found| found == name), "{name}: {outcomes:?} {found:?}");
    }
    assert!(!outcomes[1]);
    tenant(&store, 9);
}

#[test]
fn a_busy_database_answers_unavailable() {
    let database = sqlite();
    let store = Store::open(&database.settings).unwrap();
    let other = Store::open(&database.settings).unwrap();
    tenant(&store, 1);
    write(&store, |conn| Ok(conn.settled().unwrap().batch_execute("PRAGMA busy_timeout = 100")?));
    // Readers never wait for a writer.
    held(&other, || assert_eq!(names(&store).len(), 1));
    let outcome = held(&other, || store.write(|conn| tenants::insert(conn, &id(2), "late", at(0))));
    assert!(matches!(outcome, Err(Error::Unavailable(_))), "{outcome:?}");
    tenant(&store, 3);
}

#[test]
fn dropping_the_store_finishes_what_was_accepted() {
    let database = sqlite();
    let store = Store::open(&database.settings).unwrap();
    let jobs: Vec<_> = held(&store, || {
        (0..20)
            .map(|n| {
                let store = store.clone();
                thread::spawn(move || tenant(&store, n).key)
            })
            .collect()
    });
    drop(store);
    let kept = jobs.into_iter().map(|job| job.join().unwrap()).collect::<Vec<_>>().len();
    assert_eq!(names(&Store::open(&database.settings).unwrap()).len(), kept);
}

#[test]
fn a_failed_claim_does_not_abort_the_transaction() {
    for_each_database(|store| {
        let tenant = tenant(store, 1).key;
        let (a, b) = (resource(store, tenant, "User", 10), resource(store, tenant, "User", 11));
        let claims = write(store, move |conn| {
            let first = unique::claim(conn, tenant, "userName", "mira", a)?;
            let again = unique::claim(conn, tenant, "userName", "mira", a)?;
            let other = unique::claim(conn, tenant, "userName", "mira", b)?;
            add(conn, tenant, "User", 12)?;
            Ok((first, again, other))
        });
        assert_eq!(claims, (true, true, false));
        assert!(read(store, |conn| keyroll::store::resources::find(conn, tenant, "User", &id(12))).is_some());
    });
}

#[test]
fn of_claims_at_once_one_wins() {
    for_each_database(|store| {
        let tenant = tenant(store, 1).key;
        let keys: Vec<_> = (10..18).map(|n| resource(store, tenant, "User", n)).collect();
        let wins: usize = thread::scope(|scope| {
            let claim = |key| scope.spawn(move || write(store, move |c| unique::claim(c, tenant, "name", "one", key)));
            let threads: Vec<_> = keys.iter().copied().map(claim).collect();
            threads.into_iter().map(|thread| usize::from(thread.join().unwrap())).sum()
        });
        assert_eq!(wins, 1);
    });
}

#[test]
fn a_panicking_read_costs_no_reader() {
    for_each_database(|store| {
        for _ in 0..30 {
            let read = || store.read(snapshot_panics);
            let panic = std::panic::catch_unwind(std::panic::AssertUnwindSafe(read)).unwrap_err();
            assert_eq!(panic.downcast_ref::<&str>(), Some(&PANIC));
        }
        assert!(names(store).is_empty());
        assert!(read(store, |conn| keyroll::store::snapshot(conn, |_| Ok::<_, Error>(true))));
    });
}

const PANIC: &str = "a read panics: this is a test";

fn snapshot_panics(conn: &mut Conn) -> Result<(), Error> {
    keyroll::store::snapshot(conn, |_| std::panic::panic_any(PANIC))
}

#[test]
fn a_lost_connection_is_not_lent_again() {
    let Some(database) = postgres() else { return };
    let store = Store::open(&database.settings).unwrap();
    let other = Store::open(&database.settings).unwrap();
    tenant(&store, 1);
    let kill = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
         WHERE datname = current_database() AND pid <> pg_backend_pid() AND backend_type = 'client backend'";
    assert_eq!(names(&store).len(), 1);
    read(&other, |conn| Ok(conn.settled().unwrap().batch_execute(kill)?));
    // What certainly was not kept is done on another one, and nobody is told.
    assert_eq!(names(&store).len(), 1);
    tenant(&store, 2);
    assert_eq!(names(&store).len(), 2);
    read(&other, |conn| Ok(conn.settled().unwrap().batch_execute(kill)?));
    tenant(&store, 3);
    assert_eq!(names(&store).len(), 3);
}

#[test]
fn a_deadlock_is_worth_another_try() {
    let Some(database) = postgres() else { return };
    let nodes = [(); 2].map(|()| Store::open(&database.settings).unwrap());
    let tenants = [1, 2].map(|number| tenant(&nodes[0], number).key);
    let head = Head { next_seq: 0, hash: NO_HASH, time: at(0), policy_seq: 0, policy_epoch: 0, fork: Fork::default() };
    write(&nodes[0], move |conn| tenants.iter().try_for_each(|tenant| log::start(conn, *tenant, &head)));
    let both = Arc::new(Barrier::new(2));
    let lock = |store: &Store, first: TenantKey, second: TenantKey| {
        let (store, both) = (store.clone(), Arc::clone(&both));
        thread::spawn(move || {
            let is_first = AtomicBool::new(true);
            store.write(move |conn| {
                log::lock_head(conn, first)?;
                // Done again, it meets nobody.
                if is_first.swap(false, Ordering::Relaxed) {
                    both.wait();
                }
                log::lock_head(conn, second)
            })
        })
    };
    // Both run at once.
    let threads = [lock(&nodes[0], tenants[0], tenants[1]), lock(&nodes[1], tenants[1], tenants[0])];
    let outcomes = threads.map(|thread| thread.join().unwrap().unwrap().next_seq);
    assert_eq!(outcomes, [0, 0]);
}

/// Statements that were run, and those that were prepared for good.
fn statements<T>(conn: &mut Conn, work: impl FnOnce(&mut Conn) -> Result<T, Error>) -> Result<(u32, u32), Error> {
    let counts = Arc::new((AtomicU32::new(0), AtomicU32::new(0)));
    let counted = Arc::clone(&counts);
    conn.settled().unwrap().set_instrumentation(move |event: InstrumentationEvent<'_>| {
        match event {
            InstrumentationEvent::StartQuery { .. } => counted.0.fetch_add(1, Ordering::Relaxed),
            InstrumentationEvent::CacheQuery { .. } => counted.1.fetch_add(1, Ordering::Relaxed),
            _ => 0,
        };
    });
    work(conn)?;
    Ok((counts.0.load(Ordering::Relaxed), counts.1.load(Ordering::Relaxed)))
}

#[test]
fn hot_statements_are_prepared_once() {
    type Hot = fn(&mut Conn, TenantKey) -> Result<(), Error>;
    let hot: [(&str, Hot); 7] = [
        ("credentials::holder", |conn, _| credentials::holder(conn, "selector").map(drop)),
        ("resources::find", |conn, tenant| resources::find(conn, tenant, "User", &id(1)).map(drop)),
        ("resources::see", |conn, tenant| resources::view(conn, tenant, "User", &id(1), Some(1)).map(drop)),
        ("unique::holder", |conn, tenant| unique::holder(conn, tenant, "userName", "mira").map(drop)),
        ("groups_of", |conn, tenant| members::groups_of(conn, tenant, &[ResourceKey(1)]).map(drop)),
        ("members::page", |conn, tenant| members::page(conn, tenant, ResourceKey(1), None, 10).map(drop)),
        ("log::head", |conn, tenant| log::head(conn, tenant).map(drop)),
    ];
    for_each_database(|store| {
        let tenant = tenant(store, 1).key;
        let head =
            Head { next_seq: 0, hash: NO_HASH, time: at(0), policy_seq: 0, policy_epoch: 0, fork: Fork::default() };
        write(store, move |conn| log::start(conn, tenant, &head));
        read(store, |conn| {
            for (name, work) in hot {
                assert_eq!(statements(conn, |conn| work(conn, tenant))?, (1, 1), "{name}, first");
                assert_eq!(statements(conn, |conn| work(conn, tenant))?, (1, 0), "{name}, again");
            }
            Ok(())
        });
    });
}
