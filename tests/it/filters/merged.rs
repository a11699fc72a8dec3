//! One order over users, groups and agents against brute force: all of them, sorted here.

use keyroll::scim::filter::{self as scim_filter, Bound, Unknown};
use keyroll::scim::path::{AttrRef, Name, resolve};
use keyroll::scim::schema::registry;
use keyroll::scim::tolerance::{Dialect, Tolerances};
use keyroll::store::search::{Page, Query, Sort, Start, search_merged};
use keyroll::store::{ResourceKey, Store};
use proptest::prelude::*;

use super::directory::{self, BASE, Directory, Entry};
use super::{changing_pages, filter, keys, run, stores};

/// A sorted question to all types.
struct Asked<'f> {
    filters: Vec<Option<Bound>>,
    by: &'f str,
    descending: bool,
    connected: bool,
}

impl<'f> Asked<'f> {
    fn new(filter: Option<&str>, by: &'f str, descending: bool, connected: bool) -> Asked<'f> {
        let bind = |text: &str, one| {
            let mut tolerances = Tolerances::new(Dialect::Auto);
            let parsed = scim_filter::parse(text, &mut tolerances).unwrap();
            scim_filter::bind(&parsed, one, Unknown::NoValue, &mut tolerances).unwrap()
        };
        let filters = registry().types.iter().map(|one| filter.map(|text| bind(text, one))).collect();
        Asked { filters, by, descending, connected }
    }

    fn attribute(&self, type_name: &str) -> Option<AttrRef> {
        let Some(Name::Attribute(named)) = resolve(registry().by_name(type_name)?, self.by) else { return None };
        match (named.attribute.is_complex(), named.sub) {
            (true, None) => Some(AttrRef { sub: Some(named.attribute.sub("value")?), ..named }),
            _ => Some(named),
        }
    }

    fn page(&self, store: &Store, directory: &Directory, start: &Start, limit: usize, total: bool) -> Page {
        let queries: Vec<Query<'_>> = registry()
            .types
            .iter()
            .zip(&self.filters)
            .map(|(resource_type, filter)| Query {
                resource_type,
                filter: filter.as_ref(),
                connection: self.connected.then_some(directory.connection()),
                base_url: BASE,
                sort: self.attribute(&resource_type.name).map(|by| Sort { by, descending: self.descending }),
            })
            .collect();
        let page = |conn: &mut _| search_merged(conn, directory.tenant, &queries, self.descending, start, limit, total);
        directory::read(store, page)
    }

    /// What brute force says, in order.
    fn expected(&self, directory: &Directory) -> Vec<ResourceKey> {
        let filter_of = |entry: &Entry| {
            let at = registry().types.iter().position(|one| one.name == entry.type_name).unwrap();
            self.filters[at].as_ref()
        };
        let found = directory.entries.iter().filter_map(|entry| {
            let view = directory.view(entry, self.connected);
            let is_match = filter_of(entry).is_none_or(|bound| scim_filter::matches(bound, &view));
            let text = self.attribute(&entry.type_name).and_then(|by| directory::sort_text(by, &view));
            is_match.then_some((text, entry.key))
        });
        let is_fixed = self.by == "meta.resourceType";
        directory::in_order(found.collect(), self.descending, is_fixed)
    }

    /// Pages of both kinds give the same answer as brute force.
    fn check(&self, store: &Store, directory: &Directory, size: usize) {
        let expected = self.expected(directory);
        let total = Some(expected.len() as u64);
        let all = self.page(store, directory, &Start::Offset(0), 1_000, true);
        assert_eq!((keys(&all), all.total, all.end), (expected.clone(), total, None));
        let none = self.page(store, directory, &Start::Offset(0), 0, true);
        assert_eq!((none.keys.len(), none.total), (0, total));
        for first in (0..=expected.len() + 1).step_by(size) {
            self.check_index_page(store, directory, &expected, first, size);
        }
        self.check_cursor_pages(store, directory, &expected, size);
    }

    fn check_index_page(&self, store: &Store, directory: &Directory, all: &[ResourceKey], first: usize, size: usize) {
        let page = self.page(store, directory, &Start::Offset(first as u64), size, true);
        let rest = all.get(first..).unwrap_or_default();
        assert_eq!(keys(&page), rest[..rest.len().min(size)], "from {first}");
        assert_eq!(page.total, Some(all.len() as u64), "from {first}");
        assert_eq!(page.end.is_some(), rest.len() > size, "from {first}");
    }

    fn check_cursor_pages(&self, store: &Store, directory: &Directory, all: &[ResourceKey], size: usize) {
        let (mut found, mut start) = (vec![], Start::Offset(0));
        loop {
            let with_total = found.len() == size;
            let page = self.page(store, directory, &start, size, with_total);
            assert_eq!(page.total, with_total.then_some(all.len() as u64));
            found.extend(keys(&page));
            assert!(found.len() <= all.len(), "more than there is");
            let Some(end) = page.end else { break };
            start = Start::After(end);
        }
        assert_eq!(found, all, "cursor pages");
    }
}

#[test]
fn one_order_over_all_types_is_that_of_brute_force() {
    run(16, (directory::plans(), 1_usize..6, any::<bool>()), |store, (plan, size, connected)| {
        let directory = Directory::fill(store, plan);
        for by in filter::ROOT_ORDERS {
            for descending in [false, true] {
                println!("{by} {descending}");
                Asked::new(None, by, descending, *connected).check(store, &directory, *size);
            }
        }
    });
}

#[test]
fn filtered_orders_over_all_types_are_those_of_brute_force() {
    let filters = prop_oneof![filter::users(), filter::groups()];
    let questions = prop::collection::vec((filters, prop::sample::select(filter::ROOT_ORDERS), any::<bool>()), 6);
    run(40, (directory::plans(), questions, 1_usize..6, any::<bool>()), |store, (plan, questions, size, connected)| {
        let directory = Directory::fill(store, plan);
        for (filter, by, descending) in questions {
            let filter = directory.named(filter);
            println!("{filter} {by} {descending}");
            Asked::new(Some(&filter), by, *descending, *connected).check(store, &directory, *size);
        }
    });
}

#[test]
fn changes_between_pages_of_all_types_neither_hide_nor_repeat_others() {
    let orders = (prop::sample::select(filter::ROOT_ORDERS), any::<bool>());
    let cases = (directory::plans(), orders, filter::users(), any::<bool>(), 1_usize..4, any::<u64>());
    run(32, cases, |store, (plan, (by, descending), filter, filtered, size, seed)| {
        let mut directory = Directory::fill(store, plan);
        let filter = directory.named(filter);
        println!("{filter} {by} {descending}");
        let asked = Asked::new(filtered.then_some(filter.as_str()), by, *descending, true);
        let untouched = asked.expected(&directory);
        changing_pages(store, &mut directory, *seed, &untouched, |directory, start| {
            asked.page(store, directory, start, *size, false)
        });
    });
}

/// Far behind: what is skipped is not read, and what is left begins where it should.
#[test]
fn pages_far_behind_begin_where_they_should() {
    for (_, store) in stores() {
        let directory = Directory::fill(&store, &directory::mixed_crowd());
        let orders = [("displayName", false), ("displayName", true), ("meta.created", true), ("name", false)];
        for (by, descending) in orders.into_iter().chain([("meta.resourceType", true)]) {
            let asked = Asked::new(None, by, descending, false);
            let expected = asked.expected(&directory);
            assert_eq!(expected.len(), 1_400);
            for first in [0, 1_000, 1_001, 1_203, 1_395, 1_399, 1_400, 9_000] {
                println!("{by} {descending} {first}");
                asked.check_index_page(&store, &directory, &expected, first, 5);
            }
            asked.check_cursor_pages(&store, &directory, &expected, 600);
            asked.check_cursor_pages(&store, &directory, &expected, 1_100);
        }
        let asked = Asked::new(Some("displayName co \"9\" or displayName ew \"1\""), "displayName", true, false);
        let expected = asked.expected(&directory);
        asked.check_index_page(&store, &directory, &expected, 300, 7);
        asked.check_cursor_pages(&store, &directory, &expected, 70);
    }
}
