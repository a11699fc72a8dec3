//! What AuthZEN asks, as the description of the API shows it. Requests are read member by member (see `request`):
//! members that nobody knows are allowed, and what is wrong with one evaluation among many is told of that one.

use schemars::JsonSchema;
use serde_json::{Map, Value};

/// May the subject do this (Authorization API 1.0 §6.1)?
#[derive(JsonSchema)]
pub struct EvaluationRequest {
    /// Who.
    pub subject: SubjectRequest,
    /// Does what.
    pub action: ActionRequest,
    /// To what.
    pub resource: ResourceRequest,
    /// It is not looked at.
    pub context: Option<Map<String, Value>>,
}

/// Many such questions (§7.1). What one of them leaves out is what the request itself says; without `evaluations`, the
/// request is the one question.
#[derive(JsonSchema)]
pub struct EvaluationsRequest {
    /// Who, where a question does not say.
    pub subject: Option<SubjectRequest>,
    /// Does what, where a question does not say.
    pub action: Option<ActionRequest>,
    /// To what, where a question does not say.
    pub resource: Option<ResourceRequest>,
    /// It is not looked at.
    pub context: Option<Map<String, Value>>,
    /// The questions.
    #[schemars(length(max = super::EVALUATIONS_MAX))]
    pub evaluations: Option<Vec<QuestionRequest>>,
    /// How they are answered.
    pub options: Option<EvaluationsOptions>,
}

/// A question among many.
#[derive(JsonSchema)]
pub struct QuestionRequest {
    /// Who.
    pub subject: Option<SubjectRequest>,
    /// Does what.
    pub action: Option<ActionRequest>,
    /// To what.
    pub resource: Option<ResourceRequest>,
    /// It is not looked at.
    pub context: Option<Map<String, Value>>,
}

/// How questions are answered (§7.1.2).
#[derive(JsonSchema)]
pub struct EvaluationsOptions {
    /// When the answers end: after all, after the first no, or after the first yes.
    #[schemars(default, with = "String")]
    #[schemars(extend("enum" = super::SEMANTICS.map(|(name, _)| name)))]
    pub evaluations_semantic: Option<String>,
}

/// Which subjects may do this (§8.4)?
#[derive(JsonSchema)]
pub struct SubjectSearchRequest {
    /// Of which type.
    pub subject: SubjectTypeRequest,
    /// Does what.
    pub action: ActionRequest,
    /// To what.
    pub resource: ResourceRequest,
    /// It is not looked at.
    pub context: Option<Map<String, Value>>,
    /// Which page.
    pub page: Option<PageRequest>,
}

/// On which resources may the subject do this (§8.5)?
#[derive(JsonSchema)]
pub struct ResourceSearchRequest {
    /// Who.
    pub subject: SubjectRequest,
    /// Does what.
    pub action: ActionRequest,
    /// Of which type.
    pub resource: ResourceTypeRequest,
    /// It is not looked at.
    pub context: Option<Map<String, Value>>,
    /// Which page.
    pub page: Option<PageRequest>,
}

/// What may the subject do (§8.6)?
#[derive(JsonSchema)]
pub struct ActionSearchRequest {
    /// Who.
    pub subject: SubjectRequest,
    /// To what.
    pub resource: ResourceRequest,
    /// It is not looked at.
    pub context: Option<Map<String, Value>>,
    /// Which page.
    pub page: Option<PageRequest>,
}

/// A subject.
#[derive(JsonSchema)]
pub struct SubjectRequest {
    /// `user`, `agent` or `key`; of another type there is nobody.
    #[schemars(rename = "type")]
    pub kind: String,
    /// Keyroll's id; of a user also `operator`.
    pub id: String,
    /// They are not looked at.
    pub properties: Option<Map<String, Value>>,
}

/// Subjects of a type.
#[derive(JsonSchema)]
pub struct SubjectTypeRequest {
    /// `user` or `agent`.
    #[schemars(rename = "type")]
    pub kind: String,
    /// They are not looked at.
    pub properties: Option<Map<String, Value>>,
}

/// An action.
#[derive(JsonSchema)]
pub struct ActionRequest {
    /// The last part of a permission.
    pub name: String,
    /// They are not looked at.
    pub properties: Option<Map<String, Value>>,
}

/// A resource.
#[derive(JsonSchema)]
pub struct ResourceRequest {
    /// The first two parts of a permission: `api:resource`.
    #[schemars(rename = "type")]
    pub kind: String,
    /// It is not interpreted.
    pub id: String,
    /// They are not looked at.
    pub properties: Option<Map<String, Value>>,
}

/// Resources of a type.
#[derive(JsonSchema)]
pub struct ResourceTypeRequest {
    /// The first two parts of a permission: `api:resource`.
    #[schemars(rename = "type")]
    pub kind: String,
    /// They are not looked at.
    pub properties: Option<Map<String, Value>>,
}

/// Which page of what a search finds (§8.2.1).
#[derive(JsonSchema)]
pub struct PageRequest {
    /// How many results it holds at most.
    pub limit: Option<u64>,
    /// `page.next_token` of the page before; empty for the first.
    pub token: Option<String>,
    /// They are not looked at.
    pub properties: Option<Map<String, Value>>,
}
