//! Work that shares a transaction: each piece finds what those before it have left, and fails alone.

use std::sync::mpsc::channel;
use std::thread;

use keyroll::domain::log::{Fork, Head, NO_HASH};
use keyroll::domain::{Id, TenantKey};
use keyroll::store::access_facts::{self, Groups};
use keyroll::store::{
    Conn, Error, Foreseen, ResourceKey, Store, ahead, external_ids, history, log, members, principals, resources,
    unique,
};

use super::fixture::{add, at, connection, id, principal, read, refused, resource, tenant, write};
use crate::support::for_each_database;

type Done = Result<ResourceKey, Error>;

/// A log without records, for work that locks it.
fn begin_log(store: &Store, tenant: TenantKey) {
    let head = Head { next_seq: 0, hash: NO_HASH, time: at(0), policy_seq: 0, policy_epoch: 0, fork: Fork::default() };
    write(store, move |conn| log::start(conn, tenant, &head));
}

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
    store.write_each(tenant, numbers.iter().copied().map(|number| (vec![], make(number))).collect())
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
        begin_log(store, tenant);
        let change = |number: i64| {
            move |conn: &mut Conn| {
                let before = log::lock_head(conn, tenant)?;
                let after = Head { next_seq: before.next_seq + 1, policy_seq: number, ..before.clone() };
                log::append(conn, tenant, &[], &after)?;
                if number % 3 == 0 { Err(Error::Refused("no".to_owned())) } else { Ok(before.next_seq) }
            }
        };
        let done: Vec<Option<i64>> = store
            .write_each(tenant, (0..7).map(|n| (vec![], change(n))).collect())
            .into_iter()
            .map(Result::ok)
            .collect();
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
            slow.write_for(tenants[0], vec![], move |_: &mut Conn| {
                begun.send(()).unwrap();
                ends.lock().unwrap().recv().unwrap();
                Ok::<_, Error>(())
            })
        });
        begins.recv().unwrap();
        let made: Result<Id, Error> =
            store.write_for(tenants[1], vec![], move |conn| add(conn, tenants[1], "User", 10).map(|_| id(10)));
        assert_eq!(made.unwrap(), id(10));
        end.send(()).unwrap();
        slow.join().unwrap().unwrap();
    });
}

/// What a piece of work finds of a user by every look-up that may have been read ahead.
fn found(conn: &mut Conn, tenant: TenantKey, from: i64, group: ResourceKey) -> Result<String, Error> {
    ahead::read(conn, tenant)?;
    let id = id(10);
    let (user, called) = resources::find_called(conn, tenant, "User", &id, from)?.expect("the user");
    assert_eq!(resources::find(conn, tenant, "User", &id)?.as_ref(), Some(&user));
    assert_eq!(resources::find(conn, tenant, "Group", &id)?, None);
    let principal = principals::find(conn, tenant, &id)?.expect("the principal");
    let around = access_facts::read(conn, tenant, &[id], Groups::Names)?;
    let (of_access, _) = around.principals.first().expect("the principal");
    assert_eq!((of_access, around.edges.len()), (&principal, around.groups.len()));
    let key = history::subject_key(conn, tenant, &id)?;
    let groups: Vec<&str> = around.groups.values().filter_map(|group| group.display.as_deref()).collect();
    assert_eq!(resources::by_ids(conn, tenant, &[id])?, [(id, user.key, "User".to_owned())]);
    let among = members::among(conn, tenant, group, &[user.key])?;
    assert_eq!(among.len(), groups.len());
    let is_member = resources::may_be_member(conn, &id);
    assert!(is_member || groups.is_empty());
    let called = called.as_deref().unwrap_or("-");
    Ok(format!("v{} {called} {} {key:?} {groups:?}", user.version, principal.active))
}

#[test]
fn what_was_read_ahead_is_what_a_look_up_finds() {
    for_each_database(|store| {
        let tenant = tenant(store, 1).key;
        let from = connection(store, tenant, 50).key;
        let group = resource(store, tenant, "Group", 1);
        begin_log(store, tenant);
        write(store, move |conn| {
            for number in [10, 11] {
                add(conn, tenant, "User", number)?;
                principals::insert(conn, tenant, &principal(number), 3)?;
            }
            Ok(())
        });
        let user = read(store, |conn| resources::find(conn, tenant, "User", &id(10))).unwrap().key;
        let passive = || keyroll::domain::Principal { active: false, ..principal(10) };
        // Each changes something, some of them at once, and finds what those before it have left.
        let step = move |number: i64| {
            move |conn: &mut Conn| {
                log::lock_head(conn, tenant)?;
                let before = found(conn, tenant, from, group)?;
                match number {
                    0 => resources::touch(conn, tenant, user, at(1))?,
                    1 => external_ids::set(conn, tenant, from, "User", user, Some("hr-1"))?,
                    2 => principals::update(conn, tenant, &passive())?,
                    3 => history::set_subject_key(conn, tenant, &id(10), &[7])?,
                    4 => drop(members::add(conn, tenant, group, &[user], 5)?),
                    // Everything before is written by this.
                    5 => drop(members::clear(conn, tenant, group, 6)?),
                    6 => resources::update(conn, tenant, user, "{}", None, at(2))?,
                    7 => drop(conn.settled()?),
                    _ => {}
                }
                Ok::<_, Error>(before)
            }
        };
        let foreseen = |number: u64| {
            let members = if number == 1 { vec![id(10), id(11)] } else { vec![] };
            Foreseen { id: id(number), connection: Some(from), lives: number != 1, members }
        };
        let foreseen = [1, 10, 11, 99].map(foreseen);
        let work = (0..10).map(|number| (foreseen.to_vec(), step(number))).collect();
        let told: Vec<String> = store.write_each(tenant, work).into_iter().map(Result::unwrap).collect();
        let expected = [
            "v1 - true None []",
            "v2 - true None []",
            "v2 hr-1 true None []",
            "v2 hr-1 false None []",
            "v2 hr-1 false Some([7]) []",
            "v2 hr-1 false Some([7]) [\"Group 1\"]",
            "v2 hr-1 false Some([7]) []",
            "v3 hr-1 false Some([7]) []",
            "v3 hr-1 false Some([7]) []",
            "v3 hr-1 false Some([7]) []",
        ];
        assert_eq!(told, expected);
    });
}

#[test]
fn what_was_read_ahead_is_forgotten_by_what_is_written_at_once() {
    for_each_database(|store| {
        let tenant = tenant(store, 1).key;
        begin_log(store, tenant);
        resource(store, tenant, "User", 11);
        let foreseen = [Foreseen { id: id(11), connection: None, lives: false, members: vec![] }];
        let delete = |is_first: bool| {
            move |conn: &mut Conn| {
                log::lock_head(conn, tenant)?;
                ahead::read(conn, tenant)?;
                let user = resources::find(conn, tenant, "User", &id(11))?;
                if let (true, Some(user)) = (is_first, &user) {
                    resources::delete(conn, tenant, user)?;
                }
                Ok::<_, Error>(user.is_some())
            }
        };
        let work = [true, false].map(|is_first| (foreseen.to_vec(), delete(is_first))).into();
        let told: Vec<bool> = store.write_each(tenant, work).into_iter().map(Result::unwrap).collect();
        assert_eq!(told, [true, false]);
    });
}
