//! What SQLite does for a search: `EXPLAIN QUERY PLAN` of its statements.

use diesel::sql_types::{Integer, Text};

use super::candidates::Slice;
use super::order::{Place, Segment};
use super::*;
use crate::scim::filter::{Unknown, bind, parse};
use crate::scim::path::{Name, resolve};
use crate::scim::schema::registry;
use crate::scim::tolerance::{Dialect, Tolerances};
use crate::store::types::ResourceKey;
use crate::store::{Settings, Store};

struct Database {
    store: Store,
    _folder: tempfile::TempDir,
}

fn database() -> Database {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("sqlite:{}", folder.path().join("keyroll.db").display());
    Database { store: Store::open(&Settings { url, readers: 1 }).unwrap(), _folder: folder }
}

fn bound(text: &str, resource_type: &'static ResourceType) -> Bound {
    let mut tolerances = Tolerances::new(Dialect::Auto);
    bind(&parse(text, &mut tolerances).unwrap(), resource_type, Unknown::Refuse, &mut tolerances).unwrap()
}

fn sort(resource_type: &'static ResourceType, text: &str) -> Sort {
    let (path, descending) = text.strip_suffix(" descending").map_or((text, false), |path| (path, true));
    match resolve(resource_type, path) {
        Some(Name::Attribute(by)) => Sort { by, descending },
        other => panic!("{text}: {other:?}"),
    }
}

/// Explains the statements of a search, a step a line, a statement a paragraph.
fn explain(database: &Database, type_name: &str, filter: &str, by: &str, resumed: bool) -> String {
    let resource_type = registry().by_name(type_name).unwrap();
    let filter = (!filter.is_empty()).then(|| bound(filter, resource_type));
    let sort = (!by.is_empty()).then(|| sort(resource_type, by));
    let query = Query { resource_type, filter: filter.as_ref(), connection: Some(1), base_url: "", sort };
    let plan = Plan::new(resource_type, query.filter, query.connection);
    let finder = Finder { query: &query, plan: &plan, order: Order::of(&query) };
    let statement = |segment: &Segment| {
        let value = if matches!(segment, Segment::Present(..)) { "x" } else { "7" };
        let place = Place { key: ResourceKey(7), value: Some(value.to_owned()) };
        let slice = Slice { after: resumed.then_some(&place), offset: 0, limit: 100 };
        let sql = finder.rows(TenantKey(1), false, *segment, slice, Some(&[7; 16])).unwrap();
        let (text, binds) = sql.parts();
        let text = format!("EXPLAIN QUERY PLAN {text}");
        let steps = database
            .store
            .read(|conn| conn.load_sql::<(Integer, Integer, Integer, Text), (i32, i32, i32, String)>(&text, binds));
        steps.unwrap().into_iter().map(|(.., step)| step).collect::<Vec<_>>().join("\n")
    };
    finder.order.segments().iter().map(statement).collect::<Vec<_>>().join("\n\n")
}

/// What a page costs that goes on behind another one; steps that only build lists are left out.
fn check(type_name: &str, filter: &str, by: &str, expected: &str) {
    let filter = filter.replace("$ID", "01939e7a-5b1c-7def-8abc-0123456789ab");
    let plan = explain(&database(), type_name, &filter, by, true);
    let noise = ["CORRELATED SCALAR", "SCALAR SUBQUERY", "LIST SUBQUERY", "CREATE BLOOM", "LEFT-MOST", "COMPOUND"];
    let steps: Vec<&str> = plan.lines().filter(|step| !noise.iter().any(|noise| step.starts_with(noise))).collect();
    assert_eq!(steps.join("\n"), expected, "{type_name} {filter} {by}");
}

