//! The resources of SCIM and the people behind them.

pub mod agents;
pub mod bulk;
pub(in crate::service) mod members;
mod provider;
pub mod refusals;
pub(in crate::service) mod render;
pub mod resources;
pub mod search;
pub mod users;
