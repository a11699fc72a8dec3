//! Principals, credentials and the log.

use chrono::TimeDelta;
use keyroll::domain::Principal;
use keyroll::domain::class::Class;
use keyroll::domain::credential::{Grant, Revocation};
use keyroll::domain::log::{Fork, Head, NO_HASH, Record};
use keyroll::store::credentials::{self, Part, StoredCredential};
use keyroll::store::{Error, log, principals};

use super::fixture::{at, connection, credential, id, principal, read, refused, tenant, write};
use crate::support::for_each_database;

#[test]
fn principals_read_back_in_full() {
    for_each_database(|store| {
        let (tenant, other) = (tenant(store, 1).key, tenant(store, 2).key);
        for number in [12, 10, 11] {
            write(store, move |c| principals::insert(c, tenant, &principal(number), 1));
        }
        assert_eq!(read(store, |c| principals::find(c, tenant, &id(10))), Some(principal(10)));
        assert_eq!(read(store, |c| principals::find(c, other, &id(10))), None);
        let changed = Principal {
            local: true,
            name: "operator".to_owned(),
            active: false,
            admin_hold: true,
            suspended_at: Some(at(9)),
            deleted_at: Some(at(10)),
            ..principal(10)
        };
        let update = changed.clone();
        write(store, move |c| principals::update(c, tenant, &update));
        assert_eq!(write(store, move |c| principals::find(c, tenant, &id(10))), Some(changed.clone()));
        assert_eq!(read(store, |c| principals::local_by_name(c, tenant, "operator")), Some(changed.clone()));
        assert_eq!(read(store, |c| principals::local_by_name(c, tenant, "principal 11")), None);
        assert_eq!(read(store, |c| principals::local_by_name(c, other, "operator")), None);
        let update = changed.clone();
        assert_eq!(refused(store.write(move |c| principals::update(c, other, &update))), "not found");
        let list = |after: Option<u64>, limit| {
            let after = after.map(id);
            let page = read(store, |c| principals::list(c, tenant, after.as_ref(), limit));
            page.into_iter().map(|p| p.id).collect::<Vec<_>>()
        };
        assert_eq!(list(None, 10), vec![id(10), id(11), id(12)]);
        assert_eq!(list(Some(10), 1), vec![id(11)]);
    });
}

#[test]
fn a_credential_is_found_with_everything_about_its_holder() {
    for_each_database(|store| {
        let tenant = tenant(store, 1);
        let (key, other) = (tenant.key, super::fixture::tenant(store, 2).key);
        let from = connection(store, key, 50);
        write(store, move |c| principals::insert(c, key, &principal(10), 1));
        let plain = credential(20, 10);
        let mut provisioning = credential(21, 10);
        provisioning.class = Class::Provisioning;
        provisioning.connection = Some(from.id);
        provisioning.created_by = Some(id(10));
        provisioning.grant = Grant::Identity;
        provisioning.reasons = vec!["leak".to_owned(), "a \"quoted\" one".to_owned()];
        for credential in [plain.clone(), provisioning.clone()] {
            write(store, move |c| credentials::insert(c, key, &credential, &[1; 32]));
        }
        let found = read(store, |c| credentials::holder(c, &plain.selector)).unwrap();
        assert_eq!(found.stored, StoredCredential { credential: plain.clone(), mac: vec![1; 32] });
        assert_eq!((found.tenant, found.owner, found.connection), (tenant, principal(10), None));
        let found = read(store, |c| credentials::holder(c, &provisioning.selector)).unwrap();
        assert_eq!((&found.stored.credential, found.connection), (&provisioning, Some(from)));
        assert!(read(store, |c| credentials::holder(c, "selector0022")).is_none());
        assert!(read(store, |c| credentials::holder(c, &plain.selector.to_uppercase())).is_none());
        assert!(read(store, |c| credentials::find(c, other, &id(20))).is_none());
        // P1: no credential without an owner, and no taking it away.
        let orphan = credential(22, 99);
        assert_eq!(refused(store.write(move |c| credentials::insert(c, key, &orphan, &[]))), "a reference is missing");
        let delete = store.write(|c| {
            use diesel::RunQueryDsl;
            diesel::sql_query("DELETE FROM principals").execute(c.settled().unwrap()).map_err(Error::from)
        });
        assert_eq!(refused(delete), "a reference is missing");
    });
}

