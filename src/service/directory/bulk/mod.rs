//! Bulk jobs (RFC 7644 §3.7): many operations in one request, each atomic and authorized by itself.
//!
//! `plan` finds out who waits for whom, `operation` does one of them, `references` replaces `bulkId:` by ids. Operations whose
//! references form a circle are created together in one transaction: all of them or none.

mod lost;
mod operation;
mod plan;
mod references;

use std::collections::btree_map::IntoValues;
use std::collections::{BTreeMap, HashMap};

use serde_json::Value;
use serde_json::value::RawValue;

use self::operation::{BulkTarget, Outcome};
use self::plan::{Plan, Step};
use self::references::{Ids, Stripped};
use crate::domain::Operation;
use crate::domain::secret::without_keys;
use crate::scim::json::Limits;
use crate::scim::message::{BulkMethod, BulkOperation, BulkRequest, BulkResult, bulk_frame};
use crate::scim::tolerance::Tolerances;
use crate::scim::{self, ResourceType, patch, validate};
use crate::service::body::{Body, PIECE_BYTES, Rest};
use crate::service::conditions::Conditions;
use crate::service::directory::refusals;
use crate::service::directory::resources::{self, Saved, create_in, patch_in};
use crate::service::{Change, Context, Error, Service, Work, authorize, change};

/// The outcome of a job.
#[derive(Debug)]
pub struct Done {
    /// The BulkResponse.
    pub body: Body,
    /// The tolerances that the operations needed.
    pub tolerances: String,
}

/// Operations in one commit at most.
const BATCH: usize = 64;

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

/// A job while it runs.
struct Job<'j> {
    service: &'j Service,
    context: &'j Context,
    operations: &'j [&'j RawValue],
    ids: Ids,
    results: BTreeMap<usize, BulkResult>,
    tolerances: Tolerances,
}

impl Service {
    /// Carries out a job. The operations are read one by one, so that its memory is that of its largest.
    ///
    /// # Errors
    /// 400 for a job that is malformed, 413 for one over the limits; nothing has changed then.
    pub fn bulk(&self, context: &Context, body: &[u8]) -> Result<Done, Error> {
        authorize(&context.caller, Operation::Bulk, None)?;
        carry_out(self, context, body).map_err(|error| lost::record(self, context, body, error))
    }
}

