//! The planner against brute force: for random documents, filters and orders, a search finds what
//! `scim::filter::matches` finds in the views of all resources, on both databases.

mod directory;
mod filter;
mod index;
mod merged;
mod shapes;

use std::cell::RefCell;

use keyroll::scim::ResourceType;
use keyroll::scim::cursor::SortValue;
use keyroll::scim::filter::{self as scim_filter, Bound, Unknown};
use keyroll::scim::path::{AttrRef, Name, resolve};
use keyroll::scim::schema::registry;
use keyroll::scim::tolerance::{Dialect, Tolerances};
use keyroll::store::search::{Page, Position, Query, Sort, Start, candidates, needs_scan, search};
use keyroll::store::{ResourceKey, Store};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use self::directory::{BASE, Directory, Entry};
use crate::support::{databases, plans};

/// The databases of one test, filled anew for each case: opening one costs more than a case.
fn stores() -> Vec<(databases::TestDatabase, Store)> {
    plans::watch();
    let databases = [Some(databases::sqlite()), databases::postgres()].into_iter().flatten();
    databases.map(|database| Store::open(&database.settings).map(|store| (database, store)).unwrap()).collect()
}

fn bound(text: &str, resource_type: &'static ResourceType) -> Bound {
    let mut tolerances = Tolerances::new(Dialect::Auto);
    let filter = scim_filter::parse(text, &mut tolerances).unwrap_or_else(|error| panic!("{text}: {error:?}"));
    scim_filter::bind(&filter, resource_type, Unknown::Refuse, &mut tolerances)
        .unwrap_or_else(|error| panic!("{text}: {error:?}"))
}

fn attribute(resource_type: &'static ResourceType, path: &str) -> AttrRef {
    match resolve(resource_type, path) {
        Some(Name::Attribute(found)) => found,
        other => panic!("{path}: {other:?}"),
    }
}

/// One question to a directory.
struct Question<'q> {
    directory: &'q Directory,
    query: Query<'q>,
}

impl Question<'_> {
    fn page(&self, store: &Store, start: &Start, limit: usize, total: bool) -> Page {
        crate::filters::directory::read(store, |conn| {
            search(conn, self.directory.tenant, &self.query, start, limit, total)
        })
    }

    /// What brute force says, in order.
    fn expected(&self) -> Vec<ResourceKey> {
        let matches = |entry: &&Entry| {
            self.query.filter.is_none_or(|bound| {
                scim_filter::matches(bound, &self.directory.view(entry, self.query.connection.is_some()))
            })
        };
        let of_type = |entry: &&Entry| entry.type_name == self.query.resource_type.name;
        let sort_text = |entry: &Entry| {
            let sort = self.query.sort?;
            directory::sort_text(sort.by, &self.directory.view(entry, self.query.connection.is_some()))
        };
        let found = self.directory.entries.iter().filter(of_type).filter(matches);
        let found = found.map(|entry| (sort_text(entry), entry.key)).collect();
        let (descending, by) = self.query.sort.map(|sort| (sort.descending, sort.by.to_string())).unwrap_or_default();
        directory::in_order(found, descending, by == "meta.resourceType")
    }

    /// Everything that can be asked gives the same answer as brute force.
    fn check(&self, store: &Store, size: usize) {
        let expected = self.expected();
        let total = expected.len() as u64;
        let all = self.page(store, &Start::Offset(0), 1_000, true);
        assert_eq!((keys(&all), all.total, all.end), (expected.clone(), Some(total), None));
        let none = self.page(store, &Start::Offset(0), 0, true);
        assert_eq!((none.keys.len(), none.total), (0, Some(total)));
        assert_eq!(none.end.is_some(), total > 0, "a page without room");
        self.check_index_pages(store, &expected, size);
        self.check_cursor_pages(store, &expected, size);
        self.check_candidates(store, &expected, size);
    }

    /// Every match is among the candidates, which come in the order of their keys, each once.
    fn check_candidates(&self, store: &Store, expected: &[ResourceKey], size: usize) {
        let (mut found, mut after) = (vec![], ResourceKey(0));
        loop {
            let keys = directory::read(store, |conn| candidates(conn, self.directory.tenant, &self.query, after, size));
            let Some(last) = keys.last().copied() else { break };
            after = last;
            found.extend(keys);
        }
        assert!(found.is_sorted_by(|a, b| a < b), "{found:?}");
        assert!(expected.iter().all(|key| found.contains(key)), "{found:?} lack some of {expected:?}");
    }

    fn check_index_pages(&self, store: &Store, expected: &[ResourceKey], size: usize) {
        for first in (0..=expected.len() + 1).step_by(size) {
            let page = self.page(store, &Start::Offset(first as u64), size, true);
            let rest = expected.get(first..).unwrap_or_default();
            assert_eq!(keys(&page), rest[..rest.len().min(size)], "from {first}");
            assert_eq!(page.total, Some(expected.len() as u64), "from {first}");
            assert_eq!(page.end.is_some(), rest.len() > size, "from {first}");
        }
    }

    fn check_cursor_pages(&self, store: &Store, expected: &[ResourceKey], size: usize) {
        // The first page has no room, as when another type has filled it.
        let mut end = self.page(store, &Start::Offset(0), 0, false).end;
        let mut found = vec![];
        while let Some(position) = end {
            let start = Start::After(position);
            let page = self.page(store, &start, size, false);
            assert_eq!(page.total, None);
            found.extend(keys(&page));
            if let (true, Some(end)) = (found.len() == size, &page.end) {
                let again = self.page(store, &Start::After(end.clone()), 0, true);
                assert_eq!((again.end, again.total), (Some(end.clone()), Some(expected.len() as u64)));
            }
            end = page.end;
        }
        assert_eq!(found, expected, "cursor pages");
    }
}

