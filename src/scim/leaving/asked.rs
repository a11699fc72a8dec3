//! Whether a request asks that somebody leaves: what a refusal is recorded by.

use serde_json::Value;

use super::{ACTIVE, HERE, YES, called_value, found, is_verb, named, names_active, whole};
use crate::scim::members::{self, any_goes};
use crate::scim::people::is_spoken_of;
use crate::scim::schema::ResourceType;

/// Whether the body of a PUT or a PATCH asks, in whatever words, that somebody is active no more, or says of it what
/// nobody understands; of a group, that anything but more of it is left; of an agent, that others answer for it.
pub fn is_asked(body: &Value, rtype: &ResourceType) -> bool {
    if !body.is_object() {
        return true;
    }
    let Some(operations) = operations(body) else { return rtype.people().is_some() || is_asked_anew(body) };
    match rtype.rows {
        Some(_) => operations.iter().any(|one| text(one, "op") != "add" || says(one) || takes(one, rtype)),
        None => operations.iter().any(|one| leaves(one) || takes(one, rtype)) || found("", body).is_some(),
    }
}

/// The same of the body of a POST: whoever is not made by it is active as before. Who is in a group, or answers for an
/// agent, it says of nobody who is there.
pub fn is_asked_anew(body: &Value) -> bool {
    found("", body).is_some() || doubts(body)
}

/// Whether the body of a PUT or a PATCH may take away what a principal has by its own document: roles and entitlements.
pub fn lessens(body: &Value) -> bool {
    let is_held = |path: &str| {
        let words = path.split(|c: char| !c.is_alphanumeric());
        words.into_iter().any(|word| HELD.iter().any(|held| word.eq_ignore_ascii_case(held)))
    };
    let Some(operations) = operations(body) else { return true };
    operations.iter().any(|operation| {
        let mut members = member(operation, "value").and_then(Value::as_object).into_iter().flatten();
        let is_named = is_held(&text(operation, "path")) || members.any(|(name, _)| is_held(name));
        is_named && text(operation, "op") != "add"
    })
}

/// What a principal has by its own document.
const HELD: [&str; 2] = ["roles", "entitlements"];

/// The operations of a PATCH; `None` of another body.
fn operations(body: &Value) -> Option<&[Value]> {
    match member(body, "Operations") {
        // An operation without its envelope.
        None => member(body, "path").map(|_| std::slice::from_ref(body)),
        Some(Value::Array(operations)) => Some(operations),
        Some(one) => Some(std::slice::from_ref(one)),
    }
}

/// Whether an operation says in its value that somebody leaves.
fn says(operation: &Value) -> bool {
    member(operation, "value").is_some_and(|value| found(&text(operation, "path"), value).is_some())
}

/// Whether an operation is about `active` and says anything but a yes, or nobody knows what it says.
fn leaves(operation: &Value) -> bool {
    let (op, path, value) = (text(operation, "op"), text(operation, "path"), member(operation, "value"));
    let removes = ["remove", "delete"].contains(&op.as_str());
    // Of what is removed without a path, or set to a value alone, nobody knows what it is.
    let is_unclear = path.is_empty() && (removes || value.is_some_and(|value| !value.is_object()));
    let is_doubtful = is_unclear
        || !removes && is_verb(&op)
        || is_elsewhere(operation)
        || names_active(&path) && (removes || !value.is_some_and(is_yes));
    !operation.is_object() || is_doubtful || says(operation) || value.is_some_and(doubts)
}

/// Whether an operation speaks of `active` where no operation says what it is about: `attribute`, `from`, a path that is
/// no text.
fn is_elsewhere(operation: &Value) -> bool {
    fn speaks(value: &Value) -> bool {
        match value {
            Value::String(text) => names_active(text),
            Value::Array(items) => items.iter().any(speaks),
            Value::Object(members) => members.values().any(speaks),
            _ => false,
        }
    }
    let mut members = operation.as_object().into_iter().flatten();
    members.any(|(name, value)| {
        let is_known = ["op", "value"].iter().any(|own| name.eq_ignore_ascii_case(own));
        let is_path = name.eq_ignore_ascii_case("path") && value.is_string();
        !is_known && !is_path && speaks(value)
    })
}

/// Whether an operation may take somebody out of what names people.
fn takes(operation: &Value, rtype: &ResourceType) -> bool {
    if rtype.people().is_none() {
        return false;
    }
    match (text(operation, "op").as_str(), text(operation, "path").as_str()) {
        _ if member(operation, "value").is_some_and(any_goes) => true,
        ("add", _) => false,
        (_, "") => member(operation, "value").is_none_or(|value| speaks(rtype, value)),
        (_, path) => is_spoken_of(rtype, path),
    }
}

/// Whether a value without a path names members or owners, by itself or under the URN of a schema.
fn speaks(rtype: &ResourceType, value: &Value) -> bool {
    let mut members = value.as_object().into_iter().flatten();
    members.any(|(name, value)| is_spoken_of(rtype, name) || name.contains(':') && speaks(rtype, value))
}

