//! PostgreSQL chooses how to run a statement by what it expects; a directory may not make it read tables whole.

use std::cell::RefCell;

use chrono::TimeDelta;
use diesel::prelude::*;
use diesel::sql_types::BigInt;
use diesel::sqlite::SqliteConnection;
use keyroll::domain::class::Class;
use keyroll::domain::{Id, TenantKey};
use keyroll::scim::filter::{self, Unknown};
use keyroll::scim::schema::registry;
use keyroll::scim::tolerance::{Dialect, Tolerances};
use keyroll::store::access_facts::{self, Groups};
use keyroll::store::credentials::{self, Part};
use keyroll::store::search::{Query, Start, search};
use keyroll::store::{self, Conn, Error, ResourceKey, Store, candidates, facts, index, members, principals};

use super::fixture::{add, credential, id, principal, read as read_store, tenant, write};
use crate::support::databases::{postgres, sqlite};
use crate::support::plans;

const USERS: u64 = 300;
const CHAINS: u64 = 20;
const DEPTH: u64 = 3;
/// PostgreSQL plans a statement anew five times, and then compares with a plan for any values.
const TIMES: usize = 8;

/// Everybody in a group of every chain: PostgreSQL expects many groups around each group, too.
fn fill(conn: &mut Conn, tenant: TenantKey) -> Result<(Vec<ResourceKey>, Vec<ResourceKey>), Error> {
    let users: Vec<ResourceKey> = (0..USERS).map(|n| add(conn, tenant, "User", n)).collect::<Result<_, _>>()?;
    let mut outermost = vec![];
    for chain in 0..CHAINS {
        let mut inner = users.clone();
        for depth in 0..DEPTH {
            let number = 1_000 + chain * DEPTH + depth;
            let group = add(conn, tenant, "Group", number)?;
            let document = serde_json::json!({"displayName": format!("Group {number}")});
            let rows = index::derive(registry().by_name("Group").unwrap(), document.as_object().unwrap());
            index::add(conn, tenant, group, &rows)?;
            members::add(conn, tenant, group, &inner, 1)?;
            inner = vec![group];
        }
        outermost.extend(inner);
    }
    Ok((users, outermost))
}

#[derive(QueryableByName)]
struct Read {
    #[diesel(sql_type = BigInt)]
    whole: i64,
    #[diesel(sql_type = BigInt)]
    rows: i64,
}

/// How often this transaction has read a table from end to end, and the rows that it has read.
fn read(conn: &mut Conn) -> Result<(i64, i64), Error> {
    let read: Read = diesel::sql_query(
        "SELECT sum(seq_scan)::bigint AS whole, sum(seq_tup_read + idx_tup_fetch)::bigint AS rows \
         FROM pg_stat_xact_user_tables WHERE relname IN ('memberships', 'resources', 'resource_index', 'credentials')",
    )
    .get_result(conn.settled().unwrap())?;
    Ok((read.whole, read.rows))
}

/// Holds what some work reads each time against what there is to read for it.
fn reads(store: &Store, name: &str, most: i64, work: impl FnMut(&mut Conn) -> Result<usize, Error>) {
    let work = RefCell::new(work);
    let done: Result<_, Error> = store.read(|conn| {
        store::snapshot(conn, |conn| {
            let before = read(conn)?;
            let found: Vec<usize> = (0..TIMES).map(|_| work.borrow_mut()(conn)).collect::<Result<_, _>>()?;
            let after = read(conn)?;
            Ok((found[0], (after.0 - before.0, (after.1 - before.1) / TIMES as i64)))
        })
    });
    let (found, (whole, rows)) = done.unwrap();
    assert!(found > 0, "{name}");
    assert_eq!(whole, 0, "{name}");
    assert!(rows <= most, "{name}: {rows} rows");
}

#[test]
fn a_climb_through_groups_reads_no_table_whole() {
    let Some(database) = postgres() else { return };
    let store = Store::open(&database.settings).unwrap();
    let tenant = tenant(&store, 1).key;
    let (users, outermost) = write(&store, move |conn| {
        let filled = fill(conn, tenant)?;
        diesel::sql_query("ANALYZE").execute(conn.settled().unwrap())?;
        Ok(filled)
    });
    let page = &users[..50];
    let ids: Vec<Id> = (0..50).map(id).collect();
    reads(&store, "one user", 150, |conn| {
        Ok(access_facts::read(conn, tenant, &ids[..1], Groups::ExternalIds)?.groups.len())
    });
    reads(&store, "users", 3_500, |conn| Ok(access_facts::read(conn, tenant, &ids, Groups::ExternalIds)?.groups.len()));
    reads(&store, "groups of one", 150, |conn| Ok(members::groups_of(conn, tenant, &users[..1])?.len()));
    reads(&store, "groups of a page", 6_500, |conn| Ok(members::groups_of(conn, tenant, page)?.len()));
    reads(&store, "the past", 2_500, |conn| Ok(facts::edges(conn, tenant, page, 1)?.len()));
    reads(&store, "a circle", 100, |conn| Ok(members::circles(conn, tenant, users[0], &outermost[..1])?.len()));
    reads(&store, "those of a page", 150, |conn| {
        let team = members::direct_groups(conn, tenant, users[0])?[0];
        Ok(members::among(conn, tenant, team, page)?.len())
    });
    reads(&store, "inside", 100, |conn| Ok(candidates::inside(conn, tenant, &outermost)?.len()));
}

