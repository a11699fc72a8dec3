//! What AuthZEN asks (Authorization API 1.0 §5–§8). Members that nobody knows are allowed everywhere.

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value};

use super::{EVALUATIONS_MAX, Semantic};
use crate::scim::json::Tree;
use crate::service::Error;
use crate::service::request::{List, Object};

/// Why something is no question, in a sentence: of a whole request it becomes a 400, of one evaluation among many its
/// error.
pub(in crate::service::authzen) type Refused = String;

/// What is sent along, and not looked at.
type Properties = Map<String, Value>;

/// Reads a request.
///
/// # Errors
/// 400 with a sentence about the first member that is not as expected.
pub fn read<'b, T: Deserialize<'b>>(body: &'b Tree<'_>) -> Result<T, Error> {
    match body {
        Tree::Object(_) => T::deserialize(body).map_err(|error| refuse(error.to_string())),
        _ => Err(refuse("the body must be a JSON object".to_owned())),
    }
}

/// 400, with the sentence.
pub(in crate::service::authzen) fn refuse(refused: Refused) -> Error {
    Error::Malformed(refused)
}

/// May the subject do this (Authorization API 1.0 §6.1)?
#[derive(Debug, Deserialize, JsonSchema)]
pub struct EvaluationRequest<'b> {
    /// Who.
    #[serde(borrow)]
    pub subject: Object<SubjectRequest<'b>>,
    /// Does what.
    pub action: Object<ActionRequest<'b>>,
    /// To what.
    pub resource: Object<ResourceRequest<'b>>,
    /// It is not looked at.
    pub context: Option<Properties>,
}

/// Many such questions (§7.1). What one of them leaves out is what the request itself says; without `evaluations`, the
/// request is the one question.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct EvaluationsRequest<'b> {
    /// Who, where a question does not say.
    #[serde(borrow)]
    pub subject: Option<Object<SubjectRequest<'b>>>,
    /// Does what, where a question does not say.
    pub action: Option<Object<ActionRequest<'b>>>,
    /// To what, where a question does not say.
    pub resource: Option<Object<ResourceRequest<'b>>>,
    /// It is not looked at.
    pub context: Option<Properties>,
    /// The questions.
    #[schemars(length(max = EVALUATIONS_MAX))]
    #[schemars(with = "Option<Vec<QuestionRequest<'b>>>")]
    pub evaluations: Option<List<OneOfMany<'b>, { usize::MAX }>>,
    /// How they are answered.
    pub options: Option<Object<EvaluationsOptions>>,
}

/// A question among many.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct QuestionRequest<'b> {
    /// Who.
    #[serde(borrow)]
    pub subject: Option<Object<SubjectRequest<'b>>>,
    /// Does what.
    pub action: Option<Object<ActionRequest<'b>>>,
    /// To what.
    pub resource: Option<Object<ResourceRequest<'b>>>,
    /// It is not looked at.
    pub context: Option<Properties>,
}

/// A question among many, or what is wrong with it: that is told in its place (§7.2.1).
#[derive(Debug)]
pub struct OneOfMany<'b>(pub(in crate::service::authzen) Result<QuestionRequest<'b>, Refused>);

impl<'de: 'b, 'b> Deserialize<'de> for OneOfMany<'b> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<OneOfMany<'b>, D::Error> {
        let read = Object::deserialize(deserializer);
        Ok(OneOfMany(read.map(|Object(question)| question).map_err(|error| error.to_string())))
    }
}

/// How questions are answered (§7.1.2).
#[derive(Debug, Deserialize, JsonSchema)]
pub struct EvaluationsOptions {
    /// When the answers end: after all, after the first no, or after the first yes.
    pub evaluations_semantic: Option<Semantic>,
}

/// Which subjects may do this (§8.4)?
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
pub struct SubjectSearchRequest<'b> {
    /// Of which type.
    #[serde(borrow)]
    pub subject: Object<SubjectTypeRequest<'b>>,
    /// Does what.
    pub action: Object<ActionRequest<'b>>,
    /// To what.
    pub resource: Object<ResourceRequest<'b>>,
    /// It is not looked at.
    pub context: Option<Properties>,
    /// Which page.
    pub page: Option<Object<PageRequest<'b>>>,
}

