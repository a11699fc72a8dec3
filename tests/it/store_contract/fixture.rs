//! Things to store.

use chrono::{DateTime, TimeDelta, Utc};
use keyroll::domain::class::Class;
use keyroll::domain::credential::{Grant, Slot};
use keyroll::domain::principal::PrincipalKind;
use keyroll::domain::secret::Digest;
use keyroll::domain::{Connection, Credential, Id, Permissions, Principal, Tenant, TenantKey};
use keyroll::scim::tolerance::Dialect;
use keyroll::store::resources::{self, NewResource};
use keyroll::store::{Conn, Error, ResourceKey, Store, connections, tenants};

pub fn id(number: u64) -> Id {
    let mut bytes = [0; 16];
    bytes[8..].copy_from_slice(&number.to_be_bytes());
    Id::from_bytes(&bytes).unwrap()
}

pub fn at(second: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(1_800_000_000 + second, 123_000_000).unwrap()
}

/// Writes with the store's own error.
pub fn write<T: Send + 'static>(store: &Store, work: impl Fn(&mut Conn) -> Result<T, Error> + Send + 'static) -> T {
    store.write(work).unwrap()
}

/// Why the database refused, as far as its kinds tell.
pub fn refused<T: std::fmt::Debug>(done: Result<T, Error>) -> &'static str {
    use diesel::result::{DatabaseErrorKind as Kind, Error as Diesel};
    match done.unwrap_err() {
        Error::Database(Diesel::NotFound) => "not found",
        Error::Database(Diesel::DatabaseError(Kind::UniqueViolation, _)) => "taken",
        // PostgreSQL 18 tells apart what ON DELETE RESTRICT refuses.
        Error::Database(Diesel::DatabaseError(Kind::ForeignKeyViolation | Kind::RestrictViolation, _)) => {
            "a reference is missing"
        }
        // SQLite, where the statement does not say which row is meant.
        Error::Database(Diesel::DatabaseError(Kind::Unknown, about))
            if about.message() == "FOREIGN KEY constraint failed" =>
        {
            "a reference is missing"
        }
        other => panic!("{other:?}"),
    }
}

/// Reads with the store's own error.
pub fn read<T>(store: &Store, work: impl Fn(&mut Conn) -> Result<T, Error>) -> T {
    store.read(work).unwrap()
}

pub fn tenant(store: &Store, number: u64) -> Tenant {
    write(store, move |conn| tenants::insert(conn, &id(number), &format!("tenant {number}"), at(0)))
}

pub fn connection(store: &Store, tenant: TenantKey, number: u64) -> Connection {
    let connection = Connection {
        key: 0,
        id: id(number),
        name: format!("connection {number}"),
        dialect: Dialect::Okta,
        agent: id(number + 1),
        unique_group_names: true,
        unique_external_ids: false,
    };
    write(store, move |conn| connections::insert(conn, tenant, &connection, at(0)))
}

pub fn add(conn: &mut Conn, tenant: TenantKey, type_name: &str, number: u64) -> Result<ResourceKey, Error> {
    let display = format!("{type_name} {number}");
    let document = format!(r#"{{"displayName":"{display}"}}"#);
    let new = NewResource {
        id: id(number),
        type_name,
        connection: None,
        display: Some(&display),
        document: &document,
        created: at(number as i64),
    };
    resources::insert(conn, tenant, &new)
}

pub fn resource(store: &Store, tenant: TenantKey, type_name: &'static str, number: u64) -> ResourceKey {
    write(store, move |conn| add(conn, tenant, type_name, number))
}

pub fn principal(number: u64) -> Principal {
    Principal {
        id: id(number),
        kind: PrincipalKind::Agent,
        local: false,
        name: format!("principal {number}"),
        active: true,
        admin_hold: false,
        suspended_at: None,
        deleted_at: None,
    }
}

pub fn credential(number: u64, owner: u64) -> Credential {
    Credential {
        id: id(number),
        owner: id(owner),
        class: Class::Service,
        connection: None,
        selector: format!("selector{number:04}"),
        digest: Digest([number as u8; 32]),
        name: format!("key {number}"),
        grant: Grant::of(Permissions::parse(["billing:*:read"]).unwrap()),
        created_at: at(1),
        created_by: None,
        expires_at: at(1) + TimeDelta::days(90),
        reasons: vec![],
        revoked: None,
        version: 1,
        text_hash: None,
        lineage: id(number),
        slot: Some(Slot::Current),
        predecessor: None,
        retirement: None,
        first_used_at: None,
    }
}
