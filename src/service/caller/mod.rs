//! Who asks: from a key to a caller, and what it may ask.

pub mod authenticate;
pub(in crate::service) mod authorize;
pub mod rate;
pub(in crate::service) mod standing;
