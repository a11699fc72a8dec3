//! Decides filters.

use std::cmp::Ordering;

use serde_json::{Map, Value};

use super::super::path::AttrRef;
use super::Operator;
use super::bind::{Bound, Operand};
use super::compare::{Scalar, scalar};

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
    holds(bound, Node::Document(document))
}

/// Whether an element of a multi-valued complex attribute matches the filter of a value path.
pub fn element_matches(bound: &Bound, element: &Map<String, Value>) -> bool {
    holds(bound, Node::Element(element))
}

/// What a filter looks at.
#[derive(Clone, Copy)]
enum Node<'d> {
    Document(&'d Map<String, Value>),
    Element(&'d Map<String, Value>),
}

fn holds(bound: &Bound, place: Node<'_>) -> bool {
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

fn compares(target: &AttrRef, place: Node<'_>, op: Operator, operand: &Operand) -> bool {
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
fn any(target: &AttrRef, place: Node<'_>, test: &mut dyn FnMut(&Value) -> bool) -> bool {
    let top = match place {
        Node::Document(document) => target.find(document),
        Node::Element(element) => return sub_passes(target, element, test),
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

fn any_element(target: &AttrRef, place: Node<'_>, filter: &Bound) -> bool {
    let Node::Document(document) = place else { return false };
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
