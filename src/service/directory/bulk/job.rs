//! A job while it runs: step after step, each operation read when its turn comes.

use std::collections::BTreeMap;

use serde_json::value::RawValue;

use crate::domain::Operation;
use crate::domain::secret::without_keys;
use crate::scim::message::{BulkMethod, BulkOperation, BulkResult};
use crate::scim::tolerance::Tolerances;
use crate::scim::{self, Beside, ResourceType};
use crate::service::directory::bulk::lost::{self, Known};
use crate::service::directory::bulk::operation::{BulkTarget, Outcome, named};
use crate::service::directory::bulk::plan::{Plan, Step};
use crate::service::directory::bulk::references::{self, Ids};
use crate::service::directory::{refusals, resources};
use crate::service::{Context, Error, Service, Work, authorize, change};

/// Operations in one commit at most.
const BATCH: usize = 64;

/// A job while it runs.
pub(in crate::service::directory::bulk) struct Job<'j> {
    pub(in crate::service::directory::bulk) service: &'j Service,
    pub(in crate::service::directory::bulk) context: &'j Context,
    pub(in crate::service::directory::bulk) operations: &'j [&'j RawValue],
    pub(in crate::service::directory::bulk) ids: Ids,
    pub(in crate::service::directory::bulk) results: BTreeMap<usize, BulkResult>,
    pub(in crate::service::directory::bulk) tolerances: Tolerances,
    /// What the job says beside its operations.
    pub(in crate::service::directory::bulk) beside: Option<Beside>,
}

impl Job<'_> {
    /// Takes step after step, until as many have failed as the client bears (RFC 7644 §3.7.3).
    pub(in crate::service::directory::bulk) fn run(&mut self, mut plan: Plan, fail_on_errors: Option<u64>) {
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
            let kind = target.map(|target| (named(operation.method), target.resource_type));
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

    /// What was done, once it is recorded what was dropped of an operation that changed nothing.
    fn told(
        &self,
        kind: Option<(Operation, &'static ResourceType)>,
        done: (Outcome, Tolerances),
    ) -> Result<(Outcome, Tolerances), Error> {
        if let (Some(kind), Some((id, dropped))) = (kind, &done.0.dropped) {
            refusals::keep_dropped(self.service, self.context, kind, id, Some(dropped))?;
        }
        Ok(done)
    }

    /// What the client is told of an operation that failed; the cause of a failure of ours goes to the log.
    pub(in crate::service::directory::bulk) fn refusal(&self, index: usize, error: Error) -> scim::Error {
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
        let Some(raw) = self.operations.get(index) else { return error };
        let known = Known { service: self.service, context: self.context, ids: &self.ids, says: self.beside.is_some() };
        lost::record(known, raw.get().as_bytes(), error)
    }

    /// Resolves the references of an operation and finds out what it is, before any transaction.
    fn prepare(&self, mut operation: BulkOperation) -> Result<Work<(Outcome, Tolerances)>, Error> {
        self.service.count_request(&self.context.caller)?;
        references::resolve_path(&mut operation.path, &self.ids);
        if let Some(data) = &mut operation.data {
            references::resolve(data, &self.ids);
        }
        let target = BulkTarget::parse(&operation)?;
        let (kind, resource_type) = (named(operation.method), target.resource_type);
        authorize(&self.context.caller, kind, Some(resource_type))?;
        let known = self.tolerances.fresh();
        let lives = operation.data.as_ref().is_some_and(|data| refusals::leaves(resource_type, data));
        let foreseen = target.id.as_deref().and_then(|id| resources::foreseen(self.context, id, lives));
        Ok(Work::new(kind, resource_type, foreseen, move |change| {
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
        let Some(error) = result.error.clone() else { return result };
        result.failed(&self.recorded(index, error.into()).to_scim())
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

    pub(in crate::service::directory::bulk) fn parse(&self, index: usize) -> Result<BulkOperation, Box<BulkResult>> {
        let Some(raw) = self.operations.get(index) else { return Err(Box::default()) };
        let operation = BulkOperation::parse(raw, index, &self.tolerances)?;
        Ok(BulkOperation { beside: operation.beside.or_else(|| self.beside.clone()), ..operation })
    }

    /// What a result repeats of its operation. Only a failed POST has no location (RFC 7644 §3.7.3).
    pub(in crate::service::directory::bulk) fn echo(&self, operation: &BulkOperation) -> BulkResult {
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
}
