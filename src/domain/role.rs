//! Roles: named sets of permissions, which may include others.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

use super::permission::{KEYROLL, Permission, Permissions};

/// What the names of built-in roles begin with; nobody else's do.
pub const BUILT_IN_PREFIX: &str = "keyroll.";

/// The role that the operator holds.
pub const ADMIN: &str = "keyroll.admin";

/// A role as it was defined.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Role {
    /// Its name, by which mappings and other roles refer to it.
    pub name: String,
    /// For people.
    #[serde(default)]
    pub description: String,
    /// What it gives by itself.
    pub permissions: Permissions,
    /// Roles whose permissions it gives, too.
    #[serde(default)]
    pub includes: Vec<String>,
    /// Names of the connections that may assert it for a user.
    #[serde(default)]
    pub assertable_by: Vec<String>,
}

impl Role {
    /// Whether it is part of Keyroll and cannot be changed.
    pub fn is_built_in(name: &str) -> bool {
        name.starts_with(BUILT_IN_PREFIX) || name == KEYROLL
    }
}

/// Whether a text can name a role or an api: 1–64 of `a–z 0–9 . _ -`, beginning with a letter or digit.
pub fn is_name(text: &str) -> bool {
    let first = text.bytes().next();
    text.len() <= 64
        && first.is_some_and(|b| b.is_ascii_lowercase() || b.is_ascii_digit())
        && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'.' | b'_' | b'-'))
}

/// A name of a role or an api, as a request gives it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Name(pub String);

impl TryFrom<String> for Name {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Name, &'static str> {
        match text.as_str() {
            "" => Err("is required"),
            name if is_name(name) => Ok(Name(text)),
            _ => Err("1–64 of a–z 0–9 . _ -, beginning with a letter or digit"),
        }
    }
}

impl JsonSchema for Name {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Name".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": "string", "pattern": "^[a-z0-9][a-z0-9._-]{0,63}$"})
    }
}

/// The roles that come with Keyroll (design §6).
pub fn built_in() -> Vec<Role> {
    let role = |name: &str, description: &str, permissions: &[&str]| Role {
        name: name.to_owned(),
        description: description.to_owned(),
        permissions: permissions.iter().filter_map(|text| Permission::parse(text)).collect(),
        includes: vec![],
        assertable_by: vec![],
    };
    vec![
        role(ADMIN, "Everything in Keyroll.", &["keyroll:*:*"]),
        role("keyroll.auditor", "Reads everything in Keyroll and changes nothing.", &["keyroll:*:read"]),
        role(
            "keyroll.provisioner",
            "Reads the directory and suspends, activates and deletes people.",
            &[
                "keyroll:users:read",
                "keyroll:users:suspend",
                "keyroll:users:delete",
                "keyroll:groups:read",
                "keyroll:agents:read",
            ],
        ),
        role(
            "keyroll.service",
            "What a service needs to verify keys, evaluate access and follow changes.",
            &["keyroll:keys:verify", "keyroll:access:evaluate", "keyroll:mappings:read", "keyroll:changes:read"],
        ),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_short_and_plain() {
        for good in ["a", "billing.viewer", "9to5", "a_b-c.d"] {
            assert!(is_name(good), "{good}");
        }
        for bad in ["", ".a", "-a", "A", "a b", "a:b", "ä", &"a".repeat(65)] {
            assert!(!is_name(bad), "{bad}");
        }
    }

    #[test]
    fn built_in_roles_hold_what_their_permissions_say() {
        let roles = built_in();
        let texts: Vec<_> = roles.iter().map(|role| (role.name.as_str(), role.permissions.texts().len())).collect();
        let expected =
            [("keyroll.admin", 1), ("keyroll.auditor", 1), ("keyroll.provisioner", 5), ("keyroll.service", 4)];
        assert_eq!(texts, expected);
        assert!(Role::is_built_in("keyroll.x") && !Role::is_built_in("keyrolls"));
    }
}
