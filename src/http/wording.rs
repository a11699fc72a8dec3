//! The details of refusals as the server's log may repeat them: words of ours, and no value.

use std::borrow::Cow;
use std::collections::HashSet;
use std::sync::LazyLock;

use crate::domain::Id;
use crate::service::directory::refusals::told_name;
use crate::service::registry;

/// The words that refusals are made of, and the names of attributes that schemas have. None of them says anything
/// about anybody, so that a text of these words alone holds no value, whoever chose it.
static WORDS: LazyLock<HashSet<&'static str>> =
    LazyLock::new(|| include_str!("log_allowlist.txt").split_whitespace().collect());

/// More words than any detail of ours has.
const WORDS_MAX: usize = 60;

/// Words that are names as well, and stand for themselves beside these alone.
const PAIRS: [(&str, &str); 40] = [
    ("may", "have"),
    ("may", "stand"),
    ("upper", "case"),
    ("may", "use"),
    ("may", "be"),
    ("may", "yet"),
    ("may", "write"),
    ("one", "may"),
    ("order", "mark"),
    ("grant", "a"),
    ("grant", "at"),
    ("empty", "grant"),
    ("first", "page"),
    ("every", "page"),
    ("many", "long"),
    ("too", "long"),
    ("at", "line"),
    ("trailing", "characters"),
    ("not", "UTF-8"),
    ("no", "UTF-8"),
    ("holds", "U+0000"),
    ("expected", "application/scim+json"),
    ("only", "application/scim+json"),
    ("or", "application/json"),
    ("and", "application/json"),
    // What a name, a code and a permission are made of.
    ("1–64", "of"),
    ("of", "a–z"),
    ("in", "a–z"),
    ("a–z", "and"),
    ("a–z", "0–9"),
    ("not", "resource:action"),
    ("resource:action", "in"),
    ("expected", "base64"),
    ("from", "0"),
    // Examples of ours.
    ("as", "P30D"),
    ("most", "P365D"),
    ("as", "2027-01-31T00:00:00Z"),
    ("as", "/v2/invoices/{id}"),
    ("RFC", "7644"),
    ("7644", "§4"),
];

/// A number behind one of these is a place or a limit, and no value.
const COUNTED: [&str; 4] = ["column", "line", "most", "least"];

/// A detail without what is not among the words, nor among the names in it of what there is not: whoever is refused for
/// one looks for it.
pub(super) fn wording(detail: &str, names: &[String]) -> String {
    let mut detail = Cow::Borrowed(detail);
    let mut told = vec![];
    for (name, shown) in names.iter().filter_map(|name| Some((name, told_name(name)?))) {
        if shown != *name {
            detail = detail.replacen(name.as_str(), &shown, 1).into();
        }
        told.push(shown);
    }
    let (mut text, mut before) = (String::new(), "");
    let mut words = detail.split_whitespace().take(WORDS_MAX).peekable();
    while let Some(word) = words.next() {
        let own = core(word);
        let known = word.len() <= 3 && !word.contains(char::is_alphanumeric)
            || WORDS.contains(own)
            || told.iter().any(|name| core(name) == own)
            || is_compound(own)
            || Id::parse(own).is_some()
            || COUNTED.contains(&before) && own.bytes().all(|byte| byte.is_ascii_digit())
            || words.peek().is_some_and(|next| PAIRS.contains(&(own, core(next))))
            || PAIRS.contains(&(before, own));
        before = own;
        if known {
            text.push_str(word);
        } else if !text.ends_with("… ") {
            text.push('…');
        } else {
            continue;
        }
        text.push(' ');
    }
    text.truncate(text.trim_end().len());
    text
}

/// A word without the signs around it.
fn core(word: &str) -> &str {
    word.trim_matches(|c: char| ".,:;()\"'[]…".contains(c))
}

