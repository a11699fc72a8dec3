//! PATCH (RFC 7644 §3.5.2): a body becomes operations, operations change a document.
//!
//! [`parse`] checks the envelope, resolves every path and takes path-less values apart, so that each
//! [`Operation`] has one [`Target`]. [`apply`] works on a copy: all operations or none. Members of a group
//! are rows, not part of the document; what a patch does to them comes back as [`RowChange`]s.

mod apply;
mod doubts;
mod elements;
mod envelope;
mod merge;
mod parts;
mod reader;
mod rows;
mod taking;
mod target;
mod verb;

use serde_json::{Map, Value};

use super::error::Error;
use super::filter::Bound;
use super::schema::ResourceType;

pub use apply::apply;
pub use envelope::{PATCH_URN, parse, parse_within};
pub use rows::people;
pub use target::Target;

/// How much one PATCH may hold.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Operations in the body.
    pub operations_max: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Limits { operations_max: 1000 }
    }
}

/// The verb of an operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Op {
    /// Adds values, or sets one.
    Add,
    /// Takes values away.
    Remove,
    /// Puts values in the place of others.
    Replace,
}

/// One change to one target.
#[derive(Clone, Debug, PartialEq)]
pub struct Operation {
    /// The place in the body's `Operations`; a path-less one yields several with the same.
    pub index: usize,
    /// The verb.
    pub op: Op,
    /// What it changes.
    pub target: Target,
    /// The value; always there for `add` and `replace`.
    pub value: Option<Value>,
    /// Whether it comes from a path-less value, where read-only attributes are left alone.
    pub pathless: bool,
}

/// Whether any of these operations says who has access: see [`ResourceType::decides`].
pub fn decides(operations: &[Operation], resource_type: &'static ResourceType) -> bool {
    operations.iter().any(|operation| operation.target.decides(resource_type))
}

/// What a patch makes of a document.
#[derive(Clone, Debug, PartialEq)]
pub struct Applied {
    /// The new document; `schemas` lists the base schema and the extensions that have values.
    pub document: Map<String, Value>,
    /// Changes to rows, in order. Only the store knows whether they change anything.
    pub rows: Vec<RowChange>,
    /// Whether the patch says of a principal that it is not active.
    pub leaves: bool,
    /// Whether it says who is in a group, or answers for an agent.
    pub members: bool,
}

/// A change to the rows of a resource: the members of a group.
#[derive(Clone, Debug, PartialEq)]
pub enum RowChange {
    /// Adds these; those that are members stay.
    Add(Vec<Member>),
    /// Removes these ids; those that are no members are no error.
    Remove(Vec<String>),
    /// Removes all.
    RemoveAll,
    /// Removes those that match, see [`super::filter::element_matches`].
    RemoveWhere(Bound),
    /// These and no others.
    Replace(Vec<Member>),
}

/// A member as the client names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// The id.
    pub value: String,
    /// The type that the client thinks it has.
    pub type_hint: Option<String>,
}

/// Names the operation in an error.
fn in_operation(index: usize, error: Error) -> Error {
    Error { detail: format!("Operations[{index}]: {}", error.detail), ..error }
}
