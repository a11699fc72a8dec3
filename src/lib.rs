//! Keyroll: a SCIM 2.0 server that turns identity changes into access changes.

pub mod cli;
pub mod config;
pub mod domain;
pub mod http;
pub mod scim;
pub mod service;
pub mod store;
