//! How text and time compare: one rule for uniqueness, filters, indexes and sorting.

use std::borrow::Cow;

use chrono::{DateTime, NaiveDateTime, SecondsFormat, Utc};
use unicode_normalization::{UnicodeNormalization, is_nfc};

/// The comparison key of a text whose case does not matter: width map, lower case, NFC
/// (RFC 8265 §3.3.2 UsernameCaseMapped, prepared and never refused).
pub fn fold(text: &str) -> Cow<'_, str> {
    if text.is_ascii() {
        return if text.bytes().any(|b| b.is_ascii_uppercase()) {
            Cow::Owned(text.to_ascii_lowercase())
        } else {
            Cow::Borrowed(text)
        };
    }
    let lower: String = text.chars().flat_map(width_mapped).flat_map(char::to_lowercase).collect();
    if is_nfc(&lower) { Cow::Owned(lower) } else { Cow::Owned(lower.nfc().collect()) }
}

/// The comparison key of a text under `caseExact`.
pub fn key(text: &str, case_exact: bool) -> Cow<'_, str> {
    if case_exact { Cow::Borrowed(text) } else { fold(text) }
}

/// Full-width and half-width forms become their ordinary ones (RFC 8265 §3.3.2 rule 1).
fn width_mapped(c: char) -> impl Iterator<Item = char> {
    let wide = matches!(c, '\u{3000}' | '\u{ff01}'..='\u{ffee}');
    let mapped = wide.then(|| std::iter::once(c).nfkc());
    let same = (!wide).then_some(c);
    mapped.into_iter().flatten().chain(same)
}

/// Parses an xsd:dateTime with a date and a time; a missing zone is UTC (RFC 7643 §2.3.5).
pub fn parse_time(text: &str) -> Option<DateTime<Utc>> {
    if let Ok(time) = DateTime::parse_from_rfc3339(text) {
        return Some(time.to_utc());
    }
    NaiveDateTime::parse_from_str(text, "%Y-%m-%dT%H:%M:%S%.f").ok().map(|time| time.and_utc())
}

/// Renders a time as UTC with milliseconds: `2026-11-22T08:00:00.000Z`.
pub fn render_time(time: DateTime<Utc>) -> String {
    time.to_rfc3339_opts(SecondsFormat::Millis, true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folds_width_case_and_composition() {
        assert_eq!(fold("Mira@North.example"), "mira@north.example");
        assert_eq!(fold("Ａlice"), "alice");
        assert_eq!(fold("E\u{301}va"), "éva");
        assert_eq!(fold("ÅSE"), "åse");
        assert_eq!(key("ID", true), "ID");
    }

    #[test]
    fn reads_times_with_and_without_zone() {
        let at = |text| parse_time(text).map(render_time);
        assert_eq!(at("2026-11-22T08:00:00Z").as_deref(), Some("2026-11-22T08:00:00.000Z"));
        assert_eq!(at("2026-11-22T08:00:00.5+02:00").as_deref(), Some("2026-11-22T06:00:00.500Z"));
        assert_eq!(at("2026-11-22T08:00:00").as_deref(), Some("2026-11-22T08:00:00.000Z"));
        assert_eq!(at("2026-11-22"), None);
    }
}
