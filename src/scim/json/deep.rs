//! What is nested too deep to be entered: whether it may say that somebody leaves.

use serde_json::Value;

use super::limits::skip_string;

/// Whether a text, a number or a boolean in a text of JSON is one that tells something, whatever its name is: it is not
/// left out then.
pub(super) fn holds(text: &str, tells: fn(&str) -> bool) -> bool {
    let bytes = text.as_bytes();
    let mut rest = bytes.iter().enumerate();
    while let Some((start, byte)) = rest.next() {
        let is_string = *byte == b'"';
        match byte {
            b'"' => skip_string(&mut rest),
            b't' | b'f' | b'-' | b'0'..=b'9' => {}
            _ => continue,
        }
        let after = rest.clone();
        let end = match is_string {
            true => after.clone().next().map_or(bytes.len(), |(next, _)| next),
            false => after.clone().find(|(_, byte)| is_end(**byte)).map_or(bytes.len(), |(next, _)| next),
        };
        let token = text.get(start..end).unwrap_or_default();
        if !is_string {
            // The loop has taken the first.
            if let Some(more) = token.len().checked_sub(2) {
                rest.nth(more);
            }
        }
        let is_name = is_string && after.map(|(_, byte)| byte).find(|byte| !byte.is_ascii_whitespace()) == Some(&b':');
        if !is_name && is_told(token, tells) {
            return true;
        }
    }
    false
}

fn is_end(byte: u8) -> bool {
    matches!(byte, b',' | b']' | b'}') || byte.is_ascii_whitespace()
}

fn is_told(token: &str, tells: fn(&str) -> bool) -> bool {
    match serde_json::from_str(token) {
        Ok(Value::String(text)) => tells(&text),
        Ok(Value::Number(number)) => tells(&number.to_string()),
        Ok(Value::Bool(value)) => tells(if value { "true" } else { "false" }),
        // Half a character, and what else nobody can read.
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scim::leaving::is_telling;

    #[test]
    fn what_may_tell_is_found_wherever_it_lies() {
        for plain in [
            "[]",
            "[[[]]]",
            "{}",
            r#"{"a":{"a":"x"}}"#,
            r#"{"true":null,"0" : "x","active":["x",2,-1]}"#,
            "[1.5, 10, 42]",
            r#"["a\"true"]"#,
            r#"{"active":{}}"#,
            &format!("{}{}", "[".repeat(100_000), "]".repeat(100_000)),
        ] {
            assert!(!holds(plain, is_telling), "{}", plain.get(..40).unwrap_or(plain));
        }
        for telling in [
            "[false]",
            "[true]",
            "[0]",
            "[1]",
            "[1.0]",
            "[0.00]",
            "[1e0]",
            "[-0]",
            r#"["No"]"#,
            r#"[ " inactive " ]"#,
            r#"["f\u0061lse"]"#,
            r#"{"a":[{"b":"Terminated"}]}"#,
            r#"{"x":"y","z":0}"#,
            r#"["y"]"#,
            r#"["\ud800"]"#,
            r#"[[2],"off"]"#,
        ] {
            assert!(holds(telling, is_telling), "{telling}");
        }
    }
}
