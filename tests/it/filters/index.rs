//! The index is a function of the documents.

use std::collections::HashSet;

use diesel::prelude::*;
use keyroll::domain::TenantKey;
use keyroll::scim::schema::registry;
use keyroll::store::index::{self, IndexRow};
use keyroll::store::schema::{index_paths, resource_index};
use keyroll::store::{Conn, Error, ResourceKey, Store};
use proptest::prelude::*;
use serde_json::{Map, Value, json};

use super::directory::{Directory, document, example, read};

/// The rows of a resource.
fn rows(conn: &mut Conn, key: ResourceKey) -> Vec<IndexRow> {
    let columns = (
        resource_index::path,
        resource_index::value,
        resource_index::element,
        resource_index::is_primary,
        resource_index::cut,
    );
    let query = resource_index::table.select(columns).filter(resource_index::resource.eq(key.0));
    let rows: Vec<(i32, String, i32, bool, bool)> = query.load(conn.settled().unwrap()).unwrap();
    let row = |(path, value, element, is_primary, cut)| IndexRow { path, value, element, is_primary, cut };
    rows.into_iter().map(row).collect()
}

fn check(store: &Store, key: ResourceKey, document: &Map<String, Value>) {
    let found = read(store, |conn| Ok(rows(conn, key)));
    let expected: HashSet<IndexRow> =
        index::derive(registry().by_name("User").unwrap(), document).into_iter().collect();
    assert_eq!(found.len(), expected.len());
    assert_eq!(found.into_iter().collect::<HashSet<_>>(), expected);
}

fn write(store: &Store, tenant: TenantKey, key: ResourceKey, before: Option<&Value>, after: Option<&Value>) {
    let object = |value: Option<&Value>| value.and_then(Value::as_object).cloned();
    let (before, after, user) = (object(before), object(after), registry().by_name("User").unwrap());
    let written = move |conn: &mut Conn| index::write(conn, tenant, user, key, before.as_ref(), after.as_ref());
    store.write::<_, Error>(written).unwrap();
}

#[test]
fn it_follows_the_document() {
    super::run(24, prop::collection::vec(document(), 1..5), |store, documents| {
        let directory = Directory::fill(store, &example());
        let key = ResourceKey(1 << 40);
        let mut before: Option<&Value> = None;
        for document in documents {
            write(store, directory.tenant, key, before, Some(document));
            check(store, key, document.as_object().unwrap());
            before = Some(document);
        }
        write(store, directory.tenant, key, before, None);
        check(store, key, &Map::new());
    });
}

#[test]
fn references_are_found_by_their_value() {
    for (_, store) in super::stores() {
        let tenant = Directory::fill(&store, &example()).tenant;
        let other = Directory::fill(&store, &example()).tenant;
        let urn = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User";
        let manager = |id: &str| json!({urn: {"manager": {"value": id}}});
        for (tenant, key, id) in [(tenant, 1_001, "a"), (tenant, 1_002, "b"), (tenant, 1_003, "a"), (other, 1_004, "a")]
        {
            write(&store, tenant, ResourceKey(key), None, Some(&manager(id)));
        }
        let user = registry().by_name("User").unwrap();
        let path = format!("{urn}:manager.value");
        let found = read(&store, |conn| index::referrers(conn, tenant, user, &path, "a"));
        assert_eq!(found, [ResourceKey(1_001), ResourceKey(1_003)]);
    }
}

#[test]
fn opening_indexes_by_new_paths_and_forgets_old_ones() {
    for (database, store) in super::stores() {
        let directory = Directory::fill(&store, &example());
        let entry = directory.entries[0].clone();
        // As a version left it that indexed `title`, and not `displayName`.
        store
            .write::<_, Error>(|conn| {
                let display = index_paths::table.select(index_paths::key).filter(index_paths::path.eq("displayName"));
                let display: Vec<i32> = display.load(conn.settled().unwrap()).unwrap();
                for key in display {
                    diesel::delete(resource_index::table.filter(resource_index::path.eq(key)))
                        .execute(conn.settled().unwrap())
                        .unwrap();
                    diesel::delete(index_paths::table.filter(index_paths::key.eq(key)))
                        .execute(conn.settled().unwrap())
                        .unwrap();
                }
                let title = (index_paths::key.eq(5), index_paths::type_name.eq("User"), index_paths::path.eq("title"));
                diesel::insert_into(index_paths::table).values(title).execute(conn.settled().unwrap()).unwrap();
                let all = resource_index::table.filter(resource_index::element.eq(0));
                diesel::update(all.filter(resource_index::value.eq("true")))
                    .set(resource_index::path.eq(5))
                    .execute(conn.settled().unwrap())
                    .unwrap();
                Ok(())
            })
            .unwrap();
        drop(store);
        let store = Store::open(&database.settings).unwrap();
        let paths = read(&store, |conn| {
            let paths: Vec<(i32, String)> =
                index_paths::table.select((index_paths::key, index_paths::path)).load(conn.settled().unwrap()).unwrap();
            Ok(paths)
        });
        assert!(!paths.iter().any(|(_, path)| path == "title"));
        assert!(paths.iter().any(|(_, path)| path == "displayName"));
        let found = read(&store, |conn| Ok(rows(conn, entry.key)));
        let expected = index::derive(registry().by_name("User").unwrap(), &entry.document);
        // `active` went with the path that was forgotten.
        let expected: HashSet<_> = expected.into_iter().filter(|row| row.value != "true").collect();
        assert_eq!(found.into_iter().collect::<HashSet<_>>(), expected);
    }
}
