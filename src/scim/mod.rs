//! The SCIM 2.0 protocol, pure: RFC 7643, RFC 7644 and RFC 9865 as functions over values.
//!
//! What is here: schemas, paths, filters, PATCH, validation, projection, messages, errors.
//! What is not: time, randomness, storage, HTTP. This layer names nothing else of Keyroll's.

pub mod attribute;
pub mod cursor;
pub mod discovery;
pub mod error;
pub mod filter;
pub mod json;
pub mod leaving;
pub mod members;
pub mod message;
pub mod patch;
pub mod path;
mod people;
mod plain;
pub mod project;
pub mod reference;
pub mod schema;
pub mod text;
pub mod tolerance;
mod unknown;
pub mod validate;

pub use attribute::{Attribute, Kind, Mutability, Returned, Uniqueness};
pub use error::{Error, ScimType};
pub use schema::{ResourceType, Schema};
pub use unknown::Beside;
