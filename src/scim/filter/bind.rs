//! Resolves a parsed filter against a resource type: names become attributes, literals become typed
//! operands, and what RFC 7644 §3.4.2.2 does not allow is refused.

use std::borrow::Cow;

use chrono::{DateTime, Utc};
use serde_json::Number;

use super::super::attribute::{Attribute, Kind, Mutability, Returned};
use super::super::error::Error;
use super::super::path::{AttrRef, Name, resolve};
use super::super::schema::ResourceType;
use super::super::tolerance::{Tolerance, Tolerances};
use super::compare::{Scalar, text_key, time};
use super::parser::boolean;
use super::{AttrPath, Filter, Literal, Operator};

/// What an attribute that the type does not have means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unknown {
    /// An error: the query is about one type.
    Refuse,
    /// An attribute without a value: the query is about several types (RFC 7644 §3.4.2.1).
    NoValue,
}

/// A filter over resources of one type.
#[derive(Clone, Debug, PartialEq)]
pub enum Bound {
    /// All of them.
    And(Vec<Bound>),
    /// Any of them.
    Or(Vec<Bound>),
    /// The opposite.
    Not(Box<Bound>),
    /// Has a value.
    Present(AttrRef),
    /// Some value compares so; for `ne`, also if there is no value.
    Compare {
        /// What is compared; inside a value path, `sub` is the sub-attribute of the element.
        target: AttrRef,
        /// How.
        op: Operator,
        /// With what; never [`Operand::Null`].
        operand: Operand,
    },
    /// Some element satisfies the whole filter.
    ValuePath {
        /// The complex attribute.
        target: AttrRef,
        /// The filter over its sub-attributes.
        filter: Box<Bound>,
    },
    /// Matches nothing.
    Never,
}

/// What a comparison compares with, typed by the attribute.
#[derive(Clone, Debug, PartialEq)]
pub enum Operand {
    /// A comparison key, see [`super::super::text::key`].
    Text(String),
    /// `true` or `false`.
    Bool(bool),
    /// A number.
    Number(Number),
    /// An instant.
    Time(DateTime<Utc>),
    /// `null`; [`bind`] turns it into a test of presence.
    Null,
}

impl Operand {
    /// The operand as the values it is compared with; `None` for null.
    pub fn scalar(&self) -> Option<Scalar<'_>> {
        match self {
            Operand::Text(text) => Some(Scalar::Text(Cow::Borrowed(text))),
            Operand::Bool(value) => Some(Scalar::Bool(*value)),
            Operand::Number(number) => Some(Scalar::Number(number)),
            Operand::Time(time) => Some(Scalar::Time(*time)),
            Operand::Null => None,
        }
    }

    /// The text that the index holds for equal values; `None` where values are not indexed.
    pub fn index_text(&self) -> Option<String> {
        self.scalar()?.index_text().map(Cow::into_owned)
    }
}

/// Binds a filter to a resource type.
pub fn bind(
    filter: &Filter,
    rtype: &'static ResourceType,
    unknown: Unknown,
    tolerances: &mut Tolerances,
) -> Result<Bound, Error> {
    Binder { place: Scope::Resource(rtype), unknown, tolerances }.bind(filter)
}

/// Binds the filter of a value path: its names are sub-attributes of `outer`.
pub fn bind_elements(filter: &Filter, outer: AttrRef, tolerances: &mut Tolerances) -> Result<Bound, Error> {
    Binder { place: Scope::Element(outer), unknown: Unknown::Refuse, tolerances }.bind(filter)
}

/// Every attribute that a filter looks at, in the order of its text.
pub fn attributes(bound: &Bound) -> Vec<AttrRef> {
    fn visit(bound: &Bound, found: &mut Vec<AttrRef>) {
        match bound {
            Bound::And(parts) | Bound::Or(parts) => parts.iter().for_each(|part| visit(part, found)),
            Bound::Not(inner) => visit(inner, found),
            Bound::Present(target) | Bound::Compare { target, .. } => found.push(*target),
            Bound::ValuePath { target, filter } => {
                found.push(*target);
                visit(filter, found);
            }
            Bound::Never => {}
        }
    }
    let mut found = vec![];
    visit(bound, &mut found);
    found
}

