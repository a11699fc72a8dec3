//! Mappings: from what is true of a principal to a role.

use std::borrow::Cow;

use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::id::Id;
use super::principal::PrincipalKind;
use crate::scim::text;

/// A source and the role that it gives.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mapping {
    /// Its id.
    pub id: Id,
    /// The name of the role.
    pub role: String,
    /// Who gets it.
    pub source: Source,
    /// The record since which it gives this role to those whom it means, if that is older than this state of
    /// it: a grant that is extended goes on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since_seq: Option<i64>,
}

impl Mapping {
    /// The member of a stored mapping that nobody sent.
    pub const SINCE: &str = "since_seq";

    /// A mapping that begins.
    pub fn new(id: Id, role: &str, source: Source) -> Mapping {
        Mapping { id, role: role.to_owned(), source, since_seq: None }
    }

    /// Whether it gives what this one gave to those whom that one meant.
    pub fn continues(&self, before: &Mapping) -> bool {
        self.role == before.role && self.source.meant() == before.source.meant()
    }
}

/// Who gets a role.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(untagged, try_from = "Parts")]
#[schemars(!try_from)]
pub enum Source {
    /// Members of a group, through groups in it as well.
    Group {
        /// Which group.
        group: GroupName,
    },
    /// Users that match a SCIM filter.
    Rule {
        /// The filter.
        rule: String,
    },
    /// Users whose identity provider says so, if the role is marked as assertable for its connection.
    Asserted {
        /// Where it says so.
        asserted: Asserted,
    },
    /// One principal.
    Person {
        /// Whom.
        person: Person,
        /// Why, for people.
        reason: String,
        /// Until when.
        expires_at: Option<DateTime<Utc>>,
    },
}

/// A source as it is read: `untagged` would read each of thousands up to four times.
#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Parts {
    group: Option<GroupName>,
    rule: Option<String>,
    asserted: Option<Asserted>,
    person: Option<Person>,
    reason: Option<String>,
    expires_at: Option<DateTime<Utc>>,
}

impl TryFrom<Parts> for Source {
    type Error = &'static str;

    fn try_from(parts: Parts) -> Result<Source, Self::Error> {
        let expires_at = parts.expires_at;
        match (parts.group, parts.rule, parts.asserted, parts.person, parts.reason) {
            (Some(group), None, None, None, None) if expires_at.is_none() => Ok(Source::Group { group }),
            (None, Some(rule), None, None, None) if expires_at.is_none() => Ok(Source::Rule { rule }),
            (None, None, Some(asserted), None, None) if expires_at.is_none() => Ok(Source::Asserted { asserted }),
            (None, None, None, Some(person), Some(reason)) => Ok(Source::Person { person, reason, expires_at }),
            _ => Err("a source is one of group, rule, asserted, or person with reason"),
        }
    }
}

/// How a mapping names a group.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub enum GroupName {
    /// By id: the group exists.
    Id(Id),
    /// By name, in any letter case; such a group may come later, from any connection.
    DisplayName(String),
    /// By the id that a connection gave it.
    ExternalId(String),
}

/// A value that an identity provider sends.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Asserted {
    /// `roles` or `entitlements`.
    pub attribute: String,
    /// The `value` of an element.
    pub value: String,
}

/// A principal, by its id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Person {
    /// User or agent.
    #[serde(rename = "type")]
    pub kind: PrincipalKind,
    /// Its id.
    pub id: Id,
}

/// Whom a source means, whatever is said beside it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Meant<'s> {
    /// One principal.
    Person(Person),
    /// Groups of this name, as names compare.
    Groups(Cow<'s, str>),
    /// This value of an attribute, as values compare.
    Value(&'s str, Cow<'s, str>),
    /// Everybody whom this describes.
    All(&'s Source),
}

impl Source {
    /// Whom it means: two mappings of the same to one role differ in why and until when alone.
    pub fn meant(&self) -> Meant<'_> {
        match self {
            Source::Person { person, .. } => Meant::Person(*person),
            Source::Group { group: GroupName::DisplayName(name) } => Meant::Groups(text::fold(name)),
            Source::Asserted { asserted } => Meant::Value(&asserted.attribute, text::fold(&asserted.value)),
            other => Meant::All(other),
        }
    }

    /// The word in answers and in the log.
    pub fn name(&self) -> &'static str {
        match self {
            Source::Group { .. } => "group",
            Source::Rule { .. } => "rule",
            Source::Asserted { .. } => "asserted",
            Source::Person { .. } => "person",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sources_read_as_they_are_written() {
        for text in [
            r#"{"group":{"displayName":"Finance"}}"#,
            r#"{"group":{"externalId":"x"}}"#,
            r#"{"group":{"id":"01939e7a-5b1c-7def-8abc-0123456789ab"}}"#,
            r#"{"rule":"userType eq \"Contractor\""}"#,
            r#"{"asserted":{"attribute":"roles","value":"viewer"}}"#,
            r#"{"person":{"type":"user","id":"01939e7a-5b1c-7def-8abc-0123456789ab"},"reason":"r","expires_at":null}"#,
        ] {
            let source: Source = serde_json::from_str(text).unwrap();
            assert_eq!(serde_json::to_string(&source).unwrap(), text);
        }
        for text in [
            r"{}",
            r#"{"rule":"active eq true","expires_at":"2026-01-01T00:00:00Z"}"#,
            r#"{"rule":"active eq true","group":{"displayName":"Finance"}}"#,
            r#"{"rule":"active eq true","more":1}"#,
            r#"{"person":{"type":"user","id":"01939e7a-5b1c-7def-8abc-0123456789ab"}}"#,
        ] {
            assert!(serde_json::from_str::<Source>(text).is_err(), "{text}");
        }
    }
}
