//! Roles, mappings, and who may do what and why.

mod apply;
mod asserted;
mod authzen;
pub mod catalogue;
mod explain;
mod gained;
mod guarded;
mod holders;
pub mod keys;
mod migration;
mod movers;
mod property;
mod protect;
mod published;
mod recorded;
mod reduced;
mod refusals;
mod replaced;
mod report;
mod returns;
mod searches;
mod snapshot;
mod sponsors;
mod versions;
mod world;
