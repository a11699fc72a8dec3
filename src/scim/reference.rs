//! References to other resources: an id in `value`, beside it its `$ref` and a name.
//!
//! What a client sends of the latter two is not kept: they are made from the resource as it is now.

use std::collections::HashMap;

use serde_json::{Map, Value};

use super::attribute::{Attribute, Mutability};
use super::path::AttrRef;
use super::schema::ResourceType;

/// The part of a reference that is an id.
pub(super) const VALUE: &str = "value";
const REF: &str = "$ref";

/// What a reference names.
#[derive(Clone, Debug)]
pub struct Referenced {
    /// Its resource type.
    pub type_name: String,
    /// Its URL.
    pub url: String,
    /// What it is called.
    pub display: Option<String>,
}

/// The paths that hold ids of other resources in documents: `manager.value`, `owners.value`. Members have
/// rows of their own, and `groups` is made from these.
pub fn references(resource_type: &'static ResourceType) -> impl Iterator<Item = AttrRef> {
    let base = resource_type.schema.attributes.iter().map(|attribute| (None, attribute));
    let extended = |schema| move |attribute| (Some(schema), attribute);
    let extensions = resource_type.extensions.iter().copied().flat_map(move |e| e.attributes.iter().map(extended(e)));
    base.chain(extensions).filter_map(|(extension, attribute)| {
        let is_stored = attribute.is_complex()
            && attribute.mutability != Mutability::ReadOnly
            && resource_type.rows.is_none_or(|rows| rows.name != attribute.name);
        let sub = attribute.sub(VALUE).filter(|_| is_stored && attribute.sub(REF).is_some())?;
        Some(AttrRef { extension, attribute, sub: Some(sub) })
    })
}

/// Whether a stored document may hold one of these references, without parsing it: in a JSON string every
/// quote is escaped, so that only a member's name looks like this.
pub fn may_refer(document: &str, mut references: impl Iterator<Item = AttrRef>) -> bool {
    references.any(|reference| document.contains(&format!("\"{}\":", reference.attribute.name)))
}

/// The ids that a document refers to.
pub fn ids(document: &Map<String, Value>, resource_type: &'static ResourceType) -> Vec<String> {
    let ids_of = |reference: AttrRef| {
        let elements = match reference.find(document) {
            Some(Value::Array(elements)) => elements.as_slice(),
            Some(one) => std::slice::from_ref(one),
            None => &[],
        };
        elements.iter().filter_map(|element| element.get(VALUE)?.as_str())
    };
    references(resource_type).flat_map(ids_of).map(str::to_owned).collect()
}

/// Says of each reference where it leads and what is there; one that leads nowhere keeps its `value` alone.
pub fn complete(
    document: &mut Map<String, Value>,
    resource_type: &'static ResourceType,
    targets: &HashMap<String, Referenced>,
) {
    for reference in references(resource_type) {
        let elements = match reference.holder(document).and_then(|holder| holder.get_mut(&reference.attribute.name)) {
            Some(Value::Array(elements)) => elements.as_mut_slice(),
            Some(one) => std::slice::from_mut(one),
            None => continue,
        };
        for element in elements.iter_mut().filter_map(Value::as_object_mut) {
            complete_one(element, reference.attribute, targets);
        }
    }
}

/// The same without what is made from the resources that it refers to: as it is stored.
pub fn bare(document: &mut Map<String, Value>, resource_type: &'static ResourceType) {
    for reference in references(resource_type) {
        let elements = match reference.holder(document).and_then(|holder| holder.get_mut(&reference.attribute.name)) {
            Some(Value::Array(elements)) => elements.as_mut_slice(),
            Some(one) => std::slice::from_mut(one),
            None => continue,
        };
        for element in elements.iter_mut().filter_map(Value::as_object_mut) {
            element.retain(|name, _| !reference.attribute.sub(name).is_some_and(Attribute::is_made));
        }
    }
}

fn complete_one(element: &mut Map<String, Value>, attribute: &Attribute, targets: &HashMap<String, Referenced>) {
    let is_allowed =
        |target: &&Referenced| attribute.sub(REF).is_some_and(|sub| sub.reference_types.contains(&target.type_name));
    let id = element.get(VALUE).and_then(Value::as_str);
    let target = id.and_then(|id| targets.get(id)).filter(is_allowed);
    let mut whole = Map::new();
    for sub in &attribute.sub_attributes {
        let value = match sub.name.as_str() {
            REF => target.map(|target| target.url.as_str().into()),
            "display" | "displayName" => target.and_then(|target| target.display.as_deref()).map(Value::from),
            name => element.remove(name),
        };
        whole.extend(value.map(|value| (sub.name.clone(), value)));
    }
    *element = whole;
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::scim::schema::registry;

    fn check(type_name: &str, document: Value, refers: bool, expected: Value) {
        let resource_type = registry().by_name(type_name).unwrap();
        let targets = ["User", "Group"].map(|name| {
            let target = Referenced { type_name: name.into(), url: format!("u/{name}"), display: Some(name.into()) };
            (name.to_owned(), target)
        });
        let text = document.to_string();
        let mut document = document.as_object().cloned().unwrap();
        assert_eq!(may_refer(&text, references(resource_type)), refers, "{text}");
        complete(&mut document, resource_type, &HashMap::from(targets));
        assert_eq!(Value::Object(document).to_string(), expected.to_string());
    }

    #[test]
    fn references_say_where_they_lead() {
        let urn = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User";
        let manager = |manager: Value| json!({"userName": "a", urn: {"manager": manager}});
        let found = json!({"value": "User", "$ref": "u/User", "displayName": "User"});
        check("User", manager(json!({"value": "User"})), true, manager(found.clone()));
        check("User", manager(json!({"$ref": "lie", "displayName": "lie", "value": "User"})), true, manager(found));
        // Nobody, or no user.
        for id in ["x", "Group"] {
            check("User", manager(json!({"value": id, "$ref": "lie"})), true, manager(json!({"value": id})));
        }
        let other = json!({"userName": "\"manager\":", "title": "manager"});
        check("User", other.clone(), false, other);
        check(
            "Agent",
            json!({"owners": [{"value": "User", "type": "User"}, {"primary": true, "value": "x"}]}),
            true,
            json!({"owners": [{"value": "User", "$ref": "u/User", "display": "User", "type": "User"},
                {"value": "x", "primary": true}]}),
        );
    }

    #[test]
    fn every_reference_is_indexed_so_that_deletion_finds_it() {
        for resource_type in &registry().types {
            for reference in references(resource_type) {
                assert!(resource_type.indexed.contains(&reference.to_string()), "{reference}");
            }
        }
    }
}
