//! Which attributes a change touches: their paths, for the log. Values stay out of it.

use serde_json::{Map, Value};

/// The canonical paths of attributes whose values differ; those of extensions carry their URN.
pub(in crate::service::directory::resources) fn paths(
    before: &Map<String, Value>,
    after: &Map<String, Value>,
) -> Vec<String> {
    let mut paths = vec![];
    for name in names(before, after) {
        let (old, new) = (before.get(name), after.get(name));
        if old == new {
            continue;
        }
        // Extensions are held under their URN, and only they have a colon in their name.
        if name.contains(':') {
            let none = Map::new();
            let (old, new) = (members(old).unwrap_or(&none), members(new).unwrap_or(&none));
            paths.extend(self::paths(old, new).into_iter().map(|inner| format!("{name}:{inner}")));
        } else {
            paths.push(name.to_owned());
        }
    }
    paths
}

fn members(value: Option<&Value>) -> Option<&Map<String, Value>> {
    value.and_then(Value::as_object)
}

fn names<'m>(before: &'m Map<String, Value>, after: &'m Map<String, Value>) -> impl Iterator<Item = &'m str> {
    let gone = before.keys().filter(|name| !after.contains_key(*name));
    after.keys().chain(gone).map(String::as_str)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    fn check(before: Value, after: Value, expected: &[&str]) {
        let map = |value: Value| value.as_object().cloned().unwrap_or_default();
        assert_eq!(super::paths(&map(before), &map(after)), expected);
    }

    #[test]
    fn paths_name_what_differs_and_nothing_else() {
        check(json!({"userName": "a"}), json!({"userName": "a"}), &[]);
        check(json!({"userName": "a", "title": "x"}), json!({"userName": "b"}), &["userName", "title"]);
        check(json!({"urn:e": {"department": "x"}}), json!({"urn:e": {"department": "y"}}), &["urn:e:department"]);
        check(json!({}), json!({"urn:e": {"manager": {"value": "1"}}}), &["urn:e:manager"]);
    }
}
