//! What is told about access: who may do what, why, and what would change.

mod candidates;
pub(in crate::service) mod cursor;
mod dates;
pub mod effects;
pub mod explain;
pub(in crate::service) mod holders;
pub(in crate::service) mod moment;
mod removal;
pub(in crate::service) mod report;
pub mod response;
mod shown;
mod walk;