#[test]
fn who_is_in_a_group_is_found_from_its_name() {
    let Some(database) = postgres() else { return };
    let store = Store::open(&database.settings).unwrap();
    let tenant = tenant(&store, 1).key;
    let outermost = write(&store, move |conn| {
        let (_, outermost) = fill(conn, tenant)?;
        diesel::sql_query("ANALYZE").execute(conn.settled().unwrap())?;
        Ok(outermost)
    });
    assert_eq!(outermost.len() as u64, CHAINS);
    let user = registry().by_name("User").unwrap();
    let mut tolerances = Tolerances::new(Dialect::Auto);
    let parsed = filter::parse("groups.display eq \"group 1002\"", &mut tolerances).unwrap();
    let bound = filter::bind(&parsed, user, Unknown::Refuse, &mut tolerances).unwrap();
    let query = Query { resource_type: user, filter: Some(&bound), connection: None, base_url: "", sort: None };
    reads(&store, "members", 1_700, |conn| {
        let page = search(conn, tenant, &query, &Start::Offset(0), 10, true)?;
        assert_eq!((page.keys.len(), page.total), (10, Some(USERS)));
        Ok(page.keys.len())
    });
}

#[derive(QueryableByName)]
struct Tenant {
    #[diesel(sql_type = BigInt)]
    key: i64,
}

