//! `POST /v1/access/explain`: whether a principal may do something, by which roles; if not, what is nearest.

use schemars::JsonSchema;
use serde::Deserialize;

use crate::domain::access::{self, Reason};
use crate::domain::facts::{Facts, GroupFacts};
use crate::domain::mapping::{GroupName, Person, Source};
use crate::domain::nearest::{Nearest, WAYS_MAX, nearest};
use crate::domain::policy::Mapped;
use crate::domain::principal::PrincipalKind;
use crate::domain::{Operation, Permission, TenantKey, moment};
use crate::service::access::people;
use crate::service::catalogue::source::PersonRequest;
use crate::service::reports::moment::Moment;
use crate::service::reports::report::Standing;
use crate::service::reports::response::{Explanation, NearestRole, PossibleSource, ReasonResponse, Way};
use crate::service::reports::shown::{About, named};
use crate::service::reports::{dates, report};
use crate::service::request::{NonEmptyText, Object, Text};
use crate::service::{Context, Error, Service, caller, reports};
use crate::store::{self, Conn, ResourceKey};

/// Whether a principal may do something.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ExplainRequest {
    /// Whom; a user also by userName or as `operator`.
    pub principal: Object<PersonRequest>,
    /// One permission, without `*`.
    pub permission: NonEmptyText,
    /// At a past time instead of now: a time, or a date, which is its end in UTC.
    pub at: Option<Text>,
}

impl Service {
    /// Explains what a request asks.
    ///
    /// # Errors
    /// As [`Service::explain`], and 422 for a time that is none.
    pub fn explain_access(&self, context: &Context, request: &ExplainRequest) -> Result<Explanation, Error> {
        let ExplainRequest { principal: Object(principal), permission, at } = request;
        let at = at.as_deref();
        if at.is_some_and(|text| moment::parse(text, self.now()).is_none()) {
            return Err(Error::invalid("/at", format!("at: {}", moment::EXPECTED)));
        }
        self.explain(context, Some(principal.kind), (&principal.id, permission), at)
    }

    /// Whether a principal (by id, by userName, or `operator`) may use a permission, now or at a time, and why or
    /// why not.
    ///
    /// # Errors
    /// 404 if there is none of this kind, 422 for what is not one permission and for a time before the first
    /// record or beyond what is kept.
    pub fn explain(
        &self,
        context: &Context,
        kind: Option<PrincipalKind>,
        (name, permission): (&str, &str),
        at: Option<&str>,
    ) -> Result<Explanation, Error> {
        let asked = Permission::parse(permission).filter(Permission::is_single);
        let asked = asked.ok_or_else(|| {
            Error::invalid("/permission", "permission: one permission such as billing:invoices:read, without *")
        })?;
        let tenant = context.caller.tenant.key;
        caller::ask(self, context, Operation::AccessExplain, None, |conn| {
            store::snapshot(conn, |conn| {
                let id = people::find(conn, tenant, name)?;
                let moment = reports::moment::at(self, conn, tenant, at)?;
                let standing = report::standing(self, conn, tenant, &id, &moment)?;
                if kind.is_some_and(|kind| kind != standing.facts.kind) {
                    return Err(Error::NotFound);
                }
                standing.check_name(name)?;
                render_explanation(self, conn, tenant, (standing, &moment), &asked)
            })
        })
    }
}

fn render_explanation(
    service: &Service,
    conn: &mut Conn,
    tenant: TenantKey,
    (standing, moment): (Standing, &Moment),
    asked: &Permission,
) -> Result<Explanation, Error> {
    let is_known = standing.policy.knows(asked);
    let allowed = is_known && access::permissions(&standing.policy, &standing.hits).cover(asked);
    let mut answer = Explanation {
        allowed,
        permission: asked.clone(),
        principal: named(&standing.facts),
        live: standing.facts.live,
        reasons: vec![],
        nearest: None,
        detail: None,
        as_of_seq: standing.as_of_seq,
        truncated: false,
    };
    if allowed {
        (answer.reasons, answer.truncated) = reasons_for(service, conn, tenant, standing, asked)?;
        let mut roles: Vec<&str> = answer.reasons.iter().filter_map(|reason| reason.role.as_deref()).collect();
        roles.dedup();
        answer.detail = Some(format!("given by role {}", roles.join(" and role ")));
        return Ok(answer);
    }
    if !is_known {
        answer.detail = Some(format!("no api registers {asked}"));
        return Ok(answer);
    }
    let mut detail = vec![];
    let mut would = standing.hits.clone();
    if !standing.facts.live {
        detail.push(format!("is not live: {}", why_not_live(&standing)));
        would = access::potential(&standing.policy, &standing.facts, &standing.groups, moment.time);
    }
    if !access::permissions(&standing.policy, &would).cover(asked) {
        let found = nearest(&standing.policy, &standing.facts, asked);
        let possible = match &found {
            Some(found) if found.ways.is_empty() && moment.at.is_none() => possible(conn, tenant, &standing)?,
            _ => vec![],
        };
        detail.push(render_miss(conn, tenant, found.as_ref(), &possible)?);
        answer.nearest = found.as_ref().map(|found| render_nearest(found, possible));
    }
    answer.detail = Some(detail.join("; "));
    Ok(answer)
}

