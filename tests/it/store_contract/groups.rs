//! Members and nesting.

use diesel::prelude::*;
use diesel::sql_types::{BigInt, Text};
use keyroll::domain::facts::Edge;
use keyroll::domain::{Id, TenantKey};
use keyroll::store::access_facts::{self, AT_ONCE, Groups};
use keyroll::store::{Conn, Error, ResourceKey, Store, facts, members};

use super::fixture::{add, id, read, resource, tenant, write};
use crate::support::databases::sqlite;
use crate::support::for_each_database;

fn join(store: &Store, tenant: TenantKey, group: ResourceKey, who: &[ResourceKey], seq: i64) -> Vec<ResourceKey> {
    let who = who.to_vec();
    let mut added = write(store, move |conn| members::add(conn, tenant, group, &who, seq));
    added.sort();
    added
}

#[test]
fn members_come_and_go_once() {
    for_each_database(|store| {
        let (tenant, other) = (tenant(store, 1).key, tenant(store, 2).key);
        let group = resource(store, tenant, "Group", 10);
        let (a, b, c) = (
            resource(store, tenant, "User", 11),
            resource(store, tenant, "User", 12),
            resource(store, tenant, "Group", 13),
        );
        assert_eq!(join(store, tenant, group, &[b, a, a], 1), vec![a, b]);
        assert_eq!(join(store, tenant, group, &[a, c], 2), vec![c]);
        assert_eq!(join(store, tenant, group, &[], 2), vec![]);
        let page = |after, limit| read(store, |conn| members::page(conn, tenant, group, after, limit));
        let keys = |page: Vec<members::Member>| page.into_iter().map(|m| m.key).collect::<Vec<_>>();
        assert_eq!(keys(page(None, 10)), vec![a, b, c]);
        assert_eq!(keys(page(None, 2)), vec![a, b]);
        assert_eq!(keys(page(Some(b), 2)), vec![c]);
        let last = page(Some(b), 2).remove(0);
        assert_eq!((last.id, last.type_name.as_str(), last.display.as_deref()), (id(13), "Group", Some("Group 13")));
        assert_eq!(read(store, |conn| members::page(conn, other, group, None, 10)), vec![]);
        assert_eq!(read(store, |conn| members::count_up_to(conn, tenant, group, 2)), 2);
        assert_eq!(read(store, |conn| members::count_up_to(conn, tenant, group, 101)), 3);
        assert_eq!(read(store, |conn| members::count_up_to(conn, other, group, 101)), 0);
        assert_eq!(read(store, |conn| members::among(conn, tenant, group, &[a])), [a]);
        assert_eq!(read(store, |conn| members::among(conn, other, group, &[a])), []);

        let foreign = write(store, move |conn| members::remove(conn, other, group, &[a], 3));
        assert_eq!(foreign, vec![]);
        assert_eq!(write(store, move |conn| members::remove(conn, tenant, group, &[a, group], 3)), vec![a]);
        assert_eq!(write(store, move |conn| members::remove(conn, tenant, group, &[a], 3)), vec![]);
        assert_eq!(read(store, |conn| members::among(conn, tenant, group, &[a])), []);
        assert_eq!(join(store, tenant, group, &[a], 4), vec![a]);
        assert_eq!(write(store, move |conn| members::clear(conn, tenant, group, 5)), 3);
        assert_eq!(keys(page(None, 10)), vec![]);
        // a: 1–3 and 4–5; b: 1–5; c: 2–5.
        assert_eq!(history(store), vec![(1, 3), (1, 5), (2, 5), (4, 5)]);
    });
}

#[derive(QueryableByName)]
struct Range {
    #[diesel(sql_type = BigInt)]
    from_seq: i64,
    #[diesel(sql_type = BigInt)]
    until_seq: i64,
}

fn history(store: &Store) -> Vec<(i64, i64)> {
    let sql = "SELECT from_seq, until_seq FROM memberships ORDER BY 1, 2";
    let rows: Vec<Range> =
        read(store, |conn| diesel::sql_query(sql).load(conn.settled().unwrap()).map_err(Error::from));
    rows.into_iter().map(|row| (row.from_seq, row.until_seq)).collect()
}

