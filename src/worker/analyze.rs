//! Has the database count its rows after a large change.

use chrono::{DateTime, Utc};

use super::{Job, Lag, Outcome};
use crate::service::work::{Lease, analyze};
use crate::service::{Error, Service};

/// The job.
pub struct Analyze {
    lease: Lease,
}

impl Analyze {
    /// The job of a node.
    pub fn new(service: &Service) -> Analyze {
        Analyze { lease: Lease::new(analyze::JOB, service) }
    }
}

impl Job for Analyze {
    fn name(&self) -> &'static str {
        analyze::JOB
    }

    fn step(&mut self, service: &Service, now: DateTime<Utc>) -> Result<Outcome, Error> {
        analyze::step(service, &self.lease, now)
    }

    fn lag(&self, service: &Service, _: DateTime<Utc>) -> Result<Lag, Error> {
        analyze::lag(service)
    }
}
