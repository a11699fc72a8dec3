//! Values that are no objects: text, truth, numbers, times, base64 (RFC 7643 §2.3).

use base64::Engine;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use serde_json::{Number, Value};

use crate::scim::attribute::{Attribute, Kind};
use crate::scim::error::Error;
use crate::scim::text;
use crate::scim::tolerance::{Tolerance, Tolerances};

/// Checks a value against a type that is not complex.
pub(super) fn simple(
    attribute: &Attribute,
    value: Value,
    at: &str,
    tolerances: &mut Tolerances,
) -> Result<Value, Error> {
    let accepted = match (attribute.kind, &value) {
        (Kind::String | Kind::Reference, Value::String(s)) => {
            if attribute.required && s.trim().is_empty() {
                return Err(Error::value(format!("{at}: must not be empty")));
            }
            Some(value.clone())
        }
        (Kind::Integer, Value::Number(n)) => whole(n),
        (Kind::Decimal, Value::Number(_)) => Some(value.clone()),
        (Kind::Integer | Kind::Decimal, Value::String(s)) => number(attribute.kind, s, tolerances),
        (Kind::DateTime, Value::String(s)) => text::parse_time(s).map(|_| value.clone()),
        (Kind::Binary, Value::String(s)) => is_base64(s).then(|| value.clone()),
        _ => None,
    };
    accepted.ok_or_else(|| mismatch(attribute, &value, at))
}

fn number(kind: Kind, text: &str, tolerances: &mut Tolerances) -> Option<Value> {
    let number = match text.parse::<i64>() {
        Ok(n) => Number::from(n),
        Err(_) => Number::from_f64(text.parse().ok()?)?,
    };
    let value = if kind == Kind::Integer { whole(&number)? } else { Value::Number(number) };
    tolerances.allow(Tolerance::NumberText).then_some(value)
}

/// An integer must not have a fraction (RFC 7643 §2.3.4); `5.0` and `5e3` are whole.
fn whole(number: &Number) -> Option<Value> {
    /// 2^53: from here on a float does not know its last digit.
    const EXACT_MAX: f64 = 9_007_199_254_740_992.0;
    if let Some(n) = number.as_i64() {
        return Some(n.into());
    }
    let float = number.as_f64().filter(|f| f.fract() == 0.0 && f.abs() < EXACT_MAX)?;
    #[expect(clippy::cast_possible_truncation, reason = "it is whole and below 2^53")]
    Some((float as i64).into())
}

/// Base64 of either alphabet, padded or not (RFC 7643 §2.3.6 names RFC 4648 §4 and §5); line breaks, as in PEM, pass.
fn is_base64(text: &str) -> bool {
    const ANY_PADDING: GeneralPurposeConfig = GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true);
    let compact: String = text.chars().filter(|c| !c.is_ascii_whitespace()).collect();
    let alphabet = if compact.contains(['-', '_']) { &alphabet::URL_SAFE } else { &alphabet::STANDARD };
    GeneralPurpose::new(alphabet, ANY_PADDING).decode(compact).is_ok()
}

/// `emails[1].primary: expected a boolean, got a string`.
pub(super) fn mismatch(attribute: &Attribute, value: &Value, at: &str) -> Error {
    let expected = match attribute.kind {
        Kind::String => "a string",
        Kind::Reference => "a URI as a string",
        Kind::Boolean => "a boolean",
        Kind::Integer => "a whole number of 64 bits",
        Kind::Decimal => "a number",
        Kind::DateTime => "a time such as 2026-11-22T08:00:00Z",
        Kind::Binary => "base64 text",
        Kind::Complex => "an object",
    };
    Error::value(format!("{at}: expected {expected}, got {}", kind_of(value)))
}

