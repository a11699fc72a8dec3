//! Members and owners as clients name them. One without a value names nobody, and is left out like one that nobody
//! knows; so is one that is malformed, where others are named: it keeps no leaver in a group, and no joiner outside.

use std::borrow::Borrow;

use serde_json::{Map, Value};

use super::attribute::Attribute;
use super::error::Error;
use super::leaving;
use super::tolerance::{Tolerance, Tolerances};
use super::unknown;

/// What some clients call the `value` of a member.
const ID: &str = "id";

/// What a list of people is for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum For {
    /// They come, or stay: an element that is malformed keeps nobody else from it.
    Staying,
    /// They go: whoever is named by an element that is malformed would stay.
    Going,
}

/// Collects what is named in a list of this attribute: `read` gives what it makes of one element. Who is told by what they
/// are called alone is somebody that nobody can find, and not nobody: else a list of such would empty a group.
///
/// # Errors
/// What is wrong with the first that is malformed, where the dialect drops nothing, where nobody is named, and where they go.
pub(super) fn named<T: Borrow<Value>, M>(
    (attribute, name, wanted): (&Attribute, &str, For),
    elements: impl IntoIterator<Item = T>,
    tolerances: &mut Tolerances,
    mut read: impl FnMut(usize, T, &mut Tolerances) -> Result<M, Error>,
) -> Result<Vec<M>, Error> {
    let (mut found, mut nobody) = (vec![], None);
    for (index, element) in elements.into_iter().enumerate() {
        let names_nobody = || tolerances.dialect().is_lenient() && is_nobody(element.borrow());
        if names_nobody() && tolerances.allow(Tolerance::UnknownReference) {
            check_parts(attribute, name, index, element.borrow(), tolerances)?;
            tolerances.drop_id("");
            continue;
        }
        match read(index, element, tolerances) {
            Ok(one) => found.push(one),
            Err(error) if error.status == 400 && tolerances.dialect().is_lenient() && wanted == For::Staying => {
                nobody.get_or_insert(error);
            }
            Err(error) => return Err(error),
        }
    }
    match nobody {
        Some(error) if found.is_empty() => Err(error),
        Some(_) => {
            tolerances.drop_beside(name);
            Ok(found)
        }
        None => Ok(found),
    }
}

/// Looks at what an element of `members` says beside the parts that it has: dropped and named, or refused.
///
/// # Errors
/// 400 for what says that somebody leaves, and for whatever the dialect does not drop.
pub(super) fn check_parts(
    attribute: &Attribute,
    at: &str,
    index: usize,
    element: &Value,
    tolerances: &mut Tolerances,
) -> Result<(), Error> {
    let is_named_so = is_named_by_id(element) && tolerances.dialect().is_lenient();
    let mut parts = element.as_object().into_iter().flatten();
    parts.try_for_each(|(name, value)| match attribute.sub(name) {
        Some(_) => Ok(()),
        None if is_named_so && name.eq_ignore_ascii_case(ID) => Ok(()),
        None if says_goes(name, value) => {
            let path = format!("{at}.{name}");
            let detail = format!("{at}[{index}].{name}: says that somebody goes, which only op says");
            tolerances.spare_doubtful(&path, Error::syntax(detail).naming(&*path))
        }
        None => unknown::part(&format!("{at}[{index}]"), name, value, tolerances),
    })
}

/// Whether a member of an element says that whoever it names is to go, as SCIM 1.1 has it: `"operation": "delete"`. Others
/// call it `$op` or `_action`, or have a mark of its own: `"delete": true`, `"@removed": {…}`, `"isMember": false`.
fn says_goes(name: &str, value: &Value) -> bool {
    const WORDS: [&str; 6] = ["delete", "deleted", "remove", "removed", "unassign", "unassigned"];
    let letters = |text: &str| text.chars().filter(char::is_ascii_alphabetic).collect::<String>().to_ascii_lowercase();
    let is_word = |text: &str| WORDS.contains(&&*letters(text));
    // One in a list is that one.
    let value = match value {
        Value::Array(list) if list.len() == 1 => list.first().unwrap_or(value),
        value => value,
    };
    match &*letters(name) {
        "operation" | "op" | "action" => value.as_str().is_some_and(is_word),
        "ismember" | "member" => leaving::is_no(value),
        own if WORDS.contains(&own) => matches!(value, Value::Bool(true) | Value::Object(_)),
        _ => false,
    }
}

