//! Words by which providers say that somebody is there or leaves, and what says so under a name that no schema here
//! has.
//!
//! Unknown names are dropped by the lenient dialects; dropping one of these would swallow the leaving itself.

mod asked;
mod meant;

use serde_json::{Map, Value};

use meant::{ACTIVE, Meant, is_path, word};

pub(super) use meant::{GONE, HERE, NO, YES};

pub use asked::{is_asked, is_asked_anew, lessens};

/// Members by which an object says what its `value` is of: `{"name": "active", "value": false}`.
const NAMING: [&str; 6] = ["path", "name", "attribute", "key", "field", "property"];
/// The member whose meaning they say.
pub(super) const VALUE: &str = "value";

/// Where an unknown name or what lies in its value says that somebody leaves: the path, without the value.
pub(super) fn found(name: &str, value: &Value) -> Option<String> {
    within(Meant::by(name, Meant::default()), value).map(|inner| format!("{name}{inner}"))
}

/// `meant` is what the value is called. Each name and each value is read once, whatever lies around it: a client may nest
/// them, and have as many words in a name as it likes.
fn within(meant: Meant, value: &Value) -> Option<String> {
    let says = match value {
        Value::Array(items) => return items.iter().find_map(|item| within(meant, item)),
        Value::Object(members) => {
            // An operation in the place of a value says it by its path.
            let named = Meant::by_any(named(members));
            return members.iter().find_map(|(name, member)| {
                let own = Meant::by(name, meant);
                match name.eq_ignore_ascii_case(VALUE) {
                    true => within(own.or(named), member).map(|inner| format!(".{VALUE}{inner}")),
                    false => within(own, member).map(|inner| format!(".{name}{inner}")),
                }
            });
        }
        Value::Null => false,
        Value::Bool(value) => meant.says(if *value { "true" } else { "false" }),
        Value::Number(number) => meant.says(whole(&number.to_string())),
        // What cannot be kept of a text stands in no word.
        Value::String(text) => {
            let text: String = text.chars().filter(|c| *c != '\0').collect();
            meant.says(whole(text.trim()))
        }
    };
    says.then(String::new)
}

/// Where an object says that somebody leaves by its `value`, of which another member says what it is of.
pub(super) fn by_name(members: &Map<String, Value>) -> Option<String> {
    within(Meant::by_any(named(members)), called_value(members)?).map(|inner| format!(".{VALUE}{inner}"))
}

/// What an object says its `value` is of, if it has one.
pub(super) fn named(members: &Map<String, Value>) -> impl Iterator<Item = &str> {
    let has_value = called_value(members).is_some();
    let is_naming = move |name: &str| has_value && NAMING.iter().any(|own| name.eq_ignore_ascii_case(own));
    members.iter().filter(move |(name, _)| is_naming(name)).filter_map(|(_, name)| name.as_str())
}

/// The `value` of an object.
pub(super) fn called_value(members: &Map<String, Value>) -> Option<&Value> {
    members.iter().find(|(name, _)| name.eq_ignore_ascii_case(VALUE)).map(|(_, value)| value)
}

/// Whether a value says no: `false`, `0`, `"no"`.
pub(super) fn is_no(value: &Value) -> bool {
    match value {
        Value::Bool(value) => !value,
        Value::Number(number) => whole(&number.to_string()) == "0",
        Value::String(text) => NO.iter().any(|no| whole(text.trim()).eq_ignore_ascii_case(no)),
        _ => false,
    }
}

/// Whether a value that nobody understands may say that somebody leaves: it holds a no, or a word for leaving or for
/// `active`.
pub(super) fn may_say(value: &Value) -> bool {
    let is_word = |text: &str| {
        let mut words = text.split(|c: char| !c.is_alphabetic()).filter(|word| !word.is_empty()).map(str::to_lowercase);
        words.any(|word| word == ACTIVE[0] || GONE.contains(&&*word)) || is_verb(text)
    };
    match value {
        Value::Null | Value::Bool(_) | Value::Number(_) => is_no(value),
        Value::String(text) => is_no(value) || is_word(text),
        Value::Array(items) => items.iter().any(may_say),
        Value::Object(members) => members.iter().any(|(name, value)| is_word(name) || may_say(value)),
    }
}