#[test]
fn a_member_leaves_every_group() {
    for_each_database(|store| {
        let tenant = tenant(store, 1).key;
        let groups: Vec<_> = (10..13).map(|n| resource(store, tenant, "Group", n)).collect();
        let (a, b) = (resource(store, tenant, "User", 20), resource(store, tenant, "User", 21));
        join(store, tenant, groups[0], &[a, b], 1);
        join(store, tenant, groups[2], &[a], 2);
        let mut left = write(store, move |conn| members::remove_everywhere(conn, tenant, a, 3));
        left.sort();
        assert_eq!(left, vec![groups[0], groups[2]]);
        assert_eq!(write(store, move |conn| members::remove_everywhere(conn, tenant, a, 3)), vec![]);
        assert_eq!(read(store, |conn| members::among(conn, tenant, groups[0], &[b])), [b]);
    });
}

/// user → team → department → company, and user → company by itself.
#[test]
fn nested_groups_are_found_from_below() {
    for_each_database(|store| {
        let tenant = tenant(store, 1).key;
        let user = resource(store, tenant, "User", 10);
        let lone = resource(store, tenant, "User", 11);
        let team = resource(store, tenant, "Group", 12);
        let department = resource(store, tenant, "Group", 13);
        let company = resource(store, tenant, "Group", 14);
        join(store, tenant, team, &[user], 1);
        join(store, tenant, department, &[team], 2);
        join(store, tenant, company, &[department, user], 3);

        let groups = |keys: &[ResourceKey]| {
            let found = read(store, |conn| members::groups_of(conn, tenant, keys));
            let mut rows: Vec<_> =
                found.into_iter().flat_map(|(of, refs)| refs.into_iter().map(move |r| (of, r.key, r.direct))).collect();
            rows.sort();
            rows
        };
        let of_user = vec![(user, team, true), (user, department, false), (user, company, true)];
        assert_eq!(groups(&[user]), of_user);
        assert_eq!(groups(&[lone]), vec![]);
        assert_eq!(groups(&[]), vec![]);
        let of_team = vec![(team, department, true), (team, company, false)];
        assert_eq!(groups(&[lone, user, team]), [of_user, of_team].concat());
        let found = read(store, |conn| members::groups_of(conn, tenant, &[user]));
        assert_eq!((found[&user][0].id, found[&user][0].display.as_deref()), (id(12), Some("Group 12")));
        let other = super::fixture::tenant(store, 2).key;
        assert!(read(store, |conn| members::groups_of(conn, other, &[user])).is_empty());
        assert_eq!(read(store, |conn| members::direct_groups(conn, tenant, user)), vec![team, company]);

        let circles = |group, new: &[ResourceKey]| read(store, |conn| members::circles(conn, tenant, group, new));
        assert_eq!(circles(team, &[lone, company, team]), [company, team]);
        assert_eq!(circles(team, &[department]), [department]);
        assert_eq!(circles(team, &[team]), [team]);
        assert_eq!(circles(company, &[team, lone]), []);
        write(store, move |conn| members::remove(conn, tenant, department, &[team], 4));
        assert_eq!(circles(team, &[company]), []);
        assert_eq!(groups(&[user]), vec![(user, team, true), (user, company, true)]);
    });
}

#[test]
fn opposite_edges_do_not_close_a_circle() {
    for_each_database(|store| {
        let tenant = tenant(store, 1).key;
        for round in 0..10 {
            let (a, b) =
                (resource(store, tenant, "Group", 100 + round * 2), resource(store, tenant, "Group", 101 + round * 2));
            let put = |group, member| {
                let done = store.write_for(tenant, vec![], move |conn| {
                    if !members::circles(conn, tenant, group, &[member])?.is_empty() {
                        return Ok(false);
                    }
                    members::add(conn, tenant, group, &[member], 1).map(|_| true)
                });
                done.unwrap()
            };
            let (one, two) = std::thread::scope(|scope| {
                let (one, two) = (scope.spawn(|| put(a, b)), scope.spawn(|| put(b, a)));
                (one.join().unwrap(), two.join().unwrap())
            });
            assert!(one ^ two);
        }
    });
}

/// What SQLite itself counts: every row that a transaction inserted, updated or deleted.
fn rows_changed(conn: &mut Conn) -> Result<i64, Error> {
    diesel::select(diesel::dsl::sql::<BigInt>("total_changes()"))
        .get_result(conn.settled().unwrap())
        .map_err(Error::from)
}

