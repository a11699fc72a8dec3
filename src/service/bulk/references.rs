//! `bulkId:` references: finding them, replacing them, and taking out those that are not known yet.

use std::collections::HashMap;

use serde_json::{Map, Value, json};

use crate::scim::message::PATCH_URN;

/// What `bulkId` stands for which id.
pub(super) type Ids = HashMap<String, String>;

const PREFIX: &str = "bulkId:";

/// Every bulkId that a value refers to, anywhere in it.
pub(super) fn find(value: &Value, found: &mut Vec<String>) {
    match value {
        Value::String(text) => find_in_text(text, found),
        Value::Array(items) => items.iter().for_each(|item| find(item, found)),
        Value::Object(members) => members.values().for_each(|member| find(member, found)),
        _ => {}
    }
}

/// The bulkIds in a text: the whole of it, a segment of a path or URL, or a literal in a filter.
pub(super) fn find_in_text(text: &str, found: &mut Vec<String>) {
    let mut rest = text;
    while let Some((_, after)) = rest.split_once(PREFIX) {
        let end = after.find(ends_reference).unwrap_or(after.len());
        let (name, tail) = after.split_at(end);
        if !name.is_empty() {
            found.push(name.to_owned());
        }
        rest = tail;
    }
}

fn ends_reference(c: char) -> bool {
    matches!(c, '/' | '"' | '\'' | ']' | '[' | ')' | ' ' | '?' | '#' | ',' | '\\')
}

/// Replaces every reference whose id is known.
pub(super) fn resolve(value: &mut Value, ids: &Ids) {
    match value {
        Value::String(text) => resolve_text(text, ids),
        Value::Array(items) => items.iter_mut().for_each(|item| resolve(item, ids)),
        Value::Object(members) => members.values_mut().for_each(|member| resolve(member, ids)),
        _ => {}
    }
}

/// Replaces the references in a text.
pub(super) fn resolve_text(text: &mut String, ids: &Ids) {
    let mut names = vec![];
    find_in_text(text, &mut names);
    for name in names {
        if let Some(id) = ids.get(&name) {
            *text = text.replacen(&format!("{PREFIX}{name}"), id, 1);
        }
    }
}

/// What was taken out of a body: PATCH paths and the values that belong there.
#[derive(Debug, Default)]
pub(super) struct Stripped(Vec<(String, Value)>);

impl Stripped {
    /// Whether nothing was taken out.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The PATCH that puts it back, its references replaced.
    pub(super) fn patch(self, ids: &Ids) -> Value {
        let operation = |(path, mut value): (String, Value)| {
            resolve(&mut value, ids);
            json!({"op": "add", "path": path, "value": value})
        };
        let operations: Vec<Value> = self.0.into_iter().map(operation).collect();
        json!({"schemas": [PATCH_URN], "Operations": operations})
    }
}

/// Takes the elements and attributes out of a body that still hold a reference.
pub(super) fn strip(body: &mut Value) -> Stripped {
    let mut stripped = Stripped::default();
    if let Value::Object(members) = body {
        strip_members(members, "", &mut stripped);
    }
    stripped
}

fn strip_members(members: &mut Map<String, Value>, urn: &str, stripped: &mut Stripped) {
    let waiting: Vec<String> =
        members.iter().filter(|(_, value)| refers(value)).map(|(name, _)| name.clone()).collect();
    for name in waiting {
        let Some(value) = members.get_mut(&name) else { continue };
        let path = if urn.is_empty() { name.clone() } else { format!("{urn}:{name}") };
        match value {
            // Only extensions are held under a name with a colon; their attributes wait one by one.
            Value::Object(extension) if name.contains(':') => strip_members(extension, &name, stripped),
            Value::Array(elements) => {
                let (wait, keep) = std::mem::take(elements).into_iter().partition(refers);
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

fn refers(value: &Value) -> bool {
    let mut found = vec![];
    find(value, &mut found);
    !found.is_empty()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_are_found_and_replaced_wherever_they_stand() {
        let ids = Ids::from([("a".to_owned(), "1".to_owned()), ("ab".to_owned(), "2".to_owned())]);
        let mut value = json!({"members": [{"value": "bulkId:a", "$ref": "https://k/Users/bulkId:ab"}],
            "path": "members[value eq \"bulkId:ab\"]", "x": "bulkId:c", "n": 1});
        let mut found = vec![];
        find(&value, &mut found);
        assert_eq!(found, ["a", "ab", "ab", "c"]);
        resolve(&mut value, &ids);
        assert_eq!(
            value,
            json!({"members": [{"value": "1", "$ref": "https://k/Users/2"}],
                "path": "members[value eq \"2\"]", "x": "bulkId:c", "n": 1})
        );
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
