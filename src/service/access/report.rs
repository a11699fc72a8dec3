//! `GET /v1/users/{id}/access`: what a principal may do, and every reason for it.

use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use serde::Serialize;
use serde_json::Value;

use super::dates::Shared;
use super::facts::At;
use super::holders::render_principal;
use super::shown::{About, ShownReason, is_false};
use crate::domain::access::{self, Facts, Groups, Hit, Reasons};
use crate::domain::principal::PrincipalKind;
use crate::domain::{Id, Operation, Permissions, Policy, Principal, TenantKey};
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
    /// What a principal may do now or could at a time, by id, by userName, or `operator`: the text of an object.
    ///
    /// # Errors
    /// 404 if there is none of this kind, 422 for a time before the first record or beyond what is kept.
    pub fn read_access(
        &self,
        context: &Context,
        kind: PrincipalKind,
        name: &str,
        at: Option<&str>,
    ) -> Result<String, Error> {
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

    fn render_access(&self, conn: &mut Conn, tenant: TenantKey, standing: &Standing) -> Result<String, Error> {
        let reasons = self.reasons(conn, tenant, standing)?;
        let times = self.times(conn, tenant, reasons.roles.values().flatten().map(|reason| reason.since))?;
        let about = About { policy: &standing.policy, groups: &standing.groups, times: &times };
        let answer = ShownAccess {
            principal: render_principal(&standing.facts),
            live: standing.facts.live,
            roles: reasons.roles.iter().map(|(role, list)| ShownRole { role, reasons: about.reasons(list) }).collect(),
            permissions: access::permissions(&standing.policy, &standing.hits),
            as_of_seq: standing.as_of_seq,
            truncated: reasons.truncated,
        };
        Ok(serde_json::to_string(&answer)?)
    }
}

/// What a principal may do.
#[derive(Serialize)]
struct ShownAccess<'s> {
    principal: Value,
    live: bool,
    roles: Vec<ShownRole<'s>>,
    permissions: Permissions,
    as_of_seq: i64,
    #[serde(skip_serializing_if = "is_false")]
    truncated: bool,
}

#[derive(Serialize)]
struct ShownRole<'s> {
    role: &'s str,
    reasons: Vec<ShownReason<'s>>,
}

/// A time as RFC 3339 writes it.
fn parse_time(text: &str) -> Result<DateTime<Utc>, Error> {
    let time = DateTime::parse_from_rfc3339(text);
    let refused = |_| Error::Malformed("at: a time such as 2027-01-31T09:30:00Z".to_owned());
    Ok(time.map_err(refused)?.with_timezone(&Utc))
}
