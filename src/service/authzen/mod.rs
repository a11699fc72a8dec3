//! OpenID AuthZEN, Authorization API 1.0: decisions for services that speak the standard.
//!
//! `api:resource:action` is `resource.type` `api:resource` and `action.name` `action`; `resource.id` is not
//! interpreted. A subject is a `user`, an `agent` or a `key`, by Keyroll's id (design §6).

mod question;
pub mod request;
pub mod response;
mod search;

use std::collections::HashSet;

use schemars::JsonSchema;
use serde::Deserialize;

use self::question::Question;
use self::request::{EvaluationRequest, EvaluationsRequest, Refused, refuse};
use self::response::{Configuration, Decision, Decisions};
use crate::domain::Operation;
use crate::domain::credential::Verdict;
use crate::service::access::held;
use crate::service::access::held::{Standings, Subject};
use crate::service::request::{List, Object};
use crate::service::{Cached, Context, Error, Service, authorize};

/// Evaluations in one request.
pub const EVALUATIONS_MAX: usize = 1_000;

/// When a list of evaluations ends (§7.1.2.1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Semantic {
    /// After all.
    #[default]
    ExecuteAll,
    /// After the first no.
    DenyOnFirstDeny,
    /// After the first yes.
    PermitOnFirstPermit,
}

impl Semantic {
    fn ends(self, decision: bool) -> bool {
        match self {
            Semantic::ExecuteAll => false,
            Semantic::DenyOnFirstDeny => !decision,
            Semantic::PermitOnFirstPermit => decision,
        }
    }
}

impl Cached<'_> {
    /// Decides one question, as [`Service::evaluate`] does.
    pub fn evaluate(&self, context: &Context, request: &EvaluationRequest<'_>) -> Option<Decision> {
        authorize(&context.caller, Operation::AccessEvaluate, None).ok()?;
        let question = Question::from(request);
        let standings = held::cached(self, context, &question.subject)?;
        Some(decide(&question, &standings))
    }
}

impl Service {
    /// Decides one question (`POST /access/v1/evaluation`).
    ///
    /// # Errors
    /// 403 without `keyroll:access:evaluate`.
    pub fn evaluate(&self, context: &Context, request: &EvaluationRequest<'_>) -> Result<Decision, Error> {
        authorize(&context.caller, Operation::AccessEvaluate, None)?;
        decide_one(self, context, &Question::from(request))
    }

    /// Decides many questions (`POST /access/v1/evaluations`); without `evaluations`, the one that the request
    /// itself is. What is wrong with one of them is its own answer's matter.
    ///
    /// # Errors
    /// 400 for what is no question, 403 without `keyroll:access:evaluate`, 413 for more than [`EVALUATIONS_MAX`]
    /// evaluations.
    pub fn evaluate_all(&self, context: &Context, request: &EvaluationsRequest<'_>) -> Result<Decisions, Error> {
        authorize(&context.caller, Operation::AccessEvaluations, None)?;
        let items = match &request.evaluations {
            Some(List(items)) if !items.is_empty() => items,
            _ => return Ok(Decisions::One(decide_one(self, context, &request.itself().map_err(refuse)?)?)),
        };
        if items.len() > EVALUATIONS_MAX {
            let detail = format!("evaluations: {} are too many, at most {EVALUATIONS_MAX}", items.len());
            return Err(crate::scim::Error::status(413, detail).into());
        }
        let semantic = request.options.as_ref().and_then(|Object(options)| options.evaluations_semantic);
        let semantic = semantic.unwrap_or_default();
        let questions: Vec<Result<Question, Refused>> = items.iter().map(|item| request.one(item)).collect();
        let subjects: HashSet<Subject> = questions.iter().flatten().map(|one| one.subject.clone()).collect();
        let standings = held::of(self, context, &subjects)?;
        let mut answers = Vec::with_capacity(questions.len());
        for question in &questions {
            let answer = match question {
                Ok(question) => decide(question, &standings),
                Err(refused) => Decision::failed(refused),
            };
            let decision = answer.decision;
            answers.push(answer);
            if semantic.ends(decision) {
                break;
            }
        }
        Ok(Decisions::Many { evaluations: answers })
    }

    /// Where what is (`GET /.well-known/authzen-configuration`, §9).
    pub fn authzen_configuration(&self) -> Configuration {
        let base = self.settings().public_url.as_str();
        let endpoint = |operation: Operation| {
            let path = operation.routes().first().map_or("", |(_, path)| path);
            format!("{base}{path}")
        };
        Configuration {
            policy_decision_point: base.to_owned(),
            access_evaluation_endpoint: endpoint(Operation::AccessEvaluate),
            access_evaluations_endpoint: endpoint(Operation::AccessEvaluations),
            search_subject_endpoint: endpoint(Operation::SearchSubjects),
            search_resource_endpoint: endpoint(Operation::SearchResources),
            search_action_endpoint: endpoint(Operation::SearchActions),
        }
    }
}

fn decide_one(service: &Service, context: &Context, question: &Question) -> Result<Decision, Error> {
    let standings = held::of(service, context, &HashSet::from([question.subject.clone()]))?;
    Ok(decide(question, &standings))
}

/// The decision. A no says why; whom there is not, nobody is told.
fn decide(question: &Question, standings: &Standings) -> Decision {
    let Some(permission) = &question.permission else {
        return Decision::no("resource.type and action.name name no permission api:resource and action".to_owned());
    };
    if !standings.policy.knows(permission) {
        return Decision::no(format!("no api registers {permission}"));
    }
    let held = standings.of(&question.subject);
    match held.dead.map(Verdict::code) {
        Some(code) => Decision::no(format!("the key does not work: {code}")),
        None if held.may(permission) => Decision::yes(),
        None => Decision::no(format!("the subject does not hold {permission}")),
    }
}
