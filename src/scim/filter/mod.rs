//! Filters (RFC 7644 §3.4.2.2): parsed, bound to a resource type, evaluated.
//!
//! ```text
//! filter     = term *("or" term)                      ; "and" binds tighter than "or"
//! term       = factor *("and" factor)
//! factor     = "(" filter ")" / "not" "(" filter ")" / expression
//! expression = attrPath "pr"
//!            / attrPath operator literal
//!            / attrPath "[" filter "]"                ; no value path inside a value path
//!            / attrPath "[" filter "]" subAttr "pr"
//!            / attrPath "[" filter "]" subAttr operator literal
//! operator   = "eq" / "ne" / "co" / "sw" / "ew" / "gt" / "ge" / "lt" / "le"
//! literal    = "null" / "true" / "false" / JSON number / JSON string
//! ```
//!
//! Keywords and operators are read in any letter case, white space around tokens is optional, and the
//! last two forms of `expression` are what Entra ID sends: `emails[type eq "work"].value eq "x"` is
//! `emails[type eq "work" and value eq "x"]`.

mod bind;
mod compare;
mod eval;
mod lexer;
mod parser;

use std::fmt;

use serde_json::{Number, Value};

pub use bind::{Bound, Operand, Unknown, attributes, bind, bind_elements};
pub use compare::{Scalar, index_text, scalar};
pub use eval::{element_matches, matches, present};
pub use parser::{parse, parse_within};

/// What a filter may cost.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Bytes of text.
    pub bytes_max: usize,
    /// Parentheses, brackets and `not` inside each other.
    pub depth_max: usize,
    /// Expressions.
    pub terms_max: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Limits { bytes_max: 16 * 1024, depth_max: 32, terms_max: 2048 }
    }
}

/// A filter as written. `And` and `Or` hold at least two parts, none of their own kind, so the depth of
/// a tree is the depth of the text, which [`Limits`] bounds.
#[derive(Clone, Debug, PartialEq)]
pub enum Filter {
    /// All of them.
    And(Vec<Filter>),
    /// Any of them.
    Or(Vec<Filter>),
    /// The opposite.
    Not(Box<Filter>),
    /// `pr`.
    Present(AttrPath),
    /// A comparison.
    Compare(AttrPath, Operator, Literal),
    /// `attr[filter]`: one element satisfies the whole filter.
    ValuePath(AttrPath, Box<Filter>),
}

impl Filter {
    /// The conjunction, flat.
    pub fn and(parts: Vec<Filter>) -> Filter {
        join(parts, Filter::And, |part| match part {
            Filter::And(inner) => Ok(inner),
            other => Err(other),
        })
    }

    /// The disjunction, flat.
    pub fn or(parts: Vec<Filter>) -> Filter {
        join(parts, Filter::Or, |part| match part {
            Filter::Or(inner) => Ok(inner),
            other => Err(other),
        })
    }
}

fn join(
    parts: Vec<Filter>,
    make: fn(Vec<Filter>) -> Filter,
    open: fn(Filter) -> Result<Vec<Filter>, Filter>,
) -> Filter {
    let mut flat = Vec::with_capacity(parts.len());
    for part in parts {
        match open(part) {
            Ok(inner) => flat.extend(inner),
            Err(other) => flat.push(other),
        }
    }
    match flat.pop() {
        Some(only) if flat.is_empty() => only,
        Some(last) => {
            flat.push(last);
            make(flat)
        }
        None => make(flat),
    }
}

/// An attribute as written: `userName`, `emails.value`, `urn:…:User:manager.$ref`.
#[derive(Clone, Debug)]
pub struct AttrPath {
    /// The text.
    pub text: String,
    /// Where it stands in the filter, from 1, in characters.
    pub column: usize,
}

/// Where it stands does not matter.
impl PartialEq for AttrPath {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

/// The comparison operators (RFC 7644 Table 3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operator {
    /// Equal.
    Eq,
    /// Not equal.
    Ne,
    /// Contains.
    Co,
    /// Starts with.
    Sw,
    /// Ends with.
    Ew,
    /// Greater than.
    Gt,
    /// Greater than or equal.
    Ge,
    /// Less than.
    Lt,
    /// Less than or equal.
    Le,
}

impl Operator {
    /// Every operator.
    pub const ALL: [Operator; 9] = [
        Operator::Eq,
        Operator::Ne,
        Operator::Co,
        Operator::Sw,
        Operator::Ew,
        Operator::Gt,
        Operator::Ge,
        Operator::Lt,
        Operator::Le,
    ];

    /// The canonical spelling.
    pub fn name(self) -> &'static str {
        match self {
            Operator::Eq => "eq",
            Operator::Ne => "ne",
            Operator::Co => "co",
            Operator::Sw => "sw",
            Operator::Ew => "ew",
            Operator::Gt => "gt",
            Operator::Ge => "ge",
            Operator::Lt => "lt",
            Operator::Le => "le",
        }
    }

    /// Reads an operator in any letter case.
    pub fn parse(text: &str) -> Option<Operator> {
        Operator::ALL.into_iter().find(|operator| operator.name().eq_ignore_ascii_case(text))
    }

    /// Whether it looks into a text: `co`, `sw`, `ew`.
    pub fn is_within(self) -> bool {
        matches!(self, Operator::Co | Operator::Sw | Operator::Ew)
    }

    /// Whether it needs an order: `gt`, `ge`, `lt`, `le`.
    pub fn is_order(self) -> bool {
        matches!(self, Operator::Gt | Operator::Ge | Operator::Lt | Operator::Le)
    }
}

/// A comparison value as written: a JSON scalar.
#[derive(Clone, Debug, PartialEq)]
pub enum Literal {
    /// `null`.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A number.
    Number(Number),
    /// A string.
    Text(String),
}

impl Literal {
    /// The same as a JSON value.
    pub fn value(&self) -> Value {
        match self {
            Literal::Null => Value::Null,
            Literal::Bool(value) => Value::Bool(*value),
            Literal::Number(value) => Value::Number(value.clone()),
            Literal::Text(value) => Value::String(value.clone()),
        }
    }
}

impl fmt::Display for Literal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.value().fmt(f)
    }
}

impl fmt::Display for Operator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl fmt::Display for AttrPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// The canonical text: single spaces, and parentheses only where they are needed.
impl fmt::Display for Filter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Filter::And(parts) => list(f, parts, " and ", |part| matches!(part, Filter::Or(_) | Filter::And(_))),
            Filter::Or(parts) => list(f, parts, " or ", |part| matches!(part, Filter::Or(_))),
            Filter::Not(inner) => write!(f, "not ({inner})"),
            Filter::Present(path) => write!(f, "{path} pr"),
            Filter::Compare(path, operator, literal) => write!(f, "{path} {operator} {literal}"),
            Filter::ValuePath(path, inner) => write!(f, "{path}[{inner}]"),
        }
    }
}

fn list(f: &mut fmt::Formatter<'_>, parts: &[Filter], between: &str, grouped: fn(&Filter) -> bool) -> fmt::Result {
    for (index, part) in parts.iter().enumerate() {
        if index > 0 {
            f.write_str(between)?;
        }
        if grouped(part) {
            write!(f, "({part})")?;
        } else {
            write!(f, "{part}")?;
        }
    }
    Ok(())
}
