//! What the server says of itself: schemas, resource types, features (RFC 7644 §4, RFC 7643 §5 to §7).

use serde_json::{Map, Value, json};

use super::schema::{ResourceType, Schema, registry};

/// The URN of a published schema.
pub const SCHEMA_URN: &str = "urn:ietf:params:scim:schemas:core:2.0:Schema";
/// The URN of a resource type.
pub const RESOURCE_TYPE_URN: &str = "urn:ietf:params:scim:schemas:core:2.0:ResourceType";
/// The URN of the features.
pub const SERVICE_PROVIDER_CONFIG_URN: &str = "urn:ietf:params:scim:schemas:core:2.0:ServiceProviderConfig";

/// What differs between servers and connections.
#[derive(Clone, Debug)]
pub struct Features {
    /// The most operations of one bulk job.
    pub bulk_operations_max: u64,
    /// The most bytes of one bulk job.
    pub bulk_payload_bytes_max: u64,
    /// The most resources of one answer.
    pub filter_results_max: u64,
    /// The resources of a page if the request does not say.
    pub page_size_default: u64,
    /// The most resources of a page.
    pub page_size_max: u64,
    /// How long a cursor stays valid at least.
    pub cursor_timeout_seconds: u64,
    /// Whether the interoperability profile holds; `None` makes no statement.
    pub interop_profile: Option<bool>,
    /// Whether to tell of the catalogue of roles and entitlements, in a member that RFC 7643 §5 does not have.
    pub catalogue: bool,
    /// Documentation for people.
    pub documentation_uri: Option<String>,
}

impl Default for Features {
    fn default() -> Self {
        Features {
            bulk_operations_max: 1_000,
            bulk_payload_bytes_max: 16 * 1024 * 1024,
            filter_results_max: 1_000,
            page_size_default: 100,
            page_size_max: 1_000,
            cursor_timeout_seconds: 3_600,
            interop_profile: None,
            catalogue: true,
            documentation_uri: None,
        }
    }
}

/// Every schema that this server publishes, in the order of the registry. `base_url` has no slash at its
/// end: `https://keys.example/scim/v2`.
pub fn schemas(base_url: &str) -> Vec<Value> {
    registry().published.iter().map(|(schema, published)| rendered(schema, published, base_url)).collect()
}

/// One schema by its URN, in any letter case (RFC 7643 §7: URNs are case insensitive).
pub fn schema(urn: &str, base_url: &str) -> Option<Value> {
    let (schema, published) = registry().published.iter().find(|(schema, _)| schema.id.eq_ignore_ascii_case(urn))?;
    Some(rendered(schema, published, base_url))
}

fn rendered(schema: &Schema, published: &Value, base_url: &str) -> Value {
    let mut result = Map::new();
    result.insert("schemas".into(), json!([SCHEMA_URN]));
    result.extend(published.as_object().into_iter().flatten().map(|(key, value)| (key.clone(), value.clone())));
    result.insert("meta".into(), meta("Schema", format!("{base_url}/Schemas/{}", schema.id)));
    Value::Object(result)
}

/// Every resource type; that of people goes first, which some clients take for it.
pub fn resource_types(base_url: &str) -> Vec<Value> {
    let registry = registry();
    let mut described: Vec<_> = registry.types.iter().zip(&registry.descriptions).collect();
    described.sort_by_key(|(resource_type, _)| resource_type.principal_kind.as_deref() != Some("user"));
    described
        .into_iter()
        .map(|(resource_type, description)| rendered_type(resource_type, description, base_url))
        .collect()
}

/// One resource type by its name.
pub fn resource_type(name: &str, base_url: &str) -> Option<Value> {
    let registry = registry();
    let (found, description) = registry.types.iter().zip(&registry.descriptions).find(|(t, _)| t.name == name)?;
    Some(rendered_type(found, description, base_url))
}

fn rendered_type(resource_type: &ResourceType, description: &str, base_url: &str) -> Value {
    let extension = |s: &&Schema| json!({"schema": s.id, "required": false});
    json!({
        "schemas": [RESOURCE_TYPE_URN],
        "id": resource_type.name,
        "name": resource_type.name,
        "description": description,
        "endpoint": resource_type.endpoint,
        "schema": resource_type.schema.id,
        "schemaExtensions": resource_type.extensions.iter().map(extension).collect::<Vec<_>>(),
        "meta": meta("ResourceType", format!("{base_url}/ResourceTypes/{}", resource_type.name)),
    })
}