/// Runs a property over many cases, each on both databases; of what was asked, neither may read too much.
fn run<S: Strategy>(cases: u32, strategy: S, test: impl Fn(&Store, &S::Value)) {
    let stores = RefCell::new(stores());
    let config = Config { cases, failure_persistence: None, max_shrink_iters: 400, ..Config::default() };
    let outcome = TestRunner::new(config).run(&strategy, |value| {
        for (_, store) in stores.borrow().iter() {
            test(store, &value);
        }
        Ok(())
    });
    if let Err(error) = outcome {
        panic!("{error}");
    }
    stores.borrow().iter().for_each(|(database, _)| plans::check(&database.settings.url));
}

#[test]
fn searches_find_what_brute_force_finds() {
    let orders = prop::option::of((prop::sample::select(filter::USER_ORDERS), any::<bool>()));
    let cases = (directory::plans(), prop::collection::vec((filter::users(), orders), 6), 1_usize..6, any::<bool>());
    run(48, cases, |store, (plan, questions, size, connected)| {
        let directory = Directory::fill(store, plan);
        let user = registry().by_name("User").unwrap();
        for (filter, order) in questions {
            let filter = directory.named(filter);
            println!("{filter} {order:?}");
            let bound = bound(&filter, user);
            let sort = order.map(|(by, descending)| Sort { by: attribute(user, by), descending });
            directory.ask(user, Some(&bound), sort, *connected).check(store, *size);
        }
    });
}

#[test]
fn groups_are_found_by_their_members() {
    let orders = prop::option::of((prop::sample::select(filter::GROUP_ORDERS), any::<bool>()));
    let cases = (directory::plans(), prop::collection::vec((filter::groups(), orders), 4), 1_usize..4);
    run(32, cases, |store, (plan, questions, size)| {
        let directory = Directory::fill(store, plan);
        let group = registry().by_name("Group").unwrap();
        for (filter, order) in questions {
            let filter = directory.named(filter);
            println!("{filter} {order:?}");
            let bound = bound(&filter, group);
            let sort = order.map(|(by, descending)| Sort { by: attribute(group, by), descending });
            directory.ask(group, Some(&bound), sort, true).check(store, *size);
        }
    });
}

