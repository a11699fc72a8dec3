//! One change in its transaction: the connection, who asks, and what will be recorded.

pub(in crate::service) mod ending;
pub(in crate::service) mod perform;
pub(in crate::service) mod refusals;

use std::sync::Arc;

use chrono::{DateTime, Utc};

use crate::domain::log::{self, Entry, Head};
use crate::domain::{Id, Operation, Policy, Tenant, TenantKey};
use crate::scim::ResourceType;
use crate::service::access::policy;
use crate::service::caller::{authenticate, standing};
pub(in crate::service) use crate::service::change::perform::{perform, perform_each};
use crate::service::{Context, Error, Service, authorize, memory};
use crate::store::{self, Conn, ResourceKey};

/// A change in the making. What is recorded here is appended when the change finishes.
pub struct Change<'c> {
    /// The server.
    pub service: &'c Service,
    /// The transaction.
    pub conn: &'c mut Conn,
    /// Who asks, in which request.
    pub context: &'c Context,
    /// What is being done.
    pub operation: Operation,
    /// The time of the change.
    pub now: DateTime<Utc>,
    /// The type that the caller was authorized for.
    resource_type: Option<&'static ResourceType>,
    /// The end of the log, once it is locked.
    head: Option<Head>,
    /// What it has dated before the log was locked.
    dated: Vec<ResourceKey>,
    entries: Vec<Entry>,
    touched: Touched,
}

/// What a change does to what services read of roles and mappings.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::service) enum Touched {
    /// Nothing.
    Nothing,
    /// A group that is mapped has another name, or comes, or goes.
    Identity,
    /// An api, a role or a mapping.
    Catalogue,
}

impl<'c> Change<'c> {
    pub(in crate::service) fn new(
        service: &'c Service,
        conn: &'c mut Conn,
        context: &'c Context,
        operation: Operation,
        resource_type: Option<&'static ResourceType>,
    ) -> Change<'c> {
        Change {
            service,
            conn,
            context,
            operation,
            resource_type,
            now: memory::recording_in(service, context.caller.tenant.key),
            head: None,
            dated: vec![],
            entries: vec![],
            touched: Touched::Nothing,
        }
    }

    /// The caller's tenant.
    pub fn tenant(&self) -> &'c Tenant {
        &self.context.caller.tenant
    }

    /// Its surrogate key.
    pub fn key(&self) -> TenantKey {
        self.context.caller.tenant.key
    }

    /// A new id.
    pub fn mint(&self) -> Id {
        Id::mint(self.now, self.service.entropy())
    }

    /// The number of the next record. Locks the log: call it after every check and unique insert, and
    /// before the first row that stores the number (design §4, lock order) or that kills a key.
    ///
    /// # Errors
    /// If the caller may not any more, or the store fails.
    pub fn seq(&mut self) -> Result<i64, Error> {
        let next = match &self.head {
            Some(head) => head.next_seq,
            None => self.lock_head()?,
        };
        Ok(next + self.entries.len() as i64)
    }

    /// The end of the log that this transaction found. Locks the log, as [`Change::seq`] does.
    pub(in crate::service) fn locked_head(&mut self) -> Result<Head, Error> {
        self.seq()?;
        self.head.clone().ok_or_else(|| Error::internal("the log is not locked"))
    }

    /// The policy as this transaction found it. Locks the log: see [`Change::seq`].
    ///
    /// # Errors
    /// If the store fails.
    pub(in crate::service) fn policy(&mut self) -> Result<Arc<Policy>, Error> {
        let (service, tenant, head) = (self.service, self.key(), self.locked_head()?);
        let found = policy::of(service, self.conn, tenant, &head)?;
        if !self.has_touched_catalogue() {
            return Ok(found);
        }
        // What this transaction wrote has no number yet under which it could be kept.
        Ok(Arc::new(found.with(policy::catalogue_change(store::catalogue::since(self.conn, tenant, head.next_seq)?)?)))
    }

    /// Notes that what services read of roles and mappings is another after this change.
    pub(in crate::service) fn touch_policy(&mut self, touched: Touched) {
        self.touched = self.touched.max(touched);
    }

    /// Whether it has changed the catalogue.
    pub(in crate::service) fn has_touched_catalogue(&self) -> bool {
        self.touched == Touched::Catalogue
    }

    /// Locks the log. From here on nothing is recorded before this change, so the caller is looked at once
    /// more: if its key died since the change began, that was answered, and nothing may follow it (promise
    /// P4). SQLite's changes take turns from their beginning.
    fn lock_head(&mut self) -> Result<i64, Error> {
        let head = store::log::lock_head(self.conn, self.key())?;
        if !self.service.is_embedded() {
            let caller = authenticate::refresh(self.service, self.conn, &self.context.caller)?;
            authorize(&caller, self.operation, self.resource_type)?;
        }
        let next = head.next_seq;
        self.build_on(head)?;
        Ok(next)
    }

    /// Takes the end of the log, which is locked: the change is not earlier, and so is nothing that it has dated.
    /// Otherwise whoever reads what is later than all it has read would never read this.
    pub(in crate::service) fn build_on(&mut self, head: Head) -> Result<(), Error> {
        let millis = DateTime::<Utc>::timestamp_millis;
        let before = self.now;
        self.now = before.max(head.time);
        self.head = Some(head);
        let dated = std::mem::take(&mut self.dated);
        if !dated.is_empty() && millis(&before) < millis(&self.now) {
            store::resources::redate(self.conn, self.key(), &dated, self.now)?;
        }
        Ok(())
    }

    /// Notes that a resource carries the time of this change.
    pub(in crate::service) fn date(&mut self, resource: ResourceKey) {
        if self.head.is_none() {
            self.dated.push(resource);
        }
    }

    /// Notes what happened; the log gets it with the commit.
    pub fn record(&mut self, entry: Entry) {
        self.entries.push(entry);
    }

    /// Appends the entries to the tenant's log.
    pub(in crate::service) fn finish(mut self) -> Result<(), Error> {
        if self.entries.is_empty() {
            return Ok(());
        }
        let entries = std::mem::take(&mut self.entries);
        self.seq()?;
        let Some(before) = self.head else { return Ok(()) };
        let mut head = before.clone();
        let mut records = Vec::with_capacity(entries.len());
        for entry in entries {
            let (record, next) = log::append(&head, entry, &self.context.caller, &self.context.request, self.now)?;
            records.push(record);
            head = next;
        }
        if self.touched != Touched::Nothing {
            head.policy_seq = head.next_seq - 1;
        }
        if self.touched == Touched::Catalogue {
            let mut epoch = [0; 8];
            self.service.entropy().fill(&mut epoch);
            head.policy_epoch = i64::from_be_bytes(epoch);
        }
        let key = self.context.caller.tenant.key;
        store::log::append(self.conn, key, &records, &head)?;
        standing::carry_over(self.service, key, &before, &records, &head);
        self.context.noted.recorded(before.next_seq, head.next_seq - 1);
        Ok(())
    }
}
