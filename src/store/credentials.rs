//! Credentials: what a key may do and whom it belongs to. Secrets are not here, only their digests.

mod notes;
mod pages;
mod stored;

use chrono::{DateTime, Utc};
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Nullable};

pub use self::notes::{add_note, forget_notes, notes};
pub use self::pages::{Part, count_working, ending, list, of_owner};
pub use self::stored::StoredCredential;
use self::stored::{COLUMNS, Line, Row, SqlRow, grant_parts, permissions};
use super::connection::{Bind, CHUNK, Conn, LISTED, List, alter, on};
use super::error::Result;
use super::row;
use super::schema::{connections, credentials, principals, tenants};
use super::types::{json, millis, millis_opt};
use crate::domain::{Connection, Credential, Id, Principal, Tenant, TenantKey};

/// Everything that a request with a key needs to know about who holds it.
#[derive(Clone, Debug)]
pub struct Holder {
    /// The tenant.
    pub tenant: Tenant,
    /// The credential.
    pub stored: StoredCredential,
    /// Its owner.
    pub owner: Principal,
    /// The connection of a provisioning key.
    pub connection: Option<Connection>,
}

/// Adds a credential with the MAC over it.
///
/// # Errors
/// A unique violation if the id or the selector is taken, a foreign key violation if there is no owner.
pub fn insert(conn: &mut Conn, tenant: TenantKey, credential: &Credential, mac: &[u8]) -> Result<()> {
    let id = |id: &Option<Id>| id.map(|id| id.as_bytes().to_vec());
    let values = (
        credentials::tenant.eq(tenant.0),
        credentials::id.eq(&credential.id.as_bytes()[..]),
        credentials::owner.eq(&credential.owner.as_bytes()[..]),
        credentials::class.eq(credential.class.letter().to_string()),
        credentials::connection.eq(id(&credential.connection)),
        credentials::selector.eq(&credential.selector),
        credentials::text_hash.eq(credential.text_hash.as_ref().map(|hash| &hash[..])),
        credentials::digest.eq(&credential.digest.0[..]),
        credentials::name.eq(&credential.name),
        credentials::permissions.eq(permissions(credential)),
        credentials::created_at.eq(millis(credential.created_at)),
        credentials::created_by.eq(id(&credential.created_by)),
        credentials::expires_at.eq(millis(credential.expires_at)),
        credentials::reasons.eq(json(&credential.reasons)),
        credentials::revoked_at.eq(millis_opt(credential.revoked.as_ref().map(|revoked| revoked.at))),
        credentials::revoke_reason.eq(credential.revoked.as_ref().map(|revoked| &revoked.reason)),
        credentials::version.eq(credential.version),
        credentials::mac.eq(mac),
        credentials::grant_parts.eq(grant_parts(credential)),
        Line::of(credential),
    );
    alter!(conn, |c| diesel::insert_into(credentials::table).values(values).execute(c))?;
    Ok(())
}

/// Stores that a credential is revoked: when, why and its version, with the MAC of the row. What else stands in
/// the row stays as it is; without a MAC, so does the one that it has.
///
/// # Errors
/// [`diesel::result::Error::NotFound`] if there is no such credential.
pub fn revoke(conn: &mut Conn, tenant: TenantKey, credential: &Credential, mac: Option<&[u8]>) -> Result<()> {
    let own = credentials::table
        .filter((credentials::tenant + 0_i64).eq(tenant.0))
        .filter(credentials::id.eq(&credential.id.as_bytes()[..]));
    let changes = (
        credentials::revoked_at.eq(millis_opt(credential.revoked.as_ref().map(|revoked| revoked.at))),
        credentials::revoke_reason.eq(credential.revoked.as_ref().map(|revoked| revoked.reason.as_str())),
        credentials::slot.eq(None::<&str>),
        credentials::version.eq(credential.version),
        mac.map(|mac| credentials::mac.eq(mac)),
    );
    let rows = alter!(conn, |c| diesel::update(own).set(changes).execute(c))?;
    if rows == 0 { Err(diesel::result::Error::NotFound.into()) } else { Ok(()) }
}

/// Stores what of a credential may change while it has not ended: its name, ceiling, end, reasons and its place among those
/// that replace one another, with the MAC of the row.
///
/// # Errors
/// [`diesel::result::Error::NotFound`] if there is no such credential.
pub fn update(conn: &mut Conn, tenant: TenantKey, credential: &Credential, mac: &[u8]) -> Result<()> {
    let own = credentials::table
        .filter((credentials::tenant + 0_i64).eq(tenant.0))
        .filter(credentials::id.eq(&credential.id.as_bytes()[..]));
    let changes = (
        credentials::name.eq(&credential.name),
        credentials::permissions.eq(permissions(credential)),
        credentials::grant_parts.eq(grant_parts(credential)),
        credentials::expires_at.eq(millis(credential.expires_at)),
        credentials::reasons.eq(json(&credential.reasons)),
        Line::of(credential),
        credentials::version.eq(credential.version),
        credentials::mac.eq(mac),
    );
    let rows = alter!(conn, |c| diesel::update(own).set(changes).execute(c))?;
    if rows == 0 { Err(diesel::result::Error::NotFound.into()) } else { Ok(()) }
}

#[diesel::declare_sql_function]
extern "SQL" {
    /// The first, or the second where there is none.
    fn coalesce(first: Nullable<BigInt>, second: BigInt) -> BigInt;
}

/// Finds the holder of a key by its public part, in one query. Not scoped: the key names the tenant.
///
/// # Errors
/// If the database cannot be read.
pub fn holder(conn: &mut Conn, selector: &str) -> Result<Option<Holder>> {
    Ok(holder_or_other(conn, selector)?.filter(|holder| holder.stored.credential.selector == selector))
}

