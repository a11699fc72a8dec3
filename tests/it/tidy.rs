//! The rules of the house (docs: the crate's own), as tests: layers, circles, frameworks, sizes, words,
//! tenants, no loose ends.
//!
//! The tables say what holds; each rule reads one file and answers with its offences, `path:line: what`.
//! `each_rule_refuses_what_it_is_for` shows every rule something that it must refuse.

mod circles;
mod floors;
mod source;
mod types;

use std::collections::BTreeSet;

use keyroll::scim::tolerance::Tolerance;

use floors::floors;
use source::{Source, paths, read_all, words};
use types::types;

/// Which of our modules a layer may name, beside itself.
const LAYERS: &[(&str, &[&str])] = &[
    ("scim", &[]),
    ("domain", &["scim"]),
    ("store", &["domain", "scim"]),
    ("service", &["store", "domain", "scim", "client"]),
    ("http", &["service", "domain", "scim"]),
    ("worker", &["service", "client", "domain"]),
    ("cli", &["service", "domain", "config", "probe", "http", "worker"]),
    ("client", &["scim"]),
    ("probe", &["scim"]),
    ("config", &["scim"]),
];

/// What `cli` may name of `http`: it starts the server and knows no handler.
const HTTP_FOR_CLI: &[&str] = &["listen", "serve", "Settings"];

/// Frameworks, and the layers that they stay in.
const ROOMS: &[(&str, &[&str])] = &[
    ("diesel", &["store"]),
    ("diesel_migrations", &["store"]),
    ("libsqlite3_sys", &["store"]),
    ("pq_sys", &["store"]),
    ("actix_web", &["http"]),
    ("actix_rt", &["http"]),
    ("tokio", &["http"]),
    ("clap", &["cli", "config"]),
    ("reqwest", &["client"]),
    ("ureq", &["client"]),
    // Out of `client`, in through `http`.
    ("TcpStream", &["client", "http"]),
];

/// Layers without a clock, randomness or IO, and the modules of `std` that they therefore never name.
const PURE: &[&str] = &["scim", "domain"];
const IMPURE: &[&str] = &["env", "fs", "io", "process", "thread"];

/// Words that say nothing, and what to say instead.
const WORDS: &[(&str, &str)] = &[
    ("manager", "what it does"),
    ("helper", "what it does"),
    ("util", "what it is about"),
    ("common", "what it is about"),
    ("processor", "what it does"),
    ("dto", "what it holds"),
];

/// Names that others chose: the common attributes of RFC 7643 §3.1, and what diesel's traits demand.
const WORDS_ALLOWED: &[&str] = &["COMMON", "COMMON_JSON", "TransactionManager", "transaction_manager_status_mut"];

/// What stands before a name that is defined; fields and parameters have a `:` behind them.
const DEFINERS: &[&str] = &["const", "enum", "fn", "let", "mod", "mut", "static", "struct", "trait", "type"];

const LINES_MAX: usize = 400;
const TEST_LINES_MAX: usize = 500;
const FUNCTION_LINES_MAX: usize = 69;

/// Functions of the store that look for a tenant, as the store's own page lists them.
const FINDERS: &[&str] =
    &["tenants::all", "tenants::by_name", "credentials::holder", "credentials::holder_or_other", "log::heads"];

/// Functions and files of the store that touch no row of a tenant, or, for backups, those of all.
const NO_TENANT: &[&str] = &[
    "archive",
    "tenants::insert",
    "paths::ensure_paths",
    "connection",
    "installation",
    "leases",
    "migrate",
    "place",
    "rehearse",
    "server",
    "session",
    "sqlite",
    "standby",
    "writer",
];

/// A rule reads one file and gives its offences.
type Rule = fn(&Source) -> Vec<String>;

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
        assert!(has(name), "src/store has no {name} any more: take it from the table in tests/it/tidy.rs");
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
    let (long_file, long_test) = ("\n".repeat(LINES_MAX + 1), "\n".repeat(TEST_LINES_MAX + 1));
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
        (sizes, "tests/it/x.rs", &long_test, "1: 501 lines, at most 500"),
        (sizes, "src/x.rs", &long_function, "1: fn f has 70 lines, at most 69"),
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
    let sources = [read_all("src"), read_all("tests/it")].concat();
    let offences: Vec<String> = sources.iter().flat_map(rule).collect();
    assert!(offences.is_empty(), "\n{}", offences.join("\n"));
}

