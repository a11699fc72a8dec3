//! Takes away what was true before the time that is kept.

use chrono::{DateTime, Utc};

use super::{Job, Lag, Outcome};
use crate::service::work::{Lease, sweep};
use crate::service::{Error, Service};

/// The job.
pub struct Sweep {
    lease: Lease,
    /// The time before which nothing was left when that was last looked for.
    swept: Option<DateTime<Utc>>,
}

impl Sweep {
    /// The job of a node.
    pub fn new(service: &Service) -> Sweep {
        Sweep { lease: Lease::new(sweep::JOB, service), swept: None }
    }
}

impl Job for Sweep {
    fn name(&self) -> &'static str {
        sweep::JOB
    }

    fn step(&mut self, service: &Service, now: DateTime<Utc>) -> Result<Outcome, Error> {
        let horizon = sweep::horizon(service, now)?;
        if self.swept == Some(horizon) {
            return Ok(Outcome::Idle);
        }
        let outcome = sweep::step(service, &self.lease, now)?;
        if outcome == Outcome::Idle {
            self.swept = Some(horizon);
        }
        Ok(outcome)
    }

    fn lag(&self, service: &Service, now: DateTime<Utc>) -> Result<Lag, Error> {
        if self.swept == Some(sweep::horizon(service, now)?) {
            return Ok(Lag::default());
        }
        sweep::lag(service, now)
    }
}
