//! `POST /v1/access/explain`: whether a principal may do something, by which roles; if not, what is nearest.

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::domain::access;
use crate::domain::facts::{Facts, GroupFacts};
use crate::domain::mapping::{GroupName, Person, Source};
use crate::domain::nearest::{Nearest, WAYS_MAX, nearest};
use crate::domain::principal::PrincipalKind;
use crate::domain::{Operation, Permission, TenantKey, moment};
use crate::service::access::people;
use crate::service::catalogue::source::{self, PersonRequest};
use crate::service::reports::moment::Moment;
use crate::service::reports::report::Standing;
use crate::service::reports::shown::About;
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
    pub fn explain_access(&self, context: &Context, request: &ExplainRequest) -> Result<Value, Error> {
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
    ) -> Result<Value, Error> {
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
) -> Result<Value, Error> {
    let is_known = standing.policy.knows(asked);
    let allowed = is_known && access::permissions(&standing.policy, &standing.hits).cover(asked);
    let mut answer = json!({
        "allowed": allowed,
        "permission": asked,
        "principal": {"type": standing.facts.kind.name(), "id": standing.facts.id},
        "live": standing.facts.live,
        "reasons": [],
        "nearest": null,
        "detail": null,
        "as_of_seq": standing.as_of_seq,
    });
    let mut put = |name: &str, value: Value| {
        if let Some(members) = answer.as_object_mut() {
            members.insert(name.to_owned(), value);
        }
    };
    if allowed {
        let (reasons, truncated) = reasons_for(service, conn, tenant, standing, asked)?;
        let mut roles: Vec<&str> = reasons.iter().filter_map(|reason| reason.get("role")?.as_str()).collect();
        roles.dedup();
        put("detail", format!("given by role {}", roles.join(" and role ")).into());
        put("reasons", reasons.into());
        if truncated {
            put("truncated", true.into());
        }
        return Ok(answer);
    }
    if !is_known {
        put("detail", format!("no api registers {asked}").into());
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
        put("nearest", found.as_ref().map(|found| render_nearest(found, &possible)).into());
    }
    put("detail", detail.join("; ").into());
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
) -> Result<(Vec<Value>, bool), Error> {
    let policy = standing.policy.clone();
    standing.hits.retain(|hit| {
        let role = policy.mapped(hit.mapping).and_then(|one| policy.permissions(&one.mapping.role));
        role.is_some_and(|all| all.cover(asked))
    });
    let mut reasons = report::reasons(service, conn, tenant, &standing)?;
    reasons.roles.retain(|role, _| policy.roles().get(role).is_some_and(|role| role.permissions.cover(asked)));
    let times = dates::times(conn, tenant, reasons.roles.values().flatten().map(|reason| reason.since))?;
    let about = About { policy: &policy, groups: &standing.groups, times: &times };
    let mut shown = vec![];
    for (role, list) in &reasons.roles {
        for reason in list {
            shown.push(serde_json::to_value(about.reason_for(role, reason))?);
        }
    }
    Ok((shown, reasons.truncated))
}

/// The nearest miss as a sentence.
fn render_miss(
    conn: &mut Conn,
    tenant: TenantKey,
    found: Option<&Nearest<'_>>,
    possible: &[Source],
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
fn possible(conn: &mut Conn, tenant: TenantKey, standing: &Standing) -> Result<Vec<Source>, Error> {
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
    let groups = keys.iter().filter_map(|key| known.get(&key.0)).map(|group| Source::Group { group: name(group) });
    let person = Source::Person { person: Person { kind: *kind, id: *id }, reason: String::new(), expires_at: None };
    Ok(groups.chain([person]).collect())
}

/// That no mapping could give a role, and which one could be made.
fn render_possible(conn: &mut Conn, tenant: TenantKey, role: &str, possible: &[Source]) -> Result<String, Error> {
    let mut names = vec![];
    for source in possible {
        names.push(match source {
            Source::Group { group } => render_group(conn, tenant, group)?,
            Source::Person { person, .. } => format!("the {} alone", person.kind.name()),
            Source::Rule { .. } | Source::Asserted { .. } => continue,
        });
    }
    let could = if names.is_empty() { String::new() } else { format!(": map {} to it", names.join(" or ")) };
    Ok(format!("would need role {role}; no mapping could give it{could}"))
}

fn render_nearest(found: &Nearest<'_>, possible: &[Source]) -> Value {
    let way = |source: &Source, id| json!({"mapping": id, "source": source::render(source)});
    let ways: Vec<Value> = found.ways.iter().map(|one| way(&one.mapping.source, one.mapping.id)).collect();
    let mut shown = json!({"role": found.role, "by": ways});
    if let (false, Some(members)) = (possible.is_empty(), shown.as_object_mut()) {
        members.insert("could_map".to_owned(), possible.iter().map(render_possible_source).collect());
    }
    if let (true, Some(members)) = (found.truncated, shown.as_object_mut()) {
        members.insert("truncated".to_owned(), true.into());
    }
    shown
}

/// A source as the body of a new mapping has it; of a person, the reason is the admin's to say.
fn render_possible_source(source: &Source) -> Value {
    match source {
        Source::Person { person, .. } => json!({"person": person}),
        other => source::render(other),
    }
}

fn why_not_live(standing: &Standing) -> &'static str {
    let principal = &standing.principal;
    if !standing.existed {
        "it was not there yet"
    } else if principal.deleted_at.is_some() {
        "it was deleted"
    } else if principal.admin_hold {
        "an admin suspended it"
    } else if !principal.active {
        "it is not active"
    } else {
        "it has no live sponsor"
    }
}