/// What the server supports (RFC 7643 §5, RFC 9865 §4).
pub fn service_provider_config(base_url: &str, features: &Features) -> Value {
    let mut config = Map::new();
    config.insert("schemas".into(), json!([SERVICE_PROVIDER_CONFIG_URN]));
    if let Some(uri) = &features.documentation_uri {
        config.insert("documentationUri".into(), uri.as_str().into());
    }
    let members = [
        ("patch", json!({"supported": true})),
        (
            "bulk",
            json!({
                "supported": true,
                "maxOperations": features.bulk_operations_max,
                "maxPayloadSize": features.bulk_payload_bytes_max,
            }),
        ),
        ("filter", json!({"supported": true, "maxResults": features.filter_results_max})),
        ("changePassword", json!({"supported": false})),
        ("sort", json!({"supported": true})),
        ("etag", json!({"supported": true})),
        (
            "pagination",
            json!({
                "cursor": true,
                "index": true,
                "defaultPaginationMethod": "index",
                "defaultPageSize": features.page_size_default,
                "maxPageSize": features.page_size_max,
                "cursorTimeout": features.cursor_timeout_seconds,
            }),
        ),
        (
            "authenticationSchemes",
            json!([{
                "type": "oauthbearertoken",
                "name": "Bearer token",
                "description": "A key or an access token in the Authorization header",
                "specUri": "https://www.rfc-editor.org/info/rfc6750",
                "primary": true,
            }]),
        ),
    ];
    config.extend(members.map(|(name, value)| (name.to_owned(), value)));
    if features.catalogue {
        // draft-ietf-scim-roles-entitlements spells it so.
        config.insert("RolesAndEntitlements".into(), roles_and_entitlements());
    }
    if let Some(conformant) = features.interop_profile {
        config.insert("interopProfileConformant".into(), conformant.into());
    }
    config.insert("meta".into(), meta("ServiceProviderConfig", format!("{base_url}/ServiceProviderConfig")));
    Value::Object(config)
}

/// What users can hold of the catalogue. Roles have no types; an entitlement's is its api.
fn roles_and_entitlements() -> Value {
    json!({
        "roles": {
            "supported": true,
            "multipleRolesSupported": true,
            "primarySupported": true,
            "typeSupported": false,
        },
        "entitlements": {
            "supported": true,
            "multipleEntitlementsSupported": true,
            "primarySupported": true,
            "typeSupported": true,
        },
    })
}