/// PostgreSQL knows nothing of a directory that was filled just now. Each value may be looked at once, or a few
/// times; with all others for each, as many as there are resources, these searches went on for minutes.
#[test]
fn a_search_that_no_index_answers_looks_at_each_value_once() {
    let Some(store) = plans::uncounted() else { return };
    let own = store.read(|conn| {
        Ok::<_, Error>(
            diesel::sql_query("SELECT key FROM tenants WHERE name = 'full 900'")
                .get_result::<Tenant>(conn.settled().unwrap())?,
        )
    });
    let tenant = TenantKey(own.unwrap().key);
    let user = registry().by_name("User").unwrap();
    for (text, most) in [
        (r#"emails.value co "full""#, 30_000),
        (r#"emails.value ew "full.example""#, 30_000),
        (r#"emails.value co "1@" or userName ew "2@full.example" or displayName co "3@""#, 60_000),
        (r#"emails.value co "full" and title eq "x" or userName eq "nobody" or emails.value co "full""#, 60_000),
        (r#"userName sw "username" and emails.value co "full""#, 60_000),
        (r#"userName gt "a" and emails.value ew "example""#, 60_000),
    ] {
        let mut tolerances = Tolerances::new(Dialect::Auto);
        let parsed = filter::parse(text, &mut tolerances).unwrap();
        let bound = filter::bind(&parsed, user, Unknown::Refuse, &mut tolerances).unwrap();
        let query = Query { resource_type: user, filter: Some(&bound), connection: None, base_url: "", sort: None };
        reads(store, text, most, |conn| {
            let page = search(conn, tenant, &query, &Start::Offset(0), 10, true)?;
            assert_eq!(page.keys.len(), 10, "{text}");
            Ok(page.keys.len())
        });
    }
}

/// What every story ends with would find what it is there for.
#[test]
fn statements_that_go_through_a_whole_tenant_are_found() {
    let database = sqlite();
    Store::open(&database.settings).unwrap();
    let mut conn = plans::unwatched::<SqliteConnection>(database.settings.url.strip_prefix("sqlite:").unwrap());
    let mut on_sqlite =
        |text: &str| plans::on_sqlite(&mut conn, text).map(|why| why.lines().next().unwrap().to_owned());
    let alone = |name: &str| Some(format!("{name} is searched by tenant alone on SQLite"));
    let check = "DELETE FROM resource_index WHERE resource = ? AND tenant = ?";
    assert_eq!(on_sqlite(check), alone("resource_index"));
    assert_eq!(on_sqlite("DELETE FROM resource_index WHERE resource = ? AND +tenant = ?"), None);
    assert_eq!(on_sqlite("SELECT id FROM principals WHERE tenant = ? AND name = ?"), alone("principals"));
    assert_eq!(on_sqlite("SELECT r.id FROM resources r"), Some("r is read whole on SQLite".to_owned()));
    assert_eq!(
        on_sqlite("SELECT absent FROM resources WHERE tenant = ?"),
        Some("cannot be planned (no such column: absent)".to_owned())
    );
    let again = "SELECT (SELECT max(s.value) FROM resource_index s WHERE s.tenant = ? AND s.path = ? AND s.cut = r.key) \
                 FROM resources r WHERE r.key = ?";
    assert_eq!(
        on_sqlite(again),
        Some("s is searched by tenant, path again and again, or for a change on SQLite".to_owned())
    );

    let first = |whys: Vec<String>| whys.first().map(|why| why.lines().next().unwrap().to_owned());
    for (text, expected) in [
        ("SELECT id FROM resources WHERE tenant = $1 AND id = $2", None),
        ("SELECT id FROM resources WHERE tenant = $1", Some("resources is searched by tenant alone")),
        ("SELECT id FROM resources WHERE tenant = $1 AND display = $2", Some("resources is searched by tenant alone")),
        ("SELECT id FROM resources WHERE document = $1", Some("resources is read whole")),
        (
            "SELECT id FROM resources WHERE tenant = $1 AND id IN (SELECT decode(unnest(CAST($2 AS text[])), 'hex'))",
            Some("a Hash Join"),
        ),
        (
            "SELECT absent FROM resources WHERE tenant = $1",
            Some("cannot be planned (column \"absent\" does not exist)"),
        ),
    ] {
        let Some(whys) = plans::on_full_postgres(text) else { return };
        let on = |why: &str| if why.starts_with("cannot") { "" } else { " on PostgreSQL without statistics" };
        let expected = expected.map(|why| format!("{why}{}", on(why)));
        assert_eq!(first(whys), expected, "{text}");
    }
    // What looks good while there is nothing goes on when there is much.
    for (text, expected) in [
        (
            "SELECT version FROM resources WHERE tenant = $1 AND type = $2 AND id = $3",
            "resources is searched by tenant, type, and not by resources_tenant_id_key",
        ),
        (
            "SELECT name FROM resources r CROSS JOIN tenants t WHERE t.key = $1 AND r.tenant = t.key AND r.type = $2 \
             AND r.modified = $3",
            "r is searched by tenant, type, and not by resources_modified",
        ),
        (
            "SELECT from_seq FROM memberships WHERE member_key = $1 AND nested = TRUE AND until_seq IS NULL",
            "memberships is read whole",
        ),
        (
            "SELECT resource FROM resource_index WHERE tenant = $1 AND path = $2 ORDER BY value DESC, resource LIMIT 9",
            "resource_index is searched by what is wide, and then sorted by [\"value COLLATE \\\"C\\\" DESC\",\"resource\"]",
        ),
    ] {
        let Some(whys) = plans::on_full_postgres(text) else { return };
        let last = whys.last().map(|why| why.lines().next().unwrap().to_owned());
        assert_eq!(last, Some(format!("{expected} on PostgreSQL before there were rows")), "{text}");
    }
}

#[test]
fn a_page_of_keys_reads_a_page_of_rows_with_and_without_statistics() {
    const KEYS: u64 = 9_000;
    let Some(database) = postgres() else { return };
    let store = Store::open(&database.settings).unwrap();
    let tenant = tenant(&store, 1).key;
    write(&store, move |conn| {
        diesel::sql_query("ALTER TABLE credentials SET (autovacuum_enabled = off)").execute(conn.settled().unwrap())?;
        principals::insert(conn, tenant, &principal(10), 1)?;
        principals::insert(conn, tenant, &principal(11), 1)?;
        for n in 0..KEYS {
            let mut one = credential(1_000 + n, if n % 300 == 0 { 10 } else { 11 });
            one.class = if n % 450 == 0 { Class::Provisioning } else { Class::Service };
            one.expires_at += TimeDelta::seconds((n * 7_919 % KEYS) as i64);
            credentials::insert(conn, tenant, &one, &[0; 32])?;
        }
        Ok(())
    });
    for statement in ["SELECT 1", "ANALYZE credentials"] {
        write(&store, move |conn| Ok(diesel::sql_query(statement).execute(conn.settled().unwrap()).map(|_| ())?));
        let last = read_store(&store, |conn| credentials::list(conn, tenant, Part::All, None, 9_000));
        let (middle, end) = (last[4_500].0, last[4_500].1.credential.expires_at.timestamp_millis());
        let owner = id(10);
        for (name, part) in
            [("all", Part::All), ("an owner's", Part::Owner(&owner)), ("of a class", Part::Class(Class::Provisioning))]
        {
            reads(&store, name, 10, |conn| Ok(credentials::list(conn, tenant, part, Some(middle), 10)?.len()));
        }
        reads(&store, "ending", 10, |conn| Ok(credentials::ending(conn, tenant, (end, middle), i64::MAX, 10)?.len()));
    }
}