/// Whether a verb that PATCH does not have says that somebody leaves: `deactivate`, `suspend`.
pub(super) fn is_verb(verb: &str) -> bool {
    let mut words = verb.split(|c: char| !c.is_alphabetic()).filter(|word| !word.is_empty()).map(str::to_lowercase);
    words.any(|word| ["d", "ed"].iter().any(|end| GONE.contains(&&*format!("{word}{end}"))))
}

/// A number as it is compared with words: `1.0` is 1, and `-0` is 0.
pub(super) fn whole(number: &str) -> &str {
    match number.strip_suffix(".0").unwrap_or(number) {
        "-0" => "0",
        whole => whole,
    }
}

/// Whether a path's last segment is `active`, whatever stands before it and around it. Of what is no path, any word may be
/// it: `[active]`.
pub(super) fn names_active(path: &str) -> bool {
    let mut words = path.split(|c: char| !c.is_alphanumeric());
    word(path).is_some_and(|word| word == ACTIVE[0])
        || !is_path(path) && words.any(|word| word.eq_ignore_ascii_case(ACTIVE[0]))
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
            for value in [json!(true), json!("true"), json!("active"), json!("leave"), json!(1), json!(null), json!("")]
            {
                check(name, value, None);
            }
        }
        for name in ["disabled", "urn:x:Suspended", "acct/locked", "#locked"] {
            check(name, json!(true), Some(name));
            check(name, json!("True"), Some(name));
            check(name, json!("yes"), Some(name));
            check(name, json!(1), Some(name));
            for value in [json!(false), json!("false"), json!("no"), json!("disabled"), json!(0), json!(2)] {
                check(name, value, None);
            }
        }
        for name in ["isActive", "is_enabled", "accountActive", "userIsActive", "enabled"] {
            for value in [json!(0), json!("0"), json!("No"), json!("off"), json!(false), json!("inactive")] {
                check(name, value, Some(name));
            }
            for value in [json!(-0.0), json!("-0"), json!("-0.0"), json!([-0.0])] {
                check(name, value, Some(name));
            }
            for value in [json!(true), json!("yes"), json!(1), json!("active"), json!(null)] {
                check(name, value, None);
            }
        }
        for name in ["accountStatus", "userStatus", "urn:x:employmentStatus", "employee_status", "loginState"] {
            check(name, json!("Terminated"), Some(name));
            check(name, json!("deactivated"), Some(name));
            check(name, json!("blocked"), Some(name));
            check(name, json!("active"), None);
            check(name, json!(0), None);
        }
        for name in ["isDisabled", "deactivated", "terminated", "deprovisioned", "blocked", "isInactive", "userDeleted"]
        {
            check(name, json!(true), Some(name));
            check(name, json!(false), None);
            check(name, json!("2026-11-29"), None);
        }
        check("island", json!(false), None);
        check("notActive", json!(false), None);
        check("clearance", json!("disabled"), None);
        check("statusText", json!("disabled"), None);
        check("active.since", json!(false), None);
    }

    #[test]
    fn rights_and_other_states() {
        for name in ["isSoftDeleted", "softDeleted", "soft_deleted", "deleted", "hasLeft", "isLeaver"] {
            check(name, json!("True"), Some(name));
            check(name, json!("Y"), Some(name));
            check(name, json!("N"), None);
        }
        for state in ["Left", "leaver", "departed", "offboarded", "resigned", "quit", "former", "retired", "archived"] {
            check("status", json!(state), Some("status"));
            check("employmentStatus", json!(state), Some("employmentStatus"));
            check("title", json!(state), None);
        }
        for name in [
            "loginAllowed",
            "signInAllowed",
            "canLogin",
            "loginEnabled",
            "allowLogin",
            "login",
            "isLoginPermitted",
            "hasAccess",
            "can_sign_in",
            "urn:x:User:accessAllowed",
        ] {
            check(name, json!(false), Some(name));
            check(name, json!("n"), Some(name));
            check(name, json!(true), None);
            check(name, json!("mira"), None);
        }
        for name in ["isLockedOut", "accountExpired", "revoked", "accessRevoked", "accountClosed", "employmentEnded"] {
            check(name, json!("True"), Some(name));
            check(name, json!(1), Some(name));
            for value in [json!(false), json!("2026-11-29"), json!(null)] {
                check(name, value, None);
            }
        }
        for name in ["employed", "isEmployed", "is_employed", "urn:x:User.isEmployed"] {
            check(name, json!(false), Some(name));
            check(name, json!("no"), Some(name));
            check(name, json!(true), None);
        }
        for state in ["expired", "Revoked", "closed", "ended", "lockedOut"] {
            check("status", json!(state), Some("status"));
            check("accountState", json!(state), Some("accountState"));
        }
        for name in ["passwordExpired", "passwordRevoked", "certificateExpired", "isPasswordExpired", "licenceEnded"] {
            check(name, json!(true), None);
        }
        for name in ["selfEmployed", "employer", "employedSince", "passwordEnabled"] {
            check(name, json!(false), None);
        }
        for name in ["passwordLoginAllowed", "vpnAccess", "newsletterAllowed", "allowed", "access", "softLaunch"] {
            check(name, json!(false), None);
        }
    }

    #[test]
    fn verbs() {
        for verb in ["deactivate", "Disable", " suspend ", "user.terminate", "lock", "deprovision", "offboard"] {
            assert!(is_verb(verb), "{verb}");
        }
        for verb in ["", "activate", "enable", "update", "replace", "add", "copy", "d", "reset"] {
            assert!(!is_verb(verb), "{verb}");
        }
    }

    #[test]
    fn any_word_of_what_is_no_path() {
        for name in [
            "active=false",
            "active eq \"true\"",
            "active,title",
            "[active]",
            "[\"active\"]",
            "title active",
            "active[",
        ] {
            check(name, json!(false), Some(name));
            check(name, json!("True"), None);
        }
        check("shoes[status eq \"x\"].size", json!("inactive"), None);
        check("mira vale's", json!(false), None);
    }

    #[test]
    fn names_and_values_are_read_once_however_they_lie_in_each_other() {
        let nested = |innermost: Value| {
            (0..30)
                .fold(innermost, |value, _| json!({"name": "x", "Name": "x", "path": "x", "key": "x", "value": value}))
        };
        check("urn:x", nested(json!({"active": true})), None);
        check("urn:x", nested(json!({"active": false})), Some(&format!("urn:x{}.active", ".value".repeat(30))));
        let words = "a ".repeat(100_000);
        check(&words, json!(vec![0; 100_000]), None);
        let name = format!("{words}active");
        check(&name, json!(vec![0; 100_000]), Some(&name));
    }

    #[test]
    fn wherever_it_lies() {
        check("urn:x", json!({"[active]": false}), Some("urn:x.[active]"));
        check("urn:x", json!({"a": {"b": [1, {"Status": "inactive"}]}}), Some("urn:x.a.b.Status"));
        check("urn:x", json!({"a": {"b": [1, {"Status": "active"}]}}), None);
        check("accountEnabled", json!(["false"]), Some("accountEnabled"));
        check("status", json!({"value": "terminated"}), Some("status.value"));
        check("accounts[type eq \"a.b\"].enabled", json!("False"), Some("accounts[type eq \"a.b\"].enabled"));
        check("status[type eq \"work\"]", json!("disabled"), Some("status[type eq \"work\"]"));
        check("states", json!({"value": "terminated"}), None);
        check("status", json!({"code": "inactive"}), Some("status.code"));
        check("accountStatus", json!([{"id": 7, "name": "Terminated"}]), Some("accountStatus.name"));
        check("status", json!({"code": "active", "reason": "inactive"}), None);
        check("urn:x", json!([{"name": "accountEnabled", "value": "no"}]), Some("urn:x.value"));
        check("fields", json!({"Attribute": "urn:x:User:active", "Value": false}), Some("fields.value"));
        check("fields", json!({"name": "active", "value": true}), None);
        check("fields", json!({"display": "active", "value": false}), None);
    }
}
