//! What a request asks: who, and which permission.

use super::request::{
    ActionRequest, EvaluationRequest, EvaluationsRequest, OneOfMany, QuestionRequest, Refused, ResourceRequest,
    SubjectRequest,
};
use crate::domain::principal::{OPERATOR, PrincipalKind};
use crate::domain::{Id, Permission};
use crate::service::access::held::Subject;
use crate::service::request::Object;

/// May the subject do this?
#[derive(Clone, Debug)]
pub(in crate::service::authzen) struct Question {
    pub(in crate::service::authzen) subject: Subject,
    /// `None` for what is no permission in Keyroll's letters: nobody holds it.
    pub(in crate::service::authzen) permission: Option<Permission>,
}

impl Question {
    /// `resource.type` is `api:resource`, `action.name` is the action (design §6).
    fn new(subject: &SubjectRequest<'_>, action: &ActionRequest<'_>, resource: &ResourceRequest<'_>) -> Question {
        Question { subject: self::subject(subject), permission: permission(resource.kind, action.name) }
    }

    /// Of the parts that a request and its defaults have.
    fn of(
        subject: Option<&Object<SubjectRequest<'_>>>,
        action: Option<&Object<ActionRequest<'_>>>,
        resource: Option<&Object<ResourceRequest<'_>>>,
    ) -> Result<Question, Refused> {
        let missing = |name: &str| format!("{name}: is required");
        let Object(subject) = subject.ok_or_else(|| missing("subject"))?;
        let Object(action) = action.ok_or_else(|| missing("action"))?;
        let Object(resource) = resource.ok_or_else(|| missing("resource"))?;
        Ok(Question::new(subject, action, resource))
    }
}

impl From<&EvaluationRequest<'_>> for Question {
    fn from(request: &EvaluationRequest<'_>) -> Question {
        Question::new(&request.subject.0, &request.action.0, &request.resource.0)
    }
}

impl EvaluationsRequest<'_> {
    /// The one question that the request itself is.
    ///
    /// # Errors
    /// If a part of it is missing.
    pub(in crate::service::authzen) fn itself(&self) -> Result<Question, Refused> {
        Question::of(self.subject.as_ref(), self.action.as_ref(), self.resource.as_ref())
    }

    /// One of its questions, with the request's own parts as defaults.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(in crate::service::authzen) fn one(&self, one: &OneOfMany<'_>) -> Result<Question, Refused> {
        let QuestionRequest { subject, action, resource, .. } = one.0.as_ref().map_err(Refused::clone)?;
        Question::of(
            subject.as_ref().or(self.subject.as_ref()),
            action.as_ref().or(self.action.as_ref()),
            resource.as_ref().or(self.resource.as_ref()),
        )
    }
}

/// The subject, by Keyroll's id.
pub(in crate::service::authzen) fn subject(request: &SubjectRequest<'_>) -> Subject {
    let (kind, id) = (request.kind, request.id);
    match (kind, PrincipalKind::parse(kind), Id::parse(id)) {
        (_, Some(PrincipalKind::User), None) if id == OPERATOR => Subject::Operator,
        (_, Some(kind), Some(id)) => Subject::Principal(kind, id),
        (KEY, None, Some(id)) => Subject::Key(id),
        _ => Subject::Nobody,
    }
}

/// The permission that a resource type and an action name; `None` if they name none, or many.
pub(in crate::service::authzen) fn permission(resource: &str, action: &str) -> Option<Permission> {
    // A colon in either would move the border between them.
    if action.contains(':') || resource.len() + action.len() > PERMISSION_BYTES_MAX {
        return None;
    }
    Permission::parse(&format!("{resource}:{action}")).filter(Permission::is_single)
}

/// The type of a subject that is a key.
pub(in crate::service::authzen) const KEY: &str = "key";

/// Nothing longer is a permission; what is longer need not be copied to find that out.
const PERMISSION_BYTES_MAX: usize = 256;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_permission_is_a_resource_type_and_an_action() {
        let check = |resource: &str, action: &str, expected: Option<&str>| {
            let found = permission(resource, action).map(|found| found.to_string());
            assert_eq!(found.as_deref(), expected, "{resource} {action}");
        };
        check("billing:invoices", "read", Some("billing:invoices:read"));
        check("billing", "invoices:read", None);
        check("billing:invoices", "*", None);
        check("billing:*", "read", None);
        check("record", "read", None);
        check("billing:invoices", "", None);
        check("billing:invoices", "Read", None);
        check("a:b", &"x".repeat(300), None);
    }
}
