//! Words by which providers say that somebody is there or leaves, and what says so under a name that no schema here
//! has.
//!
//! Unknown names are dropped by the lenient dialects; dropping one of these would swallow the leaving itself.

mod asked;

use serde_json::{Map, Value};

pub use asked::{is_asked, is_asked_anew, lessens};

/// Yes and no in other words than JSON's.
pub(super) const YES: [&str; 6] = ["true", "1", "yes", "y", "t", "on"];
pub(super) const NO: [&str; 6] = ["false", "0", "no", "n", "f", "off"];
/// States of whoever is there.
pub(super) const HERE: [&str; 2] = ["active", "enabled"];
/// States of whoever leaves or has left; as names they say it by a yes.
pub(super) const GONE: [&str; 25] = [
    "inactive",
    "disabled",
    "suspended",
    "terminated",
    "deprovisioned",
    "deactivated",
    "blocked",
    "locked",
    "lockedout",
    "expired",
    "revoked",
    "closed",
    "ended",
    "deleted",
    "removed",
    "archived",
    "left",
    "leaver",
    "departed",
    "offboarded",
    "resigned",
    "retired",
    "dismissed",
    "quit",
    "former",
];

/// Names that say it by a no, or by a state.
const ACTIVE: [&str; 7] = ["active", "enabled", "employed", "login", "logon", "signin", "signon"];
/// Names that say it by a no behind one of [`BEFORE`]: alone they may be about anything.
const RIGHTS: [&str; 3] = ["access", "allowed", "permitted"];
/// Names that say it by a state, or by `false`.
const STATES: [&str; 2] = ["status", "state"];
/// What may stand before any of them: `isActive`, `userStatus`, `isAccountDisabled`, `canLogin`, `isSoftDeleted`. A name
/// with another word in it is about something else: `passwordLoginAllowed`, `passwordExpired`.
const BEFORE: [&str; 17] = [
    "is",
    "has",
    "can",
    "may",
    "allow",
    "account",
    "user",
    "login",
    "logon",
    "signin",
    "signon",
    "access",
    "employment",
    "employee",
    "person",
    "soft",
    "hard",
];

/// Members by which an object says what its `value` is of: `{"name": "active", "value": false}`.
const NAMING: [&str; 6] = ["path", "name", "attribute", "key", "field", "property"];
/// Parts that are what they stand in: `status.value`, `{"status": {"code": "inactive"}}`.
const ITSELF: [&str; 6] = ["value", "code", "key", "name", "label", "type"];

/// Letters of a name that are looked at: enough for the longest of these with all that is likely before it.
const WORD_MAX: usize = 32;

/// Where an unknown name or what lies in its value says that somebody leaves: the path, without the value.
pub(super) fn found(name: &str, value: &Value) -> Option<String> {
    let words = if is_path(name) { vec![] } else { name.split(|c: char| !c.is_alphabetic()).collect() };
    let words = words.into_iter().map(str::to_lowercase).chain([word(name, "")]);
    words.into_iter().find_map(|word| within(&word, value)).map(|inner| format!("{name}{inner}"))
}

/// Whether a name has the form of a PATCH path (RFC 7644 §3.5.2 Figure 7). Of one that has not, nobody knows which
/// word is what it names: any may be.
fn is_path(name: &str) -> bool {
    let is_plain = |part: &str| part.chars().all(|c| c.is_alphanumeric() || "_-$.:/#".contains(c));
    match (name.split_once('['), name.rsplit_once(']')) {
        (Some((head, _)), Some((_, tail))) => {
            let (head, tail) = (head.trim(), tail.trim());
            !head.is_empty() && is_plain(head) && is_plain(tail)
        }
        _ => is_plain(name),
    }
}

/// `word` is what the value is called. Each name is read once, however much lies under it.
fn within(word: &str, value: &Value) -> Option<String> {
    let says = match value {
        Value::Array(items) => return items.iter().find_map(|item| within(word, item)),
        Value::Object(members) => {
            // An operation in the place of a value says it by its path.
            if let Some(inner) = by_name(members) {
                return Some(format!(".value{inner}"));
            }
            return members.iter().find_map(|(name, member)| {
                within(&self::word(name, word), member).map(|inner| format!(".{name}{inner}"))
            });
        }
        Value::Null => false,
        Value::Bool(value) => says(word, if *value { "true" } else { "false" }),
        Value::Number(number) => says(word, whole(&number.to_string())),
        // What cannot be kept of a text stands in no word.
        Value::String(text) => {
            let text: String = text.chars().filter(|c| *c != '\0').collect();
            says(word, whole(text.trim()))
        }
    };
    says.then(String::new)
}

/// Where an object says that somebody leaves by its `value`, of which another member says what it is of.
pub(super) fn by_name(members: &Map<String, Value>) -> Option<String> {
    named(members).find_map(|(name, value)| within(&word(name, ""), value))
}

/// What an object says its `value` is of, and that value.
pub(super) fn named(members: &Map<String, Value>) -> impl Iterator<Item = (&str, &Value)> {
    let is = |name: &str, wanted: &str| name.eq_ignore_ascii_case(wanted);
    let value = members.iter().find(|(name, _)| is(name, "value")).map(|(_, value)| value);
    let naming = members.iter().filter(move |(name, _)| NAMING.iter().any(|own| is(name, own)));
    naming.filter_map(move |(_, name)| Some((name.as_str()?, value?)))
}

/// Whether a verb that PATCH does not have says that somebody leaves: `deactivate`, `suspend`.
pub(super) fn is_verb(verb: &str) -> bool {
    let mut words = verb.split(|c: char| !c.is_alphabetic()).filter(|word| !word.is_empty()).map(str::to_lowercase);
    words.any(|word| ["d", "ed"].iter().any(|end| GONE.contains(&&*format!("{word}{end}"))))
}

/// A number as it is compared with words: `1.0` is 1.
pub(super) fn whole(number: &str) -> &str {
    number.strip_suffix(".0").unwrap_or(number)
}

/// Whether a path's last segment is `active`, whatever stands before it and around it.
pub(super) fn names_active(path: &str) -> bool {
    word(path, "") == ACTIVE[0]
}

fn says(word: &str, text: &str) -> bool {
    let is_in = |words: &[&str]| words.iter().any(|own| text.eq_ignore_ascii_case(own));
    let (whole, mut word) = (word, word);
    loop {
        let says = match word {
            word if ACTIVE.contains(&word) => is_in(&NO) || is_in(&GONE),
            // The number of a status may mean anything.
            word if STATES.contains(&word) => is_in(&GONE) || is_in(&["false"]),
            word if RIGHTS.contains(&word) => word != whole && is_in(&NO),
            word => GONE.contains(&word) && is_in(&YES),
        };
        if says {
            return true;
        }
        match BEFORE.iter().find_map(|before| word.strip_prefix(before)) {
            Some(rest) => word = rest,
            None => return false,
        }
    }
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
        Some(last) if ITSELF.contains(&&*last) => words.next().unwrap_or_else(|| outer.to_owned()),
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
    fn wherever_it_lies() {
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
