//! No circle of modules inside a layer: whoever reads a module goes on to those that it names, and comes back to none.
//!
//! A file is a module, and names another by every path in its code that ends at something of that file's. Names that
//! a module imports or hands on lead to where they are defined. So a page of `mod` and `pub use` stands in nobody's
//! way: handing on what is defined below is no naming, and neither is an import of a module, but what is said of it.
//! Everything else that a parent says of its children is one. A parent whose own code uses a child therefore holds
//! nothing that this child needs: that is in a file beside the child. Tests and methods are not seen.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::source::{Source, paths, read_all, words};

/// The layers without any.
const LAYERS: &[&str] = &["scim", "domain", "store", "http", "worker", "config"];

/// The module of a file, from its layer on.
type Module = Vec<String>;

/// The modules that each one names, and the line where it does so first.
type Graph = BTreeMap<Module, BTreeMap<Module, usize>>;

#[test]
fn modules_of_a_layer_stand_in_no_circle() {
    let sources = read_all("src");
    let found: Vec<String> = LAYERS.iter().flat_map(|layer| circles(&sources, layer)).collect();
    assert!(found.is_empty(), "\n{}", found.join("\n"));
}

#[test]
fn a_circle_is_found_whatever_way_it_goes() {
    let check = |files: &[(&str, &str)], expected: &[&str]| {
        let sources: Vec<Source> =
            files.iter().map(|(path, text)| Source::new(format!("src/http/{path}.rs"), *text)).collect();
        assert_eq!(circles(&sources, "http"), expected, "{files:?}");
    };
    let two = ["http: 2 modules go in a circle: http::a:1 → http::b:2 → http::a"];
    check(&[("mod", ""), ("a", "use super::b::B;"), ("b", "\nuse crate::http::a::A;")], &two);
    check(&[("mod", ""), ("a", "fn f() { super::b::g() }"), ("b", "use super::a;\nfn g() { a::f() }")], &two);
    check(
        &[("mod", ""), ("a", "use super::{b, c};\nuse c::C;"), ("b", "use super::a::A;"), ("c", "use super::a;")],
        &[],
    );
    // By way of what the parent hands on, under another name.
    let page = "mod a;\nmod b;\npub use self::a::A;\npub(crate) use b::{B as C, D};";
    check(&[("mod", page), ("a", "use super::C;"), ("b", "\nuse crate::http::{A};")], &two);
    check(&[("mod", page), ("a", "use super::C;"), ("b", "use super::super::service::A;")], &[]);
    // A parent that says more of its child than that it is there.
    let parent = ["http: 2 modules go in a circle: http:2 → http::a:1 → http"];
    check(&[("mod", "mod a;\nfn f() { a::g() }"), ("a", "use super::f;")], &parent);
    check(&[("mod", "mod a;\nuse a::A;"), ("a", "fn g(b: super::B) {}")], &parent);
    check(&[("mod", "pub mod a;\npub use a::A;"), ("a", "pub(in crate::http) fn g(b: super::B) {}")], &[]);
    check(&[("mod", "pub mod a;"), ("a", "#[cfg(test)]\nmod tests { use super::super::a::A; }")], &[]);
    let nested = ["http: 3 modules go in a circle: http::a:1 → http::b:1 → http::a::c:1 → http::a"];
    check(&[("mod", ""), ("a", "use super::b::B;"), ("a/c", "use super::A;"), ("b", "use super::a::c::C;")], &nested);
    // Two of them.
    let (there, back) = (
        "http: 2 modules go in a circle: http::a:1 → http::b:1 → http::a",
        "http: 2 modules go in a circle: http::c:1 → http::d:1 → http::c",
    );
    check(
        &[
            ("a", "use super::b::B;"),
            ("b", "use super::{a::A, c::C};"),
            ("c", "use super::d::D;"),
            ("d", "use super::c::C;"),
        ],
        &[there, back],
    );
}

/// The circles among the modules of a layer, each by its shortest way round.
fn circles(sources: &[Source], layer: &str) -> Vec<String> {
    let graph = graph(sources, layer);
    let reached: BTreeMap<&Module, BTreeSet<&Module>> =
        graph.keys().map(|module| (module, reached(&graph, module))).collect();
    let mut told = BTreeSet::new();
    let mut found = vec![];
    for module in graph.keys().filter(|module| reached[*module].contains(module)) {
        let circle: BTreeSet<&Module> =
            reached[module].iter().copied().filter(|other| reached[*other].contains(module)).collect();
        if circle.iter().all(|member| told.insert(*member)) {
            found.push(format!("{layer}: {} modules go in a circle: {}", circle.len(), round(&graph, module)));
        }
    }
    found
}

/// Everything that a module comes to.
fn reached<'g>(graph: &'g Graph, from: &Module) -> BTreeSet<&'g Module> {
    let mut reached = BTreeSet::new();
    let mut next: Vec<&Module> = graph[from].keys().collect();
    while let Some(module) = next.pop() {
        if reached.insert(module) {
            next.extend(graph[module].keys());
        }
    }
    reached
}

