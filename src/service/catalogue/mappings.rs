//! `/v1/mappings`: who gets which role.

use std::borrow::Cow;

use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::domain::log::Entry;
use crate::domain::mapping::{GroupName, Person, Source};
use crate::domain::policy::Mapped;
use crate::domain::principal::{OPERATOR, PrincipalKind};
use crate::domain::role::ADMIN;
use crate::domain::{Id, Mapping, Operation, Permissions, Policy, TenantKey};
use crate::service::access::policy;
use crate::service::catalogue::snapshot::MeantGroup;
use crate::service::catalogue::source::{self, SourceRequest};
use crate::service::catalogue::{Tagged, check_held, end, in_use, put, taken};
use crate::service::conditions::Conditions;
use crate::service::request::{NonEmptyText, Object, Text};
use crate::service::{Change, Context, Error, Service, caller, change, registry};
use crate::store::catalogue::Kind;
use crate::store::{self, Conn};

/// Who is to get which role.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MappingRequest {
    /// Of a replacement alone, which may leave it out: it is the one in the URL.
    pub id: Option<Text>,
    /// The name of the role.
    pub role: NonEmptyText,
    /// Who gets it.
    pub source: Object<SourceRequest>,
}

/// A mapping: who gets which role, and what that gives.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Mapping")]
pub struct MappingResponse<'m> {
    /// Its id.
    pub id: Id,
    /// The name of the role.
    pub role: Cow<'m, str>,
    /// What the role gives; null for a role that is gone.
    #[schemars(with = "Option<Permissions>")]
    pub permissions: Option<Cow<'m, Permissions>>,
    /// Who gets it, as it was sent.
    #[serde(serialize_with = "source::as_sent")]
    pub source: Cow<'m, Source>,
    /// In the snapshot, of group mappings alone: the groups that are meant; empty as long as there is no such group.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub groups: Option<Vec<MeantGroup<'m>>>,
}

impl<'m> MappingResponse<'m> {
    /// A mapping, with what its role gives.
    pub(in crate::service) fn of(mapping: &'m Mapping, policy: &'m Policy) -> MappingResponse<'m> {
        MappingResponse {
            id: mapping.id,
            role: Cow::Borrowed(&mapping.role),
            permissions: policy.permissions(&mapping.role).map(Cow::Borrowed),
            source: Cow::Borrowed(&mapping.source),
            groups: None,
        }
    }

    fn owned(mapping: &Mapping, policy: &Policy) -> MappingResponse<'static> {
        let MappingResponse { id, role, permissions, source, groups: _ } = MappingResponse::of(mapping, policy);
        MappingResponse {
            id,
            role: Cow::Owned(role.into_owned()),
            permissions: permissions.map(|all| Cow::Owned(all.into_owned())),
            source: Cow::Owned(source.into_owned()),
            groups: None,
        }
    }
}

/// A mapping in an answer of its own.
pub type TaggedMapping = Tagged<MappingResponse<'static>>;

impl Service {
    /// One mapping.
    ///
    /// # Errors
    /// 404 if there is none, 412 for another tag than `If-Match` names.
    pub fn read_mapping(&self, context: &Context, id: &str, conditions: &Conditions) -> Result<TaggedMapping, Error> {
        caller::ask(self, context, Operation::MappingRead, None, |conn| {
            let policy = policy::now(self, conn, context.caller.tenant.key)?;
            let id = Id::parse(id).ok_or(Error::NotFound)?;
            let (_, found) = policy.find(&id).ok_or(Error::NotFound)?;
            Tagged::unless_known(policy.mapping_version(found), conditions, || {
                MappingResponse::owned(&found.mapping, &policy)
            })
        })
    }

    /// Makes a mapping; its cost does not depend on whom it concerns.
    ///
    /// # Errors
    /// 422 for a request that breaks the rules, 409 for a mapping that is there already.
    pub fn create_mapping(&self, context: &Context, request: &MappingRequest) -> Result<TaggedMapping, Error> {
        let (role, source) = parse(request, None)?;
        change::perform(self, context, Operation::MappingCreate, None, move |change| {
            let policy = change.policy()?;
            let mapping = create(change, &policy, &role, source.clone())?;
            Tagged::recorded(change, MappingResponse::owned(&mapping, &policy))
        })
    }

