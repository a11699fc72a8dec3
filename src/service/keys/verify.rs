//! Verification: whether a key works, and whether it may do what a service is asked to do.
//!
//! `effective = granted(key) ∩ current(owner)` (promise P2), looked at anew for each question. What was
//! proven before is answered from memory as long as nothing that decides it has changed.

use std::sync::Arc;

use schemars::JsonSchema;
use serde::Deserialize;

use crate::domain::caller::KeyHolder;
use crate::domain::credential::{Circumstances, Thumbprint, Verdict, is_environment};
use crate::domain::principal::PrincipalKind;
use crate::domain::{Operation, Permission, Policy, TenantKey};
use crate::scim::text::render_time;
use crate::service::access::policy;
use crate::service::caller::authenticate;
use crate::service::caller::authenticate::FoundKey;
use crate::service::keys::response::{VerifiedOwner, VerifyResponse};
use crate::service::keys::rotate::first_used;
use crate::service::memory::Stamp;
use crate::service::request::present;
use crate::service::{Cached, Context, Error, Service, authorize, memory};
use crate::store::credentials::Holder;

/// A key, and what it is to be used for, if that is asked: a permission, or a request to an api. A member that is null
/// is refused: whoever asks for more than is answered must not take the answer for it.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct VerifyRequest {
    /// The text of the key.
    pub key: String,
    /// `api:resource:action`.
    #[serde(default, deserialize_with = "present")]
    #[schemars(with = "Permission")]
    pub permission: Option<String>,
    /// The name of an api; with method and path.
    #[serde(default, deserialize_with = "present")]
    #[schemars(with = "String")]
    pub api: Option<String>,
    /// The HTTP method of a request to it.
    #[serde(default, deserialize_with = "present")]
    #[schemars(with = "String")]
    pub method: Option<String>,
    /// The path of that request.
    #[serde(default, deserialize_with = "present")]
    #[schemars(with = "String")]
    pub path: Option<String>,
    /// The address that the request comes from, for conditions of the key.
    #[serde(default, deserialize_with = "present")]
    #[schemars(with = "String")]
    pub ip: Option<String>,
    /// The environment that it is for: `prod`, `test`.
    #[serde(default, deserialize_with = "present")]
    #[schemars(with = "String")]
    pub environment: Option<String>,
    /// The SHA-256 of the certificate that its client showed (`x5t#S256`).
    #[serde(default, deserialize_with = "present")]
    #[schemars(with = "Thumbprint")]
    pub certificate: Option<String>,
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
    pub fn verify(&self, context: &Context, request: &VerifyRequest) -> Result<VerifyResponse, Error> {
        authorize(&context.caller, Operation::KeyVerify, None)?;
        let (may, mut given) = (request.may()?, request.given()?);
        let not_found = || {
            context.noted.judged(Verdict::NotFound, None);
            Ok(VerifyResponse::only(Verdict::NotFound))
        };
        let commit = memory::commit_version(self)?;
        let Some(found) = authenticate::prove(self, &request.key, commit)? else { return not_found() };
        // A key of another tenant is not found, whatever its state (design §6).
        let tenant = found.holder.tenant.key;
        if tenant != context.caller.tenant.key || !found.proven {
            return not_found();
        }
        let stamp = memory::catch_up(self, tenant, commit)?;
        given.at = memory::now_in(self, tenant);
        let verdict = found.verdict(given.at);
        let holder = Arc::clone(&found.holder);
        let judged = match (verdict, &may) {
            (Verdict::Valid, Some(may)) => judge(self, &request.key, found, (may, &given), stamp)?,
            (Verdict::Valid, None) if !holder.stored.credential.grant.counts(&given) => {
                Judged::only(Verdict::ConditionFailed)
            }
            (verdict, _) => Judged::only(verdict),
        };
        if judged.verdict == Verdict::Valid && holder.stored.credential.awaits_first_use() {
            let credential = &holder.stored.credential;
            first_used(self, context, credential.id, &credential.selector);
        }
        context.noted.judged(judged.verdict, Some(holder.stored.credential.id));
        Ok(answer(&holder, judged))
    }
}

impl Cached<'_> {
    /// The same of a key that works.
    pub fn verify(&self, context: &Context, request: &VerifyRequest) -> Option<VerifyResponse> {
        authorize(&context.caller, Operation::KeyVerify, None).ok()?;
        let (may, mut given) = (request.may().ok()?, request.given().ok()?);
        let (known, _) = self.caller(&request.key)?;
        let tenant = known.holder.tenant.key;
        if tenant != context.caller.tenant.key {
            return None;
        }
        given.at = memory::now_in(self.service, tenant);
        let key = authenticate::key_of(self.service, &known, given.at)?;
        if key.awaits_first_use {
            return None;
        }
        let judged = match &may {
            None if key.grant.counts(&given) => Judged::only(Verdict::Valid),
            None => Judged::only(Verdict::ConditionFailed),
            Some(may) => {
                let policy = policy::cached(self.service, tenant)?;
                Judged::of(&key, needed(&policy, may).ok()?, &given)
            }
        };
        context.noted.judged(judged.verdict, Some(known.holder.stored.credential.id));
        Some(answer(&known.holder, judged))
    }
}