/// Whether any element in a value says so.
pub(super) fn any_goes(value: &Value) -> bool {
    match value {
        Value::Array(items) => items.iter().any(any_goes),
        Value::Object(parts) => parts.iter().any(|(name, value)| says_goes(name, value) || any_goes(value)),
        _ => false,
    }
}

/// The id that an element of `members` names.
///
/// # Errors
/// 400 if it names nobody.
pub(super) fn id<'e>(
    name: &str,
    index: usize,
    element: &'e Value,
    tolerances: &mut Tolerances,
) -> Result<&'e str, Error> {
    let missing = || Error::value(format!("{name}[{index}].value: is required"));
    let found = match element {
        Value::Object(object) => match member(object, "value").filter(|value| !is_nothing(value)) {
            Some(value) => text(value, tolerances),
            None => {
                let own = || member(object, ID)?.as_str();
                reference(object).or_else(own).filter(|_| tolerances.allow(Tolerance::MemberSpelling))
            }
        },
        Value::String(id) if is_word(id) && tolerances.allow(Tolerance::ComplexBare) => Some(id.as_str()),
        _ => return Err(Error::value(format!("{name}[{index}]: expected an object"))),
    };
    found.filter(|id| !id.is_empty()).ok_or_else(missing)
}

/// Whether a text may be an id: a filter, a list or JSON in a text names somebody, but nobody by an id.
fn is_word(text: &str) -> bool {
    !text.trim().contains(|c: char| c.is_whitespace() || "\"'{}[](),=".contains(c))
}

fn text<'e>(value: &'e Value, tolerances: &mut Tolerances) -> Option<&'e str> {
    match value {
        Value::String(id) => Some(id.as_str()),
        Value::Array(list) => match list.as_slice() {
            [one] if !one.is_array() && tolerances.allow(Tolerance::MemberSpelling) => text(one, tolerances),
            _ => None,
        },
        _ => None,
    }
}

/// An id as it stands here: some clients turn ours into upper case or into their own form, or name a resource by its URL.
/// What cannot be kept of a text stands in no id.
pub fn plain(text: &str) -> String {
    let is_around = |c: char| c.is_whitespace() || "\"'<>\u{200b}\u{feff}".contains(c);
    let text = text.replace('\0', "").trim_matches(is_around).to_ascii_lowercase();
    let last = text.trim_end_matches('/').rsplit('/').next().unwrap_or_default();
    let last = last.strip_prefix("urn:uuid:").unwrap_or(last);
    last.strip_prefix('{').and_then(|inner| inner.strip_suffix('}')).unwrap_or(last).to_owned()
}

/// Whether an element has an `id` where its `value` should be.
fn is_named_by_id(element: &Value) -> bool {
    let Value::Object(parts) = element else { return false };
    let is_none = |name: &str| member(parts, name).is_none_or(is_nothing);
    member(parts, ID).is_some_and(Value::is_string) && is_none("value") && is_none("$ref")
}

/// The end of `$ref`, where nothing else names anybody.
fn reference(object: &Map<String, Value>) -> Option<&str> {
    let url = member(object, "$ref")?.as_str()?.split(['?', '#']).next()?;
    let (_, id) = url.trim_end_matches('/').rsplit_once('/')?;
    (!id.is_empty()).then_some(id)
}

/// Whether an element names nobody: its value is empty or not there, and nothing else says who it is, under whatever name.
fn is_nobody(element: &Value) -> bool {
    fn is_blank(value: &Value) -> bool {
        match value {
            Value::String(text) => text.trim().is_empty(),
            Value::Array(list) => list.iter().all(is_blank),
            other => is_nothing(other),
        }
    }
    match element {
        Value::Object(object) => object.iter().all(|(name, value)| {
            let is_own = ["value", "$ref", "display", ID].iter().any(|own| name.eq_ignore_ascii_case(own));
            let may_name = is_own || matches!(value, Value::String(_) | Value::Array(_) | Value::Object(_));
            !may_name || is_blank(value) || name.eq_ignore_ascii_case("type")
        }),
        other => is_blank(other),
    }
}

/// A member by its name, in any letter case.
pub fn member<'o>(object: &'o Map<String, Value>, name: &str) -> Option<&'o Value> {
    object.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value)
}

/// Whether a value says that there is none (RFC 7643 §2.5), in any way of saying it.
pub(super) fn is_nothing(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::String(text) => text.is_empty(),
        Value::Array(list) => list.is_empty(),
        Value::Object(members) => members.is_empty(),
        _ => false,
    }
}
