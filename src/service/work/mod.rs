//! What the worker's jobs are made of: steps, each in its own short transaction, that one node at a time takes.
//!
//! A node that finds something to do takes the job's lease in the transaction of its first step, goes on with it in
//! that of each further one, and lets go of it in that of the last. So nothing is written while there is nothing to
//! do, and whoever has lost the lease commits nothing.

pub mod analyze;
pub mod sweep;

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};

use crate::domain::Id;
use crate::service::{Error, Service, clocks};
use crate::store::{self, Conn};

/// How long a node that has fallen silent keeps others from its job.
const LEASE: TimeDelta = TimeDelta::seconds(60);

/// What a step of a job came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// There is nothing to do.
    Idle,
    /// Something was done, and there may be more.
    Worked,
    /// Another node does the job.
    Elsewhere,
}

/// How far a job is behind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Lag {
    /// The records that it has yet to come through, in all logs.
    pub records: i64,
    /// Since when it could have dealt with the first of them.
    pub since: Option<DateTime<Utc>>,
}

/// A job, as one node does it.
#[derive(Clone, Debug)]
pub struct Lease {
    job: &'static str,
    holder: Id,
}

impl Lease {
    /// What a node takes a job by. Each process is a holder of its own, however often it starts.
    pub fn new(job: &'static str, service: &Service) -> Lease {
        Lease { job, holder: Id::mint(service.now(), service.entropy()) }
    }

    /// Whether another node does the job: then it is not worth a transaction to try.
    fn is_elsewhere(&self, conn: &mut Conn, now: DateTime<Utc>) -> Result<bool, Error> {
        Ok(store::leases::is_elsewhere(conn, self.job, &self.holder, now)?)
    }

    /// Does a step in a transaction, unless another node does the job. `work` tells whether it was the last.
    fn step(
        &self,
        service: &Service,
        now: DateTime<Utc>,
        work: impl Fn(&mut Conn) -> Result<bool, Error> + Send + 'static,
    ) -> Result<Outcome, Error> {
        let lease = self.clone();
        service.inner.store.write(move |conn| {
            if !store::leases::take(conn, lease.job, &lease.holder, now, LEASE)? {
                return Ok(Outcome::Elsewhere);
            }
            if work(conn)? {
                store::leases::release(conn, lease.job, &lease.holder)?;
            }
            Ok(Outcome::Worked)
        })
    }
}

/// Both clocks, for who keeps time by itself: this node's, and one that nobody sets.
pub(crate) fn both_clocks(service: &Service) -> (DateTime<Utc>, Duration) {
    (service.inner.clock.now(), service.inner.clock.monotonic())
}

/// Makes sure that a step may go by this node's clock, which is compared with the database's now: nobody may have
/// asked it for long. What is taken away too early does not come back.
fn believe_clock(service: &Service) -> Result<(), Error> {
    service.inner.store.data_version()?;
    clocks::compare(service);
    clocks::believe(service, clocks::newest_record(service)?).map_err(Error::Busy)
}
