//! What AuthZEN is answered.

use schemars::JsonSchema;
use serde::Serialize;

use crate::domain::Id;
use crate::domain::principal::PrincipalKind;
use crate::service::authzen::request::Refused;

/// A decision (Authorization API 1.0 §6.2).
#[derive(Debug, Serialize, JsonSchema)]
pub struct Decision {
    /// Whether the subject may.
    pub decision: bool,
    /// Why it may not, or what is wrong with the question.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub context: Option<DecisionContext>,
}

/// What stands behind a no.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum DecisionContext {
    /// Why the subject may not, in a sentence.
    Reason(String),
    /// What is wrong with one evaluation among many (§7.2.1).
    Error(DecisionError),
}

/// What is wrong with a question.
#[derive(Debug, Serialize, JsonSchema)]
pub struct DecisionError {
    /// The status that it would have by itself.
    pub status: u16,
    /// A sentence.
    pub message: String,
}

/// Decisions (§7.2), in the order of what was asked; without `evaluations`, the one on the request itself.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(untagged)]
pub enum Decisions {
    /// Of many questions.
    Many {
        /// They end early where the semantic says so.
        evaluations: Vec<Decision>,
    },
    /// Of the one that the request is.
    One(Decision),
}

/// A page of what a search finds (§8.2.2).
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "{T}Page")]
pub struct Found<T> {
    /// Where the next page is.
    pub page: PageResponse,
    /// What was found. A page may hold fewer than it could, even none, though others follow.
    pub results: Vec<T>,
}

/// Where the next page is.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "NextPage")]
pub struct PageResponse {
    /// The `page.token` that asks for it; empty on the last page.
    pub next_token: String,
    /// How many results this page holds.
    pub count: usize,
}

/// A subject that may carry out an action.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Subject")]
pub struct SubjectResponse {
    /// User or agent.
    #[serde(rename = "type")]
    pub kind: PrincipalKind,
    /// Keyroll's id.
    pub id: Id,
}

/// A resource that an action may be carried out on.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Resource")]
pub struct ResourceResponse {
    /// `api:resource`.
    #[serde(rename = "type")]
    pub kind: String,
    /// `*`: ids are not interpreted.
    pub id: String,
}

/// An action that may be carried out.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Action")]
pub struct ActionResponse {
    /// Its name.
    pub name: String,
}

/// Where decisions are to be had (§9): what is named is there.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "AuthzenConfiguration")]
pub struct Configuration {
    /// Who decides: the public URL of the server.
    pub policy_decision_point: String,
    /// Where one question is asked.
    pub access_evaluation_endpoint: String,
    /// Where many are.
    pub access_evaluations_endpoint: String,
    /// Where subjects are searched.
    pub search_subject_endpoint: String,
    /// Where resources are.
    pub search_resource_endpoint: String,
    /// Where actions are.
    pub search_action_endpoint: String,
}

impl Decision {
    pub(in crate::service::authzen) fn yes() -> Decision {
        Decision { decision: true, context: None }
    }

    pub(in crate::service::authzen) fn no(reason: String) -> Decision {
        Decision { decision: false, context: Some(DecisionContext::Reason(reason)) }
    }

    /// To an evaluation that is none (§7.2.1).
    pub(in crate::service::authzen) fn failed(refused: &Refused) -> Decision {
        let error = DecisionError { status: 400, message: refused.clone() };
        Decision { decision: false, context: Some(DecisionContext::Error(error)) }
    }
}

impl<T> Found<T> {
    pub(in crate::service::authzen) fn new(results: Vec<T>, next_token: String) -> Found<T> {
        Found { page: PageResponse { next_token, count: results.len() }, results }
    }
}
