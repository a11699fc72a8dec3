//! What a use case answers when it does not do what was asked. HTTP renders it; nothing here knows how.

use crate::domain::Permission;
use crate::domain::log::Entry;
use crate::scim;
#[cfg(doc)]
use crate::service::Service;
use crate::service::dead::Dead;
use crate::store;

/// A refusal, or a failure of the server.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The SCIM layer refuses: malformed, invalid, in conflict.
    #[error(transparent)]
    Scim(#[from] scim::Error),
    /// It does not exist, or the caller may not know that it does.
    #[error("not found")]
    NotFound,
    /// No key.
    #[error("{0}")]
    Unauthenticated(&'static str),
    /// A key that does not work; what is known of it, if its whole secret was proven.
    #[error("the key is not valid")]
    KeyRefused(Option<Box<Dead>>),
    /// More than one key: which of them was meant, nobody knows.
    #[error("{0}")]
    Authorization(&'static str),
    /// The caller's key does not cover what this needs.
    #[error("this key does not hold {0}")]
    Lacking(Box<Permission>),
    /// The caller may not.
    #[error("{0}")]
    Forbidden(String),
    /// The caller may not, and the refusal is recorded: nobody gains a permission of Keyroll itself by what
    /// an identity provider writes.
    #[error("{detail}")]
    Protected {
        /// A sentence.
        detail: String,
        /// The record of the refusal.
        entry: Box<Entry>,
    },
    /// The request contradicts what is stored.
    #[error("{detail}")]
    Conflict {
        /// How.
        code: Conflict,
        /// A sentence.
        detail: String,
    },
    /// The request is understood and its content is not acceptable.
    #[error("{detail}")]
    Invalid {
        /// The member of the body, as a JSON pointer.
        pointer: String,
        /// A sentence.
        detail: String,
        /// The names in it that the client sent and that nothing here has.
        names: Vec<String>,
    },
    /// The request is malformed.
    #[error("{0}")]
    Malformed(String),
    /// `If-Match` names another version, or `If-None-Match` of a change names this one.
    #[error("{0}")]
    PreconditionFailed(&'static str),
    /// Too much of this is going on at once.
    #[error("{0}")]
    Busy(&'static str),
    /// The log has lost what servers knew, after a record: nobody is answered by it until that is accepted.
    #[error(
        "the log forked after record {0}: what was acknowledged after it is lost, and nothing is answered until an \
         operator accepts that (keyroll log accept-fork --at {0})"
    )]
    Forked(i64),
    /// Too many searches read documents: it is answered in its turn (see [`Service::wait_for_turn`]), or not at all.
    #[error("too many searches that no index answers: try again")]
    Crowded,
    /// The connection is over its rate; try again after so many seconds.
    #[error("the rate limit of this connection is exceeded")]
    RateLimited {
        /// Seconds until it makes sense to try again.
        retry_after_seconds: u64,
    },
    /// The address is over its rate; try again after so many seconds.
    #[error("too many requests from this address: try again")]
    AddressLimited {
        /// Seconds until it makes sense to try again.
        retry_after_seconds: u64,
    },
    /// The server is not able to do this at all.
    #[error("{0}")]
    NotImplemented(&'static str),
    /// The store cannot be reached now, or keeps no writes.
    #[error("{}", unavailable(.0))]
    Unavailable(#[source] store::Error),
    /// The server cannot start like this; the message names the fix.
    #[error("{0}")]
    Refused(String),
    /// A failure of the server. The cause is for the log, never for the answer.
    #[error("internal error")]
    Internal(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// How a request contradicts what is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Conflict {
    /// The log does not reach the position.
    AheadOfLog,
    /// What is to be made is there already.
    AlreadyExists,
    /// The database has a tenant of this name.
    AlreadyInitialised,
    /// A user and an agent have the name.
    AmbiguousName,
    /// Something else builds on it.
    InUse,
    /// The key was revoked, or its time is over.
    KeyEnded,
    /// The key is held back.
    KeyHeld,
    /// As many keys of its lineage work as may.
    KeyReplaced,
    /// The row of the key was changed from outside.
    KeyTampered,
    /// It is one of Keyroll's own principals.
    LocalPrincipal,
    /// Another agent has the name.
    NameTaken,
    /// An identity provider made the agent.
    NotOfAnAdmin,
    /// The owner is not live.
    OwnerNotActive,
    /// Whoever has the name now did not have it at that time.
    Renamed,
    /// The owner has as many keys as may be.
    TooManyKeys,
}

impl Conflict {
    /// All of them.
    pub const ALL: [Conflict; 15] = [
        Conflict::AheadOfLog,
        Conflict::AlreadyExists,
        Conflict::AlreadyInitialised,
        Conflict::AmbiguousName,
        Conflict::InUse,
        Conflict::KeyEnded,
        Conflict::KeyHeld,
        Conflict::KeyReplaced,
        Conflict::KeyTampered,
        Conflict::LocalPrincipal,
        Conflict::NameTaken,
        Conflict::NotOfAnAdmin,
        Conflict::OwnerNotActive,
        Conflict::Renamed,
        Conflict::TooManyKeys,
    ];

    /// The stable code in answers.
    pub fn name(self) -> &'static str {
        match self {
            Conflict::AheadOfLog => "ahead_of_log",
            Conflict::AlreadyExists => "already_exists",
            Conflict::AlreadyInitialised => "already_initialised",
            Conflict::AmbiguousName => "ambiguous_name",
            Conflict::InUse => "in_use",
            Conflict::KeyEnded => "key_ended",
            Conflict::KeyHeld => "key_held",
            Conflict::KeyReplaced => "key_replaced",
            Conflict::KeyTampered => "key_tampered",
            Conflict::LocalPrincipal => "local_principal",
            Conflict::NameTaken => "name_taken",
            Conflict::NotOfAnAdmin => "not_of_an_admin",
            Conflict::OwnerNotActive => "owner_not_active",
            Conflict::Renamed => "renamed",
            Conflict::TooManyKeys => "too_many_keys",
        }
    }
}

impl Error {
    /// An internal error from any cause.
    pub fn internal(cause: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Error {
        Error::Internal(cause.into())
    }

    /// An unacceptable member of a body.
    pub fn invalid(pointer: impl Into<String>, detail: impl Into<String>) -> Error {
        Error::Invalid { pointer: pointer.into(), detail: detail.into(), names: vec![] }
    }
}

impl Error {
    /// It and everything behind it, in one line, for the log. What says the same as what it stands behind is told
    /// once.
    pub fn causes(&self) -> String {
        let mut text = self.to_string();
        let mut next = std::error::Error::source(self);
        while let Some(cause) = next {
            let cause_text = cause.to_string();
            if !text.ends_with(&cause_text) {
                text.push_str(": ");
                text.push_str(&cause_text);
            }
            next = cause.source();
        }
        text
    }

    /// The names in its detail that the client sent and that nothing here has.
    pub fn names(&self) -> &[String] {
        match self {
            Error::Scim(scim::Error { names, .. }) | Error::Invalid { names, .. } => names,
            _ => &[],
        }
    }

    /// Whether its cause belongs into the log: the client is told nothing of it.
    pub fn is_failure(&self) -> bool {
        matches!(self.status(), 500 | 503)
    }

    /// The HTTP status of the answer.
    pub fn status(&self) -> u16 {
        match self {
            Error::Scim(error) => error.status,
            Error::Malformed(_) | Error::Authorization(_) => 400,
            Error::Unauthenticated(_) | Error::KeyRefused(_) => 401,
            Error::Forbidden(_) | Error::Lacking(_) | Error::Protected { .. } => 403,
            Error::NotFound => 404,
            Error::Conflict { .. } => 409,
            Error::PreconditionFailed(_) => 412,
            Error::Invalid { .. } => 422,
            Error::RateLimited { .. } | Error::AddressLimited { .. } => 429,
            Error::Internal(_) | Error::Refused(_) => 500,
            Error::NotImplemented(_) => 501,
            Error::Busy(_) | Error::Crowded | Error::Forked(_) | Error::Unavailable(_) => 503,
        }
    }

    /// The same as SCIM says it (RFC 7644 §3.12): as an answer, or as the outcome of a Bulk operation.
    pub fn to_scim(&self) -> scim::Error {
        match self {
            Error::Scim(error) => error.clone(),
            other => scim::Error::status(other.status(), other.to_string()),
        }
    }
}

/// What clients are told; the rest is for the log.
fn unavailable(error: &store::Error) -> &'static str {
    match error {
        store::Error::TooLong => "the database took too long over this: ask for less, or try again",
        _ => error.told_to_clients().unwrap_or("the store is unavailable"),
    }
}

impl From<store::Error> for Error {
    fn from(error: store::Error) -> Error {
        match error {
            store::Error::Unavailable(_) | store::Error::ReadOnly | store::Error::TooLong | store::Error::Moved => {
                Error::Unavailable(error)
            }
            store::Error::Refused(message) => Error::Refused(message),
            store::Error::TooMany(detail) => scim::Error::new(scim::ScimType::TooMany, detail).into(),
            other => Error::internal(other),
        }
    }
}

impl From<serde_json::Error> for Error {
    fn from(error: serde_json::Error) -> Error {
        Error::internal(error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cause_that_says_the_same_is_told_once() {
        let text = "the database is read-only: writes wait until it is not";
        assert_eq!(Error::Unavailable(store::Error::ReadOnly).causes(), text);
        let gone = Error::Unavailable(store::Error::Unavailable("gone".to_owned()));
        assert_eq!(gone.causes(), "the store is unavailable: the database is not available: gone");
        assert_eq!(
            Error::internal(store::Error::Panicked).causes(),
            "internal error: the work on the database panicked"
        );
    }
}
