//! Who may act: a principal that is active and not held, and of Agents those that a live User answers for.

use std::collections::HashSet;

use crate::domain::{Id, Principal, TenantKey};
use crate::scim::ResourceType;
use crate::service::{Error, registry};
use crate::store::{self, Conn};

/// The types whose principals others answer for, each with the index of the attribute that says who.
fn sponsored_types() -> impl Iterator<Item = (&'static ResourceType, String)> {
    let types = registry().types.iter().copied();
    types.filter_map(|one| Some((one, format!("{}.value", one.sponsors?.name))))
}

/// Those of these principals that are live, sponsors considered: read for all of them at once.
pub(in crate::service) fn live(
    conn: &mut Conn,
    tenant: TenantKey,
    principals: &[Principal],
) -> Result<HashSet<Id>, Error> {
    let agents: Vec<Id> = principals.iter().filter(|p| p.needs_sponsor()).map(|p| p.id).collect();
    let sponsored = sponsored(conn, tenant, &agents)?;
    Ok(principals.iter().filter(|p| p.is_live_with(sponsored.contains(&p.id))).map(|p| p.id).collect())
}

/// Whether a live User answers for a principal, if it needs one.
pub(in crate::service) fn is_sponsored(
    conn: &mut Conn,
    tenant: TenantKey,
    principal: &Principal,
) -> Result<bool, Error> {
    Ok(!principal.needs_sponsor() || !sponsored(conn, tenant, &[principal.id])?.is_empty())
}

/// The agents that have a live sponsor.
pub(in crate::service) fn sponsored(conn: &mut Conn, tenant: TenantKey, agents: &[Id]) -> Result<HashSet<Id>, Error> {
    if agents.is_empty() {
        return Ok(HashSet::new());
    }
    let named = named(conn, tenant, agents)?;
    let sponsors: Vec<Id> = named.iter().map(|(_, sponsor)| *sponsor).collect::<HashSet<_>>().into_iter().collect();
    let sponsors = store::principals::many(conn, tenant, &sponsors)?;
    let live: HashSet<Id> =
        sponsors.iter().filter(|(sponsor, _)| sponsor.is_live()).map(|(sponsor, _)| sponsor.id).collect();
    Ok(named.into_iter().filter(|(_, sponsor)| live.contains(sponsor)).map(|(agent, _)| agent).collect())
}

/// Agents, each with one whom it names as a sponsor.
fn named(conn: &mut Conn, tenant: TenantKey, agents: &[Id]) -> Result<Vec<(Id, Id)>, Error> {
    let mut named = vec![];
    for (resource_type, path) in sponsored_types() {
        named.extend(store::index::held(conn, tenant, resource_type, &path, agents)?);
    }
    Ok(named.into_iter().filter_map(|(agent, id)| Some((agent, Id::parse(&id)?))).collect())
}

/// Who answers for an agent.
pub(in crate::service) fn sponsors_of(conn: &mut Conn, tenant: TenantKey, agent: Id) -> Result<Vec<Principal>, Error> {
    let ids: Vec<Id> = named(conn, tenant, &[agent])?.into_iter().map(|(_, sponsor)| sponsor).collect();
    Ok(store::principals::many(conn, tenant, &ids)?.into_iter().map(|(sponsor, _)| sponsor).collect())
}

/// The agents that name a User as their sponsor.
pub(in crate::service) fn sponsored_by(conn: &mut Conn, tenant: TenantKey, sponsor: &Id) -> Result<Vec<Id>, Error> {
    let mut keys = vec![];
    for (resource_type, path) in sponsored_types() {
        keys.extend(store::index::referrers(conn, tenant, resource_type, &path, &sponsor.to_string())?);
    }
    Ok(store::facts::ids(conn, tenant, &keys)?.into_iter().map(|(_, id)| id).collect())
}