#[test]
fn credentials_change_and_are_listed() {
    for_each_database(|store| {
        let tenant = tenant(store, 1).key;
        write(store, move |c| {
            principals::insert(c, tenant, &principal(10), 1)?;
            principals::insert(c, tenant, &principal(11), 1)?;
            for (number, owner) in [(20, 10), (21, 11), (22, 10)] {
                credentials::insert(c, tenant, &credential(number, owner), &[0; 32])?;
            }
            Ok(())
        });
        let mut changed = credential(20, 10);
        changed.version = 2;
        changed.revoked = Some(Revocation { at: at(7), reason: "leaked".to_owned() });
        // Nor does it keep others of its lineage from their place.
        changed.slot = None;
        let update = changed.clone();
        write(store, move |c| credentials::revoke(c, tenant, &update, Some(&[9; 32])));
        let expected = StoredCredential { credential: changed, mac: vec![9; 32] };
        assert_eq!(read(store, |c| credentials::find(c, tenant, &id(20))), Some(expected.clone()));
        assert_eq!(write(store, move |c| credentials::find(c, tenant, &id(20))), Some(expected));
        assert_eq!(
            refused(store.write(move |c| credentials::revoke(c, tenant, &credential(29, 10), None))),
            "not found"
        );

        let live = read(store, |c| credentials::of_owner(c, tenant, &id(10)));
        assert_eq!(live.into_iter().map(|s| s.credential.id).collect::<Vec<_>>(), vec![id(22)]);
        let list = |owner: Option<u64>, after, limit| {
            let owner = owner.map(id);
            let part = owner.as_ref().map_or(Part::All, Part::Owner);
            let page = read(store, |c| credentials::list(c, tenant, part, after, limit));
            page.into_iter().map(|(key, stored)| (key, stored.credential.id)).collect::<Vec<_>>()
        };
        let all = list(None, None, 10);
        assert_eq!(all.iter().map(|(_, id)| *id).collect::<Vec<_>>(), vec![id(20), id(21), id(22)]);
        assert_eq!(list(None, Some(all[0].0), 1), vec![all[1]]);
        assert_eq!(list(Some(10), None, 10), vec![all[0], all[2]]);
        assert_eq!(list(Some(10), Some(all[0].0), 10), vec![all[2]]);
    });
}

fn record(seq: i64) -> Record {
    Record {
        seq,
        time: at(seq) + TimeDelta::microseconds(456),
        action: "user.created".to_owned(),
        subject_kind: "user".to_owned(),
        subject_id: id(5).to_string(),
        bytes: vec![seq as u8, 0, 255],
        hash: [seq as u8; 32],
    }
}

#[test]
fn the_log_keeps_its_bytes_and_its_head() {
    for_each_database(|store| {
        let (tenant, other) = (tenant(store, 1).key, tenant(store, 2).key);
        let start =
            Head { next_seq: 0, hash: NO_HASH, time: at(0), policy_seq: 0, policy_epoch: 0, fork: Fork::default() };
        assert_eq!(refused(store.read(|c| log::head(c, tenant))), "not found");
        let first = start.clone();
        write(store, move |c| {
            log::start(c, tenant, &first)?;
            log::start(c, other, &first)
        });
        assert_eq!(write(store, move |c| log::lock_head(c, tenant)), start);
        let last = Head {
            next_seq: 5,
            hash: [4; 32],
            time: record(4).time,
            policy_seq: 3,
            policy_epoch: -7,
            fork: Fork::default(),
        };
        let head = last.clone();
        write(store, move |c| log::append(c, tenant, &(0..5).map(record).collect::<Vec<_>>(), &head));
        assert_eq!(read(store, |c| log::head(c, tenant)), last);
        assert_eq!(read(store, |c| log::head(c, other)), start);
        assert_eq!(read(store, |c| log::records(c, tenant, 1, 2)), vec![record(1), record(2)]);
        assert_eq!(read(store, |c| log::records(c, other, 0, 2)), vec![]);
        assert_eq!(read(store, |c| log::tail(c, tenant, 2)), vec![record(3), record(4)]);
        assert_eq!(
            read(store, log::heads).iter().map(|end| (end.tenant, end.next_seq, end.policy_epoch)).collect::<Vec<_>>(),
            vec![(tenant, 5, -7), (other, 0, 0)]
        );
        let head = last.clone();
        assert_eq!(refused(store.write(move |c| log::append(c, tenant, &[record(4)], &head))), "taken");
    });
}

/// Where a selector is not there, the same statement finds another row, and all of that is read: so who asks
/// cannot tell by the time (attack case A01).
#[test]
fn a_key_that_is_not_there_is_looked_up_like_one_that_is() {
    for_each_database(|store| {
        let key = tenant(store, 1).key;
        let other = |store: &_, selector: &'static str| {
            let found = read(store, |c| credentials::holder_or_other(c, selector));
            found.map(|holder| (holder.stored.credential.selector, holder.owner.name))
        };
        assert_eq!(other(store, "selector0020"), None);
        write(store, move |c| {
            principals::insert(c, key, &principal(10), 1)?;
            credentials::insert(c, key, &credential(20, 10), &[7; 32])?;
            credentials::insert(c, key, &credential(21, 10), &[7; 32])
        });
        let named = |selector: &str| Some((selector.to_owned(), "principal 10".to_owned()));
        assert_eq!(other(store, "selector0020"), named("selector0020"));
        assert_eq!(other(store, "selector0021"), named("selector0021"));
        for unknown in ["selector0022", "", "000000000000", "zzzzzzzzzzzz"] {
            assert_eq!(other(store, unknown), named("selector0020"));
            assert!(read(store, |c| credentials::holder(c, unknown)).is_none());
        }
    });
}
