//! Who holds what: principals to whom some of the mappings apply, a page at a time.

use std::collections::{BTreeSet, HashMap};

use serde_json::Map;

use crate::domain::access::{self, Hit, Reason};
use crate::domain::facts::{Facts, Groups};
use crate::domain::principal::PrincipalKind;
use crate::domain::{Operation, Policy, TenantKey};
use crate::service::access::facts;
use crate::service::cursor::page_size;
use crate::service::reports::candidates::Batch;
use crate::service::reports::dates::Shared;
use crate::service::reports::moment::Moment;
use crate::service::reports::response::{HolderList, HolderResponse};
use crate::service::reports::shown::{About, named};
use crate::service::reports::walk::Walk;
use crate::service::reports::{cursor, dates, moment};
use crate::service::{Context, Error, Service, caller};
use crate::store::{self, Conn};

pub(in crate::service) use crate::service::reports::candidates::PagePosition;

/// A page ends once so many candidates and documents were looked at: it may be short, and goes on.
const LOOKED_AT_MAX: usize = 5_000;
/// A page ends once it gives so many reasons: one principal can have a thousand.
const REASONS_MAX: usize = 5_000;
/// And once the ways to them took so much: one principal can take 20 000 steps for one reason.
const COST_MAX: usize = 100_000;
/// Candidates whose facts are read at once.
const CHUNK_MIN: usize = 50;
const CHUNK_MAX: usize = 250;

/// Whom a page is to hold.
#[derive(Clone, Debug)]
pub(in crate::service) struct Sought {
    /// The places of the mappings of which one must apply.
    pub(in crate::service) mappings: BTreeSet<usize>,
    /// Behind whom the page begins.
    pub(in crate::service) after: Option<PagePosition>,
    /// How many it holds at most, from 1 on.
    pub(in crate::service) count: usize,
}

/// A principal to whom one of the mappings applies.
#[derive(Debug)]
pub(in crate::service) struct Holder {
    /// Its place in the order of all.
    pub(in crate::service) place: PagePosition,
    /// What is known of it; a User's document has been looked at and is gone.
    pub(in crate::service) facts: Facts,
    /// The groups around it.
    pub(in crate::service) groups: Groups,
    /// Every mapping that applies to it, others than those in question too.
    pub(in crate::service) hits: Vec<Hit>,
}

/// A page of holders.
#[derive(Debug)]
pub(in crate::service) struct Holders {
    /// The holders, in order.
    pub(in crate::service) found: Vec<Holder>,
    /// Where to go on; `None` if nobody follows.
    pub(in crate::service) next: Option<PagePosition>,
}

impl Service {
    /// Who holds a role now, or held it at a time, with every reason, by mappings to it and to roles that include
    /// it.
    ///
    /// # Errors
    /// 404 if there is no such role, 400 for a cursor that is not of this question, 422 for a time before the first
    /// record or beyond what is kept.
    pub fn role_holders(
        &self,
        context: &Context,
        role: &str,
        at: Option<&str>,
        (count, cursor): (Option<usize>, Option<&str>),
    ) -> Result<HolderList, Error> {
        let (tenant, question) = (context.caller.tenant.key, ["holders", role, at.unwrap_or_default()]);
        caller::ask(self, context, Operation::RoleHolders, None, |conn| {
            store::snapshot(conn, |conn| {
                let moment = moment::at(self, conn, tenant, at)?;
                let policy = &moment.policy;
                if !policy.roles().contains_key(role) {
                    return Err(Error::NotFound);
                }
                let mappings = policy.places(|one| policy.gives(&one.mapping.role, role));
                let after = cursor.map(|text| cursor::open_place(self, context, &question, text)).transpose()?;
                let sought = Sought { mappings, after, count: page_size(self, count) };
                let page = find(self, conn, tenant, &moment, &sought, |_| true)?;
                let (holders, next) = reasons_of(self, conn, tenant, &moment, (role, &sought), page)?;
                let next = next.map(|place| cursor::seal_place(self, context, &question, place)).transpose()?;
                let times = holders.iter().flat_map(|one| &one.reasons).map(|reason| reason.since);
                let times = dates::times(conn, tenant, times)?;
                let holders = holders.iter().map(|one| one.shown(policy, &times)).collect();
                Ok(HolderList { role: role.to_owned(), holders, next, as_of_seq: moment.as_of_seq })
            })
        })
    }
}

