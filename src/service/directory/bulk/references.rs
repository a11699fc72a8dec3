//! `bulkId:` references: finding them, replacing them, and taking out those that are not known yet.

use std::collections::{BTreeSet, HashMap};
use std::sync::LazyLock;

use serde_json::{Map, Value, json};

use crate::scim::message::PATCH_URN;
use crate::scim::reference::references;
use crate::scim::validate::UNMADE;
use crate::service::registry;

/// What `bulkId` stands for which id.
pub(in crate::service::directory::bulk) type Ids = HashMap<String, String>;

/// What becomes of a reference: asked with the bulkId, it gives the id to put in its place.
type Act<'a> = &'a mut dyn FnMut(&str) -> Option<String>;

/// Every bulkId that the body of an operation refers to.
pub(in crate::service::directory::bulk) fn find(mut data: Value, found: &mut Vec<String>) {
    each_in_data(&mut data, &mut |name| note(name, found));
}

/// The bulkIds among the segments of an operation's path.
pub(in crate::service::directory::bulk) fn find_in_path(path: &str, found: &mut Vec<String>) {
    each_segment(&mut path.to_owned(), &mut |name| note(name, found));
}

fn note(name: &str, found: &mut Vec<String>) -> Option<String> {
    found.push(name.to_owned());
    None
}

/// Replaces every reference of a body whose id is known.
pub(in crate::service::directory::bulk) fn resolve(data: &mut Value, ids: &Ids) {
    each_in_data(data, &mut |name| ids.get(name).cloned());
}

/// Replaces the references in an operation's path.
pub(in crate::service::directory::bulk) fn resolve_path(path: &mut String, ids: &Ids) {
    each_segment(path, &mut |name| ids.get(name).cloned());
}

/// A body is a resource or a PATCH, whose operations say by their path what their value is.
fn each_in_data(data: &mut Value, act: Act<'_>) {
    let Value::Object(members) = data else { return };
    for (name, member) in members {
        match member {
            Value::Array(operations) if name.eq_ignore_ascii_case("Operations") => {
                operations.iter_mut().for_each(|operation| each_in_operation(operation, act));
            }
            member => each_in_value(member, last_name(name), act),
        }
    }
}

fn each_in_operation(operation: &mut Value, act: Act<'_>) {
    let Value::Object(members) = operation else { return };
    let path = members.iter().find(|(name, _)| name.eq_ignore_ascii_case("path"));
    let place = path.and_then(|(_, path)| path.as_str()).map(|path| last_name(path).to_owned()).unwrap_or_default();
    for (name, member) in members {
        match member {
            Value::String(path) if name.eq_ignore_ascii_case("path") => each_literal(path, act),
            member if name.eq_ignore_ascii_case("value") => each_in_value(member, &place, act),
            _ => {}
        }
    }
}

/// The attributes that hold ids of other resources: the references of every type, and the members of groups. Some
/// clients write an id in place of the element that it is the `value` of.
static HOLDERS: LazyLock<BTreeSet<&'static str>> = LazyLock::new(|| {
    let types = || registry().types.iter().copied();
    let referring = types().flat_map(references).map(|reference| reference.attribute);
    referring.chain(types().filter_map(|one| one.rows)).map(|attribute| &*attribute.name).collect()
});

/// References are whole values of attributes that hold ids; any other text may say `bulkId:` as it likes.
fn each_in_value(value: &mut Value, attribute: &str, act: Act<'_>) {
    let is = |name: &str| attribute.eq_ignore_ascii_case(name);
    match value {
        Value::String(link) if is("$ref") => each_link(link, act),
        Value::String(id) if is("value") || HOLDERS.iter().any(|name| is(name)) => whole(id, act),
        Value::Array(items) => items.iter_mut().for_each(|item| each_in_value(item, attribute, act)),
        Value::Object(members) => {
            members.iter_mut().for_each(|(name, member)| each_in_value(member, last_name(name), act));
        }
        _ => {}
    }
}

/// The attribute that a path ends in, without URN and filter.
fn last_name(path: &str) -> &str {
    let path = if path.ends_with(']') { path.split('[').next().unwrap_or(path) } else { path };
    path.rsplit(['.', ':']).next().unwrap_or(path)
}

fn whole(text: &mut String, act: Act<'_>) {
    if let Some(name) = text.strip_prefix(UNMADE).filter(|name| !name.is_empty())
        && let Some(id) = act(name)
    {
        *text = id;
    }
}

