//! Keyroll: a SCIM 2.0 server that turns identity changes into access changes.

pub mod domain;
pub mod scim;
pub mod store;
