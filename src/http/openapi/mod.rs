//! The description of the API (OpenAPI 3.1): derived from the table of operations, from that of their parameters, and
//! from the types that they take and give. SCIM describes itself (RFC 7644 §4) and is not in it.

mod answers;
mod contract;
pub(super) mod description;
mod document;
mod examples;
mod refusals;
mod schemas;

use sha2::{Digest, Sha256};

use self::description::Description;
use super::Shared;
use super::call::Call;
use super::respond::Reply;
use crate::service::Error;

/// Answers a request for the description, which is written once.
pub(super) fn answer(shared: &Shared, call: &Call) -> Result<Reply, Error> {
    let url = &shared.service.settings().public_url;
    let Description { text, opaque } = shared.description.get_or_init(|| describe(url));
    let is_known = call.request.conditions.is_unmodified_as(opaque)?;
    Ok(Reply::public_text("application/json", (!is_known).then(|| text.clone())).tagged(&format!("\"{opaque}\"")))
}

fn describe(public_url: &str) -> Description {
    let text = document::render(public_url);
    let opaque = Sha256::digest(&text).iter().take(8).map(|byte| format!("{byte:02x}")).collect();
    Description { text, opaque }
}
