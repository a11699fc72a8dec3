//! The first tenant: its operator, its connection, and the two keys that start everything.

use serde_json::{Value, json};

use crate::domain::class::Class;
use crate::domain::credential::{Grant, LIFETIME_DEFAULT};
use crate::domain::log::{Entry, Fork, Head, NO_HASH, RequestRef};
use crate::domain::principal::{OPERATOR, PrincipalKind};
use crate::domain::{Caller, Connection, Id, Operation, Permission, Principal, Tenant};
use crate::scim::tolerance::Dialect;
use crate::service::catalogue::mappings;
use crate::service::error::Conflict;
use crate::service::keys::{NewKey, issue};
use crate::service::{Change, Context, Error, Service, change, memory};
use crate::store::{self, Conn};

/// The name of the tenant and of the connection that `init` makes.
pub const DEFAULT: &str = "default";

impl Service {
    /// Whether the database has no tenant yet.
    ///
    /// # Errors
    /// If the store fails.
    pub fn is_empty(&self) -> Result<bool, Error> {
        self.read(|conn| Ok(store::tenants::all(conn)?.is_empty()))
    }

    /// A tenant by name.
    ///
    /// # Errors
    /// [`Error::Refused`] if there is none: `keyroll init` makes it.
    pub fn tenant(&self, name: &str) -> Result<Tenant, Error> {
        let tenant = self.read(|conn| Ok(store::tenants::by_name(conn, name)?))?;
        let missing = || Error::Refused(format!("the database has no tenant {name}: run keyroll init"));
        let tenant = tenant.ok_or_else(missing)?;
        // Where its log ends: no time is earlier. The host looks at one that forked, too, and changes nothing in it but that.
        match memory::stamp(self, tenant.key) {
            Ok(_) | Err(Error::Forked(_)) => Ok(tenant),
            Err(error) => Err(error),
        }
    }

    /// Makes tenant, operator, connection and keys, and gives what is printed once.
    ///
    /// # Errors
    /// [`Error::Conflict`] if the database has a tenant of that name; nothing is changed then.
    pub fn init(&self, tenant_name: &str) -> Result<Value, Error> {
        let (service, tenant_name) = (self.clone(), tenant_name.to_owned());
        self.inner.store.write(move |conn| {
            if store::tenants::by_name(conn, &tenant_name)?.is_some() {
                return Err(already_initialised(&tenant_name));
            }
            let (tenant, admin_key, provisioning_key) = make_tenant(&service, conn, &tenant_name)?;
            Ok(json!({
                "tenant": tenant.name,
                "scim_base_url": service.scim_base_url(),
                "provisioning_key": provisioning_key,
                "admin_key": admin_key,
            }))
        })
    }
}

/// Gives those who held permissions before there were mappings a mapping instead, with its record.
///
/// # Errors
/// If the store fails.
pub(in crate::service) fn map_direct_grants(service: &Service) -> Result<(), Error> {
    let tenants = service.read(|conn| {
        let mut found = vec![];
        for tenant in store::tenants::all(conn)? {
            if !store::principals::direct_grants(conn, tenant.key)?.is_empty() {
                found.push(tenant);
            }
        }
        Ok(found)
    })?;
    for tenant in tenants {
        let request = RequestRef { id: String::new(), method: "CLI".into(), route: "migrate".into() };
        let context = Context::new(Caller::host(tenant), request);
        change::perform(service, &context, Operation::MappingCreate, None, |change| {
            for (id, _) in store::principals::direct_grants(change.conn, change.key())? {
                let admin = mappings::admin(change, id, "migrated");
                mappings::add(change, &admin)?;
                store::principals::clear_direct_grant(change.conn, change.key(), &id)?;
            }
            Ok(())
        })?;
    }
    Ok(())
}

fn make_tenant(service: &Service, conn: &mut Conn, name: &str) -> Result<(Tenant, String, String), Error> {
    let now = service.now();
    let tenant = store::tenants::insert(conn, &Id::mint(now, service.entropy()), name, now);
    // Another node was faster between the look and the insert.
    let tenant = tenant.map_err(|error| if error.is_taken() { already_initialised(name) } else { error.into() })?;
    let head = Head { next_seq: 0, hash: NO_HASH, time: now, policy_seq: 0, policy_epoch: 0, fork: Fork::default() };
    store::log::start(conn, tenant.key, &head)?;
    let request = RequestRef { id: String::new(), method: "CLI".into(), route: "init".into() };
    let context = Context::new(Caller::host(tenant.clone()), request);
    let mut change = Change::new(service, conn, &context, Operation::Init, head);
    change.record(Entry::new(Operation::Init.action(), "tenant", tenant.id));

    let operator = local(&change, PrincipalKind::User, OPERATOR);
    add_principal(&mut change, &operator)?;
    let connection = add_connection(&mut change, DEFAULT)?;
    let admin = NewKey {
        name: "admin".to_owned(),
        class: Class::User,
        grant: Grant::of(Permission::parse("keyroll:*:*").into_iter().collect()),
        lifetime: LIFETIME_DEFAULT,
        connection: None,
    };
    let (_, admin_key) = issue(&mut change, &operator, admin)?;
    let agent = store::principals::find(change.conn, tenant.key, &connection.agent)?.ok_or(Error::NotFound)?;
    let (_, provisioning_key) = issue(&mut change, &agent, NewKey::provisioning(&connection))?;
    let mapping = mappings::admin(&change, operator.id, "init");
    mappings::add(&mut change, &mapping)?;
    change.finish()?;
    Ok((tenant, admin_key.reveal(), provisioning_key.reveal()))
}

fn already_initialised(name: &str) -> Error {
    Error::Conflict { code: Conflict::AlreadyInitialised, detail: format!("the database has a tenant {name} already") }
}

fn local(change: &Change<'_>, kind: PrincipalKind, name: &str) -> Principal {
    Principal {
        id: change.mint(),
        kind,
        local: true,
        name: name.to_owned(),
        active: true,
        admin_hold: false,
        suspended_at: None,
        deleted_at: None,
    }
}

fn add_principal(change: &mut Change<'_>, principal: &Principal) -> Result<(), Error> {
    let seq = change.seq();
    store::principals::insert(change.conn, change.key(), principal, seq)?;
    change.record(Entry::new("principal.created", principal.kind.name(), principal.id).with("origin", "local"));
    Ok(())
}

/// A connection and the local Agent that owns its keys.
fn add_connection(change: &mut Change<'_>, name: &str) -> Result<Connection, Error> {
    let agent = local(change, PrincipalKind::Agent, name);
    add_principal(change, &agent)?;
    let connection = Connection {
        key: 0,
        id: change.mint(),
        name: name.to_owned(),
        dialect: Dialect::Auto,
        agent: agent.id,
        unique_group_names: true,
        unique_external_ids: false,
    };
    let connection = store::connections::insert(change.conn, change.key(), &connection, change.now)?;
    change.record(
        Entry::new("connection.created", "connection", connection.id).with("agent", connection.agent.to_string()),
    );
    Ok(connection)
}
