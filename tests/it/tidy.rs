//! The rules of the house (docs: the crate's own), as tests: layers, circles, frameworks, sizes, words,
//! tenants, no loose ends.
//!
//! `each_rule_refuses_what_it_is_for` shows every rule something that it must refuse.

mod circles;
mod floors;
mod rules;
mod source;
mod types;

use std::collections::BTreeSet;

use keyroll::scim::tolerance::Tolerance;

use floors::floors;
use rules::*;
use source::{Source, read_all};
use types::types;

/// Where there is Rust.
const FOLDERS: &[&str] = &["src", "tests", "benches", "examples"];

#[test]
fn layers_import_one_way() {
    holds(imports);
}

#[test]
fn rooms_stand_on_floors() {
    holds(floors);
    let listed: BTreeSet<&str> = floors::ROOMS.iter().copied().collect();
    let sources = read_all("src/service");
    let built = sources.iter().filter(|source| source.path["src/service/".len()..].contains('/'));
    assert_eq!(listed, built.map(|source| source.modules()[1]).collect());
}

#[test]
fn frameworks_stay_in_their_rooms() {
    holds(rooms);
}

#[test]
fn pure_layers_do_no_io() {
    holds(purity);
}

#[test]
fn files_and_functions_are_short() {
    holds(sizes);
}

#[test]
fn types_are_named_by_their_schemas() {
    holds(types);
    types::allowances_are_used();
}

#[test]
fn names_say_something() {
    holds(names);
}

#[test]
fn nothing_is_left_to_do() {
    holds(unfinished);
}

#[test]
fn store_functions_take_the_tenant() {
    holds(tenants);
    let sources = read_all("src/store");
    let page = &sources.iter().find(|source| source.path == "src/store/mod.rs").unwrap().text;
    let has = |name: &str| {
        let (file, function) = name.split_once("::").unwrap_or((name, ""));
        let found = sources.iter().find(|source| source.modules().last() == Some(&file));
        found.is_some_and(|file| function.is_empty() || file.functions().iter().any(|found| found.name == function))
    };
    for name in FINDERS {
        assert!(page.contains(&format!("`{name}`")), "src/store/mod.rs does not list {name}, which takes no tenant");
    }
    for name in FINDERS.iter().chain(NO_TENANT) {
        assert!(has(name), "src/store has no {name} any more: take it from the table in tests/it/tidy/rules.rs");
    }
}

#[test]
fn every_file_is_mounted() {
    let offences = [mounts(&read_all("src")), mounts(&read_all("tests/it"))].concat();
    assert!(offences.is_empty(), "\n{}", offences.join("\n"));
}

#[test]
fn every_tolerance_has_a_test() {
    let sources = [read_all("src"), read_all("tests/it")].concat();
    let offences = untested(&sources, Tolerance::ALL.iter().map(|t| (format!("{t:?}"), t.name())));
    assert!(offences.is_empty(), "\n{}", offences.join("\n"));
}

#[test]
fn the_example_settings_name_every_setting() {
    let read =
        |path: &str| std::fs::read_to_string(std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).unwrap();
    let (example, config) = (read("examples/keyroll.toml"), read("src/config/file.rs"));
    let keys = |text: &str, mark: &str, end: &str| -> BTreeSet<String> {
        let lines = text.lines().filter_map(|line| line.strip_prefix(mark)?.split_once(end));
        lines
            .map(|(key, _)| key.to_owned())
            .filter(|key| key.chars().all(|c| c.is_ascii_lowercase() || c == '_'))
            .collect()
    };
    let (_, known) = config.split_once("\nsettings! {").unwrap();
    let (known, _) = known.split_once('}').unwrap();
    assert_eq!(keys(&example, "# ", " = "), keys(known, "    ", ": "));
}