/// The roles that give a permission by themselves, each with every reason, as access shows them; and
/// whether there are more ways than are listed.
fn reasons_for(
    service: &Service,
    conn: &mut Conn,
    tenant: TenantKey,
    mut standing: Standing,
    asked: &Permission,
) -> Result<(Vec<ReasonResponse>, bool), Error> {
    let policy = standing.policy.clone();
    standing.hits.retain(|hit| {
        let role = policy.mapped(hit.mapping).and_then(|one| policy.permissions(&one.mapping.role));
        role.is_some_and(|all| all.cover(asked))
    });
    let mut reasons = report::reasons(service, conn, tenant, &standing)?;
    reasons.roles.retain(|role, _| policy.roles().get(role).is_some_and(|role| role.permissions.cover(asked)));
    let times = dates::times(conn, tenant, reasons.roles.values().flatten().map(|reason| reason.since))?;
    let about = About { policy: &policy, groups: &standing.groups, times: &times };
    let of_role = |(role, list): (&String, &Vec<Reason>)| -> Vec<ReasonResponse> {
        list.iter().map(|reason| about.reason_for(role, reason)).collect()
    };
    Ok((reasons.roles.iter().flat_map(of_role).collect(), reasons.truncated))
}

/// The nearest miss as a sentence.
fn render_miss(
    conn: &mut Conn,
    tenant: TenantKey,
    found: Option<&Nearest<'_>>,
    possible: &[PossibleSource],
) -> Result<String, Error> {
    let Some(found) = found else { return Ok("no role gives it".to_owned()) };
    let way = match found.ways.first().map(|one| &one.mapping.source) {
        None => return render_possible(conn, tenant, found.role, possible),
        Some(Source::Group { group }) => render_group(conn, tenant, group)?,
        Some(Source::Rule { rule }) => format!("rule {rule}"),
        Some(Source::Asserted { asserted }) => {
            format!("{} {} from the identity provider", asserted.attribute, asserted.value)
        }
        Some(Source::Person { .. }) => "a person mapping".to_owned(),
    };
    Ok(format!("would need role {}; {way} would give it", found.role))
}

/// A group as people know it.
fn render_group(conn: &mut Conn, tenant: TenantKey, group: &GroupName) -> Result<String, Error> {
    Ok(match group {
        GroupName::DisplayName(name) => format!("group {name}"),
        GroupName::ExternalId(external) => format!("the group with externalId {external}"),
        GroupName::Id(id) => {
            let found = store::resources::of_ids(conn, tenant, &[*id])?;
            let name = found.into_iter().next().and_then(|group| group.display);
            format!("group {}", name.unwrap_or_else(|| id.to_string()))
        }
    })
}

/// The sources that a mapping could have which somebody makes for a principal: the groups that it is in, and itself.
fn possible(conn: &mut Conn, tenant: TenantKey, standing: &Standing) -> Result<Vec<PossibleSource>, Error> {
    let Facts { id, kind, resource, .. } = &standing.facts;
    if standing.principal.deleted_at.is_some() {
        return Ok(vec![]);
    }
    let mut keys = match resource {
        Some(resource) => store::members::direct_groups(conn, tenant, ResourceKey(resource.key))?,
        None => vec![],
    };
    keys.truncate(WAYS_MAX);
    let known = store::facts::groups(conn, tenant, &keys, false)?;
    let name = |group: &GroupFacts| group.display.clone().map_or(GroupName::Id(group.id), GroupName::DisplayName);
    let groups = keys.iter().filter_map(|key| known.get(&key.0));
    let groups = groups.map(|group| PossibleSource::Group { group: name(group) });
    let person = PossibleSource::Person { person: Person { kind: *kind, id: *id } };
    Ok(groups.chain([person]).collect())
}

/// That no mapping that is there gives a role, and which one could be made.
fn render_possible(
    conn: &mut Conn,
    tenant: TenantKey,
    role: &str,
    possible: &[PossibleSource],
) -> Result<String, Error> {
    let mut names = vec![];
    for source in possible {
        names.push(match source {
            PossibleSource::Group { group } => render_group(conn, tenant, group)?,
            PossibleSource::Person { person } => format!("the {} alone", person.kind.name()),
        });
    }
    let could = if names.is_empty() { String::new() } else { format!(": map {} to it", names.join(" or ")) };
    Ok(format!("would need role {role}; no mapping gives it{could}"))
}

fn render_nearest(found: &Nearest<'_>, could_map: Vec<PossibleSource>) -> NearestRole {
    let way = |one: &&Mapped| Way { mapping: one.mapping.id, source: one.mapping.source.clone() };
    let by = found.ways.iter().map(way).collect();
    NearestRole { role: found.role.to_owned(), by, could_map, truncated: found.truncated }
}

fn why_not_live(standing: &Standing) -> &'static str {
    let principal = &standing.principal;
    if !standing.existed {
        "it was not there yet"
    } else if principal.deleted_at.is_some() {
        "it was deleted"
    } else if principal.admin_hold {
        "a hold suspends it, which an admin lifts"
    } else if !principal.active {
        "it is not active"
    } else {
        "it has no live sponsor"
    }
}