fn offence(source: &Source, at: usize, what: impl std::fmt::Display) -> String {
    format!("{}:{}: {what}", source.path, source.line(at))
}

/// The layer that a file of src belongs to; `None` for the roots and for tests.
fn layer(source: &Source) -> Option<&str> {
    source.path.starts_with("src/").then(|| source.modules().first().copied()).flatten()
}

fn imports(source: &Source) -> Vec<String> {
    let Some(layer) = layer(source) else {
        let named = if source.path == "src/main.rs" { mentions(source, "keyroll") } else { vec![] };
        let named = named.into_iter().filter(|(_, path)| path[0] != "cli");
        return named.map(|(at, path)| offence(source, at, format!("main names {}", path[0]))).collect();
    };
    let Some((_, may)) = LAYERS.iter().find(|(name, _)| *name == layer) else {
        return vec![offence(source, 0, format!("{layer} is no layer: give it a row in tests/it/tidy.rs"))];
    };
    let ours = |name: &str| LAYERS.iter().any(|(layer, _)| *layer == name);
    let mut named = mentions(source, "crate");
    named.extend(above(source, |supers| supers >= source.modules().len()));
    named.retain(|(_, path)| path[0] != layer && ours(&path[0]) && !may.contains(&path[0].as_str()));
    let mut offences: Vec<String> =
        named.into_iter().map(|(at, path)| offence(source, at, format!("{layer} names {}", path[0]))).collect();
    if layer == "cli" {
        let handlers =
            mentions(source, "http").into_iter().filter(|(_, path)| !HTTP_FOR_CLI.contains(&path[0].as_str()));
        offences.extend(handlers.map(|(at, path)| offence(source, at, format!("cli names http::{}", path[0]))));
    }
    offences
}

/// The paths that follow `root::`, each with its place.
fn mentions(source: &Source, root: &str) -> Vec<(usize, Vec<String>)> {
    let roots =
        words(&source.code).filter(|(at, word)| *word == root && source.code[at + word.len()..].starts_with("::"));
    let found = roots.flat_map(|(at, word)| {
        let tails = paths(&source.code, at + word.len() + 2);
        tails.into_iter().filter(|path| !path.is_empty()).map(move |path| (at, path))
    });
    found.collect()
}

/// The paths that go up by way of `super`, so far as `reaches` says: what follows, each with its place.
fn above(source: &Source, reaches: impl Fn(usize) -> bool) -> Vec<(usize, Vec<String>)> {
    let mut found = vec![];
    for (at, word) in words(&source.production) {
        if word != "super" || source.production[..at].ends_with("super::") {
            continue;
        }
        for path in paths(&source.production, at) {
            let supers = path.iter().take_while(|name| *name == "super").count();
            if reaches(supers) && path.len() > supers {
                found.push((at, path[supers..].to_vec()));
            }
        }
    }
    found
}

fn rooms(source: &Source) -> Vec<String> {
    let Some(layer) = layer(source) else { return vec![] };
    let places = words(&source.code).filter_map(|(at, word)| {
        let (name, layers) = ROOMS.iter().find(|(name, _)| *name == word)?;
        (!layers.contains(&layer)).then(|| offence(source, at, format!("{name} stays in {}", layers.join(" and "))))
    });
    places.collect()
}

fn purity(source: &Source) -> Vec<String> {
    let Some(layer) = layer(source).filter(|layer| PURE.contains(layer)) else { return vec![] };
    let named = mentions(source, "std").into_iter().filter(|(_, path)| IMPURE.contains(&path[0].as_str()));
    named.map(|(at, path)| offence(source, at, format!("{layer} names std::{}", path[0]))).collect()
}

fn sizes(source: &Source) -> Vec<String> {
    let mut offences = vec![];
    let lines = source.text.lines().count() - source.inline_test_lines();
    let max = if source.is_test() { TEST_LINES_MAX } else { LINES_MAX };
    if lines > max {
        offences.push(offence(source, 0, format!("{lines} lines, at most {max}")));
    }
    for function in source.functions().iter().filter(|function| function.lines > FUNCTION_LINES_MAX) {
        let (name, lines) = (function.name, function.lines);
        let what = format!("fn {name} has {lines} lines, at most {FUNCTION_LINES_MAX}");
        offences.push(format!("{}:{}: {what}", source.path, function.line));
    }
    offences
}

