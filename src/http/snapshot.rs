//! `GET /v1/mappings`: a snapshot for services, plain, packed or signed, and 304 for whoever has it.

use actix_web::HttpRequest;

use super::call::Call;
use super::parameters::FORM;
use super::respond::Reply;
use super::run::{commit_version, run_at};
use super::{Shared, gzip};
use crate::domain::operation::Place;
use crate::service::Error;
use crate::service::catalogue::snapshot::{Form, Listed};

/// Answers a request for the mappings.
pub(super) async fn answer(request: &HttpRequest, shared: &Shared, call: Call) -> Result<Reply, Error> {
    let form = form(request, &call)?;
    // 304 needs no database beyond that; a snapshot is made on another thread, on any database.
    let commit = match call.commit {
        Some(commit) => commit,
        None => commit_version(&shared.service).await?,
    };
    let memory = shared.service.cached(commit);
    if let Some(known) = memory.list_mappings(call.context()?, form, &call.request.conditions) {
        return Ok(listed(form, known));
    }
    run_at(&shared.service, Some(commit), Place::Blocking, move |service| {
        Ok(listed(form, service.list_mappings(call.context()?, form, &call.request.conditions)?))
    })
    .await
}

fn listed(form: Form, found: Listed) -> Reply {
    match form {
        Form::Plain | Form::Gzip => Reply::negotiated("application/json", found.body, form == Form::Gzip),
        Form::Signed => Reply::private("application/jwt", found.body),
    }
    .tagged(&found.etag)
}

/// A signed snapshot is not packed: base64 would hardly shrink.
fn form(request: &HttpRequest, call: &Call) -> Result<Form, Error> {
    Ok(match FORM.word(&call.request)? {
        Some(_) => Form::Signed,
        None if gzip::is_wanted(request) => Form::Gzip,
        None => Form::Plain,
    })
}
