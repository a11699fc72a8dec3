//! `GET /v1/users/{id}/access`: what a principal may do, and every reason for it.

use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Map, Value, json};

use super::dates::Shared;
use super::facts::At;
use crate::domain::access::{self, Facts, Groups, Hit, Reason, Reasons};
use crate::domain::principal::PrincipalKind;
use crate::domain::{Id, Operation, Policy, Principal, TenantKey};
use crate::scim::text::render_time;
use crate::service::{Context, Error, Service, users};
use crate::store::{self, Conn};

/// A principal at a moment: what is known and what follows.
pub(in crate::service) struct Standing {
    pub(in crate::service) principal: Principal,
    pub(in crate::service) policy: Arc<Policy>,
    pub(in crate::service) facts: Facts,
    pub(in crate::service) groups: Groups,
    pub(in crate::service) hits: Vec<Hit>,
    /// The last record that was seen.
    pub(in crate::service) as_of_seq: i64,
    at: At,
}

impl Service {
    /// What a principal may do now or could at a time, by id, by userName, or `operator`.
    ///
    /// # Errors
    /// 404 if there is none of this kind, 422 for a time before the first record or beyond what is kept.
    pub fn read_access(
        &self,
        context: &Context,
        kind: PrincipalKind,
        name: &str,
        at: Option<&str>,
    ) -> Result<Value, Error> {
        let operation = match kind {
            PrincipalKind::User => Operation::UserAccess,
            PrincipalKind::Agent => Operation::AgentAccess,
        };
        let tenant = context.caller.tenant.key;
        self.ask(context, operation, None, |conn| {
            store::snapshot(conn, |conn| {
                let time = at.map(parse_time).transpose()?;
                let id = users::find(conn, tenant, name)?;
                let standing = self.standing(conn, tenant, &id, time)?;
                if standing.principal.kind != kind {
                    return Err(Error::NotFound);
                }
                self.render_access(conn, tenant, &standing)
            })
        })
    }

    /// How a principal stands at a moment.
    pub(in crate::service) fn standing(
        &self,
        conn: &mut Conn,
        tenant: TenantKey,
        id: &Id,
        time: Option<DateTime<Utc>>,
    ) -> Result<Standing, Error> {
        let principal = store::principals::find(conn, tenant, id)?.ok_or(Error::NotFound)?;
        let head = store::log::head(conn, tenant)?;
        let (at, as_of_seq, policy) = match time {
            None => (None, head.next_seq - 1, self.policy(conn, tenant, &head)?),
            Some(time) => {
                let seq = self.seq_at(conn, tenant, time)?;
                (Some(seq), seq, self.policy_at(conn, tenant, seq)?)
            }
        };
        let (mut facts, groups) = self.facts(conn, tenant, &policy, &[*id], at)?;
        let facts = facts.pop().ok_or(Error::NotFound)?;
        let hits = access::hits(&policy, &facts, &groups, time.unwrap_or_else(|| self.now()));
        Ok(Standing { principal, policy, facts, groups, hits, as_of_seq, at })
    }

    /// The last record that is not later than a time.
    fn seq_at(&self, conn: &mut Conn, tenant: TenantKey, time: DateTime<Utc>) -> Result<i64, Error> {
        let days = self.settings().limits.history_days;
        if time < self.now() - TimeDelta::days(days) {
            return Err(Error::invalid("/at", format!("at: what was true is kept for {days} days")));
        }
        let seq = store::log::seq_at(conn, tenant, time)?;
        seq.ok_or_else(|| Error::invalid("/at", "at: before the first record"))
    }

    /// The reasons of a standing, dated.
    pub(in crate::service) fn reasons(
        &self,
        conn: &mut Conn,
        tenant: TenantKey,
        standing: &Standing,
    ) -> Result<Reasons, Error> {
        let known = (&standing.facts, &standing.groups, standing.hits.as_slice());
        let shared = &mut Shared::default();
        let (dates, live_since) = self.dates(conn, tenant, &standing.policy, known, standing.at, shared)?;
        let facts = Facts { live_since, ..standing.facts.clone() };
        Ok(access::reasons(&standing.policy, &facts, &standing.groups, &standing.hits, &dates))
    }

    fn render_access(&self, conn: &mut Conn, tenant: TenantKey, standing: &Standing) -> Result<Value, Error> {
        let reasons = self.reasons(conn, tenant, standing)?;
        let roles = self.render_roles(conn, tenant, standing, &reasons)?;
        let mut answer = json!({
            "principal": {"type": standing.facts.kind.name(), "id": standing.facts.id},
            "live": standing.facts.live,
            "roles": roles,
            "permissions": access::permissions(&standing.policy, &standing.hits),
            "as_of_seq": standing.as_of_seq,
        });
        if let (true, Some(members)) = (reasons.truncated, answer.as_object_mut()) {
            members.insert("truncated".to_owned(), true.into());
        }
        Ok(answer)
    }

    /// Roles with their reasons, as answers show them.
    pub(in crate::service) fn render_roles(
        &self,
        conn: &mut Conn,
        tenant: TenantKey,
        standing: &Standing,
        reasons: &Reasons,
    ) -> Result<Vec<Value>, Error> {
        let times = self.times(conn, tenant, reasons.roles.values().flatten().map(|reason| reason.since))?;
        let render =
            |reason: &Reason| render_reason(&standing.policy, &standing.groups, reason, times.get(&reason.since));
        let roles = reasons.roles.iter();
        Ok(roles
            .map(|(role, list)| json!({"role": role, "reasons": list.iter().map(render).collect::<Vec<_>>()}))
            .collect())
    }
}

/// A reason, as answers show it.
pub(super) fn render_reason(policy: &Policy, groups: &Groups, reason: &Reason, since: Option<&String>) -> Value {
    let mut shown = Map::new();
    let mut put = |name: &str, value: Value| shown.insert(name.to_owned(), value);
    if let Some(mapped) = policy.mapped(reason.hit.mapping) {
        put("mapping", mapped.mapping.id.to_string().into());
        put("source", mapped.mapping.source.name().into());
    }
    if !reason.via.is_empty() {
        put("via", reason.via.clone().into());
    }
    if reason.hit.group.is_some() {
        let group = |key: &i64| groups.known.get(key);
        let step = |key| group(key).map(|group| json!({"id": group.id, "displayName": group.display}));
        put("path", reason.path.iter().filter_map(step).collect());
        put("direct", (reason.path.len() == 1).into());
    }
    put("since", since.cloned().into());
    put("until", reason.until.map(render_time).into());
    Value::Object(shown)
}

/// A time as RFC 3339 writes it.
fn parse_time(text: &str) -> Result<DateTime<Utc>, Error> {
    let time = DateTime::parse_from_rfc3339(text);
    let refused = |_| Error::Malformed("at: a time such as 2027-01-31T09:30:00Z".to_owned());
    Ok(time.map_err(refused)?.with_timezone(&Utc))
}
