//! Credentials: what a key may do and whom it belongs to. Secrets are not here, only their digests.

use std::collections::HashMap;

use chrono::DateTime;
use diesel::dsl::{SqlTypeOf, sql};
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Binary, Bool, Nullable, Text};

use super::connection::{Bind, CHUNK, Conn, LISTED, List, locked, on};
use super::error::Result;
use super::schema::{connections, credentials, principals, revocation_notes, tenants};
use super::types::{Column, json, millis, millis_opt};
use crate::domain::class::Class;
use crate::domain::credential::{Grant, Revocation};
use crate::domain::secret::Digest;
use crate::domain::{Connection, Credential, Id, Permissions, Principal, Tenant, TenantKey};

/// A credential as it is stored: the MAC over its fields is the service's to check.
#[derive(Clone, Debug, PartialEq)]
pub struct StoredCredential {
    /// The credential.
    pub credential: Credential,
    /// The MAC over [`Credential::canonical`].
    pub mac: Vec<u8>,
}

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

#[derive(Queryable, Selectable)]
#[diesel(table_name = credentials)]
struct Row {
    key: i64,
    id: Vec<u8>,
    owner: Vec<u8>,
    class: String,
    connection: Option<Vec<u8>>,
    selector: String,
    digest: Vec<u8>,
    name: String,
    permissions: Option<String>,
    created_at: i64,
    created_by: Option<Vec<u8>>,
    expires_at: i64,
    reasons: String,
    revoked_at: Option<i64>,
    revoke_reason: Option<String>,
    version: i64,
    mac: Vec<u8>,
}

/// The columns of a row, in its order.
type SqlRow = SqlTypeOf<(
    credentials::key,
    credentials::id,
    credentials::owner,
    credentials::class,
    credentials::connection,
    credentials::selector,
    credentials::digest,
    credentials::name,
    credentials::permissions,
    credentials::created_at,
    credentials::created_by,
    credentials::expires_at,
    credentials::reasons,
    credentials::revoked_at,
    credentials::revoke_reason,
    credentials::version,
    credentials::mac,
)>;

/// A column of the table.
fn column(name: &'static str) -> Column {
    Column("credentials", name)
}

impl Row {
    /// What cannot be read was written by somebody else: it stands for nothing, no MAC fits the row, and the rows
    /// around it are read as ever.
    fn into_stored(self) -> StoredCredential {
        let mut intact = true;
        let credential = Credential {
            id: read(&mut intact, column("id").id(&self.id), Id::NIL),
            owner: read(&mut intact, column("owner").id(&self.owner), Id::NIL),
            class: read(&mut intact, class(&self.class), Class::User),
            connection: self.connection.map(|bytes| read(&mut intact, column("connection").id(&bytes), Id::NIL)),
            selector: self.selector,
            digest: Digest(read(&mut intact, column("digest").hash(&self.digest), [0; 32])),
            name: self.name,
            grant: match &self.permissions {
                None => Grant::Identity,
                Some(texts) => {
                    let permissions = column("permissions").permissions(texts);
                    Grant::Permissions(read(&mut intact, permissions, Permissions::default()))
                }
            },
            created_at: read(&mut intact, column("created_at").time(self.created_at), DateTime::UNIX_EPOCH),
            created_by: self.created_by.map(|bytes| read(&mut intact, column("created_by").id(&bytes), Id::NIL)),
            expires_at: read(&mut intact, column("expires_at").time(self.expires_at), DateTime::UNIX_EPOCH),
            reasons: match self.reasons.as_str() {
                "[]" => vec![],
                texts => read(&mut intact, column("reasons").texts(texts), vec![]),
            },
            revoked: self.revoked_at.map(|at| Revocation {
                at: read(&mut intact, column("revoked_at").time(at), DateTime::UNIX_EPOCH),
                reason: self.revoke_reason.unwrap_or_default(),
            }),
            version: self.version,
        };
        StoredCredential { credential, mac: if intact { self.mac } else { vec![] } }
    }
}

fn class(text: &str) -> Result<Class> {
    let mut letters = text.chars();
    let class = letters.next().and_then(Class::from_letter).filter(|_| letters.next().is_none());
    class.ok_or_else(|| column("class").corrupt("no class"))
}

/// A value of a row, or what stands for it in a row that cannot be read.
fn read<T>(intact: &mut bool, value: Result<T>, otherwise: T) -> T {
    *intact &= value.is_ok();
    value.unwrap_or(otherwise)
}