/// Whether an `active` in it says anything but a yes.
fn doubts(value: &Value) -> bool {
    match value {
        Value::Array(items) => items.iter().any(doubts),
        Value::Object(members) => {
            let is_no = |name: &str, value: &Value| names_active(name) && !is_yes(value);
            members.iter().any(|(name, member)| is_no(name, member) || doubts(member))
                || named(members).any(names_active) && called_value(members).is_some_and(|value| !is_yes(value))
        }
        _ => false,
    }
}

fn is_yes(value: &Value) -> bool {
    let is_in = |words: &[&str], text: &str| words.iter().any(|word| text.eq_ignore_ascii_case(word));
    match value {
        Value::Bool(value) => *value,
        Value::String(text) => is_in(&YES, whole(text.trim())) || is_in(&HERE, text.trim()),
        Value::Number(number) => is_in(&YES, whole(&number.to_string())),
        Value::Array(items) => !items.is_empty() && items.iter().all(is_yes),
        Value::Object(_) => member(value, "value").or_else(|| member(value, ACTIVE[0])).is_some_and(is_yes),
        Value::Null => false,
    }
}

/// A text of an object, without blanks around it and in lower case; empty if it has none.
fn text(object: &Value, name: &str) -> String {
    match member(object, name) {
        Some(Value::String(text)) => text.trim().to_ascii_lowercase(),
        _ => String::new(),
    }
}

/// A member of what may be an object.
fn member<'v>(object: &'v Value, name: &str) -> Option<&'v Value> {
    members::member(object.as_object()?, name)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::scim::schema::registry;

    fn of(name: &str, body: Value) -> bool {
        is_asked(&body, registry().by_name(name).unwrap())
    }

    #[test]
    fn what_asks_that_somebody_leaves() {
        let asks = |body: Value| of("User", body);
        let one = |operation: Value| asks(json!({"Operations": [{"op": "add", "path": "title"}, operation]}));
        for value in
            [json!("gone"), json!(7), json!({"x": true}), json!(["true", "x"]), json!([]), json!(null), json!("")]
        {
            assert!(asks(json!({"userName": "x", "Active": value})), "{value}");
            assert!(asks(json!({"urn:x:User": {"active": value}})), "{value}");
            assert!(one(json!({"op": "replace", "path": "urn:x:User:active", "value": value})), "{value}");
            assert!(one(json!({"op": "replace", "value": {"active": value}})), "{value}");
        }
        for value in [json!(true), json!("TRUE"), json!(1.0), json!("enabled"), json!(["yes"]), json!({"value": "on"})]
        {
            assert!(!asks(json!({"userName": "x", "Active": value})), "{value}");
            assert!(!one(json!({"op": "replace", "path": "active", "value": value})), "{value}");
            assert!(!one(json!({"op": "replace", "value": {"active": value}})), "{value}");
        }
        for path in ["active", "/active", "active.value", "active[value eq true]", "urn:x:roles.1:active", " "] {
            assert!(one(json!({"op": "delete", "path": path})), "{path}");
            assert!(one(json!({"op": "Remove", "path": path, "value": true})), "{path}");
        }
        assert!(one(json!({"op": "remove", "value": {"active": true}})));
        for odd in [
            json!({"op": "replace", "value": [{"path": "active", "value": false}]}),
            json!({"op": "replace", "value": "{\"active\":false}"}),
            json!({"op": "move", "from": "active", "path": "x"}),
            json!({"op": "replace", "attribute": "active", "value": false}),
            json!({"op": "replace", "path": {"attribute": "active"}, "value": false}),
            json!({"op": "replace", "path": 7, "value": false}),
        ] {
            assert!(one(odd.clone()), "{odd}");
        }
        for name in ["[active]", "active;title", "active eq true"] {
            assert!(one(json!({"op": "replace", "value": {name: false}})), "{name}");
            assert!(asks(json!({"userName": "x", name: "False"})), "{name}");
        }
        assert!(one(json!("x")) && asks(json!([])) && asks(json!("x")));
        assert!(!one(json!({"op": "replace", "path": "title", "value": 7})));
    }

    #[test]
    fn what_may_take_somebody_out() {
        let group = |operation: Value| of("Group", json!({"Operations": [operation]}));
        assert!(of("Group", json!({"displayName": "x"})));
        assert!(group(json!({"op": "Remove", "path": "members"})) && !group(json!({"op": "Add", "path": "members"})));
        assert!(group(json!({"op": "add", "path": "members", "value": [{"value": "x", "active": false}]})));
        let agent = |operation: Value| of("Agent", json!({"Operations": [operation]}));
        assert!(of("Agent", json!({"displayName": "x"})));
        let urn = "urn:ietf:params:scim:schemas:core:2.0:Agent";
        for path in ["owners", "Owners[value eq \"x\"]", "owner/7", &format!("{urn}:owners")] {
            assert!(agent(json!({"op": "remove", "path": path})), "{path}");
            assert!(agent(json!({"op": "replace", "value": {path: []}})), "{path}");
            assert!(!agent(json!({"op": "add", "path": path, "value": []})), "{path}");
        }
        assert!(agent(json!({"op": "replace", "value": {urn: {"owners": []}}})));
        assert!(agent(json!({"op": "remove", "value": ["x"]})));
        assert!(!agent(json!({"op": "replace", "path": "name", "value": "x"})));
        // A person has none.
        assert!(!of("User", json!({"Operations": [{"op": "remove", "path": "owners"}]})));
    }
}
