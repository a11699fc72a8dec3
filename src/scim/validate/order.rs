//! The order in which a document is kept.

use serde_json::{Map, Value};

use crate::scim::attribute::Attribute;
use crate::scim::schema::{COMMON, ResourceType, Schema};

/// The schemas of a document: the base schema and the extensions that have values (RFC 7643 §3).
pub fn schemas_of(document: &Map<String, Value>, resource_type: &'static ResourceType) -> Vec<&'static str> {
    let has_values = |s: &&Schema| document.get(&s.id).and_then(Value::as_object).is_some_and(|o| !o.is_empty());
    let extensions = resource_type.extensions.iter().copied().filter(has_values);
    std::iter::once(resource_type.schema).chain(extensions).map(|s| s.id.as_str()).collect()
}

/// Puts a document with canonical names in order: a fresh `schemas`, the common attributes, those of the
/// base schema, the extensions. Extensions without values go; so does what the type does not know.
pub fn ordered(mut document: Map<String, Value>, resource_type: &'static ResourceType) -> Map<String, Value> {
    let mut result = Map::new();
    result.insert("schemas".into(), schemas_of(&document, resource_type).into());
    document.remove("schemas");
    let mut extensions = Map::new();
    for extension in &resource_type.extensions {
        if let Some(Value::Object(container)) = document.remove(&extension.id) {
            let container = in_order(container, &extension.attributes);
            if !container.is_empty() {
                extensions.insert(extension.id.clone(), Value::Object(container));
            }
        }
    }
    for attribute in COMMON.iter().chain(&resource_type.schema.attributes) {
        if let Some(value) = document.remove(&attribute.name) {
            result.insert(attribute.name.clone(), value);
        }
    }
    result.extend(extensions);
    result
}

/// The members of an object in the order of their attributes.
pub(super) fn in_order(mut members: Map<String, Value>, attributes: &[Attribute]) -> Map<String, Value> {
    let take = |a: &Attribute| members.remove(&a.name).map(|value| (a.name.clone(), value));
    attributes.iter().filter_map(take).collect()
}