/// The same; where there is no such key, the holder of another one, so that who asks cannot tell by the time it
/// takes whether there is: the same statement finds a row, and the same is read of it. Whoever asks looks at the
/// selector. `None` only where there is no key at all.
///
/// # Errors
/// If the database cannot be read.
pub fn holder_or_other(conn: &mut Conn, selector: &str) -> Result<Option<Holder>> {
    let named = diesel::alias!(credentials as named);
    let own = named.filter(named.field(credentials::selector).eq(selector)).select(named.field(credentials::key));
    // From its own row on; every key is greater than 0.
    let own = credentials::key.ge(coalesce(own.single_value(), 0));
    type Rows = (Row, super::tenants::Row, super::principals::Row, Option<super::connections::Row>);
    let owner = principals::tenant.eq(credentials::tenant).and(principals::id.eq(credentials::owner));
    let connection =
        connections::tenant.eq(credentials::tenant).and(connections::id.nullable().eq(credentials::connection));
    let found = on!(conn, |c| credentials::table
        .inner_join(tenants::table.on(tenants::key.eq(credentials::tenant)))
        .inner_join(principals::table.on(owner))
        .left_join(connections::table.on(connection))
        .filter(own)
        .order(credentials::key)
        .limit(1)
        .select(<Rows as SelectableHelper<_>>::as_select())
        .get_result::<Rows>(c)
        .optional())?;
    let Some((credential, tenant, owner, connection)) = found else { return Ok(None) };
    Ok(Some(Holder {
        tenant: tenant.into_domain()?,
        stored: credential.into_stored(),
        owner: owner.into_domain()?,
        connection: connection.map(super::connections::Row::into_domain).transpose()?,
    }))
}

/// Finds a credential by id.
///
/// # Errors
/// If the database cannot be read.
pub fn find(conn: &mut Conn, tenant: TenantKey, id: &Id) -> Result<Option<StoredCredential>> {
    // Here and in `revoke` no index knows the sum: before PostgreSQL has counted any, all that the tenant has look as few
    // to it as the one with the id.
    let row = on!(conn, |c| credentials::table
        .select(Row::as_select())
        .filter((credentials::tenant + 0_i64).eq(tenant.0))
        .filter(credentials::id.eq(&id.as_bytes()[..]))
        .get_result::<Row>(c)
        .optional())?;
    Ok(row.map(Row::into_stored))
}

/// Finds the credential whose text has this SHA-256.
///
/// # Errors
/// If the database cannot be read.
pub fn with_text_hash(conn: &mut Conn, tenant: TenantKey, hash: &[u8; 32]) -> Result<Option<StoredCredential>> {
    let row = on!(conn, |c| credentials::table
        .select(Row::as_select())
        .filter((credentials::tenant + 0_i64).eq(tenant.0))
        .filter(credentials::text_hash.eq(&hash[..]))
        .get_result::<Row>(c)
        .optional())?;
    Ok(row.map(Row::into_stored))
}

/// The credentials with these ids; those that there are not are left out.
///
/// # Errors
/// If the database cannot be read.
pub fn many(conn: &mut Conn, tenant: TenantKey, ids: &[Id]) -> Result<Vec<StoredCredential>> {
    if let [id] = ids {
        return Ok(find(conn, tenant, id)?.into_iter().collect());
    }
    let columns = row::list(COLUMNS, |name| format!("c.{name}"));
    let own = conn.each("credentials", "c", "+c.tenant = ? AND c.id = list.value");
    let sql = format!("SELECT {columns} {LISTED}{own}");
    let mut found = Vec::with_capacity(ids.len());
    for ids in ids.chunks(CHUNK) {
        let rows = conn.load_sql::<SqlRow, Row>(&sql, &[Bind::List(List::ids(ids)), Bind::Int(tenant.0)])?;
        found.extend(rows.into_iter().map(Row::into_stored));
    }
    Ok(found)
}

/// The credentials of a lineage that may still work: at most two.
///
/// # Errors
/// If the database cannot be read.
pub fn of_lineage(conn: &mut Conn, tenant: TenantKey, lineage: &Id) -> Result<Vec<StoredCredential>> {
    let rows = on!(conn, |c| credentials::table
        .select(Row::as_select())
        .filter((credentials::tenant + 0_i64).eq(tenant.0))
        .filter(credentials::lineage.eq(&lineage.as_bytes()[..]))
        .filter(credentials::slot.is_not_null())
        .load::<Row>(c))?;
    Ok(rows.into_iter().map(Row::into_stored).collect())
}

/// Takes a credential, which has given way, out of its lineage's two places. No MAC is over that.
///
/// # Errors
/// If the database cannot be written.
pub fn leave_slot(conn: &mut Conn, tenant: TenantKey, id: &Id) -> Result<()> {
    let own = credentials::table
        .filter((credentials::tenant + 0_i64).eq(tenant.0))
        .filter(credentials::id.eq(&id.as_bytes()[..]));
    alter!(conn, |c| diesel::update(own).set(credentials::slot.eq(None::<&str>)).execute(c))?;
    Ok(())
}

/// Stores when a credential was first used. No MAC is over that.
///
/// # Errors
/// If the database cannot be written.
pub fn set_first_used(conn: &mut Conn, tenant: TenantKey, id: &Id, at: DateTime<Utc>) -> Result<()> {
    let own = credentials::table
        .filter((credentials::tenant + 0_i64).eq(tenant.0))
        .filter(credentials::id.eq(&id.as_bytes()[..]));
    alter!(conn, |c| diesel::update(own).set(credentials::first_used_at.eq(millis(at))).execute(c))?;
    Ok(())
}
