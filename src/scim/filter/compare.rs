//! The one rule by which values compare. Indexes and sort keys reproduce it through [`scalar`] and [`index_text`].

use std::borrow::Cow;
use std::cmp::Ordering;

use chrono::{DateTime, Datelike, SecondsFormat, Utc};
use serde_json::{Number, Value};

use super::super::attribute::{Attribute, Kind};
use super::super::text;

/// A value in the form in which it compares.
#[derive(Clone, Debug)]
pub enum Scalar<'v> {
    /// A comparison key: bytes in their order.
    Text(Cow<'v, str>),
    /// `false` before `true`.
    Bool(bool),
    /// A number.
    Number(&'v Number),
    /// An instant.
    Time(DateTime<Utc>),
}

impl Scalar<'_> {
    /// Orders two values of one attribute. Values of different types never meet; if they do, types are
    /// ordered as declared.
    pub fn compare(&self, other: &Scalar<'_>) -> Ordering {
        match (self, other) {
            (Scalar::Text(a), Scalar::Text(b)) => a.as_bytes().cmp(b.as_bytes()),
            (Scalar::Bool(a), Scalar::Bool(b)) => a.cmp(b),
            (Scalar::Number(a), Scalar::Number(b)) => numbers(a, b),
            (Scalar::Time(a), Scalar::Time(b)) => a.cmp(b),
            _ => self.rank().cmp(&other.rank()),
        }
    }

    fn rank(&self) -> u8 {
        match self {
            Scalar::Text(_) => 0,
            Scalar::Bool(_) => 1,
            Scalar::Number(_) => 2,
            Scalar::Time(_) => 3,
        }
    }

    /// The text that an index holds; its order of bytes is that of [`Scalar::compare`]. Numbers have none.
    pub fn index_text(&self) -> Option<Cow<'_, str>> {
        match self {
            Scalar::Text(text) => Some(Cow::Borrowed(text)),
            Scalar::Bool(value) => Some(Cow::Borrowed(if *value { "true" } else { "false" })),
            Scalar::Number(_) => None,
            Scalar::Time(time) => Some(Cow::Owned(time_text(*time))),
        }
    }
}

/// Whole numbers compare exactly, others as floating point.
fn numbers(a: &Number, b: &Number) -> Ordering {
    match (a.as_i128(), b.as_i128()) {
        (Some(a), Some(b)) => a.cmp(&b),
        _ => a.as_f64().unwrap_or(f64::NAN).total_cmp(&b.as_f64().unwrap_or(f64::NAN)),
    }
}

/// The comparison key of a text of this attribute.
pub(super) fn text_key<'t>(attr: &Attribute, value: &'t str) -> Cow<'t, str> {
    // URNs of schemas are equal in any letter case (RFC 8141 §3.1), though the attribute is a reference.
    let exact = attr.case_exact || matches!(attr.kind, Kind::Reference | Kind::Binary);
    text::key(value, exact && attr.name != "schemas")
}

/// Parses a time that the index can hold: years of four digits.
pub(super) fn time(value: &str) -> Option<DateTime<Utc>> {
    text::parse_time(value).filter(|time| (0..=9999).contains(&time.year()))
}

/// The value of an attribute, an element of one, or a sub-attribute, as it compares. `None` if it is not
/// a present value of the attribute's type.
pub fn scalar<'v>(attr: &Attribute, value: &'v Value) -> Option<Scalar<'v>> {
    match (attr.kind, value) {
        (Kind::String | Kind::Reference | Kind::Binary, Value::String(text)) if !text.is_empty() => {
            Some(Scalar::Text(text_key(attr, text)))
        }
        (Kind::Boolean, Value::Bool(value)) => Some(Scalar::Bool(*value)),
        (Kind::Integer | Kind::Decimal, Value::Number(number)) => Some(Scalar::Number(number)),
        (Kind::DateTime, Value::String(text)) => time(text).map(Scalar::Time),
        _ => None,
    }
}

/// The text that an index holds for a value; `None` if it is not indexed.
pub fn index_text(attr: &Attribute, value: &Value) -> Option<String> {
    scalar(attr, value)?.index_text().map(Cow::into_owned)
}

/// A time as the index holds it: of fixed width, so that the order of bytes is that of time.
fn time_text(time: DateTime<Utc>) -> String {
    time.to_rfc3339_opts(SecondsFormat::Nanos, true)
}

#[cfg(test)]
#[path = "compare_test.rs"]
mod tests;
