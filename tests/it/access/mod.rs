//! Roles, mappings, and who may do what and why.

mod catalogue;
mod property;
mod protect;
mod report;
mod snapshot;
mod world;
