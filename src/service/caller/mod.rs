//! Who asks: from a key to a caller, and what it may ask.

pub mod authenticate;
pub(in crate::service) mod authorize;
pub mod rate;
pub(in crate::service) mod standing;

use crate::domain::Operation;
use crate::scim::ResourceType;
use crate::service::{Context, Error, Service, authorize};
use crate::store::Conn;

/// Answers a question: authorizes the caller and reads.
///
/// # Errors
/// If the caller may not, or `f` or the store fails.
pub(in crate::service) fn ask<T>(
    service: &Service,
    context: &Context,
    operation: Operation,
    resource_type: Option<&'static ResourceType>,
    f: impl Fn(&mut Conn) -> Result<T, Error>,
) -> Result<T, Error> {
    authorize(&context.caller, operation, resource_type)?;
    service.read(f)
}