/// The job itself.
fn carry_out(service: &Service, context: &Context, body: &[u8]) -> Result<Done, Error> {
    let mut tolerances = service.tolerances(context);
    let body = tolerances.json_bytes(body);
    let request = BulkRequest::parse(&body, &Limits::default(), &mut tolerances)?;
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

impl Job<'_> {
    /// Takes step after step, until as many have failed as the client bears (RFC 7644 §3.7.3).
    fn run(&mut self, mut plan: Plan, fail_on_errors: Option<u64>) {
        // Whoever counts errors wants nothing done after the last one.
        let most = if fail_on_errors.is_some() { 1 } else { BATCH };
        while fail_on_errors.is_none_or(|limit| self.failed() < limit) {
            let batch = plan.batch(most);
            let indices = match batch.is_empty().then(|| plan.next()) {
                None => {
                    self.batch(&batch);
                    batch
                }
                Some(Some(Step::One(index))) => {
                    self.batch(&[index]);
                    vec![index]
                }
                Some(Some(Step::Orphan(index, missing))) => {
                    self.orphan(index, &missing);
                    vec![index]
                }
                Some(Some(Step::Circle(indices))) => {
                    self.circle(&indices);
                    indices
                }
                Some(None) => break,
            };
            for index in indices {
                plan.done(index, self.results.get(&index).is_some_and(|result| result.status < 400));
            }
        }
    }

    fn failed(&self) -> u64 {
        self.results.values().filter(|result| result.status >= 400).count() as u64
    }

    /// Operations one after the other. On the embedded database they share one commit, each in a savepoint
    /// of its own: a commit costs more than most operations.
    fn batch(&mut self, indices: &[usize]) {
        let mut prepared = vec![];
        for index in indices {
            let operation = match self.parse(*index) {
                Ok(operation) => operation,
                Err(result) => {
                    let result = self.unread(*index, *result);
                    self.results.insert(*index, result);
                    continue;
                }
            };
            let (echo, bulk_id) = (self.echo(&operation), operation.bulk_id.clone());
            let target = BulkTarget::parse(&operation).ok();
            let kind = target.map(|target| (target.operation(operation.method), target.resource_type));
            match self.prepare(operation) {
                Ok(work) => prepared.push(((*index, echo, bulk_id, kind), work)),
                Err(error) => drop(self.results.insert(*index, echo.failed(&self.refusal(*index, error)))),
            }
        }
        let (echoes, work): (Vec<_>, Vec<_>) = prepared.into_iter().unzip();
        let outcomes = change::perform_each(self.service, self.context, work);
        for ((index, echo, bulk_id, kind), outcome) in echoes.into_iter().zip(outcomes) {
            let result = match outcome.and_then(|done| self.told(kind, done)) {
                Ok((outcome, tolerances)) => {
                    self.tolerances.absorb(&tolerances);
                    if let (Some(bulk_id), Some(id)) = (bulk_id, &outcome.created) {
                        self.ids.insert(bulk_id, id.clone());
                    }
                    outcome.result(echo)
                }
                Err(error) => echo.failed(&self.refusal(index, error)),
            };
            self.results.insert(index, result);
        }
    }

    /// What was done, once it is recorded whom nobody has of those that it named.
    fn told(
        &self,
        kind: Option<(Operation, &'static ResourceType)>,
        done: (Outcome, Tolerances),
    ) -> Result<(Outcome, Tolerances), Error> {
        if let (Some(kind), Some((id, entry))) = (kind, &done.0.unknown) {
            refusals::keep_unknown(self.service, self.context, kind, id, Some(entry))?;
        }
        Ok(done)
    }

    /// What the client is told of an operation that failed; the cause of a failure of ours goes to the log.
    fn refusal(&self, index: usize, error: Error) -> scim::Error {
        let error = self.recorded(index, error);
        if error.is_failure() {
            let request = self.context.request.id.as_str();
            ::log::error!(request; "Operations[{index}]: {}", error.causes());
        }
        let error = error.to_scim();
        // Whoever reads a client's log of what was refused finds no key there.
        scim::Error { detail: without_keys(&error.detail).into_owned(), ..error }
    }

    /// The same error, recorded if a leaver stays by it.
    fn recorded(&self, index: usize, error: Error) -> Error {
        let Ok(mut operation) = self.parse(index) else { return error };
        references::resolve_path(&mut operation.path, &self.ids);
        let Ok(target) = BulkTarget::parse(&operation) else { return error };
        let (kind, body) = (target.operation(operation.method), operation.data.unwrap_or_default());
        let target = (target.resource_type, target.id.as_deref().unwrap_or_default());
        refusals::record(self.service, self.context, kind, target, || Some(body), error)
    }

    /// Resolves the references of an operation and finds out what it is, before any transaction.
    fn prepare(&self, mut operation: BulkOperation) -> Result<Work<(Outcome, Tolerances)>, Error> {
        self.service.count_request(&self.context.caller)?;
        references::resolve_path(&mut operation.path, &self.ids);
        if let Some(data) = &mut operation.data {
            references::resolve(data, &self.ids);
        }
        let target = BulkTarget::parse(&operation)?;
        let (kind, resource_type) = (target.operation(operation.method), target.resource_type);
        authorize(&self.context.caller, kind, Some(resource_type))?;
        let known = self.tolerances.fresh();
        Ok(Work::new(kind, resource_type, move |change| {
            let mut tolerances = known.clone();
            let outcome = target.clone().apply(change, operation.clone(), &mut tolerances)?;
            Ok((outcome, tolerances))
        }))
    }

    /// An operation that waits for one that failed or is not there (RFC 7644 §3.7.2: 409). Where the dialect bears it,
    /// one that makes somebody leave is carried out without what it refers to: see [`Tolerance::UnknownReference`].
    fn orphan(&mut self, index: usize, missing: &str) {
        let result = match self.parse(index) {
            Ok(operation) if self.leaves(&operation) => return self.batch(&[index]),
            Ok(operation) => {
                let detail = format!("Operations[{index}]: bulkId:{missing} was not created");
                let error = self.refusal(index, scim::Error::status(409, detail).into());
                self.echo(&operation).failed(&error)
            }
            Err(result) => self.unread(index, *result),
        };
        self.results.insert(index, result);
    }

    /// The result of an operation that cannot be read, recorded if a leaver stays by it.
    fn unread(&self, index: usize, result: BulkResult) -> BulkResult {
        let (Some(raw), Some(error)) = (self.operations.get(index), result.error.clone()) else { return result };
        let error = lost::record(self.service, self.context, raw.get().as_bytes(), error.into());
        result.failed(&error.to_scim())
    }

    /// Whether an operation may make somebody leave although something that it refers to is not there.
    fn leaves(&self, operation: &BulkOperation) -> bool {
        let (mut path, mut in_path) = (operation.path.clone(), vec![]);
        references::resolve_path(&mut path, &self.ids);
        references::find_in_path(&path, &mut in_path);
        let changes = matches!(operation.method, BulkMethod::Put | BulkMethod::Patch) && in_path.is_empty();
        let target = BulkTarget::at(&path).ok().filter(|_| changes && self.tolerances.dialect().is_lenient());
        target.zip(operation.data.as_ref()).is_some_and(|(target, data)| refusals::leaves(target.resource_type, data))
    }

    fn parse(&self, index: usize) -> Result<BulkOperation, Box<BulkResult>> {
        match self.operations.get(index) {
            Some(raw) => BulkOperation::parse(raw, index, &self.tolerances),
            None => Err(Box::default()),
        }
    }

    /// What a result repeats of its operation. Only a failed POST has no location (RFC 7644 §3.7.3).
    fn echo(&self, operation: &BulkOperation) -> BulkResult {
        let location = || {
            let mut path = operation.path.clone();
            references::resolve_path(&mut path, &self.ids);
            format!("{}{}", self.service.scim_base_url(), BulkTarget::canonical(&path).unwrap_or(path))
        };
        BulkResult {
            location: (operation.method != BulkMethod::Post).then(location),
            method: Some(operation.method.name().to_owned()),
            bulk_id: operation.bulk_id.clone(),
            ..BulkResult::default()
        }
    }

    /// Operations that refer to each other in a circle: created without the references, which are then
    /// patched in; all in one transaction, so that no reference is ever left dangling.
    fn circle(&mut self, indices: &[usize]) {
        let mut echoes = vec![];
        let mut operations = vec![];
        for index in indices {
            match self.parse(*index) {
                Ok(operation) => {
                    echoes.push((*index, self.echo(&operation)));
                    operations.push(operation);
                }
                Err(result) => echoes.push((*index, *result)),
            }
        }
        match self.create_circle(operations) {
            Ok(outcomes) => {
                for ((index, echo), (bulk_id, outcome)) in echoes.into_iter().zip(outcomes) {
                    if let Some(id) = &outcome.created {
                        self.ids.insert(bulk_id, id.clone());
                    }
                    self.results.insert(index, outcome.result(echo));
                }
            }
            Err(error) => {
                let first = echoes.first().map_or(0, |(index, _)| *index);
                let first = self.refusal(first, error);
                let detail = format!("the circle of references was not created: {}", first.detail);
                let error = scim::Error { names: first.names, ..scim::Error::status(409, detail) };
                for (index, echo) in echoes {
                    self.results.insert(index, echo.failed(&error));
                }
            }
        }
    }

    fn create_circle(&mut self, operations: Vec<BulkOperation>) -> Result<Vec<(String, Outcome)>, Error> {
        let known = (self.ids.clone(), self.tolerances.fresh());
        let mut drafts: Vec<(String, BulkTarget, Value)> = vec![];
        for operation in operations {
            self.service.count_request(&self.context.caller)?;
            let target = BulkTarget::parse(&operation)?;
            authorize(&self.context.caller, Operation::Create, Some(target.resource_type))?;
            drafts.push((operation.bulk_id.unwrap_or_default(), target, operation.data.unwrap_or_default()));
        }
        let first = drafts.first().map(|(_, target, _)| target.resource_type);
        let service = self.service;
        let (outcomes, tolerances) = change::perform(service, self.context, Operation::Create, first, move |change| {
            let (mut ids, mut tolerances) = known.clone();
            // What each operation needed stands in its own record.
            let mut all = tolerances.fresh();
            let mut stripped: Vec<(String, &'static ResourceType, Stripped)> = vec![];
            for (bulk_id, target, mut data) in drafts.clone() {
                references::resolve(&mut data, &ids);
                let rest = references::strip(&mut data);
                change.operation = Operation::Create;
                let incoming = validate::document(data, target.resource_type, &mut tolerances)?;
                let saved = create_in(change, target.resource_type, incoming, &mut tolerances)?;
                all.absorb(&std::mem::replace(&mut tolerances, all.fresh()));
                ids.insert(bulk_id.clone(), saved.view.resource.id.to_string());
                stripped.push((bulk_id, target.resource_type, rest));
            }
            let mut outcomes = vec![];
            for (bulk_id, resource_type, rest) in stripped {
                let id = ids.get(&bulk_id).cloned().unwrap_or_default();
                let saved = patch_back(change, resource_type, &id, rest, &ids, &mut tolerances)?;
                all.absorb(&std::mem::replace(&mut tolerances, all.fresh()));
                outcomes.push((bulk_id, Outcome::of(change.service, resource_type, &saved, 201)));
            }
            Ok((outcomes, all))
        })?;
        self.tolerances.absorb(&tolerances);
        Ok(outcomes)
    }
}

/// Gives a created resource the references that were taken out of its body.
fn patch_back(
    change: &mut Change<'_>,
    resource_type: &'static ResourceType,
    id: &str,
    rest: Stripped,
    ids: &Ids,
    tolerances: &mut Tolerances,
) -> Result<Saved, Error> {
    change.operation = Operation::Patch;
    if rest.is_empty() {
        return resources::saved(change, resource_type, id);
    }
    let operations = patch::parse(rest.patch(ids), resource_type, tolerances)?;
    patch_in(change, resource_type, id, &operations, &Conditions::default(), tolerances)
}