#[test]
fn orders_without_a_filter_are_those_of_brute_force() {
    run(24, (directory::plans(), 1_usize..6), |store, (plan, size)| {
        let directory = Directory::fill(store, plan);
        let user = registry().by_name("User").unwrap();
        directory.ask(user, None, None, true).check(store, *size);
        for by in filter::USER_ORDERS {
            for descending in [false, true] {
                println!("{by} {descending}");
                let sort = Some(Sort { by: attribute(user, by), descending });
                directory.ask(user, None, sort, true).check(store, *size);
            }
        }
    });
}

fn keys(page: &Page) -> Vec<ResourceKey> {
    page.keys.clone()
}

/// Goes from page to page while rows come and go: what was there from the first and stays is shown, and nothing
/// twice.
fn changing_pages(
    store: &Store,
    directory: &mut Directory,
    seed: u64,
    untouched: &[ResourceKey],
    page: impl Fn(&Directory, &Start) -> Page,
) {
    let (mut found, mut start, mut turn, mut deleted) = (vec![], Start::Offset(0), seed, vec![]);
    loop {
        let page = page(directory, &start);
        found.extend(keys(&page));
        assert!(found.len() < 200, "there is no end");
        let Some(end) = page.end else { break };
        // Delete the very row that the cursor stands on, or another one, and add one.
        turn = turn.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        let victim = if turn % 3 == 0 { ResourceKey(end.last) } else { directory.any_user(turn >> 8) };
        deleted.extend(directory.delete(store, victim));
        if found.len() < 60 {
            directory.add_user(store, turn >> 16);
        }
        start = Start::After(end);
    }
    let mut once = found.clone();
    once.sort();
    once.dedup();
    assert_eq!(once.len(), found.len(), "repeated");
    let is_missed = |key: &&ResourceKey| !deleted.contains(*key) && !found.contains(*key);
    let missed: Vec<_> = untouched.iter().filter(is_missed).collect();
    assert!(missed.is_empty(), "missed {missed:?}");
}

#[test]
fn changes_between_pages_neither_hide_nor_repeat_others() {
    let orders = prop::option::of((prop::sample::select(filter::USER_ORDERS), any::<bool>()));
    let cases = (directory::plans(), orders, filter::users(), any::<bool>(), 1_usize..4, any::<u64>());
    run(32, cases, |store, (plan, order, filter, filtered, size, seed)| {
        let mut directory = Directory::fill(store, plan);
        let user = registry().by_name("User").unwrap();
        let filter = directory.named(filter);
        println!("{filter} {order:?}");
        let bound = bound(&filter, user);
        let sort = order.map(|(by, descending)| Sort { by: attribute(user, by), descending });
        let filter = filtered.then_some(&bound);
        let untouched = directory.ask(user, filter, sort, true).expected();
        changing_pages(store, &mut directory, *seed, &untouched, |directory, start| {
            directory.ask(user, filter, sort, true).page(store, start, *size, false)
        });
    });
}

