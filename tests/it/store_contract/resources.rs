//! Resources, their unique values and their external ids.

use std::collections::HashMap;

use keyroll::store::resources::{self, NewResource};
use keyroll::store::{Error, ResourceKey, connections, external_ids, members, tenants, unique};

use super::fixture::{at, connection, id, read, refused, resource, tenant, write};
use crate::support::for_each_database;

#[test]
fn tenants_and_connections_read_back() {
    for_each_database(|store| {
        let (one, two) = (tenant(store, 1), tenant(store, 2));
        assert_eq!(one.created, at(0));
        assert_eq!(read(store, tenants::all), vec![one.clone(), two.clone()]);
        assert_eq!(read(store, |c| tenants::by_name(c, "tenant 2")), Some(two.clone()));
        assert_eq!(read(store, |c| tenants::by_name(c, "Tenant 2")), None);
        assert_eq!(refused(store.write(|c| tenants::insert(c, &id(3), "tenant 1", at(0)))), "taken");

        let made = connection(store, one.key, 10);
        assert!(made.key > 0);
        assert_eq!(read(store, |c| connections::by_name(c, one.key, "connection 10")), Some(made.clone()));
        assert_eq!(read(store, |c| connections::by_id(c, one.key, &id(10))), Some(made.clone()));
        assert_eq!(read(store, |c| connections::by_id(c, two.key, &id(10))), None);
        assert_eq!(read(store, |c| connections::by_name(c, two.key, "connection 10")), None);
        let second = connection(store, one.key, 20);
        assert_eq!(read(store, |c| connections::list(c, one.key)), vec![made, second]);
        assert_eq!(read(store, |c| connections::list(c, two.key)), vec![]);
    });
}

#[test]
fn several_are_seen_as_a_connection_sees_them() {
    for_each_database(|store| {
        let (tenant, other) = (tenant(store, 1).key, tenant(store, 2).key);
        let (from, second) = (connection(store, tenant, 50).key, connection(store, tenant, 60).key);
        let (alone, member) = (resource(store, tenant, "User", 10), resource(store, tenant, "User", 11));
        let (inner, outer) = (resource(store, tenant, "Group", 12), resource(store, tenant, "Group", 13));
        resource(store, other, "User", 14);
        write(store, move |conn| {
            external_ids::set(conn, tenant, from, "User", alone, Some("a"))?;
            external_ids::set(conn, tenant, second, "User", alone, Some("b"))?;
            members::add(conn, tenant, inner, &[member], 1)?;
            members::add(conn, tenant, outer, &[inner], 1)
        });
        let wanted = [id(10), id(11), id(13), id(14), id(99)];
        let seen = |connection| {
            let mut found = read(store, |conn| resources::seen(conn, tenant, connection, &wanted));
            found.sort_by_key(|one| one.view.resource.id);
            let told = |one: resources::Seen| {
                let mut groups: Vec<_> = one.groups.iter().map(|group| (group.id, group.direct)).collect();
                groups.sort();
                (one.view.resource.id, one.view.external_id, one.view.is_member, groups)
            };
            found.into_iter().map(told).collect::<Vec<_>>()
        };
        let groups = vec![(id(12), true), (id(13), false)];
        let called = |name: Option<&str>| {
            let name = name.map(str::to_owned);
            vec![(id(10), name, false, vec![]), (id(11), None, true, groups.clone()), (id(13), None, false, vec![])]
        };
        assert_eq!(seen(Some(from)), called(Some("a")));
        assert_eq!(seen(Some(second)), called(Some("b")));
        assert_eq!(seen(None), called(None));
        assert_eq!(read(store, |conn| resources::seen(conn, other, Some(from), &wanted)).len(), 1);
        // Each is what is seen of it alone.
        let view = read(store, |conn| resources::view(conn, tenant, "User", &id(11), Some(from))).unwrap();
        let among = read(store, |conn| resources::seen(conn, tenant, Some(from), &[id(11)])).remove(0).view;
        assert_eq!((among.resource, among.is_member), (view.resource, view.is_member));
    });
}

