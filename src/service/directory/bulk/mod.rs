//! Bulk jobs (RFC 7644 §3.7): many operations in one request, each atomic and authorized by itself.
//!
//! `plan` finds out who waits for whom, `job` takes them in that order, `operation` does one of them, `circle` several that refer
//! to each other, `references` replaces `bulkId:` by ids, `lost` records what was refused and would have made somebody leave.

mod circle;
mod job;
mod lost;
mod operation;
mod plan;
mod references;

use std::collections::btree_map::IntoValues;
use std::collections::{BTreeMap, HashMap};

use self::job::Job;
use self::lost::Known;
use self::plan::Plan;
use crate::domain::Operation;
use crate::scim;
use crate::scim::json::Limits;
use crate::scim::message::{BulkRequest, BulkResult, bulk_frame};
use crate::service::body::{Body, PIECE_BYTES, Rest};
use crate::service::{Context, Error, Service, authorize};

/// The outcome of a job.
#[derive(Debug)]
pub struct Done {
    /// The BulkResponse.
    pub body: Body,
    /// The tolerances that the operations needed.
    pub tolerances: String,
}

/// The results of a job that are still to be sent.
#[derive(Debug)]
struct Outcomes {
    rest: IntoValues<usize, BulkResult>,
    count: usize,
}

impl Rest for Outcomes {
    fn next(&mut self, _: &Service) -> Result<Option<Body>, Error> {
        let mut text = vec![];
        while text.len() < PIECE_BYTES
            && let Some(result) = self.rest.next()
        {
            if self.count > 0 {
                text.push(b',');
            }
            serde_json::to_writer(&mut text, &result.render())?;
            self.count += 1;
        }
        if text.is_empty() {
            return Ok(None);
        }
        Ok(Some(Body::text(String::from_utf8(text).map_err(Error::internal)?)))
    }
}

impl Service {
    /// Carries out a job. The operations are read one by one, so that its memory is that of its largest.
    ///
    /// # Errors
    /// 400 for a job that is malformed, 413 for one over the limits; nothing has changed then.
    pub fn bulk(&self, context: &Context, body: &[u8]) -> Result<Done, Error> {
        authorize(&context.caller, Operation::Bulk, None)?;
        carry_out(self, context, body).map_err(|error| {
            let known = Known { service: self, context, ids: &HashMap::new(), says: false };
            lost::record(known, body, error)
        })
    }
}

/// The job itself.
fn carry_out(service: &Service, context: &Context, body: &[u8]) -> Result<Done, Error> {
    let mut tolerances = service.tolerances(context);
    let body = tolerances.json_bytes(body);
    let limits = Limits { unstorable: tolerances.dialect().is_lenient(), ..Limits::default() };
    let request = BulkRequest::parse(&body, &limits, &mut tolerances)?;
    let max = service.settings().limits.bulk_operations_max;
    if request.operations.len() > max {
        let detail = format!("the job has {} operations: maxOperations is {max}", request.operations.len());
        return Err(scim::Error::status(413, detail).into());
    }
    let plan = Plan::new(&request.operations, &mut tolerances)?;
    let mut job = Job {
        service,
        context,
        operations: &request.operations,
        ids: HashMap::new(),
        results: BTreeMap::new(),
        tolerances,
        beside: request.beside,
    };
    job.run(plan, request.fail_on_errors);
    let failed = job.results.iter().find(|(_, result)| result.status >= 400);
    if let Some((place, result)) = failed {
        result.error.iter().for_each(|error| context.noted.failed(*place, error));
    }
    for result in job.results.values() {
        let kind = result.error.as_ref().and_then(|error| error.scim_type);
        let name = kind.map_or_else(|| result.status.to_string(), |kind| format!("{}/{}", result.status, kind.name()));
        context.noted.outcome(name);
    }
    let (head, tail) = bulk_frame();
    let body = Body::framed(service, head, Outcomes { rest: job.results.into_values(), count: 0 }, tail)?;
    Ok(Done { body, tolerances: job.tolerances.header() })
}
