//! Where principals are looked for: in the order of keys, a stretch at a time.

use keyroll::domain::TenantKey;
use keyroll::domain::mapping::GroupName;
use keyroll::scim::schema::registry;
use keyroll::store::candidates::{self, KeyRange, LAST_KEY};
use keyroll::store::{ResourceKey, Store, external_ids, facts, index, members};
use serde_json::{Value, json};

use super::fixture::{connection, id, read, resource, tenant, write};
use crate::support::for_each_database;

fn join(store: &Store, tenant: TenantKey, group: ResourceKey, who: &[ResourceKey]) {
    let who = who.to_vec();
    write(store, move |conn| members::add(conn, tenant, group, &who, 1));
}

#[test]
fn members_of_many_groups_come_in_order() {
    for_each_database(|store| {
        let (tenant, other) = (tenant(store, 1).key, tenant(store, 2).key);
        let groups: Vec<_> = (1..4).map(|number| resource(store, tenant, "Group", number)).collect();
        let u: Vec<_> = (10..17).map(|number| resource(store, tenant, "User", number)).collect();
        let (one, two, three) = (groups[0], groups[1], groups[2]);
        join(store, tenant, one, &[u[0], u[1], u[2], u[5]]);
        join(store, tenant, two, &[u[1], u[3], u[4], u[5], u[6]]);
        join(store, tenant, one, &[two]);
        join(store, tenant, two, &[three]);
        let inside = |groups: &[ResourceKey]| read(store, |conn| candidates::inside(conn, tenant, groups));
        assert_eq!(inside(&[one]), [one, two, three]);
        assert_eq!(inside(&[three, two]), [two, three]);
        let first = |tenant, groups: &[ResourceKey], after, each| {
            let found = read(store, |conn| candidates::members(conn, tenant, groups, after, each));
            groups.iter().map(|group| found.get(group).cloned().unwrap_or_default()).collect::<Vec<_>>()
        };
        // The groups inside stand first among the keys and are no principals.
        let all = [vec![u[0], u[1], u[2], u[5]], vec![u[1], u[3], u[4], u[5], u[6]], vec![]];
        assert_eq!(first(tenant, &groups, ResourceKey(0), 10), all);
        assert_eq!(first(tenant, &groups, ResourceKey(0), 2), [vec![u[0], u[1]], vec![u[1], u[3]], vec![]]);
        assert_eq!(first(tenant, &[two, one], u[1], 2), [vec![u[3], u[4]], vec![u[2], u[5]]]);
        assert_eq!(first(tenant, &[one], u[5], 2), [vec![]]);
        assert_eq!(first(other, &[one], ResourceKey(0), 2), [vec![]]);
        // Who has left is no candidate.
        let gone = u[1];
        write(store, move |conn| members::remove(conn, tenant, one, &[gone], 2));
        assert_eq!(first(tenant, &[one], ResourceKey(0), 2), [vec![u[0], u[2]]]);
    });
}

#[test]
fn groups_are_found_by_every_name() {
    for_each_database(|store| {
        let (tenant, other) = (tenant(store, 1).key, tenant(store, 2).key);
        let from = connection(store, tenant, 50);
        let groups: Vec<_> = (1..5).map(|number| resource(store, tenant, "Group", number)).collect();
        resource(store, tenant, "User", 9);
        let group = registry().by_name("Group").unwrap();
        let long = "Ä".repeat(600);
        for (key, name) in [(groups[0], "Finance \"x\""), (groups[1], &*long)] {
            let document = json!({ "displayName": name });
            let rows = index::derive(group, document.as_object().unwrap());
            write(store, move |conn| index::add(conn, tenant, key, &rows));
        }
        let called = move |conn: &mut keyroll::store::Conn, key| {
            external_ids::set(conn, tenant, from.key, "Group", key, Some("X'1"))
        };
        let third = groups[2];
        write(store, move |conn| called(conn, third));
        let named = |tenant, names: &[GroupName]| {
            let names: Vec<&GroupName> = names.iter().collect();
            read(store, |conn| candidates::named(conn, tenant, &names))
        };
        let display = |name: &str| GroupName::DisplayName(name.to_owned());
        let external = |name: &str| GroupName::ExternalId(name.to_owned());
        assert_eq!(named(tenant, &[display("FINANCE \"X\"")]), [groups[0]]);
        assert_eq!(named(tenant, &[display(&"ä".repeat(600))]), [groups[1]]);
        assert_eq!(named(tenant, &[external("X'1")]), [groups[2]]);
        assert_eq!(named(tenant, &[external("x'1"), display("Finance")]), []);
        assert_eq!(named(tenant, &[GroupName::Id(id(4)), GroupName::Id(id(9))]), [groups[3]]);
        let all = [GroupName::Id(id(4)), external("X'1"), display("finance \"x\""), display("none")];
        assert_eq!(named(tenant, &all), [groups[0], groups[2], groups[3]]);
        assert_eq!(named(other, &all), []);

        let few = |tenant, most| read(store, |conn| facts::all_groups(conn, tenant, most, true));
        assert_eq!(few(tenant, 3), None);
        let by_key = read(store, |conn| facts::groups(conn, tenant, &groups, true));
        assert_eq!(by_key[&groups[2].0].external_ids, ["X'1"]);
        assert_eq!(by_key.len(), 4);
        assert_eq!(few(tenant, 4), Some(by_key));
        assert_eq!(few(other, 0).map(|found| found.len()), Some(0));
    });
}

#[test]
fn values_and_documents_come_a_stretch_at_a_time() {
    for_each_database(|store| {
        let (tenant, other) = (tenant(store, 1).key, tenant(store, 2).key);
        let user = registry().by_name("User").unwrap();
        let keys: Vec<_> = (1..5).map(|number| resource(store, tenant, "User", number)).collect();
        // Twice in one document is one resource all the same.
        let roles = |values: &[&str]| -> Value {
            json!({"roles": values.iter().map(|value| json!({"value": value})).collect::<Vec<_>>()})
        };
        for (key, values) in [(keys[0], &["Clerk", "clerk"][..]), (keys[1], &["other"]), (keys[3], &["clerk"])] {
            let rows = index::derive(user, roles(values).as_object().unwrap());
            write(store, move |conn| index::add(conn, tenant, key, &rows));
        }
        let holding = |tenant, after, limit| {
            let path = (user, "roles.value");
            read(store, |conn| candidates::holding(conn, tenant, path, "clerk", after, limit))
        };
        assert_eq!(holding(tenant, ResourceKey(0), 1), KeyRange { keys: vec![keys[0]], until: keys[0] });
        assert_eq!(holding(tenant, keys[0], 9), KeyRange { keys: vec![keys[3]], until: LAST_KEY });
        assert_eq!(holding(other, ResourceKey(0), 9), KeyRange { keys: vec![], until: LAST_KEY });
        let documents = |tenant, after, limit| {
            let rows = read(store, |conn| candidates::documents(conn, tenant, user, after, limit));
            let name = |(key, document): (ResourceKey, serde_json::Map<String, Value>)| {
                (key, document["displayName"].as_str().unwrap().to_owned())
            };
            rows.into_iter().map(name).collect::<Vec<_>>()
        };
        let expected = [(keys[1], "User 2".to_owned()), (keys[2], "User 3".to_owned())];
        assert_eq!(documents(tenant, keys[0], 2), expected);
        assert_eq!(documents(tenant, keys[3], 2), []);
        assert_eq!(documents(other, ResourceKey(0), 2), []);
    });
}
