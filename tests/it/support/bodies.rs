//! What clients send.

use serde_json::{Value, json};

pub const USER: &str = "urn:ietf:params:scim:schemas:core:2.0:User";
pub const GROUP: &str = "urn:ietf:params:scim:schemas:core:2.0:Group";
pub const AGENT: &str = "urn:ietf:params:scim:schemas:core:2.0:Agent";
pub const ENTERPRISE: &str = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User";
pub const PATCH: &str = "urn:ietf:params:scim:api:messages:2.0:PatchOp";
pub const BULK: &str = "urn:ietf:params:scim:api:messages:2.0:BulkRequest";
pub const SEARCH: &str = "urn:ietf:params:scim:api:messages:2.0:SearchRequest";

/// The body of a User.
pub fn user(name: &str) -> Value {
    json!({"schemas": [USER], "userName": name})
}

/// The body of a Group with members.
pub fn group(name: &str, members: &[&str]) -> Value {
    let members: Vec<Value> = members.iter().map(|id| json!({"value": id})).collect();
    json!({"schemas": [GROUP], "displayName": name, "members": members})
}

/// The body of an Agent.
pub fn agent(name: &str) -> Value {
    json!({"schemas": [AGENT], "name": name})
}

/// A body with further members.
pub fn and(mut body: Value, more: Value) -> Value {
    let more = more.as_object().unwrap().clone();
    body.as_object_mut().unwrap().extend(more);
    body
}

/// The body of a PATCH.
pub fn patch(operations: Value) -> Value {
    json!({"schemas": [PATCH], "Operations": operations})
}

/// A PATCH that replaces one attribute.
pub fn replace(path: &str, value: impl Into<Value>) -> Value {
    patch(json!([{"op": "replace", "path": path, "value": value.into()}]))
}

/// A PATCH that adds one value.
pub fn add(path: &str, value: impl Into<Value>) -> Value {
    patch(json!([{"op": "add", "path": path, "value": value.into()}]))
}

/// A PATCH that removes what a path names.
pub fn remove(path: &str) -> Value {
    patch(json!([{"op": "remove", "path": path}]))
}

/// A text as it stands in a query.
pub fn encode(text: &str) -> String {
    form_urlencoded::byte_serialize(text.as_bytes()).collect()
}

/// The body of a Bulk job.
pub fn bulk(operations: Value) -> Value {
    json!({"schemas": [BULK], "Operations": operations})
}

/// The text of a key with its checksum, which anybody can compute.
pub fn checksummed(body: &str) -> String {
    const ALPHABET: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    let mut number = crc32fast::hash(body.as_bytes());
    let mut sum = [b'0'; 6];
    for place in sum.iter_mut().rev() {
        *place = ALPHABET[(number % 62) as usize];
        number /= 62;
    }
    format!("{body}{}", std::str::from_utf8(&sum).unwrap())
}