/// What is told of a key that was proven.
struct Judged {
    verdict: Verdict,
    /// What was asked for, if it may.
    permission: Option<Permission>,
    /// What Keyroll does not know of what was asked.
    detail: Option<String>,
}

impl Judged {
    fn only(verdict: Verdict) -> Judged {
        Judged { verdict, permission: None, detail: None }
    }

    fn of(key: &KeyHolder, permission: Permission, given: &Circumstances) -> Judged {
        let verdict = key.judge(&permission, given);
        Judged { verdict, permission: Some(permission).filter(|_| verdict == Verdict::Valid), detail: None }
    }
}

/// Whether a key that works may do what is asked for, now and under these circumstances.
fn judge(
    service: &Service,
    token: &str,
    found: FoundKey,
    (may, given): (&May<'_>, &Circumstances),
    stamp: Stamp,
) -> Result<Judged, Error> {
    let tenant: TenantKey = found.holder.tenant.key;
    let policy = policy::seen(service, tenant)?;
    let permission = match needed(&policy, may) {
        Ok(permission) => permission,
        Err(unknown) => {
            let detail = Some(format!("{UNKNOWN}: {unknown}"));
            return Ok(Judged { detail, ..Judged::only(Verdict::InsufficientPermissions) });
        }
    };
    let (_, holder) = authenticate::holder(service, token, found, stamp)?;
    Ok(Judged::of(&holder, permission, given))
}

/// How a detail begins that tells a slip of the pen from access that is missing.
const UNKNOWN: &str = "UNKNOWN_PERMISSION";

/// What verification tells of a key whose secret was proven; of one that works, also who its owner is and how long.
fn answer(holder: &Holder, judged: Judged) -> VerifyResponse {
    let Judged { verdict, permission, detail } = judged;
    let (credential, owner) = (&holder.stored.credential, &holder.owner);
    let valid = verdict == Verdict::Valid;
    let is_user = owner.kind == PrincipalKind::User;
    let name = |shown: bool| (valid && shown).then(|| owner.name.clone());
    VerifyResponse {
        key_id: Some(credential.id),
        owner: Some(VerifiedOwner { kind: owner.kind, id: owner.id, user_name: name(is_user), name: name(!is_user) }),
        expires_at: valid.then(|| render_time(credential.ends_at())),
        permission,
        detail,
        ..VerifyResponse::only(verdict)
    }
}

/// The permission that is asked for; or why there is none: no api has it, or no route matches.
fn needed(policy: &Policy, may: &May<'_>) -> Result<Permission, String> {
    let permission = match may {
        May::Permission(permission) => permission.clone(),
        May::Request { api, method, path } => {
            let known = policy.apis().get(*api).ok_or("no api has this name")?;
            known
                .route(method, path)
                .ok_or_else(|| format!("no route of the api {} has this method and path", known.name))?
        }
    };
    if policy.knows(&permission) { Ok(permission) } else { Err(format!("no api registers {permission}")) }
}

impl VerifyRequest {
    /// What it tells of the request that is to be served; not when that is.
    fn given(&self) -> Result<Circumstances, Error> {
        let ip = self.ip.as_ref().map(|text| text.parse().map_err(|_| refuse("ip", "expected an IP address")));
        let environment = self.environment.clone();
        if environment.as_deref().is_some_and(|name| !is_environment(name)) {
            return Err(refuse("environment", "expected a name of a–z, 0–9, _, . and -"));
        }
        let print = self.certificate.as_deref().map(|text| {
            Thumbprint::parse(text)
                .ok_or_else(|| refuse("certificate", "expected an x5t#S256: 43 letters of base64url"))
        });
        Ok(Circumstances {
            ip: ip.transpose()?,
            environment,
            certificate: print.transpose()?,
            ..Circumstances::default()
        })
    }

    /// What the key shall be allowed; `None` if only its holder is asked for.
    fn may(&self) -> Result<Option<May<'_>>, Error> {
        let request = [&self.api, &self.method, &self.path].map(Option::as_deref);
        Ok(match (&self.permission, request) {
            (None, [None, None, None]) => None,
            (Some(permission), [None, None, None]) => Some(May::Permission(
                Permission::parse(permission).ok_or_else(|| refuse("permission", "expected api:resource:action"))?,
            )),
            (Some(_), _) => return Err(refuse("permission", "is asked for either by name or by api, method and path")),
            (None, [Some(api), Some(method), Some(path)]) => Some(may_request(api, method, path)?),
            (None, parts) => {
                let missing = ["api", "method", "path"].into_iter().zip(parts).find(|(_, part)| part.is_none());
                let name = missing.map_or("path", |(name, _)| name);
                return Err(refuse(name, "api, method and path are asked for together"));
            }
        })
    }
}

fn may_request<'b>(api: &'b str, method: &'b str, path: &'b str) -> Result<May<'b>, Error> {
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
