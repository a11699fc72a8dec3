//! Verification: whether a key works, and whether it may do what a service is asked to do.
//!
//! `effective = granted(key) ∩ current(owner)` (promise P2), looked at anew for each question. What was
//! proven before is answered from memory as long as nothing that decides it has changed.

use serde_json::{Value, json};

use crate::domain::credential::Verdict;
use crate::domain::{Operation, Permission, Policy, TenantKey};
use crate::service::authenticate::Found;
use crate::service::cache::Stamp;
use crate::service::{Context, Error, Service, authorize};

const MEMBERS: [&str; 5] = ["key", "permission", "api", "method", "path"];

/// The body of `POST /v1/verify`, checked.
struct Asked<'b> {
    key: &'b str,
    may: Option<May<'b>>,
}

/// What the key shall be allowed.
enum May<'b> {
    /// A permission, or all that a pattern covers.
    Permission(Permission),
    /// A request to an api, by the permission that its route needs.
    Request { api: &'b str, method: &'b str, path: &'b str },
}

impl Service {
    /// Whether a key works, whose it is, and whether it may do what is asked (`POST /v1/verify`).
    ///
    /// # Errors
    /// 403 without `keyroll:keys:verify`, 422 for a question that cannot be understood.
    pub fn verify(&self, context: &Context, body: &Value) -> Result<Value, Error> {
        authorize(&context.caller, Operation::KeyVerify, None)?;
        let asked = parse(body)?;
        let not_found = json!({"valid": false, "code": Verdict::NotFound.code()});
        let stamp = self.stamp()?;
        let Some(found) = self.prove(asked.key)? else { return Ok(not_found) };
        // A key of another tenant is not found, whatever its state (design §6).
        if found.holder.tenant.key != context.caller.tenant.key {
            return Ok(not_found);
        }
        let mut verdict = found.verdict(self.now());
        if verdict == Verdict::NotFound {
            return Ok(not_found);
        }
        let (key_id, owner) = (found.holder.stored.credential.id, &found.holder.owner);
        let owner = json!({"type": owner.kind.name(), "id": owner.id});
        let mut permission = None;
        if let (Some(may), Verdict::Valid) = (&asked.may, verdict) {
            permission = self.allowed(asked.key, found, may, stamp)?;
            if permission.is_none() {
                verdict = Verdict::InsufficientPermissions;
            }
        }
        let valid = verdict == Verdict::Valid;
        let mut answer = json!({"valid": valid, "code": verdict.code(), "key_id": key_id, "owner": owner});
        if let (Some(permission), Some(answer)) = (permission, answer.as_object_mut()) {
            answer.insert("permission".to_owned(), permission.as_str().into());
        }
        Ok(answer)
    }

    /// The permission that is asked for, if the key, which works, has it now.
    fn allowed(&self, token: &str, found: Found, may: &May<'_>, stamp: Stamp) -> Result<Option<Permission>, Error> {
        let tenant: TenantKey = found.holder.tenant.key;
        let policy = self.policy_seen(tenant)?;
        let Some(permission) = needed(&policy, may) else { return Ok(None) };
        let (_, holder) = self.key_holder(token, found, stamp)?;
        Ok(holder.may(&permission).then_some(permission))
    }
}

/// The permission that is asked for; `None` if no api has it, or no route matches.
fn needed(policy: &Policy, may: &May<'_>) -> Option<Permission> {
    let permission = match may {
        May::Permission(permission) => permission.clone(),
        May::Request { api, method, path } => policy.apis().get(*api)?.route(method, path)?,
    };
    policy.knows(&permission).then_some(permission)
}

/// Reads a question. A member that nobody would look at is refused, and so is `null`: whoever asks for more
/// than is answered must not take the answer for it.
fn parse(body: &Value) -> Result<Asked<'_>, Error> {
    let body = body.as_object().ok_or_else(|| Error::Malformed("the body must be a JSON object".to_owned()))?;
    if let Some(unknown) = body.keys().find(|name| !MEMBERS.contains(&name.as_str())) {
        return Err(refuse(unknown, "no such member"));
    }
    let text = |name: &str| match body.get(name) {
        None => Ok(None),
        Some(Value::String(text)) => Ok(Some(text.as_str())),
        Some(_) => Err(refuse(name, "expected a text")),
    };
    let key = text("key")?.ok_or_else(|| refuse("key", "a key is required"))?;
    let may = match (text("permission")?, [text("api")?, text("method")?, text("path")?]) {
        (None, [None, None, None]) => None,
        (Some(permission), [None, None, None]) => Some(May::Permission(
            Permission::parse(permission).ok_or_else(|| refuse("permission", "expected api:resource:action"))?,
        )),
        (Some(_), _) => return Err(refuse("permission", "is asked for either by name or by api, method and path")),
        (None, [Some(api), Some(method), Some(path)]) => Some(request(api, method, path)?),
        (None, parts) => {
            let missing = ["api", "method", "path"].into_iter().zip(parts).find(|(_, part)| part.is_none());
            let name = missing.map_or("path", |(name, _)| name);
            return Err(refuse(name, "api, method and path are asked for together"));
        }
    };
    Ok(Asked { key, may })
}

fn request<'b>(api: &'b str, method: &'b str, path: &'b str) -> Result<May<'b>, Error> {
    // RFC 9110 §5.6.2; in which case a method is written matters (§9.1).
    let is_token = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b);
    if method.is_empty() || !method.bytes().all(is_token) {
        return Err(refuse("method", "expected an HTTP method"));
    }
    if !path.starts_with('/') {
        return Err(refuse("path", "expected a path that begins with /"));
    }
    Ok(May::Request { api, method, path })
}

fn refuse(name: &str, detail: &str) -> Error {
    Error::invalid(format!("/{name}"), format!("{name}: {detail}"))
}