/// What a JSON value is, for people.
pub(super) fn kind_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::super::value;
    use super::*;
    use crate::scim::schema::registry;
    use crate::scim::tolerance::Dialect;

    const USER: &str = "urn:ietf:params:scim:schemas:core:2.0:User";
    const ENTERPRISE: &str = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User";

    /// An attribute of a schema, or one that is made up here: `count`, `ratio`, `at`.
    fn attribute(name: &str) -> Attribute {
        let made = |kind: &str| serde_json::from_str(&format!(r#"{{"name":"{name}","type":"{kind}"}}"#)).unwrap();
        let published = |urn: &str| registry().published.iter().find(|(s, _)| s.id == urn).unwrap().0.attribute(name);
        match name {
            "count" => made("integer"),
            "ratio" => made("decimal"),
            "at" => made("dateTime"),
            _ => published(USER).or_else(|| published(ENTERPRISE)).unwrap().clone(),
        }
    }

    /// The value that is left, or the detail; after ` | ` the tolerances used.
    pub(in crate::scim::validate) fn check(dialect: Dialect, name: &str, input: &str, expected: &str) {
        let mut tolerances = Tolerances::new(dialect);
        let input = serde_json::from_str(input).unwrap();
        let mut got = match value(&attribute(name), input, name, &mut tolerances) {
            Ok(Some(value)) => value.to_string(),
            Ok(None) => "-".into(),
            Err(error) => error.detail,
        };
        if !tolerances.header().is_empty() {
            got += &format!(" | {}", tolerances.header());
        }
        assert_eq!(got, expected);
    }

    use Dialect::{Auto, Rfc};

    #[test]
    fn checks_simple_types() {
        check(Rfc, "title", r#""Dr""#, r#""Dr""#);
        check(Rfc, "title", "7", "title: expected a string, got a number");
        check(Rfc, "title", r#"["Dr"]"#, "title: expected a string, got an array");
        check(Rfc, "active", "true", "true");
        check(Rfc, "active", r#""True""#, "active: expected a boolean, got a string");
        check(Auto, "active", r#""False""#, "false | entra-002");
        check(Rfc, "profileUrl", r#""../me""#, r#""../me""#);
        check(Rfc, "profileUrl", "{}", "profileUrl: expected a URI as a string, got an object");
    }

    #[test]
    fn truth_is_understood_in_other_words() {
        for no in [r#"" False ""#, r#""0""#, "0", "0.0", r#""no""#, r#""N""#, r#""OFF""#] {
            check(Auto, "active", no, "false | entra-002");
            check(Auto, "emails", &format!(r#"[{{"primary":{no}}}]"#), r#"[{"primary":false}] | entra-002"#);
            check(Rfc, "active", no, &format!("active: expected a boolean, got a {}", kind(no)));
        }
        for yes in [r#""1""#, "1", r#""Yes""#, r#""y""#, r#""on""#, r#""TRUE ""#] {
            check(Auto, "active", yes, "true | entra-002");
        }
        for gone in
            ["inactive", "Disabled", "suspended", "terminated", "deprovisioned", "deactivated", "blocked", "Left"]
        {
            check(Auto, "active", &format!("{gone:?}"), "false | entra-002");
        }
        for there in ["active", "Enabled"] {
            check(Auto, "active", &format!("{there:?}"), "true | entra-002");
        }
        let general = "understood are true, 1, yes, y, t, on and false, 0, no, n, f, off";
        let refused = format!("emails[0].primary: expected a boolean, got a string; {general}");
        check(Auto, "emails", r#"[{"primary":"disabled"}]"#, &refused);
        let states = "understood are true, 1, yes, y, t, on, active, enabled and false, 0, no, n, f, off, inactive, disabled, \
                      suspended, terminated, deprovisioned, deactivated, blocked, locked, lockedout, expired, \
                      revoked, closed, ended, deleted, removed, archived, left, leaver, departed, offboarded, resigned, retired, dismissed, quit, former";
        for odd in [r#""perhaps""#, "2", "0.5", "-1"] {
            check(Auto, "active", odd, &format!("active: expected a boolean, got a {}; {states}", kind(odd)));
        }
    }

    fn kind(input: &str) -> &'static str {
        if input.starts_with('"') { "string" } else { "number" }
    }

    #[test]
    fn truth_is_understood_in_lists_and_objects() {
        check(Auto, "active", "[[false]]", "false | auto-004");
        check(Auto, "active", r#"{"value":"False"}"#, "false | entra-002, auto-004");
        check(Auto, "active", r#"[{"Value":[0],"type":"x"}]"#, "false | entra-002, auto-004");
        check(Auto, "active", r#"{"active":false}"#, "false | auto-004");
        check(Auto, "active", "[[]]", "- | auto-004");
        check(Auto, "active", r#"{"value":null}"#, "- | auto-004");
        check(Auto, "active", r#"" ""#, "- | entra-007");
        check(Rfc, "active", "[]", "-");
        check(Rfc, "active", "[[false]]", "active: expected a boolean, got an array");
        check(Rfc, "active", r#"{"value":false}"#, "active: expected a boolean, got an object");
        // Whichever of several says that somebody leaves holds.
        check(Auto, "active", "[true,false]", "false | auto-012");
        check(Auto, "active", r#"["no","perhaps"]"#, "false | entra-002, auto-012");
        check(Auto, "active", "[true,null]", "- | auto-012");
        check(Auto, "active", "[true,[true,true]]", "true | auto-012");
        check(Rfc, "active", "[true,false]", "active: expected a boolean, got an array");
    }

    #[test]
    fn checks_numbers_and_times() {
        check(Rfc, "count", "5", "5");
        check(Rfc, "count", "5.0", "5");
        check(Rfc, "count", "5e3", "5000");
        check(Rfc, "count", "5.5", "count: expected a whole number of 64 bits, got a number");
        check(Rfc, "count", "9223372036854775807", "9223372036854775807");
        check(Rfc, "count", "9223372036854775808", "count: expected a whole number of 64 bits, got a number");
        check(Rfc, "count", r#""5""#, "count: expected a whole number of 64 bits, got a string");
        check(Auto, "count", r#""5""#, "5 | auto-003");
        check(Auto, "count", r#""5.5""#, "count: expected a whole number of 64 bits, got a string");
        check(Auto, "count", r#""NaN""#, "count: expected a whole number of 64 bits, got a string");
        check(Rfc, "ratio", "0.25", "0.25");
        check(Auto, "ratio", r#""0.25""#, "0.25 | auto-003");
        check(Auto, "ratio", r#""inf""#, "ratio: expected a number, got a string");
        check(Rfc, "at", r#""2026-11-22T08:00:00+02:00""#, r#""2026-11-22T08:00:00+02:00""#);
        check(Rfc, "at", r#""2026-11-22""#, "at: expected a time such as 2026-11-22T08:00:00Z, got a string");
    }

    #[test]
    fn checks_binary() {
        let certificate = |text: &str| format!(r#"[{{"value":"{text}"}}]"#);
        for good in ["MIIDQw==", "MIIDQw", "_-8=", "_-8", "+/8=", "TUlJ\\nRFF3"] {
            let input = certificate(good);
            check(Rfc, "x509Certificates", &input, &input);
        }
        let refused = "x509Certificates[0].value: expected base64 text, got a string";
        for bad in ["MIID*w==", "M", "+_8="] {
            check(Rfc, "x509Certificates", &certificate(bad), refused);
        }
    }
}
