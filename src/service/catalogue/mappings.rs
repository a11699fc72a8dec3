//! `/v1/mappings`: who gets which role.

use chrono::{DateTime, Utc};
use serde::Serialize;
use serde_json::Value;

use super::fields::Fields;
use super::{check_held, end, in_use, put, taken};
use crate::domain::log::Entry;
use crate::domain::mapping::{Asserted, GroupName, Person, Source};
use crate::domain::policy::{bind_rule, user_type};
use crate::domain::principal::{OPERATOR, PrincipalKind};
use crate::domain::role::ADMIN;
use crate::domain::{Id, Mapping, Operation, Permissions, Policy, TenantKey};
use crate::scim::text::render_time;
use crate::service::{Change, Context, Error, Service, registry};
use crate::store::catalogue::Kind;
use crate::store::{self, Conn};

/// How long the name of a group or an asserted value may be, in letters.
const NAME_MAX: usize = 1_000;

impl Service {
    /// One mapping.
    ///
    /// # Errors
    /// 404 if there is none.
    pub fn read_mapping(&self, context: &Context, id: &str) -> Result<Value, Error> {
        self.ask(context, Operation::MappingRead, None, |conn| {
            let policy = self.policy_now(conn, context.caller.tenant.key)?;
            let id = Id::parse(id).ok_or(Error::NotFound)?;
            policy.find(&id).map(|(_, one)| render(&one.mapping, &policy)).ok_or(Error::NotFound)
        })
    }

    /// Makes a mapping; its cost does not depend on whom it concerns.
    ///
    /// # Errors
    /// 422 for a body that breaks the rules, 409 for a mapping that is there already.
    pub fn create_mapping(&self, context: &Context, body: &Value) -> Result<Value, Error> {
        let (role, source) = parse(body)?;
        self.perform(context, Operation::MappingCreate, None, move |change| {
            let mapping = create(change, &role, source)?;
            let policy = change.policy()?;
            Ok(render(&mapping, &policy))
        })
    }

    /// Removes a mapping: whoever held its role by nothing else loses it at once.
    ///
    /// # Errors
    /// 404 if there is none, 409 for the one that makes the operator an admin.
    pub fn delete_mapping(&self, context: &Context, id: &str) -> Result<(), Error> {
        let id = Id::parse(id).ok_or(Error::NotFound)?;
        self.perform(context, Operation::MappingDelete, None, move |change| {
            change.seq()?;
            let (tenant, policy) = (change.key(), change.policy()?);
            let (_, found) = policy.find(&id).ok_or(Error::NotFound)?;
            check_way_back(change.conn, tenant, &found.mapping)?;
            remove(change, &found.mapping)
        })
    }
}

/// Stores a new mapping inside a change.
pub(in crate::service) fn create(change: &mut Change<'_>, role: &str, source: Source) -> Result<Mapping, Error> {
    change.seq()?;
    let (tenant, policy) = (change.key(), change.policy()?);
    check(change.conn, tenant, &policy, role, &source)?;
    check_held(&change.context.caller, &policy, role)?;
    let is_same = |one: &Mapping| one.role == role && one.source.meant() == source.meant();
    if has_ended(&source, change.now) {
        return Err(Error::invalid("/source/expires_at", "expires_at: is past"));
    }
    if let Some(same) = policy.mappings.iter().find(|one| is_same(&one.mapping)) {
        // One that ran out gives nothing any more, and stands in nobody's way.
        if !has_ended(&same.mapping.source, change.now) {
            return Err(taken("mapping", &same.mapping.id.to_string()));
        }
        remove(change, &same.mapping)?;
    }
    let mapping = Mapping { id: change.mint(), role: role.to_owned(), source };
    add(change, &mapping)?;
    Ok(mapping)
}

fn has_ended(source: &Source, now: DateTime<Utc>) -> bool {
    matches!(source, Source::Person { expires_at: Some(end), .. } if *end <= now)
}

/// Stores a mapping that was checked, or that the server makes for itself.
pub(in crate::service) fn add(change: &mut Change<'_>, mapping: &Mapping) -> Result<(), Error> {
    put(change, Kind::Mapping, &mapping.id.to_string(), mapping, entry(Operation::MappingCreate, mapping))
}

/// Ends a mapping that was checked.
pub(super) fn remove(change: &mut Change<'_>, mapping: &Mapping) -> Result<(), Error> {
    end(change, Kind::Mapping, &mapping.id.to_string(), entry(Operation::MappingDelete, mapping))
}