/// A reference, or a path or URL whose last segment is one.
fn each_link(text: &mut String, act: Act<'_>) {
    let start = if text.starts_with(UNMADE) { 0 } else { text.rfind('/').map_or(0, |slash| slash + 1) };
    let mut segment = text.split_off(start);
    whole(&mut segment, act);
    text.push_str(&segment);
}

fn each_segment(path: &mut String, act: Act<'_>) {
    let is_end = |c| matches!(c, '/' | '?' | '#');
    let mut done = String::with_capacity(path.len());
    for piece in path.split_inclusive(is_end) {
        let (segment, end) = piece.split_at(piece.trim_end_matches(is_end).len());
        let mut segment = segment.to_owned();
        whole(&mut segment, act);
        done.push_str(&segment);
        done.push_str(end);
    }
    *path = done;
}

/// The literals of the filters in a PATCH path.
fn each_literal(path: &mut String, act: Act<'_>) {
    let mut done = String::with_capacity(path.len());
    let mut rest = path.as_str();
    while let Some((before, after)) = rest.split_once('"') {
        let (literal, tail) = after.split_at(literal_len(after));
        let mut literal = literal.to_owned();
        each_link(&mut literal, act);
        done.extend([before, "\"", &literal]);
        let Some(tail) = tail.strip_prefix('"') else {
            rest = "";
            break;
        };
        done.push('"');
        rest = tail;
    }
    done.push_str(rest);
    *path = done;
}

/// The length of a literal: up to the first quote that no backslash escapes.
fn literal_len(text: &str) -> usize {
    let mut escaped = false;
    let end = text.char_indices().find(|(_, c)| {
        let ends = *c == '"' && !escaped;
        escaped = *c == '\\' && !escaped;
        ends
    });
    end.map_or(text.len(), |(at, _)| at)
}

/// What was taken out of a body: PATCH paths and the values that belong there.
#[derive(Debug, Default)]
pub(in crate::service::directory::bulk) struct Stripped(Vec<(String, Value)>);

impl Stripped {
    /// Whether nothing was taken out.
    pub(in crate::service::directory::bulk) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The PATCH that puts it back, its references replaced.
    pub(in crate::service::directory::bulk) fn patch(self, ids: &Ids) -> Value {
        let operation = |(path, value)| json!({"op": "add", "path": path, "value": value});
        let operations: Vec<Value> = self.0.into_iter().map(operation).collect();
        let mut patch = json!({"schemas": [PATCH_URN], "Operations": operations});
        resolve(&mut patch, ids);
        patch
    }
}

/// Takes the elements and attributes out of a body that still hold a reference.
pub(in crate::service::directory::bulk) fn strip(body: &mut Value) -> Stripped {
    let mut stripped = Stripped::default();
    if let Value::Object(members) = body {
        strip_members(members, "", &mut stripped);
    }
    stripped
}

fn strip_members(members: &mut Map<String, Value>, urn: &str, stripped: &mut Stripped) {
    let waiting: Vec<String> =
        members.iter().filter(|(name, value)| refers(name, value)).map(|(name, _)| name.clone()).collect();
    for name in waiting {
        let Some(value) = members.get_mut(&name) else { continue };
        let path = if urn.is_empty() { name.clone() } else { format!("{urn}:{name}") };
        match value {
            // Only extensions are held under a name with a colon; their attributes wait one by one.
            Value::Object(extension) if name.contains(':') => strip_members(extension, &name, stripped),
            Value::Array(elements) => {
                let (wait, keep) = std::mem::take(elements).into_iter().partition(|element| refers(&name, element));
                *elements = keep;
                stripped.0.push((path, Value::Array(wait)));
            }
            value => {
                let value = std::mem::take(value);
                members.shift_remove(&name);
                stripped.0.push((path, value));
            }
        }
    }
}

