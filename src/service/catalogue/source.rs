//! The source of a mapping, as the body of a request describes it.

use chrono::{DateTime, Utc};
use serde_json::Value;

use crate::domain::Id;
use crate::domain::mapping::{Asserted, GroupName, Person, Source};
use crate::domain::policy::{bind_rule, user_type};
use crate::domain::principal::PrincipalKind;
use crate::service::Error;
use crate::service::fields::Fields;

/// How long the name of a group or an asserted value may be, in letters.
const NAME_MAX: usize = 1_000;

const KINDS: [&str; 4] = ["group", "rule", "asserted", "person"];

/// Reads a source.
pub(in crate::service::catalogue) fn parse(source: &Value) -> Result<Source, Error> {
    let fields = Fields::of(source, "/source", &["group", "rule", "asserted", "person", "reason", "expires_at"])?;
    let kinds: Vec<&str> = KINDS.into_iter().filter(|kind| fields.get(kind).is_some()).collect();
    let [kind] = kinds.as_slice() else {
        return Err(Error::invalid("/source", "source: exactly one of group, rule, asserted, person"));
    };
    let kind = *kind;
    let of_person = ["reason", "expires_at"].into_iter().find(|name| fields.get(name).is_some());
    if let (true, Some(name)) = (kind != "person", of_person) {
        return Err(fields.refuse(name, "only beside person"));
    }
    let inner = fields.get(kind).unwrap_or(&Value::Null);
    match kind {
        "group" => Ok(Source::Group { group: parse_group(inner)? }),
        "rule" => {
            let rule = fields.required("rule")?;
            let user = user_type().ok_or_else(|| Error::internal("no type User"))?;
            bind_rule(rule, user).map_err(|error| fields.refuse("rule", error.detail))?;
            Ok(Source::Rule { rule: rule.to_owned() })
        }
        "asserted" => {
            let inner = Fields::of(inner, "/source/asserted", &["attribute", "value"])?;
            let attribute = inner.required("attribute")?;
            if !["roles", "entitlements"].contains(&attribute) {
                return Err(inner.refuse("attribute", "roles or entitlements"));
            }
            let asserted = Asserted { attribute: attribute.to_owned(), value: inner.required("value")?.to_owned() };
            Ok(Source::Asserted { asserted })
        }
        _ => parse_person(&fields, inner),
    }
}

fn parse_group(inner: &Value) -> Result<GroupName, Error> {
    let fields = Fields::of(inner, "/source/group", &["id", "displayName", "externalId"])?;
    let names: Vec<&str> =
        ["id", "displayName", "externalId"].into_iter().filter(|n| fields.get(n).is_some()).collect();
    let [name] = names.as_slice() else {
        return Err(Error::invalid("/source/group", "group: exactly one of id, displayName, externalId"));
    };
    let text = fields.required(name)?;
    match *name {
        // What is no id names no group: the same answer as for a group of somebody else's.
        "id" => {
            let id = Id::parse(text).ok_or_else(|| fields.refuse("id", format!("there is no group {text}")))?;
            Ok(GroupName::Id(id))
        }
        _ if text.chars().count() > NAME_MAX => Err(fields.refuse(name, format!("at most {NAME_MAX} letters"))),
        "displayName" => Ok(GroupName::DisplayName(text.to_owned())),
        _ => Ok(GroupName::ExternalId(text.to_owned())),
    }
}

fn parse_person(fields: &Fields<'_>, inner: &Value) -> Result<Source, Error> {
    let person = Fields::of(inner, "/source/person", &["type", "id"])?;
    let kind = PrincipalKind::parse(person.required("type")?).ok_or_else(|| person.refuse("type", "user or agent"))?;
    let text = person.required("id")?;
    let id = Id::parse(text).ok_or_else(|| person.refuse("id", format!("no {} has the id {text}", kind.name())))?;
    let expires_at = match fields.text("expires_at")? {
        None => None,
        Some(text) => {
            let time = DateTime::parse_from_rfc3339(text);
            let time = time.map_err(|_| fields.refuse("expires_at", "a time such as 2027-01-31T00:00:00Z"))?;
            Some(time.with_timezone(&Utc))
        }
    };
    let reason = fields.required("reason")?.to_owned();
    Ok(Source::Person { person: Person { kind, id }, reason, expires_at })
}