/// Where names are looked up.
#[derive(Clone, Copy)]
enum Scope {
    Resource(&'static ResourceType),
    Element(AttrRef),
}

struct Binder<'t> {
    place: Scope,
    unknown: Unknown,
    tolerances: &'t mut Tolerances,
}

impl Binder<'_> {
    fn bind(&mut self, filter: &Filter) -> Result<Bound, Error> {
        match filter {
            Filter::And(parts) => Ok(Bound::And(self.all(parts)?)),
            Filter::Or(parts) => Ok(Bound::Or(self.all(parts)?)),
            Filter::Not(inner) => Ok(Bound::Not(Box::new(self.bind(inner)?))),
            Filter::Present(path) => self.present(path),
            Filter::Compare(path, op, literal) => self.compare(path, *op, literal),
            Filter::ValuePath(path, inner) => self.value_path(path, inner),
        }
    }

    fn all(&mut self, parts: &[Filter]) -> Result<Vec<Bound>, Error> {
        parts.iter().map(|part| self.bind(part)).collect()
    }

    fn present(&mut self, path: &AttrPath) -> Result<Bound, Error> {
        if let Scope::Resource(rtype) = self.place
            && let Some(Name::Extension(extension)) = resolve(rtype, &path.text)
            && let Some(schemas) = rtype.attribute("schemas")
        {
            let target = AttrRef { extension: None, attribute: schemas, sub: None };
            let operand = Operand::Text(text_key(schemas, &extension.id).into_owned());
            return Ok(Bound::Compare { target, op: Operator::Eq, operand });
        }
        Ok(self.target(path)?.map_or(Bound::Never, Bound::Present))
    }

    fn compare(&mut self, path: &AttrPath, op: Operator, literal: &Literal) -> Result<Bound, Error> {
        let target = match self.target(path)? {
            Some(target) => self.comparable(target, path)?,
            None => None,
        };
        if *literal == Literal::Null {
            let present = target.map_or(Bound::Never, Bound::Present);
            return match op {
                Operator::Eq => Ok(Bound::Not(Box::new(present))),
                Operator::Ne => Ok(present),
                _ => Err(at(path, &format!("{op} does not compare with null"))),
            };
        }
        match target {
            Some(target) => {
                let operand = self.operand(target.leaf(), path, op, literal)?;
                Ok(Bound::Compare { target, op, operand })
            }
            // What has no value is not equal to anything.
            None if op == Operator::Ne => Ok(Bound::Not(Box::new(Bound::Never))),
            None => Ok(Bound::Never),
        }
    }

    /// What a comparison with a complex attribute means: its `value`, as the RFC's own `emails co` reads.
    /// Without one it compares with nothing, which is no error where another type may have a plain
    /// attribute of that name.
    fn comparable(&self, target: AttrRef, path: &AttrPath) -> Result<Option<AttrRef>, Error> {
        if !target.leaf().is_complex() {
            return Ok(Some(target));
        }
        match target.attribute.sub("value") {
            Some(value) => Ok(Some(AttrRef { sub: Some(value), ..target })),
            None if self.unknown == Unknown::NoValue => Ok(None),
            None => Err(at(path, "it is complex: name a sub-attribute")),
        }
    }

    fn value_path(&mut self, path: &AttrPath, inner: &Filter) -> Result<Bound, Error> {
        if matches!(self.place, Scope::Element(_)) {
            return Err(at(path, "no value path inside a value path"));
        }
        let Some(target) = self.target(path)? else { return Ok(Bound::Never) };
        if !target.leaf().is_complex() {
            // Another type may have sub-attributes of that name.
            let elsewhere = self.unknown == Unknown::NoValue;
            return if elsewhere { Ok(Bound::Never) } else { Err(at(path, "it has no sub-attributes")) };
        }
        let mut binder =
            Binder { place: Scope::Element(target), unknown: self.unknown, tolerances: &mut *self.tolerances };
        Ok(Bound::ValuePath { target, filter: Box::new(binder.bind(inner)?) })
    }

    /// The attribute of that name; `None` if it is unknown and that is no error.
    fn target(&mut self, path: &AttrPath) -> Result<Option<AttrRef>, Error> {
        let found = match self.place {
            Scope::Resource(rtype) => match resolve(rtype, &path.text) {
                Some(Name::Attribute(target)) => Some(target),
                _ => self.bare(rtype, path),
            },
            Scope::Element(outer) => outer.attribute.sub(&path.text).map(|sub| AttrRef { sub: Some(sub), ..outer }),
        };
        match found {
            // Filtering would tell what reading does not (RFC 7644 §7.5.1).
            Some(target) if hidden(target.attribute) || hidden(target.leaf()) => {
                Err(at(path, "values of this attribute cannot be filtered"))
            }
            None if self.unknown == Unknown::Refuse => Err(at(path, "no such attribute").naming(&*path.text)),
            found => Ok(found),
        }
    }

    /// An attribute of an extension whose URN was left out; base attributes of that name come first.
    fn bare(&mut self, rtype: &'static ResourceType, path: &AttrPath) -> Option<AttrRef> {
        let found =
            rtype.extensions.iter().find_map(|extension| resolve(rtype, &format!("{}:{}", extension.id, path.text)));
        match found {
            Some(Name::Attribute(target)) if self.tolerances.allow(Tolerance::BareExtensionName) => Some(target),
            _ => None,
        }
    }

    fn operand(
        &mut self,
        attr: &Attribute,
        path: &AttrPath,
        op: Operator,
        literal: &Literal,
    ) -> Result<Operand, Error> {
        allowed(attr, path, op)?;
        let operand = match (attr.kind, literal) {
            (Kind::String | Kind::Reference | Kind::Binary, Literal::Text(text)) => {
                Some(Operand::Text(text_key(attr, text).into_owned()))
            }
            (Kind::Boolean, Literal::Bool(value)) => Some(Operand::Bool(*value)),
            (Kind::Boolean, Literal::Text(text)) => {
                boolean(text).filter(|_| self.tolerances.allow(Tolerance::BooleanText)).map(Operand::Bool)
            }
            (Kind::Integer | Kind::Decimal, Literal::Number(number)) => Some(Operand::Number(number.clone())),
            (Kind::Integer | Kind::Decimal, Literal::Text(text)) => serde_json::from_str(text)
                .ok()
                .filter(|_: &Number| self.tolerances.allow(Tolerance::NumberText))
                .map(Operand::Number),
            (Kind::DateTime, Literal::Text(text)) => time(text).map(Operand::Time),
            _ => None,
        };
        operand.ok_or_else(|| at(path, &format!("it is {}, so it does not compare with {literal}", kind(attr.kind))))
    }
}

