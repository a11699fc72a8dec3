//! Cursors on the wire: sealed, so that nobody can read or make one (RFC 9865 §5), and bound to their question.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest, Sha256};

use crate::scim::cursor::{Cursor, SortValue};
use crate::scim::{self, ScimType};
use crate::service::{Context, Error, Service, sealed};

/// Where a list goes on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::service) struct Behind {
    /// The sort key of the last row, if the list has an order of its own.
    pub(in crate::service) sort: Option<SortValue>,
    /// The surrogate key of the last row.
    pub(in crate::service) last: i64,
    /// The size of its pages, where that may not change.
    pub(in crate::service) count: u32,
}

/// How many rows a page has if so many are asked for.
pub(in crate::service) fn page_size(service: &Service, count: Option<usize>) -> usize {
    let limits = &service.settings().limits;
    count.unwrap_or(limits.page_size_default).clamp(1, limits.page_size_max)
}

/// The cursor with which a question (see [`question_hash`]) goes on: sealed, so that nobody can read or make one
/// (RFC 9865 §5).
pub(in crate::service) fn seal(service: &Service, question: [u8; 16], behind: Behind) -> Result<String, Error> {
    let Behind { sort, last, count } = behind;
    let cursor = Cursor { query: question, issued_at_seconds: service.now().timestamp(), sort, last, count };
    let sealed = sealed::seal(service.keyring().cursor(), b"", &cursor.to_bytes(), service.entropy())?;
    Ok(URL_SAFE_NO_PAD.encode(sealed))
}

/// Where a cursor of this question goes on.
///
/// # Errors
/// 400 for what is none of ours, belongs to another question, tenant or caller, or is too old.
pub(in crate::service) fn open(service: &Service, question: [u8; 16], text: &str) -> Result<Behind, Error> {
    open_among(service, text, |sealed| (sealed == question).then_some(())).map(|((), behind)| behind)
}

/// The same where a cursor may be of one of several questions; `which` finds it by its hash.
pub(in crate::service) fn open_among<T>(
    service: &Service,
    text: &str,
    which: impl FnOnce([u8; 16]) -> Option<T>,
) -> Result<(T, Behind), Error> {
    let refused = |detail: &str| scim::Error::new(ScimType::InvalidCursor, format!("cursor: {detail}"));
    let not_ours = || refused("not one of this server's");
    let bytes = URL_SAFE_NO_PAD.decode(text).map_err(|_| not_ours())?;
    let plain = sealed::open(service.keyring().cursor(), b"", &bytes).ok_or_else(not_ours)?;
    let Cursor { query, issued_at_seconds, sort, last, count } = Cursor::from_bytes(&plain)?;
    let which = which(query).ok_or_else(|| refused("it belongs to another query"))?;
    if service.now().timestamp() - issued_at_seconds > service.settings().limits.cursor_timeout_seconds {
        return Err(scim::Error::new(ScimType::ExpiredCursor, "cursor: it is too old, begin again").into());
    }
    Ok((which, Behind { sort, last, count }))
}

/// Binds a cursor to a question, and to the tenant and the caller that ask it.
pub(in crate::service) fn question_hash(context: &Context, question: &[&str]) -> [u8; 16] {
    let mut hash = Sha256::new();
    let mut add = |text: &str| {
        hash.update((text.len() as u64).to_be_bytes());
        hash.update(text.as_bytes());
    };
    add(&context.caller.tenant.id.to_string());
    add(&context.caller.key().map(|key| key.owner.id.to_string()).unwrap_or_default());
    question.iter().for_each(|text| add(text));
    let mut short = [0; 16];
    short.iter_mut().zip(hash.finalize()).for_each(|(to, from)| *to = from);
    short
}
