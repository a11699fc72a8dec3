//! What says that somebody leaves, under a name that no schema here has.
//!
//! Unknown names are dropped by the lenient dialects; dropping one of these would swallow the leaving itself.

use serde_json::Value;

/// Names that say by `false` or by a state that somebody is not active.
const STATES: [&str; 4] = ["active", "enabled", "accountenabled", "status"];
/// What they say it with.
const ENDED: [&str; 6] = ["false", "inactive", "disabled", "suspended", "terminated", "deprovisioned"];
/// Names that say it by `true`.
const ENDS: [&str; 3] = ["disabled", "suspended", "locked"];

/// Letters of the longest of these names.
const WORD_MAX: usize = 14;

/// Where an unknown name or what lies in its value says that somebody leaves: the path, without the value.
pub(super) fn found(name: &str, value: &Value) -> Option<String> {
    within(&word(name, ""), value).map(|inner| format!("{name}{inner}"))
}

/// `word` is what the value is called. Each name is read once, however much lies under it.
fn within(word: &str, value: &Value) -> Option<String> {
    let says = match value {
        Value::Array(items) => return items.iter().find_map(|item| within(word, item)),
        Value::Object(members) => {
            return members.iter().find_map(|(name, member)| {
                within(&self::word(name, word), member).map(|inner| format!(".{name}{inner}"))
            });
        }
        Value::Bool(value) => {
            if *value {
                ENDS.contains(&word)
            } else {
                STATES.contains(&word)
            }
        }
        Value::String(text) => {
            let text = text.trim();
            (STATES.contains(&word) && ENDED.iter().any(|ended| text.eq_ignore_ascii_case(ended)))
                || (ENDS.contains(&word) && text.eq_ignore_ascii_case("true"))
        }
        _ => false,
    };
    says.then(String::new)
}

/// The letters of a path's last segment, in lower case. `value` is the value of what is before it.
fn word(path: &str, outer: &str) -> String {
    let (head, tail) = match (path.split_once('['), path.rsplit_once(']')) {
        (Some((head, _)), Some((_, tail))) => (head, tail),
        _ => (path, ""),
    };
    let segments = [head, tail].into_iter().flat_map(|part| part.split(['.', ':', '/', '#']));
    let letters = |segment: &str| -> String {
        segment.chars().filter(|c| c.is_alphabetic()).take(WORD_MAX + 1).flat_map(char::to_lowercase).collect()
    };
    let mut words = segments.rev().map(letters).filter(|word| !word.is_empty());
    match words.next() {
        Some(last) if last == "value" => words.next().unwrap_or_else(|| outer.to_owned()),
        last => last.unwrap_or_default(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn check(name: &str, value: Value, expected: Option<&str>) {
        assert_eq!(found(name, &value).as_deref(), expected, "{name} {value}");
    }

    #[test]
    fn states_and_ends() {
        for name in ["active", "Enabled", "urn:x:User:accountEnabled", "a.STATUS", "x.account_enabled", "status.value"]
        {
            for value in ["false", "Inactive", "DISABLED", "suspended", " terminated ", "deprovisioned"] {
                check(name, json!(value), Some(name));
            }
            check(name, json!(false), Some(name));
            for value in [json!(true), json!("true"), json!("active"), json!("leave"), json!(0), json!(null), json!("")]
            {
                check(name, value, None);
            }
        }
        for name in ["disabled", "urn:x:Suspended", "acct/locked", "#locked"] {
            check(name, json!(true), Some(name));
            check(name, json!("True"), Some(name));
            for value in [json!(false), json!("false"), json!("yes"), json!("disabled"), json!(1)] {
                check(name, value, None);
            }
        }
        check("clearance", json!("disabled"), None);
        check("statusText", json!("disabled"), None);
        check("active.since", json!(false), None);
    }

    #[test]
    fn wherever_it_lies() {
        check("urn:x", json!({"a": {"b": [1, {"Status": "inactive"}]}}), Some("urn:x.a.b.Status"));
        check("urn:x", json!({"a": {"b": [1, {"Status": "active"}]}}), None);
        check("accountEnabled", json!(["false"]), Some("accountEnabled"));
        check("status", json!({"value": "terminated"}), Some("status.value"));
        check("accounts[type eq \"a.b\"].enabled", json!("False"), Some("accounts[type eq \"a.b\"].enabled"));
        check("status[type eq \"work\"]", json!("disabled"), Some("status[type eq \"work\"]"));
        check("states", json!({"value": "terminated"}), None);
    }
}
