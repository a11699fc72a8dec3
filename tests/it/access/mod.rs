//! Roles, mappings, and who may do what and why.

mod apply;
mod catalogue;
mod migration;
mod property;
mod protect;
mod report;
mod snapshot;
mod world;