fn at(path: &AttrPath, what: &str) -> Error {
    Error::filter(format!("filter: {path} at column {}: {what}", path.column))
}

fn hidden(attr: &Attribute) -> bool {
    attr.mutability == Mutability::WriteOnly || attr.returned == Returned::Never
}

/// Which operators a type has (RFC 7644 Table 3).
fn allowed(attr: &Attribute, path: &AttrPath, op: Operator) -> Result<(), Error> {
    let refused = match attr.kind {
        Kind::Boolean => op.is_order() || op.is_within(),
        Kind::Binary => op.is_order(),
        Kind::Integer | Kind::Decimal | Kind::DateTime => op.is_within(),
        Kind::String | Kind::Reference | Kind::Complex => false,
    };
    if refused { Err(at(path, &format!("{op} does not apply to {}", kind(attr.kind)))) } else { Ok(()) }
}

fn kind(kind: Kind) -> &'static str {
    match kind {
        Kind::String => "a string",
        Kind::Boolean => "a boolean",
        Kind::Decimal => "a decimal",
        Kind::Integer => "an integer",
        Kind::DateTime => "a dateTime",
        Kind::Reference => "a reference",
        Kind::Binary => "binary",
        Kind::Complex => "complex",
    }
}

#[cfg(test)]
#[path = "bind_test.rs"]
mod tests;