#[test]
fn a_resource_lives_and_is_counted() {
    for_each_database(|store| {
        let (tenant, other) = (tenant(store, 1).key, tenant(store, 2).key);
        let from = connection(store, tenant, 50).key;
        let key = write(store, move |conn| {
            let new = NewResource {
                id: id(10),
                type_name: "User",
                connection: Some(from),
                display: None,
                document: "{}",
                created: at(5),
            };
            resources::insert(conn, tenant, &new)
        });
        let found = read(store, |c| resources::find(c, tenant, "User", &id(10))).unwrap();
        assert_eq!((found.key, found.id, found.version), (key, id(10), 1));
        assert_eq!((found.created, found.modified), (at(5), at(5)));
        assert_eq!((found.connection, found.display.as_deref()), (Some(from), None));
        assert_eq!((found.type_name.as_str(), found.document.as_str()), ("User", "{}"));
        assert_eq!(read(store, |c| resources::find(c, tenant, "Group", &id(10))), None);
        assert_eq!(read(store, |c| resources::find(c, other, "User", &id(10))), None);
        assert_eq!(write(store, move |c| resources::find(c, tenant, "User", &id(10))), Some(found.clone()));
        assert_eq!(read(store, |c| resources::count(c, tenant, "User")), 1);
        assert_eq!(read(store, |c| resources::count(c, other, "User")), 0);

        write(store, move |conn| {
            resources::update(conn, tenant, key, r#"{"a":1}"#, Some("A"), at(6))?;
            resources::touch(conn, tenant, key, at(7))
        });
        let found = read(store, |c| resources::find(c, tenant, "User", &id(10))).unwrap();
        assert_eq!((found.version, found.modified, found.created), (3, at(7), at(5)));
        assert_eq!((found.document.as_str(), found.display.as_deref()), (r#"{"a":1}"#, Some("A")));
        let foreign = store.write(move |c| resources::update(c, other, key, "{}", None, at(8)));
        assert!(matches!(foreign, Err(Error::Database(diesel::result::Error::NotFound))));
        assert_eq!(refused(store.write(move |c| super::fixture::add(c, tenant, "Group", 10))), "taken");
        assert_eq!(read(store, |c| resources::count(c, tenant, "Group")), 0);
    });
}

#[test]
fn deleting_takes_everything_derived_and_never_gives_the_key_again() {
    for_each_database(|store| {
        let tenant = tenant(store, 1).key;
        let from = connection(store, tenant, 50).key;
        let key = resource(store, tenant, "User", 10);
        write(store, move |c| unique::claim(c, tenant, "userName", "mira", key));
        write(store, move |c| external_ids::set(c, tenant, from, "User", key, Some("x1")));
        let found = read(store, |c| resources::find(c, tenant, "User", &id(10))).unwrap();
        let again = found.clone();
        write(store, move |c| resources::delete(c, tenant, &found));
        assert_eq!(read(store, |c| resources::find(c, tenant, "User", &id(10))), None);
        assert_eq!(read(store, |c| resources::count(c, tenant, "User")), 0);
        assert_eq!(read(store, |c| unique::holder(c, tenant, "userName", "mira")), None);
        assert_eq!(read(store, |c| external_ids::of_resources(c, tenant, &[key])), vec![]);
        assert_eq!(refused(store.write(move |c| resources::delete(c, tenant, &again))), "not found");
        assert_eq!(read(store, |c| resources::count(c, tenant, "User")), 0);
        assert!(resource(store, tenant, "User", 11) > key);
    });
}

#[test]
fn lists_of_ids_and_keys_of_any_length() {
    for_each_database(|store| {
        let (tenant, other) = (tenant(store, 1).key, tenant(store, 2).key);
        let keys: Vec<ResourceKey> = write(store, move |conn| {
            (0..2_500).map(|n| super::fixture::add(conn, tenant, "User", 10_000 + n)).collect()
        });
        let ids: Vec<_> = (0..2_600).map(|n| id(10_000 + n)).collect();
        let mut found = read(store, |c| resources::by_ids(c, tenant, &ids));
        found.sort();
        assert_eq!(found.len(), 2_500);
        assert_eq!(found[7], (id(10_007), keys[7], "User".to_owned()));
        assert_eq!(read(store, |c| resources::by_ids(c, other, &ids)), vec![]);
        assert_eq!(read(store, |c| resources::by_ids(c, tenant, &[])), vec![]);

        let mut wanted = keys.clone();
        wanted.reverse();
        wanted.insert(3, ResourceKey(999_999));
        let found = read(store, |c| resources::by_keys(c, tenant, &wanted));
        assert_eq!(found.iter().map(|r| r.key).collect::<Vec<_>>(), keys.iter().rev().copied().collect::<Vec<_>>());
        assert_eq!(read(store, |c| resources::by_keys(c, other, &wanted)), vec![]);
    });
}

#[test]
fn unique_values_have_one_holder_in_their_scope() {
    for_each_database(|store| {
        let (tenant, other) = (tenant(store, 1).key, tenant(store, 2).key);
        let key = resource(store, tenant, "User", 10);
        let foreign = resource(store, other, "User", 11);
        let claim =
            |tenant, scope: &'static str, key| write(store, move |c| unique::claim(c, tenant, scope, "mira", key));
        assert!(claim(tenant, "userName", key));
        assert!(claim(tenant, "Agent.name", key));
        assert!(claim(other, "userName", foreign));
        assert_eq!(read(store, |c| unique::holder(c, tenant, "userName", "mira")), Some(key));
        assert_eq!(read(store, |c| unique::holder(c, other, "userName", "mira")), Some(foreign));
        assert_eq!(read(store, |c| unique::holder(c, tenant, "userName", "Mira")), None);
        // Only who has a value gives it back.
        write(store, move |c| unique::release(c, tenant, "userName", "mira", foreign));
        assert_eq!(read(store, |c| unique::holder(c, tenant, "userName", "mira")), Some(key));
        write(store, move |c| unique::release(c, tenant, "userName", "mira", key));
        assert_eq!(read(store, |c| unique::holder(c, tenant, "userName", "mira")), None);
        assert_eq!(read(store, |c| unique::holder(c, other, "userName", "mira")), Some(foreign));
    });
}

#[test]
fn each_connection_has_its_own_external_ids() {
    for_each_database(|store| {
        let (tenant, other) = (tenant(store, 1).key, tenant(store, 2).key);
        let (one, two) = (connection(store, tenant, 50).key, connection(store, tenant, 60).key);
        let (a, b) = (resource(store, tenant, "User", 10), resource(store, tenant, "User", 11));
        let group = resource(store, tenant, "Group", 12);
        let set = |connection, type_name: &'static str, key, value: Option<&'static str>| {
            write(store, move |c| external_ids::set(c, tenant, connection, type_name, key, value))
        };
        set(one, "User", a, Some("x"));
        set(one, "User", a, Some("x"));
        set(two, "User", b, Some("x"));
        set(one, "Group", group, Some("x"));
        // Whether they are unique is the client's affair.
        set(one, "User", b, Some("x"));
        let called = |tenant| read(store, |c| external_ids::of_resources(c, tenant, &[a, b]));
        let all = vec![(a, one, "x".to_owned()), (b, one, "x".to_owned()), (b, two, "x".to_owned())];
        assert_eq!((called(tenant), called(other)), (all, vec![]));
        set(one, "User", b, Some("z"));
        assert_eq!(read(store, |c| external_ids::get(c, tenant, one, b)).as_deref(), Some("z"));
        let expected = HashMap::from([(a, "x".to_owned()), (b, "z".to_owned())]);
        assert_eq!(read(store, |c| external_ids::many(c, tenant, one, &[a, b])), expected);
        set(one, "User", b, None);
        set(one, "User", b, None);
        assert_eq!(read(store, |c| external_ids::get(c, tenant, one, b)), None);
        assert_eq!(read(store, |c| external_ids::get(c, tenant, two, b)).as_deref(), Some("x"));
        assert_eq!(read(store, |c| external_ids::get(c, other, two, b)), None);
    });
}
