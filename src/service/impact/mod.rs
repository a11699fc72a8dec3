//! What a change does to others: whose access it touches, and what it may not do.

pub(in crate::service) mod affected;
pub(in crate::service) mod protect;
