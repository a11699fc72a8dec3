//! `GET /v1/users/{id}/access`: what a principal may do, and every reason for it.

use std::sync::Arc;

use crate::domain::access::{self, Hit, Reason, Reasons};
use crate::domain::facts::{Facts, Groups};
use crate::domain::principal::PrincipalKind;
use crate::domain::{Id, Operation, Policy, Principal, TenantKey};
use crate::scim::text::fold;
use crate::service::access::facts::{self, At};
use crate::service::access::people;
use crate::service::error::Conflict;
use crate::service::reports::dates::Shared;
use crate::service::reports::moment::Moment;
use crate::service::reports::response::{AccessResponse, HeldRole};
use crate::service::reports::shown::{About, named};
use crate::service::reports::{dates, moment};
use crate::service::{Context, Error, Service, caller, principal_type};
use crate::store::{self, Conn};

/// A principal at a moment: what is known and what follows.
pub(in crate::service) struct Standing {
    /// As it was then.
    pub(in crate::service) principal: Principal,
    /// Whether it was there by then.
    pub(in crate::service::reports) existed: bool,
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
    ) -> Result<AccessResponse, Error> {
        let operation = match kind {
            PrincipalKind::User => Operation::UserAccess,
            PrincipalKind::Agent => Operation::AgentAccess,
        };
        let tenant = context.caller.tenant.key;
        caller::ask(self, context, operation, None, |conn| {
            store::snapshot(conn, |conn| {
                let moment = moment::at(self, conn, tenant, at)?;
                let id = people::find(conn, tenant, name)?;
                let standing = standing(self, conn, tenant, &id, &moment)?;
                if standing.principal.kind != kind {
                    return Err(Error::NotFound);
                }
                standing.check_name(name)?;
                render(self, conn, tenant, &standing)
            })
        })
    }
}

impl Standing {
    /// Names are looked up as they are now: who had this one at a past time may have been somebody else.
    ///
    /// # Errors
    /// 409 if this principal was called otherwise then, or was not there.
    pub(in crate::service::reports) fn check_name(&self, name: &str) -> Result<(), Error> {
        if self.at.is_none() || Id::parse(name).is_some() {
            return Ok(());
        }
        let document = self.facts.resource.as_ref().map(|resource| &resource.document);
        let resource_type = principal_type(self.facts.kind)?;
        let had = match document.and_then(|document| resource_type.name_in(document)) {
            _ if !self.existed => "was not there",
            Some(then) if fold(then) != fold(name) => "had another",
            _ => return Ok(()),
        };
        let who = format!("{} {}", self.facts.kind.name(), self.facts.id);
        let detail = format!("{who} has this name now and {had} at that time: give the id of the one who is meant");
        Err(Error::Conflict { code: Conflict::Renamed, detail })
    }
}

/// How a principal stands at a moment.
pub(in crate::service::reports) fn standing(
    service: &Service,
    conn: &mut Conn,
    tenant: TenantKey,
    id: &Id,
    moment: &Moment,
) -> Result<Standing, Error> {
    let (principal, existed) = facts::principal(conn, tenant, id, moment.at)?.ok_or(Error::NotFound)?;
    let policy = Arc::clone(&moment.policy);
    let (mut facts, groups) = facts::of(service, conn, tenant, &policy, &[*id], moment.at)?;
    let facts = facts.pop().ok_or(Error::NotFound)?;
    let hits = access::hits(&policy, &facts, &groups, moment.time);
    let (as_of_seq, at) = (moment.as_of_seq, moment.at);
    Ok(Standing { principal, existed, policy, facts, groups, hits, as_of_seq, at })
}

/// The reasons of a standing, dated.
pub(in crate::service) fn reasons(
    service: &Service,
    conn: &mut Conn,
    tenant: TenantKey,
    standing: &Standing,
) -> Result<Reasons, Error> {
    let known = (&standing.facts, &standing.groups, standing.hits.as_slice());
    let shared = &mut Shared::default();
    let (dates, live_since) = dates::of(service, conn, tenant, &standing.policy, known, standing.at, shared)?;
    let facts = Facts { live_since, ..standing.facts.clone() };
    Ok(access::reasons(&standing.policy, &facts, &standing.groups, &standing.hits, &dates))
}

fn render(service: &Service, conn: &mut Conn, tenant: TenantKey, standing: &Standing) -> Result<AccessResponse, Error> {
    let reasons = reasons(service, conn, tenant, standing)?;
    let times = dates::times(conn, tenant, reasons.roles.values().flatten().map(|reason| reason.since))?;
    let about = About { policy: &standing.policy, groups: &standing.groups, times: &times };
    let held = |(role, list): (&String, &Vec<Reason>)| HeldRole { role: role.clone(), reasons: about.reasons(list) };
    Ok(AccessResponse {
        principal: named(&standing.facts),
        live: standing.facts.live,
        roles: reasons.roles.iter().map(held).collect(),
        permissions: access::permissions(&standing.policy, &standing.hits),
        as_of_seq: standing.as_of_seq,
        truncated: reasons.truncated,
    })
}