/// The mapping that makes a principal an admin.
pub(in crate::service) fn admin(change: &Change<'_>, operator: Id, reason: &str) -> Mapping {
    let person = Person { kind: PrincipalKind::User, id: operator };
    let source = Source::Person { person, reason: reason.to_owned(), expires_at: None };
    Mapping { id: change.mint(), role: ADMIN.to_owned(), source }
}

/// The record names ids and codes; names that people or identity providers chose stay out of it.
fn entry(operation: Operation, mapping: &Mapping) -> Entry {
    let entry = Entry::new(operation.action(), "mapping", mapping.id)
        .with("role", mapping.role.as_str())
        .with("source", mapping.source.name());
    match &mapping.source {
        Source::Group { group: GroupName::Id(id) } => entry.with("group", id.to_string()),
        Source::Person { person, .. } => entry.with("principal", person.id.to_string()),
        _ => entry,
    }
}

/// What a mapping must meet in the directory and the catalogue.
pub(super) fn check(
    conn: &mut Conn,
    tenant: TenantKey,
    policy: &Policy,
    role: &str,
    source: &Source,
) -> Result<(), Error> {
    let Some(role) = policy.roles.get(role) else {
        return Err(Error::invalid("/role", format!("role: there is no role {role}")));
    };
    match source {
        Source::Group { group: GroupName::Id(id) } => {
            let found = store::resources::by_ids(conn, tenant, &[*id])?;
            let is_group = |name: &str| registry().by_name(name).is_some_and(|one| one.rows.is_some());
            if !found.iter().any(|(.., type_name)| is_group(type_name)) {
                return Err(Error::invalid("/source/group/id", format!("id: there is no group {id}")));
            }
        }
        Source::Asserted { .. } if role.assertable_by.is_empty() => {
            let detail = format!("role: {} is not assertable by any connection", role.name);
            return Err(Error::invalid("/role", detail));
        }
        Source::Person { person, .. } => {
            let found = store::principals::find(conn, tenant, &person.id)?;
            if !found.is_some_and(|found| found.kind == person.kind && found.deleted_at.is_none()) {
                let detail = format!("id: no {} has the id {}", person.kind.name(), person.id);
                return Err(Error::invalid("/source/person/id", detail));
            }
        }
        _ => {}
    }
    Ok(())
}

/// The operator is the way back in: it stays an admin (design §10).
pub(in crate::service) fn check_way_back(conn: &mut Conn, tenant: TenantKey, mapping: &Mapping) -> Result<(), Error> {
    let Source::Person { person, .. } = &mapping.source else { return Ok(()) };
    let operator = store::principals::local_by_name(conn, tenant, OPERATOR)?;
    if mapping.role == ADMIN && operator.is_some_and(|operator| operator.id == person.id) {
        return Err(in_use("the operator stays an admin: it is the way back in".to_owned()));
    }
    Ok(())
}

/// Reads a body: the role and the source.
pub(in crate::service) fn parse(body: &Value) -> Result<(String, Source), Error> {
    let fields = Fields::of(body, "", &["role", "source"])?;
    let role = fields.required("role")?.to_owned();
    let source = fields.get("source").ok_or_else(|| fields.refuse("source", "is required"))?;
    Ok((role, parse_source(source)?))
}

const KINDS: [&str; 4] = ["group", "rule", "asserted", "person"];

fn parse_source(source: &Value) -> Result<Source, Error> {
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

/// A mapping as answers show it.
#[derive(Serialize)]
pub(super) struct Shown<'m> {
    id: Id,
    role: &'m str,
    permissions: Option<&'m Permissions>,
    source: ShownSource<'m>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum ShownSource<'m> {
    AsSent(&'m Source),
    Dated(Value),
}

impl<'m> Shown<'m> {
    pub(super) fn of(mapping: &'m Mapping, policy: &'m Policy) -> Shown<'m> {
        let source = match &mapping.source {
            dated @ Source::Person { .. } => ShownSource::Dated(render_source(dated)),
            other => ShownSource::AsSent(other),
        };
        Shown { id: mapping.id, role: &mapping.role, permissions: policy.permissions(&mapping.role), source }
    }
}

/// A mapping in answers.
pub(in crate::service) fn render(mapping: &Mapping, policy: &Policy) -> Value {
    serde_json::to_value(Shown::of(mapping, policy)).unwrap_or_default()
}

/// A source in answers: as it was sent.
pub(in crate::service) fn render_source(source: &Source) -> Value {
    let mut value = serde_json::to_value(source).unwrap_or_default();
    if let (Source::Person { expires_at, .. }, Some(members)) = (source, value.as_object_mut()) {
        members.insert("expires_at".to_owned(), expires_at.map(render_time).into());
    }
    value
}
