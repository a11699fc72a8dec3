//! Work that shares a transaction: each piece finds what those before it have left, and fails alone.

use std::sync::mpsc::channel;
use std::thread;

use keyroll::domain::log::{Fork, Head, NO_HASH};
use keyroll::domain::{Id, TenantKey};
use keyroll::store::{Conn, Error, ResourceKey, Store, external_ids, log, members, principals, resources, unique};

use super::fixture::{add, at, connection, id, principal, read, refused, resource, tenant, write};
use crate::support::for_each_database;

type Done = Result<ResourceKey, Error>;

/// Makes users of these numbers in one round; one claims the same name as the first.
fn claimed(store: &Store, tenant: TenantKey, numbers: &'static [u64], name: fn(u64) -> String) -> Vec<Done> {
    let make = |number: u64| {
        move |conn: &mut Conn| {
            let key = add(conn, tenant, "User", number)?;
            match unique::claim(conn, tenant, "userName", &name(number), key)? {
                true => Ok(key),
                false => Err(Error::Refused("taken".to_owned())),
            }
        }
    };
    store.write_each(tenant, numbers.iter().copied().map(make).collect())
}

#[test]
fn a_name_that_waits_is_taken() {
    for_each_database(|store| {
        let tenant = tenant(store, 1).key;
        let done = claimed(store, tenant, &[10, 11, 12], |number| format!("name {}", number % 2));
        assert_eq!(done.iter().map(Result::is_ok).collect::<Vec<_>>(), [true, true, false]);
        assert!(matches!(&done[2], Err(Error::Refused(why)) if why == "taken"));
        let keys: Vec<ResourceKey> = done.into_iter().filter_map(Result::ok).collect();
        assert!(keys[0] < keys[1]);
        assert_eq!(read(store, |conn| unique::holder(conn, tenant, "userName", "name 0")), Some(keys[0]));
        assert_eq!(read(store, |conn| resources::count(conn, tenant, "User")), 2);
        assert_eq!(read(store, |conn| resources::id_of(conn, tenant, keys[1])), Some(id(11)));
    });
}

#[test]
fn rows_that_nobody_can_write_fail_the_work_that_staged_them_alone() {
    for_each_database(|store| {
        let tenant = tenant(store, 1).key;
        // The id of the second is the first one's, which no look-up finds out.
        let done = claimed(store, tenant, &[10, 10, 11], |_| "same".to_owned());
        let told: Vec<&str> =
            done.into_iter().map(|done| if done.is_ok() { "made" } else { refused_or_taken(done) }).collect();
        assert_eq!(told, ["made", "taken", "taken"]);
        assert_eq!(read(store, |conn| resources::count(conn, tenant, "User")), 1);
        let done = claimed(store, tenant, &[10, 12], |number| number.to_string());
        let told: Vec<&str> =
            done.into_iter().map(|done| if done.is_ok() { "made" } else { refused_or_taken(done) }).collect();
        assert_eq!(told, ["taken", "made"]);
        assert_eq!(read(store, |conn| resources::count(conn, tenant, "User")), 2);
    });
}

fn refused_or_taken(done: Done) -> &'static str {
    match done {
        Err(Error::Refused(_)) => "taken",
        done => refused(done),
    }
}

#[test]
fn what_waits_is_found_by_every_way_in() {
    for_each_database(|store| {
        let tenant = tenant(store, 1).key;
        let from = connection(store, tenant, 50).key;
        let group = resource(store, tenant, "Group", 1);
        write(store, move |conn| {
            let user = add(conn, tenant, "User", 10)?;
            principals::insert(conn, tenant, &principal(10), 3)?;
            external_ids::set(conn, tenant, from, "User", user, Some("old"))?;
            external_ids::set(conn, tenant, from, "User", user, Some("new"))?;
            assert_eq!(external_ids::get(conn, tenant, from, user)?.as_deref(), Some("new"));
            assert_eq!(resources::by_ids(conn, tenant, &[id(10)])?, [(id(10), user, "User".to_owned())]);
            resources::update(conn, tenant, user, r#"{"a":1}"#, None, at(0))?;
            let found = resources::find(conn, tenant, "User", &id(10))?.unwrap();
            // It was made at second 10, and no change is earlier.
            assert_eq!((found.version, found.modified > at(10), &*found.document), (2, true, r#"{"a":1}"#));
            let mut expected = found.clone();
            resources::touch(conn, tenant, user, at(99))?;
            resources::changed(&mut expected, at(99));
            assert_eq!(resources::find(conn, tenant, "User", &id(10))?, Some(expected));
            let changed = keyroll::domain::Principal { active: false, ..principal(10) };
            principals::update(conn, tenant, &changed)?;
            assert_eq!(principals::find(conn, tenant, &id(10))?, Some(changed));
            assert_eq!(members::add(conn, tenant, group, &[user], 4)?, [user]);
            assert_eq!(members::add(conn, tenant, group, &[user], 4)?, []);
            assert_eq!(members::among(conn, tenant, group, &[user])?, [user]);
            assert_eq!(members::remove(conn, tenant, group, &[user], 5)?, [user]);
            assert_eq!(members::among(conn, tenant, group, &[user])?, []);
            assert_eq!(members::add(conn, tenant, group, &[user], 6)?, [user]);
            assert_eq!(resources::count(conn, tenant, "User")?, 1);
            Ok(())
        });
        assert_eq!(read(store, |conn| members::count_up_to(conn, tenant, group, 9)), 1);
    });
}

#[test]
fn each_change_stands_on_the_one_before_it() {
    for_each_database(|store| {
        let tenant = tenant(store, 1).key;
        let head =
            Head { next_seq: 0, hash: NO_HASH, time: at(0), policy_seq: 0, policy_epoch: 0, fork: Fork::default() };
        write(store, move |conn| log::start(conn, tenant, &head));
        let change = |number: i64| {
            move |conn: &mut Conn| {
                let before = log::lock_head(conn, tenant)?;
                let after = Head { next_seq: before.next_seq + 1, policy_seq: number, ..before.clone() };
                log::append(conn, tenant, &[], &after)?;
                if number % 3 == 0 { Err(Error::Refused("no".to_owned())) } else { Ok(before.next_seq) }
            }
        };
        let done: Vec<Option<i64>> =
            store.write_each(tenant, (0..7).map(change).collect()).into_iter().map(Result::ok).collect();
        assert_eq!(done, [None, Some(0), Some(1), None, Some(2), Some(3), None]);
        let head = read(store, |conn| log::head(conn, tenant));
        assert_eq!((head.next_seq, head.policy_seq), (4, 5));
    });
}

#[test]
fn a_tenant_waits_for_no_other() {
    for_each_database(|store| {
        // SQLite has one writer for all.
        if store.is_embedded() {
            return;
        }
        let tenants = [1, 2].map(|number| tenant(store, number).key);
        let (begun, begins) = channel();
        let (end, ends) = channel::<()>();
        let ends = std::sync::Mutex::new(ends);
        let slow = store.clone();
        let slow = thread::spawn(move || {
            slow.write_for(tenants[0], move |_: &mut Conn| {
                begun.send(()).unwrap();
                ends.lock().unwrap().recv().unwrap();
                Ok::<_, Error>(())
            })
        });
        begins.recv().unwrap();
        let made: Result<Id, Error> =
            store.write_for(tenants[1], move |conn| add(conn, tenants[1], "User", 10).map(|_| id(10)));
        assert_eq!(made.unwrap(), id(10));
        end.send(()).unwrap();
        slow.join().unwrap().unwrap();
    });
}