#[test]
fn each_rule_refuses_what_it_is_for() {
    let long_function = format!("fn f() {{\n{}}}", "    step();\n".repeat(FUNCTION_LINES_MAX - 1));
    let long_file = "\n".repeat(LINES_MAX + 1);
    let long_tests = format!("#[cfg(test)]\nmod tests {{{}}}", "\n".repeat(LINES_MAX - 1));
    let cases: &[(Rule, &str, &str, &str)] = &[
        (imports, "src/scim/x.rs", "use crate::domain::Id;", "1: scim names domain"),
        (imports, "src/domain/x.rs", "\nuse crate::{scim, store::{Conn, log}};", "2: domain names store"),
        (imports, "src/store/mod.rs", "use super::service;", "1: store names service"),
        (imports, "src/http/scim/x.rs", "fn f() { super::super::super::store::log() }", "1: http names store"),
        (imports, "src/cli/x.rs", "use crate::http;\nfn f() { http::scim::create() }", "2: cli names http::scim"),
        (imports, "src/worker/x.rs", "use crate::http::serve;", "1: worker names http"),
        (imports, "src/worker/x.rs", "use crate::store::log;", "1: worker names store"),
        (imports, "src/http/x.rs", "use crate::worker::Runner;", "1: http names worker"),
        (imports, "src/main.rs", "use keyroll::{cli, service};", "1: main names service"),
        (imports, "src/new/mod.rs", "", "1: new is no layer"),
        (floors, "src/service/memory/x.rs", "use crate::service::keys;", "1: memory names keys, which is above it"),
        (floors, "src/service/keys/x.rs", "use crate::service::{Error, log::feed};", "1: keys names log"),
        (floors, "src/service/keys/x.rs", "fn f() { super::super::impact::g() }", "1: keys names impact"),
        (floors, "src/service/error.rs", "\nfn f() { crate::service::caller::g() }", "2: the ground names caller"),
        (rooms, "src/service/x.rs", "use diesel::prelude::*;", "1: diesel stays in store"),
        (rooms, "src/config.rs", "use actix_web::web;", "1: actix_web stays in http"),
        (purity, "src/scim/x.rs", "fn f() { std::fs::read(p) }", "1: scim names std::fs"),
        (purity, "src/domain/x.rs", "use std::{env, fmt};", "1: domain names std::env"),
        (sizes, "src/x.rs", &long_file, "1: 401 lines, at most 400"),
        (sizes, "src/x.rs", &long_tests, "1: 401 lines, at most 400"),
        (sizes, "src/x_test.rs", &long_file, "1: 401 lines, at most 400"),
        (sizes, "tests/it/x.rs", &long_file, "1: 401 lines, at most 400"),
        (sizes, "benches/x.rs", &long_file, "1: 401 lines, at most 400"),
        (sizes, "examples/x/main.rs", &long_file, "1: 401 lines, at most 400"),
        (sizes, "src/x.rs", &long_function, "1: fn f has 70 lines, at most 69"),
        (sizes, "examples/x.rs", &long_function, "1: fn f has 70 lines, at most 69"),
        (types, "src/store/x.rs", "fn f() { is(\"Group\") }", "1: \"Group\" is said by schemas/"),
        (types, "src/http/x.rs", "\nconst WHO: &str = \"owners\";", "2: \"owners\" is said by schemas/"),
        (types, "src/service/x.rs", "const PATH: &str = \"owners.value\";", "1: \"owners.value\" is said"),
        (types, "src/http/x.rs", "const AT: &str = \"{base}/Groups/{id}\";", "1: \"/Groups/\" is said"),
        (names, "src/x.rs", "struct KeyManager;", "1: KeyManager: instead of manager say what it does"),
        (names, "src/x.rs", "mod utils;", "1: utils: instead of util say what it is about"),
        (names, "src/x.rs", "fn get_key() {}", "1: fn get_key: leave out get_"),
        (unfinished, "src/x.rs", "fn f() { todo!() }", "1: todo!"),
        (unfinished, "tests/it/x.rs", "#[ignore]\nfn f() { unimplemented!() }", "2: unimplemented!"),
        (tenants, "src/store/x.rs", "fn f(conn: &mut Conn, id: &Id) {}", "1: fn f takes a connection but no TenantKey"),
        (tenants, "src/store/log.rs", "fn f<T: Fn(u8) -> u8>(\n conn: &mut Conn,\n) {}", "1: fn f takes"),
    ];
    for (rule, path, text, expected) in cases {
        let offences = rule(&Source::new(*path, *text));
        assert!(offences.iter().any(|o| o.starts_with(&format!("{path}:{expected}"))), "{expected}: {offences:?}");
    }
    let files = ["tests/it/main.rs", "tests/it/a.rs", "tests/it/a/b.rs"].map(|path| Source::new(path, "mod a;"));
    assert_eq!(mounts(&files), ["tests/it/a/b.rs:1: no file mounts it with a mod line"]);
    let tolerance = || std::iter::once(("OpCase".to_owned(), "entra-001"));
    assert_eq!(untested(&[Source::new("src/x.rs", "// entra-001")], tolerance()), ["OpCase (entra-001) is in no test"]);
    let inline = "#[cfg(test)]\nmod tests {\n fn f() { see(\"entra-001\") }\n}";
    assert_eq!(untested(&[Source::new("src/x.rs", inline)], tolerance()), Vec::<String>::new());
}

#[test]
fn rules_leave_texts_comments_and_tests_alone() {
    let text = r##"
        //! crate::store, todo!, helper
        const A: &str = "crate::store todo!() manager \" helper";
        const B: &str = r#"crate::store "helper" todo!()"#;
        const C: [char; 4] = ['"', '\'', 'é', '{'];
        fn lives<'a>(text: &'a str) {}
        #[cfg(test)]
        mod tests { fn manager() {} }
    "##;
    let source = Source::new("src/scim/x.rs", text);
    for rule in [imports, floors, rooms, purity, sizes, names, unfinished, tenants] {
        assert_eq!(rule(&source), Vec::<String>::new());
    }
}

fn holds(rule: Rule) {
    let offences: Vec<String> = FOLDERS.iter().flat_map(|folder| read_all(folder)).flat_map(|s| rule(&s)).collect();
    assert!(offences.is_empty(), "\n{}", offences.join("\n"));
}
