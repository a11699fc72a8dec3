//! The attribute that names people: the members of a group, the owners of an agent. Who is taken out of it loses access,
//! so what speaks of it is never left out as if it were about something else.

use super::path::{Name, resolve};
use super::schema::ResourceType;

/// What a path says of access.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Says {
    /// Whether a principal is active.
    Active,
    /// Who is in a group, or answers for an agent.
    People,
}

/// What a path, which may be malformed behind the attribute, says of access.
pub(super) fn says(rtype: &'static ResourceType, path: &str) -> Option<Says> {
    let head = path.split_once('[').map_or(path, |(head, _)| head).trim();
    let outer = head.rsplit_once('.').map_or(head, |(outer, _)| outer);
    let resolved = [head, outer].into_iter().find_map(|name| match resolve(rtype, name) {
        Some(Name::Attribute(attr)) if rtype.names_people(attr.attribute) => Some(Says::People),
        Some(Name::Attribute(attr)) if rtype.decides(attr.attribute) => Some(Says::Active),
        _ => None,
    });
    resolved.or_else(|| is_spoken_of(rtype, path).then_some(Says::People))
}

/// Whether a path that the type does not have speaks of its people all the same: `members/17`, `Group:members`,
/// `member[value eq "…"]`. Dropping it would keep somebody inside whom it may take out.
pub(super) fn is_spoken_of(rtype: &ResourceType, path: &str) -> bool {
    let Some(people) = rtype.people() else { return false };
    let head = path.split_once('[').map_or(path, |(head, _)| head).trim();
    let text = if head.is_empty() { path } else { head };
    let own = &rtype.schema.id;
    let rest = match text.get(..own.len()).filter(|urn| urn.eq_ignore_ascii_case(own)) {
        Some(urn) => text.get(urn.len()..).unwrap_or_default(),
        // What the schema of somebody else calls members are not ours.
        None if text.contains("://") || text.get(..4).is_some_and(|urn| urn.eq_ignore_ascii_case("urn:")) => {
            return false;
        }
        None => text,
    };
    let one = people.name.strip_suffix('s').unwrap_or(&people.name);
    let mut words = rest.split(|c: char| !(c.is_alphanumeric() || "_-$".contains(c)));
    words.any(|word| word.eq_ignore_ascii_case(&people.name) || word.eq_ignore_ascii_case(one))
}
