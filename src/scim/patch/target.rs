//! PATCH paths (RFC 7644 §3.5.2 Figure 7).
//!
//! ```text
//! PATH      = attrPath / valuePath [subAttr]
//! valuePath = attrPath "[" valFilter "]"
//! subAttr   = "." ATTRNAME
//! ```

use serde_json::{Map, Value};

use super::super::attribute::Attribute;
use super::super::error::Error;
use super::super::filter::{self, AttrPath, Bound, Filter, Literal, Operator};
use super::super::members::plain;
use super::super::path::{AttrRef, Name, resolve};
use super::super::people::{Says, says};
use super::super::plain::is_uuid;
use super::super::schema::{ResourceType, Schema};
use super::super::tolerance::{Tolerance, Tolerances};
use super::super::{leaving, unknown};

/// What an operation changes.
#[derive(Clone, Debug, PartialEq)]
pub enum Target {
    /// An attribute or a sub-attribute.
    Attribute(AttrRef),
    /// The elements of a multi-valued attribute that match a filter.
    Elements {
        /// The attribute.
        attr: AttrRef,
        /// Which elements.
        filter: Bound,
        /// The filter as written: its values become those of a created element.
        written: Filter,
        /// The sub-attribute of each element, if the path names one.
        sub: Option<&'static Attribute>,
    },
    /// An extension as a whole.
    Extension(&'static Schema),
}

impl Target {
    /// Reads a path, beside which `value` stands; `None` if it names what the type does not have and is
    /// dropped. What is malformed or unknown is `invalidPath`; a bad filter is `invalidFilter`.
    pub fn parse(
        path: &str,
        value: Option<&Value>,
        rtype: &'static ResourceType,
        tolerances: &mut Tolerances,
    ) -> Result<Option<Target>, Error> {
        let path = path.trim();
        if path.is_empty() {
            return Err(Error::path("path: is empty"));
        }
        let mut unknown = |refusal: Error| {
            let says = says(rtype, path);
            // Who is taken out of a group by a path that nobody understands is still in it.
            if says == Some(Says::People) {
                return Err(refusal);
            }
            // Of `active` itself a no is never dropped.
            let says_no = value.is_some_and(|value| leaving::found("active", value).is_some());
            if says.is_some() && says_no {
                tolerances.spare_leaving(path, refusal)?;
                tolerances.allow(Tolerance::UnknownAttribute);
                return Ok(None);
            }
            unknown::path(rtype, path, value, tolerances, refusal).map(|()| None)
        };
        let Some((head, rest)) = path.split_once('[') else {
            return match resolve(rtype, path) {
                Some(Name::Attribute(attr)) => Ok(Some(Target::Attribute(attr))),
                Some(Name::Extension(schema)) => Ok(Some(Target::Extension(schema))),
                None => unknown(absent(rtype, path)),
            };
        };
        // No name holds a bracket, so the last one closes even if strings in the filter hold others.
        let Some((inside, tail)) = rest.rsplit_once(']') else {
            return Err(Error::path(format!("path: {path} has no closing bracket")));
        };
        let attr = match resolve(rtype, head.trim_end()) {
            Some(Name::Attribute(attr)) => attr,
            _ => return unknown(absent(rtype, head)),
        };
        if attr.sub.is_some() || !attr.attribute.is_complex() || !attr.attribute.multi_valued {
            return unknown(Error::path(format!("path: {attr} has no elements to choose from")));
        }
        let sub = match tail.trim() {
            "" => None,
            tail => match tail.strip_prefix('.').and_then(|name| attr.attribute.sub(name)) {
                Some(sub) => Some(sub),
                None => {
                    let detail = format!("path: {attr} has no such sub-attribute: {tail}");
                    return unknown(Error::path(detail).naming(tail));
                }
            },
        };
        let mut written = filter::parse(inside, tolerances)?;
        if rtype.names_people(attr.attribute) {
            written = spelt(written, tolerances);
        }
        let filter = filter::bind_elements(&written, attr, tolerances)?;
        Ok(Some(Target::Elements { attr, filter, written, sub }))
    }

    /// The attribute, unless it is an extension as a whole.
    pub(super) fn attr(&self) -> Option<&AttrRef> {
        match self {
            Target::Attribute(attr) | Target::Elements { attr, .. } => Some(attr),
            Target::Extension(_) => None,
        }
    }

