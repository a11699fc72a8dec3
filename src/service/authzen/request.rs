//! What an AuthZEN request says (Authorization API 1.0 §5): read by its members, whatever else is there.
//!
//! A refusal is a sentence: of a whole request it becomes a 400, of one evaluation among many its error.

use crate::domain::principal::{OPERATOR, PrincipalKind};
use crate::domain::{Id, Permission};
use crate::scim::json::{Members, Tree};
use crate::service::Error;
use crate::service::access::held::Subject;

/// Why something is no request.
pub(in crate::service::authzen) type Refused = String;

/// A question: may the subject do this?
#[derive(Clone, Debug)]
pub(in crate::service::authzen) struct Question {
    pub(in crate::service::authzen) subject: Subject,
    /// `None` for what is no permission in Keyroll's letters: nobody holds it.
    pub(in crate::service::authzen) permission: Option<Permission>,
}

/// The entities of a request: its own, and where it lacks one, the default.
#[derive(Clone, Copy)]
pub(in crate::service::authzen) struct Entities<'b> {
    own: &'b Members<'b>,
    defaults: Option<&'b Members<'b>>,
}

impl<'b> Entities<'b> {
    /// The entities of a whole request.
    ///
    /// # Errors
    /// 400 if it is no object.
    pub(in crate::service::authzen) fn of(body: &'b Tree<'b>) -> Result<Entities<'b>, Error> {
        match body {
            Tree::Object(own) => Ok(Entities { own, defaults: None }),
            _ => Err(refuse("the body must be a JSON object".to_owned())),
        }
    }

    /// Those of one evaluation among many, with the request's own as defaults.
    pub(in crate::service::authzen) fn item(self, item: &'b Tree<'b>) -> Result<Entities<'b>, Refused> {
        match item {
            Tree::Object(own) => Ok(Entities { own, defaults: Some(self.own) }),
            _ => Err("expected an object".to_owned()),
        }
    }

    /// A member that is not null.
    pub(in crate::service::authzen) fn member(self, name: &str) -> Option<&'b Tree<'b>> {
        let present = |from: &'b Members<'b>| from.get(name).filter(|value| **value != Tree::Null);
        present(self.own).or_else(|| self.defaults.and_then(present))
    }

    /// A member that is an object, if it is there.
    pub(in crate::service::authzen) fn object(self, name: &str) -> Result<Option<&'b Members<'b>>, Refused> {
        match self.member(name) {
            None => Ok(None),
            Some(Tree::Object(members)) => Ok(Some(members)),
            Some(_) => Err(format!("{name}: expected an object")),
        }
    }

    /// A text inside an entity; both must be there.
    pub(in crate::service::authzen) fn text(self, entity: &str, name: &str) -> Result<&'b str, Refused> {
        let members = self.object(entity)?.ok_or_else(|| format!("{entity}: is required"))?;
        if !matches!(members.get("properties"), None | Some(Tree::Null | Tree::Object(_))) {
            return Err(format!("{entity}.properties: expected an object"));
        }
        match members.get(name) {
            Some(Tree::Text(text)) => Ok(text),
            None | Some(Tree::Null) => Err(format!("{entity}.{name}: is required")),
            Some(_) => Err(format!("{entity}.{name}: expected a text")),
        }
    }

    /// The subject, by Keyroll's id.
    pub(in crate::service::authzen) fn subject(self) -> Result<Subject, Refused> {
        let (kind, id) = (self.text("subject", "type")?, self.text("subject", "id")?);
        let parsed = Id::parse(id);
        Ok(match (kind, PrincipalKind::parse(kind), parsed) {
            (_, Some(PrincipalKind::User), None) if id == OPERATOR => Subject::Operator,
            (_, Some(kind), Some(id)) => Subject::Principal(kind, id),
            (KEY, None, Some(id)) => Subject::Key(id),
            _ => Subject::Nobody,
        })
    }

    /// The whole question: `resource.type` is `api:resource`, `action.name` is the action (design §6).
    pub(in crate::service::authzen) fn question(self) -> Result<Question, Refused> {
        let subject = self.subject()?;
        let action = self.text("action", "name")?;
        let resource = self.text("resource", "type")?;
        self.text("resource", "id")?;
        self.object("context")?;
        Ok(Question { subject, permission: permission(resource, action) })
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

/// 400, with the sentence.
pub(in crate::service::authzen) fn refuse(refused: Refused) -> Error {
    Error::Malformed(refused)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::scim::json;

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

    #[test]
    fn what_is_missing_is_named() {
        let good = json!({"subject": {"type": "user", "id": "x"}, "action": {"name": "read"},
            "resource": {"type": "a:b", "id": "1"}, "context": {}, "more": 1});
        let check = |path: &str, value: Value, expected: &str| {
            let mut body = good.clone();
            *body.pointer_mut(path).unwrap() = value;
            let text = body.to_string();
            let body = json::parse(text.as_bytes(), &json::Limits::default()).unwrap();
            let found = Entities::of(&body).unwrap().question().map(|_| String::new());
            assert_eq!(found.unwrap_or_else(|refused| refused), expected, "{path}");
        };
        check("/more", json!({}), "");
        check("/context", json!([]), "context: expected an object");
        check("/subject", json!(null), "subject: is required");
        check("/subject", json!("alice"), "subject: expected an object");
        check("/subject/id", json!(null), "subject.id: is required");
        check("/subject/type", json!(1), "subject.type: expected a text");
        check("/action", json!({}), "action.name: is required");
        check("/action/name", json!(123), "action.name: expected a text");
        check("/resource", json!({"id": "1"}), "resource.type: is required");
        check("/resource", json!({"type": "a:b"}), "resource.id: is required");
        check(
            "/resource",
            json!({"type": "a:b", "id": "1", "properties": 1}),
            "resource.properties: expected an object",
        );
    }
}
