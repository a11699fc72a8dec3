//! Roles, mappings, and who may do what and why.

mod catalogue;
mod holders;
mod property;
mod protect;
mod report;
mod world;
