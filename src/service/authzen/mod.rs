//! OpenID AuthZEN, Authorization API 1.0: decisions for services that speak the standard.
//!
//! `api:resource:action` is `resource.type` `api:resource` and `action.name` `action`; `resource.id` is not
//! interpreted. A subject is a `user`, an `agent` or a `key`, by Keyroll's id (design §6).

mod request;
mod search;

use std::collections::HashSet;

use serde_json::{Map, Value, json};

use self::request::{Entities, Question, Refused, refuse};
use crate::domain::Operation;
use crate::domain::credential::Verdict;
use crate::scim::json::Tree;
use crate::service::access::held;
use crate::service::access::held::{Standings, Subject};
use crate::service::{Context, Error, Service, authorize};

/// Evaluations in one request.
pub const EVALUATIONS_MAX: usize = 1_000;

/// When a list of evaluations ends (§7.1.2.1).
#[derive(Clone, Copy, PartialEq, Eq)]
enum Semantic {
    ExecuteAll,
    DenyOnFirstDeny,
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

impl Service {
    /// Decides one question (`POST /access/v1/evaluation`).
    ///
    /// # Errors
    /// 400 for what is no question, 403 without `keyroll:access:evaluate`.
    pub fn evaluate(&self, context: &Context, body: &Tree<'_>) -> Result<Value, Error> {
        authorize(&context.caller, Operation::AccessEvaluate, None)?;
        let question = Entities::of(body)?.question().map_err(refuse)?;
        let standings = held::of(self, context, &HashSet::from([question.subject.clone()]))?;
        Ok(decide(&question, &standings).1)
    }

    /// Decides many questions (`POST /access/v1/evaluations`); without `evaluations`, the one that the request
    /// itself is. What is wrong with one of them is its own answer's matter.
    ///
    /// # Errors
    /// 400 for a request of another shape, 413 for more than [`EVALUATIONS_MAX`] evaluations.
    pub fn evaluate_all(&self, context: &Context, body: &Tree<'_>) -> Result<Value, Error> {
        authorize(&context.caller, Operation::AccessEvaluations, None)?;
        let request = Entities::of(body)?;
        let semantic = semantic(request).map_err(refuse)?;
        let items = match request.member("evaluations") {
            None => return self.evaluate(context, body),
            Some(Tree::Array(items)) if items.is_empty() => return self.evaluate(context, body),
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
            let (decision, answer) = match question {
                Ok(question) => decide(question, &standings),
                Err(refused) => (false, failed(refused)),
            };
            answers.push(answer);
            if semantic.ends(decision) {
                break;
            }
        }
        Ok(json!({"evaluations": answers}))
    }

    /// Where what is (`GET /.well-known/authzen-configuration`, §9).
    pub fn authzen_configuration(&self) -> Value {
        let base = &self.settings().public_url;
        let mut shown = Map::from_iter([("policy_decision_point".to_owned(), base.as_str().into())]);
        for (name, operation) in ENDPOINTS {
            let url = operation.routes().first().map(|(_, path)| format!("{base}{path}"));
            shown.insert((*name).to_owned(), url.into());
        }
        Value::Object(shown)
    }
}

/// What the metadata names: what there is.
const ENDPOINTS: &[(&str, Operation)] = &[
    ("access_evaluation_endpoint", Operation::AccessEvaluate),
    ("access_evaluations_endpoint", Operation::AccessEvaluations),
    ("search_subject_endpoint", Operation::SearchSubjects),
    ("search_resource_endpoint", Operation::SearchResources),
    ("search_action_endpoint", Operation::SearchActions),
];

fn semantic(request: Entities<'_>) -> Result<Semantic, Refused> {
    let Some(options) = request.object("options")? else { return Ok(Semantic::ExecuteAll) };
    match options.get("evaluations_semantic") {
        None | Some(Tree::Null) => Ok(Semantic::ExecuteAll),
        Some(Tree::Text(name)) if name == "execute_all" => Ok(Semantic::ExecuteAll),
        Some(Tree::Text(name)) if name == "deny_on_first_deny" => Ok(Semantic::DenyOnFirstDeny),
        Some(Tree::Text(name)) if name == "permit_on_first_permit" => Ok(Semantic::PermitOnFirstPermit),
        Some(_) => {
            let known = "execute_all, deny_on_first_deny or permit_on_first_permit";
            Err(format!("options.evaluations_semantic: expected {known}"))
        }
    }
}

/// The decision, and the answer that says it. A no says why; whom there is not, nobody is told.
fn decide(question: &Question, standings: &Standings) -> (bool, Value) {
    let no = |reason: String| (false, json!({"decision": false, "context": {"reason": reason}}));
    let Some(permission) = &question.permission else {
        return no("resource.type and action.name name no permission api:resource and action".to_owned());
    };
    if !standings.policy.knows(permission) {
        return no(format!("no api registers {permission}"));
    }
    let held = standings.of(&question.subject);
    match held.dead.map(Verdict::code) {
        Some(code) => no(format!("the key does not work: {code}")),
        None if held.may(permission) => (true, json!({"decision": true})),
        None => no(format!("the subject does not hold {permission}")),
    }
}

/// The answer to an evaluation that is none (§7.2.1).
fn failed(refused: &Refused) -> Value {
    json!({"decision": false, "context": {"error": {"status": 400, "message": refused}}})
}