    /// Replaces the role and the source of a mapping: its removal and a new one at once, under one id. If it
    /// gives the same role to the same as before, that is held since when it was.
    ///
    /// # Errors
    /// 404 if there is none, 412 for another tag than `If-Match` names, 422 for a request that breaks the rules,
    /// 409 for what another mapping says already, or if the operator would no longer be an admin.
    pub fn replace_mapping(
        &self,
        context: &Context,
        id: &str,
        request: &MappingRequest,
        conditions: &Conditions,
    ) -> Result<TaggedMapping, Error> {
        let id = Id::parse(id).ok_or(Error::NotFound)?;
        let (role, source) = parse(request, Some(&id))?;
        let conditions = conditions.clone();
        change::perform(self, context, Operation::MappingReplace, None, move |change| {
            let policy = change.policy()?;
            let (_, found) = policy.find(&id).ok_or(Error::NotFound)?;
            conditions.check_write(policy.mapping_version(found))?;
            let after = Mapping::new(id, &role, source.clone());
            if (&found.mapping.role, &found.mapping.source) == (&after.role, &after.source) {
                return Ok(Tagged::of(policy.mapping_version(found), MappingResponse::owned(&found.mapping, &policy)));
            }
            check_replaceable(change.conn, change.key(), &found.mapping, &after)?;
            // Whoever held the role by it may lose it.
            check_held(&change.context.caller, &policy, &found.mapping.role)?;
            check_new(change, &policy, &after)?;
            replace(change, found, &after)?;
            Tagged::recorded(change, MappingResponse::owned(&after, &policy))
        })
    }

    /// Removes a mapping: whoever held its role by nothing else loses it at once.
    ///
    /// # Errors
    /// 404 if there is none, 412 for another tag than `If-Match` names, 409 for the one that makes the
    /// operator an admin.
    pub fn delete_mapping(&self, context: &Context, id: &str, conditions: &Conditions) -> Result<(), Error> {
        let (id, conditions) = (Id::parse(id).ok_or(Error::NotFound)?, conditions.clone());
        change::perform(self, context, Operation::MappingDelete, None, move |change| {
            let (tenant, policy) = (change.key(), change.policy()?);
            let (_, found) = policy.find(&id).ok_or(Error::NotFound)?;
            conditions.check_write(policy.mapping_version(found))?;
            check_way_back(change.conn, tenant, &found.mapping)?;
            remove(change, &found.mapping)
        })
    }
}

/// Stores a new mapping inside a change.
fn create(change: &mut Change<'_>, policy: &Policy, role: &str, source: Source) -> Result<Mapping, Error> {
    let mapping = Mapping::new(change.mint(), role, source);
    check_new(change, policy, &mapping)?;
    add(change, &mapping)?;
    Ok(mapping)
}

/// What a mapping must meet that somebody makes, or makes of another one with its id. One that says the same
/// and ran out makes room.
fn check_new(change: &mut Change<'_>, policy: &Policy, mapping: &Mapping) -> Result<(), Error> {
    let Mapping { role, source, .. } = mapping;
    check(change.conn, change.key(), policy, role, source)?;
    check_held(&change.context.caller, policy, role)?;
    if has_ended(source, change.now) {
        return Err(Error::invalid("/source/expires_at", "expires_at: is past"));
    }
    let is_same = |one: &&Mapped| one.mapping.id != mapping.id && mapping.continues(&one.mapping);
    if let Some(same) = policy.mappings().find(is_same) {
        // One that ran out gives nothing any more, and stands in nobody's way.
        if !has_ended(&same.mapping.source, change.now) {
            return Err(taken("mapping", &same.mapping.id.to_string()));
        }
        remove(change, &same.mapping)?;
    }
    Ok(())
}

fn has_ended(source: &Source, now: DateTime<Utc>) -> bool {
    matches!(source, Source::Person { expires_at: Some(end), .. } if *end <= now)
}