#[test]
fn what_the_index_answers_reads_no_documents() {
    let user = registry().by_name("User").unwrap();
    let group = registry().by_name("Group").unwrap();
    let id = "01939e7a-5b1c-7def-8abc-0123456789ab";
    let scans = |resource_type, text: &str| {
        let bound = bound(text, resource_type);
        let query = Query { resource_type, filter: Some(&bound), connection: Some(1), base_url: BASE, sort: None };
        needs_scan(&query)
    };
    for text in [
        r#"userName eq "mira""#,
        r#"externalId eq "7" or externalId sw "8""#,
        r#"emails[type eq "work" and value eq "x"]"#,
        r#"emails[not (type eq "work") and value eq "x"]"#,
        r#"not (active eq true and userName sw "a")"#,
        r#"displayName ne "x" and name.givenName pr"#,
        r#"meta.lastModified gt "2026-11-22T08:00:00Z""#,
        r#"meta.resourceType eq "User" and userName gt "b""#,
        r#"groups eq "01939e7a-5b1c-7def-8abc-0123456789ab""#,
        r#"groups.display eq "x" or groups[display sw "y"]"#,
        r#"not (groups.display ne "x") and groups.display pr"#,
        r#"title eq "x" and id eq "no id""#,
    ] {
        assert!(!scans(user, text), "{text}");
    }
    assert!(!scans(group, &format!(r#"id eq "{id}" and members eq "{id}""#)));
    for text in [r#"title eq "x""#, r#"userName co "x""#, r#"emails pr"#, r#"emails[primary eq true]"#] {
        assert!(scans(user, text), "{text}");
    }
    let sort = |by| Some(Sort { by: attribute(user, by), descending: false });
    let sorted = |by| Query { resource_type: user, filter: None, connection: None, base_url: BASE, sort: sort(by) };
    assert!(!needs_scan(&sorted("userName")) && !needs_scan(&sorted("meta.created")) && !needs_scan(&sorted("id")));
    assert!(needs_scan(&sorted("title")) && needs_scan(&sorted("externalId")));
}

/// SQLite 3.51 joins with what EXISTS asks for, and counts the duplicates into OFFSET.
#[test]
fn several_values_of_a_resource_count_once() {
    for (_, store) in stores() {
        let directory = Directory::fill(&store, &directory::twins());
        let user = registry().by_name("User").unwrap();
        for text in [
            r#"emails.value eq "a""#,
            r#"emails.value sw "a""#,
            r#"emails.value pr"#,
            r#"emails[type eq "work" and value eq "a"]"#,
            r#"emails.value eq "a" or emails.value sw "b""#,
            r#"active eq true and emails.value sw "a" and emails.type pr"#,
        ] {
            let bound = bound(text, user);
            for by in [None, Some("userName"), Some("displayName"), Some("emails.value"), Some("meta.created")] {
                println!("{text} {by:?}");
                let sort = by.map(|by| Sort { by: attribute(user, by), descending: false });
                directory.ask(user, Some(&bound), sort, true).check(&store, 1);
            }
        }
    }
}

/// More than a chunk of candidates, with matches on both sides of its ends.
#[test]
fn scans_go_on_behind_a_chunk() {
    for (_, store) in stores() {
        let directory = Directory::fill(&store, &directory::crowd(2_100));
        let user = registry().by_name("User").unwrap();
        for text in [r#"title ew "99""#, r#"not (title ew "7")"#, r#"displayName co "9" and title pr"#] {
            let bound = bound(text, user);
            for by in [None, Some("displayName"), Some("title"), Some("meta.created")] {
                let sort = by.map(|by| Sort { by: attribute(user, by), descending: true });
                let question = directory.ask(user, Some(&bound), sort, true);
                let expected = question.expected();
                question.check_cursor_pages(&store, &expected, 900);
                let page = question.page(&store, &Start::Offset(15), 3, true);
                assert_eq!(keys(&page), expected[15..18], "{text} {by:?}");
                assert_eq!(page.total, Some(expected.len() as u64));
            }
        }
    }
}

#[test]
fn a_cursor_of_another_order_is_refused() {
    for (_, store) in stores() {
        let directory = Directory::fill(&store, &directory::example());
        let user = registry().by_name("User").unwrap();
        let sort = Some(Sort { by: attribute(user, "meta.created"), descending: false });
        let question = directory.ask(user, None, sort, true);
        let start = Start::After(Position { sort: Some(SortValue::Text("x".into())), last: 1 });
        let outcome: Result<Page, keyroll::store::Error> =
            store.read(|conn| search(conn, directory.tenant, &question.query, &start, 1, false));
        assert_eq!(outcome.unwrap_err().to_string(), "cursor.sort holds another order's key");
    }
}

#[test]
fn a_text_beyond_the_cut_is_another_one_than_what_is_left_of_it() {
    for (_, store) in &stores() {
        let directory = Directory::fill(store, &directory::around_the_cut());
        for (name, path) in [("User", "displayName"), ("Group", "displayName"), ("User", "groups.display")] {
            let resource_type = registry().by_name(name).unwrap();
            for bytes in 511..=514 {
                for operator in ["eq", "ne", "co", "sw", "ew", "gt", "ge", "lt", "le"] {
                    let text = format!("{path} {operator} \"{}\"", "z".repeat(bytes));
                    for text in [format!("not ({text})"), text] {
                        println!("{name} {path} {operator} {bytes}");
                        directory.ask(resource_type, Some(&bound(&text, resource_type)), None, false).check(store, 2);
                    }
                }
            }
        }
    }
}