/// On which resources may the subject do this (§8.5)?
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
pub struct ResourceSearchRequest<'b> {
    /// Who.
    #[serde(borrow)]
    pub subject: Object<SubjectRequest<'b>>,
    /// Does what.
    pub action: Object<ActionRequest<'b>>,
    /// Of which type.
    pub resource: Object<ResourceTypeRequest<'b>>,
    /// It is not looked at.
    pub context: Option<Properties>,
    /// Which page.
    pub page: Option<Object<PageRequest<'b>>>,
}

/// What may the subject do (§8.6)?
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
pub struct ActionSearchRequest<'b> {
    /// Who.
    #[serde(borrow)]
    pub subject: Object<SubjectRequest<'b>>,
    /// To what.
    pub resource: Object<ResourceRequest<'b>>,
    /// It is not looked at.
    pub context: Option<Properties>,
    /// Which page.
    pub page: Option<Object<PageRequest<'b>>>,
}

/// A subject.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
pub struct SubjectRequest<'b> {
    /// `user`, `agent` or `key`; of another type there is nobody.
    #[serde(rename = "type")]
    pub kind: &'b str,
    /// Keyroll's id; of a user also `operator`.
    pub id: &'b str,
    /// They are not looked at.
    pub properties: Option<Properties>,
}

/// Subjects of a type.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
pub struct SubjectTypeRequest<'b> {
    /// `user` or `agent`.
    #[serde(rename = "type")]
    pub kind: &'b str,
    /// They are not looked at.
    pub properties: Option<Properties>,
}

/// An action.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
pub struct ActionRequest<'b> {
    /// The last part of a permission.
    pub name: &'b str,
    /// They are not looked at.
    pub properties: Option<Properties>,
}

/// A resource.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
pub struct ResourceRequest<'b> {
    /// The first two parts of a permission: `api:resource`.
    #[serde(rename = "type")]
    pub kind: &'b str,
    /// It is not interpreted.
    pub id: &'b str,
    /// They are not looked at.
    pub properties: Option<Properties>,
}

/// Resources of a type.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
pub struct ResourceTypeRequest<'b> {
    /// The first two parts of a permission: `api:resource`.
    #[serde(rename = "type")]
    pub kind: &'b str,
    /// They are not looked at.
    pub properties: Option<Properties>,
}

/// Which page of what a search finds (§8.2.1). A token goes on with the question that it came from: of the page, with
/// its properties.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
pub struct PageRequest<'b> {
    /// How many results it holds at most.
    #[serde(skip_serializing)]
    pub limit: Option<u64>,
    /// `page.next_token` of the page before; empty for the first.
    #[serde(skip_serializing)]
    pub token: Option<&'b str>,
    /// They are not looked at.
    pub properties: Option<Properties>,
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_missing_is_named() {
        let good = json!({"subject": {"type": "user", "id": "x"}, "action": {"name": "read"},
            "resource": {"type": "a:b", "id": "1"}, "context": {}, "more": 1});
        let check = |path: &str, value: Value, expected: &str| {
            let mut body = good.clone();
            *body.pointer_mut(path).unwrap() = value;
            let tree = Tree::from(&body);
            let found = read::<EvaluationRequest<'_>>(&tree).map(|_| String::new());
            assert_eq!(found.unwrap_or_else(|refused| refused.to_string()), expected, "{path}");
        };
        check("/more", json!({}), "");
        check("/context", json!([]), "context: expected an object");
        check("/subject", json!(null), "subject: expected an object");
        check("/subject", json!("alice"), "subject: expected an object");
        check("/subject/id", json!(null), "subject.id: expected a string");
        check("/subject/type", json!(1), "subject.type: expected a string");
        check("/action", json!({}), "action.name: is required");
        check("/action/name", json!(123), "action.name: expected a string");
        check("/resource", json!({"id": "1"}), "resource.type: is required");
        check("/resource", json!({"type": "a:b"}), "resource.id: is required");
        check(
            "/resource",
            json!({"type": "a:b", "id": "1", "properties": 1}),
            "resource.properties: expected an object",
        );
    }
}