/// Stores a mapping that was checked, or that the server makes for itself.
pub(in crate::service) fn add(change: &mut Change<'_>, mapping: &Mapping) -> Result<(), Error> {
    put(change, Kind::Mapping, &mapping.id.to_string(), mapping, entry(Operation::MappingCreate, mapping))
}

/// Stores another state of a mapping that was checked. One that gave its role until now goes on.
pub(in crate::service) fn replace(change: &mut Change<'_>, before: &Mapped, after: &Mapping) -> Result<(), Error> {
    let old = &before.mapping;
    let had_ended = matches!(&old.source, Source::Person { expires_at: Some(end), .. } if *end < change.now);
    let goes_on = after.continues(old) && !had_ended;
    let after = Mapping { since_seq: goes_on.then(|| before.since_seq()), ..after.clone() };
    let said = details(&after);
    let entry = details(old)
        .into_iter()
        .filter(|detail| !said.contains(detail))
        .fold(entry(Operation::MappingReplace, &after), |entry, (name, value)| {
            entry.with(&format!("{name}_before"), value)
        });
    put(change, Kind::Mapping, &after.id.to_string(), &after, entry)
}

/// Ends a mapping that was checked.
pub(in crate::service) fn remove(change: &mut Change<'_>, mapping: &Mapping) -> Result<(), Error> {
    end(change, Kind::Mapping, &mapping.id.to_string(), entry(Operation::MappingDelete, mapping))
}

/// The mapping that makes a principal an admin.
pub(in crate::service) fn admin(change: &Change<'_>, operator: Id, reason: &str) -> Mapping {
    let person = Person { kind: PrincipalKind::User, id: operator };
    let source = Source::Person { person, reason: reason.to_owned(), expires_at: None };
    Mapping::new(change.mint(), ADMIN, source)
}

fn entry(operation: Operation, mapping: &Mapping) -> Entry {
    let entry = Entry::new(operation.action(), "mapping", mapping.id);
    details(mapping).into_iter().fold(entry, |entry, (name, value)| entry.with(name, value))
}

/// What a record says of a mapping: ids and codes; names that people or identity providers chose stay out of it.
fn details(mapping: &Mapping) -> Vec<(&'static str, String)> {
    let mut details = vec![("role", mapping.role.clone()), ("source", mapping.source.name().to_owned())];
    match &mapping.source {
        Source::Group { group: GroupName::Id(id) } => details.push(("group", id.to_string())),
        Source::Person { person, .. } => details.push(("principal", person.id.to_string())),
        _ => {}
    }
    details
}

/// What a mapping must meet in the directory and the catalogue.
pub(in crate::service) fn check(
    conn: &mut Conn,
    tenant: TenantKey,
    policy: &Policy,
    role: &str,
    source: &Source,
) -> Result<(), Error> {
    let Some(role) = policy.roles().get(role) else {
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

/// What may be made of a mapping: of the one that keeps the operator an admin, nothing that ever ends.
pub(in crate::service) fn check_replaceable(
    conn: &mut Conn,
    tenant: TenantKey,
    before: &Mapping,
    after: &Mapping,
) -> Result<(), Error> {
    let lasts = !matches!(after.source, Source::Person { expires_at: Some(_), .. });
    if after.continues(before) && lasts { Ok(()) } else { check_way_back(conn, tenant, before) }
}

/// The role and the source that a request describes. For a replacement the id is the URL's.
pub(in crate::service) fn parse(request: &MappingRequest, id: Option<&Id>) -> Result<(String, Source), Error> {
    let refuse =
        |member: &str, detail: String| Err(Error::invalid(format!("/{member}"), format!("{member}: {detail}")));
    match (id, &request.id) {
        (None, Some(_)) => return refuse("id", "no such member".to_owned()),
        (Some(id), Some(own)) if id.to_string() != own.0 => {
            return refuse("id", format!("is {id}: a mapping keeps its id"));
        }
        _ => {}
    }
    Ok((request.role.0.clone(), request.source.0.parse()?))
}