fn permissions(credential: &Credential) -> Option<String> {
    credential.grant.permissions().map(|permissions| json(&permissions.texts()))
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
    );
    on!(conn, |c| diesel::insert_into(credentials::table).values(values).execute(c))?;
    Ok(())
}

/// Stores that a credential is revoked: when, why and its version, with the MAC of the row. What else stands in
/// the row stays as it is; without a MAC, so does the one that it has.
///
/// # Errors
/// [`diesel::result::Error::NotFound`] if there is no such credential.
pub fn revoke(conn: &mut Conn, tenant: TenantKey, credential: &Credential, mac: Option<&[u8]>) -> Result<()> {
    let own = credentials::table
        .filter(credentials::tenant.eq(tenant.0))
        .filter(credentials::id.eq(&credential.id.as_bytes()[..]));
    let changes = (
        credentials::revoked_at.eq(millis_opt(credential.revoked.as_ref().map(|revoked| revoked.at))),
        credentials::revoke_reason.eq(credential.revoked.as_ref().map(|revoked| revoked.reason.as_str())),
        credentials::version.eq(credential.version),
        mac.map(|mac| credentials::mac.eq(mac)),
    );
    let rows = on!(conn, |c| diesel::update(own).set(changes).execute(c))?;
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
    let row = on!(conn, |c| credentials::table
        .select(Row::as_select())
        .filter(credentials::tenant.eq(tenant.0))
        .filter(credentials::id.eq(&id.as_bytes()[..]))
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
    const COLUMNS: &str = "c.key, c.id, c.owner, c.class, c.connection, c.selector, c.digest, c.name, c.permissions, \
         c.created_at, c.created_by, c.expires_at, c.reasons, c.revoked_at, c.revoke_reason, c.version, c.mac";
    let own = conn.each("credentials", "c", "c.tenant = ? AND c.id = list.value");
    let sql = format!("SELECT {COLUMNS} {LISTED}{own}");
    let mut found = Vec::with_capacity(ids.len());
    for ids in ids.chunks(CHUNK) {
        let rows = conn.load_sql::<SqlRow, Row>(&sql, &[Bind::List(List::ids(ids)), Bind::Int(tenant.0)])?;
        found.extend(rows.into_iter().map(Row::into_stored));
    }
    Ok(found)
}

/// Finds a credential by id and locks it until the transaction ends.
///
/// # Errors
/// If the database cannot be read.
pub fn lock(conn: &mut Conn, tenant: TenantKey, id: &Id) -> Result<Option<StoredCredential>> {
    let row = locked!(
        conn,
        credentials::table
            .select(Row::as_select())
            .filter(credentials::tenant.eq(tenant.0))
            .filter(credentials::id.eq(&id.as_bytes()[..])),
        Row
    )?;
    Ok(row.map(Row::into_stored))
}

/// The credentials of an owner that are not revoked, by key.
///
/// # Errors
/// If the database cannot be read.
pub fn of_owner(conn: &mut Conn, tenant: TenantKey, owner: &Id) -> Result<Vec<StoredCredential>> {
    let rows = on!(conn, |c| credentials::table
        .select(Row::as_select())
        .filter(credentials::tenant.eq(tenant.0))
        .filter(credentials::owner.eq(&owner.as_bytes()[..]))
        .filter(credentials::revoked_at.is_null())
        .order(credentials::key)
        .load::<Row>(c))?;
    Ok(rows.into_iter().map(Row::into_stored).collect())
}

/// Which credentials a page is of.
#[derive(Clone, Copy, Debug)]
pub enum Part<'p> {
    /// All of the tenant.
    All,
    /// One owner's.
    Owner(&'p Id),
    /// Those of a class.
    Class(Class),
}

/// A page of a tenant's credentials, revoked ones included, with their keys and in the order of these.
///
/// # Errors
/// If the database cannot be read.
pub fn list(
    conn: &mut Conn,
    tenant: TenantKey,
    part: Part<'_>,
    after: Option<i64>,
    limit: i64,
) -> Result<Vec<(i64, StoredCredential)>> {
    let after = after.unwrap_or(0);
    // PostgreSQL's plan for any values would walk along the primary key and drop what is not of the part; behind a
    // pair only the part's own index begins. SQLite knows no index by a pair of which one is given.
    let by_pair = matches!(conn, Conn::Postgres(_)) && !matches!(part, Part::All);
    let rows = on!(conn, |c| {
        let query = credentials::table
            .select(Row::as_select())
            .filter(credentials::tenant.eq(tenant.0))
            .order(credentials::key)
            .limit(limit)
            .into_boxed();
        let query = if by_pair { query } else { query.filter(credentials::key.gt(after)) };
        let query = match part {
            Part::All => query,
            Part::Owner(owner) => {
                let owner = owner.as_bytes().to_vec();
                let query = query.filter(credentials::owner.eq(owner.clone()));
                let pair = sql::<Bool>("(owner, key) > (").bind::<Binary, _>(owner).sql(", ");
                if by_pair { query.filter(pair.bind::<BigInt, _>(after).sql(")")) } else { query }
            }
            Part::Class(class) => {
                let class = class.letter().to_string();
                let query = query.filter(credentials::class.eq(class.clone()));
                let pair = sql::<Bool>("(class, key) > (").bind::<Text, _>(class).sql(", ");
                if by_pair { query.filter(pair.bind::<BigInt, _>(after).sql(")")) } else { query }
            }
        };
        query.load::<Row>(c)
    })?;
    Ok(rows.into_iter().map(|row| (row.key, row.into_stored())).collect())
}

/// A page of a tenant's credentials that end before a time, those that end first before the others: behind an end
/// and a key. Times are in milliseconds since 1970.
///
/// # Errors
/// If the database cannot be read.
pub fn ending(
    conn: &mut Conn,
    tenant: TenantKey,
    after: (i64, i64),
    before: i64,
    limit: i64,
) -> Result<Vec<(i64, StoredCredential)>> {
    let behind =
        sql::<Bool>("(expires_at, key) > (").bind::<BigInt, _>(after.0).sql(", ").bind::<BigInt, _>(after.1).sql(")");
    let own = credentials::tenant.eq(tenant.0).and(credentials::expires_at.lt(before)).and(behind);
    let rows = on!(conn, |c| credentials::table
        .select(Row::as_select())
        .filter(own)
        .order((credentials::expires_at, credentials::key))
        .limit(limit)
        .load::<Row>(c))?;
    Ok(rows.into_iter().map(|row| (row.key, row.into_stored())).collect())
}

/// Keeps why a credential was revoked, in people's own words.
///
/// # Errors
/// A unique violation if there is such a note already.
pub fn add_note(conn: &mut Conn, tenant: TenantKey, credential: &Credential, note: &str) -> Result<()> {
    let values = (
        revocation_notes::tenant.eq(tenant.0),
        revocation_notes::credential.eq(&credential.id.as_bytes()[..]),
        revocation_notes::owner.eq(&credential.owner.as_bytes()[..]),
        revocation_notes::note.eq(note),
    );
    on!(conn, |c| diesel::insert_into(revocation_notes::table).values(values).execute(c))?;
    Ok(())
}

/// The notes of some credentials.
///
/// # Errors
/// If the database cannot be read.
pub fn notes(conn: &mut Conn, tenant: TenantKey, ids: &[Id]) -> Result<HashMap<Id, String>> {
    let own = conn.each("revocation_notes", "n", "n.tenant = ? AND n.credential = list.value");
    let sql = format!("SELECT n.credential, n.note {LISTED}{own}");
    let mut found = HashMap::new();
    for ids in ids.chunks(CHUNK) {
        let binds = [Bind::List(List::ids(ids)), Bind::Int(tenant.0)];
        for (id, note) in conn.load_sql::<(Binary, Text), (Vec<u8>, String)>(&sql, &binds)? {
            found.insert(Column("revocation_notes", "credential").id(&id)?, note);
        }
    }
    Ok(found)
}

/// Forgets the notes about an owner's credentials.
///
/// # Errors
/// If the database cannot be written.
pub fn forget_notes(conn: &mut Conn, tenant: TenantKey, owner: &Id) -> Result<()> {
    // SQLite would find them by the tenant alone, which is the beginning of the primary key.
    let index = if matches!(conn, Conn::Sqlite(_)) { "INDEXED BY revocation_notes_owner" } else { "" };
    let sql = format!("DELETE FROM revocation_notes {index} WHERE tenant = ? AND owner = ?");
    conn.execute_sql(&sql, &[Bind::Int(tenant.0), Bind::Bytes(owner.as_bytes())])?;
    Ok(())
}
