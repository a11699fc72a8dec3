//! Documents as the store keeps them.

use serde_json::{Map, Value};

use crate::service::Error;
use crate::store::resources::Resource;

/// Parses what the store keeps.
pub(in crate::service) fn stored_document(resource: &Resource) -> Result<Map<String, Value>, Error> {
    Ok(serde_json::from_str(&resource.document)?)
}
