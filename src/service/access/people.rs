//! Whom a name means.

use crate::domain::principal::{OPERATOR, PrincipalKind, is_operator};
use crate::domain::{Id, Principal, TenantKey};
use crate::scim::text;
use crate::service::error::Conflict;
use crate::service::{Error, principal_type};
use crate::store::{self, Conn};

/// Where the names of the principals of a kind are unique.
pub(in crate::service) fn names_of(kind: PrincipalKind) -> Result<String, Error> {
    let resource_type = principal_type(kind)?;
    let naming = resource_type.naming.ok_or_else(|| Error::internal("principals without names"))?;
    Ok(resource_type.qualified(&naming.name))
}

/// The id of the User with this userName, or of the Agent with this name.
///
/// # Errors
/// 409 if there are both: nothing tells which one is meant.
pub(in crate::service) fn by_name(conn: &mut Conn, tenant: TenantKey, name: &str) -> Result<Option<Id>, Error> {
    among(conn, tenant, &PrincipalKind::ALL, name)
}

fn among(conn: &mut Conn, tenant: TenantKey, kinds: &[PrincipalKind], name: &str) -> Result<Option<Id>, Error> {
    let mut keys = vec![];
    for kind in kinds {
        keys.extend(store::unique::holder(conn, tenant, &names_of(*kind)?, &text::fold(name))?);
    }
    let found = store::resources::by_keys(conn, tenant, &keys)?;
    match found.as_slice() {
        [] => Ok(None),
        [one] => Ok(Some(one.id)),
        all => {
            let who = all.iter().map(|one| format!("{} {}", one.type_name.to_ascii_lowercase(), one.id));
            let who = who.collect::<Vec<_>>().join(" and ");
            let detail = format!("{who} have this name: give the id of the one that is meant");
            Err(Error::Conflict { code: Conflict::AmbiguousName, detail })
        }
    }
}

/// Finds a principal by id, by userName, by an agent's name, or the operator by its name.
pub(in crate::service) fn find(conn: &mut Conn, tenant: TenantKey, name: &str) -> Result<Id, Error> {
    if let Some(id) = Id::parse(name) {
        return Ok(id);
    }
    match operator(conn, tenant, name)? {
        Some(id) => Ok(id),
        None => by_name(conn, tenant, name)?.ok_or(Error::NotFound),
    }
}

/// The same where people are spoken of: a User of that name is meant, whoever else has it; an agent, where there is none.
///
/// # Errors
/// 404 if there is neither.
pub(in crate::service) fn find_person(conn: &mut Conn, tenant: TenantKey, name: &str) -> Result<Id, Error> {
    if Id::parse(name).is_none()
        && !is_operator(name)
        && let Some(id) = among(conn, tenant, &[PrincipalKind::User], name)?
    {
        return Ok(id);
    }
    find(conn, tenant, name)
}

/// The id of the operator, if that is the name.
fn operator(conn: &mut Conn, tenant: TenantKey, name: &str) -> Result<Option<Id>, Error> {
    if !is_operator(name) {
        return Ok(None);
    }
    Ok(store::principals::local_by_name(conn, tenant, OPERATOR)?.map(|operator| operator.id))
}

/// Finds a User by id, by userName, or the operator by its name; an agent of that name is not meant.
pub(in crate::service) fn find_user(
    conn: &mut Conn,
    tenant: TenantKey,
    name: &str,
) -> Result<Option<Principal>, Error> {
    let id = match (Id::parse(name), operator(conn, tenant, name)?) {
        (Some(id), _) | (None, Some(id)) => id,
        (None, None) => match among(conn, tenant, &[PrincipalKind::User], name)? {
            Some(id) => id,
            None => return Ok(None),
        },
    };
    let found = store::principals::find(conn, tenant, &id)?;
    Ok(found.filter(|one| one.kind == PrincipalKind::User && one.deleted_at.is_none()))
}
