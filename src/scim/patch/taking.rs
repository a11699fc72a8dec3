//! Elements taken away by a filter, where they stand: a patch may do so a thousand times to a list of thousands.

use serde_json::Value;

use super::super::attribute::{Attribute, Mutability};
use super::super::error::{Error, ScimType};
use super::super::filter::element_matches;
use super::super::path::AttrRef;
use super::super::tolerance::{Tolerance, Tolerances};
use super::{Op, Operation, Target};

/// Whether an operation only takes elements away that a filter chooses, of an attribute that may be without any.
pub(super) fn only_takes(operation: &Operation, attribute: &Attribute) -> bool {
    let is_free = !attribute.required && attribute.mutability != Mutability::Immutable;
    let is_whole = matches!(operation.target, Target::Elements { sub: None, .. });
    is_free && is_whole && attribute.multi_valued && operation.op == Op::Remove
}

/// Takes them out of the list; gives whether none are left.
pub(super) fn take(
    attr: &AttrRef,
    elements: Option<&mut Vec<Value>>,
    operation: &Operation,
    tolerances: &mut Tolerances,
) -> Result<bool, Error> {
    let Target::Elements { filter, .. } = &operation.target else { return Ok(false) };
    let mut none = vec![];
    let elements = elements.unwrap_or(&mut none);
    let before = elements.len();
    elements.retain(|element| element.as_object().is_none_or(|element| !element_matches(filter, element)));
    if elements.len() == before && !tolerances.allow(Tolerance::RemoveAbsent) {
        return Err(Error::new(ScimType::NoTarget, format!("{attr}: no element matches")));
    }
    Ok(before > 0 && elements.is_empty())
}