#[test]
fn names_are_points() {
    let point = "SEARCH d USING PRIMARY KEY (tenant=? AND path=? AND value=? AND resource>?)";
    check("User", r#"userName eq "a""#, "", point);
    check("Group", r#"displayName eq "a""#, "", point);
    check("User", r#"id eq "$ID""#, "", "SEARCH r USING INDEX sqlite_autoindex_resources_1 (tenant=? AND id=?)");
    let table = "SEARCH r USING COVERING INDEX resources_type (tenant=? AND type=? AND key=? AND rowid>?)";
    let external = "SEARCH e USING INDEX external_ids_value (connection=? AND type=? AND value=?)";
    check("User", r#"externalId eq "a""#, "", &format!("{table}\n{external}"));
    let row = |n| format!("SEARCH i{n} USING PRIMARY KEY (tenant=? AND path=? AND value=?)");
    check("User", r#"userName eq "a" or userName eq "b""#, "", &format!("{table}\n{}", row(1)));
    let union = format!("{table}\n{}\nUNION ALL\n{}", row(1), row(2));
    check("User", r#"userName eq "a" or emails.value eq "b""#, "", &union);
}

#[test]
fn elements_are_joined_by_their_number() {
    check(
        "User",
        r#"emails.value eq "a""#,
        "",
        "SEARCH d USING PRIMARY KEY (tenant=? AND path=? AND value=? AND resource>?)\n\
         SEARCH o USING COVERING INDEX resource_index_resource (resource=? AND path=? AND tenant=? AND value=? AND element<?)",
    );
    check(
        "User",
        r#"emails[type eq "work" and value eq "x"]"#,
        "",
        "SEARCH r USING COVERING INDEX resources_type (tenant=? AND type=? AND key=? AND rowid>?)\n\
         SEARCH i1 USING PRIMARY KEY (tenant=? AND path=? AND value=?)\n\
         SEARCH i2 USING COVERING INDEX resource_index_resource (resource=? AND path=? AND tenant=? AND value=? AND element=?)",
    );
}

#[test]
fn the_most_selective_part_drives() {
    check(
        "User",
        r#"active eq true and userName sw "a""#,
        "",
        "SEARCH r USING COVERING INDEX resources_type (tenant=? AND type=? AND key=? AND rowid>?)\n\
         SEARCH i1 USING PRIMARY KEY (tenant=? AND path=? AND value>? AND value<?)\n\
         SEARCH i2 USING COVERING INDEX resource_index_resource (resource=? AND path=? AND tenant=? AND value=?)",
    );
    check(
        "User",
        r#"meta.lastModified gt "2026-11-22T08:00:00Z""#,
        "",
        "SEARCH r USING COVERING INDEX resources_type (tenant=? AND type=? AND key=? AND rowid>?)\n\
         SEARCH r USING COVERING INDEX resources_modified (tenant=? AND type=? AND modified>?)",
    );
    // Half of all resources: a walk in the order of the answer that stops when the page is full.
    let walk = "SEARCH d USING PRIMARY KEY (tenant=? AND path=? AND value=? AND resource>?)";
    check("User", "active eq true", "", walk);
}

#[test]
fn a_membership_is_a_point() {
    let id = "SEARCH resources USING COVERING INDEX sqlite_autoindex_resources_1 (tenant=? AND id=?)";
    check(
        "Group",
        r#"id eq "$ID" and members eq "$ID""#,
        "",
        &format!(
            "SEARCH r USING INDEX sqlite_autoindex_resources_1 (tenant=? AND id=?)\n\
             SEARCH m USING INDEX memberships_groups (member_key=? AND until_seq=? AND group_key=?)\n{id}"
        ),
    );
    check(
        "Group",
        r#"members[value eq "$ID"]"#,
        "",
        &format!(
            "SEARCH r USING COVERING INDEX resources_type (tenant=? AND type=? AND key=? AND rowid>?)\n\
             SEARCH g USING INDEX memberships_groups (member_key=? AND until_seq=?)\n{id}"
        ),
    );
}

#[test]
fn who_is_in_a_group_is_found_from_its_name() {
    check(
        "User",
        r#"groups.display eq "a""#,
        "",
        "SEARCH r USING COVERING INDEX resources_type (tenant=? AND type=? AND key=? AND rowid>?)\n\
         MATERIALIZE inside\n\
         SETUP\n\
         SEARCH m USING INDEX memberships_members (group_key=?)\n\
         SEARCH i1 USING PRIMARY KEY (tenant=? AND path=? AND value=?)\n\
         RECURSIVE STEP\n\
         SCAN inside\n\
         SEARCH m USING INDEX memberships_members (group_key=?)\n\
         SCAN inside",
    );
    check(
        "User",
        r#"userName eq "a" and groups.display eq "a""#,
        "",
        "SEARCH d USING PRIMARY KEY (tenant=? AND path=? AND value=? AND resource>?)\n\
         CO-ROUTINE up\n\
         SETUP\n\
         SEARCH m USING INDEX memberships_groups (member_key=? AND until_seq=?)\n\
         RECURSIVE STEP\n\
         SCAN up\n\
         SEARCH m USING COVERING INDEX memberships_groups (member_key=? AND until_seq=?)\n\
         SCAN up\n\
         SEARCH i1 USING COVERING INDEX resource_index_resource (resource=? AND path=? AND tenant=? AND value=?)",
    );
}

#[test]
fn orders_walk_an_index() {
    let path = "SEARCH s USING PRIMARY KEY (tenant=? AND path=? AND value>?)";
    check("User", "", "userName", path);
    let back = "SEARCH s USING PRIMARY KEY (tenant=? AND path=? AND value<?)";
    check("User", "", "userName descending", back);
    let rest = "SEARCH r USING COVERING INDEX resources_type (tenant=? AND type=? AND key>?)\n\
         SEARCH n USING COVERING INDEX resource_index_resource (resource=? AND path=?)";
    check("User", "", "displayName", &format!("{path}\n\n{rest}"));
    let modified = "SEARCH r USING COVERING INDEX resources_modified (tenant=? AND type=? AND modified>?)";
    check("User", "", "meta.lastModified", modified);
    check("User", r#"meta.lastModified gt "2026-11-22T08:00:00Z""#, "meta.lastModified", modified);
    check("User", "", "id", "SEARCH r USING INDEX sqlite_autoindex_resources_1 (tenant=? AND id>?)");
}

#[test]
fn few_matches_are_sorted_after_they_are_found() {
    check(
        "User",
        r#"userName eq "a""#,
        "displayName",
        "CO-ROUTINE d\n\
         SEARCH i1 USING PRIMARY KEY (tenant=? AND path=? AND value=?)\n\
         SCAN d\n\
         SEARCH s USING INDEX resource_index_resource (resource=? AND path=? AND tenant=? AND value>?)\n\
         USE TEMP B-TREE FOR ORDER BY\n\n\
         SEARCH d USING PRIMARY KEY (tenant=? AND path=? AND value=? AND resource>?)\n\
         SEARCH n USING COVERING INDEX resource_index_resource (resource=? AND path=?)",
    );
}

#[test]
fn nothing_reads_the_whole_table() {
    let database = database();
    for filter in [
        r#"userName eq "a" and title eq "b""#,
        r#"emails[type eq "work" and value sw "x" and display eq "y"]"#,
        r#"groups eq "01939e7a-5b1c-7def-8abc-0123456789ab""#,
        r#"userName co "a""#,
        r#"not (active eq true)"#,
    ] {
        for by in ["", "userName", "displayName descending", "meta.created"] {
            for resumed in [false, true] {
                let plan = explain(&database, "User", filter, by, resumed);
                let is_scan = |step: &&str| {
                    step.starts_with("SCAN")
                        && !matches!(*step, "SCAN d" | "SCAN inside" | "SCAN down" | "SCAN f" | "SCAN up")
                };
                assert_eq!(plan.lines().find(is_scan), None, "{filter} {by}\n{plan}");
            }
        }
    }
}