fn refers(name: &str, value: &Value) -> bool {
    let mut found = vec![];
    each_in_value(&mut value.clone(), last_name(name), &mut |name| note(name, &mut found));
    !found.is_empty()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Which bulkIds a body refers to, and what it is once `a`, `ab` and `q1` are known.
    fn check(mut data: Value, names: &[&str], resolved: Value) {
        let mut found = vec![];
        find(data.clone(), &mut found);
        assert_eq!(found, names, "{data}");
        let ids = [("a", "1"), ("ab", "2"), ("q1", "3")].map(|(name, id)| (name.to_owned(), id.to_owned()));
        resolve(&mut data, &Ids::from(ids));
        assert_eq!(data, resolved);
    }

    #[test]
    fn references_are_whole_values_of_attributes_that_hold_ids() {
        let urn = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User";
        check(
            json!({"Members": [{"VALUE": "bulkId:a", "$Ref": "https://k/Users/bulkId:ab"}, "bulkId:c", "bulkId:a"],
                "owners": ["bulkId:ab"], urn: {"manager": "bulkId:a"}, format!("{urn}:manager"): {"value": "bulkId:ab"}}),
            &["a", "ab", "c", "a", "ab", "a", "ab"],
            json!({"Members": [{"VALUE": "1", "$Ref": "https://k/Users/2"}, "bulkId:c", "1"],
                "owners": ["2"], urn: {"manager": "1"}, format!("{urn}:manager"): {"value": "2"}}),
        );
    }

    #[test]
    fn other_text_may_say_what_it_likes() {
        let text = json!({"userName": "bulkId:a", "title": "see bulkId:a", "emails": [{"value": "x bulkId:a"}],
            "members": [{"value": "bulkId:", "display": "bulkId:a", "$ref": "/bulkId:a/x"}], "path": "bulkId:a", "n": 1});
        check(text.clone(), &[], text);
        let patch = json!({"Operations": [{"op": "add", "path": "title", "value": "bulkId:a"},
            {"op": "add", "path": "members[display eq \"see bulkId:a\"].display", "value": "bulkId:a"},
            {"op": "add", "value": {"title": "bulkId:a", "path": "x[y eq \"bulkId:a\"]"}}]});
        check(patch.clone(), &[], patch);
    }

    #[test]
    fn a_patch_says_by_its_path_what_its_value_is() {
        let urn = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User";
        let ops = |a: &str, ab: &str, q1: &str| {
            json!({"operations": [{"op": "add", "PATH": format!("{urn}:manager"), "Value": a},
                {"op": "add", "path": "manager.value", "value": a}, {"op": "add", "path": "Members", "value": [ab]},
                {"op": "add", "path": "owners[primary eq true]", "value": a},
                {"op": "add", "value": {format!("{urn}:manager"): a, "members": [{"value": ab}]}},
                {"op": "remove", "path": format!("members[value eq \"bulkId:q12\" or value eq \"{q1}\"]")},
                {"op": "remove", "path": format!("members[$ref eq \"/Users/{q1}\" and display eq \"\\\"bulkId:a\"]")},
                {"op": "remove", "path": "members[value eq \"bulkId:"}]})
        };
        let names = ["a", "a", "ab", "a", "a", "ab", "q12", "q1", "q1"];
        check(ops("bulkId:a", "bulkId:ab", "bulkId:q1"), &names, ops("1", "2", "3"));
    }

    #[test]
    fn paths_refer_by_whole_segments() {
        for (path, names, resolved) in [
            ("/Groups/bulkId:a", vec!["a"], "/Groups/1"),
            ("/Groups/bulkId:ab?x=1", vec!["ab"], "/Groups/2?x=1"),
            ("/Groups/bulkId:q12", vec!["q12"], "/Groups/bulkId:q12"),
            ("/Groups//xbulkId:a", vec![], "/Groups//xbulkId:a"),
        ] {
            let (mut path, mut found) = (path.to_owned(), vec![]);
            find_in_path(&path, &mut found);
            assert_eq!(found, names, "{path}");
            let ids = [("a", "1"), ("ab", "2"), ("q1", "3")].map(|(name, id)| (name.to_owned(), id.to_owned()));
            resolve_path(&mut path, &Ids::from(ids));
            assert_eq!(path, resolved);
        }
    }

    #[test]
    fn what_waits_is_taken_out_and_patched_back() {
        let urn = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User";
        let mut body = json!({"userName": "a", "members": [{"value": "1"}, {"value": "bulkId:b"}],
            urn: {"department": "x", "manager": {"value": "bulkId:b"}}});
        let stripped = strip(&mut body);
        assert_eq!(body, json!({"userName": "a", "members": [{"value": "1"}], urn: {"department": "x"}}));
        let ids = Ids::from([("b".to_owned(), "7".to_owned())]);
        assert_eq!(
            stripped.patch(&ids)["Operations"],
            json!([{"op": "add", "path": "members", "value": [{"value": "7"}]},
                {"op": "add", "path": format!("{urn}:manager"), "value": {"value": "7"}}])
        );
    }
}
