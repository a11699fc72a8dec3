//! Roles, mappings, and who may do what and why.

mod authzen;
mod catalogue;
mod explain;
mod holders;
mod keys;
mod movers;
mod property;
mod protect;
mod report;
mod searches;
mod world;
