//! Who carries out each operation, and where its work runs.

use actix_web::{HttpRequest, web};
use futures_util::future::LocalBoxFuture;

use super::call::{self, FromCache, run};
use super::respond::Reply;
use super::v1::{access, agents, items, keys, mappings, roles, users};
use super::{Shared, authzen, exposed, feed, open, openapi, ready, scim, snapshot};
use crate::domain::{Api, Operation, Role};
use crate::service::{Error, Service};

/// An answer that is still to come.
pub(super) type Coming<'c> = LocalBoxFuture<'c, Result<Reply, Error>>;

use Handler::{Call, Host, Quick, Wait};

/// Who carries an operation out.
enum Handler {
    /// One call of the service, wherever its work runs.
    Call(fn(&Service, &call::Call) -> Result<Reply, Error>),
    /// The same for what is remembered, most of the time.
    Quick(FromCache, fn(&Service, &call::Call) -> Result<Reply, Error>),
    /// Whoever waits for more than that.
    Wait(for<'c> fn(&'c HttpRequest, &'c web::Data<Shared>, call::Call) -> Coming<'c>),
    /// Nobody here: only the command line does it.
    Host,
}

impl Handler {
    /// Everything that the server can do: what nobody carries out does not compile.
    fn of(operation: Operation) -> Handler {
        match operation {
            Operation::Create => Call(scim::create),
            Operation::Read => Quick(scim::read_cached, scim::read),
            Operation::Replace => Call(scim::replace),
            Operation::Patch => Call(scim::patch),
            Operation::Delete => Call(scim::delete),
            Operation::Search | Operation::SearchAll => Wait(|r, s, call| Box::pin(scim::wait_and_search(r, s, call))),
            Operation::Roles | Operation::Entitlements => Call(scim::catalogue),
            Operation::Me => Call(scim::me),
            Operation::MeWrite => Call(scim::refuse_me),
            Operation::Bulk => Call(scim::bulk),
            Operation::Discover => Call(scim::discover),
            Operation::KeyIssue => Call(keys::issue),
            Operation::KeyList => Call(keys::list),
            Operation::KeyRead => Call(keys::read),
            Operation::KeyRevoke | Operation::KeyRevokeAll => Call(keys::revoke),
            Operation::KeyHold | Operation::KeyRelease => Call(keys::hold),
            Operation::KeyRename => Call(keys::rename),
            Operation::KeyNarrow => Call(keys::narrow),
            Operation::KeyExtend => Call(keys::extend),
            Operation::KeyEffective => Call(keys::effective),
            Operation::KeyRotate => Call(keys::rotate),
            Operation::KeyIdentify => Call(keys::identify),
            Operation::KeyExpose => Wait(|r, s, call| Box::pin(exposed::answer(r, s, call))),
            Operation::KeyVerify => Quick(keys::verify_cached, keys::verify),
            Operation::Whoami => Call(keys::whoami),
            Operation::UserList => Call(users::list),
            Operation::UserRead => Call(users::read),
            Operation::UserSuspend | Operation::UserActivate => Call(users::hold),
            Operation::UserDelete => Call(users::delete),
            Operation::AgentList => Call(agents::list),
            Operation::AgentRead => Call(agents::read),
            Operation::AgentCreate => Call(agents::create),
            Operation::AgentReplace => Call(agents::replace),
            Operation::AgentSuspend | Operation::AgentActivate => Call(agents::hold),
            Operation::AgentDelete => Call(agents::delete),
            Operation::ApiList => Call(items::list::<Api>),
            Operation::ApiRead => Call(items::read::<Api>),
            Operation::ApiCreate => Call(items::create::<Api>),
            Operation::ApiReplace => Call(items::replace::<Api>),
            Operation::ApiDelete => Call(items::delete::<Api>),
            Operation::RoleList => Call(items::list::<Role>),
            Operation::RoleRead => Call(items::read::<Role>),
            Operation::RoleCreate => Call(items::create::<Role>),
            Operation::RoleReplace => Call(items::replace::<Role>),
            Operation::RoleDelete => Call(items::delete::<Role>),
            Operation::RoleHolders => Call(roles::holders),
            Operation::MappingList => Wait(|r, s, call| Box::pin(snapshot::answer(r, s, call))),
            Operation::MappingRead => Call(mappings::read),
            Operation::MappingCreate => Call(mappings::create),
            Operation::MappingReplace => Call(mappings::replace),
            Operation::MappingDelete => Call(mappings::delete),
            Operation::UserAccess | Operation::AgentAccess => Call(access::report),
            Operation::AccessExplain => Call(access::explain),
            Operation::Changes => Wait(|r, s, call| Box::pin(feed::answer(r, s, call))),
            Operation::AccessEvaluate => Quick(authzen::evaluate_cached, authzen::evaluate),
            Operation::AccessEvaluations => Call(authzen::evaluate_all),
            Operation::SearchSubjects | Operation::SearchResources | Operation::SearchActions => Call(authzen::search),
            Operation::AccessConfiguration => Call(open::authzen_configuration),
            Operation::SigningKeys => Call(open::signing_keys),
            Operation::OpenApi => Wait(|_, s, call| Box::pin(async move { openapi::answer(s, &call) })),
            Operation::Health => Call(open::health),
            Operation::Ready => Wait(|_, s, call| Box::pin(async move { ready::answer(s, &call).await })),
            Operation::Init | Operation::Apply | Operation::Backup | Operation::Restore => Host,
            Operation::LogVerify | Operation::LogTail | Operation::LogAcceptFork | Operation::NodeList => Host,
        }
    }
}

/// Carries an operation out where it belongs. Boxed one by one: a future has the size of the largest that it may
/// hold, and is moved about whole.
pub(super) fn carry_out<'c>(request: &'c HttpRequest, shared: &'c web::Data<Shared>, call: call::Call) -> Coming<'c> {
    match Handler::of(call.operation) {
        Handler::Call(work) => Box::pin(run(shared, call, None, work)),
        Handler::Quick(from_cache, work) => Box::pin(run(shared, call, Some(from_cache), work)),
        Handler::Wait(work) => work(request, shared, call),
        Handler::Host => Box::pin(async { Err(Error::NotFound) }),
    }
}
