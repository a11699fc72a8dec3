//! Which rooms of the service may name which: those before them in one list. Its other files are the ground, and
//! name none; but the page of the service itself holds them together.

use super::source::Source;
use super::{above, mentions, offence};

/// The rooms, each on those before it.
pub const ROOMS: &[&str] = &[
    "memory",
    "work",
    "access",
    "caller",
    "change",
    "keys",
    "log",
    "impact",
    "catalogue",
    "directory",
    "reports",
    "apply",
    "authzen",
    "backup",
    "tenants",
];

const PAGE: &str = "src/service/mod.rs";

/// Paths that lead from a room to one that stands on it. Methods are not seen.
pub fn floors(source: &Source) -> Vec<String> {
    let modules = source.modules();
    if !source.path.starts_with("src/service/") || source.path == PAGE {
        return vec![];
    }
    let floor = |name: &str| ROOMS.iter().position(|room| *room == name);
    let own = modules.get(1).and_then(|name| floor(name));
    let mut named: Vec<(usize, Vec<String>)> = mentions(source, "crate");
    named.retain(|(_, path)| path.len() > 1 && path[0] == "service");
    named.iter_mut().for_each(|(_, path)| drop(path.remove(0)));
    named.extend(above(source, |supers| supers + 1 == modules.len()));
    let offences = named.into_iter().filter_map(|(at, path)| {
        let other = floor(&path[0])?;
        let who = own.map_or("the ground", |own| ROOMS[own]);
        let is_above = own.is_none_or(|own| other > own);
        is_above.then(|| offence(source, at, format!("{who} names {}, which is above it", path[0])))
    });
    offences.collect()
}
