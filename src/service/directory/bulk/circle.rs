//! Operations that refer to each other in a circle.

use serde_json::Value;

use crate::domain::Operation;
use crate::scim::message::BulkOperation;
use crate::scim::tolerance::Tolerances;
use crate::scim::{self, Beside, ResourceType, patch, validate};
use crate::service::conditions::Conditions;
use crate::service::directory::bulk::job::Job;
use crate::service::directory::bulk::operation::{BulkTarget, Outcome};
use crate::service::directory::bulk::references::{self, Ids, Stripped};
use crate::service::directory::resources::{self, Saved, create_in, patch_in};
use crate::service::{Change, Error, authorize, change};

impl Job<'_> {
    /// Operations that refer to each other in a circle: created without the references, which are then
    /// patched in; all in one transaction, so that no reference is ever left dangling.
    pub(in crate::service::directory::bulk) fn circle(&mut self, indices: &[usize]) {
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
                let mut indices = echoes.iter().map(|(index, _)| *index);
                let first = self.refusal(indices.next().unwrap_or_default(), error);
                let detail = format!("the circle of references was not created: {}", first.detail);
                let error = scim::Error { names: first.names, ..scim::Error::status(409, detail) };
                // Each of them may be about somebody who is there already.
                indices.for_each(|index| drop(self.refusal(index, error.clone().into())));
                for (index, echo) in echoes {
                    self.results.insert(index, echo.failed(&error));
                }
            }
        }
    }

    fn create_circle(&mut self, operations: Vec<BulkOperation>) -> Result<Vec<(String, Outcome)>, Error> {
        let known = (self.ids.clone(), self.tolerances.fresh());
        let mut drafts: Vec<(String, BulkTarget, Value, Option<Beside>)> = vec![];
        for operation in operations {
            self.service.count_request(&self.context.caller)?;
            let target = BulkTarget::parse(&operation)?;
            authorize(&self.context.caller, Operation::Create, Some(target.resource_type))?;
            let BulkOperation { bulk_id, data, beside, .. } = operation;
            drafts.push((bulk_id.unwrap_or_default(), target, data.unwrap_or_default(), beside));
        }
        let first = drafts.first().map(|(_, target, ..)| target.resource_type);
        let service = self.service;
        let (outcomes, tolerances) = change::perform(service, self.context, Operation::Create, first, move |change| {
            let (mut ids, mut tolerances) = known.clone();
            // What each operation needed stands in its own record.
            let mut all = tolerances.fresh();
            let mut stripped: Vec<(String, &'static ResourceType, Stripped)> = vec![];
            for (bulk_id, target, mut data, beside) in drafts.clone() {
                references::resolve(&mut data, &ids);
                let rest = references::strip(&mut data);
                change.operation = Operation::Create;
                beside.map_or(Ok(()), |beside| beside.spare(&mut tolerances))?;
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