fn meta(resource_type: &str, location: String) -> Value {
    json!({"resourceType": resource_type, "location": location})
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scim::attribute::Attribute;
    use crate::scim::path;

    const BASE: &str = "https://keys.example/scim/v2";

    #[test]
    fn every_schema_is_published() {
        let all = schemas(BASE);
        let ids: Vec<_> = all.iter().map(|s| s["id"].as_str().unwrap().rsplit_once("schemas:").unwrap().1).collect();
        assert_eq!(
            ids,
            [
                "core:2.0:Agent",
                "extension:enterprise:2.0:User",
                "core:2.0:Entitlement",
                "core:2.0:Group",
                "core:2.0:ResourceType",
                "core:2.0:Role",
                "core:2.0:Schema",
                "core:2.0:ServiceProviderConfig",
                "core:2.0:User",
            ]
        );
        let found = schema("URN:ietf:params:scim:schemas:core:2.0:USER", BASE).unwrap();
        assert_eq!(Some(&found), all.last());
        assert_eq!(found["schemas"], json!([SCHEMA_URN]));
        let location = format!("{BASE}/Schemas/urn:ietf:params:scim:schemas:core:2.0:User");
        assert_eq!(found["meta"], json!({"resourceType": "Schema", "location": location}));
        assert_eq!(schema("urn:x", BASE), None);
    }

    /// Every attribute spells out its characteristics, and references and binaries are case exact.
    fn spelled_out(attribute: &Value, path: &str) {
        let path = format!("{path}.{}", attribute["name"]);
        for key in
            ["type", "multiValued", "description", "required", "caseExact", "mutability", "returned", "uniqueness"]
        {
            assert!(attribute.get(key).is_some(), "{path}: {key}");
        }
        if ["reference", "binary"].contains(&attribute["type"].as_str().unwrap()) {
            assert_eq!(attribute["caseExact"], true, "{path}");
        }
        let subs = attribute["subAttributes"].as_array();
        assert_eq!(attribute["type"] == "complex", subs.is_some(), "{path}");
        assert_eq!(attribute["type"] == "reference", attribute.get("referenceTypes").is_some(), "{path}");
        subs.into_iter().flatten().for_each(|sub| spelled_out(sub, &path));
    }

    #[test]
    fn attributes_are_spelled_out() {
        for schema in schemas(BASE) {
            let attributes = schema["attributes"].as_array().unwrap();
            attributes.iter().for_each(|attribute| spelled_out(attribute, schema["name"].as_str().unwrap()));
        }
    }

    #[test]
    fn indexed_paths_and_rows_exist() {
        for resource_type in &registry().types {
            for indexed in &resource_type.indexed {
                let Some(path::Name::Attribute(found)) = path::resolve(resource_type, indexed) else {
                    panic!("{indexed} is no attribute of {}", resource_type.name)
                };
                assert_eq!(found.to_string(), *indexed);
            }
        }
        let name = |attribute: Option<&'static Attribute>| attribute.map_or("-", |one| &one.name);
        let described = registry().types.iter().map(|one| {
            let names: Vec<&str> = one.names().map(|attribute| &*attribute.name).collect();
            let [rows, naming, sponsors] = [one.rows, one.naming, one.sponsors].map(name);
            format!("{} {} {rows} {naming} {sponsors} {}", one.name, one.principal, names.join(","))
        });
        let expected = [
            "Agent true - name owners displayName,name",
            "Group false members displayName - displayName",
            "User true - userName - userName,displayName",
        ];
        assert_eq!(described.collect::<Vec<_>>(), expected);
    }

    #[test]
    fn resource_types_name_their_extensions() {
        assert_eq!(resource_types(BASE).len(), 3);
        assert_eq!(resource_type("user", BASE), None);
        assert_eq!(
            resource_type("User", BASE),
            Some(json!({
                "schemas": [RESOURCE_TYPE_URN],
                "id": "User",
                "name": "User",
                "description": "User Account",
                "endpoint": "/Users",
                "schema": "urn:ietf:params:scim:schemas:core:2.0:User",
                "schemaExtensions": [
                    {"schema": "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User", "required": false},
                ],
                "meta": {"resourceType": "ResourceType", "location": format!("{BASE}/ResourceTypes/User")},
            }))
        );
    }

    #[test]
    fn features_are_advertised_as_their_schema_says() {
        let features = Features {
            interop_profile: Some(true),
            documentation_uri: Some("https://keys.example/docs".into()),
            ..Features::default()
        };
        let config = service_provider_config(BASE, &features);
        let published = registry().published.iter().find(|(s, _)| s.id == SERVICE_PROVIDER_CONFIG_URN).unwrap().0;
        for (key, value) in config.as_object().unwrap() {
            if key == "schemas" || key == "meta" {
                continue;
            }
            let attribute = published.attribute(key).unwrap();
            let element = value.get(0).unwrap_or(value);
            let unknown = element.as_object().into_iter().flatten().find(|(key, _)| attribute.sub(key).is_none());
            assert_eq!(unknown, None, "{key}");
        }
        assert_eq!(config["bulk"], json!({"supported": true, "maxOperations": 1000, "maxPayloadSize": 16777216}));
        assert_eq!(config["pagination"]["cursorTimeout"], 3600);
        assert_eq!(config["interopProfileConformant"], true);
        assert_eq!(config["meta"]["location"], format!("{BASE}/ServiceProviderConfig"));
        let plain = service_provider_config(BASE, &Features::default());
        assert_eq!((plain.get("interopProfileConformant"), plain.get("documentationUri")), (None, None));
    }
}
