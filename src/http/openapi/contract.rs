//! What each operation takes and gives. An operation that gives nothing that is said here does not compile.

use schemars::JsonSchema;
use serde_json::{Map, Value, json};

use super::answers::{Answer, ETAG, LOCATION, PROPAGATION, RETRY_AFTER};
use super::schemas::{Describe, Schemas, taken};
use crate::domain::Operation;
use crate::http::conditions::is_tagged;
use crate::http::open::Health;
use crate::service::Readiness;
use crate::service::authzen::request::{
    ActionSearchRequest, EvaluationRequest, EvaluationsRequest, ResourceSearchRequest, SubjectSearchRequest,
};
use crate::service::authzen::response::{
    ActionResponse, Configuration, Decision, Decisions, Found, ResourceResponse, SubjectResponse,
};
use crate::service::catalogue::apis::{ApiList, ApiRequest, ApiResponse};
use crate::service::catalogue::mappings::{MappingRequest, MappingResponse};
use crate::service::catalogue::roles::{RoleList, RoleRequest, RoleResponse};
use crate::service::catalogue::snapshot::MappingList;
use crate::service::directory::agents::{AgentList, AgentRequest, AgentResponse};
use crate::service::directory::users::{HoldRequest, UserList, UserResponse};
use crate::service::keys::exposed::{ExposedReceipt, ExposedRequest};
use crate::service::keys::identify::{EffectiveResponse, IdentifyRequest};
use crate::service::keys::owner::RevokedKeys;
use crate::service::keys::request::{KeyRequest, RevokeRequest};
use crate::service::keys::response::{HolderResponse, IssuedKey, KeyList, KeyResponse, VerifyResponse};
use crate::service::keys::rotate::{RotateRequest, RotatedKey};
use crate::service::keys::steps::{ExtendRequest, HoldRequest as KeyHoldRequest, NarrowRequest, RenameRequest};
use crate::service::keys::verify::VerifyRequest;
use crate::service::log::feed::ChangeList;
use crate::service::nodes::Propagation;
use crate::service::reports::explain::ExplainRequest;
use crate::service::reports::response::{AccessResponse, Explanation, HolderList, LossList};

/// What an operation takes and gives.
pub(super) struct Contract {
    pub(super) takes: Option<Taken>,
    pub(super) gives: Vec<Answer>,
}

/// The body of a request.
pub(super) struct Taken {
    pub(super) describe: Describe,
    pub(super) is_required: bool,
}

impl Contract {
    /// The contract of an operation; `None` where it is not one of this API.
    pub(super) fn of(operation: Operation) -> Option<Contract> {
        let mut gives = gives(operation);
        if is_tagged(operation) && !operation.writes() {
            gives.push(Answer::empty(304, "It is what If-None-Match names.").with(ETAG));
        }
        (!gives.is_empty()).then(|| Contract { takes: takes(operation), gives })
    }
}