    /// Whether it says who has access.
    pub(super) fn decides(&self, rtype: &'static ResourceType) -> bool {
        self.attr().is_some_and(|attr| rtype.decides(attr.attribute))
    }

    /// Whether it says who is in a group, or answers for an agent.
    pub(super) fn names_people(&self, rtype: &'static ResourceType) -> bool {
        self.attr().is_some_and(|attr| rtype.names_people(attr.attribute))
    }

    /// Whether it chooses among the people that stand in the document.
    pub fn chooses_people(&self, rtype: &'static ResourceType) -> bool {
        let stands = |attr: &AttrRef| rtype.rows.is_none() && rtype.names_people(attr.attribute);
        matches!(self, Target::Elements { attr, .. } if stands(attr))
    }

    /// Its path, without what a filter compares with.
    pub(super) fn name(&self) -> String {
        match self {
            Target::Attribute(attr) | Target::Elements { attr, sub: None, .. } => attr.to_string(),
            Target::Elements { attr, sub: Some(sub), .. } => format!("{attr}.{}", sub.name),
            Target::Extension(schema) => schema.id.clone(),
        }
    }
}

/// What a path names that the type does not have.
fn absent(rtype: &ResourceType, name: &str) -> Error {
    Error::path(format!("path: {} has no such attribute: {name}", rtype.name)).naming(name)
}

/// The element that a filter of `eq` terms joined by `and` describes, with values as written; `None` for
/// any other filter, and for one that wants two things at once.
pub(super) fn described(attribute: &Attribute, filter: &Filter) -> Option<Map<String, Value>> {
    let terms = match filter {
        Filter::And(terms) => terms.as_slice(),
        other => std::slice::from_ref(other),
    };
    let mut element = Map::new();
    for term in terms {
        let Filter::Compare(path, Operator::Eq, literal) = term else { return None };
        let sub = attribute.sub(&path.text)?;
        // `eq null` asks for absence, which is what a new element has.
        if *literal != Literal::Null && element.insert(sub.name.clone(), literal.value()).is_some() {
            return None;
        }
    }
    Some(element)
}

/// A filter over people, with ids as they stand here where they are written otherwise: who is named so by a value is named
/// so by a path, too. A `$ref` is named by its end.
fn spelt(filter: Filter, tolerances: &mut Tolerances) -> Filter {
    let mut all = |parts: Vec<Filter>| parts.into_iter().map(|part| spelt(part, tolerances)).collect();
    match filter {
        Filter::And(parts) => Filter::And(all(parts)),
        Filter::Or(parts) => Filter::Or(all(parts)),
        Filter::Not(inner) => Filter::Not(Box::new(spelt(*inner, tolerances))),
        Filter::Compare(path, op @ (Operator::Eq | Operator::Ne), Literal::Text(text)) => {
            let is = |name: &str| path.text.eq_ignore_ascii_case(name);
            let id = plain(&text);
            let is_other = is("$ref") || is("value") && id != text;
            let is_known = is_other && is_uuid(&id) && tolerances.dialect().is_lenient();
            // As it is shown here, but for its beginning.
            let is_shown = is("$ref") && text.contains("://") && text.ends_with(&format!("/{id}"));
            match is_known && (is_shown || tolerances.allow(Tolerance::MemberSpelling)) {
                true => Filter::Compare(AttrPath { text: "value".to_owned(), ..path }, op, Literal::Text(id)),
                false => Filter::Compare(path, op, Literal::Text(text)),
            }
        }
        other => other,
    }
}

/// The ids that a filter `value eq "…" or value eq "…"` lists; `None` for any other filter.
pub(super) fn listed_ids(filter: &Filter) -> Option<Vec<String>> {
    let terms = match filter {
        Filter::Or(terms) => terms.as_slice(),
        other => std::slice::from_ref(other),
    };
    let id = |term: &Filter| match term {
        Filter::Compare(path, Operator::Eq, Literal::Text(id)) if path.text.eq_ignore_ascii_case("value") => {
            Some(id.clone())
        }
        _ => None,
    };
    terms.iter().map(id).collect()
}

#[cfg(test)]
#[path = "target_test.rs"]
mod tests;
