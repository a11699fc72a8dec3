//! One change in its transaction: the connection, who asks, and what will be recorded.

pub(in crate::service) mod ending;
pub(in crate::service) mod perform;
mod reduction;
pub(in crate::service) mod refusals;

use std::sync::Arc;

use chrono::{DateTime, Utc};

use crate::domain::log::{self, Entry, Fork, Head};
use crate::domain::{Id, Operation, Policy, Tenant, TenantKey};
use crate::service::access::policy;
use crate::service::caller::standing;
pub(in crate::service) use crate::service::change::perform::{perform, perform_each, perform_on};
use crate::service::{Context, Error, Service, memory};
use crate::store::{self, Conn};

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
    /// The end of the log as this change found it, which is locked: changes of a tenant take turns.
    head: Head,
    entries: Vec<Entry>,
    touched: Touched,
}

/// What a change has left in the log.
pub(in crate::service) struct Recorded {
    /// The number of its first record.
    first: i64,
    /// That of its last.
    last: i64,
    /// Whether somebody may have less than before.
    reduces: bool,
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
    /// A change on top of a log that is locked. It is not earlier than what stands there, or whoever reads what is later
    /// than all it has read would never read this.
    pub(in crate::service) fn new(
        service: &'c Service,
        conn: &'c mut Conn,
        context: &'c Context,
        operation: Operation,
        head: Head,
    ) -> Change<'c> {
        let now = memory::recording_in(service, context.caller.tenant.key).max(head.time);
        Change { service, conn, context, operation, now, head, entries: vec![], touched: Touched::Nothing }
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

    /// The number of the next record.
    pub fn seq(&self) -> i64 {
        self.head.next_seq + self.entries.len() as i64
    }

    /// The number of the record that tells of what is done now without one of its own: the last of this change, or its
    /// first, if that is yet to come.
    pub fn told_seq(&self) -> i64 {
        self.seq() - i64::from(!self.entries.is_empty())
    }

    /// The policy as this transaction found it.
    ///
    /// # Errors
    /// If the store fails.
    pub(in crate::service) fn policy(&mut self) -> Result<Arc<Policy>, Error> {
        let (service, tenant) = (self.service, self.key());
        let found = policy::of(service, self.conn, tenant, &self.head)?;
        if !self.has_touched_catalogue() {
            return Ok(found);
        }
        // What this transaction wrote has no number yet under which it could be kept.
        Ok(Arc::new(found.with(policy::catalogue_change(store::catalogue::since(
            self.conn,
            tenant,
            self.head.next_seq,
        )?)?)))
    }

    /// Notes that what services read of roles and mappings is another after this change.
    pub(in crate::service) fn touch_policy(&mut self, touched: Touched) {
        self.touched = self.touched.max(touched);
    }

    /// Whether it has changed the catalogue.
    pub(in crate::service) fn has_touched_catalogue(&self) -> bool {
        self.touched == Touched::Catalogue
    }

    /// Whether servers knew a log that went on otherwise.
    pub(in crate::service) fn fork(&self) -> Fork {
        self.head.fork
    }

    /// Notes that what they knew is lost. What services keep of roles and mappings may be of it.
    ///
    /// # Errors
    /// If the store fails.
    pub(in crate::service) fn accept_fork(&mut self) -> Result<(), Error> {
        self.head.fork = Fork { after: None, accepted: Some(self.now) };
        self.touch_policy(Touched::Catalogue);
        Ok(store::log::set_fork(self.conn, self.context.caller.tenant.key, &self.head)?)
    }

    /// Notes what happened; the log gets it with the commit.
    pub fn record(&mut self, entry: Entry) {
        self.entries.push(entry);
    }

    /// Whether somebody may have less than before.
    fn reduces(&mut self) -> Result<bool, Error> {
        let (entries, renames) = (std::mem::take(&mut self.entries), self.touched == Touched::Identity);
        let found = reduction::may_reduce(&entries, renames, || Ok(self.policy()?.reads_documents()));
        self.entries = entries;
        found
    }

    /// Appends the entries to the tenant's log; gives what it has recorded, if there was anything.
    pub(in crate::service) fn finish(mut self) -> Result<Option<Recorded>, Error> {
        if self.entries.is_empty() {
            return Ok(None);
        }
        let reduces = self.reduces()?;
        let before = self.head;
        let mut head = before.clone();
        let mut records = Vec::with_capacity(self.entries.len());
        for entry in self.entries {
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
        Ok(Some(Recorded { first: before.next_seq, last: head.next_seq - 1, reduces }))
    }
}
