//! Filters that are long, or say in a roundabout way what they ask for.

use keyroll::scim::schema::registry;
use keyroll::store::search::{Sort, Start};

use super::directory::{self, Directory};
use super::{attribute, bound, keys, stores};
use crate::support::plans;

#[test]
fn long_filters_stay_within_what_databases_take() {
    for (_, store) in stores() {
        let directory = Directory::fill(&store, &directory::example());
        let user = registry().by_name("User").unwrap();
        let terms = |count: usize, between: &str, term: &dyn Fn(usize) -> String| {
            (0..count).map(term).collect::<Vec<_>>().join(between)
        };
        for text in [
            terms(400, " or ", &|n| format!(r#"userName eq "u{n}""#)),
            terms(300, " or ", &|n| format!(r#"userName sw "u{n}""#)),
            terms(60, " or ", &|n| format!(r#"(userName sw "u{n}" and active eq true)"#)),
            terms(300, " and ", &|n| format!(r#"displayName ne "u{n}""#)),
            terms(300, " and ", &|n| format!(r#"not (displayName eq "u{n}" or title eq "x{n}")"#)),
            terms(200, " or ", &|n| format!(r#"emails[type eq "work" and value eq "u{n}"]"#)),
            terms(16, " and ", &|_| format!("not ({})", terms(64, " or ", &|_| "active pr".to_owned()))),
            terms(90, " or ", &|n| format!(r#"id eq "01939e7a-5b1c-7def-8abc-0123456789{n:02}""#)),
            format!("{}active eq true{}", "not (".repeat(30), ")".repeat(30)),
        ] {
            let bound = bound(&text, user);
            for by in [None, Some("userName")] {
                let sort = by.map(|by| Sort { by: attribute(user, by), descending: true });
                let question = directory.ask(user, Some(&bound), sort, true);
                let page = question.page(&store, &Start::Offset(0), 1_000, true);
                assert_eq!(keys(&page), question.expected(), "{}", &text[..60]);
            }
        }
    }
}

/// A filter may name few in a roundabout way, or beside what is asked of each.
#[test]
fn a_filter_that_names_ids_reads_them_alone() {
    let stores = stores();
    for (_, store) in &stores {
        let directory = Directory::fill(store, &directory::around_the_cut());
        for (name, text, count) in [
            ("Group", r#"not (members eq "@0" or not (id eq "@7"))"#, 1),
            ("User", r#"not (not (id eq "@1" or id eq "@2") or userName sw "x")"#, 2),
            ("User", r#"displayName sw "zz" and not (id eq "@1" or id eq "@2")"#, 3),
        ] {
            let resource_type = registry().by_name(name).unwrap();
            let bound = bound(&directory.named(text), resource_type);
            for by in [None, Some("displayName")] {
                let sort = by.map(|by| Sort { by: attribute(resource_type, by), descending: false });
                let question = directory.ask(resource_type, Some(&bound), sort, true);
                assert_eq!(question.expected().len(), count, "{text}");
                question.check(store, 1);
            }
        }
    }
    stores.iter().for_each(|(database, _)| plans::check(&database.settings.url));
}
