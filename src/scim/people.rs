//! The attribute that names people: the members of a group, the owners of an agent. Who is taken out of it loses access,
//! so what speaks of it is never left out as if it were about something else.

use serde_json::{Map, Value};

use super::json::{self, Limits};
use super::leaving;
use super::members::{member, plain};
use super::path::{Name, resolve};
use super::plain::is_uuid;
use super::schema::{ResourceType, registry};

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

/// Whether a value without a path, or what lies in a list of them, names what says so of access. A text may be such a value
/// once more.
pub(super) fn tells(rtype: &'static ResourceType, value: &Value, wanted: Says) -> bool {
    match value {
        Value::Array(list) => list.iter().any(|one| tells(rtype, one, wanted)),
        Value::Object(members) if of_operation(rtype, members) == Some(wanted) => true,
        Value::Object(members) => members.iter().any(|(name, value)| {
            says(rtype, name) == Some(wanted)
                || (rtype.schema_by_urn(name).is_some() || name.eq_ignore_ascii_case("value"))
                    && tells(rtype, value, wanted)
        }),
        Value::String(text) => in_text(text).is_some_and(|value| tells(rtype, &value, wanted)),
        _ => false,
    }
}

/// Whether any name or text in a value speaks of the people of a type, wherever it lies.
pub(super) fn speaks_anywhere(rtype: &ResourceType, value: &Value) -> bool {
    match value {
        Value::String(text) => is_spoken_of(rtype, text),
        Value::Array(list) => list.iter().any(|one| speaks_anywhere(rtype, one)),
        Value::Object(members) => {
            members.iter().any(|(name, value)| is_spoken_of(rtype, name) || speaks_anywhere(rtype, value))
        }
        _ => false,
    }
}

/// Words by which other schemas name people, beside those of the schemas here.
const PEOPLE: [&str; 8] = ["users", "user", "userids", "people", "person", "persons", "sponsors", "sponsor"];

/// Whether what stands under a name that the type does not have may be people, whatever schema it is of: the name says
/// so, or the value refers to them by their ids. Taking it for nothing would empty what names them here.
pub(super) fn may_be(name: &str, value: &Value) -> bool {
    let mut words = name.split(|c: char| !(c.is_alphanumeric() || "_-$".contains(c)));
    let last = words.rfind(|word| !word.is_empty()).unwrap_or_default();
    PEOPLE.iter().any(|word| last.eq_ignore_ascii_case(word)) || is_named_here(last) || refers(value)
}

/// Whether a word is what any type here calls its people: `members`, `owner`, `memberIds`.
fn is_named_here(word: &str) -> bool {
    registry().types.iter().filter_map(|rtype| rtype.people()).any(|people| {
        let one = people.name.strip_suffix('s').unwrap_or(&people.name);
        let rest = word.get(..one.len()).filter(|head| head.eq_ignore_ascii_case(one)).and(word.get(one.len()..));
        rest.is_some_and(|rest| ["", "s", "id", "ids"].iter().any(|end| rest.eq_ignore_ascii_case(end)))
    })
}

fn refers(value: &Value) -> bool {
    let is_id = |value: &Value| value.as_str().is_some_and(|text| is_uuid(&plain(text)));
    match value {
        Value::Array(list) => list.iter().any(|one| is_id(one) || one.get("id").is_some_and(is_id) || refers(one)),
        Value::Object(members) => {
            let mut names = ["value", "$ref"].into_iter().filter_map(|name| member(members, name));
            names.any(is_id) || members.iter().any(|(name, value)| may_be(name, value))
        }
        _ => false,
    }
}

/// The object or the list that a text is. A text in a text is read once: it is shorter each time.
fn in_text(text: &str) -> Option<Value> {
    text.trim_start().starts_with(['{', '[']).then(|| json::parse(text.as_bytes(), &Limits::default()).ok()).flatten()
}

/// What the path of an operation says of access, if members are those of one.
pub(super) fn of_operation(rtype: &'static ResourceType, members: &Map<String, Value>) -> Option<Says> {
    let path = member(members, "path").and_then(Value::as_str);
    path.into_iter().chain(leaving::named(members)).find_map(|path| says(rtype, path))
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
