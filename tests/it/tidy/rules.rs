//! The tables say what holds; each rule reads one file and answers with its offences, `path:line: what`.

use std::collections::BTreeSet;

use super::source::{Source, paths, words};

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

/// Of every file, whatever it is for, with the tests in it.
pub const LINES_MAX: usize = 400;
pub const FUNCTION_LINES_MAX: usize = 69;

/// Functions of the store that look for a tenant, as the store's own page lists them.
pub const FINDERS: &[&str] = &[
    "tenants::all",
    "tenants::by_name",
    "credentials::holder",
    "credentials::holder_or_other",
    "log::heads",
    "log::forked",
];

/// Functions and files of the store that touch no row of a tenant, or, for backups, those of all.
pub const NO_TENANT: &[&str] = &[
    "archive",
    "tenants::insert",
    "paths::ensure_paths",
    "connection",
    "embedded",
    "installation",
    "job",
    "leases",
    "migrate",
    "nodes",
    "place",
    "rehearse",
    "server",
    "session",
    "socket",
    "sqlite",
    "standby",
    "statistics",
    "steps",
    "writer",
];

/// A rule reads one file and gives its offences.
pub type Rule = fn(&Source) -> Vec<String>;

pub fn offence(source: &Source, at: usize, what: impl std::fmt::Display) -> String {
    format!("{}:{}: {what}", source.path, source.line(at))
}

/// The layer that a file of src belongs to; `None` for the roots and for tests.
fn layer(source: &Source) -> Option<&str> {
    source.path.starts_with("src/").then(|| source.modules().first().copied()).flatten()
}

pub fn imports(source: &Source) -> Vec<String> {
    let Some(layer) = layer(source) else {
        let named = if source.path == "src/main.rs" { mentions(source, "keyroll") } else { vec![] };
        let named = named.into_iter().filter(|(_, path)| path[0] != "cli");
        return named.map(|(at, path)| offence(source, at, format!("main names {}", path[0]))).collect();
    };
    let Some((_, may)) = LAYERS.iter().find(|(name, _)| *name == layer) else {
        return vec![offence(source, 0, format!("{layer} is no layer: give it a row in tests/it/tidy/rules.rs"))];
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
pub fn mentions(source: &Source, root: &str) -> Vec<(usize, Vec<String>)> {
    let roots =
        words(&source.code).filter(|(at, word)| *word == root && source.code[at + word.len()..].starts_with("::"));
    let found = roots.flat_map(|(at, word)| {
        let tails = paths(&source.code, at + word.len() + 2);
        tails.into_iter().filter(|path| !path.is_empty()).map(move |path| (at, path))
    });
    found.collect()
}

/// The paths that go up by way of `super`, so far as `reaches` says: what follows, each with its place.
pub fn above(source: &Source, reaches: impl Fn(usize) -> bool) -> Vec<(usize, Vec<String>)> {
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

pub fn rooms(source: &Source) -> Vec<String> {
    let Some(layer) = layer(source) else { return vec![] };
    let places = words(&source.code).filter_map(|(at, word)| {
        let (name, layers) = ROOMS.iter().find(|(name, _)| *name == word)?;
        (!layers.contains(&layer)).then(|| offence(source, at, format!("{name} stays in {}", layers.join(" and "))))
    });
    places.collect()
}

pub fn purity(source: &Source) -> Vec<String> {
    let Some(layer) = layer(source).filter(|layer| PURE.contains(layer)) else { return vec![] };
    let named = mentions(source, "std").into_iter().filter(|(_, path)| IMPURE.contains(&path[0].as_str()));
    named.map(|(at, path)| offence(source, at, format!("{layer} names std::{}", path[0]))).collect()
}

pub fn sizes(source: &Source) -> Vec<String> {
    let mut offences = vec![];
    let lines = source.text.lines().count();
    if lines > LINES_MAX {
        offences.push(offence(source, 0, format!("{lines} lines, at most {LINES_MAX}")));
    }
    for function in source.functions().iter().filter(|function| function.lines > FUNCTION_LINES_MAX) {
        let (name, lines) = (function.name, function.lines);
        let what = format!("fn {name} has {lines} lines, at most {FUNCTION_LINES_MAX}");
        offences.push(format!("{}:{}: {what}", source.path, function.line));
    }
    offences
}

pub fn names(source: &Source) -> Vec<String> {
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

pub fn unfinished(source: &Source) -> Vec<String> {
    let code = &source.code;
    let macros = words(code)
        .filter(|(at, word)| matches!(*word, "todo" | "unimplemented") && code[at + word.len()..].starts_with('!'));
    macros.map(|(at, word)| offence(source, at, format!("{word}!"))).collect()
}

pub fn tenants(source: &Source) -> Vec<String> {
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
pub fn mounts(sources: &[Source]) -> Vec<String> {
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

pub fn untested<'n>(sources: &[Source], tolerances: impl Iterator<Item = (String, &'n str)>) -> Vec<String> {
    // The table's own file lists the names; a test of it does not try them.
    let tests: Vec<&str> = sources.iter().filter(|s| !s.path.contains("tidy")).map(|s| s.tests.as_str()).collect();
    let tried = |text: &str| tests.iter().any(|test| test.contains(text));
    let missing = tolerances.filter(|(variant, name)| !tried(name) && !tried(&format!("Tolerance::{variant}")));
    missing.map(|(variant, name)| format!("{variant} ({name}) is in no test")).collect()
}
