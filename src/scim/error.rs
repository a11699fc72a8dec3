//! The one error of the SCIM layer, as RFC 7644 §3.12 renders it.

use serde_json::{Map, Value, json};

/// The URN of an error body.
pub const ERROR_URN: &str = "urn:ietf:params:scim:api:messages:2.0:Error";

/// Declares each `scimType` once: its variant, wire name and HTTP status.
macro_rules! scim_types {
    ($($(#[$doc:meta])* $variant:ident = $name:literal, $status:literal;)*) => {
        /// The `scimType` of an error (RFC 7644 Table 9, RFC 9865 §2.1). No others are ever sent.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum ScimType { $($(#[$doc])* $variant,)* }

        impl ScimType {
            /// The name on the wire.
            pub fn name(self) -> &'static str {
                match self { $(ScimType::$variant => $name,)* }
            }

            /// The HTTP status that carries it.
            pub fn status(self) -> u16 {
                match self { $(ScimType::$variant => $status,)* }
            }
        }
    };
}

scim_types! {
    /// A filter that cannot be understood or is not supported.
    InvalidFilter = "invalidFilter", 400;
    /// More results than the server is willing to return.
    TooMany = "tooMany", 400;
    /// A value that is taken or reserved.
    Uniqueness = "uniqueness", 409;
    /// A change that the attribute's mutability forbids.
    Mutability = "mutability", 400;
    /// A body that is malformed.
    InvalidSyntax = "invalidSyntax", 400;
    /// A PATCH path that is malformed or names nothing.
    InvalidPath = "invalidPath", 400;
    /// A PATCH path that matched nothing.
    NoTarget = "noTarget", 400;
    /// A value of the wrong type, or a required one that is missing.
    InvalidValue = "invalidValue", 400;
    /// A protocol version that is not 2.
    InvalidVers = "invalidVers", 400;
    /// A filter over values that may not appear in a URL.
    Sensitive = "sensitive", 403;
    /// A cursor that this server did not make for this query and client.
    InvalidCursor = "invalidCursor", 400;
    /// A cursor that is too old.
    ExpiredCursor = "expiredCursor", 400;
    /// A page size that does not go with the cursor.
    InvalidCount = "invalidCount", 400;
}

/// An error of the SCIM protocol: a status, an optional `scimType`, and a sentence for people.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{detail}")]
pub struct Error {
    /// The HTTP status.
    pub status: u16,
    /// The machine-readable kind, where the RFC has one.
    pub scim_type: Option<ScimType>,
    /// What is wrong and where, in lower case and without a full stop.
    pub detail: String,
    /// The names in it that the client sent and that nothing here has, as they were sent.
    pub names: Vec<String>,
}

impl Error {
    /// An error with a `scimType`, which fixes its status.
    pub fn new(scim_type: ScimType, detail: impl Into<String>) -> Self {
        Error { status: scim_type.status(), scim_type: Some(scim_type), detail: detail.into(), names: vec![] }
    }

    /// An error that has a status only.
    pub fn status(status: u16, detail: impl Into<String>) -> Self {
        Error { status, scim_type: None, detail: detail.into(), names: vec![] }
    }

    /// The same about a name that nothing here has: the detail holds it.
    #[must_use]
    pub fn naming(mut self, name: impl Into<String>) -> Self {
        self.names.push(name.into());
        self
    }

    /// `invalidFilter`.
    pub fn filter(detail: impl Into<String>) -> Self {
        Error::new(ScimType::InvalidFilter, detail)
    }

    /// `invalidValue`.
    pub fn value(detail: impl Into<String>) -> Self {
        Error::new(ScimType::InvalidValue, detail)
    }

    /// `invalidSyntax`.
    pub fn syntax(detail: impl Into<String>) -> Self {
        Error::new(ScimType::InvalidSyntax, detail)
    }

    /// `invalidPath`.
    pub fn path(detail: impl Into<String>) -> Self {
        Error::new(ScimType::InvalidPath, detail)
    }

    /// `mutability`.
    pub fn mutability(detail: impl Into<String>) -> Self {
        Error::new(ScimType::Mutability, detail)
    }

    /// The body of RFC 7644 §3.12; `status` is a string there.
    pub fn body(&self) -> Value {
        let mut body = Map::new();
        body.insert("schemas".into(), json!([ERROR_URN]));
        body.insert("status".into(), self.status.to_string().into());
        if let Some(scim_type) = self.scim_type {
            body.insert("scimType".into(), scim_type.name().into());
        }
        body.insert("detail".into(), self.detail.as_str().into());
        Value::Object(body)
    }
}
