//! Tenants: how the first one comes to be.

pub mod init;