/// The body that it takes: an operation that is not named here does not compile.
fn takes(operation: Operation) -> Option<Taken> {
    let required = |describe: Describe| Some(Taken { describe, is_required: true });
    let optional = |describe: Describe| Some(Taken { describe, is_required: false });
    match operation {
        Operation::KeyIssue => required(taken::<KeyRequest>),
        Operation::KeyRevoke | Operation::KeyRevokeAll => optional(taken::<RevokeRequest>),
        Operation::KeyHold | Operation::KeyRelease => optional(taken::<KeyHoldRequest>),
        Operation::KeyRename => required(taken::<RenameRequest>),
        Operation::KeyNarrow => required(taken::<NarrowRequest>),
        Operation::KeyExtend => required(taken::<ExtendRequest>),
        Operation::KeyRotate => optional(taken::<RotateRequest>),
        Operation::KeyIdentify => required(taken::<IdentifyRequest>),
        Operation::KeyExpose => required(taken::<ExposedRequest>),
        Operation::KeyVerify => required(taken::<VerifyRequest>),
        Operation::UserSuspend | Operation::UserActivate => optional(taken::<HoldRequest>),
        Operation::AgentSuspend | Operation::AgentActivate => optional(taken::<HoldRequest>),
        Operation::AgentCreate | Operation::AgentReplace => required(taken::<AgentRequest>),
        Operation::ApiCreate | Operation::ApiReplace => required(taken::<ApiRequest>),
        Operation::RoleCreate | Operation::RoleReplace => required(taken::<RoleRequest>),
        Operation::MappingCreate | Operation::MappingReplace => required(taken::<MappingRequest>),
        Operation::AccessExplain => required(taken::<ExplainRequest>),
        Operation::AccessEvaluate => required(taken::<EvaluationRequest<'_>>),
        Operation::AccessEvaluations => required(taken::<EvaluationsRequest<'_>>),
        Operation::SearchSubjects => required(taken::<SubjectSearchRequest<'_>>),
        Operation::SearchResources => required(taken::<ResourceSearchRequest<'_>>),
        Operation::SearchActions => required(taken::<ActionSearchRequest<'_>>),
        Operation::KeyList | Operation::KeyRead | Operation::KeyEffective | Operation::Whoami => None,
        Operation::UserList | Operation::UserRead | Operation::UserDelete | Operation::UserAccess => None,
        Operation::AgentList | Operation::AgentRead | Operation::AgentDelete | Operation::AgentAccess => None,
        Operation::ApiList | Operation::ApiRead | Operation::ApiDelete => None,
        Operation::RoleList | Operation::RoleRead | Operation::RoleDelete | Operation::RoleHolders => None,
        Operation::MappingList | Operation::MappingRead | Operation::MappingDelete | Operation::Changes => None,
        Operation::AccessConfiguration | Operation::SigningKeys | Operation::OpenApi => None,
        Operation::Health | Operation::Ready => None,
        // Not of this API: of SCIM, whose schemas say what it takes, and of the host.
        Operation::Create | Operation::Read | Operation::Replace | Operation::Patch | Operation::Delete => None,
        Operation::Search | Operation::SearchAll | Operation::Roles | Operation::Entitlements => None,
        Operation::Me | Operation::MeWrite | Operation::Bulk | Operation::Discover => None,
        Operation::Init | Operation::Apply | Operation::Backup | Operation::Restore => None,
        Operation::LogVerify | Operation::LogTail | Operation::LogAcceptFork | Operation::NodeList => None,
    }
}

/// What is answered when it is done; nothing where the operation is not one of this API.
fn gives(operation: Operation) -> Vec<Answer> {
    match operation {
        Operation::Create | Operation::Read | Operation::Replace | Operation::Patch | Operation::Delete => vec![],
        Operation::Search | Operation::SearchAll | Operation::Roles | Operation::Entitlements => vec![],
        Operation::Me | Operation::MeWrite | Operation::Bulk | Operation::Discover => vec![],
        Operation::KeyIssue => vec![Answer::json::<IssuedKey>(201, "The key: it is shown this once.")],
        Operation::KeyList => shows::<KeyList>(),
        Operation::KeyRead => shows::<KeyResponse>(),
        Operation::KeyRevoke | Operation::KeyHold | Operation::KeyNarrow => changes::<KeyResponse>(),
        Operation::KeyRelease | Operation::KeyRename | Operation::KeyExtend => shows::<KeyResponse>(),
        Operation::KeyRotate => vec![Answer::json::<Changed<RotatedKey>>(201, "The new key: it is shown this once.")],
        Operation::KeyRevokeAll => changes::<RevokedKeys>(),
        Operation::KeyEffective => shows::<EffectiveResponse>(),
        Operation::KeyIdentify => shows::<KeyResponse>(),
        Operation::KeyExpose => vec![Answer::json::<ExposedReceipt>(202, "Whatever of it was a key is dead.")],
        Operation::KeyVerify => shows::<VerifyResponse>(),
        Operation::Whoami => shows::<HolderResponse>(),
        Operation::UserList => shows::<UserList>(),
        Operation::UserRead => shows::<UserResponse>(),
        Operation::UserSuspend | Operation::UserActivate => changes::<UserResponse>(),
        Operation::AgentList => shows::<AgentList>(),
        Operation::AgentRead => shows::<AgentResponse>(),
        Operation::AgentReplace | Operation::AgentSuspend | Operation::AgentActivate => changes::<AgentResponse>(),
        Operation::AgentCreate => creates::<AgentResponse>(),
        Operation::ApiList => shows::<ApiList>(),
        Operation::ApiRead => tagged(shows::<ApiResponse>()),
        Operation::ApiReplace => tagged(changes::<ApiResponse>()),
        Operation::ApiCreate => tagged(creates::<ApiResponse>()),
        Operation::RoleList => shows::<RoleList>(),
        Operation::RoleRead => tagged(shows::<RoleResponse>()),
        Operation::RoleReplace => tagged(changes::<RoleResponse>()),
        Operation::RoleCreate => tagged(creates::<RoleResponse>()),
        Operation::MappingList => {
            vec![Answer::json::<MappingList<'_>>(200, DONE).or("application/jwt", text).with(ETAG)]
        }
        Operation::MappingRead => tagged(shows::<MappingResponse<'_>>()),
        Operation::MappingReplace => tagged(changes::<MappingResponse<'_>>()),
        // One that ran out makes room.
        Operation::MappingCreate => tagged(creates::<Changed<MappingResponse<'_>>>()),
        Operation::MappingDelete => {
            vec![Answer::json::<LossList>(200, "With `dry_run=true`: who would lose what."), removed()]
        }
        Operation::UserDelete | Operation::AgentDelete | Operation::ApiDelete | Operation::RoleDelete => {
            vec![removed()]
        }
        Operation::RoleHolders => shows::<HolderList>(),
        Operation::UserAccess | Operation::AgentAccess => shows::<AccessResponse>(),
        Operation::AccessExplain => shows::<Explanation>(),
        Operation::Changes => vec![Answer::json::<ChangeList<'_>>(200, DONE).or("text/event-stream", text)],
        Operation::AccessEvaluate => shows::<Decision>(),
        Operation::AccessEvaluations => shows::<Decisions>(),
        Operation::SearchSubjects => shows::<Found<SubjectResponse>>(),
        Operation::SearchResources => shows::<Found<ResourceResponse>>(),
        Operation::SearchActions => shows::<Found<ActionResponse>>(),
        Operation::AccessConfiguration => shows::<Configuration>(),
        Operation::Health => shows::<Health>(),
        Operation::OpenApi => tagged(vec![Answer::written(200, DONE, document)]),
        Operation::SigningKeys => vec![Answer::written(200, DONE, jwk_set).only("application/jwk-set+json")],
        Operation::Ready => {
            vec![Answer::json::<Readiness>(200, "Requests can be served."), unready()]
        }
        Operation::Init | Operation::Apply | Operation::Backup | Operation::Restore => vec![],
        Operation::LogVerify | Operation::LogTail | Operation::LogAcceptFork | Operation::NodeList => vec![],
    }
}

const DONE: &str = "What was asked for.";

fn shows<T: JsonSchema>() -> Vec<Answer> {
    vec![Answer::json::<T>(200, DONE)]
}

/// The answer to a change that may take access away.
#[derive(JsonSchema)]
#[schemars(rename = "Changed{T}")]
struct Changed<T> {
    #[serde(flatten)]
    #[expect(dead_code, reason = "described, and never made: HTTP adds the member to the text")]
    of: T,
    /// How far the change has come among the nodes, if it may have taken access away.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[expect(dead_code, reason = "described, and never made")]
    propagation: Option<Propagation>,
}

fn changes<T: JsonSchema>() -> Vec<Answer> {
    vec![Answer::json::<Changed<T>>(200, DONE)]
}

fn creates<T: JsonSchema>() -> Vec<Answer> {
    vec![Answer::json::<T>(201, "What was made.").with(LOCATION)]
}

fn tagged(answers: Vec<Answer>) -> Vec<Answer> {
    answers.into_iter().map(|answer| answer.with(ETAG)).collect()
}

fn removed() -> Answer {
    Answer::empty(204, "It is gone.").with(PROPAGATION)
}

fn unready() -> Answer {
    Answer::json::<Readiness>(503, "They cannot, and why.").with(RETRY_AFTER)
}

fn document(_: &mut Schemas) -> Value {
    json!({"type": "object", "description": "This document (OpenAPI 3.1)."})
}

/// RFC 7517 §5, with keys of RFC 8037.
fn jwk_set(_: &mut Schemas) -> Value {
    let text = json!({"type": "string"});
    let members = ["kty", "crv", "x", "kid", "use", "alg"];
    let properties: Map<String, Value> = members.iter().map(|name| ((*name).to_owned(), text.clone())).collect();
    let key = json!({"type": "object", "properties": properties, "required": members});
    json!({
        "type": "object",
        "properties": {"keys": {"type": "array", "items": key}},
        "required": ["keys"],
        "description": "A JWK Set (RFC 7517).",
    })
}

fn text(_: &mut Schemas) -> Value {
    json!({"type": "string"})
}
