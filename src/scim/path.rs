//! Attribute names in standard notation (RFC 7644 §3.10), resolved against a resource type.
//!
//! `userName`, `name.givenName`, `urn:…:User:userName`, `urn:…:enterprise:2.0:User:manager.value`, and a
//! bare extension URN. URNs hold colons and dots, so a URN is split off by matching the schemas of the
//! type, never by looking for a separator. Value paths (`emails[…]`) are `filter` and `patch`.

use std::fmt;

use serde_json::{Map, Value};

use super::attribute::Attribute;
use super::schema::{ResourceType, Schema};

/// A resolved attribute, with its sub-attribute if one was named.
#[derive(Clone, Copy, Debug)]
pub struct AttrRef {
    /// The extension that holds it; `None` for common and base attributes.
    pub extension: Option<&'static Schema>,
    /// The top-level attribute.
    pub attribute: &'static Attribute,
    /// The sub-attribute.
    pub sub: Option<&'static Attribute>,
}

/// What a name may stand for.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Name {
    /// An attribute or a sub-attribute.
    Attribute(AttrRef),
    /// An extension as a whole.
    Extension(&'static Schema),
}

impl PartialEq for AttrRef {
    fn eq(&self, other: &Self) -> bool {
        std::ptr::eq(self.attribute, other.attribute)
            && self.sub.map(std::ptr::from_ref) == other.sub.map(std::ptr::from_ref)
            && self.extension.map(std::ptr::from_ref) == other.extension.map(std::ptr::from_ref)
    }
}

impl PartialEq for Schema {
    fn eq(&self, other: &Self) -> bool {
        self.id == other.id
    }
}

/// The canonical spelling: `name.givenName`, `urn:…:User:manager.value`. Base attributes carry no URN.
impl fmt::Display for AttrRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(extension) = self.extension {
            write!(f, "{}:", extension.id)?;
        }
        f.write_str(&self.attribute.name)?;
        match self.sub {
            Some(sub) => write!(f, ".{}", sub.name),
            None => Ok(()),
        }
    }
}

impl AttrRef {
    /// The attribute that holds the values: the sub-attribute if there is one.
    pub fn leaf(&self) -> &'static Attribute {
        self.sub.unwrap_or(self.attribute)
    }

    /// The object that holds the top-level attribute in a document with canonical names.
    pub fn holder<'d>(&self, document: &'d mut Map<String, Value>) -> Option<&'d mut Map<String, Value>> {
        match self.extension {
            Some(extension) => document.get_mut(&extension.id)?.as_object_mut(),
            None => Some(document),
        }
    }

    /// The value of the top-level attribute in a document with canonical names.
    pub fn find<'d>(&self, document: &'d Map<String, Value>) -> Option<&'d Value> {
        let holder = match self.extension {
            Some(extension) => document.get(&extension.id)?.as_object()?,
            None => document,
        };
        holder.get(&self.attribute.name)
    }
}

/// Resolves a name; `None` if the type has no such attribute. Letter case does not matter.
pub fn resolve(resource_type: &'static ResourceType, text: &str) -> Option<Name> {
    if let Some(extension) = resource_type.extension(text) {
        return Some(Name::Extension(extension));
    }
    for extension in &resource_type.extensions {
        if let Some(rest) = strip_urn(text, &extension.id) {
            return within(rest, |name| extension.attribute(name), Some(extension));
        }
    }
    let rest = strip_urn(text, &resource_type.schema.id).unwrap_or(text);
    within(rest, |name| resource_type.attribute(name), None)
}

/// What follows `urn:`, if `text` starts with that URN in any letter case.
fn strip_urn<'t>(text: &'t str, urn: &str) -> Option<&'t str> {
    let head = text.get(..urn.len())?;
    let rest = text.get(urn.len()..)?;
    if head.eq_ignore_ascii_case(urn) { rest.strip_prefix(':') } else { None }
}

fn within(
    text: &str,
    find: impl Fn(&str) -> Option<&'static Attribute>,
    extension: Option<&'static Schema>,
) -> Option<Name> {
    let (name, sub) = match text.split_once('.') {
        Some((name, sub)) => (name, Some(sub)),
        None => (text, None),
    };
    let attribute = find(name)?;
    let sub = match sub {
        Some(sub) => Some(attribute.sub(sub)?),
        None => None,
    };
    Some(Name::Attribute(AttrRef { extension, attribute, sub }))
}