fn names(source: &Source) -> Vec<String> {
    let mut offences = vec![];
    let mut previous = "";
    for (at, name) in words(&source.production) {
        if previous == "fn" && name.starts_with("get_") {
            offences.push(offence(source, at, format!("fn {name}: leave out get_")));
        }
        let after = source.production[at + name.len()..].trim_start();
        let defined = DEFINERS.contains(&previous) || after.starts_with(':') && !after.starts_with("::");
        previous = name;
        if !defined {
            continue;
        }
        let parts = parts(name);
        let banned = WORDS.iter().find(|(word, _)| parts.contains(*word) || parts.contains(&format!("{word}s")));
        if let Some((word, instead)) = banned.filter(|_| !WORDS_ALLOWED.contains(&name)) {
            offences.push(offence(source, at, format!("{name}: instead of {word} say {instead}")));
        }
    }
    offences
}

/// `KeyManager` and `key_manager` are of the parts `key` and `manager`.
fn parts(name: &str) -> BTreeSet<String> {
    let capitals = name.chars().all(|c| !c.is_ascii_lowercase());
    let mut parts = String::new();
    for c in name.chars() {
        if c.is_ascii_uppercase() && !capitals {
            parts.push('_');
        }
        parts.push(c.to_ascii_lowercase());
    }
    parts.split('_').map(str::to_owned).collect()
}

fn unfinished(source: &Source) -> Vec<String> {
    let code = &source.code;
    let macros = words(code)
        .filter(|(at, word)| matches!(*word, "todo" | "unimplemented") && code[at + word.len()..].starts_with('!'));
    macros.map(|(at, word)| offence(source, at, format!("{word}!"))).collect()
}

fn tenants(source: &Source) -> Vec<String> {
    if layer(source) != Some("store") {
        return vec![];
    }
    let file = source.modules().last().copied().unwrap_or_default();
    let exempt = |name: &str| {
        let listed = |entry: &&str| *entry == file || *entry == format!("{file}::{name}");
        FINDERS.iter().chain(NO_TENANT).any(listed)
    };
    let mut offences = vec![];
    for function in source.functions() {
        let own = function.parameters.iter().skip_while(|parameter| parameter.ends_with("self")).collect::<Vec<_>>();
        let takes = own.first().is_some_and(|first| first.ends_with("&mut Conn"));
        let scoped = own.get(1).is_some_and(|second| second.ends_with(": TenantKey"));
        if takes && !scoped && !exempt(function.name) {
            let what = format!("fn {} takes a connection but no TenantKey after it", function.name);
            offences.push(format!("{}:{}: {what}", source.path, function.line));
        }
    }
    offences
}

/// Files that no other file mounts: they would never be compiled.
fn mounts(sources: &[Source]) -> Vec<String> {
    let mounted = |source: &&Source| {
        let modules = source.modules();
        let Some((name, parents)) = modules.split_last() else { return true };
        let file = source.path.rsplit('/').next().unwrap_or_default();
        sources.iter().filter(|other| other.path != source.path).any(|other| {
            let by_name = other.modules() == parents && other.code.contains(&format!("mod {name};"));
            let by_path = other.path.rsplit_once('/').map(|(folder, _)| folder)
                == source.path.rsplit_once('/').map(|(folder, _)| folder)
                && other.text.contains(&format!("#[path = \"{file}\"]"));
            by_name || by_path
        })
    };
    let loose = sources.iter().filter(|source| !mounted(source));
    loose.map(|source| offence(source, 0, "no file mounts it with a mod line")).collect()
}

fn untested<'n>(sources: &[Source], tolerances: impl Iterator<Item = (String, &'n str)>) -> Vec<String> {
    // The table's own file lists the names; a test of it does not try them.
    let tests: Vec<&str> = sources.iter().filter(|s| !s.path.contains("tidy")).map(|s| s.tests.as_str()).collect();
    let tried = |text: &str| tests.iter().any(|test| test.contains(text));
    let missing = tolerances.filter(|(variant, name)| !tried(name) && !tried(&format!("Tolerance::{variant}")));
    missing.map(|(variant, name)| format!("{variant} ({name}) is in no test")).collect()
}
