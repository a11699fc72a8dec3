//! One attribute of a schema and its characteristics (RFC 7643 §2.2, §2.3, §7).

use serde::Deserialize;

/// The data type of an attribute (RFC 7643 §2.3).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Kind {
    /// Unicode text.
    #[default]
    String,
    /// `true` or `false`.
    Boolean,
    /// A number with a fraction.
    Decimal,
    /// A whole number.
    Integer,
    /// An xsd:dateTime.
    DateTime,
    /// A URI; always case exact (RFC 7643 §2.3.7).
    Reference,
    /// Base64 text; always case exact (RFC 7643 §2.3.6).
    Binary,
    /// An object of sub-attributes.
    Complex,
}

/// Who may change an attribute, and when (RFC 7643 §7).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Mutability {
    /// Set by the server only.
    ReadOnly,
    /// Set and changed by clients.
    #[default]
    ReadWrite,
    /// Set once.
    Immutable,
    /// Set by clients and never returned.
    WriteOnly,
}

/// When an attribute is returned (RFC 7643 §7).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Returned {
    /// In every answer, whatever is asked for.
    Always,
    /// In no answer.
    Never,
    /// Unless the request leaves it out.
    #[default]
    Default,
    /// Only when the request names it.
    Request,
}

/// Where a value must be unique (RFC 7643 §7).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Uniqueness {
    /// Nowhere.
    #[default]
    None,
    /// Within the tenant.
    Server,
    /// Everywhere.
    Global,
}

/// One attribute, as a schema file describes it. Defaults are those of RFC 7643 §2.2.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Attribute {
    /// The canonical spelling of the name.
    pub name: String,
    /// The data type.
    #[serde(rename = "type", default)]
    pub kind: Kind,
    /// Whether the value is an array.
    #[serde(default)]
    pub multi_valued: bool,
    /// Whether a resource must have a value.
    #[serde(default)]
    pub required: bool,
    /// Whether comparisons distinguish upper and lower case.
    #[serde(default)]
    pub case_exact: bool,
    /// Who may change it.
    #[serde(default)]
    pub mutability: Mutability,
    /// When it is returned.
    #[serde(default)]
    pub returned: Returned,
    /// Where it must be unique.
    #[serde(default)]
    pub uniqueness: Uniqueness,
    /// The parts of a complex attribute; empty otherwise.
    #[serde(default)]
    pub sub_attributes: Vec<Attribute>,
    /// Suggested values.
    #[serde(default)]
    pub canonical_values: Vec<String>,
    /// The resource types that a reference may name.
    #[serde(default)]
    pub reference_types: Vec<String>,
}

impl Attribute {
    /// Finds a sub-attribute by name, in any letter case (RFC 7643 §2.1).
    pub fn sub(&self, name: &str) -> Option<&Attribute> {
        self.sub_attributes.iter().find(|sub| sub.name.eq_ignore_ascii_case(name))
    }

    /// Whether its value is made here, whatever a client says of it: a read-only one, and where a reference
    /// leads, which is made from the id beside it.
    pub fn is_made(&self) -> bool {
        self.mutability == Mutability::ReadOnly || (self.kind == Kind::Reference && self.name == "$ref")
    }

    /// Whether this is a complex attribute.
    pub fn is_complex(&self) -> bool {
        self.kind == Kind::Complex
    }
}