#[test]
fn a_change_costs_the_same_in_a_large_group() {
    let database = sqlite();
    let store = Store::open(&database.settings).unwrap();
    let tenant = tenant(&store, 1).key;
    let costs: Vec<(i64, i64)> = [10u64, 5_000]
        .into_iter()
        .map(|size| {
            let group = resource(&store, tenant, "Group", size * 100);
            let users: Vec<ResourceKey> =
                write(&store, move |conn| (1..=size).map(|n| add(conn, tenant, "User", size * 100 + n)).collect());
            assert_eq!(join(&store, tenant, group, &users, 1).len(), size as usize);
            let new = resource(&store, tenant, "User", size * 200 + 1);
            write(&store, move |conn| {
                let start = rows_changed(conn)?;
                members::add(conn, tenant, group, &[new], 2)?;
                let added = rows_changed(conn)?;
                members::remove(conn, tenant, group, &[new], 3)?;
                Ok((added - start, rows_changed(conn)? - added))
            })
        })
        .collect();
    assert_eq!(costs, vec![(1, 1), (1, 1)]);
}

#[derive(QueryableByName)]
struct Plan {
    #[diesel(sql_type = Text)]
    detail: String,
}

#[test]
fn look_ups_use_their_indexes() {
    let database = sqlite();
    let store = Store::open(&database.settings).unwrap();
    let list = "(SELECT value FROM json_each('[1,2]'))";
    let climb = "WITH RECURSIVE up (grp) AS (\
         SELECT group_key FROM memberships WHERE member_key = 1 AND until_seq IS NULL AND tenant = 1 \
         UNION SELECT m.group_key FROM up JOIN memberships m ON m.member_key = up.grp AND m.until_seq IS NULL) \
         SELECT grp FROM up";
    for (sql, index) in [
        (
            format!(
                "UPDATE memberships SET until_seq = 1 \
                 WHERE tenant = 1 AND group_key = 1 AND until_seq IS NULL AND member_key IN {list}"
            ),
            "memberships_groups (member_key=? AND until_seq=? AND group_key=?)",
        ),
        (
            "SELECT 1 FROM memberships WHERE group_key = 1 AND until_seq IS NULL AND member_key > 5 \
             ORDER BY member_key"
                .to_owned(),
            "memberships_members (group_key=? AND member_key>?)",
        ),
        (climb.to_owned(), "memberships_groups (member_key=? AND until_seq=?)"),
        (
            "SELECT name FROM principals WHERE tenant = 1 AND name = 'operator' AND principals.local = TRUE".to_owned(),
            "principals_local (tenant=? AND name=?)",
        ),
    ] {
        let explain = format!("EXPLAIN QUERY PLAN {sql}");
        let plan: Vec<Plan> =
            write(&store, move |conn| diesel::sql_query(&explain).load(conn.settled().unwrap()).map_err(Error::from));
        let plan: Vec<String> = plan.into_iter().map(|row| row.detail).collect();
        assert!(plan.iter().any(|step| step.contains(index)), "{sql}: {plan:?}");
        assert!(!plan.iter().any(|step| step.contains("SCAN m")), "{sql}: {plan:?}");
        assert!(!plan.iter().any(|step| step.contains("TEMP B-TREE")), "{sql}: {plan:?}");
    }
}

#[test]
fn climbs_of_many_meet_in_the_groups_around_them() {
    for_each_database(|store| {
        let tenant = tenant(store, 1).key;
        let (team, company) = (resource(store, tenant, "Group", 5_001), resource(store, tenant, "Group", 5_002));
        let users: Vec<ResourceKey> =
            write(store, move |conn| (0..AT_ONCE as u64 + 1).map(|number| add(conn, tenant, "User", number)).collect());
        join(store, tenant, team, &users, 1);
        join(store, tenant, company, &[team], 2);
        let ids: Vec<Id> = (0..users.len() as u64).map(id).collect();
        let present = read(store, |conn| access_facts::read(conn, tenant, &ids, Groups::Names)).edges;
        let past = read(store, |conn| facts::edges(conn, tenant, &users, 2));
        for edges in [present, past] {
            assert_eq!(edges.len(), users.len() + 1);
            let last = users.last().unwrap();
            assert_eq!(edges[&last.0], [Edge { group: team.0, from_seq: 1 }]);
            assert_eq!(edges[&team.0], [Edge { group: company.0, from_seq: 2 }]);
        }
    });
}
