//! OpenID AuthZEN, Authorization API 1.0: decisions for services that speak the standard.
//!
//! `api:resource:action` is `resource.type` `api:resource` and `action.name` `action`; `resource.id` is not
//! interpreted. A subject is a `user`, an `agent` or a `key`, by Keyroll's id (design §6).

pub mod described;
mod request;
pub mod response;
mod search;

use std::collections::HashSet;

use self::request::{Entities, Question, Refused, refuse};
use self::response::{Configuration, Decision, Decisions};
use crate::domain::Operation;
use crate::domain::credential::Verdict;
use crate::scim::json::Tree;
use crate::service::access::held;
use crate::service::access::held::{Standings, Subject};
use crate::service::{Cached, Context, Error, Service, authorize};

/// Evaluations in one request.
pub const EVALUATIONS_MAX: usize = 1_000;

/// When a list of evaluations ends (§7.1.2.1).
#[derive(Clone, Copy, PartialEq, Eq)]
enum Semantic {
    ExecuteAll,
    DenyOnFirstDeny,
    PermitOnFirstPermit,
}

/// As requests name them.
const SEMANTICS: [(&str, Semantic); 3] = [
    ("execute_all", Semantic::ExecuteAll),
    ("deny_on_first_deny", Semantic::DenyOnFirstDeny),
    ("permit_on_first_permit", Semantic::PermitOnFirstPermit),
];

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
    pub fn evaluate(&self, context: &Context, body: &Tree<'_>) -> Option<Decision> {
        authorize(&context.caller, Operation::AccessEvaluate, None).ok()?;
        let question = Entities::of(body).ok()?.question().ok()?;
        let standings = held::cached(self, context, &question.subject)?;
        Some(decide(&question, &standings))
    }
}

impl Service {
    /// Decides one question (`POST /access/v1/evaluation`).
    ///
    /// # Errors
    /// 400 for what is no question, 403 without `keyroll:access:evaluate`.
    pub fn evaluate(&self, context: &Context, body: &Tree<'_>) -> Result<Decision, Error> {
        authorize(&context.caller, Operation::AccessEvaluate, None)?;
        let question = Entities::of(body)?.question().map_err(refuse)?;
        let standings = held::of(self, context, &HashSet::from([question.subject.clone()]))?;
        Ok(decide(&question, &standings))
    }

    /// Decides many questions (`POST /access/v1/evaluations`); without `evaluations`, the one that the request
    /// itself is. What is wrong with one of them is its own answer's matter.
    ///
    /// # Errors
    /// 400 for a request of another shape, 413 for more than [`EVALUATIONS_MAX`] evaluations.
    pub fn evaluate_all(&self, context: &Context, body: &Tree<'_>) -> Result<Decisions, Error> {
        authorize(&context.caller, Operation::AccessEvaluations, None)?;
        let request = Entities::of(body)?;
        let semantic = semantic(request).map_err(refuse)?;
        let items = match request.member("evaluations") {
            None => return self.evaluate(context, body).map(Decisions::One),
            Some(Tree::Array(items)) if items.is_empty() => return self.evaluate(context, body).map(Decisions::One),
            Some(Tree::Array(items)) => items,
            Some(_) => return Err(refuse("evaluations: expected a list".to_owned())),
        };
        if items.len() > EVALUATIONS_MAX {
            let detail = format!("evaluations: {} are too many, at most {EVALUATIONS_MAX}", items.len());
            return Err(crate::scim::Error::status(413, detail).into());
        }
        for name in ["subject", "action", "resource", "context"] {
            request.object(name).map_err(refuse)?;
        }
        let question = |item| request.item(item)?.question();
        let questions: Vec<Result<Question, Refused>> = items.iter().map(question).collect();
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

fn semantic(request: Entities<'_>) -> Result<Semantic, Refused> {
    let Some(options) = request.object("options")? else { return Ok(Semantic::ExecuteAll) };
    match options.get("evaluations_semantic") {
        None | Some(Tree::Null) => Ok(Semantic::ExecuteAll),
        Some(said) => {
            let named = |name: &str| matches!(said, Tree::Text(text) if text == name);
            let known = SEMANTICS.iter().find(|(name, _)| named(name)).map(|(_, semantic)| *semantic);
            let [first, second, third] = SEMANTICS.map(|(name, _)| name);
            known.ok_or_else(|| format!("options.evaluations_semantic: expected {first}, {second} or {third}"))
        }
    }
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
