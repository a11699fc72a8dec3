//! Decides filters, and holds the one rule by which values compare. Indexes and sort keys reproduce it
//! through [`scalar`] and [`index_text`].

use std::borrow::Cow;
use std::cmp::Ordering;

use chrono::{DateTime, Datelike, Utc};
use serde_json::{Map, Number, Value};

use super::super::attribute::{Attribute, Kind};
use super::super::path::AttrRef;
use super::super::text;
use super::Operator;
use super::bind::{Bound, Operand, time_text};

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

/// Whether a value counts for `pr`: `""`, `[]`, `{}` and null do not, `false` does (RFC 7644 Table 3).
pub fn present(value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::Bool(_) | Value::Number(_) => true,
        Value::String(text) => !text.is_empty(),
        Value::Array(elements) => elements.iter().any(present),
        Value::Object(members) => members.values().any(present),
    }
}

/// Whether a resource matches. `document` is the full view: with `id`, `externalId` and `meta`, and with
/// members and groups if the filter names them.
pub fn matches(bound: &Bound, document: &Map<String, Value>) -> bool {
    holds(bound, Place::Document(document))
}

/// Whether an element of a multi-valued complex attribute matches the filter of a value path.
pub fn element_matches(bound: &Bound, element: &Map<String, Value>) -> bool {
    holds(bound, Place::Element(element))
}

/// What a filter looks at.
#[derive(Clone, Copy)]
enum Place<'d> {
    Document(&'d Map<String, Value>),
    Element(&'d Map<String, Value>),
}

fn holds(bound: &Bound, place: Place<'_>) -> bool {
    match bound {
        Bound::And(parts) => parts.iter().all(|part| holds(part, place)),
        Bound::Or(parts) => parts.iter().any(|part| holds(part, place)),
        Bound::Not(inner) => !holds(inner, place),
        Bound::Present(target) => any(target, place, &mut present),
        Bound::Compare { target, op, operand } => compares(target, place, *op, operand),
        Bound::ValuePath { target, filter } => any_element(target, place, filter),
        Bound::Never => false,
    }
}

fn compares(target: &AttrRef, place: Place<'_>, op: Operator, operand: &Operand) -> bool {
    let Some(operand) = operand.scalar() else { return false };
    let leaf = target.leaf();
    let mut absent = true;
    let found = any(target, place, &mut |value| match scalar(leaf, value) {
        Some(value) => {
            absent = false;
            satisfies(&value, op, &operand)
        }
        None => false,
    });
    // What has no value is not equal to anything; the RFC is silent.
    found || (absent && op == Operator::Ne)
}

fn satisfies(value: &Scalar<'_>, op: Operator, operand: &Scalar<'_>) -> bool {
    match (op, value, operand) {
        (Operator::Co, Scalar::Text(value), Scalar::Text(part)) => value.contains(part.as_ref()),
        (Operator::Sw, Scalar::Text(value), Scalar::Text(part)) => value.starts_with(part.as_ref()),
        (Operator::Ew, Scalar::Text(value), Scalar::Text(part)) => value.ends_with(part.as_ref()),
        (Operator::Co | Operator::Sw | Operator::Ew, ..) => false,
        (Operator::Eq, ..) => value.compare(operand) == Ordering::Equal,
        (Operator::Ne, ..) => value.compare(operand) != Ordering::Equal,
        (Operator::Gt, ..) => value.compare(operand) == Ordering::Greater,
        (Operator::Ge, ..) => value.compare(operand) != Ordering::Less,
        (Operator::Lt, ..) => value.compare(operand) == Ordering::Less,
        (Operator::Le, ..) => value.compare(operand) != Ordering::Greater,
    }
}

/// Whether any value of the target passes. Arrays are looked into, at both levels.
fn any(target: &AttrRef, place: Place<'_>, test: &mut dyn FnMut(&Value) -> bool) -> bool {
    let top = match place {
        Place::Document(document) => target.find(document),
        Place::Element(element) => return sub_passes(target, element, test),
    };
    match top {
        None => false,
        Some(Value::Array(elements)) => elements.iter().any(|element| element_passes(target, element, test)),
        Some(value) => element_passes(target, value, test),
    }
}

fn element_passes(target: &AttrRef, element: &Value, test: &mut dyn FnMut(&Value) -> bool) -> bool {
    match (target.sub, element) {
        (None, value) => test(value),
        (Some(_), Value::Object(element)) => sub_passes(target, element, test),
        (Some(_), _) => false,
    }
}

fn sub_passes(target: &AttrRef, element: &Map<String, Value>, test: &mut dyn FnMut(&Value) -> bool) -> bool {
    match target.sub.and_then(|sub| element.get(&sub.name)) {
        None => false,
        Some(Value::Array(values)) => values.iter().any(test),
        Some(value) => test(value),
    }
}

fn any_element(target: &AttrRef, place: Place<'_>, filter: &Bound) -> bool {
    let Place::Document(document) = place else { return false };
    let holds = |element: &Value| element.as_object().is_some_and(|element| element_matches(filter, element));
    match target.find(document) {
        None => false,
        Some(Value::Array(elements)) => elements.iter().any(holds),
        Some(value) => holds(value),
    }
}

#[cfg(test)]
#[path = "eval_test.rs"]
mod tests;
