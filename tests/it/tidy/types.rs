//! Adding a resource type is adding a file: what a type is called, where it is and which of its attributes do something
//! particular is said by `schemas/*.json`, and nowhere else.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use keyroll::scim::schema::registry;

use super::rules::offence;
use super::source::{Source, read_all};

/// Where the name of an attribute or a type stands for something else, and what for.
const ALLOWED: &[(&str, &str, &str)] = &[
    ("src/cli/mapping.rs", "displayName", "a way to name a group in the source of a mapping"),
    ("src/scim/reference.rs", "displayName", "a part of a reference, such as manager.displayName"),
    ("src/service/directory/agents.rs", "Agent", "the name of an answer in the description of the API"),
    ("src/service/directory/agents.rs", "displayName", "what /v1/agents calls display_name"),
    ("src/service/keys/hint.rs", "displayName", "what the command line calls --display-name"),
    ("src/service/keys/response.rs", "userName", "a member of an answer"),
];

/// What only the schemas say. Everything has a `name`, not agents alone.
static SAID: LazyLock<BTreeSet<String>> = LazyLock::new(|| {
    let mut said = BTreeSet::new();
    for one in &registry().types {
        said.extend([one.name.clone(), one.endpoint.clone(), format!("{}/", one.endpoint)]);
        let particular = one.names().chain(one.rows).chain(one.sponsors);
        for name in particular.map(|attribute| &attribute.name).filter(|name| *name != "name") {
            said.extend([name.clone(), format!("{name}.value"), one.qualified(name)]);
        }
    }
    said
});

/// No file of the server says what only the schemas say; clients, as in `examples`, name what they ask for.
pub fn types(source: &Source) -> Vec<String> {
    if !source.path.starts_with("src/") {
        return vec![];
    }
    let allowed = |text: &str| ALLOWED.iter().any(|(path, name, _)| *path == source.path && *name == text);
    let found = found(source).into_iter().filter(|(_, text)| !allowed(text));
    found.map(|(at, text)| offence(source, at, format!("\"{text}\" is said by schemas/*.json"))).collect()
}

/// The places at which a file says it, as a text of its own; of endpoints, also as a part of one.
fn found(source: &Source) -> Vec<(usize, &'static str)> {
    let mut found = vec![];
    for said in SAID.iter() {
        let text = if said.ends_with('/') { said.clone() } else { format!("\"{said}\"") };
        let places = source.text.match_indices(&text).map(|(at, _)| at);
        found.extend(places.filter(|at| !source.is_aside(*at)).map(|at| (at, said.as_str())));
    }
    found
}

/// What is allowed is there: an allowance that nobody needs would let something else through.
pub fn allowances_are_used() {
    let sources = read_all("src");
    for (path, name, _) in ALLOWED {
        let source = sources.iter().find(|source| source.path == *path).unwrap();
        assert!(found(source).iter().any(|(_, text)| text == name), "{path} does not say {name}");
    }
}
