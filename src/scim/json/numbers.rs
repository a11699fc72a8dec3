//! Numbers that nobody needs as they are: with more digits than a limit, or larger than any that a computer has.

use std::borrow::Cow;
use std::ops::Range;

use serde_json::value::RawValue;

use super::limits::{Limits, skip_string};

/// Numbers of one body that are rounded: whoever sends more of them means no resource.
const ROUNDED_MAX: usize = 1_000;

/// What stands for a number that is too large: no database keeps it, so whoever reads it leaves it out.
const UNSTORABLE: &str = "\"\\u0000\"";

/// The same text with such numbers rounded, as every reader of JSON does (RFC 8259 §6). What is beside the point of a
/// request does not refuse it.
pub(super) fn rounded(bytes: Cow<'_, [u8]>) -> Cow<'_, [u8]> {
    let found = unfit(&bytes);
    if found.is_empty() {
        return bytes;
    }
    let (mut text, mut from) = (Vec::with_capacity(bytes.len()), 0);
    for (place, instead) in found {
        text.extend_from_slice(bytes.get(from..place.start).unwrap_or_default());
        text.extend_from_slice(instead.as_bytes());
        from = place.end;
    }
    text.extend_from_slice(bytes.get(from..).unwrap_or_default());
    Cow::Owned(text)
}

/// Where such numbers are, and what stands for each.
fn unfit(bytes: &[u8]) -> Vec<(Range<usize>, String)> {
    let mut found = vec![];
    let mut rest = bytes.iter().enumerate();
    while let Some((start, byte)) = rest.next().filter(|_| found.len() < ROUNDED_MAX) {
        match byte {
            b'"' => skip_string(&mut rest),
            b'-' | b'0'..=b'9' => {
                let length =
                    bytes.get(start..).unwrap_or_default().iter().take_while(|byte| is_of_number(**byte)).count();
                if let Some(instead) = bytes.get(start..start + length).and_then(instead_of) {
                    found.push((start..start + length, instead));
                }
                // The loop has taken the first.
                if let Some(more) = length.checked_sub(2) {
                    rest.nth(more);
                }
            }
            _ => {}
        }
    }
    found
}

fn is_of_number(byte: u8) -> bool {
    byte.is_ascii_digit() || matches!(byte, b'.' | b'+' | b'-' | b'e' | b'E')
}

/// What stands for a number, unless it is fit as it is, or none.
fn instead_of(number: &[u8]) -> Option<String> {
    let digits = number.iter().filter(|byte| byte.is_ascii_digit()).count();
    let is_large = number.iter().any(|byte| matches!(byte, b'e' | b'E'));
    let is_long = digits > Limits::default().number_digits_max;
    if !is_long && !is_large {
        return None;
    }
    let text = std::str::from_utf8(number).ok().filter(|text| serde_json::from_str::<&RawValue>(text).is_ok())?;
    let value: f64 = text.parse().ok()?;
    match value.is_finite() {
        true => is_long.then(|| format!("{value:e}")),
        false => Some(UNSTORABLE.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::super::{Limits, parse};
    use super::*;

    /// What is read of a text, if it is another one.
    fn check(input: &str, expected: Option<&str>) {
        let text = rounded(Cow::Borrowed(input.as_bytes()));
        let is_other = matches!(text, Cow::Owned(_));
        let limits = Limits { unstorable: true, ..Limits::default() };
        let read =
            is_other.then(|| parse::<Value>(&text, &limits).map_or_else(|error| error.detail, |v| v.to_string()));
        assert_eq!(read.as_deref(), expected, "{input}");
    }

    #[test]
    fn what_is_too_long_or_too_large_is_rounded_and_nothing_else() {
        let (ones, zeros) = ("1".repeat(41), "0".repeat(41));
        check(&ones, Some("1.111111111111111e+40"));
        check(
            &format!("[-{ones}, 2, {{\"a\":{ones}}}]"),
            Some("[-1.111111111111111e+40,2,{\"a\":1.111111111111111e+40}]"),
        );
        check(&format!("0.{zeros}"), Some("0.0"));
        check(&format!("1.{zeros}"), Some("1.0"));
        check(&"1".repeat(400), Some("\"\\u0000\""));
        check("[1e999,-1E+400]", Some("[\"\\u0000\",\"\\u0000\"]"));
        check(&format!("[1e{ones}]"), Some("[\"\\u0000\"]"));
        check(&format!("[1e-{ones},7]"), Some("[0.0,7]"));
        for fit in
            ["1e308", "1.5e3", "[1,-2,0.5]", &"1".repeat(40), "\"1e999\"", &format!("\"\\\"{ones}\""), "0e999", "-"]
        {
            check(fit, None);
        }
        let many = format!("[{}1e999]", "1e999,".repeat(1_000));
        check(&many, Some("malformed JSON: number out of range at line 1 column 9006"));
        // What is no number stays none.
        for none in ["01e999", "1e+", "1.e999", "--1e999", &format!("0{ones}"), &format!("{ones}-"), "1e999e999"] {
            check(none, None);
        }
    }
}