/// Whether a word is made of known ones: a path of an attribute, an element of a list by its place, a permission of
/// Keyroll's own (its parts may be an admin's), or any of these behind a schema that is ours.
fn is_compound(word: &str) -> bool {
    if let Some(parts) = word.strip_prefix("keyroll:") {
        return parts.split(':').all(|part| part == "*" || WORDS.contains(part));
    }
    let urn = registry().published.iter().map(|(schema, _)| &*schema.id).find(|urn| word.starts_with(*urn));
    let path = urn.and_then(|urn| word.strip_prefix(urn)).map_or(word, |rest| rest.trim_start_matches(':'));
    let is_place = |text: &str| text.len() <= 6 && text.bytes().all(|byte| byte.is_ascii_digit());
    let is_known = |part: &str| match part.split_once('[') {
        None => WORDS.contains(part),
        Some((list, place)) => WORDS.contains(list) && is_place(place.trim_end_matches(']')),
    };
    path.is_empty() || path.split('.').all(is_known)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wording_keeps_our_words_and_no_value() {
        for (detail, expected) in [
            ("filter: expected an operator at column 12", "filter: expected an operator at column 12"),
            ("this key does not hold keyroll:users:read", "this key does not hold keyroll:users:read"),
            ("path: Mira.Okafor+x@ex.test names no resource type", "path: … names no resource type"),
            ("userName \"Mira Okafor, 12 High Street\" is taken", "userName … is taken"),
            ("not found", "not found"),
            ("userName: expected a string, got 555-0100", "userName: expected a string, got …"),
            ("a\nb", "a …"),
            ("a provisioning key may use SCIM only", "a provisioning key may use SCIM only"),
            ("userName \"may\" is taken", "userName … is taken"),
            (
                "Operations[12]: path: User has no such attribute: shoeSize",
                "Operations[12]: path: User has no such attribute: …",
            ),
            (
                "Operations[0]: value: name.givenName: expected a string",
                "Operations[0]: value: name.givenName: expected a string",
            ),
            ("emails[3].value: expected a string, got 42", "emails[3].value: expected a string, got …"),
            ("emails[4711001]: name.okafor", "…"),
            (
                "urn:ietf:params:scim:schemas:core:2.0:User:name.givenName at column 7: no such attribute",
                "urn:ietf:params:scim:schemas:core:2.0:User:name.givenName at column 7: no such attribute",
            ),
            ("urn:ietf:params:scim:schemas:core:2.0:User:okafor", "…"),
            ("grant: at most 1000 permissions", "grant: at most 1000 permissions"),
            (
                "an empty grant allows nothing; omit it for an identity key",
                "an empty grant allows nothing; omit it for an identity key",
            ),
            ("malformed JSON: it starts with a byte order mark", "malformed JSON: it starts with a byte order mark"),
            ("emails: 2 values are primary, at most one may be", "emails: … values are primary, at most one may be"),
            (
                "userName: the value is taken by 01939e7a-5b1c-7def-8abc-0123456789ab",
                "userName: the value is taken by 01939e7a-5b1c-7def-8abc-0123456789ab",
            ),
            (
                "malformed JSON: EOF while parsing an object at line 1 column 12",
                "malformed JSON: EOF while parsing an object at line 1 column 12",
            ),
            (
                "malformed JSON: trailing characters at line 2 column 1",
                "malformed JSON: trailing characters at line 2 column 1",
            ),
            (
                "Content-Type: expected application/scim+json or application/json",
                "Content-Type: expected application/scim+json or application/json",
            ),
            ("Accept: application/okafor+json", "Accept: …"),
            ("path: is not UTF-8", "path: is not UTF-8"),
            (
                "no synchronous standby is set, and without one nothing may be acknowledged",
                "no synchronous standby is set, and without one nothing may be acknowledged",
            ),
            ("userName \"line\" is taken", "userName … is taken"),
        ] {
            assert_eq!(wording(detail, &[]), expected);
        }
        assert!(wording(&"x ".repeat(100_000), &[]).len() < 10);
    }

    #[test]
    fn a_wording_keeps_what_a_name_is_made_of() {
        for (detail, expected) in [
            (
                "name: 1–64 of a–z 0–9 . _ -, beginning with a letter or digit",
                "name: 1–64 of a–z 0–9 . _ -, beginning with a letter or digit",
            ),
            ("name: 1–65 of mira 0–9 _-_- x", "name: … of …"),
            ("reason: a code of a–z and _, at most 64 letters", "reason: a code of a–z and _, at most 64 letters"),
            (
                "permissions[0]: okafor is not resource:action in a–z 0–9 _ . -",
                "permissions[0]: … is not resource:action in a–z 0–9 _ . -",
            ),
            ("expires_in: okafor is not a duration such as P30D", "expires_in: … is not a duration such as P30D"),
            ("expires_at: a time such as 2027-01-31T00:00:00Z", "expires_at: a time such as 2027-01-31T00:00:00Z"),
            ("failOnErrors: expected an integer from 0 on", "failOnErrors: expected an integer from 0 on"),
            ("discovery cannot be filtered (RFC 7644 §4)", "discovery cannot be filtered (RFC 7644 §4)"),
        ] {
            assert_eq!(wording(detail, &[]), expected);
        }
    }

    #[test]
    fn a_wording_keeps_the_names_of_what_there_is_not() {
        for (detail, name, expected) in [
            ("hunter2 says that somebody leaves", "", "… says that somebody leaves"),
            (
                "accountEnabled: says that somebody leaves",
                "accountEnabled",
                "accountEnabled: says that somebody leaves",
            ),
            (
                "Operations[12]: path: User has no such attribute: shoeSize",
                "shoeSize",
                "Operations[12]: path: User has no such attribute: shoeSize",
            ),
            (
                "urn:ietf:params:scim:schemas:core:2.0:User:shoe at column 7: no such attribute",
                "urn:ietf:params:scim:schemas:core:2.0:User:shoe",
                "urn:ietf:params:scim:schemas:core:2.0:User:shoe at column 7: no such attribute",
            ),
            (
                "Operations[3]: urn:x:User.employeeStatus: says that somebody leaves",
                "urn:x:User.employeeStatus",
                "Operations[3]: urn:x:User.employeeStatus: says that somebody leaves",
            ),
            (
                "shoes[type eq \"Mira\"].isActive: no such attribute",
                "shoes[type eq \"Mira\"].isActive",
                "shoes.isActive: no such attribute",
            ),
            ("path: emails has no such sub-attribute: .x1", ".x1", "path: emails has no such sub-attribute: x1"),
            ("isMira: User has no such attribute", "", "… User has no such attribute"),
            ("value: User has no such attribute: is Mira", "is Mira", "value: User has no such attribute: is …"),
            ("mira@ex.test: says that somebody leaves", "mira@ex.test", "… says that somebody leaves"),
            (
                "value: User has no such schema: kru_000000TEST01_003aUlTJC7tjlCTQj2uNU3MFagCXG9LRKRcwGkBIDlf0PZbtz",
                "kru_000000TEST01_003aUlTJC7tjlCTQj2uNU3MFagCXG9LRKRcwGkBIDlf0PZbtz",
                "value: User has no such schema: …",
            ),
        ] {
            assert_eq!(wording(detail, &[name.to_owned()]), expected);
        }
    }

    #[test]
    fn no_word_is_a_name() {
        for name in ["mira", "mark", "will", "grant", "Mira", "Ann", "hunter2", "@", "0"] {
            assert!(!WORDS.contains(name), "{name}");
        }
        assert!(WORDS.iter().all(|word| word.chars().all(|c| c.is_ascii_alphabetic() || "_-'$.".contains(c))));
    }
}