/// The principals that are live at a moment, to whom one of the mappings applies then, and who pass a further
/// test. What a page costs is bounded: it may hold fewer than it could, even none, though others follow.
///
/// # Errors
/// If the store fails.
pub(in crate::service) fn find(
    service: &Service,
    conn: &mut Conn,
    tenant: TenantKey,
    moment: &Moment,
    sought: &Sought,
    passes: impl Fn(&Holder) -> bool,
) -> Result<Holders, Error> {
    let mut walk = Walk::new(conn, tenant, moment, &sought.mappings, sought.after)?;
    let mut found: Vec<Holder> = vec![];
    loop {
        // One more than is asked for tells whether anybody follows.
        let wanted = (sought.count + 1).saturating_sub(found.len());
        let batch = walk.next(conn, tenant, wanted.clamp(CHUNK_MIN, CHUNK_MAX))?;
        let (until, is_last) = (batch.until, batch.is_last());
        let judged = judge(service, conn, tenant, moment, batch, &sought.mappings)?;
        found.extend(judged.into_iter().filter(&passes));
        if found.len() > sought.count {
            found.truncate(sought.count);
            let next = found.last().map(|holder| holder.place);
            return Ok(Holders { found, next });
        }
        if is_last {
            return Ok(Holders { found, next: None });
        }
        if walk.looked_at() >= LOOKED_AT_MAX {
            return Ok(Holders { found, next: Some(until) });
        }
    }
}

/// Those of some candidates to whom one of the mappings applies.
fn judge(
    service: &Service,
    conn: &mut Conn,
    tenant: TenantKey,
    moment: &Moment,
    batch: Batch,
    mappings: &BTreeSet<usize>,
) -> Result<Vec<Holder>, Error> {
    let policy = &moment.policy;
    let ids: Vec<_> = batch.found.iter().map(|(_, id)| *id).collect();
    let places: HashMap<_, _> = batch.found.into_iter().map(|(place, id)| (id, place)).collect();
    let (facts, groups) = facts::of(service, conn, tenant, policy, &ids, moment.at)?;
    let mut holders = vec![];
    for mut facts in facts {
        let Some(place) = places.get(&facts.id).copied() else { continue };
        let own = facts.resource.as_ref().map(|one| groups.around(one.key)).unwrap_or_default();
        let hits = access::hits(policy, &facts, &own, moment.time);
        if !hits.iter().any(|hit| mappings.contains(&hit.mapping)) {
            continue;
        }
        // An agent's document names its sponsors; nobody needs that of a User any more.
        if let (PrincipalKind::User, Some(resource)) = (facts.kind, &mut facts.resource) {
            resource.document = Map::new();
        }
        holders.push(Holder { place, facts, groups: own, hits });
    }
    Ok(holders)
}

/// Holders with their reasons for a role; the page ends early if they are too many.
fn reasons_of(
    service: &Service,
    conn: &mut Conn,
    tenant: TenantKey,
    moment: &Moment,
    (role, sought): (&str, &Sought),
    page: Holders,
) -> Result<(Vec<Reasoned>, Option<PagePosition>), Error> {
    let policy = &moment.policy;
    let (mut shared, mut reasoned, mut next) = (Shared::default(), vec![], page.next);
    let (mut total, mut cost, count) = (0, 0, page.found.len());
    for (n, holder) in page.found.into_iter().enumerate() {
        let hits = |hit: &&Hit| sought.mappings.contains(&hit.mapping);
        let hits: Vec<Hit> = holder.hits.iter().filter(hits).copied().collect();
        let known = (&holder.facts, &holder.groups, hits.as_slice());
        let (dates, live_since) = dates::of(service, conn, tenant, policy, known, moment.at, &mut shared)?;
        let facts = Facts { live_since, ..holder.facts.clone() };
        let mut all = access::reasons(policy, &facts, &holder.groups, &hits, &dates);
        let reasons = all.roles.remove(role).unwrap_or_default();
        (total, cost) = (total + reasons.len(), cost + all.cost);
        let place = holder.place;
        reasoned.push(Reasoned { holder, reasons, truncated: all.truncated });
        if (total >= REASONS_MAX || cost >= COST_MAX) && n + 1 < count {
            next = Some(place);
            break;
        }
    }
    Ok((reasoned, next))
}

/// A holder of a role, with every reason for it.
struct Reasoned {
    holder: Holder,
    reasons: Vec<Reason>,
    truncated: bool,
}

impl Reasoned {
    fn shown(&self, policy: &Policy, times: &HashMap<i64, String>) -> HolderResponse {
        let about = About { policy, groups: &self.holder.groups, times };
        let principal = named(&self.holder.facts);
        HolderResponse { principal, reasons: about.reasons(&self.reasons), truncated: self.truncated }
    }
}
