//! Roles, mappings, and who may do what and why.

mod catalogue;
mod keys;
mod movers;
mod property;
mod protect;
mod report;
mod world;
