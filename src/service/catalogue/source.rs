//! The source of a mapping, as requests describe it and as answers show it.

use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize, Serializer};

use crate::domain::mapping::{Asserted, GroupName, Person, Source};
use crate::domain::policy::{bind_rule, user_type};
use crate::domain::principal::PrincipalKind;
use crate::domain::{Id, access};
use crate::scim::text::render_time;
use crate::service::Error;
use crate::service::request::{NonEmptyText, Object, Text};

/// Who gets a role: exactly one of group, rule, asserted and person.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SourceRequest {
    /// Members of a group, through groups in it as well.
    pub group: Option<Object<GroupRequest>>,
    /// Users that match this SCIM filter (RFC 7644 §3.4.2.2).
    pub rule: Option<NonEmptyText>,
    /// Users whose identity provider says so.
    pub asserted: Option<Object<AssertedRequest>>,
    /// One user or agent.
    pub person: Option<Object<PersonRequest>>,
    /// Why this person has it; needed beside person, and nowhere else.
    pub reason: Option<NonEmptyText>,
    /// Until when this person has it.
    #[schemars(with = "Option<DateTime<Utc>>")]
    pub expires_at: Option<Text>,
}

/// A group, by exactly one of its names.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct GroupRequest {
    /// Its id: the group exists.
    pub id: Option<NonEmptyText>,
    /// Its name, in any letter case; such a group may come later.
    pub display_name: Option<NonEmptyText>,
    /// What a connection calls it.
    pub external_id: Option<NonEmptyText>,
}

/// A value that an identity provider sends.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AssertedRequest {
    /// Where it says so.
    #[schemars(extend("enum" = ["roles", "entitlements"]))]
    pub attribute: NonEmptyText,
    /// The `value` of an element.
    pub value: NonEmptyText,
}

/// A principal, by its id.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PersonRequest {
    /// User or agent.
    #[serde(rename = "type")]
    pub kind: PrincipalKind,
    /// Its id.
    pub id: NonEmptyText,
}

/// A refusal of a member of the source.
fn refuse(pointer: &str, detail: impl std::fmt::Display) -> Error {
    let name = pointer.rsplit('/').next().unwrap_or_default();
    Error::invalid(format!("/source{pointer}"), format!("{name}: {detail}"))
}

impl SourceRequest {
    /// The source that is meant.
    pub(in crate::service) fn parse(&self) -> Result<Source, Error> {
        let SourceRequest { group, rule, asserted, person, reason, expires_at } = self;
        if person.is_none() {
            if reason.is_some() {
                return Err(refuse("/reason", "only beside person"));
            }
            if expires_at.is_some() {
                return Err(refuse("/expires_at", "only beside person"));
            }
        }
        match (group, rule, asserted, person) {
            (Some(Object(group)), None, None, None) => Ok(Source::Group { group: group.parse()? }),
            (None, Some(rule), None, None) => {
                let user = user_type().ok_or_else(|| Error::internal("no type User"))?;
                bind_rule(rule, user).map_err(|error| refuse("/rule", error.detail))?;
                Ok(Source::Rule { rule: rule.0.clone() })
            }
            (None, None, Some(Object(asserted)), None) => {
                let AssertedRequest { attribute, value } = asserted.clone();
                if !access::ASSERTED.contains(&&*attribute) {
                    return Err(refuse("/asserted/attribute", "roles or entitlements"));
                }
                Ok(Source::Asserted { asserted: Asserted { attribute: attribute.0, value: value.0 } })
            }
            (None, None, None, Some(Object(PersonRequest { kind, id }))) => {
                let unknown = || refuse("/person/id", format!("no {} has the id {}", kind.name(), id.0));
                let person = Person { kind: *kind, id: Id::parse(id).ok_or_else(unknown)? };
                let expires_at = expires_at.as_deref().map(parse_time).transpose()?;
                let reason = reason.as_ref().ok_or_else(|| refuse("/reason", "is required"))?;
                Ok(Source::Person { person, reason: reason.0.clone(), expires_at })
            }
            _ => Err(Error::invalid("/source", "source: exactly one of group, rule, asserted, person")),
        }
    }
}

fn parse_time(text: &str) -> Result<DateTime<Utc>, Error> {
    let time = DateTime::parse_from_rfc3339(text);
    let time = time.map_err(|_| refuse("/expires_at", "a time such as 2027-01-31T00:00:00Z"))?;
    Ok(time.with_timezone(&Utc))
}

impl GroupRequest {
    fn parse(&self) -> Result<GroupName, Error> {
        match (&self.id, &self.display_name, &self.external_id) {
            // What is no id names no group: the same answer as for a group of somebody else's.
            (Some(id), None, None) => {
                let unknown = || refuse("/group/id", format!("there is no group {}", id.0));
                Ok(GroupName::Id(Id::parse(id).ok_or_else(unknown)?))
            }
            (None, Some(name), None) => Ok(GroupName::DisplayName(name.0.clone())),
            (None, None, Some(id)) => Ok(GroupName::ExternalId(id.0.clone())),
            _ => Err(refuse("/group", "exactly one of id, displayName, externalId")),
        }
    }
}

/// Writes a source as it was sent, its times as answers write them.
pub(in crate::service) fn as_sent<S: Serializer>(source: &Source, serializer: S) -> Result<S::Ok, S::Error> {
    #[derive(Serialize)]
    struct Dated<'s> {
        person: &'s Person,
        reason: &'s str,
        expires_at: Option<String>,
    }
    match source {
        Source::Person { person, reason, expires_at } => {
            Dated { person, reason, expires_at: expires_at.map(render_time) }.serialize(serializer)
        }
        other => other.serialize(serializer),
    }
}