/// The shortest way from a module back to it: `a:3 → b:1 → a`, with the lines that name the next.
fn round(graph: &Graph, start: &Module) -> String {
    let mut ways: VecDeque<Vec<&Module>> = VecDeque::from([vec![start]]);
    let mut seen = BTreeSet::new();
    while let Some(way) = ways.pop_front() {
        let last = way[way.len() - 1];
        if graph[last].contains_key(start) {
            let steps = way.iter().zip(way.iter().skip(1).chain([&start]));
            let steps: String =
                steps.map(|(from, to)| format!("{}:{} → ", from.join("::"), graph[*from][*to])).collect();
            return steps + &start.join("::");
        }
        let next = graph[last].keys().filter(|next| seen.insert(*next));
        ways.extend(next.map(|next| [&way[..], &[next]].concat()));
    }
    String::new()
}

fn graph(sources: &[Source], layer: &str) -> Graph {
    let files: BTreeMap<Module, File> = sources
        .iter()
        .filter(|source| !source.is_test() && source.modules().first() == Some(&layer))
        .map(|source| (source.modules().into_iter().map(str::to_owned).collect(), File::read(source)))
        .collect();
    let mut graph = Graph::new();
    for (module, file) in &files {
        let names = graph.entry(module.clone()).or_default();
        for named in &file.named {
            let Some((target, is_item)) = resolve(&files, module, &named.path) else { continue };
            let is_naming = match named.way {
                Way::HandedOn => is_item && !target.starts_with(module),
                Way::Imported => is_item,
                Way::Said => true,
            };
            if is_naming && target != *module {
                names.entry(target).or_insert(named.line);
            }
        }
    }
    graph
}

/// What a file says.
struct File {
    named: Vec<Named>,
    /// What each name stands for that it imports or hands on.
    imports: BTreeMap<String, Vec<String>>,
}

struct Named {
    path: Vec<String>,
    line: usize,
    way: Way,
}

#[derive(Clone, Copy)]
enum Way {
    /// `pub use`.
    HandedOn,
    /// `use`.
    Imported,
    /// Anywhere else.
    Said,
}

impl File {
    fn read(source: &Source) -> File {
        let code = &source.production;
        let mut file = File { named: vec![], imports: BTreeMap::new() };
        let mut import_ends = 0;
        for (at, word) in words(code) {
            let before = code[..at].trim_end();
            // `pub(in crate::http)` says who may see, and names nothing.
            if at < import_ends || before.ends_with("::") || before.ends_with("pub(in") {
                continue;
            }
            let is_import = word == "use";
            if is_import {
                import_ends = at + code[at..].find(';').unwrap_or_default();
            } else if !code[at + word.len()..].starts_with("::") {
                continue;
            }
            let way = match is_import {
                true if before.ends_with("pub") || before.ends_with(')') => Way::HandedOn,
                true => Way::Imported,
                false => Way::Said,
            };
            for mut path in paths(code, if is_import { at + "use ".len() } else { at }) {
                path.pop_if(|last| last == "self");
                if let Some(name) = path.last().filter(|_| is_import) {
                    file.imports.entry(name.clone()).or_insert_with(|| path.clone());
                }
                file.named.push(Named { path, line: source.line(at), way });
            }
            for (alias, path) in if is_import { aliases(&code[at..import_ends], &file) } else { vec![] } {
                file.imports.insert(alias, path);
            }
        }
        file
    }
}

/// The names that an import gives to things: `parameters::check as check_parameters`.
fn aliases(import: &str, file: &File) -> Vec<(String, Vec<String>)> {
    let spoken: Vec<&str> = words(import).map(|(_, word)| word).collect();
    let renamed = spoken.windows(3).filter(|three| three[1] == "as");
    renamed.filter_map(|three| Some((three[2].to_owned(), file.imports.get(three[0])?.clone()))).collect()
}

/// The module where the thing is defined that a path in `module` names, and whether it is more than the module
/// itself; `None` if it is not of this layer.
fn resolve(files: &BTreeMap<Module, File>, module: &Module, path: &[String]) -> Option<(Module, bool)> {
    let (mut module, mut path) = (module.clone(), path.to_vec());
    // One name may stand for a type here and a function there: whoever is sent in a circle gives up.
    for _ in 0..IMPORTS_MAX {
        let (mut at, mut rest) = start(files, &module, &path)?;
        while let Some(name) = rest.first() {
            let child = [&at[..], std::slice::from_ref(name)].concat();
            if !files.contains_key(&child) {
                break;
            }
            (at, rest) = (child, &rest[1..]);
        }
        let file = files.get(&at)?;
        let Some(import) = rest.first().and_then(|name| file.imports.get(name)) else {
            return Some((at, !rest.is_empty()));
        };
        (module, path) = (at, [import, &rest[1..]].concat());
    }
    None
}

/// Imports that lead to imports.
const IMPORTS_MAX: usize = 8;

/// The module that a path starts from, and the rest of the path.
fn start<'p>(files: &BTreeMap<Module, File>, module: &Module, path: &'p [String]) -> Option<(Module, &'p [String])> {
    let supers = path.iter().take_while(|name| *name == "super").count();
    match path.first()?.as_str() {
        "crate" => Some((vec![], &path[1..])),
        "self" => Some((module.clone(), &path[1..])),
        "super" => Some((module[..module.len().checked_sub(supers)?].to_vec(), &path[supers..])),
        first => {
            let child = [&module[..], &[first.to_owned()]].concat();
            let is_known = files.contains_key(&child) || files[module].imports.contains_key(first);
            is_known.then(|| (module.clone(), path))
        }
    }
}
